# Shared by the scripts beside it. Sourced, not run.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top"

export CARGO_INCREMENTAL=0 CARGO_TERM_COLOR=never
export PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
target=${CARGO_TARGET_DIR:-$top/target}
reports=$target/reports

# fail MESSAGE: ends the script with the reason.
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# step TITLE COMMAND...: runs it, says what took how long. A failure ends the script; no `if` around the command, which would
# let a function run on after its first failing line.
step_title=
step() {
  local start=$SECONDS
  step_title=$1
  shift
  printf '\n== %s\n' "$step_title"
  "$@"
  printf '== %s: ok, %d s\n' "$step_title" $((SECONDS - start))
  step_title=
}
finish() {
  [ -z "$step_title" ] || printf 'error: %s failed after %d s in all\n' "$step_title" "$SECONDS" >&2
  if declare -F stop_servers >/dev/null; then stop_servers; fi
  # What still builds in the background goes, too.
  jobs -p | xargs -r kill 2>/dev/null || true
  [ -z "$scratch" ] || rm -rf "$scratch"
}
# What the tests write is flushed as in earnest, and they wait for the disk most of their time: it goes to memory where there is
# enough of that. `finish` removes it.
scratch=
scratch_in_memory() {
  local free
  free=$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1) || return 0
  [ -w /dev/shm ] && [ "$free" -ge $((4 << 20)) ] || return 0
  scratch=$(mktemp -d /dev/shm/nakivo-tests-XXXXXX)
  export TMPDIR=$scratch
}
trap finish EXIT

# need COMMAND PACKAGE: installs the Debian package when the command is missing.
need() {
  command -v "$1" >/dev/null 2>&1 && return
  command -v apt-get >/dev/null 2>&1 || fail "$1 is missing: install it"
  local sudo=
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || fail "$1 is missing and this is not root: install $2"
    sudo=sudo
  fi
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$2" </dev/null >/dev/null 2>&1 || {
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get update -q </dev/null
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$2" </dev/null
  }
}

# summarise LOG: one line per test binary, the totals, what was skipped and why. Fails when a test failed or none ran.
summarise() {
  python3 - "$1" <<'PYTHON'
import re, sys
text = open(sys.argv[1], encoding="utf-8", errors="replace").read()
crate, name, rows, skipped, node, python = "?", "?", [], [], {}, "the second reader, Python"
for line in text.splitlines():
    if found := re.match(r"\s+(?:Running (?:unittests )?(\S+) \(\S+/([\w-]+)-[0-9a-f]+(?:\.exe)?\)|Doc-tests (\S+))", line):
        # A crate's unit tests run before its integration tests, whose own line does not name the crate.
        crate = found[3] or (found[2] if "unittests" in line else crate)
        name = f"{crate} {found[1] or 'doc-tests'}"
    elif found := re.match(r"test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;.* finished in ([\d.]+)s", line):
        rows.append((name, *map(int, found.groups()[:3]), float(found[4])))
    elif found := re.match(r"Ran (\d+) tests? in ([\d.]+)s", line):
        # Python's unittest: how they ended stands in its last line.
        ran, seconds, name = int(found[1]), float(found[2]), python
    elif found := re.match(r"== unittest: (.+)$", line):
        python = found[1]
    elif found := re.match(r"(OK|FAILED)(?: \((.*)\))?$", line):
        told = dict(re.findall(r"(failures|errors|skipped)=(\d+)", found[2] or ""))
        bad, left_out = int(told.get("failures", 0)) + int(told.get("errors", 0)), int(told.get("skipped", 0))
        rows.append((name, ran - bad - left_out, bad, 0, seconds))
    elif found := re.match(r"(?:=+ )?((?:\d+ [a-z]+(?:, )?)+) in ([\d.]+)s", line):
        # pytest.
        told = {word: int(count) for count, word in re.findall(r"(\d+) (\w+)", found[1])}
        bad = sum(told.get(word, 0) for word in ("failed", "error", "errors"))
        rows.append(("nakivo for Python", told.get("passed", 0), bad, told.get("skipped", 0), float(found[2])))
    elif found := re.match(r"\u2139 (tests|pass|fail|cancelled|skipped|todo|duration_ms) ([\d.]+)$", line):
        # Node's runner: one figure in each line, the time last.
        node[found[1]] = float(found[2])
        if found[1] == "duration_ms":
            bad = int(node["fail"] + node["cancelled"])
            rows.append(("nakivo for Node", int(node["pass"]), bad, int(node["todo"]), node["duration_ms"] / 1000))
    elif found := re.search(r"Tests run: (\d+), Failures: (\d+), Errors: (\d+), Skipped: (\d+), Time elapsed: ([\d.]+) s -- in (\w+)", line):
        # Maven's Surefire: a line for each class.
        ran, bad, left_out = int(found[1]), int(found[2]) + int(found[3]), int(found[4])
        rows.append((f"Kotlin {found[6]}", ran - bad - left_out, bad, left_out, float(found[5])))
    elif found := re.search(r"SKIPPED: .*", line):
        skipped.append(found[0])
for name, passed, failed, ignored, seconds in rows:
    if passed or failed or ignored:
        print(f"{passed:6} passed {failed:3} failed {ignored:3} ignored {seconds:8.1f} s  {name}")
passed, failed, ignored = (sum(row[at] for row in rows) for at in (1, 2, 3))
for reason in skipped:
    print("  " + reason)
print(f"{passed} passed, {failed} failed, {ignored + len(skipped)} skipped")
sys.exit(failed > 0 or passed == 0)
PYTHON
}
