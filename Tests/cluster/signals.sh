#!/usr/bin/env bash
# Whether a request to stop, wherever it arrives, saves the same step on all hosts and loses nothing: rows 19-21.
#
#   Tests/cluster/signals.sh [--fast | ROW…]

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "$0")/common.sh" "$@"
begin 19 20 21

# stops RUN WHAT…: what asks to stop makes the run save and exit with 75, and the same command goes on from there.
stops() {
  local run=$1 asked
  shift
  start "$run" 0
  await "$ample" is_at "$run" 25
  asked=$(now)
  "$@" >&2
  ends_with 75 60
  echo -n "ended after $(since "$asked"), "
  [[ $(saved "$run") == "$(step "$run")" ]] || fail "step $(step "$run") is done and $(saved "$run") saved"
  start "$run" 0
  finishes "$run"
  echo "no step lost, same bytes"
}

to_launcher() { kill -TERM "$(launcher)"; }
to_mpirun() { kill -USR1 "$(mpirun_process)"; }

prepare 160
on_hosts 2
row 20 'SIGUSR1 to mpirun' stops usr1 to_mpirun
if [[ -z $fast ]]; then
  row 19 'SIGTERM to the launcher' stops term to_launcher
  row 21 'SIGTERM to one rank' stops rank "$hosts" kill-rank 1 TERM
fi
