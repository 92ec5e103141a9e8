#!/usr/bin/env bash
# Measures what the package costs over Rust, both built for release: see overhead.mjs. To be run after test.sh, which compiles the face.
#   PROFILE=dev    the debug profile instead
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../../.." && pwd)
export CARGO_INCREMENTAL=0
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$top/target}
profile=${PROFILE:-release}
built=$CARGO_TARGET_DIR/$([ "$profile" = dev ] && echo debug || echo "$profile")
[ -f "$here/../dist/index.js" ] || { printf 'error: run test.sh first\n' >&2; exit 1; }

# Both in one go: the same library.
(cd "$top" && cargo build --locked --profile "$profile" -p nakivo-bindings -p nakivo-node --lib --example overhead)
project=$(mktemp -d)
trap 'rm -rf "$project"' EXIT
mkdir -p "$project/node_modules/nakivo/native"
cp -r "$here/../package.json" "$here/../dist" "$project/node_modules/nakivo/"
build=$(node -p 'process.platform + "-" + process.arch + ({ linux: "-gnu", win32: "-msvc" }[process.platform] ?? "")')
cp "$built/libnakivo_node.so" "$project/node_modules/nakivo/native/nakivo.$build.node"
cp "$here/overhead.mjs" "$project/"
node "$project/overhead.mjs" "$built/examples/overhead"
