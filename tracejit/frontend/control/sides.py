"""A branch that has been lowered: its code, and what names and objects are at its end."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Set
from dataclasses import dataclass

from tracejit.frontend.context import Context
from tracejit.frontend.instances.heap import Contents, Heap
from tracejit.frontend.sizes import Sizes
from tracejit.frontend.tensors.storage import Storage
from tracejit.frontend.values import FrontValue, Mutable
from tracejit.ir.builder import Builder


@dataclass(slots=True, eq=False)
class Side:
    """One lowered branch."""

    b: Builder
    env: dict[str, FrontValue]
    storage: Storage
    sizes: Sizes
    alive: bool
    heap: Heap
    contents: Mapping[Mutable, Contents]  #: what objects hold at its end
    met: int  #: how many parts of objects from outside were met by then
    ended: Set[ast.expr]  #: conditions in that of the branch that are about what it has changed

    def held(self, o: Mutable) -> Contents:
        """What an object holds at the end of the branch, with parts that the other branch met first."""
        if o not in self.contents:
            return o.contents
        later = self.heap.met_since(o, self.met)
        return {**later, **self.contents[o]} if later else self.contents[o]


def end_of(ctx: Context, alive: bool, ended: Set[ast.expr] = frozenset()) -> Side:
    """The branch that is being lowered, at its end."""
    heap = ctx.heap
    return Side(ctx.b, dict(ctx.frame.env), ctx.storage, ctx.sizes, alive, heap, heap.snapshot(), len(heap.log), ended)
