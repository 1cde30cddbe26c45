"""Functions of `np.fft` that transform nothing: apart from others, as NumPy loads that module when it is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracejit.frontend.written import written


@written(np.fft.fftfreq)
def fftfreq(n: Any, d: Any = 1.0) -> Any:
    """The frequencies of the coefficients of `fft`: ZeroDivisionError of Python's numbers for no samples."""
    apart = 1.0 / (n * d)
    if n < 0:
        raise ValueError("negative dimensions are not allowed")
    place = np.arange(n)
    return np.where(place < (n - 1) // 2 + 1, place, place - n) * apart


@written(np.fft.rfftfreq)
def rfftfreq(n: Any, d: Any = 1.0) -> Any:
    """The frequencies of the coefficients of `rfft`: as `fftfreq`."""
    apart = 1.0 / (n * d)
    return np.arange(n // 2 + 1) * apart
