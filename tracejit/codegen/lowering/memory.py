"""When storage dies: which roots are freed where.

The transform `ownership` has made every consumption the last use of its root, so this is plain liveness per
block. A root that dies at an `if` one of whose branches consumes it is handed to the branches: each of them
consumes or frees it. Memory of an `inout` parameter is never freed; where a root may be either, the pointers are
compared at run time.

Storage of one size that every trip of a loop takes and gives back is taken once, outside the loop.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from tracejit.codegen.loop_ir import Alloc, Call, For, Free, If, Invoke, Let, Stmt, Var
from tracejit.codegen.lowering.elements import variables
from tracejit.ir.aliasing import FRESH, Origins, Roots, borrowed, consumed, consumes, has_storage, last_uses, origins
from tracejit.ir.core import Block, Graph, Op, Value


@dataclass(slots=True)
class Deaths:
    """For one block: roots to free at its start, after each op, and at its end; roots handed to the branches of an
    `if`."""

    at_start: list[Value] = field(default_factory=list[Value])
    after: dict[int, list[Value]] = field(default_factory=dict[int, "list[Value]"])
    at_end: list[Value] = field(default_factory=list[Value])
    handed: dict[int, list[Value]] = field(default_factory=dict[int, "list[Value]"])


class Lifetimes:
    """Roots, origins and deaths of one graph; `moving`: the `inout` parameters of called ones that come back as other
    lists."""

    def __init__(self, graph: Graph, moving: Mapping[Graph, Collection[int]] | None = None) -> None:
        self.roots = Roots()
        for op in graph.body.ops:
            self.roots.enter(op)
        self._origins = origins(graph, self.roots, moving or {})

    def origins(self, value: Value) -> Origins:
        """The `inout` parameters whose memory a value may be; None stands for the call's own memory."""
        return frozenset().union(*(self._origins.get(r, FRESH) for r in self.roots.of(value)))

    def deaths(self, block: Block, owned: Iterable[Value], lent: Collection[int] = ()) -> Deaths:
        """Where the roots a block owns die: `owned` at its start, and all that its ops make. Results `lent` are only
        pointers; one to what dies with the block is never read."""
        last = last_uses(block, self.roots)
        mine = dict.fromkeys(owned)
        mine.update(
            dict.fromkeys(r for op in block.ops for r in op.results if has_storage(r) and self.roots.of(r) == (r,))
        )
        given = {r for i, v in enumerate(block.results) if i not in lent and has_storage(v) for r in self.roots.of(v)}
        deaths = Deaths()
        for root in mine:
            at = last.get(root)
            if at is None or at < 0:
                deaths.at_start.append(root)
            elif at < len(block.ops):
                self._note(deaths, at, block.ops[at], root)
            elif root not in given:
                deaths.at_end.append(root)
        return deaths

    def _note(self, deaths: Deaths, at: int, op: Op, root: Value) -> None:
        if root not in op.results and any(root in self.roots.of(op.operands[i]) for i in consumed(op)):
            return
        if op.name == "if" and any(consumes(b, root, self.roots, borrowed(op)) for b in op.blocks):
            deaths.handed.setdefault(at, []).append(root)
        else:
            deaths.after.setdefault(at, []).append(root)


# -- storage of loops -------------------------------------------------------------------------------------------


def hoisted(body: tuple[Stmt, ...], own: Iterable[Var]) -> tuple[list[Alloc], tuple[Stmt, ...]]:
    """A loop body without the allocations that every trip makes and frees in equal size, and these allocations.

    `own` are the vars that the loop binds for its body. Only what the body itself frees is taken out, so nothing
    that is handed on can be meant.
    """
    freed = {s.var for s in body if isinstance(s, Free)}
    candidates = [s for s in body if isinstance(s, Alloc) and s.var in freed]
    if not candidates:
        return [], body
    bound = {*own, *_bound(body)}
    taken = [s for s in candidates if not any(v in bound for v in variables(s.count))]
    names = {s.var for s in taken}
    rest = (s for s in body if not (isinstance(s, Alloc | Free) and s.var in names))
    return taken, tuple(rest)


def _bound(body: Iterable[Stmt]) -> set[Var]:
    """The vars that the statements of one level bind."""
    found: set[Var] = set()
    for stmt in body:
        match stmt:
            case Let(var):
                found.add(var)
            case For(carried=carried):
                found.update(c.result for c in carried)
            case If(results=results) | Call(results=results) | Invoke(results=results):
                found.update(results)
            case _:
                pass
    return found
