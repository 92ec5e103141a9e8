#!/usr/bin/env bash
# `nakivo` beside restic on the same mail tree: first backup, unchanged and 2 % changed runs, verify, full recovery.
#
#   core/benches/peers.sh [--messages N] [--runs N] [--seed N] [--json]
#
# Both encrypt and compress with their defaults; the page cache is warm for both; the runs alternate and medians are shown.
# Every recovered tree is compared byte for byte with its source. Needs python3 and the Debian packages restic and time.
# NAKIVO: the command to measure (default: a release build of this tree). NAKIVO_BENCH_DIR: where there is space (3 times the tree).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=core/benches/measure.sh
. "$here/measure.sh"

messages=16000 runs=3 seed=1 json=false
while [ $# -gt 0 ]; do
  case $1 in
    --messages) messages=$2; shift 2 ;;
    --runs) runs=$2; shift 2 ;;
    --seed) seed=$2; shift 2 ;;
    --json) json=true; shift ;;
    *) fail "unknown argument $1" ;;
  esac
done

command -v restic >/dev/null || fail "restic is missing: install the package restic"
find_nakivo
prepare peers
tree=$work/tree
python3 "$here/mailtree.py" make "$tree" --messages "$messages" --seed "$seed" >"$work/tree.json"
echo correct-horse-battery-staple >"$work/passphrase"
chmod 600 "$work/passphrase"
export RESTIC_PASSWORD_FILE=$work/passphrase RESTIC_CACHE_DIR=$work/restic-cache RESTIC_REPOSITORY=$work/restic
export NAKIVO_PASSPHRASE_FILE=$work/passphrase NAKIVO_STATE_DIR=$work/state

restic_init() { restic init --quiet --repository-version 2 >/dev/null; }
restic_backup() { measure restic "$1" restic backup --quiet "$tree"; }
restic_verify() { measure restic verify restic check --read-data; }
restic_recover() { measure restic recover restic restore latest --target "$back" && same "$back$tree"; }
nakivo_init() { "$nakivo" repo init "file:$work/nakivo" --quiet; }
nakivo_backup() { measure nakivo "$1" "$nakivo" backup folder "$tree" --repo "file:$work/nakivo" --name mail --json --progress none; }
nakivo_verify() { measure nakivo verify "$nakivo" repo verify "file:$work/nakivo" --json --progress none; }
nakivo_recover() {
  measure nakivo recover "$nakivo" export --repo "file:$work/nakivo" --object mail --to "$back" --json --progress none
  rm -f "$back/manifest.jsonl" # the export's list of original names; not in the source
  same "$back"
}
# What was recovered stays until the end: ext4 creates files slowly for a minute after many were removed, and the tool that
# comes second would pay for the first.
same() { diff -r "$tree" "$1" >&2 || fail "the recovered tree differs from its source"; }
stored() { printf '{"type":"stored","tool":"%s","step":"%s","bytes":%s}\n' "$1" "$2" "$(du -sb "$work/$1" | cut -f1)" >>"$results"; }

for ((run = 1; run <= runs; run++)); do
  tools=(restic nakivo)
  [ $((run % 2)) -eq 1 ] || tools=(nakivo restic)
  rm -rf "$work/restic" "$work/restic-cache" "$work/nakivo" "$work/state"
  find "$tree" -type f -exec cat {} + >/dev/null
  for tool in "${tools[@]}"; do
    "${tool}_init"
    "${tool}_backup" first
    stored "$tool" first
    "${tool}_backup" unchanged
  done
  python3 "$here/mailtree.py" change "$tree" "$work/stash" --seed "$seed" >/dev/null
  for tool in "${tools[@]}"; do
    "${tool}_backup" changed
    stored "$tool" changed
    "${tool}_verify"
    back=$work/back-$run-$tool
    "${tool}_recover"
  done
  python3 "$here/mailtree.py" revert "$tree" "$work/stash"
done

python3 - "$results" "$work/tree.json" "$json" "$(restic version | cut -d' ' -f2)" "$(nproc)" "$runs" <<'PYTHON'
import json, statistics, sys

rows = [json.loads(line) for line in open(sys.argv[1])]
tree = json.load(open(sys.argv[2]))
as_json, restic, cores, runs = sys.argv[3] == "true", sys.argv[4], int(sys.argv[5]), int(sys.argv[6])


def median(tool, step, field, kind="measurement"):
    return statistics.median(r[field] for r in rows if r["type"] == kind and (r["tool"], r["step"]) == (tool, step))


steps = []
for step in ("first", "unchanged", "changed", "verify", "recover"):
    entry = {"step": step}
    for tool in ("restic", "nakivo"):
        for field in ("seconds", "cpu_seconds", "peak_mib"):
            entry[f"{tool}_{field}"] = median(tool, step, field)
    entry["times_as_fast"] = round(entry["restic_seconds"] / max(entry["nakivo_seconds"], 0.01), 2)
    steps.append(entry)
stored = {f"{tool}_{step}": median(tool, step, "bytes", "stored") for tool in ("restic", "nakivo") for step in ("first", "changed")}
summary = {"type": "peers", "messages": tree["messages"], "bytes": tree["bytes"], "seed": tree["seed"], "cores": cores,
           "runs": runs, "restic": restic, "steps": steps, "stored": stored,
           "stored_ratio": round(stored["nakivo_first"] / stored["restic_first"], 3), "byte_identical": True}
if as_json:
    print(json.dumps(summary))
    sys.exit()
mb = tree["bytes"] / 1e6
print(f"{tree['messages']} messages, {mb:.0f} MB, {cores} cores, median of {runs} alternating runs, restic {restic}\n")
print(f"{'':10}{'restic':>28}{'nakivo':>28}   times as fast")
for s in steps:
    cells = "".join(f"{s[t + '_seconds']:>8.2f} s {mb / max(s[t + '_seconds'], .01):>6.0f} MB/s {s[t + '_peak_mib']:>4.0f} MiB" for t in ("restic", "nakivo"))
    print(f"{s['step']:10}{cells}   {s['times_as_fast']:>6.2f}")
print(f"{'stored':10}{stored['restic_first'] / 1e6:>25.1f} MB{stored['nakivo_first'] / 1e6:>25.1f} MB   {summary['stored_ratio']} of restic's")
print("\nMB/s is the whole tree by the time taken, also where little of it had to be read. Recovered trees: byte-identical.")
PYTHON
