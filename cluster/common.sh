# shellcheck shell=bash disable=SC2034 # the variables are for the launchers
# What the launchers share: the command line and the environment of the ranks.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
adalign=${ADALIGN_PROGRAM-$root/.build/release/adalign}
# shellcheck source-path=SCRIPTDIR source=supervise.sh
source "$root/cluster/supervise.sh"

# Also out of a trap, which may run where errors are silenced. Batch systems run a copy of the script under another name;
# they set `me`.
exec {messages}>&2
say() { echo "${me-${0##*/}}: $*" >&"$messages"; }

# Exit code 64: the command line is wrong, trying again is pointless.
refuse() {
  say "$@"
  exit 64
}

# Prints the comment at the top of the launcher.
usage() { sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; }

# [-n RANKS] [-t THREADS] [-r RESTARTS] [-x NAME]… [--] ARGUMENT…: sets `ranks` (empty: not given), `threads`,
# `restarts`, `exports` and `arguments`. Some batch systems give a script no arguments: then ADALIGN_ARGUMENTS has them.
parse() {
  if (($# == 0)); then
    read -ra arguments <<<"${ADALIGN_ARGUMENTS-}"
    set -- ${arguments[@]+"${arguments[@]}"}
  fi
  ranks='' threads=1 restarts='' exports=()
  while (($#)); do
    case $1 in
      -h | --help) usage && exit ;;
      -n) ranks=$(number "$@") ;;
      -t) threads=$(number "$@") ;;
      -r) restarts=$(number "$@") ;;
      -x) pass_on "${2-}" ;;
      --) shift && break ;;
      -*) refuse "unknown option $1 (adalign's own arguments go after --)" ;;
      *) break ;;
    esac
    shift 2
  done
  arguments=("$@")
  ((${#arguments[@]})) || refuse 'nothing to run; try --help'
  [[ -x $adalign ]] || refuse "$adalign is missing; run 'make build'"
  restarts=${restarts:-$(usual_restarts)}
}

number() {
  [[ ${2-} =~ ^(0|[1-9][0-9]{0,5})$ && ($1 == -r || $2 != 0) ]] || refuse "$1 wants a positive number, got '${2-}'"
  echo "$2"
}

# Only these commands go on where an earlier attempt ended.
usual_restarts() {
  case ${arguments[0]} in
    train | adapt | label) echo 3 ;;
    *) echo 0 ;;
  esac
}

# Rank 0 has the environment of mpirun and asks the APIs; no other rank needs a key, and -x sends it over the network.
pass_on() {
  [[ $1 =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || refuse "-x wants the name of a variable, got '$1'"
  if [[ $1 =~ KEY|TOKEN|SECRET|PASSWORD ]]; then refuse "-x $1: secrets stay with rank 0, which alone needs them"; fi
  exports+=("$1")
}

# The defaults of a launch; whoever knows the machine better sets the same variables before the start.
set_environment() {
  export OPENBLAS_NUM_THREADS=$threads
  # Binding is left to the kernel, so that two runs do not share core 0 and every rank has room for its threads.
  export OMPI_MCA_hwloc_base_binding_policy=${OMPI_MCA_hwloc_base_binding_policy-none}
  # A lost host is noticed after 15 + 3 · 5 s; Open MPI's own settings take 485 s.
  export OMPI_MCA_oob_tcp_keepalive_time=${OMPI_MCA_oob_tcp_keepalive_time-15}
  export OMPI_MCA_oob_tcp_keepalive_intvl=${OMPI_MCA_oob_tcp_keepalive_intvl-5}
  export OMPI_MCA_oob_tcp_keepalive_probes=${OMPI_MCA_oob_tcp_keepalive_probes-3}
  if ((EUID == 0)); then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
}

# Sets `remote`, mpirun's options for the variables that ranks on other hosts need; there they inherit nothing.
pass_environment() {
  local name
  remote=()
  for name in OPENBLAS_NUM_THREADS OPENBLAS_CORETYPE LD_LIBRARY_PATH ADALIGN_CACHE ${exports[@]+"${exports[@]}"}; do
    if [[ -n ${!name-} ]]; then remote+=(-x "$name"); fi
  done
}

# hosts_of FILE: a batch system's list, with a line for each rank, as a hostfile. A host that is named once must not get
# as many ranks as it has cores, as mpirun would have it.
hosts_of() {
  awk '!($1 in slots) { order[++hosts] = $1 } { slots[$1]++ }
       END { for (i = 1; i <= hosts; i++) print order[i], "slots=" slots[order[i]] }' "$1" >"$scratch/hosts"
  echo "$scratch/hosts"
}

# Cores, not hardware threads, and only those this process may use.
count_cores() {
  local cores allowed
  cores=$(lscpu --parse=CORE,SOCKET | grep -v '^#' | sort -u | wc -l)
  allowed=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)
  echo $((cores < allowed ? cores : allowed))
}
