"""One fused group (or one pointwise op or reduction) -> one kernel.

The lowering is demand-driven: asking for the element of a value at an index asks the operands at their indices,
remembered by (value, index). What does not depend on an inner loop is placed outside it (`lower_code.Code`), so
the loop nest alone decides what the kernel looks like:

* no reduction: a nest over the results' shape, adjacent axes merged into one flat loop where every access allows;
* reductions over trailing axes: for each row fold, fold again, write (softmax and layer norm are one kernel);
* reductions over leading axes: a vector loop over the last kept axis around serial folds;
* reductions over everything: blocks of fixed size folded in parallel, and their results in order.

Reductions that need no others share one loop, and results that are ready are written in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from tracejit.codegen import schedule
from tracejit.codegen.loop_ir import Axis, Expr, For, If, Let, Load, Stmt, Store, Var
from tracejit.codegen.lower_code import Code, Fold
from tracejit.codegen.lower_complex import Complex
from tracejit.codegen.lower_elements import (
    ONE,
    ZERO,
    Array,
    Element,
    Index,
    affine,
    load,
    parts,
    stores,
    unravel,
)
from tracejit.ir.core import Op, Value
from tracejit.ir.opdef import Pointwise, Reduction
from tracejit.ir.types import BF16, F16, F32, Dim, TensorType, Type

Outer: TypeAlias = "Callable[[Value], Array | Element]"
Sizes: TypeAlias = "Callable[[Dim], Expr]"


class Operand:
    """What a lowering rule sees of an operand: its type, its sizes, and its element at an index."""

    __slots__ = ("maker", "shape", "type", "value")

    def __init__(self, maker: Elements, value: Value) -> None:
        self.maker = maker
        self.value = value
        self.type: Type = value.type
        self.shape: Index = maker.sizes_of(value)

    def __call__(self, index: Sequence[Expr]) -> Element:
        return self.maker.element(self.value, tuple(index))

    def flat(self, at: Expr) -> Element:
        """The element with that C-order index."""
        return self.maker.flat_element(self.value, at)


class Elements:
    """Elements on demand: values inside the group by their ops, values outside from arrays and scalars."""

    def __init__(self, code: Code, ops: Sequence[Op], outer: Outer, size: Sizes) -> None:
        self.code = code
        self.k = code.k
        self.outer = outer
        self.size = size
        self.producers: dict[Value, Op] = {r: op for op in ops for r in op.results}
        self.memo: dict[tuple[Value, Index], Element] = {}
        self.operands: dict[Value, Operand] = {}
        self.fold: Callable[[Op, Index], Element] | None = None
        self.addresses: list[Expr] = []
        self.address_names: set[Var] = set()

    def sizes_of(self, value: Value) -> Index:
        """The sizes of a value's axes; none for a host scalar."""
        if not isinstance(value.type, TensorType):
            return ()
        return tuple(self.size(d) for d in value.type.shape if d is not None)

    def operand(self, value: Value) -> Operand:
        """The accessor of a value."""
        found = self.operands.get(value)
        if found is None:
            found = self.operands[value] = Operand(self, value)
        return found

    def element(self, value: Value, index: Index) -> Element:
        """The element of a value at an index."""
        key = (value, index)
        found = self.memo.get(key)
        if found is None:
            found = self._compute(value, index)
            if self._depth(found) <= max((self.code.depth(i) for i in index), default=0):
                self.memo[key] = found
        return found

    def _depth(self, x: Element) -> int:
        if isinstance(x, Complex):
            return max(self.code.depth(x.re), self.code.depth(x.im))
        return self.code.depth(x)

    def _compute(self, value: Value, index: Index) -> Element:
        op = self.producers.get(value)
        if op is None:
            place = self.outer(value)
            return self.load(place, index, value.name) if isinstance(place, Array) else place
        match op.defn.lower:
            case Pointwise(fn):
                operands = op.defn.group([self.operand(v) for v in op.operands])
                return self.k.let(fn(self.k, index, *operands, **op.attrs), value.name)
            case Reduction():
                assert self.fold is not None
                return self.fold(op, index)
            case _:
                return self.k.const(op.attrs["value"], op.attrs["type"].dtype)

    def flat_element(self, value: Value, at: Expr) -> Element:
        """The element of a value with a C-order index."""
        place = None if value in self.producers else self.outer(value)
        if isinstance(place, Array) and place.contiguous:
            return self.k.let(load(place.buffer, self.sum_of(at), place.type.dtype, self.k), value.name)
        return self.element(value, unravel(self.k, at, self.sizes_of(value)))

    def load(self, array: Array, index: Index, name: str) -> Element:
        """An element of an array outside the group."""
        at = self.sum_of(array.address(self.k, index))
        return self.k.let(load(array.buffer, at, array.type.dtype, self.k), name)

    def store(self, array: Array, index: Index, value: Element) -> None:
        """Write an element of a result."""
        at = self.sum_of(array.address(self.k, index))
        self.code.emit(*stores(array.buffer, at, value, self.k))

    def sum_of(self, address: Expr) -> Expr:
        """An address with its loop-invariant part named outside the loop and the innermost index added last."""
        self.addresses.append(address)
        terms = sorted(_addends(address), key=self.code.depth)
        total: Expr = ZERO
        depth = 0
        for term in terms:
            if self.code.depth(term) > depth:
                total = self._name(total)
                depth = self.code.depth(term)
            total = self.k.add(total, term)
        return total

    def _name(self, partial: Expr) -> Expr:
        named = self.code.bind(partial, "at")
        if isinstance(named, Var) and named is not partial:
            self.address_names.add(named)
        return named


