#!/usr/bin/env bash
# Runs adalign under Grid Engine (SGE, Son of Grid Engine, Open Cluster Scheduler); submit it from the project's
# directory, which the hosts share; `mpi` is the site's parallel environment:
#
#   qsub [-pe mpi 32] [-l h_rt=08:00:00,s_rt=07:58:00] cluster/sge.sh train recipes/dpo.yaml run=runs/dpo
#
# Debian's Open MPI takes its hosts from Grid Engine itself and starts its daemons with `qrsh -inherit`. At the soft
# limit s_rt the job hears USR1, before it is suspended or killed (-notify) USR1 or USR2: the ranks save and exit 75,
# which becomes 99, with which Grid Engine queues the job again. So it does after a lost host (-r y), and the run goes
# on from its last checkpoint. A deleted job stays deleted.

#$ -S /bin/bash
#$ -N adalign
#$ -cwd
#$ -pe mpi 32
#$ -l h_rt=08:00:00,s_rt=07:58:00
#$ -notify
#$ -r y
#$ -j y

set -euo pipefail
me=sge
# shellcheck source-path=SCRIPTDIR source=common.sh
source "${SGE_O_WORKDIR:?"is not set: this script runs inside a Grid Engine job"}/cluster/common.sh"
cd "$SGE_O_WORKDIR"

parse "$@"
set_environment
pass_environment

command=(mpirun -n "${ranks:-$NSLOTS}" "${remote[@]}" "$adalign" "${arguments[@]}")

goes_on_by_itself() { false; } # but by the queue
translate USR1 USR2 TERM INT
supervise && status=0 || status=$?
if ((status == 75)); then
  say 'saved; queued again'
  status=99
fi
# 100 would put the job into the error state, waiting for an operator; adalign has no such code.
exit "$status"
