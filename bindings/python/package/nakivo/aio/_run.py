"""Long calls, to be watched, awaited and cancelled."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from .._native import Handle
from .._records import Update, make_update
from .._runtime import Holder, reader
from ..errors import CancelledError, NakivoError
from ._runtime import call

T = TypeVar("T")
_update = reader(make_update)


class Run(Holder, Generic[T]):
    """A long call that goes on. Iterating it gives `Update`s: events, and how far it is; it ends when the call does.

    As a context manager: leaving early cancels the call and waits for its end. Without, the call goes on, whether somebody
    looks or not: giving up waiting for it, as `asyncio.wait_for` does, does not cancel it."""

    __slots__ = ("_make", "_seen")

    def __init__(self, handle: Handle, make: Callable[[Any], T]) -> None:
        super().__init__(handle)
        self._make = make
        # Whether its end was seen.
        self._seen = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Update:
        answer = None if self._seen else await call(self._handle, "next")
        if answer is None or answer == "null":
            self._seen = True
            raise StopAsyncIteration
        return _update(answer)

    async def outcome(self) -> T:
        """Waits for the end, and says what was done. May be called again.

        Raises `CancelledError` of this package if it was cancelled."""
        try:
            answer = await call(self._handle, "outcome")
        except NakivoError:
            self._seen = True
            raise
        self._seen = True
        return self._make(answer)

    async def cancel(self) -> None:
        """Asks the call to stop. It then ends with `CancelledError` or, if it was done by then, as it would have."""
        await call(self._handle, "cancel")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._seen:
            # How it ended does not go unnoticed.
            await call(self._handle, "outcome")
            return
        try:
            await self.cancel()
            await self.outcome()
        except CancelledError:
            pass
        except NakivoError:
            if kind is None:
                raise
