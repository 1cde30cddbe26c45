"""Copies between arrays: in one piece, across the lines of a matrix, or element by element in a kernel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tracejit.codegen.loop_ir import Call, Expr, Var
from tracejit.codegen.lowering import schedule
from tracejit.codegen.lowering.code import Code
from tracejit.codegen.lowering.elements import ONE, ZERO, Array, load, stores
from tracejit.codegen.lowering.forms import factors
from tracejit.codegen.lowering.kernels import Target
from tracejit.ir.core import Value
from tracejit.ir.types import BOOL, I64

if TYPE_CHECKING:
    from tracejit.codegen.lowering.entry import Lowering

#: Columns that are turned at once, of TALL rows, whose lines of memory stay in the cache for the columns that follow,
#: or of LOW ones where there are fewer.
TURNED, TALL, LOW = 8, 64, 16

#: So many elements of a row are written before the next row.
PIECE = 128

#: Numbers of rows or columns (points, colours) that have ways of their own.
FEW = (2, 3, 4)


def copy_into(lowering: Lowering, target: Array, source: Array) -> None:
    """Copy elements between arrays of one shape."""
    k = lowering.k
    if source.is_dense(k) and target.is_dense(k):
        count = k.product(source.shape)
        width = 2 if source.type.dtype.is_complex else 1
        lowering.emit(Call("copy", (lowering.start_of(target), lowering.start_of(source), k.mul(count, width))))
        return
    matrices = _as_matrices(lowering, target, source) if lowering.target == "cpu" else None
    if matrices is not None and matrices[1].steps(k)[0] == ONE != matrices[1].shape[1]:
        _turn_into(lowering, *matrices)
    else:
        _copy_together(lowering, [(target, source)])


def _as_matrices(lowering: Lowering, target: Array, source: Array) -> tuple[Array, Array] | None:
    """The arrays with axes that are one in both of them as one; None where that leaves no two."""
    k, arrays = lowering.k, (target, source)
    shape, steps = list(source.shape), [list(array.steps(k)) for array in arrays]
    for axis in reversed(range(len(shape) - 1)):
        whole = [k.mul(own[axis + 1], shape[axis + 1]) for own in steps]
        if all(_factors(lowering, own[axis]) == _factors(lowering, e) for own, e in zip(steps, whole, strict=True)):
            shape[axis : axis + 2] = [k.mul(shape[axis], shape[axis + 1])]
            for own in steps:
                del own[axis]
    if len(shape) != 2:
        return None
    sizes = tuple(lowering.let(n, "size") for n in shape)
    made, given = (replace(array, shape=sizes, strides=tuple(own)) for array, own in zip(arrays, steps, strict=True))
    return made, given


def _factors(lowering: Lowering, step: Expr) -> Counter[Expr]:
    """The factors of a step, of which some have a name."""
    found: Counter[Expr] = Counter()
    for factor in factors(step):
        meaning = lowering.steps.get(factor) if isinstance(factor, Var) else None
        found += Counter([factor]) if meaning is None else _factors(lowering, meaning)
    return found


def copy_parts(lowering: Lowering, parts: Sequence[tuple[Array, Array]]) -> None:
    """Copy parts of one array from others: columns of one length in one loop, so that rows are written at once."""
    shapes = {source.shape for _, source in parts}
    if len(parts) > 1 and len(shapes) == 1 and parts[0][1].shape[-1:] == (ONE,):
        _copy_together(lowering, parts)
    else:
        for target, source in parts:
            copy_into(lowering, target, source)


def _copy_together(lowering: Lowering, pairs: Sequence[tuple[Array, Array]]) -> None:
    """Copy elements between arrays of one shape, in one loop."""
    values = [Value(source.type, "x") for _, source in pairs]
    lowering.env.update((value, source) for value, (_, source) in zip(values, pairs, strict=True))
    lowering.kernel("copy", (), [Target(value, target) for value, (target, _) in zip(values, pairs, strict=True)])


def _turn_into(lowering: Lowering, target: Array, source: Array) -> None:
    """Copy a matrix whose columns lie in one piece: by the first way that fits its sizes."""
    turn = _Turn(target, source)
    k, (rows, columns) = turn.k, source.shape
    is_high, is_wide = k.ge(rows, LOW), k.ge(columns, TURNED)
    ways: list[tuple[Expr, Callable[[], None]]] = [
        (k.logical_and(is_wide, k.ge(rows, TALL)), lambda: turn.squares(TALL)),
        (k.logical_and(is_wide, is_high), lambda: turn.squares(LOW)),
    ]
    for few in FEW:
        (_, from_step), (to_step, within) = source.steps(k), target.steps(k)
        fill_columns = k.logical_and(k.eq(rows, few), k.eq(from_step, few))
        fill_rows = k.logical_and(k.eq(columns, few), k.logical_and(k.eq(to_step, few), k.eq(within, 1)))
        ways += [(fill_columns, partial(turn.few_rows, few)), (fill_rows, partial(turn.few_columns, few))]
    true = k.const(True, BOOL)
    ways += [(is_high, turn.column_by_column), (true, turn.row_by_row)]
    left: Expr = true
    for fits, emit in ways:
        with turn.code.when(turn.code.bind(k.logical_and(left, fits), "fits")):
            emit()
        left = turn.code.bind(k.logical_and(left, k.logical_not(fits)), "left")
    lowering.launch("turn", turn.code.scopes[0].stmts)


class _Turn:
    """Ways to copy a matrix whose columns lie in one piece into one whose rows do."""

    def __init__(self, target: Array, source: Array) -> None:
        self.target, self.source = target, source
        self.code = Code()
        self.k = self.code.k
        self.rows, self.columns = source.shape

    def move(self, reads: Sequence[Expr], writes: Sequence[Expr]) -> None:
        """Copy elements from addresses to others: all are read before the first is stored."""
        k, dtype = self.k, self.source.type.dtype
        values = [k.let(load(self.source.buffer, at, dtype, k), "x") for at in reads]
        for at, value in zip(writes, values, strict=True):
            self.code.emit(*stores(self.target.buffer, at, value, k))

    def beside(self, array: Array, i: Expr, j: Expr, axis: int, count: int) -> list[Expr]:
        """The addresses of so many elements along an axis from one on."""
        k = self.k
        begin, step = array.address(k, (i, j)), array.steps(k)[axis]
        return [k.add(begin, k.mul(step, at)) for at in range(count)]

    def squares(self, tall: int) -> None:
        """Blocks of `tall` rows, each TURNED columns at a time; the last ones reach back into those before."""
        code, k = self.code, self.k
        with code.loop(schedule.blocks(code, self.rows, tall), "parallel", "block") as block:
            first = code.bind(k.minimum(k.mul(block, tall), k.sub(self.rows, tall)), "first")
            with code.loop(schedule.blocks(code, self.columns, TURNED), "serial", "square") as square:
                start = code.bind(k.minimum(k.mul(square, TURNED), k.sub(self.columns, TURNED)), "start")
                with code.loop(k.const(tall, I64), "vector", "i") as i:
                    row = k.add(first, i)
                    self.move(*(self.beside(array, row, start, 1, TURNED) for array in (self.source, self.target)))

    def few_rows(self, count: int) -> None:
        """Rows that are so few, side by side in each column: all of a column at once."""
        k = self.k
        with self.code.loop(self.columns, "vector", "j") as j:
            begin = k.add(self.source.offset, k.mul(j, count))
            self.move([k.add(begin, at) for at in range(count)], self.beside(self.target, ZERO, j, 0, count))

    def few_columns(self, count: int) -> None:
        """Columns that are so few: all of a row at once."""
        k = self.k
        with self.code.loop(self.rows, "vector", "i") as i:
            begin = k.add(self.target.offset, k.mul(i, count))
            self.move(self.beside(self.source, i, ZERO, 1, count), [k.add(begin, at) for at in range(count)])

    def column_by_column(self) -> None:
        """Columns in one piece each."""
        with self.code.loop(self.columns, "serial", "j") as j, self.code.loop(self.rows, "vector", "i") as i:
            self.move(*(self.beside(array, i, j, 0, 1) for array in (self.source, self.target)))

    def row_by_row(self) -> None:
        """Pieces of rows, whose lines of memory stay in the cache for the rows that follow."""
        code, k = self.code, self.k
        with code.loop(schedule.blocks(code, self.columns, PIECE), "serial", "piece") as piece:
            first, size = schedule.block_range(code, self.columns, piece, PIECE)
            with code.loop(self.rows, "serial", "i") as i, code.loop(size, "vector", "j") as j:
                self.move(*(self.beside(array, i, k.add(first, j), 0, 1) for array in (self.source, self.target)))
