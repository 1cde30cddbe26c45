"""Tall tiles of matrix products, as LLVM text: several tiles of the fewest columns, below each other, for C's last.

A tile with few columns reads more of A for what it multiplies than one with many, and multiplies more slowly. Where the
rows of A lie together, a tall tile has a column of A in a register, and elements of B are broadcast. Where its columns
do, a register has some terms of several rows, as many as there are columns; one after the other they are spread over
the columns of their row. An element has the same bits as in any other tile.

A process links them when there was so much to multiply that they pay. Until then other tiles have these columns.
Threads of a parallel loop do not look for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.products.pieces import COMMON, PARAMS, TYPES, splat_text
from tracejit.codegen.products.tiles import LINE, TILE_PARAMS, Shape, tile_call, tile_loop

#: The tiles in a tall one, where rows of A lie together, and where columns do.
TALL, LINES = 4, 2
#: What the last columns of some rows are computed with.
BELOW_PARAMS = f"{PARAMS.replace(' i64 %bc,', '')}, i64 %top, i64 %bottom"
#: The functions, by what follows `tj_` in their names, with their arguments.
TALL_PARTS = {"tall": TILE_PARAMS, "lines": TILE_PARAMS, "below": BELOW_PARAMS}
#: Multiplications, of products that have such columns, for which compiling tall tiles pays.
WORTH = 1 << 31


def tall_name(name: str) -> str:
    """The function of tall tiles where the rows of A lie together."""
    return f"@tj_tall_{name}"


def lines_name(name: str) -> str:
    """The function of tall tiles where the columns of A lie together."""
    return f"@tj_lines_{name}"


def tall_choice_text(name: str, options: LlvmOptions, *, is_lazy: bool) -> str:
    """`@tj_tall_pays_T(m, n, k, may)`: whether there are tall tiles for a product of these sizes; `may`: they may be
    looked for. `@tj_thin_T(m, n, k, ar, ac, may)`: as many of the last columns are best left to them; 0 also
    where A does not lie well. `is_lazy`: they are found when they are needed."""
    return (_pays_later(name) if is_lazy else _pays(name)) + _thin(name, Shape.of(name, options))


def _pays(name: str) -> str:
    return f"define i1 @tj_tall_pays_{name}(i64 %m, i64 %n, i64 %k, i1 %may) nounwind {{\n  ret i1 true\n}}"


def _pays_later(name: str) -> str:
    *parts, last = TALL_PARTS
    found = "\n".join(f"  call void @tj_find_{part}_{name}()" for part in (*parts, last))
    return f"""
@tj_tall_{name}_work = internal global i64 0
define i1 @tj_tall_pays_{name}(i64 %m, i64 %n, i64 %k, i1 %may) nounwind {{
  %known = load atomic ptr, ptr @tj_{last}_{name}_known acquire, align 8
  %is.known = icmp ne ptr %known, null
  br i1 %is.known, label %yes, label %count
count:
  %area = mul i64 %m, %n
  %work = mul i64 %area, %k
  %before = load atomic i64, ptr @tj_tall_{name}_work monotonic, align 8
  %sum = add i64 %before, %work
  store atomic i64 %sum, ptr @tj_tall_{name}_work monotonic, align 8
  %much = icmp sge i64 %sum, {WORTH}
  %finds = and i1 %much, %may
  br i1 %finds, label %find, label %no
find:
{found}
  br label %yes
yes:
  ret i1 true
no:
  ret i1 false
}}"""


def _thin(name: str, shape: Shape) -> str:
    function = f"define i64 @tj_thin_{name}(i64 %m, i64 %n, i64 %k, i64 %ar, i64 %ac, i1 %may) nounwind"
    if not shape.tall:
        return f"\n{function} {{\n  ret i64 0\n}}"
    return f"""
{function} {{
  %over = srem i64 %n, {shape.lanes}
  %less = sub i64 %over, 1
  %is.thin = icmp ult i64 %less, {shape.tall}
  %is.across = icmp eq i64 %ar, 1
  %is.along = icmp eq i64 %ac, 1
  %lies = or i1 %is.across, %is.along
  %high = select i1 %is.along, i64 {LINES * shape.rows}, i64 {TALL * shape.rows}
  %is.high = icmp sge i64 %m, %high
  %t0 = and i1 %is.thin, %lies
  %t1 = and i1 %t0, %is.high
  br i1 %t1, label %ask, label %no
ask:
  %pays = call i1 @tj_tall_pays_{name}(i64 %m, i64 %n, i64 %k, i1 %may)
  br i1 %pays, label %yes, label %no
yes:
  ret i64 %over
no:
  ret i64 0
}}"""


def tall_text(name: str, options: LlvmOptions) -> str:
    """`@tj_tall_T(k, A, step, ac, B, br, C, cr, add)`, where from the rows of a tile to those of the next it is `step`
    elements, `@tj_lines_T(k, A, ar, ac, B, br, C, cr, add)`, and `@tj_below_T(m, n, k, A, ar, ac, B, br, C, cr, top,
    bottom)`, which has the last columns of C's rows from `top` to `bottom`. Where a machine has no tall tiles nobody
    calls them."""
    shape = Shape.of(name, options)
    if not shape.tall:
        functions = (f"@tj_{part}_{name}({params})" for part, params in TALL_PARTS.items())
        return "\n".join(f"define void {function} nounwind {{\n  ret void\n}}" for function in functions)
    return COMMON + _tall(name, shape.rows, shape.tall) + _Lines(name, shape).text() + _below(name, shape)


def _below(name: str, shape: Shape) -> str:
    """The last tile reaches back over rows that are there already, or over rows of others where there are too few."""
    type = TYPES[name][0]
    return f"""
