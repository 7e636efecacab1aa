#!/bin/sh
# Which way does a shape move, or does it rest? A label for each frame of short clips, drawn first; 100 to judge by.
# Needs no data; the run folder can be named: sh examples/moving-shapes.sh runs/mine
set -eu
out=${1:-runs/moving-shapes}
clips=${TMPDIR:-/tmp}/moving-shapes
python -c 'import sys; from sunhwan.data.rendered_clips import write_clips; write_clips(sys.argv[1])' "$clips"
exec sunhwan train tag "$clips/train.csv" --test-data "$clips/test.csv" --out "$out"
