"""Every benchmark case runs; figures are nobody's business here."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import measure, peers, pointwise, report
from benchmarks.run import FAMILIES


@pytest.mark.parametrize("family", FAMILIES)
def test_every_variant_runs(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pointwise, "SIZES", (100,))
    for case in importlib.import_module(f"benchmarks.{family}").cases():
        for variant in case.variants.values():
            assert variant.sample(1) > 0


def test_results_become_tables_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    case = measure.local_case("family", "case", {"numpy": lambda: None, "compiled": lambda: None}, work=100)
    result = measure.measure(case, seconds=0.001, rounds=3)
    report.print_results(Console(width=120), [result])
    assert "case" in capsys.readouterr().out
    content = json.loads(report.as_json({"cores": 2}, [result], None))
    assert set(content["cases"][0]["seconds"]) == {"numpy", "compiled"}


def test_a_plot_is_drawn_where_matplotlib_is(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    case = measure.local_case("family", "case", {"numpy": lambda: None, "compiled": lambda: None})
    assert report.plot([measure.measure(case, 0.001, 3)], tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 0


def test_peers_answer_over_a_pipe() -> None:
    """An interpreter without any of the other libraries knows no case, and says so."""
    found = peers.Peers(sys.executable, threads=1)
    case = measure.local_case("family", "unknown to all", {})
    assert found.extend(case).variants == {}
    with pytest.raises(RuntimeError, match="KeyError"):
        found.ask({"case": "no such case", "framework": "none", "repeats": 1})
    found.close()
