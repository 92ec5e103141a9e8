"""Calls that are awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from .. import _native
from .._native import Handle
from .._runtime import Holder, prepared


class AsyncObject(Holder):
    """An object whose calls are awaited."""

    __slots__ = ()

    async def close(self) -> None:
        """Lets go of it; calls on it fail from then on. May be repeated. Work that is going on is not stopped by this."""
        self._handle.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def call(
    target: Handle | str,
    method: str,
    data: Mapping[str, Any] = {},
    objects: Mapping[str, Any] = {},
    contents: Mapping[str, Any] = {},
) -> Any:
    """Calls, and awaits the answer. Cancelling the task gives the call up."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def deliver(answer: Any, error: BaseException | None) -> None:
        loop.call_soon_threadsafe(_settle, future, answer, error)

    task = _native.start(deliver, target, method, *prepared(data, objects, contents))
    try:
        return await future
    except asyncio.CancelledError:
        task.cancel()
        raise


def _settle(future: asyncio.Future[Any], answer: Any, error: BaseException | None) -> None:
    if future.done():
        # Nobody awaits it any more. What was begun meanwhile is ended.
        if isinstance(answer, Handle) and answer.class_name.endswith("Run"):
            _native.start(lambda *_: None, answer, "cancel", *prepared({}, {}, {}))
        return
    if error is None:
        future.set_result(answer)
    else:
        future.set_exception(error)
