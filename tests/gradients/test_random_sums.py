"""Random functions that add up derivatives of losses in lists, against eager code."""

from __future__ import annotations

import pytest

from tests.gradients.random_sums import check


@pytest.mark.parametrize("seed", [2, 3, 5, 9, 13])
def test_what_they_leave(seed: int) -> None:
    check(seed)
