"""From a backward in the forward's names to a block of its own: residuals out of the forward, into the backward."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from tracejit.ir.builder import Builder, Rebuilder
from tracejit.ir.core import Block, Op, Value, all_reads, captures, inputs_of, type_values, walk
from tracejit.ir.types import Dim, ListType, ScalarType, TensorType, Type, substitute_dims, unsized
from tracejit.transforms.derivatives.cotangents import retype
from tracejit.transforms.derivatives.effects import quiet
from tracejit.transforms.derivatives.frames import Frame, Region, list_of, size_values
from tracejit.transforms.derivatives.remat import choose


def live(ops: Sequence[Op], results: Iterable[Value], *, effects: bool = True) -> list[Op]:
    """The ops that the results need, in order; `effects`: and those that print or check."""
    needed = set(results)
    kept: list[Op] = []
    for op in reversed(ops):
        if any(r in needed for r in op.results) or (effects and _has_effect(op)):
            kept.append(op)
            needed.update(all_reads(op))
    return kept[::-1]


def _has_effect(op: Op) -> bool:
    """Whether an op, or one in its blocks, prints or checks."""
    return any(inner.defn.effect == "order" for inner in walk(Block((), (op,), ())))


class Draft:
    """The live ops and results of a frame's backward, still in the forward's names."""

    def __init__(self, frame: Frame, results: Sequence[Value]) -> None:
        self.frame = frame
        self.results = tuple(results)
        #: Forward sizes that the backward knows by name or number, so that types stay spelt alike.
        self.named: list[Value] = []
        self.ops = live(frame.b.ops, (*results, *(s.backward_out for s in frame.streams)))

    def residuals(
        self,
        provided: Mapping[Value, Value],
        more: Iterable[Value] = (),
        *,
        typed: bool = False,
        beside: Sequence[Value] = (),
    ) -> tuple[list[Value], list[Op]]:
        """Forward values to save, scalars first, and forward ops to repeat. What is `provided` needs neither.

        `typed`: the residuals will be results or parameters, whose types must find their sizes beside them, as must
        the types of the further parameters `beside`.
        """
        needed = self.needed(more)
        named = {v: v for edit in self.frame.edits for v in edit.defined if v.known is not None}
        provided = {**provided, **named}
        wanted = [v for v in needed if v not in provided]
        saved, repeated = choose(self.frame, wanted, provided)
        sizes = dict.fromkeys(
            s for v in (*saved, *beside) for s in type_values(v.type) if self._is_local(s) and s not in provided
        )
        if typed and not sizes.keys() <= set(saved):
            saved, repeated = choose(self.frame, wanted, {**provided, **{s: s for s in sizes}})
            saved = [*sizes, *(v for v in saved if v not in sizes)]
        self.named = [v for v in (*needed, *(v for op in repeated for v in op.operands)) if v in named]
        return sorted(saved, key=lambda v: not isinstance(v.type, ScalarType)), repeated

    def needed(self, more: Iterable[Value] = ()) -> dict[Value, None]:
        """The forward values, sizes of others included, that the backward reads."""
        found = {v: None for v in (*captures(Block((), tuple(self.ops), self.results)), *more) if self._is_local(v)}
        found.update({s: None for v in tuple(found) for s in type_values(v.type) if self._is_local(s)})
        return found

    def _is_local(self, value: Value) -> bool:
        return self.frame.defines(value)

    def restore(
        self, b: Rebuilder, saved: Sequence[Value], repeated: Sequence[Op], take: Callable[[Value], None] | None = None
    ) -> None:
        """Make `b`, whose mapping stands for the forward's names, know all residuals.

        `take` fetches a saved one, scalars first: the sizes that an array is fetched with are there by then.
        """
        for value in self.named:
            known = value.known
            b.mapping[value] = b.size(known) if isinstance(known, int) else b.value(self.frame.region.size(known))
        waiting = list(repeated)
        if take is not None:
            for value in saved:
                if any(self._is_local(size) for size in type_values(value.type)):
                    self._repeat_ready(b, waiting)
                take(value)
        for op in waiting:
            b.step(op)

    def _repeat_ready(self, b: Rebuilder, waiting: list[Op]) -> None:
        """Repeat the ops whose operands are there already."""
        for op in tuple(waiting):
            if self._is_ready(b, op):
                b.step(op)
                waiting.remove(op)

    def _is_ready(self, b: Rebuilder, op: Op) -> bool:
        read = (v for again in quiet(op) for v in inputs_of(again))
        return all(v in b.mapping or not self._is_local(v) for v in read)

    def rebuild(self, b: Rebuilder) -> list[Value]:
        """Emit the backward through `b`, with what functions with derivatives of their own check and print in theirs;
        gives its results."""
        b.visit = None
        for op in self.ops:
            b.step(op)
        return [b.value(v) for v in self.results]


def push(frame: Frame, saved: Sequence[Value]) -> None:
    """End the forward block of a loop or branch by pushing each residual onto a stream of its own."""
    for value in saved:
        stream = frame.open_stream(None, list_of(value), value.type)
        b = Builder()
        stream.forward_out = b.emit("list_push", (stream.forward_in, value), names=("residuals",))[0]
        frame.append(*b.ops)
        frame.own[value] = stream


def pop(frame: Frame, b: Rebuilder, value: Value) -> None:
    """Pop a residual in a backward block."""
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

    def size(dim: Dim | None) -> Value:
        return b.size(dim) if isinstance(dim, int) else b.value(region.size(dim))

    return retype(b, x, b.spelled(renamed(type, b.mapping)), size)
