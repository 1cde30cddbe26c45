"""Python's builtins."""

from __future__ import annotations

import ast
import dataclasses
import functools
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tracejit.frontend.arith import is_python_number, python_kind
from tracejit.frontend.containers import dict_items, list_calls, odd_keys, ranges, tables
from tracejit.frontend.containers.methods import pairs
from tracejit.frontend.containers.once import used_once
from tracejit.frontend.containers.pooled_tables import at_part
from tracejit.frontend.functions.handlers import HANDLERS, Handler, handles
from tracejit.frontend.functions.mathcalls import whole
from tracejit.frontend.kinds import NumberKind
from tracejit.frontend.sizes import key
from tracejit.frontend.syntax.source import function_source
from tracejit.frontend.tensors import arrays
from tracejit.frontend.texts import made_texts
from tracejit.frontend.values import (
    ArrayView,
    DictValue,
    FrontValue,
    GeneratorValue,
    GrowingList,
    ListValue,
    MessageValue,
    Number,
    SequenceValue,
    SharedText,
    Size,
    SliceValue,
    Static,
    TupleValue,
    type_name,
)
from tracejit.frontend.written.whole import power_modulo, round_digits
from tracejit.ir.core import Value
from tracejit.ir.types import BOOL, C128, F64, I64, promote

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


