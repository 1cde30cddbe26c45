"""Matrix products that need no packing, as LLVM text: tiles of C in registers, A and B read where they lie.

A library packs its operands before it multiplies. Where B fits the caches, its rows are contiguous and few tiles share
a panel of it, that buys nothing, and costs a tenth to a third of the product. A tile is `rows` x `width` elements of C;
`k` runs over one load per vector of B's row and one broadcast per row of A. The last tile of a row or column reaches
back over the one before it and computes some elements twice, to the same bits: an element is one chain of multiply-adds
over k, or the sum of two, one for each half of k, so a result does not depend on tiles and threads.
"""

from __future__ import annotations

from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.products.pieces import COMMON, ELEMENTS, TYPES, Fields
from tracejit.codegen.products.tall import BELOW_PARAMS
from tracejit.codegen.products.tiles import LINE, Shape, tile_call, tile_name, tile_text

#: Bytes of B up to which it is read where it lies; bytes that the sets of a column of A may span.
CACHED_BYTES, SPREAD_BYTES = 1 << 20, 1 << 19
#: Bytes of B from which its panels may be packed first.
PACKED_BYTES = 1 << 17
#: At most one row in so many is computed twice.
WASTE = 10
#: Bytes of B in a block of columns, which stays in a core's own cache while all rows of A pass.
BLOCK_BYTES = 1 << 18
#: Long sums of a small C are made in halves, by different threads: each reads its half of B only, and finds it in its
#: caches where loops over B were shared, too. From so many terms on, up to so many bytes of C.
HALVED_TERMS, HALVED_BYTES = 512, 1 << 15
_PARAMS = "i64 %m, i64 %n, i64 %k, ptr %a, i64 %ar, i64 %ac, ptr %b, i64 %br, ptr %c, i64 %cr"
#: Beside the arguments: the rows of tiles, the columns of a block, the terms of the first half (all, if there is no
#: other) and where the other goes, and the last columns that are left to tall tiles.
_FIELDS = Fields.of(f"{_PARAMS}, i64 %rows, i64 %block, i64 %half, ptr %sums, i64 %thin")


def direct_text(name: str, options: LlvmOptions) -> str:
    """`@tj_direct_T(m, n, k, A, ar, ac, B, br, C, cr, share)` where `direct_fits_text` says so, and its tiles."""
    return COMMON + _Direct(name, options).text()


def direct_fits_text(name: str, options: LlvmOptions) -> str:
    """`@tj_direct_fits_T(m, n, k, ac, bc)`."""
    return COMMON + _Direct(name, options).fits()


def spread_text(size: int) -> str:
    """`%reached`: whether a column of A does not fall on a few sets of the cache. Lines at a distance of 2^q bytes
    share the sets of 2^q bytes."""
    return f"""  %bytes = mul i64 %ac, {size}
  %minus = sub i64 0, %bytes
  %power = and i64 %bytes, %minus
  %distance = call i64 @llvm.smax.i64(i64 %power, i64 {LINE})
  %touched = mul i64 %distance, %k
  %spread = icmp sle i64 %touched, {SPREAD_BYTES}
  %unit.a = icmp eq i64 %ac, 1
  %reached = or i1 %unit.a, %spread"""


