#!/usr/bin/env bash
# Weak scaling over simulated hosts: 1, 2 and 4 hosts with the same CPU quota each and 1 Gbit/s cables train a model of
# 15 M parameters, the batch growing with the hosts. Then two ranks on this machine against one, the batch being the same.
#
#   Tests/cluster/scaling.sh [--tiny] [FILE.json]     writes JSON to FILE, or to the standard output
#
# --tiny: a small model and few steps, to see that it runs. Both figures are of tokens per second, from metrics.jsonl.
# BATCH is the number of examples for each host (default 24), SETTINGS more settings of the runs.
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
  model='hidden_size: 384, intermediate_size: 1152, layers: 8, heads: 6, context: 256' batch=${BATCH:-24} steps=12
else
  model='hidden_size: 64, intermediate_size: 192, layers: 2, heads: 4, context: 256' batch=4 steps=6
fi
read -ra settings <<<"${SETTINGS-}"
# Steps that are not counted: caches and arenas are cold.
warm=2

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

# tokens_per_second RUN
tokens_per_second() {
  sed -n 's/^{"step":\([0-9]*\),.*"tokens":\([0-9]*\),"seconds":\([^,}]*\).*/\1 \2 \3/p' "$work/$1/metrics.jsonl" |
    awk -v warm="$warm" '$1 > warm { tokens += $2; seconds += $3 } END { printf "%.1f", tokens / seconds }'
}

on() {
  local host
  on_hosts "$1" --rate "$rate"
  for host in $(seq "$1"); do "$hosts" slow "$host" "$quota"; done
  "$hosts" mpirun -n "$1" -x OPENBLAS_NUM_THREADS -x ADALIGN_CACHE "$ADALIGN_PROGRAM" \
    train "$work/scaling.yaml" run="$work/hosts-$1" batch.size="$((batch * $1))" "${settings[@]}"
}

ranks() {
  mpirun -n "$1" --bind-to none "$ADALIGN_PROGRAM" train "$work/scaling.yaml" run="$work/ranks-$1" \
    batch.size="$((batch * 2))" "${settings[@]}"
}

# mean RUN KEY: of a number of seconds in the log of steps, after the warm ones.
mean() {
  sed -n 's/^{"step":\([0-9]*\),.*"'"${2//\//\\/}"'":\([^,}]*\).*/\1 \2/p' "$work/$1/metrics.jsonl" |
    awk -v warm="$warm" '$1 > warm { sum += $2; n += 1 } END { printf "%.3f", sum / n }'
}

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f", a / b }'; }

{
  recipe
  for count in 1 2 4; do on "$count"; done
  "$hosts" down
  for count in 1 2; do ranks "$count"; done
} >"$work/scaling.log" 2>&1

one=$(tokens_per_second hosts-1)
{
  printf '{"commit":"%s","processor":"%s","size":"%s","cpu_quota_percent":%d,"cable":"%s",\n' \
    "$(git rev-parse --short HEAD 2>/dev/null || echo unknown)" \
    "$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)" "$size" "$quota" "$rate"
  echo ' "weak_scaling":['
  for count in 1 2 4; do
    speed=$(tokens_per_second "hosts-$count")
    printf '  {"hosts":%d,"tokens_per_second":%s,"efficiency":%s,"compute_seconds":%s,"wait_seconds":%s}%s\n' "$count" "$speed" \
      "$(ratio "$speed" "$(awk -v a="$one" -v n="$count" 'BEGIN { print a * n }')")" \
      "$(mean "hosts-$count" seconds/compute)" "$(mean "hosts-$count" seconds/wait)" "$([[ $count == 4 ]] || echo ,)"
  done
  echo ' ],'
  printf ' "one_host":{"tokens_per_second":[%s,%s],"speedup_of_two_ranks":%s}}\n' "$(tokens_per_second ranks-1)" \
    "$(tokens_per_second ranks-2)" "$(ratio "$(tokens_per_second ranks-2)" "$(tokens_per_second ranks-1)")"
} >"$output"
