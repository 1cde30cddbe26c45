"""A model under construction: nodes with known dtypes and ranks, constants, nested graphs, checks.

ONNX has no operator that raises. A check is a `Gather` whose index lies outside where the check fails: runtimes stop
there and name the node, whose name is the message. Its result, 0, is a guard; the guards of a graph are added up, leave
nested graphs as one more result, and every output of the model is picked by that sum, so that none can be left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np

from tracejit.errors import ExportError
from tracejit.ir.types import BF16, BOOL, F16, F32, I16, I32, I64, U16, U64, DType
from tracejit.records import record

#: ONNX operators of this version are used; IR_VERSION is the file format that came with it.
OPSET, IR_VERSION = 21, 10

#: `TensorProto.DataType` by dtype name.
_ELEMENTS = {
    "f32": 1, "u8": 2, "i8": 3, "u16": 4, "i16": 5, "i32": 6, "i64": 7, "bool": 9, "f16": 10, "f64": 11, "u32": 12,
    "u64": 13, "bf16": 16,
}  # fmt: skip


def package() -> Any:
    """The package `onnx`. Raises `ExportError` where it is missing."""
    try:
        for part in ("checker", "helper", "numpy_helper"):
            import_module(f"onnx.{part}")
        return import_module("onnx")
    except ImportError as error:
        raise ExportError("writing .onnx needs the package onnx: pip install tracejit[onnx]") from error


def element_type(dtype: DType) -> int:
    """The number of a dtype in ONNX. Raises `ExportError` for complex dtypes, which its operators do not take."""
    found = _ELEMENTS.get(dtype.name)
    if found is None:
        raise ExportError(f"ONNX operators do not take {dtype.numpy_name}")
    return found


#: What `Where` takes instead of a dtype that runtimes do not have it for.
_CHOSEN_AS = {U16: I32, I16: I32, U64: I64, BF16: F32}


@record(eq=False)
class Handle:
    """A result of a node: an array of a dtype and rank, or (`is_list`) a sequence of these."""

    name: str
    dtype: DType
    rank: int
    is_list: bool = False


class Scope:
    """The nodes of one graph, nested or not."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.known: dict[Any, Handle] = {}
        self.guards: list[Handle] = []


