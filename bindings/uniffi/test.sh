#!/usr/bin/env bash
# The library for Kotlin, Swift and Python through UniFFI: generates all three sides of the built library, compiles the Kotlin one
# and runs the scenario of all languages on it, makes calls through the Python one, and holds the names of all three against the
# description.
#
#   bindings/uniffi/test.sh [packages and features, as cargo takes them; default: -p nakivo-uniffi]
#
# Needs a JDK and Maven, which are installed as Debian packages where missing.
set -euo pipefail
# shellcheck source=.ci/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../.ci/lib.sh"

need javac openjdk-17-jdk-headless
need mvn maven

# As the tests have built it, of the same features, so that nothing of the library is compiled twice.
[ $# -gt 0 ] || set -- -p nakivo-uniffi
out=$target/uniffi
mkdir -p "$out"
cargo test --locked --no-run --message-format=json-render-diagnostics "$@" </dev/null >"$out/built.json"
# built TARGET SUFFIX: the file that cargo made of it.
built() {
  python3 - "$out/built.json" "$@" <<'PYTHON'
import json, sys
for line in open(sys.argv[1], encoding="utf-8"):
    told = json.loads(line)
    if told.get("reason") == "compiler-artifact" and told["target"]["name"] == sys.argv[2] and not told["profile"]["test"]:
        print(*(name for name in told["filenames"] if name.endswith(sys.argv[3])))
PYTHON
}
library=$(built nakivo_uniffi .so)
[ -n "$library" ] || fail "cargo built no library of nakivo-uniffi"

rm -rf "$out/generated"
"$(built uniffi-bindgen bindgen)" generate --config bindings/uniffi/uniffi.toml --no-format \
  --language kotlin --language swift --language python --out-dir "$out/generated" "$library" >/dev/null
python3 bindings/uniffi/names.py bindings/api.json "$out/generated"
printf "== unittest: UniFFI's side for Python\n"
NAKIVO_UNIFFI=$out/generated NAKIVO_LIBRARY=$library python3 bindings/uniffi/test_python.py

mvn --batch-mode --no-transfer-progress -f bindings/uniffi/kotlin/pom.xml test \
  -Dnakivo.generated="$out/generated" -Dnakivo.library="$(dirname "$library")" -Dnakivo.build="$out/maven" -Dstyle.color=never
