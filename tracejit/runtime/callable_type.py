"""A Python base class whose instances can be called at the price of a builtin.

`PyType_FromSpec` (stable ABI) makes a heap type with two words per object: the vectorcall function, and a word of
ours for it. Classes derived from it are ordinary Python classes. While the first word is 0 a call goes to
`__call__`, as in any class; once it holds the address of a vectorcall function, calls enter that.
"""

from __future__ import annotations

import ctypes
import sys
from ctypes import POINTER, Structure, c_char_p, c_int, c_ssize_t, c_uint, c_ulong, c_void_p, py_object
from types import FunctionType
from typing import Any

HEADER = object.__basicsize__  #: bytes of an object's header (reference count and type)
VECTORCALL_OFFSET = HEADER
CHAIN_OFFSET = HEADER + 8

_HAVE_VECTORCALL = 1 << 11
_BASETYPE = 1 << 10
_DEFAULT_FLAGS = 1 << 18  # Py_TPFLAGS_HAVE_VERSION_TAG, which is all of Py_TPFLAGS_DEFAULT
_TYPE_FLAGS_OFFSET = 168  # of tp_flags in a 64-bit PyTypeObject; checked against __flags__ before use
_SLOT_DESCR_GET, _SLOT_MEMBERS = 54, 72
_T_SSIZE, _READONLY = 19, 1


class _Member(Structure):
    _fields_ = (("name", c_char_p), ("type", c_int), ("offset", c_ssize_t), ("flags", c_int), ("doc", c_char_p))


class _Slot(Structure):
    _fields_ = (("slot", c_int), ("function", c_void_p))


class _Spec(Structure):
    _fields_ = (
        ("name", c_char_p),
        ("basicsize", c_int),
        ("itemsize", c_int),
        ("flags", c_uint),
        ("slots", POINTER(_Slot)),
    )


class _PortableBase:
    """Stands in where objects are not laid out as expected: calls always go to `__call__`."""

    __slots__ = ("_chain", "_vectorcall")

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else FunctionType.__get__(self, instance, owner)  # pyright: ignore


def is_known_interpreter() -> bool:
    """CPython on 64 bits with ordinary object headers (free-threaded builds have others)."""
    return sys.implementation.name == "cpython" and HEADER == 16 and ctypes.sizeof(c_void_p) == 8


_kept: list[Any] = []  # what the interpreter keeps pointers to


def make_base() -> type:
    """The base type: int attributes `_vectorcall` and `_chain`, and `__get__` that binds as functions do."""
    if not is_known_interpreter():
        return _PortableBase
    get_slot = ctypes.pythonapi.PyType_GetSlot
    get_slot.argtypes, get_slot.restype = (py_object, c_int), c_void_p
    members = (_Member * 4)(
        _Member(b"__vectorcalloffset__", _T_SSIZE, VECTORCALL_OFFSET, _READONLY, None),
        _Member(b"_vectorcall", _T_SSIZE, VECTORCALL_OFFSET, 0, None),
        _Member(b"_chain", _T_SSIZE, CHAIN_OFFSET, 0, None),
        _Member(None, 0, 0, 0, None),
    )
    slots = (_Slot * 3)(
        _Slot(_SLOT_DESCR_GET, get_slot(FunctionType, _SLOT_DESCR_GET)),
        _Slot(_SLOT_MEMBERS, ctypes.addressof(members)),
        _Slot(0, None),
    )
    spec = _Spec(b"tracejit.runtime.NativeCallable", HEADER + 16, 0, _DEFAULT_FLAGS | _BASETYPE, slots)
    _kept.append((members, slots, spec))
    make = ctypes.pythonapi.PyType_FromSpec
    make.argtypes, make.restype = (c_void_p,), py_object
    return make(ctypes.addressof(spec))


def use_vectorcall(cls: type) -> None:
    """Let calls of the class's objects look at their vectorcall word before they go to `__call__`.

    Python sets this flag only for classes without a `__call__`; here the two agree by design.
    """
    if not is_known_interpreter():
        return
    flags = c_ulong.from_address(id(cls) + _TYPE_FLAGS_OFFSET)
    if flags.value == cls.__flags__:  # else the type is laid out in another way: calls stay with __call__
        flags.value |= _HAVE_VECTORCALL
