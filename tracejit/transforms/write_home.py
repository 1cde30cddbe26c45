"""`write-home`: the versions of a written parameter are stored into the parameter where they are made.

A whole-array update (`w -= lr * g`) makes a new value that the caller must find in the memory of `w`. Written as a
`vwrite` of the whole parameter right after its maker, code generation lets the maker store there at once, loops need
no second array, and what was written before an error stays written.

A *version* of a parameter is what flows into its final value through updates, `if` and `loop`. Versions that are new
values are stored over the version before them, behind its last read.
"""

from __future__ import annotations

from collections.abc import Sequence

from tracejit.ir.aliasing import finals, is_flat, updated, updates
from tracejit.ir.builder import Builder
from tracejit.ir.core import Block, Graph, Op, Value, all_reads, captures, has_effect, walk
from tracejit.ir.opdef import REGISTRY
from tracejit.ir.types import I64, ScalarType, TensorType
from tracejit.transforms.pipeline import transform


@transform("write-home")
def write_home(graph: Graph) -> Graph:
    """Store versions that are new values into their parameters."""
    found = _Versions(graph)
    versions = {v: i for v, i in found.found.items() if v not in found.passed_on}
    fresh = found.fresh & versions.keys()
    if not fresh:
        return graph
    writer = _Writer(graph, versions, fresh)
    body = writer.block(graph.body, {i: graph.params[i] for i in graph.inout})
    body = Block(body.params, (*writer.places.ops, *body.ops), body.results, body.label)
    return Graph(graph.name, body, graph.device, graph.inout, graph.policy)


def versions_of(graph: Graph) -> dict[Value, int]:
    """For each value that is a version of one written parameter: that parameter's index."""
    return _Versions(graph).found if graph.inout else {}


def new_versions(graph: Graph) -> set[Value]:
    """The versions of written parameters that are new values: to make one is to write."""
    return _Versions(graph).fresh if graph.inout else set()


def _changed_by(op: Op, i: int) -> Value | None:
    """The operand that result i of a call is the final version of."""
    return {new: old for old, new in finals(op)}.get(op.results[i]) if op.name == "call" else None


class _Versions:
    """For each value that flows into the final version of one parameter: that parameter's index."""

    def __init__(self, graph: Graph) -> None:
        self.found: dict[Value, int] = {}
        self.makers: dict[Value, tuple[Op, int]] = {}
        self.slots: dict[Value, tuple[Op, int]] = {}
        for op in walk(graph.body):
            self.makers.update((r, (op, i)) for i, r in enumerate(op.results))
            if op.name == "loop":
                self.slots.update((p, (op, i)) for i, p in enumerate(op.block("body").params[1:]))
        self.params = graph.params
        self.after: dict[Value, list[Value]] = {}
        for value in (*self.makers, *self.slots) if graph.inout else ():
            for old in self.before(value):
                self.after.setdefault(old, []).append(value)
        self.passed_on: set[Value] = set()  #: older versions under another type
        self.fresh: set[Value] = set()  #: new values, that no older version leads to
        conflicts: set[Value] = set()
        for index, final in zip(graph.inout, graph.results[len(graph.results) - len(graph.inout) :], strict=True):
            if isinstance(final.type, TensorType):
                self.trace(final, index, conflicts)
        for value in conflicts:
            del self.found[value]

    def trace(self, final: Value, index: int, conflicts: set[Value]) -> None:
        """Follow a final version back to where it comes from."""
        led_to = self.led_to(self.params[index])
        queue = [final]
        while queue:
            value = queue.pop()
            if value in self.found:
                if self.found[value] != index:
                    conflicts.add(value)
                continue
            self.found[value] = index
            before = self.before(value)
            if value in self.makers and (not before or (self.states_sizes(value) and value not in led_to)):
                self.fresh.add(value)
                continue
            if self.states_sizes(value):
                self.passed_on.add(value)
            queue += before

    def states_sizes(self, value: Value) -> bool:
        """Whether a value is another, of which an op only states the sizes."""
        op, _ = self.made_by(value)
        return op is not None and is_flat(op)

    def led_to(self, param: Value) -> set[Value]:
        """All that is memory of a parameter on some path."""
        found: set[Value] = set()
        queue = [param]
        while queue:
            value = queue.pop()
            if value not in found:
                found.add(value)
                queue += self.after.get(value, ())
        return found

    def made_by(self, value: Value) -> tuple[Op | None, int]:
        """The op that a value is a result or carried by, and the number among those."""
        return self.makers.get(value) or self.slots.get(value) or (None, 0)

    def before(self, value: Value) -> Sequence[Value]:
        """What a version comes from: by an update, control flow, or another statement of its sizes."""
        op, i = self.made_by(value)
        if op is None:
            return ()
        if op.name == "loop":
            body = op.block("body")
            return op.operands[2 + i], body.params[1 + i], body.results[1 + i]
        if op.name == "if":
            return [b.results[i] for b in op.blocks]
        if updates(op) and i == 0:
            return (op.operands[updated(op)],)
        if is_flat(op):
            return (op.operands[0],)
        changed = _changed_by(op, i)
        return () if changed is None else (changed,)


