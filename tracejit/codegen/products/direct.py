"""Matrix products that need no packing, as LLVM text: tiles of C in registers, A and B read where they lie.

A library packs its operands before it multiplies. Where B fits the caches, its rows are contiguous and few tiles share
a panel of it, that buys nothing, and costs a tenth to a third of the product. A tile is `rows` x `width` elements of C;
`k` runs over one load per vector of B's row and one broadcast per row of A. The last tile of a row or column reaches
back over the one before it and computes some elements twice, to the same bits: an element is one chain of multiply-adds
over k, or the sum of two, one for each half of k, so a result does not depend on tiles and threads.
"""

from __future__ import annotations

from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.products.pieces import TYPES, Fields, splat_text
from tracejit.records import record

#: Bytes of B up to which it is read where it lies; bytes that the sets of a column of A may span; a line of the cache.
CACHED_BYTES, SPREAD_BYTES, LINE = 1 << 20, 1 << 19, 64
#: Bytes of B from which its panels may be packed first.
PACKED_BYTES = 1 << 17
#: At most one row in so many is computed twice.
WASTE = 10
#: Bytes of B in a block of columns, which stays in a core's own cache while all rows of A pass.
BLOCK_BYTES = 1 << 18
#: Long sums of a small C are made in halves, by different threads: each reads its half of B only, and finds it in its
#: caches where loops over B were shared, too. From so many terms on, up to so many bytes of C.
HALVED_TERMS, HALVED_BYTES = 512, 1 << 15
#: Multiply-adds that a core may have begun and not ended.
UNDER_WAY = 8
#: The name of tiles whose B is in no near cache, and how many rows of it they are ahead.
FAR, AHEAD = "_far", 24
_PARAMS = "i64 %m, i64 %n, i64 %k, ptr %a, i64 %ar, i64 %ac, ptr %b, i64 %br, ptr %c, i64 %cr"
#: Beside the arguments: the rows of tiles, the columns of a block, the terms of the first half (all, if there is no
#: other) and where the other goes.
_FIELDS = Fields.of(f"{_PARAMS}, i64 %rows, i64 %block, i64 %half, ptr %sums")
#: What the functions here and in `panels` call.
COMMON = """
declare void @tj_share_tiles(ptr, ptr, i64, i64, i64, i1)
declare i64 @llvm.smin.i64(i64, i64)
declare i64 @llvm.smax.i64(i64, i64)
"""

#: What a tile is called with: k, A, ar, ac, B, br, C, cr, add.
_KINDS = ("i64", "ptr", "i64", "i64", "ptr", "i64", "ptr", "i64", "i1")

#: `%elements` of the three matrices.
ELEMENTS = """  %of.a = mul i64 %m, %k
  %of.b = mul i64 %k, %n
  %of.c = mul i64 %m, %n
  %of.both = add i64 %of.a, %of.b
  %elements = add i64 %of.both, %of.c"""


def direct_text(name: str, options: LlvmOptions) -> str:
    """`@tj_direct_T(m, n, k, A, ar, ac, B, br, C, cr, share)` where `direct_fits_text` says so, and its tiles."""
    return COMMON + _Direct(name, options).text()


def direct_fits_text(name: str, options: LlvmOptions) -> str:
    """`@tj_direct_fits_T(m, n, k, ac, bc)`."""
    return COMMON + _Direct(name, options).fits()


@record
class Packs:
    """When panels of B are packed before they are multiplied. A tile that reads them where they lie meets a page of
    memory for each row, lines of the cache that others need and, of short registers, halves of lines.

    From so many `rows` of A and `terms` of a sum on, and PACKED_BYTES of B. Of what is too large to stay cached, panels
    of up to `few` rows of A are read where they lie, if B's rows are less than `near` bytes apart. What is packed is
    multiplied in slices of `slice` terms. A column of A that spans much is packed where at least `again` panels read
    it."""

    rows: int
    terms: int
    few: int
    near: int
    slice: int
    again: int


