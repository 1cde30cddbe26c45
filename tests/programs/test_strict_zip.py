"""`zip(..., strict=True)` raises when the items have run out, after what the loop over them did."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from tests.programs.compare import check, observe

A = np.array


def filled(x, y, out):
    i = 0
    for a, b in zip(x, y, strict=True):
        out[i] = a * b
        i += 1
    return i


def counted(x, y, out):
    for i, (a, b) in enumerate(zip(x, y, strict=True)):
        if b > 5:
            break
        print(i)
        out[i] = a * b
    else:
        out[3] = -1
    return out[0]


def returned(x, y, out):
    for a, b, c in zip(x, y, out, strict=True):
        if a > 7:
            return a + b + c
        print("one")
    return 0.0


def of_known_lengths(x, y, out):
    t = 0
    for a, b in zip((1, 2, 3), (4, 5), strict=True):
        out[t] = a * b
        t += 1
    return t


def known_and_listed(x, y, out):
    return [out.sum() + a // b for a, b in zip((1, 2, 3), (4, 0), strict=True)]


def listed(x, y, out):
    return [int(p) // int(q) for p, q in zip(x, y, strict=True)]


def caught(x, y, out):
    try:
        for i, (a, b) in enumerate(zip(x, y, strict=True)):
            out[i] = a + b
    except ValueError as e:
        print(e)
        return -1
    return 1


def left_within_a_loop(x, y, out):
    s = x.sum()
    for k in range(2):
        for a, b in zip(x, y, strict=True):
            if a + k > 7:
                break
            s += a * b
        out[k] = s
    return s


PROGRAMS = (filled, counted, returned, of_known_lengths, known_and_listed, listed, caught, left_within_a_loop)

ARRAYS = {
    "shorter": (A([1.0, 2, 3]), A([1.0, 2])),
    "longer": (A([1.0, 2]), A([1.0, 2, 3])),
    "same": (A([1.0, 2]), A([3.0, 4])),
    "none": (A([]), A([])),
    "none_and_one": (A([]), A([1.0])),
    "left_at_the_second": (A([1.0, 9, 3]), A([2.0, 7])),
    "left_at_the_first": (A([8.0, 9, 3]), A([7.0, 2])),
    "an_error_before": (A([8.0, 9, 3]), A([7.0, 0])),
}


@pytest.mark.parametrize("fn", PROGRAMS)
@pytest.mark.parametrize("arrays", ARRAYS)
def test_it_is_plain_python(fn, arrays):
    x, y = ARRAYS[arrays]
    scripted = check(fn, x, y, np.zeros(4))
    plain, compiled = (observe(f, (x, y, np.zeros(4))).error for f in (fn, scripted))
    assert str(plain) == str(compiled)


def products(a, b):
    return list(map(lambda x, y: x * y, a, b, strict=True))


@pytest.mark.parametrize("lengths", [(3, 3), (2, 3), (3, 2), (0, 0)])
def test_map(lengths):
    """Its `strict` is there from Python 3.14 on."""
    arguments = [list(range(n)) for n in lengths]
    scripted = check(products, *arguments)
    if sys.version_info >= (3, 14):
        plain, compiled = (observe(f, arguments).error for f in (products, scripted))
        assert str(plain) == str(compiled)
