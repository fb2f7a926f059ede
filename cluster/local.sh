#!/usr/bin/env bash
# Runs adalign on the cores of this machine.
#
#   cluster/local.sh [-n RANKS] [-t THREADS] -- train recipes/dpo.yaml run=runs/dpo threads=THREADS …
#
#   -n RANKS    default: cores / THREADS
#   -t THREADS  BLAS threads of each rank, default 1; the recipe's `threads` must say the same
#
# TERM, HUP, USR1 or Ctrl-C: finish the step, save, exit 75; the same command then goes on from there. A second Ctrl-C
# kills the ranks. The exit code is adalign's: 0 finished, 64-73 refused, 74 no progress, 75 saved, 76 not finite.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "$0")/common.sh"

# Cores, not hardware threads, and only those this process may use.
count_cores() {
  local cores allowed
  cores=$(lscpu --parse=CORE,SOCKET | grep -v '^#' | sort -u | wc -l)
  allowed=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)
  echo $((cores < allowed ? cores : allowed))
}

parse "$@"
set_environment

cores=$(count_cores)
ranks=${ranks:-$((cores > threads ? cores / threads : 1))}
command=(mpirun -n "$ranks")
if ((ranks * threads > cores)); then command+=(--oversubscribe --mca mpi_yield_when_idle 1); fi

translate TERM INT HUP USR1
run "${command[@]}" "$adalign" "${arguments[@]}"
