"""Which cores the threads of the pool run on, as LLVM text for Linux.

A scheduler often puts a thread that is woken onto the core of whoever wakes it, also where another core is idle, and
there a worker begins when the caller has done all the work alone. So every worker notes the core on which it last
looked for work, behind its number, which whoever sees the core needs; and before a launch the caller takes its own core
from the cores of each worker that was there. A worker is kept from one core at most, and may use all others of the
caller's.

    behind the pool: 28 i32 workers with a place | 192 places of { i32 thread, i32 core + 1 }
"""

from __future__ import annotations

_COUNT, _PLACES, _MOST = 28, 192, 480

#: Numbers of the system calls gettid, sched_setaffinity and sched_getaffinity.
_CALLS = {"x86_64": (186, 203, 204), "aarch64": (178, 122, 123)}

#: Bytes of a set of cores.
_SET = 1024


def cores_text(machine: str) -> str:
    """`tj_enter`, with which a worker begins; `tj_note_core` and `tj_keep_apart`, for worker and caller."""
    own, move, allowed = _CALLS[machine]
    return f"""
declare i32 @sched_getcpu()

; The place of a worker that begins; null where there are too many.
define internal ptr @tj_enter(ptr %pool) nounwind {{
  %count_place = getelementptr i8, ptr %pool, i64 {_COUNT}
  %number = atomicrmw add ptr %count_place, i32 1 monotonic
  %fits = icmp ult i32 %number, {_MOST}
  br i1 %fits, label %enter, label %none
enter:
  %wide = zext i32 %number to i64
  %bytes = mul i64 %wide, 8
  %from = add i64 %bytes, {_PLACES}
  %place = getelementptr i8, ptr %pool, i64 %from
  %thread = call i64 (i64, ...) @syscall(i64 {own})
  %narrow = trunc i64 %thread to i32
  store atomic i32 %narrow, ptr %place monotonic, align 4
  ret ptr %place
none:
  ret ptr null
}}

define internal void @tj_note_core(ptr %place) nounwind {{
  %none = icmp eq ptr %place, null
  br i1 %none, label %done, label %look
look:
  %core_place = getelementptr i8, ptr %place, i64 4
  %before = load atomic i32, ptr %core_place monotonic, align 4
  %core = call i32 @sched_getcpu()
  %noted = add i32 %core, 1
  %same = icmp eq i32 %before, %noted
  br i1 %same, label %done, label %note
note:
  store atomic i32 %noted, ptr %core_place release, align 4
  br label %done
done:
  ret void
}}

; Take the caller's core from the cores of the workers that are there.
define internal void @tj_keep_apart(ptr %pool) nounwind {{
start:
  %core = call i32 @sched_getcpu()
  %noted = add i32 %core, 1
  %count_place = getelementptr i8, ptr %pool, i64 {_COUNT}
  %count = load atomic i32, ptr %count_place monotonic, align 4
  %many = icmp ugt i32 %count, {_MOST}
  %workers = select i1 %many, i32 {_MOST}, i32 %count
  %first = getelementptr i8, ptr %pool, i64 {_PLACES}
  br label %check
check:
  %i = phi i32 [ 0, %start ], [ %i1, %next ]
  %place = phi ptr [ %first, %start ], [ %place1, %next ]
  %more = icmp ult i32 %i, %workers
  br i1 %more, label %look, label %done
look:
  %core_place = getelementptr i8, ptr %place, i64 4
  %there = load atomic i32, ptr %core_place acquire, align 4
  %same = icmp eq i32 %there, %noted
  br i1 %same, label %move, label %next
move:
  store atomic i32 0, ptr %core_place monotonic, align 4
  %thread = load atomic i32, ptr %place monotonic, align 4
  call void @tj_move_away(i32 %thread, i32 %core)
  br label %next
next:
  %i1 = add i32 %i, 1
  %place1 = getelementptr i8, ptr %place, i64 8
  br label %check
done:
  ret void
}}

; Let a thread use all cores that the caller may use, but for one; nothing where that leaves none.
define internal void @tj_move_away(i32 %thread, i32 %core) noinline nounwind {{
start:
  %set = alloca [{_SET} x i8], align 8
  %got = call i64 (i64, ...) @syscall(i64 {allowed}, i64 0, i64 {_SET}, ptr %set)
  %wide = zext i32 %core to i64
  %byte = lshr i64 %wide, 3
  %known = icmp slt i64 %byte, %got
  br i1 %known, label %clear, label %done
clear:
  %place = getelementptr i8, ptr %set, i64 %byte
  %bits = load i8, ptr %place
  %narrow = trunc i32 %core to i8
  %number = and i8 %narrow, 7
  %bit = shl i8 1, %number
  %others = xor i8 %bit, -1
  %left = and i8 %bits, %others
  store i8 %left, ptr %place
  br label %check
check:
  %i = phi i64 [ 0, %clear ], [ %i1, %next ]
  %more = icmp slt i64 %i, %got
  br i1 %more, label %look, label %done
look:
  %this = getelementptr i8, ptr %set, i64 %i
  %some = load i8, ptr %this
  %empty = icmp eq i8 %some, 0
  br i1 %empty, label %next, label %move
next:
  %i1 = add i64 %i, 1
  br label %check
move:
  %id = zext i32 %thread to i64
  %status = call i64 (i64, ...) @syscall(i64 {move}, i64 %id, i64 %got, ptr %set)
  br label %done
done:
  ret void
}}
"""
