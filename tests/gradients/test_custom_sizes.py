"""Functions with derivatives of their own whose results have sizes that they compute: fixed points, selections."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check


class FixedPoint(tj.autograd.Function):
    """z = tanh(z @ w + x), with the implicit function theorem's derivative."""

    @staticmethod
    def forward(ctx, w, x):
        z = tj.zeros_like(x)
        for _ in range(100):
            new = tj.tanh(z @ w + x)
            if (new - z).norm() < 1e-12:
                break
            z = new
        ctx.save_for_backward(w, new)
        return new

    @staticmethod
    def backward(ctx, g):
        w, z = ctx.saved_tensors
        slope = 1 - z * z
        u = g
        for _ in range(200):
            new = g + (u * slope) @ w.t()
            if (new - u).norm() < 1e-12:
                break
            u = new
        return z.t() @ (u * slope), u * slope


class Positive(tj.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        mask = x > 0
        ctx.save_for_backward(mask)
        return x[mask] * 2, mask.sum()

    @staticmethod
    def backward(ctx, g, _):
        (mask,) = ctx.saved_tensors
        out = tj.zeros(mask.shape, dtype=g.dtype)
        out[mask] = g * 2
        return out


@tj.custom_vjp
def parted(x):
    n = int(x.sum()) % 3 + 1
    return x[:n], x[n:]


parted.defvjp(lambda x: (parted(x), None), lambda _, g: (tj.cat([g[0], g[1]]),))


def _fixed_point(w, x):
    return FixedPoint.apply(0.2 * w, x).pow(2).sum()


def _selected(w, x):
    kept, n = Positive.apply(x.flatten())
    return (kept**3).sum() * n + w.sum()


def _parts(w, x):
    first, rest = parted(x.flatten())
    return (first**2).sum() + rest.sum() * first.sum() + w.sum()


def _selected_in_a_loop(w, x):
    total, parts = w.sum(), []
    for i in range(3):
        kept, n = Positive.apply(x.flatten() - 0.3 * i)
        if n > 1:
            total = total + kept.prod()
        parts.append(kept)
    return total + tj.cat(parts).pow(2).sum()


@pytest.mark.parametrize("fn", [_fixed_point, _selected, _parts, _selected_in_a_loop])
def test_sizes_of_results_are_computed_inside(fn) -> None:
    numbers = np.random.default_rng(0)
    w, x = (tj.tensor(numbers.normal(size=s)) for s in ((4, 4), (3, 4)))
    check(fn, w, x)
    assert tj.check(fn, w, x).ok


def test_second_derivatives_of_what_has_a_size_of_its_own() -> None:
    x = tj.tensor(np.random.default_rng(1).normal(size=6))
    found = tj.hessian(lambda x: (Positive.apply(x)[0] ** 3).sum())(x)
    np.testing.assert_allclose(np.asarray(found), np.diag(48 * np.maximum(np.asarray(x), 0)))


@tj.checkpoint
def _settled(w, x):
    z = tj.zeros_like(x)
    for _ in range(60):
        new = tj.tanh(z @ w + x)
        if (new - z).norm() < 1e-12:
            break
        z = new
    return new, new.sum()


def test_checkpointed_functions_compute_sizes_of_their_results() -> None:
    def total(w, x):
        found = w.sum()
        for i in range(3):
            z, s = _settled(0.1 * i * w, x)
            positive = tj.checkpoint(lambda v: v[v > 0] * 2.0)(z)
            found = found + (z**2).sum() * s + positive.pow(3).sum()
        return found

    numbers = np.random.default_rng(2)
    w, x = (tj.tensor(numbers.normal(size=s)) for s in ((4, 4), (3, 4)))
    assert tj.check(total, w, x).ok
