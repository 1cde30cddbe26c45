"""When the work of a loop or product is shared among the threads of the pool, as LLVM text.

Much work is shared always. Of little work, waking a thread costs more than it brings; but while the workers of the pool
are awake, a launch costs a tenth of that, and less is shared.

How long others take to begin is measured where the machine has a clock that a program may read: between cores that
share no cache, or where other work keeps a worker from its core, small launches cost more than they bring. A delay
that was long fades with each launch that wakes workers.

Launches that are too small to wake anybody are often one of many: a sweep of a loop over sweeps. Work that the caller
does alone without a pause is owed; when it is enough, the next launch wakes the workers, and while they are awake the
small ones are shared. Where that brought nothing, because the workers came late or ran on the caller's core, twice as
much must be owed the next time. Where the caller waited for a worker that had lost its core, longer than sharing small
launches has gained of late, they stay alone for a multiple of what is missing.
"""

from __future__ import annotations

#: A chunk is at least 10 us of work, which is counted as `llvm/parallel` says; a reduction has few chunks.
CHUNK_WORK = 2_000_000
MAX_CHUNKS = 256

#: Products of fewer multiplications run on one thread, and a chunk of a larger one has about so many.
PRODUCT_WORK, PRODUCT_CHUNK = 1 << 22, 1 << 19
#: So many numbers of chunks a thread are tried, from the fewest on.
ROUNDS = 4
#: The work of a multiplication, and of reading an element of a matrix: products of few rows wait for memory.
COMPUTED, READ = 4, 12
#: While the workers of the pool are awake, a launch costs a tenth of what it does otherwise. Then less work is shared,
#: in as many chunks as there are threads where each has as much as this: a thread finds in its caches what it wrote in
#: the launch before. A reduction has the same chunks always.
AWAKE_CHUNK, AWAKE_PRODUCT = 250_000, 1 << 16

#: Clock ticks (some 150 ns) in which a worker that is awake begins, where it shares a cache with the caller; after how
#: many declined launches one is tried. Where workers begin later, half of what a thread reads of small chunks comes
#: from the cache of another: these need so many multiplications for each element of a product's matrices, or so many
#: times what is enough of other work.
NEAR, RETRY, FAR_REUSE, FAR_FACTOR = 450, 64, 64, 2

#: Work that the caller of a process does alone before there is a pool (3 ms): to compile it takes four times as long.
SPARED = 600_000_000

#: Work that is owed for each worker until they are woken, and at most, after they brought nothing; clock ticks that end
#: what is owed (20 us: as long as workers stay awake).
OWED, MOST_OWED, PAUSE = 20_000_000, 20_000_000 << 4, 60_000

#: Clock ticks of gain that are remembered at most (10 ms); how many times as long as they lost beyond it small launches
#: stay alone.
MOST_GAINED, REPENTANCE = 30_000_000, 20

#: Where there is no pool.
_ALONE = """
define internal i1 @tj_pool_is_far() nounwind {
  ret i1 false
}
define i1 @tj_pool_is_near() nounwind {
  ret i1 false
}
define internal i1 @tj_pool_gains(i64 %work) nounwind {
  ret i1 false
}
define internal void @tj_pool_owes(i64 %work) nounwind {
  ret void
}
define internal void @tj_pool_learns(i64 %helped) nounwind {
  ret void
}
"""

