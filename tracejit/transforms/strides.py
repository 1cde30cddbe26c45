"""Arithmetic of sizes and strides that transforms emit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracejit.ir.builder import Builder, Handle
from tracejit.ir.core import Value


def size_value(b: Builder, size: Any) -> Value:
    """A size as an i64 value."""
    return size.value if isinstance(size, Handle) else b.size(size)


def product(b: Builder, sizes: Sequence[Any]) -> Value:
    """The number of elements."""
    total = b.wrap(b.size(1))
    for size in sizes:
        total = total * b.wrap(size_value(b, size))
    return total.value


def c_strides(b: Builder, sizes: Sequence[Any]) -> tuple[Handle, ...]:
    """The strides of C order, in elements."""
    strides: list[Handle] = []
    step = b.wrap(b.size(1))
    for size in reversed(sizes):
        strides.insert(0, step)
        step = step * b.wrap(size_value(b, size))
    return tuple(strides)
