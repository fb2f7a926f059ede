#!/usr/bin/env bash
# The story of the project on a synthetic world, on two ranks: a new model learns to speak like the target domain (SFT);
# then it learns from preference pairs of the source domain, as they are, weighed, replaced by labels of its own samples,
# and both. A table and runs/demo/report.html compare them with an oracle that had pairs of the target. make demo runs this.
set -euo pipefail
cd "$(dirname "$0")/.."

# A world in which the oracle is clearly ahead; docs/evidence.md has several.
seed=4
adalign() { cluster/local.sh -n 2 -- "$@"; }
adapt() { adalign adapt recipes/demo-adapt.yaml seed="$seed" run="runs/demo/$1" "${@:2}"; }

rm -rf runs/demo
for domain in source target; do
  .build/release/adalign world generate --output "runs/demo/world/$domain" --domain "$domain" --seed "$seed" --pairs 4096
done
adalign train recipes/demo-sft.yaml seed="$seed"
adapt source weights= reward_model= label=
adapt weighted reward_model= label=
adapt pseudo-labelled weights= mix.source=0 label.expert= reward_model.refine=
adapt combined
adapt oracle weights= reward_model= label= data.source=runs/demo/world/target/preferences.jsonl
echo
.build/release/adalign compare --from source --to oracle --report runs/demo/report.html --title "adalign: the demo" \
  --run source=runs/demo/source --run weighted=runs/demo/weighted \
  --run pseudo-labelled=runs/demo/pseudo-labelled --run combined=runs/demo/combined --run oracle=runs/demo/oracle