@record
class Shape:
    """Sizes of the tiles of a dtype on a machine: lanes of a register, rows, and widths. Few, because each is code to
    compile. `depth`: the longest chain of multiply-adds in packed panels; where registers are shorter than 512 bits, a
    panel of so many rows has room in the nearest cache."""

    lanes: int
    rows: int
    widths: tuple[int, ...]
    depth: int
    packs: Packs

    @staticmethod
    def of(name: str, options: LlvmOptions) -> Shape:
        """The sizes that keep the registers of the machine busy."""
        lanes = options.vector_bits // (8 * TYPES[name][1])
        narrow = (lanes // 4,) if lanes > 4 else ()
        widths = 3 * lanes, 2 * lanes, lanes, *narrow
        if options.vector_bits == 512:
            packs = Packs(rows=128, terms=128, few=64, near=1 << 40, slice=2048, again=12)
            return Shape(lanes, 8, widths, 512, packs)
        packs = Packs(rows=20, terms=64, few=16, near=1 << 12, slice=256, again=2)
        return Shape(lanes, 4, widths, 256, packs)

    @property
    def waits(self) -> bool:
        """Whether a tile of one vector waits for its sums: it has fewer of them than multiply-adds may be under way."""
        return self.rows < UNDER_WAY

    def symbols(self, name: str) -> tuple[str, ...]:
        """The functions of the tiles."""
        return tuple(f"tj_tile_{name}_{width}" for width in self.widths)


def tile_call(name: str, width: int, *operands: str, add: str = "false", far: str = "") -> str:
    """One tile: `operands` are k, A, ar, ac, B, br, C, cr; `add`: whether it is added to what C has; `far`: FAR for the
    one whose B is far away."""
    typed = ", ".join(f"{kind} {x}" for kind, x in zip(_KINDS, (*operands, add), strict=True))
    return f"  call void @tj_tile_{name}_{width}{far}({typed})"


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


def tile_text(name: str, full: int, rows: int, width: int, far: str = "") -> str:
    """`@tj_tile_NAME_WIDTH(k, A, ar, ac, B, br, C, cr, add)`: C[0:rows, 0:width] = A B, with `add` added to what is
    there. A register has `full` lanes. The lines of C come to the cache while k runs: they are written at the end, one
    after the other. With FAR for `far` lines of B are asked for AHEAD rows before they are needed."""
    type, size = TYPES[name]
    lanes = min(width, full)
    vector, vectors = f"<{lanes} x {type}>", range(width // lanes)
    fma = f"@llvm.fmuladd.v{lanes}{name}"
    entry = [f"  %o{r} = mul i64 %ar, {r}" for r in range(rows)]
    entry += [f"  %q{r} = mul i64 %cr, {r}" for r in range(rows)]
    for r in range(rows):
        entry.append(f"  %line{r} = getelementptr {type}, ptr %c, i64 %q{r}")
        for at in range(0, width * size, LINE):
            entry += [
                f"  %line{r}.{at} = getelementptr i8, ptr %line{r}, i64 {at}",
                f"  call void @llvm.prefetch.p0(ptr %line{r}.{at}, i32 1, i32 3, i32 1)",
            ]
    loop = [
        f"  %s{r}.{v} = phi {vector} [ zeroinitializer, %entry ], [ %t{r}.{v}, %loop ]"
        for r in range(rows)
        for v in vectors
    ]
    for v in vectors:
        loop += [
            f"  %bp{v} = getelementptr {type}, ptr %pb, i64 {v * lanes}",
            f"  %b{v} = load {vector}, ptr %bp{v}, align {size}",
        ]
    if far:
        entry.append(f"  %ahead = mul i64 %br, {AHEAD}")
        loop.append(f"  %pb.ahead = getelementptr {type}, ptr %pb, i64 %ahead")
        for at in range(0, width * size, LINE):
            loop += [
                f"  %ahead{at} = getelementptr i8, ptr %pb.ahead, i64 {at}",
                f"  call void @llvm.prefetch.p0(ptr %ahead{at}, i32 0, i32 3, i32 1)",
            ]
    places: list[str] = []
    stores: list[str] = []
    sums: list[str] = []
    for r in range(rows):
        loop += [
            f"  %ap{r} = getelementptr {type}, ptr %pa, i64 %o{r}",
            f"  %a{r} = load {type}, ptr %ap{r}, align {size}",
            splat_text(type, lanes, f"%a{r}", f"%i{r}", f"%x{r}"),
        ]
        for v in vectors:
            loop.append(f"  %t{r}.{v} = call {vector} {fma}({vector} %x{r}, {vector} %b{v}, {vector} %s{r}.{v})")
            place = f"ptr %cq{r}.{v}, align {size}"
            places.append(f"  %cq{r}.{v} = getelementptr {type}, ptr %line{r}, i64 {v * lanes}")
            stores.append(f"  store {vector} %t{r}.{v}, {place}")
            sums += [
                f"  %old{r}.{v} = load {vector}, {place}",
                f"  %both{r}.{v} = fadd {vector} %old{r}.{v}, %t{r}.{v}",
                f"  store {vector} %both{r}.{v}, {place}",
            ]
    lines = "\n".join
    params = "i64 %k, ptr %a, i64 %ar, i64 %ac, ptr %b, i64 %br, ptr %c, i64 %cr, i1 %add"
    return f"""
declare {vector} {fma}({vector}, {vector}, {vector})
declare void @llvm.prefetch.p0(ptr, i32, i32, i32)
define void @tj_tile_{name}_{width}{far}({params}) noinline nounwind {{
entry:
{lines(entry)}
  br label %loop
loop:
  %p = phi i64 [ 0, %entry ], [ %p1, %loop ]
  %pa = phi ptr [ %a, %entry ], [ %pa1, %loop ]
  %pb = phi ptr [ %b, %entry ], [ %pb1, %loop ]
{lines(loop)}
  %pa1 = getelementptr {type}, ptr %pa, i64 %ac
  %pb1 = getelementptr {type}, ptr %pb, i64 %br
  %p1 = add i64 %p, 1
  %more = icmp slt i64 %p1, %k
  br i1 %more, label %loop, label %done
done:
{lines(places)}
  br i1 %add, label %sum, label %put
put:
{lines(stores)}
  ret void
sum:
{lines(sums)}
  ret void
}}"""


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
        return "\n".join([tiles, self._part(), self._whole()])

    def _call(self, width: int, at: str, label: str) -> str:
        """One tile at column `at`."""
        places = f"%b.{label}", "%br", f"%c.{label}", "%cr.here"
        call = tile_call(self.name, width, "%k.here", "%a.row", "%ar", "%ac", *places)
        return f"""  %b.{label} = getelementptr {self.type}, ptr %b.here, i64 {at}
  %c.{label} = getelementptr {self.type}, ptr %c.row, i64 {at}
{call}"""

    def _part(self) -> str:
        """Row tiles `begin` to `end` of all blocks of columns, one block after the other, or of both halves: whole
        vectors from the left, then what is left of the last block, from the right. Where a tile of one vector `waits`
        and four vectors have the last columns, they are two and two. A second half is a block behind the last one."""
        three, two, one, *narrow = self.widths
        rest = ""
        for width in narrow:
            rest = f"""
  %few = icmp sle i64 %over, {width}
  br i1 %few, label %rest.narrow, label %rest.one
rest.narrow:
  %at.narrow = sub i64 %n, {width}
{self._call(width, "%at.narrow", "narrow")}
  br label %next
rest.one:"""
        return f"""
define internal void @tj_direct_part_{self.name}(ptr %record, i64 %begin, i64 %end) nounwind {{
start:
{_FIELDS.loads()}
  %last = sub i64 %m, {self.rows}
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
  %t = phi i64 [ %begin, %start ], [ %t1, %next ]
  %down = phi i64 [ %begin.down, %start ], [ %next.down, %next ]
  %left = phi i64 [ %begin.left, %start ], [ %next.left, %next ]
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
  %right = call i64 @llvm.smin.i64(i64 %edge, i64 %n)
  %whole = mul i64 %down, {self.rows}
  %i = call i64 @llvm.smin.i64(i64 %whole, i64 %last)
  %skip.a = mul i64 %i, %ar
  %a.row = getelementptr {self.type}, ptr %a.here, i64 %skip.a
  %skip.c = mul i64 %i, %cr.here
  %c.row = getelementptr {self.type}, ptr %c.here, i64 %skip.c
  br label %triples
triples:
  %j = phi i64 [ %from, %tiles ], [ %j.three, %triple ]
  %j.three = add i64 %j, {three}
  %is.three = icmp sle i64 %j.three, %right
  %before.end = sub i64 %right, %j
  %beyond = sub i64 %before.end, {three + 1 if self.shape.waits else 2 * two}
  %is.four = icmp ult i64 %beyond, {one}
  %not.four = xor i1 %is.four, true
  %is.triple = and i1 %is.three, %not.four
  br i1 %is.triple, label %triple, label %doubles
triple:
{self._call(three, "%j", "three")}
  br label %triples
doubles:
  %d = phi i64 [ %j, %triples ], [ %d.two, %double ]
  %d.two = add i64 %d, {two}
  %is.two = icmp sle i64 %d.two, %right
  br i1 %is.two, label %double, label %back
double:
{self._call(two, "%d", "two")}
  br label %doubles
back:
  %d.over = sub i64 %right, %d
  %over.one = icmp sgt i64 %d.over, {one}
  %has.two = icmp sge i64 %n, {two}
  %is.back = and i1 %over.one, %has.two
  br i1 %is.back, label %back.two, label %singles
back.two:
  %at.two = sub i64 %n, {two}
{self._call(two, "%at.two", "back")}
  br label %next
singles:
  %s = phi i64 [ %d, %back ], [ %s.one, %single ]
  %s.one = add i64 %s, {one}
  %is.one = icmp sle i64 %s.one, %right
  br i1 %is.one, label %single, label %rest
single:
{self._call(one, "%s", "one")}
  br label %singles
rest:
  %over = sub i64 %right, %s
  %nothing = icmp eq i64 %over, 0
  br i1 %nothing, label %next, label %some
some:{rest}
  %at.rest = sub i64 %n, {one}
{self._call(one, "%at.rest", "rest")}
  br label %next
next:
  %t1 = add i64 %t, 1
  %down1 = add i64 %down, 1
  %ends = icmp eq i64 %down1, %rows
  %next.down = select i1 %ends, i64 0, i64 %down1
  %next.left = select i1 %ends, i64 %edge, i64 %left
  br label %row
done:
  ret void
}}"""

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
