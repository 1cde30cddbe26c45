"""Ctrl-C in native loops: the poll hook of `tj_context`, and the exception it leaves there; what native code asks for.

A loop asks the hook now and then (`codegen/llvm/entry.py`). The hook looks at the clock first, so that the interpreter
is asked at most once a second: to ask it is to wait until another thread gives the interpreter lock away. Then signal
handlers of the program run, as they would between two lines of Python, and what they raise ends the call.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import traceback
from _thread import interrupt_main
from collections.abc import Callable
from ctypes import c_void_p
from functools import cache

from tracejit.runtime.addresses import address_of
from tracejit.runtime.dispatch_tables import NativeContext, offset_of
from tracejit.runtime.images import names_outside


def poll_hook() -> int | None:
    """Address of the hook, which is part of the support library; None where there is none."""
    from tracejit.runtime.engine import engine

    return engine().support["tj_poll"] if can_poll() else None


@cache
def can_poll() -> bool:
    """Whether the C library is known to have the hook's clock."""
    return sys.platform != "win32" and address_of(ctypes.CDLL(None), "time") != 0


def interruption(context: int) -> BaseException:
    """The exception that ended the call of that context; the context's reference to it is taken."""
    held = c_void_p.from_address(context + offset_of(NativeContext, "interruption"))
    error = ctypes.cast(held, ctypes.py_object).value
    ctypes.pythonapi.Py_DecRef(ctypes.py_object(error))
    return error


def python_symbols(data: bytes) -> dict[str, int]:
    """Addresses of the functions of the interpreter that object code names."""
    names = sorted(name for name in names_outside(data) if name.startswith("Py"))
    return {name: address_of(ctypes.pythonapi, name) for name in names}


def poll_text() -> str:
    """The module of the hook, `tj_poll`."""
    from tracejit.runtime.emitter import Emitter

    e = Emitter()
    last = e.define("tj_polled", "internal global i64 0")
    with e.function("i32 @tj_poll(ptr %context)"):
        now = e.call("i64", "time", "ptr null")
        with e.when(e.compare("eq", "i64", now, e.load("i64", last))):
            e.leave("i32 0")
        e.store("i64", now, last)
        state = e.call("i32", "PyGILState_Ensure")
        raised = e.compare("ne", "i32", e.call("i32", "PyErr_CheckSignals"), 0)
        with e.when(raised):
            type_, value, trace = (e.variable("ptr", "null") for _ in range(3))
            parts = tuple(f"ptr {part}" for part in (type_, value, trace))
            e.call("void", "PyErr_Fetch", *parts)
            e.call("void", "PyErr_NormalizeException", *parts)
            e.put(NativeContext, "interruption", "%context", e.load("ptr", value))
            for part in (type_, trace):
                e.call("void", "Py_DecRef", f"ptr {e.load('ptr', part)}")  # ignores null
        e.call("void", "PyGILState_Release", f"i32 {state}")
        e.leave(f"i32 {e.op(f'zext i1 {raised} to i32')}")
    return e.module()


#: How often what native code waits for is tried: the handler of a signal may raise anything meanwhile, but not often.
_TRIES = 3


def put_address(place: int, find: Callable[[], int]) -> None:
    """Put the address that `find` gives where native code looks for it. That waits and cannot be interrupted: a Ctrl-C
    is raised again a little later, and the process ends where nothing can be found."""
    address, failures, interrupted = c_void_p.from_address(place), 0, False
    while not address.value:
        try:
            address.value = find()
        except KeyboardInterrupt:
            interrupted = True
        except BaseException:
            traceback.print_exc()
            failures += 1
            if failures == _TRIES:
                ending = "tracejit: a running program cannot go on without this; the process ends"
                print(ending, file=sys.stderr, flush=True)
                os.abort()
    if interrupted:
        threading.Timer(0.01, interrupt_main).start()


#: Calls of Python that what native code asks for may need beyond those that the caller has left.
_ROOM = 1000


def resolve_text() -> str:
    """The module of `tj_resolve(number)`, which asks the callback `tj_ask(number, place)` for an address.

    The callback may fail before its first line: no call is left to the caller, or a signal came. ctypes then gives no
    result, so what counts is what lies at the place; it is asked again until something does.
    """
    from tracejit.runtime.emitter import Emitter

    e = Emitter()
    with e.function("ptr @tj_resolve(i32 %number)"):
        place = e.variable("ptr", "null")
        state = e.call("i32", "PyGILState_Ensure")
        limit = e.call("i32", "Py_GetRecursionLimit")
        e.call("void", "Py_SetRecursionLimit", f"i32 {e.op(f'add i32 {limit}, {_ROOM}')}")
        e.label("ask")
        e.call("void", "tj_ask", "i32 %number", f"ptr {place}")
        found = e.load("ptr", place)
        with e.when(e.compare("eq", "ptr", found, "null")):
            e.goto("ask")
        e.call("void", "Py_SetRecursionLimit", f"i32 {limit}")
        e.call("void", "PyGILState_Release", f"i32 {state}")
        e.leave(f"ptr {found}")
    return e.module()
