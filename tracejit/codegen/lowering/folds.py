"""The loops of reductions that fold the same axes: nested folds, blocks folded in parallel, or tiles of columns.

f16 and bf16 are folded in f32; complex numbers are carried as two values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracejit.codegen.loop_ir import Axis, Expr, Var
from tracejit.codegen.lowering import schedule
from tracejit.codegen.lowering.code import Fold
from tracejit.codegen.lowering.complex import Complex
from tracejit.codegen.lowering.elements import ZERO, Element
from tracejit.ir.core import Op
from tracejit.ir.opdef import Reduction
from tracejit.ir.types import BF16, F16, F32, I64, TensorType

if TYPE_CHECKING:
    from tracejit.codegen.lowering.kernels import KernelLowering, Target


@dataclass(slots=True)
class FoldGroup:
    """Reductions `mates` over the kernel's current space; `targets` are written in their loop."""

    kernel: KernelLowering
    mates: list[Op]
    targets: list[Target]
    index: dict[int, Expr]
    block: tuple[Expr, Expr] | None = None  #: start and length of the outermost loop's trips

    def totals(self) -> list[Element]:
        """Emit the loops; gives one total per reduction."""
        kernel = self.kernel
        self.index.update(dict.fromkeys(kernel.axes, ZERO))
        groups = kernel.space.groups(kernel.folded_axes())
        return self.spread(groups) if groups and kernel.may_spread() else self.nest(groups)

    def nest(self, groups: list[list[int]]) -> list[Element]:
        """Nested folds over groups of axes."""
        kernel, code = self.kernel, self.kernel.code
        if not groups:
            return self._elements()
        if kernel.unrolled:
            return self.unrolled(groups)
        if kernel.across and len(groups) == 2:
            return self.across(*groups)
        group, inner = groups[0], groups[1:]
        start, extent = (ZERO, kernel.extent(group)) if self.block is None else self.block
        self.block = None
        is_last = group[-1] == kernel.space.proper(kernel.order)[-1]
        is_vector = not inner and is_last and not code.in_vector and not kernel.plain
        axis: Axis = "vector" if is_vector else "serial"
        with code.fold(extent, self._folds(), axis, schedule.loop_name(group)) as body:
            kernel.enter(self.index, group, kernel.k.add(start, body.index))
            body.next = self._following(body.carried, self.nest(inner))
        return self._pairs(body.results)

    def across(self, rows: list[int], row: list[int]) -> list[Element]:
        """Vectors along short rows, which go down the rows: nothing is combined within a row."""
        kernel, code = self.kernel, self.kernel.code
        start, height = (ZERO, kernel.extent(rows)) if self.block is None else self.block
        self.block = None
        with code.fold(kernel.extent(row), self._folds(), "vector", schedule.loop_name(row)) as columns:
            kernel.enter(self.index, row, columns.index)
            with code.fold(height, self._folds(), "serial", schedule.loop_name(rows)) as body:
                kernel.enter(self.index, rows, kernel.k.add(start, body.index))
                body.next = self._following(body.carried, self._elements())
            columns.next = self._following(columns.carried, self._pairs(body.results))
        return self._pairs(columns.results)

    def unrolled(self, groups: list[list[int]]) -> list[Element]:
        """The elements of a window one after the other, without a loop. Only a sum must start from its neutral element:
        it makes a sum of -0 a 0."""
        kernel = self.kernel
        totals: list[Element | None] = [
            kernel.identity(op) if op.defn.lower.combine == "add" else None  # type: ignore[union-attr]
            for op in self.mates
        ]
        with kernel.stores_together():
            for _ in kernel.places(groups, self.index):
                for at, (op, x) in enumerate(zip(self.mates, self._elements(), strict=True)):
                    total, combine = totals[at], op.defn.lower.combine  # type: ignore[union-attr]
                    if total is not None:
                        x = kernel.k.let(kernel.k.op(combine, total, x), op.results[0].name)
                    totals[at] = x
        return [total for total in totals if total is not None]

    def spread(self, groups: list[list[int]]) -> list[Element]:
        """The outermost loop in parallel: in blocks if it is the only one, or its trips are short. Its parts are folded
        in order."""
        kernel, code = self.kernel, self.kernel.code
        extent = kernel.extent(groups[0])
        down = kernel.across and len(groups) == 2
        in_blocks, size = down or len(groups) == 1, kernel.k.const(schedule.BLOCK, I64)
        if down:
            size = code.bind(kernel.k.floordiv(size, kernel.k.maximum(kernel.extent(groups[1]), 1)), "height")
        trips = schedule.blocks(code, extent, size) if in_blocks else extent
        with code.fold(trips, self._folds(), "parallel", "block" if in_blocks else "i") as body:
            if in_blocks:
                self.block = schedule.block_range(code, extent, body.index, size)
                body.next = self._following(body.carried, self.nest(groups))
            else:
                kernel.enter(self.index, groups[0], body.index)
                body.next = self._following(body.carried, self.nest(groups[1:]))
        return self._pairs(body.results)

    # -- elements ---------------------------------------------------------------------------------------------------

    def _folds(self) -> list[Fold]:
        """What the loops carry: one value per reduction, two for complex ones."""
        folds: list[Fold] = []
        for op in self.mates:
            start, combine, name = self.kernel.identity(op), op.defn.lower.combine, op.results[0].name  # type: ignore[union-attr]
            if isinstance(start, Complex):
                splits = combine if combine == "add" else None
                folds += [Fold(start.re, splits, f"{name}_re"), Fold(start.im, splits, f"{name}_im")]
            else:
                folds.append(Fold(start, combine, name))
        return folds

    def _elements(self) -> list[Element]:
        """The elements to fold at the current index; results that are ready are written there, after all reads."""
        kernel, place = self.kernel, self.kernel.at(self.index)
        kernel.elements.prepare([*(t.value for t in self.targets), *(op.operands[0] for op in self.mates)], place)
        values = [kernel.elements.element(t.value, place) for t in self.targets]
        elements = [self._one(op) for op in self.mates]
        kernel.store(self.targets, values, place)
        return elements

    def _one(self, op: Op) -> Element:
        k = self.kernel.k
        x = self.kernel.elements.element(op.operands[0], self.kernel.at(self.index))
        lower = op.defn.lower
        assert isinstance(lower, Reduction)
        if lower.element is not None:
            x = lower.element(k, x)
        return k.cast(x, F32) if x.type in (F16, BF16) else x

    def _following(self, carried: Sequence[Var], elements: Sequence[Element]) -> list[Expr]:
        """What each carried value takes next: the element where the loop declares the fold, else the fold itself."""
        following: list[Expr] = []
        for op, acc, x in zip(self.mates, self._pairs(carried), elements, strict=True):
            combine = op.defn.lower.combine  # type: ignore[union-attr]
            if isinstance(acc, Complex) and combine != "add":
                x = self.kernel.k.op(combine, acc, x)
            following += (x.re, x.im) if isinstance(x, Complex) else (x,)
        return following

    def _pairs(self, flat: Sequence[Expr]) -> list[Element]:
        """Carried values as elements, one per reduction."""
        left = list(flat)
        found: list[Element] = []
        for op in self.mates:
            first = left.pop(0)
            is_pair = op.results[0].type.dtype.is_complex  # type: ignore[union-attr]
            found.append(Complex(first, left.pop(0)) if is_pair else first)
        return found


