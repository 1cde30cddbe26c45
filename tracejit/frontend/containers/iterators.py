"""Iterators: `iter` and `next`, what `itertools` counts and repeats, functions of `operator` that make functions."""

from __future__ import annotations

import ast
import copy
import dataclasses
import functools
import itertools
import operator
import types
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tracejit.frontend.containers import list_calls
from tracejit.frontend.containers.comprehensions import leaves_early
from tracejit.frontend.containers.generators import all_items
from tracejit.frontend.containers.pooled_tables import at_part
from tracejit.frontend.containers.tables import is_iterator, new_table
from tracejit.frontend.functions.handlers import handles
from tracejit.frontend.functions.names import is_numpys
from tracejit.frontend.instances.objects import class_of, is_users
from tracejit.frontend.kinds import TupleKind
from tracejit.frontend.syntax.scopes import names_bound
from tracejit.frontend.syntax.source import FunctionNode, FunctionSource, function_source
from tracejit.frontend.syntax.trees import nodes_in
from tracejit.frontend.values import (
    ArrayView,
    BoundFunction,
    Closure,
    DictValue,
    DictView,
    FrontValue,
    GeneratorValue,
    GrowingList,
    ListValue,
    MessageValue,
    Number,
    ObjectValue,
    SequenceValue,
    Size,
    Static,
    TupleValue,
    type_name,
)
from tracejit.ir.types import I64

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

#: So many items has what never ends.
_ENDLESS = 2**62


@handles(iter)
def _iter(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    from tracejit.frontend.written.iterators import Iterator

    if is_iterator(args[0]):
        return args[0]
    own = c.objects.special(args[0], "__iter__", [], node)
    if isinstance(own, ObjectValue | GeneratorValue):
        return own
    items = args[0] if own is None else own
    if isinstance(items, DictView):
        items = TupleValue(items.items)
    if not isinstance(items, ArrayView | ListValue | TupleValue):
        items = dataclasses.replace(c.expressions.iterable(items, node), once=None)
        if items.static is not None:
            items = TupleValue(tuple(items.item(i) for i in range(items.static)))
    made = c.objects.construct(Iterator, [items], {}, node)
    assert made is not None
    return made


def run_over(c: Calls, o: FrontValue, node: ast.AST) -> FrontValue | None:
    """What a loop over an object runs over, whose class has an `__iter__`; where that does nothing but to return
    `iter(x)`, it is x."""
    fn = c.objects.find(class_of(o) or object, "__iter__")
    if isinstance(fn, types.FunctionType) and is_users(fn):
        source = function_source(fn)
        items = None if "iter" in source.globals or "iter" in source.closure else _without_iter(source.node)
        if items is not None:
            return c.inline(dataclasses.replace(source, node=items), [o], {}, node, None)
    return c.objects.special(o, "__iter__", [], node)


@functools.cache
def _without_iter(node: FunctionNode) -> FunctionNode | None:
    """A function that returns what one gives to `iter`; None of one that does something else."""
    match node:
        case ast.FunctionDef(body=[*rest, ast.Return(ast.Call(ast.Name("iter"), [items], []))]) if all(
            isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant) for s in rest
        ):
            made = copy.copy(node)
            made.body = [ast.copy_location(ast.Return(items), node.body[-1])]
            return made
        case _:
            return None


