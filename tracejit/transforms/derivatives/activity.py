"""Which values a derivative has to pass through: those that vary with the inputs *and* matter to the outputs.

Both sides are found by one walk over the ops, nested blocks included; a loop is repeated until its carried
values no longer change. Only inexact numbers, arrays of them and lists of these can be active: integers and
truth values are conditions, masks, indices and sizes, and have no slope.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tracejit.ir.core import Op, Value, inputs_of
from tracejit.ir.types import is_differentiable


def active(ops: Sequence[Op], inputs: Iterable[Value], outputs: Iterable[Value]) -> set[Value]:
    """The values of `ops` through which `outputs` depend differentiably on `inputs` (both included)."""
    return varied(ops, inputs) & useful(ops, outputs)


def varied(ops: Sequence[Op], inputs: Iterable[Value]) -> set[Value]:
    """The values that change when the inputs do."""
    found = {v for v in inputs if is_differentiable(v.type)}
    _forward(ops, found)
    return found


def useful(ops: Sequence[Op], outputs: Iterable[Value]) -> set[Value]:
    """The values that change the outputs in a way that has a derivative."""
    found = {v for v in outputs if is_differentiable(v.type)}
    _backward(ops, found)
    return found


def _note(values: Iterable[Value], found: set[Value]) -> None:
    found.update(v for v in values if is_differentiable(v.type))


def _forward(ops: Sequence[Op], found: set[Value]) -> None:
    for op in ops:
        match op.name:
            case "if":
                for block in op.blocks:
                    _forward(block.ops, found)
                    _note((r for r, v in zip(op.results, block.results, strict=True) if v in found), found)
            case "loop":
                _forward_loop(op, found)
            case _:
                if any(v in found for v in inputs_of(op)) and not op.defn.is_flat:
                    _note(op.results, found)


def _forward_loop(op: Op, found: set[Value]) -> None:
    body = op.block("body")
    carried = tuple(zip(op.operands[2:], body.params[1:], body.results[1:], op.results, strict=True))
    before = -1
    while before != len(found):
        before = len(found)
        _note((param for init, param, following, _ in carried if init in found or following in found), found)
        _forward(body.ops, found)
    _note((result for init, _, following, result in carried if init in found or following in found), found)


def _backward(ops: Sequence[Op], found: set[Value]) -> None:
    for op in reversed(ops):
        match op.name:
            case "if":
                for block in op.blocks:
                    _note((v for r, v in zip(op.results, block.results, strict=True) if r in found), found)
                    _backward(block.ops, found)
            case "loop":
                _backward_loop(op, found)
            case _:
                if any(r in found for r in op.results) and not op.defn.is_flat:
                    _note(inputs_of(op), found)


def _backward_loop(op: Op, found: set[Value]) -> None:
    body = op.block("body")
    carried = tuple(zip(op.operands[2:], body.params[1:], body.results[1:], op.results, strict=True))
    before = -1
    while before != len(found):
        before = len(found)
        _note((following for _, param, following, result in carried if param in found or result in found), found)
        _backward(body.ops, found)
    _note((init for init, param, _, result in carried if param in found or result in found), found)
