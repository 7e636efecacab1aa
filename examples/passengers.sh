#!/bin/sh
# Passengers of the next 12 months.
# Needs SUNHWAN_DATA, the folder with the data; the run folder can be named: sh examples/passengers.sh runs/mine
set -eu
out=${1:-runs/passengers}
exec sunhwan train forecast "$SUNHWAN_DATA/series/airline-passengers.csv" --out "$out"
