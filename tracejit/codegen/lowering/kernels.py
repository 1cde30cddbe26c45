"""One fused group (or one pointwise op or reduction) -> one kernel.

The lowering is demand-driven (`access.py`), and what does not depend on an inner loop is placed outside it
(`code.py`), so the loop nest alone decides what the kernel looks like:

* no reduction: a nest over the results' shape, adjacent axes merged into one flat loop where every access allows;
* reductions over trailing axes: for each row fold, fold again, write (softmax and layer norm are one kernel);
* reductions over leading axes: a vector loop over the last kept axis around serial folds;
* reductions over everything: blocks of fixed size folded in parallel, and their results in order; short rows down
  their columns.

Reductions that need no others share one loop, and results that are ready are written in it. The nest is built twice
where that can pay: the first time to learn every access, which tells which axes are one flat axis and which results
can be written straight into memory that the kernel reads (`Target.places`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise, product, takewhile
from typing import Any

from tracejit.codegen import mathlib
from tracejit.codegen.loop_ir import Axis, Expr, For, If, Let, Load, Stmt, Store, Var
from tracejit.codegen.lowering import row_orders, schedule
from tracejit.codegen.lowering import spills as lower_spills
from tracejit.codegen.lowering.access import Elements, Outer, Sizes
from tracejit.codegen.lowering.code import Code, has_loop
from tracejit.codegen.lowering.elements import ONE, ZERO, Affine, Array, Element, Index, affine, parts
from tracejit.codegen.lowering.folds import ColumnTiles, FoldGroup
from tracejit.codegen.lowering.forms import Form, by_steps, factored, is_loaded_in_vectors
from tracejit.ir.core import Op, Value
from tracejit.ir.opdef import Reduction
from tracejit.ir.types import BF16, F16, F32, I64, TensorType

#: Kernels of so many ops are printed a second time for short rows.
SHORT_OPS = 24


@dataclass(slots=True, eq=False)
class Target:
    """Where a result goes: `array`, or the first of `places` that is safe; then `array` is that place.

    A place is memory that the kernel may read. It is safe if each of its elements is read, if at all, before the
    element that is written over it, in the same trip or an earlier loop, and nowhere else. That other reads of the
    memory are apart from it is known before (`in-place-windows`).
    """

    value: Value
    array: Array
    places: tuple[Array, ...] = ()

    @property
    def shape(self) -> tuple[Any, ...]:
        """The result's dims."""
        return shape_of(self.value)


@dataclass(slots=True)
class Space:
    """The index space of a loop nest. Axes of size 1 are no loops; `merged` axes run together with the next one."""

    sizes: Index
    merged: frozenset[int] = frozenset()

    def proper(self, axes: Sequence[int]) -> list[int]:
        """The axes that need a loop."""
        return [a for a in axes if self.sizes[a] != ONE]

    def groups(self, axes: Sequence[int]) -> list[list[int]]:
        """Axes as runs that are one loop each."""
        runs: list[list[int]] = []
        for axis in self.proper(axes):
            if runs and runs[-1][-1] in self.merged:
                runs[-1].append(axis)
            else:
                runs.append([axis])
        return runs


