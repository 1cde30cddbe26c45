"""Array names that a loop binds to other memory: where they lie at the start of an iteration and at its end.

A name whose base has another rank than that of the arrays it is bound to starts the loop as a copy of its elements,
with a flag that says whether it is a view still; where it is written meanwhile, it starts as a view of that memory.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from tracejit.frontend.containers.array_memory import lies_in_memory
from tracejit.frontend.containers.placed_arrays import note_joined, require_one_memory
from tracejit.frontend.control.loop_plan import Carry, Path, label
from tracejit.frontend.derivatives.carried_leaves import CarriedLeaves
from tracejit.frontend.sizes import key
from tracejit.frontend.tensors.ranks import rebased
from tracejit.frontend.tensors.write_checks import MaybeView
from tracejit.frontend.values import ArrayView, Size
from tracejit.ir.core import Value
from tracejit.ir.types import BOOL, I64, Dim, ListType, ScalarType, TensorType, promote

if TYPE_CHECKING:
    from tracejit.frontend.control.loops import LoopLowering

#: The greatest lower bound of a length that is of use: 2 or more rows are not stretched.
MOST_ROWS = 2


class LoopViews:
    """The array names of one attempt at a loop that are bound to other memory."""

    def __init__(self, loop: LoopLowering) -> None:
        self.loop = loop
        self.ctx = loop.ctx
        self.plan = loop.plan
        self.node = loop.node
        self.size_carry: dict[tuple[Path, str, int], Carry] = {}
        self.copy_carry: dict[Path, Carry] = {}
        self.bounds: dict[Carry, int] = {}  #: what is assumed of carried lengths, as of the first
        self.leaves = CarriedLeaves(loop)
        self.moves: list[tuple[int, int]] = []  #: of names found to be bound to other memory: from where to where

    # -- the head -----------------------------------------------------------------------------------------------

    def head(self, path: Path, view: ArrayView) -> ArrayView:
        """An array name that is bound to other memory by the body: a class of its own, with a carried base."""
        storage = self.ctx.storage
        base = self.loop.entry_storage.bases.get(view.storage, None) or storage.bases[view.storage]
        if isinstance(base.type, ListType):
            return self.placed(path, view, view.storage)
        dtype = self.plan.dtypes.get(path, view.dtype)
        original: ArrayView | None = None
        converted: int | None = None
        if path in self.plan.fresh and not view.is_whole and (self.node, path) in self.ctx.sharing:
            known, rank = self.plan.shared.get(path), max(view.rank, 1)
            view = self.loop.outside(lambda: rebased(self.ctx, view, rank, known))
            base = self.loop.entry_storage.bases[view.storage]
            storage.adopt(self.loop.entry_storage, view.storage)
            self.plan.shared[path] = view.storage
        elif path in self.plan.fresh and not view.is_whole:
            original, base = view, self.loop.outside(lambda: self.ctx.load(view))
            view = ArrayView(-1, view.dtype, 0, view.strides, view.lengths, (), plain=True, readonly=view.readonly)
        if dtype != view.dtype:
            base = self.loop.outer.emit("cast", (base,), {"dtype": dtype})[0]
            converted, view = view.storage, dataclasses.replace(view, storage=-1)
        assert isinstance(base.type, TensorType)
        dims = tuple(self.head_dim(path, "dim", k, d) for k, d in enumerate(base.type.shape))
        made = self.loop.carry(base, TensorType(dtype, dims), label(path))
        c = storage.new(made.param)
        self.loop.classes[path] = c
        self.loop.entry_class[c] = view.storage
        note_joined(self.ctx, c, [view.storage])
        self.loop.base_carry[c] = made
        if converted is not None:
            self.ctx.converted[c] = converted
        if original is not None:
            self.copied(path, c, original)
        elif converted is None:
            self.leaves.head(path, c, view)
        if view.storage in self.loop.entry_storage.held or path in self.plan.held:
            storage.held.add(c)
        plain = view.plain and path not in self.plan.views
        if plain and not view.prefix:
            return dataclasses.replace(self.ctx.whole_view(c), readonly=self.head_readonly(path, view.readonly))
        prefix = view.prefix if plain else ()
        return dataclasses.replace(self.placed(path, view, c), dtype=dtype, prefix=prefix, plain=plain)

    def placed(self, path: Path, view: ArrayView, c: int) -> ArrayView:
        """A view of that class by numbers that may be carried."""
        offset = self.head_size(path, "offset", 0, view.offset)
        strides = tuple(self.head_size(path, "stride", k, s) for k, s in enumerate(view.strides))
        lengths = tuple(self.head_size(path, "length", k, n) for k, n in enumerate(view.lengths))
        return ArrayView(c, view.dtype, offset, strides, lengths, readonly=self.head_readonly(path, view.readonly))

    def copied(self, path: Path, c: int, view: ArrayView) -> None:
        """A class starts as a copy of a view, which the name is in Python until it is bound to something else."""
        true = self.loop.outer.constant(True, ScalarType(BOOL))
        made = self.copy_carry[path] = self.loop.carry(true, ScalarType(BOOL), "shared")
        self.ctx.maybe_views[c] = MaybeView(view.storage, made.param, view, (self.node, path))

    def head_readonly(self, path: Path, readonly: bool | Value) -> bool | Value:
        """Whether a carried view may not be written: known, or handed on where it differs."""
        if (path, "readonly", 0) not in self.plan.varying:
            return readonly
        init = readonly if isinstance(readonly, Value) else self.loop.outer.constant(readonly, ScalarType(BOOL))
        made = self.size_carry[path, "readonly", 0] = self.loop.carry(init, ScalarType(BOOL), "readonly")
        return made.param

    def head_dim(self, path: Path, what: str, k: int, dim: Dim | None) -> Dim:
        size = self.ctx.dims[dim] if isinstance(dim, str) else dim
        assert size is not None
        made = self.head_size(path, what, k, size)
        return dim if made is size else made  # type: ignore[return-value]

    def head_size(self, path: Path, what: str, k: int, size: Size) -> Size:
        """A size or stride of a carried view: the same in every iteration, unless the plan says otherwise."""
        if (path, what, k) not in self.plan.varying:
            return size
        init = size if isinstance(size, Value) else self.loop.outer.constant(size, ScalarType(I64))
        made = self.size_carry[path, what, k] = self.loop.carry(
            init, ScalarType(I64), "n" if what != "offset" else "offset"
        )
        if what in ("dim", "length"):
            bound = self.bounds[made] = self.proved(size, self.plan.least.get((path, what, k), MOST_ROWS))
            self.ctx.sizes.note_lower(made.param, bound)
        return made.param

    def proved(self, size: Size, most: int) -> int:
        """The greatest lower bound of a length that is proved, `most` at most; -1 where none is."""
        return next((bound for bound in range(most, -1, -1) if self.ctx.sizes.at_least(size, bound)), -1)

    # -- the end of the body ------------------------------------------------------------------------------------

    def end(self, path: Path, head: ArrayView, end: ArrayView, ends: dict[int, int]) -> None:
        if path not in self.plan.split:
            same = head.storage == end.storage and head.plain == end.plain and _keys(head) == _keys(end)
            if not same:
                self.plan.add(self.plan.split, path)
                self.moves.append((head.storage, end.storage))
                self.leaves.note(path, head, end)
            return None
        require_one_memory(self.ctx, (self.ctx.storage, head), (self.ctx.storage, end))
        if lies_in_memory(self.ctx, head):
            self.end_readonly(path, head.readonly, end.readonly)
            return self.end_numbers(path, head, end)
        carry = self.loop.base_carry[self.loop.classes[path]]
        if head.dtype != end.dtype:
            joined = promote(head.dtype, end.dtype)
            if joined != head.dtype:
                self.plan.dtypes[path] = joined
                self.plan.changed = True
                return None
            end = self.ctx.fresh(self.ctx.b.emit("cast", (self.ctx.load(end),), {"dtype": joined})[0])
        base = self.ctx.storage.bases[end.storage]
        head_type, end_type = carry.param.type, base.type
        assert isinstance(head_type, TensorType) and isinstance(end_type, TensorType)
        if head_type.rank != end_type.rank:
            end = self.other_rank(path, head, end, head_type.rank)
            base = self.ctx.storage.bases[end.storage]
            end_type = base.type
            assert isinstance(end_type, TensorType)
            if head_type.rank != end_type.rank:
                return None
        ends[self.loop.classes[path]] = end.storage
        self.leaves.end(path, end, ends)
        carry.next = base
        if head.plain and (not end.plain or tuple(map(key, head.prefix)) != tuple(map(key, end.prefix))):
            self.plan.add(self.plan.views, path)
        for k, (d, e) in enumerate(zip(head_type.shape, end_type.shape, strict=True)):
            self.end_size(path, "dim", k, self.as_size(d), self.as_size(e))
        self.end_readonly(path, head.readonly, end.readonly)
        self.end_copy(path, ends)
        if head.is_whole:
            return None
        self.end_numbers(path, head, end)

    def may_rotate(self) -> bool:
        """Whether names found to be bound to other memory are bound to each other's, or there are none."""
        known = {begin for begin, _ in self.moves}.union(self.loop.classes.values())
        return not self.moves or any(end in known for _, end in self.moves)

    def end_numbers(self, path: Path, head: ArrayView, end: ArrayView) -> None:
        """Where a view lies at the end of an iteration."""
        self.end_size(path, "offset", 0, head.offset, end.offset)
        for k in range(head.rank):
            self.end_size(path, "stride", k, head.strides[k], end.strides[k])
            self.end_size(path, "length", k, head.lengths[k], end.lengths[k])

    def other_rank(self, path: Path, head: ArrayView, end: ArrayView, rank: int) -> ArrayView:
        """Bases of different rank meet: a name that an array of its own is bound to starts as one, as a copy of what it
        is a view of; otherwise the end is brought to the base's rank."""
        if not head.is_whole and end.is_whole:
            self.plan.add(self.plan.fresh, path)
            return end
        if rank > 0:
            return rebased(self.ctx, end, rank)
        if not end.is_whole and end.storage in self.loop.entry_storage.bases:
            self.ctx.refuse(
                self.node,
                f"{label(path)!r} is a view of another array in one iteration and an array of its own in another",
                f"copy the view: {label(path)} = ....copy()",
            )
        return self.ctx.fresh(self.ctx.load(end))

    def as_size(self, dim: Dim | None) -> Size:
        assert dim is not None
        return self.ctx.dims[dim] if isinstance(dim, str) else dim

    def end_size(self, path: Path, what: str, k: int, head: Size, end: Size) -> None:
        made = self.size_carry.get((path, what, k))
        if made is not None:
            made.next = end if isinstance(end, Value) else self.ctx.b.constant(end, ScalarType(I64))
            assumed = self.bounds.get(made, -1)
            least = self.proved(end, assumed)
            if least < assumed:
                self.plan.least[path, what, k], self.plan.changed = least, True
        elif key(head) != key(end):
            self.plan.add(self.plan.varying, (path, what, k))

    def end_copy(self, path: Path, ends: dict[int, int]) -> None:
        made = self.copy_carry.get(path)
        if made is None:
            return
        same = self.ctx.storage.alias(self.loop.classes[path], ends[self.loop.classes[path]])
        if isinstance(same, Value):
            made.next = self.ctx.b.emit("logical_and", (made.param, same))[0]
        else:
            made.next = made.param if same else self.ctx.b.constant(False, ScalarType(BOOL))

    def end_readonly(self, path: Path, head: bool | Value, end: bool | Value) -> None:
        made = self.size_carry.get((path, "readonly", 0))
        if made is not None:
            made.next = end if isinstance(end, Value) else self.ctx.b.constant(end, ScalarType(BOOL))
        elif head is not end:
            self.plan.add(self.plan.varying, (path, "readonly", 0))

    def finish(self, mapping: dict[Value, Value]) -> None:
        """After the loop, what its results say of copies and lengths."""
        for made, bound in self.bounds.items():
            self.ctx.sizes.note_lower(mapping[made.param], bound)
        for path, made in self.copy_carry.items():
            c = self.loop.classes[path]
            self.ctx.maybe_views[c] = dataclasses.replace(self.ctx.maybe_views[c], shared=mapping[made.param])
        self.leaves.finish(mapping)


def _keys(view: ArrayView) -> tuple[object, ...]:
    return tuple(map(key, (view.offset, *view.strides, *view.lengths, *view.prefix)))
