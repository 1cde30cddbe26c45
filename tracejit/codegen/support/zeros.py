"""Memory filled with zeros, as LLVM text: by the C library, much of it by several threads.

So a script that begins with `np.zeros` has one kernel less to compile.
"""

from __future__ import annotations

from tracejit.codegen.llvm.streams import LARGE

#: `@tj_zero(to, bytes)`.
ZERO = f"""
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
define void @tj_zero(ptr %to, i64 %bytes) nounwind {{
  %much = icmp sge i64 %bytes, {LARGE}
  br i1 %much, label %ask, label %alone
ask:
  call void @tj_share_zeros(ptr %to, i64 %bytes)
  ret void
alone:
  call void @llvm.memset.p0.i64(ptr %to, i8 0, i64 %bytes, i1 false)
  ret void
}}
"""

#: Bytes of a trip of the loop that threads share. Each thread gets one piece: long ones are written past the caches.
_TRIP = 1 << 20

#: `@tj_share_zeros(to, bytes)`, a part of the pool.
SHARED = f"""
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
define internal void @tj_zeros_part(ptr %to, i64 %begin, i64 %end) nounwind {{
  %from = mul i64 %begin, {_TRIP}
  %trips = sub i64 %end, %begin
  %bytes = mul i64 %trips, {_TRIP}
  %place = getelementptr i8, ptr %to, i64 %from
  call void @llvm.memset.p0.i64(ptr %place, i8 0, i64 %bytes, i1 false)
  ret void
}}

define void @tj_share_zeros(ptr %to, i64 %bytes) nounwind {{
  %count = sdiv i64 %bytes, {_TRIP}
  %done = mul i64 %count, {_TRIP}
  %rest = getelementptr i8, ptr %to, i64 %done
  %tail = sub i64 %bytes, %done
  call void @llvm.memset.p0.i64(ptr %rest, i8 0, i64 %tail, i1 false)
  %grain = call i64 @tj_even_grain(i64 %count, i64 %count)
  call void @tj_parallel_for(ptr @tj_zeros_part, ptr %to, i64 %count, i64 %grain)
  ret void
}}
"""
