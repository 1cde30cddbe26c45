"""Where a function binds a name: the lines that messages show when two kinds of value meet."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tracejit.frontend.syntax.desugar import RETURN_VALUE
from tracejit.frontend.syntax.source import FunctionSource


def binding_before(source: FunctionSource, name: str, line: int) -> ast.stmt | None:
    """The last statement above a line that binds the name."""
    found = [s for s in _bindings(source.node, name) if s.lineno < line]
    return max(found, key=lambda s: s.lineno, default=None)


def binding_within(block: list[ast.stmt], name: str) -> ast.stmt | None:
    """The last statement of a block that binds the name."""
    found = [s for statement in block for s in _bindings(statement, name)]
    return max(found, key=lambda s: s.lineno, default=None)


def bindings_of_branch(source: FunctionSource, node: ast.AST, name: str) -> tuple[ast.stmt | None, ast.stmt | None]:
    """The statements that bind the name on the two paths of an `if`."""
    if not isinstance(node, ast.If):
        return None, None
    after = [s for s in _bindings(source.node, name) if s.lineno > (node.end_lineno or node.lineno)]
    elsewhere = binding_before(source, name, node.lineno) if name != RETURN_VALUE else None
    if elsewhere is None and after:
        elsewhere = after[0]
    return binding_within(node.body, name) or elsewhere, binding_within(node.orelse, name) or elsewhere


def _bindings(node: ast.AST, name: str) -> Iterator[ast.stmt]:
    """Statements that bind the name (for the result: returns), in order; nested functions keep their own names."""
    if isinstance(node, ast.stmt) and _binds(node, name):
        yield node
    for inner in ast.iter_child_nodes(node):
        if not isinstance(inner, ast.FunctionDef | ast.Lambda | ast.expr):
            yield from _bindings(inner, name)


def _binds(statement: ast.stmt, name: str) -> bool:
    match statement:
        case ast.Return():
            return name == RETURN_VALUE
        case ast.Assign(targets):
            return any(_names(t, name) for t in targets)
        case ast.AugAssign(target) | ast.AnnAssign(target) | ast.For(target):
            return _names(target, name)
        case ast.FunctionDef(other):
            return other == name
        case _:
            return False


def _names(target: ast.expr, name: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Store) for n in ast.walk(target))
