"""Reverse mode: the derivative of a graph as graphs.

`reverse` walks ops backward and emits their derivative rules; `vjp_control.py` has the rules of `if` and `loop`,
`frames.py` the state of a block, `residuals.py` what passes from a forward block to its backward.
`derive` makes two graphs (forward with residuals, backward), `value_and_grad_graph` one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tracejit.errors import NotDifferentiable
from tracejit.ir.builder import Builder, Rebuilder
from tracejit.ir.core import Block, Graph, Op, Value, captures, inputs_of, type_values, walk
from tracejit.ir.types import ListType, ScalarType, TensorType, Type, is_differentiable
from tracejit.records import record
from tracejit.transforms.checkpoint_loops import segmented
from tracejit.transforms.derivatives.activity import active
from tracejit.transforms.derivatives.effects import quiet, without_effects
from tracejit.transforms.derivatives.frames import Edit, Frame, Region
from tracejit.transforms.derivatives.once_more import standing_in
from tracejit.transforms.derivatives.packing import pack, unpack
from tracejit.transforms.derivatives.residuals import Draft, fit
from tracejit.transforms.derivatives.vjp_call import CallDerivatives, reverse_call
from tracejit.transforms.derivatives.vjp_control import reverse_if, reverse_loop


@record
class Derivative:
    """A graph's derivative.

    forward:     the user results, then `n_residuals` residuals, then the final versions of `inout` parameters
    backward:    parameters: the residuals, then the cotangents of the differentiated results;
                 results: the cotangents of the wanted parameters
    cotangents:  which results of the original graph (its `inout` finals included) have a cotangent parameter
    """

    forward: Graph
    backward: Graph
    n_residuals: int
    cotangents: tuple[int, ...]


# -- the walk ----------------------------------------------------------------------------------------------------


def reverse(frame: Frame, ops: Sequence[Op]) -> None:
    """Emit the backward of forward ops of a frame, last op first."""
    for before in reversed(ops):
        op = standing_in(frame, before)
        if not any(r in frame.region.active and r in frame.cotangents for r in op.results):
            continue
        outer, frame.b.span = frame.b.span, op.span
        match op.name:
            case "if":
                reverse_if(frame, op, reverse)
            case "loop":
                reverse_loop(frame, op, reverse)
            case "call":
                frame.region.calls = frame.region.calls or CallDerivatives(reverse)
                reverse_call(frame, op, frame.region.calls)
            case "custom":
                _reverse_custom(frame, op)
            case "index_update" if frame.region.accumulations(contributions).adds(op):
                _reverse_accumulation(frame, op)
            case "fetch" if op in frame.region.accumulations(contributions).reads:
                pass  # the write behind it has left the cotangent
            case _:
                _reverse_plain(frame, op)
        frame.b.span = outer


def _reverse_accumulation(frame: Frame, op: Op) -> None:
    """Hand on the cotangent of an array to an element of which something is added."""
    total = frame.cotangents.total(op.results[0])
    if total is not None:
        x, value, *indices = op.operands
        frame.cotangents.add(value, frame.b.emit("fetch", (total, *indices))[0])
        frame.cotangents.add(x, total)


def _reverse_plain(frame: Frame, op: Op) -> None:
    """Apply the derivative rule of an op."""
    if is_renaming(op):
        for update in frame.cotangents.places(op.results[0]):
            frame.cotangents.add(op.operands[0], update)
    totals = [frame.cotangents.total(r) for r in op.results]
    given = tuple(None if total is None else frame.b.wrap(total) for total in totals)
    if any(g is not None for g in given):
        for operand, contribution in contributions(frame.b, op, given):
            if operand in frame.region.active:
                frame.cotangents.add(operand, contribution)


def is_renaming(op: Op) -> bool:
    """Whether an op is a `broadcast` that gives its operand as it is, under other names for its sizes: what changes the
    cotangent of the result in places changes that of the operand in the same places."""
    if op.name != "broadcast" or not op.attrs.get("exact"):
        return False
    before, after = op.operands[0].type, op.results[0].type
    if not isinstance(before, TensorType) or not isinstance(after, TensorType) or before.rank != after.rank:
        return False
    return all(n != 1 or m == 1 for n, m in zip(before.shape, after.shape, strict=True))


def contributions(b: Builder, op: Op, given: Sequence[Any]) -> list[tuple[Value, Any]]:
    """Operands with what the op's rule gives each: a cotangent, an `Update` or None.

    `given` has the cotangent of each result, a handle or None. Raises `NotDifferentiable` where there is no rule.
    """
    rule = op.defn.vjp
    if isinstance(rule, str):
        raise NotDifferentiable(op.name, rule, op.span)
    out = tuple(b.wrap(r) for r in op.results)
    grouped = op.defn.group(tuple(b.wrap(v) for v in op.operands))
    single = len(out) == 1
    found = rule(b, given[0] if single else given, *grouped, out[0] if single else out, **op.attrs)
    pairs: list[tuple[Value, Any]] = []
    for operand, contribution in zip(op.defn.group(op.operands), found, strict=True):
        if isinstance(operand, Value):
            pairs.append((operand, contribution))
        elif contribution is not None:
            pairs.extend(zip(operand, contribution, strict=True))
    return pairs


def _reverse_custom(frame: Frame, op: Op) -> None:
    """A function with its own derivative: it stays, its `forward` block gives the residuals beside it, and its
    `backward` block is emitted."""
    require_closed(op, frame.region.active)
    b = Rebuilder(without_effects, {}, op.span)
    residuals = custom_residuals(b, op)
    frame.replace(op, op, *b.ops)
    totals = [frame.cotangents.total_or_zero(r) for r in op.results if is_differentiable(r.type)]
    rule = Rebuilder(None, {}, op.span)
    found = rule.inline(op.block("backward"), (*residuals, *totals))
    frame.b.ops.extend(rule.ops)
    for operand, contribution in zip(varying(op), found, strict=True):
        if operand in frame.region.active:
            frame.cotangents.add(operand, contribution)


def custom_residuals(b: Rebuilder, op: Op) -> list[Value]:
    """Emit what the `backward` of a `custom` op needs. What is a result too is the op's own result, so that a further
    derivative goes by the function's rule and does not look into it."""
    forward = op.block("forward")
    outcome, kept = forward.results[: len(op.results)], forward.results[len(op.results) :]
    found = b.inline(forward, op.operands)[len(op.results) :]
    own = {v: r for v, r in zip(outcome, op.results, strict=True) if v not in forward.params}
    return [own.get(v, f) for v, f in zip(kept, found, strict=True)]


