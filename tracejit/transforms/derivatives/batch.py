"""Batching: a graph run on every slice of its batched parameters, as a loop whose trips are independent.

Each trip takes its own way through `if` and `loop`, so every program can be batched. Results are written where they
belong in the batched results. Those whose sizes only a run tells are made by the first trip, and the others must give
the same sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracejit.errors import ScriptError
from tracejit.ir.builder import Builder, Handle, Rebuilder
from tracejit.ir.core import Graph, Op, Value, all_reads
from tracejit.ir.types import BOOL, Dim, ScalarType, TensorType
from tracejit.records import record
from tracejit.transforms.derivatives.jacobian import SIZE
from tracejit.transforms.derivatives.residuals import live
from tracejit.transforms.strides import c_strides


def batched_graph(
    graph: Graph, in_axes: Sequence[int | None], out_axes: Sequence[int | None], sizes: Sequence[Dim]
) -> Graph:
    """The graph over batches. `in_axes`: for each parameter where its batch axis goes, None for one that all trips
    share; `sizes`: the batch size of each batched parameter, in order; `out_axes`: for each user result, None for one
    that is the same for all.

    A batched parameter may be changed in place: every trip changes its slice. Raises `ScriptError` for graphs that
    change a parameter which all trips share.
    """
    if any(in_axes[k] is None for k in graph.inout):
        what = "vmap of a function that changes an argument which is the same for all slices"
        raise ScriptError(what, instead="return the changed array, or give the argument a batch axis")
    return _Batch(graph, in_axes, sizes).graph(out_axes)


@record
class _Carried:
    """What the loop carries of a batched result, and the sizes of a slice where the first trip tells them."""

    sizes: tuple[Value, ...]
    array: Value

    @property
    def values(self) -> tuple[Value, ...]:
        return (*self.sizes, self.array)

    def like(self, axis: int | None) -> _Carried:
        """The parameters of a block for it."""
        if not self.sizes:
            return _Carried((), Value(self.array.type, self.array.name))
        sizes = tuple(Value(n.type, "n") for n in self.sizes)
        kind = self.array.type
        assert isinstance(kind, TensorType)
        assert axis is not None
        shape = (*sizes[:axis], kind.shape[axis], *sizes[axis:])
        return _Carried(sizes, Value(TensorType(kind.dtype, shape), self.array.name))


class _Batch:
    """One batching: the batched parameters, and the block that runs before the loop."""

    def __init__(self, source: Graph, in_axes: Sequence[int | None], sizes: Sequence[Dim]) -> None:
        self.source = source
        self.axes = in_axes
        self.whole = _whole_params(source, in_axes, sizes)
        self.b = Rebuilder(None, {})
        for param, whole, axis in zip(source.params, self.whole, in_axes, strict=True):
            if axis is None:
                self.b.mapping[param] = whole
        self.count = self._count()

    def graph(self, out_axes: Sequence[int | None]) -> Graph:
        source, b = self.source, self.b
        n_user = len(source.results) - len(source.inout)
        results, finals = source.results[:n_user], source.results[n_user:]
        batched = [(r, axis) for r, axis in zip(results, out_axes, strict=True) if axis is not None]
        shared = {r: self._shared(r) for r, axis in zip(results, out_axes, strict=True) if axis is None}
        changed = [(r, self.axes[k]) for r, k in zip(finals, source.inout, strict=True)]
        carried = [self._empty(r, axis) for r, axis in batched]
        carried += [_Carried((), self.whole[k]) for k in source.inout]
        index = Value(SIZE, "i")
        filled = [_Carried.like(c, axis) for c, (_, axis) in zip(carried, (*batched, *changed), strict=True)]
        inner = Rebuilder(None, {})
        i = inner.wrap(index)
        now = dict(zip(source.inout, (f.array for f in filled[len(batched) :]), strict=True))
        places = zip(source.params, self.whole, self.axes, strict=True)
        slices = [_slice(inner, p, now.get(k, w), axis, i) for k, (p, w, axis) in enumerate(places)]
        inner.inline(source.body, slices)
        written: list[Value] = []
        for into, (r, axis) in zip(filled, (*batched, *changed), strict=True):
            assert axis is not None
            made = inner.value(r)
            whole = self._made_by_the_first(inner, into, made, axis, i) if into.sizes else into
            written += (*whole.sizes, _written(inner, whole.array, made, axis, i))
        go = b.constant(True, ScalarType(BOOL))
        params = [v for f in filled for v in f.values]
        body = inner.block((index, *params), (go, *written), "body")
        inits = [v for c in carried for v in c.values]
        after = iter(b.emit("loop", (self.count, go, *inits), blocks=[body], like=params, mapping={}))
        found = iter([[next(after) for _ in c.values][-1] for c in carried])
        outcome = [shared[r] if axis is None else next(found) for r, axis in zip(results, out_axes, strict=True)]
        body = b.block(self.whole, (*outcome, *found))
        return Graph(f"{source.name}_batched", body, source.device, source.inout, source.policy)

    def _shared(self, result: Value) -> Value:
        """A result that no batched parameter matters to, computed before the loop."""
        needed: set[Value] = {result}
        wanted: list[Op] = []
        for op in reversed(self.source.body.ops):
            if needed.intersection(op.results):
                wanted.append(op)
                needed.update(all_reads(op))
        if any(p in needed for p, axis in zip(self.source.params, self.axes, strict=True) if axis is not None):
            raise ValueError("vmap: out_axes is None for a result that differs between slices")
        for op in reversed(wanted):
            self.b.step(op)
        return self.b.value(result)

    def _count(self) -> Value:
        """The batch size, the same for all batched parameters."""
        places = zip(self.whole, self.axes, strict=True)
        found = [self.b.dim_of(whole, axis) for whole, axis in places if axis is not None]
        for other in found[1:]:
            message = "vmap: batched arguments have sizes {0} and {1} along their batch axes"
            self.b.emit("check_eq", (found[0], other), {"kind": "ValueError", "message": message})
        return found[0]

    def _empty(self, result: Value, axis: int) -> _Carried:
        """An array for a result of all trips: one without elements where its sizes are not known yet."""
        dims: tuple[Dim, ...] = result.type.shape  # type: ignore[union-attr]
        if not 0 <= axis <= len(dims):
            raise ValueError(f"vmap: out_axes {axis} is out of bounds for a result of rank {len(dims)}")
        known = [self._size(dim) for dim in dims]
        sizes = [n for n in known if n is not None]
        if len(sizes) == len(known):
            return _Carried((), _undefined(self.b, result, axis, sizes, self.count))
        message = "vmap: there are no slices, and the sizes of a result are known only from one"
        some = self.b.lt(0, self.b.wrap(self.count)).value
        self.b.emit("check", (some,), {"kind": "ValueError", "message": message})
        none = [self.b.size(0) for _ in dims]
        return _Carried(tuple(none), _undefined(self.b, result, axis, none, self.count))

    def _made_by_the_first(self, b: Builder, carried: _Carried, result: Value, axis: int, i: Handle) -> _Carried:
        """The batched result, which has the sizes of the first trip's."""
        sizes = [b.dim_of(result, k) for k in range(len(carried.sizes))]
        first, later = b.nested(), b.nested()
        blocks = (
            first.block((), (*sizes, _undefined(first, result, axis, sizes, self.count)), "then"),
            later.block((), carried.values, "else"),
        )
        *made, whole = b.emit("if", (b.lt(i, 1).value,), blocks=blocks, like=carried.values, mapping={})
        for there, size in zip(made, sizes, strict=True):
            message = "vmap: results of slices have sizes {0} and {1} along one axis"
            b.emit("check_eq", (there, size), {"kind": "ValueError", "message": message})
        return _Carried(tuple(made), whole)

    def _size(self, dim: Any) -> Value | None:
        """A size of a result, computed before the loop; None where it depends on the values of the slices."""
        if isinstance(dim, int):
            return self.b.size(dim)
        if isinstance(dim, str):
            return self._named(dim)
        for op in live(self.source.body.ops, [dim]):
            if not op.results:
                continue  # a check: every trip makes it
            known = op.results[0].known
            if isinstance(known, str):
                self.b.mapping[op.results[0]] = self._named(known)
            elif op.results[0] not in self.b.mapping:
                if op.blocks or any(v in self.source.params and v not in self.b.mapping for v in op.operands):
                    return None
                self.b.step(op)
        return self.b.value(dim)

    def _named(self, name: str) -> Value:
        """A named size, from a batched parameter that has it."""
        whole = next(w for w in self.whole if isinstance(w.type, TensorType) and name in w.type.shape)
        assert isinstance(whole.type, TensorType)
        return self.b.dim_of(whole, whole.type.shape.index(name))


