#!/usr/bin/env bash
# Power cuts while a run saves after every step: a real ext4 lies on a loop device; the disk is copied at a random moment,
# so that what is in the page cache only is lost; the copy is mounted as after a reboot. Every checkpoint that was reported
# must be there or a later one, whole, and the program must go on from it. Row 7 of docs/reliability.md.
#
#   Tests/cluster/power-cuts.sh [--fast | CUTS]     25 cuts; needs root

set -euo pipefail
cd "$(dirname "$0")/../.."

me=${0##*/}
cuts=25
case ${1-} in
  --fast) cuts=3 ;;
  [1-9]*) cuts=$1 ;;
esac
program=${ADALIGN_PROGRAM-$PWD/.build/release/adalign}
if ((EUID == 0)); then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
export OPENBLAS_NUM_THREADS=1

skip() {
  echo "row 7: SKIPPED $1"
  exit 0
}
[[ -x $program ]] || skip "$program is missing; run make build"
((EUID == 0)) || skip 'power cuts need root'
# Mounts that nobody else sees, so that nobody else keeps them busy.
if [[ -z ${POWER_CUTS_APART-} ]]; then POWER_CUTS_APART=yes exec unshare --mount "Tests/cluster/$me" "$@"; fi
command -v mkfs.ext4 >/dev/null || skip 'there is no mkfs.ext4'

work=$(mktemp -d /var/tmp/adalign-power-cuts.XXXXXX)
mkdir "$work/ram" "$work/live" "$work/after"
session=''

# patiently COMMAND…: tries for half a minute; the kernel lets go of loop devices and of killed processes in its own time.
patiently() {
  local try
  for try in {1..300}; do
    if "$@" 2>/dev/null; then return; fi
    sleep 0.1
  done
  echo "$me: in vain: $* (try $try)" >&2
  return 1
}

is_gone() { ! pgrep -s "$1" >/dev/null; }

end_session() {
  pkill -KILL -s "$session" || true
  patiently is_gone "$session"
  session=''
}
finish() {
  local status=$?
  if ((status > 0)) && [[ -f $work/log ]]; then tail -n 5 "$work/log" | sed 's/^/  | /'; fi
  if [[ -n $session ]]; then end_session; fi
  for place in live after ram; do
    if mountpoint -q "$work/$place"; then patiently umount "$work/$place" || true; fi
  done
  rm -rf "$work"
}
trap finish EXIT
mount -t tmpfs -o size=400m tmpfs "$work/ram" 2>/dev/null || skip 'a file system in memory cannot be mounted'
truncate -s 64M "$work/ram/disk"
mkfs.ext4 -q "$work/ram/disk"
patiently mount -o loop "$work/ram/disk" "$work/live" || skip 'there are no loop devices'
patiently umount "$work/live"
export ADALIGN_CACHE=$work/ram/cache

for number in {1..24}; do
  printf '{"prompt": "Count from %d:", "completion": " %d %d"}\n' "$number" "$((number + 1))" "$((number + 2))"
done >"$work/data.jsonl"
cat >"$work/recipe.yaml" <<RECIPE
model: {initialize: {hidden_size: 32, intermediate_size: 64, layers: 2, heads: 2, context: 64}}
data: {train: $work/data.jsonl}
steps: 1000000
batch: {size: 8}
objective: {name: sft}
checkpoint: {every: 1, keep: 2}
RECIPE

reported() { sed -n 's/^checkpoint of step \([0-9]*\) written.*/\1/p' "$work/log" | tail -n 1 | grep . || echo 0; }

# cut: a run on a new disk, whose power goes off after a random time; prints what is wrong then.
cut() {
  local claimed newest
  rm -f "$work/ram/disk" "$work/ram/cut"
  truncate -s 64M "$work/ram/disk"
  mkfs.ext4 -q "$work/ram/disk"
  patiently mount -o loop "$work/ram/disk" "$work/live"
  : >"$work/log"
  setsid mpirun -n 2 --oversubscribe --mca mpi_yield_when_idle 1 "$program" train "$work/recipe.yaml" \
    run="$work/live/run" >"$work/log" 2>&1 </dev/null &
  session=$!
  disown # or the shell would tell of its end
  patiently grep -q '^checkpoint of step' "$work/log"
  sleep "$((RANDOM % 2)).$((RANDOM % 1000))"
  # The power goes off: from here on nothing more is asked of the disk, and what was told must be on it.
  pkill -STOP -s "$session"
  claimed=$(reported)
  cp --sparse=always "$work/ram/disk" "$work/ram/cut"
  end_session
  patiently umount "$work/live"
  patiently mount -o loop "$work/ram/cut" "$work/after"
  newest=$(Tests/cluster/newest_checkpoint.py "$work/after/run" 2>"$work/why")
  if ((newest < claimed)); then echo "step $claimed was reported, and $newest is there: $(cat "$work/why")"; fi
  "$program" train "$work/recipe.yaml" run="$work/after/run" steps="$((newest + 1))" >"$work/resumed" 2>&1 ||
    echo "the run cannot go on: $(tail -n 1 "$work/resumed")"
  grep -q "resuming after step $newest" "$work/resumed" || echo "the run did not go on after step $newest"
  patiently umount "$work/after"
}

bad=0
begun=$SECONDS
saves=0
for ((number = 1; number <= cuts; number += 1)); do
  cut >"$work/problems"
  ((saves += $(reported)))
  [[ -s $work/problems ]] || continue
  ((bad += 1))
  sed "s/^/  | cut $number: /" "$work/problems"
done
echo "row 7: $( ((bad)) && echo FAILED || echo ok) power cuts: $cuts cuts while $saves checkpoints were written," \
  "$bad lost one that was reported, $((SECONDS - begun)) s"
((bad == 0))
