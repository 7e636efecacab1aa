#!/bin/sh
# The KOSPI of the next months, with three other Korean series.
# Needs SUNHWAN_DATA, the folder with the data; the run folder can be named: sh examples/kospi.sh runs/mine
set -eu
out=${1:-runs/kospi}
exec sunhwan train forecast "$SUNHWAN_DATA/series/korea-macro-monthly.csv" --target kospi --covariates leading_index,coincident_index,usd_krw --out "$out"
