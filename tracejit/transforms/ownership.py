"""Who may update in place: after this transform, the last on a graph, every remaining update is in place.

By the rules of `ir/aliasing.py`, step by step:

0. what takes over a filled array (`np.zeros`) that something else uses too gets a fill of its own (`own_fills`);
1. borrows of a value are moved before the op that takes its storage over, where nothing forbids it; versions of
   written parameters that are read later all the same are copied before (`old_versions`);
2. results of an `if` that nothing takes over are `borrowed`: pointers to storage of either branch;
3. a view that outlives an update of its base is copied where it is made (it is smaller than its base), and so is an
   item of a list that a branch takes over: lists of arrays cannot be copied;
4. a result that has to be a copy of a parameter's memory is copied before something takes that over;
5. walking forward, an operand is taken over if this is the last use of storage that the block owns; else an
   explicit `copy` op comes before it. `fresh` becomes a move or a `copy` in the same way.

So every copy the program makes is a visible op.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import replace

from tracejit.errors import Span
from tracejit.ir.aliasing import (
    FRESH,
    Origins,
    Roots,
    consumed,
    consumed_roots,
    consumes,
    has_storage,
    is_flat,
    last_uses,
    origins,
    shared,
    stored_uses,
)
from tracejit.ir.aliasing import borrowed as borrowed_results
from tracejit.ir.core import Block, Graph, Op, Value, all_reads, captures, has_effect, walk, with_ops
from tracejit.ir.opdef import REGISTRY
from tracejit.ir.types import ListType
from tracejit.transforms.old_versions import with_old_versions_copied
from tracejit.transforms.own_fills import with_own_fills
from tracejit.transforms.pipeline import transform


@transform("ownership")
def ownership(graph: Graph) -> Graph:
    """Make every update in place and every copy a visible op."""
    body = _ordered(with_own_fills(graph.body))
    body = with_old_versions_copied(replace(graph, body=body))
    body = _Lender().block(body, set(range(len(body.results))))
    known, roots = body, _roots_of(body)
    body = _with_late_views_copied(body, roots, {})
    known, roots = body, roots if body is known else _roots_of(body)
    body = _with_results_copied(replace(graph, body=body), roots)
    roots = roots if body is known else _roots_of(body)
    return replace(graph, body=_Owner(replace(graph, body=body), roots).graph())


def copy_of(value: Value, why: str, span: Span | None) -> Op:
    """A `copy` op of a value."""
    return Op(REGISTRY["copy"], (value,), {"why": why}, (Value(value.type, value.name),), (), span)


def _with(
    op: Op, *, operands: Sequence[Value] | None = None, blocks: Iterable[Block] | None = None, **attrs: object
) -> Op:
    """The op with parts replaced; it keeps its results. Itself where nothing changes."""
    operands = op.operands if operands is None else tuple(operands)
    blocks = op.blocks if blocks is None else tuple(blocks)
    if operands == op.operands and blocks == op.blocks and not attrs:
        return op
    return Op(op.defn, operands, {**op.attrs, **attrs} if attrs else op.attrs, op.results, blocks, op.span)


# -- 1: borrows before updates ------------------------------------------------------------------------------------


def _ordered(block: Block) -> Block:
    """The block with borrows scheduled before the op that takes their value's storage over."""
    ops = [_with(op, blocks=map(_ordered, op.blocks)) if op.blocks else op for op in block.ops]
    roots = Roots()
    for op in ops:
        roots.enter(op)
    late = _Late(ops, roots)
    for at, taker in enumerate(ops[:]):
        wanted = {user for root in _taken_roots(taker, roots) for user in late.behind(at, root)}
        if wanted:
            ops = _move_before(ops, taker, wanted)
        late.note(taker)
    return with_ops(block, ops)


