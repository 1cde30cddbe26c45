"""Derivatives inside a script: `tj.grad(f)(x)`, `loss.backward()`, `x.grad`, `no_grad`.

Each becomes a `gradient` op over values of the graph, which the transform `expand-gradient` replaces by the ops
that compute it. `w.grad` is a name of this lowering only; what is left in it at the end is added to the Tensor's
`.grad` after the call, as in eager code.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tracejit.frontend.values import (
    ArrayView,
    DictValue,
    FrontValue,
    ListValue,
    Number,
    ObjectValue,
    Static,
    Transformed,
    TupleValue,
    describe,
)
from tracejit.ir.core import Value
from tracejit.ir.types import F64, ScalarType

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


@dataclass(slots=True)
class Gradients:
    """The state of `.grad` while a function is lowered."""

    calls: Calls
    #: classes of arguments that ask for gradients -> their access
    leaves: dict[int, Any] = field(default_factory=dict[int, Any])
    #: what `.grad` holds now (None after it was cleared); absent: as the caller left it
    grads: dict[int, ArrayView | None] = field(default_factory=dict[int, "ArrayView | None"])
    cleared: set[int] = field(default_factory=set[int])

    # -- loss.backward() and .grad ------------------------------------------------------------------------------

    def backward(
        self, loss: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
    ) -> FrontValue:
        """Add the gradients of `loss` to `.grad` of every leaf."""
        ctx = self.calls.ctx
        if not self.leaves:
            ctx.check_false("RuntimeError", "no argument of this script asks for a gradient (requires_grad)")
        y, seed = self.cotangent(loss, args, kwargs, node)
        classes = [c for c in self.leaves if c in ctx.storage.bases]
        xs = [ctx.storage.bases[c] for c in classes]
        found = ctx.b.emit("gradient", (y, seed, *xs), names=[f"d{x.name}" for x in xs])
        for c, g in zip(classes, found, strict=True):
            before = self.grads.get(c)
            if before is not None:
                total = self.calls.arith.typed("add", node, before, ctx.fresh(g))
                assert isinstance(total, ArrayView)
                self.grads[c] = total
            else:
                self.grads[c] = ctx.fresh(g)
        return Static(None)

    def cotangent(
        self, y: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
    ) -> tuple[Value, Value]:
        """The differentiated value and the seed: 1 for a number, the `gradient` argument for an array."""
        ctx = self.calls.ctx
        given = args[0] if args else kwargs.get("gradient")
        if isinstance(y, ArrayView) and y.rank == 0:
            y = ctx.element(y, ())
        if isinstance(y, Number) and y.dtype.is_inexact:
            seed = ctx.b.constant(1, ScalarType(y.dtype)) if given is None else self.calls.arith.scalar(given, y.dtype)
            return y.value, seed
        if isinstance(y, ArrayView) and given is not None:
            return ctx.load(y), self.calls.indexing.content_for(given, y.lengths, y.dtype, node)
        if isinstance(y, ArrayView):
            ctx.check_false("RuntimeError", "grad can be implicitly created only for scalar outputs")
        ctx.refuse(node, f"{describe(y)} has no derivative", "take the gradient of a float")

    def read(self, x: ArrayView, node: ast.AST) -> FrontValue:
        """`x.grad`."""
        if x.storage not in self.leaves:
            return Static(None)
        if x.storage in self.grads:
            found = self.grads[x.storage]
            return Static(None) if found is None else found
        self.calls.ctx.refuse(
            node, "'.grad' is read before backward() ran in this script", "call backward() first, or set x.grad = None"
        )

    def write(self, x: ArrayView, value: FrontValue, node: ast.AST) -> None:
        """`x.grad = value`."""
        clears = isinstance(value, Static) and value.value is None
        if x.storage not in self.leaves and not clears:
            self.calls.ctx.refuse(
                node, "this array asks for no gradient, so its '.grad' cannot be set", "requires_grad=True"
            )
        if self.calls.ctx.level and x.storage not in self.grads:
            self.calls.ctx.refuse(
                node, "'.grad' must be cleared before the loop first", "x.grad = None before the loop"
            )
        if clears:
            self.grads[x.storage] = None
            self.cleared.add(x.storage)
        elif isinstance(value, ArrayView):
            self.grads[x.storage] = value
            self.cleared.add(x.storage)
        else:
            self.calls.ctx.refuse(node, f"'.grad' cannot hold {describe(value)}", "assign an array or None")

    def snapshot(self) -> dict[int, ArrayView | None]:
        """`.grad` of every leaf, before a branch or loop."""
        return dict(self.grads)

    def require_same(self, before: dict[int, ArrayView | None], node: ast.AST) -> None:
        """A branch or loop must leave `.grad` as it found it: it is no value of the graph."""
        if any(before.get(c) is not g for c, g in self.grads.items()):
            self.calls.ctx.refuse(
                node,
                "'.grad' changes inside a loop or branch and is kept afterwards",
                "set x.grad = None at the end of the body",
            )

    def detach(self, x: FrontValue) -> FrontValue:
        """`x.detach()`: the same memory, constant for derivatives."""
        if isinstance(x, ArrayView) and x.dtype.is_inexact:
            ctx = self.calls.ctx
            return ctx.fresh(ctx.b.emit("detach", (ctx.load(x),))[0])
        if isinstance(x, Number) and x.dtype.is_inexact:
            return Number(self.calls.ctx.b.emit("detach", (x.value,))[0], x.weak)
        return x

    # -- tj.grad(f) inside a script -----------------------------------------------------------------------------

    def call(
        self, transformed: Transformed, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
    ) -> FrontValue:
        """Call `tj.grad(f)` or `tj.value_and_grad(f)`."""
        calls = self.calls
        if kwargs:
            calls.ctx.refuse(
                node, "a transformed function takes positional arguments in a script", "leave out the name"
            )
        argnums = transformed.argnums if isinstance(transformed.argnums, tuple) else (transformed.argnums,)
        argnums = tuple(n % len(args) for n in argnums)
        marked = list(args)
        leaves: list[list[tuple[Value, FrontValue, FrontValue]]] = []
        for n in argnums:
            found: list[tuple[Value, FrontValue, FrontValue]] = []
            marked[n] = self.mark(args[n], found, node)
            leaves.append(found)
        result = calls.call_value(transformed.fn, marked, {}, node)
        calls.ctx.at(node)
        y, aux = result, None
        if transformed.has_aux:
            y, aux = calls.expressions.unpackable(result, 2, node)
        self.restore([leaf for group in leaves for leaf in group])
        value, seed = self.cotangent(y, [], {}, node)
        xs = [leaf[0] for group in leaves for leaf in group]
        found_values = iter(calls.ctx.b.emit("gradient", (value, seed, *xs), names=[f"d{x.name}" for x in xs]))
        parts = [self.rebuild(args[n], found_values) for n in argnums]
        gradient = TupleValue(tuple(parts)) if isinstance(transformed.argnums, tuple) else parts[0]
        if transformed.kind == "grad":
            return gradient if aux is None else TupleValue((gradient, aux))
        return TupleValue((y if aux is None else TupleValue((y, aux)), gradient))

    def mark(self, x: FrontValue, found: list[tuple[Value, FrontValue, FrontValue]], node: ast.AST) -> FrontValue:
        """The argument with fresh variables for its floats."""
        ctx = self.calls.ctx
        x = self.calls.as_operand(x)
        match x:
            case ArrayView() if x.dtype.is_inexact:
                value = ctx.b.emit("leaf", (ctx.load(x),), names=("x",))[0]
                made: FrontValue = ctx.fresh(value)
                found.append((value, made, x))
                return made
            case Number() if x.dtype.is_inexact:
                value = ctx.b.emit("leaf", (x.value,), names=("x",))[0]
                made = Number(value, x.weak)
                found.append((value, made, x))
                return made
            case Static(float() as number):
                value = ctx.b.emit("leaf", (ctx.b.constant(number, ScalarType(F64)),), names=("x",))[0]
                found.append((value, x, x))
                return Number(value, weak=True)
            case TupleValue(items, cls):
                return TupleValue(tuple(self.mark(i, found, node) for i in items), cls)
            case ListValue(items):
                return ListValue([self.mark(i, found, node) for i in items], ctx.level)
            case DictValue(items):
                return DictValue({k: self.mark(v, found, node) for k, v in items.items()})
            case ObjectValue(cls, fields):
                return ObjectValue(cls, {k: self.mark(v, found, node) for k, v in fields.items()})
            case Number() | ArrayView() | Static(int()):
                ctx.check_false("NotDifferentiable", f"{describe(x)} has no derivative: it is not a float")
            case _:
                return x

    def restore(self, leaves: list[tuple[Value, FrontValue, FrontValue]]) -> None:
        """What the function wrote into its marked arguments is written into the real ones."""
        ctx = self.calls.ctx
        for value, marked, original in leaves:
            if isinstance(marked, ArrayView) and isinstance(original, ArrayView):
                now = ctx.storage.bases[marked.storage]
                if now is not value:
                    ctx.store(original, now)

    def rebuild(self, like: FrontValue, found: Any) -> FrontValue:
        """The gradients in the structure of the argument."""
        like = self.calls.as_operand(like)
        match like:
            case ArrayView() if like.dtype.is_inexact:
                return self.calls.ctx.fresh(next(found))
            case Number() if like.dtype.is_inexact:
                return Number(next(found), like.weak)
            case Static(float()):
                return Number(next(found), weak=True)
            case TupleValue(items, cls):
                return TupleValue(tuple(self.rebuild(i, found) for i in items), cls)
            case ListValue(items):
                return ListValue([self.rebuild(i, found) for i in items], self.calls.ctx.level)
            case DictValue(items):
                return DictValue({k: self.rebuild(v, found) for k, v in items.items()})
            case ObjectValue(cls, fields):
                return ObjectValue(cls, {k: self.rebuild(v, found) for k, v in fields.items()})
            case _:
                return Static(None)
