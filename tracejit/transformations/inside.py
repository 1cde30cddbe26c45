"""Transformations called inside a script: they become ops of its graph.

`vjp` and `jvp` mark the arguments as variables, inline the function, and put `gradient` and `tangent` ops behind it.
`vmap`, `jacobian` and `hessian` are written as small scripts over these, at the end of this file.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tracejit.errors import NotDifferentiable
from tracejit.frontend.derivatives.directions import direction_for
from tracejit.frontend.functions.arguments import argument_numbers, bound_to
from tracejit.frontend.values import (
    ArrayView,
    DictValue,
    FrontValue,
    ListValue,
    Number,
    ObjectValue,
    Static,
    Transformed,
    TupleValue,
    describe,
)
from tracejit.ir.core import Value
from tracejit.ir.types import F64
from tracejit.ops.control import emit_gradient
from tracejit.records import record
from tracejit.transforms.derivatives.residuals import live

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

_WRONG_SHAPE = "ValueError", "a tangent or cotangent has shape {have}, the value it belongs to {want}"

Arguments = list[FrontValue]
Keywords = dict[str, FrontValue]

#: The arguments of a transformation by the names of its parameters.
Given = dict[str, Any]


def lower_gradient(kind: str) -> Callable[..., FrontValue]:
    """`tj.grad(f, argnums=0, has_aux=False, unused="zero")` and `tj.value_and_grad`."""

    def lower(calls: Calls, given: Given, node: ast.AST) -> FrontValue:
        has_aux = bool(calls.static(given.get("has_aux", Static(False)), node, "'has_aux'"))
        unused = calls.static(given.get("unused", Static("zero")), node, "'unused'")
        try:
            require_unused(unused)
        except ValueError as error:
            calls.arith.mismatch(error, node)
        return Transformed(kind, given["fn"], _argnums(calls, given, node), has_aux, unused)

    return lower


def require_unused(unused: Any) -> None:
    """Raise ValueError for what is no choice of what becomes of arguments that do not matter."""
    if unused not in ("zero", "error"):
        raise ValueError(f"unused is 'zero' or 'error', not {unused!r}")


def _argnums(calls: Calls, given: Given, node: ast.AST) -> int | tuple[int, ...]:
    try:
        return argument_numbers(calls.static(given.get("argnums", Static(0)), node, "'argnums'"))
    except TypeError as error:
        return calls.arith.mismatch(error, node)  # type: ignore[return-value]


def lower_vjp(calls: Calls, given: Given, node: ast.AST) -> FrontValue:
    """`tj.vjp(f, *primals)`."""
    primals = list(given.get("primals", ()))
    marked = _Marked(calls, primals, node)
    result = marked.call(given["fn"], node)
    return TupleValue((result, Static(_Pullback(marked, primals, result))))


def lower_jvp(calls: Calls, given: Given, node: ast.AST) -> FrontValue:
    """`tj.jvp(f, primals, tangents)`."""
    primals, tangents = _items(given["primals"]), _items(given["tangents"])
    if len(primals) != len(tangents):
        calls.arith.mismatch(ValueError(f"{len(primals)} primals need as many tangents, in a tuple"), node)
    along = [v for p, t in zip(primals, tangents, strict=True) for v in _seeds(calls, p, t, node)]
    marked = _Marked(calls, primals, node)
    result = marked.call(given["fn"], node)
    return TupleValue((result, marked.tangent(result, along)))


def lower_hvp(calls: Calls, given: Given, node: ast.AST) -> FrontValue:
    """`tj.hvp(f, primals, tangents)`."""
    count = len(_items(given["primals"]))
    gradient = Transformed("grad", given["fn"], 0 if count == 1 else tuple(range(count)))
    found = lower_jvp(calls, {**given, "fn": gradient}, node)
    assert isinstance(found, TupleValue)
    return found.items[1]


class _Marked:
    """Arguments whose floats are variables, and the function called with them."""

    def __init__(self, calls: Calls, primals: Arguments, node: ast.AST) -> None:
        self.calls = calls
        self.leaves: list[tuple[Value, FrontValue, FrontValue]] = []
        self.arguments = [calls.gradients.mark(p, self.leaves, node) for p in primals]
        self.variables = [leaf[0] for leaf in self.leaves]

    def call(self, fn: FrontValue, node: ast.AST) -> FrontValue:
        result = self.calls.call_value(fn, self.arguments, {}, node)
        self.calls.ctx.at(node)
        self.calls.gradients.restore(self.leaves)
        return result

    def tangent(self, result: FrontValue, along: list[Value]) -> FrontValue:
        """The tangents of a result; None for parts that are no floats."""
        ctx = self.calls.ctx

        def visit(part: FrontValue) -> FrontValue:
            match part:
                case ArrayView() if part.dtype.is_inexact:
                    return ctx.fresh(ctx.b.emit("tangent", (ctx.load(part), *self.variables, *along))[0])
                case Number() if part.dtype.is_inexact:
                    return Number(ctx.b.emit("tangent", (part.value, *self.variables, *along))[0], part.weak)
                case _:
                    return _mapped(part, visit, ctx.level)

        return visit(result)


def pullback(g: Any) -> Any:
    """The parameters of a pullback."""


class _Pullback:
    """The second result of `tj.vjp`."""

    def __init__(self, marked: _Marked, primals: Arguments, result: FrontValue) -> None:
        self.marked = marked
        self.primals = primals
        self.result = result

    def __tracejit_lower__(self, calls: Calls, args: Arguments, kwargs: Keywords, node: ast.AST) -> FrontValue:
        g = bound_to(calls, pullback, args, kwargs, node)["g"]
        ys, seeds = list(_floats(calls, self.result)), _seeds(calls, self.result, g, node)
        if not ys:
            calls.ctx.refuse(node, f"{describe(self.result)} has no derivative", "take the pullback of floats")
        rest = iter(emit_gradient(calls.ctx.b, ys, seeds, self.marked.variables))
        return TupleValue(tuple(calls.gradients.rebuild(p, rest) for p in self.primals))


def _items(x: FrontValue) -> list[FrontValue]:
    """A tuple's items; anything else is the only one."""
    return list(x.items) if isinstance(x, TupleValue | ListValue) else [x]


