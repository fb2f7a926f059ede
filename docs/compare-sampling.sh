#!/usr/bin/env bash
# Times the sampler and transformers' generate in turn on the same prompts, and prints their ratios.
#
#   docs/compare-sampling.sh MODEL PROMPTS.jsonl [ROUNDS] [PROMPTS_PER_RUN] [SAMPLES] [NEW_TOKENS]
#
# PYTHON names the interpreter that has torch and transformers. One thread each, temperature 1, with and without top-p.
set -euo pipefail

model=$1 prompts=$2
rounds=${3:-3} count=${4:-8} samples=${5:-4} tokens=${6:-128}
python=${PYTHON:-python3}
here=$(dirname "$0")
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1

for ((round = 0; round < rounds; round++)); do
  for share in 0.95 1.0; do
    theirs=$("$python" "$here/sample_transformers.py" "$model" "$prompts" --count "$count" --samples "$samples" \
      --new-tokens "$tokens" --top-p "$share" 2> /dev/null)
    ours=$("$here/../.build/release/adalign-bench" sample --model "$model" --prompts "$prompts" --count "$count" \
      --samples "$samples" --new-tokens "$tokens" --top-p "$share" 2> /dev/null)
    "$python" - "$theirs" "$ours" <<'ROW'
import json, sys

theirs, ours = map(json.loads, sys.argv[1:])
a, b = ours["tokens_per_second"], theirs["tokens_per_second"]
print(f"top_p {theirs['top_p']}: adalign {a:.0f} tokens/s ({ours['gemm_limit_fraction']:.2f} of the GEMM limit), "
      f"transformers {b:.0f}, ratio {a / b:.1f}", flush=True)
ROW
  done
done
