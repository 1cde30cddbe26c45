"""Vector loops: how wide, which tail, and the reduction tree; branches inside them become masks.

A loop is printed in one of three shapes. `split`: full vectors without a mask, then one masked vector. `masked`:
one loop whose every vector is masked, half the code of `split`, for bodies so long that a mask costs little.
`scalar`: full vectors, then single elements, for element widths without masked memory instructions.
An inner loop of a `lanes` loop may end in one lane earlier than in another (`ragged`).
A reduction keeps one accumulator per lane and combines them at the end, halves with halves, so its result depends
on the vector width only; sums of a `lanes` loop are made lane by lane, in the order of its trips. What cannot be a
vector (a condition per lane on a loop, an allocation, ...) stays serial.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Literal

from tracejit.codegen import kernel_walk as facts
from tracejit.codegen.llvm import streams as llvm_streams
from tracejit.codegen.llvm.expressions import PastCaches, VectorContext
from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.llvm.ramps import Stretches
from tracejit.codegen.llvm.survey import Survey
from tracejit.codegen.llvm.values import ONE, ZERO, Ramp, Value
from tracejit.codegen.loop_ir import (
    Bitcast,
    Cast,
    Const,
    Expr,
    For,
    If,
    Let,
    Load,
    Rare,
    Scalar,
    Select,
    Stmt,
    Store,
    Var,
)
from tracejit.codegen.lowering.schedule import BLOCK, SPACED
from tracejit.ir.types import BOOL, I32, I64, DType
from tracejit.records import record

if TYPE_CHECKING:
    from tracejit.codegen.llvm.function import FunctionPrinter

#: Bodies of at least HEAVY operations are printed for any steps of their accesses at once. From HEAVY on where they
#: wait for memory, and from MASKED on elsewhere, they are masked (a mask costs some 3 operations), and from LONG on
#: printed for the likely steps, too: beside those, a version of fewer lanes is little. Sizes that may be stretched are
#: no reason for that.
HEAVY, MASKED, LONG = 24, 48, 150

#: Registers per value. Four where work would wait for results: light reductions need independent accumulators, bodies
#: of one elementary function are one chain (where there are registers for four, and no short rows). Two are the best
#: use of registers otherwise. One where masked vectors wait for memory: rows of images are short, and lanes without
#: elements cost as much as others.
NARROW, WIDE = 2, 4

_MAX_LANES = 128


@record
class Plan:
    """The shape of one vector loop; it may be printed `twice`, for the likely steps and for any."""

    lanes: int
    shape: Literal["split", "masked", "scalar"]
    twice: bool = True
    piece: int = 1  #: lanes of the masked vectors that do the rest of a `split` loop, and of the version for any steps
    masks_are_free: bool = False
    is_light: bool = False  #: it waits for memory

    @property
    def unlikely(self) -> Plan:
        """The shape of the version for any steps: half the code where a mask costs next to nothing."""
        return replace(self, lanes=self.piece, shape="masked") if self.masks_are_free else self


def plan(loop: For, options: LlvmOptions, *, is_block: bool = False) -> Plan | None:
    """The shape of a vector loop, or None where it must be serial; `is_block`: it makes many trips, as a rule."""
    if loop.go is not None or any(c.combine is None or c.element is None for c in loop.carried):
        return None
    survey = Survey({loop.var}, loop.axis == "lanes")
    survey.stmts(loop.body)
    for carried in loop.carried:
        assert carried.element is not None and isinstance(carried.var.type, DType)
        survey.expr(carried.element)
        survey.widest = max(survey.widest, carried.var.type.bits)
    if not survey.possible or not survey.widest:
        return None
    heavy = survey.weight >= HEAVY
    is_chain = heavy and survey.weight < MASKED and not survey.is_memory_bound and options.vector_bits == 512
    has_light_sums = bool(loop.carried) and survey.weight <= 8
    registers = WIDE if has_light_sums or (is_block and is_chain and not loop.carried) else NARROW
    lanes = max(4, min(_MAX_LANES, registers * options.vector_bits // survey.widest))
    leaves_rest = True
    if isinstance(loop.extent, Const):
        extent = int(loop.extent.value.real)
        lanes = min(lanes, max(4, 1 << max(extent - 1, 0).bit_length()))
        leaves_rest = extent % lanes != 0
    if not options.masked_bits or survey.narrowest < options.masked_bits:
        return Plan(lanes, "scalar", not heavy)
    masks_are_free = options.masked_bits <= 8  # AVX2's masked stores are slow on many processors
    is_whole = loop.carried or any(isinstance(stmt, For) for stmt in loop.body)
    piece = lanes if is_whole else min(lanes, max(4, options.vector_bits // survey.widest))
    once = survey.weight >= (HEAVY if survey.is_memory_bound else MASKED)
    if once and leaves_rest and masks_are_free:
        is_long = survey.weight >= LONG
        return Plan(piece if survey.is_memory_bound else lanes, "masked", is_long, piece, masks_are_free)
    return Plan(lanes, "split", not heavy, piece, masks_are_free, survey.is_memory_bound)


def is_of_block(e: Expr) -> bool:
    """Whether that is the number of trips that a block of a long loop makes."""
    match e:
        case Scalar("minimum", (_, Const(size)), _):
            return size == BLOCK
        case _:
            return False


def vector_loop(p: FunctionPrinter, loop: For) -> bool:
    """Print a loop as vectors; False where it must be serial."""
    made = plan(loop, p.options, is_block=loop.extent in p.blocks)
    if made is None:
        return False
    extent, in_order = p.uniform(loop.extent), loop.axis == "lanes"
    p.read_in_lanes = frozenset(facts.read((loop,))) if in_order else frozenset()
    inits = [p.value(c.init) if in_order else p.splat(p.value(c.init), made.lanes) for c in loop.carried]
    steps = unknown_steps(p, loop, made.lanes)
    if not steps or not (_is_twice(p, made, steps) or any(is_spaced(p, step) for step in steps)):
        results = _vectors(p, loop, made, extent, inits)
    else:
        dense = reduce(lambda a, b: p.binary("and", a, b), [p.binary("icmp eq", s, likely(p, s), BOOL) for s in steps])
        other = made if any(step.text in p.columns for step in steps) else made.unlikely
        results = p.branch(
            dense,
            lambda: _with_likely_steps(p, steps, lambda: _vectors(p, loop, made, extent, inits)),
            lambda: _vectors(p, loop, other, extent, inits),
        )
    p.bind([c.result for c in loop.carried], results)
    return True


def _is_twice(p: FunctionPrinter, made: Plan, steps: Sequence[Value]) -> bool:
    """Whether the version for any steps is worth another beside it: masked loads of sizes that may be stretched take
    next to nothing more."""
    return made.twice and not (made.shape == "masked" and all(step.text in p.stretched for step in steps))


def _vectors(p: FunctionPrinter, loop: For, made: Plan, extent: Value, inits: list[Value]) -> list[Value]:
    if made.shape != "masked":
        return _split(p, loop, made, extent, inits)
    return _reduced(p, loop, _masked_loop(p, loop, made, extent, inits))


def _masked_loop(p: FunctionPrinter, loop: For, made: Plan, extent: Value, inits: list[Value]) -> list[Value]:
    """One loop whose mask is carried: it changes before the last vector only."""
    every = p.splat(Value("true", BOOL), made.lanes)
    asks_ahead = not any(isinstance(stmt, For) for stmt in loop.body)
    large = llvm_streams.whole_lines(p, loop, made.lanes)

    def emit(index: Value, state: list[Value]) -> tuple[list[Value], None]:
        mask, *accumulators = state
        context = VectorContext(made.lanes, index, mask, set() if asks_ahead else None)
        end = p.binary("add", index, Value(str(made.lanes), I64))
        if large is not None:
            stores, are_large = large
            is_whole = p.binary("and", are_large, p.binary("icmp sle", end, extent, BOOL), BOOL)
            context.past_caches = PastCaches(stores, is_whole, mask)
        following = _pass(p, loop, context, accumulators)
        left = p.binary("sub", extent, end)
        full = p.binary("icmp sge", left, Value(str(made.lanes), I64), BOOL)
        return [*p.branch(full, lambda: [every], lambda: [_first_lanes(p, left, made.lanes)]), *following], None

    first = p.intrinsic("llvm.smin", I64, extent, Value(str(made.lanes), I64))
    return p.counted(ZERO, extent, made.lanes, [_first_lanes(p, first, made.lanes), *inits], emit)[1:]


def likely(p: FunctionPrinter, step: Value) -> Value:
    """What a step that only the running program knows will probably be."""
    return Value(str(p.likely_steps.get(step.text, 1)), I64)


def _with_likely_steps(p: FunctionPrinter, steps: Sequence[Value], emit: Callable[[], list[Value]]) -> list[Value]:
    p.known_steps = {step.text: likely(p, step) for step in steps}
    results = emit()
    p.known_steps = {}
    return results


def is_spaced(p: FunctionPrinter, step: Value) -> bool:
    """Whether elements probably are a few apart: they would be gathered one by one."""
    return 1 < p.likely_steps.get(step.text, 1) <= SPACED


def unknown_steps(p: FunctionPrinter, loop: For, lanes: int) -> list[Value]:
    """Steps of the loop's memory accesses that only the running program knows. Where elements side by side are read
    (columns of an array of a few), they probably are all that there are between one step and the next."""
    p.push("probe")
    p.vector = VectorContext(lanes, ZERO)
    p.env[loop.var] = Ramp(ZERO, 0, ONE)
    found: dict[str, Value] = {}
    columns: dict[tuple[str, str], set[int]] = {}
    indices = Indices(p)
    for index in indices.of(loop.body, [c.element for c in loop.carried if c.element is not None]):
        ramp = p.expr(index)
        if isinstance(ramp, Ramp) and not ramp.step.is_literal:
            found[ramp.step.text] = ramp.step
            columns.setdefault((ramp.step.text, ramp.offset.text), set()).add(ramp.constant)
    reads = [(buffer, p.expr(index)) for buffer, index in indices.reads]
    p.vector = None
    p.pop()
    for (step, _), constants in columns.items():
        count = max(constants) - min(constants) + 1
        if 1 < count <= SPACED and step not in p.likely_steps:
            p.likely_steps[step] = count
            p.columns.add(step)
    p.stretches = Stretches()
    for buffer, ramp in reads:
        if isinstance(ramp, Ramp):
            p.stretches.note(buffer, ramp, int(ramp.step.text if ramp.step.is_literal else likely(p, ramp.step).text))
    return list(found.values())


class Indices:
    """Indices of memory accesses in a loop body that can be computed ahead of it: no loads, no inner loops' vars."""

    def __init__(self, p: FunctionPrinter) -> None:
        self.p = p
        self.found: list[Expr] = []
        self.reads: list[tuple[Var, Expr]] = []  #: those of loads, with what they read
        self.seen: set[int] = set()

    def of(self, body: Sequence[Stmt], values: Sequence[Expr]) -> list[Expr]:
        """The indices; names of the body that they use are bound on the way."""
        for stmt in body:
            match stmt:
                case Let(var, expr):
                    self._walk(expr)
                    if var.type == I64 and self._is_plain(expr):
                        self.p.env[var] = self.p.expr(expr)
                    else:
                        self.p.env.pop(var, None)
                case Store(_, index, value):
                    self._note(index)
                    self._walk(value)
                case _:
                    continue
        for value in values:
            self._walk(value)
        return self.found

    def _walk(self, e: Expr) -> None:
        if id(e) in self.seen:
            return
        self.seen.add(id(e))
        if isinstance(e, Load) and self._is_plain(e.index):
            self.found.append(e.index)
            self.reads.append((e.buffer, e.index))
        for x in children(e):
            self._walk(x)

    def _note(self, index: Expr) -> None:
        if self._is_plain(index):
            self.found.append(index)

    def _is_plain(self, e: Expr) -> bool:
        match e:
            case Var():
                return self.p.knows(e)
            case Scalar() | Cast() | Select():
                return all(self._is_plain(x) for x in children(e))
            case _:
                return isinstance(e, Const)