def _mapped(x: FrontValue, visit: Any, level: int) -> FrontValue:
    """A container with its parts replaced; None for what has no float."""
    match x:
        case TupleValue(items, cls):
            return TupleValue(tuple(visit(i) for i in items), cls)
        case ListValue(items):
            return ListValue([visit(i) for i in items], level)
        case DictValue(items):
            return DictValue({k: visit(v) for k, v in items.items()})
        case ObjectValue(cls, fields):
            return ObjectValue(cls, {k: visit(v) for k, v in fields.items()})
        case _:
            return Static(None)


def _parts(x: FrontValue) -> list[tuple[Any, FrontValue]]:
    """What a container holds, by key."""
    match x:
        case TupleValue(items) | ListValue(items):
            return list(enumerate(items))
        case DictValue(items):
            return list(items.items())
        case ObjectValue(_, fields):
            return list(fields.items())
        case _:
            return []


def _floats(calls: Calls, x: FrontValue) -> Iterator[Value]:
    """The values of the floats in a result."""
    match x:
        case ArrayView() if x.dtype.is_inexact:
            yield calls.ctx.load(x)
        case Number() if x.dtype.is_inexact:
            yield x.value
        case _:
            for _, part in _parts(x):
                yield from _floats(calls, part)


def _seeds(calls: Calls, like: FrontValue, given: FrontValue, node: ast.AST) -> list[Value]:
    """One value for each float of `like`, from something of its structure."""
    like = calls.as_operand(like)
    match like:
        case ArrayView() if like.dtype.is_inexact:
            return [direction_for(calls, given, like, _WRONG_SHAPE, node)]
        case Number() if like.dtype.is_inexact:
            return [calls.arith.scalar(given, like.dtype)]
        case Static(float()):
            return [calls.arith.scalar(given, F64)]
        case _:
            parts, along = _parts(like), dict(_parts(given))
            if parts and [k for k, _ in parts] != list(along):
                calls.ctx.refuse(
                    node,
                    "a tangent or cotangent of another structure than what it belongs to",
                    "give one for every part",
                )
            return [v for key, part in parts for v in _seeds(calls, part, along[key], node)]


