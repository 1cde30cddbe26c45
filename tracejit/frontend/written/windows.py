"""NumPy's window functions: M values that fall to the ends, of a sum of cosines or two lines."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracejit.frontend.written import written


def _steps(M: Any) -> Any:
    """The places of M samples, as odd or even numbers about 0."""
    return np.arange(1 - M, M, 2) * 1.0


def _span(M: Any) -> Any:
    """The distance of the ends; 1 where there is one sample."""
    return max(float(M) - 1.0, 1.0)


@written(np.hanning)
def hanning(M: Any) -> Any:
    """1/2 + cos/2."""
    return 0.5 + 0.5 * np.cos(np.pi * _steps(M) / _span(M))


@written(np.hamming)
def hamming(M: Any) -> Any:
    """0.54 + 0.46 cos."""
    return 0.54 + 0.46 * np.cos(np.pi * _steps(M) / _span(M))


@written(np.blackman)
def blackman(M: Any) -> Any:
    """0.42 + cos/2 + 0.08 cos of twice the angle."""
    n = _steps(M)
    if M == 1:
        return np.ones(1)
    return 0.42 + 0.5 * np.cos(np.pi * n / _span(M)) + 0.08 * np.cos(2.0 * np.pi * n / _span(M))


@written(np.kaiser)
def kaiser(M: Any, beta: Any) -> Any:
    """Bessel functions of the height of a circle's arc."""
    return np.i0(beta * np.sqrt(1 - (_steps(M) / _span(M)) ** 2)) / np.i0(float(beta))


@written(np.bartlett)
def bartlett(M: Any) -> Any:
    """A line up and a line down."""
    n = _steps(M)
    return np.where(n <= 0, 1 + n / _span(M), 1 - n / _span(M))
