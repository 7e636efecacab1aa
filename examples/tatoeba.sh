#!/bin/sh
# English sentences in Korean: 3,029 pairs of Tatoeba to learn from, 384 to judge by; chrF from 0 to 100.
# Needs SUNHWAN_DATA, the folder with the data; the run folder can be named: sh examples/tatoeba.sh runs/mine
set -eu
out=${1:-runs/tatoeba}
data=$SUNHWAN_DATA/tatoeba-en-ko
exec sunhwan train translate "$data/train.tsv.gz" --test-data "$data/test.tsv.gz" --source english --target korean --out "$out"
