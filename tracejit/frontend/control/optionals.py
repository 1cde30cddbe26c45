"""Values that may be None at run time: where None meets a value the name becomes an `OptionalValue`, of which
conditions say more (`refinement.py`)."""

from __future__ import annotations

import ast
import math
from functools import partial
from typing import TYPE_CHECKING, Any

from tracejit.errors import ScriptError, error_kind
from tracejit.frontend.functions.builtin_arguments import wrong_operands
from tracejit.frontend.functions.pure import is_pure_builtin
from tracejit.frontend.values import (
    ArrayView,
    FrontValue,
    MaybeNumber,
    MaybeUnbound,
    MessageValue,
    Number,
    OptionalValue,
    SharedObject,
    SharedVariant,
    Static,
    describe,
    type_name,
)
from tracejit.ir.core import Value
from tracejit.ir.types import BOOL, DType, ScalarType

if TYPE_CHECKING:
    from tracejit.frontend.context import Context
    from tracejit.frontend.expressions import Expressions
    from tracejit.frontend.tensors.indexing import Indexing


#: Where it is not said what plain Python does with None.
_UNNAMED = "unsupported operand: this is None here"
#: What Python calls the kinds of numbers.
_PYTHONS = {"b": "bool", "i": "int", "u": "int", "f": "float", "c": "complex"}


def is_none(value: FrontValue | None) -> bool:
    """Whether a value is None for certain."""
    return isinstance(value, Static) and value.value is None


def require_value(
    ctx: Context,
    value: OptionalValue,
    error: str = "TypeError",
    message: str = _UNNAMED,
) -> FrontValue:
    """What may be None is used as if it were not: the value, where that is checked when it runs."""
    if value.checked or isinstance(value.value, SharedObject | SharedVariant):
        ctx.check(value.some, error, message)
        return value.value
    from tracejit.frontend.instances.pooled_objects import pool_if_possible

    pool_if_possible(ctx, [value.value])
    if message != _UNNAMED:
        ctx.check(value.some, error, message)
        return value.value
    raise ScriptError(
        f"this is {describe(value)}: it may be None here",
        ctx.b.span,
        instead="refine it first: if x is not None: ...",
    )


#: What is raised where the sum of a list of arrays is read that has none.
EMPTY_TOTAL = "sum() of an empty list of arrays is a number in Python, which a script cannot return in its place"


def require_bound(ctx: Context, found: MaybeUnbound, error: str, text: str) -> None:
    """A name is read that is bound on some paths only, or an array on some."""
    error, text = ("TypeError", EMPTY_TOTAL) if isinstance(found, MaybeNumber) else (error, text)
    ctx.check(found.bound, error, text)


def bound_array(ctx: Context, found: MaybeNumber) -> FrontValue:
    """The array that a name stands for; a TypeError where it is a number."""
    ctx.at(found.node)
    require_bound(ctx, found, "", "")
    return found.value


def there_to_run_over(ctx: Context, value: FrontValue) -> FrontValue:
    """What a loop is to run over: a TypeError where it is None."""
    absent = "'NoneType' object is not iterable"
    return require_value(ctx, value, message=absent) if isinstance(value, OptionalValue) else value


def given_alone(ctx: Context, fn: Any, args: list[FrontValue]) -> list[FrontValue]:
    """The only argument of a builtin, or of a function of `math` or NumPy, which raises Python's error where it is
    None; others unchanged, and those of functions that take None."""
    if len(args) != 1 or not isinstance(args[0], OptionalValue) or fn is print or not is_pure_builtin(fn):
        return args
    try:
        fn(None)
    except Exception as error:
        return [require_value(ctx, args[0], error_kind(type(error)), str(error))]
    return args


def as_index(ctx: Context, value: FrontValue, kind: str) -> FrontValue:
    """The index of a list or tuple, as `kind` says, which is a TypeError where it is None; others unchanged."""
    absent = f"{kind} indices must be integers or slices, not NoneType"
    return require_value(ctx, value, message=absent) if isinstance(value, OptionalValue) else value


def as_real(ctx: Context, value: FrontValue) -> FrontValue:
    """An argument of a function of `math`, which is a TypeError where it is None; others unchanged."""
    absent = "must be real number, not NoneType"
    return require_value(ctx, value, message=absent) if isinstance(value, OptionalValue) else value


def as_integer(ctx: Context, value: FrontValue) -> FrontValue:
    """What a size or index is made of, which is a TypeError where it is None; others unchanged."""
    absent = "'NoneType' object cannot be interpreted as an integer"
    return require_value(ctx, value, message=absent) if isinstance(value, OptionalValue) else value


