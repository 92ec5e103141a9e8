#!/usr/bin/env bash
# Builds the wheel, installs it into an empty environment and tests it there; checks its types.
#   test.sh [folder for the environments]    default: python-venvs in the target directory
#   NAKIVO_BUILD      of which packages and features `cargo test` builds the native module, so that nothing is compiled twice;
#                     default: --workspace
#   NAKIVO_FUZZ_CALLS and NAKIVO_SEED: see tests/test_fuzz.py
#   PYTHON=python3.12 chooses another interpreter, of 3.11 or newer
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
export CARGO_INCREMENTAL=0 PYTHONDONTWRITEBYTECODE=1
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$top/target}
export PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
export PIP_DISABLE_PIP_VERSION_CHECK=1
folder=${1:-$CARGO_TARGET_DIR/python-venvs}
tools=$folder/tools
clean=$folder/clean
mkdir -p "$folder"

[ -x "$tools/bin/python" ] || "${PYTHON:-python3}" -m venv "$tools"
"$tools/bin/python" -m pip install --quiet --requirement "$here/requirements.txt"

# The wheel. The real cargo is called through prebuilt/cargo.
rm -rf "$folder/wheels"
NAKIVO_CARGO=$(command -v cargo) NAKIVO_PATH=$PATH PATH=$here/prebuilt:$PATH \
    "$tools/bin/maturin" build --quiet --profile dev --manifest-path "$here/Cargo.toml" --out "$folder/wheels"

# Installed where nothing else is, beside what runs the tests.
rm -rf "$clean"
"${PYTHON:-python3}" -m venv "$clean"
"$clean/bin/python" -m pip install --quiet --no-index "$folder"/wheels/nakivo-*.whl
"$clean/bin/python" -m pip freeze | grep -v '^nakivo' && { echo "error: the wheel brought more than itself" >&2; exit 1; }
size=$(stat -c %s "$folder"/wheels/nakivo-*.whl)
printf 'wheel: %s, %d bytes\n' "$(basename "$folder"/wheels/nakivo-*.whl)" "$size"

cd "$here"
status=0
# The tests' own tool comes from the other environment, behind everything of this one.
site=$("$tools/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
NAKIVO_TOOLS_SITE=$site "$clean/bin/python" -P tests/run.py -p no:cacheprovider -q || status=$?

types() {
    printf '\n== %s\n' "$*"
    "$@" || { status=1; printf 'FAILED: %s\n' "$*"; }
}
cd "$folder"
python=$clean/bin/python
installed=$("$python" -P -c 'import nakivo, os; print(os.path.dirname(nakivo.__file__))')
types "$tools/bin/mypy" --config-file "$here/pyproject.toml" --cache-dir "$folder/mypy" --python-executable "$python" "$installed"
types "$tools/bin/mypy" --config-file "$here/pyproject.toml" --cache-dir "$folder/mypy" --python-executable "$python" \
    "$here/tests"
types "$tools/bin/pyright" --pythonpath "$python" --ignoreexternal --verifytypes nakivo
