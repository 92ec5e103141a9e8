"""What is bundled in the native module of a crate, and under which licences: names, versions, and the texts, each once.

    python3 bindings/licences.py CRATE > THIRD-PARTY.txt
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

NAMES = ("license", "licence", "copying", "notice", "unlicense", "copyright")


def metadata():
    host = next(line[6:] for line in run("rustc", "-vV").splitlines() if line.startswith("host: "))
    return json.loads(run("cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", host))


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8", cwd=Path(__file__).parent).stdout


def bundled(found, crate):
    """Every package that is linked into the crate, besides ours."""
    packages = {each["id"]: each for each in found["packages"]}
    nodes = {each["id"]: each for each in found["resolve"]["nodes"]}
    (start,) = (each["id"] for each in found["packages"] if each["name"] == crate)
    met, open_ = set(), [start]
    while open_:
        here = open_.pop()
        if here in met:
            continue
        met.add(here)
        for dependency in nodes[here]["deps"]:
            # Build scripts, macros and tests are not linked; macros come as normal ones, and are listed though nothing of them is in it.
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                open_.append(dependency["pkg"])
    ours = set(found["workspace_members"])
    return sorted((packages[each] for each in met - ours), key=lambda each: (each["name"], each["version"]))


def texts(package):
    """The licence files of a package."""
    for path in sorted(Path(package["manifest_path"]).parent.iterdir()):
        if path.is_file() and path.name.lower().startswith(NAMES):
            yield path.read_text(encoding="utf-8", errors="replace").strip()


def main(crate):
    listed, whose = [], {}
    for package in bundled(metadata(), crate):
        if not package["license"]:
            sys.exit(f"error: {package['name']} says no licence")
        name = f"{package['name']} {package['version']}"
        listed.append(f"{name}: {package['license']}")
        for text in texts(package):
            whose.setdefault(hashlib.sha256(" ".join(text.split()).encode()).hexdigest(), (text, []))[1].append(name)
    print(f"{len(listed)} packages are linked into this library, under these licences:\n")
    print("\n".join(listed))
    for text, names in whose.values():
        print(f"\n{'=' * 80}\n{', '.join(names)}\n{'=' * 80}\n\n{text}")


main(*sys.argv[1:])
