"""Windows of an array that get what is made of the array itself: its new content goes to new storage, in one pass.

A sweep of a stencil (`v[1:-1, 1:-1] = f(u[...])`, where u is not needed any more) cannot write where it reads, and
as two kernels it passes over a temporary twice. Here the kernel computes each element of the new array where it
stands: what no window covers is copied, and the old storage is given back, so that a loop of sweeps alternates
between two arrays. The derivative of a sweep is the same with several windows, each of which adds.

That pays where the windows cover all but some rows and columns, and needs known distances from the array's edges:
places that some windows cover and others do not are told apart without a test for each element.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING

from tracejit.codegen.loop_ir import Const, Expr, Scalar, Stmt, Var
from tracejit.codegen.lowering import schedule
from tracejit.codegen.lowering.access import Elements
from tracejit.codegen.lowering.code import Code
from tracejit.codegen.lowering.elements import Array, Element, ElementBuilder, Index
from tracejit.codegen.lowering.views import HostOperand
from tracejit.codegen.scalars import SCALARS
from tracejit.ir.aliasing import FRESH, stored_uses
from tracejit.ir.core import Op, Value, captures
from tracejit.ir.opdef import Pointwise
from tracejit.ir.types import BOOL, I64, ScalarType, TensorType
from tracejit.records import record

if TYPE_CHECKING:
    from tracejit.codegen.lowering.entry import Lowering

#: So many rows or columns on either side of an axis may be outside of a window.
MARGIN = 8

#: So many operations may be done for an element, those that several windows repeat counted each time.
REPEATED = 32

#: A polynomial in sizes with whole coefficients: factors -> coefficient.
Polynomial = dict[tuple[Var, ...], int]

#: Names are given by whoever needs them.
_k = ElementBuilder(lambda e, _name: e)


@record
class Window:
    """Along each axis a window begins `starts` after the array's begin and ends `ends` (0 or less) from its end. It
    gets a value of the group, or a number, or adds it."""

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    value: Value | Element
    adds: bool


@record
class Renewal:
    """Groups of ops whose results go to windows of an array that they read, and nowhere else."""

    groups: tuple[Op, ...]
    base: Value
    windows: tuple[Window, ...]
    result: Value

    @property
    def ops(self) -> list[Op]:
        """What the groups compute."""
        return [op for group in self.groups for op in group.block("body").ops]


# -- finding them ---------------------------------------------------------------------------------------------------


def find(
    lowering: Lowering, ops: Sequence[Op], makers: dict[Value, Op], run: Sequence[Op], fills: dict[Value, Op]
) -> Renewal | None:
    """The renewal that a run of windows in a block is, with the groups before it, the makers of what they get; None
    where it is none. It takes place where the first group stands."""
    base = run[0].operands[0]
    if lowering.in_kernel or base not in lowering.env or not _may_move(lowering, base):
        return None
    values = [op.operands[1] for op in run if op.operands[1] not in fills]
    if not values or not all(v in makers for v in values):
        return None
    groups = sorted({makers[v] for v in values}, key=ops.index)
    inside = {r: inner for op in groups for r, inner in _results(op)}
    roots = lowering.lifetimes.roots.of(base)
    if not all(_is_ready(lowering, op) for op in groups) or not _is_alone(lowering, ops, run, groups, roots[0]):
        return None
    if not any(_reads_elsewhere(lowering, op, roots[0], run) for op in groups):
        return None
    if not all(_is_cheap(op, sum(v in op.results for v in values)) for op in groups):
        return None
    array = lowering.array(base)
    windows = [_window(lowering, array, op, fills, inside) for op in run] if array.contiguous else [None]
    known = tuple(w for w in windows if w is not None)
    return Renewal(tuple(groups), base, known, run[-1].results[0]) if len(known) == len(run) else None


def _may_move(lowering: Lowering, base: Value) -> bool:
    """Whether an array need not stay where it is: it is the call's own, or a parameter that a loop without effects
    carries, which comes home after it."""
    roots = lowering.lifetimes.roots.of(base)
    if len(roots) != 1 or roots[0] in lowering.kept:
        return False
    origins = lowering.lifetimes.origins(base)
    return origins == FRESH or (len(origins) == 1 and roots[0] in lowering.movable)


def _reads_elsewhere(lowering: Lowering, group: Op, root: Value, run: Sequence[Op]) -> bool:
    """Whether a group reads the array at another place than the only window has: else it can be written in place."""
    arrays = [v for v in stored_uses(group) if root in lowering.lifetimes.roots.of(v)]
    readers = (op for op in group.block("body").ops if any(v in arrays for v in op.operands))
    window = run[0].operands[2:]
    return any(len(run) > 1 or op.name != "vread" or op.operands[1 : 1 + len(window)] != window for op in readers)


def _results(group: Op) -> list[tuple[Value, Value]]:
    """A group's results, each with the value of its block that it is."""
    return list(zip(group.results, group.block("body").results, strict=True))


