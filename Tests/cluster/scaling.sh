#!/usr/bin/env bash
# Weak scaling over simulated hosts: 1, 2 and 4 hosts with the same CPU quota each and 1 Gbit/s cables train a model of
# 15 M parameters, the batch growing with the hosts. Then two ranks on this machine against one, the batch being the same.
#
#   Tests/cluster/scaling.sh [--tiny] [FILE.json]     writes JSON to FILE, or to the standard output
#
# --tiny: a small model and few steps, to see that it runs. Both figures are of tokens per second, from metrics.jsonl.
# BATCH is the number of examples for each host (default 96), ROUNDS how often everything is done, in turn (default 3):
# ratios are of runs of the same round, and their median counts.
# Nothing else may run on the machine.

set -euo pipefail
size=full
if [[ ${1-} == --tiny ]]; then
  size=tiny
  shift
fi
output=${1:-/dev/stdout}
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "$0")/common.sh" '' # no rows to choose from
begin scaling

# Percent of a core: below a half, so that four hosts fit on two cores.
quota=45
rate=1gbit
if [[ $size == full ]]; then
  # 15.4 M parameters. A step takes a host some seconds.
  model='hidden_size: 384, intermediate_size: 1152, layers: 8, heads: 6, context: 256' batch=${BATCH:-96} steps=4
else
  model='hidden_size: 64, intermediate_size: 192, layers: 2, heads: 4, context: 256' batch=4 steps=6
fi
rounds=${ROUNDS:-3}
# Steps that are not counted: caches and arenas are cold.
warm=1

recipe() {
  "$ADALIGN_PROGRAM" world generate --output "$work/world" --sft 2000 --pairs 10 --held-out 10
  cat >"$work/scaling.yaml" <<RECIPE
run: none
model: {initialize: {$model}}
data: {train: $work/world/sft.jsonl}
steps: $steps
batch: {size: $batch, unit_tokens: 512}
objective: {name: sft}
optimizer: {learning_rate: 1e-4}
checkpoint: {every: 0}
RECIPE
}

# on HOSTS ROUND
on() {
  local host
  on_hosts "$1" --rate "$rate"
  for host in $(seq "$1"); do "$hosts" slow "$host" "$quota"; done
  "$hosts" mpirun -n "$1" -x OPENBLAS_NUM_THREADS -x ADALIGN_CACHE "$ADALIGN_PROGRAM" \
    train "$work/scaling.yaml" run="$work/hosts-$1-$2" batch.size="$((batch * $1))"
}

# ranks COUNT ROUND
ranks() {
  mpirun -n "$1" --bind-to none "$ADALIGN_PROGRAM" train "$work/scaling.yaml" run="$work/ranks-$1-$2" \
    batch.size="$batch"
}

{
  recipe
  for round in $(seq "$rounds"); do
    for count in 1 2 4; do on "$count" "$round"; done
    "$hosts" down
    for count in 1 2; do ranks "$count" "$round"; done
  done
} >"$work/scaling.log" 2>&1

Tests/cluster/scaling_figures.py "$work" --rounds "$rounds" --warm "$warm" --set size="$size" --set cable="$rate" \
  --set cpu_quota_percent="$quota" --set examples_per_host="$batch" >"$output"