class KernelLowering:
    """Builds the body of one kernel.

    `parallel`: the outermost loop may be parallel. `nested`: so may every loop whose trips need no order, and a flat
    loop is not cut into blocks (a GPU's schedule does that). `still`: the caller gives whole buffers only.
    """

    def __init__(
        self,
        ops: Sequence[Op],
        targets: Sequence[Target],
        outer: Outer,
        size: Sizes,
        parallel: bool,
        nested: bool = False,
        still: bool = True,
    ) -> None:
        self.ops = ops
        self.targets = targets
        self.outer = outer
        self.size = size
        self.parallel = parallel
        self.nested = nested and parallel
        self.is_final = True
        self.folded = [op for op in ops if isinstance(op.defn.lower, Reduction)]
        self.levels = _levels(ops)
        self.turned: tuple[int, Expr] | None = None
        self.updated: set[Var] = set()  #: buffers that are read and written
        self.outside = 1  #: scopes around a nest
        self.plain = False  #: no loop is a vector
        self.unrolled = False  #: folds are no loops
        self.across = False  #: totals go across short rows in vectors, and down the rows in each
        self.spills: dict[Value, lower_spills.Spill] = {}
        self.still: set[Var] | None = None if still else set()
        self.begin(frozenset())
        self.spills = lower_spills.find(self)

    def begin(self, merged: frozenset[int], order: Sequence[int] = ()) -> None:
        """Start with empty code; `merged` axes of the common space become one loop, `order` has its axes from the
        outermost to the innermost where that is not theirs."""
        self.code = Code()
        self.k = self.code.k
        self.elements = Elements(self.code, self.ops, self.outer, self.size)
        self.elements.fold = self.fold_on_demand
        self.elements.still = self.still
        self.axis_of: dict[Var, int] = {}
        self.formed: list[tuple[bool, Form | None]] = []
        self.pending = list(self.targets)
        self.written_at: dict[Value, Index] = {}
        self.in_window = False  #: stores wait
        self.late: list[tuple[Array, Index, Element]] = []  #: what they will store
        first = self.folded[0].operands[0] if self.folded else self.targets[0].value
        self.space = Space(self.elements.sizes_of(first), merged)
        self.space_shape = shape_of(first)
        self.axes: tuple[int, ...] = self.folded[0].attrs["axes"] if self.folded else ()
        self.order: Sequence[int] = order or range(len(self.space.sizes))

    def run(self) -> tuple[Stmt, ...]:
        """The kernel's statements."""
        if len(self.space.proper(self.order)) > 1 or any(t.places for t in self.targets):
            parallel, self.parallel, self.is_final = self.parallel, False, False
            self.build()
            self.settle()
            self.order = order = self.order_in_memory()
            merged, turned = self.mergeable(), self.turned_axis()
            accesses = self.elements.accesses
            read = {a.buffer for a in accesses if not (a.is_store or a.is_apart)}
            self.updated = {t.array.buffer for t in self.targets} & read
            self.parallel, self.is_final = parallel, True
            self.hold(self.elements.spread())
            self.begin(merged, order)
            self.turned = turned
        self.build()
        if self.hold(self.elements.starts if not has_loop(self.code.scopes[0].stmts) else self.elements.spread()):
            turned = self.turned
            self.begin(self.space.merged, self.order)
            self.turned = turned
            self.build()
        return tuple(self.code.scopes[0].stmts)

    def hold(self, buffers: Iterable[Var]) -> bool:
        """Take these whole from now on; whether that changes anything."""
        moving = set(buffers) - (self.still or set())
        if self.still is not None:
            self.still |= moving
        return bool(moving)

    def build(self) -> None:
        """Emit every nest."""
        self.code.volatile.update(t.array.buffer for t in self.targets)
        if not self.is_final:  # what is read again behind a write in the final build must be seen to be in this one
            self.code.volatile.update(place.buffer for t in self.targets for place in t.places)
        self.elements.spills = {value: spill.holder.array for value, spill in self.spills.items()}
        if self.folded and self.is_uniform():
            self.fold_nest()
        while self.pending:
            self.map_nest(self.pending[0].shape)

    def is_uniform(self) -> bool:
        """Whether all reductions fold the same axes of the same space."""
        return all(shape_of(op.operands[0]) == self.space_shape and op.attrs["axes"] == self.axes for op in self.folded)

    # -- what the first build tells ---------------------------------------------------------------------------------

    def mergeable(self) -> frozenset[int]:
        """Axes that can run together with the next one: every address advances as along one flat axis, and the two
        indices are used for nothing else."""
        escaped = _escaping(self.code.scopes[0].stmts, self.elements.address_names)
        if escaped & self.elements.address_names or not self._one_nest():
            return frozenset()
        fixed = {self.axis_of[v] for v in escaped if v in self.axis_of}
        forms = [form for _, form in self.forms()]
        forms += [self.form(t.array.address(self.k, self.written_at[t.value])) for t in self.targets]
        proper = self.space.proper(self.order)
        return frozenset(
            a
            for a, b in pairwise(proper)
            if (a in self.axes) == (b in self.axes)
            and not fixed & {a, b}
            and all(form is not None and self._continues(form, a, b) for form in forms)
        )

    def order_in_memory(self) -> Sequence[int]:
        """The axes from the outermost to the innermost: as most arrays over the whole space lie, if results do."""
        axes = self.space.proper(self.order)
        if self.nested or len(axes) < 2 or not self._one_nest():
            return self.order
        forms = [form for is_store, form in self.forms() if not is_store]
        reads = Counter(by_steps(form, axes) for form in forms)
        whole = [t for t in self.targets if t.shape == self.space_shape]
        forms = [self.form(t.array.address(self.k, self.written_at[t.value])) for t in whole]
        writes = Counter(by_steps(form, axes) for form in forms)
        best, count = next(((o, n) for o, n in reads.most_common() if o), ((), 0))
        if count <= reads[tuple(axes)] or writes.keys() - {best}:
            return self.order
        return [a for a in self.order if a not in axes] + list(best)

    def turned_axis(self) -> tuple[int, Expr] | None:
        """An axis along which an array is read densely that is read in strides along the last one, and the stride that
        must be 1 for that."""
        *others, last = self.space.proper(self.order) or [0]
        if self.folded or self.nested or not others or not self._one_nest():
            return None
        forms = [form for is_store, form in self.forms() if not is_store]
        strided = [f for f in forms if f is not None and not is_loaded_in_vectors(f.get(last, ZERO))]
        steps = [(a, f.get(a, ZERO)) for f in strided for a in reversed(others)]
        known = next(((a, step) for a, step in steps if step == ONE), None)
        return known or next(((a, step) for a, step in steps if isinstance(step, Var)), None)

    def forms(self) -> list[tuple[bool, Form | None]]:
        """For each access whether it is a store, and its form."""
        if len(self.formed) < len(self.elements.accesses):
            self.formed = [(access.is_store, self.form(access.address)) for access in self.elements.accesses]
        return self.formed

    def form(self, address: Expr) -> Form | None:
        """An address as its steps along the axes of the common space and (under None) the rest."""
        found: Affine | None = affine(self.k, address, set(self.axis_of))
        if found is None or any(self.code.depth(e) > 0 for e in (found.rest, *found.coefficients.values())):
            return None
        form: Form = {None: found.rest}
        for var, step in found.coefficients.items():
            form[self.axis_of[var]] = self.k.add(form.get(self.axis_of[var], ZERO), step)
        return form

    def _continues(self, form: Form, a: int, b: int) -> bool:
        return form.get(a, ZERO) == self.k.mul(form.get(b, ZERO), self.space.sizes[b])

    def _one_nest(self) -> bool:
        kept = tuple(d for i, d in enumerate(self.space_shape) if i not in self.axes)
        shapes = {t.shape for t in self.targets}
        return shapes <= {self.space_shape, kept} and (not self.folded or self.is_uniform())

    def settle(self) -> None:
        """Let results be written straight to a place where that is safe."""
        taken: set[tuple[Var, Expr]] = set()
        for target in self.targets:
            free = (p for p in target.places if (p.buffer, p.offset) not in taken)
            place = next((p for p in free if self._is_safe(target, p)), None)
            if place is not None:
                target.array = place
                taken.add((place.buffer, place.offset))

    def _is_safe(self, target: Target, place: Array) -> bool:
        """Whether each element of the place is read, if at all, just where and before it is written."""
        accesses = self.elements.accesses
        reads = [i for i, access in enumerate(accesses) if access.buffer is place.buffer and not access.is_apart]
        tiled = self.folded and target.shape != self.space_shape and ColumnTiles.possible(self)
        if any(accesses[i].is_store for i in reads) or tiled or not self._one_nest():
            return not reads
        first = next(i for i, access in enumerate(accesses) if access.is_store and access.buffer is target.array.buffer)
        if reads and reads[-1] > first:
            return False
        index = self.written_at[target.value]
        written = factored(self.form(place.address(self.k, index)))
        return written is not None and all(factored(self.form(accesses[i].address)) == written for i in reads)

    # -- loops ----------------------------------------------------------------------------------------------------

    @contextmanager
    def loops(self, axes: Sequence[int], index: dict[int, Expr], *, vector: bool, parallel: bool) -> Iterator[None]:
        """Loops over axes of the space; `index` receives the index of each axis."""
        index.update(dict.fromkeys(axes, ZERO))
        groups = self.space.groups(axes)
        with ExitStack() as stack:
            for at, group in enumerate(groups):
                last = at == len(groups) - 1
                outer: Axis = "parallel" if parallel and self.nested else "serial"
                is_vector = last and vector and not self.code.in_vector and not self.plain
                axis: Axis = "vector" if is_vector else outer
                spread = parallel and at == 0 and self.may_spread()
                i = stack.enter_context(self._loop(self.extent(group), axis, group, spread))
                self.enter(index, group, i)
            yield

    def rows(self, rows: Sequence[int], row: Sequence[int], index: dict[int, Expr]) -> AbstractContextManager[None]:
        """Loops over the axes `rows`, each trip of which goes through the axes `row`."""
        if row_orders.some_wait(self, rows, row):
            return row_orders.apart(self, rows, row, index)
        return self.loops(rows, index, vector=False, parallel=True)

    def extent(self, group: Sequence[int]) -> Expr:
        """The trips of the loop over merged axes."""
        return self.code.bind(self.k.product(self.space.sizes[a] for a in group), "size")

    def may_spread(self) -> bool:
        """Whether a loop opened here may run in parallel."""
        return self.parallel and len(self.code.scopes) == self.outside and not schedule.is_small(self.space.sizes)

    def _loop(self, extent: Expr, axis: Axis, group: list[int], spread: bool) -> AbstractContextManager[Expr]:
        name = schedule.loop_name(group)
        if spread and axis == "vector" and not self.nested:
            return schedule.blocked_loop(
                self.code, extent, axis, name, schedule.COLUMNS if self.folded else schedule.BLOCK
            )
        return self.code.loop(extent, "parallel" if spread and axis != "vector" else axis, name)

    def enter(self, index: dict[int, Expr], group: Sequence[int], i: Expr) -> None:
        """Note the index of merged axes: the last one has it all."""
        index.update(dict.fromkeys(group, ZERO))
        index[group[-1]] = i
        if isinstance(i, Var):
            self.axis_of[i] = group[-1]

    def at(self, index: dict[int, Expr]) -> Index:
        """The index tuple of the space."""
        return tuple(index[a] for a in range(len(self.space.sizes)))

    # -- nests ----------------------------------------------------------------------------------------------------

    def map_nest(self, shape: tuple[Any, ...]) -> None:
        """A nest that writes every pending result of one shape."""
        ready = self.take(lambda t: t.shape == shape)
        common = self.space
        if shape != self.space_shape:
            self.space = Space(self.elements.sizes_of(ready[0].value))
        axes, turned = (self.order, self.turned) if shape == self.space_shape else (range(len(shape)), None)
        index: dict[int, Expr] = dict.fromkeys(axes, ZERO)
        *rows, row = self.space.groups(axes) or [[]]
        if turned is None:
            outer = [axis for group in rows for axis in group]
            with self.rows(outer, row, index), self.loops(row, index, vector=True, parallel=not rows):
                self.write(ready, self.at(index))
        else:
            for plain in self.versions(row):
                one_by_one = self.loops(axes, index, vector=False, parallel=True)
                with one_by_one if plain else row_orders.strips(self, *turned, index):
                    self.write(ready, self.at(index))
        self.space = common

    def write(self, targets: Sequence[Target], index: Index) -> None:
        """Write results at an index: all are computed before the first is stored."""
        self.elements.prepare([t.value for t in targets], index)
        self.store(targets, [self.elements.element(t.value, index) for t in targets], index)

    def store(self, targets: Sequence[Target], values: Sequence[Element], index: Index) -> None:
        """Store computed results at an index."""
        for target, value in zip(targets, values, strict=True):
            spill = self.spills.get(target.value)
            if spill is None or spill.holder is not target:
                self.late.append((target.array, index, value))
            self.written_at[target.value] = index
        if not self.in_window:
            self._store_late()

    def _store_late(self) -> None:
        """Store what waits for that, the elements of each array together."""
        for buffer in dict.fromkeys(array.buffer for array, _, _ in self.late):
            for array, index, value in self.late:
                if array.buffer is buffer:
                    self.elements.store(array, index, value)
        self.late.clear()

    @contextmanager
    def stores_together(self) -> Iterator[None]:
        """Store the elements of a window after it is read: neighbours are stored as one vector."""
        self.in_window = True
        yield
        self.in_window = False
        self._store_late()

    def places(self, groups: Sequence[Sequence[int]], index: dict[int, Expr]) -> Iterator[None]:
        """Go through the places of a window of known sizes; `index` is at each of them."""
        sizes = [math.prod(int(self.space.sizes[a].value.real) for a in group) for group in groups]  # type: ignore[union-attr]
        for place in product(*map(range, sizes)):
            for group, i in zip(groups, place, strict=True):
                self.enter(index, group, self.k.const(i, I64))
            yield

    def fold_nest(self) -> None:
        """The nest of a group with reductions: kept axes outside, folds and writes inside."""
        kept = [a for a in self.order if a not in self.axes]
        proper, folded = self.space.proper(kept), self.space.proper(self.folded_axes())
        columns = bool(proper) and bool(folded) and self.space.proper(self.order)[-1] == proper[-1]
        if self.is_windowed(folded):
            self.unrolled = True
            self.rows_nest(kept, True)
            self.unrolled = False
            return
        if columns and self.is_tiled(kept):
            sums = {op.results[0] for op in self.folded}
            ColumnTiles(self, kept, self.take(lambda t: t.value in sums), self.take(lambda t: True)).emit()
            return
        *rows, row = self.space.groups(folded) or [[]]
        is_total = not proper
        if columns or not folded or (is_total and not (rows and self.may_go_across())):
            self.rows_nest(kept, columns)
            return
        pending, memo = self.pending, self.elements.memo
        for is_short in self.versions(row, schedule.ACROSS) if is_total else self.versions(folded):
            self.pending, self.elements.memo = list(pending), dict(memo)
            self.plain, self.across = is_short and not is_total, is_short and is_total
            self.rows_nest(kept, False)
        self.elements.memo = memo

    def is_windowed(self, folded: Sequence[int]) -> bool:
        """Whether rows are windows of a known few elements (as of pooling): then the lanes of a vector are windows."""
        proper = self.space.proper(self.order)
        inner = list(takewhile(lambda axis: axis in folded, reversed(proper)))
        if self.nested or not inner or len(folded) == len(proper):
            return False
        whole = any(t.shape == self.space_shape for t in self.pending)
        limit = schedule.KEPT if whole else schedule.WINDOW
        sizes = [self.space.sizes[a] for a in folded]
        few = schedule.is_small([self.space.sizes[a] for a in inner], schedule.SPACED)
        return few and ZERO not in sizes and schedule.is_small(sizes, limit)

    def may_go_across(self) -> bool:
        """Whether totals may go down columns: products keep the order of rows, because a 0 among their factors and an
        overflow give a NaN."""
        return all(op.defn.lower.combine != "mul" for op in self.folded)  # type: ignore[union-attr]

    def has_short_version(self) -> bool:
        """Whether the nest is printed a second time for short rows."""
        functions = any(op.name in mathlib.FUNCTIONS for op in self.ops)
        is_plain = max(self.levels.values(), default=0) <= 1 and len(self.ops) <= SHORT_OPS and not functions
        return self.is_final and not self.nested and is_plain

    def versions(self, row: Sequence[int], most: int = schedule.SHORT_ROW) -> Iterator[bool]:
        """Go through the versions of a nest and be in the code of each: one for rows of up to `most` elements along the
        axes `row`, where there is such a version, and any other. Gives whether it is the one for short rows."""
        if not self.has_short_version():
            yield False
            return
        short = self.code.bind(self.k.le(self.k.product(self.space.sizes[a] for a in row), most), "short")
        for cond, is_short in ((short, True), (self.k.logical_not(short), False)):
            with self.code.when(cond):
                self.outside += 1
                yield is_short
                self.outside -= 1

    def rows_nest(self, kept: Sequence[int], columns: bool) -> None:
        """Folds and writes for each index of the kept axes; with `columns` the last of these is a vector."""
        kept_shape = tuple(self.space_shape[a] for a in sorted(kept))
        index: dict[int, Expr] = {}
        self.elements.spilled.clear()  # each version of the nest keeps them anew
        rows = self.loops(kept, index, vector=True, parallel=True) if columns else self.rows(kept, self.axes, index)
        with rows:
            outer = tuple(index[a] for a in sorted(kept))
            for level in range(1, max(self.levels[op.results[0]] for op in self.folded) + 1):
                mates = self.mates(level)
                if mates and (mates[0].results[0], outer) not in self.elements.memo:
                    self.fold_group(mates, outer, self.ready(level - 1))
                self.elements.spilled.update(v for v, spill in self.spills.items() if spill.stage == level)
            self.write(self.take(lambda t: t.shape == kept_shape and t.shape != self.space_shape), outer)
            rest = self.take(lambda t: t.shape == self.space_shape)
            if rest and self.unrolled:
                index.update(dict.fromkeys(self.axes, ZERO))
                with self.stores_together():
                    for _ in self.places(self.space.groups(self.folded_axes()), index):
                        self.write(rest, self.at(index))
            elif rest:
                with self.loops(self.folded_axes(), index, vector=True, parallel=True):
                    self.write(rest, self.at(index))

    def is_tiled(self, kept: Sequence[int]) -> bool:
        """Whether columns are folded tile by tile: one loop over columns, one over rows, of which there may be many."""
        groups = self.space.groups(kept), self.space.groups(self.folded_axes())
        if not self.is_final or any(len(g) != 1 for g in groups) or not ColumnTiles.possible(self):
            return False
        return not schedule.is_small([self.space.sizes[a] for a in groups[1][0]], schedule.FEW_ROWS)

    def folded_axes(self) -> list[int]:
        """The axes that reductions fold, from the outermost to the innermost."""
        return [a for a in self.order if a in self.axes]

    def identity(self, op: Op) -> Element:
        """What a reduction starts from; f16 and bf16 are folded in f32."""
        lower = op.defn.lower
        assert isinstance(lower, Reduction)
        dtype = op.results[0].type.dtype  # type: ignore[union-attr]
        return self.k.const(lower.identity(dtype), F32 if dtype in (F16, BF16) else dtype)

    def ready(self, level: int) -> list[Target]:
        """Pending results over the whole space that need no reduction above `level`; they are taken."""
        if not self.axes:
            return []
        return self.take(lambda t: t.shape == self.space_shape and self.levels[t.value] <= level)

    def take(self, wanted: Callable[[Target], bool]) -> list[Target]:
        """Pending results that are wanted; they are no longer pending."""
        taken = [t for t in self.pending if wanted(t)]
        self.pending = [t for t in self.pending if not wanted(t)]
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
            common = self.space, self.axes, self.order
            self.space, self.axes = Space(self.elements.sizes_of(op.operands[0])), op.attrs["axes"]
            self.order = range(len(self.space.sizes))
            self.fold_group([op], index, [])
            self.space, self.axes, self.order = common
        return self.elements.memo[op.results[0], index]

    def fold_group(self, mates: list[Op], outer: Index, targets: list[Target]) -> None:
        """Fold reductions over one space in one loop nest, writing results in it; totals go to the memo."""
        kept = [a for a in range(len(self.space.sizes)) if a not in self.axes]
        index = dict(zip(kept, outer, strict=True))
        for op, total in zip(mates, FoldGroup(self, mates, targets, index).totals(), strict=True):
            dtype = op.results[0].type.dtype  # type: ignore[union-attr]
            named = self.k.let(self.k.cast(total, dtype), op.results[0].name)
            self.elements.memo[op.results[0], outer] = named


def shape_of(value: Value) -> tuple[Any, ...]:
    """The dims of a tensor; () for a host scalar."""
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
