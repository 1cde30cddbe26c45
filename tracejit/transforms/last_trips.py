"""`last-trips`: what a loop hands on when it ends, and nobody reads, need not be chosen.

`while d * d <= n: if n % d == 0: break; d += 1` carries `d` where it broke and `d + 1` elsewhere, though only the
next trip reads it. Without the choice, the next trip need not wait for the division.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from tracejit.ir.builder import Rebuilder
from tracejit.ir.core import Block, Graph, Op, Value, reads, walk
from tracejit.ir.opdef import Pointwise
from tracejit.ir.types import BOOL, ScalarType, TensorType
from tracejit.transforms.pipeline import transform

_TRUTH = ScalarType(BOOL)
#: Of how many operations the value of the next trip may be.
_MOST = 4


@transform("last-trips")
def last_trips(graph: Graph) -> Graph:
    """Compute what only the next trip reads as if there were one."""
    ops = [*walk(graph.body)]
    if not any(op.name == "loop" and not _goes(op) for op in ops):
        return graph
    used = Counter(v for op in ops for v in reads(op))
    used.update(v for op in ops for block in op.blocks for v in block.results)
    used.update(graph.results)
    sizes = {d for op in ops for v in _defined(op) if isinstance(v.type, TensorType) for d in v.type.shape}
    truths = {op.results[0]: op.attrs["value"] for op in ops if op.name == "const" and op.results[0].type == _TRUTH}
    return replace(graph, body=_Rewriter(used, truths, sizes).block(graph.body))


def _defined(op: Op) -> Iterator[Value]:
    """The values that an op and the beginnings of its blocks define."""
    return itertools.chain(op.results, *(block.params for block in op.blocks))


def _goes(loop: Op) -> bool:
    return loop.block("body").results[0] is loop.operands[1]


class _Rewriter:
    def __init__(self, used: Mapping[Value, int], truths: Mapping[Value, bool], sizes: Container[Any]) -> None:
        self.used = used
        self.truths = truths
        self.sizes = sizes  #: what types of arrays name, which stays what it is

    def block(self, block: Block) -> Block:
        ops = (replace(op, blocks=tuple(map(self.block, op.blocks))) if op.blocks else op for op in block.ops)
        made = tuple(self.loop(op) if op.name == "loop" and not _goes(op) else op for op in ops)
        return Block(block.params, made, block.results, block.label)

    def loop(self, loop: Op) -> Op:
        """A loop without choices of what is not read after it."""
        body = loop.block("body")
        at = {r: (i, k) for i, op in enumerate(body.ops) if op.name == "if" for k, r in enumerate(op.results)}
        for place, (r, after) in enumerate(zip(body.results[1:], loop.results, strict=True), 1):
            i, k = at.get(r, (0, 0))
            kept = r not in at or self.used[after] or not self.is_plain(r, body.ops[i + 1 :])
            found = None if kept else _Ends(body, i, self.truths).value_of_others(k)
            if found is None:
                continue
            ops, value = found
            later = Rebuilder(None, {r: value})
            for op in body.ops[i + 1 :]:
                later.step(op)
            results = [r if x is r else later.value(x) for x in body.results]  # others of which may be read
            results[place] = value
            made = Block(body.params, (*body.ops[:i], *ops, body.ops[i], *later.ops), tuple(results), body.label)
            return self.loop(replace(loop, blocks=(made,)))
        return loop

    def is_plain(self, x: Value, later: Iterable[Op]) -> bool:
        """Whether a value is a number, and neither it nor what is computed anew after it is a size of an array."""
        return isinstance(x.type, ScalarType) and not any(
            v in self.sizes for v in (x, *(r for op in later for r in op.results))
        )


class _Ends:
    """What happens in a trip in which a branch takes a side that ends the loop."""

    def __init__(self, body: Block, i: int, truths: Mapping[Value, bool]) -> None:
        self.body = body
        self.branch = body.ops[i]
        self.after = body.ops[i + 1 :]
        self.made = {r: op for op in walk(body) for r in op.results}
        self.truths = truths
        self.known: dict[Value, bool | None] = {}

    def value_of_others(self, k: int) -> tuple[tuple[Op, ...], Value] | None:
        """Result k of the side on which the loop may go on, and ops that compute it ahead of the branch; None where
        that is not clear or the other side's is needed."""
        ends = [side for side in self.branch.blocks if self.ends(side)]
        if len(ends) != 1:
            return None
        self.ends(ends[0])
        if any(self.is_needed(op, self.branch.results[k]) for op in self.after):
            return None
        (other,) = (side for side in self.branch.blocks if side is not ends[0])
        needed = _computed(other.results[k], other)
        if needed is None:
            return None
        b = Rebuilder(None, {})
        for op in needed:
            b.step(op)
        return tuple(b.ops), b.value(other.results[k])

    def ends(self, side: Block) -> bool:
        """Whether the loop ends with a trip that takes a side."""
        self.known = {**self.truths}
        self.known |= {r: self.truth(v) for r, v in zip(self.branch.results, side.results, strict=True)}
        return self.truth(self.body.results[0]) is False

    def truth(self, x: Value) -> bool | None:
        """A truth value, where it is known."""
        if x in self.known:
            return self.known[x]
        op = self.made.get(x)
        match op.name if op is not None else "":
            case "logical_not":
                inner = self.truth(op.operands[0])  # type: ignore[union-attr]
                return None if inner is None else not inner
            case "if" if op is not self.branch:
                assert op is not None
                taken = self.truth(op.operands[0])
                return None if taken is None else self.truth(_side(op, taken).results[op.results.index(x)])
            case _:
                return None

    def is_needed(self, op: Op, x: Value) -> bool:
        """Whether an op reads a value in such a trip."""
        if x in reads(op):
            return True
        taken = self.truth(op.operands[0]) if op.name == "if" else None
        blocks = op.blocks if taken is None else (_side(op, taken),)
        return any(x in block.results or any(self.is_needed(inner, x) for inner in block.ops) for block in blocks)


def _side(branch: Op, taken: bool) -> Block:
    return branch.block("then" if taken else "else")


def _computed(x: Value, block: Block) -> list[Op] | None:
    """The ops of a block that compute a number of values from outside, in order; None where not all can be done
    ahead."""
    made = {r: op for op in block.ops for r in op.results}
    needed: dict[Op, None] = {}
    waiting = [x]
    while waiting:
        op = made.get(waiting.pop())
        if op is None or op in needed:
            continue
        is_plain = isinstance(op.defn.lower, Pointwise) or op.name == "const"
        if not is_plain or op.defn.effect or not isinstance(op.results[0].type, ScalarType) or len(needed) == _MOST:
            return None
        needed[op] = None
        waiting += op.operands
    return [op for op in block.ops if op in needed]
