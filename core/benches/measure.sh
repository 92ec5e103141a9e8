# Measuring one command at a time. Sourced by the scripts beside it, not run.

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# measure TOOL STEP COMMAND...: runs the command and appends one JSON line with seconds, CPU seconds and peak memory to
# $results. What the tools before it left in the page cache for writing is written first, so nobody pays for another.
measure() {
  local tool=$1 step=$2
  shift 2
  sync
  if ! /usr/bin/time -f '%e %U %S %M' -o "$work/time" "$@" >"$work/out" 2>"$work/err" </dev/null; then
    tail -n 20 "$work/out" "$work/err" >&2
    fail "$tool $step failed"
  fi
  local wall user system peak
  read -r wall user system peak < <(tail -n 1 "$work/time")
  printf '{"type":"measurement","tool":"%s","step":"%s","seconds":%s,"cpu_seconds":%s,"peak_mib":%s}\n' \
    "$tool" "$step" "$wall" "$(awk "BEGIN { print $user + $system }")" "$((peak / 1024))" >>"$results"
}

# prepare NAME: makes the scratch folder $work and the empty $results in it, removed when the script ends.
prepare() {
  [ -x /usr/bin/time ] || fail "/usr/bin/time is missing: install the package time"
  work=$(mktemp -d "${NAKIVO_BENCH_DIR:-${TMPDIR:-/tmp}}/nakivo-$1.XXXXXX")
  results=$work/results.jsonl
  : >"$results"
  trap 'rm -rf "$work"' EXIT
}

# find_nakivo: sets $nakivo to the command given by NAKIVO, or to a release build of this tree.
find_nakivo() {
  local top
  top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
  nakivo=${NAKIVO:-}
  if [ -z "$nakivo" ]; then
    (cd "$top" && cargo build --quiet --release --locked -p nakivo-cli)
    nakivo=${CARGO_TARGET_DIR:-$top/target}/release/nakivo
  fi
  [ -x "$nakivo" ] || fail "$nakivo is not there"
}
