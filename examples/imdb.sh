#!/bin/sh
# Is a review of a film positive? 25,000 English texts, and as many to judge by.
# Needs SUNHWAN_DATA, the folder with the data; the run folder can be named: sh examples/imdb.sh runs/mine
set -eu
out=${1:-runs/imdb}
exec sunhwan train classify "$SUNHWAN_DATA/imdb/train.tsv.gz" --test-data "$SUNHWAN_DATA/imdb/test.tsv.gz" --text text --label label --out "$out"