define void @tj_below_{name}({BELOW_PARAMS}) nounwind {{
start:
  %are.lines = icmp eq i64 %ac, 1
  %high = select i1 %are.lines, i64 {LINES * shape.rows}, i64 {TALL * shape.rows}
  %tile = select i1 %are.lines, ptr {lines_name(name)}, ptr {tall_name(name)}
  %step = select i1 %are.lines, i64 %ar, i64 {shape.rows}
  %end = call i64 @llvm.smin.i64(i64 %bottom, i64 %m)
  %least = sub i64 %end, %high
  %last = call i64 @llvm.smax.i64(i64 %least, i64 0)
  %left = sub i64 %n, {shape.tall}
  %b.few = getelementptr {type}, ptr %b, i64 %left
  %c.few = getelementptr {type}, ptr %c, i64 %left
  br label %tall
tall:
  %u = phi i64 [ %top, %start ], [ %u1, %tall ]
  %i = call i64 @llvm.smin.i64(i64 %u, i64 %last)
  %skip.a = mul i64 %i, %ar
  %a.tile = getelementptr {type}, ptr %a, i64 %skip.a
  %skip.c = mul i64 %i, %cr
  %c.tile = getelementptr {type}, ptr %c.few, i64 %skip.c
{tile_call("%tile", "%k", "%a.tile", "%step", "%ac", "%b.few", "%br", "%c.tile", "%cr")}
  %u1 = add i64 %u, %high
  %more = icmp slt i64 %u1, %end
  br i1 %more, label %tall, label %out
out:
  ret void
}}"""


def _tall(name: str, rows: int, width: int) -> str:
    type, size = TYPES[name]
    vector, parts, columns = f"<{rows} x {type}>", range(TALL), range(width)
    fma = f"@llvm.fmuladd.v{rows}{name}"
    sums = [(i, c) for i in parts for c in columns]
    entry = [f"  %skip{i} = mul i64 %step, {i}" for i in parts]
    loop = [f"  %s{i}.{c} = phi {vector} [ zeroinitializer, %entry ], [ %t{i}.{c}, %loop ]" for i, c in sums]
    for i in parts:
        loop += [
            f"  %a.at{i} = getelementptr {type}, ptr %pa, i64 %skip{i}",
            f"  %a{i} = load {vector}, ptr %a.at{i}, align {size}",
        ]
    row = []
    short = f"<{width} x {type}>"
    for c in columns:
        loop += [
            f"  %b.at{c} = getelementptr {type}, ptr %pb, i64 {c}",
            f"  %b{c} = load {type}, ptr %b.at{c}, align {size}",
            splat_text(type, rows, f"%b{c}", f"%one{c}", f"%all{c}"),
        ]
        for i in parts:
            operands = f"{vector} %a{i}, {vector} %all{c}, {vector} %s{i}.{c}"
            loop.append(f"  %t{i}.{c} = call {vector} {fma}({operands})")
        row += [
            f"  %from{c} = getelementptr {type}, ptr %down, i64 {TALL * rows * c}",
            f"  %x{c} = load {type}, ptr %from{c}, align {size}",
            f"  %row{c} = insertelement {short} {f'%row{c - 1}' if c else 'poison'}, {type} %x{c}, i64 {c}",
        ]
    done: list[str] = []
    for i, c in sums:
        done += [
            f"  %to{i}.{c} = getelementptr {type}, ptr %sums, i64 {(TALL * c + i) * rows}",
            f"  store {vector} %t{i}.{c}, ptr %to{i}.{c}",
        ]
    lines = "\n".join
    return f"""
