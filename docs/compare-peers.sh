#!/usr/bin/env bash
# Times adalign and its peers in turn on the same pairs and prints their ratios.
#
#   docs/compare-peers.sh PEERS MODEL PAIRS.jsonl [ROUNDS] [PAIRS_PER_RUN] [BATCH]
#
# PEERS holds trl_dpo.py and torch_tree_dpo.py, which take MODEL DATA --pairs N --bs N --threads N and print JSON with
# pairs_per_s and rss_gb. PYTHON names their interpreter. One thread each; nothing else should run beside it.
#
# adalign computes the reference's log-probabilities once and keeps them; its first row leaves that pass out, its second
# counts it in full (a first epoch with an empty cache). TRL's rows are with a live reference and, `cached`, steps alone
# with the log-probabilities computed before; the PyTorch loop has a live reference.
set -euo pipefail

peers=$1 model=$2 pairs=$3
rounds=${4:-3} count=${5:-32} batch=${6:-8}
python=${PYTHON:-python3}
bench=$(dirname "$0")/../.build/release/adalign-bench
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 ADALIGN_CACHE="$work/cache"
# PyTorch on CPUs is faster when glibc keeps freed memory.
export MALLOC_TOP_PAD_=1000000000 MALLOC_MMAP_THRESHOLD_=100000000000 MALLOC_TRIM_THRESHOLD_=100000000000

head -n "$count" "$pairs" > "$work/pairs.jsonl"
cat > "$work/recipe.yaml" <<RECIPE
run: $work/run
model: $model
data: {train: $work/pairs.jsonl, shuffle: false, boundary: separate}
batch: {size: $batch}
optimizer: {learning_rate: 1e-5}
RECIPE

steps=$((count / batch))
for ((round = 0; round < rounds; round++)); do
  rm -rf "$ADALIGN_CACHE"
  "$bench" step "$work/recipe.yaml" --count "$steps" 2> /dev/null | sed 's/^/adalign /'
  for size in 1 2; do
    "$python" "$peers/trl_dpo.py" "$model" "$work/pairs.jsonl" --pairs "$count" --bs "$size" --threads 1 2> /dev/null |
      grep '^{"' | sed "s/^/trl-batch-$size /"
  done
  for size in 1 2; do
    "$python" "$peers/trl_dpo.py" "$model" "$work/pairs.jsonl" --pairs "$count" --bs "$size" --threads 1 --precompute \
      2> /dev/null | grep '^{"' | sed "s/^/trl-batch-$size-cached /"
  done
  "$python" "$peers/torch_tree_dpo.py" "$model" "$work/pairs.jsonl" --pairs "$count" --bs "$batch" --threads 1 \
    2> /dev/null | grep '^{"' | sed 's/^/torch-tree /'
done | tee "$work/results"

"$python" - "$work/results" <<'SUMMARY'
import json, statistics, sys

speed, memory, fraction = {}, {}, []
def add(name, pairs_per_second, gibibytes):
    speed.setdefault(name, []).append(pairs_per_second)
    memory.setdefault(name, []).append(gibibytes)

for line in open(sys.argv[1], encoding="utf-8"):
    name, text = line.split(" ", 1)
    row = json.loads(text)
    if name == "adalign":
        fraction.append(row["gemm_limit_fraction"])
        memory_used = row["peak_mebibytes"] / 1024
        add(name, row["examples_per_second"], memory_used)
        pairs = row["batch"] * row["steps"]
        add("adalign+reference", pairs / (pairs / row["examples_per_second"] + row["preparation_seconds"]), memory_used)
    else:
        speed_key = "pairs_per_s_steps" if name.endswith("cached") else "pairs_per_s"
        add(name, row[speed_key], row["rss_gb"] * 1e9 / 2**30)

own = statistics.median(speed["adalign"])
print(f"\n{'':18}  {'pairs/s':>7}  {'rounds':24}  {'GiB':>5}  adalign / it")
for name, values in speed.items():
    middle = statistics.median(values)
    rounds = " ".join(f"{value:.2f}" for value in values)
    print(f"{name:18}  {middle:7.2f}  {rounds:24}  {max(memory[name]):5.2f}  {own / middle:12.2f}")
print(f"share of the GEMM limit: median {statistics.median(fraction):.3f}")
SUMMARY
