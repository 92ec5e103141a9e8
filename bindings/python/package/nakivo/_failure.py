"""What every error has, and how the native module makes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar

_by_code: dict[str, type[NakivoError]] = {}


class NakivoError(Exception):
    """The call failed. Each code has a class of its own under this one."""

    code: str
    """Stable code of what happened, for programs."""
    reason: str
    """One line for people. Never holds a secret or the content of a message."""
    hint: str | None
    """What can be done about it, if there is something."""
    retry_after: float | None
    """Shortest time to wait before the next try, in seconds, where a service named one."""
    retryable: bool
    """Whether the same call may succeed later without any change by the caller."""
    issues: Sequence[Any]
    """What could not be done, of an operation of which the rest was."""

    _code: ClassVar[str] = "internal"

    def __init__(
        self,
        reason: str = "",
        *,
        code: str | None = None,
        hint: str | None = None,
        retry_after: float | None = None,
        retryable: bool = False,
        issues: Sequence[Any] = (),
    ) -> None:
        super().__init__(reason)
        self.code = self._code if code is None else code
        self.reason = reason
        self.hint = hint
        self.retry_after = retry_after
        self.retryable = retryable
        self.issues = issues

    def __init_subclass__(cls, *, code: str | None = None, **others: Any) -> None:
        super().__init_subclass__(**others)
        if code is not None:
            cls._code = code
            _by_code[code] = cls

    def __str__(self) -> str:
        return f"{self.reason}. {self.hint}" if self.hint else self.reason

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self.reason, {**self.__dict__, "reason": self.reason})


class PartialError(NakivoError, code="partial"):
    """A part could not be done: `issues` says which. The rest was."""


def _again(kind: type[NakivoError], reason: str, state: dict[str, Any]) -> NakivoError:
    """An error that was pickled."""
    error = kind(reason)
    error.__dict__.update(state)
    return error


def of_failure(text: str) -> NakivoError:
    """The error that the native module describes."""
    from . import errors as _  # so that every code has its class

    failure: dict[str, Any] = json.loads(text)
    return _by_code.get(failure["code"], NakivoError)(**failure)


def invalid(field: str, why: str) -> NakivoError:
    """The error of a value that is not allowed."""
    from .errors import InvalidInputError

    return InvalidInputError(f"{field}: {why}")


class Report:
    """What a long call did, which may have been a part of it only."""

    __slots__ = ()

    def raise_for_issues(self) -> None:
        """Raises `PartialError`, which names what could not be done, if something could not."""
        if getattr(self, "outcome", "") == "partial":
            issues = _issues(self)
            raise PartialError(f"{len(issues)} issues: a part could not be done", issues=issues)


def _issues(report: Report) -> list[Any]:
    """The records of a report that say what could not be done."""
    for name in ("issues", "failed"):
        records = getattr(report, name, None)
        if isinstance(records, list):
            return records
    return [item for item in getattr(report, "items", ()) if item.outcome == "failed"]
