"""Programs whose loops, calls and lists take other ways as numbers go: plain Python, one float each.

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


@example(X)
def break_in_the_middle_of_nested_loops(x):
    s = 0.0
    for i in range(4):
        t = x[i]
        for j in range(4):
            t = t * x[j] + 0.3
            if t > 0.5 + s:
                s += t * t
                break
            s += t * 0.1
        else:
            s *= x[i]
        if s > 1.5:
            break
    return s * s + t


@example(X)
def early_return_from_nested_loops(x):
    s = 1.0
    for i in range(4):
        for j in range(i, 4):
            s = s * (x[j] + 0.9) + x[i]
            if s > 2.5:
                return s * x[i]
            while s < 0.2:
                s += x[i] * x[i] + 0.1
                if s > 0.15:
                    return s + x[j]
    return s


def power(x, n):
    if n == 0:
        return 1.0
    h = power(x, n // 2)
    return h * h * x if n % 2 else h * h


@example(0.9, 7)
def recursion_with_reuse(x, n):
    return power(x, n) + power(x * x, 3)


def tree(a, lo, hi):
    if hi - lo == 1:
        return a[lo] * a[lo]
    mid = (lo + hi) // 2
    l = tree(a, lo, mid)
    a[lo] += l * 0.1
    return l * tree(a, mid, hi) + a[lo]


@example(X)
def recursion_that_writes(x):
    y = x.copy()
    return tree(y, 0, 4) + y.sum()


@example(X)
def a_stack_machine(x):
    stack = [x[0]]
    ops = np.array([0, 1, 0, 2, 1, 0, 2])
    for k in range(7):
        if ops[k] == 0:
            stack.append(x[k % 4] * stack[-1])
        elif ops[k] == 1:
            v = stack.pop()
            stack.append(np.sin(v) + v)
        else:
            v = stack.pop()
            w = stack.pop()
            stack.append(v * w)
    s = 0.0
    for v in stack:
        s += v * v
    return s


@example(X)
def pop_from_the_front_and_insert(x):
    q = [x[0], x[1], x[2]]
    s = 1.0
    for i in range(6):
        v = q.pop(0)
        q.append(v * x[i % 4] + 0.2)
        q.insert(1, s)
        s = s * q[2] + v
        del q[0]
    return s + q[0] * q[-1]


@example(0.4)
def while_with_no_trips_and_continue(x):
    s = x
    n = 0
    while s > 10.0:
        s = s / 2.0
    while n < 6:
        n += 1
        if n % 2:
            continue
        s = s * x + n
        if s > 4.0:
            s = np.sqrt(s)
    return s


@example(X)
def fibonacci_swap(x):
    a, b = x[0], x[1]
    for i in range(5):
        a, b = b, a * x[2] + b * x[3]
        if i == 3:
            a, b = b * a, a
    return a * b


@example(X)
def comprehension_and_zip(x):
    ys = [v * v for v in x]
    zs = [a * b for a, b in zip(ys, x) if a > 0.2]
    s = 0.0
    for i, z in enumerate(zs):
        s += z * (i + 1)
    return s + sum(ys) + max(ys) * min(ys)


@example(X)
def a_raise_that_is_not_reached(x):
    s = 0.0
    for v in x:
        if v > 100.0:
            raise ValueError("large")
        assert v < 50.0
        s += v * v
        if s > 1e6:
            raise OverflowError(f"{s}")
    return s * s


@example(X)
def last_value_of_loop_variable(x):
    s = 0.0
    for v in x:
        s += v
    for i in range(3):
        w = x[i] * v
    return s * v + w * i


@example(X, 1e-3)
def newton_until_converged(x, tol):
    r = 1.0
    f = r * r - x[3]
    while abs(f) > tol:
        r = r - f / (2.0 * r)
        f = r * r - x[3]
    return r * x[0]


@example(X)
def triangular_solve_by_hand(x):
    L = np.zeros((4, 4))
    for i in range(4):
        for j in range(i + 1):
            L[i, j] = x[j] * (i + 1) + (2.0 if i == j else 0.0)
    y = np.zeros(4)
    for i in range(4):
        y[i] = (x[i] - L[i, :i] @ y[:i]) / L[i, i]
    return y @ y


@example(X)
def recursion_over_slices(x):
    def f(a, depth):
        if a.shape[0] < 2 or depth == 0:
            return np.sum(a * a)
        h = a.shape[0] // 2
        b = a.copy()
        b[:h] *= f(a[h:], depth - 1)
        return f(b[:h], depth - 1) * b[-1] + np.sum(b)

    return f(x, 3)


@example(X)
def optional_value(x):
    best = None
    for v in x:
        if best is None or v * v > best:
            best = v * v
        elif v < 0.0:
            best = best * v
    return 0.0 if best is None else best * best


@example(0.7)
def mutual_recursion(x):
    def even(n, v):
        return v if n == 0 else odd(n - 1, v * x)

    def odd(n, v):
        return np.sin(v) if n == 0 else even(n - 1, v + x)

    return even(5, x) * odd(4, x)


@example(M)
def power_iteration(m):
    a = m @ m.T + np.eye(3)
    v = np.ones(3)
    old = 0.0
    lam = 1.0
    n = 0
    while abs(lam - old) > 1e-3 and n < 50:
        w = a @ v
        old = lam
        lam = w @ v / (v @ v)
        v = w / np.linalg.norm(w)
        n += 1
    return lam


@example(X)
def for_else_and_flags(x):
    done = False
    s = 0.0
    for i in range(4):
        for j in range(i):
            if x[i] * x[j] < -0.1:
                s += x[i]
                break
            s += x[j] * s
        else:
            s = s * x[i] + 1.0
            done = i > 2
        if done:
            break
    return s


@example(np.stack([M, 0.9 * M]))
def each_matrix_of_a_stack_in_a_loop_of_its_own(stack):
    total = 0.0
    for j in range(2):
        v = np.ones(3)
        for _ in range(2):
            v = stack[j] @ v
        total += v @ v
    return total
