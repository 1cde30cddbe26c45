"""The public functions and methods, made from the op registry and from `ops/functions.py`.

An op of the registry is called through promotion and broadcasting; a function of `FUNCTIONS` is run on the recording
builder with its operands as tensors. Nothing here names one of them.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Container, Sequence
from typing import Any

import numpy as np

from tracejit.eager.alias import storage
from tracejit.eager.apply import builder_for
from tracejit.eager.elementwise import as_operand, call, function_of, operator_of, plain_errors
from tracejit.eager.inplace import store_result, update
from tracejit.eager.rules import reads_first_operand
from tracejit.eager.tensor import Tensor
from tracejit.ir.core import Value
from tracejit.ir.opdef import REGISTRY, OpDef
from tracejit.ir.types import BOOL, TensorType, real_dtype
from tracejit.ops.define import allowed_dtypes
from tracejit.ops.functions import FUNCTIONS as DEFINITIONS
from tracejit.ops.functions import Function
from tracejit.signatures import signature_of

#: PyTorch's and the Array API's keyword -> the parameter it stands for, where the function has that parameter.
KEYWORDS = {
    "input": "x",
    "self": "x",
    "a": "x",
    "A": "x",
    "x1": "x",
    "other": "y",
    "x2": "y",
    "mat2": "y",
    "vec": "y",
    "vec2": "y",
    "tensor": "y",
    "exponent": "y",
    "elements": "x",
    "test_elements": "values",
    "sorted_sequence": "x",
    "dim": "axis",
    "dims": "axis",
    "keepdim": "keepdims",
}


def parameter_named(key: str, names: Container[str]) -> str:
    """The parameter, of those that a function has, that a keyword stands for."""
    found = key if key in names else KEYWORDS.get(key, key)
    return "axes" if found == "axis" and "axis" not in names and "axes" in names else found


def as_function(defined: Function) -> Callable[..., Any]:
    """A function of `ops/functions.py` on tensors."""
    fn = defined.fn
    parameters = list(signature_of(fn).parameters.values())[1:]
    by_place = [_converter(p) for p in parameters if p.kind is not p.KEYWORD_ONLY and p.kind is not p.VAR_POSITIONAL]
    rest = next((_converter(p) for p in parameters if p.kind is p.VAR_POSITIONAL), _unchanged)
    by_name = {p.name: _converter(p) for p in parameters}

    def run(*args: Any, **kwargs: Any) -> Any:
        given = [convert(a) for convert, a in zip(by_place, args, strict=False)]
        given.extend(rest(a) for a in args[len(by_place) :])
        named: dict[str, Any] = {}
        out = None if "out" in by_name else kwargs.pop("out", None)
        for key, value in kwargs.items():
            key = parameter_named(key, by_name)
            named[key] = by_name.get(key, _unchanged)(value)
        with plain_errors:
            operands = (*given, *named.values())
            made = _in_c_order(fn(builder_for(operands), *given, **named), operands)
        if out is not None:
            return store_result(out, made, stretched=False)
        return made if named.get("device") is None else made.to(named["device"])

    run.__name__ = run.__qualname__ = defined.name
    run.__doc__ = defined.doc
    run.__module__ = "tracejit"
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


def _in_c_order(made: Any, arguments: Sequence[Any]) -> Any:
    """What a function computed, in C order, as in scripts and in PyTorch; views of its arguments lie as they do. (NumPy
    gives sums, joined arrays and the like the order of what they are made of, and some results are made turned.)"""
    if not isinstance(made, Tensor) or made._data.flags.c_contiguous:
        return made
    owner = storage(made._data)
    given = [x for a in arguments for x in (a if isinstance(a, tuple | list) else (a,)) if isinstance(x, Tensor)]
    return made if any(owner is storage(x._data) for x in given) else made.contiguous()  # type: ignore[attr-defined]


def _unchanged(x: Any) -> Any:
    return x


def _size(x: Any) -> Any:
    return operator.index(x) if hasattr(x, "__index__") else x


def _sizes(x: Any) -> Any:
    return tuple(_size(n) for n in x) if isinstance(x, tuple | list) else _size(x)


def _operands(x: Any) -> Any:
    return [as_operand(item) for item in x]


def _converter(parameter: inspect.Parameter) -> Callable[[Any], Any]:
    """What turns an argument into what the annotation says."""
    kinds = {"Operand": as_operand, "Operands": _operands, "Size": _size, "Sizes": _sizes}
    kinds["CountOrOperand"] = as_operand
    kinds["AxisOrOperand"] = lambda x: as_operand(x) if isinstance(x, Tensor) else x
    annotation = str(parameter.annotation).removesuffix(" | None")
    return kinds.get(annotation, _unchanged)


def _elementwise_ops() -> list[OpDef]:
    return [defn for defn in REGISTRY if allowed_dtypes(defn) is not None]


@functools.cache
def functions() -> dict[str, Callable[..., Any]]:
    """Every public function by name."""
    found: dict[str, Callable[..., Any]] = {}
    for defn in _elementwise_ops():
        made = function_of(defn)
        found.update(dict.fromkeys(_spelled(defn.names, "function"), made))
    made_of: dict[Function, Callable[..., Any]] = {}
    for spelling, defined in DEFINITIONS.items():
        for name in _spelled((spelling,), "function"):
            found[name] = made_of.setdefault(defined, as_function(defined))
    return found


def _spelled(names: Sequence[str], kind: str) -> list[str]:
    return [name.removeprefix(f"{kind} ") for name in names if name.startswith(f"{kind} ")]


@functools.cache
def methods() -> dict[str, Callable[..., Any]]:
    """Every method by name; elementwise ones also in place, with a trailing underscore."""
    found: dict[str, Callable[..., Any]] = {}
    public = functions()
    for defn in _elementwise_ops():
        made = function_of(defn)
        for name in _spelled(defn.names, "method"):
            found[name] = public.get(name, made)
    made_of: dict[Function, Callable[..., Any]] = {}
    for spelling, defined in DEFINITIONS.items():
        for name in _spelled((spelling,), "method"):
            found[name] = public.get(name) or made_of.setdefault(defined, as_function(defined))
    for defn in filter(_keeps_dtype, _elementwise_ops()):
        found.update({f"{name}_": _in_place(found[name], defn) for name in _spelled(defn.names, "method")})
    return found


def _keeps_dtype(defn: OpDef) -> bool:
    """Whether the result has the operands' dtype, so that it can take the operand's place."""
    dtype = (allowed_dtypes(defn) or (BOOL,))[-1]
    operands = (Value(TensorType(dtype, ())) for _ in defn.signature)
    return defn.infer(*operands)[0].dtype in (dtype, real_dtype(dtype))  # type: ignore[union-attr]


def _in_place(function: Callable[..., Any], defn: OpDef) -> Callable[..., Any]:
    """`x.f_(...)`: x takes the value of `x.f(...)`."""
    ufunc = _update_function(defn)

    def method(self: Tensor, *operands: Any, **named: Any) -> Tensor:
        return update(self, function, ufunc, reads_first_operand(defn), *operands, **named)

    method.__name__ = f"{defn.name}_"
    method.__doc__ = f"In place: {defn.doc}"
    return method


def operators() -> dict[str, Callable[..., Any]]:
    """Python's operators by method name, with reflected and in-place forms."""
    found: dict[str, Callable[..., Any]] = {}
    for defn in _elementwise_ops():
        for name in _spelled(defn.names, "operator"):
            forward, reflected = operator_of(functools.partial(call, defn))
            found[name] = forward
            word = name.strip("_")
            if hasattr(operator, f"__i{word}__"):
                found[f"__r{word}__"] = reflected
                found[f"__i{word}__"] = _augmented(defn, forward)
    for spelling, defined in DEFINITIONS.items():
        for name in _spelled((spelling,), "operator"):
            found[name], found[f"__r{name.strip('_')}__"] = operator_of(as_function(defined))
    found["__divmod__"] = lambda x, y: (x // y, x % y)
    found["__rdivmod__"] = lambda x, y: (y // x, y % x)
    found["__pos__"] = lambda x: x
    return found


def _augmented(defn: OpDef, forward: Callable[..., Any]) -> Callable[..., Any]:
    ufunc = _update_function(defn)

    def augmented(self: Tensor, other: Any) -> Any:
        return update(self, forward, ufunc, reads_first_operand(defn), other)

    return augmented


def _update_function(defn: OpDef) -> str | None:
    """The array function that computes the op in place when nothing is recorded."""
    names = [name for name in _spelled(defn.names, "numpy") if isinstance(getattr(np, name, None), np.ufunc)]
    return names[0] if names else None
