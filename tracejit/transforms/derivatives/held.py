"""Conditions that hold where they are asked: of loops that go on only while they do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tracejit.ir.core import Block, Op, Value, walk
from tracejit.ir.opdef import REGISTRY


def known_truth(makers: Mapping[Value, Op], truth: Value) -> bool | None:
    """A truth value as far as constants tell it."""
    op = makers.get(truth)
    if op is None:
        return None
    if op.name == "const":
        return op.attrs["value"]
    if op.defn not in (REGISTRY["logical_not"], REGISTRY["logical_and"], REGISTRY["logical_or"]):
        return None
    known = [known_truth(makers, v) for v in op.operands]
    if op.defn is REGISTRY["logical_not"]:
        return None if known[0] is None else not known[0]
    decides = op.defn is REGISTRY["logical_or"]
    return decides if decides in known else None if None in known else not decides


def held(body: Block) -> set[Value]:
    """The conditions of checks in loops that hold since the loop goes on only where they do, as in
    `while items: items.pop()`; and those that constants tell to hold."""
    makers = {r: op for op in walk(body) for r in op.results}
    asked = {op.operands[0] for op in walk(body) if op.name == "if"}
    found = {v for v in asked if known_truth(makers, v) is True}
    for loop in (op for op in walk(body) if op.name == "loop"):
        inner = loop.block("body")
        first = dict(zip(inner.params[1:], loop.operands[2:], strict=True))
        following = dict(zip(inner.params[1:], inner.results[1:], strict=True))
        begins, goes_on = [*_parts(makers, loop.operands[1])], [*_parts(makers, inner.results[0])]
        for v in (r for op in inner.ops for r in op.results if r in asked):
            starts = any(_are_alike(makers, v, other, first) for other in begins)
            if starts and any(_are_alike(makers, v, other, following) for other in goes_on):
                found.add(v)
    return found


def _parts(makers: Mapping[Value, Op], truth: Value) -> Iterator[Value]:
    """What holds where a truth does."""
    yield truth
    op = makers.get(truth)
    if op is not None and op.defn is REGISTRY["logical_and"]:
        for v in op.operands:
            yield from _parts(makers, v)


def _are_alike(makers: Mapping[Value, Op], one: Value, other: Value, standing: Mapping[Value, Value]) -> bool:
    """Whether a value at the start of a trip is another one, where these stand for what the loop carries."""
    if one in standing or one is other:
        return standing.get(one, one) is other
    a, b = makers.get(one), makers.get(other)
    if a is None or b is None or a.defn is not b.defn or a.attrs != b.attrs or a.blocks or len(a.results) != 1:
        return False
    if a.defn.effect or len(a.operands) != len(b.operands):
        return False
    return all(_are_alike(makers, x, y, standing) for x, y in zip(a.operands, b.operands, strict=True))
