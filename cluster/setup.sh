#!/usr/bin/env bash
# Installs the Debian packages that are missing, and checks that Swift is new enough. `make` calls it before it builds.
# With --tests also what `make test-cluster` needs: sshd and namespaces for simulated hosts, Slurm, tools that break files.

set -euo pipefail

packages=(
  libopenmpi-dev openmpi-bin libopenblas-dev zlib1g-dev libzstd-dev libonig-dev libssl-dev libcurl4-openssl-dev
  libsqlite3-dev pkg-config shellcheck
)
test_packages=(openssh-server openssh-client iproute2 munge slurmctld slurmd slurm-client strace e2fsprogs)
swift_needed=6.2

installed() { [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

install_packages() {
  local as_root=()
  if ((EUID != 0)); then
    if ! sudo -n true 2>/dev/null; then
      echo "setup: packages are missing; run this line, then make again:" >&2
      echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends $*" >&2
      exit 1
    fi
    as_root=(sudo -n)
  fi
  echo "setup: installing $*" >&2
  "${as_root[@]}" apt-get update
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

check_swift() {
  local found
  found=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9][0-9.]*\).*/\1/p' || true)
  if [[ -z $found ]]; then
    echo "setup: no swift in PATH; adalign needs Swift $swift_needed or newer: https://www.swift.org/install/linux" >&2
    exit 1
  fi
  if ! printf '%s\n' "$swift_needed" "$found" | sort --check=quiet --version-sort; then
    echo "setup: found Swift $found; adalign needs $swift_needed or newer: https://www.swift.org/install/linux" >&2
    exit 1
  fi
}

case ${1-} in
  --tests) packages+=("${test_packages[@]}") ;;
  '') ;;
  *)
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
    exit 64
    ;;
esac
missing=()
for package in "${packages[@]}"; do
  installed "$package" || missing+=("$package")
done
if ((${#missing[@]})); then install_packages "${missing[@]}"; fi
check_swift