class _Writer:
    """Rewrites blocks, knowing the version of each parameter that is the newest so far."""

    def __init__(self, graph: Graph, versions: dict[Value, int], fresh: set[Value]) -> None:
        self.graph = graph
        self.versions = versions
        self.fresh = fresh
        self.replaced: dict[Value, Value] = {}
        self.places = Builder()
        self.known_places: dict[int, list[Value]] = {}

    def value(self, old: Value) -> Value:
        return self.replaced.get(old, old)

    def block(self, block: Block, newest: dict[int, Value]) -> Block:
        """The block with new versions stored; `newest` are the versions at its start."""
        last = _last_reads(block)
        waiting: dict[int, list[tuple[int, Value]]] = {}
        ops: list[Op] = []
        for at, op in enumerate(block.ops):
            ops.append(self.op(op, newest))
            if op.name == "call":  # it happens even where all it writes is written again
                changed = {self.value(old): new for old, new in finals(op)}
                newest.update((index, changed[v]) for index, v in tuple(newest.items()) if v in changed)
            for i, r in enumerate(op.results):
                index = self.versions.get(r)
                if index is None or index not in newest:
                    continue
                if r not in self.fresh:
                    self.advance(op, i, index, newest)
                elif r.type == self.graph.params[index].type:
                    behind = max(at, last.get(newest[index], -1))
                    waiting.setdefault(_in_time(block.ops, at, behind, r), []).append((index, r))
            for index, made in waiting.get(at, ()):
                ops.append(self.store(index, made, newest))
        return Block(block.params, tuple(ops), tuple(map(self.value, block.results)), block.label)

    def advance(self, op: Op, i: int, index: int, newest: dict[int, Value]) -> None:
        """Note that an op's result i is a newer version, if it is made of the newest one and has the parameter's type:
        what may also be other memory has sizes of its own."""
        if op.results[i].type != self.graph.params[index].type:
            return
        at = {"loop": 2 + i}.get(op.name, updated(op) if updates(op) else None)
        before = _changed_by(op, i) if at is None else op.operands[at]
        if before is None or self.value(before) is newest[index]:
            newest[index] = op.results[i]

    def op(self, op: Op, newest: dict[int, Value]) -> Op:
        """The op on stored versions."""
        operands = tuple(map(self.value, op.operands))
        blocks = tuple(self.block(b, self.inside(op, b, operands, newest)) for b in op.blocks)
        return Op(op.defn, operands, op.attrs, op.results, blocks, op.span)

    def inside(self, op: Op, block: Block, operands: Sequence[Value], newest: dict[int, Value]) -> dict[int, Value]:
        """The newest versions at the start of a block: a loop changes only what it carries."""
        if op.name == "if":
            return dict(newest)
        if op.name != "loop":
            return {}
        slots = zip(operands[2:], block.params[1:], strict=True)
        carried = {v: p for v, p in slots if p in self.versions}
        return {i: carried[v] for i, v in newest.items() if v in carried}

    def store(self, index: int, made: Value, newest: dict[int, Value]) -> Op:
        """The new version stored over the newest one."""
        operands = (newest[index], made, *self.whole(index))
        result = Value(made.type, self.graph.params[index].name)
        self.replaced[made] = newest[index] = result
        return Op(REGISTRY["vwrite"], operands, {}, (result,))

    def whole(self, index: int) -> list[Value]:
        """Offset and strides of a whole parameter; computed at the graph's start, so that makers know them."""
        found = self.known_places.get(index)
        if found is None:
            b, param = self.places, self.graph.params[index]
            assert isinstance(param.type, TensorType)
            steps: list[Value] = []
            step = b.constant(1, ScalarType(I64))
            for axis in reversed(range(param.type.rank)):
                steps.append(step)
                if axis:
                    size = b.dim_of(param, axis)
                    step = size if axis == param.type.rank - 1 else b.emit("mul", (step, size))[0]
            found = self.known_places[index] = [b.constant(0, ScalarType(I64)), *reversed(steps)]
        return found


def _last_reads(block: Block) -> dict[Value, int]:
    """For each value: the position of the last op that reads it, itself or in its blocks."""
    last: dict[Value, int] = {}
    for at, op in enumerate(block.ops):
        for value in all_reads(op):
            last[value] = at
    return last


def _in_time(ops: Sequence[Op], at: int, behind: int, value: Value) -> int:
    """The last position up to `behind` at which a version made at `at` can be stored: before an op that goes on from
    it, and before an error could lose it."""
    for k in range(at + 1, behind + 1):
        if _is_taken(ops[k], value) or has_effect(ops[k]):
            return k - 1
    return behind


def _is_taken(op: Op, value: Value) -> bool:
    """Whether an op goes on from a version, so that it cannot be stored behind it."""
    if (updates(op) and op.operands[updated(op)] is value) or (op.name == "loop" and value in op.operands[2:]):
        return True
    if op.name == "call" and any(old is value for old, _ in finals(op)):
        return True
    return any(value in captures(b) for b in op.blocks)
