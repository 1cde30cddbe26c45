"""Nests that go through rows in another order than one by one, in blocks of rows that threads can share.

Whether that pays, by how long rows are, is decided when the program runs; where it does not, those of a block are gone
through one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from tracejit.codegen.loop_ir import Axis, Const, Expr
from tracejit.codegen.lowering import schedule
from tracejit.codegen.lowering.elements import ONE, ZERO
from tracejit.ir.types import I64

if TYPE_CHECKING:
    from tracejit.codegen.lowering.kernels import KernelLowering


def some_wait(kernel: KernelLowering, rows: Sequence[int], row: Sequence[int]) -> bool:
    """Whether rows that are read and written, along the axes `row`, may be so short that what is read of one waits for
    the one written before it: a vector may reach into the next row, and processors do not hand on a part of what was
    stored under a mask. Rows known to be a multiple of SHORT_ROW end with whole vectors."""
    if kernel.nested or kernel.plain or not kernel.space.proper(rows) or not kernel.space.proper(row):
        return False
    width = kernel.extent(row)
    known = int(width.value.real) if isinstance(width, Const) else 1
    is_short = known < schedule.NARROW and known % schedule.SHORT_ROW != 0
    return is_short and any(t.array.buffer in kernel.updated for t in kernel.targets)


@contextmanager
def apart(kernel: KernelLowering, rows: Sequence[int], row: Sequence[int], index: dict[int, Expr]) -> Iterator[None]:
    """Loops over the axes `rows` that take short rows some apart from each other: of a block of 64 every eighth, then
    those behind them, and so on; of fewer rows those 4 or 2 apart. What comes from far is best read in order: there
    rows of some vectors do not count as short."""
    *outer, inner = kernel.space.groups(rows)
    index.update(dict.fromkeys(rows, ZERO))
    k, code, width = kernel.k, kernel.code, kernel.extent(row)
    is_near = k.le(k.product(kernel.space.sizes[a] for a in (*rows, *row)), schedule.NEAR)
    most = k.select(is_near, k.const(schedule.NARROW, I64), schedule.SHORT_ROW)
    is_ragged = k.ne(k.remainder(width, schedule.SHORT_ROW), 0)
    is_short = code.bind(k.logical_and(k.lt(width, most), is_ragged), "is_short")
    # rows one after the other are to be a vector of 16 elements apart: 2, 4 or 8 rows, of blocks of as many times 8
    fewest = k.select(k.lt(width, 4), k.const(schedule.TALL, I64), schedule.TALL // 2)
    fewest = k.select(is_short, k.select(k.lt(width, 8), fewest, schedule.TALL // 4), 1)
    shared = k.maximum(k.ceildiv(kernel.extent(inner), k.const(schedule.SHARES, I64)), fewest)
    cached = k.maximum(k.floordiv(k.const(schedule.BLOCK, I64), k.maximum(width, 1)), 1)
    with ExitStack() as stack:
        tall = k.minimum(k.minimum(cached, shared), schedule.TALL)
        first, height = _block(kernel, stack, outer, inner, index, tall)
        steps = [k.select(k.ge(height, schedule.TALL >> i), k.const(1, I64), ZERO) for i in range(3)]
        bits = code.bind(k.select(is_short, k.add(k.add(*steps[:2]), steps[2]), ZERO), "bits")
        apart = code.bind(k.op("lsl", ONE, bits), "apart")
        step = stack.enter_context(code.loop(apart, "serial", "step"))
        count = code.bind(k.op("asr", k.sub(k.add(height, k.sub(apart, 1)), step), bits), "count")
        i = stack.enter_context(code.loop(count, "serial", schedule.loop_name(inner)))
        kernel.enter(index, inner, k.add(first, k.add(k.op("lsl", i, bits), step)))
        yield


@contextmanager
def strips(kernel: KernelLowering, turned: int, step: Expr, index: dict[int, Expr]) -> Iterator[None]:
    """Loops over narrow strips along the last axis, the axis `turned` innermost in each: lines of memory that are
    crossed by a row are in the nearest cache for the next rows, which want their neighbouring elements. Where the
    step is not 1 there is one strip."""
    axes = kernel.order
    *groups, last = kernel.space.groups(axes)
    rows = next(g for g in groups if turned in g)
    outer = [g for g in groups if g is not rows]
    index.update(dict.fromkeys(axes, ZERO))
    k, code, extent = kernel.k, kernel.code, kernel.extent(last)
    narrow, is_turned = k.const(schedule.STRIP, I64), k.eq(step, 1)
    width = code.bind(k.select(is_turned, narrow, k.maximum(extent, 1)), "width")
    with ExitStack() as stack:
        first, height = _block(kernel, stack, outer, rows, index, k.select(is_turned, narrow, ONE))
        strip = stack.enter_context(code.loop(schedule.blocks(code, extent, width), "serial", "strip"))
        start, length = schedule.block_range(code, extent, strip, width)
        row = stack.enter_context(code.loop(height, "serial", schedule.loop_name(rows)))
        kernel.enter(index, rows, k.add(first, row))
        i = stack.enter_context(code.loop(length, "vector", schedule.loop_name(last)))
        kernel.enter(index, last, k.add(start, i))
        yield


def _block(
    kernel: KernelLowering,
    stack: ExitStack,
    outer: Sequence[list[int]],
    rows: list[int],
    index: dict[int, Expr],
    tall: Expr,
) -> tuple[Expr, Expr]:
    """Loops over the `outer` axes and blocks of `tall` rows. Gives the first of a block's rows and how many it has."""
    code, spread = kernel.code, kernel.may_spread()
    axis: Axis = "parallel" if spread else "serial"
    height = kernel.extent(rows)
    for at, group in enumerate(outer):
        i = stack.enter_context(code.loop(kernel.extent(group), "serial" if at else axis, schedule.loop_name(group)))
        kernel.enter(index, group, i)
    tall = code.bind(tall, "tall")
    axis = "serial" if outer else axis
    block = stack.enter_context(code.loop(schedule.blocks(code, height, tall), axis, "block"))
    return schedule.block_range(code, height, block, tall)
