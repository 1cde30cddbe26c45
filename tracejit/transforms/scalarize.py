"""`scalarize`: on the CPU, arithmetic on rank-0 tensors becomes host-scalar arithmetic of the entry.

A rank-0 tensor that is computed elementwise becomes a host scalar; `broadcast` to rank 0 and `fetch` stand at the
borders, and `dce` drops those that nothing needs. `if`, `loop` and lists pass host scalars in place of rank-0
tensors, so that a running loss in a loop costs no allocation. Reductions stay tensor ops, their result is fetched.

`custom` functions have been differentiated by now: they are inlined here. So are calls, but for those of functions that
call themselves and, since code is made for each copy, of long ones that would be copied.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from tracejit.ir.builder import Builder, types_follow
from tracejit.ir.core import Block, Graph, Op, Value, walk
from tracejit.ir.opdef import Pointwise
from tracejit.ir.printer import called_graphs
from tracejit.ir.types import Dim, ListType, ScalarType, TensorType, Type
from tracejit.transforms.cse import cse
from tracejit.transforms.pipeline import transform

#: Ops of a called graph that are inlined wherever it is called.
_SHORT = 20


@transform("scalarize")
def scalarize(graph: Graph) -> Graph:
    """Rank-0 tensor arithmetic as host-scalar arithmetic (CPU only); custom functions and plain calls inlined."""
    rewriter = _Scalarizer(graph.device == "cpu", _kept(graph))
    b = Builder()
    params = rewriter.parameters(graph.params)
    rewriter.start(b, graph.params)
    rewriter.ops(b, graph.body.ops)
    results = [rewriter.value(v) for v in graph.results]
    made = Graph(graph.name, b.block(params, results), graph.device, graph.inout, graph.policy)
    # the residuals of a custom function repeat what its results are made of
    return cse(made) if any(op.name == "custom" for op in walk(graph.body)) else made


def is_rank0(type: Type) -> bool:
    """Whether a type is that of a rank-0 tensor."""
    return isinstance(type, TensorType) and not type.shape


class _Scalarizer:
    """Re-emits ops; a rank-0 tensor has two forms, the tensor and the host scalar."""

    def __init__(self, active: bool, kept: Set[Graph]) -> None:
        self.active = active
        self.kept = kept  #: called graphs that stay functions
        self.values: dict[Value, Value] = {}
        self.scalars: dict[Value, Value] = {}
        self.names: dict[str, Dim] = {}
        self.inside = 0  #: in how many blocks that are inlined: their ops may come again

    # -- values and types -------------------------------------------------------------------------------------

    def value(self, old: Value) -> Value:
        """The new value; of a rank-0 tensor the tensor."""
        return self.values.get(old, old)

    def carrier(self, old: Value) -> Value:
        """What stands for a value in control flow and lists: a host scalar for a rank-0 tensor."""
        return self.scalars[old] if self.is_scalar(old.type) else self.value(old)

    def is_scalar(self, type: Type) -> bool:
        return self.active and is_rank0(type)

    def type(self, type: Type, *, carried: bool = True) -> Type:
        """A type with dims renamed; as a carrier unless told otherwise."""
        match type:
            case TensorType(dtype, shape):
                if carried and self.is_scalar(type):
                    return ScalarType(dtype)
                return TensorType(dtype, tuple(self.dim(d) for d in shape))
            case ListType(element):
                return ListType(self.type(element))
            case _:
                return type

    def dim(self, dim: Dim | None) -> Dim | None:
        match dim:
            case str():
                return self.names.get(dim, dim)
            case Value():
                return self.value(dim).dim
            case _:
                return dim

    def parameters(self, params: Sequence[Value]) -> list[Value]:
        """The graph's parameters; those of called graphs may be lists, which hold host scalars."""
        for param in params:
            if isinstance(param.type, ListType):
                self.values[param] = Value(self.type(param.type), param.name)
        return [self.value(p) for p in params]

    def start(self, b: Builder, params: Iterable[Value]) -> None:
        """Both forms of rank-0 tensors that come from outside as tensors."""
        for param in params:
            if self.is_scalar(param.type):
                (self.scalars[param],) = b.emit("fetch", (self.value(param),), names=(param.name,))

    def define_scalar(self, b: Builder, old: Value, scalar: Value) -> None:
        """Enter the host scalar that stands for a rank-0 tensor; its tensor is made beside it."""
        self.scalars[old] = scalar
        (self.values[old],) = b.emit("broadcast", (scalar,), names=(old.name,))

    def define(self, b: Builder, olds: Sequence[Value], news: Sequence[Value]) -> None:
        """Enter results that kept their kind."""
        self.values.update(zip(olds, news, strict=True))
        self.start(b, olds)

    def carried(self, olds: Sequence[Value], *, as_carriers: bool = True) -> list[Value]:
        """New values that carry old ones, sizes first because types may name them."""
        made: dict[Value, Value] = {}
        for old in sorted(olds, key=lambda v: not isinstance(v.type, ScalarType)):
            made[old] = Value(self.type(old.type, carried=as_carriers), old.name, old.known)
            self.values[old] = made[old]
        return [made[old] for old in olds]

    def enter(self, b: Builder, olds: Sequence[Value], news: Sequence[Value]) -> None:
        """Give carried rank-0 tensors both forms."""
        for old, new in zip(olds, news, strict=True):
            if self.is_scalar(old.type):
                self.define_scalar(b, old, new)

    # -- ops ----------------------------------------------------------------------------------------------------

    def ops(self, b: Builder, ops: Iterable[Op]) -> None:
        """Re-emit ops."""
        for op in ops:
            b.span = op.span or b.span
            self.op(b, op)

    def op(self, b: Builder, op: Op) -> None:
        match op.name:
            case "if" | "loop":
                self.control(b, op)
            case "custom":
                block = op.block("primal")
                self.inline(b, block, op, self)
            case "call" if op.attrs["callee"] not in self.kept:
                self.call(b, op, op.attrs["callee"])
            case "call":
                self.plain(b, op)
            case "dim" if isinstance(size := _size_of(self.value(op.operands[0]), op.attrs["axis"]), Value):
                self.values[op.results[0]] = size  # of a callee's operand: types name it so
            case "fetch" if self.is_scalar(op.operands[0].type):
                self.values[op.results[0]] = self.scalars[op.operands[0]]
            case "broadcast" if self.is_scalar(op.operands[0].type) or self.is_scalar(op.results[0].type):
                self.broadcast(b, op)
            case _ if self.is_arithmetic(op):
                self.arithmetic(b, op)
            case _ if any(isinstance(v.type, ListType) for v in (*op.operands, *op.results)):
                self.list_op(b, op)
            case _:
                self.plain(b, op)

    def is_arithmetic(self, op: Op) -> bool:
        """Whether the op is elementwise on rank-0 tensors."""
        is_elementwise = isinstance(op.defn.lower, Pointwise) and op.defn.lower.own_index
        tensors = [v for v in op.operands if isinstance(v.type, TensorType)]
        return (
            self.active
            and (is_elementwise or op.name == "const")
            and all(is_rank0(v.type) for v in (*tensors, *op.results))
        )

    def arithmetic(self, b: Builder, op: Op) -> None:
        attrs = dict(op.attrs)
        if op.name == "const":
            attrs["type"] = self.type(attrs["type"])
        (scalar,) = b.emit(op.defn, [self.carrier(v) for v in op.operands], attrs, names=(op.results[0].name,))
        self.define_scalar(b, op.results[0], scalar)

    def broadcast(self, b: Builder, op: Op) -> None:
        scalar = self.carrier(op.operands[0])
        if self.is_scalar(op.results[0].type):
            self.define_scalar(b, op.results[0], scalar)
            return
        operands = (scalar, *map(self.value, op.operands[1:]))
        self.define(b, op.results, b.emit(op.defn, operands, op.attrs, names=(op.results[0].name,)))

    def plain(self, b: Builder, op: Op) -> None:
        operands = tuple([self.value(v) for v in op.operands])
        if types_follow(op) and not op.blocks:
            if operands == op.operands and not self.inside and b.span is op.span:
                b.append_op(op)
                self.define(b, op.results, op.results)
                return
            results = b.emit(op.defn, operands, op.attrs, names=[r.name for r in op.results])
        else:
            results = self._stated(b, op, operands, self.carried(op.results, as_carriers=False))
        self.define(b, op.results, results)

    def list_op(self, b: Builder, op: Op) -> None:
        """Lists hold host scalars in place of rank-0 tensors."""
        attrs = {
            name: self.type(x) if isinstance(x, ScalarType | TensorType | ListType) else x
            for name, x in op.attrs.items()
        }
        operands = [self.carrier(v) for v in op.operands]
        results = self._stated(b, op, operands, self.carried(op.results), attrs)
        self.enter(b, op.results, results)

    def control(self, b: Builder, op: Op) -> None:
        operands = [self.carrier(v) for v in op.operands]
        blocks = [self.block(b, block) for block in op.blocks]
        results = self._stated(b, op, operands, self.carried(op.results), blocks=blocks)
        self.enter(b, op.results, results)

    def block(self, b: Builder, block: Block) -> Block:
        inner = b.nested()
        params = self.carried(block.params)
        self.enter(inner, block.params, params)
        self.ops(inner, block.ops)
        return inner.block(params, [self.carrier(v) for v in block.results], block.label)

    def _stated(
        self,
        b: Builder,
        op: Op,
        operands: Sequence[Value],
        results: Sequence[Value],
        attrs: dict[str, Any] | None = None,
        blocks: Sequence[Block] = (),
    ) -> Sequence[Value]:
        b.ops.append(
            Op(op.defn, tuple(operands), op.attrs if attrs is None else attrs, tuple(results), tuple(blocks), op.span)
        )
        return results

    # -- inlining -----------------------------------------------------------------------------------------------

    def call(self, b: Builder, op: Op, callee: Graph) -> None:
        """The callee's ops, its sizes named as the caller's. Its values are its own: those of a graph that was derived
        from it, as the caller may be, can be the same ones."""
        inner = _Scalarizer(self.active, self.kept)
        for param, given in zip(callee.params, op.operands, strict=True):
            actual = self.value(given).type
            if isinstance(param.type, TensorType) and isinstance(actual, TensorType):
                pairs = zip(param.type.shape, actual.shape, strict=True)
                for name, dim in pairs:
                    if isinstance(name, str) and dim is not None:
                        inner.names.setdefault(name, dim)
        inner.inline(b, callee.body, op, self)

    def inline(self, b: Builder, block: Block, op: Op, caller: _Scalarizer) -> None:
        """A block's ops with the op's operands for its parameters, and its results for the op's."""
        self._alias(block.params, caller, op.operands)
        sizes: dict[Dim, Value] = {}
        for param in block.params:
            self._respell(b, param, sizes)
        self.inside += 1
        self.ops(b, block.ops)
        self.inside -= 1
        caller._alias(op.results, self, block.results)

    def _respell(self, b: Builder, param: Value, sizes: dict[Dim, Value]) -> None:
        """Give what stands for a parameter its sizes as the block spells them: what the caller knows to be equal may
        have another name. `sizes` has the values of names bound so far."""
        given = self.values[param]
        if not isinstance(param.type, TensorType) or not param.type.shape:
            return
        if self.type(param.type, carried=False) != given.type:
            dims = [self._size(b, dim, sizes) for dim in param.type.shape]
            (self.values[param],) = b.emit("broadcast", (given, *dims), {"exact": True}, names=(param.name,))
        for axis, dim in enumerate(param.type.shape):
            if isinstance(dim, str) and dim not in sizes:
                sizes[dim] = b.dim_of(given, axis)

    def _size(self, b: Builder, dim: Dim | None, sizes: Mapping[Dim, Value]) -> Value:
        assert dim is not None
        return sizes[dim] if isinstance(dim, str) else b.size(self.value(dim) if isinstance(dim, Value) else dim)

    def _alias(self, names: Sequence[Value], of: _Scalarizer, values: Sequence[Value]) -> None:
        """Let names stand for what values stand for in another rewriter."""
        for name, value in zip(names, values, strict=True):
            self.values[name] = of.value(value)
            if value in of.scalars:
                self.scalars[name] = of.scalars[value]


