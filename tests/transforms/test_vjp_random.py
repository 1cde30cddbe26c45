"""Derivatives of random structured programs against central differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.transforms.derivatives import check_derive, check_orders
from tests.transforms.random_programs import LENGTH, Maker


def inputs(seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    numbers = [float(x) for x in rng.uniform(-1, 1, 2)]
    return [*numbers, rng.uniform(-1, 1, LENGTH), rng.uniform(-1, 1, LENGTH)]


@pytest.mark.parametrize("seed", range(30))
def test_first_order(seed: int) -> None:
    graph = Maker(seed, named_size=bool(seed % 2)).graph()
    check_derive(str(graph), *inputs(seed))


@pytest.mark.parametrize("seed", range(100, 108))
def test_second_order(seed: int) -> None:
    graph = Maker(seed, named_size=bool(seed % 2)).graph()
    check_orders(str(graph), *inputs(seed), order=2, rtol=1e-4, atol=1e-5)
