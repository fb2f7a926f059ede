#!/usr/bin/env bash
# Row 64: random faults against one run on three simulated hosts, which its launcher starts again and again; in the end
# the weights are those of an undisturbed run. The model is tiny and rests between steps, so that other work may go on.
#
#   Tests/cluster/soak.sh [MINUTES [SEED]]      default 30 minutes, seed 1
#
# SOAK_LOG: where each fault is noted, with the time until the run was further than before; default ./soak.log.
# SOAK_GAP: mean seconds between faults, default 40; each gap is between half and one and a half of it.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "$0")/common.sh" '' # no rows to choose from

minutes=${1:-30}
RANDOM=${2:-1}
gap=${SOAK_GAP:-40}
notes=${SOAK_LOG:-$PWD/soak.log}
begin 64

# Seconds of a disturbance that the run sits out.
nap=6
# Seconds after which a hung rank ends itself.
watchdog=15
# Seconds that no fault may cost.
most_recovery=240

faults=(
  'kill-rank 0' 'kill-rank 1' 'kill-rank 2' 'stop-rank 1' 'stop-rank 2' 'pause-rank 1' 'kill-mpirun' 'kill-daemon 2'
  'kill-daemon 3' 'poweroff 2' 'poweroff 3' 'cut 2' 'cut 3' 'flap 2' 'drop 2 3' 'slow 3' 'slow-link 2' 'term-launcher'
  'usr1-mpirun' 'term-rank 1'
)

strike() {
  case $1 in
    kill-rank) "$hosts" kill-rank "$2" ;;
    stop-rank) "$hosts" kill-rank "$2" STOP ;;
    pause-rank) "$hosts" kill-rank "$2" STOP && sleep "$nap" && "$hosts" kill-rank "$2" CONT ;;
    kill-mpirun) kill -KILL "$(mpirun_process)" ;;
    kill-daemon) kill -KILL "$(process "$2" orted)" ;;
    poweroff | cut) "$hosts" "$@" ;;
    # No run that needs both can begin until it is mended, and the launcher sees both.
    drop) "$hosts" drop "$2" "$3" && sleep "$((watchdog + nap))" && "$hosts" undrop "$2" "$3" ;;
    flap) "$hosts" cut "$2" && sleep "$nap" && "$hosts" restore "$2" ;;
    slow) "$hosts" slow "$2" 15 && sleep "$nap" && "$hosts" slow "$2" 100 ;;
    slow-link) "$hosts" rate "$2" 20mbit && sleep "$nap" && "$hosts" rate "$2" off ;;
    term-launcher) kill -TERM "$(launcher)" ;;
    usr1-mpirun) kill -USR1 "$(mpirun_process)" ;;
    term-rank) "$hosts" kill-rank "$2" TERM ;;
  esac
}

# Mends broken hardware, so that the next restart has all hosts again.
repair() {
  case $1 in
    poweroff) "$hosts" poweron "$2" ;;
    cut) "$hosts" restore "$2" ;;
  esac
}

recipe() {
  local model='{initialize: {hidden_size: 32, intermediate_size: 96, layers: 2, heads: 2, context: 192}}'
  if [[ -e ../shared/models/stories260k/config.json ]]; then model=$(readlink -f ../shared/models/stories260k); fi
  "$ADALIGN_PROGRAM" world generate --output "$work/world" --sft 2000 --pairs 10 --held-out 10
  cat >"$work/soak.yaml" <<RECIPE
run: $work/soak
model: $model
data: {train: $work/world/sft.jsonl}
steps: 1000000
batch: {size: 8, unit_tokens: 256}
objective: {name: sft}
optimizer: {learning_rate: 1e-4}
schedule: {name: constant}
checkpoint: {every: 20, keep: 2}
watchdog: $watchdog
RECIPE
}

# Starts the launcher again whatever ended it, as a scheduler or a service manager does.
keep_running() {
  local status
  export ADALIGN_FAULTS='delay=0.1@step:times=1000000000'
  while kill -0 "$$" && [[ ! -e $work/enough ]]; do # not longer than the script itself
    status=0
    "$hosts" exec node1 cluster/ssh.sh "$("$hosts" hostfile)" -r 1000 -x ADALIGN_FAULTS -- train "$work/soak.yaml" ||
      status=$?
    echo "the launcher ended with $status"
    sleep 1
  done </dev/null >>"$work/soak.out" 2>&1
}

note() { echo "$(date -u +%FT%TZ) $*" >>"$notes"; }
is_beyond() { (($(step soak) > $1)); }
rest() { sleep "$(awk -v gap="$gap" -v r="$RANDOM" 'BEGIN { print gap * (0.5 + r / 32768) }')"; }

# One fault at a time, until the time is over.
disturb() {
  local end=$((SECONDS + 60 * minutes)) fault at struck
  count=0
  while rest && ((SECONDS < end)); do
    read -ra fault <<<"${faults[RANDOM % ${#faults[@]}]}"
    struck=$(now)
    if ! strike "${fault[@]}" >>"$work/soak.out" 2>&1; then
      note "${fault[*]}: there was nothing to strike"
      continue
    fi
    sleep 3 # in which the last ranks of a killed mpirun end
    at=$(step soak)
    await "$most_recovery" is_beyond "$((at + 1))"
    ((count += 1))
    note "${fault[*]} at step $at: further after $(since "$struck")"
    repair "${fault[@]}" >>"$work/soak.out" 2>&1
  done
}

soak() {
  local runner count last
  on_hosts 3 >&2
  keep_running &
  runner=$!
  await "$ample" is_beyond 0
  disturb
  touch "$work/enough"
  kill -TERM "$(launcher)"
  wait "$runner"
  # Both end a few steps later, where the disturbed run has its last checkpoint to go on from.
  last=$(($(step soak) + 5))
  "$ADALIGN_PROGRAM" train "$work/soak.yaml" steps="$last" >&2
  "$ADALIGN_PROGRAM" train "$work/soak.yaml" steps="$last" run="$work/reference" >&2
  same soak
  echo "$count faults in $last steps, same bytes; $(grep -c 'ended with' "$work/soak.out") restarts"
}

recipe 2>>"$work/prepare.log"
note "soak of $minutes minutes, seed ${2:-1}"
row 64 'random faults' soak | tee -a "$notes"
