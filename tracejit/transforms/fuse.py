"""`fuse`: groups of elementwise ops and reductions become `fused` ops, one kernel each.

Greedy and explainable. The ops of a block are walked in order; each joins the groups of its producers, then groups
over one space that read the same arrays are joined as siblings. A group is a *map* over a shape, or a *fold* of
some axes of a shape, whose elementwise members live in the shape itself or in that of the kept axes. Views and fills
are free and go wherever they are read. What is not joined has a recorded reason (`TRACEJIT_LOG=fusion`).

A group is never joined across something that depends on it, nor where it would read an array after an update of it
(that would cost a copy).
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tracejit import config
from tracejit.ir.aliasing import FRESH, Roots, consumed, is_joint, origins
from tracejit.ir.core import Block, Graph, Op, Value, all_reads, captures, has_effect, reads, walk
from tracejit.ir.opdef import REGISTRY, Pointwise, Reduction
from tracejit.ir.types import TensorType
from tracejit.transforms.dce import dce
from tracejit.transforms.fusion.index_maps import Index, read_indices, variables
from tracejit.transforms.fusion.repeats import repeat
from tracejit.transforms.fusion.spaces import (
    Shape,
    Source,
    Space,
    bits_of,
    is_map,
    is_view,
    members_of,
    misread,
    role_of,
    shape_of,
)
from tracejit.transforms.pipeline import transform

#: The largest number of ops in one kernel.
MAX_OPS = 150

#: The largest number of results that siblings may write together.
MAX_RESULTS = 12

#: How many groups over the same space are looked at as possible siblings.
NEIGHBOURS = 12


@transform("fuse")
def fuse(graph: Graph) -> Graph:
    """Group ops into kernels."""
    return explain(graph)[0]


def explain(graph: Graph) -> tuple[Graph, list[str]]:
    """The fused graph, and why neighbours were not joined."""
    graph = dce(graph)
    reasons: list[str] = []
    body = _fused_block(graph.body, {}, reasons, _visible(graph))
    made = Graph(graph.name, body, graph.device, graph.inout, graph.policy)
    config.log("fusion", f"@{graph.name} fusion", lambda: "\n".join([*_groups(made), *reasons]))
    return made, reasons


def _visible(graph: Graph) -> frozenset[Value]:
    """Storage, by its roots, that may be a written parameter's: the caller sees it when an error ends the call."""
    if not graph.inout:
        return frozenset()
    roots = Roots()
    for op in graph.body.ops:
        roots.enter(op)
    return frozenset(root for root, whose in origins(graph, roots).items() if whose != FRESH)


def _groups(graph: Graph) -> Iterator[str]:
    """What became one kernel each."""
    for op in walk(graph.body):
        if op.name == "fused":
            names = ", ".join(inner.name for inner in op.blocks[0].ops)
            yield f"one kernel for {', '.join(f'%{r.name}' for r in op.results)}: {names}"


@dataclass(slots=True, eq=False)
class Group:
    """Ops to be computed together: `members` and `before` are sets of positions as bits."""

    space: Space
    ops: list[int]
    members: int
    before: int
    inputs: set[Value] = field(default_factory=set[Value])
    whole: set[Value] = field(default_factory=set[Value])  #: the inputs that are read at every place of the space, once


# -- one block ------------------------------------------------------------------------------------------------------


