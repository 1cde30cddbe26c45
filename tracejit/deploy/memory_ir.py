"""Memory of an exported library: `tj_alloc` and `tj_free` as native code.

Every block lies behind a header that holds the address to free and room for the sizes of the tensor it may become.
While a call has an arena, blocks are taken from it first; they are given back as a whole when the call ends.

    header: ... sizes (15 x i64) ... | ptr to free (null: in the arena)      block (64-byte aligned) ...
"""

from __future__ import annotations

from ctypes import Structure, c_void_p

from tracejit.runtime.emitter import Emitter

ALIGNMENT = 64
HEADER = 128
MAX_RANK = HEADER // 8 - 1


class Arena(Structure):
    """The arena of the running call, one per thread: the next free byte and the end."""

    _fields_ = (("next", c_void_p), ("end", c_void_p))


def emit_memory(e: Emitter) -> None:
    """tj_alloc, tj_free, and the thread's arena."""
    e.define("tj_arena", "internal thread_local global [2 x i64] zeroinitializer, align 8")
    _alloc(e)
    _free(e)


def _alloc(e: Emitter) -> None:
    with e.function("hidden ptr @tj_alloc(i64 %asked)"):
        with e.when(e.compare("ugt", "i64", "%asked", 1 << 46)):
            e.leave("ptr null")
        rounded = e.op(f"and i64 {e.add('%asked', ALIGNMENT - 1)}, {-ALIGNMENT}")
        needed = e.add(rounded, HEADER)
        following = e.get(Arena, "next", "@tj_arena")
        start = e.op(f"ptrtoint ptr {following} to i64")
        end = e.op(f"ptrtoint ptr {e.get(Arena, 'end', '@tj_arena')} to i64")
        with e.when(e.compare("uge", "i64", e.op(f"sub i64 {end}, {start}"), needed)):
            e.put(Arena, "next", "@tj_arena", e.at(following, needed))
            block = e.at(following, HEADER)
            e.store("ptr", "null", block, -8)
            e.leave(f"ptr {block}")
        raw = e.call("ptr", "tj_take", f"i64 {e.add(needed, ALIGNMENT)}")
        with e.when(e.compare("eq", "ptr", raw, "null")):
            e.leave("ptr null")
        behind = e.add(e.op(f"ptrtoint ptr {raw} to i64"), HEADER + ALIGNMENT - 1)
        block = e.op(f"inttoptr i64 {e.op(f'and i64 {behind}, {-ALIGNMENT}')} to ptr")
        e.store("ptr", raw, block, -8)
        e.leave(f"ptr {block}")


def _free(e: Emitter) -> None:
    with e.function("hidden void @tj_free(ptr %block)"):
        with e.when(e.compare("ne", "ptr", "%block", "null")):
            e.call("void", "tj_give", f"ptr {e.load('ptr', '%block', -8)}")  # ignores null
        e.leave("void")


def open_arena(e: Emitter, arena: str, size: str) -> None:
    """Let this thread allocate from `arena` (null: no arena) until `close_arena`."""
    e.put(Arena, "next", "@tj_arena", arena)
    e.put(Arena, "end", "@tj_arena", e.at(arena, size))


def close_arena(e: Emitter) -> None:
    """Allocate from the C library again."""
    e.put(Arena, "next", "@tj_arena", "null")
    e.put(Arena, "end", "@tj_arena", "null")