def _is_ready(lowering: Lowering, group: Op) -> bool:
    """Whether all that a group reads is there."""
    return all(v in lowering.env or v.known is not None for v in captures(group.block("body")))


def _is_alone(lowering: Lowering, ops: Sequence[Op], run: Sequence[Op], groups: Sequence[Op], root: Value) -> bool:
    """Whether only the run reads the groups' results, and from the first of them to its end nothing else uses the
    array."""
    readers = lowering.uses.readers
    if any(r not in run for group in groups for value in group.results for r in readers.get(value, [None])):
        return False
    between = ops[ops.index(groups[0]) + 1 : ops.index(run[-1])]
    others = (v for op in between if op not in run and op not in groups for v in stored_uses(op))
    return not any(root in lowering.lifetimes.roots.of(v) for v in others)


def _is_cheap(group: Op, uses: int) -> bool:
    """Whether a group is elementwise, and may be computed for each of so many windows."""
    ops = group.block("body").ops
    if not all(isinstance(op.defn.lower, Pointwise) for op in ops):
        return False
    costly = any((row := SCALARS.get(op.name)) is not None and row.expand is not None for op in ops)
    return uses == 1 or (not costly and uses * len(ops) <= REPEATED)


def _window(
    lowering: Lowering, array: Array, op: Op, fills: dict[Value, Op], inside: dict[Value, Value]
) -> Window | None:
    """The window of the array that a `vwrite` or `vadd` means; None where its place is not known."""
    value = op.operands[1]
    offset, *steps = op.operands[2:]
    assert isinstance(value.type, TensorType)
    sizes = _Sizes(lowering)
    at, dims = sizes.polynomial(offset), [sizes.polynomial(d) for d in array.type.shape]
    starts = None if at is None else _starts(at, dims, [sizes.polynomial(s) for s in steps])
    if starts is None:
        return None
    missing = [_distance(sizes.polynomial(n), size) for n, size in zip(value.type.shape, dims, strict=True)]
    ends = [s + m for s, m in zip(starts, missing, strict=True) if m is not None]
    if len(ends) < len(starts) or not all(0 <= s <= MARGIN for s in starts) or not all(-MARGIN <= e <= 0 for e in ends):
        return None
    filled = fills.get(value)
    if filled is None:
        return Window(tuple(starts), tuple(ends), inside[value], op.name == "vadd")
    if filled.operands[0] not in lowering.env:
        return None
    return Window(tuple(starts), tuple(ends), lowering.scalar(filled.operands[0]), op.name == "vadd")


def _starts(at: Polynomial, dims: Sequence[Polynomial | None], steps: Sequence[Polynomial | None]) -> list[int] | None:
    """The index of an address in an array of C order; None where it is not the same for all sizes, or other strides
    are meant."""
    stride: Polynomial = {(): 1}
    strides: list[Polynomial] = []
    for dim, step in zip(reversed(dims), reversed(steps), strict=True):
        if dim is None or step != stride:
            return None
        strides.insert(0, stride)
        stride = _product(stride, dim)
    found: list[int] = []
    if not all(strides):  # an axis of no elements
        return None
    for stride in strides:
        greatest = max(stride, key=len)
        start = at.get(greatest, 0) // stride[greatest]
        at = _sum(at, _product(stride, {(): -start}))
        found.append(start)
    return None if at else found


