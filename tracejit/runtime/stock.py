"""Object code that all programs of a machine share: the support, products of matrices and their parts. Each is compiled
once, by who needs it first or ahead of that, and kept on the disk.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from tracejit.codegen.llvm.printer import Module
from tracejit.records import record
from tracejit.runtime import cache as disk
from tracejit.runtime import errands
from tracejit.runtime.emission import Machines, emitted, plain_addresses
from tracejit.runtime.images import prepared


@record
class Code:
    """Code to be made: what it depends on as a key of the disk, and its module."""

    key: str
    module: Callable[[], Module]


class Stock:
    """What was made; `machine` makes target machines of a `level`. Any number of threads may ask: each code is made
    by one."""

    def __init__(self, machine: Callable[..., Any]) -> None:
        self._machine = machine
        self._free: list[Machines] = []
        self._made: dict[str, bytes] = {}
        self.renew()

    def renew(self) -> None:
        """In a forked child: the threads that were making something are gone."""
        self._changed = threading.Condition()
        self._claimed: set[str] = set()
        self._later: deque[tuple[Code, Callable[[], bool]]] = deque()  #: to be made ahead, until that holds

    def get(self, code: Code) -> bytes:
        """The object code. Where another thread is making it, that is waited for, and what is wanted ahead made
        meanwhile."""
        while not self._is_mine(code.key):
            with suppress(Exception):  # whoever needs that meets the same error
                self._make_next()
        found = self._made.get(code.key)
        if found is not None:
            return found
        try:
            found = disk.load(code.key)
            if found is None:
                found = self._emitted(code.module())
                self.put(code.key, found)
            return found
        finally:
            self._release((code.key,))

    def ahead(self, codes: Sequence[Code], until: Callable[[], bool], *, likely: bool = True) -> None:
        """Make what is not there and nobody makes, until that holds or the process ends. Who waits for other code helps
        with what is likely to be needed."""
        if likely:
            self._later.extend((code, until) for code in codes)
        for code in codes:
            if errands.is_ending() or until():
                return
            self._make(code)

    def _make(self, code: Code) -> None:
        """Make what is not there and nobody makes."""
        with self.claimed((code.key,)) as keys:
            for key in keys:
                self.put(key, self._emitted(code.module()))

    def _make_next(self) -> None:
        """Make what is next of what is wanted ahead, if there is something."""
        while self._later:
            code, until = self._later.popleft()
            if not until() and self._is_lacking(code.key):
                self._make(code)
                return

    def _is_lacking(self, key: str) -> bool:
        return not (key in self._claimed or key in self._made or disk.has(key))

    def _is_mine(self, key: str) -> bool:
        """Wait while another thread is making that, unless there is something to do; whether it is made, or now the
        caller's to make."""
        with self._changed:
            while key in self._claimed:
                if self._later:
                    return False
                self._changed.wait()
            if key not in self._made:
                self._claimed.add(key)
            return True

    @contextmanager
    def claimed(self, keys: Sequence[str]) -> Iterator[list[str]]:
        """Those of the keys that are not there and nobody makes: others wait until the caller `put` them, or failed."""
        with self._changed:
            own = [key for key in keys if self._is_lacking(key)]
            self._claimed.update(own)
        try:
            yield own
        finally:
            self._release(own)

    def put(self, key: str, data: bytes) -> None:
        """Keep what was made."""
        self._made[key] = data
        disk.store(key, data)

    def _release(self, keys: Iterable[str]) -> None:
        with self._changed:
            self._claimed.difference_update(keys)
            self._changed.notify_all()

    def _emitted(self, module: Module) -> bytes:
        return self.made_of(module)

    def made_of(self, module: Module) -> bytes:
        """The object code of any module; it is not kept."""
        try:
            machines = self._free.pop()
        except IndexError:
            machines = Machines(self._machine)
        with plain_addresses(module.effort != "full"):
            (data,) = prepared([emitted(module, machines, "object")])
        self._free.append(machines)
        return data
