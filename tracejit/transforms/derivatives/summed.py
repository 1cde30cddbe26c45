"""Derivatives that the trips of a loop only add up: one derivative behind the loop, of a sum.

In `for l in losses: l.backward()` each derivative goes through the loop that filled the list, and each costs all of
that. Where the loop does nothing with the derivatives but add them to what it carries,

    loop { g = gradient(y, s, w); a' = a + g }

their total is that of one number: of the sum of `y * s` over the trips, which the loop carries then,

    loop { t' = t + y * s }; a + gradient(t, 1, w)

and one walk backward through both loops has it, at the cost of what these did. A branch around a derivative gives
`y * s`, or 0 where it is not taken. Paths that raise tell the caller what the trips so far have added: they take the
derivative of the sum so far.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tracejit.errors import NotDifferentiable
from tracejit.ir.builder import Builder
from tracejit.ir.core import Block, Op, Value, captures, reads, walk, with_ops
from tracejit.ir.opdef import REGISTRY
from tracejit.ir.types import ListType, ScalarType
from tracejit.ops.control import emit_gradient, gradient_parts, grouped
from tracejit.records import record
from tracejit.transforms.derivatives.activity import useful, varied
from tracejit.transforms.derivatives.earlier_trips import carried_to
from tracejit.transforms.derivatives.frames import substitute
from tracejit.transforms.derivatives.held import held
from tracejit.transforms.derivatives.so_far import with_repeats
from tracejit.transforms.derivatives.vjp import is_renaming

_DETACH = REGISTRY["detach"]


#: How many ops, times derivatives, a program may have with those of paths that raise: each looks at all ops.
_MOST = 100_000


@record(eq=False)
class _Step:
    """Op number `at` of a block; `side`: the block of it that the next step is in."""

    block: Block
    at: int
    side: int = 0

    @property
    def op(self) -> Op:
        return self.block.ops[self.at]


def summed(body: Block) -> Block:
    """The block with derivatives of sums behind loops, where the trips add up derivatives that go through what earlier
    trips, or earlier loops, left in lists."""
    tried = set[Op]()
    while True:
        found = next((path for path in _gradients(body, ()) if path[-1].op not in tried), None)
        if found is None:
            return with_repeats(body)
        tried.add(found[-1].op)
        loops = [at for at, step in enumerate(found[:-1]) if step.op.name == "loop"]
        made = (_behind(found, at, tried) for at in loops if _is_costly(body, found[at].op, found[-1].op))
        body = next((new for new in made if new is not None), body)


def _gradients(block: Block, before: tuple[_Step, ...]) -> Iterator[tuple[_Step, ...]]:
    """The ways to the derivatives in loops that every call takes which comes there."""
    for at, op in enumerate(block.ops):
        if op.name == "gradient" and before and not op.attrs.get("rare", False):
            yield (*before, _Step(block, at))
        for side, nested in enumerate(op.blocks if op.name in ("if", "loop") else ()):
            yield from _gradients(nested, (*before, _Step(block, at, side)))


def _is_costly(root: Block, loop: Op, gradient: Op) -> bool:
    """Whether the derivative goes through earlier trips of the loop, or through lists that were filled before."""
    if carried_to(root, loop, gradient):
        return True
    lists = [v for v in captures(loop.block("body")) if isinstance(v.type, ListType)]
    if not lists:
        return False
    ys, _, xs = gradient_parts(gradient)
    changed, matters = varied(root.ops, xs), useful([loop], ys)
    return any(v in changed and v in matters for v in lists)


def _behind(path: Sequence[_Step], depth: int, tried: set[Op]) -> Block | None:
    """The outermost block with the derivative behind the op at step `depth` of the way to it; None where more is done
    with it than adding it up."""
    block, at, conditions = path[-1].block, path[-1].at, held(path[0].block)
    for step in reversed(path[depth:-1]):
        moving = _Moving(step.op, step.side, block, at, conditions)
        if not moving.is_possible:
            return None
        made, offset = moving.emit()
        block = with_ops(step.block, (*step.block.ops[: step.at], *made, *step.block.ops[step.at + 1 :]))
        at = step.at + offset
    tried.add(block.ops[at])
    for step in reversed(path[:depth]):
        op = step.op
        blocks = (*op.blocks[: step.side], block, *op.blocks[step.side + 1 :])
        made = Op(op.defn, op.operands, op.attrs, op.results, blocks, op.span)
        block = with_ops(step.block, (*step.block.ops[: step.at], made, *step.block.ops[step.at + 1 :]))
    try:
        whole = with_repeats(block)
    except NotDifferentiable:
        return None
    ops = [*walk(whole)]
    return block if len(ops) * sum(op.name == "gradient" for op in ops) <= _MOST else None


@record
class _Version:
    """What a derivative's result is added to, by its number: with what the trip at hand adds, or without."""

    number: int
    is_after: bool


