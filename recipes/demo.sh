#!/usr/bin/env bash
# The story of the project on a synthetic world, on two ranks: a new model learns to speak (SFT), then learns from
# preferences (DPO); a table compares it on held-out pairs before and after. make demo runs this.
set -euo pipefail
cd "$(dirname "$0")/.."

adalign() { cluster/local.sh -n 2 -- "$@"; }

rm -rf runs/demo
.build/release/adalign world generate --output runs/demo/world
adalign train recipes/demo-sft.yaml
adalign train recipes/demo-dpo.yaml
echo
adalign world evaluate --data runs/demo/world/held-out.jsonl \
  --model runs/demo/sft/final --model runs/demo/dpo/final