declare {vector} {fma}({vector}, {vector}, {vector})
define void {tall_name(name)}({TILE_PARAMS.replace("%ar", "%step")}) noinline nounwind {{
entry:
  %sums = alloca [{TALL * rows * width} x {type}], align {LINE}
{lines(entry)}
{tile_loop(type, loop)}
{lines(done)}
  br label %row
row:
  %r = phi i64 [ 0, %done ], [ %r1, %put ]
  %pc = phi ptr [ %c, %done ], [ %pc1, %put ]
  %down = getelementptr {type}, ptr %sums, i64 %r
{lines(row)}
  br i1 %add, label %sum, label %put
sum:
  %old = load {short}, ptr %pc, align {size}
  %both = fadd {short} %old, %row{width - 1}
  br label %put
put:
  %value = phi {short} [ %row{width - 1}, %row ], [ %both, %sum ]
  store {short} %value, ptr %pc, align {size}
  %pc1 = getelementptr {type}, ptr %pc, i64 %cr
  %r1 = add i64 %r, 1
  %again = icmp slt i64 %r1, {TALL * rows}
  br i1 %again, label %row, label %out
out:
  ret void
}}"""


class _Lines:
    """The tall tile of lines along k. A step is of as many terms as there are columns; terms that are left are a step
    each."""

    def __init__(self, name: str, shape: Shape) -> None:
        self.name, self.width, self.lanes = name, shape.tall, shape.lanes
        self.type, self.size = TYPES[name]
        self.per = shape.lanes // shape.tall  #: rows in a register
        self.groups = range(LINES * shape.rows // self.per)
        self.vector, self.short = f"<{self.lanes} x {self.type}>", f"<{self.width} x {self.type}>"
        self.fma = f"@llvm.fmuladd.v{self.lanes}{name}"

    def text(self) -> str:
        """The function."""
        groups, lines, last = self.groups, "\n".join, self.width - 1
        steps = [f"[ zeroinitializer, %entry ], [ %t{g}.{last}, %loop ]" for g in groups]
        singles = [f"[ %m{g}, %singles ], [ %n{g}, %single ]" for g in groups]
        sums, met, left, found = (
            lines(f"  %{of}{g} = phi {self.vector} {ways[g]}" for g in groups)
            for of, ways in (("s", steps), ("m", steps), ("l", singles), ("f", singles))
        )
        skips = lines(f"  %a{i} = mul i64 %ar, {i}\n  %c{i} = mul i64 %cr, {i}" for i in range(1, self.per))
        return f"""
