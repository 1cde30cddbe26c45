"""Programs whose derivative some system gets wrong, refuses or makes quadratic: plain Python, one float each.

The name of a program says the pattern. Each is compared with differences in every mode and to second order.
"""

from __future__ import annotations

import math

import numpy as np

from tests.gradients.programs import Registry

X = np.array([0.3, -0.5, 0.8, 1.1])
Y = np.array([0.9, 0.4, -0.7, 0.2])

REGISTRY = Registry()
example = REGISTRY.example


@example(X, 0.7)
def value_from_before_a_dynamic_loop_is_used_after_it(x, w):
    s = w * w
    v = x.sum()
    while v < 5.0:
        v = v * 1.3 + 0.2
    return s * v + math.sin(s)


@example(X, 0.9)
def stale_values_in_an_in_place_loop(x, w):
    p = x.copy()
    for _ in range(3):
        for i in range(1, p.shape[0]):
            p[i] = np.tanh(p[i - 1] * w) * p[i]
    return p.sum()


@example(0.3)
def scan_until(x):
    v = x
    n = 0
    while abs(v) < 3.0 and n < 50:
        v = v * v * 0.5 + v + x
        n += 1
    return v * v


@example(X)
def same_array_twice(x):
    return np.sum(x * x) + x @ x


@example(X, 0.5)
def carried_value_reassigned_from_a_captured_one(x, c):
    v = 1.0
    s = 0.0
    for i in range(4):
        s += v * x[i]
        v = c
    return s * v


@example(1.001, 700)
def many_more_trips_than_any_hint(x, limit):
    v = 1.0
    trips = 0
    while trips < limit:
        v = v * x
        trips += 1
    return v * v


@example(X)
def element_overwritten_after_it_was_read(x):
    y = x.copy()
    s = 0.0
    for i in range(4):
        s += y[i] * y[i]
        y[i] = 0.0
        y[(i + 1) % 4] *= 2.0
    return s + y.sum()


@example(X)
@example(-X)
def branches_that_save_different_residuals(x):
    s = 0.0
    for i in range(4):
        if x[i] > 0.0:
            t = math.exp(x[i])
            s += t * t * s + t
        else:
            u = x[i] * x[i]
            s += math.sin(u) * u
    return s


@example(X, 0)
@example(X, 3)
def no_trips_or_some(x, n):
    s = x[0]
    for i in range(n):
        s = s * x[i]
    return s * x[1]


@example(X, 3)
def arrays_replaced_in_a_list(x, n):
    xs = []
    for i in range(n):
        xs.append(x * float(i + 1))
    for i in range(n):
        xs[i] = np.sin(xs[i]) * xs[(i + 1) % n]
    s = 0.0
    for v in xs:
        s += np.sum(v)
    return s


@example(X, 3)
def arrays_of_other_shapes_replaced_in_a_list(x, n):
    xs = []
    for i in range(n):
        xs.append(x[i:] * 1.5)
    for i in range(n):
        if x[i] > 0.0:
            xs[i] = xs[(i + 1) % n][:1] * x[:2]
    s = 0.0
    for i in range(n):
        s += np.sum(xs[i] * xs[i]) * float(i + 1)
        xs[i] = x * s
    return s + np.sum(xs[0])


@example(X, 3)
def one_array_of_a_list_of_many_sizes(x, n):
    xs = []
    for i in range(n):
        xs.append(x[i:] * x[i])
    return np.sum(xs[1] ** 2)


@example(X, 3)
def item_of_a_list_used_after_it_was_replaced(x, n):
    xs = []
    for i in range(n):
        xs.append(x * float(i + 1))
    s = 0.0
    for i in range(n):
        v = xs[i]
        xs[i] = np.sin(v)
        s += np.sum(v * xs[i])
        xs.append(v * 0.5)
    return s + np.sum(xs[n])


@example(X)
def list_that_shrinks_and_grows(x):
    xs = []
    for v in x:
        xs.append(v * v)
        if len(xs) > 2:
            xs.append(xs.pop() * xs.pop())
    s = 1.0
    while xs:
        s = s * xs.pop() + 0.3
    return s


@example(X)
def writes_through_views(x):
    a = np.zeros((2, 4))
    r = a[0]
    r[:] = x
    c = a.T
    c[1:3, 1] = x[:2] * x[2:]
    r[::2] *= 2.0
    return np.sum(a * a)


@example(X)
def places_written_twice_at_once(x):
    y = np.zeros(5)
    places = np.array([0, 2, 2, 4])
    y[places] = x * x
    y[places] += x
    return np.sum(y * y * y)


@example(X, Y)
def places_read_twice_at_once(x, y):
    places = np.array([0, 1, 1, 3, 0])
    return np.sum(x[places] * y[places] * np.array([1.0, 2.0, 3.0, 4.0, 5.0]))


@example(X)
def masked_writes(x):
    y = x * 2.0
    y[y > 0.5] = y[y > 0.5] ** 2
    y[y < 0.0] *= 3.0
    return np.sum(y * y)


@example(X)
def singular_functions_on_the_side_not_taken(x):
    kept = np.maximum(x, 0.0)
    return np.sum(np.where(x > 0.0, np.log(kept) / kept, x * x)) + np.sum(np.where(x > 0.0, np.sqrt(kept), 0.0))


@example(np.array([0.0, 0.5, -0.5, 0.0]))
def singular_functions_at_exactly_zero(x):
    return np.sum(np.where(x > 0.25, x**1.5 / x + np.log(x * x), x * x * x))


@example(X)
def complex_values_on_the_way(x):
    z = x.astype(np.complex128) * (1.0 + 2.0j)
    w = np.exp(z) * z
    return np.sum(np.abs(w) ** 2) + w.real.sum() + (w * np.conj(w)).real.sum()


@example(X)
def argument_that_is_overwritten(x):
    s = x[0] * x[1]
    x[0] = s
    x *= x[1]
    return np.sum(x) * s


@example(X, Y)
def swapped_arrays(x, y):
    a = x.copy()
    b = y.copy()
    for _ in range(3):
        a[1:-1] = 0.5 * (b[:-2] * b[2:])
        a, b = b, a
    return np.sum(a * b)
