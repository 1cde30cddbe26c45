"""Native memory support as LLVM text: what a call owns, outputs, prints; `allocation.py` has the allocator."""

from __future__ import annotations

#: Entries a call's list of owned memory has room for without allocating. What finds no room in it once there is no
#: memory for a longer one is not released where the call ends early.
OWNED_INLINE = 16

OWNERSHIP_SLOW = f"""
declare ptr @realloc(ptr, i64)
declare ptr @memcpy(ptr, ptr, i64)

define i1 @tj_owned_grow(ptr %owned) nounwind cold {{
  %capacity_place = getelementptr i64, ptr %owned, i64 1
  %capacity = load i64, ptr %capacity_place
  %twice = shl i64 %capacity, 1
  %bytes = shl i64 %twice, 3
  %cells_place = getelementptr i64, ptr %owned, i64 2
  %cells = load ptr, ptr %cells_place
  %inline = icmp eq i64 %capacity, {OWNED_INLINE}
  br i1 %inline, label %first, label %again
first:
  %made = call ptr @malloc(i64 %bytes)
  %unmade = icmp eq ptr %made, null
  br i1 %unmade, label %fail, label %copy
copy:
  %copied = call ptr @memcpy(ptr %made, ptr %cells, i64 {8 * OWNED_INLINE})
  br label %done
again:
  %grown = call ptr @realloc(ptr %cells, i64 %bytes)
  %ungrown = icmp eq ptr %grown, null
  br i1 %ungrown, label %fail, label %done
done:
  %larger = phi ptr [ %made, %copy ], [ %grown, %again ]
  store ptr %larger, ptr %cells_place
  store i64 %twice, ptr %capacity_place
  ret i1 true
fail:
  ret i1 false
}}

define void @tj_owned_forget(ptr %owned, i64 %entry) nounwind {{
start:
  %length = load i64, ptr %owned
  %cells_place = getelementptr i64, ptr %owned, i64 2
  %cells = load ptr, ptr %cells_place
  br label %check
check:
  %i = phi i64 [ %length, %start ], [ %at, %look ]
  %none = icmp sle i64 %i, 0
  br i1 %none, label %absent, label %look
look:
  %at = sub i64 %i, 1
  %cell = getelementptr i64, ptr %cells, i64 %at
  %value = load i64, ptr %cell
  %same = icmp eq i64 %value, %entry
  br i1 %same, label %found, label %check
found:
  %top = sub i64 %length, 1
  %last_cell = getelementptr i64, ptr %cells, i64 %top
  %last = load i64, ptr %last_cell
  store i64 %last, ptr %cell
  store i64 %top, ptr %owned
  ret void
absent:
  ret void
}}

define void @tj_release(ptr %owned) nounwind cold {{
start:
  %length = load i64, ptr %owned
  %cells_place = getelementptr i64, ptr %owned, i64 2
  %cells = load ptr, ptr %cells_place
  br label %check
check:
  %i = phi i64 [ 0, %start ], [ %next, %after ]
  %more = icmp slt i64 %i, %length
  br i1 %more, label %one, label %end
one:
  %cell = getelementptr i64, ptr %cells, i64 %i
  %entry = load i64, ptr %cell
  %mark = and i64 %entry, 1
  %is_list = icmp eq i64 %mark, 1
  %address = and i64 %entry, -2
  %p = inttoptr i64 %address to ptr
  br i1 %is_list, label %list, label %buffer
list:
  call void @tj_list_free(ptr %p)
  br label %after
buffer:
  call void @tj_free(ptr %p)
  br label %after
after:
  %next = add i64 %i, 1
  br label %check
end:
  %capacity_place = getelementptr i64, ptr %owned, i64 1
  %capacity = load i64, ptr %capacity_place
  %inline = icmp eq i64 %capacity, {OWNED_INLINE}
  br i1 %inline, label %done, label %heap
heap:
  call void @free(ptr %cells)
  br label %done
done:
  ret void
}}
"""

