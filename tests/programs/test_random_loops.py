"""Random loops that count give, write and raise what plain Python does."""

from __future__ import annotations

import pytest

from tests.programs.random_loops import check


@pytest.mark.parametrize("seed", range(24))
def test_random_loops_count_as_in_python(seed: int) -> None:
    check(seed)
