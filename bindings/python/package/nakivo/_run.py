"""Long calls, to be watched, awaited and cancelled."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from ._native import Handle
from ._records import Update, make_update
from ._runtime import Holder, call, reader, wait_for_end
from .errors import CancelledError, NakivoError

T = TypeVar("T")
_update = reader(make_update)


class Run(Holder, Generic[T]):
    """A long call that goes on. Iterating it gives `Update`s: events, and how far it is; it ends when the call does.

    As a context manager: leaving early cancels the call and waits for its end. An exception that ends the waiting, such as
    `KeyboardInterrupt`, cancels it, too. Without either, the call goes on, whether somebody looks or not."""

    __slots__ = ("_make", "_seen")

    def __init__(self, handle: Handle, make: Callable[[Any], T]) -> None:
        super().__init__(handle)
        self._make = make
        # Whether its end was seen.
        self._seen = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Update:
        answer = None if self._seen else self._wait("next")
        if answer is None or answer == "null":
            self._seen = True
            raise StopIteration
        return _update(answer)

    def outcome(self) -> T:
        """Waits for the end, and says what was done. May be called again.

        Raises `CancelledError` if it was cancelled."""
        answer = self._wait("outcome")
        self._seen = True
        return self._make(answer)

    def cancel(self) -> None:
        """Asks the call to stop. It then ends with `CancelledError` or, if it was done by then, as it would have."""
        call(self._handle, "cancel")

    def _wait(self, method: str) -> Any:
        try:
            return call(self._handle, method)
        except NakivoError:
            self._seen = True
            raise
        except BaseException:
            # Ctrl-C, or what another signal's handler raised.
            self._stop()
            raise

    def _stop(self) -> None:
        self._seen = True
        wait_for_end(lambda: call(self._handle, "outcome"), self.cancel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._stop()
        elif self._seen:
            # How it ended does not go unnoticed.
            call(self._handle, "outcome")
        else:
            try:
                self.cancel()
                self.outcome()
            except CancelledError:
                pass
