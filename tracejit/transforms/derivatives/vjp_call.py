"""Reverse mode of `call`: a called graph has a forward that leaves residuals on lists, and a backward that takes them.

    forward:   the parameters, then the lists; results: those of the graph, then the lists
    backward:  the named sizes of the graph's parameters; arrays that the graph only reads and the backward needs too;
               the cotangents of the results, those that are lists last, which the backward takes over; the running
               cotangents of arrays and lists, the lists of residuals;
               results: the cotangents of scalars; what is left of the lists, which nobody reads; the changed running
               cotangents; the lists of residuals

Calls may be recursive, so a list is what all activations push to and pop from in opposite orders: one list for each
type. Which lists and which arrays a graph takes is a fixed point: it is derived anew until its own calls were given
all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tracejit.ir.aliasing import finals
from tracejit.ir.builder import Builder, Rebuilder
from tracejit.ir.core import Block, Graph, Op, Value, type_values
from tracejit.ir.linking import relinked
from tracejit.ir.opdef import REGISTRY
from tracejit.ir.types import ListType, ScalarType, TensorType, Type, is_differentiable
from tracejit.records import record
from tracejit.transforms.derivatives.activity import active
from tracejit.transforms.derivatives.cotangents import zero
from tracejit.transforms.derivatives.effects import without_checks
from tracejit.transforms.derivatives.frames import SIZE, Edit, Frame, GraphFrame, Region, Walk, list_of, size_values
from tracejit.transforms.derivatives.residuals import Draft, fit, renamed


@dataclass(eq=False)
class Derived:
    """The derivative of a graph by its parameters `wanted`, for cotangents of its results `given`."""

    graph: Graph
    wanted: tuple[int, ...]
    given: tuple[int, ...]
    lists: tuple[ListType, ...] = ()
    lent: tuple[int, ...] = ()  #: parameters that the backward reads
    forward: Graph | None = None
    backward: Graph | None = None
    stubs: dict[str, Graph] = field(default_factory=dict[str, Graph])  #: what calls name until the graphs are there

    @property
    def changed(self) -> dict[int, int]:
        """Parameters that the graph changes, with the results that are their final versions."""
        users = len(self.graph.results) - len(self.graph.inout)
        return {i: users + k for k, i in enumerate(self.graph.inout)}

    @property
    def running(self) -> tuple[int, ...]:
        """Wanted parameters whose cotangents are changed in place."""
        return tuple(i for i in self.wanted if not isinstance(self.graph.params[i].type, ScalarType))

    @property
    def returned(self) -> tuple[int, ...]:
        """Wanted parameters whose cotangents are returned."""
        return tuple(i for i in self.wanted if isinstance(self.graph.params[i].type, ScalarType))

    @property
    def results_given(self) -> tuple[int, ...]:
        """Results with cotangents, final versions excluded, lists last."""
        results, changed = self.graph.results, self.changed.values()
        return tuple(sorted((k for k in self.given if k not in changed), key=lambda k: _is_list(results[k])))

    @property
    def lists_given(self) -> tuple[Value, ...]:
        """The lists among these results."""
        return tuple(self.graph.results[k] for k in self.results_given if _is_list(self.graph.results[k]))

    def call(self, which: str) -> dict[str, Any]:
        """The attributes of a call of the forward or the backward."""
        made: Graph | None = getattr(self, which)
        if made is not None:
            return {"callee": made}
        n = len(self.lists)
        if which == "forward":
            start = len(self.graph.params)
            inout = (*self.graph.inout, *range(start, start + n))
        else:
            taken = len(self.lists_given)
            start = len(sizes_of(self.graph)) + len(self.lent) + len(self.results_given) - taken
            inout = tuple(range(start, start + taken + len(self.running) + n))
        stub = Graph(self.graph.name, Block((), (), ()), self.graph.device, inout)
        return {"callee": self.stubs.setdefault(which, stub)}


def _is_list(value: Value) -> bool:
    return isinstance(value.type, ListType)


def sizes_of(graph: Graph) -> dict[str | Value, tuple[int, int]]:
    """The sizes in the types of a graph's parameters that are no numbers, each with a parameter and an axis."""
    found: dict[str | Value, tuple[int, int]] = {}
    for i, param in enumerate(graph.params):
        if isinstance(param.type, TensorType):
            for axis, dim in enumerate(param.type.shape):
                if isinstance(dim, str | Value):
                    found.setdefault(dim, (i, axis))
    return found


