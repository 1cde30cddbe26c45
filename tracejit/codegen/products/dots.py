"""Products of many vectors with a few that all lie in one piece along k, as LLVM text: few rows of A with the columns
of a B that are contiguous, as a transposed one's are, and few columns of B with the rows of A.

Some of the many at a time go once through the caches beside some of the few. An element is a sum per lane over k that
is folded at the end: it depends on nothing but its two vectors.
"""

from __future__ import annotations

from collections.abc import Callable

from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.products.few import GROUPS, groups_text
from tracejit.codegen.products.pieces import COMMON, TYPES, Fields, strip_text

#: Vectors of the many in the least part for a thread: a multiple of those that go together.
PART = 16
#: `many` vectors at `a`, `as` apart, `few` at `b`, `bs` apart, whose elements are `be` apart; where elements of C are.
DOTS = "i64 %many, i64 %few, i64 %k, ptr %a, i64 %as, ptr %b, i64 %bs, i64 %be, ptr %c, i64 %cm, i64 %cf"

_FIELDS = Fields.of(DOTS)


def dots_text(name: str, options: LlvmOptions) -> str:
    """`i1 @tj_dots_T(many, few, k, A, as, B, bs, be, C, cm, cf, share)`: C[i cm + j cf] = A[i] B[j] for `few` from 2 to
    `few.MOST_NEAR`. Vectors of B that do not lie in one piece are copied; the result says whether there was memory for
    that, and enough of the many."""
    return COMMON + _Dots(name, options).text()


def together(options: LlvmOptions) -> int:
    """How many of the many go together."""
    return 4 if options.vector_bits == 512 else 2


