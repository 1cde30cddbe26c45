"""Blocks of models written as functions: their compiled gradients against the eager tape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from benchmarks.models import block
from tracejit.nn import functional as F


def normed_products(x: Any, w: Any, v: Any, g1: Any, c1: Any, g2: Any, c2: Any) -> Any:
    """Two layer norms, each before a product, with what goes around them."""
    batch, length, c = x.shape
    h = F.layer_norm(x, (c,), g1, c1)
    x = x + (h @ w).reshape(batch, length, c)
    h = F.layer_norm(x, (c,), g2, c2)
    return ((x + h @ v) ** 2).mean()


def mixer(x: Any, w: Any, v: Any, g1: Any, c1: Any, g2: Any, c2: Any) -> Any:
    """Products over positions and over channels, softmax gates, a norm before each."""
    h = F.layer_norm(x, (x.shape[2],), g1, c1)
    x = x + (h.transpose(1, 2) @ w).transpose(1, 2) * tj.softmax(h, -1)
    h = F.layer_norm(x, (x.shape[2],), g2, c2)
    return (x + tj.tanh(h @ v) * h.mean(-1, keepdims=True)).pow(3).sum()


def branches_of_one_size(x: Any, y: Any, g: Any, b: Any) -> Any:
    """Each branch finds another reason for the middle size to be 4."""
    s = y.sum(-1, keepdims=True)
    taken = y[:, [2, 0, 1, 1]]
    unused = taken * s
    z = x * taken.mean(1)[:, None, :]
    z = z * taken if s.sum() > 0.3 else z - s
    return (F.layer_norm(z, (C,), g, b) * unused).mean()


C = 8
NORMS = ((C,),) * 4
PROGRAMS: dict[str, tuple[Callable[..., Any], tuple[tuple[int, ...], ...]]] = {
    "normed products": (normed_products, ((2, 5, C), (C, C), (C, C), *NORMS)),
    "transformer": (block, ((2, 5, C), *((C, C),) * 4, (C, 2 * C), (2 * C,), (2 * C, C), (C,), *NORMS)),
    "branches": (branches_of_one_size, ((2, 4, C), (2, 4, C), (C,), (C,))),
    "mixer": (mixer, ((2, 5, C), (5, 5), (C, C), *NORMS)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_compiled_gradients_equal_those_of_the_tape(name: str) -> None:
    fn, shapes = PROGRAMS[name]
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for shape in shapes]
    leaves = [tj.tensor(a, requires_grad=True) for a in arrays]
    value = fn(*leaves)
    expected = tj.autograd.grad(value, leaves)
    found, gradients = tj.value_and_grad(fn, argnums=tuple(range(len(arrays))))(*map(tj.tensor, arrays))
    np.testing.assert_allclose(np.asarray(found), value.item(), rtol=1e-12)
    for a, b in zip(gradients, expected, strict=True):
        assert b is not None
        np.testing.assert_allclose(np.asarray(a), b.numpy(), rtol=1e-9, atol=1e-10)
