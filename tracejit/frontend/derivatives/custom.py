"""Functions with a derivative of their own, inside scripts: one `custom` op, which no transform looks through."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tracejit.eager.function import Function, custom_vjp
from tracejit.frontend.containers.key_order import certain
from tracejit.frontend.control.optionals import is_none
from tracejit.frontend.control.unreachable import Unreachable
from tracejit.frontend.derivatives.directions import direction_for
from tracejit.frontend.values import (
    ArrayView,
    DictValue,
    FrontValue,
    ListValue,
    Number,
    ObjectValue,
    Static,
    TupleValue,
    describe,
)
from tracejit.frontend.written.contexts import ScriptContext
from tracejit.ir.core import Block, Op, Value, type_values
from tracejit.ir.opdef import REGISTRY
from tracejit.ir.types import ScalarType, TensorType, Type, substitute_dims
from tracejit.messages import filled
from tracejit.records import record

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


def lower_custom_vjp(custom: custom_vjp, calls: Calls, args: list[FrontValue], node: ast.AST) -> FrontValue:
    """A call of a `custom_vjp` function."""
    fn, forward, backward = (calls.statics.relied(custom, name) for name in ("fn", "forward", "backward"))
    if forward is None or backward is None:
        calls.ctx.refuse(node, f"{custom.__name__} has no derivative yet", "call defvjp(forward, backward) first")

    match calls.rules.get(custom):
        case "forward":  # its result goes by the rule already
            return calls.call_value(Static(fn), args, {}, node)
        case "backward":
            what = f"the backward of {custom.__name__} calls {custom.__name__}"
            calls.ctx.refuse(node, what, "let forward save the result as a residual")
        case _:
            pass

    def save(given: list[FrontValue]) -> tuple[FrontValue, FrontValue]:
        with _lowering(calls, custom, "forward"):
            made = calls.call_value(Static(forward), given, {}, node)
        made, saved = calls.expressions.unpackable(made, 2, node)
        return made, saved

    def pull(saved: FrontValue, g: FrontValue) -> FrontValue:
        with _lowering(calls, custom, "backward"):
            return calls.call_value(Static(backward), [saved, g], {}, node)

    rules = Rules(lambda given: calls.call_value(Static(fn), given, {}, node), save, pull)
    return CustomCall(custom.__name__, calls, node).lower(rules, TupleValue(tuple(args)))


@contextmanager
def _lowering(calls: Calls, custom: custom_vjp, rule: str) -> Iterator[None]:
    """Note that one of a function's rules is being lowered."""
    outer = calls.rules.get(custom)
    calls.rules[custom] = rule
    try:
        yield
    finally:
        calls.rules[custom] = outer


def lower_function(function: type[Function], calls: Calls, args: list[FrontValue], node: ast.AST) -> FrontValue:
    """A call of `apply` of an `autograd.Function`."""
    varies = (isinstance(a, ArrayView | Number) and a.dtype.is_inexact for a in map(calls.as_operand, args))
    wanted = TupleValue(tuple(Static(v) for v in varies))
    for name in ("forward", "backward"):
        calls.statics.member(function, name)

    def save(given: list[FrontValue]) -> tuple[FrontValue, FrontValue]:
        ctx = calls.ctx.new_object(ObjectValue(ScriptContext, {"needs_input_grad": wanted}), node)
        return calls.call_value(Static(function.forward), [ctx, *given], {}, node), ctx

    def pull(saved: FrontValue, g: FrontValue) -> FrontValue:
        given = g.items if isinstance(g, TupleValue | ListValue) else (g,)
        found = calls.call_value(Static(function.backward), [saved, *given], {}, node)
        if isinstance(found, TupleValue | ListValue) and all(map(is_none, found.items[len(args) :])):
            return TupleValue(tuple(found.items[: len(args)]))
        return found

    rules = Rules(lambda given: save(given)[0], save, pull)
    return CustomCall(function.__name__, calls, node).lower(rules, TupleValue(tuple(args)))


@record
class Rules:
    """A function and its derivative: on arguments; on arguments, with what it saves; on what it saved and a
    cotangent of the result, giving one cotangent per argument."""

    primal: Callable[[list[FrontValue]], FrontValue]
    forward: Callable[[list[FrontValue]], tuple[FrontValue, FrontValue]]
    backward: Callable[[FrontValue, FrontValue], FrontValue]


