"""`in-place-windows`: what kernels read apart from where their results go, and results that go apart, are marked.

`u[t + 1, 1:-1] = f(u[t, 2:], u[t, :-2])` reads and writes one array, but no element of both: code generation may write
the result where it goes (`codegen/lowering/placement.py`) instead of into an array of its own that is copied. That the
windows do not meet is proved here, from loop limits and sizes (`numbers/apart.py`); an unmarked read must be of the
very element that is written over it. So are several windows of one array (`out[:, 0] = ...; out[:, 1] = ...`) that the
results of one kernel go into.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tracejit.ir.core import Block, Graph, Op, Value, with_ops
from tracejit.transforms.derivatives.element_places import Places
from tracejit.transforms.numbers.apart import Program, are_apart, loops_of
from tracejit.transforms.numbers.rules import least_size
from tracejit.transforms.pipeline import transform


@transform("in-place-windows")
def in_place_windows(graph: Graph) -> Graph:
    """Mark the reads of kernels that lie apart from where their results go."""
    blocks = list(_blocks(graph.body))
    candidates = [pair for block in blocks for pair in (*reads_beside_results(block), *_windows_of_one_kernel(block))]
    if not candidates:
        return graph
    places = Places(Program(graph.body.ops, least_size(graph)))
    apart = {op for op, writes in candidates if all(_are_apart(places, op, write) for write in writes)}
    return replace(graph, body=_marked(graph.body, apart)) if apart else graph


def _blocks(block: Block) -> Iterator[Block]:
    """A block and those in it, without the bodies of kernels."""
    yield block
    for op in block.ops:
        for inner in op.blocks if op.name != "fused" else ():
            yield from _blocks(inner)


def reads_beside_results(block: Block) -> Iterator[tuple[Op, list[Op]]]:
    """The reads of a block's kernels, each with the writes of their results into the array that it reads; not those of
    the very window that is written."""
    kernels = {r: op for op in block.ops if op.name == "fused" for r in op.results}
    writes: dict[Op, list[Op]] = {}
    for op in block.ops:
        if op.name == "vwrite" and op.operands[1] in kernels:
            writes.setdefault(kernels[op.operands[1]], []).append(op)
    for kernel, found in writes.items():
        for read in kernel.block("body").ops:
            if read.name == "vread":
                others = [w for w in found if w.operands[0] is read.operands[0]]
                if others and not any(_is_of(read, write) for write in others):
                    yield read, others


def _windows_of_one_kernel(block: Block) -> Iterator[tuple[Op, list[Op]]]:
    """Writes of a kernel's results behind others of its results into the same array, each with those before it."""
    kernels = {r: op for op in block.ops if op.name == "fused" for r in op.results}
    before: dict[Value, list[Op]] = {}
    for op in block.ops:
        if op.name == "vwrite" and op.operands[1] in kernels:
            base, value = op.operands[:2]
            earlier = before.get(base, [])
            if earlier and kernels[earlier[-1].operands[1]] is kernels[value]:
                yield op, earlier
            else:
                earlier = []
            before[op.results[0]] = [*earlier, op]


def _is_of(read: Op, write: Op) -> bool:
    """Whether a read begins and steps as a write does."""
    _, *window = write.defn.group(write.operands)[1:]
    return window == list(read.defn.group(read.operands)[1:3])


def _are_apart(places: Places, op: Op, write: Op) -> bool:
    one, other = places.of(op), places.of(write)
    if one is None or other is None:
        return False
    return are_apart(places.program, one, other, loops_of(other.path), None)


def _marked(block: Block, apart: set[Op]) -> Block:
    ops: list[Op] = []
    for op in block.ops:
        if op in apart:
            op = replace(op, attrs={**op.attrs, "apart": True})
        elif op.blocks:
            op = replace(op, blocks=tuple(_marked(b, apart) for b in op.blocks))
        ops.append(op)
    return with_ops(block, ops)
