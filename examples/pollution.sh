#!/bin/sh
# Particles in the air of Beijing in the next hours, with the weather.
# Needs SUNHWAN_DATA, the folder with the data; the run folder can be named: sh examples/pollution.sh runs/mine
set -eu
out=${1:-runs/pollution}
exec sunhwan train forecast "$SUNHWAN_DATA/series/pollution.csv" --target pm2.5 --out "$out"