@record
class Trial:
    """What a call would give, without its having been made: only the sizes of the result are there."""

    result: FrontValue
    changes: bool  #: whether it changes memory or objects from outside


def tried(calls: Calls, call: Callable[[], FrontValue]) -> Trial:
    """Lower a call aside. Of what it computes, the sizes of its result are computed here."""
    ctx = calls.ctx
    with ctx.nested() as b:
        result = call()
        changes = ctx.has_changed()
    lengths = (n for part in _leaves(result) if isinstance(part, ArrayView) for n in part.lengths)
    ctx.b.ops.extend(live(b.ops, [n for n in lengths if isinstance(n, Value)], effects=False))
    return Trial(result, changes)


# -- as scripts -------------------------------------------------------------------------------------------------------


class Batched:
    """`tj.vmap(f, in_axes, out_axes)`, to be called inside a script."""

    def __init__(self, fn: FrontValue, in_axes: Any, out_axes: Any) -> None:
        self.fn = fn
        self.in_axes = in_axes
        self.out_axes = out_axes

    def __tracejit_lower__(self, calls: Calls, args: Arguments, kwargs: Keywords, node: ast.AST) -> FrontValue:
        axes = self.in_axes if isinstance(self.in_axes, tuple | list) else (self.in_axes,) * len(args)
        if len(axes) != len(args):
            calls.arith.mismatch(ValueError(f"vmap: in_axes {axes!r} for {len(args)} arguments"), node)
        if _has_none(self.out_axes):
            calls.ctx.refuse(node, "out_axes of None inside a script", "return that result from outside the batch")
        arrays: Arguments = []

        def first_axis(part: FrontValue, axis: int) -> FrontValue:
            moved = calls.call_object(_first, [part, Static(axis)], {}, node) if axis else part
            arrays.append(moved)
            return moved

        moved = [_along_axes(calls, a, x, first_axis, node) for a, x in zip(args, axes, strict=True)]
        if not arrays:
            calls.ctx.refuse(node, "vmap without an argument that has a batch axis", "give an axis in in_axes")
        count = calls.call_object(len, [arrays[0]], {}, node)
        trip = _Trip(self.fn, moved, axes)
        first = tried(calls, lambda: trip.call(calls, Static(0), node)).result
        rooms = TupleValue(tuple(_room_for(calls, count, part, node) for part in _operands(calls, first)))
        filled = calls.call_object(_fill_several, [Static(trip), count, rooms], {}, node)
        assert isinstance(filled, TupleValue)
        parts = iter(filled.items)
        return _along_axes(
            calls, first, self.out_axes, lambda _, axis: self.placed(calls, next(parts), axis, node), node
        )

    def placed(self, calls: Calls, x: FrontValue, axis: int, node: ast.AST) -> FrontValue:
        return calls.call_object(_from_first, [x, Static(axis)], {}, node) if axis else x


class _Trip:
    """The function of a batch on slice i: the parts of its result, one after the other."""

    def __init__(self, fn: FrontValue, arguments: Arguments, axes: Sequence[Any]) -> None:
        self.fn = fn
        self.arguments = arguments
        self.axes = axes

    def call(self, calls: Calls, i: FrontValue, node: ast.AST) -> FrontValue:
        """The result in its own structure."""

        def item(part: FrontValue, axis: int) -> FrontValue:
            return calls.call_object(_item, [part, i], {}, node)

        pairs = zip(self.arguments, self.axes, strict=True)
        return calls.call_value(self.fn, [_along_axes(calls, a, x, item, node) for a, x in pairs], {}, node)

    def __tracejit_lower__(self, calls: Calls, args: Arguments, kwargs: Keywords, node: ast.AST) -> FrontValue:
        return TupleValue(tuple(_operands(calls, self.call(calls, args[0], node))))


