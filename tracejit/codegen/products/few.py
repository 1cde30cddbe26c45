"""Products of a few rows with a matrix whose rows are contiguous, as LLVM text.

Tiles of registers would be mostly empty, and would read B in narrow strips down its rows. Here some rows of B at a time
are added to a band of all rows of C, which waits beside C in the nearest cache: B is read once, as it lies.

An element is a chain of multiply-adds over k, or the sum of such chains over `DEPTH` each, in order: it depends on
nothing but its row and its column.
"""

from __future__ import annotations

from collections.abc import Callable

from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.products.pieces import (
    COMMON,
    ELEMENTS,
    PARAMS,
    TYPES,
    Fields,
    put_text,
    splat_text,
    steps_text,
    strip_text,
)

#: The most rows, where B has more bytes than caches that threads share hold, and where it has not; how many of them go
#: together.
MOST, FAR_BYTES, MOST_NEAR, GROUPS = 16, 1 << 25, 7, (2, 3, 4)
#: Bytes of a row of a band; rows of B that all rows of A take from the nearest cache, while the next ones come to it;
#: columns of the least part for a thread.
BAND_BYTES, CHUNK, PART = 1 << 10, 8, 64
#: The longest chain of multiply-adds.
DEPTH = 512

_FIELDS = Fields.of(PARAMS)
_GROUP = "i64 %k, i64 %n, ptr %a, i64 %ar, i64 %ac, ptr %b, i64 %br, ptr %x"


def few_text(name: str, options: LlvmOptions) -> str:
    """`@tj_few_T(m, n, k, A, ar, ac, B, br, bc, C, cr, share)`: C = A B for m from 2 to MOST, n and k of at least 1 and
    `bc` of 1."""
    return COMMON + _Few(name, options).text()


def groups_text(left: str, call: Callable[[int], str]) -> str:
    """The call for as many of GROUPS as are next of `left` (2 or more), and `%together`, how many these are; the block
    `group.next` begins. None is left over."""
    calls = "\n".join(f"of.{rows}:\n{call(rows)}\n  br label %group.next" for rows in GROUPS)
    counts = ", ".join(f"[ {rows}, %of.{rows} ]" for rows in GROUPS)
    return f"""  switch i64 {left}, label %of.4 [ i64 2, label %of.2
    i64 3, label %of.3
    i64 5, label %of.3 ]
{calls}
group.next:
  %together = phi i64 {counts}"""


