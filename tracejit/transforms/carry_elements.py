"""`carry-elements`: an element that every trip of a loop adds to, while it reads or writes others of the same array, is
carried as a number.

In `for j in range(n): g[i, k] += g[i, j] * a[j]` each trip would wait until the one before has written to memory what
it reads: that the array's other elements are not the one at i, k is proved here (`numbers/apart.py`) and not seen
later. The same sums are made in the same order. Loops in which something may raise are left alone: what is written
before is seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tracejit.ir.builder import Builder
from tracejit.ir.core import Block, Graph, Op, Value, all_reads, has_effect, type_values, walk
from tracejit.ir.opdef import REGISTRY
from tracejit.ir.types import F32, F64, I64, ScalarType, TensorType
from tracejit.records import record
from tracejit.transforms.derivatives.element_places import WRITES
from tracejit.transforms.derivatives.frames import substitute
from tracejit.transforms.numbers.apart import Access, Program, are_apart, is_element, loops_of
from tracejit.transforms.numbers.rules import least_size
from tracejit.transforms.pipeline import transform

#: Where the indices are among the operands of an access.
_INDICES = {"fetch": 1, **dict.fromkeys(WRITES, 2)}


@transform("carry-elements")
def carry_elements(graph: Graph) -> Graph:
    """Carry elements that loops add to as numbers."""
    if not any(op.name in WRITES for op in walk(graph.body)):
        return graph
    found: dict[Op, list[_Element]] = {}
    program: Program | None = None
    for loop in [op for op in walk(graph.body) if op.name == "loop"]:
        candidates = _candidates(loop)
        if candidates:
            program = program or Program(graph.body.ops, least_size(graph))
            elements = [e for e in candidates if _may_be_carried(program, loop, e)]
            if elements:
                found[loop] = elements
    return replace(graph, body=_rewritten(graph.body, found)) if found else graph


def with_inner_elements(loop: Op) -> Op:
    """A loop as it will be if there are all elements that loops in it access."""
    inner = (op for op in walk(loop.block("body")) if op.name == "loop")
    found = {op: [e for e in _candidates(op) if not e.others] for op in inner}
    return replace(loop, blocks=(_rewritten(loop.block("body"), found),))


@record(eq=False)
class _Element:
    """An element at indices from outside of a loop: of which carried value, what accesses it, and what others."""

    place: int
    indices: tuple[Value, ...]
    own: list[Op]
    others: list[Op]


def _candidates(loop: Op) -> list[_Element]:
    """The elements that a loop adds to, beside accesses of others of the same array."""
    body = loop.block("body")
    if any(map(has_effect, body.ops)):
        return []
    inside = {*body.params, *(r for op in body.ops for r in op.results)}
    if any(v in inside for p in body.params for v in type_values(p.type)):
        return []
    found: list[_Element] = []
    for place, param in enumerate(body.params[1:]):
        accesses = _accesses(body, place, param)
        by_indices: dict[tuple[Value, ...], list[Op]] = {}
        for op in accesses:
            by_indices.setdefault(_indices(op), []).append(op)
        for indices, own in by_indices.items():
            fixed = not any(v in inside for v in indices)
            changes = ("index_add",) if len(by_indices) > 1 else WRITES
            if fixed and any(op.name in changes for op in own):
                found.append(_Element(place, indices, own, [op for op in accesses if op not in own]))
    return found


def _indices(access: Op) -> tuple[Value, ...]:
    return access.operands[_INDICES[access.name] :]


def _accesses(body: Block, place: int, param: Value) -> list[Op]:
    """The accesses of a carried array, which nothing else in the body reads; none if there is anything else."""
    if not isinstance(param.type, TensorType) or param.type.dtype not in (F32, F64):
        return []
    versions, newest = {param}, param
    found: list[Op] = []
    for op in body.ops:
        if op.name in _INDICES and op.operands[0] is newest and versions.isdisjoint(op.operands[1:]):
            found.append(op)
            if op.name in WRITES:
                newest = op.results[0]
                versions.add(newest)
        elif not versions.isdisjoint(all_reads(op)):
            return []
    passed = body.results[1 + place] is newest and sum(v in versions for v in body.results) == 1
    return found if passed else []


def _may_be_carried(program: Program, loop: Op, element: _Element) -> bool:
    """Whether an element is accessed by no other indices, or if there are no others, in a loop in another loop, is sure
    to be there."""
    if element.others:
        return _is_alone(program, loop, element)
    path = program.places[loop]
    array = loop.operands[2 + element.place]
    return bool(loops_of(path)) and is_element(program, path, array, element.indices)


def _is_alone(program: Program, loop: Op, element: _Element) -> bool:
    """Whether no trip accesses the element by other indices."""
    own = Access(element.indices, program.places[loop])
    shared = loops_of(own.path)
    others = {_indices(op): op for op in element.others}
    return all(are_apart(program, own, Access(at, program.places[op]), shared, None) for at, op in others.items())


# -- rewriting --------------------------------------------------------------------------------------------------------


def _rewritten(block: Block, found: Mapping[Op, list[_Element]]) -> Block:
    ops: list[Op] = []
    for op in block.ops:
        elements = found.get(op, [])
        if op.blocks:
            op = replace(op, blocks=tuple(_rewritten(b, found) for b in op.blocks))
        ops += _carrying(op, elements) if elements else [op]
    return Block(block.params, tuple(ops), block.results, block.label)


def _carrying(loop: Op, elements: Sequence[_Element]) -> list[Op]:
    """The loop with some elements as numbers: those that it alone accesses, or beside others, where it makes a trip:
    else they may not be there."""
    if not any(e.others for e in elements):
        return _with_numbers(loop, elements)
    elements = [e for e in elements if e.others]
    outside, then = Builder(loop.span), Builder(loop.span)
    zero = outside.constant(0, ScalarType(I64))
    runs = outside.emit("lt", (zero, loop.operands[0]), names=("runs",))[0]
    go = loop.operands[1]
    runs = outside.emit("logical_and", (runs, go), names=("runs",))[0]
    body = loop.block("body")
    starts = [then.emit("fetch", (loop.operands[2 + e.place], *e.indices), names=("element",))[0] for e in elements]
    params = [Value(v.type, v.name) for v in starts]
    ops, results, ends = _body(body, elements, params)
    made = tuple(Value(r.type, r.name) for r in loop.results)
    last = tuple(Value(v.type, v.name) for v in ends)
    inner = Block((*body.params, *params), tuple(ops), (*results, *ends), body.label)
    then.ops.append(Op(loop.defn, (*loop.operands, *starts), loop.attrs, (*made, *last), (inner,), loop.span))
    after = list(made)
    for e, value in zip(elements, last, strict=True):
        after[e.place] = then.emit("index_update", (after[e.place], value, *e.indices))[0]
    blocks = (Block((), tuple(then.ops), tuple(after), "then"), Block((), (), loop.operands[2:], "else"))
    return [*outside.ops, Op(REGISTRY["if"], (runs,), {}, loop.results, blocks, loop.span)]


def _with_numbers(loop: Op, elements: Sequence[_Element]) -> list[Op]:
    """The loop with elements of arrays, which are there and of which it accesses nothing else, in place of these."""
    b, body = Builder(loop.span), loop.block("body")
    arrays = [loop.operands[2 + e.place] for e in elements]
    starts = [b.emit("fetch", (a, *e.indices), names=("element",))[0] for a, e in zip(arrays, elements, strict=True)]
    params = [Value(v.type, v.name) for v in starts]
    ops, (go, *results), ends = _body(body, elements, params)
    places = {e.place for e in elements}

    def others(values: Sequence[Value]) -> list[Value]:
        return [v for place, v in enumerate(values) if place not in places]

    index, *carried = body.params
    last = [Value(v.type, v.name) for v in ends]
    inner = Block((index, *others(carried), *params), tuple(ops), (go, *others(results), *ends), body.label)
    operands = (*loop.operands[:2], *others(loop.operands[2:]), *starts)
    b.ops.append(Op(loop.defn, operands, loop.attrs, (*others(loop.results), *last), (inner,), loop.span))
    for e, array, value in zip(elements, arrays, last, strict=True):
        operands = (array, value, *e.indices)
        b.ops.append(Op(REGISTRY["index_update"], operands, {}, (loop.results[e.place],), (), loop.span))
    return b.ops


def _body(
    body: Block, elements: Sequence[_Element], params: Sequence[Value]
) -> tuple[list[Op], list[Value], list[Value]]:
    """The ops and the results of the body, and what the elements are at its end."""
    newest = list(params)
    element_of = {op: k for k, e in enumerate(elements) for op in e.own}
    mapping: dict[Value, Value] = {}
    ops: list[Op] = []
    for before in body.ops:
        op = substitute(before, mapping)
        k = element_of.get(before)
        if k is None:
            ops.append(op)
        elif op.name == "fetch":
            mapping[op.results[0]] = newest[k]
        else:
            mapping[op.results[0]] = op.operands[0]
            b = Builder(op.span)
            value = op.operands[1]
            newest[k] = b.emit("add", (newest[k], value))[0] if op.name == "index_add" else value
            ops += b.ops
    return ops, [mapping.get(v, v) for v in body.results], newest
