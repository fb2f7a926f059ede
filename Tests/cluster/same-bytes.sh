#!/usr/bin/env bash
# Whether training and a round of adaptation give the same bytes on several hosts as one rank gives on one, over TCP; and
# whether a run goes on with another number of ranks (row 39) and on other hosts (row 40).
#
#   Tests/cluster/same-bytes.sh [--fast | ROW…]

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "$0")/common.sh" "$@"
begin hosts 39 40

# Bytes that left the cable of node1.
sent() { "$hosts" exec node1 cat /sys/class/net/eth0/statistics/tx_bytes; }

train_on() {
  local begun before
  on_hosts "$1" >&2
  before=$(sent) begun=$(now)
  start "train-$1" 0
  finishes "train-$1"
  echo "$(since "$begun"), $((($(sent) - before) >> 20)) MiB sent by node1"
}

prepare_adaptation() {
  cat >"$work/adapt.yaml" <<RECIPE
run: none
preset: combined
model: $work/sft/final
rounds: 1
data: {source: $work/world/preferences.jsonl, prompts: $work/world/held-out.jsonl, prompts_per_round: 12}
sample: {samples: 3, max_new_tokens: 12}
weights: {max_new_tokens: 12}
reward_model: {train: {steps: 8, batch: {size: 16}, optimizer: {learning_rate: 1e-3}, checkpoint: {every: 2}}}
policy: {steps: 8, batch: {size: 16}, optimizer: {learning_rate: 1e-3}, checkpoint: {every: 2}}
label: {expert: {judge: {name: gold, noise: 0.75}, share: 0.3}}
evaluate: {prompts: $work/world/held-out.jsonl, judge: {name: gold}, max_new_tokens: 12}
RECIPE
  "$ADALIGN_PROGRAM" adapt "$work/adapt.yaml" run="$work/adapt-reference" 2>>"$work/prepare.log"
}

adapt_on() {
  local begun name
  on_hosts "$1" >&2
  begun=$(now)
  "$hosts" exec node1 cluster/ssh.sh "$("$hosts" hostfile)" -r 0 -- adapt "$work/adapt.yaml" run="$work/adapt-$1" >&2
  for name in samples.jsonl weights/weights.jsonl labels.jsonl mixture.jsonl reward-model/final/model.safetensors \
    policy/final/model.safetensors evaluation.json; do
    cmp "$work/adapt-$1/rounds/001/$name" "$work/adapt-reference/rounds/001/$name" >&2 || fail "another $name"
  done
  since "$begun"
}

# leg RUN STEP HOSTFILE: trains until the step and stops.
leg() {
  hostfile=$3 start "$1" 0
  await "$ample" is_at "$1" "$2"
  kill -USR1 "$(mpirun_process)"
  ends_with 75 60
}

# write_hosts NAME LINE…: a hostfile.
write_hosts() {
  local name=$1
  shift
  printf '%s\n' "$@" >"$work/$name"
  echo "$work/$name"
}

other_ranks() {
  on_hosts 4 >&2
  leg ranks 20 "$(write_hosts four node{1..4})"
  leg ranks 40 "$(write_hosts three node{1..3})"
  leg ranks 60 "$(write_hosts seven 'node1 slots=2' 'node2 slots=2' 'node3 slots=2' node4)"
  leg ranks 80 "$(write_hosts one node1)"
  hostfile=$(write_hosts two node{1,2}) start ranks 0
  finishes ranks
  echo '4, 3, 7, 1 and 2 ranks in one run'
}

other_hosts() {
  on_hosts 4 >&2
  leg moved 40 "$(write_hosts forth node{1..3})"
  leg moved 80 "$(write_hosts back node{3,1,4})"
  hostfile=$(write_hosts away node{4,2,3}) start moved 0
  finishes moved
  echo 'nodes 1 2 3, then 3 1 4, then 4 2 3'
}

prepare 160
prepare_adaptation
for count in 2 ${fast:-3} ${fast:-4}; do
  if [[ $count == yes ]]; then continue; fi
  row hosts "training on $count hosts has the bytes of one rank" train_on "$count"
  row hosts "a round on $count hosts has the bytes of one rank" adapt_on "$count"
done
if [[ -z $fast ]]; then
  row 39 'other numbers of ranks' other_ranks
  row 40 'other hosts, in another order' other_hosts
fi
