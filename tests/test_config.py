"""Settings: environment, overrides, log topics."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tracejit import config


def test_variables_are_read_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEJIT_NUM_THREADS", "3")
    assert config.get("num_threads") == 3
    monkeypatch.setenv("TRACEJIT_NUM_THREADS", "0")
    with pytest.raises(ValueError):
        config.get("num_threads")
    for name in ("NUM_THREADS", "CACHE_DIR"):
        monkeypatch.setenv(f"TRACEJIT_{name}", "")
    assert config.get("num_threads") >= 1 and config.get("cache_dir") != Path()
    monkeypatch.delenv("TRACEJIT_NUM_THREADS")
    assert config.get("num_threads") >= 1


def test_flags_and_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, value in (("1", True), ("true", True), ("0", False), ("", False), ("off", False)):
        monkeypatch.setenv("TRACEJIT_DISABLE", text)
        assert config.get("disable") is value
    monkeypatch.setenv("TRACEJIT_CACHE_DIR", "/some/where")
    assert config.get("cache_dir") == Path("/some/where")
    monkeypatch.delenv("TRACEJIT_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert config.get("cache_dir") == Path("/cache/tracejit")


def test_log_topics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEJIT_LOG", "llvm, after:fuse")
    assert config.logs("llvm") and config.logs("after:fuse") and not config.logs("asm")
    monkeypatch.setenv("TRACEJIT_LOG", "all")
    assert config.logs("asm") and not config.logs("after:fuse")
    monkeypatch.setenv("TRACEJIT_LOG", "lvm")
    with pytest.raises(ValueError, match="unknown topic"):
        config.logs("llvm")


def test_overrides_end_with_their_block() -> None:
    before = config.get("disable")
    with config.override(disable=True):
        assert config.get("disable") is True
        with config.override(disable=False):
            assert config.get("disable") is False
        assert config.get("disable") is True
    assert config.get("disable") == before
    for ask in (lambda: config.set("nonsense", 1), lambda: config.get("nonsense")):
        with pytest.raises(KeyError, match="unknown setting 'nonsense'; known: disable"):
            ask()


def test_what_is_no_value_is_refused_when_it_is_set() -> None:
    for value in (0, -3, 2.5, "two"):
        with pytest.raises(ValueError, match="a number of threads"):
            config.set("num_threads", value)
    for value in (5, True, b"there", ""):
        with pytest.raises(ValueError, match="a folder"):
            config.set("cache_dir", value)
    with pytest.raises(ValueError, match="unknown topic"):
        config.set("log", {"frontnd"})
    with config.override(num_threads="3", cache_dir="there", log=["llvm", "after:fuse"]):
        assert (config.get("num_threads"), config.get("cache_dir")) == (3, Path("there"))
        assert config.logs("llvm") and config.logs("after:fuse") and not config.logs("asm")


def test_settings_are_there_from_the_start() -> None:
    code = "import tracejit as tj; tj.config.set('num_threads', 1); print(tj.config.get('num_threads'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "1\n", done.stderr
