"""In place is a contract: how many arrays named programs copy, and names that change places in loops."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check
from tracejit.scripted import script


def rng():
    return np.random.default_rng(3)


def number_of_copies(fn, *arguments) -> int:
    scripted = script(fn)
    scripted(*arguments)
    return scripted.ir("after:ownership").count("copy(")


# -- no copy at all ---------------------------------------------------------------------------------------------


def jacobi(a, b, sweeps):
    for _ in range(sweeps):
        b[1:-1, 1:-1] = 0.25 * (a[:-2, 1:-1] + a[2:, 1:-1] + a[1:-1, :-2] + a[1:-1, 2:])
        a, b = b, a


def wave(old, now, new, steps):
    for _ in range(steps):
        new[1:-1] = 2.0 * now[1:-1] - old[1:-1] + 0.1 * (now[2:] - 2.0 * now[1:-1] + now[:-2])
        old, now, new = now, new, old
    return now.sum()


def factors(m, steps):
    n = m.shape[0]
    for k in range(n):
        for i in range(k + 1, n):
            m[i, k] /= m[k, k]
            for j in range(k + 1, n):
                m[i, j] -= m[i, k] * m[k, j]


def stencil(u, steps):
    for _ in range(steps):
        for i in range(1, len(u) - 1):
            u[i] = 0.5 * (u[i - 1] + u[i + 1])


def two_rows(a, b):
    before = np.zeros(len(b) + 1, np.int64)
    now = np.zeros(len(b) + 1, np.int64)
    for i in range(len(a)):
        for j in range(len(b)):
            now[j + 1] = max(before[j + 1], now[j], before[j] + (1 if a[i] == b[j] else 0))
        before, now = now, before
    return before[len(b)]


def rows(m, steps):
    for i in range(m.shape[0]):
        row = m[i]
        row -= row.mean()
        row[0] += steps


def with_out(a, b, steps):
    for _ in range(steps):
        np.add(a, b, out=a)
        np.multiply(a, 0.5, out=b)


def through_helper(x, steps):
    def put(array, i):
        array[i] = i

    for i in range(min(steps, len(x))):
        put(x, i)


def bodies(place, speed, steps):
    for _ in range(steps):
        for i in range(place.shape[0]):
            apart = place - place[i]
            speed[i] += 0.01 * (apart * apart).sum(axis=0)
        place += 0.01 * speed


def in_place_recurrence(p, w):
    for i in range(len(p) - 1):
        p[i + 1] = np.tanh(p[i] * w)
    return p.sum()


def by_places(m, i, j, values):
    m[i] += values
    m[:, j] = 2.0
    m[i, j] = values[:, 0]
    for k in range(len(i)):
        m[i - k] = values
    m[m > 1.0] = 0.5


GRID = rng().standard_normal((6, 6))
LINE = rng().standard_normal(8)
NONE = [
    (jacobi, GRID, GRID.copy(), 3),
    (wave, LINE, LINE + 1.0, LINE * 0.0, 5),
    (factors, GRID + 6.0 * np.eye(6), 0),
    (stencil, LINE, 3),
    (two_rows, np.array([1, 2, 3, 1]), np.array([2, 3, 1, 1, 2])),
    (rows, GRID, 3),
    (with_out, LINE, LINE.copy(), 3),
    (through_helper, LINE, 4),
    (by_places, GRID, np.array([3, 1]), np.array([0, 5]), GRID[:2]),
    (bodies, rng().random((4, 3)), rng().random((4, 3)), 2),
]


@pytest.mark.parametrize("case", NONE, ids=lambda case: case[0].__name__)
@pytest.mark.compiled
def test_programs_that_copy_nothing(case) -> None:
    fn, *arguments = case
    assert number_of_copies(fn, *(a.copy() if isinstance(a, np.ndarray) else a for a in arguments)) == 0
    check(fn, *arguments, scripted=script(copies="error")(fn))


@pytest.mark.compiled
def test_writes_by_places_go_into_the_array_that_is_given() -> None:
    scripted = script(by_places)
    scripted(GRID.copy(), np.array([3, 1]), np.array([0, 5]), GRID[:2])
    written = [line for line in scripted.ir("after:dce").splitlines() if "vwrite(" in line]
    assert not any("scatter_set" in line for line in written)


@pytest.mark.compiled
def test_the_gradient_of_an_in_place_recurrence_copies_nothing() -> None:
    def loss(x, w):
        p = x * 2.0
        for i in range(len(p) - 1):
            p[i + 1] = np.tanh(p[i] * w)
        return p.sum()

    gradient = script(lambda x, w: tj.grad(loss)(x, w))
    np.testing.assert_allclose(gradient(LINE, 0.7)[0], 2.0 + 2.0 * _slope(2.0 * LINE[0], 0.7, len(LINE)))
    assert gradient.ir("after:ownership").count("copy(") == 0


def _slope(x: float, w: float, n: int) -> float:
    """The derivative of the values after the first one by it."""
    slope, total = 1.0, 0.0
    for _ in range(n - 1):
        x = np.tanh(x * w)
        slope *= w * (1.0 - x * x)
        total += slope
    return total


# -- copies that are asked for, and others ------------------------------------------------------------------------


def test_copies_that_the_program_asks_for_are_allowed() -> None:
    def asked(x, n):
        best, now = x.copy(), x.copy()
        for i in range(n):
            now[i] *= 3
            if now.sum() > best.sum():
                best = now.copy()
        return best

    def overlapping(x, n):
        x[1:] = x[:-1]
        new = np.zeros(len(x))
        for i in range(n):
            new[i] = x[i] + 1.0
            x[:] = new

    def reversed_in_place(x, n):
        x[:] = x[::-1]

    for fn in (asked, overlapping, reversed_in_place):
        check(fn, LINE, 4, scripted=script(copies="error")(fn))


def test_a_copy_that_numpy_would_not_make_is_refused_at_its_line() -> None:
    @script(copies="error")
    def either(a, b, n):
        for i in range(n):
            if a[i] > 0.0:
                a, b = b, a
            a[i] = 1.0

    a, b = LINE.copy(), LINE.copy()
    with pytest.raises(tj.ScriptError, match="copied here") as caught:
        either(a, b, 3)
    assert "for i in range(n):" in str(caught.value.text)
    np.testing.assert_array_equal(a, LINE)  # nothing was written before


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="'allow' or 'error'"):
        script(copies="never")


def test_explain_lists_every_copy_with_reason_and_line() -> None:
    def keeps(x):
        y = x * 2.0
        z = y.copy()
        z[0] = 1.0
        return y + z.sum()

    report = script(keeps).explain(LINE)
    copies = report.split("copies:\n", 1)[1].split("\n\n", 1)[0]
    assert "while the old content is still needed (line" in copies
    assert "z[0] = 1.0" in copies


# -- names that change places ---------------------------------------------------------------------------------------


def swapped_and_returned(a, b, n):
    for _ in range(n):
        a[0] += 1.0
        a, b = b, a
    return a, b


def swapped_then_written(a, b, n):
    for _ in range(n):
        a[0] += 1.0
        a, b = b, a
    a[1] = 5.0
    b[2] = 7.0
    return a.sum() - b[0]


def swapped_twice(a, b, n):
    for _ in range(n):
        a, b = b, a
        a[0] += b[1]
        a, b = b, a
        b[1] = a[2]
    return a


def rotated(a, b, c, n):
    for i in range(n):
        a[0] = b[1] + i
        a, b, c = b, c, a
    c[1] = 2.0
    return a[0] + b[1]


def rotated_in_nested_loops(a, b, n):
    for i in range(n):
        for j in range(i):
            a[j] = b[i] + 1.0
            a, b = b, a
        a[0] = 3.0
        a, b = b, a
    return a - b


def swapped_under_a_third_name(a, b, n):
    first = a
    for _ in range(n):
        b[0] = first[0] + 1.0
        a, b = b, a
    return a[0] + first[1]


def swapped_with_a_view(a, b, n):
    part = a[1:]
    for _ in range(n):
        b[0] = a[1] + 1.0
        a, b = b, a
        part[0] += 1.0
    return a


def swapped_in_one_branch(a, b, n):
    for i in range(n):
        if i % 3 == 0:
            a, b = b, a
        a[i % len(a)] += b[0]
    return a


def swapped_until(a, b, n):
    while a[0] < n:
        b[0] = a[0] + 1.0
        a, b = b, a
        if b[0] > 2.5:
            break
    return b


def swapped_by_a_helper(a, b, n):
    def step(x, y, times):
        for _ in range(times):
            y[0] = x[0] * 0.5 + 1.0
            x, y = y, x
        return x

    return step(a, b, n) + a + b


def swapped_without_writes(a, b, n):
    for _ in range(n):
        a, b = b, a
    return a * 2.0 + b


def swapped_with_returns(a, b, n):
    for i in range(n):
        a[0] += 1.0
        if a[0] > 3.0:
            return b
        a, b = b, a
    return a


def swapped_in_a_closure(a, b, n):
    def put(value):
        a[0] = value

    for i in range(n):
        put(float(i))
        a, b = b, a
    return a


def one_replaced(a, b, n):
    for _ in range(n):
        a, b = b, a * 0.5
        a[0] = 1.0
    return a + b


SWAPS = [value for name, value in list(globals().items()) if name.startswith(("swapped", "rotated", "one_"))]


@pytest.mark.parametrize("program", SWAPS, ids=lambda fn: fn.__name__)
def test_names_that_change_places(program) -> None:
    scripted = script(program)
    count = program.__code__.co_argcount - 1
    for n in range(5):
        check(program, *(rng().standard_normal(4) + k for k in range(count)), n, scripted=scripted)
        check(program, *(rng().standard_normal(4 + k) for k in range(count)), n, scripted=scripted)


def test_one_array_under_two_names() -> None:
    def program(a, b, n):
        for _ in range(n):
            a[0] += 1.0
            b[1] += a[0]
            a, b = b, a

    plain, compiled = LINE.copy(), LINE.copy()
    program(plain, plain, 3)
    script(program)(compiled, compiled, 3)
    np.testing.assert_array_equal(plain, compiled)


def test_gradients_of_arrays_that_change_places() -> None:
    def loss(x, n):
        a = x * 1.0
        b = x * 0.0
        for _ in range(n):
            b[1:-1] = 0.5 * (a[:-2] + a[2:])
            a, b = b, a
        return (a * a).sum()

    assert tj.check(loss, LINE, 3)


@tj.script
def turned(x):
    return x.T.copy()


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "c8", "c16", "?", "u1", "i8"])
def test_copies_of_transposed_matrices_of_all_shapes(dtype):
    rng = np.random.default_rng(0)
    for shape in ((0, 3), (3, 0), (1, 1), (2, 3), (33, 70), (64, 31), (100, 257)):
        x = (rng.normal(size=shape) * 10).astype(dtype)
        for part in (x, x[::2, 1:], x.T):
            found = turned(part)
            assert found.flags.c_contiguous and found.dtype == x.dtype
            np.testing.assert_array_equal(found, part.T)


def rows_change_places(x, at, v):
    n = x.shape[0]
    for k in range(1, n):
        x[[k, at[k]], :k] = x[[at[k], k], :k]
        x[at[:2], k:] += 1.0
        x[1:, at[:2]] = x[1:, at[1:3]] * 0.5
        x[::-1, 1:].T[at[:2] % 2] = v
        x[1:-1, ::2].T[at[:3] % 2, at[1:4] % 3] = x[at[:3], 0]
    y = x[1]
    y[at] = y[at[::-1]]
    return x


@pytest.mark.compiled
def test_places_in_a_part_of_an_array_are_written_without_a_copy_of_the_part():
    at = np.array([2, -1, 0, 1, 1])
    assert number_of_copies(rows_change_places, rng().random((5, 5)), at, 2.0) == 0


def test_places_in_a_part_of_an_array():
    x = rng().random((10, 10))
    for at in (np.array([2, -1, 0, 1, 1]), np.array([0, 7, 0, 1, 1])):
        for part in (x[:5, :5], x[::2, 1::2], x[:5, :5].T, np.asfortranarray(x[:5, :5]), x[:5, :5] * 1j):
            check(rows_change_places, part, at, 2.0)


def test_a_derivative_through_places_in_a_part():
    def loss(x, v):
        return (rows_change_places(x * 1.0, np.array([2, -1, 0, 1, 1]), v) ** 2).sum()

    assert tj.check(loss, rng().random((5, 5)), 2.0)
