"""`ranges`: what host scalars can be, from loop limits, conditions and checks; and what need not be asked then.

A check that must hold is dropped, a comparison that is decided becomes a constant, and arithmetic on Python ints that
cannot overflow is done without a check. Windows that are added to zeros where no other is are written
(`numbers/separate_windows.py`). An index like `i - 1` between 1 and a size is proved by linear expressions
(`numbers/linear.py`); what an op means is said by its definition (`OpDef.ranges`).
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain

from tracejit.ir.core import Block, Graph, Op, Value, walk
from tracejit.ir.opdef import REGISTRY
from tracejit.transforms.numbers.analysis import TRUTH, Analysis
from tracejit.transforms.numbers.fits import split_by_fit, split_nest
from tracejit.transforms.numbers.limits import Stops, limited
from tracejit.transforms.numbers.linear import Limit
from tracejit.transforms.numbers.starts import split_by_sign
from tracejit.transforms.pipeline import transform
from tracejit.transforms.write_home import new_versions


@transform("ranges")
def ranges(graph: Graph) -> Graph:
    """Drop checks that cannot fail, and make those of a loop that still can stop it instead."""
    found = Analysis(graph)
    versions = split_by_sign(graph, lambda op: op not in found.replaced)
    if versions is not graph:
        graph, found = versions, Analysis(versions)
    asked = any(found.needs.values()) or any(found.nest_needs.values())
    if not found.replaced and not found.stops and not asked and not found.windows.apart:
        return graph
    body = _Rewriter(found, graph).block(graph.body)
    return Graph(graph.name, body, graph.device, graph.inout, graph.policy)


class _Rewriter:
    """The graph as the analysis has it; values keep their identity."""

    def __init__(self, found: Analysis, graph: Graph) -> None:
        self.found = found
        self.is_split = graph.device == "cpu"
        self.written = new_versions(graph)
        self.same: dict[Value, Value] = {}
        self.checks: dict[Op, Op] = {}  #: what became of checks
        self.needs: dict[Op, list[Limit] | None] = {}  #: what must hold for those
        self.visible: ChainMap[Value | str, Value] = ChainMap()
        self.define(graph.params)

    def define(self, values: Iterable[Value]) -> None:
        for value in values:
            self.visible[value] = value
            if isinstance(value.known, str):
                self.visible[value.known] = value

    def value(self, old: Value) -> Value:
        return self.same.get(old, old)

    def here(self, old: Value) -> Value | None:
        """The value that stands for one in this block."""
        new = self.value(old)
        return self.visible.get(new) or (self.visible.get(new.known) if isinstance(new.known, str) else None)

    def block(self, block: Block) -> Block:
        self.visible = self.visible.new_child()
        self.define(block.params)
        ops: list[Op] = []
        for op in block.ops:
            for made in self.op(op):
                ops.append(made)
                self.define(made.results)
        self.visible = self.visible.parents
        return Block(block.params, tuple(ops), tuple(map(self.value, block.results)), block.label)

    def op(self, op: Op) -> list[Op]:
        """What stands for one op."""
        simpler = self.simpler(op)
        if simpler is not None:
            return simpler
        made = self.renewed(op, map(self.block, op.blocks))
        if op.name == "check":
            self.checks[op] = made
        if op in self.found.needs:
            self.needs[made] = self.found.needs[op]
        if op.name != "loop":
            return [made]
        limited = self.limited(op, made) if op in self.found.stops else [made]
        if self.is_split and op in self.found.nests:
            asked = [inner for inner in walk(op.block("body")) if self.may_fail(inner)]
            (free,) = self.without(op, frozenset(asked))
            return split_nest(free, limited, asked, self.found.nest_needs, self.here)
        return split_by_fit(op, limited, self.needs, self.here) if self.is_split else limited

    def simpler(self, op: Op) -> list[Op] | None:
        """What an op became that need not be done, or not as it is; None for others."""
        found = self.found.replaced.get(op)
        if found is True and op.name == "check":
            return []
        if isinstance(found, bool):
            return [Op(REGISTRY["const"], (), {"value": found, "type": TRUTH}, op.results, (), op.span)]
        if isinstance(found, Value):
            self.same[op.results[0]] = self.value(found)
            return []
        if op in self.found.windows.apart:
            return self.found.windows.written(op, self.value)
        if op in self.found.windows.covered:
            return [self.found.windows.unfilled(op, self.value)]
        return None

    def renewed(self, op: Op, blocks: Iterable[Block]) -> Op:
        """The op on what its operands became."""
        found = self.found.replaced.get(op)
        defn = REGISTRY[found] if isinstance(found, str) else op.defn
        return replace(op, defn=defn, operands=tuple(map(self.value, op.operands)), blocks=tuple(blocks))

    def may_fail(self, op: Op) -> bool:
        """Whether an op may raise: a check, or a sum that may be too large."""
        return (op.name == "check" or bool(op.defn.unchecked)) and op not in self.found.replaced

    def without(self, op: Op, asked: frozenset[Op]) -> list[Op]:
        """What stands for an op of a nest where none of some checks and sums in it fails."""
        simpler = self.simpler(op)
        if simpler is not None:
            return simpler
        if op in asked and op.name == "check":
            return []
        made = self.renewed(op, (self.block_without(block, asked) for block in op.blocks))
        return [replace(made, defn=REGISTRY[made.defn.unchecked]) if op in asked else made]

    def block_without(self, block: Block, asked: frozenset[Op]) -> Block:
        ops = tuple(chain.from_iterable(self.without(op, asked) for op in block.ops))
        return Block(block.params, ops, tuple(map(self.value, block.results)), block.label)

    def limited(self, old: Op, made: Op) -> list[Op]:
        """A loop that its checks may stop."""
        found = self.found.stops[old]
        parts = {self.checks[check]: forms for check, forms in found.parts.items()}
        return limited(made, Stops(parts, found.goes), self.here, self.written)
