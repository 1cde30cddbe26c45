"""Classes that a function defines: made once, while it is compiled, of the code that Python has for them.

`with_classes` turns `class Pair: ...` into `Pair = made(...)`, where `made` knows the definition. What its body does is
done while compiling, so it only defines: methods, fields and constants.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import types
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tracejit.frontend.instances.cells import fresh
from tracejit.frontend.syntax.trees import nodes_in

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls
    from tracejit.frontend.values import FrontValue

#: The classes that were made here: each call of plain Python makes others.
MADE: weakref.WeakSet[type] = weakref.WeakSet()

_REPLACED = "_tracejit_classes"
#: What decorates classes while compiling, and what values of class attributes may be.
_DECORATORS = frozenset(("dataclasses", "functools", "enum"))
_CONSTANTS = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, str, int, float, complex, bytes)
#: What a class body may call.
_CALLED = frozenset(("field", "auto", "property", "staticmethod", "classmethod", "frozenset", "tuple", "range"))


def with_classes(node: Any) -> Any:
    """The function with assignments in the place of its class definitions; the same one each time."""
    found = node.__dict__.get(_REPLACED)
    if found is None:
        found = node
        if any(isinstance(n, ast.ClassDef) for n in nodes_in(node)):
            found = _Classes().visit(fresh(node))
        setattr(node, _REPLACED, found)
        setattr(found, _REPLACED, found)
    return found


class _Classes(ast.NodeTransformer):
    def visit_ClassDef(self, node: ast.ClassDef) -> ast.stmt:
        if node.keywords or getattr(node, "type_params", None):
            return node
        made = ast.Call(ast.Constant(_Definition(node)), list(node.bases), [])  # type: ignore[arg-type]
        bound = ast.Assign([ast.Name(node.name, ast.Store())], made)
        for part in (made.func, made, bound.targets[0], bound):
            ast.copy_location(part, node)
        return bound


class _Definition:
    """A class definition; called with the bases it gives the class."""

    def __init__(self, node: ast.ClassDef) -> None:
        self.node = node
        self.made: dict[tuple[Any, ...], type] = {}  #: by bases and the function around it

    def __deepcopy__(self, memo: object) -> _Definition:
        return self

    def __tracejit_lower__(
        self, c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
    ) -> FrontValue:
        from tracejit.frontend.values import Static

        function = c.ctx.frame.source.function
        code = _code_of(function.__code__, self.node)
        cells = None if code is None else self.cells(c, code)
        if code is None or cells is None:
            return self.refuse(c, node, "reads names of the function around it (but of classes)")
        for s in self.node.body:
            if not _only_defines(s):
                self.refuse(c, node, "does more than to define methods, fields and constants")
        for name in sorted(set(_names_read(self.node)) & function.__globals__.keys()):
            c.outer_name(node, name)  # type: ignore[arg-type]
            if not isinstance(function.__globals__[name], _CONSTANTS):
                self.refuse(c, node, f"reads {name!r} while it is defined")
        bases = tuple(c.static(a, node, "a base class") for a in args)
        known = [cell.cell_contents for name, cell in cells.items() if name != self.node.name]
        key = (function.__code__, id(function.__globals__), *bases, *known)
        if key not in self.made:
            self.made[key] = made = self.make(c, code, bases, tuple(cells.values()), node)
            if self.node.name in cells:
                cells[self.node.name].cell_contents = made
        return Static(self.made[key])

    def cells(self, c: Calls, code: types.CodeType) -> dict[str, types.CellType] | None:
        """What holds the classes of the function that its methods name, which are bound once; its own is not there yet.
        None where they name something else."""
        from tracejit.frontend.values import Static

        found: dict[str, types.CellType] = {}
        names = [
            n.id
            for n in nodes_in(c.ctx.frame.source.node)
            if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)
        ]
        for name in code.co_freevars:
            value = c.ctx.frame.env.get(name)
            is_class = isinstance(value, Static) and isinstance(value.value, type)
            if names.count(name) != 1 or not (is_class or name == self.node.name):
                return None
            found[name] = types.CellType(value.value) if name != self.node.name else types.CellType()  # type: ignore[union-attr]
        return found

    def make(
        self, c: Calls, code: types.CodeType, bases: tuple[Any, ...], cells: tuple[types.CellType, ...], node: ast.AST
    ) -> type:
        body = types.FunctionType(code, c.ctx.frame.source.function.__globals__, closure=cells)
        try:
            made = builtins.__build_class__(body, self.node.name, *bases)
            for decorator in reversed(self.node.decorator_list):
                made = self.decorator(c, decorator, node)(made)
        except Exception as error:
            c.arith.mismatch(error, node)
        shared = (list, dict, set, bytearray)
        targets = (t for s in self.node.body for t in _targets(s) if isinstance(t, ast.Name))
        if any(isinstance(vars(made).get(t.id), shared) for t in targets if not t.id.startswith("__")):
            self.refuse(c, node, "has an attribute that all its instances would change")
        MADE.add(made)
        return made

    def decorator(self, c: Calls, decorator: ast.expr, node: ast.AST) -> Any:
        call = decorator if isinstance(decorator, ast.Call) else None
        fn = c.static(c.expressions.value(decorator if call is None else call.func), node, "a decorator")
        if getattr(fn, "__module__", None) not in _DECORATORS:
            self.refuse(c, node, "is decorated")
        if call is None:
            return fn
        given = [*call.args, *(k.value for k in call.keywords)]
        if not all(isinstance(a, ast.Constant) for a in given) or any(k.arg is None for k in call.keywords):
            self.refuse(c, node, "is decorated")
        return fn(*map(ast.literal_eval, call.args), **{str(k.arg): ast.literal_eval(k.value) for k in call.keywords})

    def refuse(self, c: Calls, node: ast.AST, why: str) -> Any:
        reason = f"a class definition inside a script that {why} is outside the language"
        c.ctx.refuse(node, reason, "define the class outside the scripted function")


def _code_of(code: types.CodeType, node: ast.ClassDef) -> types.CodeType | None:
    """The code of a class body, which lies in that of the function."""
    lines = {node.lineno, *(d.lineno for d in node.decorator_list)}
    for inner in (c for c in code.co_consts if isinstance(c, types.CodeType)):
        if inner.co_name == node.name and inner.co_firstlineno in lines and not inner.co_flags & inspect.CO_OPTIMIZED:
            return inner
        if (found := _code_of(inner, node)) is not None:
            return found
    return None


def _only_defines(s: ast.stmt) -> bool:
    match s:
        case ast.FunctionDef() | ast.Pass() | ast.Expr(ast.Constant()):
            return True
        case ast.Assign(_, value) | ast.AnnAssign(value=value):
            return value is None or all(map(_is_plain, nodes_in(value)))
        case _:
            return False


def _targets(s: ast.stmt) -> list[ast.expr]:
    """What a statement of a class body assigns to."""
    match s:
        case ast.Assign(targets):
            return targets
        case ast.AnnAssign(target):
            return [target]
        case _:
            return []


def _is_plain(n: ast.AST) -> bool:
    """Whether evaluating a part of an expression only makes a value."""
    if isinstance(n, ast.Call):
        name = n.func.attr if isinstance(n.func, ast.Attribute) else getattr(n.func, "id", None)
        return name in _CALLED
    return not isinstance(n, ast.Await | ast.NamedExpr | ast.Yield | ast.YieldFrom)


def _names_read(node: ast.ClassDef) -> Iterator[str]:
    """The names that a class definition reads when it runs, those in its methods left out."""
    waiting: list[ast.AST] = [*node.body]
    while waiting:
        n = waiting.pop()
        match n:
            case ast.Name(name, ast.Load()):
                yield name
            case ast.FunctionDef():
                waiting += [*n.decorator_list, *n.args.defaults, *(d for d in n.args.kw_defaults if d)]
            case ast.Lambda():
                pass
            case _:
                waiting += ast.iter_child_nodes(n)
