"""The process's allocator as LLVM text: `@tj_alloc` and `@tj_free`, with bins of freed blocks.

Blocks that are not large are plain `malloc` memory, so that NumPy may own and `free` them. The header `{ i64 bin, i64
bytes, ptr next }` of a large block lies at a multiple of 32 KiB, and the block starts at a line of the first page
behind it that the header's address gives (`large_start`); others never have such an address, which is how `@tj_free`
tells them apart. Large blocks that all started at the same place of a page would meet in one set of the first cache
wherever a loop reads several of them at one index: more than its ways push each other out, and on AMD's processors so
do two whose addresses its way predictor takes for one (Lipp et al., "Take A Way", ASIA CCS 2020).

Freed blocks from 128 bytes on wait in bins of four sizes per power of two; a block that is not large has the same
header in its own first bytes. Fresh pages cost more than most kernels, and the C library gives the pages of a loop's
residuals back to the system after every call. Where there is no memory for a large block, what waits in the bins is
given back first. The bins' lock is only tried: whoever does not get it goes to the C library, so a fork while another
thread holds the lock harms nothing.
"""

from __future__ import annotations

from collections.abc import Callable

#: Blocks of at least this many bytes are large: the C library takes such from the system and gives them back.
LARGE_BYTES = 1 << 17

#: Sizes of large blocks are multiples of this, and so are the addresses of their headers.
LARGE_ALIGNMENT = LARGE_BYTES >> 2

#: A large block starts at least a line behind its header, at most a page.
_LINE, _PAGE = 1 << 6, 1 << 12

#: 2^64 over the golden ratio: its multiples modulo 2^64 lie evenly (Knuth, The Art of Computer Programming, volume 3,
#: section 6.4).
_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)

#: Blocks of at least this many bytes begin where a huge page may, of that size.
HUGE_BYTES = 1 << 20
HUGE_ALIGNMENT = 1 << 21
_BINS = 180

#: Bytes of freed blocks that a process keeps at most, and that an exported library does.
PROCESS_BYTES, LIBRARY_BYTES = 1 << 30, 1 << 28

#: Blocks of at least this many bytes wait in the bins when they are freed; smaller ones go back to the C library.
CACHED_BYTES = 1 << 7
_CACHED_LOG = CACHED_BYTES.bit_length() - 1

#: What the C library calls the function that tells how many bytes a block from `malloc` has room for, 0 for null.
_USABLE_SIZE = {"linux": "malloc_usable_size", "darwin": "malloc_size"}


def large_start(op: Callable[[str], str], address: str) -> str:
    """How many bytes behind the last multiple of LARGE_ALIGNMENT up to an address a large block starts there. `op`
    emits an LLVM operation on i64 and returns its result's name."""
    unit = op(f"lshr i64 {address}, {LARGE_ALIGNMENT.bit_length() - 1}")
    spread = op(f"mul i64 {unit}, {_GOLDEN}")
    page = op(f"lshr i64 {spread}, {64 - _PAGE.bit_length() + 1}")
    line = op(f"and i64 {page}, {_PAGE - _LINE}")
    return op(f"add i64 {line}, {_LINE}")


def _large_start() -> tuple[str, str]:
    """The same for %address, as text and its result's name."""
    lines: list[str] = []

    def op(operation: str) -> str:
        lines.append(f"  %start.{len(lines)} = {operation}\n")
        return f"%start.{len(lines) - 1}"

    start = large_start(op, "%address")
    return "".join(lines), start


_FIND_START, _START = _large_start()

#: Gives the caller the %first block of the bin at %place, and the lock back.
_TAKE_FIRST = """\
  %next_place = getelementptr i8, ptr %first, i64 16
  %next = load ptr, ptr %next_place
  store ptr %next, ptr %place
  %kept_place = getelementptr i8, ptr %first, i64 8
  %kept = load i64, ptr %kept_place
  %cached = load i64, ptr @tj_cached
  %less = sub i64 %cached, %kept
  store i64 %less, ptr @tj_cached
  store atomic i32 0, ptr @tj_bins_lock release, align 4
  ret ptr %first
"""

#: Goes on at `put` where %bytes more may be kept, with them counted, else at `full`.
_COUNT_IN = """\
  %cached = load i64, ptr @tj_cached
  %total = add i64 %cached, %bytes
  %limit = load i64, ptr @tj_cache_limit
  %fits = icmp ule i64 %total, %limit
  br i1 %fits, label %put, label %full
put:
  store i64 %total, ptr @tj_cached
"""