def _addends(e: Expr) -> Iterator[Expr]:
    if getattr(e, "op", None) == "add":
        for part in parts(e):
            yield from _addends(part)
    else:
        yield e


# -- iteration spaces -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Space:
    """The index space of a loop nest; axis a in `merged` runs together with axis a + 1 as one flat loop."""

    sizes: Index
    merged: frozenset[int] = frozenset()

    def groups(self, axes: Sequence[int]) -> list[list[int]]:
        """Axes as runs that are one loop each."""
        runs: list[list[int]] = []
        for axis in axes:
            if runs and runs[-1][-1] == axis - 1 and axis - 1 in self.merged:
                runs[-1].append(axis)
            else:
                runs.append([axis])
        return runs


class KernelLowering:
    """Builds the body of one kernel. `targets` says where each result goes."""

    def __init__(
        self,
        ops: Sequence[Op],
        targets: Sequence[tuple[Value, Array]],
        outer: Outer,
        size: Sizes,
        parallel: bool,
    ) -> None:
        self.ops = ops
        self.targets = targets
        self.outer = outer
        self.size = size
        self.parallel = parallel
        self.folded = [op for op in ops if isinstance(op.defn.lower, Reduction)]
        self.levels = _levels(ops)
        self.begin(frozenset())

    def begin(self, merged: frozenset[int]) -> None:
        """Start with empty code; `merged` axes of the common space become one loop."""
        self.code = Code()
        self.k = self.code.k
        self.elements = Elements(self.code, self.ops, self.outer, self.size)
        self.elements.fold = self.fold_on_demand
        self.axis_of: dict[Var, int] = {}
        self.pending = list(self.targets)
        first = self.folded[0].operands[0] if self.folded else self.targets[0][0]
        self.space = Space(self.elements.sizes_of(first), merged)
        self.space_shape = _shape(first)
        self.axes: tuple[int, ...] = self.folded[0].attrs["axes"] if self.folded else ()

    def run(self) -> tuple[Stmt, ...]:
        """The kernel's statements."""
        if len(self.space.sizes) > 1:
            parallel, self.parallel = self.parallel, False
            self.build()
            merged = self.mergeable()
            self.parallel = parallel
            self.begin(merged)
        self.build()
        return tuple(self.code.scopes[0].stmts)

    def build(self) -> None:
        """Emit every nest."""
        if self.folded and self.is_uniform():
            self.fold_nest()
        while self.pending:
            self.map_nest(_shape(self.pending[0][0]))

    def is_uniform(self) -> bool:
        """Whether all reductions fold the same axes of the same space."""
        return all(_shape(op.operands[0]) == self.space_shape and op.attrs["axes"] == self.axes for op in self.folded)

    # -- which axes can be one loop -------------------------------------------------------------------------------

    def mergeable(self) -> frozenset[int]:
        """Axes a that can run together with a + 1: every address advances as along one flat axis, and the two
        indices are used for nothing else."""
        over = set(self.axis_of)
        escaped = _escaping(self.code.scopes[0].stmts, self.elements.address_names)
        fixed = {self.axis_of[v] for v in escaped & over}
        if escaped & self.elements.address_names or not self._one_nest():
            return frozenset()
        strides: list[list[Expr]] = []
        for address in self.elements.addresses:
            form = affine(self.k, address, over)
            if form is None or any(self._moves(e) for e in (form.rest, *form.coefficients.values())):
                return frozenset()
            row: list[Expr] = [ZERO] * len(self.space.sizes)
            for var, coefficient in form.coefficients.items():
                row[self.axis_of[var]] = coefficient
            strides.append(row)
        return frozenset(
            axis
            for axis in range(len(self.space.sizes) - 1)
            if (axis in self.axes) == (axis + 1 in self.axes)
            and not fixed & {axis, axis + 1}
            and all(self._continues(row, axis) for row in strides)
        )

    def _one_nest(self) -> bool:
        shapes = {_shape(v) for v, _ in self.targets}
        kept = tuple(d for i, d in enumerate(self.space_shape) if i not in self.axes)
        return shapes <= {self.space_shape, kept} and (not self.folded or self.is_uniform())

    def _moves(self, e: Expr) -> bool:
        return self.code.depth(e) > 0

    def _continues(self, row: list[Expr], axis: int) -> bool:
        if self.space.sizes[axis] == ONE:
            return True
        return row[axis] == self.k.mul(row[axis + 1], self.space.sizes[axis + 1])

    # -- loops ----------------------------------------------------------------------------------------------------

    @contextmanager
    def loops(self, axes: Sequence[int], index: dict[int, Expr], *, vector: bool, parallel: bool) -> Iterator[None]:
        """Loops over axes of the space; `index` receives the index of each axis."""
        groups = self.space.groups(axes)
        sizes = [self.k.product(self.space.sizes[a] for a in group) for group in groups]
        with ExitStack() as stack:
            for at, (group, extent) in enumerate(zip(groups, sizes, strict=True)):
                last = at == len(groups) - 1
                axis: Axis = "vector" if last and vector and not self.code.in_vector else "serial"
                spread = parallel and at == 0 and self.may_spread()
                i = stack.enter_context(self._loop(extent, axis, group, spread))
                self._place(index, group, i)
            yield

    def may_spread(self) -> bool:
        """Whether a loop opened here may run in parallel."""
        return self.parallel and len(self.code.scopes) == 1 and not schedule.is_small(self.space.sizes)

    def _loop(self, extent: Expr, axis: Axis, group: list[int], spread: bool) -> AbstractContextManager[Expr]:
        extent = self.code.bind(extent, "size")
        name = "ijklmn"[group[-1] % 6]
        if spread and axis == "vector":
            return schedule.blocked_loop(self.code, extent, axis, name)
        return self.code.loop(extent, "parallel" if spread else axis, name)

    def _place(self, index: dict[int, Expr], group: list[int], i: Expr) -> None:
        for axis in group:
            index[axis] = ZERO
        index[group[-1]] = i
        if isinstance(i, Var):
            self.axis_of[i] = group[-1]

    # -- nests ----------------------------------------------------------------------------------------------------

    def map_nest(self, shape: tuple[Any, ...]) -> None:
        """A nest that writes every pending result of one shape."""
        ready = [(v, a) for v, a in self.pending if _shape(v) == shape]
        self.pending = [(v, a) for v, a in self.pending if _shape(v) != shape]
        common = self.space
        if shape != self.space_shape:
            self.space = Space(self.elements.sizes_of(ready[0][0]))
        index: dict[int, Expr] = {}
        axes = range(len(shape))
        with self.loops(axes, index, vector=True, parallel=True):
            place = tuple(index[a] for a in axes)
            self.write(ready, place)
        self.space = common

    def write(self, results: Sequence[tuple[Value, Array]], index: Index) -> None:
        """Write results at an index: all are computed before the first is stored."""
        values = [self.elements.element(v, index) for v, _ in results]
        for (_, array), value in zip(results, values, strict=True):
            self.elements.store(array, index, value)

    def fold_nest(self) -> None:
        """The nest of a group with reductions: kept axes outside, folds and writes inside."""
        kept = [a for a in range(len(self.space.sizes)) if a not in self.axes]
        columns = bool(kept) and bool(self.axes) and kept[-1] > self.axes[-1]
        index: dict[int, Expr] = {}
        with self.loops(kept, index, vector=columns, parallel=bool(kept)):
            outer = tuple(index[a] for a in kept)
            for level in range(1, max(self.levels[op.results[0]] for op in self.folded) + 1):
                mates = self.mates(level)
                if mates and (mates[0].results[0], outer) not in self.elements.memo:
                    self.fold_group(mates, outer, self.ready(level - 1))
            self.write(self.take(lambda v: _shape(v) == self.kept_shape(kept)), outer)
            rest = self.take(lambda v: _shape(v) == self.space_shape)
            if rest:
                with self.loops(self.axes, index, vector=True, parallel=not kept):
                    self.write(rest, tuple(index[a] for a in range(len(self.space.sizes))))

    def kept_shape(self, kept: Sequence[int]) -> tuple[Any, ...]:
        """The shape of a reduction's result."""
        return tuple(self.space_shape[a] for a in kept)

    def ready(self, level: int) -> list[tuple[Value, Array]]:
        """Pending results over the whole space that need no reduction above `level`; they are taken."""
        if not self.axes:
            return []
        return self.take(lambda v: _shape(v) == self.space_shape and self.levels[v] <= level)

    def take(self, wanted: Callable[[Value], bool]) -> list[tuple[Value, Array]]:
        """Pending results that are wanted; they are no longer pending."""
        taken = [(v, a) for v, a in self.pending if wanted(v)]
        self.pending = [(v, a) for v, a in self.pending if not wanted(v)]
        return taken

    def mates(self, level: int) -> list[Op]:
        """The reductions that need exactly `level - 1` others before them."""
        return [op for op in self.folded if self.levels[op.results[0]] == level]

    # -- folds ----------------------------------------------------------------------------------------------------

    def fold_on_demand(self, op: Op, index: Index) -> Element:
        """The result of a reduction at an index, folded where the index is known."""
        with self.code.at(max((self.code.depth(i) for i in index), default=0)):
            if self.is_uniform():
                self.fold_group(self.mates(self.levels[op.results[0]]), index, [])
                return self.elements.memo[op.results[0], index]
            common, axes = self.space, self.axes
            self.space, self.axes = Space(self.elements.sizes_of(op.operands[0])), op.attrs["axes"]
            self.fold_group([op], index, [])
            self.space, self.axes = common, axes
        return self.elements.memo[op.results[0], index]

    def fold_group(self, mates: list[Op], outer: Index, results: list[tuple[Value, Array]]) -> None:
        """Fold reductions over one space in one loop nest, writing `results` in it; totals go to the memo."""
        rank = len(self.space.sizes)
        kept = [a for a in range(rank) if a not in self.axes]
        index = dict(zip(kept, outer, strict=True))
        fold = _FoldGroup(self, mates, results, index)
        totals = fold.in_blocks() if not kept and self.may_spread() else fold.nest(self.space.groups(self.axes))
        for op, total in zip(mates, totals, strict=True):
            dtype = op.results[0].type.dtype  # type: ignore[union-attr]
            named = self.k.let(self.k.cast(total, dtype), op.results[0].name)
            self.elements.memo[op.results[0], outer] = named


