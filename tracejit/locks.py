"""Locks, and values that are made once, in processes that fork while several threads run.

A forked child has one thread. What another thread held in the parent would never be given back there: a `Lock` is free
in the child, unless the thread that forked holds it. What it guards must be of use at every moment.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

T = TypeVar("T")


class Lock:
    """A reentrant lock, to be used by `with`."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def renew(self) -> None:
        """In a forked child: be free, unless this thread has it."""
        if self._lock.acquire(blocking=False):
            self._lock.release()
        else:
            self._lock = threading.RLock()


class Gate:
    """Any number of threads may be inside, by `with`; who closes it waits until all others have left."""

    def __init__(self) -> None:
        self._inside: Counter[int] = Counter()
        self.renew()

    def renew(self) -> None:
        """In a forked child: be open, nobody waits."""
        self._changed = threading.Condition()
        self._closed_by: int | None = None

    def __enter__(self) -> None:
        me = threading.get_ident()
        with self._changed:
            while self._closed_by not in (None, me):
                self._changed.wait()
            self._inside[me] += 1

    def __exit__(self, *_: object) -> None:
        me = threading.get_ident()
        with self._changed:
            self._inside[me] -= 1
            if not self._inside[me]:
                del self._inside[me]
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody else in until it is opened."""
        me = threading.get_ident()
        with self._changed:
            while self._closed_by is not None:
                self._changed.wait()
            self._closed_by = me
            while self._inside.keys() - {me}:
                self._changed.wait()

    def open(self) -> None:
        """Let others in again."""
        with self._changed:
            self._closed_by = None
            self._changed.notify_all()


_locks: weakref.WeakSet[Lock] = weakref.WeakSet()
_making: dict[tuple[int, str], Any] = {}  #: properties that threads make now, by object and name


class cached_property(Generic[T]):
    """A property that is made when first asked for. Threads that ask for it at the same time wait for one; those that
    ask for that of another object do not, as with Python 3.11's."""

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> cached_property[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> cached_property[T] | T:
        if instance is None:
            return self
        values, key = instance.__dict__, (id(instance), self._name)
        with _making.setdefault(key, threading.RLock()):
            try:
                if self._name not in values:
                    values[self._name] = self._make(instance)
            finally:
                _making.pop(key, None)
        return values[self._name]

    if TYPE_CHECKING:  # objects may have it set

        def __set__(self, instance: object, value: T) -> None: ...


def _renew() -> None:
    _making.clear()
    for lock in list(_locks):
        lock.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
