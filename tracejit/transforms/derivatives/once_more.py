"""Loops and calls that stand before a loop in whose trips a backward goes through them (`retain_graph=True`).

The lists of residuals that they would leave are taken apart by the first backward. Numbers are copied for each; arrays
are not: such a loop runs once more in the trip at hand, without effects, and the backward goes through that one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from tracejit.errors import NotDifferentiable
from tracejit.ir.aliasing import consumed
from tracejit.ir.builder import Rebuilder
from tracejit.ir.core import Block, Op, Value, all_reads, walk
from tracejit.ir.types import ListType, TensorType
from tracejit.transforms.dce import sliced
from tracejit.transforms.derivatives.effects import without_effects
from tracejit.transforms.derivatives.frames import Edit, Frame

NOT_MADE_AGAIN = "it is taken in every trip of a loop, and takes a list apart that is not made before it"


def standing_in(frame: Frame, op: Op) -> Op:
    """The op that the backward goes through in the place of an op of the forward: the same in the trip at hand, which
    takes over its cotangents, or itself."""
    if not frame.outside:
        return op
    if op not in frame.repeated and _leaves_arrays(frame, op):
        _repeat(frame, op)
    found = frame.repeated.get(op)
    if found is None:
        return op
    for old, new in zip(op.results, found.results, strict=True):
        if old not in frame.cotangents:
            continue
        if new in frame.cotangents and isinstance(old.type, ListType):
            raise NotDifferentiable("gradient", NOT_MADE_AGAIN, op.span)
        frame.cotangents.add(new, frame.cotangents.total(old))
    return found


def _leaves_arrays(frame: Frame, op: Op) -> bool:
    """Whether an op from outside of the loop leaves lists of arrays for a backward that goes through it."""
    active = frame.region.active
    if not (op.blocks or op.name == "call") or not any(r in active and r in frame.cotangents for r in op.results):
        return False
    if not any(op in edit.ops for edit in frame.edits[: frame.outside]):
        return False
    inner = list(walk(Block((), (op,), ())))
    if any(o.name == "call" for o in inner):
        return True
    values = (v for o in inner for v in (*o.results, *(p for block in o.blocks for p in block.params)))
    return any(o.name == "loop" for o in inner) and any(isinstance(v.type, TensorType) and v in active for v in values)


def _repeat(frame: Frame, op: Op) -> None:
    """Put the op into the trip at hand, with those that make the lists that it takes apart."""
    making = made_for(op, frame.region.definitions, frame.edits)
    if making is None:
        raise NotDifferentiable("gradient", NOT_MADE_AGAIN, op.span)
    b = Rebuilder(without_effects, {})
    again: dict[Value, Op] = {}
    for before in [o for edit in frame.edits for o in edit.ops if o in making]:
        b.step(before)
        again |= dict.fromkeys(b.ops[-1].results, before)
    ops = sliced(b.ops, [*again])  # what only its checks read may be a list that was taken apart meanwhile
    gone = frame.taken.union(*(taken_apart(o) for edit in frame.edits for o in edit.ops))
    if any(not gone.isdisjoint(all_reads(o)) for o in ops):
        raise NotDifferentiable("gradient", NOT_MADE_AGAIN, op.span)
    frame.repeated.update((again[o.results[0]], o) for o in ops)
    frame.append(*ops)
    frame.region.active.update([new for old, new in b.mapping.items() if old in frame.region.active])


def made_for(op: Op, definitions: Mapping[Value, Op], edits: Sequence[Edit]) -> Collection[Op] | None:
    """An op with those of the blocks around that make the lists which it takes apart, or reads although they were taken
    apart meanwhile; None if one that it takes apart is not made there."""
    making, queue = {op: None}, [op]
    gone = {v for edit in edits for o in edit.ops for v in taken_apart(o)}
    while queue:
        last = queue.pop()
        taken = taken_apart(last)
        for items in taken | (gone & {*all_reads(last)}):
            maker = definitions.get(items)
            if maker is None or not any(maker in edit.ops for edit in edits):
                if items not in taken:
                    continue
                return None
            if maker not in making:
                making[maker] = None
                queue.append(maker)
    return making


def taken_apart(op: Op) -> set[Value]:
    """The lists from outside that an op, or what is in it, changes or passes on."""
    made, taken = set[Value](), set[Value]()
    for inner in walk(Block((), (op,), ())):
        taken.update(inner.operands[i] for i in consumed(inner))
        made.update(inner.results)
        for block in inner.blocks:
            taken.update(block.results)
            made.update(block.params)
    return {v for v in taken - made if isinstance(v.type, ListType)}
