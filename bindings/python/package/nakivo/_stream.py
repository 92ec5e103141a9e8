"""Listings and content, piece by piece."""

from __future__ import annotations

import os
import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from ._native import Handle
from ._runtime import Object, call, read

T = TypeVar("T")
# How many records are asked for at once.
PAGE = 1000


class _Stream(Object):
    """What is asked for one piece after another."""

    __slots__ = ()

    def _next(self, data: dict[str, int]) -> Any:
        try:
            return call(self._handle, "next", data)
        except BaseException:
            # The piece may be lost, or a part of it: what would come now would not follow on what came before.
            self.close()
            raise


class Listing(_Stream, Generic[T]):
    """An iterator of records, as they are found. Only a page of them is in memory."""

    __slots__ = ("_make", "_page")

    def __init__(self, handle: Handle, make: Callable[[Any], T]) -> None:
        super().__init__(handle)
        self._make = make
        self._page: deque[Any] = deque()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        if not self._page:
            self._page.extend(read(self._next({"most": PAGE})))
            if not self._page:
                raise StopIteration
        return self._make(self._page.popleft())


class Content(_Stream):
    """An iterator of pieces of content, of about 1 MiB. An error means that what came before is not the whole."""

    __slots__ = ("_rest",)

    def __init__(self, handle: Handle) -> None:
        super().__init__(handle)
        self._rest = b""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        if self._rest:
            piece, self._rest = self._rest, b""
            return piece
        answer: bytes | None = self._next({})
        if answer is None:
            raise StopIteration
        return answer

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, or all that is left; none at the end."""
        if size < 0:
            return b"".join(self)
        pieces, missing = [], size
        while missing > 0:
            piece = next(self, b"")
            if not piece:
                break
            pieces.append(piece[:missing])
            self._rest = piece[missing:]
            missing -= len(pieces[-1])
        return b"".join(pieces)

    def save(self, path: str | os.PathLike[str]) -> int:
        """Writes what is left to a file, and says how many bytes that were. The file is there only when it is whole; one that
        is there is replaced."""
        with Saving(path) as file:
            for piece in self:
                file.write(piece)
        return file.size


class Saving:
    """A file that is there only when it is whole."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self.size = 0

    def __enter__(self) -> Self:
        folder = self._path.parent
        self._file = tempfile.NamedTemporaryFile(dir=folder, prefix=f".{self._path.name}.", delete=False)
        return self

    def write(self, piece: bytes) -> None:
        """Adds a piece."""
        self.size += self._file.write(piece)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            self._file.close()
            if kind is None:
                os.replace(self._file.name, self._path)
        finally:
            Path(self._file.name).unlink(missing_ok=True)
