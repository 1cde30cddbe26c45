"""Matrix products over packed panels, as LLVM text: what `direct` cannot read where it lies.

B is copied into panels of as many columns as a tile has, so that a tile reads memory from one end to the other
(Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008). A is copied into blocks of a tile's
rows where many panels read it, or where they are not contiguous along k and would fall on a few sets of the cache. What
lies across a block or panel turns in registers, a square of vectors at a time, of B by code that is found when it is
first needed. Tiles at the edge are computed beside C, and what belongs to C is copied; where A is not packed, the last
tile of a column reaches back over rows of the one before.

A panel is worked on in pieces of as many terms as a tile's `depth`: one stays in the nearest cache while those rows of
A pass that have room in a core's own. Larger products are made of slices, a piece of each panel: one is packed,
multiplied and added to C before the next. An element is a chain of multiply-adds over k, or the sum of such chains of a
piece each, in order: like that of `direct` it depends on nothing but its row and its column.
"""

from __future__ import annotations

from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.products.direct import spread_text
from tracejit.codegen.products.packing import FIELDS, PIECE, TOGETHER, Packing
from tracejit.codegen.products.pieces import COMMON, ELEMENTS, PARAMS, TYPES, Fields, plain_text, put_text
from tracejit.codegen.products.tall import LINES, TALL, lines_name, tall_name
from tracejit.codegen.products.tiles import FAR, TILE_PARAMS, Shape, tile_call, tile_name, tile_text
from tracejit.codegen.support.sharing import PRODUCT_WORK

#: Bytes of panels that are packed at a time; of a panel that is read where it lies and is sure to stay in a core's own
#: cache.
PANELS_BYTES, CLOSE_BYTES = 1 << 19, 1 << 18
#: A column of A that spans more bytes is read once instead of once for each of several panels. Where so many panels
#: read it, all of A is, as far as its blocks have no more than so many bytes: from one end to the other they come to
#: the nearest cache in time, which rows that lie apart do not.
LONG_BYTES, OFTEN, BLOCKS_BYTES = 1 << 17, 12, 1 << 23
#: Copying an element takes as long as so many multiplications.
COPY_WORK = 4
#: Tiles of a panel from which those of a tall one are an item of the shared loop.
MANY = 32

