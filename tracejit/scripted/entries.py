"""Compiled graphs on the native call path: their entries, and calls with arrays and numbers as they come."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import c_void_p, cast
from typing import TYPE_CHECKING, Any

import numpy as np

from tracejit.codegen.loop_ir import InputSpec
from tracejit.codegen.numeric import numpy_dtype
from tracejit.ir.types import ScalarType
from tracejit.runtime import guards as g
from tracejit.runtime.dispatch import FastCallable, is_due, make_ahead
from tracejit.runtime.failure import error_hook
from tracejit.runtime.specialisation import Specialisation

if TYPE_CHECKING:
    from tracejit.runtime.cpu import NativeFunction
    from tracejit.scripted.fastpath import ErrorHook

#: The interpreter lock is released for calls whose inputs hold at least this many elements, and for all with loops.
RELEASE_ABOVE = 1 << 14

#: How many kinds of numbers among the inputs are served natively.
_MOST_KINDS = 4

#: The guards of Python's numbers, and the dtypes that they stand for.
_PYTHON_NUMBERS: dict[type, tuple[g.Guard, np.dtype[Any]]] = {
    bool: (g.BoolGuard(), np.dtype(np.bool_)),
    int: (g.IntGuard(), np.dtype(np.int64)),
    float: (g.BoxedGuard(float), np.dtype(np.float64)),
    complex: (g.BoxedGuard(complex), np.dtype(np.complex128)),
}


def native_entry(native: NativeFunction, has_loops: bool, hook: ErrorHook) -> g.NativeEntry:
    """A compiled graph for the native path; `has_loops`: it may run for long, whatever its inputs."""
    program = native.program
    outputs = tuple(
        g.Output(numpy_dtype(o.type.dtype), o.type.rank, isinstance(o.type, ScalarType)) for o in program.outputs
    )
    printing = native.print_hook() if program.prints else None
    address = 0 if printing is None else cast(printing, c_void_p).value or 0
    keep = native, hook, printing
    release = 0 if has_loops else RELEASE_ABOVE
    return g.NativeEntry(native.address, outputs, hook, address, release_above=release, keep=keep)


class DirectCall(FastCallable):
    """Runs a compiled graph on its inputs, given one by one; gives a sequence of arrays and NumPy scalars.

    Inputs as the graph takes them are served natively from the second call on where the native path is there then,
    all others through ctypes.
    """

    def __init__(self, native: NativeFunction, has_loops: bool) -> None:
        super().__init__()
        self.native = native
        self._has_loops = has_loops
        self._kinds: dict[tuple[type, ...], int] = {}

    def slow_call(self, *inputs: Any) -> Sequence[Any]:
        kinds = tuple(map(type, inputs))
        count = self._kinds.get(kinds, 0)
        if count == 1 and not is_due():  # nobody waits for the native path
            found = self.native.call(inputs)
            make_ahead()
            return found
        if count or len(self._kinds) < _MOST_KINDS:
            self._kinds[kinds] = count + 1
        if count == 1:
            self._serve(kinds)
        return self.native.call(inputs)

    def _serve(self, kinds: Sequence[type]) -> None:
        """Serve calls with inputs of these types natively, if they are what the graph takes."""
        program = self.native.program
        guards = [_guard(spec, kind) for spec, kind in zip(program.inputs, kinds, strict=True)]
        if any(guard is None for guard in guards):
            return
        entry = native_entry(self.native, self._has_loops, error_hook(program.errors))
        leaves = tuple(
            g.NumberResult(i, boxed=True) if output.is_scalar else g.ArrayResult(i)
            for i, output in enumerate(entry.outputs)
        )
        arguments = [g.Argument(guard, i) for i, guard in enumerate(guards) if guard is not None]
        self.install(Specialisation(entry, arguments, g.ResultPlan(leaves, "tuple"), len(guards)))


def _guard(spec: InputSpec, kind: type) -> g.Guard | None:
    """The guard of an input that the graph takes as it is; None where it would have to be converted."""
    dtype = numpy_dtype(spec.type.dtype)
    if issubclass(kind, np.ndarray) or not isinstance(spec.type, ScalarType):
        return g.ArrayGuard(dtype, (None,) * spec.type.rank, None if spec.order == "any" else spec.order, spec.inout)
    if kind is dtype.type:
        return g.BoxedGuard(kind)
    guard, own = _PYTHON_NUMBERS.get(kind, (None, None))
    return guard if own == dtype else None
