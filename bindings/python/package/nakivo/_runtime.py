"""Calls of the native module, and what goes over with them."""

from __future__ import annotations

import atexit
import json
import operator
import os
import time
from collections.abc import Callable, Mapping, Set
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta, timezone
from keyword import iskeyword
from types import TracebackType
from typing import Any, Self, TypeVar

from . import _native
from ._failure import NakivoError, invalid
from ._native import Handle

T = TypeVar("T")


class Holder:
    """Something that holds an object of the library."""

    __slots__ = ("_handle", "__weakref__")

    def __init__(self, handle: Handle) -> None:
        if not isinstance(handle, Handle):
            raise TypeError(f"{type(self).__name__} is made by its class methods, and by what others answer")
        self._handle = handle

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._handle.closed

    def __repr__(self) -> str:
        kind = type(self)
        module = kind.__module__.partition("._")[0]
        return f"<{module}.{kind.__qualname__}{' (closed)' if self.closed else ''}>"


class Object(Holder):
    """An object whose calls wait for their answer."""

    __slots__ = ()

    def close(self) -> None:
        """Lets go of it; calls on it fail from then on. May be repeated. Work that is going on is not stopped by this."""
        self._handle.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def call(
    target: Handle | str,
    method: str,
    data: Mapping[str, Any] = {},
    objects: Mapping[str, Any] = {},
    contents: Mapping[str, Any] = {},
) -> Any:
    """Calls, and waits for the answer."""
    return _native.call(target, method, *prepared(data, objects, contents))


def prepared(
    data: Mapping[str, Any], objects: Mapping[str, Any], contents: Mapping[str, Any]
) -> tuple[str, list[tuple[str, Handle]], list[tuple[str, bytes]]]:
    """Arguments as the native module takes them."""
    return (
        written(data),
        [(name, held(name, each)) for name, each in objects.items()],
        [(name, content(name, each)) for name, each in contents.items()],
    )


def present(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that there are."""
    return {name: value for name, value in values.items() if value is not None}


def written(data: Mapping[str, Any]) -> str:
    """Data as JSON."""
    try:
        return json.dumps(data, default=plain, allow_nan=False)
    except Exception:
        pass
    # Which of them it was is looked for only now.
    for name, value in data.items():
        try:
            json.dumps(value, default=plain, allow_nan=False)
        except Exception as error:
            raise invalid(name, f"it cannot be passed: {error}") from error
    raise invalid("arguments", "they change while they are passed")


def plain(value: Any) -> Any:
    """What JSON has no form for, as something that it has one for."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a time without a zone; allowed: an aware datetime")
        return value.astimezone(timezone.utc).isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {word(field.name): getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (Set, range)) or (hasattr(value, "__next__") and hasattr(value, "__iter__")):
        return list(value)
    if hasattr(value, "__index__"):
        return operator.index(value)
    raise TypeError(f"a value of type {type(value).__name__}")


def word(name: str) -> str:
    """The name that an argument goes by: in Python some words have an underscore behind them."""
    return name[:-1] if name.endswith("_") and iskeyword(name[:-1]) else name


def held(name: str, value: Any) -> Handle:
    """The object that is meant by an argument."""
    handle = getattr(value, "_handle", None)
    if isinstance(value, Holder) and isinstance(handle, Handle):
        return handle
    raise invalid(name, f"a value of type {type(value).__name__}; allowed: an object of this package")


def content(name: str, value: Any) -> bytes:
    """The bytes that are meant by an argument."""
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise invalid(name, f"a value of type {type(value).__name__}; allowed: bytes")
    try:
        return bytes(value)
    except ValueError as error:
        raise invalid(name, str(error)) from error


def read(answer: str) -> Any:
    """An answer that is JSON."""
    return json.loads(answer)


def reader(make: Callable[[Any], T]) -> Callable[[str], T]:
    """What makes a record of an answer."""
    return lambda answer: make(json.loads(answer))


_FIRST = datetime.min.replace(tzinfo=timezone.utc)
_LAST = datetime.max.replace(tzinfo=timezone.utc)


def moment(text: str) -> datetime:
    """A time. The years 1 to 9999 are all that there is in Python: others become the first or the last moment of these."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return _FIRST if text.startswith(("-", "0")) else _LAST


def moment_or_none(text: str | None) -> datetime | None:
    """A time, if there is one."""
    return None if text is None else moment(text)


def wait_for_end(wait: Callable[[], object], cancel: Callable[[], object]) -> None:
    """Cancels a long call and waits for its end, however it ends."""
    try:
        cancel()
        wait()
    except NakivoError:
        pass


def _at_exit() -> None:
    """Sees to it that no thread wants the interpreter when it is no more."""
    _native.end()
    while _native.entering():
        time.sleep(0.001)


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_native.after_fork)
