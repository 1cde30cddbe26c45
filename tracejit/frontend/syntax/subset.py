"""What is outside the language and can be seen without knowing any types: refused when a function is decorated."""

from __future__ import annotations

import ast

from tracejit.errors import ScriptError
from tracejit.frontend.instances.cells import own_nodes
from tracejit.frontend.syntax.desugar import jumps_out
from tracejit.frontend.syntax.source import FunctionSource
from tracejit.frontend.syntax.trees import nodes_in

_PASSED = "_tracejit_passed"

#: Node type -> (what it is, what to write instead).
_REFUSED: dict[type[ast.AST], tuple[str, str]] = {
    ast.Await: ("'await'", "await outside the scripted function"),
    ast.AsyncFor: ("'async for'", "iterate outside the scripted function"),
    ast.AsyncWith: ("'async with'", "enter it outside the scripted function"),
    ast.AsyncFunctionDef: ("an async function", "define a plain function"),
    ast.ClassDef: ("a class definition", "define the class outside the scripted function"),
    ast.TryStar: ("'except*'", "check the condition with 'if', or catch the exception outside"),
    ast.Match: ("a 'match' with this pattern", "use if / elif"),
    ast.Global: ("writing a global name", "return the new value, or write into an array"),
    ast.Nonlocal: ("writing a name of an enclosing function", "return the new value, or write into an array"),
}


def check_subset(source: FunctionSource, may_yield: bool = False) -> None:
    """Raise `ScriptError` at the first construct that no types could make right. What passed is remembered on the node:
    a function is inlined many times."""
    passed: set[bool] = source.node.__dict__.setdefault(_PASSED, set())
    if may_yield in passed:
        return
    inside = nodes_in(source.node)
    found = [node for node in inside if type(node) in _REFUSED and not _is_read_only(node, source.node)]
    if not may_yield and any(isinstance(node, ast.Yield | ast.YieldFrom) for node in inside):
        found += [node for node in own_nodes(source.node) if isinstance(node, ast.Yield | ast.YieldFrom)]
    for node in inside:
        if isinstance(node, ast.Try):
            _check_try(source, node, may_yield)
    if found:
        first = min(found, key=lambda n: (getattr(n, "lineno", 0), getattr(n, "col_offset", 0)))
        what, instead = _REFUSED.get(type(first), ("a generator", "return a list, or call it from a script"))
        raise ScriptError(f"{what} is outside the language", source.span(first), instead=instead)
    passed.add(may_yield)


def _check_try(source: FunctionSource, node: ast.Try, may_yield: bool) -> None:
    """Refuse what `try` cannot have."""
    if jumps_out(node.finalbody):
        text, instead = "a jump out of 'finally'", "set a variable in it, and jump behind it"
    elif not may_yield and any(isinstance(n, ast.Yield | ast.YieldFrom) for n in ast.walk(node)):
        text, instead = "'yield' inside a 'try'", "yield outside of it"
    else:
        return
    raise ScriptError(f"{text} is outside the language", source.span(node), instead=instead)


def _is_read_only(node: ast.AST, function: ast.AST) -> bool:
    """Whether a `global` statement names only what is never written."""
    if not isinstance(node, ast.Global):
        return False
    written = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    return not written & set(node.names)
