#!/bin/sh
# The lowest temperature of the next days.
# Needs SUNHWAN_DATA, the folder with the data; the run folder can be named: sh examples/temperatures.sh runs/mine
set -eu
out=${1:-runs/temperatures}
exec sunhwan train forecast "$SUNHWAN_DATA/series/daily-min-temperatures.csv" --out "$out"
