"""Calling native code from Python at the price of a builtin.

A `FastCallable` is what a user holds. Calling it runs a native function that tries the object's specialisations in
order: guards on every argument, unboxing, the compiled entry, boxing of the results. When none fits, `slow_call` (plain
Python, defined by the subclass) gets the arguments. Where this process is not laid out as the native path expects,
`is_available()` is false and every call is a `slow_call`.
"""

from __future__ import annotations

import ctypes
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from ctypes import addressof, c_int32, c_int64, c_void_p
from functools import cache
from typing import Any

import numpy as np

from tracejit.locks import Lock
from tracejit.runtime import dispatch_tables as tables
from tracejit.runtime import errands
from tracejit.runtime.callable_type import is_known_interpreter, make_base, use_vectorcall
from tracejit.runtime.guards import Argument, NativeEntry, ResultPlan
from tracejit.runtime.specialisation import Specialisation

_ARRAY_API_TYPE, _ARRAY_API_SCALAR, _ARRAY_API_NEW, _ARRAY_API_SET_BASE = 2, 60, 94, 282
_ARRAY_API_LENGTH = 300
_CAPSULE_NAME = ctypes.create_string_buffer(b"tracejit.memory")
_SLOW_NAME = sys.intern("slow_call")
_ONE = 1

_Base: Any = make_base()


class FastCallable(_Base):
    """A callable with specialisations that are tried natively; other calls go to `slow_call(*args, **kwargs)`."""

    _specialisations: list[Specialisation]

    def __init__(self) -> None:
        self._specialisations = []
        self._vectorcall = 0
        self._chain = 0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        use_vectorcall(cls)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.slow_call(*args, **kwargs)

    def slow_call(self, *args: Any, **kwargs: Any) -> Any:
        """A call that no specialisation serves natively."""
        raise NotImplementedError

    def install(self, specialisation: Specialisation) -> None:
        """Try this specialisation after those installed before."""
        call = _native_call()
        if call is None:
            return
        if self._specialisations:
            self._specialisations[-1].table.next = specialisation.address
        else:
            self._chain = specialisation.address
            self._vectorcall = call
        self._specialisations.append(specialisation)
        with _lock:
            _serving.add(self)
            if _pauses:
                self._vectorcall = 0


_lock = Lock()
_serving: weakref.WeakSet[FastCallable] = weakref.WeakSet()
_pauses = 0


@contextmanager
def all_slow() -> Iterator[None]:
    """Inside, every call of every thread is a `slow_call`."""
    global _pauses
    with _lock:
        _pauses += 1
        for callable_ in _serving:
            callable_._vectorcall = 0
    try:
        yield
    finally:
        with _lock:
            _pauses -= 1
            call = _native_call() or 0
            for callable_ in () if _pauses else _serving:
                callable_._vectorcall = call if callable_._specialisations else 0


class _Entry(FastCallable):
    """One specialisation with a Python function for all other calls."""

    def __init__(self, fallback: Callable[..., Any]) -> None:
        super().__init__()
        self.slow_call = fallback


def build_entry(
    native: NativeEntry, arguments: Sequence[Argument], results: ResultPlan, fallback: Callable[..., Any]
) -> Callable[..., Any]:
    """A callable of positional arguments that runs `native` where the guards hold, else `fallback(*args)`."""
    entry = _Entry(fallback)
    positional = 1 + max((argument.root for argument in arguments), default=-1)
    entry.install(Specialisation(native, arguments, results, positional))
    return entry


def is_available() -> bool:
    """Whether calls can enter native code directly in this process."""
    return _native_call() is not None


def is_decided() -> bool:
    """Whether `is_available` answers at once: the first time it compiles the native path."""
    return _made_call.cache_info().currsize > 0


def make_ahead() -> None:
    """Let another thread compile the native path, where there may be one, while nobody waits for it."""

    def make() -> None:
        with errands.short_turns():
            is_available()

    if not _begun and not is_decided():
        _begun.append(errands.meanwhile(make))


def is_coming() -> bool:
    """Whether another thread is making the native path."""
    return any(errand is not None and errand.is_ahead for errand in _begun)


def is_due() -> bool:
    """Whether the native path is there, or another thread was to make it and is not doing so: then who needs it makes
    it."""
    return is_decided() or (bool(_begun) and not is_coming())