@dataclass(slots=True)
class _FoldGroup:
    """The loops of reductions that share a space."""

    kernel: KernelLowering
    mates: list[Op]
    results: list[tuple[Value, Array]]
    index: dict[int, Expr]
    block: tuple[Expr, Expr] | None = None  #: start and length of the outermost group's trips

    def nest(self, groups: list[list[int]]) -> list[Element]:
        """Nested folds over groups of axes; gives the totals."""
        kernel, code = self.kernel, self.kernel.code
        if not groups:
            return self._elements()
        group, inner = groups[0], groups[1:]
        extent = code.bind(kernel.k.product(kernel.space.sizes[a] for a in group), "size")
        start, extent = (ZERO, extent) if self.block is None else self.block
        self.block = None
        is_last_axis = group[-1] == len(kernel.space.sizes) - 1
        axis: Axis = "vector" if not inner and is_last_axis and not code.in_vector else "serial"
        with code.fold(extent, self._folds(), axis, "ijklmn"[group[-1] % 6]) as body:
            kernel._place(self.index, group, kernel.k.add(start, body.index))
            if start == ZERO:
                kernel.axis_of[body.index] = group[-1]
            folded = self.nest(inner) if inner else self._elements()
            body.next = self._following(body.carried, folded)
        return self._pairs(body.results)

    def in_blocks(self) -> list[Element]:
        """Blocks of the outermost axis in parallel; their totals are folded in order."""
        kernel, code = self.kernel, self.kernel.code
        groups = kernel.space.groups(kernel.axes)
        extent = code.bind(kernel.k.product(kernel.space.sizes[a] for a in groups[0]), "size")
        if len(groups) > 1:
            return self._rows(extent, groups)
        with code.fold(schedule.blocks(code, extent), self._folds(), "parallel", "block") as body:
            self.block = schedule.block_range(code, extent, body.index)
            body.next = self._following(body.carried, self.nest(groups))
        return self._pairs(body.results)

    def _rows(self, extent: Expr, groups: list[list[int]]) -> list[Element]:
        """Rows in parallel, where the space is not one flat axis."""
        kernel, code = self.kernel, self.kernel.code
        with code.fold(extent, self._folds(), "parallel", "i") as body:
            kernel._place(self.index, groups[0], body.index)
            body.next = self._following(body.carried, self.nest(groups[1:]))
        return self._pairs(body.results)

    # -- elements of reductions -------------------------------------------------------------------------------------

    def _identity(self, op: Op) -> Element:
        lower = op.defn.lower
        assert isinstance(lower, Reduction)
        dtype = op.results[0].type.dtype  # type: ignore[union-attr]
        return self.kernel.k.const(lower.identity(dtype), F32 if dtype in (F16, BF16) else dtype)

    def _folds(self) -> list[Fold]:
        """What the loops carry: one value per reduction, two for complex ones."""
        folds: list[Fold] = []
        for op in self.mates:
            start, combine, name = self._identity(op), op.defn.lower.combine, op.results[0].name  # type: ignore[union-attr]
            if isinstance(start, Complex):
                splits = combine if combine == "add" else None
                folds += [Fold(start.re, splits, f"{name}_re"), Fold(start.im, splits, f"{name}_im")]
            else:
                folds.append(Fold(start, combine, name))
        return folds

    def _elements(self) -> list[Element]:
        """The elements to fold at the current index, after the results that are ready are written there."""
        place = tuple(self.index[a] for a in range(len(self.kernel.space.sizes)))
        self.kernel.write(self.results, place)
        return [self._one(op) for op in self.mates]

    def _one(self, op: Op) -> Element:
        place = tuple(self.index[a] for a in range(len(self.kernel.space.sizes)))
        x = self.kernel.elements.element(op.operands[0], place)
        lower = op.defn.lower
        assert isinstance(lower, Reduction)
        if lower.element is not None:
            x = lower.element(self.kernel.k, x)
        return self.kernel.k.cast(x, F32) if x.type in (F16, BF16) else x

    def _following(self, carried: Sequence[Var], elements: Sequence[Element]) -> list[Expr]:
        """What each carried value takes next: the element where the loop declares the fold, else the fold itself."""
        following: list[Expr] = []
        pairs = self._pairs(carried)
        for op, acc, x in zip(self.mates, pairs, elements, strict=True):
            combine = op.defn.lower.combine  # type: ignore[union-attr]
            if isinstance(acc, Complex) and combine != "add":
                x = self.kernel.k.op(combine, acc, x)
            following += _parts([x])
        return following

    def _pairs(self, flat: Sequence[Expr]) -> list[Element]:
        """Carried values as elements, one per reduction."""
        left = list(flat)
        found: list[Element] = []
        for op in self.mates:
            first = left.pop(0)
            found.append(Complex(first, left.pop(0)) if op.results[0].type.dtype.is_complex else first)  # type: ignore[union-attr]
        return found


