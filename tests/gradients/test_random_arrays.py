"""Derivatives to third order of random programs that write arrays, against plain Python with Taylor coefficients."""

from __future__ import annotations

import pytest

from tests.gradients.random_arrays import check


@pytest.mark.parametrize("seed", [0, 2, 5, 7, 9, 10])
def test_derivatives(seed: int) -> None:
    assert check(seed)
