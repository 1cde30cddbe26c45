"""Tensors that a script makes and asks gradients for: `x.requires_grad_()`, `tj.zeros(n, requires_grad=True)`.

Such a leaf is an `ObjectValue` of its own beside that of the arguments (`gradients.py`), which is there as long as the
block that made it: what a branch or a trip of a loop makes ends with it.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tracejit.eager.modes import enable_grad, no_grad
from tracejit.frontend.functions.arguments import Arguments, as_array
from tracejit.frontend.instances.heap import led_to
from tracejit.frontend.restarts import NeedsWrites
from tracejit.frontend.values import ArrayView, FrontValue, Static, TupleValue
from tracejit.ir.core import Value
from tracejit.ir.reached import any_of

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

_NO_FLOAT = "only tensors of floating-point or complex dtype can require gradients, not {}"
_NO_LEAF = "requires_grad can be cleared on leaf tensors only; use detach() to leave the tape"
_ASKS_ALREADY = "this tensor asks for gradients already, on the path taken: use x.detach().clone().requires_grad_()"
_A_COPY = "x = x.detach().clone().requires_grad_()"


def as_asked(a: Arguments, made: FrontValue) -> FrontValue:
    """What a function has made, as a leaf where its arguments say so."""
    return ask(a.calls, as_array(a.calls, made, a.node), True, a.node) if a.asks else made


def ask(c: Calls, x: ArrayView, wanted: bool, node: ast.AST) -> ArrayView:
    """`x.requires_grad = wanted`: from here on the array is a leaf, as it is one in all names that it has."""
    ctx = c.ctx
    content = ctx.load(x)
    asks = any_of(ctx.b, c.gradients.reach().of(content)) if x.dtype.is_inexact else False
    if isinstance(asks, Value) and not wanted:
        ctx.refuse(node, "whether this tensor asks for gradients depends on the path taken", _A_COPY)
    if isinstance(asks, Value):  # most often of what a loop hands on, which leads to no leaf
        ctx.check(ctx.b.emit("logical_not", (asks,))[0], "RuntimeError", _ASKS_ALREADY)
    if asks is wanted:
        return x
    if not wanted and x.storage not in c.gradients.leaves:
        ctx.check_false("RuntimeError", _NO_LEAF)
    if not wanted or x.storage in ctx.arguments:
        ctx.refuse(node, "whether an argument asks for gradients is set outside of a script", _A_COPY)
    if not x.dtype.is_inexact:
        ctx.check_false("RuntimeError", _NO_FLOAT.format(x.dtype.numpy_name))
    _require_own(c, x, node)
    if ctx.recursion is not None and ctx.recursion.root is not ctx:
        ctx.refuse(node, "a function that calls itself asks for gradients of a tensor that it makes", "tj.grad(f)(x)")
    if not ctx.notes_writes:
        raise NeedsWrites
    leaf = ctx.b.emit("leaf", (content,), {"made": True}, names=(content.name,))[0]
    ctx.storage.bases[x.storage] = leaf  # what has a history of its own keeps it
    c.gradients.add_made(x, leaf, node)
    return x


def constructed(
    c: Calls, cls: type, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue | None:
    """What classes that are about gradients make; None for other classes."""
    if issubclass(cls, no_grad | enable_grad):
        return Static(cls(*(c.static(a, node, "whether gradients are wanted") for a in args)))
    return _parameter(c, args, kwargs, node) if hasattr(cls, "__tracejit_leaf__") else None


def _parameter(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    """`Parameter(data, requires_grad=True)`: a leaf that shares the memory of a tensor."""
    given = {**dict(zip(("data", "requires_grad"), args, strict=False)), **kwargs}
    data = given.pop("data", TupleValue(()))
    wanted = c.static(given.pop("requires_grad", Static(True)), node, "requires_grad")
    if given or len(args) > 2:
        c.arith.mismatch(TypeError("Parameter() takes data, and whether it requires gradients"), node)
    if not isinstance(data, ArrayView):
        data = c.array_of(data, None, node)
    made = c.gradients.detach(data)
    assert isinstance(made, ArrayView)
    return ask(c, made, bool(wanted), node) if wanted else made


def _require_own(c: Calls, x: ArrayView, node: ast.AST) -> None:
    """Refuse to ask for gradients of what is part of another array, or was made before the branch or loop at hand."""
    ctx = c.ctx
    known = led_to(v for frame in ctx.frames() for v in frame.env.values())
    views = any(isinstance(v, ArrayView) and v.storage == x.storage and not v.is_whole for v in known)
    shared = any(ctx.storage.apart(x.storage, c) is not True for c, _ in ctx.storage.partners(x.storage))
    if views or not x.is_whole or shared or x.storage in ctx.storage.held:
        ctx.refuse(node, "this tensor is part of another one, or may be", _A_COPY)
    if ctx.outer_storages and x.storage in ctx.outer_storages[-1].bases:
        ctx.refuse(node, "this tensor was made before the branch or loop in which it asks for gradients", _A_COPY)