def as_element(indexing: Indexing, value: FrontValue, dtype: DType, node: ast.AST) -> FrontValue:
    """What NumPy puts into an array for a value that is None, perhaps at run time only: nan, or False; into integers, a
    TypeError. It is none for arrays of PyTorch's."""
    ctx = indexing.ctx
    if ctx.tensors or not (is_none(value) or isinstance(value, OptionalValue)):
        return value if not isinstance(value, OptionalValue) else require_value(ctx, value)
    absent = Static(False) if dtype == BOOL else Static(complex(math.nan, math.nan) if dtype.kind == "c" else math.nan)
    given = value.value if isinstance(value, OptionalValue) else absent
    if dtype.is_integer:
        some = value.some if isinstance(value, OptionalValue) else ctx.b.constant(False, ScalarType(BOOL))
        text = "int() argument must be a string, a bytes-like object or a real number, not 'NoneType'"
        ctx.check(some, "TypeError", text)
        return given
    if not isinstance(value, OptionalValue):
        return absent
    if not isinstance(given, Number):
        return require_value(ctx, value)
    sides = (indexing.element_value(x, dtype, node) for x in (given, absent))
    return Number(ctx.b.emit("select", (value.some, *sides))[0], weak=False)


# -- operations ---------------------------------------------------------------------------------------------------


def truth(expressions: Expressions, x: OptionalValue, node: ast.AST) -> Value:
    """`bool(x)`."""
    b = expressions.ctx.b
    if isinstance(x.value, Number):
        inner = expressions.arith.truth(x.value, node)
        assert isinstance(inner, Value)
        return b.emit("logical_and", (x.some, inner))[0]
    if not isinstance(x.value, ArrayView):
        inner = expressions.arith.truth(x.value, node)
        if isinstance(inner, bool):
            return x.some if inner else b.constant(False, ScalarType(BOOL))
    made = expressions.choose(node, x.some, lambda: as_bool(expressions, x.value, node), lambda: Static(False))
    return expressions.arith.scalar(made, BOOL)


def as_bool(expressions: Expressions, x: FrontValue, node: ast.AST) -> FrontValue:
    """A truth as a front-end value."""
    found = expressions.arith.truth(x, node)
    return Static(found) if isinstance(found, bool) else Number(found, weak=True)


def undefined(ctx: Context, op: str, x: FrontValue, y: FrontValue, node: ast.AST) -> str:
    """What Python says of an operator that is not defined between two types; beside None, NumPy turns its scalars into
    Python's first."""
    names = ["Tensor" if ctx.tensors and isinstance(v, ArrayView) else type_name(v) for v in (x, y)]
    for i, (one, other) in enumerate(((x, y), (y, x))):
        if isinstance(one, Number) and not one.weak and is_none(other):
            names[i] = _PYTHONS[one.dtype.kind]
    return wrong_operands(op, *names, in_place=isinstance(node, ast.AugAssign) and not isinstance(x, ArrayView))


def operated(expressions: Expressions, op: str, x: FrontValue, y: FrontValue, node: ast.AST) -> FrontValue | None:
    """`x op y` where one side may be None, for which most operators are a TypeError; None where it is an array or a
    template of text."""
    if op in ("eq", "ne"):
        return compared(expressions, op, x, y, node)
    a, b = (v.value if isinstance(v, OptionalValue) else v for v in (x, y))
    if isinstance(a, ArrayView) or isinstance(b, ArrayView) or (op == "mod" and isinstance(a, Static | MessageValue)):
        return None
    if any(expressions.calls.objects.has_operator(v, op) for v in (a, b)):
        value = x if isinstance(x, OptionalValue) else y
        assert isinstance(value, OptionalValue)
        there, absent = (
            partial(expressions.binary, op, *((v, y) if value is x else (x, v)), node)
            for v in (value.value, Static(None))
        )
        return expressions.choose(node, value.some, there, absent)
    both = [v.some for v in (x, y) if isinstance(v, OptionalValue)]
    if len(both) == 2:
        either = expressions.ctx.b.emit("logical_or", tuple(both))[0]
        expressions.ctx.check(either, "TypeError", undefined(expressions.ctx, op, Static(None), Static(None), node))
    for value, pair in ((x, (Static(None), b)), (y, (a, Static(None)))):
        if isinstance(value, OptionalValue):
            expressions.ctx.check(value.some, "TypeError", undefined(expressions.ctx, op, *pair, node))
    return expressions.binary(op, a, b, node)


def compared(expressions: Expressions, op: str, x: FrontValue, y: FrontValue, node: ast.AST) -> FrontValue:
    """`==` and `!=` where one side may be None: None equals None only."""
    if not isinstance(x, OptionalValue):
        x, y = y, x
    assert isinstance(x, OptionalValue)
    if isinstance(y, OptionalValue):
        inner = y
        return expressions.choose(
            node,
            x.some,
            lambda: expressions.binary(op, x.value, inner, node),
            lambda: expressions.binary(op, Static(None), inner, node),
        )
    if is_none(y):
        some = Number(x.some, weak=True)
        return some if op == "ne" else expressions.negated(some, node)
    return expressions.choose(
        node, x.some, lambda: expressions.binary(op, x.value, y, node), lambda: Static(op == "ne")
    )
