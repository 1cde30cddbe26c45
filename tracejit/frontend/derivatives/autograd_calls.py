"""`tj.autograd.grad` and `tj.autograd.backward` inside a script."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tracejit import autograd
from tracejit.frontend.derivatives.gradients import Gradients
from tracejit.frontend.functions.arguments import bound_to
from tracejit.frontend.functions.handlers import handles
from tracejit.frontend.values import ArrayView, FrontValue, ListValue, Number, Static, TupleValue, describe
from tracejit.ir.core import Value
from tracejit.ir.reached import Reach, Truth, any_of, value_of
from tracejit.ops.control import emit_gradient

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

_UNUSED = "one of the inputs is not used by the outputs; pass allow_unused=True to get None for it"
_NO_HISTORY = "one of the inputs does not require gradients"


@handles(autograd.grad)
def _grad(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    """The gradients of the outputs by the inputs, every `.grad` left alone."""
    given = bound_to(c, autograd.grad, args, kwargs, node)
    ys, seeds = c.gradients.cotangents(_weighted(c, given, "outputs", "grad_outputs"), node)
    inputs = [c.as_operand(x) for x in _items(given["inputs"])]
    creates = c.gradients.flag(given, "create_graph", False, node)
    retains = c.gradients.flag(given, "retain_graph", creates, node)
    may_miss = c.gradients.flag(given, "allow_unused", False, node)
    every = [_versions(c.gradients, x, node) for x in inputs]
    for y in ys:
        if not any(_leads(c, y, versions) is True for versions in every):
            c.gradients.required(y)
    used = _used(c, ys, every, may_miss, node)
    site = c.gradients.tape.begin(node)
    chosen = [versions for versions, is_used in zip(every, used, strict=True) if is_used]
    attrs = {"groups": tuple(map(len, chosen)), "site": site, "retain": retains}
    found = iter(emit_gradient(c.ctx.b, ys, seeds, [x for versions in chosen for x in versions], attrs))
    made: list[FrontValue] = []
    for x, is_used in zip(inputs, used, strict=True):
        if not is_used:
            made.append(Static(None))
            continue
        g = next(found)
        g = g if creates else c.ctx.b.emit("detach", (g,))[0]
        if isinstance(x, ArrayView) and x.storage in c.gradients.leaves:
            made.append(c.gradients.after_hooks(x.storage, c.ctx.fresh(g), True, node))
        else:
            made.append(c.ctx.fresh(g) if isinstance(x, ArrayView) else Number(g, weak=False))
    return TupleValue(tuple(made))


@handles(autograd.backward)
def _backward(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    """`backward()` of the tensors."""
    given = bound_to(c, autograd.backward, args, kwargs, node)
    return c.gradients.backward(_weighted(c, given, "tensors", "grad_tensors"), given, node)


def _items(x: FrontValue) -> list[FrontValue]:
    return list(x.items) if isinstance(x, TupleValue | ListValue) else [x]


def _weighted(
    c: Calls, given: dict[str, FrontValue], outputs: str, weights: str
) -> list[tuple[FrontValue, FrontValue]]:
    """The outputs, each with its weight or None, taken out of `given`."""
    ys, seeds = _items(given.pop(outputs)), given.pop(weights, Static(None))
    given_seeds = [seeds] * len(ys) if seeds == Static(None) else _items(seeds)
    if len(given_seeds) != len(ys):
        c.ctx.check_false("RuntimeError", f"{len(given_seeds)} gradients were given for {len(ys)} outputs")
    return [(c.as_operand(y), c.as_operand(seed)) for y, seed in zip(ys, given_seeds, strict=True)]


def _versions(gradients: Gradients, x: FrontValue, node: ast.AST) -> list[Value]:
    """What an input stands for: a leaf's versions, or what it is now."""
    ctx = gradients.calls.ctx
    if isinstance(x, ArrayView) and not x.is_whole:
        ctx.refuse(node, "this is a part of an array, or a view of one", "take the derivative by the whole array")
    if isinstance(x, ArrayView) and x.storage in gradients.leaves:
        return gradients.versions(x.storage)
    if not isinstance(x, ArrayView | Number) or not x.dtype.is_inexact:
        ctx.refuse(node, f"there is no derivative by {describe(x)}", "use tensors of floats")
    value = ctx.load(x) if isinstance(x, ArrayView) else x.value
    gradients.require_history(value, gradients.reach().of(value), _NO_HISTORY)
    return [value]


def _used(c: Calls, ys: list[Value], every: list[list[Value]], may_miss: bool, node: ast.AST) -> list[bool]:
    """Which inputs the outputs lead to. RuntimeError where one is not used and may not be missed."""
    ctx = c.ctx
    truths = [any_of(ctx.b, [_leads(c, y, versions) for y in ys]) for versions in every]
    for truth in truths:
        if truth is not True and not may_miss:
            ctx.check(value_of(ctx.b, truth), "RuntimeError", _UNUSED)
        elif isinstance(truth, Value):
            ctx.refuse(node, "which inputs the outputs use depends on the path taken", "leave out allow_unused")
    return [truth is not False for truth in truths]


def _leads(c: Calls, y: Value, versions: list[Value]) -> Truth:
    """Whether an output leads to an input: asked of one at a time, for an input may be made of another one."""
    builders, sizes = [*c.ctx.outer_builders, c.ctx.b], c.ctx.sizes
    return Reach(builders, [versions], c.gradients.known(), lambda n: sizes.at_least(n, 1)).of(y)[0]
