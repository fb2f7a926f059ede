#!/usr/bin/env bash
# Runs the tests on simulated hosts and prints a line for each row of the fault matrix in docs/reliability.md.
#
#   Tests/cluster/run.sh             all of them, about half an hour: make test-cluster
#   Tests/cluster/run.sh --fast      a few minutes' worth of them: make test
#   Tests/cluster/run.sh SCRIPT…     these
#
# The exit code is 1 if a row failed. Rows that need what this machine lacks are SKIPPED, and counted at the end.

set -euo pipefail
cd "$(dirname "$0")/../.."

options=()
case ${1-} in
  --fast) options=(--fast) scripts=(same-bytes kills hangs signals mismatches crash-points power-cuts) ;;
  '')
    scripts=()
    for script in Tests/cluster/*.sh; do
      case ${script##*/} in
        common.sh | run.sh | soak.sh | scaling.sh) ;; # no rows, or hours
        *) scripts+=("$script") ;;
      esac
    done
    ;;
  -h | --help) sed -n '2,/^$/s/^# \{0,1\}//p' "$0" && exit ;;
  *) scripts=("$@") ;;
esac

log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=()
for script in "${scripts[@]}"; do
  script=Tests/cluster/${script##*/}
  "${script%.sh}.sh" ${options[@]+"${options[@]}"} 2>&1 | tee -a "$log" || failed+=("${script##*/}")
done

count() { grep -c "^row [^ ]*: $1" "$log" || true; }
echo "rows: $(count ok) ok, $(count FAILED) failed, $(count SKIPPED) skipped"
if (($(count SKIPPED))); then
  echo '*** SKIPPED rows are not tested here. They need root, network namespaces, and cluster/setup.sh --tests. ***'
fi
if ((${#failed[@]})); then
  echo "failed: ${failed[*]}"
  exit 1
fi
