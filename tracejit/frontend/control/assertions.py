"""`assert`: a check where its message is at hand, else a branch that raises."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tracejit.frontend.control.unreachable import Unreachable
from tracejit.frontend.syntax.desugar import Branch
from tracejit.frontend.texts.text import Text
from tracejit.frontend.values import MessageValue
from tracejit.ir.core import Value, has_effect
from tracejit.ir.types import BOOL, ScalarType

if TYPE_CHECKING:
    from tracejit.frontend.statements import Statements


def assertion(st: Statements, s: ast.Assert) -> None:
    """Lower an `assert` statement."""
    ctx = st.ctx
    cond = st.condition(s.test, s)
    if cond is True:
        st.refine(s.test, True)
        return
    message = None if ctx.exits else _message(st, s.msg)
    if message is None:
        st.branch_on(cond, _raising(s))
        return
    ctx.at(s)
    value = cond if isinstance(cond, Value) else ctx.b.constant(False, ScalarType(BOOL))
    ctx.check(value, "AssertionError", message.template, *message.values)
    st.refine(s.test, True)
    if cond is False:
        raise Unreachable


def _message(st: Statements, node: ast.expr | None) -> MessageValue | None:
    """The text of an assertion, where to make it does nothing that is seen where the assertion holds."""
    ctx = st.ctx
    if node is None:
        return MessageValue("", ())
    if not _only_shows(node):
        return None
    with ctx.nested() as b:
        made = Text(st.calls, node).show_str(st.expressions.value(node)).message()
        if made.arrays or ctx.has_changed() or any(map(has_effect, b.ops)):
            return None
    ctx.b.ops += b.ops
    return made


def _only_shows(node: ast.expr | None) -> bool:
    """Whether an expression only shows what names and attributes stand for."""
    match node:
        case None | ast.Constant() | ast.Name():
            return True
        case ast.Attribute(value):
            return _only_shows(value)
        case ast.FormattedValue(value, _, spec):
            return _only_shows(value) and _only_shows(spec)
        case ast.JoinedStr(parts) | ast.Tuple(parts):
            return all(map(_only_shows, parts))
        case ast.BinOp(ast.Constant(str()), ast.Mod(), shown):
            return _only_shows(shown)
        case _:
            return False


def _raising(s: ast.Assert) -> Branch:
    """`if not test: raise AssertionError(message)`."""
    error = ast.Call(ast.Name("AssertionError", ast.Load()), [] if s.msg is None else [s.msg], [])
    failed = ast.copy_location(ast.Raise(ast.copy_location(error, s)), s)
    ast.fix_missing_locations(failed)
    return Branch(s.test, [], [failed], s)
