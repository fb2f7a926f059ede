#!/usr/bin/env python3
"""Figures of scaling.sh, from the metrics of its runs: speeds, and ratios of runs of the same round with their median."""

import argparse
import json
import statistics


def steps(run, warm):
    with open(f"{run}/metrics.jsonl") as file:
        return [row for row in map(json.loads, file) if row["step"] > warm]


def mean(rows, key):
    return statistics.fmean(row[key] for row in rows)


def speed(rows):
    return mean(rows, "tokens") / mean(rows, "seconds")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work")
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--warm", type=int, required=True, help="steps that are not counted")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="told as it is")
    options = parser.parse_args()

    def rounds(name):
        return [steps(f"{options.work}/{name}-{i + 1}", options.warm) for i in range(options.rounds)]

    def shares(runs, baseline, times):
        return [round(speed(run) / (times * speed(one)), 3) for run, one in zip(runs, baseline)]

    one_host, one_rank = rounds("hosts-1"), rounds("ranks-1")
    result = dict(pair.split("=", 1) for pair in options.set)
    result["weak_scaling"] = []
    for hosts in (1, 2, 4):
        runs = rounds(f"hosts-{hosts}")
        efficiency = shares(runs, one_host, hosts)
        row = {"hosts": hosts, "efficiency": statistics.median(efficiency), "rounds": efficiency}
        row["tokens_per_second"] = [round(speed(run), 1) for run in runs]
        for key in ("compute", "wait", "communication"):
            row[f"{key}_seconds"] = [round(mean(run, f"seconds/{key}"), 3) for run in runs]
        result["weak_scaling"].append(row)
    speedup = shares(rounds("ranks-2"), one_rank, 1)
    result["two_ranks_on_one_host"] = {"speedup": statistics.median(speedup), "rounds": speedup}
    print(json.dumps(result, indent=1))


main()