def children(e: Expr) -> tuple[Expr, ...]:
    """The expressions an expression is made of."""
    match e:
        case Scalar(_, args, _):
            return args
        case Load(_, index, _):
            return (index,)
        case Cast(x, _) | Bitcast(x, _):
            return (x,)
        case Select(cond, a, b, _):
            return (cond, a, b)
        case Rare(cond, value, _, args, _):
            return (cond, value, *args)
        case _:
            return ()


def _split(p: FunctionPrinter, loop: For, made: Plan, extent: Value, inits: list[Value]) -> list[Value]:
    """Full vectors, then the rest."""
    full = (
        p.binary("and", extent, Value(str(-made.lanes), I64))
        if not extent.is_literal
        else _round_down(extent, made.lanes)
    )
    large = llvm_streams.whole_lines(p, loop, made.lanes) if made.shape == "split" else None

    def whole_vectors(past: PastCaches | None = None) -> list[Value]:
        def emit(index: Value, state: list[Value]) -> tuple[list[Value], None]:
            return _pass(p, loop, VectorContext(made.lanes, index, past_caches=past), state), None

        return p.counted(ZERO, full, made.lanes, inits, emit)

    if large is None:
        vectors = whole_vectors()
    elif made.is_light:  # a version of its own
        vectors = p.branch(large[1], lambda: whole_vectors(PastCaches(large[0], None)), whole_vectors)
    else:
        vectors = whole_vectors(PastCaches(*large))
    if extent.is_literal and full.text == extent.text:
        return _reduced(p, loop, vectors)
    if made.shape == "scalar":
        return _scalar_rest(p, loop, full, extent, _reduced(p, loop, vectors))
    left = int(extent.text) - int(full.text) if extent.is_literal else made.lanes
    if left <= made.piece:
        return _reduced(p, loop, _rest(p, loop, made.piece, extent, full, vectors))
    return p.counted(full, extent, made.piece, vectors, lambda i, s: (_masked(p, loop, made.piece, extent, i, s), None))


