"""Work for another thread that somebody else does where it does not come to it."""

from __future__ import annotations

import _thread
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tracejit.runtime import cache, errands
from tracejit.runtime.emission import Work
from tracejit.runtime.machines import host_machines


def test_another_thread_does_it() -> None:
    may, found = threading.Event(), []
    errand = errands.begin(lambda: may.wait(30) and found.append(threading.get_ident()))
    assert errand is not None
    may.set()
    while not found:
        errand.wait()
    assert found != [threading.get_ident()]
    errands.wait_for_all()


@pytest.mark.parametrize("error", [RuntimeError, MemoryError])
def test_no_thread_can_be_made(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def refuse(*_: object) -> int:
        raise error

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    assert errands.begin(lambda: None) is None


def test_entries_are_written_where_a_thread_never_begins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A new thread may end before its first line, for lack of memory; nobody waits for it."""
    from tracejit import config

    cache.flush()
    monkeypatch.setattr(_thread, "start_new_thread", lambda *_: 1)
    with config.override(cache_dir=tmp_path):
        key = cache.digest("never begun")
        cache.store(key, b"code")
        assert cache.load(key) == b"code"
        cache.flush()
        assert cache._path(key).exists()


def test_a_thread_that_comes_late_finds_nothing_to_compile() -> None:
    work = Work()
    work.close()
    work.run(host_machines())
    assert work.results() == []


PROGRAM = """
import atexit, threading, time
from tracejit.runtime import errands
begun = threading.Event()
def slow():
    begun.set()
    time.sleep(0.2)
    print("done")
errands.begin(slow)
begun.wait(30)
atexit.register(lambda: print(errands.begin(slow)))
"""


def test_the_end_of_a_process_waits_for_what_was_begun() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.split()) == (0, ["done", "None"]), done.stderr
