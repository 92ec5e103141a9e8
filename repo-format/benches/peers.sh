#!/usr/bin/env bash
# `nakivo` beside restic, borg and rustic on the same trees of files: first backup, unchanged and 2 % changed runs, one file out,
# everything out, verify, and reclaim after all points but one were deleted; and beside an ideal pipeline of the same steps.
#
#   repo-format/benches/peers.sh [--set mail|office|items] [--scale F] [--runs N] [--seed N] [--rustic] [--json]
#
# --set: default all three, one after the other (see datasets.py). --scale 1 (default): 1 GB of mail and as much as suits the
# others. --rustic: builds rustic from the package registry if it is not there, which takes 10 minutes and more, once.
# restic and borgbackup are installed as Debian packages where missing.
#
# All encrypt, and compress with their defaults; the page cache is warm for all; the tools take turns, in another order in each
# run; medians are shown. Every recovered tree is compared byte for byte with its source.
# NAKIVO: the command to measure (default: a release build of this tree). NAKIVO_BENCH_DIR: where there is space (10 times the
# tree). NAKIVO_PEERS_CACHE: where rustic is built and kept (default: ~/.cache/nakivo-peers).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=core/benches/measure.sh
. "$here/../../core/benches/measure.sh"

sets=(mail office items) scale=1 runs=3 seed=1 json=false build_rustic=false
while [ $# -gt 0 ]; do
  case $1 in
    --set) sets=("$2"); shift 2 ;;
    --scale) scale=$2; shift 2 ;;
    --runs) runs=$2; shift 2 ;;
    --seed) seed=$2; shift 2 ;;
    --rustic) build_rustic=true; shift ;;
    --json) json=true; shift ;;
    *) fail "unknown argument $1" ;;
  esac
done

# package COMMAND PACKAGE: installs the Debian package if the command is missing.
package() {
  command -v "$1" >/dev/null && return
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$2" </dev/null >&2 || fail "$1 is missing: install $2"
}

# Sets $rustic to the command, or to nothing.
find_rustic() {
  local cache=${NAKIVO_PEERS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/nakivo-peers}
  rustic=$(command -v rustic || true)
  [ -n "$rustic" ] || rustic=$cache/bin/rustic
  if [ ! -x "$rustic" ] && $build_rustic; then
    (cd / && CARGO_TARGET_DIR=$cache/target nice -n 19 cargo install rustic-rs --quiet --locked --no-default-features --root "$cache" </dev/null >&2)
  fi
  [ -x "$rustic" ] && return
  rustic=
  echo "rustic is left out: it is not here. --rustic builds it, once." >&2
}

package restic restic
package borg borgbackup
package python3 python3
package /usr/bin/time time
find_rustic
find_nakivo
(cd "$here/../.." && cargo build --quiet --release --locked -p nakivo-repo-format --example ideal_pipeline)
ideal=${CARGO_TARGET_DIR:-$here/../../target}/release/examples/ideal_pipeline
prepare peers
peers=(restic borg)
[ -z "$rustic" ] || peers+=(rustic)
echo correct-horse-battery-staple >"$work/passphrase"
chmod 600 "$work/passphrase"
export RESTIC_PASSWORD_FILE=$work/passphrase RESTIC_CACHE_DIR=$work/restic-cache RESTIC_REPOSITORY=$work/restic
export RUSTIC_PASSWORD_FILE=$work/passphrase RUSTIC_CACHE_DIR=$work/rustic-cache RUSTIC_REPOSITORY=$work/rustic RUSTIC_LOG_LEVEL=error RUSTIC_NO_PROGRESS=true
export BORG_PASSCOMMAND="cat $work/passphrase" BORG_BASE_DIR=$work/borg-base BORG_REPO=$work/borg
export NAKIVO_PASSPHRASE_FILE=$work/passphrase NAKIVO_STATE_DIR=$work/state
repo=(--repo "file:$work/nakivo") quiet=(--json --progress none)

# What each tool does in each step. $tree: the source. $item: one file, relative to it. $back: where to restore to.
restic_init() { restic init --quiet --repository-version 2 >/dev/null; }
restic_backup() { measure restic "$1" restic backup --quiet "$tree"; }
restic_item() { measure restic item sh -c 'exec restic dump latest "$0" >"$1"' "$tree/$item" "$back"; }
restic_restore() { measure restic restore restic restore latest --target "$back" && restored=$back$tree; }
restic_verify() { measure restic verify restic check --read-data; }
restic_reclaim() { measure restic reclaim restic forget --quiet --keep-last 1 --prune; }

borg_init() { borg init --encryption=repokey-blake2 2>/dev/null; }
borg_backup() { measure borg "$1" sh -c 'cd "$0" && exec borg create "::{utcnow}" .' "$tree"; }
borg_last() { borg list --last 1 --format '{archive}'; }
borg_item() { measure borg item sh -c 'exec borg extract --stdout "::$0" "$1" >"$2"' "$(borg_last)" "$item" "$back"; }
borg_restore() { mkdir "$back" && measure borg restore sh -c 'cd "$0" && exec borg extract "::$1"' "$back" "$(borg_last)" && restored=$back; }
borg_verify() { measure borg verify borg check --verify-data; }
borg_reclaim() { measure borg reclaim sh -c 'borg prune --keep-last 1 && borg compact'; }

