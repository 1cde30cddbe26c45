"""`cse`: compute once what is the same in the same or an enclosing block.

Two ops are the same when definition, operands (in any order if it is commutative) and attributes are. A check
that has passed need not be made again, and what is done where its condition does not hold goes. Not merged: ops with
blocks, lists, other effects, what stands for storage of its own, and new versions of written parameters, which lie
where they are made. A tensor made of numbers alone (a constant, repeated) is made again in a nested block: there it is
part of a kernel, while outside it would be an array; what is computed with either is the same.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Container, Iterable, Sequence
from typing import Any, TypeAlias

from tracejit.errors import Span
from tracejit.ir.builder import Rebuilder, known_size
from tracejit.ir.core import Graph, Op, Value
from tracejit.ir.opdef import REGISTRY, Pointwise
from tracejit.ir.types import ListType, ScalarType, TensorType
from tracejit.transforms.pipeline import transform
from tracejit.transforms.write_home import new_versions

#: Each application has a meaning of its own: storage, or a place to differentiate at.
_DISTINCT = frozenset(("fresh", "copy", "undef", "leaf"))
#: Ordered effects that change nothing the second time.
_REPEATABLE = frozenset(("check", "check_eq", "broadcast_dim"))

Seen: TypeAlias = "ChainMap[object, Sequence[Value]]"


@transform("cse")
def cse(graph: Graph) -> Graph:
    """Replace an op by the results of the same op before it, in its block or an enclosing one."""
    return _Merger({}, ChainMap(), {}, new_versions(graph)).graph(graph)


class _Merger(Rebuilder):
    """A rebuilder that knows the ops in sight; `same` maps values computed again to the first ones."""

    keeps = True

    def __init__(
        self,
        mapping: dict[Value, Value],
        seen: Seen,
        same: dict[Value, Value],
        written: Container[Value],
        span: Span | None = None,
    ) -> None:
        super().__init__(None, mapping, span)
        self.visit = lambda b, op, operands: self.merged(op, operands)
        self.seen = seen
        self.same = same
        self.written = written

    def nested(self) -> _Merger:
        return _Merger(self.mapping, self.seen.new_child(), self.same, self.written, self.span)

    def merged(self, op: Op, operands: tuple[Value, ...]) -> Sequence[Value]:
        is_asking = op.name == "if" and not op.results
        if is_asking and self.found(_passed(self.same.get(operands[0], operands[0]))) is not None:
            return self.inline(op.block("then"))
        if op.name == "check_eq":
            equal = self.found((REGISTRY["eq"], _ordered(self.same.get(v, v) for v in operands[:2]), ()))
            if equal:
                self.seen[_passed(self.same.get(equal[0], equal[0]))] = ()
        key = _key(op, tuple(self.same.get(v, v) for v in operands))
        if key is None:
            return self.copy(op, operands)
        found = self.found(key)
        is_own = _is_fill(op) and key not in self.seen.maps[0]
        if found is None or is_own or any(r in self.written for r in op.results):
            results = self.seen[key] = self.copy(op, operands)
            self.same.update(zip(results, found or (), strict=False))
            return results
        return found

    def found(self, key: object) -> Sequence[Value] | None:
        """The results of the op in sight that has this key; a ChainMap would look for it twice."""
        for seen in self.seen.maps:
            results = seen.get(key)
            if results is not None:
                return results
        return None


def _is_fill(op: Op) -> bool:
    """Whether the op makes a tensor of host scalars, elementwise."""
    return (
        isinstance(op.defn.lower, Pointwise)
        and isinstance(op.results[0].type, TensorType)
        and all(isinstance(v.type, ScalarType) for v in op.operands)
    )


def _key(op: Op, operands: tuple[Value, ...]) -> object:
    """What two equal ops have in common; None for an op that is not merged."""
    if op.blocks or op.name in _DISTINCT or (op.defn.effect == "order" and op.name not in _REPEATABLE):
        return None
    for value in (*operands, *op.results):
        if value.type.__class__ is ListType:
            return None
    size = known_size(op.name, operands, op.attrs)
    if isinstance(size, str):
        return size
    if op.name == "check":
        return _passed(operands[0])
    if op.name == "check_eq":
        return op.defn, operands
    ordered = _ordered(operands) if op.defn.commutative else operands
    return op.defn, ordered, tuple((name, literal_key(value)) for name, value in sorted(op.attrs.items()))


def _passed(cond: Value) -> object:
    """The key of a check of a condition."""
    return REGISTRY["check"], (cond,)


def _ordered(operands: Iterable[Value]) -> tuple[Value, ...]:
    """Operands whose order does not matter, in one that all equal ops have."""
    return tuple(sorted(operands, key=id))


def literal_key(value: Any) -> object:
    """A hashable stand-in that tells apart what `==` does not: `0.0` and `-0.0`, `1`, `1.0` and `True`."""
    if isinstance(value, tuple):
        return tuple(literal_key(item) for item in value)  # pyright: ignore[reportUnknownVariableType]
    return (type(value), repr(value)) if isinstance(value, int | float | complex) else value