class Model:
    """Makes nodes in the innermost open graph; equal ones are made once."""

    def __init__(self) -> None:
        self.onnx = package()
        self.scopes = [Scope()]
        self.initializers: list[Any] = []
        self._constants: dict[Any, Handle] = {}
        self._numbers: dict[str, Any] = {}
        self._names: dict[str, int] = {}

    # -- names and constants -----------------------------------------------------------------------------------

    def unique(self, name: str) -> str:
        """The name, numbered if it has been given before."""
        count = self._names.get(name, 0)
        self._names[name] = count + 1
        return f"{name}.{count}" if count else name

    def initializer(self, array: np.ndarray[Any, Any], dtype: DType, name: str) -> Handle:
        """An array that is part of the model."""
        element_type(dtype)
        made = Handle(self.unique(name), dtype, array.ndim)
        self.initializers.append(
            self.onnx.numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), made.name)
        )
        return made

    def constant(self, value: Any, dtype: DType) -> Handle:
        """Numbers that are part of the model; the same ones are there once."""
        if dtype == BF16:
            import_module("ml_dtypes")
        array = np.asarray(value).astype(np.dtype(dtype.numpy_name))
        key = dtype.name, array.shape, array.tobytes()
        if key not in self._constants:
            self._constants[key] = made = self.initializer(array, dtype, "c")
            if not array.ndim:
                self._numbers[made.name] = array.item()
        return self._constants[key]

    def number_of(self, x: Handle) -> Any:
        """The number that a scalar constant is; None for other arrays."""
        return self._numbers.get(x.name)

    def ints(self, *values: int) -> Handle:
        """A vector of i64."""
        return self.constant(np.array(values, np.int64), I64)

    # -- nodes -------------------------------------------------------------------------------------------------

    def node(
        self,
        op: str,
        *inputs: Handle,
        dtype: DType | None = None,
        rank: int | None = None,
        label: str = "",
        **attrs: Any,
    ) -> Handle:
        """The one result of a node; its dtype and rank are by default those of the first input."""
        dtype = inputs[0].dtype if dtype is None else dtype
        rank = inputs[0].rank if rank is None else rank
        key = op, tuple(x.name for x in inputs), tuple(sorted((k, _hashable(v)) for k, v in attrs.items()))
        for scope in self.scopes:
            if key in scope.known:
                return scope.known[key]
        made = Handle(self.unique(op.lower()), dtype, rank)
        self.scopes[-1].known[key] = made
        self.emit(op, inputs, (made,), label, **attrs)
        return made

    def emit(self, op: str, inputs: Sequence[Handle], results: Sequence[Handle], label: str = "", **attrs: Any) -> None:
        """A node with any number of results."""
        names = [x.name for x in inputs], [r.name for r in results]
        self.scopes[-1].nodes.append(
            self.onnx.helper.make_node(op, *names, name=self.unique(label) if label else results[0].name, **attrs)
        )

    def cast(self, x: Handle, dtype: DType) -> Handle:
        """x in another dtype."""
        return x if x.dtype == dtype else self.node("Cast", x, dtype=dtype, to=element_type(dtype))

    def summable(self, x: Handle) -> Handle:
        """x in a dtype that numbers are added up and multiplied in."""
        return self.cast(x, F32 if x.dtype in (F16, BF16) else x.dtype if x.dtype.is_float else I64)

    def ordered(self, x: Handle) -> Handle:
        """x in a dtype that can be ordered: u64 is moved so that its order is that of i64."""
        return self._moved(x, I64) if x.dtype == U64 else self.summable(x)

    def unordered(self, x: Handle, dtype: DType) -> Handle:
        """What `ordered` made of numbers of a dtype as these again."""
        return self._moved(x, U64) if dtype == U64 else self.cast(x, dtype)

    def _moved(self, x: Handle, dtype: DType) -> Handle:
        return self.node(
            "BitwiseXor", self.cast(x, dtype), self.constant(1 << 63 if dtype == U64 else -(1 << 63), dtype)
        )

    def item(self, of: Handle, index: Handle) -> Handle:
        """An element of a list."""
        return self.node("SequenceAt", of, index, rank=of.rank)

    def reshape(self, x: Handle, shape: Handle, rank: int) -> Handle:
        """x under another shape, a vector in which 0 means 0."""
        return self.node("Reshape", x, shape, rank=rank, allowzero=1)

    def flat(self, x: Handle) -> Handle:
        """x as a vector."""
        return x if x.rank == 1 else self.node("Reshape", x, self.ints(-1), rank=1)

    def transpose(self, x: Handle, perm: Sequence[int]) -> Handle:
        """Axis i of the result is axis `perm[i]`."""
        perm = list(perm)
        return x if perm == list(range(x.rank)) else self.node("Transpose", x, perm=perm)

    def unsqueeze(self, x: Handle, *axes: int) -> Handle:
        """x with new axes of size 1 in these places of the result."""
        return self.node("Unsqueeze", x, self.ints(*axes), rank=x.rank + len(axes)) if axes else x

    def gather(self, x: Handle, index: Handle, axis: int = 0) -> Handle:
        """x with an axis replaced by those of the index."""
        return self.node("Gather", x, index, rank=x.rank - 1 + index.rank, axis=axis)

    def expand(self, x: Handle, shape: Handle, rank: int) -> Handle:
        """x stretched to a shape."""
        if x.dtype == BF16:
            return self.cast(self.expand(self.cast(x, F32), shape, rank), x.dtype)
        return self.node("Expand", x, shape, rank=rank)

    def shape_of(self, x: Handle) -> Handle:
        """The sizes of x as a vector."""
        return self.node("Shape", x, dtype=I64, rank=1)

    def size(self, x: Handle, axis: int) -> Handle:
        """The size of one axis as a scalar."""
        return self.gather(self.shape_of(x), self.constant(axis, I64))

    def vector(self, sizes: Sequence[int | Handle]) -> Handle:
        """Numbers and scalars one after the other."""
        if all(isinstance(n, int) for n in sizes):
            return self.ints(*(n for n in sizes if isinstance(n, int)))
        parts = [self.ints(n) if isinstance(n, int) else self.unsqueeze(n, 0) for n in sizes]
        return parts[0] if len(parts) == 1 else self.node("Concat", *parts, axis=0)

    def where(self, cond: Handle, a: Handle, b: Handle) -> Handle:
        """a where the condition holds, else b."""
        rank = max(cond.rank, a.rank, b.rank)
        if a.dtype == BOOL:
            either = [
                self.node("And", c, x, rank=max(c.rank, x.rank)) for c, x in ((cond, a), (self.node("Not", cond), b))
            ]
            return self.node("Or", *either, rank=rank)
        through = _CHOSEN_AS.get(a.dtype)
        if through is not None:
            return self.cast(self.where(cond, self.cast(a, through), self.cast(b, through)), a.dtype)
        return self.node("Where", cond, a, b, dtype=a.dtype, rank=rank)

    # -- checks ------------------------------------------------------------------------------------------------

    def require(self, cond: Handle, message: str) -> None:
        """A check: the run stops where the scalar condition does not hold."""
        outside = self.cast(self.node("Not", cond), I64)
        self.scopes[-1].guards.append(self.node("Gather", self.ints(0), outside, rank=0, label=message, axis=0))

    def guard(self) -> Handle | None:
        """The sum of the guards of the innermost graph; None where it has none."""
        guards = self.scopes[-1].guards
        if not guards:
            return None
        total = guards[0]
        for other in guards[1:]:
            total = self.node("Add", total, other)
        return total

    def guarded(self, x: Handle, guard: Handle | None) -> Handle:
        """x, which is there only if the checks hold."""
        return x if guard is None else self.gather(self.unsqueeze(x, 0), guard)

    # -- nested graphs -----------------------------------------------------------------------------------------

    @contextmanager
    def nested(self, scope: Scope | None = None) -> Iterator[Scope]:
        """Nodes made inside go to a graph of their own (by default a new one), which sees those around it."""
        self.scopes.append(scope or Scope())
        try:
            yield self.scopes[-1]
        finally:
            self.scopes.pop()

    def graph(self, scope: Scope, inputs: Sequence[Handle], results: Sequence[Handle], name: str) -> Any:
        """The finished nested graph, with results of its own names; to be called while it is the innermost one."""
        named = [Handle(self.unique("out"), r.dtype, r.rank, r.is_list) for r in results]
        for result, out in zip(results, named, strict=True):
            self.emit("Identity", (result,), (out,))
        return self.onnx.helper.make_graph(
            scope.nodes, name, [self.info(x) for x in inputs], [self.info(x) for x in named]
        )

    def info(self, x: Handle, shape: Sequence[int | str | None] | None = None) -> Any:
        """What ONNX is told about an input or output."""
        shape = (None,) * x.rank if shape is None else shape
        make = (
            self.onnx.helper.make_tensor_sequence_value_info if x.is_list else self.onnx.helper.make_tensor_value_info
        )
        return make(x.name, element_type(x.dtype), None if x.is_list else tuple(shape))


def _hashable(x: Any) -> Any:
    return tuple(x) if isinstance(x, list) else x
