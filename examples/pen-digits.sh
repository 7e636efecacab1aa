#!/bin/sh
# Which digit did a pen write? Eight positions each; others wrote the test part.
# Needs SUNHWAN_DATA, the folder with the data; the run folder can be named: sh examples/pen-digits.sh runs/mine
set -eu
out=${1:-runs/pen-digits}
exec sunhwan train classify "$SUNHWAN_DATA/pen-digits/train.csv" --test-data "$SUNHWAN_DATA/pen-digits/test.csv" --label digit --out "$out"