rustic_init() { "$rustic" init >/dev/null 2>&1; }
rustic_backup() { measure rustic "$1" "$rustic" backup "$tree"; }
rustic_item() { measure rustic item sh -c 'exec "$0" dump "latest:$1" >"$2"' "$rustic" "$tree/$item" "$back"; }
rustic_restore() { measure rustic restore "$rustic" restore "latest:$tree" "$back" && restored=$back; }
rustic_verify() { measure rustic verify "$rustic" check --read-data; }
rustic_reclaim() { measure rustic reclaim "$rustic" forget --keep-last 1 --prune --instant-delete; }

nakivo_init() { "$nakivo" repo init "file:$work/nakivo" --json --progress none >/dev/null; }
nakivo_backup() { measure nakivo "$1" "$nakivo" backup folder "$tree" "${repo[@]}" --name tree "${quiet[@]}"; }
nakivo_item() {
  measure nakivo item "$nakivo" export "${repo[@]}" --object tree --to "$back-folder" "${quiet[@]}" "$item"
  mv "$(find "$back-folder" -type f -name "${item##*/}")" "$back"
}
nakivo_restore() {
  measure nakivo restore "$nakivo" export "${repo[@]}" --object tree --to "$back" "${quiet[@]}"
  rm -f "$back/manifest.jsonl" # the export's list of original names; not in the source
  restored=$back
}
nakivo_verify() { measure nakivo verify "$nakivo" repo verify "file:$work/nakivo" "${quiet[@]}"; }
# No grace time: what is marked is deleted by the same run.
nakivo_reclaim() {
  measure nakivo reclaim sh -c '"$0" retention apply --repo "$1" --object tree --last 1 --quiet &&
    exec "$0" repo reclaim "$1" --grace 0 --quiet' "$nakivo" "file:$work/nakivo"
}

stored() { printf '{"type":"stored","tool":"%s","step":"%s","bytes":%s}\n' "$1" "$2" "$(du -sb "$work/$1" | cut -f1)" >>"$results"; }

# What was recovered stays until the set is done: ext4 creates files slowly for a minute after many were removed, and the tool
# that comes second would pay for the first.
item_and_all() {
  back=$work/back-$run-$1-item
  "$1_item"
  cmp "$tree/$item" "$back" >&2 || fail "$1: the recovered file differs from its source"
  back=$work/back-$run-$1
  "$1_restore"
  diff -r "$tree" "$restored" >&2 || fail "$1: the recovered tree differs from its source"
}

# Once more after reclaim, in the first run: nothing may be missing.
after_reclaim() {
  [ "$run" -eq 1 ] || return 0
  back=$work/after-$1
  "$1_restore"
  sed -i '$d' "$results"
  diff -r "$tree" "$restored" >&2 || fail "$1: the tree recovered after reclaim differs from its source"
}

# one_run: every step once, in each step one tool after the other.
one_run() {
  local tools=("${peers[@]}" nakivo) tool
  for ((turn = 1; turn < run; turn++)); do tools=("${tools[@]:1}" "${tools[0]}"); done
  rm -rf "$work"/{restic,restic-cache,rustic,rustic-cache,borg,borg-base,nakivo,state,ideal}
  find "$tree" -type f -exec cat {} + >/dev/null
  for tool in "${tools[@]}"; do "${tool}_init"; done
  measure ideal first "$ideal" "$tree" "$work/ideal"
  for tool in "${tools[@]}"; do "${tool}_backup" first; stored "$tool" first; done
  for tool in "${tools[@]}"; do "${tool}_backup" unchanged; done
  python3 "$here/datasets.py" change "$tree" "$work/stash" --seed "$seed" >/dev/null
  for tool in "${tools[@]}"; do "${tool}_backup" changed; done
  item=$(cd "$tree" && find . -type f -not -name KIND | sort | sed -n '777{s|^./||;p}')
  [ -n "$item" ] || item=$(cd "$tree" && find . -type f -not -name KIND | sort | sed -n '7{s|^./||;p}')
  for tool in "${tools[@]}"; do item_and_all "$tool"; done
  for tool in "${tools[@]}"; do "${tool}_verify"; done
  for tool in "${tools[@]}"; do "${tool}_reclaim"; stored "$tool" reclaim; done
  for tool in "${tools[@]}"; do after_reclaim "$tool"; done
  python3 "$here/datasets.py" revert "$tree" "$work/stash"
}

versions="$(restic version | cut -d' ' -f1,2), $(borg --version)${rustic:+, $("$rustic" --version)}"
for set in "${sets[@]}"; do
  tree=$work/tree-$set
  python3 "$here/datasets.py" make "$set" "$tree" --scale "$scale" --seed "$seed" >"$work/tree.json"
  : >"$results"
  for ((run = 1; run <= runs; run++)); do one_run; done
  python3 "$here/peers_table.py" "$results" "$work/tree.json" --runs "$runs" --versions "$versions" $($json && echo --json)
  rm -rf "$work"/back-* "$work"/after-* "$tree"
done
