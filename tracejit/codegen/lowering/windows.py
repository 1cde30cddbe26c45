"""Several windows of one array written or added to, one after the other: one kernel, a row of the array at a time.

The derivative of a stencil is such a run: the written part is cleared, and each shifted read adds its share. One
window after the other passes over the whole array each time; row by row, every pass but the first finds it in the
nearest cache, and rows are independent. An element sees the same writes in the same order either way.

What the windows get may be made of the array itself: `renewed.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING

from tracejit.codegen.loop_ir import Axis, Const, Expr, For, If, Let, Load, Stmt, Store, Var
from tracejit.codegen.lowering import renewed as lower_renewed
from tracejit.codegen.lowering.elements import ONE, Array, ElementBuilder
from tracejit.codegen.lowering.kernels import shape_of
from tracejit.errors import Span
from tracejit.ir.core import Block, Op, Value
from tracejit.ir.types import BOOL, I64, DType, ScalarType, TensorType
from tracejit.records import record

if TYPE_CHECKING:
    from tracejit.codegen.lowering.entry import Lowering

#: In a row, so many columns may be in some windows only.
SIDES = 6


class WindowRuns:
    """The runs of one block: found before it is lowered, each lowered where its first op stands."""

    def __init__(self, lowering: Lowering, block: Block) -> None:
        self.lowering = lowering
        self.runs: dict[Op, list[Op]] = {}
        self.fills: dict[Value, Op] = {}  #: filled tensors that a run writes without making them
        self.done: set[Op] = set()
        self.sweeps: dict[Op, list[Op]] = {}  #: groups that are computed where windows get them -> the windows
        self.ops = block.ops
        if lowering.target != "cpu":
            return
        self.groups = {r: op for op in block.ops if op.name == "fused" for r in op.results}
        run: list[Op] = []
        for op in (*block.ops, None):
            if op is not None and _is_window(op) and (not run or self._follows(run[-1], op)):
                run.append(op)
                continue
            if len(run) > 1 and len(shape_of(run[0].results[0])) == 2:
                self.runs[run[0]] = run
            self.sweeps.update((self.groups[w.operands[1]], run) for w in run if w.operands[1] in self.groups)
            run = [op] if op is not None and _is_window(op) else []
        for op in block.ops:
            if _is_fill(op) and self._goes_only_to_runs(op.results[0]):
                self.fills[op.results[0]] = op

    def _readers(self, value: Value) -> list[Op | None]:
        return self.lowering.uses.readers.get(value, [])

    def _follows(self, op: Op, following: Op) -> bool:
        (result,) = op.results
        return following.operands[0] is result and self._readers(result) == [following]

    def _goes_only_to_runs(self, value: Value) -> bool:
        readers, inside = self._readers(value), {op for run in self.runs.values() for op in run}
        return (
            bool(readers)
            and all(r in inside and r.operands[1] is value for r in readers if r is not None)
            and (None not in readers)
        )

    def take(self, op: Op) -> bool:
        """Lower an op if it is part of a run; False where it is to be lowered by itself."""
        if op in self.done:
            return True
        if op.results and self.fills.get(op.results[0]) is op:
            return True
        if op in self.sweeps and self._renew(op, self.sweeps[op]):
            return True
        run = self.runs.get(op)
        if run is None:
            return False
        base = self.lowering.array(op.operands[0])
        windows = [_Window.of(self.lowering, base, self.fills, each) for each in run]
        known = [w for w in windows if w is not None]
        if len(known) < len(run) or any(w.reads(base) for w in known):
            for value in {each.operands[1] for each in run}:
                if value in self.fills:
                    self.lowering.op(self.fills.pop(value))
            return False
        _emit(self.lowering, base, known, [each.span for each in run if each.span is not None])
        for each in run:
            self.lowering.env[each.results[0]] = base
        self.done.update(run)
        return True

    def _renew(self, group: Op, run: list[Op]) -> bool:
        """Lower a group and the windows that get it as one kernel; False where it is none."""
        renewal = lower_renewed.find(self.lowering, self.ops, self.groups, run, self.fills)
        if renewal is None or renewal.groups[0] is not group:
            return False
        lower_renewed.emit(self.lowering, renewal)
        self.done.update((*run, *renewal.groups))
        return True


def _is_window(op: Op) -> bool:
    """Whether an op changes a window of an array of numbers that have vectors, with as many axes as the array."""
    if op.name not in ("vwrite", "vadd"):
        return False
    base, value = (v.type for v in op.operands[:2])
    assert isinstance(base, TensorType) and isinstance(value, TensorType)
    rank = len(base.shape)
    return rank > 0 and len(value.shape) == rank and len(op.operands) == 3 + rank and not base.dtype.is_complex


def _is_fill(op: Op) -> bool:
    return op.name == "broadcast" and isinstance(op.operands[0].type, ScalarType)


#: Names are given by whoever needs them.
_k = ElementBuilder(lambda e, _name: e)


@record
class _Window:
    """Rows `row` to `row + height` and columns `column` to `column + width` of a base that get a value, or add it."""

    row: Expr
    column: Expr
    height: Expr
    width: Expr
    value: Array | Expr
    adds: bool

    @staticmethod
    def of(lowering: Lowering, base: Array, fills: dict[Value, Op], op: Op) -> _Window | None:
        """The window of a `vwrite` or `vadd`; None where its rows are no rows of the base."""
        value = op.operands[1]
        offset, step, unit = (lowering.scalar(v) for v in op.operands[2:])
        if not base.contiguous or step != base.shape[1] or unit != ONE:
            return None
        assert isinstance(value.type, TensorType)
        height, width = lowering.shape(value.type)
        source = lowering.scalar(fills[value].operands[0]) if value in fills else lowering.array(value)
        row = lowering.let(lowering.k.quotient(offset, lowering.k.maximum(step, 1)), "row")
        column = lowering.let(lowering.k.sub(offset, lowering.k.mul(row, step)), "column")
        return _Window(row, column, height, width, source, op.name == "vadd")

    def reads(self, base: Array) -> bool:
        """Whether the value lies in the base's memory."""
        return isinstance(self.value, Array) and self.value.buffer is base.buffer

    def element(self, r: Expr, column: Expr, dtype: DType) -> Expr:
        """The value at row `r` of the window and a column of the base."""
        if not isinstance(self.value, Array):
            return self.value
        return Load(self.value.buffer, self.value.address(_k, (r, _k.sub(column, self.column))), dtype)

    def line(self, base: Array, r: Expr, start: Expr, count: Expr) -> For:
        """Write `count` columns of one row of the window, from the base's column `start` on."""
        j, at, dtype = Var("j", I64), Var("at", I64), base.type.dtype
        column = _k.add(start, j)
        value = self.element(r, column, dtype)
        if self.adds:
            value = _k.add(Load(base.buffer, at, dtype), value)
        place = _k.add(_k.mul(_k.add(self.row, r), base.shape[1]), column)
        return For(j, count, (Let(at, place), Store(base.buffer, at, value)), "vector")


