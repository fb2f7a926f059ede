#!/usr/bin/env bash
# Kills or hinders a run at every single call by which its checkpoints change files, on rank 0, on another rank and on a
# rank alone; after each, the newest whole checkpoint must be one that was reported or a later one, and the same command
# must end with the same model as a run that nobody disturbed. Rows 4, 6, 26 and 27 of docs/reliability.md.
#
#   Tests/cluster/crash-points.sh [--fast | --stride N]     every call, or every Nth

set -euo pipefail
cd "$(dirname "$0")/../.."

stride=1
case ${1-} in
  --fast) stride=17 ;;
  --stride) stride=$2 ;;
esac
program=${ADALIGN_PROGRAM-$PWD/.build/release/adalign}
if ((EUID == 0)); then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
export OPENBLAS_NUM_THREADS=1

skip() {
  for number in 4 6 26 27; do echo "row $number: SKIPPED $1"; done
  exit 0
}
[[ -x $program ]] || skip "$program is missing; run make build"
compiler=$(command -v cc || command -v clang || command -v gcc) || skip 'there is no C compiler'

work=$(mktemp -d /dev/shm/adalign-crash-points.XXXXXX)
trap 'rm -rf "$work"' EXIT
export ADALIGN_CACHE=$work/cache
"$compiler" -shared -fPIC -o "$work/fault_calls.so" Tests/cluster/fault_calls.c -ldl

# ---- A small run with three checkpoints ----

for number in {1..24}; do
  printf '{"prompt": "Count from %d:", "completion": " %d %d"}\n' "$number" "$((number + 1))" "$((number + 2))"
done >"$work/data.jsonl"
cat >"$work/recipe.yaml" <<RECIPE
model: {initialize: {hidden_size: 16, intermediate_size: 32, layers: 1, heads: 2, context: 64}}
data: {train: $work/data.jsonl}
steps: 6
batch: {size: 8}
objective: {name: sft}
optimizer: {learning_rate: 1e-2}
checkpoint: {every: 2, keep: 1}
watchdog: 60
RECIPE
run=$work/run
rm -rf "$run"

# train RANKS [VARIABLE=VALUE…]: runs to its end; 0 ranks are one without mpirun.
train() {
  local ranks=$1 launcher=()
  shift
  if ((ranks > 0)); then
    launcher=(mpirun -n "$ranks" --oversubscribe --mca mpi_yield_when_idle 1 --mca odls_base_sigkill_timeout 0)
  fi
  timeout 120 env "$@" "${launcher[@]}" "$program" train "$work/recipe.yaml" run="$run" >"$work/log" 2>&1 </dev/null
}

train 0 || { cat "$work/log" && exit 1; }
cp "$run/final/model.safetensors" "$work/expected"

# ---- Points ----

# The last step whose checkpoint was reported.
reported() { sed -n 's/^checkpoint of step \([0-9]*\) written.*/\1/p' "$work/log" | tail -n 1 | grep . || echo 0; }

is_unchanged() { cmp -s "$run/final/model.safetensors" "$work/expected"; }

# point RANKS RANK NUMBER CODE: disturbs one call, and prints what is wrong afterwards.
point() {
  local ranks=$1 status=0 newest
  rm -rf "$run"
  train "$ranks" LD_PRELOAD="$work/fault_calls.so" FAULT_DIR="$run/checkpoints" FAULT_RANK="$2" FAULT_AT="$3" \
    FAULT_CODE="$4" 2>/dev/null || status=$?
  newest=$(Tests/cluster/newest_checkpoint.py "$run" 2>"$work/why")
  if ((newest < $(reported))); then echo "step $(reported) was reported, and $newest is there: $(cat "$work/why")"; fi
  case $4,$status in
    0,137 | [1-9]*,0) ;; # killed, or the failure was borne
    [1-9]*,73) grep -q '^adalign.*: ' "$work/log" || echo 'no fault was told' ;; # the last checkpoint is needed
    *) echo "the run ended with $status: $(tail -n 1 "$work/log")" ;;
  esac
  if ((status == 0)) && ! is_unchanged; then echo 'another model'; fi
  if ((status != 0)); then
    train 0 || echo "the run cannot go on: $(tail -n 1 "$work/log")"
    is_unchanged || echo 'another model after going on'
  fi
}

# sweep NUMBER CODE TITLE: points on a rank alone, on rank 0 of two, and on rank 1.
sweep() {
  local ranks rank total call points=0 bad=0 begun=$SECONDS
  for where in '0 0' '2 0' '2 1'; do
    read -r ranks rank <<<"$where"
    rm -rf "$run" "$work/calls"
    train "$ranks" LD_PRELOAD="$work/fault_calls.so" FAULT_DIR="$run/checkpoints" FAULT_RANK="$rank" \
      FAULT_LOG="$work/calls"
    total=$(wc -l <"$work/calls")
    for ((call = 1 + RANDOM % stride; call <= total; call += stride)); do
      point "$ranks" "$rank" "$call" "$2" >"$work/problems"
      ((points += 1))
      [[ -s $work/problems ]] || continue
      ((bad += 1))
      echo "  | rank $rank of $ranks, call $(sed -n "${call}p" "$work/calls"):"
      sed 's/^/  |   /' "$work/problems"
    done
  done
  if ((points == 0)); then bad=1; fi
  echo "row $1: $( ((bad)) && echo FAILED || echo ok) $3: $points points, $bad bad, $((SECONDS - begun)) s"
  ((bad == 0)) || failed=yes
}

failed=''
sweep 4,6 0 'killed at a call of a save, keeping one checkpoint'
sweep 26 28 'no space at a call of a save'
sweep 27 5 'EIO at a call of a save'
[[ -z $failed ]]
