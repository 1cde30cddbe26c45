"""Arithmetic of sizes and strides that transforms emit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracejit.ir.builder import Builder, Handle, Rebuilder
from tracejit.ir.core import Graph, Value
from tracejit.ir.types import Dim, TensorType


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


class NamedSizes:
    """Where the named sizes of a graph can be read: at a parameter."""

    def __init__(self, graph: Graph) -> None:
        self.places = {
            dim: (param, axis)
            for param in graph.params
            if isinstance(param.type, TensorType)
            for axis, dim in enumerate(param.type.shape)
        }

    def value(self, b: Rebuilder, dim: Dim | None) -> Value:
        """A size of a type of the graph as a value of what `b` makes of it."""
        if isinstance(dim, str):
            param, axis = self.places[dim]
            return b.dim_of(b.value(param), axis)
        return b.value(dim) if isinstance(dim, Value) else b.size(dim)
