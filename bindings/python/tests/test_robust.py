"""What programs do to a library: signals, threads, forks, ends, and objects that are closed."""

from __future__ import annotations

import gc
import inspect
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import nakivo
from conftest import PASSPHRASE, Backed, url_of
from nakivo.testing import Emulator

# A program gets this much time, then it hangs.
HANGS = 60

PREPARED = """
import asyncio, os, signal, sys, threading
import nakivo
from nakivo import aio
from nakivo.testing import Emulator
from nakivo.aio.testing import Emulator as AsyncEmulator
url = "file:" + sys.argv[1]
"""


def program(text: str, folder: Path) -> subprocess.Popen[str]:
    """A process of its own that runs this, after what every one of them needs."""
    command = [sys.executable, "-P", "-X", "faulthandler", "-c", PREPARED + text, str(folder / "repository")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def said(text: str, folder: Path) -> list[str]:
    """What a program says that ends well."""
    process = program(text, folder)
    out, err = process.communicate(timeout=HANGS)
    assert process.returncode == 0, err
    assert err == ""
    return out.split()


def test_importing_starts_no_thread_and_loads_no_asyncio(tmp_path: Path) -> None:
    alone = """
import sys, nakivo
tasks = len(os.listdir("/proc/self/task")) if (os := __import__("os")) and sys.platform == "linux" else 1
print(tasks, "asyncio" in sys.modules)
import nakivo.aio, nakivo.aio.testing, nakivo.testing
print(len(os.listdir("/proc/self/task")) if sys.platform == "linux" else 1)
"""
    out = subprocess.run([sys.executable, "-P", "-c", alone], capture_output=True, text=True, timeout=HANGS, check=True)
    assert out.stdout.split() == ["1", "False", "1"]


class Alarm(Exception):
    """What the handler of a signal raises."""


@pytest.mark.parametrize("raised", [KeyboardInterrupt, Alarm])
def test_a_signal_while_waiting_for_a_run_cancels_it(tmp_path: Path, raised: type[BaseException]) -> None:
    def ring(number: int, frame: object) -> None:
        raise raised

    before = signal.signal(signal.SIGALRM, ring)
    try:
        with Emulator.start(users=1, items_per_user=30) as emulator:
            (who,) = emulator.info().mailboxes
            source = emulator.source(["mail"])
            with nakivo.Repository.create(url_of(tmp_path / "repository"), unencrypted=True) as repository:
                for step in ("outcome", "__next__"):
                    run = source.backup(repository, who)
                    emulator.throttle_next(10_000, 5)
                    signal.setitimer(signal.ITIMER_REAL, 0.3)
                    with pytest.raises(raised):
                        while True:
                            getattr(run, step)()
                    emulator.clear_faults()
                    with pytest.raises(nakivo.CancelledError):
                        run.outcome()
                # One that has no run to cancel is given up.
                emulator.throttle_next(10_000, 5)
                signal.setitimer(signal.ITIMER_REAL, 0.3)
                with pytest.raises(raised):
                    source.objects()
                emulator.clear_faults()
                assert source.backup(repository, who).outcome().items == 30
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_listing_that_was_interrupted_does_not_go_on(backed: Backed, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was on its way is lost: going on would leave it out silently."""
    listing = backed.point.find("")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("nakivo._runtime._native.call", interrupted)
        with pytest.raises(KeyboardInterrupt):
            next(listing)
    with pytest.raises(nakivo.InvalidInputError, match="it was closed"):
        next(listing)


INTERRUPTED = {
    "waiting": """
with Emulator.start(users=1, items_per_user=30) as emulator:
    (who,) = emulator.info().mailboxes
    source = emulator.source(["mail"])
    with nakivo.Repository.create(url, unencrypted=True) as repository:
        try:
            with source.backup(repository, who) as run:
                emulator.throttle_next(10_000, 5)
                print("ready", flush=True)
                run.outcome()
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        try:
            run.outcome()
        except nakivo.CancelledError:
            print("cancelled")
""",
    "awaiting": """
async def main():
    async with await AsyncEmulator.start(users=1, items_per_user=30) as emulator:
        (who,) = (await emulator.info()).mailboxes
        source = await emulator.source(["mail"])
        async with await aio.Repository.create(url, unencrypted=True) as repository:
            try:
                async with await source.backup(repository, who) as run:
                    await emulator.throttle_next(10_000, 5)
                    print("ready", flush=True)
                    await run.outcome()
            finally:
                try:
                    await run.outcome()
                except nakivo.CancelledError:
                    print("cancelled")
try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
""",
}


@pytest.mark.parametrize("how", INTERRUPTED)
def test_ctrl_c_cancels_and_interrupts(tmp_path: Path, how: str) -> None:
    process = program(INTERRUPTED[how], tmp_path)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=HANGS)
    assert (process.returncode, sorted(out.split()), err) == (0, ["cancelled", "interrupted"], "")


def test_a_fork_opens_its_own(tmp_path: Path) -> None:
    assert said(
        """
repository = nakivo.Repository.create(url, unencrypted=True)
child = os.fork()
if child == 0:
    try:
        repository.info()
    except nakivo.InvalidInputError as error:
        print("forked" if "forked" in str(error) else error, flush=True)
    repository.close()
    with nakivo.Repository.open(url) as mine:
        print(mine.info().points, flush=True)
    async def main():
        async with await aio.Repository.open(url) as mine:
            print((await mine.info()).points, flush=True)
    asyncio.run(main())
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
print(repository.info().points)
""",
        tmp_path,
    ) == ["forked", "0", "0", "0"]


def test_a_process_ends_while_calls_go_on(tmp_path: Path) -> None:
    """A daemon thread that waits, a task that awaits, and a run that nobody awaits: none of them holds it up or breaks it."""
    text = """
emulator = Emulator.start(users=1, items_per_user=30)
(who,) = emulator.info().mailboxes
source = emulator.source(["mail"])
repository = nakivo.Repository.create(url, unencrypted=True)
run = source.backup(repository, who)
def ask():
    while True:
        repository.info()
def listen():
    async def main():
        mine = await aio.Repository.open(url)
        started.set()
        while True:
            await asyncio.gather(*(mine.info() for _ in range(20)))
    asyncio.run(main())
def hang():
    emulator.throttle_next(10_000, 5)
    source.objects()
for target in (ask, ask, listen, hang):
    started = threading.Event()
    threading.Thread(target=target, daemon=True).start()
    if target is listen:
        started.wait()
print("ends")
"""
    for _ in range(int(os.environ.get("NAKIVO_ENDS", "5"))):
        folder = tmp_path / str(_)
        folder.mkdir()
        assert said(text, folder) == ["ends"]


def test_a_loop_that_is_closed_takes_no_answer(tmp_path: Path) -> None:
    assert said(
        """
async def main():
    repository = await aio.Repository.create(url, unencrypted=True)
    for _ in range(50):
        asyncio.ensure_future(repository.info())
    await asyncio.sleep(0)
    return repository
repository = asyncio.run(main())
print(asyncio.run(repository.info()).points)
""",
        tmp_path,
    ) == ["0"]


def test_threads_share_an_object(backed: Backed) -> None:
    def look(number: int) -> int:
        if number % 7 == 0:
            with nakivo.Repository.open(backed.url, passphrase=PASSPHRASE) as repository:
                return len(list(repository.point(backed.mailboxes[0], "latest").find("")))
        return len(list(backed.point.find("")))

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(look, range(64)))) == 1


def test_the_interpreter_is_free_while_a_call_goes_on(backed: Backed) -> None:
    """Another thread runs Python code while this one waits."""
    ticks, stop = 0, threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not stop.is_set():
            ticks += 1

    thread = threading.Thread(target=tick)
    thread.start()
    before = ticks
    backed.repository.verify().outcome()
    stop.set()
    thread.join()
    assert ticks > before + 1000


def test_what_is_closed_says_so(backed: Backed) -> None:
    with nakivo.Repository.open(backed.url, passphrase=PASSPHRASE) as repository:
        point = repository.point(backed.mailboxes[0], "latest")
        plan = point.plan(backed.source).outcome()
    source = backed.emulator.source()
    for held in (repository, point, plan, source):
        held.close()
        held.close()
        assert held.closed
        for name, method in inspect.getmembers(type(held), inspect.isfunction):
            if name.startswith("_") or name == "close":
                continue
            needed = [each for each in list(inspect.signature(method).parameters.values())[1:] if each.kind.value < 2]
            known = {"repository": backed.repository, "source": backed.source}
            arguments = [known.get(each.name, "x") for each in needed]
            with pytest.raises(nakivo.InvalidInputError, match="it was closed"):
                method(held, *arguments)
    with pytest.raises(nakivo.InvalidInputError, match="it was closed"):
        backed.source.backup(repository, backed.mailboxes[0])
    listing = backed.point.find("")
    next(listing)
    listing.close()
    assert len(list(backed.point.find(""))) > 1
    content = backed.point.content(next(entry.id for entry in backed.point.find("") if entry.kind == "message"))
    with content:
        pass
    with pytest.raises(nakivo.InvalidInputError, match="it was closed"):
        content.read()


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(sys.platform != "linux", reason="SKIPPED: what is in memory is read from /proc")
def test_opening_and_closing_does_not_add_up(tmp_path: Path, backed: Backed) -> None:
    url = url_of(tmp_path / "repository")
    nakivo.Repository.create(url, unencrypted=True).close()
    who = backed.mailboxes[0]

    def cycle(number: int) -> None:
        point = backed.repository.point(who, "latest")
        listing = point.find("")
        next(listing)
        if number % 2:
            # The other half is left to the garbage collector.
            listing.close()
            point.close()
        if number % 4 == 0:
            with nakivo.Repository.open(url) as repository:
                repository.info()
        if number % 16 == 0:
            backed.repository.verify(point=point.info().id if not point.closed else None).outcome()

    cycles = int(os.environ.get("NAKIVO_CYCLES", "1000"))
    for number in range(cycles // 5):
        cycle(number)
    gc.collect()
    before = resident()
    for number in range(cycles):
        cycle(number)
    gc.collect()
    grown = resident() - before
    print(f"{cycles} cycles: {grown} bytes more")
    assert grown < 24 << 20
