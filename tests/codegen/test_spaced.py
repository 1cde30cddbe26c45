"""Elements a known few apart are picked out of vectors; columns of arrays of a few are read so, too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.memory import AtTheEnd
from tests.sources import defined
from tests.threads import each_number_of_threads

COUNTS = [0, 1, 2, 3, 7, 15, 16, 17, 31, 33, 63, 64, 65, 127, 129, 257, 1000]
DTYPES = ["float32", "float64", "int8", "uint8", "int16", "int32", "int64", "float16", "bool", "complex64"]

SPACED = """
def doubled(x):
    return x[::{step}] + x[::{step}]

def neighbours(x):
    return x[{step} - 1 :: {step}] + x[: len(x) - {step} + 1 : {step}]

def halved(x):
    return x[::{step}] * 0.5

def odd(x):
    total = 0
    for i in range(0, len(x), {step}):
        if x[i] > 1:
            total += 1
    return total
"""


@pytest.fixture(scope="module")
def memory() -> AtTheEnd:
    return AtTheEnd(1 << 19)


@pytest.mark.parametrize("step", range(2, 11))
@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_behind_the_last_element_is_read(memory: AtTheEnd, step: int, dtype: str) -> None:
    names = defined(SPACED.format(step=step), f"spaced_{step}_{dtype}.py")
    doubled, halved, neighbours, odd = (tj.script(names[n]) for n in ("doubled", "halved", "neighbours", "odd"))
    rng = np.random.default_rng(step)
    for count in COUNTS:
        for size in {max(count * step - step + 1, 0), count * step}:
            x = memory.array(size, dtype)
            x[:] = rng.integers(0, 2 if dtype == "bool" else 50, size)
            np.testing.assert_array_equal(doubled(x), x[::step] + x[::step], strict=True)
            np.testing.assert_array_equal(halved(x), x[::step] * 0.5, strict=True)
            if size >= step:
                np.testing.assert_array_equal(neighbours(x), names["neighbours"](x), strict=True)
            if dtype not in ("bool", "complex64"):
                assert odd(x) == names["odd"](x)


@tj.script
def lengths(p: Any) -> Any:
    return np.sqrt(p[:, 0] * p[:, 0] + p[:, 1] * p[:, 1] + p[:, 2] * p[:, 2])


@tj.script
def grey(image: Any) -> Any:
    return (77 * image[..., 0].astype(np.uint16) + 150 * image[..., 1] + 29 * image[..., 2]) >> 8


@tj.script
def crossed(a: Any, b: Any) -> Any:
    x = a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1]
    y = a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2]
    return x, y, a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def test_columns_of_a_few(memory: AtTheEnd) -> None:
    """The last column of the last row is the end of the array. More columns than are read are no worse."""
    rng = np.random.default_rng(0)
    for columns in (3, 4, 7):
        for rows in (1, 2, 5, 16, 31, 100, 1001, 5000):
            p = memory.array(rows * columns, "float64").reshape(rows, columns)
            p[:] = rng.normal(size=p.shape)
            q = p[::-1] * 2
            with each_number_of_threads(1, 2) as counts:
                for _ in counts:
                    np.testing.assert_array_equal(lengths(p), lengths.__wrapped__(p))
                    for found, expected in zip(crossed(p, q), crossed.__wrapped__(p, q), strict=True):
                        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)


def test_parts_of_images(memory: AtTheEnd) -> None:
    rng = np.random.default_rng(0)
    for shape in ((1, 1, 3), (3, 5, 3), (17, 40, 3), (64, 64, 3), (30, 41, 4)):
        image = memory.array(int(np.prod(shape)), "uint8").reshape(shape)
        image[:] = rng.integers(0, 256, shape)
        for view in (image, image[::-1, ::-1], image[:, ::2], image[..., ::-1]):
            np.testing.assert_array_equal(grey(view), grey.__wrapped__(view), strict=True)


@tj.script
def corners(p: Any) -> Any:
    """Elements side by side that are read along the other axis, as by a stencil, are no columns of a few."""
    return (p[:, :-2] + p[:, 1:-1] + p[:, 2:]).T.copy()


def test_neighbours_across_rows() -> None:
    for shape in ((2, 3), (40, 3), (33, 34), (100, 5)):
        p = np.random.default_rng(0).normal(size=shape)
        np.testing.assert_allclose(corners(p), corners.__wrapped__(p), rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(corners(p.T.copy().T), corners.__wrapped__(p), rtol=1e-13, atol=1e-13)
