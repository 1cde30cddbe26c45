"""The programs of the size benchmark run; figures are nobody's business here."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.size_scaling import PROGRAMS, plot, points


def test_points_are_measured() -> None:
    found = list(points(1_000, 0.001))
    assert [name for name, _, _ in found] == list(PROGRAMS)
    assert all(n == 1_000 and seconds > 0 for _, n, seconds in found)


def test_a_plot_is_drawn_where_matplotlib_is(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = [(name, n, n * 1e-9) for name in PROGRAMS for n in (10, 100)]
    assert plot({1: rows, 2: rows}, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 0
