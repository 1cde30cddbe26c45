"""Methods of ufuncs that are no library function: folds by any ufunc, and unbuffered updates."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracejit.frontend.containers.tables import Special
from tracejit.frontend.tensors import write_checks
from tracejit.frontend.values import Static
from tracejit.frontend.written import Library, each, refuse
from tracejit.frontend.written.reductions import stored

scatter_add = Library("scatter_add")
require_output = Special(lambda c, node, made, out: write_checks.require_output(c, made, out, node) or Static(None))


class Operands:
    """`operands(ufunc, x, dtype)`: x in the dtype in which a ufunc folds it: the one that is given, or what NumPy
    resolves it to; TypeError where there is none."""

    def __tracejit_lower__(self, calls: Any, args: Any, kwargs: Any, node: Any) -> Any:
        from tracejit.frontend.tensors.arrays import method

        ufunc, x, dtype = args
        own = calls.attribute(x, "dtype", node).value
        if not isinstance(dtype, Static) or dtype.value is None:
            try:
                found = ufunc.value.resolve_dtypes((None, np.dtype(own), None), reduction=True)[0]
            except TypeError as error:
                return calls.arith.mismatch(TypeError(str(error)), node)
            dtype = Static(found)
        return x if dtype.value == own else method(calls, x, "astype", [dtype], {}, node)

    def __call__(self, ufunc: Any, x: Any, dtype: Any) -> Any:
        raise TypeError("called inside scripts only")


operands = Operands()


class UpdateDtype:
    """`UpdateDtype(n)(ufunc, x, values)`: the dtype of operand n where `ufunc.at` updates x, as NumPy resolves it;
    TypeError where there is none."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __tracejit_lower__(self, calls: Any, args: Any, kwargs: Any, node: Any) -> Any:
        ufunc, *arrays = args
        own, other = (np.dtype(calls.attribute(a, "dtype", node).value) for a in arrays)
        try:
            found = ufunc.value.resolve_dtypes((own, other, own), casting="unsafe")
        except TypeError as error:
            return calls.arith.mismatch(TypeError(str(error)), node)
        return Static(found[self.number])

    def __call__(self, ufunc: Any, x: Any, values: Any) -> Any:
        raise TypeError("called inside scripts only")


left, right = UpdateDtype(0), UpdateDtype(1)

#: Ufuncs without an identity that may fold several axes, in any order.
REORDERABLE = (np.maximum, np.minimum, np.fmax, np.fmin)


def with_options(
    ufunc: Any,
    inputs: Any,
    out: Any = None,
    where: Any = True,
    dtype: Any = None,
    casting: Any = "same_kind",
    order: Any = "K",
    subok: Any = True,
) -> Any:
    """A ufunc of operands of another dtype, stored in an array, where a mask holds."""
    if dtype is None:
        made = ufunc(*inputs)
    else:
        for x in inputs:
            if not isinstance(x, (int, float, complex)):
                require_cast(x, dtype, casting)
        made = ufunc(*[np.asarray(x).astype(dtype)[()] for x in inputs])
        if made.dtype != np.dtype(dtype):
            raise TypeError(
                f"No loop matching the specified signature and casting was found for ufunc {ufunc.__name__}"
            )
    if out is None:
        if not isinstance(where, bool) or not where:
            refuse("'where' without 'out' leaves elements undefined", "pass out=np.zeros_like(x)")
        return made
    target = out[0] if isinstance(out, tuple) else out
    if ufunc is np.matmul:
        require_last_sizes(made, target, (np.ndim(inputs[0]) > 1) + (np.ndim(inputs[1]) > 1))
    elif ufunc is np.matvec or ufunc is np.vecmat:
        require_last_sizes(made, target, 1)
    require_output(made, target)
    np.copyto(target, made, casting=casting, where=where)
    return target


def require_last_sizes(made: Any, out: Any, count: Any) -> None:
    """So many of the last axes of a result are not stretched to those of `out`."""
    for k in each(count):
        if np.ndim(out) <= k or np.shape(out)[-1 - k] != np.shape(made)[-1 - k]:
            raise ValueError("Output operand 0 has a mismatch in its core dimensions")


def require_cast(x: Any, dtype: Any, casting: Any) -> None:
    """NumPy's rule for the conversion of an array."""
    own = np.asarray(x).dtype
    if not np.can_cast(own, dtype, casting):
        raise TypeError(f"Cannot cast from {own} to {np.dtype(dtype)} according to the rule {casting!r}")


