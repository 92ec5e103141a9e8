#!/usr/bin/env bash
# Peak memory and requests: one large file, one large mailbox on the emulator. Fails above the limit.
#
#   core/benches/memory.sh [--file-gib N] [--items N] [--changes N] [--limit-mib N] [--json]
#
# Defaults: an 8 GiB file (an eighth of it random bytes, the rest holes), 200,000 messages, 100 changes of each kind, 128 MiB.
# NAKIVO and NAKIVO_BENCH_DIR as in peers.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=core/benches/measure.sh
. "$here/measure.sh"

file_gib=8 items=200000 changes=100 limit=128 json=false
while [ $# -gt 0 ]; do
  case $1 in
    --file-gib) file_gib=$2; shift 2 ;;
    --items) items=$2; shift 2 ;;
    --changes) changes=$2; shift 2 ;;
    --limit-mib) limit=$2; shift 2 ;;
    --json) json=true; shift ;;
    *) fail "unknown argument $1" ;;
  esac
done

find_nakivo
prepare memory
emulator=
trap '[ -z "$emulator" ] || kill "$emulator" 2>/dev/null || true; rm -rf "$work"' EXIT
echo correct-horse-battery-staple >"$work/passphrase"
chmod 600 "$work/passphrase"
export NAKIVO_PASSPHRASE_FILE=$work/passphrase NAKIVO_STATE_DIR=$work/state
quiet=(--json --progress none)

# keep_summary STEP: the summary line of the last command, with the step's name, into $results.
keep_summary() {
  grep '"type":"summary"' "$work/out" | tail -n 1 | sed "s/\"type\":\"summary\"/\"type\":\"run\",\"step\":\"$1\"/" >>"$results"
}

mkdir "$work/files"
python3 - "$work/files/large.bin" "$file_gib" <<'PYTHON'
import random, sys
rng, size, step = random.Random(1), int(float(sys.argv[2]) * 2**30), 16 << 20
with open(sys.argv[1], "wb") as file:
    for at in range(0, size, step):
        file.seek(at)
        file.write(rng.randbytes(min(step // 8, size - at)))
    file.truncate(size)
PYTHON
"$nakivo" repo init "file:$work/repository" --quiet
repo=(--repo "file:$work/repository")
measure file backup "$nakivo" backup folder "$work/files" "${repo[@]}" --name files "${quiet[@]}"
measure file verify "$nakivo" repo verify "file:$work/repository" "${quiet[@]}"
measure file export "$nakivo" export "${repo[@]}" --object files --to "$work/back" "${quiet[@]}"
cmp "$work/files/large.bin" "$work/back/large.bin" || fail "the exported file differs"
rm -rf "$work/files" "$work/back" "$work/repository"

"$nakivo" emulate --users 1 --items "$items" >"$work/account.toml" 2>"$work/emulator.err" </dev/null &
emulator=$!
until grep -q client_secret "$work/account.toml"; do
  kill -0 "$emulator" 2>/dev/null || fail "the emulator ended: $(tail -n 3 "$work/emulator.err")"
  sleep 0.2
done
chmod 600 "$work/account.toml"
"$nakivo" repo init "file:$work/repository" --quiet
measure mailbox backup "$nakivo" backup m365 "${repo[@]}" --account "$work/account.toml" "${quiet[@]}"
keep_summary first
mailbox=$("$nakivo" object list "${repo[@]}" --json | python3 -c 'import json,sys; print(next(o["address"] for o in map(json.loads, sys.stdin) if o.get("address")))')
python3 "$here/mailbox.py" "$work/account.toml" "$changes"
measure mailbox changed "$nakivo" backup m365 "${repo[@]}" --account "$work/account.toml" "${quiet[@]}"
keep_summary changed
measure mailbox unchanged "$nakivo" backup m365 "${repo[@]}" --account "$work/account.toml" "${quiet[@]}"
keep_summary unchanged
kill "$emulator" && wait "$emulator" 2>/dev/null || true
emulator=
measure mailbox verify "$nakivo" repo verify "file:$work/repository" "${quiet[@]}"
measure mailbox export "$nakivo" export "${repo[@]}" --object "$mailbox" --to "$work/mail.zip" "${quiet[@]}"

python3 - "$results" "$json" "$limit" "$file_gib" "$items" "$changes" <<'PYTHON'
import json, sys

rows = [json.loads(line) for line in open(sys.argv[1])]
as_json, limit, file_gib, items, changes = sys.argv[2] == "true", int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]), int(sys.argv[6])
steps = [r for r in rows if r["type"] == "measurement"]
requests = {r["step"]: r["requests"] for r in rows if r["type"] == "run"}
per_message = {"first": round(requests["first"] / items, 4), "changed": round(requests["changed"] / (2 * changes), 3)}
peak = max(s["peak_mib"] for s in steps)
if as_json:
    print(json.dumps({"type": "memory", "file_gib": file_gib, "items": items, "changes": changes, "steps": steps,
                      "requests": requests, "requests_per_message": per_message, "peak_mib": peak, "limit_mib": limit}))
else:
    for s in steps:
        print(f"{s['tool']:8} {s['step']:10} {s['seconds']:>8.1f} s {s['peak_mib']:>5} MiB")
    print(f"\nrequests: first {requests['first']} for {items} messages ({per_message['first']} each); "
          f"changed {requests['changed']} for {changes} new, {changes} changed, {changes} deleted "
          f"({per_message['changed']} per new or changed one); unchanged {requests['unchanged']}")
    print(f"peak {peak} MiB, limit {limit} MiB")
sys.exit(peak > limit)
PYTHON
