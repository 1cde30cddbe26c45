"""Where loops run: which are parallel, which are vectors, and in which blocks a flat loop is cut.

Decisions are made while a kernel is built (`kernels.py`), so that no later pass has to rewrite indices. A
parallel mark says that trips may run in any order; whether threads are worth it is decided at run time. Block sizes
are constants, so that a reduction is the same tree on any machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from tracejit.codegen.loop_ir import Axis, Const, Expr
from tracejit.codegen.lowering.code import Code
from tracejit.ir.types import I64

#: Trips of a vector loop that make one parallel trip; small enough for cache, large enough to forget the loop.
BLOCK = 4096

#: The same for a loop over columns, each of which folds many rows.
COLUMNS = 512


#: The width and height of a part of an array that is read across its lines.
STRIP = 64

#: Elements up to so many apart are picked out of vectors.
SPACED = 8

#: Rows of up to so many elements are no vectors.
SHORT_ROW = 16

#: Rows that are read and written are gone through in another order, in blocks of up to TALL, where they have less than
#: SHORT_ROW elements, in arrays of up to NEAR elements less than NARROW. Few rows are at least SHARES blocks, as long
#: as it makes sense to take those of a block in another order.
NARROW, TALL, NEAR, SHARES = 256, 64, 1 << 17, 16

#: Rows that are folded side by side: those a multiple of a page apart share the 8 places of a set of the first cache.
ROWS = 8

#: Totals over rows of up to so many elements go down columns, through BLOCK elements at a time.
ACROSS = 32

#: Up to so many rows are folded in one go.
FEW_ROWS = 64

#: Windows of up to so many elements are no loops; less where something is made of each of their elements.
WINDOW, KEPT = 64, 16


def is_small(sizes: Iterable[Expr], limit: int = BLOCK) -> bool:
    """Whether a loop nest is known to have `limit` trips at most."""
    total = 1
    for size in sizes:
        if not isinstance(size, Const):
            return False
        total *= int(size.value.real)
    return total <= limit


@contextmanager
def blocked_loop(code: Code, extent: Expr, axis: Axis, name: str, size: int = BLOCK) -> Iterator[Expr]:
    """A loop as parallel blocks of `size` trips, each a loop of kind `axis`; gives the whole index."""
    k = code.k
    with code.loop(blocks(code, extent, size), "parallel", "block") as block:
        start, length = block_range(code, extent, block, size)
        with code.loop(length, axis, name) as i:
            yield k.add(start, i)


def blocks(code: Code, extent: Expr, size: int | Expr = BLOCK) -> Expr:
    """The number of blocks of a loop."""
    return code.k.ceildiv(extent, code.k.const(size, I64) if isinstance(size, int) else size)


def block_range(code: Code, extent: Expr, block: Expr, size: int | Expr = BLOCK) -> tuple[Expr, Expr]:
    """Start and length of a block of a loop."""
    k = code.k
    start = code.bind(k.mul(block, size), "start")
    return start, code.bind(k.minimum(k.sub(extent, start), size), "length")


def loop_name(axes: Sequence[int]) -> str:
    """The name of the index of axes that are one loop."""
    return "ijklmn"[axes[-1] % 6]