class _Few:
    """The functions of one dtype."""

    def __init__(self, name: str, options: LlvmOptions) -> None:
        self.name = name
        self.type, self.size = TYPES[name]
        self.lanes = options.vector_bits // (8 * self.size)
        self.vector, self.mask = f"<{self.lanes} x {self.type}>", f"<{self.lanes} x i1>"
        self.band = BAND_BYTES // self.size
        self.factors = 16 if options.vector_bits == 512 else 8  #: elements of A that registers hold
        self.fma = f"@llvm.fmuladd.v{self.lanes}{name}"
        self.load, self.store = (f"@llvm.masked.{x}.v{self.lanes}{name}.p0" for x in ("load", "store"))

    def text(self) -> str:
        """Everything of this dtype."""
        declarations = f"""
declare {self.vector} {self.fma}({self.vector}, {self.vector}, {self.vector})
declare {self.vector} {self.load}(ptr, i32, {self.mask}, {self.vector})
declare void {self.store}({self.vector}, ptr, i32, {self.mask})
declare void @llvm.prefetch.p0(ptr, i32, i32, i32)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
"""
        steps = [self._step(rows, lines) for rows in GROUPS for lines in (self._lines(rows), 1)]
        groups = [self._group(rows) for rows in GROUPS]
        return "\n".join(
            (
                declarations,
                *steps,
                *groups,
                put_text(f"@tj_few_put_{self.name}", self.name, self.lanes, self.band),
                self._part(),
                self._whole(),
            )
        )

    def _lines(self, rows: int) -> int:
        """How many rows of B are added to so many rows of C at a time: a power of two."""
        return 1 << ((self.factors // rows).bit_length() - 1)

    def _step(self, rows: int, lines: int) -> str:
        """x[0:rows, 0:n] += a[0:rows, 0:lines] b[0:lines, 0:n]; beyond n, x is anything."""
        type, size, vector = self.type, self.size, self.vector
        entry: list[str] = []
        for p in range(lines):
            entry += [f"  %ob{p} = mul i64 %br, {p}", f"  %b{p} = getelementptr {type}, ptr %b, i64 %ob{p}"]
            entry.append(f"  %oh{p} = mul i64 %br, {p + CHUNK}")
            entry.append(f"  %b.ahead{p} = getelementptr {type}, ptr %b, i64 %oh{p}")
        for r in range(rows):
            entry += [f"  %x{r} = getelementptr {type}, ptr %x, i64 {r * self.band}", f"  %or{r} = mul i64 %ar, {r}"]
            for p in range(lines):
                at = f"{r}.{p}"
                entry += [
                    f"  %oc{at} = mul i64 %ac, {p}",
                    f"  %oa{at} = add i64 %or{r}, %oc{at}",
                    f"  %pa{at} = getelementptr {type}, ptr %a, i64 %oa{at}",
                    f"  %a{at} = load {type}, ptr %pa{at}, align {size}",
                    splat_text(type, self.lanes, f"%a{at}", f"%i{at}", f"%f{at}"),
                ]

        def sums(s: str, load: Callable[[str], str]) -> str:
            """The sums of one vector of columns from `%j` on."""
            found: list[str] = []
            for p in range(lines):
                if s == ".w":
                    found += [
                        f"  %ahead{p} = getelementptr {type}, ptr %b.ahead{p}, i64 %j",
                        f"  call void @llvm.prefetch.p0(ptr %ahead{p}, i32 0, i32 3, i32 1)",
                    ]
                found += [
                    f"  %pb{s}.{p} = getelementptr {type}, ptr %b{p}, i64 %j",
                    f"  %y{s}.{p} = {load(f'%pb{s}.{p}')}",
                ]
            for r in range(rows):
                found += [
                    f"  %px{s}.{r} = getelementptr {type}, ptr %x{r}, i64 %j",
                    f"  %s{s}.{r}.0 = load {vector}, ptr %px{s}.{r}, align {size}",
                ]
                found += [
                    f"  %s{s}.{r}.{p + 1} = call {vector} {self.fma}"
                    f"({vector} %f{r}.{p}, {vector} %y{s}.{p}, {vector} %s{s}.{r}.{p})"
                    for p in range(lines)
                ]
                found.append(f"  store {vector} %s{s}.{r}.{lines}, ptr %px{s}.{r}, align {size}")
            return "\n".join(found)

        newline = "\n"
        whole = lambda place: f"load {vector}, ptr {place}, align {size}"  # noqa: E731
        return f"""
define internal void @tj_few_{rows}_{lines}_{self.name}(
    i64 %n, ptr %a, i64 %ar, i64 %ac, ptr %b, i64 %br, ptr %x) noinline nounwind {{
entry:
{newline.join(entry)}
{strip_text(self.lanes, "%j", "%n", sums(".w", whole), sums(".r", self._part_load))}
  ret void
}}"""

    def _part_load(self, place: str) -> str:
        mask = f"{self.mask} %mask"
        return f"call {self.vector} {self.load}(ptr {place}, i32 {self.size}, {mask}, {self.vector} zeroinitializer)"

    def _group(self, rows: int) -> str:
        """x[0:rows, 0:n] += a[0:rows, 0:k] b[0:k, 0:n]."""
        lines = self._lines(rows)

        def call(count: int, at: str) -> str:
            return f"""  %skip.a{count} = mul i64 {at}, %ac
  %a{count} = getelementptr {self.type}, ptr %a, i64 %skip.a{count}
  %skip.b{count} = mul i64 {at}, %br
  %b{count} = getelementptr {self.type}, ptr %b, i64 %skip.b{count}
  call void @tj_few_{rows}_{count}_{self.name}(
    i64 %n, ptr %a{count}, i64 %ar, i64 %ac, ptr %b{count}, i64 %br, ptr %x)"""

        return f"""
define internal void @tj_few_{rows}_{self.name}({_GROUP}) nounwind {{
{steps_text(lines, call)}
}}"""

    def _part(self) -> str:
        """Columns of parts `begin` to `end`, band by band: DEPTH rows of B after the other, CHUNK of them at a time."""
        type = self.type

        def call(rows: int) -> str:
            return (
                f"  call void @tj_few_{rows}_{self.name}(\n"
                f"    i64 %deep, i64 %w, ptr %a.at, i64 %ar, i64 %ac, ptr %b.at, i64 %br, ptr %x)"
            )

        return f"""
define internal void @tj_few_part_{self.name}(ptr %record, i64 %begin, i64 %end) nounwind {{
start:
  %beside = alloca [{MOST * self.band} x {type}], align 64
{_FIELDS.loads()}
  %from = mul i64 %begin, {PART}
  %until = mul i64 %end, {PART}
  %to = call i64 @llvm.smin.i64(i64 %until, i64 %n)
  %filled = mul i64 %m, {BAND_BYTES}
  br label %band
band:
  %j = phi i64 [ %from, %start ], [ %j1, %band.next ]
  %left.n = sub i64 %to, %j
  %w = call i64 @llvm.smin.i64(i64 %left.n, i64 {self.band})
  %some = icmp sgt i64 %w, 0
  br i1 %some, label %piece, label %done
piece:
  %d = phi i64 [ 0, %band ], [ %bottom, %piece.next ]
  %below = add i64 %d, {DEPTH}
  %bottom = call i64 @llvm.smin.i64(i64 %below, i64 %k)
  call void @llvm.memset.p0.i64(ptr %beside, i8 0, i64 %filled, i1 false)
  br label %chunk
chunk:
  %p = phi i64 [ %d, %piece ], [ %p1, %chunk.next ]
  %left.k = sub i64 %bottom, %p
  %deep = call i64 @llvm.smin.i64(i64 %left.k, i64 {CHUNK})
  %b.skip = mul i64 %p, %br
  %b.over = add i64 %b.skip, %j
  %b.at = getelementptr {type}, ptr %b, i64 %b.over
  %a.skip = mul i64 %p, %ac
  br label %group
group:
  %i = phi i64 [ 0, %chunk ], [ %i1, %group.next ]
  %left.m = sub i64 %m, %i
  %a.down = mul i64 %i, %ar
  %a.over = add i64 %a.skip, %a.down
  %a.at = getelementptr {type}, ptr %a, i64 %a.over
  %x.over = mul i64 %i, {self.band}
  %x = getelementptr {type}, ptr %beside, i64 %x.over
{groups_text("%left.m", call)}
  %i1 = add i64 %i, %together
  %group.more = icmp slt i64 %i1, %m
  br i1 %group.more, label %group, label %chunk.next
chunk.next:
  %p1 = add i64 %p, {CHUNK}
  %chunk.more = icmp slt i64 %p1, %bottom
  br i1 %chunk.more, label %chunk, label %piece.next
piece.next:
  %c.at = getelementptr {type}, ptr %c, i64 %j
  %later = icmp sgt i64 %d, 0
  call void @tj_few_put_{self.name}(ptr %beside, ptr %c.at, i64 %cr, i64 %m, i64 %w, i1 %later)
  %piece.more = icmp slt i64 %bottom, %k
  br i1 %piece.more, label %piece, label %band.next
band.next:
  %j1 = add i64 %j, {self.band}
  br label %band
done:
  ret void
}}"""

    def _whole(self) -> str:
        """The product, by one thread or by several."""
        return f"""
define void @tj_few_{self.name}({PARAMS}, i1 %share) nounwind {{
start:
  %record = alloca {_FIELDS.type}
{_FIELDS.saves()}
{ELEMENTS}
  %up = add i64 %n, {PART - 1}
  %parts = sdiv i64 %up, {PART}
  %each = mul i64 %of.a, {PART}
  call void @tj_share_tiles(
    ptr @tj_few_part_{self.name}, ptr %record, i64 %parts, i64 %each, i64 %elements, i1 %share)
  ret void
}}"""