#: What every launch asks first: whether there is enough work to think of threads at all. Runs a loop whose trips are
#: `each` work: alone where that is much less than `enough`, else perhaps in chunks, of which a `reduction` has at most
#: MAX_CHUNKS. The record's first cell gets the trips per chunk; the result is how many chunks a reduction has.
#: The tiles of a product, each of `each` multiplications, on `elements`, run alone if they are few or not to `share`.
#: Beside it is to be defined what is `ASKED` then, and `@tj_pool_is_spared(work)`: whether work is done alone because
#: the pool is not there yet.
FIRST = f"""
define i64 @tj_share(ptr %function, ptr %record, i64 %count, i64 %each, i64 %enough, i1 %reduction) nounwind {{
  %work = mul i64 %each, %count
  %light = icmp slt i64 %work, %enough
  %short = icmp slt i64 %count, %enough
  %little = and i1 %light, %short
  %small = icmp slt i64 %work, {2 * AWAKE_CHUNK}
  %never = or i1 %small, %reduction
  %plain = and i1 %little, %never
  br i1 %plain, label %alone, label %perhaps
perhaps:
  br i1 %reduction, label %ask, label %early
early:
  %spared = call i1 @tj_pool_is_spared(i64 %work)
  br i1 %spared, label %alone, label %ask
ask:
  %chunks = call i64 @tj_share_work(
      ptr %function, ptr %record, i64 %count, i64 %each, i64 %enough, i1 %reduction, i1 %little)
  %none = icmp eq i64 %chunks, 0
  br i1 %none, label %alone, label %done
done:
  ret i64 %chunks
alone:
  %whole = add i64 %count, 1
  store i64 %whole, ptr %record
  call void %function(ptr %record, i64 0, i64 %count)
  ret i64 1
}}

define void @tj_share_tiles(
    ptr %function, ptr %record, i64 %count, i64 %each, i64 %elements, i1 %share) nounwind {{
  %work = mul i64 %count, %each
  %enough = icmp sge i64 %work, {2 * AWAKE_PRODUCT}
  %several = and i1 %share, %enough
  br i1 %several, label %perhaps, label %alone
perhaps:
  %cost = mul i64 %work, {COMPUTED}
  %spared = call i1 @tj_pool_is_spared(i64 %cost)
  br i1 %spared, label %alone, label %ask
ask:
  call void @tj_share_product(ptr %function, ptr %record, i64 %count, i64 %each, i64 %elements)
  ret void
alone:
  call void %function(ptr %record, i64 0, i64 %count)
  ret void
}}
"""

#: What they ask then: functions of the pool, with the types of their arguments.
ASKED = {
    "tj_share_work": ("i64", ("ptr", "ptr", "i64", "i64", "i64", "i1", "i1")),
    "tj_share_product": ("void", ("ptr", "ptr", "i64", "i64", "i64")),
    "tj_share_zeros": ("void", ("ptr", "i64")),
    "tj_parallel_for": ("void", ("ptr", "ptr", "i64", "i64")),
}