def _whole_params(graph: Graph, in_axes: Sequence[int | None], sizes: Sequence[Dim]) -> list[Value]:
    """Parameters with the batch axis put in."""
    rest = iter(sizes)
    whole: list[Value] = []
    for param, axis in zip(graph.params, in_axes, strict=True):
        if axis is None:
            whole.append(Value(param.type, param.name))
            continue
        shape = param.type.shape  # type: ignore[union-attr]
        type = TensorType(param.type.dtype, (*shape[:axis], next(rest), *shape[axis:]))  # type: ignore[union-attr]
        whole.append(Value(type, param.name))
    return whole


def _undefined(b: Builder, result: Value, axis: int, sizes: Sequence[Value], count: Value) -> Value:
    """An array for results of these sizes, of which nothing is written."""
    whole = [*sizes[:axis], count, *sizes[axis:]]
    type = TensorType(result.type.dtype, (None,) * len(whole))  # type: ignore[union-attr]
    return b.emit("undef", whole, {"type": type}, names=(result.name,))[0]


def _slice(b: Builder, param: Value, whole: Value, axis: int | None, i: Handle) -> Value:
    """A parameter in one trip."""
    if axis is None:
        return whole
    if isinstance(param.type, ScalarType):
        return b.fetch(b.wrap(whole), (i,)).value
    sizes = b.shape(b.wrap(whole))
    strides = c_strides(b, sizes)
    rest = [k for k in range(len(sizes)) if k != axis]
    offset = i * b.wrap(strides[axis].value)
    return b.vread(b.wrap(whole), offset, [strides[k] for k in rest], [sizes[k] for k in rest]).value


def _written(b: Builder, filled: Value, result: Value, axis: int, i: Handle) -> Value:
    """The batched result with that of one trip in its place."""
    target, made = b.wrap(filled), b.wrap(result)
    if isinstance(result.type, ScalarType):
        return b.index_update(target, made, (i,)).value
    strides = c_strides(b, b.shape(target))
    rest = [s for k, s in enumerate(strides) if k != axis]
    return b.vwrite(target, made, i * strides[axis], rest).value
