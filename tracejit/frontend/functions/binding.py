"""Arguments bound to parameters: of functions in Python, and of the `__init__` of dataclasses and NamedTuples."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from tracejit.frontend.functions.builtin_arguments import missing_arguments, too_many_arguments
from tracejit.frontend.syntax.source import FunctionSource
from tracejit.frontend.values import Closure, DictValue, FrontValue, Rest, TupleValue

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


def bound(
    c: Calls,
    source: FunctionSource,
    args: list[FrontValue],
    kwargs: dict[str, FrontValue],
    node: ast.AST,
    closure: Closure | None,
) -> dict[str, FrontValue]:
    """Arguments bound to parameters, as Python does."""
    parameters = source.node.args
    if closure is not None:
        defaults: list[FrontValue] = list(closure.defaults)
        kw_defaults: dict[str, FrontValue | None] = {
            p.arg: d for p, d in zip(parameters.kwonlyargs, closure.kw_defaults, strict=False)
        }
    else:
        defaults, kw_defaults = c.statics.defaults(source.function)
    positional = [*parameters.posonlyargs, *parameters.args]
    rest = args[-1] if args and isinstance(args[-1], Rest) else None
    args = args if rest is None else args[:-1]
    env: dict[str, FrontValue] = {p.arg: a for p, a in zip(positional, args, strict=False)}
    names = {p.arg for p in [*parameters.args, *parameters.kwonlyargs]}
    extra: dict[Any, FrontValue] = {}
    for name, value in kwargs.items():
        if name in names:
            if name in env:
                title = source.qualname
                c.arith.mismatch(TypeError(f"{title}() got multiple values for argument '{name}'"), node)
            env[name] = value
        elif parameters.kwarg is not None:
            extra[name] = value
        else:
            unknown_keyword(c, source, name, node)
    if parameters.vararg is None and len(args) > len(positional):
        named = sum(p.arg in env for p in parameters.kwonlyargs)
        text = too_many_arguments(len(positional) - len(defaults), len(positional), len(args), named)
        c.arith.mismatch(TypeError(f"{source.qualname}() {text}"), node)
    if parameters.vararg is not None:
        more: FrontValue = TupleValue(tuple(args[len(positional) :]))
        if rest is not None:
            more = c.expressions.binary("add", more, rest.items, node) if args[len(positional) :] else rest.items
        env[parameters.vararg.arg] = more
    if parameters.kwarg is not None:
        env[parameters.kwarg.arg] = c.ctx.new_object(DictValue(extra), node, "kwargs")
    for p, default in zip(reversed(positional), reversed(defaults), strict=False):
        env.setdefault(p.arg, default)
    for p in parameters.kwonlyargs:
        default = kw_defaults.get(p.arg)
        if default is not None:
            env.setdefault(p.arg, default)
    for kind, group in (("positional", positional), ("keyword-only", parameters.kwonlyargs)):
        if missing := [p.arg for p in group if p.arg not in env]:
            c.arith.mismatch(TypeError(f"{source.qualname}() {missing_arguments(kind, missing)}"), node)
    return env


def bound_fields(
    c: Calls,
    cls: type,
    names: list[str],
    defaults: dict[str, Any],
    args: list[FrontValue],
    kwargs: dict[str, FrontValue],
    node: ast.AST,
    positional: int | None = None,
) -> dict[str, FrontValue]:
    """Arguments of a generated `__init__` by field."""
    title = f"{cls.__name__}.__new__()" if issubclass(cls, tuple) else f"{cls.__qualname__}.__init__()"
    most = len(names) if positional is None else positional
    if len(args) > most:
        least = sum(name not in defaults for name in names[:most])
        text = too_many_arguments(least + 1, most + 1, len(args) + 1)
        c.arith.mismatch(TypeError(f"{title} {text}"), node)
    bound = dict(zip(names, args, strict=False))
    for name, value in kwargs.items():
        if name in bound:
            c.arith.mismatch(TypeError(f"{title} got multiple values for argument '{name}'"), node)
        if name not in names and name not in defaults:
            c.arith.mismatch(TypeError(f"{title} got an unexpected keyword argument '{name}'"), node)
        bound[name] = value
    for name in names:
        if name not in bound and name in defaults:
            bound[name] = c.of_object(defaults[name])
    missing = [n for n in names if n not in bound]
    if missing:
        text = missing_arguments("positional", missing)
        c.arith.mismatch(TypeError(f"{title} {text}"), node)
    return {name: bound[name] for name in names}


def unknown_keyword(calls: Calls, source: FunctionSource, name: str, node: ast.AST) -> None:
    """A keyword that a function does not have: a TypeError, or outside the language where NumPy's may have it."""
    if source.is_library:
        function = source.name.removesuffix("_of")
        calls.ctx.refuse(node, f"{function}() has no keyword {name!r} in a script", "leave it out")
    calls.arith.mismatch(TypeError(f"{source.qualname}() got an unexpected keyword argument '{name}'"), node)
