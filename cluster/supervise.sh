# shellcheck shell=bash disable=SC2154 # restarts and command come from the launchers
# Runs mpirun (or srun) as a patient operator would:
#
#   translate SIGNAL…   the first of these signals becomes USR1, which mpirun hands to all ranks at once: they save and
#                       exit with 75. (TERM would make mpirun kill its hosts one after the other.) A second one ends it.
#   supervise           runs `command`; ends it when the heartbeat of rank 0 stops; runs it again, up to `restarts`
#                       times, after endings that another attempt can mend. Returns the exit code of the last attempt.
#
# The heartbeat is a file: "SECONDS COUNT" promises that COUNT will have changed after SECONDS (0: no promise). adalign
# ends its own ranks with 74 before that, but then mpirun waits for ever for a host that it cannot reach.

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export ADALIGN_HEARTBEAT=${ADALIGN_HEARTBEAT-$scratch/heartbeat}

# Before the first restart, and after an attempt that ran ten times as long; doubled after each shorter one.
restart_delay=${ADALIGN_RESTART_DELAY-5}
longest_delay=300

launcher='' requests=0 ending='' deadline=0 aides=()

# In a session of its own neither a terminal nor a batch system signals the launcher directly. If this script is killed
# it goes too, and its ranks with it.
tether=(setsid)
if setpriv --pdeathsig KILL true 2>/dev/null; then tether+=(setpriv --pdeathsig KILL); fi

# Sleeps without a process that would outlive this one: nobody writes into that pipe.
nap() { read -rt "$1" <> <(:) || true; }

# What to do before another attempt; a launcher may define its own, and count a reason not to in `requests`.
prepare_restart() { :; }

# Whether exit code 75, for which nobody asked here, is a reason to start again; batch systems do that by themselves.
goes_on_by_itself() { true; }

translate() {
  local signal
  # shellcheck disable=SC2064 # expanded now
  for signal; do trap "request $signal" "$signal"; done
}

request() {
  if ((requests == 0)); then
    requests=1
    say "$1: asking the ranks to save and stop" || true
    ask_to_save
  elif [[ $1 != USR1 ]]; then
    say "$1 again: ending the ranks" || true
    ending=$1
    end_now
  fi
}

# Again and again, because mpirun loses a signal that comes while it starts; to the ranks, one or many are the same.
ask_to_save() {
  [[ -n $launcher ]] || return 0
  while kill -USR1 "$launcher"; do nap 5; done &
  aides+=("$!")
} >/dev/null 2>&1

# mpirun ends at once at its second TERM; one that hangs needs KILL.
end_now() {
  [[ -n $launcher ]] || return 0
  { kill -TERM "$launcher" && nap 0.3 && kill -TERM "$launcher" && nap 10 && kill -KILL "$launcher"; } &
  aides+=("$!")
} >/dev/null 2>&1

# Asks to save in some seconds, for batch systems that do not warn of a time limit.
ask_after() { deadline=$((SECONDS + $1)); }

supervise() {
  local status begun attempt=0 delay=$restart_delay
  trap : PIPE # a closed terminal or a dead `tee` must not end this script before the ranks
  while true; do
    status=0 begun=$SECONDS
    run_once || status=$?
    if ((SECONDS - begun > 10 * restart_delay)); then delay=$restart_delay; fi
    is_mendable "$status" "$attempt" || return "$status"
    ((attempt += 1))
    say "ended with $status; restart $attempt of $restarts in $delay s" || true
    nap "$delay" >/dev/null 2>&1 &
    wait "$!" || kill "$!" || true # a request ends it early
    delay=$((2 * delay < longest_delay ? 2 * delay : longest_delay))
    if ((requests == 0)); then prepare_restart; fi
    if ((requests)); then return 75; fi
  done
}

# The exit code of one attempt: 74 if it hung, 128 + signal if it was ended at once.
run_once() {
  local status=0
  rm -f "$scratch/hung"
  : >"$ADALIGN_HEARTBEAT"
  "${tether[@]}" "${command[@]}" &
  launcher=$!
  if ((requests)); then ask_to_save; fi
  watch_heartbeat &
  aides+=("$!")
  while kill -0 "$launcher" 2>/dev/null; do wait "$launcher" 2>/dev/null || true; done # a trap ends `wait` early
  wait "$launcher" 2>/dev/null || status=$?
  clean_up
  if [[ -e $scratch/hung ]]; then
    say 'no heartbeat: ended a launcher that hung' || true
    status=74
  elif [[ -n $ending ]]; then
    status=$((128 + $(kill -l "$ending")))
  elif ((requests && status == 138)); then
    status=75 # USR1 came before adalign was listening: nothing is lost
  fi
  return "$status"
}

# Kills the launcher when the promised heartbeat stays away; reminds this script of its deadline.
watch_heartbeat() {
  local line='' seen='' seconds=0 since=$SECONDS
  while nap 1 && kill -0 "$launcher"; do
    if ((deadline > 0 && SECONDS >= deadline)); then kill -USR1 $$; fi
    line=$(cat "$ADALIGN_HEARTBEAT")
    if [[ $line != "$seen" ]]; then seen=$line since=$SECONDS; fi
    read -r seconds _ <<<"$seen"
    if ((${seconds:-0} > 0 && SECONDS - since > seconds)); then
      touch "$scratch/hung"
      kill -KILL "$launcher"
    fi
  done
} >/dev/null 2>&1

# Ends the helpers of an attempt and removes what a killed mpirun leaves in the temporary directory.
clean_up() {
  if ((${#aides[@]})); then kill "${aides[@]}" || true; fi
  rm -rf "${TMPDIR:-/tmp}"/ompi.*."$EUID/pid.$launcher"
  launcher='' aides=()
} 2>/dev/null

# Whether another attempt may end better. 1 is mpirun's own: a host that is down, or a mistake if it is the first thing.
is_mendable() {
  ((requests == 0 && $2 < restarts)) || return 1
  case $1 in
    0 | 6[4-9] | 7[0-3] | 76) false ;;
    75) goes_on_by_itself ;;
    1) (($2 > 0)) || [[ -s $ADALIGN_HEARTBEAT ]] ;;
    *) true ;;
  esac
}
