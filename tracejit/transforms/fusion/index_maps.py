"""Where an op reads its operands, as symbols: what fusion knows about views without naming any of them.

The lowering rule of a pointwise op is run on symbolic indices; the operands record the index they are asked for.
Two reads are the same if their symbols are equal, which the few identities of `_Symbolic` make likely.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from tracejit.ir.core import Op, Value
from tracejit.ir.opdef import Pointwise
from tracejit.ir.types import I64, Dim, TensorType
from tracejit.records import record


@record
class Symbol:
    """An i64 or element expression: an index variable, a size, a number, or an operation on symbols."""

    name: str
    args: tuple[Any, ...] = ()

    @property
    def value(self) -> int | None:
        """The number it is, if it is one."""
        return self.args[0] if self.name == "number" else None

    @property
    def type(self) -> Any:
        """Indices are i64; nothing else is asked."""
        return I64


Index = tuple[Symbol, ...]


def number(value: int) -> Symbol:
    """A known size or index."""
    return Symbol("number", (value,))


@cache
def variables(rank: int) -> Index:
    """The index variables of a space."""
    return tuple(Symbol("index", (axis,)) for axis in range(rank))


class _Symbolic:
    """Stands for a `KernelBuilder`: every operation makes a symbol, with the identities of index arithmetic."""

    def const(self, value: Any, _dtype: Any) -> Symbol:
        return number(value)

    def let(self, x: Symbol, _name: str = "") -> Symbol:
        return x

    def add(self, a: Any, b: Any) -> Symbol:
        a, b = _lift(a), _lift(b)
        if a.value == 0:
            return b
        return a if b.value == 0 else Symbol("add", (a, b))

    def mul(self, a: Any, b: Any) -> Symbol:
        a, b = _lift(a), _lift(b)
        if a.value == 1 or b.value == 0:
            return b
        return a if b.value == 1 or a.value == 0 else Symbol("mul", (a, b))

    def select(self, cond: Symbol, a: Any, b: Any) -> Symbol:
        if cond.value is not None:
            return _lift(a if cond.value else b)
        return Symbol("select", (cond, _lift(a), _lift(b)))

    def eq(self, a: Any, b: Any) -> Symbol:
        a, b = _lift(a), _lift(b)
        if a.value is not None and b.value is not None:
            return number(a.value == b.value)
        return Symbol("eq", (a, b))

    def __getattr__(self, name: str) -> Callable[..., Symbol]:
        return lambda *args: Symbol(name, tuple(_lift(a) for a in args))


def _lift(x: Any) -> Symbol:
    return x if isinstance(x, Symbol) else number(x)


def size_symbol(dim: Dim | None) -> Symbol:
    """A size: a number or a name."""
    return number(dim) if isinstance(dim, int) else Symbol("size", (dim,))


class _Reader:
    """An operand that records the index it is read at."""

    def __init__(self, value: Value) -> None:
        self.type = value.type
        self.value = value
        self.shape = tuple(map(size_symbol, value.type.shape)) if isinstance(value.type, TensorType) else ()
        self.reads: list[Index | None] = []

    def __call__(self, index: Sequence[Symbol]) -> Symbol:
        if not isinstance(self.value.type, TensorType):
            return size_symbol(self.value.dim)
        self.reads.append(tuple(index))
        return Symbol("element", (self.value, tuple(index)))

    def flat(self, at: Symbol) -> Symbol:
        """A read by C-order index, which on a vector is its index."""
        self.reads.append((at,) if len(self.shape) == 1 else None)
        return Symbol("element", (self.value, at))


def read_indices(op: Op, index: Index) -> list[Index | None]:
    """The indices at which a pointwise op reads its operands for its element at `index`; None for one that is not read
    at one index tuple."""
    assert isinstance(op.defn.lower, Pointwise)
    readers = [_Reader(v) for v in op.operands]
    op.defn.lower.fn(_Symbolic(), index, *op.defn.group(readers), **op.attrs)
    return [r.reads[0] if len(r.reads) == 1 else None for r in readers]