#: Runs a loop in chunks as `tj_share` says, or gives 0 where it should run alone; `little`: it is too little for waking
#: anybody.
_LOOP = f"""
define internal i64 @tj_ceildiv(i64 %count, i64 %by) nounwind {{
  %less = sub i64 %by, 1
  %padded = add i64 %count, %less
  %quotient = sdiv i64 %padded, %by
  ret i64 %quotient
}}

define internal i64 @tj_even_grain(i64 %count, i64 %parts) nounwind {{
  %threads = call i32 @tj_thread_count()
  %wide = zext i32 %threads to i64
  %fewer = icmp slt i64 %parts, %wide
  %chunks = select i1 %fewer, i64 %parts, i64 %wide
  %grain = call i64 @tj_ceildiv(i64 %count, i64 %chunks)
  ret i64 %grain
}}

; How many trips a thread takes of little work: all, if it is not worth sharing.
define internal i64 @tj_little_grain(i64 %count, i64 %parts, i64 %work) nounwind {{
  %gains = call i1 @tj_pool_gains(i64 %work)
  br i1 %gains, label %evenly, label %alone
evenly:
  %even = call i64 @tj_even_grain(i64 %count, i64 %parts)
  ret i64 %even
alone:
  %all = add i64 %count, 1
  ret i64 %all
}}

define internal void @tj_run_little(ptr %function, ptr %record, i64 %count, i64 %grain, i64 %work) nounwind {{
  %alone = icmp sgt i64 %grain, %count
  br i1 %alone, label %owe, label %launch
launch:
  %helped = call i64 @tj_launch(ptr %function, ptr %record, i64 %count, i64 %grain)
  call void @tj_pool_learns(i64 %helped)
  ret void
owe:
  call void %function(ptr %record, i64 0, i64 %count)
  call void @tj_pool_owes(i64 %work)
  ret void
}}

define i64 @tj_share_work(
    ptr %function, ptr %record, i64 %count, i64 %each, i64 %enough, i1 %reduction, i1 %little) nounwind {{
  %work = mul i64 %each, %count
  br i1 %little, label %ask, label %several
ask:
  %parts = sdiv i64 %work, {AWAKE_CHUNK}
  %few = call i64 @tj_little_grain(i64 %count, i64 %parts, i64 %work)
  store i64 %few, ptr %record
  call void @tj_run_little(ptr %function, ptr %record, i64 %count, i64 %few, i64 %work)
  ret i64 1
several:
  %much = mul i64 %enough, {FAR_FACTOR}
  %huge = icmp sge i64 %work, %much
  %anyway = or i1 %huge, %reduction
  br i1 %anyway, label %chunked, label %question
question:
  %far = call i1 @tj_pool_is_far()
  br i1 %far, label %alone, label %chunked
alone:
  ret i64 0
chunked:
  %idle = icmp slt i64 %each, 1
  %cost = select i1 %idle, i64 1, i64 %each
  %fitting = sdiv i64 {CHUNK_WORK}, %cost
  %padded = add i64 %count, {MAX_CHUNKS - 1}
  %bounded = sdiv i64 %padded, {MAX_CHUNKS}
  %bound = select i1 %reduction, i64 %bounded, i64 1
  %coarse = icmp sgt i64 %fitting, %bound
  %grain = select i1 %coarse, i64 %fitting, i64 %bound
  store i64 %grain, ptr %record
  call void @tj_parallel_for(ptr %function, ptr %record, i64 %count, i64 %grain)
  %last = sub i64 %grain, 1
  %sum = add i64 %count, %last
  %chunks = sdiv i64 %sum, %grain
  ret i64 %chunks
}}
"""

#: Runs the tiles of a product: few of them, and those that reuse little, in one chunk for each thread, whose operands
#: may lie in its cache from the product before.
_PRODUCT = f"""
define void @tj_share_product(
    ptr %function, ptr %record, i64 %count, i64 %each, i64 %elements) nounwind {{
  %work = mul i64 %count, %each
  %large = icmp sge i64 %work, {PRODUCT_WORK}
  br i1 %large, label %distance, label %hasty
distance:
  %moved = mul i64 %elements, {FAR_REUSE}
  %dense = icmp sge i64 %work, %moved
  br i1 %dense, label %chunks, label %question
question:
  %far = call i1 @tj_pool_is_far()
  br i1 %far, label %hasty, label %chunks
hasty:
  %parts = sdiv i64 %work, {AWAKE_PRODUCT}
  %computed = mul i64 %work, {COMPUTED}
  %read = mul i64 %elements, {READ}
  %cost = add i64 %computed, %read
  %few = call i64 @tj_little_grain(i64 %count, i64 %parts, i64 %cost)
  call void @tj_run_little(ptr %function, ptr %record, i64 %count, i64 %few, i64 %cost)
  ret void
chunks:
  %wanted = sdiv i64 {PRODUCT_CHUNK}, %each
  %most = add i64 %wanted, 1
  %grain = call i64 @tj_fair_grain(i64 %count, i64 %most)
  call void @tj_parallel_for(ptr %function, ptr %record, i64 %count, i64 %grain)
  ret void
}}

; Of about `most` trips in a chunk as many as leave the thread that has the most to do the least.
define internal i64 @tj_fair_grain(i64 %count, i64 %most) nounwind {{
start:
  %threads = call i32 @tj_thread_count()
  %wide = zext i32 %threads to i64
  %abreast = mul i64 %most, %wide
  %fewest = call i64 @tj_ceildiv(i64 %count, i64 %abreast)
  %beyond = add i64 %fewest, {ROUNDS}
  br label %try
try:
  %rounds = phi i64 [ %fewest, %start ], [ %rounds1, %try ]
  %best = phi i64 [ %most, %start ], [ %best1, %try ]
  %least = phi i64 [ {(1 << 63) - 1}, %start ], [ %least1, %try ]
  %chunks = mul i64 %rounds, %wide
  %grain = call i64 @tj_ceildiv(i64 %count, i64 %chunks)
  %longest = mul i64 %rounds, %grain
  %is.better = icmp slt i64 %longest, %least
  %best1 = select i1 %is.better, i64 %grain, i64 %best
  %least1 = select i1 %is.better, i64 %longest, i64 %least
  %rounds1 = add i64 %rounds, 1
  %more = icmp slt i64 %rounds1, %beyond
  br i1 %more, label %try, label %done
done:
  ret i64 %best1
}}
"""

