"""From a backward in the forward's names to a block of its own: residuals out of the forward, into the backward."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tracejit.ir.builder import Builder, Rebuilder
from tracejit.ir.core import Block, Op, Value, captures, reads, type_values
from tracejit.ir.types import ListType, ScalarType, TensorType, Type, substitute_dims, unsized
from tracejit.transforms.cotangents import retype
from tracejit.transforms.frames import SIZE, Frame, Region, list_of, size_values
from tracejit.transforms.remat import choose


def live(ops: Sequence[Op], results: Iterable[Value]) -> list[Op]:
    """The ops that the results need, in order."""
    needed = set(results)
    kept: list[Op] = []
    for op in reversed(ops):
        if op.defn.effect == "order" or any(r in needed for r in op.results):
            kept.append(op)
            needed.update(reads(op))
            for block in op.blocks:
                needed.update(captures(block))
    return kept[::-1]


class Draft:
    """The live ops and results of a frame's backward, still in the forward's names."""

    def __init__(self, frame: Frame, results: Sequence[Value]) -> None:
        self.frame = frame
        self.results = tuple(results)
        self.ops = live(frame.b.ops, (*results, *(s.backward_out for s in frame.streams)))

    def residuals(self, provided: Mapping[Value, Value], more: Iterable[Value] = ()) -> tuple[list[Value], list[Op]]:
        """Forward values to save, sizes first, and forward ops to repeat. `provided` needs neither."""
        needed: dict[Value, None] = {}
        for value in (*captures(Block((), tuple(self.ops), self.results)), *more):
            if self.frame.defines(value) and value not in provided:
                needed.update(dict.fromkeys(self._sizes_of(value)))
                needed[value] = None
        fresh = [v for v in needed if v not in provided]
        saved, repeated = choose(self.frame, fresh, provided)
        for value in tuple(saved):
            missing = [s for s in self._sizes_of(value) if s not in provided and s not in saved]
            saved.extend(s for s in missing if not any(s in op.results for op in repeated))
        return sorted(saved, key=lambda v: v.type != SIZE), repeated

    def _sizes_of(self, value: Value) -> list[Value]:
        return [v for v in type_values(value.type) if self.frame.defines(v)]

    def rebuild(self, b: Rebuilder) -> list[Value]:
        """Emit the backward through `b`, whose mapping stands for the forward's names; gives its results."""
        for op in self.ops:
            b.step(op)
        return [b.value(v) for v in self.results]


def push(frame: Frame, saved: Sequence[Value]) -> None:
    """End the forward block of a loop or branch by pushing each residual onto a stream of its own."""
    for value in saved:
        stream = frame.open_stream(None, list_of(value))
        b = Builder()
        stream.forward_out = b.emit("list_push", (stream.forward_in, value), names=("residuals",))[0]
        frame.append(*b.ops)
        frame.own[value] = stream


def pop(frame: Frame, b: Rebuilder, saved: Sequence[Value]) -> None:
    """Begin a backward block by popping the residuals."""
    for value in saved:
        stream = frame.own[value]
        sizes = [b.value(v) for v in size_values(value.type, frame.region)]
        stream.backward_out, b.mapping[value] = b.emit(
            "list_pop", (stream.backward_in, *sizes), names=("residuals", value.name)
        )


def neutral(b: Builder, type: Type, region: Region, inside: Mapping[Value, Value]) -> Value:
    """A value that takes the place of a residual where the other branch was taken."""
    match type:
        case ScalarType():
            return b.constant(0, type)
        case ListType(element):
            return b.emit("list_new", (), {"element": element})[0]
        case TensorType():
            sizes = tuple(inside.get(v, v) for v in size_values(type, region))
            return b.emit("undef", sizes, {"type": unsized(type)})[0]


def renamed(type: Type, mapping: Mapping[Value, Value]) -> Type:
    """The type with its sizes read through a mapping of values."""
    return substitute_dims(type, {old: new.dim for old, new in mapping.items()})


def fit(b: Rebuilder, x: Value, type: Type, region: Region) -> Value:
    """x as a value of a type in the forward's names, its sizes read through the mapping of `b`."""
    return retype(b, x, renamed(type, b.mapping), lambda dim: b.value(region.size(dim)))
