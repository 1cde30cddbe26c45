"""The `backward()`s of a script by number, and what memory held where the iterations around them began.

A second one through the same values is an error, as is one that needs what was changed meanwhile: ops ask for that,
which `expand-gradient` answers.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tracejit.ir.core import Value

if TYPE_CHECKING:
    from tracejit.frontend.derivatives.gradients import Gradients


_SPENT = (
    "backward through the graph a second time: what it needs has been freed; call the first backward with "
    "retain_graph=True"
)
_CHANGED = (
    "a tensor that the derivative needs was changed in place after it had been used; work on a clone(), or change it "
    "before"
)


@dataclass(slots=True)
class Tape:
    """The state of the tape while a function is lowered."""

    gradients: Gradients
    sites: dict[object, int] = field(default_factory=dict[object, int])  #: by place in the unfolded program
    heads: list[dict[int, Value]] = field(default_factory=list[dict[int, Value]])  #: memory where iterations began

    @contextmanager
    def iteration(self) -> Iterator[None]:
        """Lower an iteration of a loop. What it does not hand on comes of what is outside."""
        ctx = self.gradients.calls.ctx
        outside = ctx.outer_storages[-1].bases
        self.heads.append({c: v for c, v in ctx.storage.bases.items() if v is not outside.get(c)})
        try:
            yield
        finally:
            self.heads.pop()

    def begin(self, node: ast.AST) -> int:
        """Note a `backward()`; its number. Before it stand checks that what it needs is still there."""
        ctx = self.gradients.calls.ctx
        site = self.sites.setdefault(ctx.place(node), len(self.sites))
        for defn, message in (("unspent", _SPENT), ("intact", _CHANGED)):
            ctx.check(ctx.b.emit(defn, (), {"site": site})[0], "RuntimeError", message)
        return site
