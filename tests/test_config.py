"""Settings: environment, overrides, log topics."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracejit import config


def test_variables_are_read_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEJIT_NUM_THREADS", "3")
    assert config.get("num_threads") == 3
    monkeypatch.setenv("TRACEJIT_NUM_THREADS", "0")
    with pytest.raises(ValueError):
        config.get("num_threads")
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
    with pytest.raises(KeyError):
        config.set("nonsense", 1)
