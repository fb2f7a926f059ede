#!/usr/bin/env bash
# Plans runs, does them, and prints what was foretold beside what was measured: seconds of a step and MiB of a rank.
#
#   docs/compare-plan.sh [STEPS] [MODEL]
#
# MODEL is a directory; without it the model is a new one of 13 M parameters. Rates are measured before and after each
# run, and the better ones of each are taken: others that use the machine meanwhile can only make it slower. For the
# same reason the run's fastest steps count beside its median. PYTHON names a Python 3.
set -euo pipefail

steps=${1:-6} model=${2:-}
python=${PYTHON:-python3}
here=$(cd "$(dirname "$0")/.." && pwd)
adalign=$here/.build/release/adalign
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OPENBLAS_NUM_THREADS=1

shape='{initialize: {hidden_size: 384, intermediate_size: 1024, layers: 8, heads: 6, context: 512}}'
"$adalign" world generate --output "$work/world" --domain source > /dev/null
cat > "$work/recipe.yaml" <<RECIPE
run: $work/run
model: ${model:-$shape}
data: {train: $work/world/preferences.jsonl}
steps: $steps
batch: {size: 48, unit_tokens: 1024}
optimizer: {learning_rate: 1e-6}
cache: $work/cache
RECIPE

launch() { mpirun --oversubscribe --mca mpi_yield_when_idle 1 -n "$@"; }

compare() {
  local name=$1 ranks=$2
  shift 2
  rm -rf "$work/run"
  launch "$ranks" "$adalign" doctor --output "$work/before.json" > /dev/null
  # Each rank leaves its largest resident memory, in KiB.
  rm -f "$work"/memory.*
  # shellcheck disable=SC2016 # the shell of each rank expands them
  launch "$ranks" bash -c '/usr/bin/time -f %M -o "$0.$OMPI_COMM_WORLD_RANK" "$@"' "$work/memory" \
    "$adalign" train "$work/recipe.yaml" "$@" > "$work/log" 2>&1 || { cat "$work/log" >&2; return 1; }
  launch "$ranks" "$adalign" doctor --output "$work/after.json" > /dev/null
  "$python" - "$work" <<'RATES'
import json, sys

work = sys.argv[1]
before, after = (json.load(open(f"{work}/{name}.json")) for name in ("before", "after"))
for key in ("sgemm_gflops", "sgemm_gflops_alone", "memory_gbs", "unit_efficiency"):
    after[key] = max(before[key], after[key])
if after["local"]:
    after["local"]["bandwidth_gbs"] = max(before["local"]["bandwidth_gbs"], after["local"]["bandwidth_gbs"])
    after["local"]["latency_us"] = min(before["local"]["latency_us"], after["local"]["latency_us"])
json.dump(after, open(f"{work}/rates.json", "w"))
RATES
  "$adalign" plan "$work/recipe.yaml" "$@" --ranks "$ranks" --rates "$work/rates.json" --output "$work/plan.json" \
    > "$work/plan.txt"
  "$python" - "$work" "$name" "$ranks" <<'ROW'
import glob, json, statistics, sys

work, name, ranks = sys.argv[1:]
plan = json.load(open(f"{work}/plan.json"))
seconds = [row["seconds"] for row in map(json.loads, open(f"{work}/run/metrics.jsonl")) if "seconds" in row][1:]
memory = max(int(open(path).read().split()[-1]) for path in glob.glob(f"{work}/memory.*")) / 1024
foretold, resident = plan["step"]["seconds"], plan["memory"]["resident_bytes"] / 2**20
median, fastest = statistics.median(seconds), min(seconds)
print(f"{name} on {ranks} rank(s): step {foretold:.3f} s foretold, {median:.3f} median, {fastest:.3f} fastest measured, "
      f"ratio {foretold / median:.2f} {foretold / fastest:.2f}; "
      f"memory {resident:.0f} MiB foretold, {memory:.0f} measured, ratio {resident / memory:.2f}", flush=True)
ROW
}

compare dpo 1 objective.name=dpo
compare dpo 2 objective.name=dpo
compare bradley_terry 1 objective.name=bradley_terry
compare lora-dpo 2 objective.name=dpo lora.rank=16
compare kto 2 objective.name=kto
