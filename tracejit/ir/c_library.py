"""Functions of the C library that NumPy has not, on arrays of floats, element by element."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np


def _elementwise(function: Callable[[float], float], at_poles: Callable[[float], float]) -> Callable[[Any], Any]:
    """Python's function on arrays; where it raises, what C's gives."""

    def of(x: float) -> float:
        try:
            return function(x)
        except ValueError:
            return at_poles(x)
        except OverflowError:
            return math.inf

    def on_arrays(x: Any) -> Any:
        x = np.asarray(x)
        return np.fromiter(map(of, x.reshape(-1).tolist()), np.float64, x.size).reshape(x.shape).astype(x.dtype)[()]

    return on_arrays


def _gamma_at(pole: float) -> float:
    return math.copysign(math.inf, pole) if pole == 0 else math.nan


#: By their names in C.
BY_C_NAME: dict[str, Callable[[Any], Any]] = {
    "erfc": _elementwise(math.erfc, lambda x: math.nan),
    "lgamma": _elementwise(math.lgamma, lambda x: math.inf),
    "tgamma": _elementwise(math.gamma, _gamma_at),
}
