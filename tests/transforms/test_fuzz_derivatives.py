"""A few of the graphs that `make fuzz` differentiates in every way."""

from __future__ import annotations

import numpy as np
import pytest

from tests.transforms.fuzz_derivatives import judge


@pytest.mark.parametrize("seed", range(800, 808))
def test_derivatives_agree(seed: int) -> None:
    with np.errstate(all="ignore"):
        for every in (0, 1, 2):
            assert isinstance(judge(seed, every, rich=seed // 2 % 2 == 1), bool)
