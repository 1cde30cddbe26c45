"""Values that a kernel computes again rather than reads back: what `fuse` does after it has found its groups.

Layer norm's gradient is one kernel over rows, and the gradient of its scale the sums of columns of a product that the
rows' kernel has at hand. Written there and read here, the product costs an array as large as all others. The columns'
kernel makes its own where that takes a few operations on arrays that are there, and numbers of rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tracejit.ir.core import Value
from tracejit.ir.opdef import Pointwise
from tracejit.transforms.fusion.spaces import members_of, shape_of

if TYPE_CHECKING:
    from tracejit.transforms.fuse import BlockFusion, Group

#: Additions per element that are cheaper than an array of full size, written by one kernel and read by another.
_LIMIT = 12

#: How many more arrays of full size may be read in the place of one, which costs a write and two reads.
_MORE = 2


@dataclass(slots=True)
class _Chain:
    """The ops that make a value from arrays outside and values of rows."""

    ops: set[int] = field(default_factory=set[int])
    arrays: set[Value] = field(default_factory=set[Value])
    rows: set[Value] = field(default_factory=set[Value])
    whole: set[Value] = field(default_factory=set[Value])  #: the arrays that are read at every place, once


def repeat(fusion: BlockFusion) -> dict[int, set[int]]:
    """For the ops that read such a value: the ops to be repeated for them. What groups read is put right."""
    found: dict[int, set[int]] = {}
    for group in tuple(fusion.by_end):
        if group.space.axes is None or not group.space.kept:
            continue
        free: set[int] = set()  # repeated for another value already: both readers become one kernel
        for value in fusion.results(group.members):
            reader = _only_fold(fusion, group, value)
            chain = None if reader is None else _chain(fusion, group, value, free)
            if reader is None or chain is None or not _pays(fusion, reader, chain):
                continue
            free |= chain.ops
            for at in reader.ops:
                if fusion.readers[value] >> at & 1:
                    found.setdefault(at, set()).update(chain.ops)
            fusion.readers[value] &= ~reader.members
            for source in chain.arrays | chain.rows:  # their kernels may still be joined with others, and hand them out
                fusion.readers[source] = fusion.readers.get(source, 0) | reader.members
            reader.inputs -= {value}
            reader.whole -= {value}
            reader.inputs |= chain.arrays | chain.rows
            reader.whole |= chain.whole
    return found


def _only_fold(fusion: BlockFusion, group: Group, value: Value) -> Group | None:
    """The one kernel that reads a value outside its own, element by element, to fold it along other axes."""
    outside = fusion.readers.get(value, 0) & ~group.members
    if outside & fusion.outside or shape_of(value) != group.space.shape:
        return None
    readers = {fusion.groups.get(at) for at in members_of(outside)}
    reader = readers.pop() if len(readers) == 1 else None
    if reader is None or reader.space.axes is None or reader.space.shape != group.space.shape:
        return None
    return reader if value in reader.whole else None


def _chain(fusion: BlockFusion, group: Group, value: Value, free: set[int]) -> _Chain | None:
    """How a value of a group is made; None where that takes too much."""
    chain, queue, cost = _Chain(), [value], 0
    while queue:
        at = fusion.makers[queue.pop()]
        if at in chain.ops:
            continue
        op = fusion.ops[at]
        cost += 0 if at in free else op.defn.cost
        if cost > _LIMIT or not isinstance(op.defn.lower, Pointwise):
            return None
        chain.ops.add(at)
        for source in fusion.sources(at):
            maker = fusion.makers.get(source.value)
            is_inside = maker is not None and group.members >> maker & 1
            if is_inside and shape_of(source.value) != group.space.shape:
                chain.rows.add(source.value)
            elif is_inside:
                queue.append(source.value)
            else:
                chain.arrays.add(source.value)
                chain.whole |= {source.value} if source.is_own else set()
    return chain


def _pays(fusion: BlockFusion, reader: Group, chain: _Chain) -> bool:
    """Whether few arrays have to be read for it, none of which has been overwritten by then."""
    more = chain.whole - reader.whole
    is_late = fusion.takers and fusion.late_read(chain.arrays, reader.members, reader.before) is not None
    return len(more) <= _MORE and not is_late
