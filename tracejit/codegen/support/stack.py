"""How far a thread's stack may be used, as LLVM text: `i64 @tj_stack_limit()`, an address that recursion stays above.

On Linux the C library knows each thread's stack. For the main thread it reads a file of /proc, so that answer is kept:
the main thread's stack never moves, and no other stack has addresses inside it. Elsewhere a budget is counted from
where the question is asked, small enough for the smallest default stack of a thread.
"""

from __future__ import annotations

#: Bytes left for what runs on top of the deepest call: kernels, the C library, matrix products.
_MARGIN = 128 << 10
#: Bytes that may be used where the stack's size is not known.
_BUDGET = 64 << 10

_GETTID = {"x86_64": 186, "aarch64": 178}

_HERE = """
  %probe = alloca i64
  %here = ptrtoint ptr %probe to i64"""

_ANYWHERE = f"""
define i64 @tj_stack_limit() nounwind noinline {{{_HERE}
  %limit = sub i64 %here, {_BUDGET}
  ret i64 %limit
}}
"""


def stack_text(system: str, machine: str) -> str:
    """The function for an operating system and machine, as LLVM names them in triples."""
    if system != "linux" or machine not in _GETTID:
        return _ANYWHERE
    return f"""
@tj_main_low = internal global i64 0
@tj_main_high = internal global i64 0
@tj_main_limit = internal global i64 0
declare i64 @pthread_self()
declare i32 @pthread_getattr_np(i64, ptr)
declare i32 @pthread_attr_getstack(ptr, ptr, ptr)
declare i32 @pthread_attr_destroy(ptr)
declare i32 @getpid()
declare i64 @syscall(i64, ...)
declare i64 @llvm.umin.i64(i64, i64)

define i64 @tj_stack_limit() nounwind noinline {{
start:{_HERE}
  %main_high = load atomic i64, ptr @tj_main_high acquire, align 8
  %main_low = load atomic i64, ptr @tj_main_low monotonic, align 8
  %above = icmp uge i64 %here, %main_low
  %below = icmp ult i64 %here, %main_high
  %known = and i1 %above, %below
  br i1 %known, label %kept, label %ask
kept:
  %main_limit = load atomic i64, ptr @tj_main_limit monotonic, align 8
  ret i64 %main_limit
ask:
  %attributes = alloca [128 x i8], align 16
  %low_place = alloca i64
  %size_place = alloca i64
  %self = call i64 @pthread_self()
  %failed = call i32 @pthread_getattr_np(i64 %self, ptr %attributes)
  %answered = icmp eq i32 %failed, 0
  br i1 %answered, label %read, label %guess
guess:
  %guessed = sub i64 %here, {_BUDGET}
  ret i64 %guessed
read:
  %1 = call i32 @pthread_attr_getstack(ptr %attributes, ptr %low_place, ptr %size_place)
  %2 = call i32 @pthread_attr_destroy(ptr %attributes)
  %low = load i64, ptr %low_place
  %size = load i64, ptr %size_place
  %high = add i64 %low, %size
  %quarter = lshr i64 %size, 2
  %margin = call i64 @llvm.umin.i64(i64 %quarter, i64 {_MARGIN})
  %limit = add i64 %low, %margin
  %thread = call i64 (i64, ...) @syscall(i64 {_GETTID[machine]})
  %process = call i32 @getpid()
  %wide = sext i32 %process to i64
  %is_main = icmp eq i64 %thread, %wide
  br i1 %is_main, label %keep, label %done
keep:
  store atomic i64 %low, ptr @tj_main_low monotonic, align 8
  store atomic i64 %limit, ptr @tj_main_limit monotonic, align 8
  store atomic i64 %high, ptr @tj_main_high release, align 8
  br label %done
done:
  ret i64 %limit
}}
"""
