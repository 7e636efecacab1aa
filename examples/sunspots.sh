#!/bin/sh
# Sunspots of the next months.
# Needs SUNHWAN_DATA, the folder with the data; the run folder can be named: sh examples/sunspots.sh runs/mine
set -eu
out=${1:-runs/sunspots}
exec sunhwan train forecast "$SUNHWAN_DATA/series/monthly-sunspots.csv" --out "$out"
