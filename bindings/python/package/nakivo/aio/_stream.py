"""Listings and content, piece by piece."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Self, TypeVar

from .._failure import invalid
from .._native import Handle
from .._runtime import read
from .._stream import PAGE, Saving
from ._runtime import call

T = TypeVar("T")


class _Stream:
    """What is opened when it is first asked for something, and asked for one piece after another."""

    __slots__ = ("_open", "_handle", "_closed", "_lock", "_pending")

    def __init__(self, open: Callable[[], Awaitable[Handle]]) -> None:
        self._open = open
        self._handle: Handle | None = None
        self._closed = False
        self._lock = asyncio.Lock()
        # The step that goes on. Who gives up waiting for it loses nothing: the next one who asks gets it.
        self._pending: asyncio.Future[Any] | None = None

    async def _next(self, data: dict[str, int]) -> Any:
        async with self._lock:
            if self._pending is None:
                self._pending = asyncio.ensure_future(self._ask(data))
                self._pending.add_done_callback(_seen)
            pending = self._pending
            try:
                answer = await asyncio.shield(pending)
            except BaseException:
                task = asyncio.current_task()
                if pending.cancelled() and not (task and task.cancelling()):
                    raise invalid(type(self).__name__, "it was closed") from None
                if pending.done():
                    # What would come now would not follow on what came before.
                    await self.close()
                raise
            self._pending = None
            return answer

    async def _ask(self, data: dict[str, int]) -> Any:
        if self._handle is None:
            self._handle = await self._open()
        if self._closed:
            self._handle.close()
        return await call(self._handle, "next", data)

    async def close(self) -> None:
        """Lets go of it. May be repeated."""
        self._closed = True
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
        if self._handle is not None:
            self._handle.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _seen(pending: asyncio.Future[Any]) -> None:
    """So that an error that nobody waits for any more is not complained about."""
    if not pending.cancelled():
        pending.exception()


class Listing(_Stream, Generic[T]):
    """An asynchronous iterator of records, as they are found. Only a page of them is in memory. What is wrong with the call
    that made it is raised by the first step."""

    __slots__ = ("_make", "_page")

    def __init__(self, open: Callable[[], Awaitable[Handle]], make: Callable[[Any], T]) -> None:
        super().__init__(open)
        self._make = make
        self._page: deque[Any] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if not self._page:
            self._page.extend(read(await self._next({"most": PAGE})))
            if not self._page:
                raise StopAsyncIteration
        return self._make(self._page.popleft())


class Content(_Stream):
    """An asynchronous iterator of pieces of content, of about 1 MiB. An error means that what came before is not the whole.
    What is wrong with the call that made it is raised by the first step."""

    __slots__ = ("_rest",)

    def __init__(self, open: Callable[[], Awaitable[Handle]]) -> None:
        super().__init__(open)
        self._rest = b""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._rest:
            piece, self._rest = self._rest, b""
            return piece
        answer: bytes | None = await self._next({})
        if answer is None:
            raise StopAsyncIteration
        return answer

    async def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, or all that is left; none at the end."""
        if size < 0:
            return b"".join([piece async for piece in self])
        pieces, missing = [], size
        while missing > 0:
            piece = await anext(self, b"")
            if not piece:
                break
            pieces.append(piece[:missing])
            self._rest = piece[missing:]
            missing -= len(pieces[-1])
        return b"".join(pieces)

    async def save(self, path: str | os.PathLike[str]) -> int:
        """Writes what is left to a file, and says how many bytes that were. The file is there only when it is whole; one that
        is there is replaced."""
        with Saving(path) as file:
            async for piece in self:
                file.write(piece)
        return file.size
