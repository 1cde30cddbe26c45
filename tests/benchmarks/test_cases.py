"""Every benchmark case runs and is right; figures are nobody's business here."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from benchmarks import c_programs, inputs, measure, report
from benchmarks.peer import client
from benchmarks.run import FAMILIES
from tests.cuda_shim.shim_device import MISSING
from tests.cuda_shim.stand_in import stand_in


@pytest.mark.parametrize("family", FAMILIES)
def test_every_variant_runs(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, small in (("POINTWISE", (100,)), ("RECURRENT", ((5, 2, 8),)), ("ROWS", 32), ("BLOCK", (2, 5, 16, 4))):
        monkeypatch.setattr(inputs, name, small)
    for case in importlib.import_module(f"benchmarks.{family}").cases():
        assert measure.wrong(case) == {}, case.name
        for variant in case.variants.values():
            assert variant.sample(1) > 0


def test_the_c_programs_leave_subnormal_numbers_alone() -> None:
    c_programs.library()
    assert np.float64(5e-324) * np.float64(1.0) == 5e-324


@pytest.mark.skipif(bool(MISSING), reason=MISSING or "-")
def test_cases_of_a_gpu_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = importlib.util.find_spec("benchmarks.gpu")
    assert place is not None and place.loader is not None
    gpu = importlib.util.module_from_spec(place)  # its scripts are for this test's GPU
    monkeypatch.setitem(sys.modules, place.name, gpu)
    place.loader.exec_module(gpu)
    with stand_in(tmp_path):
        places = gpu.Places()
        places.torch = None
        case = next(iter(places.cases(1000)))
        case.variants["off"] = lambda: np.zeros(1000)
        gpu.measure(case, places, 0.001)
    assert set(case.wrong) == {"off"}
    assert set(case.host) == set(case.total) == {"tracejit", "CuPy"}
    Console(width=120).print(gpu.table([case]))
    assert "chain of 8 operations" in capsys.readouterr().out


def test_a_wrong_variant_is_found_and_not_timed() -> None:
    variants = {"right": lambda: np.arange(3.0), "swapped": lambda: np.array([1.0, 0.0, 2.0]), "flat": lambda: 1.0}
    case = measure.local_case("family", "case", variants, reference=lambda: np.arange(3.0))
    result = measure.measure(case, 0.001, 3)
    assert set(result.seconds) == {"right"}
    assert set(result.wrong) == {"swapped", "flat"}


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
    found = client.Peers(sys.executable, threads=1)
    case = measure.local_case("family", "unknown to all", {})
    assert found.extend(case).variants == {}
    with pytest.raises(RuntimeError, match="KeyError"):
        found.ask({"case": "no such case", "framework": "none", "repeats": 1})
    found.close()
