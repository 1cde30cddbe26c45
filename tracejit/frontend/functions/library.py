"""Calls of tracejit's library functions (`ops/functions.py`): arguments by the annotations of their definitions."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tracejit.eager.library import parameter_named
from tracejit.errors import OfNumPyOnly
from tracejit.frontend.arith import is_python_number, python_kind
from tracejit.frontend.functions.arguments import is_range
from tracejit.frontend.syntax.source import function_source
from tracejit.frontend.tensors.devices import require_device
from tracejit.frontend.tensors.elementwise import require_same_kind
from tracejit.frontend.values import (
    ArrayView,
    FrontValue,
    GrowingList,
    ListValue,
    Number,
    Static,
    TupleValue,
    describe,
    spread,
)
from tracejit.frontend.written import extension
from tracejit.ir.builder import Handle
from tracejit.ops.coerce import Weak
from tracejit.ops.functions import FUNCTIONS, Function
from tracejit.signatures import signature_of

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


#: Functions whose results are stretched to the shape of `out`.
_STRETCHED = ("clip", "einsum", "outer", "percentile", "quantile")

#: Functions that store what a ufunc of NumPy's gives: a result of another kind is a TypeError.
_ENDING_IN_UFUNCS = {
    "clip": "clip",
    "outer": "multiply",
    "percentile": "add",
    "ptp": "subtract",
    "quantile": "add",
    "round": "multiply",
    "std": "sqrt",
}


def library_function(name: str) -> Function | None:
    """The library function of that name, under any spelling; of `"numpy.split"`, NumPy's own."""
    if name.startswith("numpy."):
        return FUNCTIONS.get(name.replace(".", " ", 1))
    for kind in ("function", "numpy", "method"):
        found = FUNCTIONS.get(f"{kind} {name}")
        if found is not None:
            return found
    return None


@cache
def _signature(library: Function) -> inspect.Signature:
    """The user's signature: the definition's without the builder."""
    signature = signature_of(library.fn)
    return signature.replace(parameters=list(signature.parameters.values())[1:])


@cache
def _numpys_keywords(library: Function) -> tuple[str, ...]:
    """The parameters of NumPy's function of that name, in order."""
    try:
        return tuple(signature_of(getattr(np, library.name)).parameters)
    except (AttributeError, TypeError, ValueError):
        return ()