_begun: list[errands.Errand | None] = []  #: who makes the native path ahead, if somebody was asked to


def _native_call() -> int | None:
    """Address of the vectorcall function, compiled on first use; None where it cannot be used."""
    with _making:
        return _optimised[0] if _optimised else _made_call()


_making = Lock()
_optimised: list[int] = []  #: the function that calls go through since there were many


@cache
def _made_call() -> int | None:
    if not is_known_interpreter() or not _layout_is_known():
        return None
    if _array_api()[_ARRAY_API_TYPE] != id(np.ndarray):
        return None
    from tracejit.runtime.engine import engine

    here = engine()
    if here.has_call_path():
        _errands.append(None)
        return _linked(here.call_path())
    return _linked(here.call_path_at_once())


def _often() -> None:
    """Have another thread make the function that calls go through anew, with all effort."""
    if not _errands:
        _errands.append(errands.begin(_optimise))


_errands: list[errands.Errand | None] = []  #: that thread's work; something else where none is to begin again


def _optimise() -> None:
    from tracejit.runtime.engine import engine

    with suppress(Exception):  # calls stay as they are
        call = _linked(engine().call_path())
        with _lock:
            _optimised.append(call)
            for callable_ in _serving:
                if callable_._vectorcall:
                    callable_._vectorcall = call


def _linked(data: bytes) -> int:
    """Load the object code of the call path; gives the address of the vectorcall function."""
    from tracejit.runtime.engine import link_object
    from tracejit.runtime.interrupts import python_symbols

    (call,) = link_object(data, ("tj_call",), python_symbols(data) | {"tj_runtime": addressof(_runtime_table())})
    return call


@cache
def _runtime_table() -> tables.RuntimeTable:
    from tracejit.runtime.engine import memory_free_address
    from tracejit.runtime.interrupts import poll_hook

    api = _array_api()
    return tables.RuntimeTable(
        ndarray_type=id(np.ndarray),
        new_from_descr=api[_ARRAY_API_NEW],
        scalar=api[_ARRAY_API_SCALAR],
        set_base=api[_ARRAY_API_SET_BASE],
        free=memory_free_address(),
        poll_hook=poll_hook(),
        true=id(True),
        false=id(False),
        none=id(None),
        int_type=id(int),
        tuple_type=id(tuple),
        one=id(_ONE),
        slow_name=id(_SLOW_NAME),
        capsule_name=addressof(_CAPSULE_NAME),
        often=id(_often),
    )


def _array_api() -> Any:
    """NumPy's C API table."""
    from numpy._core import _multiarray_umath  # pyright: ignore

    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.argtypes, get.restype = (ctypes.py_object, ctypes.c_char_p), c_void_p
    address = get(_multiarray_umath._ARRAY_API, None)  # pyright: ignore
    return (c_void_p * _ARRAY_API_LENGTH).from_address(address)


def _layout_is_known() -> bool:
    """Whether arrays, numbers, tuples and lists lie in memory as the native path reads them."""

    def word(address: int) -> int:
        return c_int64.from_address(address).value

    array = np.arange(6, dtype=np.int16).reshape(2, 3)[:, ::2]
    start = id(array)
    dims, strides = (word(start + offset) for offset in (tables.ARRAY_DIMS, tables.ARRAY_STRIDES))
    number = np.complex128(1.5 + 2j)
    return (
        word(start + tables.TYPE_OFFSET) == id(np.ndarray)
        and word(start + tables.ARRAY_DATA) == array.__array_interface__["data"][0]
        and c_int32.from_address(start + tables.ARRAY_RANK).value == 2
        and (word(dims), word(dims + 8)) == array.shape
        and (word(strides), word(strides + 8)) == array.strides
        and word(start + tables.ARRAY_DTYPE) == id(np.dtype(np.int16))
        and c_int32.from_address(start + tables.ARRAY_FLAGS).value == array.flags.num
        and word(id((1, 2, 3)) + tables.SIZE_OFFSET) == 3
        and word(id([1, 2]) + tables.SIZE_OFFSET) == 2
        and (ctypes.c_double * 2).from_address(id(number) + tables.VALUE_OFFSET)[1] == 2.0
    )
