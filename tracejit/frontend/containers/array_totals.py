"""`sum(arrays)` beside an array (`y + h * sum(a * k for ...)`): where there are no arrays, `sum` is the number 0."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tracejit.frontend.arith import BINARY
from tracejit.frontend.containers.iterators import arguments
from tracejit.frontend.containers.placed_arrays import release, takes_items
from tracejit.frontend.kinds import ArrayKind, number_type
from tracejit.frontend.syntax.trees import nodes_in
from tracejit.frontend.tensors.index_items import is_view_index
from tracejit.frontend.values import ArrayView, FrontValue, GrowingList, MaybeNumber, Static
from tracejit.ir.core import Value
from tracejit.ir.types import F64, DType
from tracejit.records import record

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

#: Kinds of dtypes, each of which holds the numbers of those before.
_KINDS = "buifc"


def beside_sum(c: Calls, op: str, left: ast.expr, right: ast.expr, node: ast.AST) -> FrontValue | None:
    """`left op right`, where one of them is such a sum; None for others, of which nothing was evaluated."""
    if op not in ("add", "sub", "mul"):
        return None
    if (call := _total_in(c, right)) is not None:
        x = c.expressions.value(left)
        return _chosen(c, right, call, x, lambda total: c.expressions.binary(op, x, total, node), node)
    if (call := _total_in(c, left)) is not None and _calls_nothing(right):
        x = c.expressions.value(right)
        return _chosen(c, left, call, x, lambda total: c.expressions.binary(op, total, x, node), node)
    return None


def updating(c: Calls, target: FrontValue, value: ast.expr) -> FrontValue:
    """The value of `target op= value`; that of such a sum has the shape of the target where it is a number."""
    call = _total_in(c, value)
    if call is None:
        return c.expressions.value(value)
    return _chosen(c, value, call, target, lambda total: _as_array(c, total, target), value)


def stored(c: Calls, targets: Sequence[ast.expr], value: ast.expr) -> FrontValue | None:
    """The value of `x[index] = value` where that is such a sum, as above, and of `name = value` where that name stands
    beside others; None for others, of which nothing was evaluated."""
    match targets:
        case [ast.Name(name)] if (call := _total_in(c, value)) is not None and name in _names_beside_others(c):
            return _named(c, value, call)
        case [ast.Subscript(base, index)] if _calls_nothing(base) and _calls_nothing(index):
            if (call := _total_in(c, value)) is None:
                return None
            x = c.expressions.value(base)
            items = c.expressions.index_items(index) if isinstance(x, ArrayView) else []
            if isinstance(x, ArrayView) and is_view_index(items):
                x = c.indexing.read(x, items, value)
            return _chosen(c, value, call, x, lambda total: _as_array(c, total, x), value)
        case _:
            return None


def _names_beside_others(c: Calls) -> set[str]:
    """The names that a function adds to others, or subtracts."""
    node = c.ctx.frame.source.node
    found: set[str] | None = node.__dict__.get("_tracejit_beside_others")
    if found is None:
        parts = [n for n in nodes_in(node) if isinstance(n, ast.BinOp | ast.AugAssign | ast.Assign)]
        names: list[str | None] = []
        for n in parts:
            if isinstance(n, ast.BinOp):
                names += [_name_in(n.left), _name_in(n.right)] if isinstance(n.op, ast.Add | ast.Sub) else []
            else:
                names.append(_name_in(n.value))
        found = node.__dict__["_tracejit_beside_others"] = {name for name in names if name is not None}
    return found


def _name_in(value: ast.expr) -> str | None:
    """The name that an expression multiplies, divides or changes the sign of."""
    match value:
        case ast.Name(name):
            return name
        case ast.UnaryOp(ast.USub() | ast.UAdd(), operand):
            return _name_in(operand)
        case ast.BinOp(left, ast.Mult() | ast.Div(), right):
            return _name_in(left) or _name_in(right)
        case _:
            return None


def _total_in(c: Calls, value: ast.expr) -> ast.Call | ast.Name | None:
    """The call of `sum`, or the name of what one gave, that an expression multiplies, divides or changes the sign of;
    None for others."""
    match value:
        case ast.Call(ast.Name("sum"), [items], []) if not isinstance(items, ast.Starred):
            return value
        case ast.Name(name) if isinstance(c.ctx.frame.env.get(name), MaybeNumber):
            return value
        case ast.UnaryOp(ast.USub() | ast.UAdd(), operand):
            return _total_in(c, operand)
        case ast.BinOp(left, ast.Mult() | ast.Div() as op, right):
            if _calls_nothing(right) and (found := _total_in(c, left)) is not None:
                return found
            return _total_in(c, right) if isinstance(op, ast.Mult) and _calls_nothing(left) else None
        case _:
            return None


def _calls_nothing(value: ast.expr) -> bool:
    """Whether it does not matter when, and how often, an expression is evaluated."""
    return not any(isinstance(n, ast.Call | ast.NamedExpr | ast.Await | ast.comprehension) for n in nodes_in(value))


@record
class _Total:
    """What gives such a sum: the array where `is_some` holds (None: always), made when it is asked for, elsewhere the
    number `none`; `dtype` and `rank` are those of the arrays."""

    make: Callable[[], FrontValue]
    is_some: Value | None = None
    none: FrontValue = Static(0)
    dtype: DType = F64
    rank: int = 0
    done: Callable[[], None] | None = None


def _total(c: Calls, call: ast.Call | ast.Name) -> _Total | None:
    """The sum that was found in an expression, with its arguments evaluated; None where another function is called."""
    if isinstance(call, ast.Name):
        found = c.ctx.frame.env[call.id]
        assert isinstance(found, MaybeNumber) and isinstance(found.value, ArrayView)
        return _Total(lambda: found.value, found.bound, found.number, found.value.dtype, found.value.rank)
    fn = c.expressions.value(call.func)
    if not (isinstance(fn, Static) and fn.value is sum):
        return None
    held = set(c.ctx.storage.held)
    given = arguments(c, fn, call.args)

    def make() -> FrontValue:
        return c.call_value(fn, given, {}, call)

    lst = given[0]
    if not isinstance(lst, GrowingList) or not isinstance(lst.kind, ArrayKind):
        return _Total(make)
    zero = c.ctx.size_value(0)
    is_some = c.ctx.b.emit("gt", (c.ctx.size_value(c.ctx.list_length(lst)), zero))[0]

    def done() -> None:
        if takes_items(c.ctx, fn, call.args):
            release(c.ctx, call.args, given, held)

    return _Total(make, is_some, Static(0), lst.kind.dtype, len(lst.kind.sizes), done)


def _chosen(
    c: Calls,
    value: ast.expr,
    call: ast.Call | ast.Name,
    beside: FrontValue,
    finish: Callable[[FrontValue], FrontValue],
    node: ast.AST,
) -> FrontValue:
    """What `finish` makes of a value with such a sum in it, both where there are arrays and where there are none."""
    total = _total(c, call) if isinstance(beside, ArrayView) and beside.rank > 0 else None
    if total is None:
        return finish(c.expressions.value(value))

    def some() -> FrontValue:
        return finish(_with(c, value, call, total.make()))

    if total.is_some is None:
        return some()
    made = c.expressions.choose(node, total.is_some, some, lambda: finish(_with(c, value, call, total.none)))
    if total.done is not None:
        total.done()
    return made


def _named(c: Calls, value: ast.expr, call: ast.Call | ast.Name) -> FrontValue | None:
    """A value with such a sum in it that gets a name: the array or the number."""
    total = _total(c, call)
    if total is None:
        return None

    def some() -> FrontValue:
        return _with(c, value, call, total.make())

    if total.is_some is None:
        return some()
    number = _with(c, value, call, total.none)
    none = [c.ctx.size_value(0)] * total.rank
    is_number = not isinstance(number, ArrayView)
    made = c.expressions.choose(
        value, total.is_some, some, lambda: c.lists.any_array(total.dtype, none) if is_number else number
    )
    if total.done is not None:
        total.done()
    return MaybeNumber(total.is_some, made, number, value) if is_number else made


def _with(c: Calls, value: ast.expr, call: ast.Call | ast.Name, total: FrontValue) -> FrontValue:
    """An expression with a value in the place of its call of `sum`."""
    match value:
        case ast.UnaryOp(op, operand):
            return c.expressions.unary(op, _with(c, operand, call, total), value)
        case ast.BinOp(left, op, right):
            x, y = (
                _with(c, e, call, total) if _total_in(c, e) is call else c.expressions.value(e) for e in (left, right)
            )
            return c.expressions.binary(BINARY[type(op)], x, y, value)
        case _:
            return total


def _as_array(c: Calls, total: FrontValue, target: FrontValue) -> FrontValue:
    """A number as an array of the shape of what it is put into; others unchanged."""
    found = number_type(total)
    if found is None or not isinstance(target, ArrayView) or target.rank == 0:
        return total
    dtype, weak = found
    fits = weak and _KINDS.index(dtype.kind) <= _KINDS.index(target.dtype.kind)
    lengths = list(map(c.ctx.size_value, target.lengths))
    return c.lists.any_array(target.dtype if fits else dtype, lengths, total)
