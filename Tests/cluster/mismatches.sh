#!/usr/bin/env bash
# Whether hosts that differ in program, library, recipe, model, data or file system are refused by their name before any
# work is done: rows 61 and 62.
#
#   Tests/cluster/mismatches.sh [--fast | ROW…]

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "$0")/common.sh" "$@"
begin 61 62

# refused CODE WORDS COMMAND…: the command ends with the code and one line that has the words and the name of node2.
refused() {
  local code=$1 words=$2 status=0 begun
  shift 2
  begun=$(now)
  "$hosts" mpirun -n 2 -x ADALIGN_CACHE -x OPENBLAS_NUM_THREADS "$ADALIGN_PROGRAM" "$@" >"$work/refused.log" 2>&1 ||
    status=$?
  cat "$work/refused.log" >&2
  [[ $status == "$code" ]] || fail "exit code $status instead of $code"
  [[ $(grep -c '^adalign' "$work/refused.log") == 1 ]] || fail 'not one line tells why'
  grep '^adalign' "$work/refused.log" | grep node2 | grep -q "$words" || fail "the line does not say '$words'"
  echo "$code after $(since "$begun")"
}

train() { refused "$1" "$2" train "$work/dpo.yaml" run="$work/refused"; }

# On node2 another file stands where PATH is.
differ() { "$hosts" exec node2 mount --bind "$2" "$1"; }
agree() { "$hosts" exec node2 umount "$1"; }

# with_other FILE OTHER CODE WORDS [COMMAND…]
with_other() {
  local file=$1 other=$2 code=$3 words=$4
  shift 4
  differ "$file" "$other"
  # shellcheck disable=SC2064 # expanded now
  trap "agree '$file'" EXIT # of the row, which has a shell of its own
  if (($#)); then refused "$code" "$words" "$@"; else train "$code" "$words"; fi
  agree "$file"
  trap - EXIT
}

other_program() {
  cp "$ADALIGN_PROGRAM" "$work/other-program"
  echo >>"$work/other-program"
  with_other "$ADALIGN_PROGRAM" "$work/other-program" 70 'another adalign'
}

# A library that says to be of another version, since there is only one here.
other_library() {
  local compiler
  compiler=$(command -v cc || command -v clang) || {
    echo 'no C compiler for a library that lies about its version'
    exit 77
  }
  "$compiler" -shared -fPIC -O -x c -o "$work/other.so" - <<'C'
#include <string.h>
int MPI_Get_library_version(char *version, int *length) {
  strcpy(version, "Open MPI v3.0.0");
  *length = strlen(version);
  return 0;
}
C
  cp "$ADALIGN_PROGRAM" "$work/same-program"
  printf '#!/bin/sh\nLD_PRELOAD=%s exec %s "$@"\n' "$work/other.so" "$work/same-program" >"$work/lying-program"
  chmod +x "$work/lying-program"
  with_other "$ADALIGN_PROGRAM" "$work/lying-program" 70 'another MPI library'
}

other_recipe() {
  sed 's/beta: 0.1/beta: 0.2/' "$work/dpo.yaml" >"$work/other.yaml"
  with_other "$work/dpo.yaml" "$work/other.yaml" 72 'another configuration'
}

other_model() {
  local model=$work/sft/final
  cp "$model/model.safetensors" "$work/other.safetensors"
  printf '\1' | dd of="$work/other.safetensors" bs=1 seek=$(($(stat --format=%s "$model/model.safetensors") - 3)) \
    conv=notrunc status=none
  with_other "$model/model.safetensors" "$work/other.safetensors" 65 'another model'
  with_other "$model/model.safetensors" "$work/other.safetensors" 65 'another model' \
    score --model "$model" --data "$work/world/held-out.jsonl" --output "$work/scores.jsonl"
}

other_tokenizer() {
  sed '1s/$/ /' "$work/sft/final/tokenizer.json" >"$work/other-tokenizer.json"
  with_other "$work/sft/final/tokenizer.json" "$work/other-tokenizer.json" 65 'another tokenizer'
}

other_data() {
  sed '$d' "$work/world/preferences.jsonl" >"$work/other.jsonl"
  with_other "$work/world/preferences.jsonl" "$work/other.jsonl" 65 'another content'
  with_other "$work/world/held-out.jsonl" "$work/other.jsonl" 65 'another content' \
    sample --model "$work/sft/final" --prompts "$work/world/held-out.jsonl" --output "$work/samples.jsonl" \
    --max-new-tokens 4
}

# Every host has a run directory of its own under one name.
other_directory() {
  mkdir -p "$work/local"
  "$hosts" exec node2 mount -t tmpfs tmpfs "$work/local"
  mkdir "$work/local/run"
  "$hosts" exec node2 mkdir "$work/local/run"
  refused 73 'does not see what rank 0 writes' train "$work/dpo.yaml" run="$work/local/run"
  "$hosts" exec node2 umount "$work/local"
}

# Model, data and cache that each host has a copy of, and only the run directory shared.
local_copies() {
  local host
  for host in 1 2; do
    "$hosts" exec "$host" cp -r "$work/world" "$work/sft/final" /dev/shm
  done
  sed "s|$work/sft/final|/dev/shm/final|; s|$work/world|/dev/shm/world|" "$work/dpo.yaml" >"$work/local.yaml"
  ADALIGN_CACHE=/dev/shm/cache "$hosts" mpirun -n 2 -x ADALIGN_CACHE -x OPENBLAS_NUM_THREADS "$ADALIGN_PROGRAM" \
    train "$work/local.yaml" run="$work/copies" >&2
  same copies
  echo 'same bytes'
}

alone() {
  "$ADALIGN_PROGRAM" train "$work/dpo.yaml" run="$work/alone" >&2
  same alone
  echo 'one rank, same bytes'
}

prepare 40
on_hosts 2
row 62 'another program on a host' other_program
row 62 'another model on a host' other_model
row 62 'a run directory that a host does not see' other_directory
if [[ -z $fast ]]; then
  row 61 'another MPI library on a host' other_library
  row 61 'no mpirun' alone
  row 62 'another recipe on a host' other_recipe
  row 62 'another tokenizer on a host' other_tokenizer
  row 62 'other data on a host' other_data
  row 62 'copies of model and data on each host' local_copies
fi
