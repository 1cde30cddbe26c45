"""Native memory support as LLVM text: allocation with cached large blocks, what a call owns, outputs, prints.

Blocks that are not large are plain `malloc` memory, so that NumPy may own and `free` them. A large block starts 64
bytes after a multiple of 2 MiB, where its header `{ i64 bin, i64 bytes, ptr next }` lies; others never have such an
address, which is how `@tj_free` tells them apart. Freed blocks from 128 bytes on wait in bins of four sizes per power
of two; a block that is not large has the same header in its own first bytes. Fresh pages cost more than most kernels,
and the C library gives the pages of a loop's residuals back to the system after every call. The bins' lock is only
tried: whoever does not get it goes to the C library, so a fork while another thread holds the lock harms nothing.
"""

from __future__ import annotations

#: Blocks of at least this many bytes are large.
LARGE_BYTES = 1 << 20

#: A large block's address is LARGE_OFFSET behind a multiple of LARGE_ALIGNMENT; no small block's is.
LARGE_ALIGNMENT = 1 << 21
LARGE_OFFSET = 64
_BINS = 180

#: Entries a call's list of owned memory has room for without allocating.
OWNED_INLINE = 16

#: Blocks of at least this many bytes wait in the bins when they are freed; smaller ones go back to the C library.
CACHED_BYTES = 1 << 7
_CACHED_LOG = CACHED_BYTES.bit_length() - 1

#: What the C library calls the function that tells how many bytes a block from `malloc` has room for.
_USABLE_SIZE = {"linux": "malloc_usable_size", "darwin": "malloc_size", "windows": "_msize"}

