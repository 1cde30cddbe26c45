"""`unify-sizes`: where a check has found two sizes equal, one name serves for both.

After `check_eq(n, m)` arrays of size m are read as arrays of size n (by a `broadcast` that stretches nothing), and
sizes computed from m are computed from n. What is computed from several arrays then has one shape, so that it can be
one kernel, and so can its derivative. An array that is written keeps its own type: a view of it could not be written
in place. So does a whole new content of a written parameter, which is stored there where it is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tracejit.ir.builder import Rebuilder, values_like
from tracejit.ir.core import Block, Graph, Op, Value, walk
from tracejit.ir.opdef import Opaque
from tracejit.ir.types import I64, Dim, ListType, ScalarType, TensorType, Type, substitute_dims
from tracejit.transforms.pipeline import transform
from tracejit.transforms.write_home import versions_of

SIZE = ScalarType(I64)


@transform("unify-sizes")
def unify_sizes(graph: Graph) -> Graph:
    """Read arrays whose sizes were checked to be equal with one name for the size."""
    if not any(op.name == "check_eq" for op in walk(graph.body)):
        return graph
    kept = {v: graph.params[i].type for v, i in versions_of(graph).items() if v.type == graph.params[i].type}
    mapping: dict[Value, Value] = {}
    params = [Rebuilder(None, mapping).param_like(p) for p in graph.params]
    b = _Unifier(mapping, {}, kept, _axes(params))
    results = list(b.inline(graph.body, params))
    for at, param in enumerate(graph.inout, len(results) - len(graph.inout)):
        results[at] = b.typed(results[at], params[param].type)
    return Graph(graph.name, b.block(params, results, graph.body.label), graph.device, graph.inout, graph.policy)


def _axes(params: Sequence[Value]) -> dict[str, tuple[Value, int]]:
    """For each named size a parameter, and the axis along which it has it."""
    found: dict[str, tuple[Value, int]] = {}
    for param in params:
        for axis, dim in enumerate(param.type.shape if isinstance(param.type, TensorType) else ()):
            if isinstance(dim, str):
                found.setdefault(dim, (param, axis))
    return found


class _Unifier(Rebuilder):
    """Re-emits one block. `same` leads from a size to the value of the one that serves for it; `known` holds a value of
    every size that was compared; `kept` are the types of the versions of written parameters; `axes` says where the size
    of a name is read."""

    def __init__(
        self,
        mapping: dict[Value, Value],
        same: Mapping[Dim, Value],
        kept: Mapping[Value, Type],
        axes: Mapping[str, tuple[Value, int]],
    ) -> None:
        super().__init__(None, mapping)
        self.kept, self.axes = kept, axes
        self.same: dict[Dim, Value] = dict(same)
        self.known: dict[Dim, Value] = {}
        self.views: dict[tuple[Value, Type], Value] = {}

    def nested(self) -> _Unifier:
        inner = _Unifier(self.mapping, self.same, self.kept, self.axes)
        inner.span = self.span
        inner.views = dict(self.views)
        inner.known = dict(self.known)
        return inner

    def value(self, old: Value) -> Value:
        new = self.mapping.get(old, old)
        is_size = new.type.__class__ is ScalarType and new.type == SIZE
        return self.same.get(new.dim, new) if is_size else new

    def step(self, op: Op) -> None:
        super().step(op)
        if op.name == "check_eq":
            self.note_equal(*(self.value(v) for v in op.operands[:2]))

    def note_equal(self, a: Value, b: Value) -> None:
        """From here on the sizes a and b are one: a number if one is known, else the first."""
        self.known.update({a.dim: a, b.dim: b})
        if a.dim == b.dim or (isinstance(a.dim, int) and isinstance(b.dim, int)):  # two numbers: the check fails
            return
        kept, other = (b, a) if isinstance(b.dim, int) else (a, b)
        for dim, value in self.same.items():
            if value.dim == other.dim:
                self.same[dim] = kept
        self.same[other.dim] = kept

    def unified(self, type: Type, prefer: Sequence[Dim | None] = ()) -> Type:
        """The type with one name for equal sizes; a name out of `prefer` where there is one."""
        if not isinstance(type, TensorType) or not (prefer or any(dim in self.same for dim in type.shape)):
            return type
        named = {self.representative(dim): dim for dim in prefer if dim is not None}
        dims = (self.representative(dim) for dim in type.shape)
        return TensorType(type.dtype, tuple(named.get(dim, dim) for dim in dims))

    def representative(self, dim: Any) -> Any:
        found = self.same.get(dim)
        return dim if found is None else found.dim

    def typed(self, x: Value, type: Type) -> Value:
        """x read with the sizes of a type."""
        if x.type is type or isinstance(type, ListType | ScalarType) or x.type == type:
            return x
        key = (x, type)
        if key not in self.views:
            assert isinstance(type, TensorType)
            sizes = [self.size_of(x, axis, dim) for axis, dim in enumerate(type.shape)]
            self.views[key] = self.emit("broadcast", (x, *sizes), {"exact": True}, names=(x.name,))[0]
        return self.views[key]

    def size_of(self, x: Value, axis: int, dim: Any) -> Value:
        """The value of a dim that x has along an axis by one of its names."""
        if not isinstance(dim, str):
            return self.size(dim)
        kept = self.known.get(dim)
        return self.dim_of(*self.axes.get(dim, (x, axis))) if kept is None else kept

    def copy(
        self, op: Op, operands: Sequence[Value] | None = None, attrs: Mapping[str, Any] | None = None
    ) -> tuple[Value, ...]:
        operands = [self.value(v) for v in op.operands]
        match op.name:
            case "loop":
                return self.loop(op, operands)
            case "if":
                return self.branches(op)
            case "check_eq" | "custom" | "call" | "gradient" | "tangent" | "leads":
                pass
            case "dim":
                (x,) = operands = self.fitting(op, operands)
                assert isinstance(x.type, TensorType)
                size = x.type.shape[op.attrs["axis"]]
                if isinstance(size, Value):  # in the place of a name
                    return (size,)
            case _:
                operands = self.fitting(op, operands)
        made = super().copy(op, operands, attrs)
        return tuple(self.typed(v, self.kept.get(old, v.type)) for old, v in zip(op.results, made, strict=True))

    def fitting(self, op: Op, operands: Sequence[Value]) -> list[Value]:
        """The operands with one name for equal sizes: that of the array which is written, if one is."""
        writes = isinstance(op.defn.lower, Opaque) and operands and isinstance(operands[0].type, TensorType)
        if not writes:
            return [self.typed(v, self.unified(v.type)) for v in operands]
        written, prefer = op.operands[0].type.shape, operands[0].type.shape  # type: ignore[union-attr]
        own: dict[Dim | None, Dim | None] = dict(zip(written, prefer, strict=True))

        def as_written(old: Type, new: Type) -> Type:
            """A size by the name of the axis of the written array that it had, of which two may be equal."""
            found = self.unified(new, prefer)
            if not isinstance(old, TensorType) or not isinstance(found, TensorType):
                return found
            return TensorType(found.dtype, tuple(own.get(d, f) for d, f in zip(old.shape, found.shape, strict=True)))

        others = zip(op.operands[1:], operands[1:], strict=True)
        return [operands[0], *(self.typed(v, as_written(old.type, v.type)) for old, v in others)]

    def loop(self, op: Op, operands: Sequence[Value]) -> tuple[Value, ...]:
        """A loop whose carried values have the types of their first versions."""
        old = op.block("body")
        body = self.nested()
        params = [body.param_like(old.params[0])]
        for param, init in zip(old.params[1:], operands[2:], strict=True):
            made = body.param_like(param)
            if init.type != made.type and not self.depends_on(param, old.params):
                made = body.mapping[param] = Value(init.type, param.name)
            params.append(made)
        results = body.inline(old, params)
        following = [results[0], *body.carried(params[1:], results[1:])]
        block = body.block(params, following, old.label)
        inits = self.carried(params[1:], operands[2:])
        return self.emit(
            op.defn, (*operands[:2], *inits), op.attrs, blocks=[block], like=self.named(op, params[1:]), mapping={}
        )

    def carried(self, params: Sequence[Value], values: Sequence[Value]) -> list[Value]:
        """Values read with the types a loop carries, whose sizes are those carried beside them."""
        sizes: dict[Value, Dim] = {p: v.dim for p, v in zip(params, values, strict=True) if p.type == SIZE}
        return [self.typed(v, substitute_dims(p.type, sizes)) for p, v in zip(params, values, strict=True)]

    def depends_on(self, value: Value, params: Sequence[Value]) -> bool:
        """Whether the type has a size that the loop carries."""
        dims = value.type.shape if isinstance(value.type, TensorType) else ()
        return any(dim in params for dim in dims if isinstance(dim, Value))

    def named(self, op: Op, like: Sequence[Value]) -> list[Value]:
        return [
            Value(value.type, result.name) if value.type != SIZE else value
            for value, result in zip(like, op.results, strict=True)
        ]

    def branches(self, op: Op) -> tuple[Value, ...]:
        """An `if`; where the branches agree on a type that is known outside, it is the result's."""
        inner = [self.nested() for _ in op.blocks]
        yields = [b.inline(old) for b, old in zip(inner, op.blocks, strict=True)]
        local = {r for b in inner for made in b.ops for r in made.results}
        like: list[Value] = list(values_like(op.results, self.mapping))
        for i, found in enumerate(zip(*yields, strict=True)):
            type = found[0].type
            dims = type.shape if isinstance(type, TensorType) else ()
            if dims and type == found[1].type and not any(dim in local for dim in dims if isinstance(dim, Value)):
                like[i] = Value(type, like[i].name)
        blocks: list[Block] = []
        for b, old, found in zip(inner, op.blocks, yields, strict=True):
            sizes: dict[Value, Dim] = {r: v.dim for r, v in zip(like, found, strict=True) if r.type == SIZE}
            typed = [b.typed(v, substitute_dims(r.type, sizes)) for r, v in zip(like, found, strict=True)]
            blocks.append(b.block((), typed, old.label))
        results = self.emit(op.defn, (self.value(op.operands[0]),), op.attrs, blocks=blocks, like=like, mapping={})
        made = dict(zip(op.results, results, strict=True))
        for old, result in made.items():
            if isinstance(old.type, TensorType) and isinstance(result.type, TensorType):
                for axis, (dim, outer) in enumerate(zip(old.type.shape, result.type.shape, strict=True)):
                    if dim in made and outer != made[dim]:  # a size that the branches give has a name outside
                        self.note_equal(self.size_of(result, axis, outer), made[dim])
        for result, found in zip(results, zip(*yields, strict=True), strict=True):
            if result.type == SIZE and result not in self.same and found[0].dim == found[1].dim:
                size = self.size(found[0].dim) if isinstance(found[0].dim, int) else found[0]
                if size not in local:
                    self.note_equal(size, result)
        return results
