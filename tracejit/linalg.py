"""Linear algebra: the functions that are spelled `linalg.<name>` in `ops/`."""

from __future__ import annotations

from tracejit.eager.methods import FUNCTIONS, members

#: Functions of the array API's extension that are no linear algebra of their own.
_SHARED = ("cross", "diagonal", "matmul", "matrix_transpose", "outer", "tensordot", "trace", "vecdot")
_OWN = {name: FUNCTIONS[name] for name in _SHARED} | members("linalg")
globals().update(_OWN)

__all__ = list(_OWN)  # pyright: ignore[reportUnsupportedDunderAll]
