"""Programs at the borders of numbers, sizes and dtypes: plain Python, one float each.

Compared as those of `programs.py`.
"""

from __future__ import annotations

import numpy as np

from tests.gradients.programs import Registry

X = np.array([0.3, -0.5, 0.8, 1.1])
Y = np.array([0.9, 0.4, -0.7, 0.2])
M = np.array([[0.3, -0.5, 0.8], [1.1, 0.2, -0.4], [0.6, -0.9, 0.7]])

REGISTRY = Registry()
example = REGISTRY.example


@example(np.array([-0.2, -1.0, 2.0, 0.5]))
def where_with_nan_and_inf_not_taken(x):
    a = np.where(x > 0.0, np.log(x), 0.0)
    b = np.where(x > 1.0, 1.0 / (x * x - 0.25), x)
    c = np.where(x >= 0.25, np.sqrt(x - 0.25), x * x)
    d = np.where(np.abs(x) < 0.75, np.arcsin(x * 1.3), 0.0)
    return np.sum(a * a) + np.sum(b) + np.sum(c) + np.sum(d)


@example(X, 3)
def integers_and_floats_mixed(x, n):
    s = 0
    k = n
    for i in range(n):
        s = s + x[i] * i
        k = k + (x[i] > 0.0)
        s = s * k
    return s + int(x[3] * 11) * x[0] + x[1] // 0.2 + x[2] % 0.3


@example(X)
def float32_on_the_way(x):
    y = x.astype(np.float64)
    z = (x * 2.0).astype(np.float64)
    w = np.zeros(4)
    w[:] = z
    w += 1
    return np.sum(w * y) + float(np.sum(x))


@example(np.float64(0.7))
@example(0.7)
def zero_dimensional(x):
    a = np.array(x)
    b = a * a
    c = np.zeros(())
    c[...] = b
    c += a
    return float(c * b)


@example(np.zeros(0), 0.7)
def empty_arrays(x, w):
    s = np.sum(x * w) + np.prod(x) * w
    y = np.concatenate([x, np.array([w])])
    z = np.cumsum(x * w)
    for v in x:
        s += v
    return s * y.sum() + z.sum() + np.dot(x, x)


@example(np.array([0.8]), np.array([[0.3], [0.5]]))
def size_one_everywhere(x, m):
    a = x * m + m.T
    a[:, :1] *= x
    a[0] = x
    return np.sum(a * a) + np.sum(np.max(m, axis=1) * x) + np.linalg.norm(x)


@example(X)
def sorted_with_ties(x):
    y = np.array([x[0], x[1], x[0], x[2]])
    z = np.sort(y)
    o = np.argsort(y)
    return np.sum(z * np.arange(4.0)) * z[3] + np.sum(y[o] ** 3)


@example(X)
def exponent_and_logarithm_edge(x):
    a = np.abs(x)
    return np.sum(a**0) + np.sum(a**1) + np.sum(x**3) + np.sum(2.0**x) + np.sum(a**x) + np.sum(np.power(x, 2))


@example(X)
def ndarray_methods_on_results(x):
    y = x.reshape(2, 2)
    y = np.swapaxes(y, 0, 1)
    z = y.ravel()
    z = np.repeat(z, 2)
    z = np.roll(z, 1)
    z = np.flip(np.tile(z, 2))
    w = np.pad(z, 1)
    return np.sum(np.diff(w) ** 2) + np.var(x) + np.std(y, axis=0).sum() + np.linalg.norm(w)


@example(M)
def argmax_gather(m):
    k = np.argmax(m, axis=1)
    s = 0.0
    for i in range(3):
        s += m[i, k[i]] ** 2
    return s + np.sum(m[np.arange(3), k] * m[k, np.arange(3)]) + np.sum(np.take_along_axis(m, k[:, None], axis=1))


@example(X, Y)
def convolutions_that_agree_on_a_size(x, y):
    return (
        np.sum(np.convolve(x, y))
        + np.sum(np.convolve(x, y, "same") ** 2)
        + np.dot(np.correlate(x, y), np.ones(1))
        + np.trapezoid(x * y)
    )


@example(X)
def selection(x):
    y = np.sin(3 * x)
    return (
        np.sum(np.partition(y, 2)[:2])
        + np.percentile(y, 30.0)
        + np.sum(np.select([y > 0.5, y < -0.5], [y * y, -y], 0.3 * y))
        + np.max(np.where(y > 0, y, 0)) ** 2
    )
