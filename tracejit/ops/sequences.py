"""Arrays made of sizes and numbers: places of triangles, powers at even distances, windows of signals.

`device` says where a tensor is made; the callers see to it.
"""

from __future__ import annotations

import math
from types import FunctionType
from typing import Any, TypeAlias

from tracejit.ir.types import F32, F64, I64
from tracejit.ops.arrange import at_least, ramp
from tracejit.ops.functions import Operand, Size, dtype_from, function, on

FUNCTION = ("function",)
Device: TypeAlias = Any


def _triangle(name: str, keeps: str, side: str) -> None:
    def indices(b: Any, row: Size, col: Size, offset: Size = 0, *, dtype: Any = None, device: Device = None) -> Any:
        down, right = (b.iota((row, col), axis=axis, dtype=I64) for axis in (0, 1))
        held = getattr(on(b), keeps)(b.sub(right, down), offset)
        places = tuple(b.mask_read(place, held)[1] for place in (down, right))
        lines = tuple(b.reshape(place, (1, b.shape(place)[0])) for place in places)
        return on(b).cast(b.concat(lines, axis=0), dtype=I64 if dtype is None else dtype_from(dtype))

    indices.__name__ = name
    indices.__doc__ = (
        f"The rows and columns (2 by n) of the elements on the diagonal `offset` and {side} it, of a matrix of row by "
        "col elements."
    )
    function(kinds=FUNCTION)(indices)


_triangle("tril_indices", "le", "below")
_triangle("triu_indices", "ge", "above")


@function(kinds=FUNCTION)
def logspace(
    b: Any,
    start: Operand,
    end: Operand,
    steps: Size = 100,
    base: float = 10.0,
    *,
    dtype: Any = None,
    device: Device = None,
) -> Any:
    """`steps` powers of the base whose exponents are evenly spaced from start to end, both included; float32 by
    default."""
    c = on(b)
    last = c.maximum(c.cast(c.sub(steps, 1), dtype=F64), 1.0)
    place = b.cast(ramp(b, steps), dtype=F64)
    exponent = c.add(c.mul(place, c.div(c.sub(end, start), last)), start)
    powers = c.pow(b.full(base, (steps,), F64), exponent)
    return c.cast(powers, dtype=F32 if dtype is None else dtype_from(dtype))


# -- windows of signals ---------------------------------------------------------------------------------------


def _window(name: str, doc: str, value: FunctionType) -> None:
    """A function of the size and of what `value(b, t, ...)`, the window at places t in 0..1, takes besides."""
    value.__qualname__ = name  # what a TypeError says of other parameters

    def window(
        b: Any,
        window_length: Size,
        periodic: bool = True,
        *given: float,
        dtype: Any = None,
        device: Device = None,
        **named: float,
    ) -> Any:
        length = window_length if periodic else on(b).sub(window_length, 1)
        whole = on(b).cast(at_least(b, length, 1), dtype=F64)
        place = on(b).div(b.cast(ramp(b, window_length), dtype=F64), whole)
        found = on(b).select(on(b).eq(window_length, 1), 1.0, value(b, place, *given, **named))
        return on(b).cast(found, dtype=F32 if dtype is None else dtype_from(dtype))

    window.__name__, window.__doc__ = name, f"{doc} With `periodic` the next period would begin behind it."
    function(kinds=FUNCTION)(window)


def _cosines(b: Any, t: Any, *weights: float) -> Any:
    """The sum of weights[k] * (-1)**k * cos(2 pi k t)."""
    total = b.number(weights[0], t)
    for k, weight in enumerate(weights[1:], 1):
        total = on(b).add(total, b.cos(t * (2 * math.pi * k)) * (weight * (-1.0) ** k))
    return total


_window("hann_window", "The window of Hann.", lambda b, t: _cosines(b, t, 0.5, 0.5))
_window(
    "hamming_window",
    "The window of Hamming.",
    lambda b, t, alpha=0.54, beta=0.46: _cosines(b, t, alpha, beta),
)
_window("blackman_window", "The window of Blackman.", lambda b, t: _cosines(b, t, 0.42, 0.5, 0.08))
_window("bartlett_window", "The triangular window of Bartlett.", lambda b, t: 1.0 - b.abs(t * 2.0 - 1.0))
_window(
    "kaiser_window",
    "The window of Kaiser.",
    lambda b, t, beta=12.0: (
        b.i0(b.sqrt(b.maximum(1.0 - on(b).square(t * 2.0 - 1.0), 0.0)) * beta) / b.i0(b.full(beta, b.shape(t), F64))
    ),
)