@record
class CustomBlock:
    """A block of a `custom` op: the values that its parameters stand for, if any, and how many builders are outside."""

    operands: Mapping[Value, Value]
    depth: int


@record
class _Residuals:
    """What `forward` saves: a structure, the values in it, and these with the sizes they need; `inner` are those of
    them that are sizes of results, by the sizes that the function itself computes."""

    structure: FrontValue
    values: list[Value]
    residuals: list[Value]
    inner: dict[Value, Value]


class CustomCall:
    """One call: its three blocks and the op."""

    def __init__(self, name: str, calls: Calls, node: ast.AST) -> None:
        self.name = name
        self.calls = calls
        self.node = node

    def lower(self, rules: Rules, arguments: TupleValue) -> FrontValue:
        """Emit the op; gives the function's result."""
        ctx = self.calls.ctx
        operands = list(self.values(arguments))
        outcome: FrontValue = Static(None)

        def primal(given: FrontValue) -> tuple[FrontValue, list[Value]]:
            nonlocal outputs, inner
            made = rules.primal(_parts(given))
            outputs = list(self.values(made))
            inner = self.sizes_of(outputs)
            return made, [*outputs, *inner]

        outputs: list[Value] = []
        inner: list[Value] = []  #: sizes of results that are computed inside, which are results too
        outcome, primal_block = self.block("primal", operands, arguments, primal)
        saved: FrontValue = Static(None)
        kept: list[Value] = []
        residuals: list[Value] = []
        own: dict[Value, Value] = {}

        def forward(given: FrontValue) -> tuple[FrontValue, list[Value]]:
            nonlocal saved, kept, residuals, own
            made, saved = rules.forward(_parts(given))
            kept = list(self.values(saved))
            results = list(self.values(made))
            if not _are_alike(results, outputs):
                what = f"the forward of {self.name} gives {describe(made)}, and {self.name} itself {describe(outcome)}"
                ctx.refuse(self.node, what, "let both give the same")
            sizes = [self.same_size(n, outputs, results) for n in inner]
            residuals = [*dict.fromkeys((*self.sizes_of(kept), *sizes)), *kept]
            own = dict(zip(inner, sizes, strict=True))
            return made, [*results, *sizes, *residuals]

        _, forward_block = self.block("forward", operands, arguments, forward)
        restored = _Residuals(saved, kept, residuals, own)
        given = dict(zip(forward_block.params, operands, strict=True))
        backward_block = self.backward(rules, arguments, restored, given, outcome, outputs)
        results = with_sizes(primal_block.results, inner)
        blocks = (primal_block, forward_block, backward_block)
        attrs = {"name": self.name}
        ctx.b.ops.append(Op(REGISTRY["custom"], tuple(operands), attrs, tuple(results), blocks, ctx.b.span))
        return self.rebuilt(outcome, iter(results))

    def block(
        self,
        label: str,
        operands: Sequence[Value],
        template: FrontValue,
        make: Callable[[FrontValue], tuple[FrontValue, list[Value]]],
    ) -> tuple[FrontValue, Block]:
        """A block with parameters for these operands, which stand in `template` for its floats and integers."""
        ctx = self.calls.ctx
        params = [Value(v.type, v.name) for v in operands]
        with ctx.nested() as b, self.returning(label), self.within(dict(zip(params, operands, strict=True))):
            given = self.rebuilt(template, iter(params))
            before = dict(ctx.storage.bases)
            made, results = make(given)
            left = self.left_behind(self.changed(before))
            return made, b.block(params, [*results, *left], label)

    @contextmanager
    def within(self, operands: dict[Value, Value]) -> Iterator[None]:
        """Note the block that is being lowered, and what its parameters stand for."""
        self.calls.custom_blocks.append(CustomBlock(operands, len(self.calls.ctx.outer_builders)))
        try:
            yield
        finally:
            self.calls.custom_blocks.pop()

    @contextmanager
    def returning(self, label: str) -> Iterator[None]:
        """Refuse a rule that never returns: what it raises would be lost with its block."""
        try:
            yield
        except Unreachable:
            last = self.calls.ctx.b.ops[-1]
            shown = [v.known for v in last.operands[1:]]  # sizes, by their names
            is_known = last.name == "check" and None not in shown
            raised = f" {last.attrs['kind']}: {filled(last.attrs['message'], shown)}" if is_known else ""
            what = f"the {label} of {self.name} always raises{raised}"
            self.calls.ctx.refuse(self.node, what, "call it outside a script to see where")

    def changed(self, before: Mapping[int, Value]) -> set[int]:
        """The arrays that the nested block changed, of those that were there `before`: from outside, or given to it."""
        ctx = self.calls.ctx
        known = {**ctx.outer_storages[-1].bases, **before}
        return {c for c, v in known.items() if ctx.storage.bases.get(c, v) is not v}

    def left_behind(self, changed: set[int]) -> list[Value]:
        """What a block gives beside its results. A custom function may change no array."""
        if changed:
            what = f"{self.name} changes an array from outside, or one it is given"
            self.calls.ctx.refuse(self.node, what, "return the changed array")
        return []

    def backward(
        self,
        rules: Rules,
        arguments: TupleValue,
        saved: _Residuals,
        operands: Mapping[Value, Value],
        outcome: FrontValue,
        results: Sequence[Value],
    ) -> Block:
        """From residuals and cotangents of the floats in the result to cotangents of the floats in the arguments."""
        ctx = self.calls.ctx
        sizes: dict[Value, Any] = {}
        params: list[Value] = []
        for residual in saved.residuals:
            params.append(Value(substitute_dims(residual.type, sizes), residual.name))
            sizes[residual] = params[-1].dim
        stand_in = dict(zip(saved.residuals, params, strict=True))
        arguments_saved = {param: operands[v] for v, param in stand_in.items() if v in operands}
        with ctx.nested() as b, self.returning("backward"), self.within(arguments_saved):
            kept = self.rebuilt(saved.structure, iter([stand_in[v] for v in saved.values]))
            seeds = seeds_of(results, {n: stand_in[own] for n, own in saved.inner.items()})
            g = self.cotangent(outcome, iter(seeds))
            found = rules.backward(kept, g)
            parts = found.items if isinstance(found, TupleValue | ListValue) else [found]
            if len(parts) != len(arguments.items):
                ctx.refuse(
                    self.node,
                    f"the backward of {self.name} gives {len(parts)} cotangents for {len(arguments.items)} arguments",
                    "give one per argument, None where there is none",
                )
            pairs = zip(arguments.items, parts, strict=True)
            totals = [v for argument, part in pairs for v in self.contributions(argument, part)]
            return b.block((*params, *seeds), totals, "backward")

    def contributions(self, argument: FrontValue, part: FrontValue) -> Iterator[Value]:
        """The cotangent values of an argument's floats; None stands for zeros."""
        argument = self.calls.as_operand(argument)
        nothing = is_none(part)
        match argument:
            case ArrayView() if argument.dtype.is_inexact:
                if nothing:
                    b = self.calls.ctx.b
                    yield b.zeros_like(b.wrap(self.calls.ctx.load(argument))).value
                else:
                    what = f"the backward of {self.name} gave a gradient"
                    text = f"{what} of shape {{have}} for an argument of shape {{want}}"
                    yield direction_for(self.calls, part, argument, ("RuntimeError", text), self.node)
            case Number() if argument.dtype.is_inexact:
                yield self.calls.arith.scalar(Static(0.0) if nothing else part, argument.dtype)
            case _:
                inner = _parts(argument)
                given = [Static(None)] * len(inner) if nothing else _parts(part)
                for one, other in zip(inner, given, strict=True):
                    yield from self.contributions(one, other)

    def cotangent(self, outcome: FrontValue, seeds: Iterator[Value]) -> FrontValue:
        """The cotangent in the structure of the result."""
        match outcome:
            case ArrayView() if outcome.dtype.is_inexact:
                return self.calls.ctx.fresh(next(seeds))
            case Number() if outcome.dtype.is_inexact:
                return Number(next(seeds), outcome.weak)
            case ArrayView() | Number():
                return Static(None)
            case _:
                return _with_parts(outcome, [self.cotangent(p, seeds) for p in _parts(outcome)], self.calls.ctx.level)

    def values(self, x: FrontValue) -> Iterator[Value]:
        """The arrays and numbers in a front-end value."""
        x = self.calls.as_operand(x)
        match x:
            case ArrayView():
                yield self.calls.ctx.load(x)
            case Number():
                yield x.value
            case Static():
                return
            case TupleValue() | ListValue() | DictValue() | ObjectValue():
                if isinstance(x, DictValue):
                    certain(self.calls.ctx, x, self.node)
                for part in _parts(x):
                    yield from self.values(part)
            case _:
                self.calls.ctx.refuse(
                    self.node,
                    f"{describe(x)} cannot pass through a function with its own derivative",
                    "pass arrays, numbers and containers of these",
                )

    def rebuilt(self, x: FrontValue, rest: Iterator[Value]) -> FrontValue:
        """The front-end value with other arrays and numbers."""
        x = self.calls.as_operand(x)
        match x:
            case ArrayView():
                return self.calls.ctx.fresh(next(rest))
            case Number(_, weak):
                return Number(next(rest), weak)
            case Static():
                return x
            case _:
                return _with_parts(x, [self.rebuilt(p, rest) for p in _parts(x)], self.calls.ctx.level)

    def sizes_of(self, values: Sequence[Value]) -> list[Value]:
        """The sizes in the types of residuals that the forward block computes."""
        made = {r for op in self.calls.ctx.b.ops for r in op.results}
        sizes = dict.fromkeys(s for v in values for s in type_values(v.type))
        return [s for s in sizes if s in made and s not in values]

    def same_size(self, size: Value, outputs: Sequence[Value], results: Sequence[Value]) -> Value:
        """What `forward` has for a size of the function's results."""
        dims = (
            e
            for output, result in zip(outputs, results, strict=True)
            for d, e in zip(_shape(output), _shape(result), strict=True)
            if d is size
        )
        found = next(dims)
        return self.calls.ctx.size_value(self.calls.ctx.dims[found] if isinstance(found, str) else found or 0)


