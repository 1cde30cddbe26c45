"""`licm`: move out of loops what every trip computes anew from values that do not change.

Only pure ops that are safe to run when the loop makes no trip, or before a check of its body has passed: an
elementwise op, a fold, a product; a change of shape; never a read at a computed index, and never a tensor of a
size that was not seen on another one. Out of an `if` inside a loop only host scalars move: they cost nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from tracejit.ir.core import Block, Graph, Op, Value, type_values
from tracejit.ir.opdef import Contraction, Pointwise, Reduction
from tracejit.ir.types import ListType, ScalarType, TensorType
from tracejit.transforms.pipeline import transform

_PINNED = frozenset(("fresh", "copy", "undef", "leaf"))


@transform("licm")
def licm(graph: Graph) -> Graph:
    """Hoist loop-invariant pure ops, innermost loops first."""
    body = Block(graph.params, tuple(_hoisted(graph.body.ops)), graph.results, graph.body.label)
    return Graph(graph.name, body, graph.device, graph.inout, graph.policy)


def _hoisted(ops: Sequence[Op]) -> list[Op]:
    """The ops with those that may leave a loop put before it."""
    found: list[Op] = []
    for op in ops:
        blocks = tuple(Block(b.params, tuple(_hoisted(b.ops)), b.results, b.label) for b in op.blocks)
        if op.name == "loop":
            outside, body = _split(blocks[0])
            found.extend(outside)
            blocks = (body,)
        found.append(Op(op.defn, op.operands, op.attrs, op.results, blocks, op.span) if op.blocks else op)
    return found


def _split(body: Block) -> tuple[list[Op], Block]:
    """What may leave the loop's body, and the body that is left."""
    varying: set[Value] = set(body.params)
    outside: list[Op] = []

    def stay(block: Block, scalars_only: bool) -> Block:
        inside: list[Op] = []
        for op in block.ops:
            if _may_leave(op, varying, scalars_only):
                outside.append(op)
                continue
            varying.update(op.results)
            if op.name == "if":
                blocks = tuple(stay(b, True) for b in op.blocks)
                op = Op(op.defn, op.operands, op.attrs, op.results, blocks, op.span)
            inside.append(op)
        return Block(block.params, tuple(inside), block.results, block.label)

    return outside, stay(body, False)


def _may_leave(op: Op, varying: set[Value], scalars_only: bool) -> bool:
    values = (*op.operands, *op.results)
    if op.defn.effect or op.blocks or op.name in _PINNED or any(isinstance(v.type, ListType) for v in values):
        return False
    if any(v in varying for v in (*op.operands, *(d for r in op.results for d in type_values(r.type)))):
        return False
    if all(isinstance(v.type, ScalarType) for v in values):
        return True
    return not scalars_only and _is_safe(op)


def _is_safe(op: Op) -> bool:
    """Whether the op can neither read out of bounds nor make a tensor of a size that may not exist."""
    tensors = [v.type for v in op.operands if isinstance(v.type, TensorType)]
    seen = {d for type in tensors for d in type.shape}
    sizes = {d for r in op.results for d in type_values(r.type)}
    if not sizes <= seen:
        return False
    match op.defn.lower:
        case Reduction() | Contraction() | Pointwise(own_index=True):
            return True
        case _:
            numbers = [v for v in op.operands if isinstance(v.type, ScalarType)]
            return len(tensors) == 1 and all(_is_size(v, op) for v in numbers)


def _is_size(value: Value, op: Op) -> bool:
    """Whether a host scalar is only a size of the op's results."""
    return any(value.dim == d for r in op.results if isinstance(r.type, TensorType) for d in r.type.shape)
