"""Derivatives to third order of random programs over lists, dicts and objects, against polynomials."""

from __future__ import annotations

import pytest

from tests.gradients.random_polynomials import check


@pytest.mark.parametrize("seed", range(6))
def test_derivatives(seed: int) -> None:
    assert check(seed) == 3
