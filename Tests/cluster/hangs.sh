#!/usr/bin/env bash
# Whether hung ranks, cut hosts, slow hosts and slow networks are told from each other: what hangs is ended and started
# again, what is slow is named, and nothing hangs for ever. Rows 10-18.
#
#   Tests/cluster/hangs.sh [--fast | ROW…]

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "$0")/common.sh" "$@"
begin 11 12 13 14 15 16 17 18

# The watchdog's limit in seconds.
limit=8

# hangs RUN WHAT…: strikes a run without restarts, and tells how long it took to end.
hangs() {
  local run=$1 struck
  shift
  start "$run" 0 watchdog="$limit"
  await "$ample" is_at "$run" 25
  struck=$(now)
  "$@" >&2
  ends_with 74 "$((limit + 15))"
  echo -n "exit code 74 after $(since "$struck") (limit $limit s), "
}

# recovers RUN: the same command goes on, with all hosts.
recovers() {
  tidy >&2
  start "$1" 0
  finishes "$1"
  echo 'same bytes'
}

cut_host() {
  on_hosts 2 >&2
  hangs cut "$hosts" cut 2
  recovers cut
}

flapping_host() {
  local begun
  on_hosts 2 >&2
  start flap 0 watchdog=60
  await "$ample" is_at flap 25
  begun=$(now)
  "$hosts" cut 2
  sleep 8
  "$hosts" restore 2
  finishes flap
  echo "no error, ended $(since "$begun") after the cable came out for 8 s, same bytes"
}

lost_link() {
  on_hosts 3 >&2
  hangs link "$hosts" drop 2 3
  "$hosts" undrop 2 3
  recovers link
}

hung_rank() {
  on_hosts 2 >&2
  hangs hung "$hosts" kill-rank 1 STOP
  grep -q 'adalign: rank 0.*no progress' "$work/hung.log" || fail 'the rank that waits does not say so'
  recovers hung
}

pausing_rank() {
  local begun
  on_hosts 2 >&2
  start pause 0 watchdog=30
  await "$ample" is_at pause 25
  begun=$(now)
  "$hosts" kill-rank 1 STOP
  sleep 6
  "$hosts" kill-rank 1 CONT
  finishes pause
  echo "ended $(since "$begun") after a stop of 6 s, same bytes"
}

# A tenth of a core and large batches, since steps that take less than a twentieth of a second say nothing of hosts.
straggler() {
  local settings=(batch.size=192 steps=40)
  on_hosts 3 >&2
  "$ADALIGN_PROGRAM" train "$work/dpo.yaml" run="$work/straggler-reference" "${settings[@]}" >&2
  start straggler 0 "${settings[@]}"
  await "$ample" is_at straggler 10
  "$hosts" slow 2 10
  ends_with 0 "$ample"
  cmp "$work/straggler/final/model.safetensors" "$work/straggler-reference/final/model.safetensors" >&2 ||
    fail 'other weights'
  grep -o 'rank 1 on node2 computes.*' "$work/straggler.log" | head -n 1 | grep . || fail 'no warning names node2'
}

slow_link() {
  local begun
  on_hosts 2 >&2
  "$hosts" rate 2 100mbit
  begun=$(now)
  start slow 0
  finishes slow
  echo "100 Mbit/s: $(since "$begun"), same bytes"
}

latency() {
  local begun
  on_hosts 2 >&2
  "$hosts" delay 2 500 || {
    echo 'the kernel has no netem, which delays packets'
    exit 77
  }
  begun=$(now)
  start latency 0
  finishes latency
  echo "500 us one way: $(since "$begun"), same bytes"
}

prepare 160
row 14 'a rank hangs' hung_rank
if [[ -z $fast ]]; then
  row 11 'a host is cut off for good' cut_host
  row 12 'a cable is out for 8 s' flapping_host
  row 13 'two hosts do not see each other' lost_link
  row 15 'a rank hangs for 6 s' pausing_rank
  row 16 'a host is slow' straggler
  row 17 'a slow network' slow_link
  row 18 'latency' latency
fi