def with_sizes(results: Sequence[Value], inner: Sequence[Value]) -> list[Value]:
    """The results of an op whose block gives `results`; `inner` are those of them that are sizes of others."""
    sizes = {n: Value(n.type, n.name) for n in inner}
    known: dict[Value, Any] = {n: made.dim for n, made in sizes.items()}
    return [sizes[r] if r in sizes else Value(substitute_dims(r.type, known), r.name) for r in results]


def seeds_of(results: Sequence[Value], sizes: Mapping[Value, Value]) -> list[Value]:
    """Parameters for the cotangents of the floats in results, where `sizes` stand for those that the results have."""
    known: dict[Value, Any] = {n: made.dim for n, made in sizes.items()}
    return [Value(substitute_dims(r.type, known), f"d{r.name}") for r in results if _is_inexact(r.type)]


def _shape(value: Value) -> tuple[Any, ...]:
    return value.type.shape if isinstance(value.type, TensorType) else ()


def _are_alike(made: Sequence[Value], wanted: Sequence[Value]) -> bool:
    """Whether values have the dtypes and ranks of the first of others: what a function leaves behind comes after."""
    pairs = list(zip(made, wanted, strict=False))
    return len(pairs) == len(made) and all(
        (v.type.dtype, v.type.rank) == (w.type.dtype, w.type.rank)  # type: ignore[union-attr]
        for v, w in pairs
    )


def _is_inexact(type: Type) -> bool:
    return isinstance(type, ScalarType | TensorType) and type.dtype.is_inexact


def _parts(x: FrontValue) -> list[FrontValue]:
    match x:
        case TupleValue(items) | ListValue(items):
            return list(items)
        case DictValue(items):
            return list(items.values())
        case ObjectValue(_, fields):
            return list(fields.values())
        case _:
            return []


def _with_parts(x: FrontValue, parts: list[FrontValue], level: int) -> FrontValue:
    match x:
        case TupleValue(_, cls):
            return TupleValue(tuple(parts), cls)
        case ListValue():
            return ListValue(parts, level)
        case DictValue(items):
            return x.like(dict(zip(items, parts, strict=True)))
        case ObjectValue(cls, fields):
            return ObjectValue(cls, dict(zip(fields, parts, strict=True)))
        case _:
            return x
