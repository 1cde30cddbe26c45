"""The disk cache of object code: content, damage, folders that cannot be used, bounds."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tracejit import config
from tracejit.runtime import cache


@pytest.fixture(autouse=True)
def fresh_folder(tmp_path: Path) -> Iterator[Path]:
    config.set("cache_dir", tmp_path / "cache")
    yield tmp_path / "cache"
    config.set("cache_dir", None)


def test_what_is_stored_is_loaded() -> None:
    key = cache.digest("a", b"b")
    assert cache.load(key) is None
    cache.store(key, b"code")
    assert cache.load(key) == b"code"
    assert cache.usage()[0] == 1


def test_entries_are_written_by_another_thread(fresh_folder: Path) -> None:
    keys = [cache.digest(str(i)) for i in range(20)]
    for key in keys:
        cache.store(key, key.encode())
        assert cache.has(key)
        assert cache.load(key) == key.encode()
    cache.flush()
    assert len(list(fresh_folder.rglob("*.tjo"))) == 20
    assert not list(fresh_folder.rglob("new-*"))
    assert [cache.load(key) for key in keys] == [key.encode() for key in keys]


def test_the_end_of_a_process_waits_for_entries(tmp_path: Path) -> None:
    code = "from tracejit.runtime import cache\nfor i in range(20): cache.store(cache.digest(str(i)), bytes(100000))"
    environment = os.environ | {"TRACEJIT_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert len(list(tmp_path.rglob("*.tjo"))) == 20


def test_parts_of_a_key_are_kept_apart() -> None:
    assert cache.digest("ab", "c") != cache.digest("a", "bc")


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_damaged_entries_count_as_absent_and_are_replaced(damage: bytes | None, fresh_folder: Path) -> None:
    key = cache.digest("x")
    cache.store(key, b"code" * 100)
    cache.flush()
    (path,) = fresh_folder.rglob("*.tjo")
    path.write_bytes(path.read_bytes()[:-1] if damage is None else damage)
    assert cache.load(key) is None
    cache.store(key, b"new")
    cache.flush()
    assert cache.load(key) == b"new"


def test_an_entry_that_is_a_folder_counts_as_absent(fresh_folder: Path) -> None:
    key = cache.digest("x")
    cache.store(key, b"code")
    cache.flush()
    (path,) = fresh_folder.rglob("*.tjo")
    path.unlink()
    path.mkdir()
    assert cache.load(key) is None
    cache.store(key, b"code")
    cache.flush()
    assert cache.load(key) is None
    assert not list(fresh_folder.rglob("new-*"))


def test_a_file_in_place_of_the_folder_is_tolerated(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    config.set("cache_dir", tmp_path / "file")
    cache.store(cache.digest("x"), b"code")
    cache.flush()
    assert cache.load(cache.digest("x")) is None
    assert cache.usage() == (0, 0)


def test_a_folder_that_cannot_be_looked_for_is_tolerated(tmp_path: Path) -> None:
    config.set("cache_dir", tmp_path / ("long" * 100))
    key = cache.digest("x")
    assert not cache.has(key)
    cache.store(key, b"code")
    cache.flush()
    assert cache.load(key) is None


def test_a_user_without_a_home_is_tolerated(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    config.set("cache_dir", None)
    for variable in ("XDG_CACHE_HOME", "TRACEJIT_CACHE_DIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    key = cache.digest("x")
    cache.store(key, b"code")
    cache.flush()
    assert cache.load(key) is None and not cache.has(key)


def test_an_entry_under_the_name_of_another_counts_as_absent(fresh_folder: Path) -> None:
    keys = [cache.digest(name) for name in "xy"]
    for key in keys:
        cache.store(key, key.encode())
    cache.flush()
    first, second = (cache._path(key) for key in keys)
    first.write_bytes(second.read_bytes())
    assert [cache.load(key) for key in keys] == [None, keys[1].encode()]


@pytest.mark.skipif(
    sys.platform == "win32" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="needs permissions"
)
def test_a_read_only_folder_is_tolerated(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    config.set("cache_dir", folder)
    cache.store(cache.digest("x"), b"code")
    cache.flush()
    assert cache.load(cache.digest("x")) is None
    folder.chmod(stat.S_IRWXU)


def test_the_entries_unused_for_longest_go_first(fresh_folder: Path) -> None:
    keys = [cache.digest(str(i)) for i in range(6)]
    for age, key in enumerate(keys):
        cache.store(key, bytes(1000))
        cache.flush()
        (path,) = [p for p in fresh_folder.rglob("*.tjo") if key.startswith(p.parent.name) and key.endswith(p.stem)]
        os.utime(path, (1000 + age, 1000 + age))
    cache.tidy(limit=5000, target=3500)
    assert [cache.load(k) is not None for k in keys] == [False, False, False, True, True, True]
    assert cache.clear() == 3
    assert cache.usage() == (0, 0)


@pytest.mark.parametrize(("age", "is_noted"), [(60, False), (7200, True), (-7200, True)])
def test_that_an_entry_is_used_is_noted_now_and_then(fresh_folder: Path, age: int, is_noted: bool) -> None:
    key = cache.digest("x")
    cache.store(key, b"code")
    cache.flush()
    (path,) = fresh_folder.rglob("*.tjo")
    then = time.time() - age
    os.utime(path, (then, then))
    assert cache.load(key) == b"code"
    assert (abs(path.stat().st_mtime - then) > 1) == is_noted


def test_sources_count_as_they_were_when_they_were_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written to a file later does not compile anything here: its products are not those of the new text."""
    before = cache.stamp(), cache.stamp("codegen/")
    cache.stamp.cache_clear()
    cache.sources.cache_clear()
    monkeypatch.setattr(os, "scandir", lambda path: pytest.fail("sources are looked at again"))
    assert (cache.stamp(), cache.stamp("codegen/")) == before
    assert len({*before, cache.stamp("codegen/", "runtime/")}) == 3
