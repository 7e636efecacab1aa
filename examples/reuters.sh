#!/bin/sh
# Which of 46 topics is a story about? 8,982 English texts; 2,246 to judge by.
# Needs SUNHWAN_DATA, the folder with the data; the run folder can be named: sh examples/reuters.sh runs/mine
set -eu
out=${1:-runs/reuters}
exec sunhwan train classify "$SUNHWAN_DATA/reuters/train.tsv.gz" --test-data "$SUNHWAN_DATA/reuters/test.tsv.gz" --text text --label topic --out "$out"
