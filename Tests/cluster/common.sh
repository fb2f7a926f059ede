# shellcheck shell=bash
# What the tests on simulated hosts share: rows of the fault matrix with their figures, a small run, and faults.

cd "$(dirname "${BASH_SOURCE[0]}")/../.."

me=${0##*/}
hosts=Tests/cluster/simulated-hosts
export SIMULATED_HOSTS=${SIMULATED_HOSTS-${me%.sh}-$$}
export ADALIGN_PROGRAM=${ADALIGN_PROGRAM-$PWD/.build/release/adalign}
export OPENBLAS_NUM_THREADS=1 ADALIGN_RESTART_DELAY=1
if ((EUID == 0)); then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi

work='' failures=0 job=''

# The scripts' own arguments: --fast for a few rows, or the numbers of rows.
# shellcheck disable=SC2034 # fast is for the scripts
if [[ ${1-} == --fast ]]; then fast=yes only=''; else fast='' only=$*; fi

# ---- Rows ----

# row NUMBER TITLE FUNCTION [ARGUMENT…]: prints a line with what the function prints. The function fails like any script
# with `set -e`; exit code 77 skips.
row() {
  local number=$1 title=$2 figure status
  shift 2
  if [[ -n $only && " $only " != *" $number "* ]]; then return; fi
  set +e
  figure=$(set -e && "$@" 2>"$work/row.log" </dev/null)
  status=$?
  set -e
  figure=${figure//$'\n'/, }
  case $status in
    0) echo "row $number: ok $title: $figure" ;;
    77) echo "row $number: SKIPPED $title: $figure" ;;
    *)
      echo "row $number: FAILED $title: $figure"
      tail -n 30 "$work/row.log" | sed 's/^/  | /'
      ((failures += 1))
      ;;
  esac
  tidy >/dev/null 2>&1 || true
}

# Ends the rows that cannot be tried here, loudly, and the script with them.
skip_all() {
  local number
  for number in $rows; do echo "row $number: SKIPPED $1"; done
  exit 0
}

# begin ROW…: the rows of this script; a directory for it, or the end of it.
begin() {
  local missing
  rows=$*
  [[ -x $ADALIGN_PROGRAM ]] || skip_all "$ADALIGN_PROGRAM is missing; run make build"
  missing=$("$hosts" check 2>&1) || skip_all "$missing"
  work=$(mktemp -d "/var/tmp/adalign-$me.XXXXXX")
  export ADALIGN_CACHE=$work/cache
  trap finish_all EXIT
}

finish_all() {
  local status=$?
  if [[ -n $job ]]; then kill "$job" 2>/dev/null || true; fi
  "$hosts" down >/dev/null 2>&1 || true
  if ((status == 0 && failures == 0)); then
    rm -rf "$work"
  else
    echo "$me: logs are in $work" >&2
    trap - EXIT
    exit 1
  fi
}

# Makes the hosts as they were, for the next row.
tidy() {
  local host process
  for host in $(seq "$(grep -c . "$("$hosts" hostfile)")"); do
    "$hosts" restore "$host"
    "$hosts" rate "$host" off
    "$hosts" slow "$host" 100
    "$hosts" thaw "$host"
    for process in bash mpirun orted adalign; do
      "$hosts" pids "$host" "$process" | xargs --no-run-if-empty kill -KILL || true # it may have ended
    done
    "$hosts" poweron "$host" || true
  done
}

fail() {
  echo "$*"
  exit 1
}

# ---- Time ----

# Seconds for what has no limit to be tested: enough on a loaded machine.
ample=600

now() { echo $((${EPOCHREALTIME/./} / 1000)); }
seconds() { printf '%d.%d s' $(($1 / 1000)) $(($1 % 1000 / 100)); }
since() { seconds $(($(now) - $1)); }

# await SECONDS COMMAND…: fails when the time is over.
await() {
  local end=$(($(now) + 1000 * $1)) limit=$1
  shift
  until "$@"; do
    (($(now) < end)) || fail "waited $limit s in vain for: $*"
    sleep 0.05
  done
}

# ---- Runs ----

