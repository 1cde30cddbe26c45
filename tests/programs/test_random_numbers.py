"""Random arrays: scripts draw the numbers that eager calls draw."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import tracejit as tj

DRAWS = {
    "rand": lambda x: tj.rand(2, 3),
    "rand of a shape": lambda x: tj.rand((x.shape[0], 4), dtype=tj.float64),
    "rand_like": lambda x: tj.rand_like(x),
    "randint": lambda x: tj.randint(-3, 9, (5, 2)),
    "randint below": lambda x: tj.randint(7, (4,)),
    "bernoulli": lambda x: tj.bernoulli(x * 0 + 0.3),
    "bernoulli of a number": lambda x: tj.bernoulli(0.25, (3, 3)),
    "bernoulli of integers": lambda x: tj.bernoulli((x + 1).long()),
    "randint_like": lambda x: tj.randint_like(x, 2, 9),
    "uniform_": lambda x: x.uniform_(-1, 3),
    "bernoulli_": lambda x: x.bernoulli_(0.25),
    "bernoulli of each": lambda x: (x + 0.5).bernoulli(),
    "random_": lambda x: x.random_(),
    "random_ of integers": lambda x: x.long().random_(3, 9),
    "multinomial": lambda x: tj.multinomial(x + 1.0, 1),
    "multinomial with replacement": lambda x: (x + 1.0).multinomial(5, replacement=True),
    "half": lambda x: tj.rand(3, dtype=tj.float16),
}
NORMAL = {
    "randn": lambda x: tj.randn(3, x.shape[1], dtype=tj.float64),
    "randn_like": lambda x: tj.randn_like(x),
    "exponential_": lambda x: x.double().exponential_(0.5),
    "normal_": lambda x: x.normal_(2.0, std=0.5),
    "log_normal_": lambda x: x.double().log_normal_(),
    "normal": lambda x: tj.normal(1.0, 2.0, (4,), dtype=tj.float64),
}


def drawn(fn: Any, seed: int) -> list[np.ndarray]:
    tj.manual_seed(seed)
    x = tj.zeros(3, 2)
    return [fn(x).numpy() for _ in range(2)]


@pytest.mark.parametrize("name", sorted(DRAWS))
def test_scripts_draw_the_same_numbers(name: str) -> None:
    for eager, scripted in zip(drawn(DRAWS[name], 3), drawn(tj.script(DRAWS[name]), 3)):
        assert eager.dtype == scripted.dtype
        np.testing.assert_array_equal(eager, scripted)


@pytest.mark.parametrize("name", sorted(NORMAL))
def test_normal_numbers_differ_by_rounding_only(name: str) -> None:
    for eager, scripted in zip(drawn(NORMAL[name], 3), drawn(tj.script(NORMAL[name]), 3)):
        np.testing.assert_allclose(eager, scripted, rtol=1e-5 if eager.dtype == np.float32 else 1e-14, atol=1e-6)


def test_each_draw_is_new_and_a_seed_repeats_all() -> None:
    first, second = drawn(tj.script(DRAWS["rand"]), 1)
    assert not (first == second).any()
    np.testing.assert_array_equal(first, drawn(DRAWS["rand"], 1)[0])
    assert not (first == drawn(DRAWS["rand"], 2)[0]).any()


def test_draws_in_a_loop_and_in_a_branch() -> None:
    def walk(x: Any, n: int) -> Any:
        for _ in range(n):
            if x.sum() > 0:
                x = x + tj.rand_like(x) - 0.5
            else:
                x = x + tj.rand(2)
        return x

    tj.manual_seed(4)
    expected = [walk(tj.zeros(2), n).numpy() for n in (0, 5, 9)]
    tj.manual_seed(4)
    compiled = tj.script(walk)
    for n, want in zip((0, 5, 9), expected):
        np.testing.assert_array_equal(compiled(tj.zeros(2), n).numpy(), want)


def test_distributions() -> None:
    tj.manual_seed(0)
    u = tj.rand(100_000).numpy()
    assert u.min() >= 0 and u.max() < 1
    assert np.histogram(u, 20, (0, 1))[0] == pytest.approx(np.full(20, 5000), abs=350)
    assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 0.02
    z = np.asarray(tj.script(lambda: tj.randn(100_000))())
    assert [z.mean(), z.std(), (z**3).mean(), (z**4).mean()] == pytest.approx([0, 1, 0, 3], abs=0.1)
    counts = np.bincount(tj.randint(6, (60_000,)).numpy())
    assert len(counts) == 6 and counts == pytest.approx(np.full(6, 10_000), abs=500)


def test_a_derivative_sees_the_numbers_of_its_forward() -> None:
    def noisy(x: Any) -> Any:
        return (x * x * tj.rand_like(x)).sum()

    x = tj.tensor([1.0, -2.0, 3.0], dtype=tj.float64, requires_grad=True)
    tj.manual_seed(5)
    noisy(x).backward()
    expected = x.grad.numpy().copy()
    tj.manual_seed(5)
    np.testing.assert_array_equal(tj.grad(noisy)(x.detach()).numpy(), expected)
    x.grad = None
    tj.manual_seed(5)
    loss = tj.script(noisy)(x)
    (slope,) = tj.autograd.grad(loss, (x,), create_graph=True)
    np.testing.assert_array_equal(slope.detach().numpy(), expected)
    slope.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), expected / x.detach().numpy())


def test_misuse() -> None:
    for fn in (lambda: tj.randint(3, 3, (2,)), lambda: tj.bernoulli(1.5, (2,))):
        with pytest.raises(ValueError):
            fn()
        with pytest.raises(ValueError):
            tj.script(fn)()


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("fn", "library"),
    [
        (lambda: np.random.seed(3), "NumPy"),
        (lambda: np.random.rand(3), "NumPy"),
        (lambda: np.random.default_rng(3), "NumPy"),
        (lambda: random.randint(1, 3), "Python"),
        (lambda: random.Random(3), "Python"),
    ],
)
def test_generators_of_other_libraries_are_refused(fn: Any, library: str) -> None:
    with pytest.raises(tj.ScriptError, match=f"^{library}'s random generators keep their state"):
        tj.script(fn)()


def test_places_are_drawn_in_proportion() -> None:
    weights = tj.tensor([0.5, 0.0, 3.0, 1.5])
    tj.manual_seed(0)
    for found in (
        tj.multinomial(weights, 20000, True).numpy(),
        tj.multinomial(tj.ones(20000, 1) * weights, 1).numpy()[:, 0],
    ):
        np.testing.assert_allclose(np.bincount(found, minlength=4) / 20000, weights.numpy() / 5, atol=0.015)
    assert sorted(tj.multinomial(weights, 3).tolist()) == [0, 2, 3]


@pytest.mark.parametrize(
    "asked", [lambda p: tj.multinomial(p, 4), lambda p: tj.multinomial(-p, 1), lambda p: (p * 0).multinomial(1)]
)
def test_places_that_cannot_be_drawn(asked: Any) -> None:
    for call in (asked, tj.script(asked)):
        with pytest.raises(ValueError, match="multinomial"):
            call(tj.tensor([0.5, 0.0, 3.0, 1.5]))


@pytest.mark.parametrize(
    ("fill", "needs"),
    [
        (lambda x, v: x.uniform_(1.0, v), "low"),
        (lambda x, v: x.normal_(0.0, v), "std"),
        (lambda x, v: x.log_normal_(0.0, v), "std"),
        (lambda x, v: x.exponential_(v), "lambd"),
        (lambda x, v: x.bernoulli_(v), "probabilities"),
        (lambda x, v: x.bernoulli_(x - 0.5), "probabilities"),
    ],
)
def test_parameters_that_fill_nothing_are_refused(fill: Any, needs: str) -> None:
    for call in (fill, tj.script(fill)):
        with pytest.raises(ValueError, match=needs):
            call(tj.zeros(3), -0.5)


def test_numbers_that_fill_have_their_moments() -> None:
    tj.manual_seed(0)
    x = tj.empty(40000)
    for fill, mean, deviation in (
        (lambda: x.normal_(1.0, 2.0), 1.0, 2.0),
        (lambda: x.uniform_(-1.0, 3.0), 1.0, 4 / 12**0.5),
        (lambda: x.exponential_(2.0), 0.5, 0.5),
        (lambda: x.bernoulli_(tj.full((40000,), 0.3)), 0.3, 0.21**0.5),
        (lambda: x.random_(10), 4.5, 8.25**0.5),
    ):
        assert fill() is x
        assert abs(x.mean().item() - mean) < 0.03 and abs(x.std().item() - deviation) < 0.03
    weight = tj.zeros(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        weight.normal_()
    with tj.no_grad():
        assert weight.normal_().abs().sum().item() > 0
    with pytest.raises(TypeError, match="lambd"):
        x.exponential_(rate=1.0)
