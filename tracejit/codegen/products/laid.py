"""Products with a matrix that was laid out for many of them, as LLVM text.

A tile that reads B where it lies meets another line of the cache, and often another page, in every row: no prefetcher
of a processor follows it there. Packed anew for each product of few rows, B costs as much as it brings. What a loop
multiplies by again and again is therefore copied once into panels of as many columns as a tile has. Each is read from
one end to the other, by all rows of A while it lies in the nearest cache; threads share panels, so that each keeps its
own in its caches from trip to trip. Where every core has room for all panels, threads share rows: loops that go on with
C's rows and make A's are shared so, too, and a core finds what it made.

The last columns are a panel of the narrowest tile of two or three vectors that has room for them. It reaches back over
columns of the panel before it and computes them twice, to the same bits: as in `direct`, an element is one chain of
multiply-adds over k.
"""

from __future__ import annotations

from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.products.laid_line import laid_line_text
from tracejit.codegen.products.pieces import COMMON, ELEMENTS, PARAMS, TYPES, Fields
from tracejit.codegen.products.tiles import LINE, Shape, tile_call, tile_name

#: Bytes of B from which on it is laid out, and up to which: nearly all of a core's nearest cache, and what several
#: cores have in common.
LEAST_BYTES, MOST_BYTES = 1 << 15, 1 << 25
#: Up to so many rows of A; of more, packing B for each product costs little.
MOST_ROWS = 128
#: Laying B out takes as long as the products of four rows; it is done for at least so many, in at least so many trips.
ROWS, TRIPS = 64, 4
#: Elements of a transposed B that are worth linking what turns them in registers.
TURNED = 1 << 16
#: Rows are shared of at least so many tiles, one by one where all panels have at most so many bytes, and two by two up
#: to so many, so that panels come from farther away half as often.
SHARED_TILES, NEAR_BYTES, SHARED_BYTES = 4, 1 << 18, 1 << 20
#: Beside the arguments: the panels, how many tiles follow one another, whether these have the same rows (else they have
#: the same panel), and the logarithm of how many tiles of rows.
_FIELDS = Fields.of(f"{PARAMS}, ptr %laid, i64 %along, i1 %by.rows, i64 %pair")


def laid_text(name: str, options: LlvmOptions) -> str:
    """`@tj_laid_T(m, n, k, A, ar, ac, B, br, bc, C, cr, laid, lays)`: lays B out (`lays`), or C = A B where it is."""
    return COMMON + _Laid(name, options).text() + laid_line_text(name, options)


def choice_text(name: str, options: LlvmOptions) -> str:
    """What programs call: `@tj_gemm_T_room(m, n, k, trips)`, the elements that B takes when it is laid out, with what
    `laid_line` notes behind it, 0 where that does not pay; `@tj_gemm_T_lay(n, k, B, br, bc, laid, room)`; and
    `@tj_gemm_T_laid(..., laid, room)`."""
    return _Laid(name, options).choice()


def no_choice_text(name: str) -> str:
    """The same where nothing is ever laid out."""
    return f"""
define i64 @tj_gemm_{name}_room(i64 %m, i64 %n, i64 %k, i64 %trips) nounwind {{
  ret i64 0
}}
define void @tj_gemm_{name}_lay(i64 %n, i64 %k, ptr %b, i64 %br, i64 %bc, ptr %laid, i64 %room) nounwind {{
  ret void
}}
define void @tj_gemm_{name}_laid({PARAMS}, ptr %laid, i64 %room) nounwind {{
  call void @tj_gemm_{name}({PARAMS})
  ret void
}}"""


