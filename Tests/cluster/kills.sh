#!/usr/bin/env bash
# Whether a run survives the death of ranks, launchers and hosts without anybody's help, and ends with the bytes of an
# undisturbed run: rows 1-3, 8-10 and 25.
#
#   Tests/cluster/kills.sh [--fast | ROW…]

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "$0")/common.sh" "$@"
begin 1 2 3 8 9 10 25

# strikes RUN WHAT…: does WHAT when the run has a checkpoint, and tells how long it took to end, and to train again.
strikes() {
  local run=$1 struck launcher at
  shift
  await "$ample" is_at "$run" 25
  launcher=$(mpirun_process) at=$(step "$run") struck=$(now)
  "$@" >&2
  await "${limit:-10}" is_over "$launcher"
  echo -n "ended after $(since "$struck"), "
  await "$ample" is_at_again "$run" "$at"
  echo -n "as far as before after $(since "$struck"), "
}

# The new attempt has written its first line: it truncates the metrics to its checkpoint.
is_at_again() { grep -q 'resuming after step' "$work/$1.log" && is_at "$1" "$2"; }

killed_rank() {
  start "killed-$1" 1
  strikes "killed-$1" "$hosts" kill-rank "$1"
  finishes "killed-$1"
  echo 'same bytes'
}

# The rank stops where the sums of all ranks are about to be added, so that it is surely killed there.
killed_in_exchange() {
  local struck
  ADALIGN_FAULTS='pause@allreduce:rank=1:step=25' start exchange 0
  await 120 is_stopped 1
  struck=$(now)
  "$hosts" kill-rank 1
  ends_with 137 10
  echo -n "ended after $(since "$struck"), $((24 - $(saved exchange))) steps to do again, "
  start exchange 0
  finishes exchange
  echo 'same bytes'
}

is_stopped() {
  local process
  process=$("$hosts" ranks | awk -v rank="$1" '$1 == rank { print $3 }')
  [[ -n $process ]] && grep -q '^State:.*stopped' "/proc/$process/status" 2>/dev/null
}

killed_mpirun() {
  local struck ranks
  start mpirun 1
  await "$ample" is_at mpirun 25
  ranks=$("$hosts" ranks | cut -d ' ' -f 3) struck=$(now)
  kill -KILL "$(mpirun_process)"
  # shellcheck disable=SC2086 # several
  await 15 are_over $ranks
  echo -n "no orphans after $(since "$struck"), "
  finishes mpirun
  echo 'same bytes'
}

killed_daemon() {
  start daemon 1
  strikes daemon kill_daemon
  finishes daemon
  echo 'same bytes'
}

kill_daemon() { kill -KILL "$(process 2 orted)"; }

lost_host() {
  start power 2
  limit=60 strikes power "$hosts" poweroff 2
  finishes power
  echo 'same bytes on the host that is left'
}

killed_round() {
  local stages
  cat >"$work/round.yaml" <<RECIPE
preset: combined
model: $work/sft/final
rounds: 1
data: {source: $work/world/preferences.jsonl, prompts: $work/world/held-out.jsonl, prompts_per_round: 12}
sample: {samples: 3, max_new_tokens: 12}
weights: {max_new_tokens: 12}
reward_model: {train: {steps: 30, batch: {size: 16}, optimizer: {learning_rate: 1e-3}, checkpoint: {every: 2}}}
policy: {steps: 30, batch: {size: 16}, optimizer: {learning_rate: 1e-3}, checkpoint: {every: 2}}
label: {expert: {judge: {name: gold, noise: 0.75}, share: 0.3}}
RECIPE
  "$ADALIGN_PROGRAM" adapt "$work/round.yaml" run="$work/round-reference" >&2
  "$hosts" exec node1 cluster/ssh.sh "$("$hosts" hostfile)" -r 2 -- adapt "$work/round.yaml" run="$work/round" \
    </dev/null >"$work/round.log" 2>&1 &
  job=$!
  await "$ample" test -e "$work/round/rounds/001/reward-model/metrics.jsonl"
  stages=$(cd "$work/round/rounds/001" && stat --format='%n %i' samples.jsonl weights/weights.jsonl)
  "$hosts" kill-rank 0
  await "$ample" test -e "$work/round/rounds/001/policy/metrics.jsonl"
  "$hosts" kill-rank 1
  ends_with 0 "$ample"
  [[ $(cd "$work/round/rounds/001" && stat --format='%n %i' samples.jsonl weights/weights.jsonl) == "$stages" ]] ||
    fail 'a stage that was done was done again'
  cmp "$work/round/final/model.safetensors" "$work/round-reference/final/model.safetensors" >&2 || fail 'other weights'
  echo 'rank 0 while it trained the reward model, then rank 1: no stage done twice, same bytes'
}

prepare 160
on_hosts 2
row 1 'a rank is killed' killed_rank 1
row 3 'rank 0 is killed' killed_rank 0
if [[ -z $fast ]]; then
  row 2 'a rank is killed in the exchange of gradients' killed_in_exchange
  row 8 'mpirun is killed' killed_mpirun
  row 9 'a daemon of mpirun is killed' killed_daemon
  row 10 'a host loses power' lost_host
  row 25 'ranks are killed in a round' killed_round
fi
