"""Derivatives of functions that call themselves: eager, compiled, forward and reverse mode and differences agree."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tracejit as tj
from tracejit import NotDifferentiable, script

RNG = np.random.default_rng(3)
LEFT, RIGHT = np.array([1, 3, -1, -1, -1]), np.array([2, 4, -1, -1, -1])
WEIGHTS = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
INPUTS = RNG.standard_normal((4, 3))
BLOCK = RNG.standard_normal((4, 4))


def power(x, n):
    return 1.0 if n == 0 else x * power(x, n - 1)


def waves(x, n):
    return x if n == 0 else math.sin(waves(x, n - 1)) * x


def fib_like(x, n):
    if n < 2:
        return x * n + 0.5
    return fib_like(x * 0.9, n - 1) * fib_like(x, n - 2)


def tree(v, i):
    if i < 0:
        return 0.5
    return v[i] * tree(v, LEFT[i]) + np.sin(v[i]) * tree(v, RIGHT[i])


def with_loop(x, n):
    s, k = 0.0, 0
    while k < n:
        s += x * k + with_loop(x * 0.5, k)
        k += 1
    return math.tanh(s) if n > 0 else x * x


def arrays(x, n):
    return np.sum(x * x) if n == 0 else arrays(np.sin(x) * x, n - 1)


def array_result(x, n):
    return x if n == 0 else array_result(x, n - 1) * np.cos(x)


def halves(x):
    n = len(x)
    return x[0] * x[0] if n == 1 else halves(x[: n // 2]) * halves(x[n // 2 :]) + x[0]


def chained(a, i):
    if i < len(a):
        a[i] = np.tanh(a[i - 1] * a[i])
        chained(a, i + 1)


def in_place(x):
    a = x.copy()
    chained(a, 1)
    return np.sum(a * a)


def merge_sort(a):
    if len(a) <= 1:
        return a
    m = len(a) // 2
    left, right = merge_sort(a[:m]), merge_sort(a[m:])
    out = np.empty(len(a))
    i, j = 0, 0
    for k in range(len(a)):
        if j >= len(right) or (i < len(left) and left[i] <= right[j]):
            out[k] = left[i]
            i += 1
        else:
            out[k] = right[j]
            j += 1
    return out


def quicksort(a, lo, hi):
    if lo >= hi:
        return
    pivot, i = a[hi], lo
    for j in range(lo, hi):
        if a[j] < pivot:
            a[i], a[j] = a[j], a[i]
            i += 1
    a[i], a[hi] = a[hi], a[i]
    quicksort(a, lo, i - 1)
    quicksort(a, i + 1, hi)


def sorted_in_place(x):
    a = x.copy()
    quicksort(a, 0, len(a) - 1)
    return np.dot(a, WEIGHTS)


def remembered(x, n, m):
    if n < 2:
        return x * n
    if m[n] != 0.0:
        return m[n]
    m[n] = remembered(x, n - 1, m) + remembered(x, n - 2, m) * x
    return m[n]


def is_even(x, n):
    return x if n == 0 else is_odd(x * 0.5 + 0.1, n - 1) * x


def is_odd(x, n):
    return x * x if n == 0 else is_even(np.sin(x), n - 1)


def network(w, h, i):
    return np.sum(h) if i == len(INPUTS) else network(w, np.tanh(w @ h + INPUTS[i]), i + 1)


def simpson(f, a, b, fa, fm, fb, whole, eps):
    m = (a + b) / 2
    flm, frm = f((a + m) / 2), f((m + b) / 2)
    left, right = (m - a) / 6 * (fa + 4 * flm + fm), (b - m) / 6 * (fm + 4 * frm + fb)
    if abs(left + right - whole) < 15 * eps:
        return left + right + (left + right - whole) / 15
    return simpson(f, a, m, fa, flm, fm, left, eps / 2) + simpson(f, m, b, fm, frm, fb, right, eps / 2)


def integral(k):
    f = lambda x: math.sin(k * x) * math.exp(-x)  # noqa: E731
    a, b, m = 0.0, 2.0, 1.0
    return simpson(f, a, b, f(a), f(m), f(b), (b - a) / 6 * (f(a) + 4 * f(m) + f(b)), 1e-6)


def product(a, b):
    n = a.shape[0]
    if n <= 1:
        return a @ b
    h = n // 2
    c = np.empty((n, n))
    for i in range(2):
        for j in range(2):
            r, s = i * h, j * h
            c[r : r + h, s : s + h] = product(a[r : r + h, :h], b[:h, s : s + h]) + product(
                a[r : r + h, h:], b[h:, s : s + h]
            )
    return c


def fourier(x):
    n = len(x)
    if n == 1:
        return x
    even, odd = fourier(x[::2]), fourier(x[1::2])
    turned = np.exp(-2j * np.pi * np.arange(n // 2) / n) * odd
    return np.concatenate((even + turned, even - turned))


def collected(x, n, out):
    out.append(x * n)
    if n > 0:
        collected(x * 0.5, n - 1, out)


def over_list(x):
    out = []
    collected(x, 4, out)
    s = 0.0
    for o in out:
        s += o * o
    return s


def on_one_path(x):
    return x * x if x > 2.0 else waves(x, 3) * (power(x, 2) if x > 0.5 else fib_like(x, 3))


PROGRAMS = {
    "on_one_path": (on_one_path, 0.7),
    "power": (lambda x: power(x, 5), 1.3),
    "waves": (lambda x: waves(x, 4), 0.7),
    "fib_like": (lambda x: fib_like(x, 6), 0.8),
    "tree": (lambda v: tree(v, 0), np.array([1.0, 2.0, 0.3, 0.4, 0.5])),
    "with_loop": (lambda x: with_loop(x, 4), 0.7),
    "arrays": (lambda x: arrays(x, 3), np.array([0.1, 0.5, 0.9])),
    "array_result": (lambda x: np.sum(array_result(x, 3)), np.array([0.1, 0.5, 0.9])),
    "halves": (lambda x: halves(x), np.array([0.1, 0.5, 0.9, 1.2, -0.3])),
    "in_place": (in_place, np.array([0.1, 0.5, 0.9, 0.7])),
    "merge_sort": (lambda x: np.dot(merge_sort(x), WEIGHTS), np.array([0.9, 0.5, 0.1, 1.2, -0.3])),
    "quicksort": (sorted_in_place, np.array([0.9, 0.5, 0.1, 1.2, -0.3])),
    "remembered": (lambda x: remembered(x, 8, np.zeros(10)), 0.7),
    "mutual": (lambda x: is_even(x, 5), 0.7),
    "network": (lambda w: network(w, np.zeros(3), 0), RNG.standard_normal((3, 3))),
    "integral": (integral, 1.7),
    "product": (lambda a: np.sum(product(a, BLOCK) ** 2), RNG.standard_normal((4, 4))),
    "over_list": (over_list, 0.7),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_all_modes_agree(name):
    fn, x = PROGRAMS[name]
    report = tj.check(fn, x)
    assert report, str(report)
    assert len(report.compared) == 3


@pytest.mark.parametrize("name", ["fib_like", "tree", "in_place", "with_loop", "over_list"])
def test_second_order(name):
    fn, x = PROGRAMS[name]

    def slope(v):
        return np.sum(tj.grad(fn)(v) ** 2)

    found = np.asarray(tj.grad(slope)(x))
    for place in np.ndindex(found.shape):
        step = np.zeros(found.shape)
        step[place] = 1e-5
        high, low = (slope(x + s if isinstance(x, np.ndarray) else x + float(s)) for s in (step, -step))
        assert found[place] == pytest.approx((high - low) / 2e-5, rel=1e-5, abs=1e-6)


def test_third_order():
    first = tj.grad(lambda x: power(x, 5))
    assert tj.grad(tj.grad(first))(1.3) == pytest.approx(60 * 1.3**2)


def leaves(v, d):
    if d == 0:
        return [v]
    return leaves(v * 0.5, d - 1) + leaves(v * v, d - 1)


def test_third_order_of_lists_that_calls_return():
    """The leaves of depth 2 are v/4, v^2/4, v^2/2, v^4."""

    def cubes(v):
        total = 0.0
        for leaf in leaves(v, 2):
            total += leaf**3
        return total

    third = tj.grad(tj.grad(tj.grad(cubes)))(1.3)
    assert third == pytest.approx(6 / 64 + (1 / 64 + 1 / 8) * 120 * 1.3**3 + 1320 * 1.3**9)


def test_lists_of_arrays_that_calls_return():
    """Derivatives of `leaves` take the cotangents of its lists over from call to call, without copies."""

    def mixed(v):
        items = leaves(v, 2)
        return np.sum(items[0] * items[3]) + np.sum(items[1] * items[2])

    report = tj.check(mixed, INPUTS[0])
    assert report and not report.skipped, str(report)
    found = tj.jvp(tj.grad(mixed), (INPUTS[0],), (np.ones(3),))[1]
    np.testing.assert_allclose(found, 20 / 4 * INPUTS[0] ** 3 + 12 / 8 * INPUTS[0] ** 2, rtol=1e-12)


def test_complex_values_inside():
    def f(x):
        return np.sum(np.abs(fourier(x + 0j)) ** 3)

    x = RNG.standard_normal(4)
    found = tj.grad(f)(x)
    for i in range(4):
        step = 1e-6 * (np.arange(4) == i)
        assert found[i] == pytest.approx((f(x + step) - f(x - step)) / 2e-6, rel=1e-5)


def test_tensors_on_the_tape():
    x = tj.tensor([0.1, 0.5, 0.9], dtype=tj.float64, requires_grad=True)
    script(lambda x: arrays(x, 3))(x).backward()
    np.testing.assert_allclose(x.grad.numpy(), tj.grad(lambda v: arrays(v, 3))(x.numpy()))


def test_gradient_inside_a_script():
    @script
    def step(x):
        return tj.grad(lambda v: power(v, 4))(x)

    assert step(1.5) == pytest.approx(4 * 1.5**3)


def test_gradient_inside_a_function_that_calls_itself():
    @script
    def descend(x, n):
        return x if n == 0 else descend(x - 0.1 * tj.grad(lambda v: (v - 3.0) ** 2)(x), n - 1)

    x = 0.0
    for _ in range(5):
        x -= 0.2 * (x - 3.0)
    assert descend(0.0, 5) == pytest.approx(x)


def test_reading_one_element_costs_one_element_backward():
    """The cotangent of an array that every level reads is one array, changed in place."""

    @script
    def total(v, i):
        return 0.0 if i == len(v) else v[i] * v[i] + total(v, i + 1)

    gradient = tj.grad(total)
    x = RNG.standard_normal(50)
    np.testing.assert_allclose(gradient(x, 0), 2 * x)
    text = gradient.ir("after:ownership")
    assert "@total.backward" in text
    assert " = copy(" not in text[text.index("graph @total.backward") :]


def test_integers_have_no_derivative():
    with pytest.raises(NotDifferentiable):
        tj.grad(lambda n: power(2.0, n))(3)


def test_checks_and_prints_of_the_forward_are_not_repeated(capsys):
    def shown(x, n):
        print("level", n)
        return x if n == 0 else x * shown(x, n - 1)

    x = tj.tensor(1.5, dtype=tj.float64, requires_grad=True)
    script(lambda x: shown(x, 2))(x).backward()
    assert capsys.readouterr().out == "level 2\nlevel 1\nlevel 0\n"
    assert x.grad.item() == pytest.approx(3 * 1.5**2)


def repeated_layer(w, x, n):
    return x if n == 0 else repeated_layer(w, tj.tanh(x @ w), n - 1)


def test_results_whose_size_only_the_callee_knows_on_the_tape():
    w = tj.from_numpy(RNG.standard_normal((3, 3))).requires_grad_()
    x = tj.from_numpy(RNG.standard_normal((2, 3)))
    script(lambda w: repeated_layer(w, x, 3))(w).sum().backward()
    found = w.grad.numpy().copy()
    w.grad = None
    repeated_layer(w, x, 3).sum().backward()
    np.testing.assert_allclose(found, w.grad.numpy())


def determinant(m):
    n = m.shape[0]
    if n == 1:
        return m[0, 0]
    total = 0.0
    for j in range(n):
        minor = np.concatenate((m[1:, :j], m[1:, j + 1 :]), axis=1)
        total += (-1) ** j * m[0, j] * determinant(minor)
    return total


def test_transformations_nest_around_recursion():
    m = RNG.standard_normal((3, 3))
    np.testing.assert_allclose(tj.grad(determinant)(m), np.linalg.det(m) * np.linalg.inv(m).T)
    batch = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(tj.vmap(tj.grad(lambda x: power(x, 3)))(batch), 3 * batch**2)
    np.testing.assert_allclose(tj.vmap(power)(batch, np.array([1, 2, 3])), [1.0, 4.0, 27.0])
    hessian = tj.hessian(lambda v: tree(v, 0))(PROGRAMS["tree"][1])
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-12)
    assert tj.grad(lambda x: tj.checkpoint(lambda y: power(y, 4))(x))(1.5) == pytest.approx(4 * 1.5**3)


def test_a_memory_budget_around_recursion():
    def long(x):
        s = 0.0
        for _ in range(100):
            s = math.sin(s + power(x, 3))
        return s

    assert tj.grad(script(memory="1KB")(long))(0.7) == tj.grad(long)(0.7)


def repeated(n, f, s):
    for i in range(n):
        s = f(i, s)
    return s


def nested(x):
    return repeated(3, lambda i, u: repeated(2, lambda j, t: np.sin(t) * (i + j + 1), u), x)


def test_a_function_that_is_given_itself_in_another() -> None:
    x = np.linspace(-1.0, 2.0, 12).reshape(3, 4)
    np.testing.assert_allclose(tj.script(nested)(x), nested(x), rtol=1e-12)
    assert tj.check(nested, x)