class BlockFusion:
    """The groups of one block, and the block with them made `fused` ops."""

    def __init__(self, block: Block, reasons: list[str], visible: frozenset[Value]) -> None:
        self.block = block
        self.ops = block.ops
        self.reasons = reasons
        self.visible = visible
        self.makers = {r: at for at, op in enumerate(self.ops) for r in op.results}
        self.roles = [role_of(op) for op in self.ops]
        self.reads = [tuple(all_reads(op)) for op in self.ops]
        self.roots = Roots()
        for op in self.ops:
            self.roots.enter(op)
        self._sources: dict[int, list[Source]] = {}
        self.takers = self._takers()
        self.before = self._before()
        self.outside = 0
        self.readers = self._readers()
        self.direct_readers = self._direct_readers()
        self.rests = self._resting()
        self.groups: dict[int, Group] = {}
        self.by_end: dict[Group, None] = {}  #: all groups, in the order of their last ops
        self.repeated: dict[int, set[int]] = {}  #: ops of other groups that are computed again for an op

    def _before(self) -> list[int]:
        """For each op, the positions it depends on, as bits. Everything depends on the effects before it: checks
        guard the indices and sizes that later ops rely on. An effect depends on the updates before it that the caller
        sees: what was written before an error stays written. An op that takes storage over depends on what read that
        before and keeps its place (groups do not: they are asked for their late reads)."""
        seen = 0
        for root, takers in self.takers.items():
            seen |= takers if root in self.visible else 0
        borrowing = dict.fromkeys(self.takers, 0)
        before: list[int] = []
        reach: list[int] = []  #: the same and the op itself
        guard = 0
        for at, op in enumerate(self.ops):
            needs = 0
            for value in self.reads[at]:
                maker = self.makers.get(value)
                if maker is not None:
                    needs |= reach[maker]
            roots = [r for value in self.reads[at] for r in self.roots.of(value) if r in borrowing] if borrowing else ()
            for root in roots:
                needs |= borrowing[root] if self.takers[root] >> at & 1 else 0
            effect = has_effect(op)
            if effect:
                earlier = seen & (1 << at) - 1
                needs |= earlier
                for taker in members_of(earlier & ~guard):
                    needs |= before[taker]
            before.append(needs | guard)
            reach.append(before[at] | 1 << at)
            for root in roots if self.roles[at] == "other" else ():
                borrowing[root] |= reach[at]
            if effect:
                guard |= reach[at]
        return before

    def _resting(self) -> int:
        """The positions of ops that rest on a member, or are one, as bits: the others can come between no members."""
        members = bits_of(at for at, role in enumerate(self.roles) if role == "member")
        return members | bits_of(at for at, before in enumerate(self.before) if before & members)

    def _takers(self) -> dict[Value, int]:
        """For each root, the positions of the ops that take its storage over, as bits."""
        takers: dict[Value, int] = {}
        for at, op in enumerate(self.ops):
            for inner in (op, *(i for b in op.blocks for o in b.ops for i in (o, *_nested(o)))):
                for i in consumed(inner):
                    for root in self.roots.of(inner.operands[i]):
                        takers[root] = takers.get(root, 0) | 1 << at
        return takers

    # -- reads through views ----------------------------------------------------------------------------------

    def sources(self, at: int) -> list[Source]:
        """What an op reads, views looked through and host scalars left out."""
        found = self._sources.get(at)
        if found is None:
            found = self._sources[at] = list(self._find_sources(self.ops[at]))
        return found

    def _find_sources(self, op: Op) -> Iterator[Source]:
        lower = op.defn.lower
        is_fold = isinstance(lower, Reduction)
        index = variables(len(shape_of(op.operands[0] if is_fold else op.results[0])))
        own = is_fold or (isinstance(lower, Pointwise) and lower.own_index)
        places: list[Index | None] = [index if own else None] * len(op.operands)
        if isinstance(lower, Pointwise) and not own:
            places = read_indices(op, index)
        for value, place in zip(op.operands, places, strict=True):
            if isinstance(value.type, TensorType):
                source, where = self._through_views(value, place)
                yield Source(source, where, len(index), value if place == index else None)

    def _through_views(self, value: Value, where: Index | None) -> tuple[Value, Index | None]:
        maker = self.makers.get(value)
        while maker is not None and self.roles[maker] == "view":
            view = self.ops[maker]
            where = None if where is None else read_indices(view, where)[0]
            value = view.operands[0]
            maker = self.makers.get(value)
        return value, where

    # -- joining ----------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Find the groups."""
        for at, op in enumerate(self.ops):
            if self.roles[at] == "member":
                self.place(at, op)
        self.join_siblings()
        self.join_columns()
        self.repeated = repeat(self)
        if self.repeated:
            self.join_siblings()

    def place(self, at: int, op: Op) -> None:
        """Put an op into a group of its own, then join it with those of its producers."""
        lower = op.defn.lower
        is_fold = isinstance(lower, Reduction)
        space = Space(shape_of(op.operands[0]), op.attrs["axes"]) if is_fold else Space(shape_of(op.results[0]))
        group = Group(space, [at], 1 << at, self.before[at])
        sources = self.sources(at)
        group.inputs = {source.value for source in sources}
        spread = (source.spread for source in sources if source.rank == len(space.shape))
        group.whole = {value for value in spread if value is not None}
        self.groups[at] = group
        self.by_end[group] = None
        for source in sources:
            producer = self.groups.get(self.makers.get(source.value, -1))
            if producer is not None and producer is not self.groups[at]:
                self.try_join(producer, self.groups[at], f"%{source.value.name} into %{op.results[0].name}")

    def try_join(self, first: Group, second: Group, what: str) -> bool:
        """Join two groups unless something speaks against it."""
        reason = self.obstacle(first, second)
        if reason is not None:
            self.reasons.append(f"{what}: {reason}")
            return False
        space = first.space.joined(second.space)
        assert space is not None
        into, other = (first, second) if len(first.ops) >= len(second.ops) else (second, first)
        into.space = space
        for at in other.ops:
            insort(into.ops, at)
            self.groups[at] = into
        into.members |= other.members
        into.before |= other.before
        into.whole = {v for g in (first, second) if g.space.shape == space.shape for v in g.whole}
        into.inputs |= other.inputs
        self.by_end.pop(other, None)
        self.by_end.pop(into, None)
        self.by_end[into] = None
        return True

    def obstacle(self, first: Group, second: Group) -> str | None:
        """Why two groups cannot be one kernel."""
        space = first.space.joined(second.space)
        if space is None:
            return f"iterates over {first.space}, the other over {second.space}"
        if len(first.ops) + len(second.ops) > MAX_OPS:
            return "the kernel would be too long"
        members, before = first.members | second.members, first.before | second.before
        if self.is_split(members, before):
            return "something between them needs one and is needed by the other"
        late = self.late_read((*first.inputs, *second.inputs), members, before) if self.takers else None
        if late is not None:
            return f"%{late.name} would be read after an update of it"
        return self.misread(space, second, first) or self.misread(space, first, second)

    def is_split(self, members: int, before: int) -> bool:
        """Whether something outside, an op or a group found so far, depends on a member and a member on it."""
        first = (members & -members).bit_length() - 1
        later = -1 << first
        if self._leads_back(members, before, later):
            return True
        reaching = self._reaching(first)
        return reaching != later and self._leads_back(members, before, reaching)

    def _leads_back(self, members: int, before: int, among: int) -> bool:
        """Whether what the members depend on leads to a member, by positions among these."""
        relevant = among & self.rests
        seen = 0
        ahead = before & ~members & relevant
        while ahead:
            seen |= ahead
            found = 0
            for at in members_of(ahead):
                group = self.groups.get(at)
                needs = self.before[at] if group is None else group.before | group.members
                if needs & members and self.roles[at] != "view":
                    return True
                found |= needs
            ahead = found & ~members & ~seen & relevant
        return False

    def _reaching(self, first: int) -> int:
        """The positions from `first` on and those of groups that reach beyond it, themselves or by other groups: what
        may depend on an op there."""
        reaching, lowest = -1 << first, first
        by_end, waiting = reversed(self.by_end), list[Group]()
        group = next(by_end, None)
        while True:
            while group is not None and group.ops[-1] >= lowest:  # one that ends before depends on none of these
                waiting.append(group)
                group = next(by_end, None)
            found = [g for g in waiting if g.ops[-1] >= first or g.before & reaching]
            if not found:
                return reaching
            waiting = [g for g in waiting if g.ops[-1] < first and not g.before & reaching]
            for other in found:
                reaching |= other.members
                lowest = min(lowest, other.ops[0])

    def late_read(self, inputs: Iterable[Value], members: int, before: int) -> Value | None:
        """An array the group would read after an op that takes its storage over."""
        for value in inputs:
            for root in self.roots.of(value):
                if self.takers.get(root, 0) & before & ~members:
                    return value
        return None

    def misread(self, space: Space, reader: Group, producer: Group) -> str | None:
        """Why a read of one group from the other cannot be served in one loop nest."""
        if len(producer.ops) == 1 and not reader.inputs.intersection(self.ops[producer.ops[0]].results):
            return None
        for at in reader.ops:
            for source in self.sources(at):
                maker = self.makers.get(source.value)
                reason = misread(space, source) if maker is not None and producer.members >> maker & 1 else None
                if reason is not None:
                    return f"%{self.ops[at].results[0].name} reads %{source.value.name} {reason}"
        return None

    def join_siblings(self) -> None:
        """Join groups over one space that read a common array."""
        self.by_end = dict.fromkeys(sorted(self.by_end, key=lambda g: g.ops[-1]))
        spaces: dict[Shape, list[int]] = {}
        for group in sorted(self.by_end, key=lambda g: g.ops[0]):
            if group.space.shape:
                spaces.setdefault(group.space.shape, []).append(group.ops[0])
        for alike in spaces.values():
            for i, at in enumerate(alike):
                for other in alike[max(0, i - NEIGHBOURS) : i]:
                    self._join_sibling(self.groups[other], self.groups[at])

    def join_columns(self) -> None:
        """Join groups whose results become neighbours in the rows of one array: a row is then written at once."""
        for op in self.ops:
            if is_joint(op) and op.attrs["axis"] == len(shape_of(op.results[0])) - 1:
                columns = (self._through_views(v, None)[0] for v in op.operands if shape_of(v)[-1:] == (1,))
                makers = [self.makers[v] for v in columns if self.makers.get(v) in self.groups]
                for first, second in pairwise(makers):
                    what = f"columns of %{op.results[0].name}"
                    self._join_independent(self.groups[first], self.groups[second], what)

    def _join_sibling(self, first: Group, second: Group) -> None:
        """Join two groups that read a common array."""
        common = sorted(v.name for v in first.whole & second.whole)
        if common:
            names = " and ".join(f"%{self.ops[g.ops[0]].results[0].name}" for g in (first, second))
            self._join_independent(first, second, f"{names}, which read %{common[0]}")

    def _join_independent(self, first: Group, second: Group, what: str) -> None:
        """Join two groups that do not depend on each other."""
        if first is second or first.before & second.members or second.before & first.members:
            return
        if len(self.results(first.members | second.members)) > MAX_RESULTS:
            self.reasons.append(f"{what}: the kernel would have too many results")
        elif self.try_join(first, second, what):
            self.by_end = dict.fromkeys(sorted(self.by_end, key=lambda g: g.ops[-1]))

    # -- results ------------------------------------------------------------------------------------------------

    def results(self, members: int) -> list[Value]:
        """The members' values that are read outside the group."""
        return [r for at in members_of(members) for r in self.ops[at].results if self.readers.get(r, 0) & ~members]

    def last_view(self, results: Sequence[Value]) -> Op | None:
        """The view through which alone a kernel's only result is written into an array: the kernel can do that."""
        if len(results) != 1:
            return None
        view = self._only_reader(results[0])
        if view is None or not is_view(view):
            return None
        writer = self._only_reader(view.results[0])
        is_written = writer is not None and writer.name == "vwrite" and writer.operands[1] is view.results[0]
        return view if is_written else None

    def _only_reader(self, value: Value) -> Op | None:
        """The op of this block that alone reads a value."""
        found = self.direct_readers.get(value, [])
        return found[0] if len(found) == 1 else None

    def _direct_readers(self) -> dict[Value, list[Op | None]]:
        """For each value, the ops that read it, one that has blocks and the block's end as None."""
        found: dict[Value, list[Op | None]] = {}
        for at, op in enumerate(self.ops):
            for value in reads(op) if op.blocks else self.reads[at]:
                found.setdefault(value, []).append(op)
            for value in (v for b in op.blocks for v in captures(b)):
                found.setdefault(value, []).append(None)
        for value in self.block.results:
            found.setdefault(value, []).append(None)
        return found

    def is_only_inside(self, at: int) -> bool:
        """Whether only kernels read a view or fill, each of which makes its own."""
        results = self.ops[at].results
        return self.roles[at] in ("view", "fill") and not self.readers.get(results[0], 0) & self.outside

    def _readers(self) -> dict[Value, int]:
        """For each value: the positions that read it, as bits; the block's end is one more position. A view that
        only kernels read is not a reader: its readers are."""
        end = 1 << len(self.ops)
        self.outside = end | bits_of(at for at, role in enumerate(self.roles) if role in ("fill", "other"))
        readers: dict[Value, int] = dict.fromkeys(self.block.results, end)
        for at in reversed(range(len(self.ops))):
            own = 1 << at
            if self.roles[at] == "view":
                own = readers.get(self.ops[at].results[0], 0)
                own |= end if own & self.outside else 0
            for value in self.reads[at]:
                readers[value] = readers.get(value, 0) | own
        return readers


