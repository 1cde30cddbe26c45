"""Products of a few numbers, as LLVM text: for the matrices of rotations, filters and small systems in a user's loop.

With up to as many columns as a register has lanes, a row of C is one register. An element is one chain of multiply-adds
over k, as in `direct`.
"""

from __future__ import annotations

from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.products.pieces import PARAMS, TYPES, mask_text, splat_text

#: Multiplications by rows of B, or of numbers, up to which other ways cost more before they begin.
STEPS = 256
#: With at most so many rows of B, which are contiguous, A may have any number: packing costs more than it gains.
SHALLOW = 8
#: Rows of A that go together, a power of two.
ROWS = 4
#: From so many elements on, products with one row or column are for `line`.
LINE = 8


def tiny_text(name: str, options: LlvmOptions) -> str:
    """`void @tj_tiny_T(m, n, k, A, ar, ac, B, br, bc, C, cr)`: C = A B where `@tj_tiny_fits_T` says so."""
    type, size = TYPES[name]
    lanes = options.vector_bits // (8 * size)
    vector, mask = f"<{lanes} x {type}>", f"<{lanes} x i1>"
    load, store = (f"@llvm.masked.{x}.v{lanes}{name}.p0" for x in ("load", "store"))
    fma = f"{vector} @llvm.fmuladd.v{lanes}{name}"

    def rows(count: int, before: str, a: str, c: str, first: str, end: str, after: str) -> str:
        """Rows `first` to `end`, so many at a time; they begin at `a` and `c`."""
        w = f"r{count}"
        at, ends, steps, stored = list[str](), list[str](), list[str](), list[str]()
        for r in range(count):
            at.append(f"  %{w}.oa{r} = mul i64 %ar, {r}\n  %{w}.oc{r} = mul i64 %cr, {r}")
            ends.append(f"  %{w}.s{r} = phi {vector} [ zeroinitializer, %{w}.row ], [ %{w}.t{r}, %{w}.step ]")
            steps += [
                f"  %{w}.px{r} = getelementptr {type}, ptr %{w}.x, i64 %{w}.oa{r}",
                f"  %{w}.e{r} = load {type}, ptr %{w}.px{r}, align {size}",
                splat_text(type, lanes, f"%{w}.e{r}", f"%{w}.o{r}", f"%{w}.f{r}"),
                f"  %{w}.t{r} = call {fma}({vector} %{w}.f{r}, {vector} %{w}.y, {vector} %{w}.s{r})",
            ]
            stored += [
                f"  %{w}.pc{r} = getelementptr {type}, ptr %{w}.c, i64 %{w}.oc{r}",
                f"  call void {store}({vector} %{w}.t{r}, ptr %{w}.pc{r}, i32 {size}, {mask} %mask)",
            ]
        newline = "\n"
        return f"""{w}.check:
  %{w}.i = phi i64 [ {first}, %{before} ], [ %{w}.i1, %{w}.end ]
  %{w}.a = phi ptr [ {a}, %{before} ], [ %{w}.a1, %{w}.end ]
  %{w}.c = phi ptr [ {c}, %{before} ], [ %{w}.c1, %{w}.end ]
  %{w}.more = icmp slt i64 %{w}.i, {end}
  br i1 %{w}.more, label %{w}.row, label %{after}
{w}.row:
{newline.join(at)}
  br label %{w}.step
{w}.step:
  %{w}.p = phi i64 [ 0, %{w}.row ], [ %{w}.p1, %{w}.step ]
  %{w}.x = phi ptr [ %{w}.a, %{w}.row ], [ %{w}.x1, %{w}.step ]
  %{w}.b = phi ptr [ %b, %{w}.row ], [ %{w}.b1, %{w}.step ]
{newline.join(ends)}
  %{w}.y = call {vector} {load}(ptr %{w}.b, i32 {size}, {mask} %mask, {vector} zeroinitializer)
{newline.join(steps)}
  %{w}.x1 = getelementptr {type}, ptr %{w}.x, i64 %ac
  %{w}.b1 = getelementptr {type}, ptr %{w}.b, i64 %br
  %{w}.p1 = add i64 %{w}.p, 1
  %{w}.again = icmp slt i64 %{w}.p1, %k
  br i1 %{w}.again, label %{w}.step, label %{w}.end
{w}.end:
{newline.join(stored)}
  %{w}.a.step = mul i64 %ar, {count}
  %{w}.a1 = getelementptr {type}, ptr %{w}.a, i64 %{w}.a.step
  %{w}.c.step = mul i64 %cr, {count}
  %{w}.c1 = getelementptr {type}, ptr %{w}.c, i64 %{w}.c.step
  %{w}.i1 = add i64 %{w}.i, {count}
  br label %{w}.check"""

    return f"""
declare {vector} @llvm.fmuladd.v{lanes}{name}({vector}, {vector}, {vector})
declare {type} @llvm.fmuladd.{name}({type}, {type}, {type})
declare {vector} {load}(ptr, i32, {mask}, {vector})
declare void {store}({vector}, ptr, i32, {mask})
define void @tj_tiny_{name}({PARAMS}) nounwind {{
start:
  %column = icmp eq i64 %n, 1
  %unit = icmp eq i64 %bc, 1
  %dense = or i1 %unit, %column
  br i1 %dense, label %rows, label %s.row
rows:
{mask_text(lanes, "%n")}
  %quarters = and i64 %m, -{ROWS}
  %a.rest.at = mul i64 %quarters, %ar
  %a.rest = getelementptr {type}, ptr %a, i64 %a.rest.at
  %c.rest.at = mul i64 %quarters, %cr
  %c.rest = getelementptr {type}, ptr %c, i64 %c.rest.at
  br label %r{ROWS}.check
{rows(ROWS, "rows", "%a", "%c", "0", "%quarters", "r1.check")}
{rows(1, f"r{ROWS}.check", "%a.rest", "%c.rest", "%quarters", "%m", "yes")}
s.row:
  %si = phi i64 [ 0, %start ], [ %si1, %s.ended ]
  %sa = phi ptr [ %a, %start ], [ %sa1, %s.ended ]
  %sc = phi ptr [ %c, %start ], [ %sc1, %s.ended ]
  br label %s.column
s.column:
  %sj = phi i64 [ 0, %s.row ], [ %sj1, %s.end ]
  %sb = phi ptr [ %b, %s.row ], [ %sb1, %s.end ]
  br label %s.step
s.step:
  %sp = phi i64 [ 0, %s.column ], [ %sp1, %s.step ]
  %sx = phi ptr [ %sa, %s.column ], [ %sx1, %s.step ]
  %sy = phi ptr [ %sb, %s.column ], [ %sy1, %s.step ]
  %total = phi {type} [ 0.0, %s.column ], [ %total1, %s.step ]
  %u = load {type}, ptr %sx, align {size}
  %v = load {type}, ptr %sy, align {size}
  %total1 = call {type} @llvm.fmuladd.{name}({type} %u, {type} %v, {type} %total)
  %sx1 = getelementptr {type}, ptr %sx, i64 %ac
  %sy1 = getelementptr {type}, ptr %sy, i64 %br
  %sp1 = add i64 %sp, 1
  %s.more = icmp slt i64 %sp1, %k
  br i1 %s.more, label %s.step, label %s.end
s.end:
  %place = getelementptr {type}, ptr %sc, i64 %sj
  store {type} %total1, ptr %place, align {size}
  %sb1 = getelementptr {type}, ptr %sb, i64 %bc
  %sj1 = add i64 %sj, 1
  %s.next = icmp slt i64 %sj1, %n
  br i1 %s.next, label %s.column, label %s.ended
s.ended:
  %sa1 = getelementptr {type}, ptr %sa, i64 %ar
  %sc1 = getelementptr {type}, ptr %sc, i64 %cr
  %si1 = add i64 %si, 1
  %s.again = icmp slt i64 %si1, %m
  br i1 %s.again, label %s.row, label %yes
yes:
  ret void
}}"""


