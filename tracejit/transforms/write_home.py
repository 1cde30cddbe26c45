"""`write-home`: the final version of a written parameter is stored into the parameter where it is made.

A whole-array update (`w -= lr * g`) makes a new value that the caller must find in the memory of `w`. Written as a
`vwrite` of the whole parameter right after its maker, code generation lets the maker store there at once.
"""

from __future__ import annotations

from tracejit.ir.builder import Builder
from tracejit.ir.core import Block, Graph, Op, Value, captures, reads
from tracejit.ir.types import I64, ScalarType, TensorType
from tracejit.transforms.pipeline import transform


@transform("write-home")
def write_home(graph: Graph) -> Graph:
    """Store final versions that are new values into their parameters."""
    finals = dict(zip(graph.inout, graph.results[len(graph.results) - len(graph.inout) :], strict=True))
    makers = {r: at for at, op in enumerate(graph.body.ops) for r in op.results}
    after: dict[int, list[tuple[int, Value]]] = {}
    for index, final in finals.items():
        at = makers.get(final)
        if at is not None and _makes_new(graph.body.ops[at]) and final.type == graph.params[index].type:
            after.setdefault(max(at, _last_read(graph, graph.params[index])), []).append((index, final))
    if not after:
        return graph
    b = Builder()
    places = {index: _whole(b, graph.params[index]) for pairs in after.values() for index, _ in pairs}
    stored: dict[int, Value] = {}
    for at, op in enumerate(graph.body.ops):
        b.ops.append(op)
        for index, final in after.get(at, ()):
            param = graph.params[index]
            stored[index] = b.emit("vwrite", (param, final, *places[index]), names=(param.name,), span=op.span)[0]
    n_user = len(graph.results) - len(graph.inout)
    results = (*graph.results[:n_user], *(stored.get(i, f) for i, f in finals.items()))
    body = Block(graph.params, tuple(b.ops), results, graph.body.label)
    return Graph(graph.name, body, graph.device, graph.inout, graph.policy)


def _makes_new(op: Op) -> bool:
    """Whether the op's results are new storage, not an updated or chosen older one."""
    return not op.blocks and not getattr(op.defn.lower, "updates", False) and op.name not in ("vwrite", "vadd", "sync")


def _last_read(graph: Graph, param: Value) -> int:
    """The position of the last op that reads the parameter, itself or in its blocks; -1 if none does."""
    last = -1
    for at, op in enumerate(graph.body.ops):
        if param in op.operands or any(param in captures(b) for b in op.blocks) or param in tuple(reads(op)):
            last = at
    return last


def _whole(b: Builder, param: Value) -> list[Value]:
    """Offset and strides of the whole parameter; emitted at the start, so that makers know them."""
    assert isinstance(param.type, TensorType)
    steps: list[Value] = []
    step = b.constant(1, ScalarType(I64))
    for axis in reversed(range(param.type.rank)):
        steps.append(step)
        if axis:
            step = b.emit("mul", (step, b.dim_of(param, axis)))[0]
    return [b.constant(0, ScalarType(I64)), *reversed(steps)]
