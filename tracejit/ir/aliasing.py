"""Who shares storage with whom, and who takes it over: the rules as data.

A storage is named by its *root*: the value that brought it into being (an op result, a block parameter). Views
and reshapes share their operand's root. An operand is *consumed* where an op or a block's end takes its storage
over; every other use only borrows. `transforms/ownership.py` makes each consumption the last use of its root,
by copies; `codegen/lowering/memory.py` then knows where storage dies.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from tracejit.ir.core import Block, Graph, Op, Value, captures, has_effect
from tracejit.ir.opdef import Opaque, Pointwise
from tracejit.ir.types import ScalarType

#: Consumed operands of structural ops; ops with `Opaque(updates=True)` consume operand 0.
_CONSUMED: dict[str, tuple[int, ...]] = {"list_push": (0, 1), "list_pop": (0,), "list_pop0": (0,), "sync": (2,)}


#: Ops that lend an element of a list.
LENDING = ("list_get", "list_get0")


def has_storage(value: Value) -> bool:
    """Whether a value lives in memory: tensors and lists."""
    return value.type.__class__ is not ScalarType


def consumed(op: Op) -> tuple[int, ...]:
    """The operands whose storage the op takes over."""
    if op.defn.lower.__class__ is not Opaque:
        return ()
    if op.name == "loop":
        return tuple(i for i, v in enumerate(op.operands) if i >= 2 and has_storage(v))
    if op.name == "call":
        return tuple(i for i in op.attrs["callee"].inout if has_storage(op.operands[i]))
    if op.name in _CONSUMED:
        return tuple(i for i in _CONSUMED[op.name] if has_storage(op.operands[i]))
    return (0,) if updates(op) else ()


def finals(op: Op) -> list[tuple[Value, Value]]:
    """The operands that a call changes, each with the result that is its final version."""
    inout = op.attrs["callee"].inout
    return list(zip((op.operands[i] for i in inout), op.results[len(op.results) - len(inout) :], strict=True))


def updates(op: Op) -> bool:
    """Whether the op's first result takes over operand 0's storage."""
    return op.name == "sync" or (isinstance(op.defn.lower, Opaque) and op.defn.lower.updates)


def updated(op: Op) -> int:
    """The operand whose storage an updating op's result lives in."""
    return 2 if op.name == "sync" else 0


def shared(op: Op) -> Value | None:
    """The operand whose storage the op's first result shares without taking it over."""
    lower = op.defn.lower
    if not (lower.view if isinstance(lower, Pointwise) else op.name in LENDING):
        return None
    return op.operands[0] if has_storage(op.operands[0]) and has_storage(op.results[0]) else None


def is_flat(op: Op) -> bool:
    """Whether the op's result holds the same elements in the same order, so that it can stand for its operand: a
    reshape, or a broadcast between sizes that are promised to be equal."""
    if op.name == "broadcast" and op.attrs.get("exact", False):
        have, want = op.operands[0].type.shape, op.results[0].type.shape  # type: ignore[union-attr]
        return len(have) == len(want) and all(h != 1 or w == 1 for h, w in zip(have, want, strict=True))
    return isinstance(op.defn.lower, Pointwise) and op.defn.lower.view == "flat"


def is_just_made(value: Value, ops: Sequence[Op]) -> bool:
    """Whether a value is no other array's content and nothing can have raised since it was made; one that only states
    the sizes of another was made with that."""
    for op in reversed(ops):
        if any(r is value for r in op.results):
            if not is_flat(op):
                return not op.blocks and not updates(op)
            value = op.operands[0]
        elif has_effect(op):
            return False
    return False


def is_joint(op: Op) -> bool:
    """Whether the op's result consists of its tensor operands side by side along `attrs["axis"]`."""
    return isinstance(op.defn.lower, Opaque) and op.defn.lower.joins


def borrowed(op: Op) -> tuple[int, ...]:
    """The results of an `if` that are pointers to storage of other values (the attribute `borrowed`)."""
    return tuple(op.attrs.get("borrowed", ()))


