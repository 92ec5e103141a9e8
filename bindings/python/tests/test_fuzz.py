"""Calls with anything as arguments end well or in a typed error, and the process lives.

NAKIVO_FUZZ_CALLS says how many (default 3,000), NAKIVO_SEED repeats a run."""

from __future__ import annotations

import inspect
import os
import random
import re
import secrets
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

import nakivo
from conftest import Backed
from nakivo import _native

CALLS = int(os.environ.get("NAKIVO_FUZZ_CALLS", "3000"))
SEED = int(os.environ.get("NAKIVO_SEED") or secrets.randbits(32))


# A refusal that lasts would have every later call wait for its end; deriving a key takes a second; and where the points are gone
# there is nothing left to call.
LEFT_OUT = re.compile(r"throttle_next|fail_at|stop|close|corrupt_message|start|.*passphrase|.*_key|.*_keys|delete_points|apply_.*")


class Raising:
    """Whatever asks it for something is refused."""

    def refuse(self, *_: object) -> Any:
        raise random.Random(SEED).choice([ZeroDivisionError, KeyError, RuntimeError, nakivo.NotFoundError])("refused")

    __index__ = __fspath__ = __iter__ = __next__ = __len__ = __str__ = __repr__ = __eq__ = __bool__ = refuse
    __hash__ = None  # type: ignore[assignment]


class Lying:
    """Says that it is what it is not."""

    _handle = "handle"

    def __index__(self) -> Any:
        return "one"

    def __fspath__(self) -> Any:
        return 1


def deep() -> list[Any]:
    held: list[Any] = []
    for _ in range(100_000):
        held = [held]
    return held


ROUND: list[Any] = []
ROUND.append(ROUND)
DEEP = deep()


def rubbish(chosen: random.Random, backed: Backed, depth: int = 0) -> Any:
    """Anything. Text has no slash, so that nothing is written outside of where this runs."""
    makers: list[Callable[[], Any]] = [
        lambda: None,
        lambda: chosen.choice([True, False, 0, 1, -1, 2**31, 2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**400]),
        lambda: chosen.choice([0.0, -0.5, 1e308, float("nan"), float("inf"), -float("inf")]),
        lambda: chosen.choice(["", "x", "latest", "file:", "s3:", "\ud800", "\udfff\x00", "\x00", "a" * 10_000, "İ", "{}"]),
        lambda: "".join(chr(chosen.choice([chosen.randrange(0x80), chosen.randrange(0x110000)])) for _ in range(5)).replace("/", ""),
        lambda: chosen.choice(backed.mailboxes),
        lambda: chosen.choice([b"", b"x", bytearray(b"y"), memoryview(b"z"), memoryview(b"abc")[::2]]),
        lambda: chosen.choice([Raising(), Lying(), object(), Raising, nakivo, len, ..., 1j, DEEP, ROUND, Path("x")]),
        lambda: chosen.choice([backed.repository, backed.source, backed.point, backed.repository._handle]),
        lambda: chosen.choice([datetime.min, datetime.max, datetime.now(timezone.utc), range(3), {1, 2}, iter("ab")]),
        lambda: chosen.choice([word for word in ("rename", "skip", "overwrite", "files", "mbox", "fast", "medium")]),
        lambda: [rubbish(chosen, backed, depth + 1) for _ in range(chosen.randrange(3))] if depth < 3 else [],
        lambda: {rubbish(chosen, backed, 9) if chosen.random() < 0.1 else "x": 1} if depth < 3 else {},
    ]
    try:
        return chosen.choice(makers)()
    except TypeError:
        # What cannot be a key of a dictionary.
        return {}


def fitting(chosen: random.Random, name: str, backed: Backed) -> Any:
    """Something that an argument of this name may be, so that calls get further."""
    known: dict[str, list[Any]] = {
        "object": [backed.mailboxes[0]], "point": ["latest"], "repository": [backed.repository], "source": [backed.source],
        "target": [backed.repository], "older": [backed.point],
        "query": ["", "from:anna", "has:attachment"], "container": [""], "mailbox": backed.mailboxes, "folder": ["inbox"],
        "zip": ["out.zip"], "directory": ["out"], "services": [["mail"], []], "limit": [3], "id": [""],
    }
    return chosen.choice(known.get(name, [None]))


def called(chosen: random.Random, target: Any, backed: Backed) -> Any:
    """Calls some method of an object with something."""
    methods = [
        (name, method) for name, method in inspect.getmembers(target, inspect.ismethod)
        if not name.startswith("_") and not LEFT_OUT.fullmatch(name)
    ]
    name, method = chosen.choice(methods)
    positional, named = [], {}
    for each in inspect.signature(method).parameters.values():
        value = fitting(chosen, each.name, backed) if chosen.random() < 0.6 else rubbish(chosen, backed)
        if each.kind is each.KEYWORD_ONLY:
            if chosen.random() < 0.4:
                named[each.name] = value
        elif chosen.random() < 0.97:
            positional.append(value)
    return method(*positional, **named)


def used_up(chosen: random.Random, answer: Any, backed: Backed) -> None:
    """Does with an answer what callers do."""
    if isinstance(answer, nakivo.Run):
        if chosen.random() < 0.5:
            answer.cancel()
        used_up(chosen, answer.outcome(), backed)
    elif isinstance(answer, (nakivo.Listing, nakivo.Content)):
        next(answer, None)
        if chosen.random() < 0.5:
            answer.close()
        next(answer, None)
    elif isinstance(answer, nakivo.RecoveryPlan):
        answer.counts()
    elif isinstance(answer, (nakivo.Repository, nakivo.Point, nakivo.Source)):
        called(chosen, answer, backed)
        answer.close()


def test_any_call_ends_well_or_in_a_typed_error(backed: Backed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    print(f"NAKIVO_SEED={SEED}")
    chosen = random.Random(SEED)
    targets = [backed.repository, backed.source, backed.point, backed.emulator, nakivo.Repository, nakivo.Source]
    ends: dict[str, int] = {}
    for _ in range(CALLS):
        try:
            used_up(chosen, called(chosen, chosen.choice(targets), backed), backed)
            end = "well"
        except nakivo.NakivoError as error:
            assert error.code != "internal", error
            end = error.code
        except TypeError:
            # Too few arguments: Python itself says so.
            end = "TypeError"
        ends[end] = ends.get(end, 0) + 1
    print(ends)
    assert min(ends["well"], ends["invalid_input"], ends["not_found"]) > CALLS // 50
    assert not (tmp_path / "x" / "x").exists() and backed.repository.verify().outcome().damage == []


def test_any_use_of_the_native_module_ends_in_an_error(backed: Backed) -> None:
    print(f"NAKIVO_SEED={SEED}")
    chosen = random.Random(SEED)
    handle = backed.repository._handle
    anything: Callable[[], Any] = lambda: rubbish(chosen, backed)
    for _ in range(CALLS):
        target = chosen.choice([handle, "Repository", "Nothing", anything()])
        method = chosen.choice(["info", "open", "nothing", anything()])
        data = chosen.choice(["{}", "[]", "", '{"a": 1}', '{"\\ud800": 1}', "[" * 100_000, anything()])
        objects = chosen.choice([[], [("repository", handle)], [anything()], anything()])
        contents = chosen.choice([[], [("mime", b"x")], [anything()], anything()])
        with pytest.raises((nakivo.NakivoError, TypeError, ValueError, ZeroDivisionError, KeyError, RuntimeError)):
            _native.call(target, method, data, objects, contents)
            raise RuntimeError("well")