class CallDerivatives:
    """The derivatives of called graphs that one derivation needs."""

    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self.known: dict[tuple[Graph, tuple[int, ...], tuple[int, ...]], Derived] = {}
        self.settled: set[Derived] = set()
        self.made: dict[Derived, _Made | None] = {}
        self.depth = 0
        self.changed = False

    def find(self, graph: Graph, wanted: tuple[int, ...], given: tuple[int, ...]) -> Derived:
        """The derivative; while it is in the making, as far as it is known."""
        found = self.known.setdefault((graph, wanted, given), Derived(graph, wanted, given))
        if found in self.settled:
            return found
        if self.depth:
            self.make(found)
            return found
        while True:
            self.made, self.changed = {}, False
            self.make(found)
            if not self.changed:
                break
            for derived in self.made:
                derived.stubs = {}
        self.settle()
        return found

    def make(self, derived: Derived) -> None:
        """Derive a graph unless that has begun in this round."""
        if derived in self.made:
            return
        self.made[derived] = None
        self.depth += 1
        result = self.made[derived] = _Derivation(self, derived).run()
        self.depth -= 1
        if (result.lists, result.lent) != (derived.lists, derived.lent):
            derived.lists, derived.lent = result.lists, result.lent
            self.changed = True

    def settle(self) -> None:
        """Let the graphs made call each other."""
        done: dict[Graph, Graph] = {}
        for derived, result in self.made.items():
            assert result is not None
            for which in ("forward", "backward"):
                done[derived.call(which)["callee"]] = getattr(result, which)
        linked = relinked(done)
        for derived in self.made:
            derived.forward, derived.backward = (linked[derived.stubs[w]] for w in ("forward", "backward"))
            self.settled.add(derived)


@record
class _Made:
    """What one round made of a graph."""

    forward: Graph
    backward: Graph
    lists: tuple[ListType, ...]
    lent: tuple[int, ...]


def reverse_call(frame: Frame, op: Op, calls: CallDerivatives) -> None:
    """Emit the backward of a call and put the forward that leaves residuals in its place."""
    call = _Call(frame, op, calls)
    call.forward()
    call.backward()


