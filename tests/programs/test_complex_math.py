"""`cmath` on run-time values, against plain Python."""

from __future__ import annotations

import cmath

import pytest

from tests.programs.compare import check


@pytest.mark.parametrize("z", [1 + 2j, -1 + 0j, -4.0, 2.5, 0j, 3])
def test_as_plain_python(z):
    check(lambda z: (cmath.sqrt(z), cmath.exp(z / 7), cmath.phase(z), cmath.polar(z), cmath.isinf(z)), z)
    check(lambda z: (cmath.isfinite(z), cmath.isnan(z), cmath.isclose(z, z + 1e-12)), z)
    check(lambda z: (cmath.log(z), cmath.log(z, 2)), z)
    check(lambda z: (cmath.sin(z), cmath.cos(z)), z)


def test_constants_and_polar_coordinates():
    check(lambda r: (cmath.rect(r, 1.0), cmath.pi * r, cmath.sqrt(-4) * r, cmath.exp(2j * cmath.pi * r / 8)), 2.0)