def _round_down(extent: Value, lanes: int) -> Value:
    return Value(str(int(extent.text) // lanes * lanes), I64)


def _scalar_rest(p: FunctionPrinter, loop: For, full: Value, extent: Value, state: list[Value]) -> list[Value]:
    """The last elements one by one; their values join the reduced vector in index order."""
    return p.counted(full, extent, 1, state, lambda i, s: (_pass(p, loop, VectorContext(1, i), s), None))


def _reduced(p: FunctionPrinter, loop: For, vectors: list[Value]) -> list[Value]:
    if loop.axis == "lanes":
        return vectors
    return [p.reduce(c.combine or "", v) for c, v in zip(loop.carried, vectors, strict=True)]


def _rest(p: FunctionPrinter, loop: For, lanes: int, extent: Value, index: Value, state: list[Value]) -> list[Value]:
    """The elements from `index` on, in one vector, if there are any."""
    some = p.binary("icmp slt", index, extent, BOOL)
    return p.branch(some, lambda: _masked(p, loop, lanes, extent, index, state), lambda: state)


def _masked(p: FunctionPrinter, loop: For, lanes: int, extent: Value, index: Value, state: list[Value]) -> list[Value]:
    """The elements from `index` on that one vector holds."""
    count = p.intrinsic("llvm.smin", I64, p.binary("sub", extent, index), Value(str(lanes), I64))
    return _pass(p, loop, VectorContext(lanes, index, _first_lanes(p, count, lanes)), state)


def _first_lanes(p: FunctionPrinter, count: Value, lanes: int) -> Value:
    """The mask of the first `count` lanes; compared in i32, which any vector unit does well."""
    numbers = Value(f"<{', '.join(f'i32 {i}' for i in range(lanes))}>", I32, lanes)
    return p.binary("icmp ult", numbers, p.splat(p.convert("trunc", count, I32), lanes), BOOL)


def _pass(p: FunctionPrinter, loop: For, context: VectorContext, state: list[Value]) -> list[Value]:
    """The body once, for the lanes of `context`; the accumulators after it."""
    p.vector = context
    p.env[loop.var] = Ramp(ZERO, 0, ONE)
    p.body(loop.body)
    following: list[Value] = []
    for carried, accumulator in zip(loop.carried, state, strict=True):
        assert carried.combine is not None and carried.element is not None
        element = p.splat(p.value(carried.element), context.lanes)
        if loop.axis == "lanes":
            following.append(p.summed(accumulator, element, context.mask))
            continue
        combined = p.apply(carried.combine, [accumulator, element], accumulator_dtype(accumulator))
        assert isinstance(combined, Value)
        following.append(combined if context.mask is None else p.choose(context.mask, combined, accumulator))
    p.vector = None
    return following


def accumulator_dtype(accumulator: Value) -> DType:
    """The dtype a reduction is carried in."""
    assert isinstance(accumulator.dtype, DType)
    return accumulator.dtype


def predicated(p: FunctionPrinter, stmt: If, cond: Value) -> None:
    """A branch whose condition differs between lanes: both arms run, each for its lanes."""
    assert p.vector is not None
    outer = p.vector.mask
    inverse = p.binary("xor", cond, Value("true", BOOL))

    def arm(active: Value, body: Sequence[Stmt], values: Sequence[Expr]) -> list[Value]:
        assert p.vector is not None
        p.vector.mask = active if outer is None else p.binary("and", active, outer)
        p.body(body)
        made = [p.value(v) for v in values]
        p.vector.mask = outer
        return made

    then_values = arm(cond, stmt.then, stmt.then_values)
    else_values = arm(inverse, stmt.orelse, stmt.else_values)
    p.bind(stmt.results, [p.choose(cond, a, b) for a, b in zip(then_values, else_values, strict=True)])


def ragged(p: FunctionPrinter, loop: For) -> None:
    """A loop inside a vector loop that each lane leaves by itself: it runs as long as one of them goes on, and a lane
    that has left keeps what is read after the loop."""
    assert p.vector is not None
    outer, lanes = p.vector.mask, p.vector.lanes
    every = Value("true", BOOL)
    extent = p.value(loop.extent)
    limit = extent if extent.lanes == 1 else Value(str((1 << 63) - 1), I64)

    def active(trip: Value, go: Value, before: Value | None) -> Value:
        found = go if extent.lanes == 1 else p.binary("and", go, p.binary("icmp slt", trip, extent, BOOL))
        found = p.splat(found, lanes)
        return found if before is None else p.binary("and", found, before)

    def emit(index: Value, state: list[Value]) -> tuple[list[Value], Value | None]:
        assert p.vector is not None
        mask, *values = state
        p.vector.mask = mask
        p.env[loop.var] = index
        p.bind([c.var for c in loop.carried], values)
        if loop.go is not None:
            p.env[loop.go[0]] = every
        p.body(loop.body)
        following = [p.splat(p.value(c.next), lanes) for c in loop.carried]
        for i, (carried, value) in enumerate(zip(loop.carried, values, strict=True)):
            if carried.result in p.read_in_lanes:
                following[i] = p.choose(mask, following[i], value)
        go = every if loop.go is None else p.value(loop.go[2])
        left = active(p.binary("add", index, ONE), go, mask)
        return [left, *following], any_lane(p, left)

    start = active(ZERO, every if loop.go is None else p.value(loop.go[1]), outer)
    inits = [p.splat(p.value(c.init), lanes) for c in loop.carried]
    results = p.counted(ZERO, limit, 1, [start, *inits], emit, any_lane(p, start))
    p.vector.mask = outer
    p.bind([c.result for c in loop.carried], results[1:])


def any_lane(p: FunctionPrinter, mask: Value) -> Value:
    """Whether a lane is active."""
    if mask.lanes == 1:
        return mask
    bits = p.pure(f"bitcast {mask.typed()} to i{mask.lanes}", I64, 1, mask)
    return p.pure(f"icmp ne i{mask.lanes} {bits.text}, 0", BOOL, 1, bits)