@handles(len)
def _len(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    own = c.objects.special(args[0], "__len__", [], node)
    if own is not None:
        return own
    match args[0]:
        case SequenceValue() as s if s.once is not None:
            return c.arith.mismatch(TypeError("object of type 'zip' has no len()"), node)
        case ArrayView() as x:
            if x.rank == 0:
                return c.arith.mismatch(TypeError("len() of unsized object"), node)
            return c.ctx.size_number(x.lengths[0])
        case TupleValue(items) | ListValue(items):
            return Static(len(items))
        case DictValue() as x:
            return odd_keys.length(c.ctx, x)
        case GrowingList() as x:
            return c.ctx.size_number(c.ctx.list_length(x))
        case SequenceValue() as s:
            return c.ctx.size_number(c.ctx.sizes.maximum(c.ctx.b, s.length, 0))
        case MessageValue() as text:
            return _len(c, [made_texts.stored(c, text, node)], kwargs, node)
        case Static(value):
            return c.call_now(len, [Static(value)], {}, node)
        case x:
            c.arith.mismatch(TypeError(f"object of type '{type_name(x)}' has no len()"), node)


@handles(ord)
def _ord(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    x = made_texts.kept(c, args[0], node)
    if isinstance(x, SharedText):
        return c.call_value(c.attribute(x, "ord", node), [], {}, node)
    if not isinstance(x, Static):
        text = f"ord() expected string of length 1, but {type_name(x)} found"
        return c.arith.mismatch(TypeError(text), node)
    return c.call_now(ord, args, kwargs, node)


@handles(range)
def _range(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    """`range` with run-time bounds; the step may be known at run time only."""
    start, stop = (Static(0), args[0]) if len(args) == 1 else args[:2]
    step = args[2] if len(args) == 3 else Static(1)
    first, last, by = (c.ctx.as_size(_integer(c, v, node), node) for v in (start, stop, step))
    if by == 0:
        return c.arith.mismatch(ValueError("range() arg 3 must not be zero"), node)
    return ranges.made(c.ctx, first, last, by)


@handles(slice)
def _slice(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    if all(isinstance(a, Static) for a in args):
        return c.call_now(slice, args, {}, node)
    start, stop, *step = (Static(None), *args) if len(args) == 1 else args
    return SliceValue(*(None if a == Static(None) else a for a in (start, stop, step[0] if step else Static(None))))


def _integer(c: Calls, value: FrontValue, node: ast.AST) -> FrontValue:
    if isinstance(value, Number) and not value.dtype.is_integer and value.dtype != BOOL:
        return c.arith.mismatch(TypeError("'float' object cannot be interpreted as an integer"), node)
    if isinstance(value, Static) and isinstance(value.value, float):
        return c.arith.mismatch(TypeError("'float' object cannot be interpreted as an integer"), node)
    if isinstance(value, ArrayView) and value.rank == 0:
        return _integer(c, c.ctx.element(value, ()), node)
    if (own := c.objects.special(value, "__index__", [], node)) is not None:
        return _integer(c, own, node)
    if isinstance(value, Number) and value.dtype == BOOL and not (value.weak or c.ctx.tensors):
        return c.arith.mismatch(TypeError("'numpy.bool' object cannot be interpreted as an integer"), node)
    if isinstance(value, Number) and value.dtype.is_integer:
        return value if value.dtype == I64 else Number(c.ctx.signed(value.value), weak=True)
    return Number(c.arith.scalar(value, I64), weak=True) if isinstance(value, Number) else value


@handles(zip)
def _zip(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    return zipped(c, "zip", args, kwargs, node)


def zipped(c: Calls, name: str, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    """The items of several iterables side by side; errors of `strict` name a function."""
    if not args:
        return TupleValue(())
    strict = bool(c.static(kwargs.get("strict", Static(False)), node, "strict"))
    if any(map(tables.is_iterator, args)):
        if strict:
            c.ctx.refuse(node, "zip of what iter() makes with strict=True", "compare the lengths of what they run over")
        from tracejit.frontend.written import iterators

        return c.call_object(
            iterators.zipped, [TupleValue(tuple(c.call_object(iter, [a], {}, node) for a in args))], {}, node
        )
    parts: list[SequenceValue] = []
    for k, a in enumerate(args):
        with at_part(c.ctx, f"argument {k}"):  # the lists of its items are of its own kind
            parts.append(c.expressions.iterable(a, node))
    lengths = [p.length for p in parts]
    ended = functools.partial(_require_one_length, c, node, name, lengths) if strict else None
    if any(p.static is None and not isinstance(p.length, int) for p in parts):
        parts = [p if p.static is None else _of_any_length(c, p, (k, node)) for k, p in enumerate(parts)]
    static = [p.static for p in parts if p.static is not None]
    length: Size = parts[0].length
    for p in parts[1:]:
        length = c.ctx.sizes.minimum(c.ctx.b, length, p.length)
    known = length if static and isinstance(length, int) else None
    sources = frozenset[int]().union(*(p.sources for p in parts))
    lists = tuple(x for p in parts for x in p.known)
    item = lambda i: TupleValue(tuple(p.item(i) for p in parts))  # noqa: E731
    counts = all(p.counts for p in parts)
    made = SequenceValue(length, item, static=known, sources=sources, known=lists, of_ranges=counts, ended=ended)
    return used_once(c.ctx, made)


def _require_one_length(c: Calls, node: ast.AST, name: str, lengths: Sequence[Size], out: bool | Value) -> None:
    """Raise the ValueError of `strict=True` where the items ran out and the lengths differ."""
    c.ctx.at(node)
    b, sizes = c.ctx.b, c.ctx.sizes
    early = [] if isinstance(out, bool) else [b.emit("logical_not", (out,))[0]]
    least = lengths[0]
    for n in lengths[1:]:
        least = sizes.minimum(b, least, n)
    first, least = c.ctx.size_value(lengths[0]), c.ctx.size_value(least)
    for k, n in enumerate(lengths[1:], 2):
        if key(n) == key(lengths[0]):
            continue
        others, is_least = "argument 1" if k == 2 else f"arguments 1-{k - 1}", b.emit("eq", (first, least))[0]
        more = b.emit("gt", (c.ctx.size_value(n), least))[0]
        longer = b.emit("logical_and", (is_least, more))[0]
        for holds, word in (([is_least, more], "shorter"), ([b.emit("logical_not", (longer,))[0]], "longer")):
            cond = functools.reduce(lambda x, y: b.emit("logical_or", (x, y))[0], [*early, *holds])
            c.ctx.check(cond, "ValueError", f"{name}() argument {k} is {word} than {others}")


def _of_any_length(c: Calls, part: SequenceValue, place: tuple[int, ast.AST]) -> SequenceValue:
    """A sequence of known length as a list that grows: it meets another of a length known at run time only."""
    k, node = place
    items = [part.item(i) for i in range(part.static or 0)]
    if any(isinstance(x, ArrayView) and x.rank for x in items):  # a list would hold copies
        reason = "zip of a tuple of arrays and something of a length known at run time only"
        c.ctx.refuse(node, reason, "index the array in the loop")
    path = c.ctx.path
    c.ctx.path = (*path, "zip", str(k))
    try:
        return c.expressions.iterable(c.lists.growing(items, node), node)
    finally:
        c.ctx.path = path


@handles(enumerate)
def _enumerate(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    start = kwargs.get("start", args[1] if len(args) > 1 else Static(0))
    items = c.objects.iterated(args[0], node)
    if isinstance(items, GeneratorValue) or tables.is_iterator(items):
        return c.call_object(enumerated(), [items, start], {}, node)
    inner = c.expressions.run_over(items, node)

    def item(i: Any) -> FrontValue:
        count: FrontValue = Static(i) if isinstance(i, int) else Number(i, weak=True)
        if not (isinstance(start, Static) and start.value == 0):
            count = c.arith.binary("add", count, start, node)
        return TupleValue((count, inner.item(i)))

    made = dataclasses.replace(inner, item=item, range=None, once=None, of_ranges=inner.counts)
    return used_once(c.ctx, made)


def enumerated() -> Any:
    """The definition of `enumerate` for generators."""
    from tracejit.frontend.written.iterators import numbered

    return numbered


@handles(reversed)
def _reversed(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    if (own := c.objects.special(args[0], "__reversed__", [], node)) is not None:
        return own
    inner = c.expressions.iterable(args[0], node)

    def item(i: Any) -> FrontValue:
        sizes = c.ctx.sizes
        last = sizes.sub(c.ctx.b, inner.length, 1)
        return inner.item(sizes.sub(c.ctx.b, last, i))

    made = SequenceValue(inner.length, item, inner.static, sources=inner.sources, of_ranges=inner.counts)
    return used_once(c.ctx, made)


@handles(abs)
def _abs(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    own = c.objects.unary("abs", args[0], node)
    return c.arith.unary("abs", c.as_operand(args[0]), node) if own is None else own


@handles(sum)
def _sum(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    start = kwargs.get("start", args[1] if len(args) > 1 else Static(0))
    items = tables.unordered(c, args[0], node)
    if isinstance(items, GrowingList) and isinstance(items.kind, NumberKind) and items.kind.dtype.is_integer:
        args = [items]
    if isinstance(args[0], ArrayView) and args[0].rank:
        if args[0].lengths[:1] == (0,):
            return start
        made = arrays.function(c, "sum", [args[0], Static(0)], {}, node)
        if args[0].dtype.is_integer and (not is_python_number(start) or python_kind(start) in "bi"):
            # Python adds the items one by one, in their dtype, or in what it makes with that of the start
            dtype = args[0].dtype
            if isinstance(start, ArrayView | Number) and not is_python_number(start):
                dtype = promote(dtype, start.dtype)
            made = c.arith.typed("cast", node, made, dtype=dtype) if dtype.is_integer else made
        return (
            made if isinstance(start, Static) and start.value == 0 else c.expressions.binary("add", start, made, node)
        )
    if list_calls.is_unknown(c, args[0]):
        return list_calls.total(c, args[0], start, node)
    total = start
    for item in c.expressions.known_items(args[0], node):
        total = c.expressions.binary("add", total, item, node)
    return total


def _quantifier(name: str) -> Handler:
    op, stop = ("logical_or", True) if name == "any" else ("logical_and", False)

    def handler(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
        args = [tables.unordered(c, args[0], node)]
        if isinstance(args[0], ArrayView) and args[0].rank == 1:
            made = arrays.function(c, name, args, {}, node)
            return Number(made.value, weak=True) if isinstance(made, Number) else made
        if list_calls.is_unknown(c, args[0]):
            return list_calls.quantified(c, args[0], name, node)
        result: FrontValue = Static(not stop)
        for item in c.expressions.known_items(args[0], node):
            truth = c.arith.truth(item, node)
            if truth is stop:
                return Static(stop)
            if isinstance(truth, Value):
                value = truth if isinstance(result, Static) else c.ctx.b.emit(op, (result.value, truth))[0]  # type: ignore[union-attr]
                result = Number(value, weak=True)
        return result

    return handler


HANDLERS[any] = _quantifier("any")
HANDLERS[all] = _quantifier("all")


@handles(int)
def _int(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    args = [made_texts.kept(c, a, node) for a in args]
    given = [*args[1:], *(v for k, v in kwargs.items() if k == "base")]
    is_text = bool(args) and isinstance(args[0], SharedText)
    if args and (is_text or not given) and (own := c.objects.special(args[0], "__int__", given, node)) is not None:
        return own
    if len(args) > 1 or kwargs:
        if not all(isinstance(a, Static) for a in (*args, *kwargs.values())):
            c.ctx.refuse(node, "int() of run-time text is outside the language", "pass the number")
        return c.call_now(int, args, kwargs, node)
    x = _number_argument(c, args, Static(0), node)
    if isinstance(x, Static):
        return c.call_now(int, [x], {}, node)
    if x.dtype.is_float:
        value = c.arith.scalar(x, F64)
        return whole(c, value)
    if x.dtype.is_complex and not x.weak:  # NumPy's give their real part, with a warning
        return _int(c, [Number(c.ctx.b.emit("real", (x.value,))[0], weak=False)], {}, node)
    if x.dtype.is_complex:
        return c.arith.mismatch(TypeError("int() argument must be a real number, not 'complex'"), node)
    return Number(c.ctx.signed(x.value) if x.dtype.is_integer else c.arith.scalar(x, I64), weak=True)


@handles(float)
def _float(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    args = [made_texts.kept(c, a, node) for a in args]
    if args and (own := c.objects.special(args[0], "__float__", [], node)) is not None:
        return own
    x = _number_argument(c, args, Static(0.0), node)
    if isinstance(x, Static):
        return c.call_now(float, [x], {}, node)
    if x.dtype.is_complex and not x.weak:
        return _float(c, [Number(c.ctx.b.emit("real", (x.value,))[0], weak=False)], {}, node)
    if x.dtype.is_complex:
        return c.arith.mismatch(TypeError("float() argument must be a real number, not 'complex'"), node)
    return Number(c.gradients.as_python(x, c.arith.scalar(x, F64)), weak=True)


@handles(complex)
def _complex(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    args = [*args, *(kwargs.get(name, Static(0)) for name in ("real", "imag")[len(args) :])] if kwargs else args
    if all(isinstance(a, Static) for a in args):
        return c.call_now(complex, args, {}, node)
    numbers = [_number_argument(c, [a], a, node) for a in args]
    parts = [Number(c.gradients.as_python(x, c.arith.scalar(x, C128)), weak=True) for x in numbers]
    if len(parts) == 1:
        return parts[0]
    imaginary = c.arith.binary("mul", parts[1], Static(1j), node)
    return c.arith.binary("add", parts[0], imaginary, node)


@handles(bool)
def _bool(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    truth = c.arith.truth(args[0], node) if args else False
    return Static(truth) if isinstance(truth, bool) else Number(truth, weak=True)


def _number_argument(c: Calls, args: list[FrontValue], default: FrontValue, node: ast.AST) -> Any:
    x = c.as_operand(args[0]) if args else default
    if isinstance(x, ArrayView):
        if x.rank and not c.ctx.tensors:
            c.arith.mismatch(TypeError("only 0-dimensional arrays can be converted to Python scalars"), node)
        arrays.require_single(c, x, "TypeError", "only tensors of one element can be converted to a number")
        return arrays.method(c, x, "item", [], {}, node)
    if isinstance(x, Static | Number):
        return x
    if isinstance(x, MessageValue | SharedText):
        c.ctx.refuse(node, "a number from text with run-time values is outside the language", "use the number itself")
    c.arith.mismatch(TypeError(f"a number is needed here, not '{type_name(x)}'"), node)


@handles(round)
def _round(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    if all(isinstance(a, Static) for a in (*args, *kwargs.values())):
        return c.call_now(round, args, kwargs, node)
    if args and (own := c.objects.special(args[0], "__round__", [*args[1:], *kwargs.values()], node)) is not None:
        return own
    given = dict(zip(("number", "ndigits"), args, strict=False)) | kwargs
    x, digits = c.as_operand(given["number"]), given.get("ndigits")
    if not c.ctx.tensors and (
        isinstance(x, ArrayView) or (isinstance(x, Number) and not x.weak and x.dtype.kind in "bc")
    ):
        c.arith.mismatch(TypeError(f"type {type_name(x)} doesn't define __round__ method"), node)
    if digits is not None and not _is_none(digits):
        if is_python_number(x):
            return c.inline(function_source(round_digits), [x, digits], {}, node, None)
        return arrays.function(c, "round", [x, digits], {}, node)
    if isinstance(x, Number) and x.dtype.is_float:
        return whole(c, c.ctx.b.emit("round", (c.arith.scalar(x, F64),))[0])
    if isinstance(x, Number) and x.dtype.is_integer:
        return Number(c.ctx.signed(x.value), weak=True)
    return x if is_python_number(x) else c.arith.typed("round", node, x)


def _is_none(x: FrontValue | None) -> bool:
    return x is None or (isinstance(x, Static) and x.value is None)


@handles(divmod)
def _divmod(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    for x, name, y in ((args[0], "__divmod__", args[1]), (args[1], "__rdivmod__", args[0])):
        if (own := c.objects.special(x, name, [y], node)) is not None:
            return own
    x, y = map(c.as_operand, args)
    return TupleValue((c.arith.binary("floordiv", x, y, node), c.arith.binary("mod", x, y, node)))


@handles(pow)
def _pow(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    given = dict(zip(("base", "exp", "mod"), args, strict=False)) | kwargs
    if all(isinstance(a, Static) for a in given.values()):
        return c.call_now(pow, [], given, node)
    if _is_none(given.get("mod")):
        return c.expressions.binary("pow", c.as_operand(given["base"]), c.as_operand(given["exp"]), node)
    return c.inline(function_source(power_modulo), [], given, node, None)


@handles(list)
def _list(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    if args and list_calls.is_unknown(c, args[0]):
        return c.lists.copied(c.expressions.iterable(args[0], node), node)
    return c.lists.made(c.expressions.known_items(args[0], node) if args else [], node)


@handles(set)
def _set(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    return _set_of(c, set, args, node)


@handles(frozenset)
def _frozenset(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    return _set_of(c, frozenset, args, node)


def _set_of(c: Calls, cls: type, args: list[FrontValue], node: ast.AST) -> FrontValue:
    """A set: of items that are known when the function is compiled, a compile-time one."""
    if args and (list_calls.is_unknown(c, args[0]) or tables.is_table(args[0])):
        return tables.new_table(c, cls, args, node)
    return tables.made_set(c, c.expressions.known_items(args[0], node) if args else [], node, cls)


@handles(dict)
def _dict(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    if args and (list_calls.is_unknown(c, args[0]) or tables.is_table(args[0])):
        return tables.new_table(c, dict, args, node)
    if (rows := dict_items.rows_with_run_time_keys(c.ctx, args)) and not kwargs:
        return tables.new_table(c, dict, [rows], node)
    return tables.made_dict(c, {**pairs(c, args, node), **kwargs}, node)


@handles(OrderedDict)
def _ordered_dict(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    if args and (list_calls.is_unknown(c, args[0]) or tables.is_table(args[0])):
        return tables.new_table(c, OrderedDict, args, node)
    return tables.made_dict(c, {**pairs(c, args, node), **kwargs}, node, OrderedDict)


@handles(defaultdict)
def _default_dict(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    has_factory = bool(args) and not (isinstance(args[0], Static) and args[0].value is None)
    if not has_factory or (len(args) > 1 and (list_calls.is_unknown(c, args[1]) or tables.is_table(args[1]))):
        return tables.new_table(c, defaultdict, args, node)
    return tables.made_dict(c, {**pairs(c, args[1:], node), **kwargs}, node, defaultdict, args[0])
