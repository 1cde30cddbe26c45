"""Running cotangents of one backward block.

A value without an entry has the symbolic zero. An `Update` (an element, slice or list entry that was read) changes
the running cotangent, so that it costs its elements and not the array; while there is nothing to change yet, it
waits, and zeros are made only when the total is asked for and no whole contribution has come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tracejit.ir.builder import Builder
from tracejit.ir.core import Value
from tracejit.ir.opdef import Update
from tracejit.ir.types import Dim, ListType, TensorType, Type


def zero(b: Builder, like: Value) -> Value:
    """A zero cotangent for a value: 0, an array of zeros, or the empty list (missing entries are zeros)."""
    if isinstance(like.type, ListType):
        return b.emit("list_new", (), {"element": like.type.element}, names=(f"d{like.name}",))[0]
    return b.zeros_like(b.wrap(like)).value


def retype(b: Builder, x: Value, type: Type, size: Callable[[Dim | None], Value]) -> Value:
    """x with its sizes spelt as in `type`; they are equal at run time by construction. `size` gives a dim's value."""
    if x.type == type:
        return x
    is_array = isinstance(x.type, TensorType) and isinstance(type, TensorType)
    if not is_array or (x.type.dtype, x.type.rank) != (type.dtype, type.rank):  # type: ignore[union-attr]
        raise TypeError(f"a cotangent of type {type} cannot be {x!r}")
    sizes = tuple(b.wrap(size(dim)) for dim in type.shape)  # type: ignore[union-attr]
    return b.broadcast(b.wrap(x), sizes, exact=True).value


class Cotangents:
    """The running cotangent of each value, emitted with builder `b`; `size` gives the value of a dim."""

    def __init__(self, b: Builder, size: Callable[[Dim | None], Value]) -> None:
        self.b = b
        self.size = size
        self._totals: dict[Value, Value] = {}
        self._waiting: dict[Value, list[Update]] = {}

    def __contains__(self, value: Value) -> bool:
        """Whether the value's cotangent may differ from zero."""
        return value in self._totals or value in self._waiting

    def running(self, value: Value) -> Value | None:
        """The total so far, without the updates that wait for it."""
        return self._totals.get(value)

    def places(self, value: Value) -> list[Update]:
        """Take away the updates that wait for the value's cotangent, if all of them go by places in memory."""
        found = self._waiting.get(value, [])
        return self._waiting.pop(value, []) if all(update.at_places for update in found) else []

    def replace(self, value: Value, total: Value) -> None:
        """Put another running total in the place of the present one."""
        self._totals[value] = self._fit(total, value)
        for update in self._waiting.pop(value, ()):
            self._apply(value, update)

    def add(self, value: Value, contribution: Any) -> None:
        """Add a cotangent (a handle or a value) or an `Update`; None adds nothing."""
        if contribution is None:
            return
        if isinstance(contribution, Update):
            if value in self._totals:
                self._apply(value, contribution)
            else:
                self._waiting.setdefault(value, []).append(contribution)
            return
        found = contribution if isinstance(contribution, Value) else contribution.value
        found = self._fit(found, value)
        before = self._totals.get(value)
        self.replace(value, found if before is None else self.b.add(self.b.wrap(before), self.b.wrap(found)).value)

    def total(self, value: Value) -> Value | None:
        """The whole cotangent; None is the symbolic zero."""
        if value in self._waiting:
            self.replace(value, zero(self.b, value))
        return self._totals.get(value)

    def total_or_zero(self, value: Value) -> Value:
        """The whole cotangent as a value."""
        found = self.total(value)
        return zero(self.b, value) if found is None else found

    def _apply(self, value: Value, update: Update) -> None:
        changed = update.apply(self.b.wrap(self._totals[value]))
        self._totals[value] = self._fit(changed.value, value)

    def _fit(self, x: Value, value: Value) -> Value:
        return retype(self.b, x, value.type, self.size)
