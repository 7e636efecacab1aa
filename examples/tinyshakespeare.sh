#!/bin/sh
# How Shakespeare goes on, letter by letter: 1.1 million letters, the last tenth to judge by; loss in nats a letter.
# Needs SUNHWAN_DATA, the folder with the data; the run folder can be named: sh examples/tinyshakespeare.sh runs/mine
set -eu
out=${1:-runs/tinyshakespeare}
exec sunhwan train generate "$SUNHWAN_DATA/tinyshakespeare/input.txt.gz" --out "$out"
