"""A derivative that is taken inside a loop and goes back through earlier trips of it: of items of a list that these
filled, or with `backward(retain_graph=True)`.

The trips so far run once more at the start of the trip, without effects, and what they leave stands for what the loop
carries: the derivative then goes through ordinary ops. It costs the trips so far. Whether it goes through what an
earlier one has freed is asked before (`spent.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from tracejit.errors import NotDifferentiable
from tracejit.ir.aliasing import LENDING
from tracejit.ir.builder import Rebuilder
from tracejit.ir.core import Block, Graph, Op, Value, all_reads, type_values, walk
from tracejit.ir.types import BOOL, I64, ListType, ScalarType
from tracejit.ops.control import gradient_parts, grouped
from tracejit.transforms.dce import sliced
from tracejit.transforms.derivatives.activity import useful, varied
from tracejit.transforms.derivatives.effects import without_effects
from tracejit.transforms.derivatives.frames import Edit, substitute
from tracejit.transforms.derivatives.once_more import NOT_MADE_AGAIN, made_for
from tracejit.transforms.derivatives.recorded import Records, detached, noting
from tracejit.transforms.derivatives.spent import UNSURE, UnsureError

NOTHING = Records()

#: The ops around a place, outermost first, each with the block that holds it.
Enclosing = Sequence[tuple[Op, Edit]]

#: For derivatives, by their first result: what the loops around, by their index, carry on the way to them.
Carried = Mapping[Value, Mapping[Value, Sequence[Value]]]


def carried_on_the_way(graph: Graph) -> Carried:
    """What all derivatives of a graph go through of earlier trips; what `rare` ones do is beside them."""
    return {
        op.results[0]: {
            loop.block("body").params[0]: [] if op.attrs.get("rare", False) else carried_to(root, loop, op)
            for loop in loops
        }
        for root, op, loops in _derivatives(graph.body, graph.body, ())
        if op.results
    }


def require_taken_once(graph: Graph) -> None:
    """Raises `UnsureError` where a derivative frees items of a list that several trips of a loop around may read: it is
    not known whether one of them did before. Items that are taken off a list, and not put back, are read once."""
    for root, op, loops in _derivatives(graph.body, graph.body, ()):
        if op.results and not op.attrs.get("retain", False) and op.attrs.get("site", -1) >= 0:
            for loop in loops:
                _require_taken_once(op, loop, carried_to(root, loop, op))


def _require_taken_once(op: Op, loop: Op, carried: Sequence[Value]) -> None:
    if not any(isinstance(p.type, ListType) for p in carried):
        return
    ops = [*walk(loop.block("body"))]
    matter = useful([loop], gradient_parts(op)[0])
    taken = varied([loop], [r for o in ops if o.name == "list_pop" for r in o.results[1:]])
    for o in ops:
        is_lent = o.name in LENDING and o.results[0] in matter
        if is_lent or (o.name == "list_push" and o.operands[1] in taken & matter):
            raise UnsureError(op.name, UNSURE, op.span)


def carried_to(root: Block, loop: Op, derivative: Op) -> list[Value]:
    """What a loop carries from trip to trip on the way to a derivative in it, from values outside of it."""
    body = loop.block("body")
    if derivative.name == "gradient":
        ys, _, xs = gradient_parts(derivative)
    else:
        ys, xs = derivative.operands[:1], derivative.defn.group(derivative.operands)[1]
    inside = {*body.params, *(r for op in walk(body) for r in op.results)}
    given = [x for x in xs if x not in inside]
    if not given:
        return []
    changed, matters = varied(root.ops, given), useful([loop], ys)
    leaves = versions_of_leaves(derivative)
    return [p for p in body.params[1:] if p in changed and p in matters and p not in leaves]


def versions_of_leaves(derivative: Op) -> set[Value]:
    """The inputs of a derivative that are one of several contents of a leaf: what it held when loops around, or trips
    of these, began. Another input that a loop carries leads on to what it was made of."""
    if derivative.name != "gradient":
        return {*derivative.defn.group(derivative.operands)[1]}
    groups = grouped(gradient_parts(derivative)[2], derivative.attrs.get("groups", ()))
    return {x for group in groups if len(group) > 1 for x in group}


def _derivatives(root: Block, block: Block, loops: tuple[Op, ...]) -> Iterator[tuple[Block, Op, tuple[Op, ...]]]:
    """The derivatives in a block, with the loops around them inside of `root`."""
    for op in block.ops:
        if op.name in ("gradient", "tangent"):
            yield root, op, loops
        for nested in op.blocks:
            if op.name == "custom":
                yield from _derivatives(nested, nested, ())
            else:
                yield from _derivatives(root, nested, (*loops, op) if op.name == "loop" else loops)


def through_earlier_trips(
    op: Op, carried: Carried, enclosing: Enclosing, edit: Edit, leaves: Collection[Value], records: Records
) -> tuple[Op, Mapping[Value, Value]]:
    """A derivative that reads nothing which an enclosing loop carries on the way to it: the blocks around it get the
    repeated trips. Also gives what stands for what the loops carry, behind it too: not for `leaves`, and lists, which
    something else may take apart. Raises `NotDifferentiable` where that cannot be had."""
    edits = [*(outer for _, outer in enclosing), edit]
    stand_in: dict[Value, Value] = {}
    for depth, (around, _) in enumerate(enclosing):
        if around.name != "loop" or not op.results:
            continue
        on_the_way = carried[op.results[0]][around.block("body").params[0]]
        if not on_the_way:
            continue
        needed, ops = slice_of(op, around, on_the_way, records)
        b = Rebuilder(without_effects, dict(stand_in), op.span)
        inits = _starts(b, around, needed, edits[: depth + 1])
        new = dict(zip(needed, repeated(b, around, inits, ops), strict=True))
        for inner in edits[depth + 1 :]:
            inner.reset([substitute(o, new) for o in inner.ops])
        edits[depth + 1].insert_first(*b.ops)
        stand_in.update(new)
    new = {old: again for old, again in stand_in.items() if old not in leaves}  # a leaf leads to what it held before
    return substitute(op, new), {old: again for old, again in new.items() if not isinstance(old.type, ListType)}


def slice_of(
    op: Op, around: Op, carried: Sequence[Value], records: Records = NOTHING
) -> tuple[list[Value], Sequence[Op]]:
    """What a loop must carry to give `carried`, and the ops of its body for that, which read derivatives that are
    noted. Raises `NotDifferentiable` where they take one."""
    needed, ops = _slice(around, carried, records)
    if any(v in needed for p in needed for v in type_values(p.type)):
        raise NotDifferentiable(op.name, "it depends on arrays of earlier trips whose sizes differ", op.span)
    if any(o.name in ("gradient", "tangent") for o in walk(Block((), tuple(ops), ()))):
        raise NotDifferentiable(op.name, "it depends on derivatives taken in earlier trips of its loop", op.span)
    return needed, ops


def _slice(around: Op, carried: Sequence[Value], records: Records) -> tuple[list[Value], Sequence[Op]]:
    body = around.block("body")
    made, noted = records.read(around)
    following = dict(zip(body.params[1:], body.results[1:], strict=True))
    needed, ops = set(carried), ()
    while True:
        wanted = [following[p] for p in needed]
        ops = sliced(made, wanted)
        read = set(wanted).union(*map(all_reads, ops), *(type_values(p.type) for p in needed))
        more = read.intersection(body.params[1:]) - needed - {*noted}
        if not more:
            break
        needed |= more
    return [p for p in body.params[1:] if p in needed], ops


def noting_derivatives(graph: Graph) -> tuple[Graph, Records]:
    """The graph that notes the derivatives that its loops take in trips which run again for later ones."""
    values: dict[Value, None] = {}
    outermost: dict[Op, None] = {}
    for root, op, loops in _derivatives(graph.body, graph.body, ()):
        if op.name != "gradient" or op.attrs.get("rare", False) or root is not graph.body:
            continue
        for loop in loops:
            way = carried_to(root, loop, op)
            taken = [o for o in walk(Block((), tuple(_slice(loop, way, NOTHING)[1]), ())) if o.name == "gradient"]
            found = [detached(root, o) for o in taken] if way else []
            if any(each is None for each in found):
                return graph, NOTHING
            values.update(dict.fromkeys(v for each in found for v in each or ()))
            outermost.update(dict.fromkeys(loops[:1] if found else ()))
    return noting(graph, outermost, [*values]) if values else (graph, NOTHING)


def _starts(b: Rebuilder, around: Op, needed: Sequence[Value], edits: Sequence[Edit]) -> dict[Value, Value]:
    """What the repeated trips begin with, of the values that a loop carries. Lists, which the loop itself takes over,
    are made once more: the ops for that are emitted."""
    body = around.block("body")
    first = dict(zip(body.params[1:], around.operands[2:], strict=True))
    lists = [first[p] for p in needed if isinstance(p.type, ListType)]
    if lists:
        before = [o for edit in edits for o in edit.ops]
        definitions = {r: o for o in before for r in o.results}
        making = set[Op]()
        for items in lists:
            maker = definitions.get(items)
            found = None if maker is None else made_for(maker, definitions, edits)
            if found is None:
                raise NotDifferentiable("gradient", NOT_MADE_AGAIN, around.span)
            making.update(found)
        for o in before:
            if o in making:
                b.step(o)
    return {p: b.value(first[p]) for p in needed}


def repeated(b: Rebuilder, around: Op, inits: Mapping[Value, Value], ops: Sequence[Op]) -> tuple[Value, ...]:
    """Emit the trips before the present one; gives what they leave."""
    body, needed = around.block("body"), list(inits)
    following = dict(zip(body.params[1:], body.results[1:], strict=True))
    go = b.constant(True, ScalarType(BOOL))
    inner = b.nested()
    index = inner.mapping[body.params[0]] = Value(ScalarType(I64), body.params[0].name)
    params = inner.params_like(needed)
    for op in ops:
        inner.step(op)
    block = inner.block((index, *params), (go, *(inner.value(following[p]) for p in needed)), "body")
    operands = (body.params[0], go, *inits.values())
    return b.emit("loop", operands, blocks=[block], like=params, mapping={})
