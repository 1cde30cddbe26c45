"""Save or repeat: which forward values a backward block gets as residuals, and which it computes again.

The cost rule. Saving a value costs a store and a load. A value is computed again instead when all of this holds:

* it is made by ops on host scalars, or by pointwise ops, worth at most `LIMIT` additions per element in all
  (`OpDef.cost`; what another repeated value has computed already is free);
* the chain ends in values that are saved anyway, in the loop index, in host scalars from outside the block, or in
  arrays from outside all loops that nothing overwrites (keeping any other array could force a copy of it);
* an element of an array that a loop changes is read again where the last version still has it, and a number that each
  trip moves by the same number is computed from the trip (`lasting_reads.py`);
* a `broadcast` is never saved: its operand is, which is smaller. Constants are never saved either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from tracejit.ir.aliasing import finals
from tracejit.ir.core import Op, Value, type_values
from tracejit.ir.opdef import Opaque, Pointwise
from tracejit.ir.types import ScalarType

if TYPE_CHECKING:
    from tracejit.transforms.derivatives.frames import Frame

#: Additions per element that are cheaper than saving the element and loading it back.
LIMIT = 8


def choose(frame: Frame, needed: Sequence[Value], provided: Mapping[Value, Value]) -> tuple[list[Value], list[Op]]:
    """Split the needed values of a frame's forward block into those to save and the ops to repeat, in order."""
    chooser = _Chooser(frame, set(provided))
    for value in _by_definition(frame, _without_broadcasts(frame, needed)):
        chooser.decide(value)
    assert all(v in chooser.available for v in needed)
    return chooser.saved, list(chooser.repeated)


def overwritten(ops: Iterable[Op]) -> set[Value]:
    """Values whose storage an update, a loop or a join may take over, in the ops and in nested ones."""
    found: set[Value] = set()
    for op in ops:
        if isinstance(op.defn.lower, Opaque) and op.defn.lower.updates:
            found.add(op.operands[0])
        if op.name == "call":
            found.update(old for old, _ in finals(op))
        if op.name in ("loop", "vwrite", "vadd", "sync"):
            found.update(op.operands)
        for block in op.blocks:
            found.update(block.results)
            found |= overwritten(block.ops)
    return found


def _without_broadcasts(frame: Frame, needed: Sequence[Value]) -> list[Value]:
    """The needed values together with what the broadcasts among them are made of, and the sizes of these."""
    found: dict[Value, None] = {}
    queue = list(needed)
    while queue:
        value = queue.pop()
        found[value] = None
        op = frame.region.definitions.get(value)
        if op is not None and op.name == "broadcast":
            made_of = (*op.operands, *type_values(op.operands[0].type))
            queue.extend(v for v in made_of if v not in found and frame.defines(v))
    return list(found)


def _by_definition(frame: Frame, values: Iterable[Value]) -> list[Value]:
    order = {r: i for i, r in enumerate(r for edit in frame.edits for op in edit.ops for r in op.results)}
    return sorted(values, key=lambda v: order.get(v, -1))


class _Chooser:
    def __init__(self, frame: Frame, provided: set[Value]) -> None:
        self.frame = frame
        self.available = provided
        self.saved: list[Value] = []
        self.repeated: dict[Op, None] = {}  #: what an op reads is made by those before it
        self._asked: set[Value] = set()  #: values whose cost is being found

    def decide(self, value: Value) -> None:
        if value in self.available:
            return
        chain: dict[Op, None] = {}
        if self.cost(value, chain) is None:
            self.saved.append(value)
        else:
            self.repeated |= chain
            self.available.update(r for op in chain for r in op.results)
        self.available.add(value)

    def cost(self, value: Value, chain: dict[Op, None]) -> int | None:
        """The additions per element to compute a value again, entering its ops in `chain`; None if it cannot be, or is
        not worth it."""
        if value in self.available or any(value in op.results for op in chain):
            return 0
        if not self.frame.defines(value):
            return 0 if self.is_lasting(value) else None
        if value in self._asked:
            return None
        self._asked.add(value)
        found = self._cheaper(value, chain)
        self._asked.remove(value)
        return found

    def _cheaper(self, value: Value, chain: dict[Op, None]) -> int | None:
        """The cost of a value by its own op or by an array's last version, whichever is less."""
        op = self.frame.region.definitions.get(value)
        ways = [
            self.frame.region.anew(value) if self.frame.parent else [],
            [op] if op is not None and is_repeatable(op) else [],
        ]
        found = [(cost, trial) for ops in ways if ops for cost, trial in [self._cost_of(ops, chain)] if cost <= LIMIT]
        if not found:
            return None
        cost, trial = min(found, key=lambda way: way[0])
        chain.update(trial)
        return cost

    def _cost_of(self, ops: Sequence[Op], chain: dict[Op, None]) -> tuple[int, dict[Op, None]]:
        """The cost of ops that may read results of those before them, and the chain with them and what they read."""
        chain = dict(chain)
        total = 0
        for op in ops:
            for operand in op.operands:
                more = self.cost(operand, chain)
                total += LIMIT + 1 if more is None else more
                if total > LIMIT:
                    return total, chain
            total += 0 if op.name in ("const", "broadcast") else op.defn.cost
            chain[op] = None
        return total, chain

    def is_lasting(self, value: Value) -> bool:
        """Whether a value from outside the block is there in the backward at no cost."""
        return isinstance(value.type, ScalarType) or self.frame.region.is_lasting(value)


def is_repeatable(op: Op) -> bool:
    """Whether an op may run a second time: one result, no effect, and arithmetic on scalars or pointwise."""
    if op.blocks or op.defn.effect == "order" or len(op.results) != 1:
        return False
    on_scalars = all(isinstance(v.type, ScalarType) for v in (*op.operands, *op.results))
    return on_scalars or isinstance(op.defn.lower, Pointwise) or op.name == "fetch"
