"""Generators that call themselves: a call gives all items in a list, at once.

That cannot be told where nothing tells when an item is made: the generator changes nothing and raises nothing by a
statement, and what runs over it changes no object, array or list that the generator could read.
"""

from __future__ import annotations

import ast
import copy
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

from tracejit.frontend.context import Again, Context, Frame
from tracejit.frontend.syntax.source import FunctionSource
from tracejit.frontend.values import Closure, FrontValue, GeneratorValue, Number, Static

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

_COLLECTED = "_tracejit_collected"
_OUT = "$items"

#: Builtin functions that a generator may call.
_HARMLESS = frozenset(
    "abs bool divmod enumerate float int isinstance len list max min range reversed round sorted sum tuple zip".split()
)
#: Methods that a loop over one may call, of lists that the generator does not name.
_ADDING = frozenset(("append", "add", "extend"))


def collect(ctx: Context, value: GeneratorValue, node: ast.AST) -> NoReturn:
    """Lower again with a generator's calls as lists, where that cannot be told."""
    assert ctx.recursion is not None
    source = value.source
    if is_possible(value):
        ctx.recursion.known.collected.add(source.node)
        raise Again
    reason = f"the generator {source.name!r} calls itself, and does more than to yield"
    ctx.refuse(node, reason, "use a list as a stack")


def is_possible(value: GeneratorValue) -> bool:
    """Whether nothing tells when the items of a generator are made."""
    node = value.source.node
    return isinstance(node, ast.FunctionDef) and value.closure is None and _is_pure(node)


def called(
    c: Calls,
    source: FunctionSource,
    args: list[FrontValue],
    kwargs: dict[str, FrontValue],
    node: ast.AST,
    closure: Closure | None,
) -> FrontValue:
    """A call of such a generator: the list of its items."""
    if not _is_used_up(c.ctx.frame, node):
        reason = (
            f"the generator {source.name!r}, which calls itself, is not used up where it is called, or things change "
            "meanwhile"
        )
        c.ctx.refuse(node, reason, f"make a list first: list({source.name}(...))")
    made = source.node.__dict__.get(_COLLECTED)
    if made is None:
        assert isinstance(source.node, ast.FunctionDef)
        made = source.node.__dict__[_COLLECTED] = _collecting(source.node)
    return c.inline(dataclasses.replace(source, node=made), args, kwargs, node, closure)


def _is_pure(fn: ast.FunctionDef) -> bool:
    """Whether a generator changes and raises nothing, and calls nothing but itself and harmless builtins."""
    for n in ast.walk(ast.Module(fn.body, [])):
        match n:
            case (
                ast.Raise() | ast.Assert() | ast.Delete() | ast.With() | ast.Try() | ast.FunctionDef() | ast.Nonlocal()
            ):
                return False
            case ast.Attribute(ctx=ast.Store()) | ast.Subscript(ctx=ast.Store()):
                return False
            case ast.AugAssign(target) if not isinstance(target, ast.Name):
                return False
            case ast.Call(ast.Name(name)) if name in _HARMLESS or name == fn.name:
                pass
            case ast.Call(ast.Attribute(_, name)) if name == fn.name:
                pass
            case ast.Call():
                return False
            case _:
                pass
    yields = [n for n in ast.walk(ast.Module(fn.body, [])) if isinstance(n, ast.Yield | ast.YieldFrom)]
    plain = {id(s.value) for s in ast.walk(ast.Module(fn.body, [])) if isinstance(s, ast.Expr)}
    return all(id(y) in plain for y in yields)


def _is_used_up(frame: Frame, call: ast.AST) -> bool:
    """Whether a function takes the items of a call as they come, and does nothing meanwhile that could tell."""
    fn = frame.source.node
    parent = next((n for n in ast.walk(fn) if any(x is call for x in ast.iter_child_nodes(n))), None)
    if not _takes_items(parent) and not _takes_items(call):  # the call that takes the items of an object
        return False
    return all(_keeps(part, over, frame.env) for part, over in _meanwhile(fn) if any(x is call for x in ast.walk(over)))


def _takes_items(node: ast.AST | None) -> bool:
    match node:
        case ast.Call(ast.Name(name)):
            return name in _HARMLESS
        case ast.Call(ast.Attribute(_, name)):
            return name in _ADDING
        case _:
            return isinstance(node, ast.For | ast.comprehension | ast.YieldFrom | ast.Starred)


def _meanwhile(fn: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """What runs between two items of each loop and comprehension, and what that runs over."""
    for n in ast.walk(fn):
        if isinstance(n, ast.For):
            yield ast.Module([*n.body, *n.orelse], []), n.iter
        if isinstance(n, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
            parts = [n.key, n.value] if isinstance(n, ast.DictComp) else [n.elt]
            for k, g in enumerate(n.generators):
                rest = [*g.ifs, *(x for later in n.generators[k + 1 :] for x in (later.iter, *later.ifs))]
                yield ast.Tuple([*parts, *rest], ast.Load()), g.iter


def _keeps(part: ast.AST, over: ast.AST, env: Mapping[str, FrontValue]) -> bool:
    """Whether statements or expressions change nothing but names, and lists that what is run over does not name."""
    named = {n.id for n in ast.walk(over) if isinstance(n, ast.Name)}
    for n in ast.walk(part):
        match n:
            case ast.Attribute(ctx=ast.Store() | ast.Del()) | ast.Subscript(ctx=ast.Store() | ast.Del()):
                return False
            case ast.AugAssign(ast.Name(name)) if isinstance(env.get(name, Static(0)), Number | Static):
                pass
            case ast.AugAssign():
                return False
            case ast.Call(ast.Attribute(ast.Name(owner), name)) if name in _ADDING and owner not in named:
                pass
            case ast.Call(ast.Name(name)) if name in _HARMLESS:
                pass
            case ast.Call():
                return False
            case _:
                pass
    return True


def _collecting(fn: ast.FunctionDef) -> ast.FunctionDef:
    """The function that gives the items of a generator in a list."""
    made = copy.deepcopy(fn)
    name = ast.Name(_OUT, ast.Load())
    begin = ast.Assign([ast.Name(_OUT, ast.Store())], ast.List([], ast.Load()))
    made.body = [begin, *_statements(made.body), ast.Return(name)]
    for n in ast.walk(made):
        n.__dict__.pop("_tracejit_yields", None)
    ast.copy_location(begin, fn)
    return ast.fix_missing_locations(made)


def _statements(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    return list(_changed(body))


def _changed(body: Iterable[ast.stmt]) -> Iterable[ast.stmt]:
    for s in body:
        match s:
            case ast.Expr(ast.Yield(value)):
                yield _put("append", value or ast.Constant(None), s)
            case ast.Expr(ast.YieldFrom(value)):
                yield _put("extend", value, s)
            case ast.Return():
                yield ast.copy_location(ast.Return(ast.Name(_OUT, ast.Load())), s)
            case ast.If() | ast.For() | ast.While():
                s.body, s.orelse = _statements(s.body), _statements(s.orelse)
                yield s
            case _:
                yield s


def _put(method: str, value: ast.expr, s: ast.stmt) -> ast.stmt:
    call = ast.Call(ast.Attribute(ast.Name(_OUT, ast.Load()), method, ast.Load()), [value], [])
    return ast.copy_location(ast.Expr(call), s)
