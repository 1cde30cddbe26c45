"""Which parts of a tensor's memory were written, and when: the version counter in detail.

The version says that something changed; the log says what, so that writing one element of a tensor does not spoil
derivatives that need the others. The log keeps the newest writes only; about older ones the answer is "changed".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tracejit.eager.tensor import Tensor, memory_owner

#: How many writes are remembered per tensor.
LIMIT = 1 << 14


class WriteLog:
    """The written views of one owner, the one that made version `first + i` at place i."""

    __slots__ = ("arrays", "first", "_bounds")

    def __init__(self, first: int) -> None:
        self.first = first
        self.arrays: list[Any] = []
        self._bounds: tuple[int, Any, Any] | None = None

    def add(self, array: Any) -> None:
        """Remember a write."""
        if len(self.arrays) >= LIMIT:
            self.first += LIMIT // 2
            del self.arrays[: LIMIT // 2]
        self.arrays.append(array)

    def reaches(self, version: int) -> bool:
        """Whether the log goes up to this version: a write that was only counted leaves a gap."""
        return self.first + len(self.arrays) == version + 1

    def changed(self, array: Any, since: int) -> bool:
        """Whether the array's elements may have been written after version `since`."""
        start = since + 1 - self.first
        if start < 0:
            return True
        low, high = np.lib.array_utils.byte_bounds(array)
        lows, highs = self._later_bounds()
        if start >= len(lows) or lows[start] >= high or highs[start] <= low:
            return False
        return any(np.shares_memory(array, written) for written in self.arrays[start:])

    def _later_bounds(self) -> tuple[Any, Any]:
        """For each place, the lowest and highest address that it or a later write touched."""
        if self._bounds is None or self._bounds[0] != self.first + len(self.arrays):
            bounds = np.array([np.lib.array_utils.byte_bounds(a) for a in self.arrays], np.int64).reshape(-1, 2)
            lows = np.minimum.accumulate(bounds[::-1, 0])[::-1]
            highs = np.maximum.accumulate(bounds[::-1, 1])[::-1]
            self._bounds = (self.first + len(self.arrays), lows, highs)
        return self._bounds[1], self._bounds[2]


def note_write(target: Tensor, array: Any) -> None:
    """Count a write to `array`, which is all or part of the target's memory, and tell the node whose result it was."""
    owner = memory_owner(target)
    owner._version += 1
    log = owner._writes
    if log is None or not log.reaches(owner._version - 1):
        log = owner._writes = WriteLog(owner._version)
    log.add(array)
    if owner._grad_fn is not None:
        owner._grad_fn.overwritten(owner._data)


def changed_since(tensor: Tensor, version: int) -> bool:
    """Whether elements of the tensor may have been written after its memory had this version."""
    owner = memory_owner(tensor)
    if owner._version == version:
        return False
    log = owner._writes
    if log is None or not log.reaches(owner._version) or not isinstance(tensor._data, np.ndarray):
        return True
    return log.changed(tensor._data, version)
