"""Linear algebra: the functions that are spelled `linalg.<name>` in `ops/`."""

from __future__ import annotations

import math
from typing import Any

from tracejit.eager.creation import asarray, eye
from tracejit.eager.methods import FUNCTIONS, members

#: Functions of the array API's extension that are no linear algebra of their own.
_SHARED = ("cross", "matmul", "matrix_transpose", "outer", "tensordot", "vecdot")
_OWN = {name: FUNCTIONS[name] for name in _SHARED} | members("linalg")
globals().update(_OWN)


def diagonal(x: Any, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """The diagonals of matrices (..., n, m), above the main one where `offset` is positive: a view (..., k)."""
    return FUNCTIONS["diagonal"](x, offset, dim1, dim2)


def trace(x: Any, *, offset: int = 0, dtype: Any = None) -> Any:
    """The sums of the diagonals of matrices (..., n, m); integers are summed in 64 bits, or in `dtype`."""
    return FUNCTIONS["sum"](diagonal(x, offset=offset), axis=-1, dtype=dtype)


#: Coefficients of the Padé approximant of exp of order (13, 13), and how large its argument may be: N. J. Higham, "The
#: scaling and squaring method for the matrix exponential revisited", SIAM J. Matrix Anal. Appl. 26 (2005).
_PADE = [math.comb(13, k) / math.perm(26, k) for k in range(14)]
_LARGEST = 5.37


def matrix_exp(A: Any) -> Any:
    """exp of square matrices (..., n, n): sums of A^k / k!."""
    a = asarray(A)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ValueError(f"matrix_exp takes square matrices, not shape {a.shape}")
    if a.size == 0:
        return a + 0
    norm, halvings = float(FUNCTIONS["sum"](FUNCTIONS["abs"](a), -1).max()), 0
    while _LARGEST < norm < math.inf:
        norm, halvings = norm / 2, halvings + 1
    a = a / 2**halvings
    square, one = a @ a, eye(a.shape[-1], dtype=a.dtype, device=a.device)
    power, even, odd = one, one * _PADE[0], one * _PADE[1]
    for k in range(2, 14, 2):
        power = power @ square
        even, odd = even + power * _PADE[k], odd + power * _PADE[k + 1]
    odd = a @ odd
    made = FUNCTIONS["linalg.solve"](even - odd, even + odd)
    for _ in range(halvings):
        made = made @ made
    return made


__all__ = [*_OWN, "diagonal", "matrix_exp", "trace"]  # pyright: ignore[reportUnsupportedDunderAll]
