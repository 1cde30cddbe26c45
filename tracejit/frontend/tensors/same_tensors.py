"""Which numbers of a script with Tensors may stand for one 0-d tensor: names that a branch or a loop joined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from tracejit.ir.core import Value
from tracejit.records import record


@record(eq=False)
class Origin:
    """What a number is that a branch or a loop joins. Numbers of one `join` are compared way by way (the sides of the
    branch; before the loop and behind a trip), where `met` says whether two of them are one behind a trip."""

    serial: int
    join: object
    ways: Sequence[Value | None]
    further: frozenset[Value] = frozenset()  #: what else it may be: numbers from outside of a loop
    path: object = None  #: of which name of the loop it is
    met: frozenset[frozenset[object]] = frozenset()


@record(eq=False)
class SameTensors:
    """What is known of the numbers of one program."""

    origins: dict[Value, Origin] = field(default_factory=dict[Value, Origin])
    known: dict[tuple[Value, Value], bool] = field(default_factory=dict[tuple[Value, Value], bool])

    def note(
        self,
        made: Value,
        join: object,
        ways: Sequence[Value | None],
        further: frozenset[Value] = frozenset(),
        path: object = None,
        met: frozenset[frozenset[object]] = frozenset(),
    ) -> None:
        """A number that is one of others by the way taken."""
        self.origins[made] = Origin(len(self.origins), join, ways, further, path, met)

    def renamed(self, mapping: Mapping[Value, Value], made: Value, join: object) -> None:
        """A number of a trip, as it is behind the loop."""
        found = self.origins.get(made)
        if found is not None:
            self.note(mapping[made], join, found.ways, found.further, found.path, found.met)

    def may_be(self, x: Value, y: Value) -> bool:
        """Whether two numbers may be one tensor."""
        if x is y:
            return True
        a, b = self.origins.get(x), self.origins.get(y)
        if a is None and b is None:
            return False
        if (x, y) not in self.known:
            self.known[x, y] = self._may_be(x, a, y, b)
        return self.known[x, y]

    def _may_be(self, x: Value, a: Origin | None, y: Value, b: Origin | None) -> bool:
        if a is not None and b is not None and a.join is b.join:
            pairs = zip(a.ways, b.ways, strict=True)
            on_one_way = any(p is not None and q is not None and self.may_be(p, q) for p, q in pairs)
            return on_one_way or bool(a.further & b.further) or frozenset((a.path, b.path)) in a.met
        if a is None or (b is not None and b.serial > a.serial):
            assert b is not None
            x, y, a = y, x, b
        return any(p is not None and self.may_be(p, y) for p in (*a.ways, *a.further))
