#!/bin/sh
# The part of speech of each Korean word: 2,287 sentences; 2,066 to judge by.
# Needs SUNHWAN_DATA, the folder with the data; the run folder can be named: sh examples/korean-tags.sh runs/mine
set -eu
out=${1:-runs/korean-tags}
exec sunhwan train tag "$SUNHWAN_DATA/ud-korean-kaist/train.conllu.gz" --test-data "$SUNHWAN_DATA/ud-korean-kaist/test.conllu.gz" --out "$out"
