"""Windows that are added to zeros, as the derivative of slices adds them: where none meets another, what they get, plus
0 (which tells -0.0 from the sum), is written instead, and so computed where it goes. Where they cover all, there need
not be zeros. Used by `ranges`, which knows how the starts and ends compare.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TypeAlias

from tracejit.ir.builder import Builder
from tracejit.ir.core import Block, Op, Value, uses
from tracejit.ir.opdef import REGISTRY
from tracejit.ir.types import TensorType, unsized
from tracejit.locks import cached_property
from tracejit.records import record
from tracejit.transforms.numbers.linear import Linear, number
from tracejit.transforms.numbers.rules import Rules

#: Where a window begins and ends along the last axis.
_Span: TypeAlias = tuple[Linear, Linear]


@record
class _Filled:
    """An array of zeros that a `broadcast` made, but for windows."""

    made: Op
    spans: Mapping[Op, _Span] = field(default_factory=dict[Op, _Span])  #: of each `vadd` so far


class Windows:
    """The arrays of a graph that are zeros but for windows, which cover all axes but the last."""

    def __init__(self, rules: Rules, body: Block) -> None:
        self.rules = rules
        self.body = body
        self.zeros: set[Value] = set()  #: scalars that are 0
        self.filled: dict[Value, _Filled] = {}
        self.apart: dict[Op, Op] = {}  #: a `vadd` that adds to zeros alone -> what made them
        self.covered: set[Op] = set()  #: what makes zeros that nothing sees

    @cached_property
    def counts(self) -> Mapping[Value, int]:
        """How often values are read."""
        return uses(self.body)

    def fill(self, op: Op) -> None:
        """Note an array of zeros."""
        if op.name == "broadcast" and op.operands[0] in self.zeros:
            self.filled[op.results[0]] = _Filled(op)

    def add(self, op: Op) -> None:
        """Find out whether a `vadd` adds to zeros alone, as those before it do."""
        self.apart.pop(op, None)
        self.filled.pop(op.results[0], None)
        base, span = self.filled.get(op.operands[0]), self._span(op)
        if base is None:
            return
        self.covered.discard(base.made)
        if span is None or not all(self._are_apart(span, other) for other in base.spans.values()):
            for before in base.spans:
                self.apart.pop(before, None)
            return
        made = self.filled[op.results[0]] = _Filled(base.made, {**base.spans, op: span})
        self.apart[op] = base.made
        if self._covers(made) and all(self.counts[each.operands[0]] == 1 for each in made.spans):
            self.covered.add(base.made)

    def _covers(self, array: _Filled) -> bool:
        """Whether the windows follow each other from the begin of a row to its end."""
        ends = dict(array.spans.values())
        reached: Linear | None = number(0)
        while reached in ends:
            reached = ends.pop(reached)
        return not ends and reached == self._line(array.made.results[0])

    def written(self, op: Op, value_of: Callable[[Value], Value]) -> list[Op]:
        """The `vwrite` that stands for a `vadd` to zeros; `value_of` gives values of the new graph."""
        b = Builder(op.span)
        base, value, *place = map(value_of, op.operands)
        zero, *sizes = map(value_of, self.apart[op].operands)
        width = b.dim_of(value, len(sizes) - 1)
        (zeros,) = b.emit("broadcast", (zero, *sizes[:-1], width))
        (total,) = b.emit("add", (value, zeros), names=(value.name,))
        return [*b.ops, Op(REGISTRY["vwrite"], (base, total, *place), op.attrs, op.results, (), op.span)]

    def unfilled(self, op: Op, value_of: Callable[[Value], Value]) -> Op:
        """An array that is written, instead of one of zeros."""
        (result,) = op.results
        sizes = tuple(map(value_of, op.operands[1:]))
        return Op(REGISTRY["undef"], sizes, {"type": unsized(result.type)}, op.results, (), op.span)

    def _line(self, array: Value) -> Linear | None:
        """The length of a row."""
        return self.rules.dim(array.type.shape[-1])  # type: ignore[union-attr]

    def _span(self, op: Op) -> _Span | None:
        """The window of a `vadd`; None where it is none of whole leading axes in rows of the base."""
        (base, value), (offset, *steps) = (v.type for v in op.operands[:2]), op.operands[2:]
        assert isinstance(base, TensorType) and isinstance(value, TensorType)
        if not 0 < base.rank < 3 or value.rank != base.rank or value.shape[:-1] != base.shape[:-1]:
            return None
        forms = [self.rules.form(v) for v in (offset, *steps)]
        line, width = (self._line(v) for v in op.operands[:2])
        start, *found = forms
        if start is None or line is None or width is None or found != [line, number(1)][-base.rank :]:
            return None
        span = start, start.plus(width)
        inside = self._is_at_most(number(0), start) and self._is_at_most(span[1], line)
        return span if inside else None

    def _are_apart(self, a: _Span, b: _Span) -> bool:
        return self._is_at_most(a[1], b[0]) or self._is_at_most(b[1], a[0])

    def _is_at_most(self, x: Linear, y: Linear) -> bool:
        return self.rules.facts.holds(x.minus(y))