class _Late:
    """What uses storage behind an op, of the values that were there before it, while a block is gone through."""

    def __init__(self, ops: Sequence[Op], roots: Roots) -> None:
        self.roots = roots
        self.users: dict[Value, list[tuple[int, Op]]] = {}
        self.there: dict[Value, list[Value]] = {}  #: values of each root
        for at, op in enumerate(ops):
            for value in dict.fromkeys(stored_uses(op)):
                self.users.setdefault(value, []).append((at, op))
        made = {r for op in ops for r in op.results}
        for value in self.users:
            if value not in made:
                self._add(value)

    def note(self, op: Op) -> None:
        """The results of an op are there now."""
        for r in op.results:
            if r in self.users:
                self._add(r)

    def _add(self, value: Value) -> None:
        for root in self.roots.of(value):
            self.there.setdefault(root, []).append(value)

    def behind(self, at: int, root: Value) -> set[Op]:
        """The users of a root behind a position: of values that are there, and of what those make of them."""
        values = [v for v in self.there.get(root, ()) if self.users[v][-1][0] > at]
        self.there[root] = values[:]
        found: set[Op] = set()
        seen = set(values)
        for value in values:
            for place, user in reversed(self.users[value]):
                if place <= at:
                    break
                found.add(user)
                for r in user.results:
                    if r in self.users and r not in seen and root in self.roots.of(r):
                        seen.add(r)
                        values.append(r)
        return found


def _taken_roots(op: Op, roots: Roots) -> set[Value]:
    """The storage that an op, or a branch of it, wants."""
    found = {root for i in _taken_by(op) for root in roots.of(op.operands[i])}
    if op.name == "if":
        seen = {root for value in stored_uses(op) for root in roots.of(value)}
        found.update(*(seen & consumed_roots(block, roots) for block in op.blocks))
    return found


def _taken_by(op: Op) -> tuple[int, ...]:
    """The operands whose storage the op wants; `fresh` can do without."""
    return (0,) if op.name == "fresh" and has_storage(op.operands[0]) else consumed(op)


def _move_before(ops: list[Op], taker: Op, wanted: set[Op]) -> list[Op]:
    """The ops with the wanted ones, and what they need, before `taker`, if they do not need it and change nothing.
    What comes after an effect stays there: it may rely on a check."""
    at = ops.index(taker)
    behind = ops[at + 1 :]
    dependent: set[Value] = set(taker.results)
    producers: dict[Value, Op] = {}
    movable: set[Op] = set()
    missing = len(wanted.intersection(behind))
    for op in behind:
        if not missing or has_effect(op):
            break
        missing -= op in wanted
        needs = tuple(all_reads(op))
        if _taken_by(op) or (op.blocks and op.name != "fused") or any(v in dependent for v in needs):
            dependent.update(op.results)
            continue
        producers.update(dict.fromkeys(op.results, op))
        if op in wanted:
            movable.update(_closure(op, producers))
    return [*ops[:at], *(op for op in behind if op in movable), taker, *(op for op in behind if op not in movable)]


def _closure(op: Op, producers: dict[Value, Op]) -> set[Op]:
    """The op and the ops among `producers` that it needs."""
    found = {op}
    queue = [op]
    while queue:
        for value in all_reads(queue.pop()):
            maker = producers.get(value)
            if maker is not None and maker not in found:
                found.add(maker)
                queue.append(maker)
    return found


# -- 2: results of `if` that are pointers -------------------------------------------------------------------------


class _Lender:
    """Walks backward knowing which values something takes over, and marks the `if` results that nothing does."""

    def __init__(self) -> None:
        self.taken: set[Value] = set()

    def block(self, block: Block, taking: set[int]) -> Block:
        """The block with `borrowed` attributes; it gives away the storage of the results numbered `taking`."""
        self.take(v for i, v in enumerate(block.results) if i in taking)
        ops: list[Op] = []
        for op in reversed(block.ops):
            ops.append(self.op(op))
        return with_ops(block, reversed(ops))

    def take(self, values: Iterable[Value]) -> None:
        self.taken.update(v for v in values if has_storage(v))

    def op(self, op: Op) -> Op:
        self.take(op.operands[i] for i in consumed(op))
        source = shared(op)
        if op.name == "fresh" or (source is not None and is_flat(op) and op.results[0] in self.taken):
            self.take(op.operands)
        if not op.blocks:
            return op
        if op.name == "fused":
            return op
        if op.name != "if":
            return _with(op, blocks=[self.block(b, set(range(len(b.results)))) for b in op.blocks])
        lent = tuple(i for i, r in enumerate(op.results) if has_storage(r) and self.can_lend(op, i))
        taking = {i for i in range(len(op.results)) if i not in lent}
        blocks = [self.block(b, taking) for b in op.blocks]
        return _with(op, blocks=blocks, borrowed=lent) if lent else _with(op, blocks=blocks)

    def can_lend(self, op: Op, i: int) -> bool:
        """Whether result i is never taken over, and both branches give storage that outlives them."""
        return op.results[i] not in self.taken and all(_is_outer(b, b.results[i]) for b in op.blocks)


