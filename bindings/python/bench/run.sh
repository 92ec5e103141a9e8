#!/usr/bin/env bash
# Measures what the package costs over Rust, both built for release: see overhead.py.
#   run.sh [folder for the environment]    default: python-bench in the target directory
#   PROFILE=dev    the debug profile instead
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../../.." && pwd)
export CARGO_INCREMENTAL=0 PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$top/target}
command -v cargo >/dev/null || export PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
folder=${1:-$CARGO_TARGET_DIR/python-bench}
profile=${PROFILE:-release}
built=$CARGO_TARGET_DIR/$([ "$profile" = dev ] && echo debug || echo "$profile")

# Both in one go: the same library.
(cd "$top" && cargo build --locked --profile "$profile" -p nakivo-bindings -p nakivo-python --lib --example overhead)
[ -x "$folder/bin/python" ] || "${PYTHON:-python3}" -m venv "$folder"
site=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
rm -rf "$site/nakivo"
cp -r "$here/../package/nakivo" "$site/nakivo"
cp "$built/lib_native.so" "$site/nakivo/_native.abi3.so"
exec "$folder/bin/python" -P "$here/overhead.py" "$built/examples/overhead"
