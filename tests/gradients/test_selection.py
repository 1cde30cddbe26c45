"""Derivatives of sorting, selecting, moving and running totals: with duplicates, with ties, of both orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj

RNG = np.random.default_rng(2)
X = RNG.permuted(np.linspace(-1.5, 2.0, 12)).reshape(3, 4)
PLACES = tj.tensor(np.array([2, 0, 2, 1]))
INDEX = tj.tensor(np.array([[0, 2, 0, 1], [2, 2, 1, 0]]))
COLUMNS = tj.tensor(np.array([[3, 3, 0], [1, 1, 1], [0, 2, 0]]))

CASES: dict[str, Callable[[Any], Any]] = {
    "sort": lambda x: tj.sort(x, 0) * tj.sort(x, 1, descending=True),
    "sort of all": lambda x: tj.sort(x, None)[3:],
    "topk": lambda x: tj.topk(x, 2, 1)[0],
    "smallest": lambda x: tj.topk(x, 2, 0, largest=False)[0],
    "median": lambda x: tj.median(x, 1) * tj.median(x, 0)[0],
    "quantile": lambda x: tj.quantile(x, 0.3, 1),
    "percentile": lambda x: tj.percentile(x, 80, 0),
    "unique": lambda x: tj.unique(x)[:5],
    "cumsum": lambda x: tj.cumsum(x, 1) * tj.cumsum(x, 0),
    "cumprod": lambda x: tj.cumprod(x, 1),
    "take": lambda x: tj.take(x, PLACES, 1) + tj.take(x, PLACES)[:, None].T[:, :4],
    "index_select": lambda x: tj.index_select(x, 0, PLACES),
    "gather": lambda x: tj.gather(x, 0, INDEX),
    "take_along_axis": lambda x: tj.take_along_axis(x, COLUMNS, 1),
    "scatter_add": lambda x: tj.scatter_add(x, 1, COLUMNS, x[:, :3] * 2),
    "scatter": lambda x: tj.scatter(x, 1, COLUMNS[:, 2:], x[:, :1] * 2),
    "indices": lambda x: x[PLACES] * x[:, PLACES][0],
    "mask": lambda x: x[x > 0] ** 2,
    "where mask": lambda x: tj.where(x > tj.median(x), x, -x),
    "max": lambda x: tj.max(x, 1) * tj.min(x, 0)[:3],
    "flip and roll": lambda x: tj.flip(x, 0) * tj.roll(x, 1, 1),
    "diff": lambda x: tj.diff(x, axis=1),
    "by argsort": lambda x: x.reshape(-1)[tj.argsort(x.reshape(-1))][::2],
    "nonzero": lambda x: x[tj.nonzero(x > 0)[0], tj.nonzero(x > 0)[1]],
    "interpolated": lambda x: tj.where(x > 0, x, 0).sum(0)[tj.searchsorted(tj.tensor(np.array([0.0, 1.0])), x[0])],
}


@pytest.mark.parametrize("name", CASES)
def test_all_ways_to_the_derivative_agree(name: str) -> None:
    report = tj.check(CASES[name], tj.from_numpy(X))
    assert report and not report.skipped, str(report)


@pytest.mark.parametrize("name", ["sort", "topk", "quantile", "cumprod", "scatter_add", "indices", "mask", "max"])
def test_second_derivatives_agree(name: str) -> None:
    f = CASES[name]
    report = tj.check(lambda y: tj.grad(lambda x: (f(x).sin() * f(x)).sum())(y), tj.from_numpy(X))
    assert report and not report.skipped, str(report)


# -- ties, duplicates and zeros -----------------------------------------------------------------------------------


@pytest.mark.parametrize("eager", [False, True])
def test_conventions(eager: bool) -> None:
    def gradient(f: Callable[[Any], Any], x: Any) -> Any:
        if not eager:
            return tj.grad(f)(np.asarray(x)).tolist()
        variable = tj.tensor(np.asarray(x), requires_grad=True)
        f(variable).backward()
        return variable.grad.tolist()

    weights = tj.tensor(np.array([1.0, 10.0, 100.0]))
    assert gradient(lambda x: (tj.sort(x) * weights).sum(), [2.0, 1.0, 2.0]) == [
        10,
        1,
        100,
    ]  # equal ones keep their order
    assert gradient(lambda x: tj.topk(x, 1)[0].sum(), [2.0, 3.0, 3.0]) == [0, 1, 0]
    assert gradient(lambda x: tj.max(x), [3.0, 1.0, 3.0]) == [0.5, 0, 0.5]
    assert gradient(lambda x: tj.median(x), [1.0, 1.0, 5.0, 5.0]) == [0, 0.5, 0.5, 0]
    assert gradient(lambda x: tj.unique(x).sum(), [1.0, 2.0, 1.0]) == [1, 1, 0]
    assert gradient(lambda x: tj.prod(x), [0.0, 2.0, 3.0]) == [6, 0, 0]
    assert gradient(lambda x: (tj.cumprod(x) * weights).sum(), [2.0, 0.0, 3.0]) == [1, 620, 0]
    assert gradient(lambda x: x[tj.tensor(np.array([0, 0, 2]))].sum(), [1.0, 2.0, 3.0]) == [2, 0, 1]
    assert gradient(lambda x: tj.cumprod(x).sum(), [0.0, 0.0, 3.0]) == [1, 0, 0]


def test_duplicates_in_scatter() -> None:
    index = tj.tensor(np.array([0, 0, 1]))

    def added(base: Any, source: Any) -> Any:
        return (tj.scatter_add(base, 0, index, source) ** 2).sum()

    base, source = np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0])
    found = tj.grad(added, argnums=(0, 1))(base, source)
    assert [g.tolist() for g in found] == [[16, 14], [16, 16, 14]]

    def written(base: Any, source: Any) -> Any:
        base = base.copy()
        base[index] = source  # the last one of equal places stays
        return (base**2).sum()

    found = tj.grad(written, argnums=(0, 1))(base, source)
    assert [g.tolist() for g in found] == [[0, 0], [0, 8, 10]]


def test_integer_results_are_refused_by_name() -> None:
    with pytest.raises(tj.NotDifferentiable):
        tj.grad(lambda x: tj.argsort(x)[0])(np.array([1.0, 2.0]))