# prepare STEPS: a small model and data, the recipe of a run, and what one rank on one host makes of it.
prepare() {
  "$ADALIGN_PROGRAM" world generate --output "$work/world" --sft 200 --pairs 300 --held-out 40 2>"$work/prepare.log"
  cat >"$work/sft.yaml" <<RECIPE
run: $work/sft
model: {initialize: {hidden_size: 64, intermediate_size: 192, layers: 3, heads: 4, context: 160}}
data: {train: $work/world/sft.jsonl}
steps: 15
batch: {size: 16, unit_tokens: 512}
objective: {name: sft}
optimizer: {learning_rate: 3e-3}
RECIPE
  "$ADALIGN_PROGRAM" train "$work/sft.yaml" 2>>"$work/prepare.log"
  cat >"$work/dpo.yaml" <<RECIPE
run: none
model: $work/sft/final
data: {train: $work/world/preferences.jsonl}
steps: $1
batch: {size: 16, unit_tokens: 512}
objective: {name: dpo, beta: 0.1}
optimizer: {learning_rate: 1e-3}
checkpoint: {every: 10}
watchdog: 120
RECIPE
  "$ADALIGN_PROGRAM" train "$work/dpo.yaml" run="$work/reference" 2>>"$work/prepare.log"
}

# on_hosts COUNT: that many hosts are up, and no more.
on_hosts() {
  if [[ $(grep -c . "$("$hosts" hostfile)" 2>/dev/null) == "$1" ]]; then return; fi
  "$hosts" down
  "$hosts" up "$@"
}

# start RUN RESTARTS [SETTING…]: begins the run through the launcher, on the hosts of $hostfile or on all; `job` is its
# shell here. ADALIGN_FAULTS reaches all ranks.
start() {
  local run=$1 restarts=$2
  shift 2
  "$hosts" exec node1 cluster/ssh.sh "${hostfile:-$("$hosts" hostfile)}" -r "$restarts" -x ADALIGN_FAULTS \
    -- train "$work/dpo.yaml" run="$work/$run" "$@" </dev/null >"$work/$run.log" 2>&1 &
  job=$!
}

# The oldest process of a name on a host, as this machine sees it; younger ones are its children. Their numbers do not tell.
process() { "$hosts" pids "$1" "$2" | xargs --no-run-if-empty ps -o pid= --sort start_time -p | head -n 1 | grep -o '[0-9]*'; }
mpirun_process() { process node1 mpirun; }
launcher() { process node1 bash; }

# ends_with STATUS SECONDS: the run ends with this exit code.
ends_with() {
  local status=0
  await "$2" is_over "$job"
  wait "$job" || status=$?
  job=''
  [[ $status == "$1" ]] || fail "the run ended with $status instead of $1"
}

is_over() { ! kill -0 "$1" 2>/dev/null; }

are_over() {
  local process
  for process; do is_over "$process" || return 1; done
}

# finishes RUN: the run ends well, with the bytes of the undisturbed one.
finishes() {
  ends_with 0 "$ample"
  same "$1"
}

# same RUN: its model and its metrics are those of the undisturbed run.
same() {
  cmp "$work/$1/final/model.safetensors" "$work/reference/final/model.safetensors" >&2 || fail 'other weights'
  diff <(timeless "$work/$1") <(timeless "$work/reference") >&2 || fail 'other metrics'
}

# The metrics of a run without what was measured by clocks.
timeless() { sed 's/,"\(seconds[^"]*\|overlap\)":[^,}]*//g' "$1/metrics.jsonl"; }

# The last step in the metrics of a run.
step() {
  local last
  last=$(tail -n 1 "$work/$1/metrics.jsonl" 2>/dev/null | sed -n 's/^{"step":\([0-9]*\),.*/\1/p') || true
  echo "${last:-0}"
}

is_at() { (($(step "$1") >= $2)); }

# The step of the newest checkpoint.
saved() {
  local newest
  newest=$(find "$work/$1/checkpoints" -name 'step-*' | sed -n 's/.*step-0*\([0-9]*\)$/\1/p' | sort -n | tail -n 1) || true
  echo "${newest:-0}"
}
