"""Arrays are filled only where something may see what they were filled with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.sources import defined
from tests.threads import each_number_of_threads

SIZES = [(0, 3), (1, 1), (1, 4), (2, 2), (3, 2), (5, 7), (33, 20)]

#: Statements that write all of `out`, an array of the shape (n, m) or the size n.
WHOLE = [
    "for i in range(n):\n    v[i] = x[i, 0] * 2",
    "for i in range(len(v)):\n    v[i] = i",
    "for i in range(n - 1, -1, -1):\n    v[i] = x[i, 0]",
    "for i in range(n):\n    v[n - 1 - i] = x[i, 0]",
    "if n:\n    v[0] = 3\nfor i in range(1, n):\n    v[i] = i * 2",
    "for i in range(n):\n    if x[i, 0] > 0:\n        v[i] = 1\n    else:\n        v[i] = x[i, 0]",
    "for i in range(n):\n    v[i] = 1\n    if x[i, 0] > 0:\n        v[i] = 2",
    "for i in range(n):\n    for j in range(m):\n        w[i, j] = x[i, j] + j",
    "for j in range(m):\n    for i in range(n):\n        w[i, j] = x[i, j] + j",
    "for i in range(n):\n    w[i] = x[i] * 2",
    "for j in range(m):\n    w[:, j] = x[:, j] + j",
    "for i in range(n):\n    c[i, 0] = i\n    c[i, 2] = x[i, 0]\n    c[i, 1] = 5",
    "c[:, 0] = 1\nc[:, 1:] = x[:, :1] * 2",
    "w[:, 0] = 2\nfor j in range(1, m):\n    w[:, j] = j",
    "s = v.sum()\nfor i in range(n):\n    v[i] = s",
    "for i in range(n):\n    w[i, 0] = 7\n    for j in range(1, m):\n        w[i, j] = j",
]
#: Statements of which something of `out` is left, or seen before it is written.
LEFT = [
    "for i in range(n - 1):\n    v[i] = x[i, 0]",
    "for i in range(1, n):\n    v[i] = x[i, 0]",
    "for i in range(0, n, 2):\n    v[i] = x[i, 0]",
    "for i in range(n):\n    if x[i, 0] > 0:\n        v[i] = 1",
    "for i in range(n):\n    v[i] = 1\n    if x[i, 0] > 0.5:\n        break",
    "for i in range(n):\n    if x[i, 0] > 0.5:\n        continue\n    v[i] = 1",
    "for i in range(n):\n    v[i] += x[i, 0]",
    "for i in range(n):\n    v[i] = v[n - 1 - i] + 1",
    "for i in range(n):\n    w[i, 0] = i",
    "for i in range(n):\n    w[i, i % m] = i",
    "for j in range(m):\n    for i in range(j, n):\n        w[i, j] = 1",
    "k = int(abs(x).sum()) % 3\nfor _ in range(k):\n    for i in range(n):\n        v[i] = 2",
    "for i in range(n):\n    k = i * 7 % m\n    for j in range(m - k):\n        w[i, j + k] = 1",
    "c[:, 0] = 1\nc[:, 2] = 1",
    "e[5:2] = 3\ne[1:] = 2",
    "e[:, 0:0] = 3\ne[1:, 0] = 2",
    "i = 0\nwhile i < n and i < 3:\n    v[i] = 1\n    i += 1",
    "for i in range(n):\n    v[int(abs(x[i, 0]) * 10) % n] = 1",
    "w[1:] = x[1:]",
    "w[:, 1:] = x[:, 1:]",
]


def function(statements: str, maker: str) -> Callable[[Any], Any]:
    """A function of a matrix that writes arrays of its sizes, made with a function of NumPy."""
    (name,) = {c for c in "vwce" if f"{c}[" in statements}
    shape = {"v": "n", "w": "(n, m)", "c": "(n, 3)", "e": "(n, 1)"}[name]
    body = "".join(f"    {line}\n" for line in statements.split("\n"))
    source = f"def f(x):\n    n, m = x.shape\n    {name} = np.{maker}({shape})\n{body}    return {name}\n"
    return defined(source, f"<unset {hash(source)}>", np=np)["f"]


@tj.script
def rubbish(n: int, m: int) -> Any:
    return np.full((n, m), np.nan), np.full(n, np.nan), np.full((n, 3), np.nan)


def compare(fn: Callable[[Any], Any]) -> Any:
    """The compiled function, which gives what it gives without being compiled, whatever memory held before."""
    compiled, rng = tj.script(fn), np.random.default_rng(3)
    for n, m in SIZES:
        x = rng.standard_normal((n, m))
        expected = fn(x)
        with each_number_of_threads(1, 3) as counts:
            for _ in counts:
                rubbish(n, m)
                np.testing.assert_array_equal(compiled(x), expected, err_msg=f"{n}, {m}")
    compiled(np.ones((9, 8)))
    return compiled


@pytest.mark.parametrize("statements", WHOLE)
def test_what_is_all_written_is_not_filled(statements: str) -> None:
    for maker in ("zeros", "ones"):
        text = compare(function(statements, maker)).ir("after:leave-unset")
        assert "undef" in text, text


@pytest.mark.parametrize("statements", LEFT)
def test_what_may_be_seen_is_filled(statements: str) -> None:
    for maker in ("zeros", "ones"):
        text = compare(function(statements, maker)).ir("after:leave-unset")
        assert "undef" not in text, text


def few_rows(x: Any, k: int) -> Any:
    w = np.ones((1, 1))
    w[:k, :] = 5.0
    return w


def few_planes(x: Any, k: int) -> Any:
    w = np.zeros((1, 4))
    w.reshape(1, 1, 4)[:k] = 5.0
    return w


def few_of_a_column(x: Any, k: int) -> Any:
    n = x.shape[0]
    w = np.zeros((n, 1))
    for i in range(n):
        w[i : i + k, :] = 7.0
    return w


def few_of_planes(x: Any, k: int) -> Any:
    n, m = x.shape
    w = np.zeros((n, m))
    v = w.reshape(n, 1, m)
    for i in range(n):
        v[i : i + k] = 5.0
    return w


def all_but_the_last(x: Any, k: int) -> Any:
    o = np.zeros((1, x.shape[1]))
    o[:-1] = 3
    return o


def places_that_wrap(x: Any, k: int) -> Any:
    v = np.zeros(300)
    for i in range(300):
        v[np.int64(i).astype(np.uint8)] = 1.0
    return v


@pytest.mark.parametrize(
    "fn", [few_rows, few_planes, few_of_a_column, few_of_planes, all_but_the_last, places_that_wrap]
)
def test_windows_that_may_have_no_elements_and_places_that_wrap(fn: Any) -> None:
    compiled = tj.script(fn)
    for shape in ((1, 1), (2, 1), (5, 4)):
        for k in (0, 1, 2):
            x = np.ones(shape)
            for size in (shape, (1, 4), (300, 1), (1, shape[1])):
                rubbish(*size)
            np.testing.assert_array_equal(compiled(x, k), fn(x, k), err_msg=f"{shape}, {k}")


def number_then_number(a: Any, c: Any, y: float) -> None:
    a[:] = 1.0
    assert y < 0
    a[:] = 2.0


def number_then_array(a: Any, c: Any, y: float) -> None:
    a[...] = 0
    a[:] = c[:-1]


def number_before_branches(a: Any, c: Any, y: float) -> None:
    c[:] = 0.5
    assert y < 2
    if y > 2:
        a[:] = c
    else:
        c += a


def number_in_trips(a: Any, c: Any, y: float) -> None:
    c += a
    for _ in range(3):
        c[:] = y
        if y > 0:
            assert y < 0
        if y > 2:
            c[:] = 2.0


@pytest.mark.parametrize("fn", [number_then_number, number_then_array, number_before_branches, number_in_trips])
def test_what_an_error_shows_is_filled(fn: Any) -> None:
    for y in (-1.0, 0.5, 4.0):
        for n in (2, 40):
            states: list[Any] = []
            for call in (fn, tj.script(fn)):
                a, c = np.arange(float(n)), np.arange(float(n)) * 3
                rubbish(n, n)
                try:
                    call(a, c, y)
                    raised = ""
                except (AssertionError, ValueError) as error:
                    raised = type(error).__name__
                states.append([raised, a.tolist(), c.tolist()])
            assert states[1] == states[0], (y, n)


def test_a_frame_and_what_is_inside() -> None:
    def framed(x: Any) -> Any:
        out = np.zeros(x.shape)
        out[0] = 1
        out[-1] = 2
        out[1:-1, 0] = 3
        out[1:-1, -1] = 4
        out[1:-1, 1:-1] = x[1:-1, 1:-1] * 5
        return out

    compiled = tj.script(framed)
    for n, m in ((2, 2), (3, 3), (9, 20)):
        x = np.random.default_rng(n).standard_normal((n, m))
        rubbish(n, m)
        np.testing.assert_array_equal(compiled(x), framed(x))
    assert "undef" in compiled.ir("after:leave-unset")


def test_arrays_that_begin_alike() -> None:
    def pair(x: Any) -> Any:
        a, b, left = np.zeros(len(x)), np.zeros(len(x)), np.zeros(len(x))
        for i in range(len(x)):
            a[i] = x[i] * 2
            b[len(x) - 1 - i] = x[i]
        for i in range(1, len(x)):
            left[i] = x[i]
        return a, b, left

    compiled = tj.script(pair)
    for n in (0, 1, 2, 40):
        x = np.random.default_rng(n).standard_normal(n)
        rubbish(n, 3)
        for found, expected in zip(compiled(x), pair(x), strict=True):
            np.testing.assert_array_equal(found, expected)
    assert compiled.ir("after:leave-unset").count("undef") == 2


def test_gradients_through_what_is_not_filled() -> None:
    def scaled(x: Any) -> Any:
        out = np.zeros(len(x))
        for i in range(len(x)):
            out[i] = x[i] * x[i]
        return (out * out).sum()

    x = np.linspace(-1, 1, 50)
    rubbish(50, 50)
    np.testing.assert_allclose(tj.grad(scaled)(x), 4 * x**3)
