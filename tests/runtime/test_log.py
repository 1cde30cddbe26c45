"""`TRACEJIT_LOG`: each topic on stderr, nothing on stdout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tracejit as tj

SHOWN = {
    "frontend": "@noisy specialisation 1\ngraph @noisy",
    "passes": "after cse",
    "fusion": "one kernel for",
    "llvm": "define",
    "asm": ".text",
    "cache": "missed: ",
    "after:fuse": "after fuse",
}


@pytest.mark.parametrize("topic", SHOWN)
def test_topics_are_shown_on_stderr(
    topic: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("TRACEJIT_LOG", topic)
    monkeypatch.setenv("TRACEJIT_CACHE_DIR", str(tmp_path))

    @tj.script
    def noisy(x: np.ndarray) -> np.ndarray:
        return (x * 3 + 1).sum()

    noisy(np.ones(5))
    out, err = capfd.readouterr()
    assert SHOWN[topic] in err
    assert out == ""
    if topic == "cache":
        tj.script(noisy.__tracejit_function__)(np.ones(5))
        assert "found: " in capfd.readouterr().err


def test_wrong_settings_name_their_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    def program(x: np.ndarray) -> np.ndarray:
        return x + 4

    for variable, text in (("TRACEJIT_LOG", "lvm"), ("TRACEJIT_NUM_THREADS", "many")):
        with monkeypatch.context() as patch:
            patch.setenv(variable, text)
            with pytest.raises(ValueError, match=f"{variable}='{text}'"):
                tj.script(program)(np.ones(3))