class _Dots:
    """The functions of one dtype."""

    def __init__(self, name: str, options: LlvmOptions) -> None:
        self.name = name
        self.type, self.size = TYPES[name]
        self.lanes = options.vector_bits // (8 * self.size)
        self.vector, self.mask = f"<{self.lanes} x {self.type}>", f"<{self.lanes} x i1>"
        self.tile = together(options)
        self.fma, self.fold = (f"@llvm.{f}.v{self.lanes}{name}" for f in ("fmuladd", "vector.reduce.fadd"))
        self.load = f"@llvm.masked.load.v{self.lanes}{name}.p0"

    def text(self) -> str:
        """Everything of this dtype."""
        declarations = f"""
declare ptr @tj_alloc(i64)
declare void @tj_free(ptr)
declare {self.vector} {self.fma}({self.vector}, {self.vector}, {self.vector})
declare {self.type} {self.fold}({self.type}, {self.vector})
declare {self.vector} {self.load}(ptr, i32, {self.mask}, {self.vector})
"""
        return "\n".join((declarations, *map(self._tile, GROUPS), self._part(), self._packed(), self._whole()))

    def _tile(self, few: int) -> str:
        """`tile` of the many times so many of the few."""
        type, vector, size = self.type, self.vector, self.size
        lines = "\n".join
        pairs = [(i, j) for i in range(self.tile) for j in range(few)]
        entry: list[str] = []
        for operand, count in (("a", self.tile), ("b", few)):
            for i in range(count):
                entry.append(f"  %o{operand}{i} = mul i64 %{operand}s, {i}")
                entry.append(f"  %{operand}{i} = getelementptr {type}, ptr %{operand}, i64 %o{operand}{i}")

        def step(s: str, load: Callable[[str], str]) -> str:
            """One multiply-add of every element."""
            found: list[str] = []
            for operand, count in (("b", few), ("a", self.tile)):
                for i in range(count):
                    found.append(f"  %p{operand}{i}{s} = getelementptr {type}, ptr %{operand}{i}, i64 %p")
                    found.append(f"  %{operand}{i}{s} = {load(f'%p{operand}{i}{s}')}")
            for i, j in pairs:
                factors = f"{vector} %a{i}{s}, {vector} %b{j}{s}"
                found.append(f"  %t{i}.{j}{s} = call {vector} {self.fma}({factors}, {vector} %s{i}.{j})")
            return lines(found)

        ends: list[str] = []
        for i, j in pairs:
            at = f"{i}.{j}"
            ends += [
                f"  %f{at} = call reassoc {type} {self.fold}({type} -0.0, {vector} %u{at})",
                f"  %m{at} = mul i64 %cm, {i}",
                f"  %n{at} = mul i64 %cf, {j}",
                f"  %o{at} = add i64 %m{at}, %n{at}",
                f"  %c{at} = getelementptr {type}, ptr %c, i64 %o{at}",
                f"  store {type} %f{at}, ptr %c{at}, align {size}",
            ]
        part = f"i32 {size}, {self.mask} %mask, {vector} zeroinitializer"
        whole = lambda place: f"load {vector}, ptr {place}, align {size}"  # noqa: E731
        rest = lambda place: f"call {vector} {self.load}(ptr {place}, {part})"  # noqa: E731
        sums = [f"%s{i}.{j} = phi {vector} [ zeroinitializer, %entry ], [ %t{i}.{j}.w, %loop ]" for i, j in pairs]
        return f"""
define internal void @tj_dots_{few}_{self.name}(
    i64 %k, ptr %a, i64 %as, ptr %b, i64 %bs, ptr %c, i64 %cm, i64 %cf) noinline nounwind {{
entry:
{lines(entry)}
{strip_text(self.lanes, "%p", "%k", step(".w", whole), step(".r", rest), sums)}
{lines(f"  %u{i}.{j} = phi {vector} [ %s{i}.{j}, %ended ], [ %t{i}.{j}.r, %rest ]" for i, j in pairs)}
{lines(ends)}
  ret void
}}"""

    def _part(self) -> str:
        """Parts `begin` to `end` of the many; the last tile reaches back."""

        def call(few: int) -> str:
            return (
                f"  call void @tj_dots_{few}_{self.name}(\n"
                f"    i64 %k, ptr %a.at, i64 %as, ptr %b.at, i64 %bs, ptr %c.at, i64 %cm, i64 %cf)"
            )

        return f"""
define internal void @tj_dots_part_{self.name}(ptr %record, i64 %begin, i64 %end) nounwind {{
start:
{_FIELDS.loads()}
  %from = mul i64 %begin, {PART}
  %until = mul i64 %end, {PART}
  %to = call i64 @llvm.smin.i64(i64 %until, i64 %many)
  %last = sub i64 %many, {self.tile}
  br label %check
check:
  %t = phi i64 [ %from, %start ], [ %t1, %next ]
  %more = icmp slt i64 %t, %to
  br i1 %more, label %tile, label %done
tile:
  %i = call i64 @llvm.smin.i64(i64 %t, i64 %last)
  %a.skip = mul i64 %i, %as
  %a.at = getelementptr {self.type}, ptr %a, i64 %a.skip
  %c.down = mul i64 %i, %cm
  br label %group
group:
  %j = phi i64 [ 0, %tile ], [ %j1, %group.next ]
  %b.skip = mul i64 %j, %bs
  %b.at = getelementptr {self.type}, ptr %b, i64 %b.skip
  %c.over = mul i64 %j, %cf
  %c.skip = add i64 %c.down, %c.over
  %c.at = getelementptr {self.type}, ptr %c, i64 %c.skip
  %left = sub i64 %few, %j
{groups_text("%left", call)}
  %j1 = add i64 %j, %together
  %group.more = icmp slt i64 %j1, %few
  br i1 %group.more, label %group, label %next
next:
  %t1 = add i64 %t, {self.tile}
  br label %check
done:
  ret void
}}"""

    def _packed(self) -> str:
        """The vectors of B, one after the other."""
        type, size = self.type, self.size
        return f"""
define internal void @tj_dots_pack_{self.name}(
    i64 %few, i64 %k, ptr %b, i64 %bs, i64 %be, ptr %to) noinline nounwind {{
start:
  br label %line
line:
  %p = phi i64 [ 0, %start ], [ %p1, %ended ]
  %from.skip = mul i64 %p, %be
  %from = getelementptr {type}, ptr %b, i64 %from.skip
  %to.line = getelementptr {type}, ptr %to, i64 %p
  br label %element
element:
  %j = phi i64 [ 0, %line ], [ %j1, %element ]
  %over = mul i64 %j, %bs
  %place = getelementptr {type}, ptr %from, i64 %over
  %x = load {type}, ptr %place, align {size}
  %put = mul i64 %j, %k
  %to.place = getelementptr {type}, ptr %to.line, i64 %put
  store {type} %x, ptr %to.place, align {size}
  %j1 = add i64 %j, 1
  %more = icmp slt i64 %j1, %few
  br i1 %more, label %element, label %ended
ended:
  %p1 = add i64 %p, 1
  %again = icmp slt i64 %p1, %k
  br i1 %again, label %line, label %done
done:
  ret void
}}"""

    def _whole(self) -> str:
        """The product, by one thread or by several."""
        return f"""
define i1 @tj_dots_{self.name}({DOTS}, i1 %share) nounwind {{
start:
  %record = alloca {_FIELDS.type}
{_FIELDS.saves()}
  %enough = icmp sge i64 %many, {self.tile}
  br i1 %enough, label %look, label %no
look:
  %of.few = mul i64 %few, %k
  %lie = icmp eq i64 %be, 1
  br i1 %lie, label %run, label %pack
pack:
  %bytes = mul i64 %of.few, {self.size}
  %packed = call ptr @tj_alloc(i64 %bytes)
  %none = icmp eq ptr %packed, null
  br i1 %none, label %no, label %copy
copy:
  call void @tj_dots_pack_{self.name}(i64 %few, i64 %k, ptr %b, i64 %bs, i64 %be, ptr %packed)
  store ptr %packed, ptr %b.place
  store i64 %k, ptr %bs.place
  br label %run
run:
  %taken = phi ptr [ null, %look ], [ %packed, %copy ]
  %up = add i64 %many, {PART - 1}
  %parts = sdiv i64 %up, {PART}
  %each = mul i64 %of.few, {PART}
  %of.many = mul i64 %many, %k
  %of.c = mul i64 %many, %few
  %of.both = add i64 %of.few, %of.many
  %elements = add i64 %of.both, %of.c
  call void @tj_share_tiles(
    ptr @tj_dots_part_{self.name}, ptr %record, i64 %parts, i64 %each, i64 %elements, i1 %share)
  br i1 %lie, label %yes, label %free
free:
  call void @tj_free(ptr %taken)
  br label %yes
yes:
  ret i1 true
no:
  ret i1 false
}}"""
