"""Masks, and the forms of picking and ordering that scripts do not share (results whose kind depends on options)."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from tracejit.devices import module_of
from tracejit.eager.apply import TENSORS
from tracejit.eager.arguments import as_tensor, axis_of, spelled
from tracejit.eager.elementwise import as_operand, coerced
from tracejit.eager.inplace import update
from tracejit.eager.library import functions, methods
from tracejit.eager.shapes import broadcast_tensors
from tracejit.eager.tensor import Tensor, wrap
from tracejit.ops.sorting import TopK


def masked_fill(x: Any, mask: Any, value: Any) -> Tensor:
    """x with `value` where the mask holds."""
    x = as_tensor(x)
    return coerced("cast", coerced("select", mask, as_operand(value), x), dtype=TENSORS.dtype(x))


def masked_fill_(self: Tensor, mask: Any, value: Any) -> Tensor:
    """Set the elements where the mask holds to `value`."""
    return update(self, masked_fill, None, False, mask, value)


def masked_select(x: Any, mask: Any) -> Tensor:
    """The elements where the mask holds, in C order; x and the mask are stretched to each other."""
    x, mask = broadcast_tensors(x, mask)
    return x[mask]


@spelled
def take_along_axis(x: Any, index: Any, axis: int = -1) -> Tensor:
    """NumPy's `take_along_axis`: as `gather`, with the other axes broadcast against each other."""
    x, index = as_tensor(x), as_tensor(index)
    place = axis_of(axis, x.ndim)
    rest = np.broadcast_shapes(*((*t.shape[:place], 1, *t.shape[place + 1 :]) for t in (x, index)))
    wide = (TENSORS.broadcast(t, (*rest[:place], t.shape[place], *rest[place + 1 :])) for t in (x, index))
    return functions()["take_along_axis"](*wide, axis=place)


@spelled
def topk(x: Any, k: int, axis: int = -1, largest: bool = True, sorted: bool = True) -> TopK:
    """The k largest (or smallest) elements along an axis, in order, and their places."""
    x, k = as_tensor(x), operator.index(k)
    if not 0 <= k <= x.shape[axis_of(axis, x.ndim)]:
        raise ValueError(f"topk: {k} of {x.shape[axis_of(axis, x.ndim)]} elements cannot be picked")
    return functions()["topk"](x, k, axis, largest)


def where(condition: Any, *values: Any, **named: Any) -> Tensor | tuple[Tensor, ...]:
    """x where the condition holds, else y; without x and y, the places where it holds, one tensor per axis."""
    if values or named:
        return functions()["where"](condition, *values, **named)
    mask = as_tensor(condition)._data
    return tuple(map(wrap, module_of(mask).nonzero(mask)))


def where_method(self: Tensor, condition: Any, other: Any) -> Tensor:
    """The tensor where the condition holds, else `other`."""
    return functions()["where"](condition, self, other)


def _in_place(name: str) -> Callable[..., Tensor]:
    function = methods().get(name) or functions()[name]

    def method(self: Tensor, *operands: Any, **named: Any) -> Tensor:
        return update(self, function, None, True, *operands, **named)

    method.__doc__ = f"In place: {function.__doc__}"
    return method


#: Functions of the library whose result may take the place of their first operand, beside elementwise ops.
_ALSO_IN_PLACE = (
    *("scatter scatter_add scatter_reduce index_add index_copy index_fill index_put index_reduce put".split()),
    *("masked_scatter clip clamp clamp_min clamp_max lerp addmm addmv addr addbmm baddbmm addcmul addcdiv".split()),
    *("cumsum cumprod round fix frac sgn sinc i0 digamma polygamma mvlgamma logit nan_to_num deg2rad".split()),
    *("rad2deg xlogy heaviside ldexp float_power renorm tril triu".split()),
)
FUNCTIONS = {f.__name__: f for f in (masked_fill, masked_select, take_along_axis, topk, where)}
METHODS = {name: FUNCTIONS[name] for name in ("masked_fill", "masked_select", "topk")} | {
    "masked_fill_": masked_fill_,
    "where": where_method,
    **{f"{name}_": _in_place(name) for name in _ALSO_IN_PLACE},
}
#: Functions whose NumPy namesake does the same with the same arguments.
NUMPY_NAMES = ("take_along_axis",)
