"""Checks that stop their loop: `a[i]` for `i < n` may fail only from trip `len(a)` on.

Such a loop runs to where the first of its checks would fail, without them, and the check is made after it, for that
trip. It must come before anything in the body that would be seen when it fails: writes, prints, other errors.
Used by `ranges`, which knows what indices are; an innermost loop then has no branches but its own, and a loop over
elements whose trips are independent may become vectors.

Checks of data (`x[i] < 0` ahead of a root) stop a loop that would run in lanes without them: a loop ahead of it that
does nothing but look at the data finds the first trip in which one fails.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from tracejit.ir.builder import Builder
from tracejit.ir.core import Block, Op, Value
from tracejit.ir.types import BOOL, I64, ScalarType
from tracejit.records import record
from tracejit.transforms.independent import trips_are_independent
from tracejit.transforms.numbers.linear import LOW, Linear

SIZE, TRUTH = ScalarType(I64), ScalarType(BOOL)

#: Finds the value that stands for one here, None where there is none.
Scope: TypeAlias = Callable[[Value], "Value | None"]


@record
class Stops:
    """Checks of a loop's body that hold until some trip: each while all its `n * trip + rest` are at most 0, n = -1, 0
    or 1; or in every trip or none (None: the condition is from outside). `goes`: nothing else ends the loop."""

    parts: Mapping[Op, Sequence[tuple[int, Linear]] | None]
    goes: bool


def limited(loop: Op, stops: Stops, scope: Scope, written: Container[Value]) -> list[Op]:
    """The loop without its first checks, which come after it; itself where that cannot be. To make values that are in
    `written` is to write."""
    body = loop.block("body")
    checks = [op for op in body.ops if op.name == "check"]
    lanes = stops.goes and bool(checks) and trips_are_independent(_without(loop, set(checks), loop.operands[0], True))
    found = _leading(body, stops, scope, written, lanes)
    looks = lanes and found == checks and not all(op in stops.parts for op in checks)
    if not looks:
        found = _leading(body, stops, scope, written, False)
    if not found:
        return [loop]
    b = Builder(loop.span)
    limit = loop.operands[0]
    trips = _limit(b, loop, found, stops, scope)
    stopped = b.emit("lt", (trips, limit), names=("stopped",))[0]
    made = _without(loop, set(found), trips, stops.goes)
    b.ops.append(made)
    if not stops.goes:
        going = made.results[-1] if len(made.results) > len(loop.results) else loop.operands[1]
        stopped = b.emit("logical_and", (stopped, going), names=("stopped",))[0]
    if lanes and not looks:  # loops around lanes have checks at their end, and no branches
        fine = b.emit("logical_not", (stopped,), names=("fine",))[0]
        _check(b, found, _Copies(b, body, trips, made.results), fine)
    else:
        then = b.nested()
        _check(then, found, _Copies(then, body, trips, made.results))
        blocks = [then.block((), (), "then"), b.nested().block((), (), "else")]
        b.emit("if", (stopped,), blocks=blocks, types=())
    return b.ops


def _limit(b: Builder, loop: Op, checks: Sequence[Op], stops: Stops, scope: Scope) -> Value:
    """How many trips all of these checks hold for from the first one on."""
    zero = b.constant(0, SIZE)
    limit = trips = loop.operands[0]
    for check in checks:
        if check not in stops.parts:
            trips = b.emit("maximum", (trips, zero))[0]
            trips = _first_failing(b, loop, check, trips)
            continue
        parts = stops.parts[check]
        if parts is None:
            trips = b.emit("select", (check.operands[0], trips, zero))[0]
        for n, rest in parts or ():
            trips = b.emit("minimum", (trips, _trips(b, n, rest, limit, scope)))[0]
    return b.emit("maximum", (trips, zero), names=("trips",))[0]


def _check(b: Builder, checks: Sequence[Op], copies: _Copies, fine: Value | None = None) -> None:
    """The checks as they are in one trip, unless all is `fine`."""
    for check in checks:
        b.span = check.span
        cond, *payload = map(copies.value, check.operands)
        holds = cond if fine is None else b.emit("logical_or", (fine, cond))[0]
        b.emit("check", (holds, *payload), check.attrs)


def _first_failing(b: Builder, loop: Op, check: Op, trips: Value) -> Value:
    """The first of so many trips in which a check of data fails; `trips` where none does."""
    inside = b.nested()
    trip, first = Value(SIZE, "trip"), Value(SIZE, "first")
    holds = _Copies(inside, loop.block("body"), trip, loop.operands[2:]).value(check.operands[0])
    failing = inside.emit("select", (holds, trips, trip))[0]
    first_now = inside.emit("minimum", (first, failing))[0]
    goes = loop.operands[1]
    body = inside.block((trip, first), (goes, first_now), "body")
    return b.emit("loop", (trips, goes, trips), blocks=[body], types=(SIZE,), names=("first",))[0]


def _trips(b: Builder, n: int, rest: Linear, limit: Value, scope: Scope) -> Value:
    """How many trips `n * trip + rest <= 0` holds for from the first one on; `limit` where for all."""
    if n == 1:
        return emitted(b, rest.times(-1).shifted(1), scope)
    zero = b.constant(0, SIZE)
    holds = b.emit("le", (emitted(b, rest, scope), zero))[0]
    return b.emit("select", (holds, limit, zero))[0]


def emitted(b: Builder, x: Linear, scope: Scope) -> Value:
    """An expression as ops; only the sum has to fit."""
    total: Value | None = None
    for value, factor in sorted(x.terms.items(), key=lambda term: -term[1]):
        term = scope(value)
        assert term is not None
        if term.type != SIZE:
            term = b.emit("cast", (term,), {"dtype": SIZE.dtype})[0]
        if abs(factor) != 1:
            term = b.emit("mul", (term, b.constant(abs(factor), SIZE)))[0]
        if total is None:
            total = term if factor > 0 else b.emit("sub", (b.constant(0, SIZE), term))[0]
        else:
            total = b.emit("add" if factor > 0 else "sub", (total, term))[0]
    constant = (x.constant - LOW) % (1 << 64) + LOW
    if total is None:
        return b.constant(constant, SIZE)
    return b.emit("add", (total, b.constant(constant, SIZE)))[0] if constant else total


def _without(loop: Op, checks: set[Op], limit: Value, goes: bool) -> Op:
    """The loop without checks, up to another limit. Where something else may end it, it says whether that did not."""
    body = loop.block("body")
    ops = tuple(op for op in body.ops if op not in checks)
    params, results, nexts, operands = body.params, loop.results, body.results, (limit, *loop.operands[1:])
    if not goes and body.results[0] is not loop.operands[1]:
        params, results = (*params, Value(TRUTH, "going")), (*results, Value(TRUTH, "going"))
        nexts, operands = (*nexts, nexts[0]), (*operands, operands[1])
    return replace(loop, operands=operands, results=results, blocks=(Block(params, ops, nexts, body.label),))


# -- which checks --------------------------------------------------------------------------------------------------


def _leading(body: Block, stops: Stops, scope: Scope, written: Container[Value], looks: bool) -> list[Op]:
    """The checks before which nothing in the body can be seen from outside; with `looks` also those of data."""
    found: list[Op] = []
    copyable = set(body.params)
    inside = set(body.params)
    for op in body.ops:
        inside.update(op.results)
        known = all(v in copyable or v not in inside for v in op.operands)
        if op.name == "check":
            stopping = op in stops.parts and _is_emitted(stops.parts[op] or (), scope)
            if not known or not (stopping or (looks and op not in stops.parts)):
                break
            found.append(op)
        elif _is_seen(op, written):
            break
        elif known and (_is_arithmetic(op) or (looks and op.name == "fetch")):
            copyable.update(op.results)
    return found


def _is_emitted(parts: Sequence[tuple[int, Linear]], scope: Scope) -> bool:
    return all(scope(v) is not None for _, rest in parts for v in rest.terms)


def _is_seen(op: Op, written: Container[Value]) -> bool:
    """Whether the op, or one in it, raises, prints or writes; loops that do nothing else are taken to end."""
    updates = getattr(op.defn.lower, "updates", False) or op.name in ("sync", "call")
    if op.defn.effect or updates or any(r in written for r in op.results):
        return True
    return any(_is_seen(o, written) for block in op.blocks for o in block.ops)


def _is_arithmetic(op: Op) -> bool:
    return not op.blocks and all(isinstance(v.type, ScalarType) for v in (*op.operands, *op.results))


class _Copies:
    """Host arithmetic of a body, done outside of the loop for one trip, at whose start these values are carried."""

    def __init__(self, b: Builder, body: Block, trip: Value, carried: Sequence[Value]) -> None:
        self.b = b
        self.made = {r: op for op in body.ops for r in op.results}
        self.known: dict[Value, Value] = {body.params[0]: trip, **dict(zip(body.params[1:], carried, strict=False))}

    def value(self, old: Value) -> Value:
        """What a value of the body is in that trip; one from outside is itself."""
        if old not in self.known and old in self.made:
            op = self.made[old]
            copy = self.b.emit(op.defn, tuple(map(self.value, op.operands)), op.attrs, names=(old.name,))
            self.known.update(zip(op.results, copy, strict=True))
        return self.known.get(old, old)