class ColumnTiles:
    """Sums over rows, one per column, in tiles of a few rows: the rows of a large matrix lie in different pages of
    memory, and only so many of them can be read side by side. The running totals are in the results themselves."""

    def __init__(self, kernel: KernelLowering, kept: list[int], targets: list[Target], whole: list[Target]) -> None:
        self.kernel = kernel
        self.kept = kept
        self.totals = targets
        self.whole = whole
        self.mates = [next(op for op in kernel.folded if op.results[0] is t.value) for t in targets]

    @staticmethod
    def possible(kernel: KernelLowering) -> bool:
        """Whether the kernel consists of plain reductions that are results, and of results that need none."""
        if any(kernel.levels[op.results[0]] != 1 for op in kernel.folded):
            return False
        sums = {op.results[0] for op in kernel.folded}
        rest = [t for t in kernel.targets if t.value not in sums]
        is_plain = all(t.shape == kernel.space_shape and kernel.levels[t.value] == 0 for t in rest)
        dtypes = [op.results[0].type.dtype for op in kernel.folded]  # type: ignore[union-attr]
        return (
            is_plain
            and len(kernel.targets) == len(rest) + len(sums)
            and not any(d.is_complex or d in (F16, BF16) for d in dtypes)
        )

    def emit(self) -> None:
        """For each block of columns: neutral totals, then tile by tile."""
        kernel, code, k = self.kernel, self.kernel.code, self.kernel.k
        (columns,), (rows,) = kernel.space.groups(self.kept), kernel.space.groups(kernel.folded_axes())
        width, height = kernel.extent(columns), kernel.extent(rows)
        axis: Axis = "parallel" if kernel.may_spread() else "serial"
        with code.loop(schedule.blocks(code, width, schedule.COLUMNS), axis, "block") as block:
            start, length = schedule.block_range(code, width, block, schedule.COLUMNS)
            with code.loop(length, "vector", schedule.loop_name(columns)) as j:
                index = self._index(columns, k.add(start, j), rows, ZERO)
                for target, op in zip(self.totals, self.mates, strict=True):
                    kernel.elements.store(target.array, self._column(index), kernel.identity(op))
            side_by_side = self._rows()
            with code.loop(schedule.blocks(code, height, side_by_side), "serial", "tile") as tile:
                first, count = schedule.block_range(code, height, tile, side_by_side)
                with code.loop(length, "vector", schedule.loop_name(columns)) as j:
                    index = self._index(columns, k.add(start, j), rows, ZERO)
                    group = FoldGroup(kernel, self.mates, self.whole, index, (first, count))
                    self._add(index, group.nest([rows]))

    def _rows(self) -> int:
        """How many rows of each array are folded side by side."""
        ops, rank = self.kernel.ops, len(self.kernel.space_shape)
        made = {r for op in ops for r in op.results}
        outside = {v for op in ops for v in op.operands if v not in made and isinstance(v.type, TensorType)}
        arrays = sum(v.type.rank == rank for v in outside)  # type: ignore[union-attr]
        return max(2, schedule.ROWS // max(arrays, 1))

    def _add(self, index: dict[int, Expr], parts: list[Element]) -> None:
        elements = self.kernel.elements
        for target, op, part in zip(self.totals, self.mates, parts, strict=True):
            place = self._column(index)
            old = elements.load(target.array, place, "total")
            combine = op.defn.lower.combine  # type: ignore[union-attr]
            elements.store(target.array, place, self.kernel.k.op(combine, old, part))
            self.kernel.written_at[target.value] = place

    def _index(self, columns: list[int], j: Expr, rows: list[int], i: Expr) -> dict[int, Expr]:
        index: dict[int, Expr] = dict.fromkeys(range(len(self.kernel.space.sizes)), ZERO)
        self.kernel.enter(index, rows, i)
        self.kernel.enter(index, columns, j)
        return index

    def _column(self, index: dict[int, Expr]) -> tuple[Expr, ...]:
        return tuple(index[a] for a in sorted(self.kept))
