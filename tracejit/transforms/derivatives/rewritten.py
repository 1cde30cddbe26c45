"""What a derivative needs may not be changed in place before it is taken: a RuntimeError, as in eager code.

`rewritten(new, old)` and `unrecorded(new, old)` mark where an array's content `old` is replaced. Whether a `gradient`
behind them needs what was replaced is known when compiling or counted (`version_counters.py`). Where rules read a part
of `old` and a part is written, masks of what was not written say at run time whether it is still there. An operation in
place keeps what it needs of the array itself. Of arrays that lists hold, `stored_arrays.py` tells which a write may
change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tracejit.errors import NotDifferentiable
from tracejit.ir.aliasing import shared
from tracejit.ir.builder import Builder, Handle, Rebuilder, rebuild
from tracejit.ir.core import Block, Graph, Op, Value, walk
from tracejit.ir.reached import all_of
from tracejit.ir.types import BOOL, ScalarType, TensorType
from tracejit.ops.control import gradient_parts
from tracejit.transforms.derivatives.activity import active
from tracejit.transforms.derivatives.saved_contents import read_by_rule
from tracejit.transforms.derivatives.stored_arrays import StoredArrays, is_write
from tracejit.transforms.derivatives.version_counters import MAY_CHANGE, telling_changes

#: What `expand-gradient` removes.
_MARKS = ("rewritten", "stored")


def without_intact(body: Block) -> Block:
    """The block with the answers in the place of its `intact` ops."""
    if not any(op.name == "intact" for op in walk(body)):
        return body
    body = telling_changes(body)
    return _answered(body, [], body if any(is_write(op) for op in walk(body)) else None)


def without_rewritten(graph: Graph) -> Graph:
    """The graph without the marks."""

    def visit(b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        return (operands[0],) if op.name in _MARKS else None

    return rebuild(graph, visit) if any(op.name in _MARKS for op in walk(graph.body)) else graph


def _answered(block: Block, before: Sequence[Op], root: Block | None, around: Sequence[tuple[Op, int]] = ()) -> Block:
    """A block with the answers; `root` is the whole program, where that has marks."""
    ops: list[Op] = []
    here = list(before)
    for at, op in enumerate(block.ops):
        if op.name == "intact":
            b = Builder(op.span)
            behind = walk(Block((), block.ops[at:], ()))
            taken = next((g for g in behind if g.name == "gradient" and g.attrs.get("site") == op.attrs["site"]), None)
            truths: Sequence[Value] = op.operands
            if root is not None and taken is not None:
                truths = (*truths, *_conditions(b, taken, here, around))
            all_of(b, truths, op.results[0])
            ops += b.ops
            continue
        if op.blocks:
            blocks = tuple(_answered(n, here, root, (*around, (op, len(here)))) for n in op.blocks)
            op = Op(op.defn, op.operands, op.attrs, op.results, blocks, op.span)
        ops.append(op)
        here.append(op)
    return Block(block.params, tuple(ops), block.results, block.label)


def _conditions(b: Builder, gradient: Op, before: Sequence[Op], around: Sequence[tuple[Op, int]]) -> Sequence[Value]:
    """What must hold for nothing that the derivative needs to be overwritten. `around` are the ops around it, each with
    how many of those `before` stand in front of it."""
    replaced = _replaced(before, [op for op, _ in around])
    ys, _, xs = gradient_parts(gradient)
    through = active(before, xs, ys)
    parts, stored = _Parts(before, replaced), StoredArrays(before, around)
    needed: dict[Value, Op] = {}
    unharmed: list[Value] = []
    for op in _all(before):
        if op.blocks or is_write(op) or not any(r in through for r in op.results):
            continue
        if not any(v in parts.views for v in op.operands) and not stored.concerns(op):
            continue
        values = read_by_rule(op, through)
        changed = dict(stored.changed(op, values))
        if changed:
            did_not_run = _did_not_run(b, before, op) if any(changed.values()) else None
            if did_not_run is None:
                raise NotDifferentiable(gradient.name, MAY_CHANGE, next(iter(changed)).span)
            unharmed.append(did_not_run)
            continue
        needed.update((v, op) for v in op.operands if v in values and v in parts.views)
    found = (parts.holds(b, value, op) for value, op in needed.items())
    return [*unharmed, *(truth for truth in found if truth is not None)]


def _did_not_run(b: Builder, before: Sequence[Op], op: Op) -> Value | None:
    """Whether an op did not run: one of those `before`, or in a branch or a loop among them; None of others."""
    if any(op is other for other in before):
        return b.constant(False, ScalarType(BOOL))
    around, block = next(((top, n) for top in before for n in top.blocks if any(op is o for o in n.ops)), (None, None))
    if around is None or block is None or around.name == "custom":
        return None
    if around.name == "if":
        ran = b.wrap(around.operands[0]) if block.label == "then" else b.logical_not(b.wrap(around.operands[0]))
    else:
        limit, go = map(b.wrap, around.operands[:2])
        ran = b.logical_and(go, b.lt(0, limit))
    return b.logical_not(ran).value


class _Parts:
    """The views that ops read of contents which marks say are replaced later, and what was written of these."""

    def __init__(self, before: Sequence[Op], marks: Mapping[Value, Op]) -> None:
        self.marks = marks
        self.makers = {r: op for op in before for r in op.results}
        self.views: dict[Value, Op] = {}  #: each with the op that makes it of the content or of another view
        self.masks: dict[Value, Handle] = {}  #: where elements are still those of a content
        for op in before:
            is_view = op.name == "fetch" or shared(op) is not None
            if is_view and (op.operands[0] in marks or op.operands[0] in self.views):
                self.views[op.results[0]] = op

    def holds(self, b: Builder, part: Value, reader: Op) -> Value | None:
        """Whether no element of a part was written since, unless by the reader itself, in place (None)."""
        steps: list[Op] = []
        while part in self.views:
            steps.append(self.views[part])
            part = steps[-1].operands[0]
        if self.marks[part].span == reader.span:
            return None
        mask = self.mask(b, part)
        for step in reversed(steps):
            mask = b.wrap(b.emit(step.defn, (mask.value, *step.operands[1:]), step.attrs)[0])
        if b.rank(mask):
            mask = b.all(mask, axes=tuple(range(b.rank(mask))))
        if isinstance(mask.type, TensorType):
            mask = b.fetch(mask, ())
        return mask.value

    def mask(self, b: Builder, content: Value) -> Handle:
        """Where no element was written since the content was the newest."""
        versions = [content]
        while versions[-1] in self.marks and versions[-1] not in self.masks:
            versions.append(self.marks[versions[-1]].results[0])
        found = self.masks.get(versions.pop()) or self.filled(b, content, True)
        for version in reversed(versions):
            write = self.makers.get(self.marks[version].operands[0])
            part = write if write is not None and write.operands and write.operands[0] is version else None
            if part is not None and part.name == "index_update":
                found = b.index_update(found, False, tuple(map(b.wrap, part.operands[2:])))
            elif part is not None and part.name == "vwrite":
                value = self.filled(b, part.operands[1], False)
                found = b.wrap(b.emit(part.defn, (found.value, value.value, *part.operands[2:]))[0])
            else:
                found = self.filled(b, content, False)
            self.masks[version] = found
        return found

    def filled(self, b: Builder, like: Value, flag: bool) -> Handle:
        return b.full(flag, b.shape(b.wrap(like)), BOOL)


def _replaced(marks: Sequence[Op], around: Sequence[Op]) -> dict[Value, Op]:
    """The contents that marks say are replaced, also under the names they have before the loops `around`: what the trip
    at hand hands on is there until the next one."""
    found = {op.operands[1]: op for op in marks if is_write(op)}
    for loop in reversed([op for op in around if op.name == "loop"]):
        for init, param in zip(loop.operands[2:], loop.block("body").params[1:], strict=True):
            if param in found:
                found.setdefault(init, found[param])
    return found


def _all(ops: Sequence[Op]) -> Iterator[Op]:
    for op in ops:
        yield op
        for block in op.blocks:
            yield from walk(block)
