#!/bin/sh
# Is a review of a film positive? 150,000 short Korean texts; 25,000 to judge by.
# Needs SUNHWAN_DATA, the folder with the data; the run folder can be named: sh examples/nsmc.sh runs/mine
set -eu
out=${1:-runs/nsmc}
exec sunhwan train classify "$SUNHWAN_DATA/nsmc/train.tsv.gz" --test-data "$SUNHWAN_DATA/nsmc/test.tsv.gz" --text document --label label --out "$out"
