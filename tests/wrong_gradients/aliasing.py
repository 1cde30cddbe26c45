"""Programs that write arrays which have several names, parts or readers: plain Python, one float each.

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


def scale(a, k, f):
    a[k] *= f
    return a


@example(X)
def a_function_returns_the_array_it_changed(x):
    y = x.copy()
    z = scale(y, 1, 3.0)
    z[1] *= y[0]
    w = scale(z, slice(0, 2), x[3])
    return np.sum(y * w) + z[1]


@example(X, 4)
def views_made_in_a_loop(x, n):
    a = np.zeros((n, n))
    for i in range(n):
        row = a[i]
        col = a[:, i]
        row += x * float(i + 1)
        col *= x[i]
        a[i:, i:] += row[i] * 0.1
    return np.sum(a * a)


@example(X)
def an_argument_under_two_names(x):
    def f(a, b):
        a[0] = a[1] * b[2]
        b[1] = a[0] * b[0]
        return np.sum(a * b)

    y = x.copy()
    return f(y, y) + np.sum(y)


@example(X)
def overlapping_write(x):
    y = x * x
    y[1:] = y[:-1] * y[1:]
    y[:-1] += y[1:]
    y[::2] = y[1::2] * x[::2]
    return np.sum(y * y)


@example(X)
def a_loop_over_rows_that_changes_them(x):
    a = np.outer(x, x)
    for r in a:
        r *= r[0]
        r[1:] += r[:-1]
    return np.sum(a * a)


@example(X)
def conditional_rebinding_to_a_view(x):
    y = x.copy()
    v = y
    if x[0] > 0.0:
        v = y[1:]
    else:
        v = y[:2]
    v[0] = v[1] * 3.0
    v *= v[0]
    return np.sum(y * y)


@example(X)
def a_name_alternates_between_two_arrays(x):
    a = x.copy()
    b = x * x
    for i in range(5):
        c = a if i % 2 == 0 else b
        c[i % 4] += c[(i + 1) % 4] * 0.5
        if c[0] > 0.5:
            c *= 0.5
    return np.sum(a * b)


@example(X)
def chained_assignment_of_one_array(x):
    a = b = x.copy()
    a[0] = b[1] * 2.0
    b += a
    c = a[::-1]
    c[0] = 3.0 * a[0]
    return np.sum(a * b * c)


@example(X)
def overwritten_before_read(x):
    p = x * 5.0
    p[:] = x[::-1]
    p[1] = 0.0
    q = p.copy()
    p[2] = q[1] + x[1]
    p.fill(x[0])
    return np.sum(p * q)


@example(M, X[:3])
def broadcasting_in_place(m, v):
    a = m.copy()
    a *= v
    a += v[:, None]
    a[1:] -= v
    a[:, 0] = v[2]
    a[0] **= 2
    a[2, :] = a[1, ::-1]
    a /= 2.0 + v[0]
    return np.sum(a * a)


@example(X)
def scatter_with_duplicates(x):
    q = np.array([1, 1, 3, 1])
    a = np.zeros(5)
    np.add.at(a, q, x * x)
    a[q] *= 2.0
    a[q] = a[q] + x
    b = a.copy()
    b[q] = x[0]
    return np.sum(a**3) + np.sum(b * b)


@example(M)
def loop_carried_matrix_and_its_views(m):
    a = m.copy()
    d = a.diagonal()
    s = 0.0
    for k in range(3):
        a = a @ m * 0.5
        a[k, k] += d[k]
        s += np.trace(a) + a.T[0] @ a[:, 0]
    return s


@example(X)
def dict_of_arrays_updated(x):
    d = {"a": x.copy(), "b": x * 2.0}
    for i in range(3):
        d["a"] = d["a"] * d["b"]
        d["b"][i] = d["a"][i]
    e = d["a"]
    e[0] = 2.0
    return np.sum(d["a"] * d["b"])


@example(X)
def accumulate_in_a_closure_array(x):
    total = np.zeros(2)

    def add(v):
        total[0] += v
        total[1] *= v
        total[1] += 1.0

    for v in x:
        add(v * v)
    return total[0] * total[1]


@example(X, Y)
def masked_read_then_scattered_back(x, y):
    m = x > 0.0
    part = x[m] * y[m]
    z = y.copy()
    z[m] = part * part
    z[~m] *= x[~m]
    k = np.nonzero(m)[0]
    z[k] += x[k]
    return np.sum(z * z) + part.sum()


@example(X)
def backwards_slices(x):
    y = x.copy()
    for i in range(3):
        y[i::-1] = y[: i + 1] * y[i]
        y[-1 : -i - 2 : -1] += y[: i + 1]
    return np.sum(y * y)


@example(M)
def three_dimensional(m):
    a = np.zeros((2, 3, 3))
    a[0] = m
    a[1, :, 1:] = a[0, :, :-1] * m[:, 1:]
    a[:, 0] += a[:, 2]
    b = a.transpose(2, 0, 1)
    b[0] *= m[:2, :]
    return np.sum(a * a) + np.einsum("ijk,jk->i", a, m)[0]


@example(X)
def complex_in_place(x):
    z = np.zeros(4, np.complex128)
    z[:] = x
    for i in range(1, 4):
        z[i] *= z[i - 1] * (1.0 + 1.0j)
        z.real[i] += x[i]
        z.imag[0] = x[i]
    return np.sum(np.abs(z) ** 2) + np.sum(z.real * z.imag)


@example(X)
def fancy_write_reads_itself(x):
    y = x.copy()
    k = np.array([2, 0, 3])
    for i in range(2):
        y[k] = y[k[::-1]] * y[1]
        y[k[i]] += y[k][2]
    return np.sum(y * y)


@example(X)
def mask_assigned_by_arrays(x):
    y = x.copy()
    for i in range(2):
        m = y > 0.2
        y[m] = (y * y)[m] * 1.5
        y[~m] -= np.sum(y[m])
    return np.sum(y * y)


@example(X)
def reshape_then_write(x):
    y = x * 1.0
    m = y.reshape(2, 2)
    m[0] = m[1] * m[0]
    f = m.ravel()
    f[3] = y[0] * 2.0
    return np.sum(y * y) + m[1, 1]


@example(X)
def out_arguments(x):
    y = np.empty(4)
    np.multiply(x, x, out=y)
    np.add(y, x, out=y)
    np.exp(y, out=y)
    z = y[1:]
    np.subtract(z, y[:-1], out=z)
    np.clip(y, -1.0, 2.0, out=y)
    return np.sum(y * y)
