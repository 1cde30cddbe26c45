"""`tj.autograd.grad` and `tj.autograd.backward` inside a script, of one output."""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING, Any

from tracejit import autograd
from tracejit.frontend.builtin_calls import handles
from tracejit.frontend.gradients import Gradients
from tracejit.frontend.reached import reached, value_of
from tracejit.frontend.values import ArrayView, FrontValue, ListValue, Number, Static, TupleValue, describe
from tracejit.ir.core import Value

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

_UNUSED = "one of the inputs is not used by the outputs; pass allow_unused=True to get None for it"
_NO_HISTORY = "one of the inputs does not require gradients"


@handles(autograd.grad)
def _grad(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    """The gradients of an output by the inputs, every `.grad` left alone."""
    given = _bound(c, autograd.grad, args, kwargs, node)
    loss, weight = _only(c, given, "outputs", node), _only(c, given, "grad_outputs", node)
    y, seed = c.gradients.cotangent(loss, weight, node)
    inputs = [c.as_operand(x) for x in _items(given["inputs"])]
    creates = c.gradients.flag(given, "create_graph", False, node)
    retains = c.gradients.flag(given, "retain_graph", creates, node)
    may_miss = c.gradients.flag(given, "allow_unused", False, node)
    every = [_versions(c.gradients, x, node) for x in inputs]
    used = _used(c, y, every, may_miss, node)
    site = c.gradients.tape.begin(retains, node)
    chosen = [versions for versions, is_used in zip(every, used, strict=True) if is_used]
    attrs = {"groups": tuple(map(len, chosen)), "site": site, "retain": retains}
    found = iter(c.ctx.b.emit("gradient", (y, seed, *(x for versions in chosen for x in versions)), attrs))
    made: list[FrontValue] = []
    for x, is_used in zip(inputs, used, strict=True):
        if not is_used:
            made.append(Static(None))
            continue
        g = next(found)
        g = g if creates else c.ctx.b.emit("detach", (g,))[0]
        made.append(c.ctx.fresh(g) if isinstance(x, ArrayView) else Number(g, weak=False))
    return TupleValue(tuple(made))


@handles(autograd.backward)
def _backward(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    """`backward()` of the tensor."""
    given = _bound(c, autograd.backward, args, kwargs, node)
    loss, weight = _only(c, given, "tensors", node), _only(c, given, "grad_tensors", node)
    return c.method(loss, "backward", [], {**given, "gradient": weight}, node)


def _bound(
    c: Calls, fn: Any, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> dict[str, FrontValue]:
    try:
        return inspect.signature(fn).bind(*args, **kwargs).arguments
    except TypeError as error:
        return c.arith.mismatch(TypeError(f"{fn.__name__}() {error}"), node)


def _items(x: FrontValue) -> list[FrontValue]:
    return list(x.items) if isinstance(x, TupleValue | ListValue) else [x]


def _only(c: Calls, given: dict[str, FrontValue], name: str, node: ast.AST) -> FrontValue:
    found = _items(given.pop(name, Static(None)))
    if len(found) != 1:
        c.ctx.refuse(node, "tj.autograd takes one output in a script", "pass the sum of the outputs")
    return c.as_operand(found[0])


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
    if all(truth is False for truth in gradients.reached_by(value)):
        ctx.check_false("RuntimeError", _NO_HISTORY)
    return [value]


def _used(c: Calls, y: Value, every: list[list[Value]], may_miss: bool, node: ast.AST) -> list[bool]:
    """Which inputs the output leads to. RuntimeError where one is not used and may not be missed."""
    ctx = c.ctx
    builders, known = [*ctx.outer_builders, ctx.b], c.gradients.parameters
    truths = [  # one by one: an input may be made of another one
        reached(builders, y, [versions], known, lambda n: ctx.sizes.at_least(n, 1))[0] for versions in every
    ]
    for truth in truths:
        if truth is not True and not may_miss:
            ctx.check(value_of(ctx.b, truth), "RuntimeError", _UNUSED)
        elif isinstance(truth, Value):
            ctx.refuse(node, "which inputs the output uses depends on the path taken", "leave out allow_unused")
    return [truth is not False for truth in truths]
