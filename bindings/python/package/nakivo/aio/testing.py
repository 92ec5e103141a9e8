# Generated from bindings/api.json by bindings/generate: change it there.

"""For tests with asyncio: an organisation that is not there."""

from .._records import EmulatorInfo, MessageTruth
from ._classes import Emulator

__all__ = [
    "Emulator",
    "EmulatorInfo",
    "MessageTruth",
]
