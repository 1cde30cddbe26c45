"""The product of one row with a matrix that is laid out in panels (`laid`), as LLVM text.

Every element of the matrix is used once: what counts is that each panel is read from one end to the other, two of them
side by side, so that a sum waits for none of the others. One product has them from the first to the last and the next
one from the last to the first: what was read last is in the nearest cache still. An element is one chain of
multiply-adds over k.
"""

from __future__ import annotations

from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.products.line import READ_WORK, SHARED
from tracejit.codegen.products.pieces import PARAMS, TYPES, Fields, splat_text
from tracejit.codegen.products.tiles import Shape

#: Beside the arguments: the panels, and whether they come from the last to the first.
_FIELDS = Fields.of(f"{PARAMS}, ptr %laid, i1 %back")


def laid_line_text(name: str, options: LlvmOptions) -> str:
    """`@tj_laid_line_T(m, n, k, A, ar, ac, B, br, bc, C, cr, laid)`: C = A B for m = 1. Beside it are to be
    `@tj_laid_panel_T`, `@tj_share_tiles` and `@llvm.smin.i64`."""
    shape = Shape.of(name, options)
    lanes, width = shape.lanes, shape.widths[0]
    used = [(first, second) for first in (3, 2) for second in (3, 2, 0)]  # vectors of a panel and of the one behind it
    sums = "\n".join(_sums(name, lanes, width, *pair) for pair in used)
    return "\n".join((sums, _part(name, lanes, width, used), _whole(name, width)))


def _sums(name: str, lanes: int, width: int, first: int, second: int) -> str:
    """So many vectors of the result from a panel and from the one behind it, if any."""
    type, size = TYPES[name]
    vector, count = f"<{lanes} x {type}>", first + second
    fma = f"@llvm.fmuladd.v{lanes}{name}"
    phis, loop, stores = [list[str]() for _ in range(3)]
    for v in range(count):
        source, at = ("%p", v * lanes) if v < first else ("%q", (v - first) * lanes)
        target, to = ("%c", at) if v < first else ("%d", at)
        phis.append(f"  %s{v} = phi {vector} [ zeroinitializer, %entry ], [ %t{v}, %loop ]")
        loop += [
            f"  %b{v}.place = getelementptr {type}, ptr {source}, i64 {at}",
            f"  %b{v} = load {vector}, ptr %b{v}.place, align {size}",
            f"  %t{v} = call {vector} {fma}({vector} %x, {vector} %b{v}, {vector} %s{v})",
        ]
        stores += [
            f"  %c{v} = getelementptr {type}, ptr {target}, i64 {to}",
            f"  store {vector} %t{v}, ptr %c{v}, align {size}",
        ]
    lines = "\n".join
    return f"""
define internal void @tj_laid_sums_{name}_{first}_{second}(
    i64 %k, ptr %a, i64 %ac, ptr %panel, ptr %c, ptr %d) noinline nounwind {{
entry:
  %size = mul i64 %k, {width}
  %behind = getelementptr {type}, ptr %panel, i64 %size
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %i1, %loop ]
  %pa = phi ptr [ %a, %entry ], [ %pa1, %loop ]
  %p = phi ptr [ %panel, %entry ], [ %p1, %loop ]
  %q = phi ptr [ %behind, %entry ], [ %q1, %loop ]
{lines(phis)}
  %a.x = load {type}, ptr %pa, align {size}
{splat_text(type, lanes, "%a.x", "%x.one", "%x")}
{lines(loop)}
  %pa1 = getelementptr {type}, ptr %pa, i64 %ac
  %p1 = getelementptr {type}, ptr %p, i64 {first * lanes}
  %q1 = getelementptr {type}, ptr %q, i64 {second * lanes}
  %i1 = add i64 %i, 1
  %more = icmp slt i64 %i1, %k
  br i1 %more, label %loop, label %done
done:
{lines(stores)}
  ret void
}}
declare {vector} {fma}({vector}, {vector}, {vector})"""


