"""The tables the native call path reads: C structures, and nothing else.

One native function (`dispatch_ir.py`) serves every scripted function; what it must check and build is data. A
`SpecTable` describes one specialisation: how to find each value (`ValueTable`), what must hold for it, where it goes
in the call's frame, and how results become Python objects (`LeafTable`). Offsets into structures are taken from
here by the code generator, so each layout is written down once. A *frame* is the scratch memory of one call; fields
described as a frame offset count bytes from its start.
"""

from __future__ import annotations

import ctypes
from ctypes import Structure, c_int32, c_int64, c_void_p

from tracejit.codegen.support.names import MAX_PAYLOAD
from tracejit.runtime.callable_type import HEADER

# Where the interpreter and NumPy keep what the native path reads (checked at start-up by `dispatch.py`).
TYPE_OFFSET = HEADER - 8
SIZE_OFFSET = HEADER  # of tuples and lists
VALUE_OFFSET = HEADER  # of float, complex and NumPy scalars
ARRAY_DATA, ARRAY_RANK, ARRAY_DIMS, ARRAY_STRIDES, ARRAY_DTYPE, ARRAY_FLAGS = (
    HEADER + n for n in (0, 8, 16, 24, 40, 48)
)
PY_EQ = 2  # how `PyObject_RichCompareBool` compares
C_CONTIGUOUS, F_CONTIGUOUS, OWNDATA, ALIGNED, WRITEABLE = 0x1, 0x2, 0x4, 0x100, 0x400


class NativeTensor(Structure):
    """`tj_tensor`: data, rank, sizes, strides in elements (null: C order), dtype code (0: as compiled)."""

    _fields_ = (("data", c_void_p), ("ndim", c_int64), ("shape", c_void_p), ("strides", c_void_p), ("dtype", c_int32))


class NativeContext(Structure):
    """`tj_context`: what a native entry tells about a failure, the hook `print` goes through, the hook that is asked
    whether to go on, the exception (a reference) that ended the call, and what baseline code has left to spend."""

    _fields_ = (
        ("payload", c_int64 * MAX_PAYLOAD),
        ("print_hook", c_void_p),
        ("poll_hook", c_void_p),
        ("interruption", c_void_p),
        ("budget", c_int64),
        ("reserved", c_void_p * 4),
    )


class StepTable(Structure):
    """One step from an object to a part of it: `op` is one of `STEPS`, `key` a borrowed object or a number."""

    _fields_ = (("op", c_int64), ("key", c_void_p))


STEPS = {"attribute": 0, "item": 1, "cell": 2, "tuple": 3, "list": 4, "has": 5}


class AxisTable(Structure):
    """What one size must be: `want` >= 0 exactly that, -1 anything, -2 at least 2. `slot` is the frame
    offset shared by sizes of one name (-1: none); the `first` of them fills it, the others compare."""

    _fields_ = (("want", c_int64), ("slot", c_int64), ("first", c_int64))


ANY_SIZE, SEVERAL = -1, -2


class ValueTable(Structure):
    """One value of a call: where it comes from, what must hold, and where it goes."""

    _fields_ = (
        ("kind", c_int64),  # one of KINDS
        ("root", c_int64),  # index of the argument, -1 for `constant`
        ("constant", c_void_p),
        ("step_count", c_int64),
        ("steps", c_void_p),
        ("type", c_void_p),  # the exact type, or the object an identity guard asks for
        (
            "length",
            c_int64,
        ),  # of a tuple, list or dict under a type guard (-1: any); of numbers: the least; least int
        ("item", c_void_p),  # the exact type of numbers in a list
        ("column", c_int64),  # their place in the tuples of that list; -1: they are its items
        ("width", c_int64),  # the length of those tuples
        ("keys", c_void_p),  # what the keys of a dict must be, in order
        ("dtype", c_void_p),
        ("rank", c_int64),
        ("flags", c_int64),  # ndarray flags that must be set
        ("asked_flags", c_int64),  # these, and those that must not be set
        ("axes", c_void_p),
        ("tensor", c_int64),  # frame offset of its tj_tensor
        ("storage", c_int64),  # frame offset: an int or bool, the strides in elements, or how many numbers
        ("strided", c_int64),
        ("shift", c_int64),  # log2 of the element size
        ("inout", c_int64),
        ("data_slot", c_int64),  # byte offsets in a Tensor object
        ("grad_slot", c_int64),
        ("grad", c_void_p),  # what requires_grad must be; null: it is not looked at
        ("version_slot", c_int64),
        ("owner_slot", c_int64),  # the Tensor whose version counts writes to this one's memory
    )


