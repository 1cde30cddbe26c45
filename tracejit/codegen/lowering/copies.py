"""Copies between arrays: in one piece, across the lines of a matrix, or element by element in a kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tracejit.codegen.loop_ir import Call, Expr
from tracejit.codegen.lowering import schedule
from tracejit.codegen.lowering.code import Code
from tracejit.codegen.lowering.elements import ONE, Array, load, stores
from tracejit.codegen.lowering.kernels import Target
from tracejit.ir.core import Value
from tracejit.ir.types import I64

if TYPE_CHECKING:
    from tracejit.codegen.lowering.entry import Lowering

#: Columns that are turned at once, of TALL rows, whose lines of memory stay in the cache for the columns that follow,
#: or of LOW ones where there are fewer.
TURNED, TALL, LOW = 8, 64, 16


def copy_into(lowering: Lowering, target: Array, source: Array) -> None:
    """Copy elements between arrays of one shape."""
    k = lowering.k
    if source.is_dense(k) and target.is_dense(k):
        count = k.product(source.shape)
        width = 2 if source.type.dtype.is_complex else 1
        lowering.emit(Call("copy", (lowering.start_of(target), lowering.start_of(source), k.mul(count, width))))
    elif lowering.target == "cpu" and len(source.shape) == 2 and source.steps(k)[0] == ONE != source.shape[1]:
        _turn_into(lowering, target, source)
    else:
        _copy_together(lowering, [(target, source)])


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
    """Copy a matrix whose columns lie in one piece: some of them side by side, which become pieces of rows. A column at
    a time where there are only a few, or they are short."""
    code = Code()
    k, (rows, columns) = code.k, source.shape

    def move(i: Expr, j: Expr, count: int) -> None:
        """Elements of a row from column j on: all are read before the first is stored, and lie a number apart."""
        begins = source.address(k, (i, j)), target.address(k, (i, j))
        reads, writes = (
            [k.add(begin, k.mul(array.steps(k)[1], at)) for at in range(count)]
            for array, begin in zip((source, target), begins, strict=True)
        )
        values = [k.let(load(source.buffer, at, source.type.dtype, k), "x") for at in reads]
        for at, value in zip(writes, values, strict=True):
            code.emit(*stores(target.buffer, at, value, k))

    def squares(tall: int) -> None:
        """Blocks of `tall` rows, each TURNED columns at a time; the last ones reach back into those before."""
        with code.loop(schedule.blocks(code, rows, tall), "parallel", "block") as block:
            first = code.bind(k.minimum(k.mul(block, tall), k.sub(rows, tall)), "first")
            with code.loop(schedule.blocks(code, columns, TURNED), "serial", "square") as square:
                start = code.bind(k.minimum(k.mul(square, TURNED), k.sub(columns, TURNED)), "start")
                with code.loop(k.const(tall, I64), "vector", "i") as i:
                    move(k.add(first, i), start, TURNED)

    is_wide = k.ge(columns, TURNED)
    has_tall = code.bind(k.logical_and(is_wide, k.ge(rows, TALL)), "has_tall")
    has_low = code.bind(k.logical_and(is_wide, k.ge(rows, LOW)), "has_low")
    with code.when(has_tall):
        squares(TALL)
    with code.when(k.logical_and(has_low, k.logical_not(has_tall))):
        squares(LOW)
    with code.when(k.logical_not(has_low)), code.loop(columns, "serial", "j") as j, code.loop(rows, "vector", "i") as i:
        move(i, j, 1)
    lowering.launch("turn", code.scopes[0].stmts)