def _part(name: str, lanes: int, width: int, used: list[tuple[int, int]]) -> str:
    """Panels `begin` to `end`, by pairs, from either end."""
    type = TYPES[name][0]
    found = f"call {{ i64, i64 }} @tj_laid_panel_{name}"
    cases = "\n".join(
        f"    i64 {first * lanes * (width + 1) + second * lanes}, label %sum.{first}.{second}" for first, second in used
    )
    sums = "\n".join(
        f"""sum.{first}.{second}:
  call void @tj_laid_sums_{name}_{first}_{second}(i64 %k, ptr %a, i64 %ac, ptr %panel, ptr %c.here, ptr %c.there)
  br label %next"""
        for first, second in used
    )
    return f"""
define internal void @tj_laid_line_part_{name}(ptr %record, i64 %begin, i64 %end) nounwind {{
start:
{_FIELDS.loads()}
  %panel.size = mul i64 %k, {width}
  %panels = sub i64 %end, %begin
  %panels.up = add i64 %panels, 1
  %pairs = sdiv i64 %panels.up, 2
  %last = sub i64 %pairs, 1
  br label %check
check:
  %pair = phi i64 [ 0, %start ], [ %pair1, %next ]
  %more = icmp slt i64 %pair, %pairs
  br i1 %more, label %find, label %done
find:
  %from.last = sub i64 %last, %pair
  %which = select i1 %back, i64 %from.last, i64 %pair
  %before = mul i64 %which, 2
  %t = add i64 %begin, %before
  %t1 = add i64 %t, 1
  %skip = mul i64 %t, %panel.size
  %panel = getelementptr {type}, ptr %laid, i64 %skip
  %here = {found}(i64 %t, i64 %n)
  %here.first = extractvalue {{ i64, i64 }} %here, 0
  %here.width = extractvalue {{ i64, i64 }} %here, 1
  %there = {found}(i64 %t1, i64 %n)
  %there.first = extractvalue {{ i64, i64 }} %there, 0
  %wide = extractvalue {{ i64, i64 }} %there, 1
  %both = icmp slt i64 %t1, %end
  %there.width = select i1 %both, i64 %wide, i64 0
  %c.here = getelementptr {type}, ptr %c, i64 %here.first
  %c.there = getelementptr {type}, ptr %c, i64 %there.first
  %high = mul i64 %here.width, {width + 1}
  %case = add i64 %high, %there.width
  switch i64 %case, label %next [
{cases}
  ]
{sums}
next:
  %pair1 = add i64 %pair, 1
  br label %check
done:
  ret void
}}"""


def _whole(name: str, width: int) -> str:
    """The product; behind the panels it is noted from which end the next one is to have them."""
    return f"""
define internal void @tj_laid_line_{name}({PARAMS}, ptr %laid) nounwind {{
start:
  %record = alloca {_FIELDS.type}
  %n.up = add i64 %n, {width - 1}
  %panels = sdiv i64 %n.up, {width}
  %panel.size = mul i64 %k, {width}
  %behind = mul i64 %panels, %panel.size
  %note = getelementptr {TYPES[name][0]}, ptr %laid, i64 %behind
  %noted = load i64, ptr %note
  %other = xor i64 %noted, 1
  store i64 %other, ptr %note
  %back = icmp ne i64 %noted, 0
{_FIELDS.saves()}
  %each = mul i64 %k, {width * READ_WORK}
  %count = mul i64 %n, %k
  %share = icmp sge i64 %count, {SHARED}
  br i1 %share, label %several, label %alone
several:
  call void @tj_share_tiles(
    ptr @tj_laid_line_part_{name}, ptr %record, i64 %panels, i64 %each, i64 %count, i1 true)
  ret void
alone:
  call void @tj_laid_line_part_{name}(ptr %record, i64 0, i64 %panels)
  ret void
}}"""
