#!/usr/bin/env bash
# Runs adalign on the hosts of a hostfile, over ssh.
#
#   cluster/ssh.sh HOSTFILE [-n RANKS] [-t THREADS] [-r RESTARTS] [-x NAME]… -- train recipes/dpo.yaml run=runs/dpo …
#
#   HOSTFILE     see hostfiles/
#   -n RANKS     default: all slots of the hostfile
#   -t THREADS   BLAS threads of each rank, default 1; the recipe's `threads` must say the same
#   -r RESTARTS  how often to start again after a crash, a hang or a lost host; default 3 for train, adapt and label
#   -x NAME      an environment variable that all ranks need; rank 0, on this host, has them all
#
# Start it on the first host of the file. All hosts need this directory, the model and the run directory at the same
# path, the same Open MPI, and ssh without a password. A restart uses the hosts that answer: the number of ranks changes
# no result. Signals and exit codes are those of cluster/local.sh.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "$0")/common.sh"

case ${1-} in
  -h | --help) usage && exit ;;
  '' | -*) refuse 'the first argument is a hostfile; try --help' ;;
esac
hostfile=$1
[[ -r $hostfile ]] || refuse "cannot read the hostfile $hostfile"
shift
parse "$@"
set_environment
pass_environment
# In a session of its own ssh could not ask for a password: fail instead of waiting for ever.
export OMPI_MCA_plm_rsh_args="${OMPI_MCA_plm_rsh_args--o BatchMode=yes -o ConnectTimeout=10}"

# build_command HOSTFILE [RANKS]
build_command() {
  command=(mpirun --hostfile "$1" "${remote[@]}")
  if [[ -n $2 ]]; then command+=(-n "$2"); fi
  command+=("$adalign" "${arguments[@]}")
}

# Whether a host takes our ssh; mpirun's own way in, so that the answer is the same.
answers() {
  local agent
  read -ra agent <<<"${OMPI_MCA_plm_rsh_agent-ssh} $OMPI_MCA_plm_rsh_args"
  [[ $1 == localhost || ${1%%.*} == "$(hostname -s)" ]] || timeout 20 "${agent[@]}" "$1" true </dev/null >/dev/null 2>&1
}

# Leaves out the hosts that do not answer, and with them their slots: -n may ask for more than the others have.
prepare_restart() {
  local host line slots=0
  : >"$scratch/hosts"
  while read -r line; do
    host=${line%%[[:space:]]*}
    if [[ -z $host || $host == '#'* ]]; then continue; fi
    if ! answers "$host"; then say "$host does not answer: going on without it" && continue; fi
    echo "$line" >>"$scratch/hosts"
    if [[ $line =~ [[:space:]]slots=([0-9]+) ]]; then ((slots += BASH_REMATCH[1])); else ((slots += 1)); fi
  done <"$hostfile"
  build_command "$scratch/hosts" "$((${ranks:-slots} < slots ? ${ranks:-slots} : slots))"
}

build_command "$hostfile" "$ranks"
translate TERM INT HUP USR1
supervise
