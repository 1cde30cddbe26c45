"""What a number in a graph under construction depends on: data, sizes, number arguments, or nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tracejit.frontend.context import Context
from tracejit.frontend.control.trips import MAX_UNROLLED
from tracejit.frontend.restarts import NeedsSizes, NeedsStatic
from tracejit.frontend.values import FrontValue, Number, TupleValue
from tracejit.ir import interpreter
from tracejit.ir.core import Block, Graph, Op, Value
from tracejit.ir.types import ListType, TensorType


@dataclass(slots=True)
class Dependence:
    """`by_data`: the content of an array takes part; `value` is the number where nothing decides it."""

    by_data: bool = False
    sizes: list[tuple[Any, int]] = field(default_factory=list[tuple[Any, int]])
    numbers: list[Any] = field(default_factory=list[Any])
    value: Any = None


def decided_by(ctx: Context, value: Value) -> Dependence:
    """Follow a value back to what it was computed from."""
    found = Dependence()
    if isinstance(value.known, int):
        found.value = value.known
        return found
    makers: dict[Value, Op] = {r: op for op in ctx.b.ops for r in op.results}
    sizes = {size: name for name, size in ctx.dims.items()}
    needed: set[Op] = set()
    pending = [value]
    seen: set[Value] = set()
    while pending:
        v = pending.pop()
        if v in seen:
            continue
        seen.add(v)
        if v in sizes:
            place = ctx.size_access.get(sizes[v])
            if place is None:
                found.by_data = True
            else:
                found.sizes.append(place)
        elif v in ctx.number_access:
            found.numbers.append(ctx.number_access[v])
        elif v in makers and not makers[v].blocks and makers[v].defn.eager is not None:
            needed.add(makers[v])
            pending.extend(makers[v].operands)
        else:
            found.by_data = True
    if not (found.by_data or found.sizes or found.numbers):
        ops = tuple(op for op in ctx.b.ops if op in needed)
        result = interpreter.run(Graph("value", Block((), ops, (value,)), "cpu"), ())[0]
        found.value = result.item() if hasattr(result, "item") else result
    return found


def compiled_in(found: Dependence) -> Any:
    """The number that `found` is about; what decides it is asked to be compiled in. Not for what data decides."""
    if found.sizes:
        raise NeedsSizes(found.sizes)
    if found.numbers:
        raise NeedsStatic(found.numbers[0])
    return found.value


_BY_DATA = "this size depends on data, and decides how many values there are"


def require_known(
    ctx: Context, value: Value, node: ast.AST, why: str = _BY_DATA, instead: str = "use a loop or a slice"
) -> int:
    """An integer that decides what the program is: how many results a call has, say."""
    found = decided_by(ctx, value)
    if found.by_data:
        ctx.refuse(node, why, instead)
    return int(compiled_in(found))


def few(ctx: Context, length: Value | int, node: ast.AST) -> int:
    """How many rows of an array become values of their own."""
    rows = length if isinstance(length, int) else require_known(ctx, length, node)
    if rows > MAX_UNROLLED:
        ctx.refuse(
            node, f"more than {MAX_UNROLLED} rows of an array as values of their own", "index the array in a loop"
        )
    return rows


def may_become_known(ctx: Context, *keys: FrontValue) -> bool:
    """Whether these values could be known while compiling if the loops over few numbers around them were unrolled: not
    where one of them is read from an array, or chosen by what is. That those in lists are not known either is
    guessed."""
    if not ctx.loops_to_unroll() or _are_read(ctx, keys, TensorType):
        return False
    if not ctx.growing.guesses or not _are_read(ctx, keys, ListType):
        return True
    ctx.growing.has_guessed = True
    return False


def _numbers(keys: Iterable[FrontValue]) -> Iterator[Value]:
    for key in keys:
        if isinstance(key, TupleValue):
            yield from _numbers(key.items)
        elif isinstance(key, Number):
            yield key.value


def _are_read(ctx: Context, keys: Iterable[FrontValue], kind: type) -> bool:
    """Whether one of these is read from something of a kind of types, or chosen by what is."""
    makers = {r: op for b in (*ctx.outer_builders, ctx.b) for op in b.ops for r in op.results}
    pending, seen = [*_numbers(keys)], set[Value]()
    while pending:
        v = pending.pop()
        op = makers.get(v)
        if v in seen or op is None or op.name == "dim":
            continue
        seen.add(v)
        if op.name == "if":
            pending.append(op.operands[0])
        elif not op.blocks:
            if any(isinstance(x.type, kind) for x in op.operands):
                return True
            pending.extend(op.operands)
    return False
