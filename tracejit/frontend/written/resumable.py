"""Generators that wait between two items: what Python's generator objects do."""

from __future__ import annotations

from typing import Any

from tracejit.frontend.containers.resumable import Ended, step


def require_begun(frame: Any, value: Any) -> None:
    """Before its first item, a generator can be sent nothing."""
    if frame.state == 0 and value is not None:
        raise TypeError("can't send non-None value to a just-started generator")


class Resumable:
    """A generator, with its names in a cell."""

    def __init__(self, frame: Any, closure: Any) -> None:
        self.frame = frame
        self.closure = closure

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        try:
            return step(self, None)
        except Ended:
            raise StopIteration  # noqa: B904

    def send(self, value: Any) -> Any:
        require_begun(self.frame, value)
        try:
            return step(self, value)
        except Ended:
            raise StopIteration  # noqa: B904

    def close(self) -> None:
        self.frame.state = -1


class Watched(Resumable):
    """A generator of which a statement may raise StopIteration, which Python makes a RuntimeError."""

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        require_begun(self.frame, value)
        try:
            return step(self, value)
        except Ended:
            raise StopIteration  # noqa: B904
        except StopIteration:
            raise RuntimeError("generator raised StopIteration")  # noqa: B904


class Numbers:
    """The numbers of a range, one by one."""

    def __init__(self, start: int, step: int, count: int) -> None:
        self.start = start
        self.step = step
        self.count = count
        self.taken = 0

    def __next__(self) -> int:
        if self.taken >= self.count:
            raise StopIteration
        self.taken += 1
        return self.start + (self.taken - 1) * self.step


def begun(items: Any) -> Any:
    """What a `for` of a generator takes its items of."""
    if isinstance(items, range):
        return Numbers(items.start, items.step, len(items))
    return iter(items)


def sent_on(iterator: Any, value: Any) -> Any:
    """The next item of what a `yield from` takes items of, which is sent a value where it is a generator."""
    if isinstance(iterator, Resumable):
        return iterator.send(value)
    return iterator.__next__()


def value_of(iterator: Any) -> Any:
    """What a `yield from` gives: what the generator returned."""
    if isinstance(iterator, Resumable):
        return iterator.frame.value
    return None


def next_or(iterator: Any, default: Any) -> Any:
    """next(iterator, default) of an object with `__next__`."""
    try:
        return iterator.__next__()
    except StopIteration:
        return default


def together(iterators: Any) -> Any:
    """zip() of iterators that make their items one by one."""
    while True:
        try:
            items = tuple([it.__next__() for it in iterators])
        except StopIteration:
            return
        yield items