def require_closed(op: Op, active_values: set[Value]) -> None:
    """A function's own derivative says nothing of values it captures: they may not vary."""
    for value in (v for block in op.blocks for v in captures(block)):
        if value in active_values:
            reason = f"it reads {value.name!r} from outside, which varies: make it an argument"
            raise NotDifferentiable(op.attrs.get("name", op.name), reason, op.span)


def varying(op: Op) -> list[Value]:
    """The operands that the backward of a `custom` op gives cotangents for."""
    return [v for v in op.operands if is_differentiable(v.type)]


# -- whole graphs ------------------------------------------------------------------------------------------------


def derive(
    graph: Graph, wanted: Sequence[int], results: Sequence[int] | None = None, *, lists: bool = True
) -> Derivative:
    """The derivative of a graph with respect to the parameters `wanted` (indices).

    `results`: which user results have cotangents (default: all inexact ones); the final versions of inexact `inout`
    parameters always have. `lists`: whether residuals may be lists; if not, arrays take their place, or the
    backward runs the loops that fill them once more. Raises `NotDifferentiable`.
    """
    graph = segmented(graph)
    n_user = len(graph.results) - len(graph.inout)
    chosen = range(n_user) if results is None else results
    outputs = [i for i in (*chosen, *range(n_user, len(graph.results))) if is_differentiable(graph.results[i].type)]
    draft, seeds = _backward(graph, wanted, outputs, graph.results[n_user:])
    residuals, backward = _backward_graph(graph, draft, seeds, lists)
    outcome = (*graph.results[:n_user], *residuals, *graph.results[n_user:])
    body = Block(graph.params, tuple(draft.frame.edits[0].ops), outcome, graph.body.label)
    forward = Graph(graph.name, body, graph.device, graph.inout, graph.policy)
    return Derivative(forward, backward, len(residuals), tuple(outputs))


