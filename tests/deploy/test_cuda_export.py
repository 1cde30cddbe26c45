"""Export for NVIDIA GPUs: kernels, PTX and launch plan, made without a GPU."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tracejit as tj
from tracejit.errors import ExportError
from tracejit.runtime import nvrtc


def soft(x, t):
    e = np.exp((x - x.max(axis=1, keepdims=True)) * t)
    return e / e.sum(axis=1, keepdims=True)


def test_kernels_and_launch_plan(tmp_path: Path) -> None:
    path = tj.export(soft, (np.ones((2, 3), np.float32), 2.0), tmp_path / "soft.cu")
    assert path == tmp_path / "soft.cu"
    plan = json.loads((tmp_path / "soft.json").read_text())
    source = path.read_text()
    assert [i["type"].partition("[")[0] for i in plan["inputs"]] == ["f32", "f64"]
    for kernel in plan["kernels"]:
        assert f"{kernel['function']}(" in source
        assert [line.split(" = ")[0] for line in kernel["launch"]][-3:] == ["blocks", "threads", "rows"]
    assert any(line.startswith("launch ") for line in plan["host"])


@pytest.mark.skipif(nvrtc.library() is None, reason="NVRTC is not installed")
def test_ptx(tmp_path: Path) -> None:
    tj.export(soft, (np.ones((2, 3), np.float32), 2.0), tmp_path / "soft.ptx")
    text = (tmp_path / "soft.ptx").read_text()
    assert ".target sm_75" in text and ".entry soft_" in text


def test_ptx_without_nvrtc_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvrtc, "library", lambda: None)
    with pytest.raises(ExportError, match="NVRTC"):
        tj.export(soft, (np.ones((2, 3), np.float32), 2.0), tmp_path / "soft.ptx")
    tj.export(soft, (np.ones((2, 3), np.float32), 2.0), tmp_path / "soft.cu")
    assert not (tmp_path / "soft.ptx").exists()
