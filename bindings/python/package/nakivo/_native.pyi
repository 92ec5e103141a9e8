"""The native module: objects to hold, and calls by name. Private."""

from collections.abc import Callable
from typing import final

__all__ = ["__version__", "Task", "after_fork", "call", "end", "entering", "start", "Handle"]

__version__: str

@final
class Handle:
    @property
    def class_name(self) -> str: ...
    @property
    def closed(self) -> bool: ...
    def close(self) -> None: ...

@final
class Task:
    def cancel(self) -> None: ...

def call(
    target: Handle | str,
    method: str,
    data: str,
    objects: list[tuple[str, Handle]],
    contents: list[tuple[str, bytes]],
) -> str | bytes | Handle | None: ...
def start(
    deliver: Callable[[str | bytes | Handle | None, BaseException | None], object],
    target: Handle | str,
    method: str,
    data: str,
    objects: list[tuple[str, Handle]],
    contents: list[tuple[str, bytes]],
) -> Task: ...
def end() -> None: ...
def entering() -> int: ...
def after_fork() -> None: ...
