"""Gradients where an array has other size names before and after control flow."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit as tj


def chosen_row(b, m, c):
    row = m[1]
    if c > 0:
        b = row / (1.0 + row * row)
    return np.sum(b * b)


@pytest.mark.parametrize("c", [1, -1])
def test_array_of_another_size_name_in_one_branch(c):
    b, m = np.arange(1.0, 5.0), np.random.default_rng(0).normal(size=(3, 4))
    db, dm = tj.grad(chosen_row, argnums=(0, 1))(b, m, c)
    step = 1e-6
    expected = np.zeros_like(m)
    for at in np.ndindex(*m.shape):
        up, down = m.copy(), m.copy()
        up[at] += step
        down[at] -= step
        expected[at] = (chosen_row(b, up, c) - chosen_row(b, down, c)) / (2 * step)
    np.testing.assert_allclose(dm, expected, atol=1e-8)
    np.testing.assert_allclose(db, 2 * b if c < 0 else np.zeros(4))


def shorter_on_one_path(w):
    c = np.ones(4) * w
    p = c[1:3] * w if w > 0 else c
    return np.sum(p * np.array([1.0, 2.0]))


def test_sizes_that_only_the_path_taken_fits():
    assert tj.grad(shorter_on_one_path)(1.5) == pytest.approx(9.0)
    assert tj.grad(tj.grad(shorter_on_one_path))(1.5) == pytest.approx(6.0)
    with pytest.raises(ValueError, match="could not be broadcast"):
        tj.grad(shorter_on_one_path)(-1.5)


def forward_algorithm(transitions, emissions, n):
    state = emissions[:, 0]
    for t in range(1, n):
        joint = np.exp(state[:, None] + transitions)
        state = np.log(joint.sum(axis=0)) + emissions[:, t % 4]
    return np.exp(state).sum() * state[0]


def sizes_found_equal_in_trips(a, b, n):
    h = b[:, 0]
    for _ in range(n):
        h = np.maximum(h, b[:, 1])
        h = b[:, :3] @ h
    return h.sum() * a.sum()


def test_forward_mode_where_a_size_becomes_one_that_is_computed():
    rng = np.random.default_rng(1)
    report = tj.check(sizes_found_equal_in_trips, rng.normal(size=(3, 3)), rng.normal(size=(3, 4)), 2)
    assert report and not report.skipped, str(report)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_an_array_whose_size_loops_that_run_again_give_is_saved(n):
    rng = np.random.default_rng(0)
    report = tj.check(forward_algorithm, rng.normal(size=(3, 3)), rng.normal(size=(3, 4)), n)
    assert report and not report.skipped, str(report)
