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

if TYPE_CHECKING:
    from tracejit.codegen.lowering.entry import Lowering

#: So many rows of a matrix are turned at once where they are to be shorter than that, or than LINE bits, which a kernel
#: handles at once; so many columns elsewhere.
TURNED, LINE, FLAT = 32, 1024, 128


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
    """Copy a matrix whose columns lie in one piece: row by row, of some columns, whose lines of memory stay in the
    cache for the rows that follow. Where rows are short, piece by piece of the columns."""
    code = Code()
    k, (rows, columns) = code.k, source.shape

    def move(i: Expr, j: Expr) -> None:
        value = load(source.buffer, source.address(k, (i, j)), source.type.dtype, k)
        code.emit(*stores(target.buffer, target.address(k, (i, j)), value, k))

    short = max(TURNED, LINE // source.type.dtype.bits)
    is_flat = code.bind(k.logical_or(k.ge(columns, short), k.lt(rows, short)), "is_flat")
    with code.when(is_flat), code.loop(schedule.blocks(code, columns, FLAT), "serial", "block") as block:
        first, size = schedule.block_range(code, columns, block, FLAT)
        with code.loop(rows, "serial", "i") as i, code.loop(size, "vector", "j") as j:
            move(i, k.add(first, j))
    with code.when(k.logical_not(is_flat)), code.loop(schedule.blocks(code, rows, TURNED), "serial", "b") as block:
        first, size = schedule.block_range(code, rows, block, TURNED)
        with code.loop(columns, "serial", "j") as j, code.loop(size, "vector", "i") as i:
            move(k.add(first, i), j)
    lowering.launch("turn", code.scopes[0].stmts)
