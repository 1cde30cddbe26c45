"""Products of a few numbers, as LLVM text: for the matrices of rotations, filters and small systems in a user's loop.

With up to as many columns as a register has lanes, a row of C is one register. An element is one chain of multiply-adds
over k, as in `direct`.
"""

from __future__ import annotations

from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.products.pieces import PARAMS, TYPES, mask_text, splat_text

#: Multiplications by rows of B, or of numbers, up to which other ways cost more before they begin.
STEPS = 256
#: From so many elements on, products with one row or column are for `line`.
LINE = 8


def tiny_text(name: str, options: LlvmOptions) -> str:
    """`i1 @tj_tiny_T(m, n, k, A, ar, ac, B, br, bc, C, cr)`: C = A B where that is little work; m, n and k are at least
    1. The result says whether it was computed."""
    type, size = TYPES[name]
    lanes = options.vector_bits // (8 * size)
    vector, mask = f"<{lanes} x {type}>", f"<{lanes} x i1>"
    load, store = (f"@llvm.masked.{x}.v{lanes}{name}.p0" for x in ("load", "store"))
    return f"""
declare {vector} @llvm.fmuladd.v{lanes}{name}({vector}, {vector}, {vector})
declare {type} @llvm.fmuladd.{name}({type}, {type}, {type})
declare {vector} {load}(ptr, i32, {mask}, {vector})
declare void {store}({vector}, ptr, i32, {mask})
define i1 @tj_tiny_{name}({PARAMS}) nounwind {{
start:
  %steps = mul i64 %m, %k
  %narrow = icmp sle i64 %n, {lanes}
  %little = icmp sle i64 %steps, {STEPS}
  %row = icmp eq i64 %m, 1
  %column = icmp eq i64 %n, 1
  %long = icmp sge i64 %n, {LINE}
  %tall = icmp sge i64 %m, {LINE}
  %row.line = and i1 %row, %long
  %column.line = and i1 %column, %tall
  %line = or i1 %row.line, %column.line
  %matrix = xor i1 %line, true
  %n0 = and i1 %narrow, %little
  %tiny = and i1 %n0, %matrix
  br i1 %tiny, label %layout, label %no
no:
  ret i1 false
layout:
  %unit = icmp eq i64 %bc, 1
  %dense = or i1 %unit, %column
  br i1 %dense, label %rows, label %other
rows:
{mask_text(lanes, "%n")}
  br label %v.row
v.row:
  %vi = phi i64 [ 0, %rows ], [ %vi1, %v.end ]
  %va = phi ptr [ %a, %rows ], [ %va1, %v.end ]
  %vc = phi ptr [ %c, %rows ], [ %vc1, %v.end ]
  br label %v.step
v.step:
  %vp = phi i64 [ 0, %v.row ], [ %vp1, %v.step ]
  %vx = phi ptr [ %va, %v.row ], [ %vx1, %v.step ]
  %vb = phi ptr [ %b, %v.row ], [ %vb1, %v.step ]
  %sum = phi {vector} [ zeroinitializer, %v.row ], [ %next, %v.step ]
  %x = load {type}, ptr %vx, align {size}
{splat_text(type, lanes, "%x", "%x.one", "%x.all")}
  %y = call {vector} {load}(ptr %vb, i32 {size}, {mask} %mask, {vector} zeroinitializer)
  %next = call {vector} @llvm.fmuladd.v{lanes}{name}({vector} %x.all, {vector} %y, {vector} %sum)
  %vx1 = getelementptr {type}, ptr %vx, i64 %ac
  %vb1 = getelementptr {type}, ptr %vb, i64 %br
  %vp1 = add i64 %vp, 1
  %v.more = icmp slt i64 %vp1, %k
  br i1 %v.more, label %v.step, label %v.end
v.end:
  call void {store}({vector} %next, ptr %vc, i32 {size}, {mask} %mask)
  %va1 = getelementptr {type}, ptr %va, i64 %ar
  %vc1 = getelementptr {type}, ptr %vc, i64 %cr
  %vi1 = add i64 %vi, 1
  %v.again = icmp slt i64 %vi1, %m
  br i1 %v.again, label %v.row, label %yes
other:
  %all = mul i64 %steps, %n
  %few = icmp sle i64 %all, {STEPS}
  br i1 %few, label %s.row, label %no
s.row:
  %si = phi i64 [ 0, %other ], [ %si1, %s.ended ]
  %sa = phi ptr [ %a, %other ], [ %sa1, %s.ended ]
  %sc = phi ptr [ %c, %other ], [ %sc1, %s.ended ]
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
  ret i1 true
}}"""
