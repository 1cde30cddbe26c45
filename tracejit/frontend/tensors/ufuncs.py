"""Methods of NumPy's ufuncs: `np.add.outer`, `reduce`, `accumulate`, `at`, `reduceat`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

import numpy as np

from tracejit.frontend.functions.arguments import as_array
from tracejit.frontend.functions.names import elementwise_names, resolve
from tracejit.frontend.syntax.source import function_source
from tracejit.frontend.tensors.arrays import function
from tracejit.frontend.tensors.joining import with_axis
from tracejit.frontend.values import FrontValue, Static, TupleValue
from tracejit.frontend.written import replacement
from tracejit.frontend.written import ufuncs as written

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

#: The library function that a ufunc's `reduce` and `accumulate` are.
_FOLDS = {
    "add": ("sum", "cumsum"),
    "multiply": ("prod", "cumprod"),
    "maximum": ("max", ""),
    "minimum": ("min", ""),
    "logical_and": ("all", ""),
    "logical_or": ("any", ""),
}
_METHODS = {name: getattr(written, name) for name in ("reduce", "accumulate", "at", "reduceat", "outer")}


#: What NumPy's ufuncs take beside their operands.
_OPTIONS = frozenset(("out", "where", "dtype", "casting", "order", "subok"))


def has_options(ufunc: Any, args: list[FrontValue], kwargs: dict[str, FrontValue]) -> bool:
    """Whether a call of a ufunc that is no elementwise op has more than operands."""
    is_other = isinstance(ufunc, np.ufunc) and (
        replacement(ufunc) is not None or resolve(ufunc) not in elementwise_names()
    )
    return is_other and ufunc.nout == 1 and (len(args) > ufunc.nin or not _OPTIONS.isdisjoint(kwargs))


def with_options(
    calls: Calls, ufunc: Any, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    """A call of such a ufunc, with `out`, `where`, `dtype` and `casting`."""
    given = dict(zip(("out",), args[ufunc.nin :], strict=False)) | kwargs
    inputs = TupleValue(tuple(args[: ufunc.nin]))
    return calls.inline(function_source(written.with_options), [Static(ufunc), inputs], given, node, None)


def ufunc_method(
    calls: Calls, ufunc: np.ufunc, name: str, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    """`ufunc.name(...)`."""
    if ufunc.nin != 2:
        return calls.arith.mismatch(ValueError(f"{name} only supported for binary functions"), node)
    known = resolve(ufunc)
    if name == "outer" and known is not None and replacement(ufunc) is None:
        x, y = (as_array(calls, a, node) for a in args)
        for _ in range(y.rank):
            x = with_axis(x, x.rank)
        return function(calls, known, [x, y], kwargs, node)
    folds = _FOLDS.get(ufunc.__name__, ("", ""))
    fold = {"reduce": folds[0], "accumulate": folds[1]}.get(name, "")
    if fold:
        names = ("axis", "dtype", "out", *(("keepdims",) if name == "reduce" else ()))
        given = dict(zip(names, args[1:], strict=False)) | kwargs
        given.setdefault("axis", Static(0))
        return function(calls, fold, [calls.operand_array(args[0], node)], given, node)
    body = _METHODS.get(name)
    if body is None:
        calls.ctx.refuse(node, f"np.{ufunc.__name__}.{name} is not available in a script", "write it as a loop")
    return calls.inline(function_source(body), [Static(ufunc), *args], kwargs, node, None)
