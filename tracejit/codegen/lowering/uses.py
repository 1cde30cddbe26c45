"""How the values of a graph are used, as far as the lowering cares."""

from __future__ import annotations

from tracejit.ir.aliasing import has_storage
from tracejit.ir.core import Block, Op, Value
from tracejit.ir.opdef import Contraction, Opaque, Pointwise, Reduction
from tracejit.ir.types import ScalarType, TensorType


class Uses:
    """Facts about uses: who reads a value (a block's end is no op), what makes a host scalar, which tensors must be
    dense, and which rank-0 tensors are only fetched."""

    def __init__(self, body: Block) -> None:
        self.makers: dict[Value, Op] = {}
        self.dense: set[Value] = set()
        self.readers: dict[Value, list[Op | None]] = {}
        self._block(body, True)
        self.only_fetched = {
            v
            for v, readers in self.readers.items()
            if isinstance(v.type, TensorType)
            and not v.type.shape
            and all(r is not None and r.name == "fetch" for r in readers)
        }

    def _block(self, block: Block, yields: bool) -> None:
        if yields:
            self.dense.update(filter(has_storage, block.results))
        for value in filter(has_storage, block.results):
            self.readers.setdefault(value, []).append(None)
        for op in block.ops:
            if len(op.results) == 1 and isinstance(op.results[0].type, ScalarType):
                self.makers[op.results[0]] = op
            for value in filter(has_storage, op.operands):
                self.readers.setdefault(value, []).append(op)
            self.dense.update(v for i, v in enumerate(op.operands) if has_storage(v) and not _takes_strides(op, i))
            for nested in op.blocks:
                self._block(nested, op.name != "fused")


def _takes_strides(op: Op, i: int) -> bool:
    """Whether operand i may have any layout."""
    if op.name in ("fetch", "dim", "copy") or (op.name in ("vwrite", "vadd") and i == 1):
        return True
    lower = op.defn.lower
    if isinstance(lower, Pointwise):
        return op.name != "vread" and lower.view != "flat"
    if isinstance(lower, Opaque):
        return lower.strided and not (lower.updates and i == 0)
    return isinstance(lower, Reduction | Contraction)
