"""`canonicalize`: say the same thing more simply, one op at a time.

* Host scalars of constants are computed, with the op's own eager rule.
* Algebra from the definitions (`neutral`, `idempotent`), only where it is exact: the eager rule is asked on numbers
  that show rounding, NaN, infinities and the sign of zero (`x * 1` is x; `x + 0.0` is not, for x = -0.0).
* Comparisons of sizes, where the sizes a parameter can have decide them.
* Each op's own rule (`OpDef.simplify`).
* An elementwise op of a stretched operand is done before it is stretched.
* `if` on a known condition, also inside a branch of the same condition or after a check of it; results that both
  branches share.
* `loop` that makes no trip, or one; carried values that never change; two arrays that are always the same one.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from tracejit.errors import Span
from tracejit.ir.aliasing import is_just_made
from tracejit.ir.builder import Handle, Rebuilder
from tracejit.ir.core import Block, Graph, Op, Value
from tracejit.ir.interpreter import conform, evaluate
from tracejit.ir.opdef import OpDef, Pointwise
from tracejit.ir.types import I64, ScalarType, TensorType, Type
from tracejit.locks import cached_property
from tracejit.transforms.algebra import decide_comparison, is_idempotent, is_neutral, value_with_itself
from tracejit.transforms.numbers.rules import least_size
from tracejit.transforms.pipeline import transform
from tracejit.transforms.write_home import new_versions

#: Host scalars that constant folding must leave alone: storage, and places to differentiate at.
_OPAQUE = frozenset(("fresh", "copy", "undef", "leaf"))

Results: TypeAlias = "Sequence[Value] | None"


@transform("canonicalize")
def canonicalize(graph: Graph) -> Graph:
    """Fold constants, apply exact identities, resolve known control flow; again while control flow changes."""
    changed = True
    while changed:
        b = _Simplifier({}, _Facts(graph))
        graph = b.graph(graph)
        changed = b.facts.changed
    return graph


class _Facts:
    """What all blocks of one rebuilding share: who made a value, and whether control flow changed."""

    def __init__(self, graph: Graph) -> None:
        self.made: dict[Value, Op] = {}
        self.changed = False
        #: Old values that others stand for: what a loop carried twice.
        self.same: dict[Value, Value] = {}
        #: The smallest size that a parameter's named size stands for.
        self.least = least_size(graph)
        self._graph = graph

    @cached_property
    def new_versions(self) -> set[Value]:
        """Versions of written parameters that are new values."""
        return new_versions(self._graph)


class _Simplifier(Rebuilder):
    """A rebuilder that gives something simpler for an op where it can."""

    keeps = True

    def __init__(
        self,
        mapping: dict[Value, Value],
        facts: _Facts,
        conditions: ChainMap[Value, bool] | None = None,
        span: Span | None = None,
    ) -> None:
        super().__init__(None, mapping, span)
        self.visit = lambda b, op, operands: self.simplified(op, operands)
        self.facts = facts
        self.conditions: ChainMap[Value, bool] = ChainMap() if conditions is None else conditions

    def nested(self) -> _Simplifier:
        return _Simplifier(self.mapping, self.facts, self.conditions.new_child(), self.span)

    def value(self, old: Value) -> Value:
        old = self.facts.same.get(old, old)
        return self.mapping.get(old, old)

    def append_op(self, op: Op) -> None:
        super().append_op(op)
        for result in op.results:
            self.facts.made[result] = op

    # -- what is known ------------------------------------------------------------------------------------------

    def made_by(self, x: Handle | Value, name: str) -> Op | None:
        """The op that made x, if it has that name."""
        op = self.facts.made.get(x.value if isinstance(x, Handle) else x)
        return op if op is not None and op.name == name else None

    def number_of(self, x: Handle | Value) -> Any:
        """The number x is known to be (a tensor: in every element), else None."""
        value = x.value if isinstance(x, Handle) else x
        if isinstance(value.known, int):
            return value.known
        for known in self.conditions.maps:  # a ChainMap asks its maps twice
            if value in known:
                return known[value]
        op = self.facts.made.get(value)
        if op is None:
            return None
        if op.name == "const":
            return op.attrs["value"]
        return self.number_of(op.operands[0]) if op.name == "broadcast" else None

    # -- one op -------------------------------------------------------------------------------------------------

    def simplified(self, op: Op, operands: tuple[Value, ...]) -> Results:
        """Simpler results for the op, or None."""
        match op.name:
            case "if":
                return self.conditional(op, operands)
            case "loop":
                return self.loop(op, operands)
            case _ if op.blocks:
                return None
            case _:
                start = len(self.ops)
                results = self.folded(op, operands) or self.algebra(op, operands) or self.own_rule(op, operands)
                results = self.narrow(op, operands) if results is None else results
                if results and len(self.ops) == start and not self.may_stand_for(op, results[0]):
                    return None
                if op.name == "check":
                    self.conditions[operands[0]] = True
                return self.named(results, op) if results and len(self.ops) > start else results

    def may_stand_for(self, op: Op, simpler: Value) -> bool:
        """Whether an op may be dropped for a value that it equals. For a new version of a written parameter that must
        be none itself, and made where an error could not show it too early."""
        versions = self.facts.new_versions
        if op.results[0] not in versions:
            return True
        return is_just_made(simpler, self.ops) and all(simpler is not self.value(v) for v in versions)

    def named(self, results: Sequence[Value], op: Op) -> Sequence[Value]:
        """The results, with the name of what they stand for if the last op was emitted for it."""
        last = self.ops[-1]
        if last.results != tuple(results) or len(results) != 1 or results[0].name == op.results[0].name:
            return results
        value = Value(results[0].type, op.results[0].name, results[0].known)
        self.ops[-1] = self.facts.made[value] = replace(last, results=(value,))
        return (value,)

    def _apply(self, defn: OpDef, grouped: Sequence[Any], attrs: Mapping[str, Any]) -> Any:
        """What a rule emits is simplified in turn."""
        result = super()._apply(defn, grouped, attrs)
        op = self.ops[-1]
        simpler = self.simplified(op, op.operands)
        if not simpler:
            return result
        self.ops.remove(op)
        return self.wrap(simpler[0])

    def folded(self, op: Op, operands: tuple[Value, ...]) -> Results:
        """Host scalars computed from constants; an op that would raise is left to do so."""
        if not operands or op.defn.effect == "order" or op.name in _OPAQUE:
            return None
        numbers: list[Any] = []
        for value in (*operands, *op.results):
            if value.type.__class__ is not ScalarType:
                return None
        for value in operands:
            number = self.number_of(value)
            if number is None:
                return None
            numbers.append(number)
        typed = [conform(n, v.type, np, op.name) for v, n in zip(operands, numbers, strict=True)]
        try:
            found = evaluate(op, typed, np)
        except ArithmeticError:
            return None
        return tuple(self.constant(x.item(), r.type) for x, r in zip(found, op.results, strict=True))

    def algebra(self, op: Op, operands: tuple[Value, ...]) -> Results:
        """Identities that the definition declares, for one or two operands."""
        defn = op.defn
        match operands:
            case (x,) if defn.idempotent and self.made_by(x, op.name) is not None:
                return (x,) if is_idempotent(defn, x.type) else None
            case (x, y) if x is y and defn.idempotent and x.type == op.results[0].type:
                return (x,)
            case (x, y):
                for kept, other, right in ((x, y, True), (y, x, False)):
                    number = self.number_of(other)
                    if number is not None and is_neutral(defn, number, kept.type, right):
                        return (kept,)
                return self.decided(op, x, y)
            case _:
                return None

    def decided(self, op: Op, x: Value, y: Value) -> Results:
        """An integer op whose result the operands' ranges decide."""
        found = value_with_itself(op.defn, x.type) if x is y else None
        if found is None:
            found = decide_comparison(op.defn, self.size_range(x), self.size_range(y))
        return None if found is None else (self.constant(found, op.results[0].type),)

    def size_range(self, x: Value) -> tuple[int, int] | None:
        """The smallest and the largest number an i64 value can be, where something is known."""
        if x.type != ScalarType(I64):
            return None
        number = self.number_of(x)
        if number is not None:
            return number, number
        return (self.facts.least, (1 << 63) - 1) if isinstance(x.known, str) else None

    def own_rule(self, op: Op, operands: tuple[Value, ...]) -> Results:
        """What the definition's own rule gives."""
        if op.defn.simplify is None:
            return None
        handles = [self.wrap(v) for v in operands]
        found = op.defn.simplify(self, *op.defn.group(handles), **op.attrs)
        if found is None or isinstance(found, tuple):
            return found
        value = found.value if isinstance(found, Handle) else found
        return (value,)

    def narrow(self, op: Op, operands: tuple[Value, ...]) -> Results:
        """An elementwise op of one operand that was stretched, done before it is stretched: there are fewer elements to
        compute, and to keep where a later kernel reads them."""
        inner = self.made_by(operands[0], "broadcast") if len(operands) == 1 else None
        lower = op.defn.lower
        if inner is None or not isinstance(lower, Pointwise) or not lower.own_index or lower.view or op.defn.effect:
            return None
        if not _is_smaller(inner.operands[0].type, inner.results[0].type):
            return None
        made = self._apply(op.defn, op.defn.group([self.wrap(inner.operands[0])]), op.attrs)
        sizes = [self.wrap(v) for v in inner.operands[1:]]
        return (self._apply(inner.defn, inner.defn.group([made, *sizes]), inner.attrs).value,)

    # -- control flow -----------------------------------------------------------------------------------------------

    def conditional(self, op: Op, operands: tuple[Value, ...]) -> Results:
        known = self.number_of(operands[0])
        if known is not None:
            self.facts.changed = True
            return self.inline(op.block("then" if known else "else"))
        then, orelse = op.block("then"), op.block("else")
        shared = {r: t for r, t, e in zip(op.results, then.results, orelse.results, strict=True) if t is e}
        if shared:
            self.facts.changed = True
            kept = [i for i, r in enumerate(op.results) if r not in shared]
            blocks = tuple(Block((), b.ops, tuple(b.results[i] for i in kept), b.label) for b in op.blocks)
            op_results = tuple(op.results[i] for i in kept)
            self.mapping.update({r: self.value(t) for r, t in shared.items()})
            self.step(Op(op.defn, op.operands, op.attrs, op_results, blocks, op.span))
            return tuple(self.value(r) for r in op.results)
        blocks = [self.branch(block, operands[0]) for block in op.blocks]
        made = self.raised(operands[0], *blocks)
        if made is not None:
            return made
        return self.emit(
            op.defn, operands, op.attrs, blocks=blocks, like=op.results, mapping=self.mapping, span=op.span
        )

    def raised(self, condition: Value, then: Block, orelse: Block) -> Results:
        """A branch that only raises, as a check."""
        raising, other = (then, orelse) if then.ops else (orelse, then)
        *before, last = raising.ops or (None,)
        if last is None or last.name != "check" or self.number_of(last.operands[0]) is not False:
            return None
        if other.ops or then.results or any(op.name != "const" for op in before):
            return None
        for op in before:
            self.append_op(op)
        holds = condition if raising is orelse else self.logical_not(self.wrap(condition)).value
        return self.emit(last.defn, (holds, *last.operands[1:]), last.attrs, span=last.span)

    def branch(self, block: Block, condition: Value) -> Block:
        """A branch, in which the condition is known."""
        inner = self.nested()
        inner.conditions[condition] = block.label == "then"
        return inner.finished(block, (), inner.inline(block))

    def loop(self, op: Op, operands: tuple[Value, ...]) -> Results:
        limit, go = self.number_of(operands[0]), self.number_of(operands[1])
        if go is False or (limit is not None and limit <= 0):
            self.facts.changed = True
            return operands[2:]
        body = op.block("body")
        if go is True and limit == 1:
            self.facts.changed = True
            first = self.constant(0, ScalarType(I64))
            results = self.inline(body, (first, *operands[2:]))[1:]
            versions = zip(results, operands[2:], body.results[1:], strict=True)
            return tuple(self.following(*version) for version in versions)
        constant, twice = self.constant_carried(op, body), self.carried_twice(op, body)
        if not constant and not twice:
            return None
        self.facts.changed = True
        for i in constant:
            self.mapping[body.params[1 + i]] = self.mapping[op.results[i]] = operands[2 + i]
        for i, first in twice.items():
            self.facts.same[body.params[1 + i]] = body.params[1 + first]
            self.facts.same[op.results[i]] = op.results[first]
        self.step(_without_carried(op, body, constant.union(twice)))
        return tuple(self.value(r) for r in op.results)

    def following(self, made: Value, before: Value, inside: Value) -> Value:
        """What the only trip of a loop makes of a carried value. A new version of a written parameter is stored over
        the one before it, which an error between them shows."""
        if inside not in self.facts.new_versions or made.type != before.type:
            return made
        shape = self.shape(self.wrap(before))
        return self.vwrite(before, made, 0, self.strides_of(shape)).value

    @staticmethod
    def constant_carried(op: Op, body: Block) -> frozenset[int]:
        """Which carried values each trip passes on as they came, or sets to what they were before the loop."""
        return frozenset(
            i
            for i, (param, after, init) in enumerate(
                zip(body.params[1:], body.results[1:], op.operands[2:], strict=True)
            )
            if after is param or after is init
        )

    @staticmethod
    def carried_twice(op: Op, body: Block) -> dict[int, int]:
        """Carried arrays that begin as another one and become what it becomes, with that one; no types name them."""
        first: dict[tuple[Value, Value], int] = {}
        found: dict[int, int] = {}
        for i, pair in enumerate(zip(op.operands[2:], body.results[1:], strict=True)):
            other = first.setdefault(pair, i)
            is_same = body.params[1 + other].type == body.params[1 + i].type
            if other != i and is_same and isinstance(pair[0].type, TensorType):
                found[i] = other
        return found


def _without_carried(op: Op, body: Block, dropped: frozenset[int]) -> Op:
    """The loop without some of the values it carries."""

    def kept(values: Sequence[Value], lead: int) -> tuple[Value, ...]:
        return (*values[:lead], *(v for i, v in enumerate(values[lead:]) if i not in dropped))

    narrow = Block(kept(body.params, 1), body.ops, kept(body.results, 1), body.label)
    return Op(op.defn, kept(op.operands, 2), op.attrs, kept(op.results, 0), (narrow,), op.span)


def _is_smaller(source: Type, target: Type) -> bool:
    """Whether a broadcast makes several elements of one, whatever the sizes are."""
    assert isinstance(target, TensorType)
    if not isinstance(source, TensorType):
        return True
    ones = (d == 1 and t != 1 for d, t in zip(reversed(source.shape), reversed(target.shape), strict=False))
    return len(source.shape) < len(target.shape) or any(ones)
