"""`expand-gradient`: replace each `gradient(y, seed, *xs)` and `tangent(y, *xs, *ts)` by the ops that compute it.

For a gradient the ops before it in its block and in the enclosing ones are walked backward (`vjp.reverse`); the
backward takes the place of the op, and forward control flow is extended with its residuals. For a tangent these ops
get their tangents beside them (`derivatives/jvp.py`). Derivatives are expanded in program order, so a gradient of a
gradient meets ordinary ops only. `leaf` ops have done their work then, and go.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from tracejit.errors import NotDifferentiable
from tracejit.ir.builder import Builder, Rebuilder, rebuild
from tracejit.ir.core import Block, Graph, Op, Value, walk
from tracejit.ir.reached import told
from tracejit.ir.types import is_differentiable
from tracejit.ops.control import gradient_parts, grouped
from tracejit.transforms.canonicalize import canonicalize
from tracejit.transforms.derivatives.activity import active
from tracejit.transforms.derivatives.earlier_trips import (
    Carried,
    carried_on_the_way,
    noting_derivatives,
    require_taken_once,
    through_earlier_trips,
    versions_of_leaves,
)
from tracejit.transforms.derivatives.emptied import with_emptied
from tracejit.transforms.derivatives.frames import Edit, Frame, Region, substitute
from tracejit.transforms.derivatives.items_again import items_made_again
from tracejit.transforms.derivatives.just_added import items_just_added
from tracejit.transforms.derivatives.jvp import Forward
from tracejit.transforms.derivatives.numbered_nodes import with_numbers
from tracejit.transforms.derivatives.once_more import taken_apart
from tracejit.transforms.derivatives.recorded import Records
from tracejit.transforms.derivatives.residuals import Draft
from tracejit.transforms.derivatives.rewritten import without_intact, without_rewritten
from tracejit.transforms.derivatives.spent import UnsureError, telling_spent, without_unspent
from tracejit.transforms.derivatives.spent_items import telling_items
from tracejit.transforms.derivatives.summed import summed
from tracejit.transforms.derivatives.truncated import truncated
from tracejit.transforms.derivatives.vjp import reverse
from tracejit.transforms.pipeline import transform


@transform("expand-gradient")
def expand_gradient(graph: Graph) -> Graph:
    """Replace all `gradient` and `tangent` ops, and drop `leaf` ops. Raises `NotDifferentiable`."""
    if not any(op.name in ("gradient", "tangent", "leaf", "leads", "rewritten", "stored") for op in walk(graph.body)):
        return graph
    graph = with_emptied(items_just_added(told(graph)))
    graph = _telling_spent(graph)
    graph = without_rewritten(told(replace(graph, body=without_intact(graph.body))))
    graph = replace(graph, body=summed(graph.body))
    if any(
        op.name == "gradient" for loop in walk(graph.body) if loop.name == "loop" for op in walk(loop.block("body"))
    ):
        graph = items_made_again(canonicalize(graph))  # what segments of loops leave as it is leads through no trips
    graph, records = noting_derivatives(graph)
    leaves = set[Value]().union(*(versions_of_leaves(op) for op in walk(graph.body) if op.name == "gradient"))
    body = _Expansion(graph.params, carried_on_the_way(graph), leaves, records).block(graph.body, ())
    return rebuild(Graph(graph.name, body, graph.device, graph.inout, graph.policy), _without_leaf)


def _telling_spent(graph: Graph) -> Graph:
    """The graph with answers in the place of `unspent` ops: truths that branches and loops give where these suffice,
    else by numbers for all that eager code's tape holds."""
    try:
        told = truncated(replace(graph, body=telling_spent(graph.body)))
        told = without_unspent(replace(told, body=telling_items(told.body)))
        require_taken_once(told)
        return told
    except UnsureError as error:
        try:
            return without_unspent(truncated(replace(graph, body=with_numbers(graph.body))))
        except UnsureError:
            raise NotDifferentiable(error.op, error.reason, error.span) from None


def value_and_grad_graph(graph: Graph, wanted: Sequence[int]) -> Graph:
    """One graph with the user results, the gradients of the first of them, then the final `inout` versions.

    The first result must be one inexact number; `wanted` are indices of inexact parameters.
    """
    y = graph.results[0]
    for value in (y, *(graph.params[i] for i in wanted)):
        if not is_differentiable(value.type):
            raise NotDifferentiable("gradient", f"%{value.name} is {value.type}, not a real or complex number")
    if y.type.shape:  # type: ignore[union-attr]
        raise NotDifferentiable("gradient", f"it is taken of one number, and %{y.name} is {y.type}")
    b = Builder()
    seed = b.constant(1, y.type)
    xs = [graph.params[i] for i in wanted]
    gradients = b.emit("gradient", (y, seed, *xs), names=[f"d{x.name}" for x in xs])
    n_user = len(graph.results) - len(graph.inout)
    results = (*graph.results[:n_user], *gradients, *graph.results[n_user:])
    body = Block(graph.params, (*graph.body.ops, *b.ops), results)
    return expand_gradient(Graph(graph.name, body, graph.device, graph.inout, graph.policy))


