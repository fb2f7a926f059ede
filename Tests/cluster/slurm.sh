#!/usr/bin/env bash
# Whether a job of cluster/slurm.sbatch saves, resumes and ends by itself with the weights of an undisturbed run, on a
# real Slurm with three simulated nodes.
#
#   Tests/cluster/slurm.sh [normal_end] [time_limit] [preemption] [killed_rank] [lost_node] [cancelled]
#
# All cases take about nine minutes.
#
# Prints `row N: ok|FAILED|SKIPPED what and how long`, N being the row in docs/reliability.md.

set -euo pipefail
cd "$(dirname "$0")/../.."

sim=Tests/cluster/slurm-sim
work=$(mktemp -d /tmp/adalign-slurm.XXXXXX)
chmod 755 "$work" # munge is another user
failures=0
export ADALIGN_PROGRAM=${ADALIGN_PROGRAM-$PWD/.build/release/adalign} ADALIGN_CACHE=$work/cache
export OMPI_MCA_btl_tcp_if_include=eth0 OMPI_MCA_oob_tcp_if_include=eth0 OMPI_MCA_mpi_yield_when_idle=1
export SLURM_SIM_DIRECTORY=${SLURM_SIM_DIRECTORY-$work/slurm}

report() { echo "row $1: $2"; }
slurm() { "$sim" run "$@"; }
since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f s", b - a }'; }