def _emit(lowering: Lowering, base: Array, windows: Sequence[_Window], spans: Sequence[Span]) -> None:
    """Row by row where no window goes round the end of a row, else one window after the other."""
    fits: Expr = Const(True, BOOL)
    in_turn: list[Stmt] = []
    for window in windows:
        fits = _k.logical_and(fits, _k.le(_k.add(window.column, window.width), base.shape[1]))
        r = Var("r", I64)
        in_turn.append(For(r, window.height, (window.line(base, r, window.column, window.width),)))
    rows = _Rows(base, windows).loop("parallel" if lowering.parallel else "serial")
    _, then = lowering.inside(lambda: lowering.launch("windows", rows, spans))
    _, other = lowering.inside(lambda: lowering.launch("windows", in_turn, spans))
    lowering.emit(If(fits, then, other))


class _Rows:
    """The loop over the rows of the base. In rows that all windows have, an element of the columns that all have is
    loaded and stored once; the few columns beside them, and other rows, see one window after the other."""

    def __init__(self, base: Array, windows: Sequence[_Window]) -> None:
        self.base = base
        self.windows = windows
        self.i = Var("i", I64)
        self.low, self.high = Var("low", I64), Var("high", I64)
        self.lines = [Var("r", I64) for _ in windows]

    def loop(self, axis: Axis) -> tuple[Stmt, ...]:
        """Everything."""
        starts = [w.column for w in self.windows]
        ends = [_k.add(w.column, w.width) for w in self.windows]
        low, high = reduce(_k.maximum, starts), reduce(_k.minimum, ends)
        beside = _k.add(_k.sub(low, reduce(_k.minimum, starts)), _k.sub(reduce(_k.maximum, ends), high))
        meet = Var("meet", BOOL)
        together: Expr = meet
        for r, window in zip(self.lines, self.windows, strict=True):
            together = _k.logical_and(together, _inside(r, window))
        lets = [Let(r, _k.sub(self.i, w.row)) for r, w in zip(self.lines, self.windows, strict=True)]
        body = (*lets, If(together, (self._sides(), self._middle()), tuple(self._apart())))
        return (
            Let(self.low, low),
            Let(self.high, high),
            Let(meet, _k.logical_and(_k.lt(self.low, self.high), _k.le(beside, Const(SIDES, I64)))),
            For(self.i, self.base.shape[0], body, axis),
        )

    def _apart(self) -> list[Stmt]:
        """One window after the other."""
        return [
            If(_inside(r, window), (window.line(self.base, r, window.column, window.width),))
            for r, window in zip(self.lines, self.windows, strict=True)
        ]

    def _middle(self) -> For:
        """The columns that all windows have."""
        j, at, dtype = Var("j", I64), Var("at", I64), self.base.type.dtype
        column = _k.add(self.low, j)
        value: Expr = Load(self.base.buffer, at, dtype)
        for r, window in zip(self.lines, self.windows, strict=True):
            element = window.element(r, column, dtype)
            value = _k.add(value, element) if window.adds else element
        place = _k.add(_k.mul(self.i, self.base.shape[1]), column)
        return For(j, _k.sub(self.high, self.low), (Let(at, place), Store(self.base.buffer, at, value)), "vector")

    def _sides(self) -> For:
        """The columns left of those that all windows have, then those right of them."""
        side, begin, end = Var("side", I64), Var("begin", I64), Var("end", I64)
        left = _k.eq(side, 0)
        parts: list[Stmt] = [
            Let(begin, _k.select(left, Const(0, I64), self.high)),
            Let(end, _k.select(left, self.low, self.base.shape[1])),
        ]
        for r, window in zip(self.lines, self.windows, strict=True):
            start = Var("start", I64)
            stop = _k.minimum(_k.add(window.column, window.width), end)
            line = window.line(self.base, r, start, _k.minimum(_k.sub(stop, start), Const(SIDES, I64)))
            parts += [Let(start, _k.maximum(window.column, begin)), replace(line, axis="serial")]
        return For(side, Const(2, I64), tuple(parts))


def _inside(r: Expr, window: _Window) -> Expr:
    return _k.logical_and(_k.ge(r, 0), _k.lt(r, window.height))
