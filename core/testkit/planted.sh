#!/usr/bin/env bash
# Plants each bug of tests/planted/*.patch, here and in the scheduler, in a copy of the tree and expects the suite named in it to
# fail. A harness that does not find them is not to be trusted. See tests/planted/README.md.
#
# Arguments: names of patches (without .patch); default: all. NAKIVO_PLANTED_TARGET: build folder (default: target/planted).
# NAKIVO_PLANTED_TREE: what to copy (default: HEAD; "work" takes the tracked files as they are now).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
export CARGO_TARGET_DIR=${NAKIVO_PLANTED_TARGET:-${CARGO_TARGET_DIR:-$root/target}/planted}
export CARGO_INCREMENTAL=1 CARGO_TERM_COLOR=never

if [ "${NAKIVO_PLANTED_TREE:-HEAD}" = work ]; then
  git -C "$root" ls-files -z | (cd "$root" && xargs -0 -I{} sh -c '[ ! -f "$1" ] || printf "%s\0" "$1"' _ {}) |
    tar -C "$root" --null -T - -cf - | tar -C "$copy" -xf -
else
  git -C "$root" archive HEAD | tar -C "$copy" -xf -
fi
cp -r "$copy" "$copy.clean"
trap 'rm -rf "$copy" "$copy.clean"' EXIT
# A fixed place, so that cargo reuses what it built for the patch before.
cd "$copy"

suite() { # suite <log> <package> <test binary arguments...>
  local log=$1 package=$2
  shift 2
  cargo test --quiet --locked -p "$package" "$@" </dev/null >"$log" 2>&1
}

patches=("$here"/tests/planted/*.patch "$root"/scheduler/tests/planted/*.patch)
if [ $# -gt 0 ]; then
  chosen=()
  for name in "$@"; do
    for patch in "${patches[@]}"; do [ "$(basename "$patch" .patch)" != "$name" ] || chosen+=("$patch"); done
  done
  [ ${#chosen[@]} -eq $# ] || { echo "no such patch, or two of one name: $*" >&2; exit 2; }
  patches=("${chosen[@]}")
fi

found=0 missed=() stale=()
for patch in "${patches[@]}"; do
  name=$(basename "$patch" .patch)
  read -r _ suite_line < <(grep -m1 '^Suite: ' "$patch")
  # shellcheck disable=SC2206  # the line is words by design
  words=($suite_line)
  started=$SECONDS
  log=$copy.log
  if ! patch -p1 --fuzz=3 --force --silent -d "$copy" <"$patch" >"$log" 2>&1; then
    stale+=("$name")
    echo "STALE   $name: the patch does not apply any more"
    sed 's/^/        /' "$log"
  elif [ "${words[0]}" = nakivo-testkit ] && ! cargo build --quiet --locked -p nakivo-testkit --bins </dev/null >"$log" 2>&1; then
    stale+=("$name")
    echo "STALE   $name: does not compile"
    grep -m5 -A4 '^error' "$log" | sed 's/^/        /'
  elif suite "$log" "${words[@]}"; then
    missed+=("$name")
    echo "MISSED  $name: ${words[*]} is green ($((SECONDS - started)) s)"
  elif ! grep -q '^test result: FAILED' "$log"; then
    stale+=("$name")
    echo "STALE   $name: the suite did not run"
    tail -n 5 "$log" | sed 's/^/        /'
  else
    found=$((found + 1))
    echo "found   $name by $(grep -m1 -oE '^test .* FAILED|^    [a-z_:]+$' "$log" | sed 's/^ *//; s/^test //; s/ \.\.\. FAILED//' || echo "${words[*]}") ($((SECONDS - started)) s)"
  fi
  # Back to clean, with new times so that cargo notices.
  grep -oE '^\+\+\+ b/[^[:space:]]+' "$patch" | cut -c7- | while read -r file; do
    cp "$copy.clean/$file" "$copy/$file"
    touch "$copy/$file"
  done
  find "$copy" \( -name '*.orig' -o -name '*.rej' \) -delete
done
rm -f "$copy.log"
echo "planted bugs: $found of ${#patches[@]} found, ${#missed[@]} missed, ${#stale[@]} stale"
[ ${#missed[@]} -eq 0 ] && [ ${#stale[@]} -eq 0 ]
