"""Sweeps of stencils over an array that nobody needs afterwards: one kernel each, between two arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.threads import each_number_of_threads


def line(u: Any, w: Any, steps: int) -> Any:
    for _ in range(steps):
        v = u.copy()
        v[1:-1] = u[1:-1] + w * (u[2:] - u[1:-1] - u[1:-1] + u[:-2])
        u = v
    return u


def plane(u: Any, w: Any, steps: int) -> Any:
    for _ in range(steps):
        v = u.copy()
        v[1:-1, 1:-1] = w * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
        u = v
    return u


def leaning(u: Any, w: Any, steps: int) -> Any:
    for _ in range(steps):
        v = u.copy()
        v[:-2, 1:] += w * u[2:, :-1]
        v[1:, 2:] = u[:-1, :-2] - w
        u = v
    return u


def solid(u: Any, w: Any, steps: int) -> Any:
    for _ in range(steps):
        v = u.copy()
        around = u[:-2, 1:-1, 1:-1] + u[2:, 1:-1, 1:-1] + u[1:-1, :-2, 1:-1] + u[1:-1, 2:, 1:-1]
        v[1:-1, 1:-1, 1:-1] = w * (around + u[1:-1, 1:-1, :-2] + u[1:-1, 1:-1, 2:])
        u = v
    return u


def rows_alone(u: Any, w: Any, steps: int) -> Any:
    """What a row gets depends on nothing but the row."""
    factors = u[1:-1, 0].copy()
    for _ in range(steps):
        v = u.copy()
        v[1:-1, :] = (w * factors)[:, None] + u[:-2, :]
        u = v
    return u


def looked_at(u: Any, w: Any, steps: int) -> Any:
    """The old array is read again before the new one is whole."""
    total = u.max()
    for _ in range(steps):
        v = u.copy()
        v[1:-1, 1:-1] = w * (u[:-2, 1:-1] - u[2:, 1:-1])
        total = total + (u[0] * v[1]).max()
        v[0, 1:] = w * v[1, :-1]
        u = v
    return total + u


def given_array(u: Any, w: Any, steps: int) -> Any:
    """The caller sees the array change."""
    for _ in range(steps):
        u[1:-1, 1:-1] = w * (u[:-2, 1:-1] + u[2:, 1:-1])
    return u


def given_in_rounds(u: Any, w: Any, steps: int) -> Any:
    """The array comes home after each inner loop, and is changed there in between."""
    for k in range(steps):
        for _ in range(k):
            u[1:-1, 1:-1] = w * (u[:-2, 1:-1] + u[2:, 1:-1])
            u[:-1, 1:-1] += w * u[1:, :-2]
        u[0, 0] += w
    return u[0] + u[-1]


def given_twice(u: Any, w: Any, steps: int) -> Any:
    """Two arrays of the caller change places."""
    v = u[::-1].copy()
    for _ in range(steps):
        v[1:-1, 1:-1] = w * (u[:-2, 1:-1] + u[2:, 1:-1])
        u[1:-1, 1:-1] = w * (v[:-2, 1:-1] + u[2:, 1:-1])
        u, v = v, u
    return u - v


PROGRAMS = {
    1: [line],
    2: [plane, leaning, rows_alone, looked_at, given_array, given_in_rounds, given_twice],
    3: [solid],
}
SHAPES = {
    1: [(2,), (3,), (4,), (17,), (9000,)],
    2: [(2, 2), (3, 3), (2, 9), (9, 2), (4, 5), (33, 70), (300, 280)],
    3: [(2, 2, 2), (3, 4, 5), (4, 3, 2), (20, 21, 40)],
}
#: Shapes without elements, for programs that index none.
EMPTY = [(line, (0,)), *((p, s) for p in (plane, leaning) for s in ((2, 0), (0, 2))), (solid, (2, 3, 0))]
CASES = [*EMPTY, *((p, shape) for rank, programs in PROGRAMS.items() for p in programs for shape in SHAPES[rank])]


@pytest.mark.parametrize(
    ("program", "shape"), CASES, ids=lambda v: v.__name__ if callable(v) else "x".join(map(str, v))
)
def test_sweeps_have_the_bits_of_numpy(program: Any, shape: tuple[int, ...]) -> None:
    compiled = _compiled(program)
    for dtype in (np.float32, np.float64, np.int32):
        data = np.random.default_rng(0).integers(-9, 9, shape).astype(dtype)
        w = dtype(3) / dtype(8) if dtype is not np.int32 else dtype(3)
        for steps in (0, 1, 4):
            given, expected = data.copy(), data.copy()
            result, plain = compiled(given, w, steps), program(expected, w, steps)
            np.testing.assert_array_equal(result, plain, strict=True)
            np.testing.assert_array_equal(given, expected)


def test_a_given_array_of_any_layout_is_at_home_after_the_loop_and_before_an_error() -> None:
    def checked(u: Any, w: float, steps: int, at: int) -> Any:
        given_array(u, w, steps)
        return u[at, 0]

    compiled = tj.script(checked)
    base = np.random.default_rng(0).normal(size=(9, 14))
    for layout in (lambda x: x, np.asfortranarray, lambda x: x[:, ::2], lambda x: x[::-1]):
        for steps in (0, 1, 2, 5):
            given, expected = layout(base.copy()), layout(base.copy())
            assert compiled(given, 0.5, steps, 2) == checked(expected, 0.5, steps, 2)
            np.testing.assert_array_equal(given, expected)
            for fn, array in ((compiled, given), (checked, expected)):
                with pytest.raises(IndexError):
                    fn(array, 0.5, steps, 99)
            np.testing.assert_array_equal(given, expected)


def test_a_loop_that_may_raise_changes_the_given_array_step_by_step() -> None:
    def limited(u: Any, w: float, steps: int) -> None:
        for k in range(steps):
            u[1:-1, 1:-1] = w * (u[:-2, 1:-1] + u[2:, 1:-1])
            if k == 3:
                raise ValueError("enough")

    compiled = tj.script(limited)
    given = np.random.default_rng(0).normal(size=(8, 9))
    expected = given.copy()
    for fn, array in ((compiled, given), (limited, expected)):
        with pytest.raises(ValueError, match="enough"):
            fn(array, 0.5, 9)
    np.testing.assert_array_equal(given, expected)


_made: dict[Any, Any] = {}


def _compiled(program: Any) -> Any:
    return _made.setdefault(program, tj.script(program))


@pytest.mark.parametrize("program", [line, plane, solid, leaning, given_array], ids=lambda p: p.__name__)
def test_a_sweep_is_one_kernel_and_needs_no_temporary(program: Any) -> None:
    rank = next(r for r, programs in PROGRAMS.items() if program in programs)
    compiled = _compiled(program)
    compiled(np.ones((9,) * rank), np.float64(0.5), 2)
    explained = compiled.explain(np.ones((9,) * rank), np.float64(0.5), 2)
    kernels = [line for line in explained.splitlines() if "launched at" in line]
    sweeps = [k for k in kernels if ".sweep:" in k]
    assert len(sweeps) == len(kernels) == 1


def test_what_is_read_only_where_it_is_written_changes_in_place() -> None:
    def scaled(u: Any, steps: int) -> Any:
        u = u.copy()
        for _ in range(steps):
            u[1:-1] = u[1:-1] * 2 + 1
            u[2:] *= 3
        return u

    def given(u: Any) -> None:
        u[1:] *= 3.0
        u[1:-1] = u[2:] + u[:-2]

    compiled, u = tj.script(scaled), np.arange(12.0)
    np.testing.assert_array_equal(compiled(u, 3), scaled(u, 3))
    assert "sweep" not in compiled.explain(u, 3)
    expected = u.copy()
    tj.script(given)(u)
    given(expected)
    np.testing.assert_array_equal(u, expected)


def test_the_derivative_of_a_sweep_is_one_kernel() -> None:
    compiled = tj.value_and_grad(lambda u, steps: (plane(u, 0.25, steps) ** 2).sum())
    u = np.random.default_rng(0).normal(size=(40, 50))
    bits = set[bytes]()
    with each_number_of_threads(1, 3) as counts:
        for _ in counts:
            bits.add(compiled(u, 5)[1].tobytes())
    assert len(bits) == 1
    kernels = [line for line in compiled.explain(u, 5).splitlines() if "launched at" in line]
    assert sum(".sweep:" in k for k in kernels) == 2
    assert not any(".windows:" in k for k in kernels)


@pytest.mark.parametrize("program", [line, plane, solid, leaning, looked_at], ids=lambda p: p.__name__)
def test_gradients_of_sweeps(program: Any) -> None:
    rank = next(r for r, programs in PROGRAMS.items() if program in programs)
    rng = np.random.default_rng(1)
    for n in (2, 3, 4, 9):
        u, direction = rng.normal(size=(n,) * rank), rng.normal(size=(n,) * rank)
        gradient = tj.grad(lambda u, w, steps: (program(u, w, steps) ** 2).sum())(u, 0.3, 3)

        def at(t: float, u: Any = u, direction: Any = direction) -> float:
            return float((program(u + t * direction, 0.3, 3) ** 2).sum())

        slope = (at(1e-6) - at(-1e-6)) / 2e-6
        np.testing.assert_allclose((gradient * direction).sum(), slope, rtol=1e-6, atol=1e-7)
