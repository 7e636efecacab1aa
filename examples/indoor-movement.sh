#!/bin/sh
# Does somebody change rooms? Four radio strengths, from 19 to 129 steps.
# Needs SUNHWAN_DATA, the folder with the data; the run folder can be named: sh examples/indoor-movement.sh runs/mine
set -eu
out=${1:-runs/indoor-movement}
exec sunhwan train classify "$SUNHWAN_DATA/series/IndoorMovement.zip" --out "$out"
