"""The largest arrays that there are: their bytes are counted in 63 bits, those of views that repeat elements too."""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tracejit.frontend.values import Size
from tracejit.ir.types import F64, DType, ScalarType

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

_TOO_BIG = "array is too big; `arr.size * arr.dtype.itemsize` is larger than the maximum possible size."


def require_bytes(c: Calls, lengths: Sequence[Size], dtype: DType, node: ast.AST) -> None:
    """A ValueError where lengths make an array too big; lengths of 0 count as 1, as in NumPy."""
    known = math.prod(n for n in lengths if isinstance(n, int) and n) * dtype.itemsize
    if known >= 2**63:
        c.arith.mismatch(ValueError(_TOO_BIG), node)
    unknown = [n for n in lengths if not isinstance(n, int)]
    if len(lengths) == 1 or (len(unknown) <= 2 and all(isinstance(n.known, str) for n in unknown)):
        return  # one length wraps nowhere but where memory is asked for; two lengths of arguments are in memory
    b = c.ctx.b
    total = b.constant(float(known), ScalarType(F64))
    for n in unknown:
        total = b.emit("mul", (total, b.emit("cast", (c.ctx.size_value(n),), {"dtype": F64})[0]))[0]
    c.ctx.check(b.emit("lt", (total, b.constant(2.0**63, ScalarType(F64))))[0], "ValueError", _TOO_BIG)
