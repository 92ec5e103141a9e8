#!/usr/bin/env bash
# Runs the tests of the reader in a virtual environment of their own.
#   test.sh [folder of the environment]    NAKIVO=path of the built binary for the tests that compare with it
#   PYTHON=python3.9 chooses another interpreter
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=${1:-}
if [ -z "$venv" ]; then
    temporary=$(mktemp -d)
    trap 'rm -rf "$temporary"' EXIT
    venv=$temporary/venv
fi
if [ -n "${NAKIVO:-}" ]; then
    NAKIVO=$(realpath "$NAKIVO")
    export NAKIVO
fi
[ -x "$venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
cd "$here"
PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" -m unittest -v test_reader
