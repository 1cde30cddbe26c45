"""What eager code's tape has saved behind each value, and what of that was replaced meanwhile, for one derivative.

A forward pass over the program knows of each value on the way to the derivative which contents the ops behind it saved
that a write may still replace, and of which memories one was replaced. At the end of a branch or a trip contents that
nothing outside shows are forgotten, since nothing replaces them any more; those that are handed on have new names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import TypeAlias, TypeVar

from tracejit.ir.builder import Builder
from tracejit.ir.core import Block, Op, Value, values_behind, walk
from tracejit.ir.opdef import Update
from tracejit.ir.reached import Masks, sources
from tracejit.ir.types import ListType, is_differentiable
from tracejit.ops.control import gradient_parts
from tracejit.transforms.derivatives.activity import useful
from tracejit.transforms.derivatives.contents import Contents, Kill, may_be_empty
from tracejit.transforms.derivatives.stored_arrays import is_write
from tracejit.transforms.derivatives.vjp import contributions

#: A content and whether a part of it was saved; and, where it was saved under another name, the loop or branch that
#: gave it that.
Saved: TypeAlias = tuple[Value, bool, "Op | None"]

#: A memory, and whether parts of it were saved.
Counted: TypeAlias = tuple[Value, bool]

#: Stands for memories that were made in a branch or a trip that is over.
ELSEWHERE = None


@dataclass(frozen=True, slots=True)
class Behind:
    """What was saved behind a value: contents that may be replaced, and memories of which one was; each with whether
    that is so on every path."""

    saved: Mapping[Saved, bool] = field(default_factory=dict[Saved, bool])
    stale: Mapping[Counted | None, bool] = field(default_factory=dict["Counted | None", bool])

    def __or__(self, other: Behind) -> Behind:
        return Behind(_either(self.saved, other.saved), _either(self.stale, other.stale))

    def perhaps(self) -> Behind:
        """The same of what may not be behind."""
        return Behind(dict.fromkeys(self.saved, False), dict.fromkeys(self.stale, False))


NOTHING = Behind()

_Key = TypeVar("_Key")

#: What is behind values of which anything is.
State: TypeAlias = dict[Value, Behind]


@dataclass(frozen=True, slots=True)
class Save:
    """What an op saves: a content or a `part` of it, for the derivatives by some of its operands."""

    content: Value
    by: Sequence[Value]
    part: Value | None = None

    @property
    def is_part(self) -> bool:
        return self.part is not None

    @property
    def may_be_nothing(self) -> bool:
        return self.part is not None and may_be_empty(self.part)


class SavedContents:
    """The tape of the derivative that the op `asked` is about, where that stands: `found`."""

    def __init__(self, root: Block, contents: Contents, asked: Op, gradient: Op) -> None:
        self.root = root
        self.contents = contents
        self.asked = asked
        self.ys, _, self.xs = gradient_parts(gradient)
        self.found = NOTHING
        self.masks = Masks(dict.fromkeys(self.xs, 1), set(root.params), lambda n: False)
        self.masks.ops(root.ops)
        matter = useful(root.ops, self.ys)
        self.through = {v for v in matter if self.masks.one(v)[0] & 1}
        replaced = {kill.content for kill in contents.kills.values()}
        self.may_be_replaced = self._led_to(replaced)
        self.saves = {op: saves for op in walk(root) if (saves := self._saves_of(op))}
        if self.saves:
            self.block(root.ops, {})

    def leads(self, value: Value) -> bool:
        """Whether a value leads to a leaf on every path."""
        return bool(self.masks.one(value)[1] & 1)

    # -- what ops save --------------------------------------------------------------------------------------------

    def _led_to(self, replaced: set[Value]) -> set[Value]:
        """The contents that are, by some path, one of those replaced: branches and loops hand them on."""
        found, waiting = set[Value](), [*replaced]
        while waiting:
            if (content := waiting.pop()) not in found:
                found.add(content)
                waiting += (*self.contents.before.get(content, ()), *self.contents.after.get(content, ()))
        return found

    def _saves_of(self, op: Op) -> Sequence[Save]:
        if op.blocks or op.defn.stands_for is not None or self.through.isdisjoint(op.results):
            return ()
        of = self.contents.of
        if not any(of(v) in self.may_be_replaced for v in (*op.operands, *op.results)):
            return ()
        return [
            Save(of(v), by, v if v in self.contents.parts else None)
            for v, by in read_by_rule(op, self.through).items()
            if of(v) in self.may_be_replaced and not self.contents.is_own(op, of(v))
        ]

    # -- ops ------------------------------------------------------------------------------------------------------

    def block(self, ops: Sequence[Op], state: State) -> None:
        """Note what is behind the results of ops, in order."""
        for op in ops:
            if op is self.asked:
                self.found = reduce(Behind.__or__, (state.get(y, NOTHING) for y in self.ys), NOTHING)
            elif op.name == "if":
                self.branches(op, state)
            elif op.name == "loop":
                self.loop(op, state)
            else:
                for nested in op.blocks:
                    self.block(nested.ops, {})
                self.op(op, state)

    def op(self, op: Op, state: State) -> None:
        kill = self.contents.kills.get(op)
        if kill is not None:
            self.kill(kill, state)
        if self.through.isdisjoint(op.results):
            return
        made = reduce(Behind.__or__, (state[v] for v in history(op) if v in state), NOTHING)
        if any(isinstance(v.type, ListType) for v in (*op.operands, *op.results)):
            made = made.perhaps()
        saved = dict[Saved, bool]()
        for s in self.saves.get(op, ()):
            saved[s.content, s.is_part, None] = any(map(self.leads, s.by)) and not s.may_be_nothing
            given_by = self.contents.merged.get(s.content)
            saved.update(((v, s.is_part, given_by), False) for v in self.contents.other_names(s.content))
        made = made | Behind(saved)
        if is_write(op) and (by := self.saved_result(op)):
            made = made | Behind({(op.results[0], False, None): any(map(self.leads, by))})
        for r in op.results:
            if r in self.through and r not in self.xs and made != NOTHING:
                state[r] = made

    def saved_result(self, mark: Op) -> Sequence[Value]:
        """The operands of an op in place for whose derivatives it saves what it gives."""
        result = self.contents.of(mark.operands[0])
        maker = self.contents.makers.get(result)
        if maker is None or maker.span != mark.span or maker.blocks or mark.results[0] not in self.may_be_replaced:
            return ()
        return read_by_rule(maker, self.through).get(result, ())

    def kill(self, kill: Kill, state: State) -> None:
        memory = self.contents.memory(kill.content)
        for value, behind in state.items():
            hit = [s for s in behind.saved if self.is_hit(kill, *s)]
            if not hit:
                continue
            saved, stale = dict(behind.saved), dict(behind.stale)
            for content, is_part, given_by in hit:
                is_sure = saved[content, is_part, given_by] and kill.is_certain
                stale[memory, is_part] = is_sure or stale.get((memory, is_part), False)
                if kill.is_certain:
                    del saved[content, is_part, given_by]
            state[value] = Behind(saved, stale)

    def is_hit(self, kill: Kill, content: Value, is_part: bool, given_by: Op | None) -> bool:
        """Whether what was saved is replaced. Under the name that a loop gave it, it is where that is written: what
        follows from this for others tells nothing new."""
        if content is not kill.content or (is_part and kill.is_part):
            return False
        return given_by is None or kill.follows is None or self.contents.merged.get(kill.follows) is not given_by

    # -- branches and loops ---------------------------------------------------------------------------------------

    def branches(self, op: Op, state: State) -> None:
        ends = list[State]()
        for block in op.blocks:
            inner = dict(state)
            self.block(block.ops, inner)
            ends.append(self.handed_on(block, inner, zip(op.results, block.results, strict=True)))
        state.clear()
        state.update(_joined(*ends))

    def loop(self, op: Op, state: State) -> None:
        body = op.block("body")
        params = body.params[1:]
        start = self.handed_on(body, state, zip(params, op.operands[2:], strict=True))
        head = start
        while True:
            inner = dict(head)
            self.block(body.ops, inner)
            end = self.handed_on(body, inner, zip(params, body.results[1:], strict=True))
            following = _joined(start, end)
            if following == head:
                break
            head = following
        zero = self.handed_on(body, state, zip(op.results, op.operands[2:], strict=True))
        some = self.handed_on(body, inner, zip(op.results, body.results[1:], strict=True))
        state.clear()
        state.update(_joined(zero, some))

    def handed_on(self, block: Block, state: State, pairs: Iterable[tuple[Value, Value]]) -> State:
        """What is behind values outside of a block, and those that stand for others there, at its start or end."""
        pairs, inside = list(pairs), self.contents.values_in(block)
        renamed: dict[Value, list[Value]] = {}
        for new, old in pairs:
            renamed.setdefault(self.contents.of(old), []).append(new)
        known = dict[int, Behind]()

        def outside(behind: Behind) -> Behind:
            if id(behind) not in known:
                saved = dict[Saved, bool]()
                for (content, is_part, given_by), is_sure in behind.saved.items():
                    kept = [] if content in inside else [(content, is_part, given_by)]
                    for s in (*kept, *((name, is_part, None) for name in renamed.get(content, ()))):
                        saved[s] = is_sure or saved.get(s, False)
                stale = dict["Counted | None", bool]()
                for key, is_sure in behind.stale.items():
                    kept = ELSEWHERE if key is None or self.is_made_in(block, key[0]) else key
                    stale[kept] = is_sure or stale.get(kept, False)
                known[id(behind)] = Behind(saved, stale)
            return known[id(behind)]

        found = {v: outside(behind) for v, behind in state.items() if v not in inside}
        given = {new: state[old] for new, old in pairs if old in state and new in self.through and new not in self.xs}
        return found | {new: outside(behind) for new, behind in given.items()}

    def is_made_in(self, block: Block, memory: Value) -> bool:
        """Whether the array of a memory is made in a block."""
        is_one = self.contents.is_one_array(memory)
        return is_one and self.contents.origin(memory) in self.contents.values_in(block)


def is_made_behind_writes(root: Block, asked: Op, gradient: Op) -> bool:
    """Whether all that a derivative goes through is seen to be made of leaves, in the trip at hand, behind the last
    write before it: so it is in most training loops."""
    ys, _, xs = gradient_parts(gradient)
    ops = _before(root, asked) or []
    wanted, first = {*ys}, len(ops)
    for at in reversed(range(len(ops))):
        op = ops[at]
        if not wanted.isdisjoint(op.results):
            first = at
            wanted.difference_update(op.results)
            wanted.update(v for v in history(op) if is_differentiable(v.type) and v not in xs)
    is_written = any(is_write(o) or o.name == "sync" for o in walk(Block((), tuple(ops[first:]), ())))
    return not is_written and wanted.issubset((*xs, *root.params))


def _before(block: Block, asked: Op) -> list[Op] | None:
    """The ops of a trip of the innermost loop around an op that stand in front of it; None where it is elsewhere."""
    for at, op in enumerate(block.ops):
        if op is asked:
            return [*block.ops[:at]]
        for nested in op.blocks:
            if (found := _before(nested, asked)) is not None:
                return found if op.name != "if" else [*block.ops[:at], *found]
    return None


def history(op: Op) -> Iterable[Value]:
    """The values whose tape the results of an op have on theirs."""
    if op.attrs.get("made", False):
        return ()
    return op.operands[:1] if op.name == "rewritten" else sources(op)


def read_by_rule(op: Op, through: set[Value]) -> dict[Value, list[Value]]:
    """The operands and results that an op's rule reads for the cotangents that go on, each with the operands whose
    cotangents these are."""
    if isinstance(op.defn.vjp, str) or through.isdisjoint(op.results):
        return {}
    b = Builder(op.span)
    given = tuple(b.wrap(Value(r.type, "g")) if r in through else None for r in op.results)
    found: dict[Value, list[Value]] = {}
    for operand, contribution in contributions(b, op, given):
        if operand in through and isinstance(contribution, Update):
            contribution = contribution.apply(b.wrap(Value(operand.type, "running")))
        if operand in through and contribution is not None:
            for value in values_behind(b.ops, (contribution.value,)) & {*op.operands, *op.results}:
                found.setdefault(value, []).append(operand)
    return found


def _either(one: Mapping[_Key, bool], other: Mapping[_Key, bool]) -> Mapping[_Key, bool]:
    if not one or not other:
        return one or other
    return {key: one.get(key, False) or other.get(key, False) for key in (*one, *other)}


def _joined(*states: State) -> State:
    """What is behind values where paths meet."""
    found: State = {}
    for value in dict.fromkeys(v for state in states for v in state):
        parts = [state.get(value, NOTHING) for state in states]
        if all(part == parts[0] for part in parts):
            found[value] = parts[0]
            continue
        saved = {s: all(part.saved.get(s, False) for part in parts) for part in parts for s in part.saved}
        stale = {m: all(part.stale.get(m, False) for part in parts) for part in parts for m in part.stale}
        found[value] = Behind(saved, stale)
    return found
