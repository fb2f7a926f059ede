#!/usr/bin/env bash
# Runs adalign on the hosts of a hostfile, over ssh.
#
#   cluster/ssh.sh HOSTFILE [-n RANKS] [-t THREADS] -- train recipes/dpo.yaml run=runs/dpo threads=THREADS …
#
#   HOSTFILE    see hostfiles/
#   -n RANKS    default: all slots of the hostfile
#   -t THREADS  BLAS threads of each rank, default 1; the recipe's `threads` must say the same
#
# Start it on the first host of the file. All hosts need this directory, the model and the run directory at the same
# path, the same Open MPI, and ssh without a password. Signals and exit codes are those of cluster/local.sh.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "$0")/common.sh"

case ${1-} in
  -h | --help) usage && exit ;;
  '' | -*) refuse "the first argument is a hostfile; try --help" ;;
esac
hostfile=$1
[[ -r $hostfile ]] || refuse "cannot read the hostfile $hostfile"
shift
parse "$@"
set_environment
# In a process group of its own ssh could not ask for a password: fail instead of waiting for ever.
export OMPI_MCA_plm_rsh_args="${OMPI_MCA_plm_rsh_args--o BatchMode=yes}"

command=(mpirun --hostfile "$hostfile" "${keepalive[@]}" -x OPENBLAS_NUM_THREADS)
if [[ -n $ranks ]]; then command+=(-n "$ranks"); fi
if [[ -n ${LD_LIBRARY_PATH-} ]]; then command+=(-x LD_LIBRARY_PATH); fi

translate TERM INT HUP USR1
run "${command[@]}" "$adalign" "${arguments[@]}"
