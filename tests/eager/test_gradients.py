"""Every derivative against finite differences, first and second order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.eager.differences import check_gradients


def uniform(low: float, high: float, *shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, shape)


UNARY = {
    **{n: (-1.5, 1.5) for n in "exp exp2 expm1 sin cos sinh cosh tanh erf sigmoid square abs relu".split()},
    **{n: (-1.5, 1.5) for n in "gelu silu softplus leaky_relu elu".split()},
    **{n: (0.3, 2.5) for n in "log log1p log2 log10 sqrt rsqrt reciprocal cbrt acosh".split()},
    **{n: (-0.8, 0.8) for n in "asin acos atan asinh atanh tan".split()},
    "acosh": (1.2, 3.0),
}


@pytest.mark.parametrize("name", sorted(UNARY))
def test_unary(name: str) -> None:
    check_gradients(getattr(tj, name), uniform(*UNARY[name], 5))


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "pow", "maximum", "minimum", "atan2", "hypot", "mod"])
def test_binary_with_broadcasting(name: str) -> None:
    for shapes in (((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((), (3,))):
        x, y = uniform(0.5, 2, *shapes[0]), uniform(0.5, 2, *shapes[1], seed=1)
        check_gradients(getattr(tj, name), x, y)


REDUCTIONS = {
    "sum": lambda x: x.sum(0),
    "sum over two axes": lambda x: x.sum((0, 2), keepdims=True),
    "mean": lambda x: x.mean(1),
    "prod": lambda x: x.prod(-1),
    "max": lambda x: x.max(1),
    "min": lambda x: x.min(),
    "var": lambda x: x.var(0, correction=1),
    "std": lambda x: x.std(2),
    "norm": lambda x: x.norm(),
    "logsumexp": lambda x: x.logsumexp(1),
    "softmax": lambda x: x.softmax(1),
    "log_softmax": lambda x: x.log_softmax(0),
    "cumsum": lambda x: x.cumsum(1),
    "cumprod": lambda x: x.cumprod(1),
}


@pytest.mark.parametrize("name", sorted(REDUCTIONS))
def test_reductions(name: str) -> None:
    check_gradients(REDUCTIONS[name], uniform(0.5, 2, 2, 3, 2))


SHAPES = {
    "reshape": lambda x: x.reshape(3, -1),
    "view": lambda x: x.view(4, 3),
    "transpose": lambda x: x.transpose(0, 2),
    "permute": lambda x: x.permute(2, 0, 1),
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "narrow": lambda x: x.narrow(1, 1, 2),
    "expand": lambda x: x[:, :1].expand(2, 3, 2),
    "squeeze": lambda x: x[:1].squeeze(0),
    "unsqueeze": lambda x: x.unsqueeze(1),
    "flatten": lambda x: x.flatten(1),
    "movedim": lambda x: x.movedim(0, -1),
    "flip": lambda x: x.flip(0, 1),
    "diagonal": lambda x: x.diagonal(1, 1, 2),
    "unfold": lambda x: x.unfold(1, 2, 1),
    "cat": lambda x: tj.cat([x, x * 2], 1),
    "stack": lambda x: tj.stack([x, x * x], -1),
    "split": lambda x: x.split(2, 1)[1],
    "tile": lambda x: x.tile(2, 1, 3),
    "repeat_interleave": lambda x: x.repeat_interleave(2, 1),
    "roll": lambda x: tj.roll(x, 1, 1),
    "pad": lambda x: tj.pad(x, (1, 0, -1, 2)),
    "tril": lambda x: tj.tril(x[0]),
    "triu": lambda x: tj.triu(x[0], 1),
    "clone": lambda x: x.clone(),
    "contiguous": lambda x: x.T.contiguous(),
    "where": lambda x: tj.where(x > 1, x, x * x),
    "clamp": lambda x: x.clamp(0.7, 1.5),
    "diag": lambda x: tj.diag(x.flatten()),
    "float32 and back": lambda x: x.double(),
}


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_shapes(name: str) -> None:
    check_gradients(lambda x: SHAPES[name](x) ** 2, uniform(0.5, 2, 2, 3, 2))


@pytest.mark.parametrize(
    "shapes",
    [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 2)), ((2, 2, 3), (3, 2)), ((2, 2, 3), (2, 3, 2))],
)
def test_matmul(shapes: Any) -> None:
    check_gradients(tj.matmul, uniform(-1, 1, *shapes[0]), uniform(-1, 1, *shapes[1], seed=2))


def test_products() -> None:
    x, y = uniform(-1, 1, 3, 2), uniform(-1, 1, 2, 3, seed=1)
    check_gradients(lambda a, b: tj.einsum("ij,jk->ki", a, b), x, y)
    check_gradients(lambda a, b: tj.outer(a[:, 0], b[0]), x, y)
    check_gradients(lambda a, b: tj.tensordot(a, b, 1), x, y)
    check_gradients(lambda a, b: tj.dot(a[:, 0], b[0]), x, y)


def test_sums_of_cotangents_in_other_orders() -> None:
    """A sum that a transposed cotangent has gone into takes what comes from views at its places."""
    x, ramp = uniform(-1, 1, 3, 2), tj.arange(9.0, dtype=tj.float64)
    check_gradients(lambda a: (tj.bmm(a[None], a.T[None]) * ramp.reshape(1, 3, 3)).sum() + a.sum() * 2, x)
    check_gradients(
        lambda a: (a[1:] * ramp[:4].reshape(2, 2)).sum() + (a.T * ramp[:6].reshape(2, 3)).sum() + a.sum(), x
    )


INDICES: dict[str, Any] = {
    "int": 1,
    "slice": slice(0, 3, 2),
    "negative step": slice(None, None, -2),
    "ellipsis": (..., 1),
    "new axis": (None, 2),
    "array": np.array([2, 0, 2]),
    "two arrays": (np.array([0, 2]), np.array([1, 1])),
    "array and slice": (slice(None), np.array([2, 2, 0])),
    "separated arrays": (np.array([0, 1]), slice(None), np.array([1, 0])),
    "mask": np.array([True, False, True]),
    "full mask": uniform(0, 1, 3, 3, 2) > 0.5,
    "mask and int": (np.array([True, False, True]), 0),
}


@pytest.mark.parametrize("name", sorted(INDICES))
def test_reading_by_index(name: str) -> None:
    check_gradients(lambda x: x[INDICES[name]] ** 2, uniform(0.5, 2, 3, 3, 2))


@pytest.mark.parametrize("name", sorted(INDICES))
def test_writing_by_index(name: str) -> None:
    x = uniform(0.5, 2, 3, 3, 2)
    part = x[INDICES[name]]

    def write(a: Any, v: Any) -> Any:
        y = a * a
        y[INDICES[name]] = v * v
        return y * a

    check_gradients(write, x, uniform(0.5, 2, *part.shape, seed=4))
    check_gradients(write, x, uniform(0.5, 2, seed=4))


def test_losses() -> None:
    F = tj.nn.functional
    x, target = uniform(-2, 2, 4, 3), np.array([0, 2, 1, 1])
    check_gradients(lambda a: F.cross_entropy(a, tj.tensor(target)), x)
    check_gradients(lambda a: F.cross_entropy(a, tj.tensor(target), label_smoothing=0.1), x)
    check_gradients(lambda a: F.cross_entropy(a, tj.softmax(tj.tensor(x * 2), 1)), x)
    check_gradients(lambda a, b: F.mse_loss(a, b), x, x[::-1] + 1)
    check_gradients(lambda a: F.binary_cross_entropy_with_logits(a, tj.tensor((x > 0) * 1.0)), x)
    check_gradients(lambda a, w, c: F.layer_norm(a, (3,), w, c), x, uniform(0.5, 1, 3), uniform(0, 1, 3))
    check_gradients(lambda q: F.scaled_dot_product_attention(q, q, q, is_causal=True), x)


def test_complex_gradients_follow_the_conjugate_convention() -> None:
    z = tj.tensor([1 + 2j, 3 - 1j], dtype=tj.complex128, requires_grad=True)
    (z * z.conj()).real.sum().backward()
    np.testing.assert_allclose(z.grad.numpy(), 2 * z.numpy())


def test_kinks_and_singular_points() -> None:
    x = tj.tensor([0.0, -1.0, 1.0], requires_grad=True)
    (g,) = tj.autograd.grad(tj.relu(x).sum() + x.abs().sum(), x)
    assert g.tolist() == [0.0, -1.0, 2.0]
    (g,) = tj.autograd.grad(x.clamp(-1, 1).sum(), x)
    assert g.tolist() == [1.0, 1.0, 1.0]
    (g,) = tj.autograd.grad(tj.where(x > 0, tj.log(x), 0.0).sum(), x)
    assert g.tolist() == [0.0, 0.0, 1.0]
    same = tj.tensor([2.0, 2.0], requires_grad=True)
    (g,) = tj.autograd.grad(same.max(), same)
    assert g.tolist() == [0.5, 0.5]
    zero = tj.zeros(2, requires_grad=True)
    (g,) = tj.autograd.grad(zero.norm(), zero)
    assert g.tolist() == [0.0, 0.0]