declare {self.vector} {self.fma}({self.vector}, {self.vector}, {self.vector})
define void {lines_name(self.name)}({TILE_PARAMS}) noinline nounwind {{
entry:
{skips}
  %a.group = mul i64 %ar, {self.per}
  %c.group = mul i64 %cr, {self.per}
  %step = mul i64 %br, {self.width}
  %whole = and i64 %k, -{self.width}
  %some = icmp sgt i64 %whole, 0
  br i1 %some, label %loop, label %singles
loop:
  %p = phi i64 [ 0, %entry ], [ %p1, %loop ]
  %pa = phi ptr [ %a, %entry ], [ %pa1, %loop ]
  %pb = phi ptr [ %b, %entry ], [ %pb1, %loop ]
{sums}
{lines(self._step())}
  %pa1 = getelementptr {self.type}, ptr %pa, i64 {self.width}
  %pb1 = getelementptr {self.type}, ptr %pb, i64 %step
  %p1 = add i64 %p, {self.width}
  %more = icmp slt i64 %p1, %whole
  br i1 %more, label %loop, label %singles
singles:
  %sa = phi ptr [ %a, %entry ], [ %pa1, %loop ]
  %sb = phi ptr [ %b, %entry ], [ %pb1, %loop ]
{met}
  %are.left = icmp slt i64 %whole, %k
  br i1 %are.left, label %single, label %put
single:
  %q = phi i64 [ %whole, %singles ], [ %q1, %single ]
  %qa = phi ptr [ %sa, %singles ], [ %qa1, %single ]
  %qb = phi ptr [ %sb, %singles ], [ %qb1, %single ]
{left}
{lines(self._single())}
  %qa1 = getelementptr {self.type}, ptr %qa, i64 1
  %qb1 = getelementptr {self.type}, ptr %qb, i64 %br
  %q1 = add i64 %q, 1
  %q.more = icmp slt i64 %q1, %k
  br i1 %q.more, label %single, label %put
put:
{found}
  br i1 %add, label %sum, label %write
sum:
{lines(self._rows_of("sum"))}
  br label %out
write:
{lines(self._rows_of("write"))}
  br label %out
out:
  ret void
}}"""

    def _step(self) -> Iterator[str]:
        """Terms from `%pa` and `%pb` on, as many as there are columns, onto the sums `%s`: `%t`."""
        for j in range(self.width):
            yield f"  %b.skip{j} = mul i64 %br, {j}"
            yield f"  %b.at{j} = getelementptr {self.type}, ptr %pb, i64 %b.skip{j}"
            yield from self._row_of_b(f"%b.at{j}", f"%b{j}")
        for g in self.groups:
            yield self._group("%pa", g)
            read: list[str] = []
            for i in range(self.per):
                read.append(f"%x{g}.{i}")
                yield f"  %x.at{g}.{i} = getelementptr {self.type}, ptr %pa.{g}, i64 {_times('%a', i)}"
                yield f"  {read[-1]} = load {self.short}, ptr %x.at{g}.{i}, align {self.size}"
            yield from self._joined(read, f"%z{g}")
            for j in range(self.width):
                spread = [lane // self.width * self.width + j for lane in range(self.lanes)]
                yield f"  %y{g}.{j} = {self._shuffled(f'%z{g}', self.lanes, spread)}"
                yield self._multiplied(f"%t{g}.{j}", f"%y{g}.{j}", f"%b{j}", f"%t{g}.{j - 1}" if j else f"%s{g}")

    def _single(self) -> Iterator[str]:
        """A term at `%qa` and `%qb` onto the sums `%l`: `%n`."""
        yield from self._row_of_b("%qb", "%b.one")
        spread = [lane // self.width for lane in range(self.lanes)]
        for g in self.groups:
            yield self._group("%qa", g)
            row = "poison"
            for i in range(self.per):
                yield f"  %v.at{g}.{i} = getelementptr {self.type}, ptr %qa.{g}, i64 {_times('%a', i)}"
                yield f"  %v{g}.{i} = load {self.type}, ptr %v.at{g}.{i}, align {self.size}"
                yield f"  %w{g}.{i} = insertelement {self.vector} {row}, {self.type} %v{g}.{i}, i64 {i}"
                row = f"%w{g}.{i}"
            yield f"  %u{g} = {self._shuffled(row, self.lanes, spread)}"
            yield self._multiplied(f"%n{g}", f"%u{g}", "%b.one", f"%l{g}")

    def _rows_of(self, how: str) -> Iterator[str]:
        """The rows of the sums `%f`, put where they belong, or added to what is there."""
        at = "%c"
        for g in self.groups:
            if g:
                yield f"  %{how}.c{g} = getelementptr {self.type}, ptr {at}, i64 %c.group"
                at = f"%{how}.c{g}"
            for i in range(self.per):
                here = f"{how}{g}.{i}"
                columns = [i * self.width + c for c in range(self.width)]
                yield f"  %{here}.new = {self._shuffled(f'%f{g}', self.lanes, columns)}"
                yield f"  %{here}.at = getelementptr {self.type}, ptr {at}, i64 {_times('%c', i)}"
                value = f"%{here}.new"
                if how == "sum":
                    yield f"  %{here}.old = load {self.short}, ptr %{here}.at, align {self.size}"
                    yield f"  %{here}.both = fadd {self.short} %{here}.old, %{here}.new"
                    value = f"%{here}.both"
                yield f"  store {self.short} {value}, ptr %{here}.at, align {self.size}"

    def _group(self, start: str, g: int) -> str:
        """Where the rows of a group begin: `%pa.2` of that which begins at `%pa`."""
        before, step = (f"{start}.{g - 1}", "%a.group") if g else (start, "0")
        return f"  {start}.{g} = getelementptr {self.type}, ptr {before}, i64 {step}"

    def _row_of_b(self, place: str, name: str) -> Iterator[str]:
        """The columns of a row of B for every row of a group."""
        yield f"  {name}.row = load {self.short}, ptr {place}, align {self.size}"
        yield f"  {name} = {self._shuffled(f'{name}.row', self.width, [i % self.width for i in range(self.lanes)])}"

    def _joined(self, parts: Sequence[str], name: str) -> Iterator[str]:
        """Short vectors as a long one, by pairs."""
        width, level = self.width, 0
        while len(parts) > 1:
            following: list[str] = []
            for at in range(0, len(parts), 2):
                made = name if len(parts) == 2 else f"{name}.{level}.{at}"
                yield f"  {made} = {self._shuffled(parts[at], width, range(2 * width), parts[at + 1])}"
                following.append(made)
            parts, width, level = following, 2 * width, level + 1

    def _shuffled(self, value: str, lanes: int, order: Sequence[int], other: str = "poison") -> str:
        kind, places = f"<{lanes} x {self.type}>", ", ".join(f"i32 {i}" for i in order)
        return f"shufflevector {kind} {value}, {kind} {other}, <{len(order)} x i32> <{places}>"

    def _multiplied(self, name: str, a: str, b: str, onto: str) -> str:
        return f"  {name} = call {self.vector} {self.fma}({self.vector} {a}, {self.vector} {b}, {self.vector} {onto})"


def _times(step: str, i: int) -> str:
    """So many steps of rows: `%a2` are two of A."""
    return f"{step}{i}" if i else "0"
