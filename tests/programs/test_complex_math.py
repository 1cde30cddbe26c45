"""`cmath` on run-time values, against plain Python."""

from __future__ import annotations

import cmath

import numpy as np
import pytest

from tests.programs.compare import check
from tracejit import script


@pytest.mark.parametrize("z", [1 + 2j, -1 + 0j, -4.0, 2.5, 0j, 3])
def test_as_plain_python(z):
    check(lambda z: (cmath.sqrt(z), cmath.exp(z / 7), cmath.phase(z), cmath.polar(z), cmath.isinf(z)), z)
    check(lambda z: (cmath.isfinite(z), cmath.isnan(z), cmath.isclose(z, z + 1e-12)), z)
    check(lambda z: (cmath.log(z), cmath.log(z, 2)), z)
    check(lambda z: (cmath.sin(z), cmath.cos(z)), z)


def test_constants_and_polar_coordinates():
    check(lambda r: (cmath.rect(r, 1.0), cmath.pi * r, cmath.sqrt(-4) * r, cmath.exp(2j * cmath.pi * r / 8)), 2.0)


@pytest.mark.compiled
def test_powers_with_a_whole_exponent_are_the_products_of_numpy():
    def power(z, n):
        return z**n

    scripted = script(power)
    z = np.array([1.1 + 0.2j, -0.3 + 0.7j, 0.9 - 0.1j])
    for n in (-99, -7, -2, 0, 1, 3, 5, 64, 99):
        for base in (z, z.astype(np.complex64), z[0], complex(z[0])):
            np.testing.assert_array_equal(scripted(base, n), power(base, n))
    many = np.array([5, -3, 0])
    np.testing.assert_array_equal(scripted(z, many), power(z, many))