def pullback_graph(graph: Graph, wanted: Sequence[int], outputs: Sequence[int]) -> Graph:
    """One graph, without effects, from the parameters and the cotangents of the results `outputs` to the cotangents of
    the parameters `wanted`."""
    graph = segmented(graph)
    draft, seeds = _backward(graph, wanted, outputs)
    b = Rebuilder(without_effects, {})
    params = [b.param_like(v) for v in graph.params]
    given = [_own_param(v, f"s{n}") if type_values(v.type) else b.param_like(v) for n, v in enumerate(seeds)]
    for op in draft.frame.edits[0].ops:
        b.step(op)
    has_own_names = _fit_seeds(b, draft, seeds, given)
    body = b.block((*params, *given), draft.rebuild(b))
    policy = {**graph.policy, **({"any_size": True} if has_own_names else {})}
    return Graph(f"{graph.name}.gradient", body, graph.device, (), policy)


def _backward(
    graph: Graph, wanted: Sequence[int], outputs: Sequence[int], given: Sequence[Value] = ()
) -> tuple[Draft, list[Value]]:
    """The backward of a graph, in the names of the forward, and the cotangents of its results `outputs`. `given`:
    arrays that the caller may have changed when it runs."""
    inputs = [graph.params[i] for i in wanted]
    edit = Edit(graph.params, list(graph.body.ops))
    found = active(edit.ops, inputs, (graph.results[i] for i in outputs))
    region = Region(graph.params, [edit], found, given=given)
    frame = Frame(region, [edit])
    seeds = [Value(graph.results[i].type, f"d{graph.results[i].name}") for i in outputs]
    for i, seed in zip(outputs, seeds, strict=True):
        if graph.results[i] in region.active:
            frame.cotangents.add(graph.results[i], seed)
    reverse(frame, graph.body.ops)
    return Draft(frame, [frame.cotangents.total_or_zero(v) for v in inputs]), seeds


def _backward_graph(graph: Graph, draft: Draft, seeds: Sequence[Value], lists: bool) -> tuple[list[Value], Graph]:
    """The residuals and the backward as a graph of its own."""
    saved, repeated = draft.residuals({}, typed=True, beside=seeds)
    packed: dict[Value, Value] = {}
    if not lists and any(isinstance(v.type, ListType) for v in saved):
        if all(_element_of(draft, v) is not None for v in saved if isinstance(v.type, ListType)):
            saved, packed = _packed(draft, saved)
            repeated = [op for op in repeated if not set(saved).issuperset(op.results)]  # sizes of the arrays
        else:
            saved, repeated = _without_lists(draft, saved, repeated, seeds)
    known = {v.known for v in draft.named if isinstance(v.known, str)}
    names = known | _names_in(draft.ops) | _names_of(draft.results)
    saved += _binding(names - _names_of((*saved, *seeds)), graph.params)
    b = Rebuilder(without_effects, {})
    again = {r for op in repeated for r in op.results}
    params = [
        _own_param(v, f"{letter}{n}") if again.intersection(type_values(v.type)) else b.param_like(v)
        for letter, values in (("r", saved), ("s", seeds))
        for n, v in enumerate(values)
    ]
    given = params[len(saved) :]
    for name in sorted(known):
        b.mapping[draft.frame.region.size(name)] = _size_from(b, params, name)
    for items, array in packed.items():
        assert isinstance(items.type, ListType)
        b.mapping[items] = unpack(b, b.value(array), items.type)
    stand_ins = dict(zip(saved, params, strict=False))
    draft.restore(b, saved, repeated, lambda v: _fit(b, draft, v, stand_ins[v]))
    has_own_names = _fit_seeds(b, draft, seeds, given) or any(b.value(v) is not p for v, p in stand_ins.items())
    body = b.block(params, draft.rebuild(b))
    policy = {**graph.policy, **({"any_size": True} if has_own_names else {})}
    return saved, Graph(f"{graph.name}.backward", body, graph.device, (), policy)


def _own_param(value: Value, name: str) -> Value:
    """A parameter for a value whose sizes are computed again: it has names of its own for them."""
    assert isinstance(value.type, TensorType)
    dims = (f"{name}_{axis}" if isinstance(d, Value) else d for axis, d in enumerate(value.type.shape))
    return Value(TensorType(value.type.dtype, tuple(dims)), value.name)


