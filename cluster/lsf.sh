#!/usr/bin/env bash
# Runs adalign under LSF; submit it from the project's directory, which the hosts share. bsub reads a script's #BSUB
# lines from its standard input:
#
#   ADALIGN_ARGUMENTS="train recipes/dpo.yaml run=runs/dpo" bsub [-n 32 -R "span[ptile=16]"] < cluster/lsf.sh
#
# mpirun starts its daemons with blaunch, since Debian's Open MPI knows no LSF. Two minutes before the run limit (-wa,
# -wt) the ranks save and exit 75, with which LSF queues the job again (-Q 75); so it does after a lost host (-r), and
# the run goes on from its last checkpoint. bkill sends INT, TERM and KILL: the ranks save at the first.

#BSUB -J adalign
#BSUB -n 32
#BSUB -R "span[ptile=16]"
#BSUB -W 8:00
#BSUB -Q 75
#BSUB -r
#BSUB -wa USR1
#BSUB -wt 2
#BSUB -o adalign-%J.log

set -euo pipefail
me=lsf
# shellcheck source-path=SCRIPTDIR source=common.sh
source "${LS_SUBCWD:?"is not set: this script runs inside an LSF job"}/cluster/common.sh"
cd "$LS_SUBCWD"

parse "$@"
set_environment
pass_environment
export OMPI_MCA_plm_rsh_agent=${ADALIGN_AGENT-blaunch}
export OMPI_MCA_plm_rsh_no_tree_spawn=1 # blaunch works from the first host of a job only

command=(mpirun --hostfile "$(hosts_of "$LSB_DJOB_HOSTFILE")" "${remote[@]}")
if [[ -n $ranks ]]; then command+=(-n "$ranks"); fi
command+=("$adalign" "${arguments[@]}")

goes_on_by_itself() { false; } # but by the queue
translate INT TERM USR1 USR2
supervise
