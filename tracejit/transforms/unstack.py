"""`unstack`: a list of scalars whose length is bounded by known trip counts becomes an array and a position.

Such are the residuals of counted loops: a push is then one store and a pop one load, without a check for room. The
bound is the number of pushes, each times the limits of the loops around it. Lists of arrays stay lists (pushing
moves an array, an array of arrays would copy it), and so do lists that a `while` fills, that are read by index, or
that come from or go to somewhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from tracejit.ir.builder import Rebuilder, rebuild
from tracejit.ir.core import Block, Graph, Op, Value, captures, walk
from tracejit.ir.types import I64, ScalarType, TensorType, Type
from tracejit.transforms.canonicalize import canonicalize
from tracejit.transforms.cse import cse
from tracejit.transforms.dce import dce
from tracejit.transforms.pipeline import transform

SIZE = ScalarType(I64)


@transform("unstack")
def unstack(graph: Graph) -> Graph:
    """Turn lists of scalars with a known bound into arrays; an array that is only read is not carried."""
    if not any(op.name == "list_new" for op in walk(graph.body)):
        return graph
    found = _Search(graph)
    if not found.bounds:
        return graph
    return dce(cse(canonicalize(rebuild(graph, _Rewrite(found.bounds).visit, keeps=True))))


# -- which lists, and their bounds ----------------------------------------------------------------------------------

#: A number not less than a loop's limit: a value, or the sum of two such.
_Limit: TypeAlias = "Value | tuple[_Limit, _Limit]"

#: The number of pushes as a sum of products of limits.
_Bound: TypeAlias = list[tuple[_Limit, ...]]


class _Unbounded(Exception):
    """The list has to stay one."""


class _Search:
    """Finds the lists to turn: `bounds` maps each version of such a list to the bound of its `list_new`."""

    def __init__(self, graph: Graph) -> None:
        self.bounds: dict[Value, _Bound] = {}
        self.definitions = {r: op for op in walk(graph.body) for r in op.results}
        self.limits: dict[Value, Value] = {}
        self.block(graph.body, set(graph.params))

    def block(self, block: Block, visible: set[Value]) -> None:
        visible = visible | set(block.params)
        for op in block.ops:
            if op.name == "list_new" and isinstance(op.attrs["element"], ScalarType):
                self.try_list(op, block, visible)
            visible.update(op.results)
            for nested in op.blocks:
                self.block(nested, visible)

    def try_list(self, op: Op, block: Block, visible: set[Value]) -> None:
        versions: list[Value] = []
        try:
            last, bound = self.follow(op.results[0], block, versions)
            if last in block.results:
                return
            bound = [tuple(self.within(v, visible) for v in product) for product in bound]
        except _Unbounded:
            return
        self.bounds.update(dict.fromkeys(versions, bound))

    def follow(self, version: Value, block: Block, versions: list[Value]) -> tuple[Value, _Bound]:
        """The last version in the block of a list, and how much is pushed on the way."""
        bound: _Bound = []
        versions.append(version)
        for op in block.ops:
            following: Value | None = None
            pushed: _Bound = []
            if version in op.operands:
                following, pushed = self.through(op, op.operands.index(version), versions)
            elif op.blocks and any(version in captures(nested) for nested in op.blocks):
                following, pushed = self.through_branches(op, version, versions)
            if following is not None:
                bound += pushed
                version = following
                versions.append(version)
        return version, bound

    def through(self, op: Op, place: int, versions: list[Value]) -> tuple[Value, _Bound]:
        match op.name:
            case "list_push" if place == 0:
                return op.results[0], [()]
            case "list_pop":
                return op.results[0], []
            case "loop":
                return self.through_loop(op, place, versions)
            case _:
                raise _Unbounded

    def through_loop(self, op: Op, place: int, versions: list[Value]) -> tuple[Value, _Bound]:
        body = op.block("body")
        last, pushed = self.follow(body.params[place - 1], body, versions)
        if last is not body.results[place - 1]:
            raise _Unbounded
        if pushed and not (self.is_true(op.operands[1]) and self.is_true(body.results[0])):
            raise _Unbounded
        self.limits[body.params[0]] = op.operands[0]
        return op.results[place - 2], [(op.operands[0], *product) for product in pushed]

    def through_branches(self, op: Op, version: Value, versions: list[Value]) -> tuple[Value, _Bound]:
        if op.name != "if":
            raise _Unbounded
        ends = [self.follow(version, nested, versions) for nested in op.blocks]
        place = next((i for i, v in enumerate(op.blocks[0].results) if v is ends[0][0]), -1)
        if place < 0 or ends[1][0] is not op.blocks[1].results[place]:
            raise _Unbounded
        (_, one), (_, other) = ends
        return op.results[place], one if one == other else one + other

    def is_true(self, value: Value) -> bool:
        made_by = self.definitions.get(value)
        return made_by is not None and made_by.name == "const" and made_by.attrs["value"] is True

    def within(self, limit: _Limit, visible: set[Value]) -> _Limit:
        """A number made of visible values that is not less than the limit."""
        if isinstance(limit, tuple):
            return self.within(limit[0], visible), self.within(limit[1], visible)
        if limit in visible:
            return limit
        if limit in self.limits:
            return self.within(self.limits[limit], visible)
        made_by = self.definitions.get(limit)
        if made_by is None or made_by.name not in ("add", "const"):
            raise _Unbounded
        if made_by.name == "const":
            return limit
        return self.within(made_by.operands[0], visible), self.within(made_by.operands[1], visible)


# -- rewriting --------------------------------------------------------------------------------------------------------


class _Rewrite:
    """Re-emits a graph with the found lists as arrays; `position` has the number of elements of each version."""

    def __init__(self, bounds: dict[Value, _Bound]) -> None:
        self.bounds = bounds
        self.position: dict[Value, Value] = {}

    def visit(self, b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        found = [v for v in (*op.operands, *op.results) if v in self.bounds]
        if not found:
            return None
        match op.name:
            case "list_new":
                return self.start(b, op)
            case "list_push":
                array, number, position = operands[0], operands[1], self.position[op.operands[0]]
                self.position[op.results[0]] = (b.wrap(position) + 1).value
                return b.emit("index_update", (array, number, position), names=(array.name,))
            case "list_pop":
                array, position = operands[0], (b.wrap(self.position[op.operands[0]]) - 1).value
                self.position[op.results[0]] = position
                return array, *b.emit("fetch", (array, position), names=(op.results[1].name,))
            case "loop":
                return self.loop(b, op, operands)
            case _:
                return self.branches(b, op, operands)

    def start(self, b: Rebuilder, op: Op) -> tuple[Value, ...]:
        """An array with room for all that is pushed."""
        room = b.wrap(b.constant(0, SIZE))
        for product in self.bounds[op.results[0]]:
            term = b.wrap(b.constant(1, SIZE))
            for limit in product:
                term = term * self.at_least_zero(b, limit)
            room = room + term
        self.position[op.results[0]] = b.constant(0, SIZE)
        type = TensorType(op.attrs["element"].dtype, (None,))
        return b.emit("undef", (room.value,), {"type": type}, names=(op.results[0].name,))

    def at_least_zero(self, b: Rebuilder, limit: _Limit) -> Any:
        """The trips a limit allows at most."""
        if isinstance(limit, tuple):
            return self.at_least_zero(b, limit[0]) + self.at_least_zero(b, limit[1])
        return (
            b.wrap(b.size(max(limit.known, 0)))
            if isinstance(limit.known, int)
            else b.maximum(b.wrap(b.value(limit)), 0)
        )

    def loop(self, b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> tuple[Value, ...]:
        """A loop that carries arrays and positions for lists."""
        body = op.block("body")
        places = [i for i, v in enumerate(op.results) if v in self.bounds]
        positions = [self.position[op.operands[i + 2]] for i in places]
        arrays = {i: operands[i + 2].type for i in places}
        inner = b.nested()
        params = [inner.param_like(body.params[0])]
        for i, param in enumerate(body.params[1:]):
            params.append(self.array_like(inner, param, arrays[i]) if i in arrays else inner.param_like(param))
        for i in places:
            self.position[body.params[i + 1]] = Value(SIZE, "position")
        results = inner.inline(body, params)
        ends = [self.position[body.results[i + 1]] for i in places]
        starts = [self.position[body.params[i + 1]] for i in places]
        block = inner.block((*params, *starts), (*results, *ends), body.label)
        return self.emit(b, op, (*operands, *positions), [block], arrays)

    def branches(self, b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> tuple[Value, ...]:
        """An `if` that yields arrays and positions for lists."""
        blocks: list[Block] = []
        arrays: dict[int, Type] = {}
        for nested in op.blocks:
            inner = b.nested()
            results = inner.inline(nested)
            places = [i for i, v in enumerate(op.results) if v in self.bounds]
            arrays = {i: results[i].type for i in places}
            ends = [self.position[nested.results[i]] for i in places]
            blocks.append(inner.block((), (*results, *ends), nested.label))
        return self.emit(b, op, operands, blocks, arrays)

    def array_like(self, b: Rebuilder, old: Value, type: Type) -> Value:
        """A parameter that is an array where the old one is a list."""
        b.mapping[old] = Value(type, old.name)
        return b.mapping[old]

    def emit(
        self, b: Rebuilder, op: Op, operands: Sequence[Value], blocks: list[Block], arrays: dict[int, Type]
    ) -> tuple[Value, ...]:
        like = [Value(arrays[i], r.name) if i in arrays else r for i, r in enumerate(op.results)]
        positions = [Value(SIZE, "position") for _ in arrays]
        found = b.emit(op.defn, operands, op.attrs, blocks=blocks, like=(*like, *positions), mapping=b.mapping)
        self.position.update(zip((op.results[i] for i in arrays), found[len(like) :], strict=True))
        return found[: len(like)]
