"""User functions that are not single ops: the registry, and what their definitions share.

A function is plain Python over a builder, `fn(b, x, ..., axis=None, keepdims=False)`, written once for scripts, eager
tensors and derivative rules. Its signature is the user's. Parameters annotated `Operand` take handles, arrays or
numbers (a Python number known at run time only as `Weak`), `Operands` a sequence of them, `Size` and `Sizes`
ints or i64 handles, `AxisOrOperand` axes or a tensor, `CountOrOperand` a compile-time int or another operand; all
others are compile-time values. Functions promote and broadcast by themselves.

`FUNCTIONS` maps a spelling (`"function softmax"`, `"method softmax"`, `"numpy sum"`) to the definition.
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from tracejit.errors import DTypeMismatch, ShapeMismatch, error_class
from tracejit.ir.builder import COMPOSITES, Builder, Handle, composite
from tracejit.ir.opdef import REGISTRY
from tracejit.ir.types import BOOL, BY_NAME, BY_NUMPY_NAME, C128, F64, I64, U64, DType, ScalarType
from tracejit.ops import coerce
from tracejit.ops.coerce import Weak
from tracejit.ops.define import as_dtype
from tracejit.records import record

Operand: TypeAlias = Any
Operands: TypeAlias = "Sequence[Any]"
Size: TypeAlias = Any
Sizes: TypeAlias = Any
Axis: TypeAlias = "int | tuple[int, ...] | None"
AxisOrOperand: TypeAlias = Any
CountOrOperand: TypeAlias = Any

EVERYWHERE = ("function", "method", "numpy")


@record
class Function:
    """A user function: `fn(b, *arguments)` and how Python may call it."""

    name: str
    fn: Callable[..., Any]
    names: tuple[str, ...]
    rank_0: str = "scalar"  #: what NumPy gives as results of rank 0: a `scalar` of its own, an `array`, or `python`'s

    @property
    def doc(self) -> str:
        return self.fn.__doc__ or ""


FUNCTIONS: dict[str, Function] = {}


def function(
    *names: str, kinds: Sequence[str] = EVERYWHERE, rank_0: str = "scalar"
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function under its own name (a trailing `_` dropped) for each of `kinds`, and under `names`, each a
    bare name (for the same kinds) or spelt out ("numpy amax"). Where no op has the name, `b.<name>` calls it too.
    `rank_0` is that of `Function`."""

    def register(fn: Callable[..., Any]) -> Callable[..., Any]:
        name = fn.__name__.rstrip("_")
        spelt = [f"{kind} {n}" for n in (name, *(n for n in names if " " not in n)) for kind in kinds]
        defined = Function(name, fn, (*spelt, *(n for n in names if " " in n)), rank_0)
        for spelling in defined.names:
            if spelling in FUNCTIONS:
                raise ValueError(f"{spelling!r} is defined twice")
            FUNCTIONS[spelling] = defined
        if name not in REGISTRY and name not in COMPOSITES and fn.__name__ == name:
            composite(fn)
        return fn

    return register


# -- operands -------------------------------------------------------------------------------------------------


class Coerced:
    """A builder whose ops promote and broadcast: `on(b).add(x, 1)` is `coerce.apply(b, "add", x, 1)`."""

    def __init__(self, b: Any) -> None:
        self.b = b

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *operands, **attrs: coerce.apply(self.b, name, *operands, **attrs)


def on(b: Any) -> Coerced:
    """The builder, with ops that promote and broadcast."""
    return Coerced(b)


def array(b: Any, x: Operand) -> Any:
    """x as a tensor: a number or host scalar becomes one of rank 0."""
    if isinstance(x, Weak):
        x = x.x
    if coerce.is_number(x):
        return b.full(x, (), coerce.result_dtype(b, (x,)))
    return b.broadcast(x, ()) if b.is_scalar(x) else x


def inexact(b: Any, x: Operand) -> Any:
    """x as a tensor of floats or complex numbers; integers become f64, as in NumPy's `mean`."""
    x = array(b, x)
    return x if b.dtype(x).is_inexact else b.cast(x, dtype=F64)