def _put_first(block: str) -> str:
    """Puts a block of %bytes into the bin %bin, gives the lock back and returns."""
    return f"""\
  %place = getelementptr [{_BINS} x ptr], ptr @tj_bins, i64 0, i64 %bin
  %first = load ptr, ptr %place
  %bytes_place = getelementptr i8, ptr {block}, i64 8
  store i64 %bytes, ptr %bytes_place
  %next_place = getelementptr i8, ptr {block}, i64 16
  store ptr %first, ptr %next_place
  store ptr {block}, ptr %place
  store atomic i32 0, ptr @tj_bins_lock release, align 4
  ret void
"""


#: Small functions are spelt out where most calls go: this module is compiled in a hurry, without inlining.
_ALLOCATION = f"""
@tj_bins = internal global [{_BINS} x ptr] zeroinitializer, align 64
@tj_bins_lock = internal global i32 0
@tj_cached = internal global i64 0
@tj_fresh_count = internal global i64 0
@tj_cache_limit = internal global i64 {PROCESS_BYTES}
declare ptr @malloc(i64)
declare ptr @aligned_alloc(i64, i64)
declare void @free(ptr)
declare i64 @llvm.ctlz.i64(i64, i1)

define internal i1 @tj_is_large(ptr %p) alwaysinline {{
  %address = ptrtoint ptr %p to i64
  %low = and i64 %address, {LARGE_ALIGNMENT - 1}
{_FIND_START}  %large = icmp eq i64 %low, {_START}
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
  %zeros = call i64 @llvm.ctlz.i64(i64 %asked, i1 true)
  %log = sub i64 63, %zeros
  %shift = sub i64 %log, 2
  %step = shl i64 1, %shift
  %up = sub i64 %step, 1
  %over = add i64 %asked, %up
  %quarters = lshr i64 %over, %shift
  %round = shl i64 %quarters, %shift
  %octave = sub i64 %log, {_CACHED_LOG + 1}
  %first.bin = shl i64 %octave, 2
  %bin = add i64 %first.bin, %quarters
  %place = getelementptr [{_BINS} x ptr], ptr @tj_bins, i64 0, i64 %bin
  %pair = cmpxchg ptr @tj_bins_lock, i32 0, i32 1 acquire monotonic
  %got = extractvalue {{ i32, i1 }} %pair, 1
  br i1 %got, label %look, label %busy
busy:
  %later = call i1 @tj_lock_bins()
  br i1 %later, label %look, label %new
look:
  %first = load ptr, ptr %place
  %miss = icmp eq ptr %first, null
  br i1 %miss, label %unlock, label %hit
hit:
{_TAKE_FIRST}unlock:
  store atomic i32 0, ptr @tj_bins_lock release, align 4
  br label %new
new:
  %q = call ptr @tj_alloc_small(i64 %round)
  ret ptr %q
big:
  %block = call ptr @tj_alloc_large(i64 %asked)
  ret ptr %block
}}

define internal ptr @tj_alloc_small(i64 %bytes) {{
start:
  br label %try
try:
  %held = phi ptr [ null, %start ], [ %p, %unlucky ]
  %p = call ptr @malloc(i64 %bytes)
  %large = call i1 @tj_is_large(ptr %p)
  br i1 %large, label %unlucky, label %found
unlucky:
  store ptr %held, ptr %p
  br label %try
found:
  %left = phi ptr [ %held, %try ], [ %next, %release ]
  %none = icmp eq ptr %left, null
  br i1 %none, label %done, label %release
release:
  %next = load ptr, ptr %left
  call void @free(ptr %left)
  br label %found
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
{_TAKE_FIRST}miss:
  store atomic i32 0, ptr @tj_bins_lock release, align 4
  br label %none
none:
  ret ptr null
}}

define internal void @tj_bins_put(ptr %base, i64 %bin, i64 %bytes) noinline {{
  %locked = call i1 @tj_lock_bins()
  br i1 %locked, label %keep, label %drop
keep:
{_COUNT_IN}{_put_first("%base")}full:
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
  %raw = add i64 %asked, {_PAGE}
  %bytes = call i64 @tj_rounded(i64 %raw)
  %bin = call i64 @tj_bin(i64 %bytes)
  %kept = call ptr @tj_bins_take(i64 %bin)
  %miss = icmp eq ptr %kept, null
  br i1 %miss, label %fresh, label %made
fresh:
  %huge = icmp uge i64 %bytes, {HUGE_BYTES}
  %alignment = select i1 %huge, i64 {HUGE_ALIGNMENT}, i64 {LARGE_ALIGNMENT}
  %first = call ptr @aligned_alloc(i64 %alignment, i64 %bytes)
  %failed = icmp eq ptr %first, null
  br i1 %failed, label %again, label %header
again:
  %given.back = call i64 @tj_trim()
  %second = call ptr @aligned_alloc(i64 %alignment, i64 %bytes)
  %none = icmp eq ptr %second, null
  br i1 %none, label %fail, label %header
header:
  %new = phi ptr [ %first, %fresh ], [ %second, %again ]
  %counted = atomicrmw add ptr @tj_fresh_count, i64 1 monotonic
  store i64 %bin, ptr %new
  %bytes_place = getelementptr i8, ptr %new, i64 8
  store i64 %bytes, ptr %bytes_place
  br label %made
made:
  %base = phi ptr [ %kept, %look ], [ %new, %header ]
  %address = ptrtoint ptr %base to i64
{_FIND_START}  %p = getelementptr i8, ptr %base, i64 {_START}
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
  %address = ptrtoint ptr %p to i64
  %low = and i64 %address, {LARGE_ALIGNMENT - 1}
{_FIND_START}  %large = icmp eq i64 %low, {_START}
  br i1 %large, label %big, label %small
small:
  %bytes = call i64 @tj_usable_size(ptr %p)
  %past = sub i64 %bytes, {CACHED_BYTES}
  %middle = icmp ult i64 %past, {LARGE_BYTES - CACHED_BYTES}
  br i1 %middle, label %keep, label %plain
keep:
  %pair = cmpxchg ptr @tj_bins_lock, i32 0, i32 1 acquire monotonic
  %got = extractvalue {{ i32, i1 }} %pair, 1
  br i1 %got, label %locked, label %busy
busy:
  %later = call i1 @tj_lock_bins()
  br i1 %later, label %locked, label %plain
locked:
{_COUNT_IN}  %zeros = call i64 @llvm.ctlz.i64(i64 %bytes, i1 true)
  %log = sub i64 63, %zeros
  %shift = sub i64 %log, 2
  %quarters = lshr i64 %bytes, %shift
  %octave = sub i64 %log, {_CACHED_LOG + 1}
  %first.bin = shl i64 %octave, 2
  %bin = add i64 %first.bin, %quarters
{_put_first("%p")}full:
  store atomic i32 0, ptr @tj_bins_lock release, align 4
  br label %plain
plain:
  call void @free(ptr %p)
  ret void
big:
  %behind = sub i64 0, %low
  %base = getelementptr i8, ptr %p, i64 %behind
  %base_bin = load i64, ptr %base
  %base_bytes_place = getelementptr i8, ptr %base, i64 8
  %base_bytes = load i64, ptr %base_bytes_place
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
    if function is None:
        return "define internal i64 @tj_usable_size(ptr %p) { ret i64 0 }\n" + _ALLOCATION
    return f"declare i64 @{function}(ptr)\n" + _ALLOCATION.replace("@tj_usable_size", f"@{function}")


#: When the library is unloaded.
_UNLOADED = """
@llvm.global_dtors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 65535, ptr @tj_end, ptr null }]
define internal void @tj_end() nounwind {
  %freed = call i64 @tj_trim()
  ret void
}
"""


#: Where there is no memory of a system's to keep, or no C11.
_PLAIN = """
declare ptr @malloc(i64)
declare void @free(ptr)
define ptr @tj_take(i64 %bytes) nounwind {
  %p = call ptr @malloc(i64 %bytes)
  ret ptr %p
}
define void @tj_give(ptr %p) nounwind {
  call void @free(ptr %p)
  ret void
}
"""


def library_allocation_text(system: str) -> str:
    """`@tj_take` and `@tj_give`: the same for a library, which keeps large blocks only and gives them back when it is
    unloaded."""
    if system not in _USABLE_SIZE:
        return _PLAIN
    text = allocation_text("").replace("@tj_alloc(", "@tj_take(").replace("@tj_free(", "@tj_give(")
    return text.replace(f"i64 {PROCESS_BYTES}", f"i64 {LIBRARY_BYTES}") + _UNLOADED
