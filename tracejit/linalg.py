"""Linear algebra: the functions that are spelled `linalg.<name>` in `ops/`."""

from __future__ import annotations

from typing import Any

from tracejit.eager.methods import FUNCTIONS

_PREFIX = "linalg."
#: Functions of the array API's extension that are no linear algebra of their own.
_SHARED = ("cross", "diagonal", "matmul", "matrix_transpose", "outer", "tensordot", "trace", "vecdot")
_OWN = {name: FUNCTIONS[name] for name in _SHARED} | {
    name.removeprefix(_PREFIX): function for name, function in FUNCTIONS.items() if name.startswith(_PREFIX)
}

__all__ = list(_OWN)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _OWN:
        raise AttributeError(f"module 'tracejit.linalg' has no attribute '{name}'")
    return _OWN[name]


def __dir__() -> list[str]:
    return sorted(_OWN)
