"""Items that are read from a list behind the `list_push` or `list_set` that put them there.

In `losses.append(loss); losses[-1].backward()` the derivative is that of `loss`, whatever else the list holds. Places
are compared as sums of values and a number. What each trip of a loop moves by 1 - the length of a list that gets an
item in every trip, a counter - is its number of trips and what it began with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tracejit.ir.builder import Rebuilder, rebuild
from tracejit.ir.core import Graph, Op, Value, walk
from tracejit.ir.types import I64, ListType, ScalarType, TensorType

#: A place: values, each as often as it is added, and a number.
_Place = tuple[tuple[tuple[Value, int], ...], int]


def items_just_added(graph: Graph) -> Graph:
    """The graph with such items in the place of the ops that read them."""
    if not any(op.name == "gradient" for op in walk(graph.body)):
        return graph
    places = _Places(graph)
    found = {op: item for op in places.makers.values() if (item := places.item(op)) is not None}
    if not found:
        return graph

    def visit(b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        if op not in found:
            return None
        item = b.value(found[op])
        if item.type == op.results[0].type or not isinstance(item.type, TensorType):
            return (item,)
        return b.emit("broadcast", (item, *operands[2:]), {"exact": True}, names=(item.name,))  # its sizes have names

    return rebuild(graph, visit)


@dataclass
class _Places:
    """Whole numbers and lengths of lists as places."""

    graph: Graph
    makers: dict[Value, Op] = field(default_factory=dict[Value, Op])
    carried: dict[Value, tuple[Op, int]] = field(default_factory=dict[Value, tuple[Op, int]])
    known: dict[Value, _Place] = field(default_factory=dict[Value, _Place])

    def __post_init__(self) -> None:
        for op in walk(self.graph.body):
            self.makers.update((r, op) for r in op.results)
            if op.name == "loop":
                self.carried.update((p, (op, i)) for i, p in enumerate(op.block("body").params[1:]))

    def item(self, op: Op) -> Value | None:
        """The item that a `list_get` reads, where it was put into the list just before."""
        if op.name != "list_get":
            return None
        items, place = op.operands[0], self.of(op.operands[1])
        while (maker := self.makers.get(items)) is not None:
            match maker.name:
                case "list_push":
                    put = self.of(maker.operands[0])
                case "list_set":
                    put = self.of(maker.operands[1])
                case _:
                    return None
            if put == place:
                return maker.operands[-1]
            if put[0] != place[0]:
                return None
            items = maker.operands[0]
        return None

    def of(self, value: Value) -> _Place:
        """A whole number as a place; of a list, its length."""
        if value not in self.known:
            self.known[value] = (((value, 1),), 0)  # what rests on itself
            self.known[value] = self._find(value)
        return self.known[value]

    def _find(self, value: Value) -> _Place:
        itself = (((value, 1),), 0)
        if value in self.carried:
            return self._moving(value) or itself
        op = self.makers.get(value)
        if op is None:
            return itself
        match op.name:
            case "const":
                return ((), op.attrs["value"]) if value.type == ScalarType(I64) else itself
            case "list_new":
                return ((), 0)
            case "list_len" | "list_set":
                return self.of(op.operands[0])
            case "list_push":
                return _sum(self.of(op.operands[0]), ((), 1))
            case "list_pop":
                return _sum(self.of(op.operands[0]), ((), -1)) if value is op.results[0] else itself
            case _ if op.defn.factor and value.type == ScalarType(I64):  # a sum, or a difference
                one, other = map(self.of, op.operands)
                return _sum(one, other, 1 if op.name == "add" else -1)
            case _:
                return itself

    def _moving(self, value: Value) -> _Place | None:
        """What a loop carries, by the number of the trip and what it began with; None if it does not move so."""
        loop, i = self.carried[value]
        if not (isinstance(value.type, ListType) or value.type == ScalarType(I64)):
            return None
        step = _sum(self.of(loop.block("body").results[1 + i]), self.of(value), -1)
        if step[0] or step[1] not in (-1, 0, 1):
            return None
        index = loop.block("body").params[0]
        return _sum(self.of(loop.operands[2 + i]), (((index, step[1]),) if step[1] else (), 0))


def _sum(one: _Place, other: _Place, sign: int = 1) -> _Place:
    total = Counter(dict(one[0]))
    for value, count in other[0]:
        total[value] += sign * count
    parts = sorted(((v, n) for v, n in total.items() if n), key=lambda part: id(part[0]))
    return tuple(parts), one[1] + sign * other[1]
