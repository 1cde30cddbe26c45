"""`dce`: drop what nobody reads.

Roots are the graph's results and ordered effects. An `if` loses unread results, a `loop` carried values that
nothing but themselves needs (also in a cycle of several), `fused` unread results. Everything else that is
unread is dropped whole, unless something with an effect is inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tracejit.ir.core import Block, Graph, Op, Value, reads, type_values
from tracejit.transforms.pipeline import transform


@transform("dce")
def dce(graph: Graph) -> Graph:
    """Drop unread ops, unread results of `if`, `loop` and `fused`, and carried values that only feed themselves."""
    live = _Liveness(graph.body)
    body = _swept(graph.body, live)
    return graph if body is graph.body else Graph(graph.name, body, graph.device, graph.inout, graph.policy)


def sliced(ops: Sequence[Op], values: Sequence[Value]) -> tuple[Op, ...]:
    """What values need of the ops before them, without effects."""
    block = Block((), tuple(ops), tuple(values))
    return _swept(block, _Liveness(block, effects=False)).ops


def has_effect(op: Op) -> bool:
    """Whether the op itself (its blocks aside) must run, in order, even if nothing reads its results."""
    return op.defn.effect == "order"


class _Liveness:
    """Which ops must run and which values are read, found by a worklist from the roots: the results of the body and, if
    `effects`, the ops that have some."""

    def __init__(self, body: Block, *, effects: bool = True) -> None:
        self.ops: set[Op] = set()
        self.values: set[Value] = set()
        self.parents: dict[Op, Op | None] = {}
        self.made_by: dict[Value, tuple[Op, int]] = {}
        self.carried_by: dict[Value, tuple[Op, int]] = {}
        self.queue: list[Value] = []
        roots: list[Op] = []
        self.collect(body, None, roots)
        for op in roots if effects else ():
            self.need_op(op)
        self.need(body.results)
        while self.queue:
            self.spread(self.queue.pop())

    def collect(self, block: Block, parent: Op | None, roots: list[Op]) -> None:
        """Note where each op and value of the block belongs."""
        for op in block.ops:
            self.parents[op] = parent
            self.made_by.update((v, (op, i)) for i, v in enumerate(op.results))
            if op.name == "loop":
                self.carried_by.update((v, (op, i)) for i, v in enumerate(op.block("body").params[1:]))
            if has_effect(op):
                roots.append(op)
            for nested in op.blocks:
                self.collect(nested, op, roots)

    def need(self, values: Sequence[Value] | Iterator[Value]) -> None:
        for value in values:
            if value not in self.values:
                self.values.add(value)
                self.queue.append(value)

    def need_op(self, op: Op | None) -> None:
        """The op must run: so must the ops around it, and what decides whether it does."""
        while op is not None and op not in self.ops:
            self.ops.add(op)
            match op.name:
                case "if" | "fused":
                    self.need(op.operands)
                case "loop":
                    self.need(op.operands[:2])
                    self.need(op.block("body").results[:1])
                case _:
                    self.need(reads(op))
                    for nested in op.blocks:
                        self.need(nested.results)
            op = self.parents[op]

    def spread(self, value: Value) -> None:
        """A value is read: so is what it is made of."""
        self.need(type_values(value.type))
        if value in self.carried_by:
            self.need_carried(*self.carried_by[value])
        elif value in self.made_by:
            op, position = self.made_by[value]
            self.need_op(op)
            if op.name == "loop":
                self.need_carried(op, position)
            elif op.name in ("if", "fused"):
                self.need(block.results[position] for block in op.blocks)

    def need_carried(self, loop: Op, position: int) -> None:
        body = loop.block("body")
        self.need_op(loop)
        self.need((loop.operands[2 + position], loop.results[position]))
        self.need((body.params[1 + position], body.results[1 + position]))


def _swept(block: Block, live: _Liveness) -> Block:
    """The block without dead ops; itself if there are none."""
    ops = tuple(_swept_op(op, live) for op in block.ops if op in live.ops)
    if len(ops) == len(block.ops) and all(new is old for new, old in zip(ops, block.ops, strict=True)):
        return block
    return Block(block.params, ops, block.results, block.label)


def _swept_op(op: Op, live: _Liveness) -> Op:
    """A live op without its unread results."""
    if not op.blocks:
        return op
    blocks = tuple(_swept(block, live) for block in op.blocks)
    kept = tuple(v in live.values for v in op.results)
    if op.name not in ("if", "loop", "fused") or all(kept):
        same = all(new is old for new, old in zip(blocks, op.blocks, strict=True))
        return op if same else Op(op.defn, op.operands, op.attrs, op.results, blocks, op.span)
    return _narrowed(op, kept, blocks)


def _narrowed(op: Op, kept: Sequence[bool], blocks: Sequence[Block]) -> Op:
    """The op with only the kept results, carried values and yields."""
    is_loop = op.name == "loop"
    lead = 1 if is_loop else 0  # the index among the parameters, `go` among the yields
    operands = (*op.operands[:2], *_chosen(op.operands[2:], kept)) if is_loop else op.operands
    narrow = tuple(
        Block(
            (*b.params[:lead], *_chosen(b.params[lead:], kept)) if is_loop else (),
            b.ops,
            (*b.results[:lead], *_chosen(b.results[lead:], kept)),
            b.label,
        )
        for b in blocks
    )
    return Op(op.defn, operands, op.attrs, _chosen(op.results, kept), narrow, op.span)


def _chosen(values: Sequence[Value], flags: Sequence[bool]) -> tuple[Value, ...]:
    return tuple(v for v, flag in zip(values, flags, strict=True) if flag)