check_machine() {
  local missing=()
  ((EUID == 0)) || missing+=(root)
  for tool in munged slurmctld slurmd sbatch srun ip nsenter mpirun; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  [[ -x $ADALIGN_PROGRAM ]] || missing+=("$ADALIGN_PROGRAM")
  if ((${#missing[@]})); then
    report 24 "SKIPPED Slurm: not here: ${missing[*]} (apt-get install munge slurmctld slurmd slurm-client iproute2)"
    exit
  fi
}

# Data and recipe of a small model.
prepare() {
  "$ADALIGN_PROGRAM" world generate --output "$work/world" --sft 1000 --pairs 10 --held-out 10
  cat >"$work/sft.yaml" <<RECIPE
run: none
model: {initialize: {hidden_size: 64, intermediate_size: 192, layers: 3, heads: 4, context: 128}}
data: {train: $work/world/sft.jsonl}
steps: 200
batch: {size: 32, unit_tokens: 1024}
objective: {name: sft}
optimizer: {learning_rate: 3e-3}
checkpoint: {every: 20}
RECIPE
}

# reference STEPS: what an undisturbed rank makes of it.
reference() {
  local run=$work/reference-$1
  [[ -e $run/final ]] || cluster/local.sh -n 1 -- train "$work/sft.yaml" run="$run" steps="$1" 2>"$run.log"
}

# submit CASE STEPS [SBATCH OPTION…]: sets `job`.
submit() {
  job=$(slurm sbatch --parsable --nodes=2 --ntasks-per-node=1 --time=20 --output="$work/$1.log" "${@:3}" \
    cluster/slurm.sbatch train "$work/sft.yaml" run="$work/$1" steps="$2")
}

state() { slurm scontrol --oneliner show job "$job" | sed -n 's/.* JobState=\([A-Z_]*\).*/\1/p'; }
in_state() { [[ $(state) =~ ^($1)$ ]]; }
step() { tail -n 1 "$work/$1/metrics.jsonl" 2>/dev/null | sed -n 's/^{"step":\([0-9]*\),.*/\1/p'; }
is_at() { (($(step "$1") + 0 >= $2)); }

# await SECONDS COMMAND…: fails when the time is over.
await() {
  local end=$((SECONDS + $1))
  until "${@:2}"; do
    ((SECONDS < end)) || { echo "waited $1 s in vain for: ${*:2}" >&2 && return 1; }
    sleep 0.2
  done
}

# finish CASE STEPS: the job ends well, with the bytes of the undisturbed run.
finish() {
  await 400 in_state 'COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL|PREEMPTED' || return
  in_state COMPLETED || { state && return 1; }
  reference "$2" && cmp "$work/$1/final/model.safetensors" "$work/reference-$2/final/model.safetensors"
}

restarts() { slurm scontrol --oneliner show job "$job" | sed -n 's/.* Restarts=\([0-9]*\).*/\1/p'; }

normal_end() { # LAUNCHER
  local started=$EPOCHREALTIME
  ADALIGN_MPI=$1 submit "$name" 200
  finish "$name" 200 && figure="$1: ended after $(since "$started")"
}

# Slurm looks at limits twice a minute, so that the warning comes after 25 to 55 s of the one minute allowed.
time_limit() { # LAUNCHER
  ADALIGN_MPI=$1 submit "$name" 1200 --time=1 --signal=B:USR1@5
  finish "$name" 1200 && (($(restarts) > 0)) &&
    figure="$1: saved, queued again and resumed $(restarts) times within limits of one minute"
}

preemption() { # LAUNCHER
  local asked saved
  ADALIGN_MPI=$1 submit "$name" 200
  await 180 is_at "$name" 30 || return
  asked=$EPOCHREALTIME
  slurm sbatch --partition=high --nodes=3 --ntasks-per-node=1 --output=/dev/null --wrap='sleep 3' >/dev/null
  await 60 in_state PENDING || return
  saved="$1: job left its nodes after $(since "$asked") at step $(step "$name")"
  await 120 in_state RUNNING || return
  figure="$saved, resumed from step $(checkpoint "$name") after $(since "$asked")"
  finish "$name" 200 && (($(restarts) == 1))
}

checkpoint() { basename "$(find "$work/$1/checkpoints" -name 'step-*' | sort | tail -n 1)" | sed 's/step-0*//'; }

killed_rank() { # LAUNCHER
  local killed
  ADALIGN_MPI=$1 submit "$name" 200
  await 180 is_at "$name" 30 || return
  killed=$EPOCHREALTIME
  kill -KILL "$(pgrep --newest --full "^$ADALIGN_PROGRAM train .* run=$work/$name ")"
  await 180 grep -q 'resuming after step' "$work/$name.log" || return
  figure="$1: resumed from step $(checkpoint "$name") in the same job after $(since "$killed")"
  finish "$name" 200 && (($(restarts) == 0))
}

lost_node() { # LAUNCHER
  local lost noticed
  ADALIGN_MPI=$1 submit "$name" 200
  await 180 is_at "$name" 30 || return
  lost=$EPOCHREALTIME
  "$sim" poweroff 2
  await 120 in_state PENDING || return
  noticed="$1: queued again $(since "$lost") after the power went"
  await 120 in_state RUNNING || return
  figure="$noticed, resumed from step $(checkpoint "$name") on other nodes after $(since "$lost")"
  finish "$name" 200
  "$sim" poweron 2
  await 60 nodes_are_up
}

nodes_are_up() { [[ $(slurm sinfo --noheader --format=%T | sort -u) == idle ]]; }

cancelled() { # LAUNCHER
  local asked
  ADALIGN_MPI=$1 submit "$name" 200
  await 180 is_at "$name" 30 || return
  asked=$EPOCHREALTIME
  slurm scancel "$job"
  await 60 nodes_are_up || return
  figure="$1: cancelled job ended after $(since "$asked") and stayed so, saved at step $(checkpoint "$name")"
  in_state CANCELLED && (($(checkpoint "$name") == $(step "$name")))
}

# run_case FUNCTION LAUNCHER ROW: the function finds its run's `name`, and tells what it saw in `figure`.
run_case() {
  local figure='' name=$1-$2
  if ((${#wanted[@]})) && [[ " ${wanted[*]} " != *" $1 "* ]]; then return; fi
  if "$1" "$2"; then
    report "$3" "ok ${1/_/ }, $figure"
  else
    report "$3" "FAILED ${1/_/ }, $2 $figure; the end of its log:"
    tail -n 20 "$work/$name.log" || true
    ((failures += 1))
    slurm scancel "$job"
  fi
}

clean_up() {
  "$sim" down
  [[ -n ${KEEP-} ]] || rm -rf "$work"
}

wanted=("$@")
check_machine
trap clean_up EXIT
prepare
"$sim" up 3 1
run_case normal_end srun 24
run_case normal_end mpirun 24
run_case time_limit srun 24
run_case preemption srun 24
run_case preemption mpirun 24
run_case killed_rank srun 1
run_case killed_rank mpirun 1
run_case lost_node srun 10
run_case lost_node mpirun 10
run_case cancelled srun 24
((failures == 0))