#: Goes on at `ask`, with the %pool, where one has been made, else to `no`.
_ASK_POOL = """\
  %pool = load atomic ptr, ptr @tj_pool acquire, align 8
  %unmade = icmp eq ptr %pool, null
  %refused = icmp eq ptr %pool, inttoptr (i64 -1 to ptr)
  %none = or i1 %unmade, %refused
  br i1 %none, label %no, label %ask
ask:
"""


def sharing_text(clock: str | None) -> str:
    """What they ask then; `clock` is the instruction that reads a clock, None where there is no pool."""
    return _LOOP + _PRODUCT + (_ALONE if clock is None else _by_pool(clock))


def _by_pool(clock: str) -> str:
    return f"""
declare i64 @llvm.readcyclecounter()
declare i64 @llvm.smin.i64(i64, i64)
declare i64 @llvm.smax.i64(i64, i64)
@tj_owed = internal global i64 0
@tj_owed_at = internal global i64 0
@tj_patience = internal global i64 {OWED}
@tj_alone_until = internal global i64 0
@tj_gained = internal global i64 0

; A launch that workers helped with saved the caller about as much time as it worked itself.
define internal void @tj_pool_gained(i64 %helped, i64 %worked) nounwind {{
  %some = icmp sgt i64 %helped, 0
  br i1 %some, label %note, label %done
note:
  %before = load atomic i64, ptr @tj_gained monotonic, align 8
  %sum = add i64 %before, %worked
  %kept = call i64 @llvm.smin.i64(i64 %sum, i64 {MOST_GAINED})
  store atomic i64 %kept, ptr @tj_gained monotonic, align 8
  br label %done
done:
  ret void
}}

; The caller has waited so long for a worker that had lost its core.
define internal void @tj_pool_lost(i64 %lost, i64 %now) nounwind {{
  %gained = load atomic i64, ptr @tj_gained monotonic, align 8
  %left = sub i64 %gained, %lost
  %kept = call i64 @llvm.smax.i64(i64 %left, i64 0)
  store atomic i64 %kept, ptr @tj_gained monotonic, align 8
  %none = icmp slt i64 %left, 0
  br i1 %none, label %repent, label %done
repent:
  %alone = mul i64 %left, -{REPENTANCE}
  %until = add i64 %now, %alone
  store atomic i64 %until, ptr @tj_alone_until monotonic, align 8
  br label %done
done:
  ret void
}}

; Whether workers take long to begin, except that now and then it is tried again.
define internal i1 @tj_pool_is_far() nounwind {{
{_ASK_POOL}  %delay_place = getelementptr i8, ptr %pool, i64 16
  %delay = load atomic i64, ptr %delay_place monotonic, align 8
  %late = icmp sgt i64 %delay, {NEAR}
  br i1 %late, label %decline, label %no
decline:
  %declined_place = getelementptr i8, ptr %pool, i64 24
  %declined = load atomic i32, ptr %declined_place monotonic, align 4
  %next = add i32 %declined, 1
  %again = icmp sge i32 %next, {RETRY}
  %kept = select i1 %again, i32 0, i32 %next
  store atomic i32 %kept, ptr %declined_place monotonic, align 4
  %far = xor i1 %again, true
  ret i1 %far
no:
  ret i1 false
}}

; Whether workers wait for work with open eyes and begin soon, so that a launch costs less than a microsecond.
define i1 @tj_pool_is_near() nounwind {{
{_ASK_POOL}  %started_place = getelementptr i8, ptr %pool, i64 4
  %started = load atomic i32, ptr %started_place monotonic, align 4
  %asleep_place = getelementptr i8, ptr %pool, i64 12
  %asleep = load atomic i32, ptr %asleep_place monotonic, align 4
  %some = icmp sgt i32 %started, 0
  %all = icmp eq i32 %asleep, 0
  %awake = and i1 %some, %all
  br i1 %awake, label %distance, label %no
distance:
  %far = call i1 @tj_pool_is_far()
  %near = xor i1 %far, true
  ret i1 %near
no:
  ret i1 false
}}

; Whether work that does not pay waking anybody is to be shared all the same: because workers are awake, or because so
; much is owed that they shall be.
define internal i1 @tj_pool_gains(i64 %work) nounwind {{
start:
  %now = {clock}
  %until = load atomic i64, ptr @tj_alone_until monotonic, align 8
  %repents = icmp slt i64 %now, %until
  br i1 %repents, label %no, label %find
find:
  %pool = load atomic ptr, ptr @tj_pool acquire, align 8
  %unmade = icmp eq ptr %pool, null
  br i1 %unmade, label %count, label %made
count:
  %threads = call i32 @tj_thread_count()
  %others = sub i32 %threads, 1
  br label %sleeping
made:
  %refused = icmp eq ptr %pool, inttoptr (i64 -1 to ptr)
  br i1 %refused, label %no, label %look
look:
  %asleep_place = getelementptr i8, ptr %pool, i64 12
  %asleep = load atomic i32, ptr %asleep_place monotonic, align 4
  %some = icmp sgt i32 %asleep, 0
  br i1 %some, label %sleeping, label %awake
awake:
  %long = icmp sge i64 %work, {CHUNK_WORK}
  br i1 %long, label %yes, label %short
short:
  %near = call i1 @tj_pool_is_near()
  ret i1 %near
sleeping:
  %sleepers = phi i32 [ %others, %count ], [ %asleep, %look ]
  %ended = load atomic i64, ptr @tj_owed_at monotonic, align 8
  %pause = sub i64 %now, %ended
  %idle = icmp sgt i64 %pause, {PAUSE}
  %owed = load atomic i64, ptr @tj_owed monotonic, align 8
  %patience = load atomic i64, ptr @tj_patience monotonic, align 8
  %each = zext i32 %sleepers to i64
  %enough = mul i64 %patience, %each
  %little = icmp slt i64 %owed, %enough
  br i1 %idle, label %forget, label %weigh
weigh:
  br i1 %little, label %no, label %wake
wake:
  store atomic i64 0, ptr @tj_owed monotonic, align 8
  br label %yes
forget:
  store atomic i64 0, ptr @tj_owed monotonic, align 8
  br label %no
yes:
  ret i1 true
no:
  ret i1 false
}}

; Work that the caller has done alone.
define internal void @tj_pool_owes(i64 %work) nounwind {{
  %before = load atomic i64, ptr @tj_owed monotonic, align 8
  %owed = add i64 %before, %work
  store atomic i64 %owed, ptr @tj_owed monotonic, align 8
  %now = {clock}
  store atomic i64 %now, ptr @tj_owed_at monotonic, align 8
  ret void
}}

; A worker that ran something and sleeps by now had the caller's core.
define internal void @tj_pool_learns(i64 %helped) nounwind {{
{_ASK_POOL}  %asleep_place = getelementptr i8, ptr %pool, i64 12
  %asleep = load atomic i32, ptr %asleep_place monotonic, align 4
  %awake = icmp eq i32 %asleep, 0
  %some = icmp sgt i64 %helped, 0
  %gained = and i1 %awake, %some
  %before = load atomic i64, ptr @tj_patience monotonic, align 8
  %twice = shl i64 %before, 1
  %more = call i64 @llvm.smin.i64(i64 %twice, i64 {MOST_OWED})
  %patience = select i1 %gained, i64 {OWED}, i64 %more
  store atomic i64 %patience, ptr @tj_patience monotonic, align 8
  ret void
no:
  ret void
}}
"""
