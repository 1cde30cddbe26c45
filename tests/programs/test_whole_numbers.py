"""Functions of `math`, `pow`, `round` and methods of numbers on run-time values: the very results of plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.programs.compare import check
from tracejit import script

EXACT = 0.0


@pytest.mark.parametrize(
    ("fn", "arguments"),
    [
        (
            lambda x, y: (math.gcd(x, y), math.lcm(x, y), math.gcd(x, y, 6), math.gcd(), math.lcm(x)),
            [(12, -18), (0, 5)],
        ),
        (lambda n, k: (math.comb(n, k), math.perm(n, k), math.perm(k)), [(10, 3), (3, 5), (62, 1), (0, 0)]),
        (lambda n, k: math.comb(n, k), [(60, 30), (66, 33), (-1, 2), (2, -1)]),
        (lambda n: (math.factorial(n), math.isqrt(n)), [(0,), (20,), (-1,)]),
        (math.isqrt, [(2**63 - 1,), (3037000499**2,), (3037000499**2 - 1,), (99,), (1 << 52,)]),
        (lambda n: (n < 2**63, n == 2**63, 2**63 >= n, n >= -(2**63), n < -(2**63) - 1), [(5,), (2**63 - 1,)]),
        (lambda x: math.factorial(x), [(2.0,)]),
        (
            lambda b, e, m: pow(b, e, m),
            [(12345, 30, 1000007), (3, 5, -7), (3, -1, 7), (2, -1, 4), (2, 3, 0), (5, 0, 1)],
        ),
        (lambda n: (n.bit_length(), n.bit_count()), [(0,), (255,), (-256,), (2**62,)]),
        (lambda x: (x.is_integer(), math.frexp(x), math.modf(x), math.ldexp(x, -3)), [(2.0,), (-0.3,), (1e-310,)]),
        (lambda x, y: math.remainder(x, y), [(3.0, 2.0), (5.0, 2.0), (-4.9, 2.0), (1.0, 0.0), (7.0, 5.0)]),
        (lambda x, y: math.isclose(x, y, rel_tol=1e-2), [(8.0, 8.01), (8.0, 9.0), (math.inf, math.inf)]),
        (lambda xs: (math.fsum(xs), math.prod(xs), math.prod(xs, start=2)), [([0.1] * 10,), ([1e100, 1.0, -1e100],)]),
        (lambda xs: math.fsum(xs), [(np.array([1e16, 1.0, 1e-16]),), (np.zeros(0),), (np.array([1.0, np.inf]),)]),
        (lambda x: (int("101", 2) + x, int("ff", base=16)), [(2,)]),
        (lambda x: round(x, -1), [(55,), (-45,), (44,), (5,)]),
        (lambda x: (round(x[0]), round(x[0], 1), round(x[1])), [(np.array([2.5, -3.5]),), (np.array([25, 7]),)]),
        (lambda x: (round(x, None), round(number=x, ndigits=1)), [(2.5,)]),
    ],
)
def test_exactly_as_python(fn, arguments):
    scripted = script(fn) if fn is not math.isqrt else script(lambda n: math.isqrt(n))
    for given in arguments:
        check(fn, *given, tolerance=EXACT, scripted=scripted)


def test_lengths():
    def lengths(x, y, z):
        return math.hypot(x, y, z), math.hypot(x), math.dist([x, y], (z, 1.0))

    for given in [(1.0, 2.0, 3.0), (1e200, 1e200, 1.0), (math.inf, math.nan, 0.0), (0.0, 0.0, -0.0)]:
        check(lengths, *given, tolerance=1e-15)


@pytest.mark.parametrize("digits", [0, 1, 2, 5, -1, -3])
def test_floats_rounded_to_digits(digits):
    rounded = script(lambda x, digits: round(x, digits))
    rng = np.random.default_rng(digits + 10)
    halves = (rng.integers(-(10**6), 10**6, 200) + 0.5) / 10.0**digits
    for x in [
        *halves.tolist(),
        *(rng.normal(size=200) * 1e4).tolist(),
        2.675,
        1e300,
        -0.04,
        12250.0,
        12350.0,
        math.inf,
    ]:
        expected = round(x, digits)
        found = rounded(x, digits)
        assert found == expected and math.copysign(1, found) == math.copysign(1, expected), (x, digits)


def test_integers_of_numpy_keep_their_dtype():
    check(lambda a: (np.gcd(a, 6), np.lcm(a, 6), np.gcd(4, a[0])), np.array([4, 9], np.int32))
    check(lambda a: (np.gcd(4, a), np.gcd(a, 6)), np.array([4, 9], np.uint8))
    check(lambda n: (np.gcd(4, n), np.lcm(4, n)), 6)


def test_an_element_by_its_place():
    a = np.arange(6).reshape(2, 3)
    for given in (a, a.T, a.astype(np.float32)):
        check(lambda a: (a.item(3), a.item(-1), a.item(1, 1), a.item((0, 1))), given)
    check(lambda a: a.item(6), a)


def test_ranges_as_indices():
    def picked(a, n):
        a[range(n), 0] += 10
        return a[range(n), 0], a[list(range(n))], a[range(2), range(2)]

    check(picked, np.arange(9.0).reshape(3, 3), 2)


def test_grids_of_a_number_of_points_known_at_run_time():
    def grids(n, m):
        y, x = np.ogrid[0 : 1 : n * 1j, 0:2]
        return y, x, np.mgrid[0 : 1 : complex(0, m)], np.r_[0 : 1 : n * 1j, 5]

    check(grids, 4, 3)


def test_windows():
    @script
    def windows(n):
        return np.hanning(n), np.hamming(n), np.blackman(n), np.bartlett(n)

    for n in (0, 1, 2, 7, 8):
        for found, expected in zip(
            windows(n), (np.hanning(n), np.hamming(n), np.blackman(n), np.bartlett(n)), strict=True
        ):
            np.testing.assert_allclose(found, expected, atol=1e-15)


def test_resized():
    check(lambda a: (np.resize(a, (2, 4)), np.resize(a, 2)), np.arange(3.0))
    check(lambda a: np.resize(a, 2), np.zeros(0))


def test_items_of_a_list_that_is_empty_at_first():
    def running(xs):
        sums = []
        for x in xs:
            total = 0.0
            for k in range(len(sums)):
                total += sums[k]
            sums.append(total + x)
        return sums

    check(running, np.array([3.0, 1.0, 2.0]))
    check(lambda n: [][n], 0)
