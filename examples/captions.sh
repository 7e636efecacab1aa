#!/bin/sh
# What does an image show, in English? 4,000 images, drawn first; the 500 to judge by show combinations that were never seen.
# Needs no data; the run folder can be named: sh examples/captions.sh runs/mine
set -eu
out=${1:-runs/captions}
images=${TMPDIR:-/tmp}/captions
python -c 'import sys; from sunhwan.data.rendered import write_captions; write_captions(sys.argv[1])' "$images"
exec sunhwan train caption "$images/train.csv" --test-data "$images/test.csv" --caption caption_en --out "$out"
