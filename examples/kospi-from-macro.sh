#!/bin/sh
# The KOSPI of each month out of three other Korean series of it: a number for each step of one long sequence.
# Needs SUNHWAN_DATA, the folder with the data; the run folder can be named: sh examples/kospi-from-macro.sh runs/mine
set -eu
out=${1:-runs/kospi-from-macro}
exec sunhwan train tag "$SUNHWAN_DATA/series/korea-macro-monthly.csv" --target kospi --out "$out"
