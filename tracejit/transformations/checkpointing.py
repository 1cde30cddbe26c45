"""`checkpoint`: a function whose intermediate values are computed again in the backward instead of kept."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tracejit import autograd, pytree
from tracejit.autograd import enable_grad
from tracejit.eager.function import custom_vjp
from tracejit.eager.random import STATE, drawing_from, random_state
from tracejit.eager.tensor import Tensor, version_of
from tracejit.eager.writes import changed_since
from tracejit.frontend.derivatives.custom import CustomCall, seeds_of, with_sizes
from tracejit.frontend.values import ArrayView, FrontValue, Static, TupleValue
from tracejit.ir.builder import Rebuilder
from tracejit.ir.core import Block, Op, Value, captures
from tracejit.ir.opdef import REGISTRY
from tracejit.ir.types import is_differentiable
from tracejit.transformations.base import inside
from tracejit.transforms.derivatives.cotangents import zero
from tracejit.transforms.derivatives.effects import without_effects

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


def _lower_checkpoint(calls: Calls, given: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    """`tj.checkpoint(f)` inside a script."""
    return Static(_Inside(given["fn"]))


@inside(_lower_checkpoint)
def checkpoint(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function itself, but of a call only the arguments are kept for the backward, which runs it once more.

    Works on the eager tape and inside scripts. Random numbers are the same again; `fn` should have no other effects,
    and may not change its arguments (`RuntimeError`).
    """
    return Checkpointed(fn)


class Checkpointed(custom_vjp):
    """What `checkpoint` gives: a function whose derivative is that of running it again."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        super().__init__(fn)
        self.defvjp(self._first, self._again)

    def _first(self, *args: Any) -> tuple[Any, Any]:
        """The result, and what running the function again needs."""
        tensors = [x for x in pytree.leaves(args) if isinstance(x, Tensor)]
        versions, numbers = [version_of(x) for x in tensors], random_state()
        outcome = self.fn(*args)
        self._require_unchanged(tensors, versions)
        return outcome, (args, tensors, versions, numbers)

    def _require_unchanged(self, tensors: Sequence[Tensor], versions: Sequence[int]) -> None:
        if any(changed_since(x, v) for x, v in zip(tensors, versions, strict=True)):
            raise RuntimeError(f"an argument of checkpointed {self.__name__} was changed in place: it is needed again")

    def _again(self, kept: tuple[Any, ...], g: Any) -> tuple[Any, ...]:
        """The cotangents of the arguments; captured leaf Tensors get theirs in `.grad`, as in any backward."""
        args, tensors, versions, numbers = kept
        self._require_unchanged(tensors, versions)
        leaves, structure = pytree.flatten(args)
        fresh = [x.detach().requires_grad_(x.requires_grad) if isinstance(x, Tensor) else x for x in leaves]
        with enable_grad(), drawing_from(numbers):
            outcome = self.fn(*structure.unflatten(fresh))
        results = [r for r in pytree.leaves(outcome) if isinstance(r, Tensor) and r.requires_grad]
        seeds = [
            s for r, s in zip(pytree.leaves(outcome), pytree.leaves(g), strict=True) if any(r is x for x in results)
        ]
        autograd.backward(results, seeds)
        return structure.unflatten(x.grad if isinstance(x, Tensor) else None for x in fresh)

    def __tracejit_lower__(
        self, calls: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
    ) -> FrontValue:
        if kwargs:
            calls.ctx.refuse(node, f"{self.__name__} takes positional arguments in a script", "name none of them")
        return _CheckpointedCall(self.__name__, calls, node).again(Static(self.fn), TupleValue(tuple(args)))


class _Inside:
    """A checkpointed function that a script made."""

    def __init__(self, fn: FrontValue) -> None:
        self.fn = fn

    def __tracejit_lower__(
        self, calls: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
    ) -> FrontValue:
        return _CheckpointedCall("checkpoint", calls, node).again(self.fn, TupleValue(tuple(args)))


class _CheckpointedCall(CustomCall):
    """A call inside a script: a `custom` op whose backward block repeats the primal.

    Random numbers count on: the op gives the state after them, and the repetition starts from the state before.
    """

    state: int | None = None  #: the storage of the state, if there are random numbers
    inner: Sequence[Value] = ()  #: sizes of results that the function computes, which are results too

    def again(self, fn: FrontValue, arguments: TupleValue) -> FrontValue:
        """Emit the op; what the function captures becomes operands."""
        operands = list(self.values(arguments))

        def primal(given: FrontValue) -> tuple[FrontValue, list[Value]]:
            assert isinstance(given, TupleValue)
            made = self.calls.call_value(fn, list(given.items), {}, self.node)
            outputs = list(self.values(made))
            self.inner = self.sizes_of(outputs)
            return made, [*outputs, *self.inner]

        outcome, block = self.block("primal", operands, arguments, primal)
        captured = [v for v in captures(block) if is_differentiable(v.type)]
        operands += captured
        blocks = (
            self.repeated(block, captured, "primal"),
            self.repeated(block, captured, "forward"),
            self.backwards(block, captured),
        )
        results = with_sizes(block.results, self.inner)
        b = self.calls.ctx.b
        b.ops.append(Op(REGISTRY["custom"], tuple(operands), {"name": self.name}, tuple(results), blocks, b.span))
        if self.state is not None:
            self.calls.ctx.storage.write(b, self.state, results[-1])
        return self.rebuilt(outcome, iter(results))

    def left_behind(self, changed: set[int]) -> list[Value]:
        """The state of random numbers, where it is all that the function changes."""
        state = self.calls.as_operand(Static(STATE)) if changed else None
        if not isinstance(state, ArrayView) or changed != {state.storage}:
            return super().left_behind(changed)
        self.state = state.storage
        return [self.calls.ctx.storage.bases[state.storage]]

    def repeated(self, block: Block, captured: list[Value], label: str) -> Block:
        """The function as a block of all operands; as `forward` it saves them."""
        b = Rebuilder(None, {})
        params = [b.param_like(p) for p in (*block.params, *captured)]
        results = b.inline(block, params[: len(block.params)])
        sizes = [made for r, made in zip(block.results, results, strict=True) if r in self.inner]
        return b.block(params, (*results, *((*params, *sizes) if label == "forward" else ())), label)

    def backwards(self, block: Block, captured: list[Value]) -> Block:
        """From the operands and the cotangents of the result to the cotangents of the operands."""
        b = Rebuilder(without_effects, {})
        saved = [b.param_like(p) for p in (*block.params, *captured)]
        sizes = {r: Value(r.type, r.name) for r in block.results if r in self.inner}
        seeds = seeds_of(block.results, sizes)
        variables = [v for v in saved if is_differentiable(v.type)]
        marked = {v: b.emit("leaf", (v,), names=(v.name,))[0] for v in variables}
        for old, new in zip((*block.params, *captured), saved, strict=True):
            b.mapping[old] = marked.get(new, new)
        results = b.inline(block, [marked.get(v, v) for v in saved[: len(block.params)]])
        totals: list[Value] | None = None
        inexact = [r for r in results if is_differentiable(r.type)]
        for y, seed in zip(inexact, seeds, strict=True):
            found = b.emit("gradient", (y, seed, *marked.values()))
            totals = (
                list(found) if totals is None else [b.emit("add", pair)[0] for pair in zip(totals, found, strict=True)]
            )
        totals = [zero(b, v) for v in variables] if totals is None else totals
        return b.block((*saved, *sizes.values(), *seeds), totals, "backward")
