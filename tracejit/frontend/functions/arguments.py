"""Arguments of library calls: positional or by keyword, under the spellings of NumPy and PyTorch."""

from __future__ import annotations

import ast
import inspect
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from tracejit.eager import library
from tracejit.eager.arguments import KEYWORDS
from tracejit.frontend.tensors.devices import require_device
from tracejit.frontend.values import (
    ArrayView,
    FrontValue,
    GrowingList,
    ListValue,
    SequenceValue,
    Static,
    TupleValue,
    describe,
    spread,
)
from tracejit.signatures import signature_of

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

#: PyTorch's or NumPy's keyword -> the one used here.
SPELLINGS = {
    **KEYWORDS,
    **library.KEYWORDS,
    "tensors": "arrays",
    "a_min": "min",
    "a_max": "max",
    "dim1": "axis1",
    "dim2": "axis2",
    "N": "n",
    "M": "m",
}


class Arguments:
    """The arguments of one call, by the names of a signature `"x axis=None keepdims=False *rest"`."""

    def __init__(
        self,
        calls: Calls,
        name: str,
        signature: str,
        args: list[FrontValue],
        kwargs: dict[str, FrontValue],
        node: ast.AST,
        numpys: bool = False,
    ) -> None:
        self.calls = calls
        self.name = name
        self.node = node
        self.numpys = numpys  #: whether NumPy's function is called, not tracejit's
        self.values: dict[str, FrontValue] = {}
        self.rest: list[FrontValue] = []
        names: list[str] = []
        required: list[str] = []
        star = False
        for part in signature.split():
            if part.startswith("*"):
                star = True
                continue
            key, _, default = part.partition("=")
            names.append(key)
            if default:
                self.values[key] = Static(ast.literal_eval(default))
            else:
                required.append(key)
        given: set[str] = set()
        for i, value in enumerate(args):
            if i < len(names) and not (star and i >= 1):
                self.values[names[i]] = value
                given.add(names[i])
            elif star:
                self.rest.append(value)
            else:
                self.fail(f"{name}() takes {len(names)} arguments but {len(args)} were given")
        for key, value in kwargs.items():
            key = key if key in names else SPELLINGS.get(key, key)
            if key not in names:
                self.calls.ctx.refuse(node, f"{name}() has no keyword {key!r} in a script", "leave it out")
            if key in given:
                self.fail(f"{name}() got multiple values for argument '{key}'")
            self.values[key] = value
            given.add(key)
        for key in required:
            if key not in self.values:
                self.fail(f"{name}() missing required argument: '{key}'")
        if "device" in given and not self.is_none("device"):
            require_device(calls.ctx, str(self.static("device")), node)

    def fail(self, text: str) -> Any:
        """A wrong call is Python's TypeError when its line is reached."""
        return self.calls.arith.mismatch(TypeError(text), self.node)

    @property
    def asks(self) -> bool:
        """Whether a tensor is to be made that asks for gradients."""
        return "requires_grad" in self.values and bool(self.static("requires_grad"))

    def __getitem__(self, name: str) -> FrontValue:
        return self.values[name]

    def static(self, name: str) -> Any:
        """A compile-time argument."""
        return self.calls.static(self.values[name], self.node, f"{name!r}")

    def is_none(self, name: str) -> bool:
        value = self.values[name]
        return isinstance(value, Static) and value.value is None

    def array(self, name: str = "x") -> ArrayView:
        """An array argument; numbers become 0-d arrays, nested lists arrays."""
        return as_array(self.calls, self.values[name], self.node)

    def axes(self, rank: int, name: str = "axis") -> tuple[int, ...]:
        """`axis` as a sorted tuple of non-negative axes; None means all."""
        value = self.static(name)
        if value is None:
            return tuple(range(rank))
        listed = value if isinstance(value, tuple | list) else (value,)
        return tuple(sorted(normal_axis(self, a, rank) for a in listed))

    def axis(self, rank: int, name: str = "axis") -> int:
        """One axis, non-negative."""
        return normal_axis(self, self.static(name), rank)

    def integer(self, value: Any) -> int:
        """A compile-time argument that is an integer; of another kind it is Python's TypeError."""
        try:
            return operator.index(value)
        except TypeError as error:
            return self.calls.arith.mismatch(error, self.node)

    def sizes(self, value: FrontValue) -> list[Any]:
        """A shape: an integer or a sequence of integers, static or not."""
        items = value.items if isinstance(value, TupleValue | ListValue) else [value]
        if isinstance(value, Static) and isinstance(value.value, tuple | list):
            items = [Static(v) for v in value.value]
        return [self.calls.ctx.as_size(i, self.node) for i in items]


def bound_to(
    calls: Calls, fn: Any, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> dict[str, Any]:
    """The arguments of a function that scripts know by itself, under the names of its parameters. A wrong call is
    Python's TypeError when its line is reached."""
    fn = inspect.unwrap(fn)
    try:
        inspect.getcallargs(fn, *args, **kwargs)
    except TypeError as error:
        calls.arith.mismatch(error, node)
    return signature_of(fn).bind(*args, **kwargs).arguments


def argument_numbers(argnums: Any) -> int | tuple[int, ...]:
    """`argnums` of a transformation. Raises TypeError for what is neither an integer nor a sequence of such."""
    try:
        return tuple(map(operator.index, argnums)) if isinstance(argnums, tuple | list) else operator.index(argnums)
    except TypeError:
        text = f"argnums is the number of an argument, or a tuple of such, not {argnums!r}"
        raise TypeError(text) from None


def normal_axis(arguments: Arguments, axis: Any, rank: int) -> int:
    """A non-negative axis; NumPy's AxisError where there is none."""
    axis = arguments.integer(axis)
    if not -rank <= axis < max(rank, 1):
        arguments.calls.arith.mismatch(np.exceptions.AxisError(axis, rank), arguments.node)
    return axis % rank if rank else 0


def is_range(value: FrontValue) -> bool:
    """Whether a value is a range, of known bounds or not."""
    if isinstance(value, SequenceValue):
        return value.range is not None
    return isinstance(value, Static) and isinstance(value.value, range)


def as_array(calls: Calls, value: FrontValue, node: ast.AST) -> ArrayView:
    """A value as an array."""
    value = spread(calls.as_operand(value))
    if isinstance(value, ArrayView):
        return value
    if isinstance(value, TupleValue | ListValue | GrowingList) or is_range(value):
        return calls.array_of(value, None, node)
    if calls.arith.is_number(value):
        return calls.ctx.fresh(calls.ctx.b.emit("broadcast", (calls.arith.scalar(value),))[0])
    if calls.ctx.tensors and isinstance(value, Static) and isinstance(value.value, str | None):
        error = TypeError(f"a tensor cannot be made from {type(value.value).__name__}")
        return calls.arith.mismatch(error, node)  # type: ignore[return-value]
    calls.ctx.refuse(node, f"an array is needed here, not {describe(value)}", "pass an array, a list or a number")
