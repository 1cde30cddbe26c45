"""Random functions of tensors: compiled values and gradients are those of the eager tape."""

from __future__ import annotations

import pytest

from tests.gradients.random_models import check


@pytest.mark.parametrize("seed", range(12))
def test_gradients_of_random_models(seed: int) -> None:
    check(seed)
