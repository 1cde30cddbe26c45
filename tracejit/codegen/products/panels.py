"""Matrix products over packed panels, as LLVM text: what `direct` cannot read where it lies.

B is copied into panels of as many columns as a tile has, so that a tile reads memory from one end to the other
(Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008). A is copied into blocks of a tile's
rows where they are not contiguous along k and would fall on a few sets of the cache. A transposed B turns in registers,
a square of vectors at a time, by code that is found when it is first needed. Tiles at the edge are computed beside C,
and what belongs to C is copied; where A is not packed, the last tile of a column reaches back over rows of the one
before.

An element is a chain of multiply-adds over k, or the sum of such chains over `DEPTH` each, in order: like that of
`direct` it depends on nothing but its row and its column.
"""

from __future__ import annotations

from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.products.direct import COMMON, ELEMENTS, FAR, Shape, spread_text, tile_call, tile_text
from tracejit.codegen.products.pieces import PARAMS, TYPES, Fields, mask_text, plain_text, put_text

#: The longest chain of multiply-adds; bytes of panels that are packed at a time, which stay in a core's own cache while
#: all rows of A pass; blocks that are copied together.
DEPTH, PANELS_BYTES, TOGETHER = 512, 1 << 19, 8
#: Where a panel has more bytes than may be packed at a time, the product is made of slices of so many terms; of DEPTH
#: terms where panels of a B that is read where it lies have more bytes than are sure to stay in a core's own cache.
SLICE, CLOSE_BYTES = 4 * DEPTH, 1 << 18
#: With at most so many rows, panels of a dense B are read where they lie.
FEW_ROWS = 64
#: A column of A that spans more bytes is read once instead of once for each panel.
LONG_BYTES = 1 << 17
#: Copying an element takes as long as so many multiplications.
COPY_WORK = 4

#: Tiles in a column that a panel of at most so many bytes, which fits the nearest cache, serves one after the other.
BESIDE, NEAREST_BYTES = 4, 1 << 15
#: Beside the arguments: packed A, packed B, the tiles of a panel, and how many of them are worked on before the next
#: panel; the first panel to work on, how many, the first that is in `panels`, how many are read from B itself, and how
#: many terms C has the sums of.
_FIELDS = Fields.of(
    f"{PARAMS}, ptr %blocks, ptr %panels, i64 %tiles, i64 %tall, i64 %first, i64 %abreast, i64 %origin, i64 %inside, "
    "i64 %summed"
)
_ARGUMENTS = len(Fields.of(PARAMS).items)


def panels_text(name: str, options: LlvmOptions) -> str:
    """What packs and multiplies panels, for `panels_once_text`."""
    return COMMON + _Panels(name, options).text()


def panels_once_text(name: str, options: LlvmOptions) -> str:
    """Once a product: `@tj_panels_T(m, n, k, A, ar, ac, B, br, bc, C, cr, share)`: C = A B for m, n, k from 1 on."""
    return COMMON + plain_text(name) + _Panels(name, options).once_text()


