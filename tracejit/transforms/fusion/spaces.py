"""What fusion asks of single ops: kinds, spaces, and what is read where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tracejit.ir.aliasing import shared
from tracejit.ir.core import Op, Value
from tracejit.ir.opdef import Pointwise, Reduction
from tracejit.ir.types import TensorType
from tracejit.records import record
from tracejit.transforms.fusion.index_maps import Index, variables

Shape = tuple[Any, ...]


def shape_of(value: Value) -> Shape:
    """The dims of a tensor; () for a host scalar."""
    return value.type.shape if isinstance(value.type, TensorType) else ()


def is_view(op: Op) -> bool:
    """Whether the op only says where to read its operand."""
    lower = op.defn.lower
    return isinstance(lower, Pointwise) and lower.view != "" and shared(op) is not None


def is_fill(op: Op) -> bool:
    """Whether the op makes a tensor of host scalars and indices alone."""
    if not isinstance(op.defn.lower, Pointwise) or op.results[0].type.__class__ is not TensorType:
        return False
    return all(v.type.__class__ is not TensorType for v in op.operands)


def is_member(op: Op) -> bool:
    """Whether the op may be computed in a kernel of its own or with others."""
    match op.defn.lower:
        case Pointwise():
            return isinstance(op.results[0].type, TensorType) and not is_view(op) and not is_fill(op)
        case Reduction():
            return True
        case _:
            return False


def is_map(op: Op) -> bool:
    """Whether the op is elementwise."""
    return isinstance(op.defn.lower, Pointwise)


@record
class Space:
    """What a group iterates over: a shape, and the axes its reductions fold (none: a map)."""

    shape: Shape
    axes: tuple[int, ...] | None = None

    @property
    def kept(self) -> Shape:
        """The shape of the reductions' results."""
        return tuple(d for i, d in enumerate(self.shape) if i not in (self.axes or ()))

    def joined(self, other: Space) -> Space | None:
        """The space of a group made of two; None where they do not fit."""
        if self.axes is not None and other.axes is not None:
            return self if self == other else None
        fold, plain = (self, other) if self.axes is not None else (other, self)
        if plain.shape == fold.shape or (fold.axes is not None and fold.kept and plain.shape == fold.kept):
            return fold
        return None

    def __str__(self) -> str:
        fold = "" if self.axes is None else f" folding {self.axes}"
        return f"({', '.join(str(getattr(d, 'name', d)) for d in self.shape)}){fold}"


@record
class Source:
    """A value that an op reads at `where` (None: not at one known index), which has an index of `rank` variables."""

    value: Value
    where: Index | None
    rank: int

    @property
    def is_own(self) -> bool:
        """Whether an op reads the value at its own index."""
        return self.where == variables(self.rank) and len(shape_of(self.value)) == self.rank


def misread(space: Space, source: Source) -> str | None:
    """Why a value of the group cannot be read where an op of the group reads it."""
    rank, shape = len(space.shape), shape_of(source.value)
    if source.where is None:
        return "at places that need the whole of it"
    if shape == space.shape and source.rank == rank and source.where == variables(rank):
        return None
    if space.axes is None or shape != space.kept:
        return "at other places than its own"
    if not shape:
        return "before the reduction is complete"
    kept = tuple(i for axis, i in enumerate(variables(rank)) if axis not in space.axes)
    is_row = source.rank == rank and source.where == kept
    is_own = source.rank == len(kept) and source.where == variables(len(kept))
    return None if is_row or is_own else "at other places than its own"


def members_of(bits: int) -> Iterator[int]:
    """The positions of a set of bits, in order."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest
