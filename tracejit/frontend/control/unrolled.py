"""Unrolled loops: their iterations one after the other, for bodies that must know while compiling which one it is."""

from __future__ import annotations

import ast
from itertools import count
from typing import TYPE_CHECKING

from tracejit.frontend.control.trips import MAX_UNROLLED
from tracejit.frontend.restarts import NeedsLoop
from tracejit.frontend.syntax.desugar import Branch, ForLoop, NotFlags, Rest, WhileLoop
from tracejit.frontend.syntax.scopes import assigned, names_read
from tracejit.frontend.values import SequenceValue, Static
from tracejit.ir.core import Value

if TYPE_CHECKING:
    from tracejit.frontend.statements import Statements


def unrolled(st: Statements, s: ForLoop, seq: SequenceValue, start: int) -> None:
    """The iterations from `start` on of a loop over a sequence of known structure."""
    for k in range(start, seq.static or 0):
        with st.iteration(k):
            st.bind(s.target, seq.item(k))
            for inner in s.body:
                st.statement(inner)
        go = st.no_flag(s.exits, s.node)
        if go is False:
            return
        if isinstance(go, Value) and k + 1 < (seq.static or 0):
            st.branch(Branch(NotFlags(s.exits), [Rest(s, seq, k + 1)], [], s.node, s.live))
            return


def rest_of(st: Statements, rest: Rest) -> None:
    """The iterations that depend on what the one before them decides."""
    if isinstance(rest.loop, ForLoop):
        unrolled(st, rest.loop, rest.items, rest.start)
    else:
        unrolled_while(st, rest.loop, rest.start)


def may_unroll(st: Statements, s: WhileLoop, go: bool | Value) -> bool:
    """Whether the iterations of a `while` loop may be told while compiling: the first is."""
    return isinstance(s.node, ast.While) and (go is True or _counts(st, s))


def _counts(st: Statements, s: WhileLoop) -> bool:
    """Whether one side of an `and` may end a loop: a name in it, which the body sets, is a known number."""
    is_and = isinstance(s.test, ast.BoolOp) and isinstance(s.test.op, ast.And)
    counters = names_read(s.test) & assigned(s.body) if is_and else ()
    return any(isinstance(st.ctx.frame.env.get(name), Static) for name in counters)


def unrolled_while(st: Statements, s: WhileLoop, start: int) -> None:
    """The iterations from `start` on of a `while` loop whose condition, or one side of an `and` in it, is known."""
    for k in count(start):
        with st.iteration(k):
            go = st.condition(s.test, s.node)
            if go is False:
                return
            if k == MAX_UNROLLED or not (go is True or _counts(st, s)):
                raise NeedsLoop(s.node)
            again = Branch(NotFlags(s.exits), [Rest(s, None, k + 1)], [], s.node, s.live)
            if isinstance(go, Value):
                st.branch_on(go, Branch(s.test, [*s.body, again], [], s.node, s.live))
                return
            st.refine(s.test, True)
            for inner in s.body:
                st.statement(inner)
        rest = st.no_flag(s.exits, s.node)
        if rest is False:
            return
        if isinstance(rest, Value):
            if isinstance(s.test, ast.Constant):  # data alone ends it
                raise NeedsLoop(s.node)
            st.branch(again)
            return