_ALLOCATION = f"""
@tj_bins = internal global [{_BINS} x ptr] zeroinitializer, align 64
@tj_bins_lock = internal global i32 0
@tj_cached = internal global i64 0
@tj_fresh_count = internal global i64 0
@tj_cache_limit = internal global i64 {1 << 30}
declare ptr @malloc(i64)
declare ptr @aligned_alloc(i64, i64)
declare void @free(ptr)
declare i64 @llvm.ctlz.i64(i64, i1)

define internal i1 @tj_is_large(ptr %p) alwaysinline {{
  %address = ptrtoint ptr %p to i64
  %low = and i64 %address, {LARGE_ALIGNMENT - 1}
  %large = icmp eq i64 %low, {LARGE_OFFSET}
  ret i1 %large
}}

define noalias ptr @tj_alloc(i64 %asked) nounwind {{
  %large = icmp uge i64 %asked, {LARGE_BYTES}
  br i1 %large, label %big, label %small
small:
  %few = icmp ult i64 %asked, {CACHED_BYTES}
  br i1 %few, label %plain, label %middle
plain:
  %none = icmp eq i64 %asked, 0
  %bytes = select i1 %none, i64 1, i64 %asked
  %p = call ptr @tj_alloc_small(i64 %bytes)
  ret ptr %p
middle:
  %round = call i64 @tj_rounded(i64 %asked)
  %bin = call i64 @tj_bin(i64 %round)
  %kept = call ptr @tj_bins_take(i64 %bin)
  %miss = icmp eq ptr %kept, null
  br i1 %miss, label %new, label %hit
hit:
  ret ptr %kept
new:
  %q = call ptr @tj_alloc_small(i64 %round)
  ret ptr %q
big:
  %block = call ptr @tj_alloc_large(i64 %asked)
  ret ptr %block
}}

define internal ptr @tj_alloc_small(i64 %bytes) {{
  %p = call ptr @malloc(i64 %bytes)
  %unlucky = call i1 @tj_is_large(ptr %p)
  br i1 %unlucky, label %again, label %done
again:
  %q = call ptr @malloc(i64 %bytes)
  call void @free(ptr %p)
  ret ptr %q
done:
  ret ptr %p
}}

define internal i64 @tj_rounded(i64 %bytes) {{
  %zeros = call i64 @llvm.ctlz.i64(i64 %bytes, i1 true)
  %log = sub i64 63, %zeros
  %shift = sub i64 %log, 2
  %step = shl i64 1, %shift
  %up = sub i64 %step, 1
  %over = add i64 %bytes, %up
  %mask = sub i64 0, %step
  %rounded = and i64 %over, %mask
  ret i64 %rounded
}}

define internal i64 @tj_bin(i64 %bytes) {{
  %zeros = call i64 @llvm.ctlz.i64(i64 %bytes, i1 true)
  %log = sub i64 63, %zeros
  %shift = sub i64 %log, 2
  %quarter = lshr i64 %bytes, %shift
  %sub = and i64 %quarter, 3
  %octave = sub i64 %log, {_CACHED_LOG}
  %first = shl i64 %octave, 2
  %bin = add i64 %first, %sub
  ret i64 %bin
}}

define internal ptr @tj_bins_take(i64 %bin) noinline {{
  %place = getelementptr [{_BINS} x ptr], ptr @tj_bins, i64 0, i64 %bin
  %locked = call i1 @tj_lock_bins()
  br i1 %locked, label %look, label %none
look:
  %first = load ptr, ptr %place
  %empty = icmp eq ptr %first, null
  br i1 %empty, label %miss, label %hit
hit:
  %next_place = getelementptr i8, ptr %first, i64 16
  %next = load ptr, ptr %next_place
  store ptr %next, ptr %place
  %bytes_place = getelementptr i8, ptr %first, i64 8
  %bytes = load i64, ptr %bytes_place
  %cached = load i64, ptr @tj_cached
  %less = sub i64 %cached, %bytes
  store i64 %less, ptr @tj_cached
  store atomic i32 0, ptr @tj_bins_lock release, align 4
  ret ptr %first
miss:
  store atomic i32 0, ptr @tj_bins_lock release, align 4
  br label %none
none:
  ret ptr null
}}

define internal void @tj_bins_put(ptr %base, i64 %bin, i64 %bytes) noinline {{
  %locked = call i1 @tj_lock_bins()
  br i1 %locked, label %keep, label %drop
keep:
  %cached = load i64, ptr @tj_cached
  %total = add i64 %cached, %bytes
  %limit = load i64, ptr @tj_cache_limit
  %fits = icmp ule i64 %total, %limit
  br i1 %fits, label %put, label %full
put:
  store i64 %total, ptr @tj_cached
  %place = getelementptr [{_BINS} x ptr], ptr @tj_bins, i64 0, i64 %bin
  %first = load ptr, ptr %place
  %bytes_place = getelementptr i8, ptr %base, i64 8
  store i64 %bytes, ptr %bytes_place
  %next_place = getelementptr i8, ptr %base, i64 16
  store ptr %first, ptr %next_place
  store ptr %base, ptr %place
  store atomic i32 0, ptr @tj_bins_lock release, align 4
  ret void
full:
  store atomic i32 0, ptr @tj_bins_lock release, align 4
  br label %drop
drop:
  call void @free(ptr %base)
  ret void
}}

define internal ptr @tj_alloc_large(i64 %asked) noinline {{
  %wild = icmp ugt i64 %asked, {1 << 46}
  br i1 %wild, label %fail, label %look
look:
  %raw = add i64 %asked, {LARGE_OFFSET}
  %bytes = call i64 @tj_rounded(i64 %raw)
  %bin = call i64 @tj_bin(i64 %bytes)
  %kept = call ptr @tj_bins_take(i64 %bin)
  %miss = icmp eq ptr %kept, null
  br i1 %miss, label %fresh, label %made
fresh:
  %new = call ptr @aligned_alloc(i64 {LARGE_ALIGNMENT}, i64 %bytes)
  %failed = icmp eq ptr %new, null
  br i1 %failed, label %fail, label %header
header:
  %counted = atomicrmw add ptr @tj_fresh_count, i64 1 monotonic
  store i64 %bin, ptr %new
  %bytes_place = getelementptr i8, ptr %new, i64 8
  store i64 %bytes, ptr %bytes_place
  br label %made
made:
  %base = phi ptr [ %kept, %look ], [ %new, %header ]
  %p = getelementptr i8, ptr %base, i64 {LARGE_OFFSET}
  ret ptr %p
fail:
  ret ptr null
}}

define internal i1 @tj_lock_bins() noinline {{
start:
  br label %try
try:
  %tries = phi i32 [ 0, %start ], [ %more, %again ]
  %pair = cmpxchg ptr @tj_bins_lock, i32 0, i32 1 acquire monotonic
  %got = extractvalue {{ i32, i1 }} %pair, 1
  br i1 %got, label %yes, label %again
again:
  %more = add i32 %tries, 1
  %enough = icmp uge i32 %more, 100
  br i1 %enough, label %no, label %try
yes:
  ret i1 true
no:
  ret i1 false
}}

define void @tj_free(ptr %p) nounwind {{
  %large = call i1 @tj_is_large(ptr %p)
  br i1 %large, label %big, label %small
small:
  %bytes = call i64 @tj_usable_size(ptr %p)
  %past = sub i64 %bytes, {CACHED_BYTES}
  %middle = icmp ult i64 %past, {LARGE_BYTES - CACHED_BYTES}
  br i1 %middle, label %keep, label %plain
keep:
  %bin = call i64 @tj_bin(i64 %bytes)
  call void @tj_bins_put(ptr %p, i64 %bin, i64 %bytes)
  ret void
plain:
  call void @free(ptr %p)
  ret void
big:
  %base = getelementptr i8, ptr %p, i64 -{LARGE_OFFSET}
  %base_bin = load i64, ptr %base
  %bytes_place = getelementptr i8, ptr %base, i64 8
  %base_bytes = load i64, ptr %bytes_place
  call void @tj_bins_put(ptr %base, i64 %base_bin, i64 %base_bytes)
  ret void
}}

define i64 @tj_fresh() nounwind {{
  %count = load atomic i64, ptr @tj_fresh_count monotonic, align 8
  ret i64 %count
}}

define i64 @tj_trim() nounwind {{
start:
  %locked = call i1 @tj_lock_bins()
  br i1 %locked, label %bins, label %nothing
nothing:
  ret i64 0
bins:
  %b = phi i64 [ 0, %start ], [ %b1, %emptied ]
  %place = getelementptr [{_BINS} x ptr], ptr @tj_bins, i64 0, i64 %b
  br label %next
next:
  %block = load ptr, ptr %place
  %empty = icmp eq ptr %block, null
  br i1 %empty, label %emptied, label %release
release:
  %next_place = getelementptr i8, ptr %block, i64 16
  %after = load ptr, ptr %next_place
  store ptr %after, ptr %place
  call void @free(ptr %block)
  br label %next
emptied:
  %b1 = add i64 %b, 1
  %more = icmp ult i64 %b1, {_BINS}
  br i1 %more, label %bins, label %end
end:
  %freed = load i64, ptr @tj_cached
  store i64 0, ptr @tj_cached
  store atomic i32 0, ptr @tj_bins_lock release, align 4
  ret i64 %freed
}}
"""


