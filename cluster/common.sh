# shellcheck shell=bash disable=SC2034 # the variables are for the launchers
# What the launchers share: the command line, the environment of the ranks, and a polite end.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
adalign=$root/.build/release/adalign

# A lost host is noticed after 30 s; Open MPI's own setting is 485 s.
keepalive=(--mca oob_tcp_keepalive_time 15 --mca oob_tcp_keepalive_intvl 5 --mca oob_tcp_keepalive_probes 3)

say() { echo "${0##*/}: $*" >&2; }

# Exit code 64: the command line is wrong, trying again is pointless.
refuse() {
  say "$@"
  exit 64
}

# Prints the comment at the top of the launcher.
usage() { sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; }

# [-n RANKS] [-t THREADS] [--] ARGUMENT…: sets `ranks` (empty: not given), `threads` and `arguments`.
parse() {
  ranks='' threads=1
  while (($#)); do
    case $1 in
      -h | --help) usage && exit ;;
      -n | -t)
        [[ ${2-} =~ ^[1-9][0-9]*$ ]] || refuse "$1 wants a positive number, got '${2-}'"
        if [[ $1 == -n ]]; then ranks=$2; else threads=$2; fi
        shift 2
        ;;
      --) shift && break ;;
      -*) refuse "unknown option $1 (adalign's own arguments go after --)" ;;
      *) break ;;
    esac
  done
  arguments=("$@")
  ((${#arguments[@]})) || refuse "nothing to run; try --help"
  [[ -x $adalign ]] || refuse "$adalign is missing; run 'make build'"
}

# Binding is left to the kernel, so that two runs do not share core 0 and every rank has room for its threads.
# Whoever knows the machine better sets the same variables before the start.
set_environment() {
  export OPENBLAS_NUM_THREADS=$threads
  export OMPI_MCA_hwloc_base_binding_policy=${OMPI_MCA_hwloc_base_binding_policy-none}
  if ((EUID == 0)); then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
}

# Turns the first of these signals into USR1 for the launcher, which hands it to every rank at once: save, exit 75.
# (TERM would make mpirun kill its nodes one after the other.) A second INT kills the ranks.
translate() {
  local signal
  launcher='' repeater='' requests=0
  # shellcheck disable=SC2064 # expanded now
  for signal; do trap "request $signal" "$signal"; done
}

request() {
  ((requests += 1))
  if ((requests == 1)); then
    ask_to_save
    say "$1: asking the ranks to save and stop" || true
  elif [[ $1 == INT ]]; then
    kill -TERM "$launcher" || true
    say 'killing the ranks' || true
  fi
}

# Again and again, because mpirun loses a signal that comes while it starts; to the ranks, one or many are the same.
ask_to_save() {
  kill -USR1 "$launcher" || return 0
  while sleep 5 && kill -USR1 "$launcher"; do :; done &
  repeater=$!
} >/dev/null 2>&1

# Runs the launcher, mpirun or srun, and returns its exit code.
run() {
  local status=0
  trap : PIPE # a closed terminal or a dead `tee` must not end this script before the ranks
  set -m      # a process group of its own: Ctrl-C in a terminal must not reach the launcher directly
  "$@" &
  launcher=$!
  set +m
  if ((requests)); then ask_to_save; fi
  while kill -0 "$launcher" 2>/dev/null; do wait "$launcher" || true; done # a trap ends `wait` early
  wait "$launcher" || status=$?
  kill "$repeater" 2>/dev/null || true
  return "$status"
}
