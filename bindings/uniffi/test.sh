#!/usr/bin/env bash
# The library for Kotlin, Swift and Python through UniFFI: generates all three sides of the built library, compiles the Kotlin one
# and runs the scenario of all languages on it, makes calls through the Python one, and holds the names of all three against the
# description.
#
#   bindings/uniffi/test.sh
#
# Needs a JDK and Maven, which are installed as Debian packages where missing.
set -euo pipefail
# shellcheck source=.ci/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../.ci/lib.sh"

need javac openjdk-17-jdk-headless
need mvn maven

out=$target/uniffi
cargo build --locked -q -p nakivo-uniffi -p nakivo-uniffi-bindgen
rm -rf "$out/generated"
"$target/debug/uniffi-bindgen" generate --library "$target/debug/libnakivo_uniffi.so" \
  --config bindings/uniffi/uniffi.toml --language kotlin --language swift --language python --out-dir "$out/generated" --no-format >/dev/null
python3 bindings/uniffi/names.py bindings/api.json "$out/generated"
NAKIVO_UNIFFI=$out/generated NAKIVO_LIBRARY=$target/debug/libnakivo_uniffi.so python3 -m unittest -v bindings/uniffi/test_python.py

mvn --batch-mode --no-transfer-progress --quiet -f bindings/uniffi/kotlin/pom.xml test \
  -Dnakivo.generated="$out/generated" -Dnakivo.library="$target/debug" -Dnakivo.build="$out/maven" \
  -Dsurefire.printSummary=true -Dstyle.color=never -Dorg.slf4j.simpleLogger.log.org.apache.maven.plugin.surefire=info