def _distance(a: Polynomial | None, b: Polynomial | None) -> int | None:
    """a - b, where that is one number."""
    if a is None or b is None:
        return None
    rest = _sum(a, _product(b, {(): -1}))
    return rest.get((), 0) if rest.keys() <= {()} else None


class _Sizes:
    """What host scalars are in terms of the sizes of parameters and of what is not known."""

    def __init__(self, lowering: Lowering) -> None:
        self.lowering = lowering

    def polynomial(self, dim: Value | int | str | None) -> Polynomial | None:
        """A size or an index as a polynomial."""
        match dim:
            case int():
                return _constant(dim)
            case str():
                return _polynomial(self.lowering.sizes[dim])
            case Value():
                return _polynomial(self.expression(dim))
            case None:
                return None

    def expression(self, value: Value) -> Expr | None:
        """A host scalar as an expression."""
        if value.known is not None or not isinstance(value.type, ScalarType):
            return self.lowering.scalar(value)
        op = self.lowering.uses.makers.get(value)
        if op is not None and op.name == "const":
            return Const(op.attrs["value"], I64)
        if op is None or not isinstance(op.defn.lower, Pointwise) or not op.operands:
            return self.lowering.env.get(value)
        return op.defn.lower.fn(_k, (), *op.defn.group([_Made(self, v) for v in op.operands]), **op.attrs)


class _Made(HostOperand):
    """A host scalar as a lowering rule sees it, spelt out."""

    __slots__ = ("sizes",)

    def __init__(self, sizes: _Sizes, value: Value) -> None:
        super().__init__(sizes.lowering, value)
        self.sizes = sizes

    def __call__(self, index: Sequence[Expr]) -> Element:
        found = self.sizes.expression(self.value)
        return Var(self.value.name, I64) if found is None else found


def _constant(value: int) -> Polynomial:
    return {(): value} if value else {}


def _polynomial(e: Expr | None) -> Polynomial | None:
    match e:
        case Const(value) if isinstance(value, int):
            return _constant(value)
        case Var():
            return {(e,): 1}
        case Scalar("add" | "sub" | "mul", (a, b)):
            left, right = _polynomial(a), _polynomial(b)
            if left is None or right is None:
                return None
            if e.op == "mul":
                return _product(left, right)
            return _sum(left, right if e.op == "add" else _product(right, {(): -1}))
        case _:
            return None


def _sum(a: Polynomial, b: Polynomial) -> Polynomial:
    total = {key: a.get(key, 0) + b.get(key, 0) for key in (*a, *b)}
    return {key: value for key, value in total.items() if value}


def _product(a: Polynomial, b: Polynomial) -> Polynomial:
    total: Polynomial = {}
    for left, x in a.items():
        for right, y in b.items():
            key = tuple(sorted((*left, *right), key=id))
            total[key] = total.get(key, 0) + x * y
    return {key: value for key, value in total.items() if value}


# -- lowering them --------------------------------------------------------------------------------------------------


def emit(lowering: Lowering, renewal: Renewal) -> None:
    """The kernel; the array's old storage is free afterwards."""
    old = lowering.array(renewal.base)
    assert isinstance(renewal.result.type, TensorType)
    new = lowering.new_array(renewal.result.type, renewal.result.name)
    body = _Sweep(lowering, renewal, old, new).statements()
    lowering.launch("sweep", body, [op.span for op in renewal.ops if op.span is not None])
    origins = lowering.lifetimes.origins(renewal.base)
    lowering.free_unless(
        old.buffer, [lowering.array(lowering.graph.params[i]).buffer for i in origins if i is not None]
    )
    if origins != FRESH:
        lowering.moved.update(lowering.lifetimes.roots.of(renewal.base))
        lowering.movable.add(renewal.result)
    lowering.env[renewal.result] = new
    lowering.kept.update(value for group in renewal.groups for value in group.results)