def _leaves(x: FrontValue) -> Iterator[FrontValue]:
    """The parts of a container that are none themselves."""
    parts = _parts(x)
    if not parts and not isinstance(x, TupleValue):
        yield x
    for _, part in parts:
        yield from _leaves(part)


def _operands(calls: Calls, x: FrontValue) -> Iterator[FrontValue]:
    """The parts of a result; numbers that are known at compile time have an array of their own too."""
    for part in _leaves(x):
        yield calls.arith.number(part) if isinstance(part, Static) and calls.arith.is_number(part) else part


def _along_axes(
    calls: Calls, x: FrontValue, axes: Any, visit: Callable[[FrontValue, int], FrontValue], node: ast.AST
) -> FrontValue:
    """A container with the arrays that have an axis visited; `axes` is one for all, or has its structure."""
    if axes is None:
        return x
    parts = _parts(x)
    if not parts:
        if not isinstance(axes, int):
            calls.ctx.refuse(node, "axes of another structure than what they belong to", "give one axis for all")
        return visit(x, axes)
    each = dict.fromkeys(dict(parts), axes) if isinstance(axes, int) else _axes_by_key(axes)
    if each.keys() != dict(parts).keys():
        calls.ctx.refuse(node, "axes of another structure than what they belong to", "give one axis for all")
    keys = iter(dict(parts))
    return _mapped(x, lambda part: _along_axes(calls, part, each[next(keys)], visit, node), calls.ctx.level)


def _has_none(axes: Any) -> bool:
    return axes is None or (not isinstance(axes, int) and any(map(_has_none, _axes_by_key(axes).values())))


def _axes_by_key(axes: Any) -> dict[Any, Any]:
    return axes if isinstance(axes, dict) else dict(enumerate(axes))


def _room_for(calls: Calls, count: FrontValue, part: FrontValue, node: ast.AST) -> FrontValue:
    if not isinstance(part, ArrayView | Number):
        calls.ctx.refuse(
            node, f"vmap of a function that gives {describe(part)}", "give arrays, numbers or a tuple of these"
        )
    return _empty(calls, [count, *_shape(calls, part)], part, node)


def _shape(calls: Calls, part: ArrayView | Number) -> Arguments:
    return [calls.ctx.size_number(n) for n in part.lengths] if isinstance(part, ArrayView) else []


def _empty(calls: Calls, shape: Arguments, like: ArrayView | Number, node: ast.AST) -> FrontValue:
    return calls.call_object(_room, [TupleValue(tuple(shape)), Static(np.dtype(like.dtype.numpy_name))], {}, node)


class Jacobian:
    """`tj.jacobian(f, argnums)`, to be called inside a script."""

    def __init__(self, fn: FrontValue, argnums: int | tuple[int, ...]) -> None:
        self.fn = fn
        self.argnums = argnums

    def __tracejit_lower__(self, calls: Calls, args: Arguments, kwargs: Keywords, node: ast.AST) -> FrontValue:
        places = calls.gradients.positions(self.argnums, len(args), node)
        if isinstance(self.argnums, tuple):
            once = len(places) < 2
            return TupleValue(tuple(self.by_argument(calls, args, n, once, node) for n in places))
        return self.by_argument(calls, args, places[0], True, node)

    def by_argument(self, calls: Calls, args: Arguments, number: int, once: bool, node: ast.AST) -> FrontValue:
        """The derivative by one argument; `once`: the function may change things if it is called once for it."""
        trial, x = tried(calls, lambda: calls.call_value(self.fn, args, {}, node)), calls.as_operand(args[number])
        y = trial.result
        if trial.changes and not (once and (isinstance(y, Number) or isinstance(x, Number))):
            what = "a Jacobian inside a script of a function that changes arrays or objects from outside of it"
            calls.ctx.refuse(node, what, "copy in the function what it changes")
        if isinstance(y, Number):
            gradient = Transformed("grad", self.fn, number)
            return calls.call_value(gradient, args, {}, node)
        if isinstance(y, ArrayView) and not y.dtype.is_inexact:
            raise NotDifferentiable("jacobian", f"the function returns {describe(y)}", calls.ctx.b.span)
        if not isinstance(y, ArrayView) or not isinstance(x, ArrayView | Number):
            calls.ctx.refuse(node, f"the Jacobian of {describe(y)} by {describe(x)}", "use arrays and numbers")
        along = Static(_Along(self.fn, args, number))
        if isinstance(x, Number):
            return calls.call_value(along, [calls.as_operand(Static(1.0))], {}, node)
        return calls.call_object(_columns, [along, x, _empty(calls, _shape(calls, y), y, node)], {}, node)


