"""Random functions that call `backward()` in loops and branches, against eager code."""

from __future__ import annotations

import pytest

from tests.gradients.random_training import check


@pytest.mark.parametrize("seed", [1, 23, 27, 39, 44, 56, 5543, 50074, 91210, 1000019, 1000091, 1000107, 1000136])
def test_what_they_leave(seed: int) -> None:
    check(seed)