@dataclass(eq=False)
class _Moving:
    """A derivative at number `at` of the block `side` of an `if` or a `loop`, which is to be taken behind that."""

    around: Op
    side: int
    block: Block
    at: int
    held: Collection[Value]  #: conditions that hold where they are asked
    #: What the results are added to, in all its versions.
    versions: dict[Value, _Version] = field(default_factory=dict[Value, _Version])
    #: For each result the op that adds it; None where nothing does.
    adds: list[Op | None] = field(default_factory=list["Op | None"])
    #: What stands between a result and that op.
    between: set[Op] = field(default_factory=set[Op])

    def __post_init__(self) -> None:
        self.gradient = self.block.ops[self.at]
        self.ys, self.seeds, self.xs = gradient_parts(self.gradient)
        self.makers = {r: op for op in walk(self.block) for r in op.results}
        self.inside = {*self.block.params, *self.makers}
        self.is_loop = self.around.name == "loop"

    # -- whether it can be ----------------------------------------------------------------------------------------

    @property
    def is_possible(self) -> bool:
        """Whether the derivative is by values from outside, and only added up."""
        if any(x in self.inside for x in self.xs) or not self._find_adds():
            return False
        if not self._find_versions({}):
            return False
        if not self.is_loop:
            return True
        kept = self.carried()
        if {v.number for v in kept.values()} != {n for n, add in enumerate(self.adds) if add is not None}:
            return False
        first = {self.block.params[1 + i]: _Version(v.number, False) for i, v in kept.items()}
        if not self._find_versions(first) or self.carried() != kept or self.block.results[0] in self.versions:
            return False
        return all(self.versions.get(v) == _Version(n, False) for n, v in self._sums())

    def _find_adds(self) -> bool:
        readers: dict[Value, list[Op]] = {}
        for op in walk(self.block):
            for v in reads(op):
                readers.setdefault(v, []).append(op)
        ends = {v for op in walk(self.block) for nested in op.blocks for v in nested.results} | {*self.block.results}
        for g in self.gradient.results:
            while len(readers.get(g, ())) == 1 and _hands_on(readers[g][0]) and g not in ends:
                self.between.add(readers[g][0])
                g = readers[g][0].results[0]
            found = readers.get(g, [])
            if g in ends or len(found) > 1:
                return False
            if found and (found[0].name != "add" or found[0] not in self.block.ops or found[0].operands.count(g) != 1):
                return False
            self.adds.append(found[0] if found else None)
        return any(self.adds)

    def _sums(self) -> Iterator[tuple[int, Value]]:
        """What each result is added to."""
        for n, add in enumerate(self.adds):
            if add is not None:
                yield n, next(v for v in add.operands if not self._is_result(v))

    def _is_result(self, v: Value) -> bool:
        """Whether a value is one of the derivative's results, detached or not."""
        maker = self.makers.get(v)
        return maker is self.gradient or maker in self.between

    def _find_versions(self, first: Mapping[Value, _Version]) -> bool:
        """Find the versions of what the results are added to, from some on; whether nothing else is done with them."""
        self.versions = dict(first)
        return self._note(self.block.ops, False)

    def _note(self, ops: Sequence[Op], raises: bool) -> bool:
        """Note the versions in some ops; `raises`: behind them the program ends."""
        for at, op in enumerate(ops):
            if op in self.adds:
                self.versions[op.results[0]] = _Version(self.adds.index(op), True)
                continue
            hits = [self.versions[v] for v in op.operands if v in self.versions]
            match op.name:
                case _ if len(hits) == 1 and (op.name == "add" or _hands_on(op)):
                    self.versions[op.results[0]] = hits[0]
                case "if" | "loop":
                    if not self._note_blocks(op, raises, ops[at + 1 :]):
                        return False
                case "report" if self._is_told(op):
                    if not raises:
                        return False
                case "report" | "pending" | "dim":
                    pass
                case _:
                    if hits or any(v in self.versions for block in op.blocks for v in captures(block)):
                        return False
        return True

    def _note_blocks(self, op: Op, raises: bool, following: Sequence[Op]) -> bool:
        if op.name == "loop":
            body = op.block("body")
            inits = zip(body.params[1:], op.operands[2:], strict=True)
            carried = {p: self.versions[v] for p, v in inits if v in self.versions}
            if any(v in self.versions for v in op.operands[:2]):
                return False
            self.versions.update(carried)
            if not self._note(body.ops, raises):
                return False
            for p, v, r in zip(body.params[1:], body.results[1:], op.results, strict=True):
                if carried.get(p) != self.versions.get(v):
                    return False
                if p in carried:
                    self.versions[r] = carried[p]
            return body.results[0] not in self.versions
        for block in op.blocks:
            is_end = raises or _ends(block) or (block.label == "else" and self._is_checked(op, following))
            if not self._note(block.ops, is_end):
                return False
        for r, *sides in zip(op.results, *(block.results for block in op.blocks), strict=True):
            found = {self.versions.get(v) for v in sides}
            if len(found) > 1:
                return False
            version = found.pop()
            if version is not None:
                self.versions[r] = version
        return True

    def _is_checked(self, op: Op, following: Sequence[Op]) -> bool:
        """Whether the program ends where the condition of an `if` does not hold: it is checked next."""
        if not following:
            return False
        (cond,), check = op.operands, following[0]
        made = self.makers.get(cond)
        is_of_both = made is not None and made.defn is REGISTRY["eq"] and made.operands == check.operands[:2]
        return (check.name == "check" and check.operands[0] is cond) or (check.name == "check_eq" and is_of_both)

    def _is_told(self, op: Op) -> bool:
        """Whether a `report` or `pending` tells what the results were added to."""
        if any(v in self.versions for v in op.operands):
            return True
        before = self.makers.get(op.operands[0]) if op.attrs["follows"] else None
        return before is not None and self._is_told(before)

    def carried(self) -> dict[int, _Version]:
        """The results of the block that are such versions; of a loop what it carries."""
        results = self.block.results[1:] if self.is_loop else self.block.results
        return {i: self.versions[v] for i, v in enumerate(results) if v in self.versions}

    # -- moving it ------------------------------------------------------------------------------------------------

    def emit(self) -> tuple[list[Op], int]:
        """The ops in the place of the one around, and the number of the derivative among them."""
        b, inner = Builder(self.gradient.span), Builder(self.gradient.span)
        self.before: list[Value] = []  #: the sums when a trip begins
        self.after: list[Value] = []  #: and with what the derivative adds
        self.plain = dict[Value, Value]()  #: values without what it adds
        parts = self._parts()
        if self.is_loop:
            self.before = [Value(v.type, "total") for v in parts[1]]
        self._rewrite(inner, self.block.ops, parts)
        own = inner.block(
            (*self.block.params, *self.before),
            (*(self.plain.get(v, v) for v in self.block.results), *self.after),
            self.block.label,
        )
        found = [Value(v.type, "total") for v in self.after]
        kept = self.carried()
        results = [Value(r.type, r.name) if i in kept else r for i, r in enumerate(self.around.results)]
        operands = self.around.operands
        if self.is_loop:
            operands = (*operands, *(_zero(b, v) for v in self.after))
        blocks = [self._other(block) for block in self.around.blocks]
        blocks[self.side] = own
        around = self.around
        b.append_op(Op(around.defn, operands, around.attrs, (*results, *found), tuple(blocks), around.span))
        slopes, at = self._derivative(b, found, {})
        for i, version in kept.items():
            self._add(b, results[i], slopes[version.number], self.around.results[i])
        return b.ops, at

    def _other(self, block: Block) -> Block:
        """The other side of a branch: it adds nothing."""
        b = Builder(self.gradient.span)
        zeros = [_zero(b, v) for v in self.after]
        return Block(block.params, (*block.ops, *b.ops), (*block.results, *zeros), block.label)

    def _parts(self) -> tuple[list[Op], list[Value]]:
        """The ops that make `y * seed`, as one real number for each y, and these numbers."""
        b = Builder(self.gradient.span)
        found: list[Value] = []
        for y, seed in zip(self.ys, self.seeds, strict=True):
            part, maker = b.wrap(y), self.makers.get(seed)
            if maker is None or maker.name != "const" or maker.attrs["value"] != 1:
                weight = b.detach(b.wrap(seed))
                part = b.real(part * b.conj(weight)) if part.dtype.is_complex else part * weight
            if b.rank(part):
                part = b.sum(part, axes=tuple(range(b.rank(part))))
            found.append(part.value)
        return b.ops, found

    def _rewrite(self, b: Builder, ops: Sequence[Op], parts: tuple[list[Op], list[Value]]) -> None:
        for op in ops:
            b.span = op.span
            if op is self.gradient:
                b.ops.extend(parts[0])
                self.after = parts[1]
                if self.is_loop:
                    pairs = zip(self.before, parts[1], strict=True)
                    self.after = [b.emit("add", pair, names=("total",))[0] for pair in pairs]
            elif op in self.adds:
                sums = dict(self._sums())
                before = sums[self.adds.index(op)]
                self.plain[op.results[0]] = self.plain.get(before, before)
            elif op in self.between:
                pass
            elif op.name == "report" and self._is_told(op):
                self._report(b, op)
            elif op.name == "loop" or (op.name == "if" and not self._needs_no_total(op)):
                blocks: list[Block] = []
                for block in op.blocks:
                    inner = b.nested()
                    self._rewrite(inner, block.ops, parts)
                    results = [self.plain.get(v, v) for v in block.results]
                    blocks.append(inner.block(block.params, results, block.label))
                operands = tuple(self.plain.get(v, v) for v in op.operands)
                b.append_op(Op(op.defn, operands, op.attrs, op.results, tuple(blocks), op.span))
            else:
                b.append_op(substitute(op, self.plain))

    def _needs_no_total(self, op: Op) -> bool:
        """Whether nothing was added, or no way leads there, where the condition of a check does not hold."""
        return not op.results and (op.operands[0] in self.held or self._is_first_only(op))

    def _is_first_only(self, op: Op) -> bool:
        """Whether a condition in front of the derivative is that of each trip: where it does not hold, that is found
        before anything is added."""
        if not self.is_loop or op not in self.block.ops[: self.at]:
            return False
        cond = self.makers.get(op.operands[0])
        return cond is None or not (cond.blocks or any(v in self.inside for v in cond.operands))

    def _report(self, b: Builder, op: Op) -> None:
        """Emit a report with what the trips so far have added."""
        slopes: dict[bool, list[Value]] = {}
        whole: dict[Value, Value] = {}
        if self._joins(b, op):
            self._tell(b, op, whole)
            return
        for v in self._told(op):
            version = self.versions[v]
            if version.is_after not in slopes:
                sums = self.after if version.is_after else self.before
                slopes[version.is_after], _ = self._derivative(b, sums, {"rare": True})
            whole[v] = self._add(b, self.plain.get(v, v), slopes[version.is_after][version.number])
        self._tell(b, op, whole)

    def _joins(self, b: Builder, op: Op) -> bool:
        """Let a derivative that is there, of what an inner loop has added, be that of this loop's sum too; whether it
        can be."""
        told = self._told(op)
        others = [o for o in b.ops if o.name == "gradient" and gradient_parts(o)[2] == self.xs]
        if len({self.versions[v].is_after for v in told}) != 1 or len(others) != 1:
            return False
        (other,) = others
        if other.attrs.get("groups", ()) != self.gradient.attrs.get("groups", ()):
            return False
        for v in told:
            result = other.results[self.versions[v].number]
            while (step := next((o for o in b.ops if _hands_on(o) and o.operands[0] is result), None)) is not None:
                result = step.results[0]
            adding = self.makers.get(v)
            if adding is None or adding.name != "add" or adding.operands[1] is not result:
                return False
        sums = self.after if self.versions[told[0]].is_after else self.before
        ones = Builder(b.span)
        ys, seeds, xs = gradient_parts(other)
        seeds = (*seeds, *(ones.number(1, ones.wrap(v)).value for v in sums))
        made = Builder(other.span)
        emit_gradient(made, (*ys, *sums), seeds, xs, {k: v for k, v in other.attrs.items() if k != "more"})
        joined = made.ops[-1]
        at = b.ops.index(other)
        b.ops[at : at + 1] = [*ones.ops, Op(joined.defn, joined.operands, joined.attrs, other.results, (), other.span)]
        return True

    def _told(self, op: Op) -> list[Value]:
        """The versions that a `report` or `pending` tells."""
        found = [v for v in op.operands if v in self.versions]
        before = self.makers.get(op.operands[0]) if op.attrs["follows"] else None
        return found if before is None else list(dict.fromkeys((*found, *self._told(before))))

    def _tell(self, b: Builder, op: Op, whole: Mapping[Value, Value]) -> Sequence[Value]:
        operands = [whole.get(v) or self.plain.get(v, v) for v in op.operands]
        before = self.makers.get(op.operands[0]) if op.attrs["follows"] else None
        if before is not None and self._is_told(before):
            operands[0] = self._tell(b, before, whole)[0]
        return b.emit(op.defn, operands, op.attrs)

    def _derivative(self, b: Builder, totals: Sequence[Value], attrs: Mapping[str, bool]) -> tuple[list[Value], int]:
        """Emit the derivative of totals by the values that the op had it by; what it gives, and its number."""
        groups = grouped(self.xs, self.gradient.attrs.get("groups", ()))
        ones = [b.number(1, b.wrap(v)).value for v in totals]
        given = {"groups": tuple(map(len, groups)), **attrs}
        found = emit_gradient(b, totals, ones, self.xs, given, [r.name for r in self.gradient.results])
        at = len(b.ops) - 1
        is_constant = any(op.defn is _DETACH for op in self.between)
        return [b.emit("detach", (g,), names=(g.name,))[0] if is_constant else g for g in found], at

    def _add(self, b: Builder, total: Value, slope: Value, result: Value | None = None) -> Value:
        if slope.type != total.type:  # other names for the same sizes
            slope = b.broadcast(b.wrap(slope), b.shape(b.wrap(total)), exact=True).value
        result = result or Value(total.type, total.name)
        b.append_op(Op(REGISTRY["add"], (total, slope), {}, (result,), (), b.span))
        return result


def _hands_on(op: Op) -> bool:
    """Whether an op gives its operand, as a constant or with other names for its sizes."""
    return op.defn is _DETACH or is_renaming(op)


def _ends(block: Block) -> bool:
    """Whether the program ends in a block."""
    known = {op.results[0]: op.attrs["value"] for op in block.ops if op.name == "const"}
    return any(op.name == "check" and known.get(op.operands[0]) is False for op in block.ops)


def _zero(b: Builder, like: Value) -> Value:
    """Emit 0 as a number of the kind of another one."""
    zero = b.constant(0, ScalarType(like.type.dtype))  # type: ignore[union-attr]
    return zero if isinstance(like.type, ScalarType) else b.emit("broadcast", (zero,))[0]
