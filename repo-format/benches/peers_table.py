#!/usr/bin/env python3
"""The table of peers.sh: medians, their ratio to the best of the peers, and the target for it."""

import argparse
import json
import os
import statistics

# How many times as fast as the fastest of the peers, by set and step.
SPEED = {"first": {"mail": 2.0, "office": 1.8, "items": 2.5}, "restore": 1.5, "item": 1.0, "unchanged": 1.0, "changed": 1.0, "verify": 1.0, "reclaim": 1.0}
# Stored bytes as a share of the smallest of the peers.
STORED = {"mail": 0.80, "office": 1.00, "items": 0.72}
IDEAL = 0.75
BORG_CPU = 0.8
PEAK_MIB = 128


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results")
    parser.add_argument("tree")
    parser.add_argument("--runs", type=int)
    parser.add_argument("--versions")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in open(arguments.results)]
    tree = json.load(open(arguments.tree))
    kind = tree["kind"]

    def median(tool, step, field, of="measurement"):
        found = [row[field] for row in rows if row["type"] == of and (row["tool"], row["step"]) == (tool, step)]
        return statistics.median(found) if found else None

    tools = list(dict.fromkeys(row["tool"] for row in rows if row["tool"] != "ideal"))
    tools.sort(key=lambda tool: tool == "nakivo")
    peers = [tool for tool in tools if tool != "nakivo"]
    steps, targets = {}, []

    def target(name, value, limit, at_least):
        met = value >= limit if at_least else value <= limit
        targets.append({"target": name, "value": round(value, 3), "limit": limit, "bound": "least" if at_least else "most", "met": met})

    for step, wanted in SPEED.items():
        steps[step] = {tool: {field: median(tool, step, field) for field in ("seconds", "cpu_seconds", "peak_mib")} for tool in tools}
        fastest = min(steps[step][tool]["seconds"] for tool in peers)
        wanted = wanted[kind] if isinstance(wanted, dict) else wanted
        target(f"{step}: times as fast as the fastest peer", fastest / max(steps[step]["nakivo"]["seconds"], 0.01), wanted, True)
    ideal = {field: median("ideal", "first", field) for field in ("seconds", "cpu_seconds", "peak_mib")}
    ours = steps["first"]["nakivo"]
    target("first: share of the ideal pipeline's speed", ideal["seconds"] / max(ours["seconds"], 0.01), IDEAL, True)
    target("first: CPU seconds beside borg's", ours["cpu_seconds"] / max(steps["first"]["borg"]["cpu_seconds"], 0.01), BORG_CPU, False)
    stored = {step: {tool: median(tool, step, "bytes", "stored") for tool in tools} for step in ("first", "reclaim")}
    target("stored: share of the smallest peer's", stored["first"]["nakivo"] / min(stored["first"][tool] for tool in peers), STORED[kind], False)
    target("peak memory of any step, MiB", max(step["nakivo"]["peak_mib"] for step in steps.values()), PEAK_MIB, False)

    if arguments.json:
        print(json.dumps({"type": "peers", "set": kind, "files": tree["files"], "bytes": tree["bytes"], "scale": tree["scale"], "seed": tree["seed"],
                          "runs": arguments.runs, "cores": os.cpu_count(), "versions": arguments.versions, "steps": steps, "ideal": ideal,
                          "stored": stored, "targets": targets, "byte_identical": True}))
        return
    print(f"\n{kind}: {tree['files']} files, {tree['bytes'] / 1e6:.0f} MB, {os.cpu_count()} cores, median of {arguments.runs} runs in turn; {arguments.versions}")
    print("wall seconds / CPU seconds / peak MiB\n")
    print(f"{'':10}" + "".join(f"{tool:>24}" for tool in tools))
    for step, figures in steps.items():
        print(f"{step:10}" + "".join(f"{f['seconds']:>10.2f} {f['cpu_seconds']:>7.2f} {f['peak_mib']:>5.0f}" for f in figures.values()))
    print(f"{'ideal':10}{ideal['seconds']:>10.2f} {ideal['cpu_seconds']:>7.2f} {ideal['peak_mib']:>5.0f}")
    for step, figures in stored.items():
        print(f"{'MB, ' + step:10.10}" + "".join(f"{size / 1e6:>24.1f}" for size in figures.values()))
    print()
    for row in targets:
        print(f"{row['target']:44}{row['value']:>8.2f}  target at {row['bound']} {row['limit']:<6g}{'met' if row['met'] else 'MISSED'}")


main()
