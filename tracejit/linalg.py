"""Linear algebra: the functions that are spelled `linalg.<name>` in `ops/`."""

from __future__ import annotations

from typing import Any

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


__all__ = [*_OWN, "diagonal", "trace"]  # pyright: ignore[reportUnsupportedDunderAll]
