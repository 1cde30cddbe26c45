"""Object code that all programs share (`shared_code`): what did not come with the package is compiled once, by who
needs it first or ahead of that, and kept on the disk.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from tracejit.codegen.llvm.printer import Module
from tracejit.records import record
from tracejit.runtime import cache as disk
from tracejit.runtime import errands
from tracejit.runtime.emission import Pool, emitted, plain_addresses
from tracejit.runtime.images import prepared
from tracejit.runtime.machines import llvm_version
from tracejit.runtime.shipped import Shipped


@record
class Code:
    """Code to be made: its module, and a name that says all that this depends on beside the sources of this package."""

    name: str
    module: Callable[[], Module]

    @property
    def key(self) -> str:
        """That of the disk."""
        return disk.digest("shared", self.name, disk.stamp("codegen/", "runtime/"), llvm_version())


def compiled(module: Module, pool: Pool) -> bytes:
    """The object code of a module, as it is kept on the disk and linked."""
    with pool.lent() as machines, plain_addresses(module.effort != "full"):
        (data,) = prepared([emitted(module, machines, "object")])
    return data


class Stock:
    """What was made by machines of a pool, and what `shipped` finds by name. Any number of threads may ask: each code
    is made by one."""

    def __init__(self, pool: Pool, shipped: Shipped | None = None) -> None:
        self._pool = pool
        self._shipped = Shipped() if shipped is None else shipped
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
        found = self._shipped.find(code.name)
        if found is not None:
            return found
        key = code.key
        while not self._is_mine(key):
            with suppress(Exception):  # whoever needs that meets the same error
                self._make_next()
        found = self._made.get(key)
        if found is not None:
            return found
        try:
            found = disk.load(key)
            if found is None:
                found = compiled(code.module(), self._pool)
                self._keep(key, found)
            return found
        finally:
            self._release(key)

    def ahead(self, codes: Sequence[Code], until: Callable[[], bool], *, likely: bool = True) -> None:
        """Make what is not there and nobody makes, until that holds or the process ends. Who waits for other code helps
        with what is likely to be needed."""
        if likely:
            self._later.extend((code, until) for code in codes)
        for code in codes:
            if errands.is_ending() or until():
                return
            self._make(code)

    def _make(self, code: Code) -> bool:
        """Make what is not there and nobody makes; whether it was so."""
        key = code.key
        with self._changed:
            if not self._is_lacking(code):
                return False
            self._claimed.add(key)
        try:
            self._keep(key, compiled(code.module(), self._pool))
            return True
        finally:
            self._release(key)

    def _make_next(self) -> None:
        """Make what is next of what is wanted ahead, if there is something."""
        while self._later:
            code, until = self._later.popleft()
            if not until() and self._make(code):
                return

    def has(self, code: Code) -> bool:
        """Whether it only has to be read."""
        return self._shipped.has(code.name) or disk.has(code.key)

    def _is_lacking(self, code: Code) -> bool:
        return not (code.key in self._claimed or code.key in self._made or self.has(code))

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

    def _keep(self, key: str, data: bytes) -> None:
        self._made[key] = data
        disk.store(key, data)

    def _release(self, key: str) -> None:
        with self._changed:
            self._claimed.discard(key)
            self._changed.notify_all()