def library_call(
    calls: Calls, library: Function, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    """Call a library function on front-end values; `out=` is written where the definition does not take it."""
    signature = _signature(library)
    given = dict(kwargs)
    kwargs = {parameter_named(k, signature.parameters): v for k, v in kwargs.items()}
    if len(args) > len(signature.parameters):  # NumPy's functions take `out` by position too
        more = list(_numpys_keywords(library))[len(signature.parameters) : len(args)]
        if more == ["out"]:
            kwargs["out"] = args.pop()
    out = kwargs.pop("out", None) if "out" not in signature.parameters else None
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        own = extension(library.name)
        if own is not None:
            return calls.inline(function_source(own), args, given, node, None)
        unknown = next((k for k in kwargs if k not in signature.parameters and k in _numpys_keywords(library)), None)
        if unknown is not None:
            calls.ctx.refuse(node, f"{library.name}() has no keyword {unknown!r} in a script", "leave it out")
        return calls.arith.mismatch(TypeError(f"{library.name}() {error}"), node)
    for name, value in bound.arguments.items():
        parameter = signature.parameters[name]
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            bound.arguments[name] = tuple(_argument(calls, str(parameter.annotation), v, node) for v in value)
        elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
            bound.arguments[name] = {k: calls.static(v, node, repr(k)) for k, v in value.items()}
        elif isinstance(value, Static) and value.value is None and parameter.default is inspect.Parameter.empty:
            calls.ctx.refuse(node, f"{library.name}() of None is outside the language", "pass an array")
        else:
            bound.arguments[name] = _argument(calls, str(parameter.annotation), value, node)
    calls.ctx.at(node)
    try:
        made = library.fn(calls.ctx.b, *bound.args, **bound.kwargs)
    except (TypeError, ValueError, IndexError, OverflowError) as error:
        own = extension(library.name) if isinstance(error, OfNumPyOnly) else None
        if own is not None:
            return calls.inline(function_source(own), args, given, node, None)
        return calls.arith.mismatch(error, node)
    result = scalars_of_rank_0(calls, calls.arith.wrap(made))
    if isinstance(result, Number) and not calls.ctx.tensors:
        weak, boxed = library.rank_0 == "python", library.rank_0 == "array"
        result = dataclasses.replace(result, weak=weak, boxed=boxed)
    if isinstance(out, ArrayView):
        if library.name in _ENDING_IN_UFUNCS:
            require_same_kind(calls, _ENDING_IN_UFUNCS[library.name], result, out, node)
        if library.name == "dot" and isinstance(result, ArrayView | Number) and result.dtype != out.dtype:
            calls.arith.mismatch(ValueError("output array is not acceptable: it must have the right datatype"), node)
        if library.name in ("argmax", "argmin") and not np.can_cast(out.dtype.numpy_name, np.int64):
            calls.arith.mismatch(TypeError("Cannot cast array data to dtype('int64') according to 'safe'"), node)
        if library.name not in _STRETCHED:
            _require_shape(calls, result, out, node)
        calls.indexing.assign(out, result, node)
        return out
    return result


def _require_shape(calls: Calls, result: FrontValue, out: ArrayView, node: ast.AST) -> None:
    """A ValueError where `out` has not the shape of the result."""
    lengths = result.lengths if isinstance(result, ArrayView) else ()
    error = ValueError("output array does not match the result")
    if len(lengths) != out.rank:
        calls.arith.mismatch(error, node)
    for n, m in zip(lengths, out.lengths, strict=True):
        if isinstance(n, int) and isinstance(m, int) and n != m:
            calls.arith.mismatch(error, node)
        if not calls.ctx.same_lengths((n,), (m,)):
            same = calls.ctx.b.emit("eq", (calls.ctx.size_value(n), calls.ctx.size_value(m)))[0]
            calls.ctx.check(same, "ValueError", str(error))


def _argument(calls: Calls, annotation: str, value: FrontValue, node: ast.AST) -> Any:
    """An argument as the definition takes it."""
    if isinstance(value, Static) and value.value is None:
        return None
    match annotation.strip("\"'"):
        case "Operand":
            return operand(calls, value, node)
        case "AxisOrOperand" if calls.ctx.tensors and (
            isinstance(value, ArrayView) or (isinstance(value, Number) and not value.weak)
        ):
            return operand(calls, value, node)
        case "CountOrOperand" if not (is_python_number(value) and python_kind(value) == "i"):
            return operand(calls, value, node)
        case "Operands":
            if isinstance(value, TupleValue | ListValue):
                return tuple(operand(calls, v, node) for v in value.items)
            return operand(calls, value, node)
        case "Size":
            return _size(calls, value, node)
        case "Sizes":
            if isinstance(value, TupleValue | ListValue):
                return tuple(_sizes(calls, v, node) for v in value.items)
            is_known = isinstance(value, Static) and isinstance(value.value, tuple | list | str)  # padding="same"
            return calls.static(value, node, "a shape") if is_known else _size(calls, value, node)
        case "Device":
            require_device(calls.ctx, str(calls.static(value, node, "a device")), node)
            return None
        case _:
            return calls.static(value, node, "this argument")


def operand(calls: Calls, value: FrontValue, node: ast.AST) -> Any:
    """A handle, a Python number, or a `Weak` one known at run time only."""
    value = spread(calls.as_operand(value))
    if isinstance(value, TupleValue | ListValue | GrowingList) or is_range(value):
        value = calls.array_of(value, None, node)
    if not calls.arith.is_operand(value):
        calls.ctx.refuse(node, f"an array is needed here, not {describe(value)}", "pass an array, a list or a number")
    handle, weak = calls.arith.operand(value, node)
    return Weak(handle) if weak and isinstance(handle, Handle) else handle


def _sizes(calls: Calls, value: FrontValue, node: ast.AST) -> Any:
    """A size, or a sequence of them in a sequence."""
    if isinstance(value, TupleValue | ListValue):
        return tuple(_sizes(calls, v, node) for v in value.items)
    return _size(calls, value, node)


def _size(calls: Calls, value: FrontValue, node: ast.AST) -> Any:
    size = calls.ctx.as_size(value, node)
    return size if isinstance(size, int) else calls.ctx.handle(size)


def scalars_of_rank_0(calls: Calls, value: FrontValue) -> FrontValue:
    """Results of rank 0 as NumPy scalars, as NumPy gives them."""
    if isinstance(value, ListValue):
        return ListValue([scalars_of_rank_0(calls, v) for v in value.items], value.level)
    if isinstance(value, TupleValue):
        return TupleValue(tuple(scalars_of_rank_0(calls, v) for v in value.items), value.cls)
    if isinstance(value, ArrayView) and value.rank == 0:
        return Number(calls.ctx.element(value, ()).value, weak=False)
    return value