def dtype_from(dtype: Any) -> DType:
    """A dtype from anything that names one: an IR dtype, a NumPy dtype or type, a Python type, a string."""
    if isinstance(dtype, DType | ScalarType):
        return as_dtype(dtype)
    if dtype in _PYTHON:
        return _PYTHON[dtype]
    name = dtype if isinstance(dtype, str) else getattr(dtype, "name", None) or getattr(dtype, "__name__", "")
    if isinstance(dtype, str) and name not in BY_NUMPY_NAME:
        with contextlib.suppress(TypeError):
            name = np.dtype(dtype).name  # a code: "i8" has 8 bytes in NumPy
    found = BY_NUMPY_NAME.get(name) or BY_NAME.get(name)
    if found is None:
        raise DTypeMismatch(f"{dtype!r} is not a dtype")
    return found


_PYTHON: dict[Any, DType] = {bool: BOOL, int: I64, float: F64, complex: C128}


# -- axes and sizes -------------------------------------------------------------------------------------------


def one_axis(axis: int, rank: int) -> int:
    """An axis counted from the front. NumPy's `AxisError` (a `ValueError` and `IndexError`) when there is none."""
    axis = operator.index(axis)
    if not -rank <= axis < rank:
        raise np.exceptions.AxisError(axis, rank)
    return axis % rank


def axes_of(axis: Axis, rank: int) -> tuple[int, ...]:
    """Sorted axes counted from the front; None is all of them."""
    if axis is None:
        return tuple(range(rank))
    given = axis if isinstance(axis, tuple | list) else (axis,)
    found = sorted(one_axis(a, rank) for a in given)
    if len(set(found)) != len(found):
        raise ShapeMismatch("duplicate value in 'axis'")
    return tuple(found)


def folded_axes(axis: Axis, rank: int) -> tuple[int, ...]:
    """`axes_of` for folds and places of extrema, which take 0 and -1 as an axis of one element too, as in NumPy."""
    return () if rank == 0 and axis in (0, -1) else axes_of(axis, rank)


def keep_axes(b: Any, x: Any, out: Any, axes: Sequence[int]) -> Any:
    """A result over `axes` of x with these axes kept as size 1."""
    return b.reshape(out, tuple(1 if i in axes else s for i, s in enumerate(b.shape(x))))


def count_of(b: Any, x: Any, axes: Sequence[int] | None = None) -> Any:
    """The number of elements along axes: an int or an i64 handle."""
    shape = b.shape(x)
    total: Any = 1
    for axis in range(len(shape)) if axes is None else axes:
        total = shape[axis] if isinstance(total, int) and total == 1 else total * shape[axis]
    return total


def number_of_elements(b: Any, x: Any, axes: Sequence[int]) -> Any:
    """The number of elements along axes as a scalar of x's dtype."""
    count = count_of(b, x, axes)
    return float(count) if isinstance(count, int) else b.cast(count, dtype=b.dtype(x))


def widened(b: Any, x: Operand, dtype: Any = None) -> Any:
    """x in the dtype of its sums: `dtype`, or NumPy's 64-bit integers for integers and truth values."""
    x = array(b, x)
    if dtype is not None:
        return on(b).cast(x, dtype=dtype_from(dtype))
    source = b.dtype(x)
    if source.is_inexact or source.bits == 64:
        return x
    return b.cast(x, dtype=U64 if source.kind == "u" else I64)


def require_elements(b: Any, x: Any, axes: Sequence[int], name: str) -> None:
    """`ValueError` where some of the axes have no elements."""
    is_place = name in ("argmax", "argmin")
    text = f"zero-size array to reduction operation {name} which has no identity"
    for axis in axes:
        require_some(b, b.shape(x)[axis], f"attempt to get {name} of an empty sequence" if is_place else text)


def require_some(b: Any, size: Size, message: str, kind: str = "ValueError") -> None:
    """An error where a size is 0."""
    if isinstance(size, int) and size < 1:
        raise (ShapeMismatch if kind == "ValueError" else error_class(kind))(message)
    if not is_positive(b, size):
        b.check(b.gt(size, 0), (), kind=kind, message=message)


def is_positive(b: Builder, size: Size) -> bool:
    """Whether a size is known to be at least 1."""
    if not isinstance(size, Handle):
        return size > 0
    if isinstance(size.value.known, str):
        return not getattr(b, "any_size", False)
    at_least = getattr(b, "at_least", None)
    return at_least is not None and at_least(size.value, 1)
