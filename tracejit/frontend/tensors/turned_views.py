"""Functions of NumPy that give views of one array: turned, flipped, broadcast together, by index letters, its parts."""

from __future__ import annotations

import dataclasses
import string
from typing import TYPE_CHECKING

from tracejit.frontend.functions.arguments import Arguments
from tracejit.frontend.functions.library import library_call, library_function
from tracejit.frontend.functions.names import elementwise_names
from tracejit.frontend.sizes import key
from tracejit.frontend.tensors.array_parts import part_of
from tracejit.frontend.tensors.arrays import define, flipped
from tracejit.frontend.tensors.elementwise import elementwise
from tracejit.frontend.tensors.slices import permuted
from tracejit.frontend.values import ArrayView, FrontValue, Static
from tracejit.ops.products import einsum_letters

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


def _needs(a: Arguments, x: ArrayView, rank: int) -> None:
    if x.rank < rank:
        a.calls.arith.mismatch(ValueError(f"Input must be >= {rank}-d."), a.node)


@define("flipud", "x")
def _flipud(c: Calls, a: Arguments) -> FrontValue:
    x = a.array()
    _needs(a, x, 1)
    return flipped(c, x, (0,))


@define("fliplr", "x")
def _fliplr(c: Calls, a: Arguments) -> FrontValue:
    x = a.array()
    _needs(a, x, 2)
    return flipped(c, x, (1,))


@define("rot90", "x k=1 axes=(0,1) dims=None")
def _rot90(c: Calls, a: Arguments) -> FrontValue:
    """The view turned k times by 90 degrees, from the first of two axes to the second."""
    x, turns = a.array(), a.integer(a.static("k")) % 4
    _needs(a, x, 2)
    listed = tuple(a.static("axes" if a.is_none("dims") else "dims"))
    first, second = (a.integer(k) % x.rank for k in listed)
    if first == second or not all(-x.rank <= k < x.rank for k in listed):
        c.arith.mismatch(ValueError(f"Axes={listed} out of range for array of ndim={x.rank}."), a.node)
    exchanged = list(range(x.rank))
    exchanged[first], exchanged[second] = second, first
    match turns:
        case 0:
            return dataclasses.replace(x)
        case 1:
            return permuted(flipped(c, x, (second,)), tuple(exchanged))
        case 2:
            return flipped(c, x, (first, second))
        case _:
            return flipped(c, permuted(x, tuple(exchanged)), (second,))


@define("real imag", "x")
def _real(c: Calls, a: Arguments) -> FrontValue:
    """A part of an array as `x.real` is; of a number a number."""
    x = c.as_operand(a["x"])
    if isinstance(x, ArrayView) and (a.name == "real" or x.dtype.is_complex):
        return part_of(c, x, a.name, a.node)
    return elementwise(c, elementwise_names()[a.name], [x], {}, a.node)


@define("einsum", "spec *operands out=None optimize=False")
def _einsum(c: Calls, a: Arguments) -> FrontValue:
    """Index letters of one array that are all kept select diagonals and order axes: a view, as in NumPy."""
    spec = a["spec"]
    if not (isinstance(spec, Static) and isinstance(spec.value, str)):
        spec, a.rest = _with_letters(c, a, [spec, *a.rest])
    if len(a.rest) == 1 and a.is_none("out") and isinstance(spec, Static) and isinstance(spec.value, str):
        x = c.as_operand(a.rest[0])
        view = _lettered(c, a, x, spec.value) if isinstance(x, ArrayView) else None
        if view is not None:
            return view
    library = library_function("einsum")
    assert library is not None
    kwargs: dict[str, FrontValue] = {} if a.is_none("out") else {"out": a["out"]}
    return library_call(c, library, [spec, *a.rest], kwargs, a.node)


def _with_letters(c: Calls, a: Arguments, given: list[FrontValue]) -> tuple[FrontValue, list[FrontValue]]:
    """A call in the form `einsum(x, [0, 1], y, [1, 2], [0, 2])` as letters and operands."""

    def letters(listed: FrontValue) -> str:
        places = c.static(listed, a.node, "a list of axes")
        if not isinstance(places, list | tuple) or not all(
            k is ... or k in range(len(string.ascii_letters)) for k in places
        ):
            text = "einsum: axes are ints from 0 to 51, or an ellipsis"
            return c.arith.mismatch(ValueError(text), a.node)
        return "".join("..." if k is ... else string.ascii_letters[k] for k in places)

    operands, listed = given[: len(given) // 2 * 2 : 2], given[1::2]
    spec = ",".join(map(letters, listed))
    if len(given) % 2:
        spec += f"->{letters(given[-1])}"
    return Static(spec), operands


def _lettered(c: Calls, a: Arguments, x: ArrayView, spec: str) -> ArrayView | None:
    """The view that a pattern of one operand means; None where it sums, or does not fit."""
    try:
        (letters,), output = einsum_letters(spec, [x.rank])
    except ValueError:
        return None
    if set(output) != set(letters) or len(set(output)) != len(output) or not output:
        return None
    if len(letters) == len(output):
        return permuted(x, tuple(letters.index(k) for k in output))
    strides, lengths = [], []
    for letter in output:
        axes = [k for k, own in enumerate(letters) if own == letter]
        n, stride = x.lengths[axes[0]], x.strides[axes[0]]
        for k in axes[1:]:
            if key(x.lengths[k]) != key(n):
                sizes = (c.ctx.size_value(n), c.ctx.size_value(x.lengths[k]))
                text = f"einsum: axes of index {letter!r} have sizes {{0}} and {{1}}"
                c.ctx.check(c.ctx.b.emit("eq", sizes)[0], "ValueError", text, *sizes)
            stride = c.ctx.sizes.add(c.ctx.b, stride, x.strides[k])
        strides.append(stride)
        lengths.append(n)
    return x.viewed(x.offset, strides, lengths)