@handles(next)
def _next(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    from tracejit.frontend.written.iterators import first, first_made

    if isinstance(args[0], SequenceValue) and args[0].once is not None:
        args = [_iter(c, args[:1], {}, node), *args[1:]]
    own = c.objects.special(args[0], "__next__", [], node) if len(args) == 1 else None
    if own is not None:
        return own
    if is_iterator(args[0]):
        return c.call_object(first, args, {}, node)
    if isinstance(args[0], Number | ListValue | GrowingList | TupleValue | DictValue | Static):
        return c.arith.mismatch(TypeError(f"'{type_name(args[0])}' object is not an iterator"), node)
    if isinstance(args[0], GeneratorValue):
        return c.call_object(first_made, args, {}, node)
    if len(args) == 2 and c.objects.has(args[0], "__next__"):
        from tracejit.frontend.written.resumable import next_or

        return c.call_object(next_or, args, {}, node)
    c.ctx.refuse(node, "next() takes what iter() made, or a generator", "next(iter(items))")


def as_written(c: Calls, fn: Any, call: ast.Call) -> FrontValue | None:
    """A call that depends on how its arguments are written: `next(... for ...)` and `zip(*rows)`; None for others."""
    from tracejit.frontend.written.iterators import columns

    match call.args:
        case [ast.GeneratorExp(), *_] if fn is next:
            return _next_of_generator(c, call)
        case [ast.GeneratorExp() as generator] if (fn is any or fn is all) and not _is_harmless(generator):
            return _any_or_all(c, call, generator, fn is any)
        case [ast.Starred(inner)] if fn is zip:
            rows = all_items(c, c.expressions.value(inner), inner)
            if list_calls.is_unknown(c, rows) and not isinstance(c.as_operand(rows), ArrayView):
                if not isinstance(rows, GrowingList):
                    rows = c.lists.copied(c.expressions.iterable(rows, inner), inner)
                if isinstance(rows.kind, TupleKind):
                    return _columns(c, rows, rows.kind, call)
                return c.call_object(iter, [c.call_object(columns, [rows], {}, call)], {}, call)
            return c.call_object(zip, c.expressions.unpackable(rows, None, inner), {}, call)
        case _:
            return None


def _columns(c: Calls, rows: GrowingList, kind: TupleKind, node: ast.AST) -> FrontValue:
    """`zip(*rows)` of any number of tuples, but not of none: its tuples, which are of a length known at run time."""
    text = f"not enough values to unpack (expected {len(kind.items)}, got 0)"
    count = c.ctx.list_length(rows)
    c.ctx.check(c.ctx.b.emit("gt", (c.ctx.size_value(count), c.ctx.size_value(0)))[0], "ValueError", text)
    items = c.lists.items(rows)

    def column(k: int) -> FrontValue:
        def item(i: Any) -> FrontValue:
            row = items.item(i)
            assert isinstance(row, TupleValue | ListValue)
            return row.items[k]

        with at_part(c.ctx, f"column {k}"):
            return new_table(c, tuple, [SequenceValue(items.length, item, sources=items.sources)], node)

    return TupleValue(tuple(column(k) for k in range(len(kind.items))))


def _next_of_generator(c: Calls, call: ast.Call) -> FrontValue:
    """`next(... for ...)`: what a function gives that returns the first item."""
    generator, *default = call.args
    assert isinstance(generator, ast.GeneratorExp)
    missing = ast.Raise(ast.Constant(StopIteration)) if not default else ast.Return(default[0])  # type: ignore[arg-type]
    made = _function(c, call, generator, ast.Return(generator.elt), [missing])
    return c.call_value(_closure(c, made), [], {}, call)


def _any_or_all(c: Calls, call: ast.Call, generator: ast.GeneratorExp, wanted: bool) -> FrontValue:
    """`any(... for ...)` and `all(... for ...)`, which leave the items behind the one that decides."""
    if names_bound(generator):
        return leaves_early(c, call, generator, wanted)
    found = generator.elt if wanted else ast.UnaryOp(ast.Not(), generator.elt)
    step = ast.If(found, [ast.Return(ast.Constant(wanted))], [])
    made = _function(c, call, generator, step, [ast.Return(ast.Constant(not wanted))])
    return c.call_value(_closure(c, made), [], {}, call)


def one_by_one(c: Calls, node: ast.expr) -> FrontValue | None:
    """What a `for` runs over, if that is a generator expression of which it can be told when it makes an item."""
    if not isinstance(node, ast.GeneratorExp) or _is_harmless(node):
        return None
    return c.call_value(_closure(c, _function(c, node, node, ast.Expr(ast.Yield(node.elt)), [])), [], {}, node)


def arguments(c: Calls, fn: FrontValue, nodes: Sequence[ast.expr]) -> list[FrontValue]:
    """The arguments of a call by position; to functions that do not take all items at once, generator expressions give
    theirs one by one."""
    if not any(isinstance(n, ast.GeneratorExp) for n in nodes) or not _takes_lazily(fn):
        return c.expressions.elements(nodes)
    found: list[FrontValue] = []
    is_builtin = isinstance(fn, Static) and isinstance(fn.value, type)
    several = is_builtin and sum(isinstance(n, ast.GeneratorExp) for n in nodes) > 1  # `zip` takes one generator
    for n in nodes:
        if isinstance(n, ast.GeneratorExp) and not several and not (is_builtin and _is_harmless(n)):
            found.append(lazily(c, n))
        else:
            found += c.expressions.elements([n])
    return found


def _takes_lazily(fn: FrontValue) -> bool:
    if isinstance(fn, Static):
        own = isinstance(fn.value, types.FunctionType) and not is_numpys(fn.value)
        return own or any(fn.value is f for f in (enumerate, zip, map, filter))
    return isinstance(fn, Closure | BoundFunction)


def made_for(c: Calls, targets: Sequence[ast.expr], value: ast.expr) -> FrontValue:
    """What an assignment binds."""
    match value, targets:
        case ast.GeneratorExp(), _:
            return _kept_generator(c, targets, value)
        case ast.Tuple(values), [ast.Tuple(names)] if len(values) == len(names) and any(
            isinstance(v, ast.GeneratorExp) or (isinstance(n, ast.Name) and n.id in _given_to_next(c))
            for n, v in zip(names, values, strict=True)
        ):
            return TupleValue(tuple(made_for(c, [t], v) for t, v in zip(names, values, strict=True)))
        case ast.Call(), [ast.Tuple(names) | ast.List(names)] if not any(isinstance(n, ast.Starred) for n in names):
            c.ctx.unpacked[value] = len(names)
            return c.expressions.value(value)
        case ast.Call(), [ast.Name(name)] if name in _given_to_next(c):
            made = c.expressions.value(value)
            is_endless = isinstance(made, SequenceValue) and made.range is None
            return c.call_object(iter, [made], {}, value) if is_endless else made
        case _:
            return c.expressions.value(value)


def _given_to_next(c: Calls) -> set[str]:
    """The names that a function gives to `next`; it is gone through once."""
    node = c.ctx.frame.source.node
    found: set[str] | None = node.__dict__.get("_tracejit_given_to_next")
    if found is None:
        calls = (n for n in nodes_in(node) if isinstance(n, ast.Call) and n.args)
        parts = ((n.func, n.args[0]) for n in calls)
        found = {x.id for fn, x in parts if isinstance(fn, ast.Name) and fn.id == "next" and isinstance(x, ast.Name)}
        node.__dict__["_tracejit_given_to_next"] = found
    return found


def _kept_generator(c: Calls, targets: Sequence[ast.expr], node: ast.GeneratorExp) -> FrontValue:
    """A generator expression that a name is bound to. Where `next` takes items from it, or several names stand for it,
    all are made here."""
    name = targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else None
    if name is not None and name not in _taken_in(c.ctx.frame.source.node):
        return lazily(c, node)
    return c.call_object(iter, [c.expressions.value(node)], {}, node)  # which what runs over it uses up


def _taken_in(function: ast.AST) -> set[str]:
    """The names of what calls and membership tests of a function may take some items of; it is gone through once."""
    found: set[str] | None = function.__dict__.get("_tracejit_taken")
    if found is None:
        calls = (n for n in nodes_in(function) if isinstance(n, ast.Call | ast.Compare))
        found = {a.id for n in calls for a in _taken_from(n) if isinstance(a, ast.Name)}
        function.__dict__["_tracejit_taken"] = found
    return found


def _taken_from(node: ast.Call | ast.Compare) -> Sequence[ast.expr]:
    """What a call or a membership test may take some items of."""
    if isinstance(node, ast.Compare):
        return node.comparators
    is_one = isinstance(node.func, ast.Name) and node.func.id in ("next", "iter", "any", "all", "zip")
    return node.args if is_one else ()


def lazily(c: Calls, node: ast.GeneratorExp) -> FrontValue:
    """A generator expression as Python makes it: what it runs over first is evaluated here, all else when an item is
    taken."""
    first, *rest = node.generators
    held: ast.FunctionDef | None = node.__dict__.get("_tracejit_lazily")
    if held is None:
        given = ast.copy_location(ast.Name(".0", ast.Load()), first.iter)
        inner = ast.comprehension(first.target, given, first.ifs, first.is_async)
        generator = ast.copy_location(ast.GeneratorExp(node.elt, [inner, *rest]), node)
        held = _function(c, generator, generator, ast.Expr(ast.Yield(node.elt)), [])
        held.args.args.append(ast.copy_location(ast.arg(".0"), node))
        node.__dict__["_tracejit_lazily"] = held
    return c.call_value(_closure(c, held), [c.expressions.value(first.iter)], {}, node)


def require_no_names(c: Calls, generator: ast.GeneratorExp) -> None:
    """Refuse `:=` in a generator expression whose items are made one by one, in a function of its own."""
    if names_bound(generator):
        c.ctx.refuse(generator, "':=' in a generator expression binds a name of the function", "a loop")


def _is_harmless(generator: ast.GeneratorExp) -> bool:
    """Whether it cannot be told when, or whether, an item is made: that raises and changes nothing."""
    parts = [generator.elt, *(test for g in generator.generators for test in g.ifs)]
    parts += [g.iter for g in generator.generators[1:]]
    kinds = ast.Name, ast.Constant, ast.Attribute, ast.Compare, ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.IfExp, ast.Tuple
    raising = ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.LShift, ast.RShift, ast.MatMult
    for n in (n for part in parts for n in nodes_in(part)):
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id in ("isinstance", "len", "abs"):
            continue
        if isinstance(n, raising) or (isinstance(n, ast.expr) and not isinstance(n, kinds)):
            return False
    return True


def _function(
    c: Calls, node: ast.AST, generator: ast.GeneratorExp, step: ast.stmt, end: list[ast.stmt]
) -> ast.FunctionDef:
    """A function that does something with each item of a generator expression: the same one each time."""
    require_no_names(c, generator)
    made: ast.FunctionDef | None = node.__dict__.get("_tracejit_items")
    if made is None:
        body = step
        for part in reversed(generator.generators):
            for test in reversed(part.ifs):
                body = ast.If(test, [body], [])
            body = ast.For(part.target, part.iter, [body], [])
        arguments = ast.arguments([], [], None, [], [], None, [])
        made = ast.FunctionDef("<genexpr>", arguments, [body, *end], [], None)
        for inner in ast.walk(made):
            if "lineno" in inner._attributes and not hasattr(inner, "lineno"):
                ast.copy_location(inner, generator)  # type: ignore[type-var]
        node.__dict__["_tracejit_items"] = made
    return made


def _closure(c: Calls, made: ast.FunctionDef) -> Closure:
    frame = c.ctx.frame
    own = frame.source_of(made.body[0])
    source = FunctionSource(made, own.filename, own.name, own.globals, own.closure, own.function)
    return Closure(source, frame.scope or frame)


# -- itertools ------------------------------------------------------------------------------------------------------


def _option(args: list[FrontValue], kwargs: dict[str, FrontValue], at: int, name: str, default: Any) -> FrontValue:
    return kwargs.get(name, args[at] if len(args) > at else Static(default))


@handles(itertools.count)
def _count(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    start, step = _option(args, kwargs, 0, "start", 0), _option(args, kwargs, 1, "step", 1)

    def item(i: Any) -> FrontValue:
        index: FrontValue = Static(i) if isinstance(i, int) else Number(i, weak=True)
        return c.arith.binary("add", start, c.arith.binary("mul", index, step, node), node)

    return SequenceValue(_ENDLESS, item)


@handles(itertools.repeat)
def _repeat(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    times = _option(args, kwargs, 1, "times", None)
    if isinstance(times, Static) and times.value is None:
        return SequenceValue(_ENDLESS, lambda i: args[0])
    return SequenceValue(_not_negative(c, c.ctx.as_size(times, node)), lambda i: args[0])


@handles(itertools.cycle)
def _cycle(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    inner = c.expressions.iterable(args[0], node)
    if inner.static is not None:
        inner = c.expressions.iterable(c.lists.growing([inner.item(i) for i in range(inner.static)], node), node)

    def item(i: Any) -> FrontValue:
        return inner.item(c.ctx.b.emit("mod", (c.ctx.size_value(i), c.ctx.size_value(inner.length)))[0])

    some = c.ctx.b.emit("gt", (c.ctx.size_value(inner.length), c.ctx.size_value(0)))[0]
    endless, none = c.ctx.size_value(_ENDLESS), c.ctx.size_value(0)
    return SequenceValue(c.ctx.b.emit("select", (some, endless, none))[0], item, sources=inner.sources)


@handles(itertools.islice)
def _islice(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    if is_iterator(args[0]):
        c.ctx.refuse(node, "islice() of an iterator is outside the language", "call next() in a loop")
    inner = c.expressions.iterable(args[0], node)
    start, stop = (Static(0), args[1]) if len(args) == 2 else (args[1], args[2])
    step = args[3] if len(args) > 3 else Static(1)
    given = [Static(0) if isinstance(start, Static) and start.value is None else start, stop]
    ends = [inner.length if isinstance(v, Static) and v.value is None else c.ctx.as_size(v, node) for v in given]
    by = c.static(step, node, "the step") or 1
    sizes, b = c.ctx.sizes, c.ctx.b
    last = sizes.minimum(b, ends[1], inner.length)
    count = sizes.floordiv(b, sizes.add(b, sizes.sub(b, last, ends[0]), by - 1), by)
    if inner.static is not None and isinstance(count, int):
        return TupleValue(tuple(inner.item(ends[0] + k * by) for k in range(max(count, 0))))  # type: ignore[operator]
    if inner.static is not None:
        inner = c.expressions.iterable(c.lists.growing([inner.item(i) for i in range(inner.static)], node), node)
    source = inner

    def item(i: Any) -> FrontValue:
        return source.item(c.ctx.sizes.add(c.ctx.b, ends[0], c.ctx.sizes.mul(c.ctx.b, i, by)))

    return SequenceValue(_not_negative(c, count), item, sources=source.sources)


def _not_negative(c: Calls, n: Size) -> Size:
    if isinstance(n, int):
        return max(n, 0)
    made = c.ctx.b.emit("maximum", (n, c.ctx.size_value(0)))[0]
    c.ctx.sizes.note_lower(made, 0)
    return made


# -- functions that make functions ------------------------------------------------------------------------------


@handles(operator.itemgetter)
def _itemgetter(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    from tracejit.frontend.written.iterators import item_of, items_of

    if len(args) == 1:
        return BoundFunction(Static(item_of), (args[0],))
    return BoundFunction(Static(items_of), (TupleValue(tuple(args)),))


@handles(operator.attrgetter)
def _attrgetter(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    from tracejit.frontend.written.iterators import attribute_of

    return BoundFunction(Static(attribute_of), (args[0],))


@handles(chr)
def _chr(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    if isinstance(args[0], Static):
        return c.call_now(chr, args, {}, node)
    number = c.arith.scalar(c.call_object(operator.index, args, {}, node), I64)
    b = c.ctx.b
    low, high = (b.emit(op, (number, c.ctx.size_value(k)))[0] for op, k in (("ge", 0), ("lt", 0x110000)))
    c.ctx.check(b.emit("logical_and", (low, high))[0], "ValueError", "chr() arg not in range(0x110000)")
    return MessageValue("{0:c}", (number,))
