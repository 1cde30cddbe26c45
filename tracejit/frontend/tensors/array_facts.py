"""Facts about arrays that a lowering may rely on beside dtypes and sizes: how they lie in memory, which of them ask for
gradients. Whether it does is found by lowering as if they were others, and by noting what the program asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

from tracejit.frontend.boundary.signature import ArraySpec

Change: TypeAlias = Callable[[ArraySpec], ArraySpec]

#: Names of facts that a program can ask for.
LAYOUT, GRADIENTS = "layout", "gradients"

_WATCHED: ContextVar[tuple[Change, set[str]] | None] = ContextVar("watched", default=None)


@contextmanager
def taken_as(change: Change) -> Iterator[set[str]]:
    """Arrays, arguments or not, are lowered inside as if their specs were what `change` gives. The facts that the
    program asks for are put into the set."""
    asked: set[str] = set()
    token = _WATCHED.set((change, asked))
    try:
        yield asked
    finally:
        _WATCHED.reset(token)


def taken(spec: ArraySpec) -> ArraySpec:
    """What an array is lowered as."""
    watched = _WATCHED.get()
    return spec if watched is None else watched[0](spec)


def note_asked(fact: str) -> None:
    """The program asks for a fact."""
    watched = _WATCHED.get()
    if watched is not None:
        watched[1].add(fact)
