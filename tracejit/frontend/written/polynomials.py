"""NumPy's functions of polynomials, whose coefficients are vectors with the highest power first."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracejit.frontend.written import each, refuse, written
from tracejit.frontend.written.numbers import vander


@written(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    """A polynomial at x: Horner's scheme."""
    p, x = np.asarray(p), np.asarray(x)
    if p.shape[0] == 0:
        return np.zeros_like(x)[()]
    value = np.zeros_like(x) + np.zeros(1, p.dtype)[0]
    for k in range(p.shape[0]):
        value = value * x + p[k]
    return value[()]


@written(np.polyfit)
def polyfit(x: Any, y: Any, deg: Any, rcond: Any = None, full: Any = False, w: Any = None, cov: Any = False) -> Any:
    """The coefficients of the polynomial of least squares; y may have several columns."""
    if full or cov:
        refuse("np.polyfit gives the coefficients only in a script", "np.linalg.lstsq of np.vander(x, deg + 1)")
    x, y = np.asarray(x) * 1.0, np.asarray(y) * 1.0
    if deg < 0:
        raise ValueError("expected deg >= 0")
    if x.ndim != 1:
        raise TypeError("expected 1D vector for x")
    if x.size == 0:
        raise TypeError("expected non-empty vector for x")
    if y.ndim < 1 or y.ndim > 2:
        raise TypeError("expected 1D or 2D array for y")
    if x.shape[0] != y.shape[0]:
        raise TypeError("expected x and y to have same length")
    powers = vander(x, deg + 1)
    if w is not None:
        weights = np.asarray(w) * 1.0
        if weights.ndim != 1:
            raise TypeError("expected a 1-d array for weights")
        if weights.shape[0] != y.shape[0]:
            raise TypeError("expected w and y to have the same length")
        powers = powers * weights[:, None]
        y = (y.T * weights).T
    scale = np.sqrt(np.sum(powers * powers, axis=0))
    return (np.linalg.lstsq(powers / scale, y, rcond)[0].T / scale).T


def require_equal_lengths(a1: Any, a2: Any) -> None:
    """ValueError where zeros, which are a vector, would go in front of rows."""
    if a1.shape[0] != a2.shape[0]:
        raise ValueError("all the input arrays must have same number of dimensions")


@written(np.polyadd)
def polyadd(a1: Any, a2: Any) -> Any:
    """The sum."""
    a1, a2 = np.atleast_1d(a1), np.atleast_1d(a2)
    if a1.ndim > 1 or a2.ndim > 1:
        require_equal_lengths(a1, a2)
        return a1 + a2
    made = np.zeros(max(a1.size, a2.size), dtype=np.result_type(a1, a2))
    made[made.size - a1.size :] = a1
    made[made.size - a2.size :] += a2
    return made


@written(np.polysub)
def polysub(a1: Any, a2: Any) -> Any:
    """The difference."""
    a1, a2 = np.atleast_1d(a1), np.atleast_1d(a2)
    if a1.ndim > 1 or a2.ndim > 1:
        require_equal_lengths(a1, a2)
        return a1 - a2
    made = np.zeros(max(a1.size, a2.size), dtype=np.result_type(a1, a2))
    made[made.size - a1.size :] = a1
    made[made.size - a2.size :] -= a2
    return made


def _from_first(a: Any) -> Any:
    """Coefficients from the first one on that is not 0; one 0 where all are."""
    places = np.flatnonzero(a)
    return a[places[0] :] if places.size > 0 else np.zeros(1, dtype=a.dtype)


@written(np.polymul)
def polymul(a1: Any, a2: Any) -> Any:
    """The product."""
    return np.convolve(_from_first(np.atleast_1d(a1)), _from_first(np.atleast_1d(a2)))


@written(np.polydiv)
def polydiv(u: Any, v: Any) -> Any:
    """The quotient and the remainder."""
    u, v = np.atleast_1d(u) + 0.0, np.atleast_1d(v) + 0.0
    dtype = np.result_type(u, v)
    m, n = u.size - 1, v.size - 1
    scale = 1.0 / v[0]
    q, r = np.zeros(max(m - n + 1, 1), dtype=dtype), u.astype(dtype)
    for k in range(m - n + 1):
        d = scale * r[k]
        q[k] = d
        r[k : k + n + 1] -= d * v
    first = 0
    while first < m and np.allclose(r[first], 0, rtol=1e-14):
        first += 1
    return q, r[first:]


@written(np.polyder)
def polyder(p: Any, m: Any = 1) -> Any:
    """The m-th derivative."""
    if m < 0:
        raise ValueError("Order of derivative must be positive (see polyint)")
    p = np.asarray(p)
    for _ in each(m, "the order"):
        p = p[:-1] * np.arange(p.size - 1, 0, -1)
    return p


@written(np.polyint)
def polyint(p: Any, m: Any = 1, k: Any = None) -> Any:
    """The m-th integral, `k` the constants."""
    if m < 0:
        raise ValueError("Order of integral must be positive (see polyder)")
    p = np.asarray(p)
    constants = np.zeros(m) if k is None else np.atleast_1d(k)
    if constants.size == 1 and m > 1:
        constants = constants[0] * np.ones(m)
    if constants.size < m:
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or >m.")
    for i in each(m, "the order"):
        p = np.concatenate((p / np.arange(p.size, 0, -1), constants[i : i + 1]))
    return p


@written(np.roots)
def roots(p: Any) -> Any:
    """The zeros of a polynomial, in complex numbers: the eigenvalues of its companion matrix, and 0."""
    p = np.atleast_1d(p)
    if p.ndim != 1:
        raise ValueError("Input must be a rank-1 array.")
    places = np.flatnonzero(p)
    if places.size == 0:
        return np.zeros(0, dtype=np.result_type(p.dtype, np.complex64))
    inner = p[places[0] : places[-1] + 1]
    count = inner.size - 1
    made = np.zeros(p.size - 1 - places[0], dtype=np.result_type(p.dtype, np.complex64))
    if count > 0:
        companion = np.eye(count, k=-1, dtype=np.result_type(p.dtype, np.float16))
        companion[0] = -inner[1:] / inner[0]
        made[:count] = np.linalg.eigvals(companion)
    return made


@written(np.poly)
def poly(seq_of_zeros: Any) -> Any:
    """The polynomial with these zeros."""
    zeros = np.atleast_1d(seq_of_zeros)
    if zeros.ndim != 1 or np.iscomplexobj(zeros):
        refuse("np.poly takes real zeros in a script", "np.convolve of the factors")
    if zeros.size == 0:
        raise ValueError("np.poly of no zeros is a number in NumPy, and an array in a script")
    made = np.zeros(zeros.size + 1, dtype=np.float32 if zeros.dtype == np.float32 else np.float64)
    made[0] = 1
    for k in range(zeros.size):
        made[1:] -= zeros[k] * made[:-1]
    return made
