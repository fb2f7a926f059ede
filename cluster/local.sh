#!/usr/bin/env bash
# Runs adalign on the cores of this machine.
#
#   cluster/local.sh [-n RANKS] [-t THREADS] [-r RESTARTS] -- train recipes/dpo.yaml run=runs/dpo threads=THREADS …
#
#   -n RANKS     default: cores / THREADS
#   -t THREADS   BLAS threads of each rank, default 1; the recipe's `threads` must say the same
#   -r RESTARTS  how often to start again after a crash or a hang; default 3 for train, adapt and label, else 0
#
# TERM, HUP, USR1 or Ctrl-C: finish the step, save, exit 75; the same command then goes on from there. A second Ctrl-C
# or TERM ends the ranks. The exit code is adalign's: 0 finished, 64-73 refused, 74 no progress, 75 saved, 76 not finite.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "$0")/common.sh"

parse "$@"
set_environment

cores=$(count_cores)
ranks=${ranks:-$((cores > threads ? cores / threads : 1))}
command=(mpirun -n "$ranks")
if ((ranks * threads > cores)); then command+=(--oversubscribe --mca mpi_yield_when_idle 1); fi
command+=("$adalign" "${arguments[@]}")

translate TERM INT HUP USR1
supervise