def _parts(elements: Sequence[Element]) -> list[Expr]:
    return [p for e in elements for p in ((e.re, e.im) if isinstance(e, Complex) else (e,))]


def _shape(value: Value) -> tuple[Any, ...]:
    return value.type.shape if isinstance(value.type, TensorType) else ()


def _levels(ops: Sequence[Op]) -> dict[Value, int]:
    """How many reductions, one after the other, each value of the group waits for."""
    levels: dict[Value, int] = {}
    for op in ops:
        level = max((levels.get(v, 0) for v in op.operands), default=0)
        for r in op.results:
            levels[r] = level + isinstance(op.defn.lower, Reduction)
    return levels


def _escaping(stmts: Sequence[Stmt], address_names: set[Var]) -> set[Var]:
    """Vars that are read other than as parts of addresses."""
    found: set[Var] = set()

    def read(e: Expr) -> None:
        if isinstance(e, Var):
            found.add(e)
        elif not isinstance(e, Load):
            for part in parts(e):
                read(part)

    for stmt in stmts:
        match stmt:
            case Let(var, expr):
                if var not in address_names:
                    read(expr)
            case Store(_, _, value):
                read(value)
            case For():
                for c in stmt.carried:
                    read(c.next)
                found |= _escaping(stmt.body, address_names)
            case If():
                read(stmt.cond)
            case _:
                pass
    return found
