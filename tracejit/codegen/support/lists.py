"""Native growing lists as LLVM text: `{ ptr slots, i64 length, i64 capacity, i64 kind, i64 slot bytes }`.

The slots are one block that doubles. A large one is the allocator's (`allocation.py`), so that the next call
finds its pages in memory; others are the C library's. `kind` (see `names.py`) says what `@tj_list_free` must
free in them. Without memory `@tj_list_new` and `@tj_list_copy` give null and `@tj_list_room` false; the list stays as
it is.
"""

from __future__ import annotations

from tracejit.codegen.support.allocation import LARGE_BYTES
from tracejit.codegen.support.names import BUFFERS, LISTS

LISTS_TEXT = f"""
declare ptr @calloc(i64, i64)
declare ptr @malloc(i64)
declare ptr @realloc(ptr, i64)
declare ptr @memcpy(ptr, ptr, i64)
declare void @free(ptr)
declare ptr @tj_alloc(i64)
declare void @tj_list_free_slots(ptr, i64)

define noalias ptr @tj_list_new(i64 %kind) nounwind {{
  %list = call ptr @calloc(i64 1, i64 40)
  %none = icmp eq ptr %list, null
  br i1 %none, label %done, label %made
made:
  %kind_place = getelementptr i64, ptr %list, i64 3
  store i64 %kind, ptr %kind_place
  br label %done
done:
  ret ptr %list
}}

define i1 @tj_list_grow(ptr %list, i64 %size) nounwind cold {{
  %capacity_place = getelementptr i64, ptr %list, i64 2
  %capacity = load i64, ptr %capacity_place
  %empty = icmp eq i64 %capacity, 0
  %twice = shl i64 %capacity, 1
  %wanted = select i1 %empty, i64 16, i64 %twice
  %bytes = mul i64 %wanted, %size
  %slots = load ptr, ptr %list
  %large = icmp uge i64 %bytes, {LARGE_BYTES}
  br i1 %large, label %moved, label %same
same:
  %longer = call ptr @realloc(ptr %slots, i64 %bytes)
  %none = icmp eq ptr %longer, null
  br i1 %none, label %fail, label %done
moved:
  %made = call ptr @tj_alloc(i64 %bytes)
  %unmade = icmp eq ptr %made, null
  br i1 %unmade, label %fail, label %move
move:
  %held = mul i64 %capacity, %size
  %copied = call ptr @memcpy(ptr %made, ptr %slots, i64 %held)
  call void @tj_list_free_slots(ptr %slots, i64 %held)
  br label %done
done:
  %grown = phi ptr [ %longer, %same ], [ %made, %move ]
  store ptr %grown, ptr %list
  store i64 %wanted, ptr %capacity_place
  %size_place = getelementptr i64, ptr %list, i64 4
  store i64 %size, ptr %size_place
  ret i1 true
fail:
  ret i1 false
}}

define noalias ptr @tj_list_copy(ptr %list) nounwind {{
  %made = call ptr @calloc(i64 1, i64 40)
  %failed = icmp eq ptr %made, null
  br i1 %failed, label %fail, label %header
header:
  %copied = call ptr @memcpy(ptr %made, ptr %list, i64 40)
  %length_place = getelementptr i64, ptr %list, i64 1
  %length = load i64, ptr %length_place
  %capacity_place = getelementptr i64, ptr %made, i64 2
  store i64 %length, ptr %capacity_place
  %size_place = getelementptr i64, ptr %list, i64 4
  %size = load i64, ptr %size_place
  %bytes = mul i64 %length, %size
  %none = icmp eq i64 %bytes, 0
  br i1 %none, label %empty, label %full
empty:
  store ptr null, ptr %made
  ret ptr %made
full:
  %old = load ptr, ptr %list
  %large = icmp uge i64 %bytes, {LARGE_BYTES}
  br i1 %large, label %long, label %short
long:
  %allocated = call ptr @tj_alloc(i64 %bytes)
  br label %got
short:
  %plain = call ptr @malloc(i64 %bytes)
  br label %got
got:
  %slots = phi ptr [ %allocated, %long ], [ %plain, %short ]
  %unmade = icmp eq ptr %slots, null
  br i1 %unmade, label %undo, label %move
move:
  %moved = call ptr @memcpy(ptr %slots, ptr %old, i64 %bytes)
  store ptr %slots, ptr %made
  ret ptr %made
undo:
  call void @free(ptr %made)
  br label %fail
fail:
  ret ptr null
}}
"""

#: What the release of owned memory needs of them.
FREE = f"""
define void @tj_list_free(ptr %list) nounwind {{
start:
  %null = icmp eq ptr %list, null
  br i1 %null, label %nothing, label %kinds
nothing:
  ret void
kinds:
  %length_place = getelementptr i64, ptr %list, i64 1
  %length = load i64, ptr %length_place
  %kind_place = getelementptr i64, ptr %list, i64 3
  %kind = load i64, ptr %kind_place
  %slots = load ptr, ptr %list
  %owns = icmp ne i64 %kind, 0
  br i1 %owns, label %check, label %end
check:
  %i = phi i64 [ 0, %kinds ], [ %next, %after ]
  %more = icmp slt i64 %i, %length
  br i1 %more, label %one, label %end
one:
  %slot = getelementptr i64, ptr %slots, i64 %i
  %p = load ptr, ptr %slot
  %next = add i64 %i, 1
  switch i64 %kind, label %after [ i64 {BUFFERS}, label %buffer
                                   i64 {LISTS}, label %inner ]
buffer:
  call void @tj_free(ptr %p)
  br label %after
inner:
  call void @tj_list_free(ptr %p)
  br label %after
after:
  br label %check
end:
  %capacity_place = getelementptr i64, ptr %list, i64 2
  %capacity = load i64, ptr %capacity_place
  %size_place = getelementptr i64, ptr %list, i64 4
  %size = load i64, ptr %size_place
  %bytes = mul i64 %capacity, %size
  call void @tj_list_free_slots(ptr %slots, i64 %bytes)
  call void @free(ptr %list)
  ret void
}}

define void @tj_list_free_slots(ptr %slots, i64 %bytes) nounwind {{
  %large = icmp uge i64 %bytes, {LARGE_BYTES}
  br i1 %large, label %big, label %small
big:
  call void @tj_free(ptr %slots)
  ret void
small:
  call void @free(ptr %slots)
  ret void
}}
"""

INLINE: dict[str, str] = {
    "tj_list_room": """
declare i1 @tj_list_grow(ptr, i64)
define internal i1 @tj_list_room(ptr %list, i64 %size) alwaysinline nounwind {
start:
  %length_place = getelementptr i64, ptr %list, i64 1
  %length = load i64, ptr %length_place
  %capacity_place = getelementptr i64, ptr %list, i64 2
  %capacity = load i64, ptr %capacity_place
  %full = icmp eq i64 %length, %capacity
  br i1 %full, label %grow, label %done, !prof !0
grow:
  %grown = call i1 @tj_list_grow(ptr %list, i64 %size)
  br label %done
done:
  %room = phi i1 [ true, %start ], [ %grown, %grow ]
  ret i1 %room
}""",
    "tj_list_push": """
define internal ptr @tj_list_push(ptr %list, i64 %size) alwaysinline nounwind {
  %length_place = getelementptr i64, ptr %list, i64 1
  %length = load i64, ptr %length_place
  %longer = add i64 %length, 1
  store i64 %longer, ptr %length_place
  %slots = load ptr, ptr %list
  %offset = mul i64 %length, %size
  %slot = getelementptr i8, ptr %slots, i64 %offset
  ret ptr %slot
}""",
}