class Roots:
    """The roots of values; a borrowed result of an `if` has those of both branches."""

    def __init__(self) -> None:
        self._roots: dict[Value, tuple[Value, ...]] = {}

    def of(self, value: Value) -> tuple[Value, ...]:
        """The roots a value's storage may have; unknown values are their own."""
        return self._roots.get(value, (value,))

    def enter(self, op: Op) -> None:
        """Note what an op's results share; its blocks' ops included."""
        for block in op.blocks:
            for inner in block.ops:
                self.enter(inner)
        source = shared(op)
        if source is not None:
            self._roots[op.results[0]] = self.of(source)
        if op.name == "pending":  # what it stands for must last as long
            roots = (root for v in op.operands if has_storage(v) for root in self.of(v))
            self._roots[op.results[0]] = tuple(dict.fromkeys(roots))
        for i in borrowed(op) if op.blocks else ():
            both = dict.fromkeys(root for block in op.blocks for root in self.of(block.results[i]))
            self._roots[op.results[i]] = tuple(both)


def stored_uses(op: Op) -> Iterator[Value]:
    """Every value with storage that the op reads, captures of its blocks included."""
    yield from filter(has_storage, op.operands)
    for block in op.blocks:
        yield from filter(has_storage, captures(block))


def last_uses(block: Block, roots: Roots) -> dict[Value, int]:
    """For each root: the position of the op that uses it last, `len(ops)` for the block's results.

    A root without uses is last used where it is made.
    """
    last: dict[Value, int] = {}

    def note(values: Iterable[Value], at: int) -> None:
        for value in values:
            for root in roots.of(value):
                last[root] = at

    note(filter(has_storage, block.params), -1)
    for at, op in enumerate(block.ops):
        note(filter(has_storage, op.results), at)
        note(stored_uses(op), at)
    note(filter(has_storage, block.results), len(block.ops))
    return last


def consumed_roots(block: Block, roots: Roots, lent: tuple[int, ...] = ()) -> set[Value]:
    """The roots whose storage a block takes over, those of its own among them; results `lent` are only pointers."""
    given = (v for i, v in enumerate(block.results) if i not in lent and has_storage(v))
    found = {root for v in given for root in roots.of(v)}
    for op in block.ops:
        found.update(root for i in consumed(op) for root in roots.of(op.operands[i]))
        if op.name == "if":
            found.update(*(consumed_roots(b, roots, borrowed(op)) for b in op.blocks))
    return found


def consumes(block: Block, root: Value, roots: Roots, lent: tuple[int, ...] = ()) -> bool:
    """Whether a block takes over the storage of a root defined outside it; results `lent` are only pointers."""
    return root in consumed_roots(block, roots, lent)


# -- whose memory it may be -------------------------------------------------------------------------------------

Origins = frozenset[int | None]

FRESH: Origins = frozenset({None})


def origins(graph: Graph, roots: Roots, moving: Mapping[Graph, Collection[int]] | None = None) -> dict[Value, Origins]:
    """For each root: the `inout` parameters (by index) whose memory it may be, and None if it may be memory of the
    call's own. One element alone is certain, but for lists that functions change: those that are `moving` may come
    back as others."""
    found: dict[Value, Origins] = {graph.params[i]: frozenset({i}) for i in graph.inout}

    def of(value: Value) -> Origins:
        return frozenset().union(*(found.get(r, FRESH) for r in roots.of(value)))

    def visit(block: Block) -> None:
        for op in block.ops:
            step(op)

    def step(op: Op) -> None:
        for block in op.blocks if op.name != "loop" else ():
            visit(block)
        if op.name == "loop":
            loop(op)
        elif op.name == "if":
            for i, result in enumerate(op.results):
                if has_storage(result) and i not in borrowed(op):
                    found[result] = frozenset().union(*(of(b.results[i]) for b in op.blocks))
        elif op.name == "fresh":
            found[op.results[0]] = of(op.operands[0]) | FRESH
        elif op.name == "call":
            callee: Graph = op.attrs["callee"]
            moved = moving.get(callee, ()) if moving else ()
            for i, (operand, result) in zip(callee.inout, finals(op), strict=True):
                found[result] = of(operand) | FRESH if i in moved else of(operand)
        elif updates(op):
            found[op.results[0]] = of(op.operands[updated(op)])

    def loop(op: Op) -> None:
        body = op.block("body")
        slots = [i for i, v in enumerate(op.operands[2:]) if has_storage(v)]
        state = {i: of(op.operands[2 + i]) for i in slots}
        while True:
            found.update({body.params[1 + i]: state[i] for i in slots})
            visit(body)
            following = {i: state[i] | of(body.results[1 + i]) for i in slots}
            if following == state:
                break
            state = following
        found.update({op.results[i]: state[i] for i in slots})

    if graph.inout:
        visit(graph.body)
    return found
