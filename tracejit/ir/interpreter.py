"""The reference evaluator: runs a graph op by op with the eager rules.

It is the oracle of the tests, so it is plain: no fusion, no reuse of storage, and each result is checked against
its type. Host scalars are NumPy scalars of exactly their dtype; tensors are arrays of `xp`; lists are what the
eager rules of the list ops make of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from tracejit import devices
from tracejit.ir.core import Block, Graph, Op, Value
from tracejit.ir.types import BF16, Dim, DType, ScalarType, TensorType, Type


def run(graph: Graph, inputs: Sequence[Any], xp: Any = None) -> list[Any]:
    """The graph's results for these inputs: user results, then the final versions of the `inout` parameters.

    Inputs (arrays, or numbers for host scalars) are never changed. `xp` is the array module, by default that of
    the graph's device. Raises what the program raises.
    """
    xp = devices.array_module(graph.device) if xp is None else xp
    if len(inputs) != len(graph.params):
        raise TypeError(f"@{graph.name} takes {len(graph.params)} inputs, got {len(inputs)}")
    frame = _Frame(xp)
    for param, given in zip(graph.params, inputs, strict=True):
        frame.bind(param, given, f"input %{param.name}")
    return frame.block(graph.body)


def evaluate(op: Op, operands: Sequence[Any], xp: Any) -> tuple[Any, ...]:
    """The results of an op without blocks, each brought to its type."""
    if op.defn.eager is None:
        raise TypeError(f"op {op.name!r} cannot be interpreted")
    found = op.defn.eager(xp, *op.defn.group(operands), **op.attrs)
    found = () if found is None else found if isinstance(found, tuple) else (found,)
    if len(found) != len(op.results):
        raise TypeError(f"the eager rule of {op.name} gave {len(found)} results instead of {len(op.results)}")
    return tuple(conform(x, r.type, xp, op.name) for x, r in zip(found, op.results, strict=True))


def conform(x: Any, type: Type, xp: Any, what: str) -> Any:
    """x as the interpreter holds a value of that type; a tensor must already have the dtype and rank."""
    match type:
        case ScalarType(dtype):
            return array_dtype(dtype, xp).type(x.item() if hasattr(x, "item") else x)
        case TensorType(dtype, shape):
            array = xp.asarray(x)
            if array.dtype != array_dtype(dtype, xp) or array.ndim != len(shape):
                raise TypeError(f"{what}: {array.dtype}{list(array.shape)} is not {type}")
            return array
        case _:
            return x


def array_dtype(dtype: DType, xp: Any) -> Any:
    """The array module's dtype; it knows bfloat16 once the package ml_dtypes has been imported."""
    if dtype == BF16:
        import_module("ml_dtypes")
    return xp.dtype(dtype.numpy_name)


class _Frame:
    """The values of one activation of a graph."""

    def __init__(self, xp: Any) -> None:
        self.xp = xp
        self.values: dict[Value, Any] = {}
        self.sizes: dict[str, int] = {}

    def bind(self, value: Value, x: Any, what: str) -> None:
        """Give a value its meaning, brought to its type."""
        self.values[value] = conform(x, value.type, self.xp, what)
        self.check_shape(value, what)

    def check_shape(self, value: Value, what: str) -> None:
        if not isinstance(value.type, TensorType):
            return
        found = self.values[value].shape
        for dim, size in zip(value.type.shape, found, strict=True):
            if dim is not None and self.size(dim, size) != size:
                raise ValueError(f"{what}: shape {found} is not that of {value.type}")

    def size(self, dim: Dim, found: int) -> int:
        """What a dim stands for; a name is bound by the first size it meets."""
        match dim:
            case int():
                return dim
            case str():
                return self.sizes.setdefault(dim, found)
            case _:
                return int(self.values[dim])

    def enter(self, block: Block, arguments: Sequence[Any]) -> list[Any]:
        """Run a block on arguments for its parameters."""
        self.values.update(zip(block.params, arguments, strict=True))
        return self.block(block)

    def block(self, block: Block) -> list[Any]:
        """Run a block whose parameters are bound; captured values are looked up in the frame."""
        for op in block.ops:
            results = self.op(op, [self.values[v] for v in op.operands])
            self.values.update(zip(op.results, results, strict=True))
            for result in op.results:
                self.check_shape(result, op.name)
        return [self.values[v] for v in block.results]

    def op(self, op: Op, operands: list[Any]) -> Sequence[Any]:
        match op.name:
            case "if":
                return self.block(op.block("then" if operands[0] else "else"))
            case "loop":
                return self.loop(op.block("body"), *operands)
            case "fused":
                return self.block(op.block("body"))
            case "call":
                return run(op.attrs["callee"], operands, self.xp)
            case "custom":
                return self.enter(op.block("primal"), operands)
            case _:
                return evaluate(op, operands, self.xp)

    def loop(self, body: Block, limit: int, go: bool, *carried: Any) -> Sequence[Any]:
        i = 0
        while go and i < limit:
            index = conform(i, body.params[0].type, self.xp, "loop index")
            go, *carried = self.enter(body, (index, *carried))  # type: ignore[assignment]
            i += 1
        return carried
