"""`tj.check` on test programs: eager, compiled, reverse mode, forward mode and differences agree."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.gradients.programs import PROGRAMS
from tests.wrong_gradients.programs import REGISTRY

#: A third of the programs, the same ones every time: `test_programs.py` and `wrong_gradients` look at all of them.
CASES = [
    pytest.param(fn, args, id=f"{fn.__name__}-{i}")
    for i, (fn, args) in enumerate([*PROGRAMS, *REGISTRY.programs])
    if i % 3 == 0
]


@pytest.mark.parametrize(("fn", "args"), CASES)
def test_all_ways_agree(fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
    with np.errstate(all="ignore"):
        report = tj.check(fn, *copy.deepcopy(args))
    assert report.ok, str(report)
    assert not report.skipped, str(report)
    assert len(report.compared) == 3


def test_the_eager_tape_is_compared_where_all_floats_are_tensors() -> None:
    fn, args = next((f, a) for f, a in PROGRAMS if f.__name__ == "elementwise")
    report = tj.check(fn, *(tj.tensor(x) for x in args))
    assert report.ok and "the eager tape and central differences" in report.compared, str(report)


def test_every_run_draws_the_same_numbers() -> None:
    x = tj.arange(1, 9, dtype="float64")
    tj.manual_seed(5)
    expected = tj.rand(4).tolist()
    tj.manual_seed(5)
    for fn in (lambda x: x * tj.rand(8) + tj.randn(8), tj.nn.Dropout(0.5)):
        report = tj.check(fn, x)
        assert report.ok and len(report.compared) == 4, str(report)
    assert tj.rand(4).tolist() == expected


def test_results_that_are_no_floats() -> None:
    def kinds(x: Any) -> Any:
        return x.dtype, ("text", (1, 2)), None, x > 0, x.sum()

    assert tj.check(kinds, tj.tensor([1.0, -2.0]))
    assert tj.check(lambda x: x > 0, tj.tensor([1.0, -2.0]))


def test_arguments_that_grow() -> None:
    def grown(items: Any, n: int) -> Any:
        for _ in range(n):
            items.append(items[0] * items[-1])
        return items[-1]

    assert tj.check(grown, [1.5, 0.5], 3)
    _, pullback = tj.vjp(grown, [1.5, 0.5], 2)
    assert pullback(1.0) == ([pytest.approx(1.5), pytest.approx(2.25)], None)


def test_a_function_that_changes_its_arguments() -> None:
    def changed(x: Any, counts: Any) -> Any:
        x[0] = x[1] + x[2]
        x *= x
        counts += 1
        return (x * counts).sum()

    x, counts = tj.tensor(np.array([1.5, -0.5, 2.0])), np.array([1, 2, 3])
    report = tj.check(changed, x, counts)
    assert report.ok and len(report.compared) == 4, str(report)
    assert x.tolist() == [1.5, -0.5, 2.0] and counts.tolist() == [1, 2, 3]


def test_what_the_tape_refuses_is_listed() -> None:
    def changed(x: Any) -> Any:
        y = x[1:] * x[1:]
        x[1] = 0.0
        return y.sum()

    report = tj.check(changed, tj.tensor(np.array([1.5, -0.5, 2.0])))
    assert report.ok and "the eager tape" in report.skipped[0] and "changed in place" in report.skipped[0]


@pytest.mark.parametrize("size", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("excess", [1e-4, 4.0])
def test_slopes_of_small_and_large_results_are_compared_as_others(size: float, excess: float) -> None:
    @tj.custom_vjp
    def cubes(x: Any) -> Any:
        return (x**3).sum() * size

    x = np.array([0.5, 1.2, 0.8])
    for factor in (3.0 * size, 3.0 * size * (1 + excess)):
        cubes.defvjp(lambda x: (cubes(x), x), lambda x, g, factor=factor: (g * factor * x**2,))
        report = tj.check(lambda x: cubes(x), x)  # noqa: PLW0108
        assert report.ok == (factor == 3.0 * size) and len(report.compared) == 3, str(report)


def test_a_small_kink_is_one() -> None:
    report = tj.check(lambda x: tj.relu(x) * 1e-5, np.array([0.0, 1.0, -1.0]))
    assert report.ok and "a kink" in report.skipped[0], str(report)


def test_differences_that_rounding_inside_blurs_are_taken_as_good_as_they_are() -> None:
    for scale in (1e3, 1e6, 1e9):
        report = tj.check(lambda x, scale=scale: ((x + scale) - scale).sum() * 1e-3, np.array([0.5, 1.2, 0.8]))
        assert report.ok, str(report)


@pytest.mark.parametrize("fn", [lambda x: x * np.floor(x), lambda x: tj.clip(x, 0.0, 1.0), lambda x: np.sqrt(x)])
def test_where_there_are_no_differences_the_modes_are_compared(fn: Callable[..., Any]) -> None:
    with np.errstate(all="ignore"):
        report = tj.check(fn, np.array([1.0, 0.0, 4.0]))
    assert report.ok and report.compared[1:] == ["forward mode and reverse mode"], str(report)
    assert "a kink, a jump or an end" in report.skipped[0]


def test_where_moved_arguments_are_refused_the_modes_are_compared() -> None:
    def root(x: float) -> float:
        return math.sqrt(x) * 0.0 + x * x if x != 0.0 else math.sqrt(x)

    report = tj.check(root, 0.0)
    assert report.compared[1:] == ["forward mode and reverse mode"], str(report)


def test_results_that_are_nan_have_no_weight() -> None:
    with np.errstate(all="ignore"):
        report = tj.check(lambda x: np.log(x), np.array([1.5, -2.0]))
    assert report.ok and not report.skipped, str(report)


def test_a_wrong_derivative_is_no_kink() -> None:
    @tj.custom_vjp
    def square(x: Any) -> Any:
        return x * x

    square.defvjp(lambda x: (x * x, x), lambda x, g: (3.0 * x * g,))
    report = tj.check(lambda x: square(x).sum(), np.array([1.0, 0.5, -2.0]))
    assert not report.skipped
    assert {d.what.partition(" and ")[0] for d in report.differences} == {"reverse mode", "forward mode"}