class _Laid:
    """The functions of one dtype."""

    def __init__(self, name: str, options: LlvmOptions) -> None:
        self.name = name
        self.type, self.size = TYPES[name]
        shape = Shape.of(name, options)
        self.tiles = shape.declared(name)
        self.lanes, self.rows, self.widths = shape.lanes, shape.rows, shape.widths[:3]
        self.width = self.widths[0]

    def choice(self) -> str:
        """Whether it pays, and whether it was done."""
        name = self.name
        return f"""
define i64 @tj_gemm_{name}_room(i64 %m, i64 %n, i64 %k, i64 %trips) nounwind {{
  %some = call i64 @llvm.smin.i64(i64 %trips, i64 {ROWS})
  %rows = mul i64 %some, %m
  %often = icmp sge i64 %trips, {TRIPS}
  %much = icmp sge i64 %rows, {ROWS}
  %tiles = icmp sge i64 %m, {self.rows}
  %line = icmp eq i64 %m, 1
  %tall = or i1 %tiles, %line
  %few = icmp sle i64 %m, {MOST_ROWS}
  %wide = icmp sge i64 %n, {self.width}
  %count = mul i64 %n, %k
  %large = icmp sge i64 %count, {LEAST_BYTES // self.size}
  %fits = icmp sle i64 %count, {MOST_BYTES // self.size}
  %p0 = and i1 %often, %much
  %p1 = and i1 %tall, %few
  %p2 = and i1 %large, %fits
  %p3 = and i1 %p0, %p1
  %p4 = and i1 %p2, %wide
  %pays = and i1 %p3, %p4
  %n.up = add i64 %n, {self.width - 1}
  %panels = sdiv i64 %n.up, {self.width}
  %columns = mul i64 %panels, {self.width}
  %behind = mul i64 %columns, %k
  %all = add i64 %behind, {LINE // self.size}
  %room = select i1 %pays, i64 %all, i64 0
  ret i64 %room
}}
define void @tj_gemm_{name}_lay(i64 %n, i64 %k, ptr %b, i64 %br, i64 %bc, ptr %laid, i64 %room) nounwind {{
  %none = icmp eq i64 %room, 0
  br i1 %none, label %done, label %lay
lay:
  call void @tj_laid_{name}(
    i64 0, i64 %n, i64 %k, ptr null, i64 0, i64 0, ptr %b, i64 %br, i64 %bc, ptr null, i64 0, ptr %laid, i1 true)
  br label %done
done:
  ret void
}}
define void @tj_gemm_{name}_laid({PARAMS}, ptr %laid, i64 %room) nounwind {{
  %is.laid = icmp ne i64 %room, 0
  %tiles = icmp sge i64 %m, {self.rows}
  %line = icmp eq i64 %m, 1
  %tall = or i1 %tiles, %line
  %dense = icmp eq i64 %ac, 1
  %f0 = and i1 %is.laid, %tall
  %fits = and i1 %f0, %dense
  br i1 %fits, label %panels, label %other
panels:
  call void @tj_laid_{name}({PARAMS}, ptr %laid, i1 false)
  ret void
other:
  call void @tj_gemm_{name}({PARAMS})
  ret void
}}"""

    def text(self) -> str:
        """What lays B out, and what multiplies by it."""
        return "\n".join((self.tiles, self._panel(), self._lay(), self._part(), self._whole()))

    def _panel(self) -> str:
        """The columns of a panel: the first, and how many. Where a panel of one vector would be left over, the first
        and the last have two: so do the first and the second half of all panels have as much work."""
        three, two, one = self.widths
        return f"""
define internal {{ i64, i64 }} @tj_laid_panel_{self.name}(i64 %panel, i64 %n) alwaysinline {{
  %less = sub i64 %n, 1
  %whole = sdiv i64 %less, {three}
  %before = mul i64 %whole, {three}
  %rest = sub i64 %n, %before
  %is.thin = icmp sle i64 %rest, {one}
  %follows = icmp sgt i64 %whole, 0
  %thin = and i1 %is.thin, %follows
  %is.first = icmp eq i64 %panel, 0
  %shorter = select i1 %is.first, i64 0, i64 {one}
  %earlier = select i1 %thin, i64 %shorter, i64 0
  %place = mul i64 %panel, {three}
  %left = sub i64 %place, %earlier
  %over = sub i64 %n, %left
  %fits.two = icmp sle i64 %over, {two}
  %thin.first = and i1 %thin, %is.first
  %narrow = or i1 %fits.two, %thin.first
  %width = select i1 %narrow, i64 {two}, i64 {three}
  %back = sub i64 %n, %width
  %first = call i64 @llvm.smin.i64(i64 %left, i64 %back)
  %r0 = insertvalue {{ i64, i64 }} poison, i64 %first, 0
  %r1 = insertvalue {{ i64, i64 }} %r0, i64 %width, 1
  ret {{ i64, i64 }} %r1
}}"""

    def _lay(self) -> str:
        """laid[panel][p][column], by vectors of columns, and 0 behind all; whole panels of much of a transposed B turn
        in registers."""
        type, size, lanes = self.type, self.size, self.lanes
        vector = f"<{lanes} x {type}>"
        return f"""
declare void @tj_turn_{self.name}(ptr, i64, i64, i64, ptr)
define internal void @tj_laid_lay_{self.name}(i64 %n, i64 %k, ptr %b, i64 %br, i64 %bc, ptr %laid) nounwind {{
start:
  %dense = icmp eq i64 %bc, 1
  %down = icmp eq i64 %br, 1
  %square = icmp sge i64 %k, {lanes}
  %count = mul i64 %n, %k
  %much = icmp sge i64 %count, {TURNED}
  %t0 = and i1 %down, %square
  %turns = and i1 %t0, %much
  %panel.size = mul i64 %k, {self.width}
  br label %panel
panel:
  %q = phi i64 [ 0, %start ], [ %q1, %panel.end ]
  %to.panel = phi ptr [ %laid, %start ], [ %to.panel1, %panel.end ]
  %left = mul i64 %q, {self.width}
  %more = icmp slt i64 %left, %n
  br i1 %more, label %columns, label %done
columns:
  %found = call {{ i64, i64 }} @tj_laid_panel_{self.name}(i64 %q, i64 %n)
  %first = extractvalue {{ i64, i64 }} %found, 0
  %width = extractvalue {{ i64, i64 }} %found, 1
  %skip = mul i64 %first, %bc
  %from.panel = getelementptr {type}, ptr %b, i64 %skip
  %is.whole = icmp eq i64 %width, {self.width}
  %squares = and i1 %turns, %is.whole
  br i1 %squares, label %turn, label %line
turn:
  %v = phi i64 [ 0, %columns ], [ %v1, %turn ]
  %v.skip = mul i64 %v, %bc
  %turn.from = getelementptr {type}, ptr %from.panel, i64 %v.skip
  %turn.to = getelementptr {type}, ptr %to.panel, i64 %v
  call void @tj_turn_{self.name}(ptr %turn.from, i64 %bc, i64 {lanes - 1}, i64 %k, ptr %turn.to)
  %v1 = add i64 %v, {lanes}
  %turn.more = icmp slt i64 %v1, %width
  br i1 %turn.more, label %turn, label %panel.end
line:
  %p = phi i64 [ 0, %columns ], [ %p1, %line.end ]
  %from.line = phi ptr [ %from.panel, %columns ], [ %from.line1, %line.end ]
  %to.line = phi ptr [ %to.panel, %columns ], [ %to.line1, %line.end ]
  br i1 %dense, label %copy, label %gather
copy:
  %j = phi i64 [ 0, %line ], [ %j1, %copy ]
  %copy.from = getelementptr {type}, ptr %from.line, i64 %j
  %copy.to = getelementptr {type}, ptr %to.line, i64 %j
  %xs = load {vector}, ptr %copy.from, align {size}
  store {vector} %xs, ptr %copy.to, align {size}
  %j1 = add i64 %j, {lanes}
  %copy.more = icmp slt i64 %j1, %width
  br i1 %copy.more, label %copy, label %line.end
gather:
  %g = phi i64 [ 0, %line ], [ %g1, %gather ]
  %g.skip = mul i64 %g, %bc
  %gather.from = getelementptr {type}, ptr %from.line, i64 %g.skip
  %gather.to = getelementptr {type}, ptr %to.line, i64 %g
  %x = load {type}, ptr %gather.from, align {size}
  store {type} %x, ptr %gather.to, align {size}
  %g1 = add i64 %g, 1
  %gather.more = icmp slt i64 %g1, %width
  br i1 %gather.more, label %gather, label %line.end
line.end:
  %from.line1 = getelementptr {type}, ptr %from.line, i64 %br
  %to.line1 = getelementptr {type}, ptr %to.line, i64 %width
  %p1 = add i64 %p, 1
  %line.more = icmp slt i64 %p1, %k
  br i1 %line.more, label %line, label %panel.end
panel.end:
  %to.panel1 = getelementptr {type}, ptr %to.panel, i64 %panel.size
  %q1 = add i64 %q, 1
  br label %panel
done:
  store i64 0, ptr %to.panel
  ret void
}}"""

    def _part(self) -> str:
        """Tiles `begin` to `end`: those of a panel one after the other, or those of the same rows."""
        type, name = self.type, self.name
        operands = "%k", "%a.tile", "%ar", "%ac", "%b.panel", "%width", "%c.tile", "%cr"
        three, two = (tile_name(name, width) for width in self.widths[:2])
        return f"""
define internal void @tj_laid_part_{name}(ptr %record, i64 %begin, i64 %end) nounwind {{
start:
{_FIELDS.loads()}
  %last = sub i64 %m, {self.rows}
  %panel.size = mul i64 %k, {self.width}
  br label %check
check:
  %t = phi i64 [ %begin, %start ], [ %t1, %tile ]
  %more = icmp slt i64 %t, %end
  br i1 %more, label %tile, label %done
tile:
  %slow = sdiv i64 %t, %along
  %before = mul i64 %slow, %along
  %quick = sub i64 %t, %before
  %row.panel = lshr i64 %quick, %pair
  %in.pair = and i64 %quick, %pair
  %upper = shl i64 %slow, %pair
  %row.down = add i64 %upper, %in.pair
  %panel = select i1 %by.rows, i64 %row.panel, i64 %slow
  %down = select i1 %by.rows, i64 %row.down, i64 %quick
  %top = mul i64 %down, {self.rows}
  %i = call i64 @llvm.smin.i64(i64 %top, i64 %last)
  %found = call {{ i64, i64 }} @tj_laid_panel_{name}(i64 %panel, i64 %n)
  %first = extractvalue {{ i64, i64 }} %found, 0
  %width = extractvalue {{ i64, i64 }} %found, 1
  %b.skip = mul i64 %panel, %panel.size
  %b.panel = getelementptr {type}, ptr %laid, i64 %b.skip
  %a.skip = mul i64 %i, %ar
  %a.tile = getelementptr {type}, ptr %a, i64 %a.skip
  %c.skip = mul i64 %i, %cr
  %c.at = add i64 %c.skip, %first
  %c.tile = getelementptr {type}, ptr %c, i64 %c.at
  %is.three = icmp eq i64 %width, {self.widths[0]}
  %kind = select i1 %is.three, ptr {three}, ptr {two}
{tile_call("%kind", *operands)}
  %t1 = add i64 %t, 1
  br label %check
done:
  ret void
}}"""

    def _whole(self) -> str:
        name = self.name
        return f"""
define void @tj_laid_{name}({PARAMS}, ptr %laid, i1 %lays) nounwind {{
start:
  %record = alloca {_FIELDS.type}
  br i1 %lays, label %lay, label %multiply
lay:
  call void @tj_laid_lay_{name}(i64 %n, i64 %k, ptr %b, i64 %br, i64 %bc, ptr %laid)
  ret void
multiply:
  %line = icmp eq i64 %m, 1
  br i1 %line, label %one, label %several
one:
  call void @tj_laid_line_{name}({PARAMS}, ptr %laid)
  ret void
several:
  %m.up = add i64 %m, {self.rows - 1}
  %tiles = sdiv i64 %m.up, {self.rows}
  %n.up = add i64 %n, {self.width - 1}
  %panels = sdiv i64 %n.up, {self.width}
  %count = mul i64 %panels, %tiles
  %many = icmp sge i64 %tiles, {SHARED_TILES}
  %all.b = mul i64 %n, %k
  %is.far = icmp sgt i64 %all.b, {NEAR_BYTES // self.size}
  %fits = icmp sle i64 %all.b, {SHARED_BYTES // self.size}
  %pair = zext i1 %is.far to i64
  %alone = and i64 %tiles, %pair
  %in.pairs = icmp eq i64 %alone, 0
  %room = and i1 %fits, %in.pairs
  %by.rows = and i1 %many, %room
  %row = shl i64 %panels, %pair
  %along = select i1 %by.rows, i64 %row, i64 %tiles
{_FIELDS.saves()}
  %each = mul i64 %k, {self.rows * self.width}
{ELEMENTS}
  call void @tj_share_tiles(
    ptr @tj_laid_part_{name}, ptr %record, i64 %count, i64 %each, i64 %elements, i1 true)
  ret void
}}"""