class _Call:
    """One call."""

    def __init__(self, frame: Frame, op: Op, calls: CallDerivatives) -> None:
        self.frame = frame
        self.op = op
        graph: Graph = op.attrs["callee"]
        varied = frame.region.active
        given = tuple(k for k, r in enumerate(op.results) if r in varied and r in frame.cotangents)
        results = dict(finals(op))
        wanted = tuple(
            i
            for i, v in enumerate(op.operands)
            if is_differentiable(v.type)
            and (v in varied or (i in graph.inout and op.results.index(results[v]) in given))
        )
        self.derived = calls.find(graph, wanted, given)

    def forward(self) -> None:
        """The call of the forward."""
        op, frame = self.op, self.frame
        self.streams = [frame.open_stream(op, type, None, tape=True) for type in self.derived.lists]
        for stream in self.streams:
            frame.close_stream(stream, Value(stream.type, "residuals"))
        operands = (*op.operands, *(s.forward_in for s in self.streams))
        results = (*op.results, *(s.forward_out for s in self.streams))
        frame.replace(op, Op(op.defn, operands, self.derived.call("forward"), results, (), op.span))

    def backward(self) -> None:
        """The call of the backward; its results are the running cotangents from now on."""
        op, frame, derived = self.op, self.frame, self.derived
        b, totals = frame.b, frame.cotangents
        sizes = [b.dim_of(op.operands[i], axis) for i, axis in sizes_of(derived.graph).values()]
        lent = [op.operands[i] for i in derived.lent]
        given = [totals.total_or_zero(op.results[k]) for k in derived.results_given]
        running = [self.before(i) for i in derived.running]
        scalars = [Value(op.operands[i].type, f"d{op.operands[i].name}") for i in derived.returned]
        changed = [Value(x.type, x.name) for x in running]
        lists = [Value(s.type, "residuals") for s in self.streams]
        left = [Value(v.type, "left") for v in derived.lists_given]
        operands = (*sizes, *lent, *given, *running, *(s.backward_in for s in self.streams))
        results = (*scalars, *left, *changed, *lists)
        b.ops.append(Op(REGISTRY["call"], operands, derived.call("backward"), results, (), op.span))
        for i, value in zip(derived.returned, scalars, strict=True):
            self.add(op.operands[i], value)
        for i, value in zip(derived.running, changed, strict=True):
            if self.is_continued(i):
                totals.replace(op.operands[i], value)
            else:
                self.add(op.operands[i], value)
        for stream, rest in zip(self.streams, lists, strict=True):
            stream.backward_out = rest

    def add(self, operand: Value, value: Value) -> None:
        if operand in self.frame.region.active:
            self.frame.cotangents.add(operand, value)

    def is_continued(self, i: int) -> bool:
        """Whether the call goes on with the running cotangent of operand i: it only reads the operand, and no operand
        before is the same value."""
        first = next(k for k in self.derived.running if self.op.operands[k] is self.op.operands[i])
        return i not in self.derived.changed and first == i

    def before(self, i: int) -> Value:
        """What the backward starts from for operand i: the cotangent of its final version, or the running one."""
        totals, changed = self.frame.cotangents, self.derived.changed
        if i in changed:
            return totals.total_or_zero(self.op.results[changed[i]])
        running = totals.running(self.op.operands[i]) if self.is_continued(i) else None
        return zero(self.frame.b, self.op.operands[i]) if running is None else running


