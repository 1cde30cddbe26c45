"""Truths that depend on the path, as values of the graph: a network of facts that branches and loops decide.

A fact is made when somebody asks for it, and what it rests on is asked for later, so that loops may rest on
themselves. Once all is settled, facts that hold on every path or on none, and those that a branch or a loop leaves as
they were, cost nothing; of the others each branch and loop gives one truth value more (`Network.rebuilt`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from tracejit.ir.builder import Builder
from tracejit.ir.core import Block, Op, Value, walk
from tracejit.ir.reached import Truth, all_of, any_of, value_of
from tracejit.ir.types import BOOL, ScalarType

_FLAG = ScalarType(BOOL)


@dataclass(slots=True, eq=False)
class Fact:
    """`chosen` by an `if`, `carried` by a `loop`, `left` by a loop that carried it, `both` or `either` of two things,
    or `unsure`: perhaps what holds of one of them."""

    number: int
    kind: str
    op: Op | None
    #: what holds at the end of each branch; at the start of a loop and of its next trip; what was carried; both things
    parts: tuple[Facts, ...] = ()


#: A truth: any of these facts.
Facts: TypeAlias = frozenset[Fact]
Question: TypeAlias = Callable[[], Facts]

NEVER: Facts = frozenset()
ALWAYS: Facts = frozenset((Fact(-1, "always", None),))


@dataclass(slots=True)
class Network:
    """The facts of one graph, and the answers to the ops `asked`."""

    asked: Mapping[Op, Facts] = field(default_factory=dict[Op, Facts])
    facts: dict[Hashable, Fact] = field(default_factory=dict[Hashable, Fact])
    pending: list[tuple[Fact, tuple[Question, ...]]] = field(default_factory=list[tuple[Fact, tuple[Question, ...]]])
    same: dict[Fact, Facts] = field(default_factory=dict[Fact, Facts])  #: facts that need no value of their own
    values: dict[Fact, Value] = field(default_factory=dict[Fact, Value])

    # -- asking -------------------------------------------------------------------------------------------------

    def depends(self, op: Op, inside: bool, key: Hashable, question: Callable[[int], Facts]) -> Facts:
        """What an `if` or a `loop` decides: what is so at the end of each branch; at the start of the loop and of its
        next trip. Of a loop it is asked `inside`, at the start of a trip, or behind it."""
        questions = tuple(partial(question, side) for side in range(2))
        if op.name == "if":
            return self._fact(("chosen", op, key), "chosen", op, questions)
        carried = self._fact(("carried", op, key), "carried", op, questions)
        return carried if inside else self._fact(("left", op, key), "left", op, (lambda: carried,))

    def either(self, op: Op, key: Hashable, question: Callable[[int], Facts]) -> Facts:
        """What is so of one of two things, which are asked for later."""
        return self._fact(("either", op, key), "either", None, tuple(partial(question, side) for side in range(2)))

    def unsure(self, facts: Facts) -> Facts:
        """What may be so where these facts are."""
        return self._fact(("unsure", facts), "unsure", None, (lambda: facts,)) if facts else NEVER

    def is_sure(self, facts: Facts) -> bool:
        """Whether a truth can be told, once all is settled."""
        return all(fact.kind != "unsure" for fact in self._behind(self.simple(facts)))

    def both(self, one: Facts, other: Facts) -> Facts:
        if not one or not other or one in (ALWAYS, other):
            return NEVER if not one else other
        return one if other == ALWAYS else self._fact(("both", one, other), "both", None, (lambda: one, lambda: other))

    def _fact(self, key: Hashable, kind: str, op: Op | None, questions: tuple[Question, ...]) -> Facts:
        if key not in self.facts:
            self.facts[key] = Fact(len(self.facts), kind, op)
            self.pending.append((self.facts[key], questions))
        return frozenset((self.facts[key],))

    # -- answering ----------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Ask what facts rest on until nothing is left to ask, and find those that need no value."""
        while self.pending:
            fact, questions = self.pending.pop()
            fact.parts = tuple(question() for question in questions)
        every = list(self.facts.values())
        possible = self._steady(every, False)
        certain = self._steady(every, True)
        for fact in every:
            if not possible[fact]:
                self.same[fact] = NEVER
            elif certain[fact]:
                self.same[fact] = ALWAYS
        count = -1
        while count != len(self.same):
            count = len(self.same)
            for fact in every:
                if fact not in self.same and (same := self._simpler(fact)) is not None:
                    self.same[fact] = same

    def _steady(self, every: Sequence[Fact], certain: bool) -> dict[Fact, bool]:
        """Which facts may hold, or which hold on every path."""
        found = {**dict.fromkeys(every, certain), **dict.fromkeys(ALWAYS, True)}
        changed = True
        while changed:
            changed = False
            for fact in every:
                parts = [any(found[f] for f in part) for part in fact.parts]
                of = all if fact.kind == "both" or (certain and fact.kind != "either") else any
                holds = of(parts) and not (certain and fact.kind == "unsure")
                changed, found[fact] = changed or holds != found[fact], holds
        return found

    def _simpler(self, fact: Fact) -> Facts | None:
        """What a fact is the same as, if that is seen."""
        parts = [self.simple(part) for part in fact.parts]
        itself = frozenset((fact,))
        if fact.kind == "either":
            return (parts[0] | parts[1]) - itself
        if fact.kind == "carried" and fact in parts[1] and parts[1] <= parts[0] | itself:
            return parts[0] if fact not in parts[0] else None
        if fact.kind == "left":
            return parts[0] if parts[0] != fact.parts[0] else None
        return parts[0] if len(parts) == 2 and parts[0] == parts[1] and fact not in parts[0] else None

    def simple(self, facts: Facts) -> Facts:
        """The same truth by facts that have values."""
        while any(f in self.same for f in facts):
            facts = frozenset().union(*(self.same.get(f, (f,)) for f in facts))
        return ALWAYS if facts & ALWAYS else facts

    # -- emitting -----------------------------------------------------------------------------------------------

    def rebuilt(self, ops: Sequence[Op], asked: Mapping[Op, Facts]) -> tuple[Op, ...]:
        """The ops with the answers as operands of those `asked`."""
        self.asked = asked
        b = Builder()
        self._emit(b, ops, self._needed(asked.values()))
        return tuple(b.ops)

    def _needed(self, answers: Iterable[Facts]) -> dict[Op, list[Fact]]:
        """By `if` or `loop` the facts of which it gives values."""
        by_op: dict[Op, list[Fact]] = {}
        for fact in sorted(
            self._behind(f for answer in answers for f in self.simple(answer)) - ALWAYS, key=lambda f: f.number
        ):
            if fact.op is not None and fact.kind != "left":
                by_op.setdefault(fact.op, []).append(fact)
        return by_op

    def _behind(self, facts: Iterable[Fact]) -> set[Fact]:
        """These facts and what they rest on."""
        found, waiting = set[Fact](), list(facts)
        while waiting:
            fact = waiting.pop()
            if fact not in found:
                found.add(fact)
                waiting += [f for part in fact.parts for f in self.simple(part)]
        return found

    def _emit(self, b: Builder, ops: Sequence[Op], needed: Mapping[Op, Sequence[Fact]]) -> None:
        for op in ops:
            b.span = op.span
            inside = [inner for block in op.blocks for inner in walk(block)]
            if op in self.asked:
                told = value_of(b, self.truth(b, self.asked[op]))
                b.append_op(Op(op.defn, (told,), op.attrs, op.results, (), op.span))
            elif op not in needed and not any(inner in self.asked or inner in needed for inner in inside):
                b.append_op(op)
            elif op.name == "if":
                self._branches(b, op, needed)
            else:
                self._loop(b, op, needed)

    def truth(self, b: Builder, facts: Facts) -> Truth:
        """A truth where its facts can be seen."""
        facts = self.simple(facts)
        if not facts or facts == ALWAYS:
            return bool(facts)
        found = list[Truth]()
        for fact in sorted(facts, key=lambda f: f.number):
            if fact.kind == "both":
                both = Value(_FLAG, "both")
                all_of(b, [value_of(b, self.truth(b, part)) for part in fact.parts], both)
                found.append(both)
            else:
                found.append(self.values[fact])
        return any_of(b, found)

    def _branches(self, b: Builder, op: Op, needed: Mapping[Op, Sequence[Fact]]) -> None:
        more = needed.get(op, ())
        blocks = list[Block]()
        for k, block in enumerate(op.blocks):
            inner = b.nested()
            self._emit(inner, block.ops, needed)
            ends = [value_of(inner, self.truth(inner, fact.parts[k])) for fact in more]
            blocks.append(inner.block((), (*block.results, *ends), block.label))
        results = tuple(Value(_FLAG, "fact") for _ in more)
        b.append_op(Op(op.defn, op.operands, op.attrs, (*op.results, *results), tuple(blocks), op.span))
        self.values.update(zip(more, results, strict=True))

    def _loop(self, b: Builder, op: Op, needed: Mapping[Op, Sequence[Fact]]) -> None:
        more, body = needed.get(op, ()), op.block("body")
        starts = [value_of(b, self.truth(b, fact.parts[0])) for fact in more]
        params = [Value(_FLAG, "fact") for _ in more]
        self.values.update(zip(more, params, strict=True))
        inner = b.nested()
        self._emit(inner, body.ops, needed)
        ends = [value_of(inner, self.truth(inner, fact.parts[1])) for fact in more]
        block = inner.block((*body.params, *params), (*body.results, *ends), body.label)
        results = tuple(Value(_FLAG, "fact") for _ in more)
        b.append_op(Op(op.defn, (*op.operands, *starts), op.attrs, (*op.results, *results), (block,), op.span))
        behind = {fact.parts[0]: fact for fact in self.facts.values() if fact.kind == "left"}
        for fact, result in zip(more, results, strict=True):
            if (left := behind.get(frozenset((fact,)))) is not None:
                self.values[left] = result
