"""Work for another thread that does not matter if it is never begun: whoever needs it done then does it.

`threading.Thread.start` waits until the new thread says that it runs, and so for ever where that dies before, for lack
of memory. Nobody waits for these to begin, and the end of the process only for those that have.
"""

from __future__ import annotations

import _thread
import atexit
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tracejit import config
from tracejit.locks import Lock


class Errand:
    """Work that was given to another thread."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._busy = _thread.allocate_lock()
        self._begun = self._ended = False

    def run(self) -> None:
        """In the other thread: do it."""
        with self._busy:
            self._begun = not _closed
            try:
                if self._begun:
                    self._work()
            finally:
                self._ended = True
                _errands.discard(self)

    @property
    def is_ahead(self) -> bool:
        """Whether it is still to be done, or being done."""
        return self in _errands

    def wait(self) -> None:
        """Until it is done, if it was begun. What a signal handler raises leaves this."""
        while self._begun and not self._ended:
            self._busy.acquire()
            self._busy.release()


_errands: set[Errand] = set()
_closed = False


def begin(work: Callable[[], object]) -> Errand | None:
    """Have another thread do it; None where there can be none."""
    errand = Errand(work)
    if _closed:
        return None
    _errands.add(errand)
    try:
        _thread.start_new_thread(errand.run, ())
    except (RuntimeError, MemoryError):
        _errands.discard(errand)
        return None
    return errand


def meanwhile(work: Callable[[], object]) -> Errand | None:
    """The same for what compiles, where threads may be used. What it raises is met again by who needs it."""

    def run() -> None:
        with suppress(Exception):
            work()

    return begin(run) if config.get("num_threads") > 1 else None


@contextmanager
def short_turns() -> Iterator[None]:
    """Let threads take turns in the interpreter more often than every 5 ms: one that was just begun would wait for that
    long, and each call of LLVM gives the interpreter away and would wait for it longer than it took itself."""
    with _turning:
        _turns.append(sys.getswitchinterval())
        sys.setswitchinterval(min(_TURN, _turns[-1]))
    try:
        yield
    finally:
        with _turning:
            sys.setswitchinterval(_turns.pop())


_TURN = 2e-4  #: seconds
_turning = Lock()
_turns: list[float] = []  #: what the setting was before


def wait_for_all() -> None:
    """Until all that was begun is done."""
    for errand in list(_errands):
        errand.wait()


def _close() -> None:
    global _closed
    _closed = True
    wait_for_all()


def is_ending() -> bool:
    """Whether the process ends: it waits for what was begun."""
    return _closed


def at_end(work: Callable[[], object]) -> None:
    """Have it called when the process ends, before what was asked so earlier."""
    _register(work)


#: Processes of multiprocessing end without what is registered with `atexit`.
_register: Callable[[Callable[[], object]], object] = getattr(threading, "_register_atexit", atexit.register)
at_end(_close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_errands.clear)