class _Sweep:
    """The loops over the rows of the array. In rows that all windows have, an element sees all its windows at once; in
    the others, the row is copied and sees one window after the other."""

    def __init__(self, lowering: Lowering, renewal: Renewal, old: Array, new: Array) -> None:
        self.parallel = lowering.parallel
        self.windows = renewal.windows
        self.old, self.new = old, new
        self.code = Code()
        self.code.volatile = {new.buffer}
        self.k = self.code.k
        self.elements = Elements(self.code, renewal.ops, lowering.place, lowering.size)
        axes = range(len(old.shape))
        self.low = [max(w.starts[a] for w in self.windows) for a in axes]
        self.high = [self.code.bind(self.end(a, min(w.ends[a] for w in self.windows)), "high") for a in axes]

    def end(self, axis: int, distance: int) -> Expr:
        """The index so far from the end of an axis."""
        return self.k.add(self.old.shape[axis], distance)

    def statements(self) -> tuple[Stmt, ...]:
        """Everything."""
        code, k = self.code, self.k
        meets = code.bind(k.lt(Const(self.low[-1], I64), self.high[-1]), "meet")
        with ExitStack() as stack:
            rows = [
                stack.enter_context(
                    code.loop(size, "parallel" if self.parallel and a == 0 else "serial", "ijklm"[a % 5])
                )
                for a, size in enumerate(self.old.shape[:-1])
            ]
            together: Expr = meets
            for i, low, high in zip(rows, self.low, self.high, strict=False):
                together = k.logical_and(together, self._between(i, low, high))
            together = code.bind(together, "together")
            with code.when(together):
                self._together([code.here(i, "row") for i in rows])
            with code.when(k.logical_not(together)):
                self._apart(rows)
        return tuple(code.scopes[0].stmts)

    def _between(self, i: Expr, low: int, high: Expr) -> Expr:
        return self.k.logical_and(self.k.ge(i, low), self.k.lt(i, high))

    def _together(self, rows: Sequence[Expr]) -> None:
        """A row that all windows have: its first columns, those that all windows have, and its last columns."""
        low, size = self.low[-1], self.old.shape[-1]
        for column in range(low):
            self._one((*rows, Const(column, I64)), [w for w in self.windows if w.starts[-1] <= column])
        with self._columns(self.k.sub(self.high[-1], low), whole=not rows) as j:
            self._one((*rows, self.k.add(j, low)), self.windows)
        for column in range(min(w.ends[-1] for w in self.windows), 0):
            index = (*rows, self.k.add(size, column))
            self._one(index, [w for w in self.windows if column < w.ends[-1]])

    def _columns(self, count: Expr, whole: bool) -> AbstractContextManager[Expr]:
        """The loop over columns; over those of an array that is one row, threads may share it."""
        if whole and self.parallel:
            return schedule.blocked_loop(self.code, count, "vector", "j")
        return self.code.loop(count, "vector", "j")

    def _one(self, index: Index, windows: Sequence[Window]) -> None:
        """An element with all windows that it is in."""
        value: Element | None = None
        for window in windows:
            given = self._given(window, index)
            value = given if not window.adds else self.k.add(self._old(index) if value is None else value, given)
        self.elements.store(self.new, index, self._old(index) if value is None else value)

    def _old(self, index: Index) -> Element:
        return self.elements.load(self.old, index, "old")

    def _given(self, window: Window, index: Index) -> Element:
        """What a window has for an element of the array."""
        if not isinstance(window.value, Value):
            return window.value
        return self.elements.element(window.value, tuple(map(self.k.sub, index, map(_index, window.starts))))

    def _apart(self, rows: Sequence[Expr]) -> None:
        """A row that not all windows have."""
        code, k = self.code, self.k
        with code.loop(self.old.shape[-1], "vector", "j") as j:
            self.elements.store(self.new, (*rows, j), self._old((*rows, j)))
        for window in self.windows:
            inside: Expr = Const(True, BOOL)
            for a, i in enumerate(rows):
                inside = k.logical_and(inside, self._between(i, window.starts[a], self.end(a, window.ends[a])))
            first = window.starts[-1]
            count = k.sub(self.end(len(rows), window.ends[-1]), first)
            with code.when(inside):
                here = [code.here(i, "row") for i in rows]
                with code.loop(count, "vector", "j") as j:
                    index = (*here, k.add(j, first))
                    given = self._given(window, index)
                    before = self.elements.load(self.new, index, "before") if window.adds else None
                    self.elements.store(self.new, index, given if before is None else k.add(before, given))


def _index(start: int) -> Expr:
    return Const(start, I64)