def _nested(op: Op) -> Iterator[Op]:
    for block in op.blocks:
        yield from walk(block)


def _fused_block(block: Block, renamed: dict[Value, Value], reasons: list[str], visible: frozenset[Value]) -> Block:
    """The block, and those in it, with groups as `fused` ops."""
    fusion = BlockFusion(block, reasons, visible)
    fusion.run()
    return _Rebuild(fusion, renamed, reasons).block()


class _Rebuild:
    """Writes the block with its groups as ops: each where its first reader needs it, so that it stands behind the
    checks before that, but before an op that takes over the storage of what it reads."""

    def __init__(self, fusion: BlockFusion, renamed: dict[Value, Value], reasons: list[str]) -> None:
        self.fusion = fusion
        self.renamed = renamed
        self.reasons = reasons
        self.done = 0
        self.open = 0
        self.absorbed: set[Op] = set()
        self.out: list[Op] = []
        self.borrowers = self._borrowers()

    def block(self) -> Block:
        """The rebuilt block."""
        old = self.fusion.block
        for at in range(len(self.fusion.ops)):
            if at not in self.fusion.groups:
                self.need(at)
        for value in old.results:
            if value in self.fusion.makers:
                self.need(self.fusion.makers[value])
        return Block(old.params, tuple(self.out), tuple(self.name(v) for v in old.results), old.label)

    def _borrowers(self) -> dict[int, list[Group]]:
        """For each op that takes storage over: the groups that read it and come before it."""
        fusion = self.fusion
        found: dict[int, list[Group]] = {}
        for group in dict.fromkeys(fusion.groups.values()) if fusion.takers else ():
            takers = 0
            for value in group.inputs:
                for root in fusion.roots.of(value):
                    takers |= fusion.takers.get(root, 0)
            for at in members_of(takers & ~group.before & ~group.members):
                if not fusion.is_split(1 << at, group.before):
                    found.setdefault(at, []).append(group)
        return found

    def name(self, value: Value) -> Value:
        return self.renamed.get(value, value)

    def need(self, at: int) -> None:
        """Emit the op at a position, with its group, after what it depends on."""
        if self.done >> at & 1:
            return
        group = self.fusion.groups.get(at)
        positions = [at] if group is None else group.ops
        members = 1 << at if group is None else group.members
        before = self.fusion.before[at] if group is None else group.before
        self.done |= members
        self.open |= members
        for borrower in self.borrowers.get(at, ()):
            if not self.fusion.before[at] & borrower.members and not self.waits(borrower):
                self.need(borrower.ops[0])
        for here in members_of(before & ~self.done):
            if not self.fusion.before[here] & members:
                self.need(here)
        free = [] if group is None else self.free(positions)
        last = None if group is None else self.last_view(positions, members)
        if len(positions) > 1 or free or last is not None:
            self.emit_group(positions, members, free, last)
        elif self.fusion.ops[at] not in self.absorbed and not self.fusion.is_only_inside(at):
            self.emit(self.fusion.ops[at])
        self.open &= ~members

    def waits(self, group: Group) -> bool:
        """Whether a group depends on an op that is about to be emitted."""
        return bool(group.before & self.open) or self.fusion.is_split(self.open, group.before)

    def emit(self, op: Op) -> None:
        blocks = [_fused_block(b, self.renamed, self.reasons, self.fusion.visible) for b in op.blocks]
        operands = tuple(self.name(v) for v in op.operands)
        self.out.append(Op(op.defn, operands, op.attrs, op.results, tuple(blocks), op.span))

    def free(self, positions: Sequence[int]) -> list[int]:
        """Views and fills that the group reads, and what it computes again, to be made in its kernel."""
        repeated = set[int]().union(*(self.fusion.repeated.get(at, ()) for at in positions))
        found: set[int] = set()
        queue = [v for at in positions for v in self.fusion.ops[at].operands]
        while queue:
            maker = self.fusion.makers.get(queue.pop())
            if maker is None or maker in found:
                continue
            if self.fusion.roles[maker] in ("view", "fill") or maker in repeated:
                found.add(maker)
                queue.extend(self.fusion.ops[maker].operands)
        return sorted(found)

    def last_view(self, positions: Sequence[int], members: int) -> Op | None:
        """The view after an elementwise kernel that the kernel can take in."""
        if not all(is_map(self.fusion.ops[at]) for at in positions):
            return None
        last = self.fusion.last_view(self.fusion.results(members))
        return last if last is not None and self.is_ready(last, members) else None

    def is_ready(self, view: Op, members: int) -> bool:
        """Whether all that a view needs beside some members, as its sizes, is there: kernels may come before it."""
        makers = [self.fusion.makers.get(v) for v in all_reads(view)]
        there = members | (self.done & ~self.open)
        return all(maker is None or there >> maker & 1 for maker in makers)

    def emit_group(self, positions: Sequence[int], members: int, free: Sequence[int], last: Op | None) -> None:
        """A `fused` op with the members and copies of the views and fills they read."""
        inside: dict[Value, Value] = {}
        ops: list[Op] = []
        copied = set(free)
        for at in sorted((*positions, *free)):
            op = self.fusion.ops[at]
            results = op.results
            if at in copied:
                results = tuple(Value(r.type, r.name, r.known) for r in op.results)
            operands = tuple(inside.get(v, self.name(v)) for v in op.operands)
            inside.update(zip(op.results, results, strict=True))
            ops.append(Op(op.defn, operands, op.attrs, results, (), op.span))
        results = self.fusion.results(members)
        if last is not None:
            self.absorbed.add(last)
            operands = tuple(inside.get(v, self.name(v)) for v in last.operands)
            ops.append(Op(last.defn, operands, last.attrs, last.results, (), last.span))
            results = list(last.results)
        outer = tuple(Value(r.type, r.name, r.known) for r in results)
        body = Block((), tuple(ops), tuple(results), "body")
        self.out.append(Op(REGISTRY["fused"], (), {}, outer, (body,), self.fusion.ops[positions[-1]].span))
        self.renamed.update(zip(results, outer, strict=True))
