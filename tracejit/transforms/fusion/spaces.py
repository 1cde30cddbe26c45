"""What fusion asks of single ops: kinds, spaces, and what is read where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal, TypeAlias

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


#: What an op is for fusion. `member`: it may be computed in a kernel of its own or with others. `view`: it only says
#: where to read its operand. `fill`: it makes a tensor of host scalars and indices alone.
Role: TypeAlias = Literal["member", "view", "fill", "other"]


def role_of(op: Op) -> Role:
    """What an op is for fusion."""
    lower = op.defn.lower
    if not isinstance(lower, Pointwise):
        return "member" if isinstance(lower, Reduction) else "other"
    if is_view(op):
        return "view"
    if op.results[0].type.__class__ is not TensorType:
        return "other"
    return "member" if any(v.type.__class__ is TensorType for v in op.operands) else "fill"


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
    """A value that an op reads at `where` (None: not at one known index), which has an index of `rank` variables;
    `operand` is the value itself or a view of it that the op reads at its own index."""

    value: Value
    where: Index | None
    rank: int
    operand: Value | None

    @property
    def is_own(self) -> bool:
        """Whether an op reads the value at its own index."""
        return self.where == variables(self.rank) and len(shape_of(self.value)) == self.rank

    @property
    def spread(self) -> Value | None:
        """The value, or a view of it, where each element of it is read once: it is not stretched."""
        if self.is_own:
            return self.value
        shape = shape_of(self.value)
        return self.operand if len(shape) >= self.rank and 1 not in shape else None


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


def bits_of(positions: Iterable[int]) -> int:
    """A set of positions as bits."""
    found = bytearray()
    for at in positions:
        if at >> 3 >= len(found):
            found.extend(bytes((at >> 3) + 1 - len(found)))
        found[at >> 3] |= 1 << (at & 7)
    return int.from_bytes(found, "little")


def members_of(bits: int) -> Iterator[int]:
    """The positions of a set of bits, in order."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest
