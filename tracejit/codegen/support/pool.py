"""The thread pool of parallel loops as LLVM text, for Linux (futex); elsewhere parallel loops run serially.

The pool lies in a page of its own that a fork wipes: a child starts as if no thread had ever been made. A launch
writes the job, then publishes `generation << 32 | first of the chunks left << 16 | chunks left` in one word. Whoever
decrements that by compare-exchange owns a chunk, and as long as a chunk is owned the job stays valid; so late workers
can do no harm. The caller works too, from the first chunk on, which it owns from the start, and waits only for chunks
that others have begun. It takes chunks from the front, the workers from the back: what a core has in its caches from
one loop over an array is what it gets of the next. A launch that finds the pool taken (nested, or from another thread)
runs serially. Workers that are awake watch the claim, which lies in one line of the cache with the job; the others wait
for the wake word to change. What is worth a launch is decided in `sharing.py`; `cores.py` keeps the workers from the
caller's core.

A process has the pool's code once a launch asks for it because of much work, or of little work again and again; before,
`launch_text` is all that there is.

    pool: 0 i32 taken | 4 i32 workers started | 8 i32 wake word | 12 i32 asleep | 16 i64 delay | 24 i32 declined
          64 i64 claim | 72 ptr function | 80 ptr record | 88 i64 count | 96 i64 grain | 104 i64 chunks
          112 i64 published | 128 i32 done | 136 i64 claimed
"""

from __future__ import annotations

from collections.abc import Sequence

from tracejit.codegen.support.cores import cores_text
from tracejit.codegen.support.sharing import ASKED, FIRST, SPARED, sharing_text
from tracejit.codegen.support.zeros import SHARED

#: How long a delay counts at most, in clock ticks; how often those who wait look before they yield or sleep, and how
#: often a worker does that was woken too late for a launch: the next one may come when the caller has done that alone.
_LATE, _SPIN, _SPIN_LATE = 1000, 1500, 12_000

#: One in the place of the first chunk left, and the most chunks of a launch.
_FIRST = 1 << 16
_CHUNKS = _FIRST - 1

_FUTEX = {"x86_64": 202, "aarch64": 98}
_PAUSE = {
    "x86_64": ("declare void @llvm.x86.sse2.pause()", "call void @llvm.x86.sse2.pause()"),
    "aarch64": ("declare void @llvm.aarch64.hint(i32)", "call void @llvm.aarch64.hint(i32 1)"),
}

#: A clock, where every program may read it.
_CLOCK = {"x86_64": "call i64 @llvm.readcyclecounter()"}

_ONE = """
define i32 @tj_thread_count() nounwind {
  ret i32 1
}
define void @tj_set_threads(i32 %count) nounwind {
  ret void
}
"""

#: How many threads there shall be, 0 where nobody said it: then as many as this process has processors.
COUNT = "@tj_threads = internal global i32 0\n"

_SEVERAL = """
declare i32 @sched_getaffinity(i32, i64, ptr)
declare i64 @llvm.ctpop.i64(i64)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)

define void @tj_set_threads(i32 %count) nounwind {
  store atomic i32 %count, ptr @tj_threads monotonic, align 4
  ret void
}

define i32 @tj_thread_count() nounwind {
start:
  %mask = alloca [16 x i64], align 8
  %known = load atomic i32, ptr @tj_threads monotonic, align 4
  %unset = icmp eq i32 %known, 0
  br i1 %unset, label %ask, label %done
ask:
  call void @llvm.memset.p0.i64(ptr %mask, i8 0, i64 128, i1 false)
  %status = call i32 @sched_getaffinity(i32 0, i64 128, ptr %mask)
  br label %word
word:
  %i = phi i64 [ 0, %ask ], [ %next, %word ]
  %before = phi i64 [ 0, %ask ], [ %sum, %word ]
  %place = getelementptr i64, ptr %mask, i64 %i
  %cores = load i64, ptr %place
  %bits = call i64 @llvm.ctpop.i64(i64 %cores)
  %sum = add i64 %before, %bits
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, 16
  br i1 %more, label %word, label %counted
counted:
  %narrow = trunc i64 %sum to i32
  %least = icmp slt i32 %narrow, 1
  %count = select i1 %least, i32 1, i32 %narrow
  store atomic i32 %count, ptr @tj_threads monotonic, align 4
  ret i32 %count
done:
  ret i32 %known
}
"""

_SERIAL = """
define internal i64 @tj_launch(ptr %function, ptr %record, i64 %count, i64 %grain) nounwind {
  call void @tj_serial_for(ptr %function, ptr %record, i64 %count, i64 %grain)
  ret i64 0
}
"""

_ALWAYS = """
define void @tj_parallel_for(ptr %function, ptr %record, i64 %count, i64 %grain) nounwind {
  %helped = call i64 @tj_launch(ptr %function, ptr %record, i64 %count, i64 %grain)
  ret void
}

define internal void @tj_serial_for(ptr %function, ptr %record, i64 %count, i64 %grain) nounwind {
start:
  br label %check
check:
  %begin = phi i64 [ 0, %start ], [ %end, %run ]
  %more = icmp slt i64 %begin, %count
  br i1 %more, label %run, label %done
run:
  %sum = add i64 %begin, %grain
  %over = icmp sgt i64 %sum, %count
  %end = select i1 %over, i64 %count, i64 %sum
  call void %function(ptr %record, i64 %begin, i64 %end)
  br label %check
done:
  ret void
}
"""


#: The number by which `@tj_resolve` is asked for the addresses of what is `ASKED` of the pool.
NUMBER = -1


def launch_text(system: str, machine: str, *, is_later: bool) -> str:
    """The start of every launch, and how many threads there shall be, by `COUNT`; `is_later`: the pool is found when
    asked."""
    threads = _SEVERAL if has_threads(system, machine) else _ONE
    return FIRST + threads + (_later() if is_later else _THERE)


def pool_text(system: str, machine: str) -> str:
    """The pool for an operating system (`linux` has one) and machine, as LLVM names them in triples."""
    always = SHARED + _ALWAYS
    if not has_threads(system, machine):
        return sharing_text(None) + always + _SERIAL
    clock = _CLOCK.get(machine, "add i64 0, 0")
    return sharing_text(clock) + always + cores_text(machine) + _linux(_FUTEX[machine], *_PAUSE[machine], clock)


def table_text() -> str:
    """Beside the pool: the addresses that the first question finds."""
    addresses = ", ".join(f"ptr @{name}" for name in ASKED)
    return f"""
declare i32 @tj_thread_count()
@tj_pool_functions = constant [{len(ASKED)} x ptr] [{addresses}]
"""


_THERE = """
define internal i1 @tj_pool_is_spared(i64 %work) nounwind {
  ret i1 false
}
"""

_FIND = f"""
declare ptr @tj_resolve(i32)
@tj_pool_known = internal global ptr null
@tj_pool_spared = internal global i64 0
define internal ptr @tj_pool_function(i64 %number) nounwind {{
start:
  %known = load atomic ptr, ptr @tj_pool_known acquire, align 8
  %unknown = icmp eq ptr %known, null
  br i1 %unknown, label %find, label %take
find:
  %found = call ptr @tj_resolve(i32 {NUMBER})
  store atomic ptr %found, ptr @tj_pool_known release, align 8
  br label %take
take:
  %functions = phi ptr [ %known, %start ], [ %found, %find ]
  %place = getelementptr ptr, ptr %functions, i64 %number
  %function = load ptr, ptr %place
  ret ptr %function
}}

; Whether work goes on without a pool that is not there yet: until it has been so much that a pool pays.
define internal i1 @tj_pool_is_spared(i64 %work) nounwind {{
  %known = load atomic ptr, ptr @tj_pool_known acquire, align 8
  %unknown = icmp eq ptr %known, null
  br i1 %unknown, label %count, label %no
count:
  %before = load atomic i64, ptr @tj_pool_spared monotonic, align 8
  %sum = add i64 %before, %work
  store atomic i64 %sum, ptr @tj_pool_spared monotonic, align 8
  %less = icmp slt i64 %sum, {SPARED}
  ret i1 %less
no:
  ret i1 false
}}
"""


def _later() -> str:
    return _FIND + "".join(_found(i, name, *row) for i, (name, row) in enumerate(ASKED.items()))


def _found(number: int, name: str, result: str, types: Sequence[str]) -> str:
    params = ", ".join(f"{type} %a{i}" for i, type in enumerate(types))
    call = f"call {result} %function({params})"
    return f"""
define {result} @{name}({params}) nounwind {{
  %function = call ptr @tj_pool_function(i64 {number})
  {call if result == "void" else f"%result = {call}"}
  ret {result}{"" if result == "void" else " %result"}
}}
"""


def has_threads(system: str, machine: str) -> bool:
    """Whether there is a pool for an operating system and machine."""
    return system == "linux" and machine in _FUTEX