class _Derivation:
    """The derivation of one graph."""

    def __init__(self, calls: CallDerivatives, derived: Derived) -> None:
        self.calls = calls
        self.derived = derived
        graph = derived.graph
        self.edit = Edit(graph.params, list(graph.body.ops))
        inputs = [graph.params[i] for i in derived.wanted]
        outputs = [graph.results[k] for k in derived.given]
        varied = active(self.edit.ops, inputs, outputs)
        self.region = Region(graph.params, [self.edit], varied, lasting=False, calls=calls)
        self.frame = GraphFrame(self.region, [self.edit])

    def run(self) -> _Made:
        """Make both graphs."""
        derived, frame = self.derived, self.frame
        self.start()
        self.calls.walk(frame, derived.graph.body.ops)
        frame.seal()
        wanted = [derived.graph.params[i] for i in (*derived.returned, *derived.running)]
        self.draft = Draft(frame, [frame.cotangents.total_or_zero(v) for v in wanted])
        self.settle()
        lists = tuple(sorted({*frame.chains, *map(list_of, self.saved)}, key=str))
        lent = tuple(i for i, p in enumerate(derived.graph.params) if p in self.lent)
        return _Made(self.forward(lists), self.backward(lists), lists, lent)

    def start(self) -> None:
        """The cotangents that the backward begins with, in the forward's names."""
        graph, derived, totals = self.derived.graph, self.derived, self.frame.cotangents
        self.seeds = [self.seed(graph.results[k]) for k in derived.results_given]
        self.running: list[Value] = []
        for i in derived.running:
            k = derived.changed.get(i)
            if k is None:
                self.running.append(Value(graph.params[i].type, f"d{graph.params[i].name}"))
                totals.replace(graph.params[i], self.running[-1])
            else:
                self.running.append(self.seed(graph.results[k]))

    def seed(self, result: Value) -> Value:
        seed = Value(result.type, f"d{result.name}")
        if result in self.region.active:
            self.frame.cotangents.add(result, seed)
        return seed

    def settle(self) -> None:
        """Choose the residuals: arrays that are only read are lent by the caller, what else is needed is pushed."""
        frame, graph = self.frame, self.derived.graph
        more = [s for seed in (*self.seeds, *self.running) for s in type_values(seed.type) if frame.defines(s)]
        lendable = {p for i, p in enumerate(graph.params) if isinstance(p.type, TensorType) and i not in graph.inout}
        wanted = self.draft.needed(more)
        before = {graph.params[i] for i in self.derived.lent}
        self.lent = {p: p for p in graph.params if p in before or (p in lendable and p in wanted)}
        self.saved, self.repeated = self.draft.residuals(
            self.lent | {v: v for v in sizes_of(graph) if isinstance(v, Value)}, more
        )

    # -- the graphs -----------------------------------------------------------------------------------------------

    def forward(self, lists: Sequence[ListType]) -> Graph:
        graph = self.derived.graph
        chains = self.frame.chains
        starts = [chains[t].streams[-1].forward_in if t in chains else Value(t, "tape") for t in lists]
        now = {t: chains[t].forward_out if t in chains else start for t, start in zip(lists, starts, strict=True)}
        b = Builder()
        for value in reversed(self.saved):
            type = list_of(value)
            now[type] = b.emit("list_push", (now[type], value), names=("tape",))[0]
        params = (*graph.params, *starts)
        ops = (*self.edit.ops, *b.ops)
        inout = (*graph.inout, *range(len(graph.params), len(params)))
        body = Block(params, ops, (*graph.results, *(now[t] for t in lists)))
        return Graph(f"{graph.name}.forward", body, graph.device, inout, graph.policy)

    def backward(self, lists: Sequence[ListType]) -> Graph:
        graph, derived = self.derived.graph, self.derived
        b = Rebuilder(without_checks, {})
        sizes = {dim: Value(SIZE, dim if isinstance(dim, str) else dim.name) for dim in sizes_of(graph)}
        b.names = {dim: size for dim, size in sizes.items() if isinstance(dim, str)}
        b.mapping.update((self.region.size(dim), size) for dim, size in sizes.items())
        lent = [b.param_like(p) for p in self.lent]
        given = [self.free(seed.type, seed.name, n) for n, seed in enumerate(self.seeds)]
        like = [graph.params[i] for i in derived.running]
        running = [self.named(p.type, f"d{p.name}", b) for p in like]
        starts = [Value(type, "tape") for type in lists]
        now = dict(zip(lists, starts, strict=True))

        def take(value: Value) -> None:
            type = list_of(value)
            shape = [
                b.size(size.known) if isinstance(size.known, int) else b.value(size)
                for size in size_values(value.type, self.region)
            ]
            now[type], b.mapping[value] = b.emit("list_pop", (now[type], *shape), names=("tape", value.name))

        self.draft.restore(b, self.saved, self.repeated, take)
        for seed, param in zip((*self.seeds, *self.running), (*given, *running), strict=True):
            b.mapping[seed] = fit(b, param, seed.type, self.region)
        chains = self.frame.chains
        b.mapping.update((chain.backward_in, now[type]) for type, chain in chains.items())
        found = self.draft.rebuild(b)
        ends = [b.value(chains[t].streams[-1].backward_out) if t in chains else now[t] for t in lists]
        scalars, arrays = found[: len(derived.returned)], found[len(derived.returned) :]
        changed = [fit(b, x, p.type, self.region) for x, p in zip(arrays, like, strict=True)]
        left = [zero(b, v) for v in derived.lists_given]
        params = (*sizes.values(), *lent, *given, *running, *starts)
        results = (*scalars, *left, *changed, *ends)
        first = len(sizes) + len(lent) + len(given) - len(left)
        body = b.block(params, results)
        return Graph(f"{graph.name}.backward", body, graph.device, tuple(range(first, len(params))), graph.policy)

    def free(self, type: Type, name: str, number: int) -> Value:
        """A parameter for a cotangent of a result, with names of its own for its sizes."""
        if not isinstance(type, TensorType):
            return Value(type, name)
        dims = tuple(d if isinstance(d, int) else f"r{number}_{axis}" for axis, d in enumerate(type.shape))
        return Value(TensorType(type.dtype, dims), name)

    def named(self, type: Type, name: str, b: Rebuilder) -> Value:
        """A parameter with the type of one of the graph's, whose named sizes are parameters here."""
        return Value(b.spelled(renamed(type, b.mapping)), name)
