"""The programs of the gradient benchmark run; figures are nobody's business here."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.gradient_scaling import PROGRAMS, plot, point


@pytest.mark.parametrize("name", PROGRAMS)
def test_points_are_measured(name: str) -> None:
    found = point(name, 4, repeats=1)
    assert found["trips"] == 4 and found["forward"] > 0 and found["gradient"] > 0


def test_a_plot_is_drawn_where_matplotlib_is(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert plot({"x": [{"trips": 10, "forward": 1e-3, "gradient": 2e-3, "bytes": 100}]}, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 0