def _linux(futex: int, declare_pause: str, pause: str, clock: str) -> str:
    return f"""
@tj_pool = internal global ptr null
{declare_pause}
declare i64 @llvm.readcyclecounter()
declare i64 @llvm.smin.i64(i64, i64)
declare i64 @syscall(i64, ...)
declare i32 @sched_yield()
declare ptr @mmap(ptr, i64, i32, i32, i32, i64)
declare i32 @madvise(ptr, i64, i32)
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_detach(i64)

; The pool's page, made on first use: private memory that a fork wipes. -1 where the system cannot do that.
define internal ptr @tj_pool_page() nounwind {{
  %known = load atomic ptr, ptr @tj_pool acquire, align 8
  %unset = icmp eq ptr %known, null
  br i1 %unset, label %make, label %done
done:
  ret ptr %known
make:
  %page = call ptr @mmap(ptr null, i64 4096, i32 3, i32 34, i32 -1, i64 0)
  %status = call i32 @madvise(ptr %page, i64 4096, i32 18)
  %refused = icmp ne i32 %status, 0
  %usable = select i1 %refused, ptr inttoptr (i64 -1 to ptr), ptr %page
  %pair = cmpxchg ptr @tj_pool, ptr null, ptr %usable acq_rel acquire
  %before = extractvalue {{ ptr, i1 }} %pair, 0
  %first = extractvalue {{ ptr, i1 }} %pair, 1
  %chosen = select i1 %first, ptr %usable, ptr %before
  ret ptr %chosen
}}

; Run the chunks of a loop; how many of them workers ran.
define internal i64 @tj_launch(ptr %function, ptr %record, i64 %count, i64 %wanted.grain) nounwind {{
start:
  %fewest = sdiv i64 %count, {_CHUNKS}
  %least = add i64 %fewest, 1
  %grain = call i64 @llvm.smax.i64(i64 %wanted.grain, i64 %least)
  %round = sub i64 %grain, 1
  %padded = add i64 %count, %round
  %chunks = sdiv i64 %padded, %grain
  %several = icmp sgt i64 %chunks, 1
  br i1 %several, label %threads, label %alone
alone:
  call void @tj_serial_for(ptr %function, ptr %record, i64 %count, i64 %grain)
  ret i64 0
threads:
  %wanted = call i32 @tj_thread_count()
  %single = icmp sle i32 %wanted, 1
  br i1 %single, label %alone, label %page
page:
  %pool = call ptr @tj_pool_page()
  %none = icmp eq ptr %pool, inttoptr (i64 -1 to ptr)
  br i1 %none, label %alone, label %lock
lock:
  %pair = cmpxchg ptr %pool, i32 0, i32 1 acquire monotonic
  %got = extractvalue {{ i32, i1 }} %pair, 1
  br i1 %got, label %launch, label %alone
launch:
  call void @tj_start_workers(ptr %pool, i32 %wanted)
  call void @tj_keep_apart(ptr %pool)
  call void @tj_publish(ptr %pool, ptr %function, ptr %record, i64 %count, i64 %grain, i64 %chunks)
  %begun = {clock}
  call void %function(ptr %record, i64 0, i64 %grain)
  %ran = call i64 @tj_work(ptr %pool, i1 false)
  %ended = {clock}
  %others = sub i64 %chunks, 1
  call void @tj_wait(ptr %pool, i64 %others)
  call void @tj_note_delay(ptr %pool)
  %helped = sub i64 %others, %ran
  %worked = sub i64 %ended, %begun
  call void @tj_pool_gained(i64 %helped, i64 %worked)
  store atomic i32 0, ptr %pool release, align 4
  ret i64 %helped
}}

define internal void @tj_start_workers(ptr %pool, i32 %threads) nounwind {{
entry:
  %handle = alloca i64
  %started_place = getelementptr i8, ptr %pool, i64 4
  %wanted = sub i32 %threads, 1
  %first = load i32, ptr %started_place
  br label %check
check:
  %started = phi i32 [ %first, %entry ], [ %next, %made ]
  %more = icmp slt i32 %started, %wanted
  br i1 %more, label %create, label %done
create:
  %status = call i32 @pthread_create(ptr %handle, ptr null, ptr @tj_worker, ptr %pool)
  %failed = icmp ne i32 %status, 0
  br i1 %failed, label %done, label %made
made:
  %thread = load i64, ptr %handle
  %detached = call i32 @pthread_detach(i64 %thread)
  %next = add i32 %started, 1
  store i32 %next, ptr %started_place
  br label %check
done:
  ret void
}}

define internal void @tj_publish(ptr %pool, ptr %function, ptr %record, i64 %count, i64 %grain, i64 %chunks) nounwind {{
  %function_place = getelementptr i8, ptr %pool, i64 72
  store ptr %function, ptr %function_place
  %record_place = getelementptr i8, ptr %pool, i64 80
  store ptr %record, ptr %record_place
  %count_place = getelementptr i8, ptr %pool, i64 88
  store i64 %count, ptr %count_place
  %grain_place = getelementptr i8, ptr %pool, i64 96
  store i64 %grain, ptr %grain_place
  %chunks_place = getelementptr i8, ptr %pool, i64 104
  store i64 %chunks, ptr %chunks_place
  %asleep_place = getelementptr i8, ptr %pool, i64 12
  %sleepers = load atomic i32, ptr %asleep_place monotonic, align 4
  %quiet = icmp eq i32 %sleepers, 0
  %now = {clock}
  %published = select i1 %quiet, i64 %now, i64 0
  %published_place = getelementptr i8, ptr %pool, i64 112
  store i64 %published, ptr %published_place
  %done_place = getelementptr i8, ptr %pool, i64 128
  store atomic i32 0, ptr %done_place monotonic, align 4
  %claimed_place = getelementptr i8, ptr %pool, i64 136
  store atomic i64 0, ptr %claimed_place monotonic, align 8
  %claim_place = getelementptr i8, ptr %pool, i64 64
  %old = load atomic i64, ptr %claim_place monotonic, align 8
  %generation = lshr i64 %old, 32
  %next = add i64 %generation, 1
  %high = shl i64 %next, 32
  %others = sub i64 %chunks, 1
  %front = or i64 %high, {_FIRST}
  %word = or i64 %front, %others
  store atomic i64 %word, ptr %claim_place release, align 8
  %wake_place = getelementptr i8, ptr %pool, i64 8
  %bumped = atomicrmw add ptr %wake_place, i32 1 seq_cst
  %asleep = load atomic i32, ptr %asleep_place seq_cst, align 4
  %any = icmp sgt i32 %asleep, 0
  br i1 %any, label %wake, label %done
wake:
  %delay_place = getelementptr i8, ptr %pool, i64 16
  %delay = load atomic i64, ptr %delay_place monotonic, align 8
  %part = sdiv i64 %delay, 8
  %faded = sub i64 %delay, %part
  store atomic i64 %faded, ptr %delay_place monotonic, align 8
  %status = call i64 (i64, ...) @syscall(i64 {futex}, ptr %wake_place, i64 129, i64 %others, ptr null, ptr null, i64 0)
  br label %done
done:
  ret void
}}

; The new delay where it is shorter, else a quarter of it and three of the old one: one late start is no reason to
; decline.
define internal void @tj_note_delay(ptr %pool) nounwind {{
  %claimed_place = getelementptr i8, ptr %pool, i64 136
  %claimed = load atomic i64, ptr %claimed_place monotonic, align 8
  %known = icmp sgt i64 %claimed, 0
  br i1 %known, label %note, label %done
note:
  %early = icmp slt i64 %claimed, {_LATE}
  %counted = select i1 %early, i64 %claimed, i64 {_LATE}
  %delay_place = getelementptr i8, ptr %pool, i64 16
  %before = load atomic i64, ptr %delay_place monotonic, align 8
  %thrice = mul i64 %before, 3
  %sum = add i64 %thrice, %counted
  %mean = sdiv i64 %sum, 4
  %better = call i64 @llvm.smin.i64(i64 %mean, i64 %counted)
  %first = icmp eq i64 %before, 0
  %after = select i1 %first, i64 %counted, i64 %better
  store atomic i64 %after, ptr %delay_place monotonic, align 8
  br label %done
done:
  ret void
}}

; Claim and run chunks until none is left; how many that were.
define internal i64 @tj_work(ptr %pool, i1 %is.worker) nounwind {{
start:
  %claim_place = getelementptr i8, ptr %pool, i64 64
  %step = select i1 %is.worker, i64 -1, i64 {_FIRST - 1}
  br label %look
look:
  %ran = phi i64 [ 0, %start ], [ %ran, %claim ], [ %and.one, %trips ]
  %word = load atomic i64, ptr %claim_place acquire, align 8
  %left = and i64 %word, {_CHUNKS}
  %none = icmp eq i64 %left, 0
  br i1 %none, label %out, label %claim
claim:
  %after = add i64 %word, %step
  %pair = cmpxchg ptr %claim_place, i64 %word, i64 %after acq_rel monotonic
  %got = extractvalue {{ i64, i1 }} %pair, 1
  br i1 %got, label %run, label %look
run:
  %function_place = getelementptr i8, ptr %pool, i64 72
  %function = load ptr, ptr %function_place
  %record_place = getelementptr i8, ptr %pool, i64 80
  %record = load ptr, ptr %record_place
  %count_place = getelementptr i8, ptr %pool, i64 88
  %count = load i64, ptr %count_place
  %grain_place = getelementptr i8, ptr %pool, i64 96
  %grain = load i64, ptr %grain_place
  %chunks_place = getelementptr i8, ptr %pool, i64 104
  %chunks = load i64, ptr %chunks_place
  %below = udiv i64 %word, {_FIRST}
  %front = and i64 %below, {_CHUNKS}
  %behind = add i64 %front, %left
  %back = sub i64 %behind, 1
  %chunk = select i1 %is.worker, i64 %back, i64 %front
  %others = sub i64 %chunks, 1
  %second = icmp eq i64 %left, %others
  br i1 %second, label %measure, label %trips
measure:
  %published_place = getelementptr i8, ptr %pool, i64 112
  %published = load i64, ptr %published_place
  %now = {clock}
  %waited = sub i64 %now, %published
  %unknown = icmp eq i64 %published, 0
  %claimed = select i1 %unknown, i64 0, i64 %waited
  %claimed_place = getelementptr i8, ptr %pool, i64 136
  store atomic i64 %claimed, ptr %claimed_place monotonic, align 8
  br label %trips
trips:
  %begin = mul i64 %chunk, %grain
  %sum = add i64 %begin, %grain
  %over = icmp sgt i64 %sum, %count
  %end = select i1 %over, i64 %count, i64 %sum
  call void %function(ptr %record, i64 %begin, i64 %end)
  %done_place = getelementptr i8, ptr %pool, i64 128
  %done = atomicrmw add ptr %done_place, i32 1 release
  %and.one = add i64 %ran, 1
  br label %look
out:
  ret i64 %ran
}}

; Wait for the chunks that workers have begun: briefly by spinning, then by yielding.
define internal void @tj_wait(ptr %pool, i64 %chunks) nounwind {{
start:
  %done_place = getelementptr i8, ptr %pool, i64 128
  %wanted = trunc i64 %chunks to i32
  br label %look
look:
  %spins = phi i32 [ 0, %start ], [ %more, %spin ], [ %spins, %yield ]
  %since = phi i64 [ 0, %start ], [ 0, %spin ], [ %from, %yield ]
  %done = load atomic i32, ptr %done_place acquire, align 4
  %all = icmp eq i32 %done, %wanted
  br i1 %all, label %out, label %rest
rest:
  %patient = icmp ult i32 %spins, {_SPIN}
  br i1 %patient, label %spin, label %yield
spin:
  {pause}
  %more = add i32 %spins, 1
  br label %look
yield:
  %now = {clock}
  %first = icmp eq i64 %since, 0
  %from = select i1 %first, i64 %now, i64 %since
  %status = call i32 @sched_yield()
  br label %look
out:
  %prompt = icmp eq i64 %since, 0
  br i1 %prompt, label %end, label %late
late:
  %then = {clock}
  %lost = sub i64 %then, %since
  call void @tj_pool_lost(i64 %lost, i64 %then)
  br label %end
end:
  ret void
}}

define internal ptr @tj_worker(ptr %pool) nounwind {{
start:
  %wake_place = getelementptr i8, ptr %pool, i64 8
  %asleep_place = getelementptr i8, ptr %pool, i64 12
  %claim_place = getelementptr i8, ptr %pool, i64 64
  %place = call ptr @tj_enter(ptr %pool)
  br label %work
work:
  call void @tj_note_core(ptr %place)
  %seen = load atomic i32, ptr %wake_place seq_cst, align 4
  %ran = call i64 @tj_work(ptr %pool, i1 true)
  %late = icmp eq i64 %ran, 0
  %limit = select i1 %late, i32 {_SPIN_LATE}, i32 {_SPIN}
  br label %look
look:
  %spins = phi i32 [ 0, %work ], [ %more, %spin ]
  %word = load atomic i64, ptr %claim_place acquire, align 8
  %left = and i64 %word, {_CHUNKS}
  %new = icmp ne i64 %left, 0
  br i1 %new, label %work, label %rest
rest:
  %patient = icmp ult i32 %spins, %limit
  br i1 %patient, label %spin, label %sleep
spin:
  {pause}
  %more = add i32 %spins, 1
  br label %look
sleep:
  %before = atomicrmw add ptr %asleep_place, i32 1 seq_cst
  %value = zext i32 %seen to i64
  %status = call i64 (i64, ...) @syscall(i64 {futex}, ptr %wake_place, i64 128, i64 %value, ptr null, ptr null, i64 0)
  %after = atomicrmw sub ptr %asleep_place, i32 1 seq_cst
  br label %work
}}
"""