def _is_outer(block: Block, value: Value) -> bool:
    """Whether a value comes from outside the block, directly or through further `if`s."""
    made = {r: op for op in walk(block) for r in op.results}
    queue = [value]
    while queue:
        value = queue.pop()
        op = made.get(value)
        if op is None:
            continue
        if op.name != "if":
            return False
        queue.extend(b.results[op.results.index(value)] for b in op.blocks)
    return True


# -- 3: views that outlive their base -------------------------------------------------------------------------------


def _roots_of(block: Block) -> Roots:
    roots = Roots()
    for op in block.ops:
        roots.enter(op)
    return roots


def _with_late_views_copied(
    block: Block, roots: Roots, replaced: dict[Value, Value], around: frozenset[Value] = frozenset()
) -> Block:
    """The block, and those in it, with a copy of every view that is used by or after an op that takes its base over;
    of a view `around` the block at its start."""
    views = around.union(op.results[0] for op in block.ops if shared(op) is not None)
    late = _late_views(block, roots, views, around)
    ops: list[Op] = []
    outside = [(view, replaced.get(view, view)) for view in late if view in around]
    for view, known in outside:
        ops.append(copy_of(known, "view", next((op.span for op in block.ops if op.span is not None), None)))
        replaced[view] = ops[-1].results[0]
    for op in block.ops:
        if op.blocks:
            seen = views if op.name != "fused" else frozenset[Value]()  # kernels take nothing over
            op = _with(op, blocks=[_with_late_views_copied(b, roots, replaced, seen) for b in op.blocks])
        ops.append(_with(op, operands=[replaced.get(v, v) for v in op.operands]))
        if op.results and op.results[0] in late:
            ops.append(copy_of(op.results[0], "view", op.span))
            replaced[op.results[0]] = ops[-1].results[0]
    block = with_ops(block, ops, (replaced.get(v, v) for v in block.results))
    replaced.update(outside)
    return block


def _late_views(block: Block, roots: Roots, views: frozenset[Value], around: Container[Value]) -> dict[Value, None]:
    """Those of some views, in the order of their last uses, that are used by or after an op of the block that takes
    their bases over; an item of a list is asked for where it is taken out, not `around` the block."""
    if not views:
        return {}
    taken: dict[Value, list[tuple[int, Value]]] = {}
    for at, op in enumerate(block.ops):
        for i in consumed(op):
            for root in roots.of(op.operands[i]):
                taken.setdefault(root, []).append((at, op.operands[i]))
    last, lists = _last_uses_of_values(block), _Lists(roots)
    late = [
        view
        for view in views
        if view in last
        and (_is_late(view, last[view], taken, roots) or (view not in around and lists.outlived_by(view, block)))
    ]
    return dict.fromkeys(sorted(late, key=lambda view: (last[view], view.name)))


def _is_late(view: Value, last: int, taken: dict[Value, list[tuple[int, Value]]], roots: Roots) -> bool:
    takers = [t for root in roots.of(view) for t in taken.get(root, ())]
    return any(last > at or (last == at and operand is not view) for at, operand in takers)


