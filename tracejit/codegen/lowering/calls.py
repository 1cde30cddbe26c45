"""Calls of other graphs: each called graph is a function of the program, and a `call` op an `Invoke` of it.

A function takes the named sizes of its parameters, then what carries the parameters: pointers to memory in C order,
handles of lists, scalars. Memory of `inout` parameters is changed in place and holds their final versions at the end;
lists that are `inout` move in and out. Other arguments are lent. Results belong to the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tracejit.codegen.loop_ir import ErrorSite, Expr, Function, Invoke, Var
from tracejit.codegen.lowering import boundary
from tracejit.codegen.lowering.elements import Array
from tracejit.codegen.lowering.memory import Lifetimes
from tracejit.errors import ScriptError
from tracejit.ir.aliasing import consumed, finals
from tracejit.ir.core import Graph, Op, Value
from tracejit.ir.types import I64, ListType, TensorType

if TYPE_CHECKING:
    from tracejit.codegen.lowering.entry import Lowering

TOO_DEEP = "maximum recursion depth exceeded"


def function(lowering: Lowering, name: str) -> Function:
    """Lower the graph of a lowering as a function."""
    graph = lowering.graph
    sizes = {dim: Var(dim, I64) for dim in _named_sizes(graph)}
    lowering.sizes.update(sizes)
    params = (*sizes.values(), *lowering.bind(graph.params))
    moving = lowering.tables.moving[graph]
    moved = [graph.params[i] for i in moving]
    lowering.block(graph.body, moved)
    users = len(graph.results) - len(graph.inout)
    last = dict(zip(graph.inout, graph.results[users:], strict=True))
    boundary.write_back(lowering, graph.results[users:])
    results = lowering.flat((*graph.results[:users], *(last[i] for i in moving)))
    handles = [v for v in lowering.flat(moved) if isinstance(v, Var)]
    return Function(name, tuple(lowering.body), params, tuple(results), tuple(handles))


def moving_lists(graphs: Sequence[Graph]) -> dict[Graph, tuple[int, ...]]:
    """The `inout` lists of graphs that call each other whose final versions may be other lists, be it that a function
    they call makes these: the least solution."""
    found: dict[Graph, tuple[int, ...]] = dict.fromkeys(graphs, ())
    while True:
        following = {g: _moving(g, found) for g in graphs}
        if following == found:
            return found
        found = following


def _moving(graph: Graph, moving: Mapping[Graph, tuple[int, ...]]) -> tuple[int, ...]:
    """The same for one graph, where those of the others are known."""
    last = list(zip(graph.inout, graph.results[len(graph.results) - len(graph.inout) :], strict=True))
    if not any(isinstance(v.type, ListType) for _, v in last):
        return ()
    lifetimes = Lifetimes(graph, moving)
    return tuple(i for i, v in last if isinstance(v.type, ListType) and lifetimes.origins(v) != {i})


def _named_sizes(graph: Graph) -> dict[str, tuple[int, int]]:
    """The named sizes of a graph's parameters, each with a parameter and an axis that have it."""
    found: dict[str, tuple[int, int]] = {}
    for i, param in enumerate(graph.params):
        if isinstance(param.type, TensorType):
            for axis, dim in enumerate(param.type.shape):
                if isinstance(dim, str):
                    found.setdefault(dim, (i, axis))
    return found


def invoke(lowering: Lowering, op: Op) -> None:
    """Lower a `call`."""
    callee: Graph = op.attrs["callee"]
    span = op.span or lowering.span
    if lowering.target != "cpu":
        reason = "functions that call themselves run on the CPU only"
        raise ScriptError(reason, span, instead="move the arrays to the CPU: x.cpu()")
    taken = consumed(op)
    operands = [_argument(lowering, v, i in taken) for i, v in enumerate(op.operands)]
    arguments: list[Expr] = []
    for i, axis in _named_sizes(callee).values():
        place = operands[i]
        assert place is not None
        arguments.append(place.shape[axis])
    for value, place in zip(op.operands, operands, strict=True):
        arguments += lowering.flat((value,)) if place is None else (place.buffer,)
    changed = finals(op)
    users = op.results[: len(op.results) - len(changed)]
    moving = lowering.tables.moving[callee]
    lists = [pair for i, pair in zip(callee.inout, changed, strict=True) if i in moving]
    results = lowering.bind((*users, *(new for _, new in lists)))
    for old, new in changed:
        if isinstance(new.type, ListType):
            lowering.env.setdefault(new, lowering.place(old))
        elif isinstance(new.type, TensorType):
            lowering.env[new] = Array(lowering.array(old).buffer, new.type, lowering.shape(new.type))
    site = ErrorSite("RecursionError", TOO_DEEP, (), span)
    lowering.emit(
        Invoke(
            lowering.tables.functions[callee],
            tuple(arguments),
            results,
            tuple(lowering.place(old) for old, _ in lists),
            boundary.written_back(lowering),
            lowering.error(site),
        )
    )


def _argument(lowering: Lowering, value: Value, is_taken: bool) -> Array | None:
    """An array as a function takes it: in C order. None for what is no array."""
    if not isinstance(value.type, TensorType):
        return None
    array = lowering.array(value)
    return array if is_taken else lowering.contiguous(array)
