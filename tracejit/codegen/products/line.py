"""Products of one row or one column with a matrix that the caches hold, as LLVM text.

Every element of the matrix is used once, so all that counts is to read it in the order in which it lies. Where its rows
are contiguous, some rows at a time are added to the result. Where its columns are, some elements of the result are
found at a time, each as a sum per lane over k that is folded at the end; the last of them reach back over those
before. As in `direct` no element depends on the others: a result does not depend on sizes or tiles.
"""

from __future__ import annotations

from collections.abc import Callable

from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.products.direct import CACHED_BYTES
from tracejit.codegen.products.pieces import TYPES, Fields, mask_text, splat_text, steps_text, strip_text

#: How many rows of the matrix, or elements of the result, go together.
TILE = 8
#: Elements of the result in the least part for a thread; a multiplication, which reads an element, takes as long as so
#: many of a tile; matrices of fewer elements are for one thread.
BAND, READ_WORK, SHARED = 64, 4, 1 << 15

_PARAMS = "i64 %n, i64 %k, ptr %a, i64 %as, ptr %b, i64 %br, i64 %bc, ptr %c"
_FIELDS = Fields.of(f"{_PARAMS}, i64 %by.rows")


def line_text(name: str, options: LlvmOptions) -> str:
    """`i1 @tj_line_T(n, k, A, as, B, br, bc, C, share)`: C = A B for a vector A with stride `as` and contiguous C. The
    result says whether it was computed."""
    return _Line(name, options).text()


