"""A second `backward()` through the same values, without `retain_graph`, is a RuntimeError, as in eager code.

What a `gradient` goes through is freed: values that vary with its inputs and matter to its output, and all that is made
of these, before or after. `unspent` stands before a `gradient` and tells whether its output is none of them. What is
known on every path costs nothing; else branches and loops also give whether their results are spent.
A list is spent where one of its items was when it was put there, or is later, outside of the list. Of what the trips
of a loop made, nothing can be gone through again, be it of other trips.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tracejit.ir.builder import Builder
from tracejit.ir.core import Block, Op, Value, walk
from tracejit.ir.opdef import Pointwise
from tracejit.ir.reached import Truth, any_of, none_of, sources, value_of
from tracejit.ir.types import BOOL, ListType, ScalarType, is_differentiable
from tracejit.ops.control import gradient_parts
from tracejit.transforms.activity import active, varied

_FLAG = ScalarType(BOOL)


def without_unspent(body: Block) -> Block:
    """The block with the answers in the place of its `unspent` ops."""
    if not any(op.name == "unspent" for op in walk(body)):
        return body
    b = Builder()
    _Spending().ops(b, body.ops, {}, ())
    return Block(body.params, tuple(b.ops), body.results, body.label)


@dataclass(slots=True)
class _Spending:
    """Ops that also tell which values are spent."""

    #: what each gradient frees of the values that can be seen where it stands, and what is made of it
    freed: dict[Op, frozenset[Value]] = field(default_factory=dict[Op, frozenset[Value]])

    def ops(self, b: Builder, ops: Sequence[Op], spent: dict[Value, Truth], before: Sequence[Op]) -> None:
        """Append the ops to `b`; `spent` tells of the values so far, those that are not in it are not. `before` are
        the ops in front of these, in the blocks around too."""
        for at, op in enumerate(ops):
            b.span = op.span
            if op.name == "unspent":
                ys = gradient_parts(_taken(op, ops[at:]))[0]
                none_of(b, [spent.get(y, False) for y in ys], op.results[0])
            elif op.name == "if":
                self.branches(b, op, spent, (*before, *ops[:at]))
            elif op.name == "loop":
                self.loop(b, op, spent, (*before, *ops[:at]))
            else:
                blocks = tuple(map(without_unspent, op.blocks))
                b.append_op(Op(op.defn, op.operands, op.attrs, op.results, blocks, op.span) if blocks else op)
                truth = any_of(b, [spent[v] for v in sources(op) if v in spent])
                for r in op.results:
                    _set(spent, r, truth if is_differentiable(r.type) else False)
                if op.name == "gradient" and op.attrs.get("site", -1) >= 0 and not op.attrs.get("retain", False):
                    for v in self.frees(op, (*before, *ops[:at])):
                        spent[v] = True

    def frees(self, gradient: Op, before: Sequence[Op]) -> frozenset[Value]:
        if gradient not in self.freed:
            ys, _, xs = gradient_parts(gradient)
            through = active(before, xs, ys)
            has_list = any(isinstance(v.type, ListType) for v in through)  # whose other items are not spent
            every = before if has_list else walk(Block((), tuple(before), ()))
            nodes = [r for op in every if _is_node(op) for r in op.results if r in through]
            found = varied(before, [r for r in nodes if not isinstance(r.type, ListType)])
            self.freed[gradient] = frozenset(r for op in before for r in op.results if r in found)
        return self.freed[gradient]

    def branches(self, b: Builder, op: Op, spent: dict[Value, Truth], before: Sequence[Op]) -> None:
        sides = [(block, b.nested(), dict(spent)) for block in op.blocks]
        for block, inner, within in sides:
            self.ops(inner, block.ops, within, before)
        (then, _, yes), (orelse, _, no) = sides
        ends: dict[Value, tuple[Truth, Truth]] = {
            r: (yes.get(v, False), no.get(w, False))
            for r, v, w in zip(op.results, then.results, orelse.results, strict=True)
        }
        visible = {v for v in (*yes, *no) if v in spent or not _is_made_in(v, op)}
        ends.update((v, (yes.get(v, False), no.get(v, False))) for v in visible)
        more = [(v, end) for v, end in ends.items() if end[0] is not end[1]]
        blocks = tuple(
            inner.block((), (*block.results, *(value_of(inner, end[k]) for _, end in more)), block.label)
            for k, (block, inner, _) in enumerate(sides)
        )
        results = tuple(Value(_FLAG, "spent") for _ in more)
        b.append_op(Op(op.defn, op.operands, op.attrs, (*op.results, *results), blocks, op.span))
        for v, (truth, _) in ends.items():
            _set(spent, v, truth)
        spent.update((v, r) for (v, _), r in zip(more, results, strict=True))

    def loop(self, b: Builder, op: Op, spent: dict[Value, Truth], before: Sequence[Op]) -> None:
        """A `loop` that carries what tells of values which trips spend."""
        body = op.block("body")
        inits = dict(zip(body.params[1:], op.operands[2:], strict=True))
        following = dict(zip(body.params[1:], body.results[1:], strict=True))
        entry = {**spent, **{p: spent[v] for p, v in inits.items() if v in spent}}
        carried: dict[Value, Value] = {}
        while True:
            inner, within = b.nested(), {**entry, **carried}
            self.ops(inner, body.ops, within, before)
            ends = {v: within.get(following.get(v, v), False) for v in (*entry, *within, *following)}
            varying = [v for v in ends if _lasts(v, op, following) and ends[v] is not entry.get(v, False)]
            new = [v for v in varying if v not in carried]
            if not new:
                break
            carried.update((v, Value(_FLAG, "spent")) for v in new)
        starts = [value_of(b, entry.get(v, False)) for v in carried]
        ended = [value_of(inner, ends[v]) for v in carried]
        block = inner.block((*body.params, *carried.values()), (*body.results, *ended), body.label)
        results = tuple(Value(_FLAG, "spent") for _ in carried)
        b.append_op(Op(op.defn, (*op.operands, *starts), op.attrs, (*op.results, *results), (block,), op.span))
        found: dict[Value, Truth] = {**entry, **dict(zip(carried, results, strict=True))}
        for v in carried.keys() - following.keys():
            spent[v] = found[v]
        for r, p in zip(op.results, following, strict=True):
            _set(spent, r, found.get(p, False))


def _taken(asked: Op, ops: Sequence[Op]) -> Op:
    """The gradient that a question is about."""
    site = asked.attrs["site"]
    return next(op for op in walk(Block((), tuple(ops), ())) if op.name == "gradient" and op.attrs["site"] == site)


def _set(spent: dict[Value, Truth], value: Value, truth: Truth) -> None:
    if truth is False:
        spent.pop(value, None)
    else:
        spent[value] = truth


def _is_made_in(value: Value, op: Op) -> bool:
    return any(value in inner.results for block in op.blocks for inner in block.ops)


def _lasts(value: Value, loop: Op, following: Mapping[Value, Value]) -> bool:
    """Whether a value is one that a loop carries, or from outside of it."""
    return value in following or not _is_made_in(value, loop)


def _is_node(op: Op) -> bool:
    """Whether an op is a call on the tape of eager code that keeps something: no reading of a view, and no branch or
    loop, of which the ops inside count."""
    lower = op.defn.lower
    is_view = isinstance(lower, Pointwise) and lower.view != ""
    return not is_view and op.defn.stands_for is None and op.name not in ("if", "loop")
