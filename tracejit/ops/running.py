"""What there is along an axis up to each element: the largest and smallest so far, sums of exponentials, areas."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from tracejit.ir.core import Value
from tracejit.ir.opdef import Opaque, Sample
from tracejit.ir.types import I64, TensorType, Type
from tracejit.ops import loops, nodes
from tracejit.ops.define import draw, op, require_dtype, tensor_type
from tracejit.ops.functions import Operand, array, function, inexact, one_axis
from tracejit.ops.numeric import areas
from tracejit.ops.reduction import ORDERED, highest, lowest, shifted
from tracejit.ops.sorting import along_axis

TORCH = ("function", "method")


def _place_infer(x: Value, *, axis: int) -> tuple[Type, ...]:
    require_dtype(x, ORDERED, "an extremum so far")
    return (TensorType(I64, tensor_type(x, "an extremum so far").shape),)


def _place_eager(better: str) -> Any:
    def eager(xp: Any, x: Any, *, axis: int) -> Any:
        """The best of ever longer stretches, each made of two."""
        line = xp.moveaxis(x, axis, 0)
        count = line.shape[0]
        place = xp.array(xp.broadcast_to(xp.arange(count).reshape(-1, *(1,) * (x.ndim - 1)), line.shape), order="C")
        step = 1
        while step < count:
            before, here = (xp.take_along_axis(line, place[part], 0) for part in (slice(-step), slice(step, None)))
            wins = xp.logical_or(here != here, xp.logical_and(before == before, getattr(here, better)(before)))
            place[step:] = xp.where(wins, place[step:], place[:-step])
            step *= 2
        return xp.ascontiguousarray(xp.moveaxis(place, 0, axis).astype("int64"))

    return eager


for _name, _best, _better, _identity in (
    ("cummax_place", "largest", "ge", lowest),
    ("cummin_place", "smallest", "le", highest),
):
    op(
        _name,
        ("x",),
        doc=f"For each element, where along `axis` the {_best} one up to it is: the last of equal ones, and of nans if "
        "there is one.",
        infer=_place_infer,
        eager=_place_eager(f"__{_better}__"),
        vjp="its result is an integer",
        lower=Opaque(loops.place_so_far(_better, _identity), nodes=nodes.place_so_far(_better)),
        samples=lambda rng: [
            *(
                Sample((draw(rng, -4, 4, shape, dtype),), {"axis": axis})
                for shape, axis, dtype in (
                    ((9,), 0, "float64"),
                    ((3, 4), 0, "int64"),
                    ((3, 4), 1, "float32"),
                    ((2, 5, 3), 1, "float64"),
                    ((6,), 0, "uint8"),
                    ((6,), 0, "bool"),
                    ((0,), 0, "float64"),
                    ((1,), 0, "float64"),
                )
            ),
            Sample((rng.permuted([1.0, float("nan"), 3.0, 2.0, float("nan")]),), {"axis": 0}),
        ],
    )


class Extrema(NamedTuple):
    """The largest (smallest) elements so far, and where they are."""

    values: Any
    indices: Any


def _extrema(name: str, best: str) -> Any:
    def extrema(b: Any, x: Operand, axis: int) -> Any:
        x = array(b, x)
        shape = b.shape(x)
        line = x if shape else b.reshape(x, (1,))
        along = one_axis(axis, b.rank(line))
        place = getattr(b, f"{name}_place")(line, axis=along)
        values = along_axis(b, line, place, along)
        return Extrema(values, place) if shape else Extrema(b.reshape(values, ()), b.reshape(place, ()))

    extrema.__name__ = name
    extrema.__doc__ = f"The {best} elements up to each one along an axis, and the last places where they are."
    return function(kinds=TORCH)(extrema)


cummax = _extrema("cummax", "largest")
cummin = _extrema("cummin", "smallest")


@function(kinds=TORCH)
def logcumsumexp(b: Any, x: Operand, axis: int) -> Any:
    """log(cumsum(exp(x))) along an axis, without overflow: sums are relative to the largest element so far."""
    x = inexact(b, x)
    if not b.rank(x):
        one_axis(axis, 1)
        return x
    axis = one_axis(axis, b.rank(x))
    top = b.detach(cummax(b, x, axis).values)
    shift = b.select(b.isfinite(top), top, 0)
    before, top_before = (shifted(b, y, axis, fill, reverse=False) for y, fill in ((shift, 0), (top, -math.inf)))
    kept = b.select(b.eq(top_before, -math.inf), 0, b.exp(before - shift))
    total = b.linear_scan(kept, b.exp(x - shift), axis=axis)
    none = b.eq(total, 0)
    return b.select(none, -math.inf, b.log(b.select(none, 1, total)) + shift)


@function(kinds=("function",))
def cumulative_trapezoid(b: Any, y: Operand, x: Operand = None, dx: Operand = 1.0, axis: int = -1) -> Any:
    """The integral up to each place along an axis but the first, by the trapezoidal rule; places are x, or `dx`
    apart."""
    made, axis = areas(b, y, x, dx, axis)
    return b.cumsum(made, axis=axis)