class _Line:
    """The functions of one dtype."""

    def __init__(self, name: str, options: LlvmOptions) -> None:
        self.name = name
        self.type, self.size = TYPES[name]
        self.lanes = options.vector_bits // (8 * self.size)
        self.vector = f"<{self.lanes} x {self.type}>"
        self.fma, self.load, self.store = (
            f"@llvm.{function}.v{self.lanes}{name}{pointer}"
            for function, pointer in (("fmuladd", ""), ("masked.load", ".p0"), ("masked.store", ".p0"))
        )

    def text(self) -> str:
        """Everything of this dtype."""
        vector, mask = self.vector, f"<{self.lanes} x i1>"
        common = f"""
declare {vector} {self.fma}({vector}, {vector}, {vector})
declare {vector} {self.load}(ptr, i32, {mask}, {vector})
declare void {self.store}({vector}, ptr, i32, {mask})
"""
        return "\n".join(
            [
                common,
                self._some(TILE),
                self._some(1),
                self._rows(),
                self._dots(),
                self._columns(),
                self._part(),
                self._whole(),
            ]
        )

    def _whole_load(self, address: str) -> str:
        return f"load {self.vector}, ptr {address}, align {self.size}"

    def _part_load(self, address: str) -> str:
        mask = f"<{self.lanes} x i1> %mask"
        return f"call {self.vector} {self.load}(ptr {address}, i32 {self.size}, {mask}, {self.vector} zeroinitializer)"

    def _some(self, rows: int) -> str:
        """The result with so many contiguous rows of the matrix, added to what it was unless they are the first."""
        type, vector = self.type, self.vector
        lines = "\n".join
        entry: list[str] = []
        for r in range(rows):
            entry += [
                f"  %oa{r} = mul i64 %as, {r}",
                f"  %pa{r} = getelementptr {type}, ptr %a, i64 %oa{r}",
                f"  %a{r} = load {type}, ptr %pa{r}, align {self.size}",
                splat_text(type, self.lanes, f"%a{r}", f"%i{r}", f"%x{r}"),
                f"  %ob{r} = mul i64 %br, {r}",
                f"  %b{r} = getelementptr {type}, ptr %b, i64 %ob{r}",
            ]

        def step(s: str, load: Callable[[str], str]) -> str:
            """The sums of one vector of columns from `%j` on."""
            found = [
                f"  %pc{s} = getelementptr {type}, ptr %c, i64 %j",
                f"  %old{s} = {load(f'%pc{s}')}",
                f"  %s{s}.0 = select i1 %first, {vector} zeroinitializer, {vector} %old{s}",
            ]
            for r in range(rows):
                found += [
                    f"  %pb{s}.{r} = getelementptr {type}, ptr %b{r}, i64 %j",
                    f"  %y{s}.{r} = {load(f'%pb{s}.{r}')}",
                    f"  %s{s}.{r + 1} = call {vector} {self.fma}"
                    f"({vector} %x{r}, {vector} %y{s}.{r}, {vector} %s{s}.{r})",
                ]
            return lines(found)

        whole = f"""{step(".w", self._whole_load)}
  store {vector} %s.w.{rows}, ptr %pc.w, align {self.size}"""
        part = f"""{step(".r", self._part_load)}
  call void {self.store}({vector} %s.r.{rows}, ptr %pc.r, i32 {self.size}, <{self.lanes} x i1> %mask)"""
        return f"""
define internal void @tj_line_{rows}_{self.name}(
    i64 %n, ptr %a, i64 %as, ptr %b, i64 %br, ptr %c, i1 %first) noinline nounwind {{
entry:
{lines(entry)}
{strip_text(self.lanes, "%j", "%n", whole, part)}
  ret void
}}"""

    def _rows(self) -> str:
        """The matrix's rows are contiguous."""

        def call(rows: int, at: str) -> str:
            return f"""  %first{rows} = icmp eq i64 {at}, 0
  %skip.a{rows} = mul i64 {at}, %as
  %a{rows} = getelementptr {self.type}, ptr %a, i64 %skip.a{rows}
  %skip.b{rows} = mul i64 {at}, %br
  %b{rows} = getelementptr {self.type}, ptr %b, i64 %skip.b{rows}
  call void @tj_line_{rows}_{self.name}(
    i64 %n, ptr %a{rows}, i64 %as, ptr %b{rows}, i64 %br, ptr %c, i1 %first{rows})"""

        return f"""
define internal void @tj_line_rows_{self.name}(i64 %n, i64 %k, ptr %a, i64 %as, ptr %b, i64 %br, ptr %c) nounwind {{
{steps_text(TILE, call)}
}}"""

    def _dots(self) -> str:
        """TILE elements of the result: contiguous columns of the matrix, `bc` apart."""
        vector, tile = self.vector, range(TILE)
        fold = f"@llvm.vector.reduce.fadd.v{self.lanes}{self.name}"
        lines = "\n".join

        def step(before: str, after: str, load: Callable[[str], str]) -> str:
            """One multiply-add of every element."""
            found = [f"  %x{after} = {load(f'%pa{after}')}"]
            found += [
                f"  %q{j}{after} = getelementptr {self.type}, ptr %b{j}, i64 %p{before}\n"
                f"  %y{j}{after} = {load(f'%q{j}{after}')}\n"
                f"  %t{j}{after} = call {vector} {self.fma}"
                f"({vector} %x{after}, {vector} %y{j}{after}, {vector} %s{j}{before})"
                for j in tile
            ]
            return f"  %pa{after} = getelementptr {self.type}, ptr %a, i64 %p{before}\n" + lines(found)

        return f"""
declare {self.type} {fold}({self.type}, {vector})
define internal void @tj_line_dots_{self.name}(i64 %k, ptr %a, ptr %b, i64 %bc, ptr %c) noinline nounwind {{
entry:
{lines(f"  %o{j} = mul i64 %bc, {j}" for j in tile)}
{lines(f"  %b{j} = getelementptr {self.type}, ptr %b, i64 %o{j}" for j in tile)}
  br label %head
head:
  %p = phi i64 [ 0, %entry ], [ %p1, %loop ]
{lines(f"  %s{j} = phi {vector} [ zeroinitializer, %entry ], [ %t{j}.w, %loop ]" for j in tile)}
  %p1 = add i64 %p, {self.lanes}
  %more = icmp sle i64 %p1, %k
  br i1 %more, label %loop, label %ended
loop:
{step("", ".w", self._whole_load)}
  br label %head
ended:
  %left = sub i64 %k, %p
  %none = icmp eq i64 %left, 0
  br i1 %none, label %done, label %rest
rest:
{mask_text(self.lanes, "%left")}
{step("", ".r", self._part_load)}
  br label %done
done:
{lines(f"  %u{j} = phi {vector} [ %s{j}, %ended ], [ %t{j}.r, %rest ]" for j in tile)}
{lines(f"  %f{j} = call reassoc {self.type} {fold}({self.type} -0.0, {vector} %u{j})" for j in tile)}
{lines(f"  %c{j} = getelementptr {self.type}, ptr %c, i64 {j}" for j in tile)}
{lines(f"  store {self.type} %f{j}, ptr %c{j}, align {self.size}" for j in tile)}
  ret void
}}"""

    def _columns(self) -> str:
        """The matrix's columns are contiguous, and so is the vector."""
        return f"""
declare i64 @llvm.smin.i64(i64, i64)
define internal void @tj_line_columns_{self.name}(i64 %n, i64 %k, ptr %a, ptr %b, i64 %bc, ptr %c) nounwind {{
start:
  %last = sub i64 %n, {TILE}
  br label %check
check:
  %t = phi i64 [ 0, %start ], [ %t1, %tile ]
  %more = icmp slt i64 %t, %n
  br i1 %more, label %tile, label %done
tile:
  %j = call i64 @llvm.smin.i64(i64 %t, i64 %last)
  %skip = mul i64 %j, %bc
  %b.tile = getelementptr {self.type}, ptr %b, i64 %skip
  %c.tile = getelementptr {self.type}, ptr %c, i64 %j
  call void @tj_line_dots_{self.name}(i64 %k, ptr %a, ptr %b.tile, i64 %bc, ptr %c.tile)
  %t1 = add i64 %t, {TILE}
  br label %check
done:
  ret void
}}"""

    def _part(self) -> str:
        """Bands `begin` to `end` of the result."""
        return f"""
define internal void @tj_line_part_{self.name}(ptr %record, i64 %begin, i64 %end) nounwind {{
{_FIELDS.loads()}
  %from = mul i64 %begin, {BAND}
  %until = mul i64 %end, {BAND}
  %to = call i64 @llvm.smin.i64(i64 %until, i64 %n)
  %width = sub i64 %to, %from
  %skip = mul i64 %from, %bc
  %b.part = getelementptr {self.type}, ptr %b, i64 %skip
  %c.part = getelementptr {self.type}, ptr %c, i64 %from
  %rows = icmp eq i64 %by.rows, 1
  br i1 %rows, label %row, label %column
row:
  call void @tj_line_rows_{self.name}(i64 %width, i64 %k, ptr %a, i64 %as, ptr %b.part, i64 %br, ptr %c.part)
  ret void
column:
  call void @tj_line_columns_{self.name}(i64 %width, i64 %k, ptr %a, ptr %b.part, i64 %bc, ptr %c.part)
  ret void
}}"""

    def _whole(self) -> str:
        """The product, where the matrix stays cached and is large enough for a tile."""
        return f"""
declare void @tj_share_tiles(ptr, ptr, i64, i64, i64, i1)
define i1 @tj_line_{self.name}({_PARAMS}, i1 %share) nounwind {{
  %record = alloca {_FIELDS.type}
  %count = mul i64 %n, %k
  %small = icmp sle i64 %count, {CACHED_BYTES // self.size}
  %deep = icmp sge i64 %k, 1
  %fits = and i1 %small, %deep
  br i1 %fits, label %layout, label %no
layout:
  %row.unit = icmp eq i64 %bc, 1
  %wide = icmp sge i64 %n, {self.lanes // 2}
  %rows = and i1 %row.unit, %wide
  br i1 %rows, label %some, label %other
other:
  %column.unit = icmp eq i64 %br, 1
  %vector.unit = icmp eq i64 %as, 1
  %tall = icmp sge i64 %n, {TILE}
  %units = and i1 %column.unit, %vector.unit
  %columns = and i1 %units, %tall
  br i1 %columns, label %some, label %no
some:
  %large = icmp sge i64 %count, {SHARED}
  %several = and i1 %share, %large
  br i1 %several, label %bands, label %alone
bands:
  %by.rows = zext i1 %rows to i64
{_FIELDS.saves()}
  %up = add i64 %n, {BAND - 1}
  %parts = sdiv i64 %up, {BAND}
  %each = mul i64 %k, {BAND * READ_WORK}
  call void @tj_share_tiles(
    ptr @tj_line_part_{self.name}, ptr %record, i64 %parts, i64 %each, i64 %count, i1 true)
  ret i1 true
alone:
  br i1 %rows, label %row, label %column
row:
  call void @tj_line_rows_{self.name}(i64 %n, i64 %k, ptr %a, i64 %as, ptr %b, i64 %br, ptr %c)
  ret i1 true
column:
  call void @tj_line_columns_{self.name}(i64 %n, i64 %k, ptr %a, ptr %b, i64 %bc, ptr %c)
  ret i1 true
no:
  ret i1 false
}}"""
