#!/usr/bin/env bash
# Builds the package for Node, installs it into an empty project and runs its tests there.
#   test.sh [arguments of cargo]     default: -p nakivo-node; those of an earlier `cargo test` build nothing anew
# NAKIVO_SEED repeats the random calls, NAKIVO_FUZZ says how many there are.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here"
[ $# -gt 0 ] || set -- -p nakivo-node
export CARGO_INCREMENTAL=0 NO_COLOR=1 npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false
unset NODE_OPTIONS NODE_PATH

project=$(mktemp -d)
trap 'rm -rf "$project"' EXIT

# The native module as the workspace's tests have built it: of the same features, so that nothing is compiled twice.
cargo test --locked --no-run --message-format=json-render-diagnostics "$@" </dev/null >"$project/built.json"
library=$(python3 - "$project/built.json" <<'PYTHON'
import json, sys
for line in open(sys.argv[1], encoding="utf-8"):
    told = json.loads(line)
    if told.get("reason") == "compiler-artifact" and told["target"]["name"] == "nakivo_node" and not told["profile"]["test"]:
        print(*(name for name in told["filenames"] if name.endswith((".so", ".dylib", ".dll"))))
PYTHON
)
[ -n "$library" ] || { printf 'error: cargo built no library of nakivo-node\n' >&2; exit 1; }
build=$(node -p 'process.platform + "-" + process.arch + ({ linux: "-gnu", win32: "-msvc" }[process.platform] ?? "")')
rm -rf native dist
mkdir native
cp "$library" "native/nakivo.$build.node"
strip --strip-debug "native/nakivo.$build.node" 2>/dev/null || true

# The face, compiled with every strict rule, and the package as it is published.
npm ci --silent
npx --no-install tsc --project .
cp ../../LICENSE* . 2>/dev/null || true
python3 ../licences.py nakivo-node >THIRD-PARTY.txt
packed=$(npm pack --silent --pack-destination "$project")
printf 'package: %s, %s packed, %s of it native and unpacked\n' "$packed" \
  "$(du -h "$project/$packed" | cut -f1)" "$(du -h "native/nakivo.$build.node" | cut -f1)"
npx --no-install publint run "$project/$packed" --strict
npx --no-install attw "$project/$packed" --profile node16 --no-emoji --format ascii

# An empty project that has nothing but the package.
mkdir "$project/app"
cp -r tests/package/. README.md ../api.json ../scenario.json "$project/app/"
(
  cd "$project/app"
  printf '{ "private": true }\n' >package.json
  npm install --silent --offline --ignore-scripts "../$packed"
  [ "$(find node_modules -name package.json -not -path '*/nakivo/*' | wc -l)" -eq 0 ] || { printf 'error: something else came with the package\n' >&2; exit 1; }
  grep -q '^zstd-sys ' node_modules/nakivo/THIRD-PARTY.txt || { printf 'error: the package does not say what is linked into it\n' >&2; exit 1; }
  node --expose-gc --test --test-reporter=spec ./*.test.mjs ./*.test.cjs
)

# A portal that embeds it, under the framework that its users have.
mkdir "$project/portal"
cp ../../docs/examples/portal-node/* "$project/portal/"
(
  cd "$project/portal"
  printf '{ "private": true }\n' >package.json
  npm install --silent --ignore-scripts "../$packed" fastify@5.12.8
  node --test --test-reporter=spec ./*.test.mjs
)

# What the compiler says to those who use it: with the oldest kind of settings, and with the strictest.
cp tests/types.mts "$project/app/"
ln -s "$here/node_modules/@types" "$project/app/node_modules/@types"
ln -s "$here/node_modules/undici-types" "$project/app/node_modules/undici-types"
for lib in es2022,esnext.disposable es2024,esnext.disposable,dom,dom.asynciterable; do
  npx --no-install tsc --ignoreConfig --noEmit --strict --exactOptionalPropertyTypes --noUncheckedIndexedAccess --target es2022 \
    --module nodenext --types node --lib "$lib" "$project/app/types.mts"
done
printf 'types: accepted and refused as they should be\n'
