"""Writes that add to an element, `x[i] += y`: the backward leaves the element's cotangent where it is.

By the rules of its parts a write takes the cotangent of the element and puts 0 in its place, and the read ahead of it
adds what it gets. Where that is what was taken, both cancel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from tracejit.ir.builder import Builder
from tracejit.ir.core import Block, Op, Value, uses
from tracejit.ir.types import ScalarType
from tracejit.transforms.numbers.apart import Program

#: What an op's rule gives its operands for cotangents of its results.
Contributions = Callable[[Builder, Op, Sequence[Any]], list[tuple[Value, Any]]]

#: How many operations may lie between a read and a write.
_LONGEST = 4


class Accumulations:
    """Which writes, in blocks inside of ops, add to an element, of values that are `active`."""

    def __init__(self, program: Program, active: set[Value], contributions: Contributions) -> None:
        self.program = program
        self.made = program.made
        self.active = active
        self.contributions = contributions
        self.reads: set[Op] = set()  #: the reads that belong to these writes

    @cached_property
    def uses(self) -> Mapping[Value, int]:
        """How often each value is read."""
        return uses(Block((), self.program.ops, ()))

    def adds(self, write: Op) -> bool:
        """Whether a write adds to what it replaces, and nothing else needs that, the sum, or what is between them."""
        place = self.program.places.get(write)
        read = self._read_behind(write, write.operands[1], _LONGEST) if place else None
        if read is None or self.program.places[read] != place:
            return False
        self.reads.add(read)
        return True

    def _read_behind(self, write: Op, value: Value, longest: int) -> Op | None:
        """The read of the element that a write replaces whose cotangent is that of a value."""
        op = self.made.get(value)
        if op is None or value not in self.active or self.uses.get(value) != 1:
            return None
        if op.name == "fetch":
            x, *indices = op.operands
            same = x is write.operands[0] and all(map(self._is_same, indices, write.operands[2:]))
            return op if same else None
        if longest == 0 or not _is_scalar(op) or isinstance(op.defn.vjp, str):
            return None
        b = Builder()
        given = b.wrap(Value(value.type, "given"))
        for operand, contribution in self.contributions(b, op, (given,)):
            if getattr(contribution, "value", None) is given.value:
                read = self._read_behind(write, operand, longest - 1)
                if read is not None:
                    return read
        return None

    def _is_same(self, x: Value, y: Value) -> bool:
        """Whether two host scalars are made alike."""
        one, other = self.made.get(x), self.made.get(y)
        if x is y or one is None or other is None:
            return x is y
        if one.defn is not other.defn or one.attrs != other.attrs or len(one.operands) != len(other.operands):
            return False
        return _is_scalar(one) and all(map(self._is_same, one.operands, other.operands))


def _is_scalar(op: Op) -> bool:
    """Whether an op is arithmetic on host scalars."""
    if op.defn.effect == "order" or op.blocks or len(op.results) != 1:
        return False
    return all(isinstance(v.type, ScalarType) for v in (*op.operands, *op.results))