def _kept(root: Graph) -> Set[Graph]:
    """The graphs that calls stay calls of: those that may call themselves, and on the CPU long ones that would be
    inlined more than once."""
    graphs = called_graphs(root)
    calls = {g: Counter[Graph](op.attrs["callee"] for op in walk(g.body) if op.name == "call") for g in graphs}
    kept = {g for g in graphs if _leads_to(calls, g, g)}
    copies = dict.fromkeys((root, *kept), 1)

    def copies_of(graph: Graph) -> int:
        """How often the ops of a graph are in the program."""
        if graph not in copies:
            inlined = sum(n * copies_of(caller) for caller, called in calls.items() if (n := called[graph]))
            if inlined > 1 and root.device == "cpu" and sum(1 for _ in walk(graph.body)) > _SHORT:
                kept.add(graph)
            copies[graph] = 1 if graph in kept else inlined
        return copies[graph]

    for graph in graphs:
        copies_of(graph)
    return kept


def _leads_to(calls: Mapping[Graph, Iterable[Graph]], start: Graph, end: Graph) -> bool:
    """Whether calls of one graph may lead to calls of another."""
    seen: set[Graph] = set()
    queue = [start]
    while queue:
        new = set(calls[queue.pop()]) - seen
        seen |= new
        queue += new
    return end in seen


def _size_of(x: Value, axis: int) -> Dim | None:
    assert isinstance(x.type, TensorType)
    return x.type.shape[axis]
