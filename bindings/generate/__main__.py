"""`python3 -m generate [--check] [language ...]`, from the folder `bindings`."""

import importlib
import sys
from pathlib import Path

from .common import Api

BINDINGS = Path(__file__).resolve().parent.parent
LANGUAGES = ("python", "node", "kotlin")


def languages(names):
    """The generator of each language, of those that there are."""
    for name in names or LANGUAGES:
        if (Path(__file__).parent / f"{name}.py").exists():
            yield importlib.import_module(f".{name}", __package__)


def main(arguments):
    check = "--check" in arguments
    api = Api.read(BINDINGS / "api.json")
    stale = []
    for language in languages([name for name in arguments if name != "--check"]):
        # Each says what it writes: text by path.
        files = language.generate(api)
        for path, text in files.items():
            path = BINDINGS / path
            if path.exists() and path.read_text(encoding="utf-8") == text:
                continue
            stale.append(path.relative_to(BINDINGS))
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    for path in stale:
        print(f"bindings/{path}: {'stale' if check else 'written'}")
    if check and stale:
        sys.exit("error: run `python3 -m generate` in the folder `bindings`")


main(sys.argv[1:])
