"""The demonstration runs, and its three trainings agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tracejit as tj
from tracejit.demo import native, programs
from tracejit.demo.main import run
from tracejit.demo.timing import interleaved, pretty


def test_everything_agrees(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, steps=5, times=False) == 0
    out = capsys.readouterr().out
    assert "Everything agrees." in out and "= if(%lt)" in out
    assert (tmp_path / "model.h").exists()


def test_the_step_is_compiled_once_for_all_batch_sizes() -> None:
    scripted = tj.script(programs.train_step)
    x, y, w1, w2 = programs.network_data()
    leaves = [tj.tensor(w, requires_grad=True) for w in (w1, w2)]
    for n in (64, 32, 7, 2):
        scripted(tj.tensor(x[:n]), tj.tensor(y[:n]), *leaves, programs.RATE)
    assert scripted.compiles == 1


def test_the_library_runs_through_ctypes_too(tmp_path: Path) -> None:
    path = native.export_network(tmp_path)
    prefix, total = native.expected_line(3)
    line = native.run_through_ctypes(path, 3)
    assert line.startswith(prefix) and np.isclose(float(line.split()[-1]), total, rtol=1e-4)


def test_times_are_medians_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    found = interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, seconds=0.0, rounds=3)
    assert set(found) == {"a", "b"} and calls.count("a") == calls.count("b") == 5
    assert [pretty(t) for t in (2.0, 0.0123, 4.5e-5, 1.5e-7)] == ["2 s", "12.3 ms", "45 us", "150 ns"]
