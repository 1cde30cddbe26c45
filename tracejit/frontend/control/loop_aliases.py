"""Which of the arrays that a loop carries may be one memory with others: few, of the pairs that there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from tracejit.frontend.tensors.storage import Alias

if TYPE_CHECKING:
    from tracejit.frontend.control.loops import LoopLowering

#: Two classes, a split one first; their alias at entry; a name for the plan.
Pair: TypeAlias = "tuple[int, int, Alias, tuple[object, object]]"

_SAME: Mapping[int, int] = MappingProxyType({})


def alias_pairs(loop: LoopLowering, ends: Mapping[int, int] = _SAME) -> list[Pair]:
    """Pairs of a split class and another class, in a fixed order; left out are those that are two memories at entry, by
    now, and by the plan. `ends`: what the split classes have become."""
    outer = [q for q in loop.entry_storage.bases if q not in loop.rotation.memory]
    rows: list[tuple[object, int]] = [*((q, q) for q in outer), *loop.classes.items()]
    entered = [*outer, *(loop.entry_class[c] for c in loop.classes.values())]
    at_entry = _Groups(entered, loop.entry_storage.aliases)
    by_now = _Groups([ends.get(c, c) for _, c in rows], loop.ctx.storage.aliases)
    places = {name: i for i, (name, _) in enumerate(rows)}
    named: defaultdict[object, list[int]] = defaultdict(list)
    for name, other in (*loop.plan.dynamic_alias, *loop.plan.apart):
        if other in places:
            named[name].append(places[other])
    found: list[Pair] = []
    for i in range(len(outer), len(rows)):
        path, c = rows[i]
        for j in sorted({*at_entry.of(i), *by_now.of(i), *named.get(path, ())}):
            if j < i:
                a, b = entered[i], entered[j]
                alias = loop.entry_storage.alias(a, b) if a > 0 and b > 0 else False
                found.append((c, rows[j][1], alias, (path, rows[j][0])))
    return found


class _Groups:
    """Places in a list of classes that may be one memory."""

    def __init__(self, classes: Sequence[int], aliases: Iterable[tuple[int, int]]) -> None:
        self.classes = classes
        self.places: defaultdict[int, list[int]] = defaultdict(list)
        for i, c in enumerate(classes):
            self.places[c].append(i)
        self.partners: defaultdict[int, list[int]] = defaultdict(list)
        for a, b in aliases:
            self.partners[a].append(b)
            self.partners[b].append(a)

    def of(self, i: int) -> list[int]:
        """The places of classes that may be one memory with that at a place."""
        c = self.classes[i]
        return [place for other in (c, *self.partners.get(c, ())) for place in self.places.get(other, ())]