class _Lists:
    """Where lists are taken over, and what is used in blocks."""

    def __init__(self, roots: Roots) -> None:
        self.roots = roots
        self._found: dict[Block, tuple[dict[Value, int], dict[Value, list[int]]]] = {}

    def outlived_by(self, item: Value, block: Block) -> bool:
        """Whether an item of a list is used behind something in a branch that takes the list over."""
        lists = [r for r in self.roots.of(item) if isinstance(r.type, ListType)]
        return bool(lists) and self._is_outlived(item, lists, block)

    def _is_outlived(self, item: Value, lists: Sequence[Value], block: Block) -> bool:
        first, uses = self._of(block)
        used = uses.get(item, ())
        if not used:
            return False
        taken = min(first.get(r, len(block.ops)) for r in lists)
        if used[-1] > taken or any(at == taken and block.ops[at].name != "if" for at in used if at < len(block.ops)):
            return True
        branches = (
            b for at in used if at < len(block.ops) and block.ops[at].name == "if" for b in block.ops[at].blocks
        )
        return any(self._is_outlived(item, lists, b) for b in branches)

    def _of(self, block: Block) -> tuple[dict[Value, int], dict[Value, list[int]]]:
        """The position at which each root is taken over first, and those at which each value is used, in order."""
        if block not in self._found:
            first, uses = dict[Value, int](), dict[Value, list[int]]()
            for at, op in enumerate(block.ops):
                for value in dict.fromkeys(stored_uses(op)):
                    uses.setdefault(value, []).append(at)
                taken = {root for i in consumed(op) for root in self.roots.of(op.operands[i])}
                if op.name == "if":
                    taken.update(*(consumed_roots(b, self.roots, borrowed_results(op)) for b in op.blocks))
                for root in taken:
                    first.setdefault(root, at)
            for value in block.results:
                uses.setdefault(value, []).append(len(block.ops))
            self._found[block] = first, uses
        return self._found[block]


def _last_uses_of_values(block: Block) -> dict[Value, int]:
    """For each value with storage itself: the position of its last use in the block."""
    last: dict[Value, int] = {}
    for at, op in enumerate(block.ops):
        last.update(dict.fromkeys(stored_uses(op), at))
    last.update(dict.fromkeys(block.results, len(block.ops)))
    return last


# -- 4: results that are copies --------------------------------------------------------------------------------------


def _with_results_copied(graph: Graph, roots: Roots) -> Block:
    """The body with copies of results that may be memory of a parameter, made before something takes them over: then
    that needs no copy."""
    body = graph.body
    memory = origins(graph, roots)
    ops, results = list(body.ops), list(body.results)
    made: dict[Value, Value] = {}
    for i in range(len(results) - len(graph.inout)):
        value = results[i]
        (root, *more) = roots.of(value)
        if more or memory.get(root, FRESH) == FRESH or value not in _defined(ops):
            continue
        at = next((k for k, op in enumerate(ops) if k > _defined(ops)[value] and _takes(op, root, roots)), None)
        if value not in made and at is not None:
            ops.insert(at, copy_of(value, "result", ops[_defined(ops)[value]].span))
            made[value] = ops[at].results[0]
        results[i] = made.get(value, value)
    return with_ops(body, ops, results)


def _defined(ops: Sequence[Op]) -> dict[Value, int]:
    return {r: k for k, op in enumerate(ops) for r in op.results}


def _takes(op: Op, root: Value, roots: Roots) -> bool:
    """Whether an op, or a branch of it, takes over the storage of a root."""
    if any(root in roots.of(op.operands[i]) for i in consumed(op)):
        return True
    return op.name == "if" and any(consumes(b, root, roots, borrowed_results(op)) for b in op.blocks)


# -- 5: moves and copies ----------------------------------------------------------------------------------------------


class _Owner:
    """Inserts copies, block by block."""

    def __init__(self, graph: Graph, roots: Roots) -> None:
        self.source = graph
        self.roots = roots
        self.origins = origins(graph, self.roots)
        self.replaced: dict[Value, Value] = {}
        self.strided: set[Value] = set()
        for op in walk(graph.body):
            source = shared(op)
            if source is not None and (not is_flat(op) or source in self.strided):
                self.strided.add(op.results[0])

    def graph(self) -> Block:
        """The graph's body; final versions of `inout` parameters may move, other results must be the call's own."""
        graph = self.source
        users = len(graph.results) - len(graph.inout)
        owned = [graph.params[i] for i in graph.inout]
        span = next((op.span for op in reversed(graph.body.ops) if op.span is not None), None)
        return self.block(graph.body, owned, private=range(users), span=span)

    def block(
        self,
        block: Block,
        owned: Iterable[Value],
        private: Iterable[int] = (),
        lent: Iterable[int] = (),
        span: Span | None = None,
    ) -> Block:
        """The block with copies. It owns `owned`; results `private` must not be a parameter's memory; results
        `lent` are only pointers. `span`: where the block's end is."""
        return _BlockOwner(self, block, owned, span).run(set(private), set(lent))

    def origin(self, root: Value) -> Origins:
        return self.origins.get(root, FRESH)


