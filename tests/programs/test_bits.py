"""`x.view(dtype)`: bits read as numbers of another dtype, and written; what is made of that."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check
from tracejit import script
from tracejit.errors import ScriptError

FLOATS = np.array([[1.0, 2.5, -3.0], [0.0, -0.0, 1e300]])


def read(x: Any) -> Any:
    return x.view(np.int64), x.view(np.uint8), x.view("f4"), x.view(dtype=np.int64)[0] >> 52


def wider(x: Any) -> Any:
    words = x.view(np.uint32)
    words[0] = 7
    return words.sum(), x.view(np.float64), x.view(np.complex64)


def written(x: Any) -> None:
    x.view(np.int16)[2:4] = -1
    words = x.view(np.uint32)
    for i in range(len(words)):
        words[i] ^= 5


def complex_numbers(z: Any) -> Any:
    parts = z.view(np.float64)
    parts *= 2
    return z.view(np.int64), z[0].real


def truths(x: Any) -> Any:
    return x.view(np.uint8).sum(), x.view(np.int32), np.ones(4, np.uint8).view(bool)


def checksum(x: Any) -> Any:
    total = np.uint64(1469598103934665603)
    for byte in x.view(np.uint8):
        total = (total ^ np.uint64(byte)) * np.uint64(1099511628211)
    return total


def fast_inverse_root(x: Any) -> Any:
    near = (0x5F3759DF - (x.view(np.int32) >> 1)).view(np.float32)
    return near * (1.5 - 0.5 * x * near * near)


def of_numbers(x: Any) -> Any:
    return x[0].view(np.int32), [int(v.view(np.uint32)) for v in x]


def fractions(x: Any) -> Any:
    found, power = np.frexp(x)
    return found, power, np.ldexp(found, power), np.frexp(x[0])


@pytest.mark.parametrize(
    ("program", "x"),
    [
        (read, FLOATS),
        (wider, np.arange(16, dtype=np.uint8)),
        (written, np.arange(16, dtype=np.uint8)),
        (wider, np.arange(15, dtype=np.uint8)),
        (complex_numbers, np.array([1 + 2j, 3 - 1j])),
        (truths, np.array([True, False, True, False])),
        (checksum, np.arange(3.0)),
        (fast_inverse_root, np.array([1.0, 2.5], np.float32)),
        (of_numbers, np.array([1.0, -2.5], np.float32)),
        (fractions, np.array([1.0, 2.5, -3.0, 0.0, -0.0, np.inf, np.nan, 5e-324, 1e308, -1e-310])),
        (fractions, np.array([1.0, 2.5, -3.0, np.inf, 1e-40], np.float32)),
        (fractions, np.array([1, 2, 3])),
    ],
)
def test_as_in_plain_python(program: Any, x: Any):
    check(program, x)


def test_what_would_change_with_it_is_refused():
    def both(x):
        bits = x.view(np.int64)
        x[0] = 1.0
        return bits

    with pytest.raises(ScriptError, match=r"view\(dtype\)"):
        script(both)(np.zeros(2))


def test_bits_have_no_derivative_which_is_refused():
    with pytest.raises(RuntimeError, match="bits have no derivative"):
        tj.grad(script(lambda x: (x.view(np.float32) ** 2).sum()))(np.ones(2))


def test_another_width_where_bytes_do_not_lie_beside_each_other_is_refused():
    words = script(lambda x: x.view(np.uint32))
    data = np.arange(16, dtype=np.uint8)
    assert np.array_equal(words(data), data.view(np.uint32))
    for scattered in (data[::-1], np.asfortranarray(data.reshape(4, 4))):
        with pytest.raises(ScriptError, match="beside each other"):
            words(scattered)
