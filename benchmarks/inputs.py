"""Arrays that the cases of every framework start from: the same numbers in each interpreter. Imports NumPy only."""

from __future__ import annotations

from typing import Any

import numpy as np

#: The two-layer network of the README.
SAMPLES, INPUTS, HIDDEN, OUTPUTS, RATE = 64, 1000, 100, 10, 1e-6
#: The transformer block: batch, positions, channels, heads.
BLOCK = 8, 128, 256, 4
#: Recurrent networks: steps, batch, hidden units.
RECURRENT = (
    *((100, 1, 64), (100, 32, 64), (100, 1, 256), (100, 32, 256)),
    *((500, 1, 64), (500, 32, 64), (500, 1, 256), (500, 32, 256)),
)
#: Rows of the row-wise cases.
ROWS = 1024
#: Elements of the pointwise cases.
POINTWISE = (1_000, 100_000, 10_000_000)


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> Any:
    """Standard normal numbers times a scale, float32."""
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32) * np.float32(scale)


def pointwise(size: int) -> tuple[Any, ...]:
    """x, w, b of `tanh(x*w+b)*sigmoid(x)+exp(-x*x)`."""
    rng = np.random.default_rng(0)
    return tuple(rng.standard_normal(size, dtype=np.float32) for _ in range(3))


def network(batch: int) -> tuple[Any, ...]:
    """Samples, targets and weights of a training step."""
    rng = np.random.default_rng(0)
    shapes = (max(batch, SAMPLES), INPUTS), (max(batch, SAMPLES), OUTPUTS), (INPUTS, HIDDEN), (HIDDEN, OUTPUTS)
    x, y, w1, w2 = (rng.standard_normal(shape, dtype=np.float32) for shape in shapes)
    return x[:batch].copy(), y[:batch].copy(), w1, w2


def rate(batch: int) -> float:
    """The learning rate of a training step whose loss is a sum over the batch."""
    return RATE * min(1.0, SAMPLES / batch)


def recurrent(steps: int, batch: int, hidden: int) -> tuple[Any, ...]:
    """Sequence, first state and cell, input weights, state weights, bias; gates in the order i, f, g, o."""
    return (
        normal(steps, batch, hidden),
        *(np.zeros((batch, hidden), np.float32) for _ in range(2)),
        *(normal(hidden, 4 * hidden, seed=s, scale=hidden**-0.5) for s in (1, 2)),
        normal(4 * hidden, seed=3, scale=0.1),
    )


def block() -> tuple[Any, ...]:
    """x; wq, wk, wv, wo; w1, b1, w2, b2 of the feed-forward part; scale and shift of both layer norms."""
    batch, length, c, _ = BLOCK
    square = [normal(c, c, seed=s, scale=c**-0.5) for s in range(1, 5)]
    wide = normal(c, 4 * c, seed=5, scale=c**-0.5), normal(4 * c, seed=6, scale=0.1)
    narrow = normal(4 * c, c, seed=7, scale=c**-0.5), normal(c, seed=8, scale=0.1)
    norms = [1 + normal(c, seed=s, scale=0.1) if s % 2 else normal(c, seed=s, scale=0.1) for s in range(9, 13)]
    return normal(batch, length, c), *square, *wide, *narrow, *norms


def images() -> tuple[Any, ...]:
    """32 images of 1 x 28 x 28, their classes, and the weights of two 3 x 3 convolutions and a linear layer."""
    classes = np.random.default_rng(0).integers(0, 10, 32)
    return (
        *(normal(32, 1, 28, 28), classes),
        *(normal(16, 1, 3, 3, seed=1, scale=0.3), normal(16, seed=2, scale=0.1)),
        *(normal(32, 16, 3, 3, seed=3, scale=0.1), normal(32, seed=4, scale=0.1)),
        *(normal(32 * 49, 10, seed=5, scale=0.03), normal(10, seed=6, scale=0.1)),
    )


def power() -> tuple[Any, ...]:
    """A symmetric 256 x 256 matrix whose greatest eigenvalue is 1 and whose next is 0.9, a start, a tolerance."""
    q = np.linalg.qr(np.random.default_rng(0).standard_normal((256, 256)))[0]
    a = (q * np.r_[1.0, np.linspace(0.0, 0.9, 255)]) @ q.T
    return a.astype(np.float32), np.full(256, 1 / 16, np.float32), 1e-4


def recurrence() -> tuple[Any, ...]:
    """a and b of `h[i] = a[i]*h[i-1] + b[i]`."""
    return normal(100_000, scale=0.5), normal(100_000, seed=1)


def grid() -> Any:
    """A 512 x 512 grid, float32."""
    return normal(512, 512)
