"""Places that make what grows; in the trips of unrolled loops, what one trip makes, the others make too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracejit.frontend.kinds import Kind


class Growing(dict[object, "Kind | None"]):
    """The places that make lists, dicts and sets that grow, with the kind of their items (None: no item). Some are
    guessed, as long as what is found so can be lowered."""

    def __init__(self) -> None:
        super().__init__()
        self.guesses = True
        self.has_guessed = False

    def covers(self, key: object) -> bool:
        """Whether what is made at a place grows, because it does or because it does in another trip: lowering would
        begin anew for each trip otherwise."""
        if self.guesses and key not in self and like_in_another_trip(key, self) is not None:
            self[key] = None
            self.has_guessed = True
        return key in self

    def withdraw(self) -> bool:
        """Guess no more, and forget what was found by guesses; whether there were any."""
        found = self.has_guessed
        if found:
            self.clear()
        self.guesses = self.has_guessed = False
        return found


def like_in_another_trip(key: object, known: Iterable[object]) -> object | None:
    """The first of the known keys that is the same in another trip of an unrolled loop."""
    own = _across_trips(key)
    return None if own == key else next((k for k in known if _across_trips(k) == own), None)


def _across_trips(key: object) -> object:
    """A key with one number for all trips."""
    if isinstance(key, tuple):
        return tuple(map(_across_trips, key))
    return -1 if type(key) is int else key
