"""Register tiles of matrix products, as LLVM text: their sizes on a machine, and their code.

A tile is `rows` x `width` elements of C, each one chain of multiply-adds over k. Few sizes do for all products; tall
tiles (`tall`) are several of the narrowest ones, below each other.
"""

from __future__ import annotations

from collections.abc import Sequence

from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.products.pieces import TYPES, splat_text
from tracejit.records import record

#: Bytes of a line of the cache.
LINE = 64
#: Multiply-adds that a core may have begun and not ended.
UNDER_WAY = 8
#: The name of tiles whose B is in no near cache, and how many rows of it they are ahead.
FAR, AHEAD = "_far", 24

#: What a tile is called with.
TILE_PARAMS = "i64 %k, ptr %a, i64 %ar, i64 %ac, ptr %b, i64 %br, ptr %c, i64 %cr, i1 %add"
_KINDS = tuple(param.split()[0] for param in TILE_PARAMS.split(", "))


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

    @property
    def tall(self) -> int:
        """The columns of tall tiles, the fewest of all; 0 where there are none."""
        return 0 if self.waits else self.widths[-1]

    def symbols(self, name: str) -> tuple[str, ...]:
        """The functions of the tiles."""
        return tuple(tile_name(name, width)[1:] for width in self.widths)

    def declared(self, name: str) -> str:
        """The functions of the tiles, declared."""
        return "\n".join(f"declare void @{x}({', '.join(_KINDS)})" for x in self.symbols(name))


def tile_name(name: str, width: int, far: str = "") -> str:
    """The function of tiles of a width; `far`: FAR for those whose B is far away."""
    return f"@tj_tile_{name}_{width}{far}"


def tile_call(tile: str, *operands: str, add: str = "false") -> str:
    """One tile by a function, or a pointer to one, which is less code than a call of each: `operands` are k, A, ar, ac,
    B, br, C, cr; where a tall tile has rows that lie together the third is from a tile's to the next. `add`: whether it
    is added to what C has."""
    typed = ", ".join(f"{kind} {x}" for kind, x in zip(_KINDS, (*operands, add), strict=True))
    return f"  call void {tile}({typed})"


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
    return f"""
declare {vector} {fma}({vector}, {vector}, {vector})
declare void @llvm.prefetch.p0(ptr, i32, i32, i32)
define void {tile_name(name, width, far)}({TILE_PARAMS}) noinline nounwind {{
entry:
{lines(entry)}
{tile_loop(type, loop)}
{lines(places)}
  br i1 %add, label %sum, label %put
put:
{lines(stores)}
  ret void
sum:
{lines(sums)}
  ret void
}}"""


def tile_loop(type: str, loop: Sequence[str]) -> str:
    """From block `entry` on, `loop` for each of k terms, of which A has the column at `%pa` and B the row at `%pb`;
    block `done` begins."""
    lines = "\n".join(loop)
    return f"""  br label %loop
loop:
  %p = phi i64 [ 0, %entry ], [ %p1, %loop ]
  %pa = phi ptr [ %a, %entry ], [ %pa1, %loop ]
  %pb = phi ptr [ %b, %entry ], [ %pb1, %loop ]
{lines}
  %pa1 = getelementptr {type}, ptr %pa, i64 %ac
  %pb1 = getelementptr {type}, ptr %pb, i64 %br
  %p1 = add i64 %p, 1
  %more = icmp slt i64 %p1, %k
  br i1 %more, label %loop, label %done
done:"""