class _Panels:
    """The functions of one dtype."""

    def __init__(self, name: str, options: LlvmOptions) -> None:
        self.name = name
        self.type, self.size = TYPES[name]
        self.shape = Shape.of(name, options)
        self.lanes, self.rows, self.width = self.shape.lanes, self.shape.rows, self.shape.widths[0]
        self.vector, self.mask = f"<{self.lanes} x {self.type}>", f"<{self.lanes} x i1>"
        self.block = f"<{self.rows} x {self.type}>"
        self._copy = f"@tj_panels_copy_{name}"
        self.load, self.store = (f"@llvm.masked.{x}.v{self.lanes}{name}.p0" for x in ("load", "store"))

    def text(self) -> str:
        """The loops of this dtype."""
        names = (f"@tj_tile_{self.name}_{width}" for width in self.shape.widths[:3])
        tiles = "\n".join(f"declare void {tile}(i64, ptr, i64, i64, ptr, i64, ptr, i64)" for tile in names)
        declarations = f"""
declare void @tj_turn_{self.name}(ptr, i64, i64, ptr)
{tiles}
declare {self.vector} {self.load}(ptr, i32, {self.mask}, {self.vector})
declare void {self.store}({self.vector}, ptr, i32, {self.mask})
"""
        put = put_text(f"@tj_panels_put_{self.name}", self.name, self.lanes, self.width)
        parts = self._copied(), self._blocks(), self._panels(), put, self._part()
        far = tile_text(self.name, self.lanes, self.rows, self.width, FAR)
        return "\n".join((declarations, far, *parts))

    def once_text(self) -> str:
        """What runs once a product of this dtype."""
        chunks = (f"@tj_panels_{x}_{self.name}(ptr, i64, i64)" for x in ("blocks", "pack", "part"))
        called = "@tj_free(ptr)", f"@tj_find_turn_{self.name}()", *chunks
        declared = "declare ptr @tj_alloc(i64)", *(f"declare void {function}" for function in called)
        return "\n".join((*declared, self._slice(), self._whole()))

    # -- packing ------------------------------------------------------------------------------------------------

    def _copied(self) -> str:
        """to[p][j] = from[p][j] for p < lines and j < count, with any steps, and 0 from there to `full`: what memory
        has there may be subnormal numbers, which take a hundred times as long to multiply."""
        type, size = self.type, self.size
        return f"""
define internal void {self._copy}(
    ptr %from, i64 %step, i64 %across, i64 %lines, i64 %count, i64 %full, ptr %to, i64 %to.step) noinline nounwind {{
start:
  br label %line
line:
  %p = phi i64 [ 0, %start ], [ %p1, %ended ]
  %skip = mul i64 %p, %step
  %put = mul i64 %p, %to.step
  br label %element
element:
  %j = phi i64 [ 0, %line ], [ %j1, %element ]
  %over = mul i64 %j, %across
  %at = add i64 %skip, %over
  %x.place = getelementptr {type}, ptr %from, i64 %at
  %x = load {type}, ptr %x.place, align {size}
  %to.at = add i64 %put, %j
  %to.place = getelementptr {type}, ptr %to, i64 %to.at
  store {type} %x, ptr %to.place, align {size}
  %j1 = add i64 %j, 1
  %more = icmp slt i64 %j1, %count
  br i1 %more, label %element, label %beyond
beyond:
  %z = phi i64 [ %count, %element ], [ %z1, %zero ]
  %lacks = icmp slt i64 %z, %full
  br i1 %lacks, label %zero, label %ended
zero:
  %zero.at = add i64 %put, %z
  %zero.place = getelementptr {type}, ptr %to, i64 %zero.at
  store {type} 0.0, ptr %zero.place, align {size}
  %z1 = add i64 %z, 1
  br label %beyond
ended:
  %p1 = add i64 %p, 1
  %again = icmp slt i64 %p1, %lines
  br i1 %again, label %line, label %done
done:
  ret void
}}"""

    def _blocks(self) -> str:
        """Blocks `begin` to `end` of A: block[p][row]. Where the rows of a column lie together, those of several blocks
        are copied together: they share lines of the cache."""
        rows, type, size = self.rows, self.type, self.size
        return f"""
define void @tj_panels_blocks_{self.name}(ptr %record, i64 %begin, i64 %end) nounwind {{
start:
{_FIELDS.loads()}
  %last = sub i64 %m, 1
  %dense = icmp eq i64 %ar, 1
  %full = sdiv i64 %m, {rows}
  %full.end = call i64 @llvm.smin.i64(i64 %full, i64 %end)
  %block.size = mul i64 %k, {rows}
  br label %check
check:
  %t = phi i64 [ %begin, %start ], [ %g.end, %group.line ], [ %t1, %single ]
  %more = icmp slt i64 %t, %end
  br i1 %more, label %block, label %done
block:
  %top = mul i64 %t, {rows}
  %whole = icmp slt i64 %t, %full
  %base.skip = mul i64 %t, %block.size
  %base = getelementptr {type}, ptr %blocks, i64 %base.skip
  %vectors = and i1 %dense, %whole
  br i1 %vectors, label %group, label %single
group:
  %g.most = add i64 %t, {TOGETHER}
  %g.end = call i64 @llvm.smin.i64(i64 %g.most, i64 %full.end)
  %g.from = getelementptr {type}, ptr %a, i64 %top
  br label %line
line:
  %p = phi i64 [ 0, %group ], [ %p1, %group.line ]
  %p.step = mul i64 %p, %ac
  %p.from = getelementptr {type}, ptr %g.from, i64 %p.step
  %p.skip = mul i64 %p, {rows}
  %p.to = getelementptr {type}, ptr %base, i64 %p.skip
  br label %copy
copy:
  %g = phi i64 [ %t, %line ], [ %g1, %copy ]
  %c.from = phi ptr [ %p.from, %line ], [ %c.from1, %copy ]
  %c.to = phi ptr [ %p.to, %line ], [ %c.to1, %copy ]
  %x = load {self.block}, ptr %c.from, align {size}
  store {self.block} %x, ptr %c.to, align {size}
  %c.from1 = getelementptr {type}, ptr %c.from, i64 {rows}
  %c.to1 = getelementptr {type}, ptr %c.to, i64 %block.size
  %g1 = add i64 %g, 1
  %g.more = icmp slt i64 %g1, %g.end
  br i1 %g.more, label %copy, label %group.line
group.line:
  %p1 = add i64 %p, 1
  %again = icmp slt i64 %p1, %k
  br i1 %again, label %line, label %check
single:
  %s.skip = mul i64 %top, %ar
  %s.from = getelementptr {type}, ptr %a, i64 %s.skip
  %s.left = sub i64 %m, %top
  %high = call i64 @llvm.smin.i64(i64 %s.left, i64 {rows})
  call void {self._copy}(ptr %s.from, i64 %ac, i64 %ar, i64 %k, i64 %high, i64 {rows}, ptr %base, i64 {rows})
  %t1 = add i64 %t, 1
  br label %check
done:
  ret void
}}"""

    def _panels(self) -> str:
        """Pieces `begin` to `end` of the panels from `first` on, DEPTH rows each: panel[p][column], vector by vector of
        columns, but whole rows where they lie together."""
        type, size, lanes, vector, vectors = self.type, self.size, self.lanes, self.vector, self.width // self.lanes
        wide = "\n".join(
            f"""  %w.from{v} = getelementptr {type}, ptr %w.from, i64 {v * lanes}
  %w.x{v} = load {vector}, ptr %w.from{v}, align {size}
  %w.to{v} = getelementptr {type}, ptr %w.to, i64 {v * lanes}
  store {vector} %w.x{v}, ptr %w.to{v}, align {size}"""
            for v in range(vectors)
        )
        return f"""
define void @tj_panels_pack_{self.name}(ptr %record, i64 %begin, i64 %end) nounwind {{
start:
{_FIELDS.loads()}
  %along = icmp eq i64 %bc, 1
  %down = icmp eq i64 %br, 1
  %square = icmp sge i64 %k, {lanes}
  %begin.v = mul i64 %begin, {vectors}
  %end.v = mul i64 %end, {vectors}
  %first.column = mul i64 %first, {self.width}
  %final = sub i64 %k, {lanes}
  %k.up = add i64 %k, {DEPTH - 1}
  %pieces = sdiv i64 %k.up, {DEPTH}
  br label %check
check:
  %t = phi i64 [ %begin.v, %start ], [ %t1, %next ]
  %more = icmp slt i64 %t, %end.v
  br i1 %more, label %strip, label %done
strip:
  %piece = sdiv i64 %t, {vectors}
  %strips = mul i64 %piece, {vectors}
  %strip.index = sub i64 %t, %strips
  %offset = mul i64 %strip.index, {lanes}
  %panel = sdiv i64 %piece, %pieces
  %before = mul i64 %panel, %pieces
  %depth.index = sub i64 %piece, %before
  %top = mul i64 %depth.index, {DEPTH}
  %below = add i64 %top, {DEPTH}
  %bottom = call i64 @llvm.smin.i64(i64 %below, i64 %k)
  %panel.skip = mul i64 %panel, {self.width}
  %panel.size = mul i64 %panel.skip, %k
  %to.skip = add i64 %panel.size, %offset
  %to = getelementptr {type}, ptr %panels, i64 %to.skip
  %across = add i64 %panel.skip, %offset
  %left = add i64 %first.column, %across
  %here = sub i64 %n, %left
  %some = icmp sgt i64 %here, 0
  br i1 %some, label %kind, label %next
kind:
  %skip = mul i64 %left, %bc
  %from = getelementptr {type}, ptr %b, i64 %skip
  %is.first = icmp eq i64 %strip.index, 0
  %is.wide = icmp sge i64 %here, {self.width}
  %is.whole = and i1 %is.first, %is.wide
  %whole.lines = and i1 %along, %is.whole
  br i1 %whole.lines, label %whole, label %part
whole:
  %w = phi i64 [ %top, %kind ], [ %w1, %whole ]
  %w.step = mul i64 %w, %br
  %w.from = getelementptr {type}, ptr %from, i64 %w.step
  %w.put = mul i64 %w, {self.width}
  %w.to = getelementptr {type}, ptr %to, i64 %w.put
{wide}
  %w1 = add i64 %w, 1
  %w.again = icmp slt i64 %w1, %bottom
  br i1 %w.again, label %whole, label %next
part:
  br i1 %along, label %lines, label %other
other:
  %turned = and i1 %down, %square
  %most = sub i64 %here, 1
  br i1 %turned, label %squares, label %elements
lines:
{mask_text(lanes, "%here")}
  br label %line
line:
  %p = phi i64 [ %top, %lines ], [ %p1, %line ]
  %l.step = mul i64 %p, %br
  %l.from = getelementptr {type}, ptr %from, i64 %l.step
  %l.x = call {vector} {self.load}(ptr %l.from, i32 {size}, {self.mask} %mask, {vector} zeroinitializer)
  %l.put = mul i64 %p, {self.width}
  %l.to = getelementptr {type}, ptr %to, i64 %l.put
  store {vector} %l.x, ptr %l.to, align {size}
  %p1 = add i64 %p, 1
  %l.again = icmp slt i64 %p1, %bottom
  br i1 %l.again, label %line, label %next
squares:
  %s = phi i64 [ %top, %other ], [ %s1, %squares ]
  %s.real = call i64 @llvm.smin.i64(i64 %s, i64 %final)
  %s.from = getelementptr {type}, ptr %from, i64 %s.real
  %s.put = mul i64 %s.real, {self.width}
  %s.to = getelementptr {type}, ptr %to, i64 %s.put
  call void @tj_turn_{self.name}(ptr %s.from, i64 %bc, i64 %most, ptr %s.to)
  %s1 = add i64 %s, {lanes}
  %s.again = icmp slt i64 %s1, %bottom
  br i1 %s.again, label %squares, label %next
elements:
  %columns = call i64 @llvm.smin.i64(i64 %here, i64 {lanes})
  %e.skip = mul i64 %top, %br
  %e.from = getelementptr {type}, ptr %from, i64 %e.skip
  %e.put = mul i64 %top, {self.width}
  %e.to = getelementptr {type}, ptr %to, i64 %e.put
  %e.lines = sub i64 %bottom, %top
  call void {self._copy}(
    ptr %e.from, i64 %br, i64 %bc, i64 %e.lines, i64 %columns, i64 {lanes}, ptr %e.to, i64 {self.width})
  br label %next
next:
  %strips.done = phi i64 [ {vectors}, %whole ], [ 1, %strip ], [ 1, %line ], [ 1, %squares ], [ 1, %elements ]
  %t1 = add i64 %t, %strips.done
  br label %check
done:
  ret void
}}"""

    # -- tiles --------------------------------------------------------------------------------------------------

    def _part(self) -> str:
        """Tiles `begin` to `end`: of all panels those in `tall` lines, then those in the next ones. With few lines A is
        read once and C from one end to the other, with all of them B."""
        type, lanes, rows, width = self.type, self.lanes, self.rows, self.width
        operands = "%deep", "%a.deep", "%t.row", "%t.step", "%b.deep", "%b.row", "%d", "%dr"
        whole, two, one = (tile_call(self.name, w, *operands) for w in self.shape.widths[:3])
        far = tile_call(self.name, width, *operands, far=FAR)
        return f"""
define void @tj_panels_part_{self.name}(ptr %record, i64 %begin, i64 %end) nounwind {{
start:
  %beside = alloca [{rows * width} x {type}], align 64
{_FIELDS.loads()}
  %packed = icmp ne ptr %blocks, null
  %t.row = select i1 %packed, i64 1, i64 %ar
  %t.step = select i1 %packed, i64 {rows}, i64 %ac
  %first.column = mul i64 %first, {width}
  %period = mul i64 %tall, %abreast
  br label %check
check:
  %t = phi i64 [ %begin, %start ], [ %t1, %next ]
  %more = icmp slt i64 %t, %end
  br i1 %more, label %tile, label %done
tile:
  %outer = sdiv i64 %t, %period
  %before = mul i64 %outer, %period
  %among = sub i64 %t, %before
  %line = mul i64 %outer, %tall
  %lines.left = sub i64 %tiles, %line
  %lines = call i64 @llvm.smin.i64(i64 %lines.left, i64 %tall)
  %panel = sdiv i64 %among, %lines
  %passed = mul i64 %panel, %lines
  %below = sub i64 %among, %passed
  %block = add i64 %line, %below
  %i = mul i64 %block, {rows}
  %left.m = sub i64 %m, %i
  %high = call i64 @llvm.smin.i64(i64 %left.m, i64 {rows})
  %column = mul i64 %panel, {width}
  %j = add i64 %first.column, %column
  %index = add i64 %first, %panel
  %in.place = icmp slt i64 %index, %inside
  %since = sub i64 %index, %origin
  %since.columns = mul i64 %since, {width}
  %panel.skip = mul i64 %since.columns, %k
  %b.packed = getelementptr {type}, ptr %panels, i64 %panel.skip
  %b.lies = getelementptr {type}, ptr %b, i64 %j
  %b.panel = select i1 %in.place, ptr %b.lies, ptr %b.packed
  %b.row = select i1 %in.place, i64 %br, i64 {width}
  %left.n = sub i64 %n, %j
  %wide = call i64 @llvm.smin.i64(i64 %left.n, i64 {width})
  %block.skip = mul i64 %i, %k
  %lack = sub i64 {rows}, %high
  %over = select i1 %packed, i64 0, i64 %lack
  %a.top = sub i64 %i, %over
  %a.skip = mul i64 %a.top, %ar
  %over.skip = mul i64 %over, {width}
  %beside.rows = getelementptr {type}, ptr %beside, i64 %over.skip
  %a.block = getelementptr {type}, ptr %blocks, i64 %block.skip
  %a.rows = getelementptr {type}, ptr %a, i64 %a.skip
  %a.tile = select i1 %packed, ptr %a.block, ptr %a.rows
  %c.skip = mul i64 %i, %cr
  %c.at = add i64 %c.skip, %j
  %c.tile = getelementptr {type}, ptr %c, i64 %c.at
  %is.high = icmp eq i64 %high, {rows}
  %is.narrow = icmp sle i64 %wide, {2 * lanes}
  %is.one = icmp sle i64 %wide, {lanes}
  %over.vectors = srem i64 %wide, {lanes}
  %is.even = icmp eq i64 %over.vectors, 0
  %is.whole = and i1 %is.high, %is.even
  br label %deeper
deeper:
  %p = phi i64 [ 0, %tile ], [ %p1, %deeper.end ]
  %left.k = sub i64 %k, %p
  %deep = call i64 @llvm.smin.i64(i64 %left.k, i64 {DEPTH})
  %a.step = mul i64 %p, %t.step
  %a.deep = getelementptr {type}, ptr %a.tile, i64 %a.step
  %b.step = mul i64 %p, %b.row
  %b.deep = getelementptr {type}, ptr %b.panel, i64 %b.step
  %terms = add i64 %summed, %p
  %later = icmp sgt i64 %terms, 0
  %simple = xor i1 %later, true
  %straight = and i1 %simple, %is.whole
  %d = select i1 %straight, ptr %c.tile, ptr %beside
  %dr = select i1 %straight, i64 %cr, i64 {width}
  br i1 %is.narrow, label %narrow, label %broad
broad:
  br i1 %in.place, label %far, label %near
far:
{far}
  br label %ended
near:
{whole}
  br label %ended
narrow:
  br i1 %is.one, label %one, label %two
two:
{two}
  br label %ended
one:
{one}
  br label %ended
ended:
  br i1 %straight, label %deeper.end, label %put
put:
  call void @tj_panels_put_{self.name}(ptr %beside.rows, ptr %c.tile, i64 %cr, i64 %high, i64 %wide, i1 %later)
  br label %deeper.end
deeper.end:
  %p1 = add i64 %p, {DEPTH}
  %p.more = icmp slt i64 %p1, %k
  br i1 %p.more, label %deeper, label %next
next:
  %t1 = add i64 %t, 1
  br label %check
done:
  ret void
}}"""

    # -- the product --------------------------------------------------------------------------------------------

    def _slice(self) -> str:
        """The product of a slice of A's columns and B's rows: blocks of A where it needs them, then panels as far as
        they have room, and their tiles; false where there is no memory for them."""
        run = (
            f"call void @tj_share_tiles(\n"
            f"    ptr @tj_panels_{{}}_{self.name}, ptr %record, i64 {{}}, i64 {{}}, i64 %elements, i1 %share)"
        )
        return f"""
define internal i1 @tj_panels_slice_{self.name}({PARAMS}, i64 %summed, i1 %share) nounwind {{
start:
  %record = alloca {_FIELDS.type}
{_FIELDS.saves(_ARGUMENTS)}
  %summed.place = {_FIELDS.place("summed")}
  store i64 %summed, ptr %summed.place
{ELEMENTS}
  %m.up = add i64 %m, {self.rows - 1}
  %tiles = sdiv i64 %m.up, {self.rows}
  %tiles.place = {_FIELDS.place("tiles")}
  store i64 %tiles, ptr %tiles.place
  %n.up = add i64 %n, {self.width - 1}
  %count = sdiv i64 %n.up, {self.width}
  %panel.size = mul i64 %k, {self.width}
  %panel.bytes = mul i64 %panel.size, {self.size}
  %few = icmp sle i64 %m, {FEW_ROWS}
  %unit.b = icmp eq i64 %bc, 1
  %stays = and i1 %few, %unit.b
  %full = sdiv i64 %n, {self.width}
  %inside = select i1 %stays, i64 %full, i64 0
  %inside.place = {_FIELDS.place("inside")}
  store i64 %inside, ptr %inside.place
  %is.nearest = icmp sle i64 %panel.bytes, {NEAREST_BYTES}
  %beside = select i1 %is.nearest, i64 {BESIDE}, i64 1
  %reads.b = icmp sgt i64 %inside, 0
  %tall.tiles = select i1 %reads.b, i64 %tiles, i64 %beside
  %tall.place = {_FIELDS.place("tall")}
  store i64 %tall.tiles, ptr %tall.place
  %partial = sub i64 %count, %inside
  %room = sdiv i64 {PANELS_BYTES}, %panel.bytes
  %least = call i64 @llvm.smax.i64(i64 %room, i64 1)
  %each = call i64 @llvm.smin.i64(i64 %least, i64 %partial)
  %panels.bytes = mul i64 %each, %panel.bytes
  %panels = call ptr @tj_alloc(i64 %panels.bytes)
  %no.panels = icmp eq ptr %panels, null
  br i1 %no.panels, label %out, label %look
look:
  %down = icmp eq i64 %br, 1
  %apart.b = xor i1 %unit.b, true
  %square = icmp sge i64 %k, {self.lanes}
  %tall = and i1 %down, %square
  %turned = and i1 %tall, %apart.b
  br i1 %turned, label %turns, label %choose
turns:
  call void @tj_find_turn_{self.name}()
  br label %choose
choose:
  %panels.place = {_FIELDS.place("panels")}
  store ptr %panels, ptr %panels.place
  %blocks.place = {_FIELDS.place("blocks")}
  store ptr null, ptr %blocks.place
{spread_text(self.size)}
  %part = icmp slt i64 %m, {self.rows}
  %far = xor i1 %reached, true
  %span = mul i64 %bytes, %k
  %long = icmp sgt i64 %span, {LONG_BYTES}
  %often = icmp sgt i64 %count, 1
  %apart = xor i1 %unit.a, true
  %moves = and i1 %apart, %long
  %moves.often = and i1 %moves, %often
  %unfit = or i1 %part, %far
  %packs = or i1 %unfit, %moves.often
  %block.size = mul i64 %k, {self.rows}
  %block.work = mul i64 %block.size, {COPY_WORK}
  br i1 %packs, label %pack.a, label %head
pack.a:
  %block.bytes = mul i64 %block.size, {self.size}
  %blocks.bytes = mul i64 %block.bytes, %tiles
  %blocks = call ptr @tj_alloc(i64 %blocks.bytes)
  %no.blocks = icmp eq ptr %blocks, null
  br i1 %no.blocks, label %leave, label %copy.a
copy.a:
  store ptr %blocks, ptr %blocks.place
  {run.format("blocks", "%tiles", "%block.work")}
  br label %head
head:
  %taken = phi ptr [ null, %choose ], [ %blocks, %copy.a ]
  %first.place = {_FIELDS.place("first")}
  %origin.place = {_FIELDS.place("origin")}
  %k.up = add i64 %k, {DEPTH - 1}
  %pieces = sdiv i64 %k.up, {DEPTH}
  %panel.work = mul i64 %panel.size, {COPY_WORK}
  %piece.work = sdiv i64 %panel.work, %pieces
  %tile.work = mul i64 %panel.size, {self.rows}
  br label %panel
panel:
  %first = phi i64 [ %inside, %head ], [ %next, %panel ]
  store i64 %first, ptr %first.place
  store i64 %first, ptr %origin.place
  %left = sub i64 %count, %first
  %here = call i64 @llvm.smin.i64(i64 %left, i64 %each)
  %here.pieces = mul i64 %here, %pieces
  {run.format("pack", "%here.pieces", "%piece.work")}
  %begin = select i1 %stays, i64 0, i64 %first
  store i64 %begin, ptr %first.place
  %next = add i64 %first, %each
  %wanted = sub i64 %next, %begin
  %most = sub i64 %count, %begin
  %these = call i64 @llvm.smin.i64(i64 %wanted, i64 %most)
  %abreast.place = {_FIELDS.place("abreast")}
  store i64 %these, ptr %abreast.place
  %items = mul i64 %these, %tiles
  {run.format("part", "%items", "%tile.work")}
  %more = icmp slt i64 %next, %count
  br i1 %more, label %panel, label %done
done:
  call void @tj_free(ptr %panels)
  br i1 %packs, label %free.a, label %out
free.a:
  call void @tj_free(ptr %taken)
  br label %out
leave:
  call void @tj_free(ptr %panels)
  br label %out
out:
  %worked = phi i1 [ false, %start ], [ true, %done ], [ true, %free.a ], [ false, %leave ]
  ret i1 %worked
}}"""

    def _whole(self) -> str:
        """The product, slice by slice: what is read of B stays in a core's own cache from one tile to the next. Slices
        are whole chains, so the sums are those of a product in one piece."""
        slice_args = PARAMS.replace("%k", "%here").replace("ptr %a,", "ptr %a.here,").replace("ptr %b,", "ptr %b.here,")
        return f"""
define void @tj_panels_{self.name}({PARAMS}, i1 %share) nounwind {{
start:
  %few = icmp sle i64 %m, {FEW_ROWS}
  %dense = icmp eq i64 %bc, 1
  %wide = icmp sge i64 %n, {self.width}
  %lies = and i1 %few, %dense
  %stays = and i1 %lies, %wide
  %step = select i1 %stays, i64 {DEPTH}, i64 {SLICE}
  %room = select i1 %stays, i64 {CLOSE_BYTES}, i64 {PANELS_BYTES}
  %panel.bytes = mul i64 %k, {self.width * self.size}
  %long = icmp sgt i64 %panel.bytes, %room
  %each = select i1 %long, i64 %step, i64 %k
  br label %slice
slice:
  %p = phi i64 [ 0, %start ], [ %p1, %more ]
  %left = sub i64 %k, %p
  %here = call i64 @llvm.smin.i64(i64 %left, i64 %each)
  %a.skip = mul i64 %p, %ac
  %a.here = getelementptr {self.type}, ptr %a, i64 %a.skip
  %b.skip = mul i64 %p, %br
  %b.here = getelementptr {self.type}, ptr %b, i64 %b.skip
  %worked = call i1 @tj_panels_slice_{self.name}({slice_args}, i64 %p, i1 %share)
  br i1 %worked, label %more, label %plain
more:
  %p1 = add i64 %p, %here
  %again = icmp slt i64 %p1, %k
  br i1 %again, label %slice, label %out
plain:
  call void @tj_plain_{self.name}({PARAMS})
  br label %out
out:
  ret void
}}"""