OUTPUT = """
declare ptr @memmove(ptr, ptr, i64)

define void @tj_output(ptr %tensor, ptr %data, i64 %rank, ptr %dims, i64 %size, i32 %dtype) nounwind {
start:
  %given = load ptr, ptr %tensor
  %rank_place = getelementptr i8, ptr %tensor, i64 8
  store i64 %rank, ptr %rank_place
  %dtype_place = getelementptr i8, ptr %tensor, i64 32
  store i32 %dtype, ptr %dtype_place
  %shape_place = getelementptr i8, ptr %tensor, i64 16
  %shape = load ptr, ptr %shape_place
  %shapeless = icmp eq ptr %shape, null
  br label %dim
dim:
  %d = phi i64 [ 0, %start ], [ %d1, %stored ]
  %count = phi i64 [ 1, %start ], [ %count1, %stored ]
  %more = icmp slt i64 %d, %rank
  br i1 %more, label %read, label %place
read:
  %from = getelementptr i64, ptr %dims, i64 %d
  %extent = load i64, ptr %from
  %count1 = mul i64 %count, %extent
  %d1 = add i64 %d, 1
  br i1 %shapeless, label %stored, label %write
write:
  %to = getelementptr i64, ptr %shape, i64 %d
  store i64 %extent, ptr %to
  br label %stored
stored:
  br label %dim
place:
  %strides_place = getelementptr i8, ptr %tensor, i64 24
  %absent = icmp eq ptr %given, null
  br i1 %absent, label %hand, label %copy
hand:
  store ptr %data, ptr %tensor
  store ptr null, ptr %strides_place
  ret void
copy:
  %strides = load ptr, ptr %strides_place
  %dense = icmp eq ptr %strides, null
  br i1 %dense, label %whole, label %strided
whole:
  %bytes = mul i64 %count, %size
  %moved = call ptr @memmove(ptr %given, ptr %data, i64 %bytes)
  ret void
strided:
  %i = phi i64 [ 0, %copy ], [ %i1, %placed ]
  %left = icmp slt i64 %i, %count
  br i1 %left, label %element, label %end
element:
  %i1 = add i64 %i, 1
  br label %axis
axis:
  %a = phi i64 [ %rank, %element ], [ %a1, %step ]
  %rest = phi i64 [ %i, %element ], [ %rest1, %step ]
  %offset = phi i64 [ 0, %element ], [ %offset1, %step ]
  %axes = icmp sgt i64 %a, 0
  br i1 %axes, label %step, label %placed
step:
  %a1 = sub i64 %a, 1
  %dim_place = getelementptr i64, ptr %dims, i64 %a1
  %n = load i64, ptr %dim_place
  %stride_place = getelementptr i64, ptr %strides, i64 %a1
  %stride = load i64, ptr %stride_place
  %index = srem i64 %rest, %n
  %rest1 = sdiv i64 %rest, %n
  %jump = mul i64 %index, %stride
  %offset1 = add i64 %offset, %jump
  br label %axis
placed:
  %to_byte = mul i64 %offset, %size
  %target = getelementptr i8, ptr %given, i64 %to_byte
  %from_byte = mul i64 %i, %size
  %source = getelementptr i8, ptr %data, i64 %from_byte
  %done = call ptr @memcpy(ptr %target, ptr %source, i64 %size)
  br label %strided
end:
  ret void
}
"""

PRINT = """
define void @tj_print(ptr %context, i64 %site, ptr %payload) nounwind {
  %place = getelementptr i8, ptr %context, i64 64
  %hook = load ptr, ptr %place
  %absent = icmp eq ptr %hook, null
  br i1 %absent, label %done, label %ask
ask:
  call void %hook(ptr %context, i64 %site, ptr %payload)
  br label %done
done:
  ret void
}
"""

#: Small functions, by name.
INLINE: dict[str, str] = {
    "tj_owned_start": f"""
define internal void @tj_owned_start(ptr %owned) alwaysinline nounwind {{
  store i64 0, ptr %owned
  %capacity = getelementptr i64, ptr %owned, i64 1
  store i64 {OWNED_INLINE}, ptr %capacity
  %cells = getelementptr i64, ptr %owned, i64 2
  %first = getelementptr i64, ptr %owned, i64 3
  store ptr %first, ptr %cells
  ret void
}}""",
    "tj_owned_end": f"""
declare void @free(ptr)
define internal void @tj_owned_end(ptr %owned) alwaysinline nounwind {{
  %capacity_place = getelementptr i64, ptr %owned, i64 1
  %capacity = load i64, ptr %capacity_place
  %inline = icmp eq i64 %capacity, {OWNED_INLINE}
  br i1 %inline, label %done, label %heap, !prof !1
heap:
  %cells_place = getelementptr i64, ptr %owned, i64 2
  %cells = load ptr, ptr %cells_place
  call void @free(ptr %cells)
  br label %done
done:
  ret void
}}""",
    "tj_adopt": """
declare i1 @tj_owned_grow(ptr)
define internal void @tj_adopt(ptr %owned, i64 %entry) alwaysinline nounwind {
  %length = load i64, ptr %owned
  %capacity_place = getelementptr i64, ptr %owned, i64 1
  %capacity = load i64, ptr %capacity_place
  %full = icmp eq i64 %length, %capacity
  br i1 %full, label %grow, label %put, !prof !0
grow:
  %grown = call i1 @tj_owned_grow(ptr %owned)
  br i1 %grown, label %put, label %done
put:
  %cells_place = getelementptr i64, ptr %owned, i64 2
  %cells = load ptr, ptr %cells_place
  %cell = getelementptr i64, ptr %cells, i64 %length
  store i64 %entry, ptr %cell
  %longer = add i64 %length, 1
  store i64 %longer, ptr %owned
  br label %done
done:
  ret void
}""",
    "tj_disown": """
declare void @tj_owned_forget(ptr, i64)
define internal void @tj_disown(ptr %owned, i64 %entry) alwaysinline nounwind {
  %length = load i64, ptr %owned
  %top = sub i64 %length, 1
  %cells_place = getelementptr i64, ptr %owned, i64 2
  %cells = load ptr, ptr %cells_place
  %cell = getelementptr i64, ptr %cells, i64 %top
  %last = load i64, ptr %cell
  %newest = icmp eq i64 %last, %entry
  br i1 %newest, label %pop, label %search
pop:
  store i64 %top, ptr %owned
  ret void
search:
  call void @tj_owned_forget(ptr %owned, i64 %entry)
  ret void
}""",
}
