#!/usr/bin/env bash
# Runs adalign under PBS (OpenPBS, PBS Professional, Torque); submit it from the project's directory, which the nodes
# share:
#
#   qsub [-l select=…] -v ADALIGN_ARGUMENTS="train recipes/dpo.yaml run=runs/dpo" cluster/pbs.sh
#
# mpirun starts its daemons over ssh, since Debian's Open MPI knows no PBS; ADALIGN_AGENT=pbs_tmrsh does it without keys
# where the site has that program. PBS does not warn: the ranks save two minutes (ADALIGN_MARGIN=SECONDS) before the
# walltime by this script's own clock, and when the job is deleted, for which the site's kill_delay must suffice. Exit
# code 75 means: saved, submit the same again. To go on without a hand, queue successors at once; each begins when the
# one before it ended unfinished:
#
#   first=$(qsub -v … cluster/pbs.sh) && qsub -W depend=afternotok:"$first" -v … cluster/pbs.sh
#
# After a lost node or a preemption PBS starts the job again by itself (-r y), and it goes on from its last checkpoint.

#PBS -S /bin/bash
#PBS -N adalign
#PBS -l select=2:ncpus=16:mpiprocs=16
#PBS -l walltime=08:00:00
#PBS -r y
#PBS -j oe

set -euo pipefail
me=pbs
# shellcheck source-path=SCRIPTDIR source=common.sh
source "${PBS_O_WORKDIR:?"is not set: this script runs inside a PBS job"}/cluster/common.sh"
cd "$PBS_O_WORKDIR"

parse "$@"
set_environment
pass_environment
export OMPI_MCA_plm_rsh_agent=${ADALIGN_AGENT-ssh}
if [[ $OMPI_MCA_plm_rsh_agent == ssh ]]; then
  export OMPI_MCA_plm_rsh_args="${OMPI_MCA_plm_rsh_args--o BatchMode=yes -o ConnectTimeout=10}"
fi

command=(mpirun --hostfile "$(hosts_of "$PBS_NODEFILE")" "${remote[@]}")
if [[ -n $ranks ]]; then command+=(-n "$ranks"); fi
command+=("$adalign" "${arguments[@]}")

# Seconds of a time like 08:00:00 or 300; nothing if there is no limit.
walltime() {
  local limit=${PBS_WALLTIME-$(qstat -f "$PBS_JOBID" | sed -n 's/^ *Resource_List.walltime = //p')}
  awk -F: 'NF { for (i = 1; i <= NF; i++) s = 60 * s + $i; print s }' <<<"$limit"
}

limit=$(walltime) || limit=''
margin=${ADALIGN_MARGIN-120}
if [[ -n $limit ]]; then ask_after $((limit > 2 * margin ? limit - margin : limit / 2)); fi

goes_on_by_itself() { false; }
translate TERM INT USR1
supervise
