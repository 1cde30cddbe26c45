"""Which `backward()`s of a script have run, by path and iteration: a second one through the same values is an error.

For each place of a `backward()`, and each number of loops around it, a flag says whether it has run since the present
iteration of that loop (of the function: 0) began. The flags live on the heap, so that branches and loops join them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tracejit.frontend.values import FrontValue, ObjectValue, Static
from tracejit.ir.core import Value
from tracejit.ir.types import BOOL

if TYPE_CHECKING:
    from tracejit.frontend.gradients import Gradients


_SPENT = (
    "backward through the graph a second time: what it needs has been freed; call the first backward with "
    "retain_graph=True"
)
_CHANGED = (
    "a tensor that the derivative needs was changed in place after it had been used; work on a clone(), or change it "
    "before"
)


class TapeState:
    """The class of the front end's object whose parts are the flags."""


@dataclass(slots=True)
class Tape:
    """The state of the tape while a function is lowered."""

    gradients: Gradients
    sites: dict[object, int] = field(default_factory=dict[object, int])  #: by place in the unfolded program
    heads: list[dict[int, Value]] = field(default_factory=list[dict[int, Value]])  #: memory where iterations began
    holder: ObjectValue | None = None

    @contextmanager
    def iteration(self, node: ast.AST) -> Iterator[None]:
        """Lower an iteration of a loop."""
        ctx = self.gradients.calls.ctx
        self.heads.append(dict(ctx.storage.bases))
        depth = len(self.heads)
        if self.holder is not None:
            self._set({part: Static(False) for part in self.holder.contents if part[1] == depth}, node)
        try:
            yield
        finally:
            self.heads.pop()

    def begin(self, retains: bool, node: ast.AST) -> int:
        """Note a `backward()`; its number. Before it stand checks that what it needs is still there."""
        ctx = self.gradients.calls.ctx
        site = self.sites.setdefault(ctx.place(node), len(self.sites))
        if self.holder is None:
            self.holder = ctx.heap.add_outer(ObjectValue(TapeState, {}), "tape")
        assert self.holder is not None
        depths = range(len(self.heads) + 1)
        for depth in depths:
            if (site, depth) not in self.holder.contents:
                ctx.heap.met(self.holder, (site, depth), Static(False))
        scalar = self.gradients.calls.arith.scalar
        flags = [
            (ctx.b.emit("logical_not", (scalar(flag, BOOL),))[0], part)
            for part, flag in self.holder.contents.items()
            if part[1] in depths and not (isinstance(flag, Static) and not flag.value)
        ]
        if flags:
            sites, at = (tuple(part[k] for _, part in flags) for k in (0, 1))
            attrs = {"site": site, "sites": sites, "depths": at}
            ctx.check(ctx.b.emit("unspent", [value for value, _ in flags], attrs)[0], "RuntimeError", _SPENT)
        ctx.check(ctx.b.emit("intact", (), {"site": site})[0], "RuntimeError", _CHANGED)
        if not retains:
            self._set({(site, depth): Static(True) for depth in depths}, node)
        return site

    def _set(self, parts: dict[tuple[int, int], FrontValue], node: ast.AST) -> None:
        assert self.holder is not None
        if parts:
            contents = {**self.holder.contents, **parts}
            self.gradients.calls.ctx.write_object(self.holder, contents, node)