def _without_leaf(b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
    return operands if op.name == "leaf" else None


class _Expansion:
    """The gradients of one graph, expanded in program order."""

    def __init__(self, params: Sequence[Value], carried: Carried, leaves: Collection[Value], records: Records) -> None:
        self.params = params
        self.carried = carried
        self.leaves = leaves  #: all contents of leaves
        self.records = records
        self.results: dict[Value, Value] = {}

    def block(self, block: Block, enclosing: tuple[tuple[Op, Edit], ...]) -> Block:
        """A block with its gradients expanded. `enclosing`: the ops around it, each with the block that holds it."""
        edit = Edit(block.params, [])
        for old in block.ops:
            op = substitute(old, self.results)
            if op.name in ("gradient", "tangent"):
                op, again = through_earlier_trips(op, self.carried, enclosing, edit, self.leaves, self.records)
                self.results.update(again)
                edits = [*(outer for _, outer in enclosing), edit]
                loops = [depth for depth, (around, _) in enumerate(enclosing, 1) if around.name == "loop"]
                taken = frozenset[Value]().union(*(taken_apart(around) for around, _ in enclosing))
                found = (
                    self.gradient(op, edits, max(loops, default=0), taken)
                    if op.name == "gradient"
                    else self.tangent(op, edits)
                )
                self.results.update(zip(op.results, found, strict=True))
                continue
            if op.blocks:
                around = ((op, edit),) if op.name == "custom" else (*enclosing, (op, edit))
                op = Op(op.defn, op.operands, op.attrs, op.results, self._nested(op, around), op.span)
            edit.append(op)
        results = tuple(self.results.get(v, v) for v in block.results)
        return Block(block.params, tuple(edit.ops), results, block.label)

    def _nested(self, op: Op, around: tuple[tuple[Op, Edit], ...]) -> tuple[Block, ...]:
        if op.name != "custom":
            return tuple(self.block(nested, around) for nested in op.blocks)
        given = (self.carried, self.leaves, self.records)
        inner = (_Expansion((*nested.params, *self.params), *given) for nested in op.blocks)
        return tuple(each.block(nested, ()) for each, nested in zip(inner, op.blocks, strict=True))

    def gradient(self, op: Op, edits: list[Edit], outside: int, taken: frozenset[Value]) -> Sequence[Value]:
        """Emit the backward where the op stands; so many blocks are outside of the loop around it. The ops around take
        apart the lists `taken`."""
        ys, seeds, xs = gradient_parts(op)
        ops = [before for e in edits for before in e.ops]
        found = active(ops, xs, ys)
        for x, reason in zip(xs, op.attrs.get("unused", ()), strict=False):
            if x not in found:
                raise NotDifferentiable("grad", reason, op.span)
        frame = Frame(Region(self.params, edits, found), edits, outside=outside, taken=taken)
        for y, seed in zip(ys, seeds, strict=True):
            frame.cotangents.add(y, seed)
        reverse(frame, ops)
        draft = Draft(frame, [self.total(frame, x) for x in grouped(xs, op.attrs.get("groups", ()))])
        edits[-1].append(*draft.ops)
        return draft.results

    @staticmethod
    def total(frame: Frame, versions: Sequence[Value]) -> Value:
        """The sum of the cotangents of an array's versions, of which several may have become one value."""
        reached = [x for x in dict.fromkeys(versions) if x in frame.cotangents]
        total = frame.cotangents.total_or_zero((reached or versions)[0])
        for x in reached[1:]:
            total = frame.b.emit("add", (total, frame.cotangents.total_or_zero(x)))[0]
        return total

    def tangent(self, op: Op, edits: list[Edit]) -> Sequence[Value]:
        """Put tangents beside the ops before."""
        y, xs, ts = op.defn.group(op.operands)
        ops = [before for e in edits for before in e.ops]
        forward = Forward(self.params, active(ops, xs, (y,)))
        tangents = dict(zip(xs, ts, strict=True))
        for edit in edits:
            b = Builder()
            forward.ops(b, edit.ops, tangents)
            edit.reset(b.ops)
        b = Builder()
        found = forward.tangent(b, y, tangents)
        edits[-1].append(*b.ops)
        return (found,)