def tiny_fits_text(name: str, options: LlvmOptions) -> str:
    """`i1 @tj_tiny_fits_T(m, n, k, bc)`: whether a product is little work; m, n and k are at least 1."""
    lanes = options.vector_bits // (8 * TYPES[name][1])
    return f"""
define internal i1 @tj_tiny_fits_{name}(i64 %m, i64 %n, i64 %k, i64 %bc) nounwind {{
  %narrow = icmp sle i64 %n, {lanes}
  br i1 %narrow, label %perhaps, label %no
no:
  ret i1 false
perhaps:
  %steps = mul i64 %m, %k
  %few.steps = icmp sle i64 %steps, {STEPS}
  %shallow = icmp sle i64 %k, {SHALLOW}
  %lies = icmp eq i64 %bc, 1
  %fast = and i1 %shallow, %lies
  %little = or i1 %few.steps, %fast
  %row = icmp eq i64 %m, 1
  %column = icmp eq i64 %n, 1
  %long = icmp sge i64 %n, {LINE}
  %tall = icmp sge i64 %m, {LINE}
  %row.line = and i1 %row, %long
  %column.line = and i1 %column, %tall
  %line = or i1 %row.line, %column.line
  %matrix = xor i1 %line, true
  %tiny = and i1 %little, %matrix
  %dense = or i1 %lies, %column
  %all = mul i64 %steps, %n
  %few = icmp sle i64 %all, {STEPS}
  %simple = or i1 %dense, %few
  %fits = and i1 %tiny, %simple
  ret i1 %fits
}}"""
