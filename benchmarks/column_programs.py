"""Arrays of a few columns (points, colours, windows of pooling), and what is joined or turned: array expressions."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.inputs import normal
from benchmarks.scalar_programs import Programs, registering

PROGRAMS: Programs = {}
program = registering(PROGRAMS)


@program("cross products of 10,000 vectors", lambda: (normal(10_000, 3, seed=0), normal(10_000, 3, seed=1)))
def crossed(a: Any, b: Any) -> Any:
    """Columns in, columns out."""
    x = a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1]
    y = a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2]
    z = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return np.stack([x, y, z], axis=1)


def _image() -> tuple[Any]:
    return (np.random.default_rng(0).integers(0, 256, (512, 512, 3)).astype(np.uint8),)


@program("grey of an image, 512 x 512 x 3 bytes", _image)
def grey(image: Any) -> Any:
    """Every third byte, by whole numbers."""
    c = image.astype(np.uint16)
    return (77 * c[..., 0] + 150 * c[..., 1] + 29 * c[..., 2]) >> 8


@program("maxima of 2 x 2 windows, 64 x 32 x 32", lambda: (normal(64 * 32, 32).reshape(64, 32, 32),))
def pooled(x: Any) -> Any:
    """Pooling by a reshape."""
    n, h, w = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2).max((2, 4))


@program("three vectors of 10,000 side by side", lambda: tuple(normal(1, 10_000, seed=s)[0] for s in range(3)))
def beside(x: Any, y: Any, z: Any) -> Any:
    """Results that become columns."""
    return np.stack([x * 2, y + 1, x * z], axis=1)


@program("rows joined, 300 x 400 twice", lambda: (normal(300, 400, seed=0), normal(300, 400, seed=1)))
def joined(a: Any, b: Any) -> Any:
    """Results that become parts of rows."""
    return np.concatenate([a * 2, a * b], axis=1)


@program("a matrix turned in memory, 1000 x 1000", lambda: (normal(1000, 1000),))
def turned(x: Any) -> Any:
    """A copy across the lines."""
    return x.T.copy()