def outer(ufunc: Any, x: Any, y: Any) -> Any:
    """The ufunc of every element of x with every one of y."""
    x, y = np.asarray(x), np.asarray(y)
    return ufunc(np.expand_dims(x, tuple(x.ndim + k for k in each(y.ndim))), y)


def reduce(
    ufunc: Any, x: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None
) -> Any:
    """The fold over an axis (a tuple of axes, or all of them with None), from left to right."""
    x = operands(ufunc, np.asarray(x), dtype)
    if axis is None:
        axes = each(x.ndim)
    elif isinstance(axis, tuple):
        axes = tuple(sorted([place_of(a, x.ndim) for a in axis]))
    elif x.ndim == 0 and axis in (0, -1):
        axes, x, keepdims = (0,), x.reshape(1), False
    else:
        axes = (place_of(axis, x.ndim),)
    if len(axes) > 1 and ufunc.identity is None and ufunc not in REORDERABLE:
        name = ufunc.__name__
        raise ValueError(f"reduction operation '{name}' is not reorderable, so at most one axis may be specified")
    lines = x
    for k in each(len(axes)):
        lines = fold_first(ufunc, np.moveaxis(lines, axes[k] - k, 0), initial if k == 0 else None)
    if keepdims:
        lines = np.expand_dims(lines, axes)
    folds_in_order = ufunc not in REORDERABLE
    if out is not None and folds_in_order and out.dtype.kind in "iub" and np.asarray(lines).dtype.kind in "fc":
        refuse("a fold of fractions into whole numbers", f"out[...] = np.{ufunc.__name__}.reduce(x)")
    return stored(lines, out)


def place_of(axis: Any, rank: Any) -> Any:
    """An axis counted from the first."""
    if not -rank <= axis < rank:
        raise np.exceptions.AxisError(f"axis {axis} is out of bounds for array of dimension {rank}")
    return axis % rank


def fold_first(ufunc: Any, x: Any, initial: Any) -> Any:
    """The fold over the first axis."""
    if initial is None and ufunc.identity is None:
        if x.shape[0] == 0:
            raise ValueError(f"zero-size array to reduction operation {ufunc.__name__} which has no identity")
        made = x[0]
        first = 1
    else:
        start = ufunc.identity if initial is None else initial
        made = np.full(x.shape[1:], start).astype(x.dtype)[()]  # -1 is all bits of any integer
        first = 0
    for k in range(first, x.shape[0]):
        made = ufunc(made, x[k])
    return made


def accumulate(ufunc: Any, x: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Any:
    """The folds of the first 1, 2, ... elements along an axis."""
    x = operands(ufunc, np.asarray(x), dtype)
    made = x.copy()
    lines = np.moveaxis(made, axis, 0)
    for k in range(1, lines.shape[0]):
        lines[k] = ufunc(lines[k - 1], lines[k])
    return stored(made, out)


def at(ufunc: Any, x: Any, indices: Any, values: Any = None) -> Any:
    """`x[indices] = ufunc(x[indices], values)` with every occurrence of an index counted."""
    values = np.asarray(values)
    dtype = left(ufunc, x, values)
    places = np.arange(x.size).reshape(x.shape)[indices]
    amounts = np.broadcast_to(values.astype(right(ufunc, x, values)), np.shape(places)).reshape(-1)
    places = np.asarray(places).reshape(-1)
    flat = x.reshape(-1).copy()
    if ufunc is np.add and x.dtype == dtype and dtype.kind != "b":
        flat = scatter_add(flat, 0, places, amounts)
    elif ufunc is np.subtract and x.dtype == dtype:
        flat = scatter_add(flat, 0, places, -amounts)
    else:
        for k in range(places.size):
            flat[places[k]] = ufunc(flat[places[k]].astype(dtype), amounts[k]).astype(x.dtype)
    x[...] = flat.reshape(x.shape)


def reduceat(ufunc: Any, x: Any, indices: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Any:
    """Folds of the slices between neighbouring indices; one element where an index is not below the next."""
    x = operands(ufunc, np.asarray(x), dtype)
    lines = np.moveaxis(x, axis, 0)
    starts = np.asarray(indices)
    if np.any((starts < 0) | (starts >= lines.shape[0])):
        raise IndexError(f"an index is out-of-bounds in reduceat [0, {lines.shape[0]})")
    made = lines[starts]
    for k in range(starts.size):
        first = starts[k]
        last = starts[k + 1] if k + 1 < starts.size else lines.shape[0]
        for n in range(first + 1, last):
            made[k] = ufunc(made[k], lines[n])
    made = np.moveaxis(made, 0, axis)
    return stored(made, out)
