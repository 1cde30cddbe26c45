"""Locks and values made once, with several threads and in forked processes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from tracejit.locks import Lock, cached_property


class Slow:
    """Its value waits until it may be made."""

    def __init__(self) -> None:
        self.asked, self.may = threading.Event(), threading.Event()
        self.made = 0

    @cached_property
    def value(self) -> int:
        self.asked.set()
        assert self.may.wait(30)
        self.made += 1
        return self.made


def in_child(work: Callable[[], bool]) -> bool:
    """Whether a forked process finds `work` true."""
    child = os.fork()
    if child == 0:
        threading.Thread(target=lambda: threading.Event().wait(10) or os._exit(2), daemon=True).start()
        with suppress(BaseException):
            os._exit(0 if work() else 1)
        os._exit(3)
    return os.waitpid(child, 0)[1] == 0


def test_threads_wait_for_one_that_makes_a_value() -> None:
    slow, other, found = Slow(), Slow(), []
    threads = [threading.Thread(target=lambda: found.append(slow.value)) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert slow.asked.wait(30)
    other.may.set()
    assert other.value == 1  # that of another object is made meanwhile
    slow.may.set()
    for thread in threads:
        thread.join()
    assert found == [1, 1, 1] and slow.value == slow.__dict__["value"] == 1


def test_a_value_that_could_not_be_made_is_made_later() -> None:
    class Once:
        ready = False

        @cached_property
        def value(self) -> int:
            if not self.ready:
                raise ValueError("not yet")
            return 3

    once = Once()
    with pytest.raises(ValueError, match="not yet"):
        _ = once.value
    once.ready = True
    assert once.value == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_what_another_thread_holds_is_free_in_a_forked_process() -> None:
    slow, lock = Slow(), Lock()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            done.wait(30)

    threads = [threading.Thread(target=hold), threading.Thread(target=lambda: slow.value)]
    for thread in threads:
        thread.start()
    assert held.wait(30) and slow.asked.wait(30)

    def work() -> bool:
        slow.may.set()
        with lock:
            return slow.value == 1

    try:
        assert in_child(work)
        assert not lock._lock.acquire(blocking=False)
    finally:
        done.set()
        slow.may.set()
    for thread in threads:
        thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_what_this_thread_holds_stays_held_in_a_forked_process() -> None:
    lock = Lock()

    def work() -> bool:
        taken: list[bool] = []
        thread = threading.Thread(target=lambda: taken.append(lock._lock.acquire(blocking=False)))
        thread.start()
        thread.join()
        return taken == [False]

    with lock:
        assert in_child(work)
