"""One specialisation as the table the native call path reads.

The table holds borrowed pointers; the `Specialisation` keeps every object they point at. Inputs of the native
entry are the guarded values that carry data, in the order of the arguments.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from ctypes import Array, addressof, c_int64, c_void_p
from typing import Any

import numpy as np

from tracejit.runtime import dispatch_tables as tables
from tracejit.runtime.callable_type import HEADER
from tracejit.runtime.dispatch_tables import KINDS, LEAVES, SHAPES, STEPS, size_of
from tracejit.runtime.guards import (
    Argument,
    ArgumentResult,
    ArrayGuard,
    ArrayResult,
    BoolGuard,
    BoxedGuard,
    ConstantResult,
    IntGuard,
    IsGuard,
    KeysGuard,
    Leaf,
    NativeEntry,
    NumberResult,
    NumbersGuard,
    ResultPlan,
    SameResult,
    TypeGuard,
)

_SCALAR_BYTES = 16  # room for a complex128


class Specialisation:
    """A native entry with its guards and its result plan, for calls with `positional` arguments and `keywords`."""

    def __init__(
        self,
        native: NativeEntry,
        arguments: Sequence[Argument],
        results: ResultPlan,
        positional: int,
        keywords: tuple[str, ...] = (),
    ) -> None:
        self._keep: list[Any] = [native, tuple(arguments), results]
        self._native = native
        self._size = size_of(tables.FrameHead)
        self._inputs = self._room(size_of(tables.NativeTensor) * sum(map(_carries_data, arguments)))
        self._results = self._room(size_of(tables.NativeTensor) * len(native.outputs))
        self._objects = self._room(8 * len(arguments))
        self._leaf_objects = self._room(8 * len(results.leaves))
        self._names: dict[str, int] = {}
        self._next_input = self._inputs

        held = self._room(8 * (len(arguments) + sum(len(a.steps) for a in arguments)))
        values = [self._value(argument) for argument in arguments]
        outputs = [self._output(i) for i in range(len(native.outputs))]
        leaves = [self._leaf(leaf) for leaf in results.leaves]
        self.table = tables.SpecTable(
            positional=positional,
            keyword_count=len(keywords),
            keywords=self._array(c_void_p, [self._pin(sys.intern(name)) for name in keywords]),
            value_count=len(values),
            values=self._array(tables.ValueTable, values),
            output_count=len(outputs),
            outputs=self._array(tables.OutputTable, outputs),
            leaf_count=len(leaves),
            leaves=self._array(tables.LeafTable, leaves),
            shape=SHAPES[results.shape],
            finish=self._pin(results.finish),
            entry=native.address,
            error_hook=self._pin(native.error_hook),
            print_hook=native.print_hook,
            release_above=-1 if native.release_above is None else native.release_above,
            has_inout=any(value.inout for value in values),
            frame_bytes=self._size,
            objects=self._objects,
            inputs=self._inputs,
            results=self._results,
            leaf_objects=self._leaf_objects,
            held=held,
        )

    @property
    def address(self) -> int:
        """Of the table."""
        return addressof(self.table)

    @property
    def hits(self) -> int:
        """How many calls this specialisation has served natively."""
        return self.table.hits

    # -- memory ------------------------------------------------------------------------------------------------

    def _room(self, count: int) -> int:
        """Reserve bytes of the frame; gives their offset."""
        start = self._size
        self._size += -(-count // 8) * 8
        return start

    def _pin(self, thing: object) -> int:
        """Keep an object alive and give its address."""
        self._keep.append(thing)
        return id(thing)

    def _array(self, element: Any, items: Sequence[Any]) -> int:
        array: Array[Any] = (element * max(len(items), 1))(*items)
        self._keep.append(array)
        return addressof(array)

    # -- tables ------------------------------------------------------------------------------------------------

    def _value(self, argument: Argument) -> tables.ValueTable:
        value = tables.ValueTable(
            root=argument.root,
            constant=self._pin(argument.constant),
            step_count=len(argument.steps),
            steps=self._array(tables.StepTable, [self._step(*step) for step in argument.steps]),
            length=-1,
        )
        match argument.guard:
            case ArrayGuard() as guard:
                self._array_value(value, guard)
            case BoxedGuard(type_):
                value.kind, value.type = KINDS["boxed"], self._pin(type_)
            case IntGuard(least):
                value.kind, value.storage, value.length = KINDS["int"], self._room(8), least
            case BoolGuard():
                value.kind, value.storage = KINDS["bool"], self._room(8)
            case IsGuard(thing):
                value.kind, value.type = KINDS["is"], self._pin(thing)
            case TypeGuard(type_, length):
                value.kind, value.type = KINDS["type"], self._pin(type_)
                value.length = -1 if length is None else length
            case KeysGuard(keys):
                value.kind, value.type, value.length = KINDS["keys"], self._pin(dict), len(keys)
                value.keys = self._array(c_void_p, [self._key(key) for key in keys])
            case NumbersGuard(type_, least, column):
                value.kind, value.type, value.length = KINDS["numbers"], self._pin(list), least
                value.item, value.storage = self._pin(type_), self._room(8)
                value.column, value.width = column or (-1, 0)
                value.shift = np.dtype(type_).itemsize.bit_length() - 1
        if _carries_data(argument):
            value.tensor = self._next_input
            self._next_input += size_of(tables.NativeTensor)
        return value

    def _step(self, name: str, key: Any) -> tables.StepTable:
        if name in ("tuple", "list"):
            return tables.StepTable(STEPS[name], key)
        return tables.StepTable(STEPS[name], self._key(key))

    def _key(self, key: Any) -> int:
        """The address of an attribute name or of a key of a dict; names in source are interned strings."""
        return self._pin(sys.intern(key) if type(key) is str else key)

    def _array_value(self, value: tables.ValueTable, guard: ArrayGuard) -> None:
        value.dtype = self._pin(guard.dtype)
        value.rank = len(guard.dims)
        dense = {"C": tables.C_CONTIGUOUS, "F": tables.F_CONTIGUOUS}.get(guard.order or "", 0)
        value.flags = tables.ALIGNED | dense | (tables.WRITEABLE if guard.inout else 0)
        value.asked_flags = value.flags | (tables.C_CONTIGUOUS | tables.F_CONTIGUOUS if guard.order == "any" else 0)
        value.axes = self._array(tables.AxisTable, [self._axis(dim) for dim in guard.dims])
        value.shift = guard.dtype.itemsize.bit_length() - 1
        value.inout = guard.inout
        if guard.order in ("any", None):
            value.strided, value.storage = 1, self._room(8 * len(guard.dims))
        if guard.tensor is None:
            value.kind = KINDS["array"]
            return
        value.kind, value.type = KINDS["tensor"], self._pin(guard.tensor)
        value.data_slot = slot_offset(guard.tensor, "_data")
        value.grad_slot = slot_offset(guard.tensor, "_requires_grad")
        value.grad = None if guard.requires_grad is None else id(guard.requires_grad)
        value.version_slot = slot_offset(guard.tensor, "_version")
        value.owner_slot = slot_offset(guard.tensor, "_owner")

    def _axis(self, dim: int | str | None) -> tables.AxisTable:
        match dim:
            case None:
                return tables.AxisTable(tables.ANY_SIZE, -1, 0)
            case int(size):
                return tables.AxisTable(size, -1, 0)
            case str(name):
                is_first = name not in self._names
                if is_first:
                    self._names[name] = self._room(8)
                return tables.AxisTable(tables.SEVERAL, self._names[name], is_first)

    def _output(self, index: int) -> tables.OutputTable:
        output = self._native.outputs[index]
        storage = self._room(_SCALAR_BYTES if output.is_scalar else 8 * max(output.rank, 1))
        return tables.OutputTable(self._output_offset(index), output.rank, storage, output.is_scalar)

    def _output_offset(self, index: int) -> int:
        return self._results + size_of(tables.NativeTensor) * index

    def _leaf(self, leaf: Leaf) -> tables.LeafTable:
        match leaf:
            case ArrayResult(index, like):
                output = self._native.outputs[index]
                table = self._output_leaf("scalar_array" if output.is_scalar else "array", index)
                if like is not None:
                    slots = self._slots(like)
                    table.type, table.data_slot = self._pin(type(like)), slot_offset(type(like), "_data")
                    table.slot_count, table.slots = len(slots), self._array(tables.SlotTable, slots)
                return table
            case NumberResult(index, boxed):
                kind = self._native.outputs[index].dtype.kind
                return self._output_leaf("numpy" if boxed else _PYTHON_NUMBERS[kind], index)
            case ConstantResult(thing):
                return tables.LeafTable(kind=LEAVES["constant"], constant=self._pin(thing))
            case ArgumentResult(index):
                return tables.LeafTable(kind=LEAVES["frame"], index=self._objects + 8 * index)
            case SameResult(index):
                return tables.LeafTable(kind=LEAVES["frame"], index=self._leaf_objects + 8 * index)

    def _output_leaf(self, kind: str, index: int) -> tables.LeafTable:
        output = self._native.outputs[index]
        return tables.LeafTable(
            kind=LEAVES[kind],
            tensor=self._output_offset(index),
            rank=output.rank,
            dtype=self._pin(output.dtype),
            itemsize=output.dtype.itemsize,
        )

    def _slots(self, like: object) -> list[tables.SlotTable]:
        """What the slots of a new object of the class of `like` start with."""
        found: list[tables.SlotTable] = []
        for name in _slot_names(type(like)):
            if name == "_data":
                continue
            try:
                content = getattr(type(like), name).__get__(like)
            except AttributeError:  # not set
                continue
            found.append(tables.SlotTable(slot_offset(type(like), name), self._pin(content)))
        return found


_PYTHON_NUMBERS = {"f": "float", "i": "int", "b": "bool", "c": "complex"}


def _carries_data(argument: Argument) -> bool:
    """Whether the value is an input of the native entry."""
    return isinstance(argument.guard, ArrayGuard | BoxedGuard | IntGuard | BoolGuard | NumbersGuard)


def _slot_names(cls: type) -> list[str]:
    """Names of the slots an object of the class stores values in."""
    names = [name for base in cls.__mro__ for name in base.__dict__.get("__slots__", ())]
    return [name for name in names if name not in ("__dict__", "__weakref__")]


_offsets: dict[tuple[type, str], int] = {}


def slot_offset(cls: type, name: str) -> int:
    """Byte offset of a `__slots__` field in objects of the class, found by storing a known object.

    Raises TypeError where the class has no such slot.
    """
    known = _offsets.get((cls, name))
    if known is not None:
        return known
    probe: object = object.__new__(cls)
    mark = object()
    if not hasattr(getattr(cls, name, None), "__set__"):
        raise TypeError(f"{cls.__name__} has no slot {name}")
    setattr(probe, name, mark)
    for offset in range(HEADER, cls.__basicsize__, 8):
        if c_int64.from_address(id(probe) + offset).value == id(mark):
            _offsets[cls, name] = offset
            return offset
    raise TypeError(f"{cls.__name__} does not store {name} in the object")
