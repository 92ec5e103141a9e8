#!/usr/bin/env bash
# The library for Kotlin, Swift and Python through UniFFI: generates all three sides of the built library, compiles the Kotlin one
# and runs the scenario of all languages on it, makes calls through the Python one, and holds the names of all three against the
# description.
#
#   bindings/uniffi/test.sh [packages and features, as cargo takes them; default: --workspace]
#
# Needs a JDK and Maven, which are installed as Debian packages where missing.
set -euo pipefail
# shellcheck source=.ci/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../.ci/lib.sh"

need javac openjdk-17-jdk-headless
need mvn maven

# Built with what the tests were built with, so that nothing of the library is compiled twice.
cargo build --locked -q "${@:---workspace}"
out=$target/uniffi
rm -rf "$out/generated"
"$target/debug/uniffi-bindgen" generate --library "$target/debug/libnakivo_uniffi.so" \
  --config bindings/uniffi/uniffi.toml --language kotlin --language swift --language python \
  --out-dir "$out/generated" --no-format >/dev/null
python3 bindings/uniffi/names.py bindings/api.json "$out/generated"
NAKIVO_UNIFFI=$out/generated NAKIVO_LIBRARY=$target/debug/libnakivo_uniffi.so python3 bindings/uniffi/test_python.py

mvn --batch-mode --no-transfer-progress -f bindings/uniffi/kotlin/pom.xml test \
  -Dnakivo.generated="$out/generated" -Dnakivo.library="$target/debug" -Dnakivo.build="$out/maven" -Dstyle.color=never