KINDS = {"array": 0, "tensor": 1, "boxed": 2, "int": 3, "bool": 4, "is": 5, "type": 6, "keys": 7, "numbers": 8}


class OutputTable(Structure):
    """One output of the native entry: a tj_tensor at frame offset `tensor`; `storage` holds its sizes, or the
    value of a host scalar."""

    _fields_ = (("tensor", c_int64), ("rank", c_int64), ("storage", c_int64), ("scalar", c_int64))


class SlotTable(Structure):
    """An object pointer to be stored in a new Tensor at byte `offset`."""

    _fields_ = (("offset", c_int64), ("object", c_void_p))


class LeafTable(Structure):
    """One Python object of the result."""

    _fields_ = (
        ("kind", c_int64),  # one of LEAVES
        ("tensor", c_int64),  # frame offset of the output's tj_tensor
        ("rank", c_int64),
        ("dtype", c_void_p),
        ("itemsize", c_int64),
        ("type", c_void_p),  # the Tensor class that wraps the array, or null
        ("data_slot", c_int64),
        ("slot_count", c_int64),
        ("slots", c_void_p),
        ("constant", c_void_p),
        ("index", c_int64),  # frame offset of the value's object, or of the earlier leaf
    )


LEAVES = {
    "array": 0,
    "float": 1,
    "int": 2,
    "bool": 3,
    "complex": 4,
    "numpy": 5,
    "scalar_array": 6,
    "constant": 7,
    "frame": 8,
}


class SpecTable(Structure):
    """One specialisation; `next` is tried when a guard of this one misses."""

    _fields_ = (
        ("next", c_void_p),
        ("positional", c_int64),
        ("keyword_count", c_int64),
        ("keywords", c_void_p),
        ("value_count", c_int64),
        ("values", c_void_p),
        ("output_count", c_int64),
        ("outputs", c_void_p),
        ("leaf_count", c_int64),
        ("leaves", c_void_p),
        ("shape", c_int64),  # of the result: one of SHAPES
        ("finish", c_void_p),
        ("entry", c_void_p),
        ("error_hook", c_void_p),
        ("print_hook", c_void_p),
        ("release_above", c_int64),  # elements above which the lock is released; -1: never
        ("has_inout", c_int64),
        ("frame_bytes", c_int64),
        ("objects", c_int64),  # frame offset of the values' objects
        ("inputs", c_int64),  # frame offset of the input tj_tensors
        ("results", c_int64),  # frame offset of the output tj_tensors
        ("leaf_objects", c_int64),
        ("held", c_int64),  # frame offset of references to be dropped at the end
        ("hits", c_int64),  # how often it ran
    )


SHAPES = {"single": 0, "tuple": 1, "finish": 2}


class FrameHead(Structure):
    """The start of every frame."""

    _fields_ = (("held_count", c_int64), ("elements", c_int64), ("context", NativeContext))


class Extent(Structure):
    """The addresses [low, high) of the bytes that an array argument takes, and whether the function writes it."""

    _fields_ = (("low", c_int64), ("high", c_int64), ("inout", c_int64))


class RuntimeTable(Structure):
    """Addresses the native call path needs from this process."""

    _fields_ = (
        ("ndarray_type", c_void_p),
        ("new_from_descr", c_void_p),
        ("scalar", c_void_p),
        ("set_base", c_void_p),
        ("free", c_void_p),
        ("poll_hook", c_void_p),
        ("tuple_type", c_void_p),
        ("true", c_void_p),
        ("false", c_void_p),
        ("none", c_void_p),
        ("int_type", c_void_p),
        ("one", c_void_p),
        ("slow_name", c_void_p),
        ("capsule_name", c_void_p),
        ("often", c_void_p),  # a function that is called when a specialisation has run OFTEN times
    )


#: After so many calls it is worth a tenth of a second of another thread to make each cheaper.
OFTEN = 10_000


def offset_of(structure: type[Structure], field: str) -> int:
    """Byte offset of a field."""
    return getattr(structure, field).offset


def size_of(structure: type[Structure]) -> int:
    """Bytes of one structure."""
    return ctypes.sizeof(structure)
