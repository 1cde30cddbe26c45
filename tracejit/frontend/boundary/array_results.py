"""How the caller makes an array that a function returns: an argument, a view of one, or a new array."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tracejit.frontend.boundary.leaves import ArrayLeaf, InputLeaf, TurnedLeaf, ViewLeaf
from tracejit.frontend.context import Context
from tracejit.frontend.tensors.slices import inverse, permuted
from tracejit.frontend.values import ArrayView
from tracejit.ir.core import Value


@dataclass(slots=True)
class ArrayResults:
    """Leaves of arrays. `params` are the graph's parameters, `classes` the storage class of each (0 for numbers);
    `output` makes a value a result of the graph and gives its number."""

    ctx: Context
    params: Sequence[Value]
    classes: Sequence[int]
    output: Callable[[Value], int]

    def leaf(self, view: ArrayView) -> ArrayLeaf | TurnedLeaf | InputLeaf | ViewLeaf:
        """The leaf of a returned array; where paths differ, a new one beside what it shares memory with on some."""
        if view.storage in self.classes:
            return self.shared(view, self.classes.index(view.storage))
        axes = self.turned(view)
        if axes is not None:
            return TurnedLeaf(self.output(self.ctx.load(permuted(view, inverse(axes)))), axes)
        own = self.output(self.ctx.load(view))
        shares: list[tuple[int | None, InputLeaf | ViewLeaf]] = []
        for at, (param, storage) in enumerate(zip(self.params, self.classes, strict=True)):
            flag = self.ctx.storage.alias(view.storage, storage) if storage else False
            if flag is False or self.ctx.storage.apart(view.storage, storage) is not False:
                continue
            if param.type.dtype == view.dtype:  # type: ignore[union-attr]
                shares.append((None if flag is True else self.output(flag), self.shared(view, at, joined=True)))
        of = self.ctx.maybe_views.get(view.storage)
        if of is not None and of.view is not None and of.source in self.classes and view.is_whole:
            leaf = self.shared(of.view, self.classes.index(of.source), joined=True)
            shares.append((self.output(of.shared), leaf))
        return ArrayLeaf(own, tuple(shares), self.part(view.readonly))

    def turned(self, view: ArrayView) -> tuple[int, ...] | None:
        """The order of axes in which a new array by rows is this one, where it is known not to lie by rows itself.
        Tensors are returned by rows."""
        is_new = not self.ctx.storage.partners(view.storage) and view.storage not in self.ctx.maybe_views
        if self.ctx.tensors or not is_new or view.readonly is not False:
            return None
        return view.via[1] if view.via and view.via[0] == "transpose" else None

    def shared(self, view: ArrayView, at: int, joined: bool = False) -> InputLeaf | ViewLeaf:
        """A result in the memory of input `at`. `joined`: it is something else on other paths."""
        if view.is_whole and view.readonly is False:
            return InputLeaf(at)
        strides, lengths = (tuple(map(self.part, sizes)) for sizes in (view.strides, view.lengths))
        return ViewLeaf(at, self.part(view.offset), strides, lengths, self.part(view.readonly), whole=joined)

    def part(self, size: int | Value) -> Any:
        """A size or flag of a leaf: as it is where it is known, else `("r", graph result)`."""
        return ("r", self.output(size)) if isinstance(size, Value) else size
