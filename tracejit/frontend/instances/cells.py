"""Names that a nested function rebinds (`nonlocal`): attributes of an object that both functions know.

`rewritten` turns `total` into `$total.total` in the function that owns the name and in those around which it is seen,
and lets the owner begin with `$total = Cell()`. What attributes of objects do in branches, loops and calls then holds
for such names.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable
from typing import Any

from tracejit.frontend.syntax.trees import nodes_in
from tracejit.frontend.written.cells import Cell

_REWRITTEN = "_tracejit_cells"

Function = ast.FunctionDef | ast.Lambda
Comprehension = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp


def rewritten(node: Any) -> Any:
    """The function with cells for the names that functions in it rebind; the same one each time."""
    found = getattr(node, _REWRITTEN, None)
    if found is None:
        found = node
        if any(isinstance(n, ast.Nonlocal) for n in nodes_in(node)):
            found = fresh(node)
            _own_cells(found)
        setattr(node, _REWRITTEN, found)
        setattr(found, _REWRITTEN, found)
    return found


def fresh(node: Any) -> Any:
    """A copy of a tree, without what is remembered on its nodes."""
    made = copy.deepcopy(node)
    for inner in ast.walk(made):
        for name in [k for k in inner.__dict__ if k.startswith("_tracejit")]:
            del inner.__dict__[name]
    return made


def _own_cells(owner: Function) -> None:
    """Give cells to the names of a function, and of those in it, that inner functions rebind."""
    for inner in _inner_functions(owner):
        _own_cells(inner)
    functions = {n.name for n in own_nodes(owner) if isinstance(n, ast.FunctionDef)}
    names = sorted((_rebound_below(owner) & names_of(owner)) - functions)
    if names and isinstance(owner, ast.FunctionDef):
        give_cells(owner, names)


def give_cells(owner: ast.FunctionDef, names: Iterable[str]) -> None:
    """Give cells to names that the function binds."""
    names = frozenset(names)
    parameters = _parameters(owner) & names
    owner.body = [Renaming(names).visit(s) for s in owner.body]
    head: list[ast.stmt] = []
    for name in sorted(names):
        made = ast.Call(ast.Constant(Cell), [], [])  # type: ignore[arg-type]
        head.append(ast.Assign([ast.Name(f"${name}", ast.Store())], made))
        if name in parameters:
            own = ast.Attribute(ast.Name(f"${name}", ast.Load()), name, ast.Store())
            head.append(ast.Assign([own], ast.Name(name, ast.Load())))
    for s in head:
        ast.fix_missing_locations(ast.copy_location(s, owner.body[0]))
    owner.body[:0] = head


class Renaming(ast.NodeTransformer):
    """Puts cells in the place of names, where they are those of the function around."""

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names

    def inner(self, hidden: set[str]) -> Renaming:
        """What renames where some of the names are others."""
        return Renaming(self.names - hidden)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id not in self.names:
            return node
        cell = ast.copy_location(ast.Name(f"${node.id}", ast.Load()), node)
        return ast.copy_location(ast.Attribute(cell, node.id, node.ctx), node)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.stmt:
        node.names = [n for n in node.names if n not in self.names]
        return node if node.names else ast.copy_location(ast.Pass(), node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        node.decorator_list = [self.visit(d) for d in node.decorator_list]
        self.defaults(node.args)
        inner = self.inner(names_of(node))
        node.body = [inner.visit(s) for s in node.body]
        return node

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        self.defaults(node.args)
        node.body = self.inner(names_of(node)).visit(node.body)
        return node

    def defaults(self, args: ast.arguments) -> None:
        args.defaults = [self.visit(d) for d in args.defaults]
        args.kw_defaults = [None if d is None else self.visit(d) for d in args.kw_defaults]

    def comprehension(self, node: Comprehension) -> ast.AST:
        first = node.generators[0]
        source = self.visit(first.iter)
        targets = {n.id for g in node.generators for n in ast.walk(g.target) if isinstance(n, ast.Name)}
        first.iter = ast.Constant(None)
        self.inner(targets).generic_visit(node)
        first.iter = source
        return node

    visit_ListComp = visit_SetComp = visit_GeneratorExp = visit_DictComp = comprehension


def _parameters(node: Function) -> set[str]:
    args = node.args
    every = [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]
    return {a.arg for a in every if a is not None}


def own_nodes(node: Function) -> Iterable[ast.AST]:
    """The nodes of a function's body, those of functions and comprehensions in it left out but for their names."""
    todo: list[ast.AST] = list(node.body) if isinstance(node, ast.FunctionDef) else [node.body]
    while todo:
        found = todo.pop()
        yield found
        match found:
            case ast.FunctionDef():
                todo += [*found.decorator_list, *found.args.defaults, *(d for d in found.args.kw_defaults if d)]
            case ast.Lambda():
                todo += [*found.args.defaults, *(d for d in found.args.kw_defaults if d)]
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                todo.append(found.generators[0].iter)
                todo += [n for n in ast.walk(found) if isinstance(n, ast.NamedExpr)]
            case _:
                todo += ast.iter_child_nodes(found)


def _inner_functions(node: Function) -> list[Function]:
    """The functions that stand directly in a function."""
    found: list[Function] = []
    todo: list[ast.AST] = list(node.body) if isinstance(node, ast.FunctionDef) else [node.body]
    while todo:
        inner = todo.pop()
        if isinstance(inner, ast.FunctionDef | ast.Lambda):
            found.append(inner)
        else:
            todo += ast.iter_child_nodes(inner)
    return found


def _declared(node: Function) -> set[str]:
    """Names that a function says are not its own."""
    return {n for s in own_nodes(node) if isinstance(s, ast.Nonlocal | ast.Global) for n in s.names}


def names_of(node: Function) -> set[str]:
    """Names that are the function's own and may be cells: parameters and what its assignments bind."""
    found = _parameters(node)
    for inner in own_nodes(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store | ast.Del):
            found.add(inner.id)
        elif isinstance(inner, ast.FunctionDef):
            found.add(inner.name)
    return found - _declared(node)


def _rebound_below(node: Function) -> set[str]:
    """Names that functions in a function take from around them and rebind."""
    found: set[str] = set()
    for inner in _inner_functions(node):
        declared = {n for s in own_nodes(inner) if isinstance(s, ast.Nonlocal) for n in s.names}
        found |= declared | (_rebound_below(inner) - names_of(inner))
    return found
