"""Derivatives on paths that raise, of what the trips so far have made: what they go through runs once more there.

The program so far is repeated in the block of the derivative, without effects: the ops before it in the blocks around
that the derivative goes through, and in the place of a loop around its trips so far. It is one derivative of ordinary
ops then, and costs nothing where the program goes on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tracejit.errors import NotDifferentiable
from tracejit.ir.builder import Rebuilder
from tracejit.ir.core import Block, Op, Value, all_reads, walk
from tracejit.ir.types import ListType
from tracejit.ops.control import emit_gradient, gradient_parts
from tracejit.transforms.dce import sliced
from tracejit.transforms.derivatives.activity import useful, varied
from tracejit.transforms.derivatives.earlier_trips import repeated, slice_of
from tracejit.transforms.derivatives.effects import without_effects
from tracejit.transforms.derivatives.once_more import NOT_MADE_AGAIN, taken_apart


def with_repeats(root: Block) -> Block:
    """The block with what `rare` derivatives go through beside them. Raises `NotDifferentiable` where that cannot be
    made once more."""
    return _block(root, root, ())


def _block(root: Block, block: Block, around: tuple[tuple[Sequence[Op], Op], ...]) -> Block:
    """A block, with the ops before each op around it."""
    ops: list[Op] = []
    for at, op in enumerate(block.ops):
        if op.name == "gradient" and op.attrs.get("rare", False):
            ops += _Repeat(root, around, block.ops[:at], op).emit()
            continue
        if op.name in ("if", "loop") and any(inner.attrs.get("rare", False) for inner in walk(Block((), (op,), ()))):
            before = (*around, (block.ops[:at], op))
            blocks = tuple(_block(root, nested, before) for nested in op.blocks)
            op = Op(op.defn, op.operands, op.attrs, op.results, blocks, op.span)
        ops.append(op)
    return Block(block.params, tuple(ops), block.results, block.label)


class _Repeat:
    """The program so far, for one derivative. `around`: the ops around it, outermost first, each with those before."""

    def __init__(
        self, root: Block, around: Sequence[tuple[Sequence[Op], Op]], before: Sequence[Op], derivative: Op
    ) -> None:
        self.derivative = derivative
        self.around = around
        self.levels = [*(ops for ops, _ in around), before]
        ys, _, self.xs = gradient_parts(derivative)
        whole = [*self.levels[0], *(op for _, op in around[:1])]
        self.active = varied(root.ops, self.xs) & useful(whole, ys)
        self.makers = {r: op for ops in self.levels for op in ops for r in op.results}
        #: Lists that are no more what they were, for something has taken them over.
        self.gone = {v for ops in self.levels for op in ops for v in taken_apart(op)}
        self.gone |= {v for _, op in around if op.name == "loop" for v in op.operands if isinstance(v.type, ListType)}
        self.loops = {p: op for _, op in around if op.name == "loop" for p in op.block("body").params[1:]}

    def emit(self) -> list[Op]:
        """The ops in the place of the derivative."""
        making, carried = self.needed()
        b = Rebuilder(without_effects, {}, self.derivative.span)
        for level, ops in enumerate(self.levels):
            for op in ops:
                if op in making:
                    b.step(op)
            if level == len(self.around):
                break
            loop = self.around[level][1]
            if on_the_way := carried.get(loop):
                needed, body = slice_of(self.derivative, loop, on_the_way)
                first = dict(zip(loop.block("body").params[1:], loop.operands[2:], strict=True))
                trips = Rebuilder(without_effects, dict(b.mapping), b.span)  # what they make is not seen outside
                found = repeated(trips, loop, {p: b.value(first[p]) for p in needed}, body)
                b.ops += trips.ops
                b.mapping.update(zip(needed, found, strict=True))
        ys, seeds, xs = gradient_parts(self.derivative)
        given = {k: v for k, v in self.derivative.attrs.items() if k != "more"}
        ys = list(map(b.value, ys))
        made = sliced(b.ops, ys)
        emit_gradient(b, ys, seeds, xs, given)
        last = b.ops[-1]
        return [*made, Op(last.defn, last.operands, last.attrs, self.derivative.results, (), last.span)]

    def needed(self) -> tuple[Collection[Op], dict[Op, list[Value]]]:
        """The ops to repeat, and what loops around must carry to where they are."""
        making: set[Op] = set()
        carried: dict[Op, list[Value]] = {}
        waiting = [op for ops in self.levels for op in ops if not self.active.isdisjoint(op.results)]
        needed = [p for p in self.loops if p in self.active and p not in self.xs]
        while waiting or needed:
            while needed:
                value = needed.pop()
                if value in self.makers:
                    waiting.append(self.makers[value])
                elif value not in self.loops:
                    raise NotDifferentiable("gradient", NOT_MADE_AGAIN, self.derivative.span)
                elif value not in carried.setdefault(self.loops[value], []):
                    loop = self.loops[value]
                    carried[loop].append(value)
                    first = dict(zip(loop.block("body").params[1:], loop.operands[2:], strict=True))
                    params, ops = slice_of(self.derivative, loop, carried[loop])
                    inits = [first[p] for p in params]
                    needed += [v for v in inits if isinstance(v.type, ListType)]
                    needed += [v for op in ops for v in all_reads(op) if v in self.gone]
                    waiting += [self.makers[v] for v in inits if v in self.active and v in self.makers]
            while waiting:
                op = waiting.pop()
                if op not in making:
                    making.add(op)
                    needed += [*taken_apart(op), *(v for v in all_reads(op) if v in self.gone)]
        return making, carried