def allocation_text(system: str) -> str:
    """`tj_alloc`, `tj_free` and the bins, for an operating system as `Platform` names it. Where the size of a block
    cannot be asked for, only large ones are kept."""
    function = _USABLE_SIZE.get(system)
    call = f"%size = call i64 @{function}(ptr %p)\n  ret i64 %size" if function else "ret i64 0"
    declaration = f"declare i64 @{function}(ptr)\n" if function else ""
    usable = f"""{declaration}
define internal i64 @tj_usable_size(ptr %p) alwaysinline {{
  {call}
}}
"""
    return usable + _ALLOCATION


OWNERSHIP_SLOW = f"""
declare ptr @realloc(ptr, i64)
declare ptr @memcpy(ptr, ptr, i64)

define void @tj_owned_grow(ptr %owned) nounwind cold {{
  %capacity_place = getelementptr i64, ptr %owned, i64 1
  %capacity = load i64, ptr %capacity_place
  %twice = shl i64 %capacity, 1
  store i64 %twice, ptr %capacity_place
  %bytes = shl i64 %twice, 3
  %cells_place = getelementptr i64, ptr %owned, i64 2
  %cells = load ptr, ptr %cells_place
  %inline = icmp eq i64 %capacity, {OWNED_INLINE}
  br i1 %inline, label %first, label %again
first:
  %made = call ptr @malloc(i64 %bytes)
  %copied = call ptr @memcpy(ptr %made, ptr %cells, i64 {8 * OWNED_INLINE})
  store ptr %made, ptr %cells_place
  ret void
again:
  %grown = call ptr @realloc(ptr %cells, i64 %bytes)
  store ptr %grown, ptr %cells_place
  ret void
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
declare void @tj_owned_grow(ptr)
define internal void @tj_adopt(ptr %owned, i64 %entry) alwaysinline nounwind {
  %length = load i64, ptr %owned
  %capacity_place = getelementptr i64, ptr %owned, i64 1
  %capacity = load i64, ptr %capacity_place
  %full = icmp eq i64 %length, %capacity
  br i1 %full, label %grow, label %put, !prof !0
grow:
  call void @tj_owned_grow(ptr %owned)
  br label %put
put:
  %cells_place = getelementptr i64, ptr %owned, i64 2
  %cells = load ptr, ptr %cells_place
  %cell = getelementptr i64, ptr %cells, i64 %length
  store i64 %entry, ptr %cell
  %longer = add i64 %length, 1
  store i64 %longer, ptr %owned
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
