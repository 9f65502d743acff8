#!/usr/bin/env bash
# Everything that only a GPU can show, in one go: parity with torch on the same card, rates beside torch and beside what the card can do,
# and a suite beside `transformers`. Figures are written as JSON, whatever fails.
#
#   benches/gpu/check.sh [--out FOLDER] [--device cuda:N] [--built FOLDER] [--limit SECONDS]
#   benches/gpu/check.sh --device cpu --tiny      tries the script itself, without a GPU: tiny checkpoints, and the operations of a GPU
#                                                 on the processor
#
# It builds two examples (with the feature `cuda`, in release; PROFILE says otherwise) unless `--built` names a folder that has
# them, packed or not, as `check_build.sh --link` makes it on another machine. After that it takes at most `--limit` seconds (480); what there is no
# time for is named. PYTHON (python3) has torch, transformers, safetensors, numpy and Pillow. FOLDER ($OUT, or gpu-check) gets
# figures.json. Checkpoints of 7.5 and 17 GB are made in TMPDIR, one after the other, and taken away.
set -euo pipefail
out=${OUT:-gpu-check} device=cuda tiny='' built='' limit=480
while [ $# -gt 0 ]; do
  case "$1" in
    --out) out=$2; shift 2 ;;
    --device) device=$2; shift 2 ;;
    --built) built=$2; shift 2 ;;
    --limit) limit=$2; shift 2 ;;
    --tiny) tiny=--tiny; shift ;;
    *) echo "unknown option $1; see the head of $0" >&2; exit 2 ;;
  esac
done
mkdir -p "$out"
out=$(cd "$out" && pwd)
if [ -n "$built" ]; then built=$(cd "$built" && pwd); fi
cd "$(dirname "$0")/../.."

if [ -z "$built" ]; then
  profile=${PROFILE:-release}
  features=()
  if [ "$device" != cpu ]; then features=(--features cuda); fi
  cargo build --locked --profile "$profile" -p loupe-models "${features[@]}" --example decode_speed --example throughput
  built=${CARGO_TARGET_DIR:-target}/${profile/#dev/debug}/examples
fi
exec "${PYTHON:-python3}" benches/gpu/card.py --device "$device" $tiny --built "$built" --out "$out" --limit "$limit"
