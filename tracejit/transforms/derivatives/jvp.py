"""Forward mode: tangents carried along with the values, through `if` and `loop`; no tape.

There is no second table of rules: an op's rule is the transpose of its vjp rule. The vjp rule is emitted for
placeholders of the cotangents, which gives a program that is linear in them, and reverse mode of that program, seeded
with the tangents of the operands, is the tangent of the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracejit.ir.builder import Builder, Rebuilder
from tracejit.ir.core import Block, Graph, Op, Value, captures
from tracejit.ir.opdef import Update
from tracejit.ir.types import is_differentiable
from tracejit.transforms.dce import sliced
from tracejit.transforms.derivatives.activity import active
from tracejit.transforms.derivatives.cotangents import zero
from tracejit.transforms.derivatives.effects import without_effects
from tracejit.transforms.derivatives.frames import Edit, Frame, Region, substitute
from tracejit.transforms.derivatives.jvp_call import CallTangents
from tracejit.transforms.derivatives.residuals import live
from tracejit.transforms.derivatives.vjp import contributions, custom_residuals, require_closed, reverse, varying


def jvp_graph(graph: Graph, wanted: Sequence[int]) -> Graph:
    """The graph with tangents: parameters are the graph's and then the tangents of the parameters `wanted`; results
    are the user results, the tangents of the graph's inexact results (final versions of `inout` parameters included),
    then these final versions. Raises `NotDifferentiable`.
    """
    n_user = len(graph.results) - len(graph.inout)
    outputs = [v for v in graph.results if is_differentiable(v.type)]
    inputs = [graph.params[i] for i in wanted]
    seeds = [Value(v.type, f"t{v.name}") for v in inputs]
    forward = Forward(graph.params, active(graph.body.ops, inputs, outputs))
    tangents = dict(zip(inputs, seeds, strict=True))
    b = Builder()
    forward.ops(b, graph.body.ops, tangents)
    found = [tangents[v] if v in tangents else zero(b, v) for v in outputs]
    body = b.block((*graph.params, *seeds), (*graph.results[:n_user], *found, *graph.results[n_user:]))
    return Graph(f"{graph.name}.jvp", body, graph.device, graph.inout, graph.policy)


def transpose(
    params: Sequence[Value], ops: Sequence[Op], inputs: Sequence[Value], outputs: Sequence[tuple[Value, Value]]
) -> tuple[list[Op], list[Value | None]]:
    """The transpose of ops that are linear from `inputs` to outputs: pairs of an output and its cotangent.

    Gives the ops that compute the cotangents of the inputs, and these (None is zero). `params` bind the named sizes.
    """
    edit = Edit(inputs, list(ops))
    frame = Frame(Region(params, [edit], active(edit.ops, inputs, (v for v, _ in outputs))), [edit])
    for output, cotangent in outputs:
        if output in frame.region.active:
            frame.cotangents.add(output, cotangent)
    reverse(frame, ops)
    totals = [frame.cotangents.total(v) for v in inputs]
    return live((*edit.ops, *frame.b.ops), [t for t in totals if t is not None]), totals


class Forward:
    """Forward mode over one graph. Ops keep their identity; tangents live in dictionaries by block."""

    def __init__(self, params: Sequence[Value], active_values: set[Value], calls: CallTangents | None = None) -> None:
        self.params = params
        self.active = active_values
        self.calls = calls or CallTangents(self.called)

    def called(
        self,
        b: Builder,
        params: Sequence[Value],
        active_values: set[Value],
        ops: Sequence[Op],
        tangents: dict[Value, Value],
    ) -> None:
        """The ops of a called graph with their tangents."""
        Forward(params, active_values, self.calls).ops(b, ops, tangents)

    def ops(self, b: Builder, ops: Sequence[Op], tangents: dict[Value, Value]) -> None:
        """Append the ops to `b`, each with the ops of its tangents."""
        for op in ops:
            b.span = op.span
            if not any(r in self.active for r in op.results):
                b.ops.append(op)
                continue
            match op.name:
                case "if":
                    self.branches(b, op, tangents)
                case "loop":
                    self.loop(b, op, tangents)
                case "call":
                    self.calls.call(b, op, tangents)
                case _:
                    self.plain(b, op, tangents)

    def plain(self, b: Builder, op: Op, tangents: dict[Value, Value]) -> None:
        """An op by the transpose of its rule; where that asks for the size of a placeholder, the result has it. The
        length of a list that the op takes over is asked for before."""
        if not any(v in tangents for v in op.operands):
            b.ops.append(op)
            return
        rule = Builder(op.span)
        cotangents = [Value(r.type, "g") if is_differentiable(r.type) else None for r in op.results]
        found = self.custom(rule, op, cotangents) if op.name == "custom" else self.rule(rule, op, cotangents)
        outputs = [(c, tangents[v]) for v, c in found if v in tangents and v in self.active and c is not None]
        inputs = [g for g in cotangents if g is not None]
        results = [r for r in op.results if is_differentiable(r.type)]
        ops, totals = transpose(self.params, rule.ops, inputs, outputs)
        sizes_of = dict(zip(inputs, results, strict=True))
        asked = [new for new in ops if new.name == "list_len" and new.operands[0] in op.operands]
        b.ops.extend((*asked, op, *(substitute(new, sizes_of) for new in ops if new not in asked)))
        tangents.update((r, total) for r, total in zip(results, totals, strict=True) if total is not None)

    def rule(self, b: Builder, op: Op, cotangents: Sequence[Value | None]) -> list[tuple[Value, Value | None]]:
        """Operands with the contributions of the vjp rule; an update changes a placeholder of its operand."""
        given = tuple(None if g is None else b.wrap(g) for g in cotangents)
        return [(v, self.whole(b, v, c)) for v, c in contributions(b, op, given)]

    def whole(self, b: Builder, operand: Value, contribution: Any) -> Value | None:
        if isinstance(contribution, Update):
            contribution = contribution.apply(b.wrap(Value(operand.type, "zero")))
        return None if contribution is None else contribution.value

    def custom(self, b: Builder, op: Op, cotangents: Sequence[Value | None]) -> list[tuple[Value, Value | None]]:
        """The contributions of a function's own backward, which its `forward` block gives the residuals for. No
        cotangents are there, so of its effects only checks of other values are left."""
        require_closed(op, self.active)
        inlined = Rebuilder(without_effects, {}, op.span)
        residuals, rule = custom_residuals(inlined, op), op.block("backward")
        unknown = set(rule.params[len(residuals) :])
        kept = {
            check
            for check in rule.ops
            if check.name == "check"
            and unknown.isdisjoint(captures(Block((), sliced(rule.ops, check.operands), check.operands)))
        }
        inlined.visit = lambda b, op, operands: None if op in kept else without_effects(b, op, operands)
        found = inlined.inline(rule, (*residuals, *(g for g in cotangents if g is not None)))
        b.ops.extend(inlined.ops)
        return list(zip(varying(op), found, strict=True))

    def branches(self, b: Builder, op: Op, tangents: dict[Value, Value]) -> None:
        """An `if` that also yields the tangents of its active results."""
        carried = [(i, r) for i, r in enumerate(op.results) if r in self.active]
        blocks: list[Block] = []
        for block in op.blocks:
            inner, inside = b.nested(), dict(tangents)
            self.ops(inner, block.ops, inside)
            found = [self.tangent(inner, block.results[i], inside) for i, _ in carried]
            blocks.append(inner.block((), (*block.results, *found), block.label))
        results = tuple(Value(r.type, f"t{r.name}") for _, r in carried)
        b.ops.append(Op(op.defn, op.operands, op.attrs, (*op.results, *results), tuple(blocks), op.span))
        tangents.update((r, t) for (_, r), t in zip(carried, results, strict=True))

    def loop(self, b: Builder, op: Op, tangents: dict[Value, Value]) -> None:
        """A `loop` that also carries the tangents of its active carried values."""
        body = op.block("body")
        places = list(zip(op.operands[2:], body.params[1:], body.results[1:], op.results, strict=True))
        carried = [x for x in places if x[1] in self.active or x[3] in self.active]
        inits = [self.tangent(b, init, tangents) for init, *_ in carried]
        inner, inside = b.nested(), dict(tangents)
        params = [Value(param.type, f"t{param.name}") for _, param, *_ in carried]
        inside.update((param, t) for (_, param, *_), t in zip(carried, params, strict=True))
        self.ops(inner, body.ops, inside)
        following = [self.tangent(inner, v, inside) for _, _, v, _ in carried]
        block = inner.block((*body.params, *params), (*body.results, *following), body.label)
        results = tuple(Value(r.type, f"t{r.name}") for *_, r in carried)
        operands = (*op.operands, *inits)
        b.ops.append(Op(op.defn, operands, op.attrs, (*op.results, *results), (block,), op.span))
        tangents.update((r, t) for (*_, r), t in zip(carried, results, strict=True))

    def tangent(self, b: Builder, value: Value, tangents: dict[Value, Value]) -> Value:
        """The tangent of a value that a block or loop must have."""
        return tangents[value] if value in tangents else zero(b, value)