class _Along:
    """The derivative along a tangent of one argument."""

    def __init__(self, fn: FrontValue, arguments: Arguments, number: int) -> None:
        self.fn = fn
        self.arguments = arguments
        self.number = number

    def __tracejit_lower__(self, calls: Calls, args: Arguments, kwargs: Keywords, node: ast.AST) -> FrontValue:
        along = _seeds(calls, self.arguments[self.number], args[0], node)
        marked = _Marked(calls, [self.arguments[self.number]], node)
        given = [*self.arguments[: self.number], *marked.arguments, *self.arguments[self.number + 1 :]]
        marked.arguments = given
        return marked.tangent(marked.call(self.fn, node), along)


def lower_vmap(calls: Calls, given: Given, node: ast.AST) -> FrontValue:
    """`tj.vmap(f, in_axes=0, out_axes=0)`."""
    axes, out = given.get("in_axes", Static(0)), given.get("out_axes", Static(0))
    return Static(Batched(given["fn"], _axes_of(calls, axes, node), _axes_of(calls, out, node)))


def _axes_of(calls: Calls, axes: FrontValue, node: ast.AST) -> Any:
    """Axes that stand in a script, as Python objects."""
    match axes:
        case TupleValue(items) | ListValue(items):
            return tuple(_axes_of(calls, x, node) for x in items)
        case DictValue(items):
            return {key: _axes_of(calls, x, node) for key, x in items.items()}
        case _:
            return calls.static(axes, node, "an axis")


def lower_jacobian(calls: Calls, given: Given, node: ast.AST) -> FrontValue:
    """`tj.jacobian(f, argnums=0)`."""
    return Static(Jacobian(given["fn"], _argnums(calls, given, node)))


def lower_hessian(calls: Calls, given: Given, node: ast.AST) -> FrontValue:
    """`tj.hessian(f, argnums=0)`."""
    argnums = _argnums(calls, given, node)
    return Static(Jacobian(Transformed("grad", given["fn"], argnums), argnums))


def _first(x: Any, axis: int) -> Any:
    return np.moveaxis(x, axis, 0)


def _from_first(x: Any, axis: int) -> Any:
    return np.moveaxis(x, 0, axis)


def _item(x: Any, i: int) -> Any:
    return x[i]


def _room(shape: tuple[int, ...], dtype: Any) -> Any:
    return np.empty(shape, dtype)


def _fill_several(call: Any, n: int, rooms: Any) -> Any:
    for i in range(n):
        parts = call(i)
        for room, part in zip(rooms, parts):
            room[i] = part
    return rooms


def _columns(along: Any, x: Any, y: Any) -> Any:
    columns = np.empty((y.size, x.size), y.dtype)
    for j in range(x.size):
        tangent = np.zeros(x.size, x.dtype)
        tangent[j] = 1.0
        columns[:, j] = along(tangent.reshape(x.shape)).reshape(-1)
    return columns.reshape((*y.shape, *x.shape))