class _Direct:
    """The functions of one dtype."""

    def __init__(self, name: str, options: LlvmOptions) -> None:
        self.name = name
        self.type, self.size = TYPES[name]
        shape = Shape.of(name, options)
        self.lanes, self.rows, self.widths, self.shape = shape.lanes, shape.rows, shape.widths, shape

    def text(self) -> str:
        """Tiles, parts and products."""
        tiles = "\n".join(tile_text(self.name, self.lanes, self.rows, width) for width in self.widths)
        declared = (
            f"declare void @tj_below_{self.name}({BELOW_PARAMS})",
            f"declare i64 @tj_thin_{self.name}(i64, i64, i64, i64, i64, i1)",
        )
        return "\n".join([*declared, tiles, self._part(), self._whole()])

    def _part(self) -> str:
        """Row tiles `begin` to `end` of all blocks of columns, one block after the other, or of both halves: whole
        vectors from the left, then what is left of the last block, from the right. Where a tile of one vector `waits`
        and four vectors have the last columns, they are two and two. A second half is a block behind the last one.
        `thin` columns are left to tall tiles, behind the last of the row tiles below each other."""
        three, two, one, *narrow = self.widths
        tile_three, tile_two, tile, *thin_tile = (tile_name(self.name, width) for width in self.widths)
        width, thin = f"{one}", ""
        for few, few_tile in zip(narrow, thin_tile, strict=True):
            thin = f"""  %is.few = icmp sle i64 %over, {few}
  %w.thin = select i1 %is.few, i64 {few}, i64 {one}
  %thin.tile = select i1 %is.few, ptr {few_tile}, ptr {tile}"""
            width, tile = "%w.thin", "%thin.tile"
        operands = "%k.here", "%a.row", "%ar", "%ac", "%b.tile", "%br", "%c.tile", "%cr.here"
        return f"""
define internal void @tj_direct_part_{self.name}(ptr %record, i64 %begin, i64 %end) nounwind {{
start:
{_FIELDS.loads()}
  %last = sub i64 %m, {self.rows}
  %n.wide = sub i64 %n, %thin
  %has.two = icmp sge i64 %n, {two}
  %begin.block = sdiv i64 %begin, %rows
  %begin.before = mul i64 %begin.block, %rows
  %begin.down = sub i64 %begin, %begin.before
  %begin.left = mul i64 %begin.block, %block
  %k.second = sub i64 %k, %half
  %skip.columns = mul i64 %half, %ac
  %a.second = getelementptr {self.type}, ptr %a, i64 %skip.columns
  %skip.rows = mul i64 %half, %br
  %b.second = getelementptr {self.type}, ptr %b, i64 %skip.rows
  br label %row
row:
  %t = phi i64 [ %begin, %start ], [ %t1, %again ]
  %down = phi i64 [ %begin.down, %start ], [ %next.down, %again ]
  %left = phi i64 [ %begin.left, %start ], [ %next.left, %again ]
  %since = phi i64 [ %begin.down, %start ], [ %since1, %again ]
  %more = icmp slt i64 %t, %end
  br i1 %more, label %tiles, label %done
tiles:
  %second = icmp sge i64 %left, %n
  %a.here = select i1 %second, ptr %a.second, ptr %a
  %b.here = select i1 %second, ptr %b.second, ptr %b
  %c.here = select i1 %second, ptr %sums, ptr %c
  %cr.here = select i1 %second, i64 %n, i64 %cr
  %k.here = select i1 %second, i64 %k.second, i64 %half
  %from = select i1 %second, i64 0, i64 %left
  %edge = add i64 %from, %block
  %right = call i64 @llvm.smin.i64(i64 %edge, i64 %n.wide)
  %whole = mul i64 %down, {self.rows}
  %i = call i64 @llvm.smin.i64(i64 %whole, i64 %last)
  %skip.a = mul i64 %i, %ar
  %a.row = getelementptr {self.type}, ptr %a.here, i64 %skip.a
  %skip.c = mul i64 %i, %cr.here
  %c.row = getelementptr {self.type}, ptr %c.here, i64 %skip.c
  br label %columns
columns:
  %j = phi i64 [ %from, %tiles ], [ %j1, %column ]
  %over = sub i64 %right, %j
  %some = icmp sgt i64 %over, 0
  br i1 %some, label %column, label %next
column:
  %is.three = icmp sge i64 %over, {three}
  %beyond = sub i64 %over, {three + 1 if self.shape.waits else 2 * two}
  %is.four = icmp ult i64 %beyond, {one}
  %not.four = xor i1 %is.four, true
  %is.wide = and i1 %is.three, %not.four
  %is.two = icmp sge i64 %over, {two}
  %more.than.one = icmp sgt i64 %over, {one}
  %is.back = and i1 %more.than.one, %has.two
  %is.broad = or i1 %is.two, %is.back
{thin}
  %w.broad = select i1 %is.broad, i64 {two}, i64 {width}
  %width = select i1 %is.wide, i64 {three}, i64 %w.broad
  %broad = select i1 %is.broad, ptr {tile_two}, ptr {tile}
  %tile = select i1 %is.wide, ptr {tile_three}, ptr %broad
  %fits = icmp sge i64 %over, %width
  %from.right = sub i64 %n, %width
  %at = select i1 %fits, i64 %j, i64 %from.right
  %b.tile = getelementptr {self.type}, ptr %b.here, i64 %at
  %c.tile = getelementptr {self.type}, ptr %c.row, i64 %at
{tile_call("%tile", *operands)}
  %j1 = add i64 %j, %width
  br label %columns
next:
  %t1 = add i64 %t, 1
  %down1 = add i64 %down, 1
  %ends = icmp eq i64 %down1, %rows
  %next.down = select i1 %ends, i64 0, i64 %down1
  %next.left = select i1 %ends, i64 %edge, i64 %left
{self._below()}
  br label %row
done:
  ret void
}}"""

    def _below(self) -> str:
        """Block `again`, behind the last columns of the row tiles that are worked on here, from `since` on, where the
        last of them is done and tall tiles have these columns."""
        if not self.shape.tall:
            return "  %since1 = add i64 %since, 0\n  br label %again\nagain:"
        here = {x: f"{x}.here" for x in ("k", "a", "b", "c", "cr")}
        return f"""  %is.end = icmp eq i64 %t1, %end
  %run.ends = or i1 %ends, %is.end
  %since1 = select i1 %run.ends, i64 %next.down, i64 %since
  %is.thin = icmp sgt i64 %thin, 0
  %goes.below = and i1 %run.ends, %is.thin
  br i1 %goes.below, label %below, label %again
below:
  %top = mul i64 %since, {self.rows}
  %bottom = mul i64 %down1, {self.rows}
  call void @tj_below_{self.name}({Fields.of(BELOW_PARAMS).typed(**here)})
  br label %again
again:"""

    def _thin(self) -> str:
        """`%thin`: how many columns are left to tall tiles, where there is one block of them."""
        if not self.shape.tall:
            return "  %thin = add i64 0, 0"
        return f"""  %is.one = icmp eq i64 %block, %n
  %thin.all = call i64 @tj_thin_{self.name}(i64 %m, i64 %n, i64 %k, i64 %ar, i64 %ac, i1 %share)
  %thin = select i1 %is.one, i64 %thin.all, i64 0"""

    def _whole(self) -> str:
        """The product, by one thread or by several."""
        three = self.widths[0]

        def added(type: str, name: str) -> str:
            return f"""  %x.{name} = load {type}, ptr %c.at, align {self.size}
  %y.{name} = load {type}, ptr %sums.at, align {self.size}
  %sum.{name} = fadd {type} %x.{name}, %y.{name}
  store {type} %sum.{name}, ptr %c.at, align {self.size}"""

        return f"""
define void @tj_direct_{self.name}({_PARAMS}, i1 %share) nounwind {{
start:
  %record = alloca {_FIELDS.type}
  %up = add i64 %m, {self.rows - 1}
  %rows = sdiv i64 %up, {self.rows}
  %all.b = mul i64 %k, %n
  %area = mul i64 %m, %n
  %long = icmp sge i64 %k, {HALVED_TERMS}
  %little = icmp sle i64 %area, {HALVED_BYTES // self.size}
  %much = icmp sge i64 %all.b, {PACKED_BYTES // self.size}
  %halves = and i1 %long, %little
  %halved = and i1 %halves, %much
  br i1 %halved, label %halve, label %one
halve:
  %odd = add i64 %k, 1
  %first = sdiv i64 %odd, 2
  %room = alloca {self.type}, i64 %area, align {LINE}
  br label %run
one:
  %large = icmp sgt i64 %all.b, {BLOCK_BYTES // self.size}
  br i1 %large, label %split, label %run
split:
  %column = mul i64 %k, {three}
  %fitting = sdiv i64 {BLOCK_BYTES // self.size}, %column
  %some = call i64 @llvm.smax.i64(i64 %fitting, i64 1)
  %columns = mul i64 %some, {three}
  %least = call i64 @llvm.smin.i64(i64 %columns, i64 %n)
  %n.up = add i64 %n, %least
  %n.last = sub i64 %n.up, 1
  %several = sdiv i64 %n.last, %least
  br label %run
run:
  %block = phi i64 [ %n, %halve ], [ %n, %one ], [ %least, %split ]
  %blocks = phi i64 [ 2, %halve ], [ 1, %one ], [ %several, %split ]
  %half = phi i64 [ %first, %halve ], [ %k, %one ], [ %k, %split ]
  %sums = phi ptr [ %room, %halve ], [ null, %one ], [ null, %split ]
{self._thin()}
{_FIELDS.saves()}
  %count = mul i64 %blocks, %rows
  %plane = mul i64 %block, %half
  %each = mul i64 %plane, {self.rows}
{ELEMENTS}
  call void @tj_share_tiles(
    ptr @tj_direct_part_{self.name}, ptr %record, i64 %count, i64 %each, i64 %elements, i1 %share)
  br i1 %halved, label %row, label %done
row:
  %i = phi i64 [ 0, %run ], [ %i1, %next ]
  %skip.c = mul i64 %i, %cr
  %c.row = getelementptr {self.type}, ptr %c, i64 %skip.c
  %skip.sums = mul i64 %i, %n
  %sums.row = getelementptr {self.type}, ptr %sums, i64 %skip.sums
  br label %look
look:
  %j = phi i64 [ 0, %row ], [ %j.lanes, %lanes ], [ %j.number, %number ]
  %c.at = getelementptr {self.type}, ptr %c.row, i64 %j
  %sums.at = getelementptr {self.type}, ptr %sums.row, i64 %j
  %j.lanes = add i64 %j, {self.lanes}
  %whole = icmp sle i64 %j.lanes, %n
  br i1 %whole, label %lanes, label %rest
lanes:
{added(f"<{self.lanes} x {self.type}>", "lanes")}
  br label %look
rest:
  %some.left = icmp slt i64 %j, %n
  br i1 %some.left, label %number, label %next
number:
{added(self.type, "number")}
  %j.number = add i64 %j, 1
  br label %look
next:
  %i1 = add i64 %i, 1
  %more = icmp slt i64 %i1, %m
  br i1 %more, label %row, label %done
done:
  ret void
}}"""

    def fits(self) -> str:
        """Whether a product is one for these tiles.

        B's rows are contiguous and all of it stays cached, it is too small or used too rarely to be packed, C is at
        least one tile and little of it is computed twice, and a column of A does not fall on a few sets of the cache.
        """
        return f"""
define internal i1 @tj_direct_fits_{self.name}(i64 %m, i64 %n, i64 %k, i64 %ac, i64 %bc) nounwind {{
  %dense = icmp eq i64 %bc, 1
  %tall = icmp sge i64 %m, {self.rows}
  %wide = icmp sge i64 %n, {self.lanes}
  %deep = icmp sge i64 %k, 1
  %f0 = and i1 %dense, %tall
  %f1 = and i1 %wide, %deep
  %f3 = and i1 %f0, %f1
  br i1 %f3, label %large, label %no
no:
  ret i1 false
large:
  %count = mul i64 %n, %k
  %cached = icmp sle i64 %count, {CACHED_BYTES // self.size}
  %some = icmp sge i64 %count, {PACKED_BYTES // self.size}
  %many = icmp sge i64 %m, {self.shape.packs.rows}
  %long = icmp sge i64 %k, {self.shape.packs.terms}
  %often = and i1 %many, %long
  %packed = and i1 %some, %often
  %lies = xor i1 %packed, true
  %small = and i1 %cached, %lies
  %up = add i64 %m, {self.rows - 1}
  %tiles = sdiv i64 %up, {self.rows}
  %covered = mul i64 %tiles, {self.rows}
  %twice = sub i64 %covered, %m
  %wasted = mul i64 %twice, {WASTE}
  %thrifty = icmp sle i64 %wasted, %m
{spread_text(self.size)}
  %f2 = and i1 %thrifty, %reached
  %f4 = and i1 %f2, %small
  ret i1 %f4
}}"""
