"""Old versions of written parameters: one that is read after its memory has been taken over is copied before.

`b = a.copy(); a[0] = 1; ...; b.sum()` and `a[::-1] = a` read a version of `a` while or after a newer one takes its
memory over, so that one of the two must be a copy. It is the old version: the new one is then written into the
parameter itself, where the program says, and stays there if an error follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tracejit.ir.aliasing import finals, stored_uses, updated, updates
from tracejit.ir.core import Block, Graph, Op, Value
from tracejit.ir.opdef import REGISTRY
from tracejit.transforms.write_home import versions_of


def with_old_versions_copied(graph: Graph) -> Block:
    """The graph's body with these copies."""
    return _Keeper(versions_of(graph)).block(graph.body, {}) if graph.inout else graph.body


class _Keeper:
    def __init__(self, versions: Mapping[Value, int]) -> None:
        self.versions = versions

    def block(self, block: Block, replaced: Mapping[Value, Value]) -> Block:
        """The block with copies; `replaced` are the copies that stand for old versions in it."""
        known = dict(replaced)
        last: dict[Value, int] = {}
        for at, op in enumerate(block.ops):
            last.update(dict.fromkeys(stored_uses(op), at))
        last.update(dict.fromkeys(block.results, len(block.ops)))
        ops: list[Op] = []
        for at, op in enumerate(block.ops):
            taken = {} if op.name == "fused" else dict(self.taken(op))
            here = dict(known)
            besides = read_besides(op, taken) if taken else ()
            for value in dict.fromkeys(taken.values()):
                if value in last and (last[value] > at or value in besides):
                    copy = Op(
                        REGISTRY["copy"], (value,), {"why": "takes"}, (Value(value.type, value.name),), (), op.span
                    )
                    ops.append(copy)
                    known[value] = copy.results[0]
            inside = here if op.name == "if" else known
            operands = tuple(v if taken.get(i) is v else known.get(v, v) for i, v in enumerate(op.operands))
            blocks = tuple(self.block(b, inside) for b in op.blocks)
            ops.append(Op(op.defn, operands, op.attrs, op.results, blocks, op.span))
        results = tuple(known.get(v, v) for v in block.results)
        return Block(block.params, tuple(ops), results, block.label)

    def taken(self, op: Op) -> Iterator[tuple[int, Value]]:
        """The versions whose memory the op, or a branch of it, takes over for a newer one, with the number of the
        operand; negative numbers are those of branches."""
        if op.name == "if":
            inner = (v for b in op.blocks for o in b.ops for _, v in self.taken(o))
            yield from ((-1 - i, v) for i, v in enumerate(inner))
            return
        if op.name == "loop":
            pairs = [(2 + i, r) for i, r in enumerate(op.results)]
        elif op.name == "call":
            made = dict(finals(op))
            pairs = [(i, made[v]) for i, v in enumerate(op.operands) if v in made and i in op.attrs["callee"].inout]
        else:
            pairs = [(updated(op), op.results[0])] if updates(op) else []
        found = [op.operands[i] for i, new in pairs if self.goes_on(op.operands[i], new)]
        for i, new in pairs:
            if self.goes_on(op.operands[i], new) and found.count(op.operands[i]) == 1:
                yield i, op.operands[i]

    def goes_on(self, old: Value, new: Value) -> bool:
        """Whether two values are versions of one parameter."""
        index = self.versions.get(old)
        return index is not None and self.versions.get(new) == index


def read_besides(op: Op, taken: Mapping[int, Value]) -> set[Value]:
    """What the op itself reads, those operands left out that it takes over."""
    if op.name == "if":
        return set()
    operands = (v for i, v in enumerate(op.operands) if taken.get(i) is not v)
    return {*operands, *(v for b in op.blocks for o in b.ops for v in stored_uses(o))}
