#!/usr/bin/env bash
# Runs fuzz targets: run.sh [seconds for each] [names; default: all]. Needs a nightly compiler and cargo-fuzz.
#
# What it finds new stays below the build folder; an input that fails is printed, to be added to corpus/ with its mending.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
seconds=${1:-60}
[ $# -eq 0 ] || shift
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
  for target in "$here"/fuzz_targets/*.rs; do names+=("$(basename "$target" .rs)"); done
fi
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$here/../target}/fuzz
work=$CARGO_TARGET_DIR/found
cd "$here/.."
cargo +nightly fuzz build --sanitizer none >/dev/null 2>"$CARGO_TARGET_DIR.log" || { tail -n 20 "$CARGO_TARGET_DIR.log" >&2; exit 1; }

programs=$CARGO_TARGET_DIR/$(rustc +nightly -vV | sed -n 's/^host: //p')/release

# fuzz NAME: one target; what it says is in its log, how it ended in its status.
fuzz() {
  mkdir -p "$work/$1" "$work/failures"
  local status=0
  "$programs/$1" "$work/$1" "$here/corpus/$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=65536 \
    -print_final_stats=1 -artifact_prefix="$work/failures/$1-" >"$work/$1.log" 2>&1 || status=$?
  echo "$status" >"$work/$1.status"
}
export -f fuzz
export programs work here seconds
rm -f "$work"/*.status
printf '%s\n' "${names[@]}" | xargs -P "$(nproc)" -I '{}' bash -c 'fuzz "$1"' fuzz '{}'

failed=0 total=0
for name in "${names[@]}"; do
  log=$work/$name.log
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  total=$((total + ${runs:-0}))
  if [ "$(cat "$work/$name.status")" -ne 0 ]; then
    failed=$((failed + 1))
    echo "FAILED  $name: see $log"
    grep -m3 -E 'panicked|ERROR:|Test unit written' "$log" || true
  else
    echo "ok      $name: ${runs:-0} inputs"
  fi
done
echo "counts: ${#names[@]} fuzz targets, $seconds s each, $total inputs, $failed failed"
[ "$failed" -eq 0 ]
