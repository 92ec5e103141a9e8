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
command -v cargo >/dev/null || export PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
export PIP_DISABLE_PIP_VERSION_CHECK=1
folder=${1:-$CARGO_TARGET_DIR/python-venvs}
tools=$folder/tools
clean=$folder/clean
mkdir -p "$folder"

[ -x "$tools/bin/python" ] || "${PYTHON:-python3}" -m venv "$tools"
"$tools/bin/python" -m pip install --quiet --requirement "$here/requirements.txt"

# The wheel. The real cargo is called through prebuilt/cargo.
"${PYTHON:-python3}" "$top/bindings/licences.py" nakivo-python >"$here/package/nakivo/THIRD-PARTY.txt"
rm -rf "$folder/wheels"
NAKIVO_CARGO=$(command -v cargo) NAKIVO_PATH=$PATH PATH=$here/prebuilt:$PATH \
    "$tools/bin/maturin" build --quiet --profile dev --manifest-path "$here/Cargo.toml" --out "$folder/wheels"

# Installed where nothing else is.
rm -rf "$clean"
"${PYTHON:-python3}" -m venv "$clean"
"$clean/bin/python" -m pip install --quiet --no-index "$folder"/wheels/nakivo-*.whl
if "$clean/bin/python" -m pip freeze | grep -v '^nakivo'; then
    echo "error: the wheel brought more than itself" >&2
    exit 1
fi
wheel=$(echo "$folder"/wheels/nakivo-*.whl)
printf 'wheel: %s, %d bytes\n' "$(basename "$wheel")" "$(stat -c %s "$wheel")"
# What runs the tests is found behind it.
site='import sysconfig; print(sysconfig.get_path("purelib"))'
"$tools/bin/python" -c "$site" >"$("$clean/bin/python" -c "$site")/tools.pth"

status=0
check() {
    printf '\n== %s\n' "$1"
    "${@:2}" || { status=1; printf 'FAILED: %s\n' "$1"; }
}
python=$clean/bin/python
installed=$("$python" -P -c 'import nakivo, os; print(os.path.dirname(nakivo.__file__))')
grep -q '^zstd-sys ' "$installed/THIRD-PARTY.txt" || { echo "error: the wheel does not say what is linked into it" >&2; exit 1; }
case $installed in
    "$clean"/*) ;;
    *) echo "error: nakivo comes from $installed" >&2; exit 1 ;;
esac
mypy=("$python" -P -m mypy --config-file "$here/pyproject.toml" --cache-dir "$folder/mypy" --python-executable "$python")
cd "$here"
check "pytest" "$python" -P -m pytest
# A portal that embeds the package, under the framework that its users have.
check "the portal" "$python" -P -m pytest -c /dev/null --rootdir "$top/docs/examples/portal-python" -q -p no:cacheprovider \
    "$top/docs/examples/portal-python"
cd "$folder"
check "mypy --strict, the package" "${mypy[@]}" --package nakivo
check "mypy --strict, its tests" "${mypy[@]}" "$here/tests"
# It takes an alias of several words for a union, which it is not when it runs.
sed -n 's/^\(\w*\) = Literal\[.*/nakivo._records.\1/p' "$installed/_records.py" >"$folder/words"
check "stubtest" "$python" -P -m mypy.stubtest --mypy-config-file "$here/pyproject.toml" --allowlist "$folder/words" nakivo
PATH=$clean/bin:$PATH check "pyright --verifytypes" "$tools/bin/pyright" --ignoreexternal --verifytypes nakivo
exit "$status"