def _fit(b: Rebuilder, draft: Draft, value: Value, param: Value) -> None:
    """Let a parameter stand for a value, once the sizes of that are there, if it does not yet."""
    if value not in b.mapping:
        b.mapping[value] = fit(b, param, value.type, draft.frame.region)


def _fit_seeds(b: Rebuilder, draft: Draft, seeds: Sequence[Value], given: Sequence[Value]) -> bool:
    """Let parameters stand for cotangents, once the sizes of these are there; whether some have names of their own."""
    for seed, param in zip(seeds, given, strict=True):
        _fit(b, draft, seed, param)
    return any(b.mapping[seed] is not param for seed, param in zip(seeds, given, strict=True))


def _element_of(draft: Draft, items: Value) -> Type | None:
    """The type of all elements of a list, where their sizes are known outside loops."""
    assert isinstance(items.type, ListType)
    element = items.type.element
    if isinstance(element, ScalarType):
        return element
    sized = draft.frame.region.elements.get(items)
    if sized is None or isinstance(element, ListType):
        return None
    return sized if all(draft.frame.defines(v) for v in type_values(sized)) else None


def _packed(draft: Draft, saved: Sequence[Value]) -> tuple[list[Value], dict[Value, Value]]:
    """The residuals with arrays in the place of lists; which array stands for which list."""
    frame = draft.frame
    found: dict[Value, Value] = {}
    sizes: dict[Value, None] = {}
    for items in saved:
        if isinstance(items.type, ListType):
            b = Builder()
            element = _element_of(draft, items)
            assert isinstance(element, ScalarType | TensorType)
            dims = element.shape if isinstance(element, TensorType) else ()
            found[items] = pack(b, items, [frame.region.size(d) for d in dims], element.dtype)
            frame.append(*b.ops)
            sizes.update(dict.fromkeys(type_values(found[items].type)))
    kept = [found.get(v, v) for v in saved]
    return [*(v for v in sizes if v not in kept), *kept], found


def _without_lists(
    draft: Draft, saved: list[Value], repeated: list[Op], seeds: Sequence[Value]
) -> tuple[list[Value], list[Op]]:
    """The same residuals with the ops that make lists repeated, and what these read saved instead."""
    frame = draft.frame
    making: dict[Op, None] = {}
    queue = [v for v in saved if isinstance(v.type, ListType)]
    if not queue:
        return saved, repeated
    inputs: list[Value] = []
    while queue:
        op = frame.region.definitions[queue.pop()]
        if op not in making:
            making[op] = None
            found = [v for again in quiet(op) for v in inputs_of(again) if frame.defines(v)]
            queue += [v for v in found if isinstance(v.type, ListType)]
            inputs += [v for v in found if not isinstance(v.type, ListType)]
    made = {r: r for op in making for r in op.results}
    saved, repeated = draft.residuals(made, [v for v in inputs if v not in made], typed=True, beside=seeds)
    again = {*making, *repeated}
    return saved, [op for edit in frame.edits for op in edit.ops if op in again]


def _names_of(values: Iterable[Value]) -> set[str]:
    """The named sizes in the types of values."""
    tensors = (v.type for v in values if isinstance(v.type, TensorType))
    return {dim for type in tensors for dim in type.shape if isinstance(dim, str)}


def _names_in(ops: Sequence[Op]) -> set[str]:
    block = Block((), tuple(ops), ())
    return {n for op in walk(block) for n in _names_of((*op.results, *(p for b in op.blocks for p in b.params)))}


def _binding(names: set[str], params: Sequence[Value]) -> list[Value]:
    """Parameters whose types bind the names."""
    found: list[Value] = []
    for name in sorted(names):
        if name not in _names_of(found):
            found.append(next(p for p in params if name in _names_of((p,))))
    return found


def _size_from(b: Builder, params: Sequence[Value], name: str) -> Value:
    """A named size, asked of a parameter that has it."""
    param = next(p for p in params if name in _names_of((p,)))
    assert isinstance(param.type, TensorType)
    return b.emit("dim", (param,), {"axis": param.type.shape.index(name)}, names=(name,))[0]