#: Bytes of a piece that fits the nearest cache, and of the rows of A that it serves one after the other: these stay in
#: a core's own cache from one panel to the next.
NEAREST_BYTES, ROWS_BYTES = 1 << 15, 1 << 18
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
        self.depth, self.packs = self.shape.depth, self.shape.packs
        self.packing = Packing(name, options)

    def text(self) -> str:
        """The loops of this dtype."""
        vector, mask, suffix = f"<{self.lanes} x {self.type}>", f"<{self.lanes} x i1>", f"v{self.lanes}{self.name}.p0"
        declarations = f"""
{self.shape.declared(self.name)}
declare {vector} @llvm.masked.load.{suffix}(ptr, i32, {mask}, {vector})
declare void @llvm.masked.store.{suffix}({vector}, ptr, i32, {mask})
"""
        put = put_text(f"@tj_panels_put_{self.name}", self.name, self.lanes, self.width)
        far = tile_text(self.name, self.lanes, self.rows, self.width, FAR)
        tall = (f"declare void {tile}({TILE_PARAMS})" for tile in (tall_name(self.name), lines_name(self.name)))
        return "\n".join((declarations, *tall, far, self.packing.text(), put, self._part()))

    def once_text(self) -> str:
        """What runs once a product of this dtype."""
        chunks = (f"@tj_panels_{x}_{self.name}(ptr, i64, i64)" for x in ("blocks", "part"))
        called = "@tj_free(ptr)", f"@tj_find_turn_{self.name}()", *chunks
        declared = (
            f"declare i1 @tj_tall_pays_{self.name}(i64, i64, i64, i1)",
            "declare ptr @tj_alloc(i64)",
            *(f"declare void {function}" for function in called),
        )
        return "\n".join((*declared, self.packing.once_text(), self._slice(), self._whole()))

    # -- tiles --------------------------------------------------------------------------------------------------

    def _part(self) -> str:
        """Items `begin` to `end` of `grouped` tiles each: of all panels those in `tall` lines, then those in the next
        ones. With few lines A is read once and C from one end to the other, with all of them B. Tiles of one panel are
        worked on piece by piece of it: a piece stays in the nearest cache. The last columns may be left to tall tiles
        (`talls`)."""
        type, lanes, rows, width, thinnest = self.type, self.lanes, self.rows, self.width, self.shape.tall
        whole, two, one = (tile_name(self.name, width) for width in self.shape.widths[:3])
        far = tile_name(self.name, width, FAR)
        kind, went, high, step, tallest, most = "%kind", "1", "%high", "%t.row", "", rows
        if thinnest:
            thin, tall, lines_tile = tile_name(self.name, thinnest), tall_name(self.name), lines_name(self.name)
            tallest = f"""  %is.few = icmp sle i64 %wide, {thinnest}
  %are.lines = icmp eq i64 %t.step, 1
  %lie.together = icmp eq i64 %t.row, 1
  %lie.well = or i1 %are.lines, %lie.together
  %in.tall = select i1 %are.lines, i64 {LINES}, i64 {TALL}
  %u.beyond = add i64 %u, %in.tall
  %has.below = icmp sle i64 %u.beyond, %until
  %rows.tall = mul i64 %in.tall, {rows}
  %all.high = icmp sge i64 %left.m, %rows.tall
  %are.high = and i1 %has.below, %all.high
  %may.be.tall = and i1 %talls, %is.few
  %fit.well = and i1 %are.high, %lie.well
  %is.tall = and i1 %may.be.tall, %fit.well
  %below.step = select i1 %packed, i64 %block.size, i64 {rows}
  %tall.step = select i1 %are.lines, i64 %t.row, i64 %below.step
  %tall.tile = select i1 %are.lines, ptr {lines_tile}, ptr {tall}
  %step = select i1 %is.tall, i64 %tall.step, i64 %t.row
  %went = select i1 %is.tall, i64 %in.tall, i64 1
  %rows.put = select i1 %is.tall, i64 %rows.tall, i64 %high
  %kind.few = select i1 %is.few, ptr {thin}, ptr %kind
  %kind.tall = select i1 %is.tall, ptr %tall.tile, ptr %kind.few"""
            kind, went, high, step, most = "%kind.tall", "%went", "%rows.put", "%step", TALL * rows
        operands = "%deep", "%a.tile", step, "%t.step", "%b.deep", "%b.row", "%d", "%dr"
        return f"""
define void @tj_panels_part_{self.name}(ptr %record, i64 %begin, i64 %end) nounwind {{
start:
  %beside = alloca [{most * width} x {type}], align 64
{FIELDS.loads()}
  %packed = icmp ne ptr %blocks, null
  %t.row = select i1 %packed, i64 1, i64 %ar
  %t.step = select i1 %packed, i64 {rows}, i64 %ac
  %first.column = mul i64 %first, {width}
  %period = mul i64 %tall, %abreast
{self.packing.block_size()}
{self.packing.panel_size()}
{self.packing.last_panel()}
  %sharing = sub i64 %last.panel, 1
  %t.begin = mul i64 %begin, %grouped
  %t.beyond = mul i64 %end, %grouped
  %t.all = mul i64 %abreast, %tiles
  %t.end = call i64 @llvm.smin.i64(i64 %t.beyond, i64 %t.all)
  br label %check
check:
  %t = phi i64 [ %t.begin, %start ], [ %until, %piece.next ]
  %more = icmp slt i64 %t, %t.end
  br i1 %more, label %column, label %done
column:
  %outer = sdiv i64 %t, %period
  %before = mul i64 %outer, %period
  %among = sub i64 %t, %before
  %line = mul i64 %outer, %tall
  %lines.left = sub i64 %tiles, %line
  %lines = call i64 @llvm.smin.i64(i64 %lines.left, i64 %tall)
  %panel = sdiv i64 %among, %lines
  %passed = mul i64 %panel, %lines
  %below = sub i64 %among, %passed
  %top = add i64 %line, %below
  %further = sub i64 %lines, %below
  %t.last = add i64 %t, %further
  %until = call i64 @llvm.smin.i64(i64 %t.last, i64 %t.end)
  %column.first = mul i64 %panel, {width}
  %place = add i64 %first.column, %column.first
  %index = add i64 %first, %panel
  %is.last = icmp eq i64 %index, %last.panel
  %earlier = select i1 %is.last, i64 %moved, i64 0
  %j = sub i64 %place, %earlier
  %is.sharing = icmp eq i64 %index, %sharing
  %gives = and i1 %is.sharing, %shares
  %most = select i1 %gives, i64 {2 * lanes}, i64 {width}
  %in.place = icmp slt i64 %index, %inside
  %since = sub i64 %index, %origin
  %panel.skip = mul i64 %since, %panel.size
  %b.packed = getelementptr {type}, ptr %panels, i64 %panel.skip
  %b.lies = getelementptr {type}, ptr %b, i64 %j
  %b.panel = select i1 %in.place, ptr %b.lies, ptr %b.packed
  %b.row = select i1 %in.place, i64 %br, i64 {width}
  %left.n = sub i64 %n, %j
  %wide = call i64 @llvm.smin.i64(i64 %left.n, i64 %most)
  %is.narrow = icmp sle i64 %wide, {2 * lanes}
  %is.one = icmp sle i64 %wide, {lanes}
  %over.vectors = srem i64 %wide, {lanes}
  %is.full = icmp eq i64 %over.vectors, 0
  %is.least = icmp eq i64 %wide, {thinnest}
  %is.even = or i1 %is.full, %is.least
  br label %piece
piece:
  %p = phi i64 [ 0, %column ], [ %p1, %piece.next ]
  %left.k = sub i64 %k, %p
  %deep = call i64 @llvm.smin.i64(i64 %left.k, i64 {self.depth})
  %b.over = mul i64 %p, %b.row
  %b.deep = getelementptr {type}, ptr %b.panel, i64 %b.over
  %a.over = mul i64 %p, %t.step
  %terms = add i64 %summed, %p
  %later = icmp sgt i64 %terms, 0
  br label %tile
tile:
  %u = phi i64 [ %t, %piece ], [ %u1, %next ]
  %block = phi i64 [ %top, %piece ], [ %block1, %next ]
  %i = mul i64 %block, {rows}
  %left.m = sub i64 %m, %i
  %high = call i64 @llvm.smin.i64(i64 %left.m, i64 {rows})
  %block.skip = mul i64 %block, %block.size
  %lack = sub i64 {rows}, %high
  %over = select i1 %packed, i64 0, i64 %lack
  %a.top = sub i64 %i, %over
  %a.skip = mul i64 %a.top, %ar
  %over.skip = mul i64 %over, {width}
  %beside.rows = getelementptr {type}, ptr %beside, i64 %over.skip
  %a.block = getelementptr {type}, ptr %blocks, i64 %block.skip
  %a.rows = getelementptr {type}, ptr %a, i64 %a.skip
  %a.first = select i1 %packed, ptr %a.block, ptr %a.rows
  %a.tile = getelementptr {type}, ptr %a.first, i64 %a.over
  %c.skip = mul i64 %i, %cr
  %c.at = add i64 %c.skip, %j
  %c.tile = getelementptr {type}, ptr %c, i64 %c.at
  %is.high = icmp eq i64 %high, {rows}
  %is.whole = and i1 %is.high, %is.even
  %adds = and i1 %later, %is.whole
  %d = select i1 %is.whole, ptr %c.tile, ptr %beside
  %dr = select i1 %is.whole, i64 %cr, i64 {width}
  %broad = select i1 %in.place, ptr {far}, ptr {whole}
  %narrow = select i1 %is.one, ptr {one}, ptr {two}
  %kind = select i1 %is.narrow, ptr %narrow, ptr %broad
{tallest}
{tile_call(kind, *operands, add="%adds")}
  br i1 %is.whole, label %next, label %put
put:
  call void @tj_panels_put_{self.name}(ptr %beside.rows, ptr %c.tile, i64 %cr, i64 {high}, i64 %wide, i1 %later)
  br label %next
next:
  %u1 = add i64 %u, {went}
  %block1 = add i64 %block, {went}
  %tile.more = icmp slt i64 %u1, %until
  br i1 %tile.more, label %tile, label %piece.next
piece.next:
  %p1 = add i64 %p, {self.depth}
  %p.more = icmp slt i64 %p1, %k
  br i1 %p.more, label %piece, label %check
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
  %record = alloca {FIELDS.type}
{FIELDS.saves(_ARGUMENTS)}
  %summed.place = {FIELDS.place("summed")}
  store i64 %summed, ptr %summed.place
{ELEMENTS}
  %m.up = add i64 %m, {self.rows - 1}
  %tiles = sdiv i64 %m.up, {self.rows}
  %tiles.place = {FIELDS.place("tiles")}
  store i64 %tiles, ptr %tiles.place
  %n.up = add i64 %n, {self.width - 1}
  %count = sdiv i64 %n.up, {self.width}
{self.packing.panel_size()}
  %panel.bytes = mul i64 %panel.size, {self.size}
  %few = icmp sle i64 %m, {self.packs.few}
  %unit.b = icmp eq i64 %bc, 1
  %line.bytes = mul i64 %br, {self.size}
  %is.near = icmp slt i64 %line.bytes, {self.packs.near}
  %lies = and i1 %unit.b, %is.near
  %stays = and i1 %few, %lies
  %full = sdiv i64 %n, {self.width}
  %inside = select i1 %stays, i64 %full, i64 0
  %inside.place = {FIELDS.place("inside")}
  store i64 %inside, ptr %inside.place
  %deepest = call i64 @llvm.smin.i64(i64 %k, i64 {self.depth})
  %piece.bytes = mul i64 %deepest, {self.width * self.size}
  %is.nearest = icmp sle i64 %piece.bytes, {NEAREST_BYTES}
  %tile.bytes = mul i64 %k, {self.rows * self.size}
  %fitting = sdiv i64 {ROWS_BYTES}, %tile.bytes
  %several = call i64 @llvm.smax.i64(i64 %fitting, i64 1)
{self._lines()}
  %talls.place = {FIELDS.place("talls")}
  store i1 %talls, ptr %talls.place
  %grouped.place = {FIELDS.place("grouped")}
  store i64 %together, ptr %grouped.place
  %beside = select i1 %is.nearest, i64 %several, i64 %lines
  %reads.b = icmp sgt i64 %inside, 0
  %tall.tiles = select i1 %reads.b, i64 %tiles, i64 %beside
  %tall.place = {FIELDS.place("tall")}
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
  %panels.place = {FIELDS.place("panels")}
  store ptr %panels, ptr %panels.place
  %blocks.place = {FIELDS.place("blocks")}
  store ptr null, ptr %blocks.place
{self.packing.block_size()}
  %block.bytes = mul i64 %block.size, {self.size}
  %blocks.bytes = mul i64 %block.bytes, %tiles
{spread_text(self.size)}
  %part = icmp slt i64 %m, {self.rows}
  %far = xor i1 %reached, true
  %span = mul i64 %bytes, %k
  %long = icmp sgt i64 %span, {LONG_BYTES}
  %often = icmp sge i64 %count, {self.packs.again}
  %is.read.often = icmp sge i64 %count, {OFTEN}
  %has.room = icmp sle i64 %blocks.bytes, {BLOCKS_BYTES}
  %streams = and i1 %is.read.often, %has.room
  %apart = xor i1 %unit.a, true
  %moves = and i1 %apart, %long
  %moves.often = and i1 %moves, %often
  %unfit = or i1 %part, %far
  %must = or i1 %unfit, %moves.often
  %packs = or i1 %must, %streams
  %block.work = mul i64 %block.size, {COPY_WORK}
  br i1 %packs, label %pack.a, label %head
pack.a:
  %blocks = call ptr @tj_alloc(i64 %blocks.bytes)
  %no.blocks = icmp eq ptr %blocks, null
  br i1 %no.blocks, label %leave, label %copy.a
copy.a:
  store ptr %blocks, ptr %blocks.place
  {run.format("blocks", "%tiles", "%block.work")}
  br label %head
head:
  %taken = phi ptr [ null, %choose ], [ %blocks, %copy.a ]
  %first.place = {FIELDS.place("first")}
  %origin.place = {FIELDS.place("origin")}
  %copied.place = {FIELDS.place("copied")}
  %pieces.place = {FIELDS.place("pieces")}
  %long.pieces = sdiv i64 %k, {PIECE}
  %panel.work = mul i64 %panel.size, {COPY_WORK}
  %tile.work = mul i64 %panel.size, {self.rows}
  %item.work = mul i64 %tile.work, %together
  br label %panel
panel:
  %first = phi i64 [ %inside, %head ], [ %next, %panel ]
  store i64 %first, ptr %first.place
  store i64 %first, ptr %origin.place
  %left = sub i64 %count, %first
  %here = call i64 @llvm.smin.i64(i64 %left, i64 %each)
  store i64 %here, ptr %copied.place
  %some = call i64 @llvm.smax.i64(i64 %here, i64 1)
  %enough = sdiv i64 {TOGETHER}, %some
  %most.pieces = call i64 @llvm.smin.i64(i64 %enough, i64 %long.pieces)
  %pieces = call i64 @llvm.smax.i64(i64 %most.pieces, i64 1)
  store i64 %pieces, ptr %pieces.place
  %piece.work = sdiv i64 %panel.work, %pieces
  %items.copied = mul i64 %here, %pieces
  {run.format("pack", "%items.copied", "%piece.work")}
  %begin = select i1 %stays, i64 0, i64 %first
  store i64 %begin, ptr %first.place
  %next = add i64 %first, %each
  %wanted = sub i64 %next, %begin
  %most = sub i64 %count, %begin
  %these = call i64 @llvm.smin.i64(i64 %wanted, i64 %most)
  %abreast.place = {FIELDS.place("abreast")}
  store i64 %these, ptr %abreast.place
  %all.tiles = mul i64 %these, %tiles
  %padding = sub i64 %together, 1
  %padded = add i64 %all.tiles, %padding
  %items = sdiv i64 %padded, %together
  {run.format("part", "%items", "%item.work")}
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
  %worked = phi i1 [ false, %sized ], [ true, %done ], [ true, %free.a ], [ false, %leave ]
  ret i1 %worked
}}"""

    def _lines(self) -> str:
        """`%lines` of tiles are worked on panel by panel where a piece of one is too large for the nearest cache: TALL
        where tall tiles have the last columns of A as it lies. `%together`: as many are an item of the shared loop,
        where that leaves enough of them. `%talls`: whether there are tall tiles for the last columns. Block `sized`
        goes on."""
        if not self.shape.tall:
            return """  br label %sized
sized:
  %talls = phi i1 [ false, %start ]
  %lines = phi i64 [ 1, %start ]
  %together = phi i64 [ 1, %start ]"""
        return f"""  %full.columns = mul i64 %full, {self.width}
  %last.columns = sub i64 %n, %full.columns
  %less = sub i64 %last.columns, 1
  %is.thin = icmp ult i64 %less, {self.shape.tall}
  %is.high = icmp sge i64 %m, {TALL * self.rows}
  %may.be.tall = and i1 %is.thin, %is.high
  br i1 %may.be.tall, label %ask, label %sized
ask:
  %pays = call i1 @tj_tall_pays_{self.name}(i64 %m, i64 %n, i64 %k, i1 %share)
  br label %sized
sized:
  %talls = phi i1 [ false, %start ], [ %pays, %ask ]
  %is.across = icmp eq i64 %ar, 1
  %is.along = icmp eq i64 %ac, 1
  %lie.well = or i1 %is.across, %is.along
  %has.tall = and i1 %talls, %lie.well
  %lines = select i1 %has.tall, i64 {TALL}, i64 1
  %are.many = icmp sge i64 %tiles, {MANY}
  %groups = and i1 %has.tall, %are.many
  %together = select i1 %groups, i64 {TALL}, i64 1"""

    def _whole(self) -> str:
        """The product in slices: short rows of A stay in a core's own cache, and panels that are read where they lie.
        At once where slices would be too small to be shared and all panels have room."""
        slice_args = PARAMS.replace("%k", "%here").replace("ptr %a,", "ptr %a.here,").replace("ptr %b,", "ptr %b.here,")
        return f"""
define void @tj_panels_{self.name}({PARAMS}, i1 %share) nounwind {{
start:
  %of.b = mul i64 %k, %n
  %fits = icmp sle i64 %of.b, {PANELS_BYTES // self.size}
  %of.c = mul i64 %m, %n
  %unshared = icmp slt i64 %of.c, {PRODUCT_WORK // self.depth}
  %at.once = and i1 %fits, %unshared
  %few = icmp sle i64 %m, {self.packs.few}
  %dense = icmp eq i64 %bc, 1
  %lies = and i1 %few, %dense
  %is.long = icmp sgt i64 %k, {CLOSE_BYTES // (self.width * self.size)}
  %is.far = and i1 %lies, %is.long
  %most = select i1 %is.far, i64 {self.depth}, i64 {self.packs.slice}
  %each = select i1 %at.once, i64 %k, i64 %most
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
