"""Objects that hold more of their kind each time that a function which calls itself is lowered: the nodes of a tree,
whose types would never settle outside of a pool."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tracejit.frontend.values import Mutable, ObjectValue

#: They may become more so often.
_MOST = 2


@dataclass(slots=True)
class Nesting:
    """Of each kind of objects, how many there were last, and how often there were more than before."""

    counts: dict[object, tuple[int, int]] = field(default_factory=dict[object, "tuple[int, int]"])

    def ever_more(self, objects: Sequence[Mutable]) -> Iterator[list[Mutable]]:
        """The objects of each kind of which there are more again."""
        kinds = [o.cls if isinstance(o, ObjectValue) else tuple(o.contents) for o in objects]
        for kind in dict.fromkeys(kinds):
            before, grown = self.counts.get(kind, (0, 0))
            now = kinds.count(kind)
            grown += now > before
            self.counts[kind] = now, grown
            if now > before and grown > _MOST:
                yield [o for o, k in zip(objects, kinds, strict=True) if k == kind]
