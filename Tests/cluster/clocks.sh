#!/usr/bin/env bash
# Whether a run depends on the date: two ranks whose clocks are twenty years apart and jump while they run, a kill between
# two checkpoints, and the way back with the clocks exchanged. Row 54 of docs/reliability.md.
#
#   Tests/cluster/clocks.sh [--fast]     the same

set -euo pipefail
cd "$(dirname "$0")/../.."

program=${ADALIGN_PROGRAM-$PWD/.build/release/adalign}
if ((EUID == 0)); then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
export OPENBLAS_NUM_THREADS=1

skip() {
  echo "row 54: SKIPPED $1"
  exit 0
}
[[ -x $program ]] || skip "$program is missing; run make build"
compiler=$(command -v cc || command -v clang || command -v gcc) || skip 'there is no C compiler'

work=$(mktemp -d /var/tmp/adalign-clocks.XXXXXX)
trap 'rm -rf "$work"' EXIT
export ADALIGN_CACHE=$work/cache
"$compiler" -shared -fPIC -O -o "$work/clock_jumps.so" Tests/cluster/clock_jumps.c -ldl

for number in {1..24}; do
  printf '{"prompt": "Count from %d:", "completion": " %d %d"}\n' "$number" "$((number + 1))" "$((number + 2))"
done >"$work/data.jsonl"
cat >"$work/recipe.yaml" <<RECIPE
model: {initialize: {hidden_size: 32, intermediate_size: 64, layers: 2, heads: 2, context: 64}}
data: {train: $work/data.jsonl}
steps: 60
batch: {size: 8}
objective: {name: sft}
optimizer: {learning_rate: 1e-2}
checkpoint: {every: 10}
watchdog: 10
RECIPE

# train RUN OFFSET OFFSET: on two ranks with these clocks, in seconds from the true one.
train() {
  local run=$1 first=$2 second=$3
  timeout 120 mpirun --oversubscribe \
    -n 1 env LD_PRELOAD="$work/clock_jumps.so" CLOCK_OFFSET="$first" "$program" train "$work/recipe.yaml" run="$work/$run" : \
    -n 1 env LD_PRELOAD="$work/clock_jumps.so" CLOCK_OFFSET="$second" "$program" train "$work/recipe.yaml" run="$work/$run"
}

fail() {
  echo "row 54: FAILED clocks that jump: $1"
  sed 's/^/  | /' "$work/log"
  exit 1
}

years=315360000 # ten of them, in seconds
train reference 0 0 >"$work/log" 2>&1 || fail 'the run with true clocks did not end well'
status=0
ADALIGN_FAULTS=kill@step:rank=1:step=35 train jumps "$years" "-$years" >"$work/log" 2>&1 || status=$?
((status == 137)) || fail "the killed run ended with $status"
train jumps "-$years" "$years" >"$work/log" 2>&1 || fail 'the run did not go on'
grep -q 'resuming after step 30' "$work/log" || fail 'the newest checkpoint was not found'
cmp "$work/jumps/final/model.safetensors" "$work/reference/final/model.safetensors" >>"$work/log" 2>&1 || fail 'other weights'
echo 'row 54: ok clocks that jump: twenty years apart, killed, resumed with the clocks exchanged, same bytes'
