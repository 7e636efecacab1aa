#!/bin/sh
# Which digit was said? One of five speakers is never heard in training.
# Needs SUNHWAN_DATA, the folder with the data; the run folder can be named: sh examples/spoken-digits.sh runs/mine
set -eu
out=${1:-runs/spoken-digits}
exec sunhwan train classify "$SUNHWAN_DATA/spoken-digits/recordings.zip" --out "$out"
