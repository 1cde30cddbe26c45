"""Blocks of A and panels of B for `panels`, as LLVM text: copies that a tile reads from one end to the other."""

from __future__ import annotations

from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.products.pieces import PARAMS, TYPES, Fields, mask_text
from tracejit.codegen.products.tiles import LINE, Shape
from tracejit.codegen.products.turn import square_text

#: Blocks or panels that are copied together, as they share lines of the cache and pages.
TOGETHER = 16
#: Fewer panels are copied in pieces, so that several threads have some; a piece has so many rows at least.
PIECE = 64
#: Beside the arguments: packed A, packed B, the tiles of a panel, and how many of them are worked on before the next
#: panel; the first panel to work on, how many, the first that is in `panels`, how many are read from B itself, and how
#: many terms C has the sums of; how many panels are copied, and in how many pieces; how many tiles an item has, and
#: whether there are tall ones.
FIELDS = Fields.of(
    f"{PARAMS}, ptr %blocks, ptr %panels, i64 %tiles, i64 %tall, i64 %first, i64 %abreast, i64 %origin, i64 %inside, "
    "i64 %summed, i64 %copied, i64 %pieces, i64 %grouped, i1 %talls"
)


class Packing:
    """The functions of one dtype: `@tj_panels_blocks_T` and `@tj_panels_pack_T`, chunks of parallel loops whose record
    has FIELDS; the second calls `@tj_panels_piece_T`."""

    def __init__(self, name: str, options: LlvmOptions) -> None:
        self.name = name
        self.type, self.size = TYPES[name]
        shape = Shape.of(name, options)
        self.lanes, self.rows, self.width, self.waits = shape.lanes, shape.rows, shape.widths[0], shape.waits
        self.apart = LINE // self.size
        self.vector, self.block = f"<{self.lanes} x {self.type}>", f"<{self.rows} x {self.type}>"
        self._copy = f"@tj_panels_copy_{name}"

    def text(self) -> str:
        """The loops of this dtype. A masked load must be declared."""
        declared = f"declare void @tj_turn_{self.name}(ptr, i64, i64, i64, ptr)"
        return "\n".join((declared, self._copied(), self._blocks(), self._panels()))

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

    def block_size(self) -> str:
        """Blocks and panels are a line of the cache longer than they need to be: at distances of a power of two those
        that are written together would share the sets of the nearest cache."""
        return f"""  %block.full = mul i64 %k, {self.rows}
  %block.size = add i64 %block.full, {self.apart}"""

    def panel_size(self) -> str:
        return f"""  %panel.full = mul i64 %k, {self.width}
  %panel.size = add i64 %panel.full, {self.apart}"""

    def last_panel(self) -> str:
        """`%last.panel`, and whether it `%shares` columns with the one before: where a tile of one vector `waits` and
        four vectors have the last columns, both have two. `%moved`: by how many columns it begins earlier."""
        return f"""  %n.up = add i64 %n, {self.width - 1}
  %count = sdiv i64 %n.up, {self.width}
  %last.panel = sub i64 %count, 1
  %last.place = mul i64 %last.panel, {self.width}
  %last.columns = sub i64 %n, %last.place
  %is.thin = icmp sle i64 %last.columns, {self.lanes}
  %follows = icmp sgt i64 %last.panel, 0
  %thin.follows = and i1 %is.thin, %follows
  %shares = and i1 %thin.follows, {"true" if self.waits else "false"}
  %moved = select i1 %shares, i64 {self.lanes}, i64 0"""

    def _blocks(self) -> str:
        """Blocks `begin` to `end` of A: block[p][row]. Where the rows of a column lie together, those of several blocks
        are copied together. Where the columns of a row do, squares turn in registers, of which the last reaches back
        over columns of the one before."""
        rows, type, size = self.rows, self.type, self.size
        lines = "\n".join(
            f"  %q.skip{r} = mul i64 %ar, {r}\n  %q.line{r} = getelementptr {type}, ptr %q.from, i64 %q.skip{r}"
            for r in range(rows)
        )

        def put(i: int, column: str) -> str:
            place = f"  %q.put{i} = getelementptr {type}, ptr %q.to, i64 {i * rows}"
            return f"{place}\n  store {column}, ptr %q.put{i}, align {size}"

        square = square_text(self.name, rows, lambda i: f"%q.line{i}", put)
        return f"""
define void @tj_panels_blocks_{self.name}(ptr %record, i64 %begin, i64 %end) nounwind {{
start:
{FIELDS.loads()}
  %dense = icmp eq i64 %ar, 1
  %full = sdiv i64 %m, {rows}
  %full.end = call i64 @llvm.smin.i64(i64 %full, i64 %end)
{self.block_size()}
  %along = icmp eq i64 %ac, 1
  %deep = icmp sge i64 %k, {rows}
  %turns = and i1 %along, %deep
  %final = sub i64 %k, {rows}
  br label %check
check:
  %t = phi i64 [ %begin, %start ], [ %g.end, %group.line ], [ %t1, %single.end ]
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
  %squares = and i1 %turns, %whole
  br i1 %squares, label %square, label %part
square:
  %q = phi i64 [ 0, %single ], [ %q1, %square ]
  %q.at = call i64 @llvm.smin.i64(i64 %q, i64 %final)
  %q.from = getelementptr {type}, ptr %s.from, i64 %q.at
  %q.over = mul i64 %q.at, {rows}
  %q.to = getelementptr {type}, ptr %base, i64 %q.over
{lines}
{square}
  %q1 = add i64 %q, {rows}
  %q.again = icmp slt i64 %q1, %k
  br i1 %q.again, label %square, label %single.end
part:
  %s.left = sub i64 %m, %top
  %high = call i64 @llvm.smin.i64(i64 %s.left, i64 {rows})
  call void {self._copy}(ptr %s.from, i64 %ac, i64 %ar, i64 %k, i64 %high, i64 {rows}, ptr %base, i64 {rows})
  br label %single.end
single.end:
  %t1 = add i64 %t, 1
  br label %check
done:
  ret void
}}"""

    def _panels(self) -> str:
        """Of panels `begin` to `end` from `first` on `lines` rows from `top` on: panel[p][column]. Where B's rows are
        contiguous, those of several whole panels are copied together; what is left is copied vector by vector of
        columns."""
        type, size, lanes, vector, vectors = self.type, self.size, self.lanes, self.vector, self.width // self.lanes
        load = f"@llvm.masked.load.v{lanes}{self.name}.p0"
        wide = "\n".join(
            f"""  %w.from{v} = getelementptr {type}, ptr %w.from, i64 {v * lanes}
  %w.x{v} = load {vector}, ptr %w.from{v}, align {size}
  %w.to{v} = getelementptr {type}, ptr %w.to, i64 {v * lanes}
  store {vector} %w.x{v}, ptr %w.to{v}, align {size}"""
            for v in range(vectors)
        )
        return f"""
define void @tj_panels_piece_{self.name}(ptr %record, i64 %begin, i64 %end, i64 %top, i64 %lines) nounwind {{
start:
{FIELDS.loads()}
  %top.skip = mul i64 %top, %br
  %b.top = getelementptr {type}, ptr %b, i64 %top.skip
  %top.put = mul i64 %top, {self.width}
  %panels.top = getelementptr {type}, ptr %panels, i64 %top.put
  %along = icmp eq i64 %bc, 1
  %down = icmp eq i64 %br, 1
  %square = icmp sge i64 %lines, {lanes}
  %first.column = mul i64 %first, {self.width}
{self.panel_size()}
{self.last_panel()}
  %full = sdiv i64 %n, {self.width}
  %full.here = sub i64 %full, %first
  %full.end = call i64 @llvm.smin.i64(i64 %full.here, i64 %end)
  %some.full = call i64 @llvm.smax.i64(i64 %full.end, i64 %begin)
  %copied.end = select i1 %along, i64 %some.full, i64 %begin
  br label %groups
groups:
  %g = phi i64 [ %begin, %start ], [ %g.end, %group.line ]
  %g.more = icmp slt i64 %g, %copied.end
  br i1 %g.more, label %group, label %strips
group:
  %g.most = add i64 %g, {TOGETHER}
  %g.end = call i64 @llvm.smin.i64(i64 %g.most, i64 %copied.end)
  %g.column = mul i64 %g, {self.width}
  %g.across = add i64 %first.column, %g.column
  %g.from = getelementptr {type}, ptr %b.top, i64 %g.across
  %g.skip = mul i64 %g, %panel.size
  %g.to = getelementptr {type}, ptr %panels.top, i64 %g.skip
  br label %row
row:
  %r = phi i64 [ 0, %group ], [ %r1, %group.line ]
  %r.step = mul i64 %r, %br
  %r.from = getelementptr {type}, ptr %g.from, i64 %r.step
  %r.put = mul i64 %r, {self.width}
  %r.to = getelementptr {type}, ptr %g.to, i64 %r.put
  br label %whole
whole:
  %w = phi i64 [ %g, %row ], [ %w1, %whole ]
  %w.from = phi ptr [ %r.from, %row ], [ %w.from.next, %whole ]
  %w.to = phi ptr [ %r.to, %row ], [ %w.to.next, %whole ]
{wide}
  %w.from.next = getelementptr {type}, ptr %w.from, i64 {self.width}
  %w.to.next = getelementptr {type}, ptr %w.to, i64 %panel.size
  %w1 = add i64 %w, 1
  %w.more = icmp slt i64 %w1, %g.end
  br i1 %w.more, label %whole, label %group.line
group.line:
  %r1 = add i64 %r, 1
  %r.more = icmp slt i64 %r1, %lines
  br i1 %r.more, label %row, label %groups
strips:
  %begin.v = mul i64 %copied.end, {vectors}
  %end.v = mul i64 %end, {vectors}
  br label %check
check:
  %t = phi i64 [ %begin.v, %strips ], [ %t1, %next ]
  %more = icmp slt i64 %t, %end.v
  br i1 %more, label %strip, label %done
strip:
  %panel = sdiv i64 %t, {vectors}
  %strips.before = mul i64 %panel, {vectors}
  %strip.index = sub i64 %t, %strips.before
  %offset = mul i64 %strip.index, {lanes}
  %panel.skip = mul i64 %panel, %panel.size
  %to.skip = add i64 %panel.skip, %offset
  %to = getelementptr {type}, ptr %panels.top, i64 %to.skip
  %panel.columns = mul i64 %panel, {self.width}
  %across = add i64 %panel.columns, %offset
  %place = add i64 %first.column, %across
  %index = add i64 %first, %panel
  %is.last = icmp eq i64 %index, %last.panel
  %earlier = select i1 %is.last, i64 %moved, i64 0
  %left = sub i64 %place, %earlier
  %here = sub i64 %n, %left
  %some = icmp sgt i64 %here, 0
  br i1 %some, label %kind, label %next
kind:
  %skip = mul i64 %left, %bc
  %from = getelementptr {type}, ptr %b.top, i64 %skip
  br i1 %along, label %rows, label %other
other:
  %turned = and i1 %down, %square
  %most = sub i64 %here, 1
  br i1 %turned, label %squares, label %elements
rows:
{mask_text(lanes, "%here")}
  br label %line
line:
  %p = phi i64 [ 0, %rows ], [ %p1, %line ]
  %l.step = mul i64 %p, %br
  %l.from = getelementptr {type}, ptr %from, i64 %l.step
  %l.x = call {vector} {load}(ptr %l.from, i32 {size}, <{lanes} x i1> %mask, {vector} zeroinitializer)
  %l.put = mul i64 %p, {self.width}
  %l.to = getelementptr {type}, ptr %to, i64 %l.put
  store {vector} %l.x, ptr %l.to, align {size}
  %p1 = add i64 %p, 1
  %l.again = icmp slt i64 %p1, %lines
  br i1 %l.again, label %line, label %next
squares:
  call void @tj_turn_{self.name}(ptr %from, i64 %bc, i64 %most, i64 %lines, ptr %to)
  br label %next
elements:
  %columns = call i64 @llvm.smin.i64(i64 %here, i64 {lanes})
  call void {self._copy}(
    ptr %from, i64 %br, i64 %bc, i64 %lines, i64 %columns, i64 {lanes}, ptr %to, i64 {self.width})
  br label %next
next:
  %t1 = add i64 %t, 1
  br label %check
done:
  ret void
}}"""

    def once_text(self) -> str:
        """Items `begin` to `end` of what is to be copied: one panel after the other of each piece of rows."""
        piece = f"void @tj_panels_piece_{self.name}"
        return f"""
declare {piece}(ptr, i64, i64, i64, i64)
define void @tj_panels_pack_{self.name}(ptr %record, i64 %begin, i64 %end) nounwind {{
start:
{FIELDS.loads()}
  %rows = sdiv i64 %k, %pieces
  %last = sub i64 %pieces, 1
  br label %check
check:
  %t = phi i64 [ %begin, %start ], [ %until, %piece ]
  %more = icmp slt i64 %t, %end
  br i1 %more, label %piece, label %done
piece:
  %which = sdiv i64 %t, %copied
  %before = mul i64 %which, %copied
  %behind = add i64 %before, %copied
  %until = call i64 @llvm.smin.i64(i64 %behind, i64 %end)
  %from = sub i64 %t, %before
  %to = sub i64 %until, %before
  %top = mul i64 %which, %rows
  %left = sub i64 %k, %top
  %is.last = icmp eq i64 %which, %last
  %lines = select i1 %is.last, i64 %left, i64 %rows
  call {piece}(ptr %record, i64 %from, i64 %to, i64 %top, i64 %lines)
  br label %check
done:
  ret void
}}"""