class _BlockOwner:
    """One block: which storage it owns, and where each dies."""

    def __init__(self, owner: _Owner, block: Block, owned: Iterable[Value], span: Span | None) -> None:
        self.owner = owner
        self.roots = owner.roots
        self.block = block
        self.span = span
        self.last = last_uses(block, self.roots)
        self.dying: dict[int, list[Value]] = {}
        for root, at in self.last.items():
            self.dying.setdefault(at, []).append(root)
        self.owned = set(owned)
        self.moved: set[Value] = set()
        self.ops: list[Op] = []

    def run(self, private: set[int], lent: set[int]) -> Block:
        """Rewrite the ops and the results; final versions, the last results, choose first."""
        for at, op in enumerate(self.block.ops):
            self.op(at, op)
        results = list(self.block.results)
        for i in reversed(range(len(results))):
            if has_storage(results[i]) and i not in lent:
                results[i] = self.taken(results[i], len(self.block.ops), "result", self.span, private=i in private)
            else:
                results[i] = self.value(results[i])
        return Block(self.block.params, tuple(self.ops), tuple(results), self.block.label)

    def value(self, old: Value) -> Value:
        return self.owner.replaced.get(old, old)

    def op(self, at: int, op: Op) -> None:
        """Emit one op, copies before it."""
        if op.name == "fresh":
            self.fresh(at, op)
            return
        operands = [self.value(v) for v in op.operands]
        for i in consumed(op):
            alone = self._is_not_borrowed(op, i)
            private = op.name == "list_push" and i == 1
            operands[i] = self.taken(op.operands[i], at, "takes", op.span, alone=alone, private=private)
        self.ops.append(_with(op, operands=operands, blocks=self.blocks(at, op)))
        self.owned.update(r for r in op.results if has_storage(r) and self.roots.of(r) == (r,))

    def blocks(self, at: int, op: Op) -> list[Block]:
        """The op's blocks. What dies at an `if` is handed to its branches; a loop's body owns what it carries."""
        if op.name == "fused":
            return [self.renamed(b) for b in op.blocks]
        if op.name == "if":
            dying = [r for r in self.dying.get(at, ()) if r in self.owned and r not in self.moved]
            return [self.owner.block(b, dying, lent=borrowed_results(op), span=op.span) for b in op.blocks]
        return [self.owner.block(b, filter(has_storage, b.params), span=op.span) for b in op.blocks]

    def renamed(self, block: Block) -> Block:
        """A kernel's block: it only borrows."""
        ops = [_with(op, operands=[self.value(v) for v in op.operands]) for op in block.ops]
        return with_ops(block, ops, map(self.value, block.results))

    def fresh(self, at: int, op: Op) -> None:
        """A move where the storage dies here, else a copy."""
        (x,), (result,) = op.operands, op.results
        if not has_storage(x) or self.is_movable(x, at):
            self.moved.update(self.roots.of(x))
            self.owner.replaced[result] = self.value(x)
        else:
            self.ops.append(Op(REGISTRY["copy"], (self.value(x),), {"why": "asked"}, (result,), (), op.span))
        self.owned.add(result)

    def taken(
        self, value: Value, at: int, why: str, span: Span | None, *, alone: bool = True, private: bool = False
    ) -> Value:
        """What an op takes over for `value`: itself, or a copy."""
        if alone and self.is_movable(value, at, private):
            self.moved.update(self.roots.of(value))
            return self.value(value)
        copy = copy_of(self.value(value), why, span)
        self.ops.append(copy)
        return copy.results[0]

    def is_movable(self, value: Value, at: int, private: bool = False) -> bool:
        """Whether the block owns all of the value's storage and never uses it after `at`."""
        found = self.roots.of(value)
        if len(found) != 1 or value in self.owner.strided:
            return False
        root = found[0]
        mine = root in self.owned and root not in self.moved and self.last.get(root) == at
        return mine and (not private or self.owner.origin(root) == FRESH)

    def _is_not_borrowed(self, op: Op, i: int) -> bool:
        """Whether the op uses the storage of operand i in no other way than by taking it over."""
        mine = set(self.roots.of(op.operands[i]))
        taking = consumed(op)
        others = [v for j, v in enumerate(op.operands) if j not in taking and has_storage(v)]
        inside = (v for block in op.blocks for v in captures(block) if has_storage(v))
        return not any(mine & set(self.roots.of(v)) for v in (*others, *inside))
