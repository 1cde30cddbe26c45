"""The own matrix product, as one kernel of loop IR: blocked and packed for large sizes, direct loops for thin ones.

Blocking follows Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008): panels of B stay
in the outer cache, blocks of A in the inner one, and a tile of C in registers while `k` runs. A tile is a vector
loop over TILE_COLUMNS columns around a serial loop that carries one accumulator per row. Rows and columns beyond
the matrix are computed from whatever the packed panels hold and never stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count

from tracejit.codegen.llvm_function import Texts, print_kernel
from tracejit.codegen.llvm_options import LlvmOptions
from tracejit.codegen.loop_ir import (
    Alloc,
    Axis,
    Carried,
    Const,
    Expr,
    For,
    Free,
    If,
    Kernel,
    Let,
    Load,
    Pointer,
    Stmt,
    Store,
    Var,
)
from tracejit.codegen.scalars import KernelBuilder
from tracejit.ir.types import BY_NAME, I64

#: Block of the summed index, and of columns: a panel of B is DEPTH x COLUMNS.
DEPTH, COLUMNS = 384, 2048
#: Row tiles in one block of A.
ROW_TILES = 16
#: With fewer rows (or columns) than this, packing costs more than it brings.
THIN = 4


def kernel_text(name: str, options: LlvmOptions) -> str:
    """`@tj_own_gemm_NAME` as LLVM text."""
    texts = Texts(options, False, {}, f"tj_own_gemm.{name}", count())
    print_kernel(texts, GemmKernel(name, options).kernel(), symbol=f"@tj_own_gemm_{name}")
    return "\n".join([*texts.functions, *sorted(texts.declarations)])


class GemmKernel:
    """Builds the kernel for one dtype and machine."""

    def __init__(self, name: str, options: LlvmOptions) -> None:
        self.dtype = BY_NAME[name]
        lanes = options.vector_bits // self.dtype.bits
        self.tile_columns = 2 * lanes
        self.tile_rows = 14 if options.vector_bits == 512 else 6
        self.k = KernelBuilder()
        self.sum = KernelBuilder(contract=True)
        self.m, self.n, self.depth = (Var(x, I64) for x in "mnk")
        self.a, self.b, self.c = (Var(x, Pointer(self.dtype)) for x in "abc")
        self.ar, self.ac, self.br, self.bc, self.cr = (Var(x, I64) for x in ("ar", "ac", "br", "bc", "cr"))

    def kernel(self) -> Kernel:
        """All shapes: the thinnest loops that fit the strides, else blocks."""
        k = self.k
        one = Const(1, I64)
        along_both = k.logical_and(k.eq(self.ac, one), k.eq(self.br, one))
        few = k.logical_or(k.lt(self.m, THIN), k.lt(self.n, THIN))
        by_rows = k.logical_and(k.lt(self.m, THIN), k.eq(self.bc, one))
        by_columns = k.logical_and(k.logical_and(k.eq(self.n, one), k.eq(self.cr, one)), k.eq(self.ar, one))
        choice = If(by_columns, self._columns(), self._blocked())
        choice = If(by_rows, self._rows(), (choice,))
        choice = If(k.logical_and(along_both, few), self._dots(), (choice,))
        params = (self.m, self.n, self.depth, self.a, self.ar, self.ac, self.b, self.br, self.bc, self.c, self.cr)
        return Kernel("gemm", params, frozenset([self.c]), (choice,))

    # -- building blocks ----------------------------------------------------------------------------------------

    def _loop(self, name: str, extent: Expr, body: Callable[[Var], Sequence[Stmt]], axis: Axis = "serial") -> For:
        index = Var(name, I64)
        return For(index, extent, tuple(body(index)), axis)

    def _at(self, *terms: tuple[Expr, Expr | int]) -> Expr:
        """The sum of index times stride."""
        place: Expr = Const(0, I64)
        for index, stride in terms:
            place = self.k.add(place, self.k.mul(index, stride))
        return place

    def _load(self, buffer: Var, place: Expr) -> Load:
        return Load(buffer, place, self.dtype)

    def _fold(self, extent: Expr, axis: Axis, element: Callable[[Var], tuple[Expr, Expr]]) -> tuple[For, Var]:
        """A sum of products."""
        p, acc, total = Var("p", I64), Var("acc", self.dtype), Var("total", self.dtype)
        x, y = element(p)
        product = self.sum.mul(x, y)
        carried = Carried(acc, self.k.const(0.0, self.dtype), self.sum.add(acc, product), total, "add", product)
        return For(p, extent, (), axis, (carried,)), total

    # -- thin shapes --------------------------------------------------------------------------------------------

    def _dots(self) -> tuple[Stmt, ...]:
        """Both operands lie along k: one dot product per element."""

        def element(i: Var, j: Var) -> Sequence[Stmt]:
            fold, total = self._fold(
                self.depth,
                "vector",
                lambda p: (
                    self._load(self.a, self.k.add(self._at((i, self.ar)), p)),
                    self._load(self.b, self.k.add(self._at((j, self.bc)), p)),
                ),
            )
            return fold, Store(self.c, self.k.add(self._at((i, self.cr)), j), total)

        return (self._loop("i", self.m, lambda i: [self._loop("j", self.n, lambda j: element(i, j))]),)

    def _rows(self) -> tuple[Stmt, ...]:
        """Few rows: each is a combination of the rows of B."""

        def element(i: Var, j: Var) -> Sequence[Stmt]:
            fold, total = self._fold(
                self.depth,
                "serial",
                lambda p: (
                    self._load(self.a, self._at((i, self.ar), (p, self.ac))),
                    self._load(self.b, self.k.add(self._at((p, self.br)), j)),
                ),
            )
            return fold, Store(self.c, self.k.add(self._at((i, self.cr)), j), total)

        return (self._loop("i", self.m, lambda i: [self._loop("j", self.n, lambda j: element(i, j), "vector")]),)

    def _columns(self) -> tuple[Stmt, ...]:
        """One column: a combination of the columns of A."""

        def element(i: Var) -> Sequence[Stmt]:
            fold, total = self._fold(
                self.depth,
                "serial",
                lambda p: (
                    self._load(self.a, self.k.add(self._at((p, self.ac)), i)),
                    self._load(self.b, self._at((p, self.br))),
                ),
            )
            return fold, Store(self.c, i, total)

        return (self._loop("i", self.m, element, "vector"),)

    # -- blocks ---------------------------------------------------------------------------------------------------

    def _blocked(self) -> tuple[Stmt, ...]:
        """Column blocks of C; inside, blocks of k (at least one, so that an empty sum clears C); inside, rows."""
        k = self.k
        panel = Var("panel", Pointer(self.dtype))
        width = k.minimum(Const(COLUMNS, I64), self._rounded(self.n, self.tile_columns))
        height = k.minimum(Const(DEPTH, I64), k.maximum(self.depth, 1))
        depth_blocks = k.maximum(self._count(self.depth, DEPTH), 1)

        def columns(jb: Var) -> Sequence[Stmt]:
            j0 = Var("j0", I64)
            wide = Var("wide", I64)
            return (
                Let(j0, k.mul(jb, COLUMNS)),
                Let(wide, k.minimum(Const(COLUMNS, I64), k.sub(self.n, j0))),
                self._loop("pb", depth_blocks, lambda pb: self._depth_block(pb, j0, wide, panel)),
            )

        outer = self._loop("jb", self._count(self.n, COLUMNS), columns)
        return Alloc(panel, k.mul(width, height)), outer, Free(panel)

    def _depth_block(self, pb: Var, j0: Var, wide: Var, panel: Var) -> Sequence[Stmt]:
        k = self.k
        p0, deep = Var("p0", I64), Var("deep", I64)
        rows = self.tile_rows * ROW_TILES
        return (
            Let(p0, k.mul(pb, DEPTH)),
            Let(deep, k.minimum(Const(DEPTH, I64), k.sub(self.depth, p0))),
            self._pack_columns(p0, deep, j0, wide, panel),
            self._loop(
                "ib", self._count(self.m, rows), lambda ib: self._row_block(ib, p0, deep, j0, wide, panel), "parallel"
            ),
        )

    def _pack_columns(self, p0: Var, deep: Var, j0: Var, wide: Var, panel: Var) -> Stmt:
        """panel[tile][p][column of the tile] = B."""
        k, tile = self.k, self.tile_columns

        def pack(step: Expr) -> Stmt:
            def columns(t: Var) -> Sequence[Stmt]:
                left = k.minimum(Const(tile, I64), k.sub(wide, k.mul(t, tile)))
                first = k.add(j0, k.mul(t, tile))

                def line(p: Var) -> Sequence[Stmt]:
                    to = self._at((k.add(k.mul(t, deep), p), tile))
                    origin = self._at((k.add(p0, p), self.br), (first, step))
                    copy = self._loop(
                        "j",
                        left,
                        lambda j: [Store(panel, k.add(to, j), self._load(self.b, k.add(origin, k.mul(j, step))))],
                        "vector",
                    )
                    return (copy,)

                return (self._loop("p", deep, line),)

            return self._loop("t", self._count(wide, tile), columns)

        return If(k.eq(self.bc, 1), (pack(Const(1, I64)),), (pack(self.bc),))

    def _row_block(self, ib: Var, p0: Var, deep: Var, j0: Var, wide: Var, panel: Var) -> Sequence[Stmt]:
        """One block of A against the whole panel."""
        k = self.k
        rows = self.tile_rows * ROW_TILES
        block, i0, high = Var("block", Pointer(self.dtype)), Var("i0", I64), Var("high", I64)

        def tiles(t: Var) -> Sequence[Stmt]:
            return (
                self._loop(
                    "s",
                    self._count(high, self.tile_rows),
                    lambda s: self._tile(s, t, i0, high, p0, deep, j0, wide, block, panel),
                ),
            )

        return (
            Let(i0, k.mul(ib, rows)),
            Let(high, k.minimum(Const(rows, I64), k.sub(self.m, i0))),
            Alloc(block, k.mul(self._rounded(high, self.tile_rows), k.maximum(deep, 1))),
            self._pack_rows(i0, high, p0, deep, block),
            self._loop("t", self._count(wide, self.tile_columns), tiles),
            Free(block),
        )

    def _pack_rows(self, i0: Var, high: Var, p0: Var, deep: Var, block: Var) -> Stmt:
        """block[tile][p][row of the tile] = A; rows beyond the matrix repeat the last one."""
        k, tile = self.k, self.tile_rows

        def rows(s: Var) -> Sequence[Stmt]:
            last = k.sub(high, 1)
            places = [
                self._at((k.add(i0, k.minimum(k.add(k.mul(s, tile), r), last)), self.ar), (p0, self.ac))
                for r in range(tile)
            ]

            def line(p: Var) -> Sequence[Stmt]:
                to = k.mul(k.add(k.mul(s, deep), p), tile)
                step = k.mul(p, self.ac)
                return [
                    Store(block, k.add(to, r), self._load(self.a, k.add(place, step))) for r, place in enumerate(places)
                ]

            return (self._loop("p", deep, line),)

        return self._loop("s", self._count(high, tile), rows)

    def _tile(
        self, s: Var, t: Var, i0: Var, high: Var, p0: Var, deep: Var, j0: Var, wide: Var, block: Var, panel: Var
    ) -> Sequence[Stmt]:
        """One tile of C in registers."""
        k, columns, rows = self.k, self.tile_columns, self.tile_rows

        def lanes(j: Var) -> Sequence[Stmt]:
            p, line = Var("p", I64), Var("line", self.dtype)
            from_b = k.add(self._at((k.add(k.mul(t, deep), p), columns)), j)
            from_a = self._at((k.add(k.mul(s, deep), p), rows))
            carried = [self._accumulator(self._load(block, k.add(from_a, r)), line) for r in range(rows)]
            fold = For(p, deep, (Let(line, self._load(panel, from_b)),), "serial", tuple(carried))
            column = k.add(k.mul(t, columns), j)
            stores: list[Stmt] = []
            for r in range(rows):
                row = k.add(k.mul(s, rows), r)
                place = k.add(self._at((k.add(i0, row), self.cr)), k.add(j0, column))
                stores.append(If(k.lt(row, high), tuple(self._put(place, carried[r].result, p0))))
            return fold, If(k.lt(column, wide), tuple(stores))

        return (self._loop("j", Const(columns, I64), lanes, "vector"),)

    def _accumulator(self, a: Expr, b: Expr) -> Carried:
        acc, total = Var("acc", self.dtype), Var("total", self.dtype)
        return Carried(acc, self.k.const(0.0, self.dtype), self.sum.add(acc, self.sum.mul(a, b)), total)

    def _put(self, place: Expr, total: Var, p0: Var) -> list[Stmt]:
        """Store the first block's sums, add the later ones'."""
        added = self.k.add(self._load(self.c, place), total)
        return [If(self.k.eq(p0, 0), (Store(self.c, place, total),), (Store(self.c, place, added),))]

    def _count(self, extent: Expr, tile: int) -> Expr:
        """How many tiles cover an extent."""
        return self.k.quotient(self.k.add(extent, tile - 1), self.k.const(tile, I64))

    def _rounded(self, extent: Expr, tile: int) -> Expr:
        return self.k.mul(self._count(extent, tile), tile)
