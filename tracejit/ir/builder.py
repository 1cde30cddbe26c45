"""Making ops: `Builder` emits them into a block, `EagerBuilder` executes them at once.

Derivative rules and composite functions are written once against the protocol both share:

    b.<op>(*operands, **attrs)     any registered op or composite; Python numbers stand for constants
    b.shape(x)                     tuple of sizes (ints or i64 handles; ints when eager)
    b.dtype(x), b.rank(x)          static facts
    b.full(number, shape, dtype)   a filled tensor;  b.zeros_like(x), b.number(n, like=x)

`Builder` wraps values in `Handle`s, which have Python's operators. Handles of different tensor shapes never
meet: broadcasting is explicit. A host scalar meets a tensor by an explicit `broadcast` that `Handle` inserts.

`rebuild(graph, visit)` re-emits every op through a new builder, which infers the types again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tracejit.errors import Span
from tracejit.ir.core import Block, Graph, Op, Value, type_values
from tracejit.ir.opdef import REGISTRY, OpDef, flatten
from tracejit.ir.types import BOOL, BY_NUMPY_NAME, I64, Dim, DType, ScalarType, TensorType, Type, substitute_dims

#: Functions of other ops, `fn(b, *operands, **attrs)`, callable as `b.<name>` on either builder.
COMPOSITES: dict[str, Callable[..., Any]] = {}


#: What a constant of each kind of dtype is in Python and in text.
PYTHON_KINDS: dict[str, Callable[[Any], Any]] = {"b": bool, "i": int, "u": int, "f": float, "c": complex}


def composite(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Register a plain function of other ops under its own name."""
    if fn.__name__ in COMPOSITES or fn.__name__ in REGISTRY:
        raise ValueError(f"{fn.__name__!r} is defined twice")
    COMPOSITES[fn.__name__] = fn
    return fn


class Handle:
    """A value together with the builder that extends its block; has Python's arithmetic."""

    __slots__ = ("b", "value")

    def __init__(self, b: Builder, value: Value) -> None:
        self.b = b
        self.value = value

    @property
    def type(self) -> Type:
        return self.value.type

    @property
    def dtype(self) -> DType:
        return _dtype_of(self.value.type)

    def __add__(self, other: Any) -> Any:
        return self.b.add(self, other)

    def __radd__(self, other: Any) -> Any:
        return self.b.add(other, self)

    def __sub__(self, other: Any) -> Any:
        return self.b.sub(self, other)

    def __rsub__(self, other: Any) -> Any:
        return self.b.sub(other, self)

    def __mul__(self, other: Any) -> Any:
        return self.b.mul(self, other)

    def __rmul__(self, other: Any) -> Any:
        return self.b.mul(other, self)

    def __truediv__(self, other: Any) -> Any:
        return self.b.div(self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self.b.div(other, self)

    def __neg__(self) -> Any:
        return self.b.neg(self)

    def __repr__(self) -> str:
        return f"Handle({self.value!r})"


def _dtype_of(type: Type) -> DType:
    if isinstance(type, ScalarType | TensorType):
        return type.dtype
    raise TypeError(f"{type} has no dtype")


class Builder:
    """Appends ops to one block. `nested()` gives a builder for a block inside it."""

    #: values that stand for named sizes in types that are copied
    names: Mapping[str, Value] = MappingProxyType({})

    def __init__(self, span: Span | None = None) -> None:
        self.ops: list[Op] = []
        self.span = span

    def nested(self) -> Builder:
        """A builder for a nested block, at the same place in the source."""
        return type(self)(self.span)

    def block(self, params: Sequence[Value], results: Sequence[Value], label: str = "") -> Block:
        """The finished block."""
        return Block(tuple(params), tuple(self.ops), tuple(results), label)

    # -- emitting -------------------------------------------------------------------------------------

    def emit(
        self,
        defn: OpDef | str,
        operands: Sequence[Value] = (),
        attrs: Mapping[str, Any] | None = None,
        *,
        blocks: Sequence[Block] = (),
        types: Sequence[Type] | None = None,
        like: Sequence[Value] | None = None,
        mapping: Mapping[Value, Value] | None = None,
        names: Sequence[str] = (),
        span: Span | None = None,
    ) -> tuple[Value, ...]:
        """Append an op and give its results.

        Types are inferred, unless `types` states them (control flow, lists), or `like` gives old results whose
        types are copied with dims replaced through `mapping` and through the results themselves.
        """
        defn = REGISTRY[defn] if isinstance(defn, str) else defn
        attrs = dict(attrs or {})
        operands = tuple(operands)
        if like is None and types is None:
            inferred = defn.infer(*defn.group(operands), **attrs)
            if Value in map(type, inferred):
                like = [t if isinstance(t, Value) else Value(t, defn.name) for t in inferred]
            else:
                types = inferred  # type: ignore[assignment]
        if like is not None:
            results = values_like(like, mapping or {}, self.names)
        else:
            assert types is not None
            known = known_size(defn.name, operands, attrs)
            results = tuple(Value(t, names[i] if i < len(names) else defn.name, known) for i, t in enumerate(types))
        self.append_op(Op(defn, operands, attrs, results, tuple(blocks), span or self.span))
        return results

    def append_op(self, op: Op) -> None:
        """Append an op as it is."""
        self.ops.append(op)

    def constant(self, number: Any, type: Type) -> Value:
        """A constant host scalar (or rank-0 tensor) of that type; the number becomes a Python one of its kind."""
        number = PYTHON_KINDS[_dtype_of(type).kind](number)
        return self.emit("const", (), {"value": number, "type": type}, names=("c",))[0]

    def size(self, dim: Dim | None) -> Value:
        """A dim as an i64 value; a named dim needs `dim_of`."""
        if isinstance(dim, Value):
            return dim
        if isinstance(dim, int):
            return self.constant(dim, ScalarType(I64))
        raise ValueError(f"a size cannot be made from {dim!r} alone")

    def dim_of(self, x: Value, axis: int) -> Value:
        """The size of `x` along `axis` as an i64 value."""
        assert isinstance(x.type, TensorType)
        dim = x.type.shape[axis]
        if isinstance(dim, str) or dim is None:
            return self.emit("dim", (x,), {"axis": axis})[0]
        return self.size(dim)

    # -- the protocol of rules --------------------------------------------------------------------------

    def wrap(self, value: Value) -> Handle:
        return Handle(self, value)

    def dtype(self, x: Handle) -> DType:
        return x.dtype

    def rank(self, x: Handle) -> int:
        return len(x.type.shape) if isinstance(x.type, TensorType) else 0

    def is_scalar(self, x: Any) -> bool:
        """Whether x is a host scalar (not a rank-0 tensor)."""
        return not isinstance(x, Handle) or isinstance(x.type, ScalarType)

    def shape(self, x: Handle) -> tuple[Any, ...]:
        """The sizes of x; static ones as ints, the others as handles."""
        type = x.type
        if not isinstance(type, TensorType):
            return ()
        return tuple(
            d if isinstance(d, int) else Handle(self, self.dim_of(x.value, i)) for i, d in enumerate(type.shape)
        )

    def full(self, number: Any, shape: Sequence[Any], dtype: DType) -> Handle:
        scalar = number if isinstance(number, Handle) else Handle(self, self.constant(number, ScalarType(dtype)))
        return self.broadcast(scalar, tuple(shape))

    def number(self, number: Any, like: Handle) -> Handle:
        """A constant of the dtype and kind (host scalar or tensor of that shape) of `like`."""
        scalar = Handle(self, self.constant(number, ScalarType(like.dtype)))
        return self.broadcast(scalar, self.shape(like)) if isinstance(like.type, TensorType) else scalar

    def zeros_like(self, x: Handle) -> Handle:
        return self.number(0, x)

    def same_size(self, a: Any, b: Any) -> bool:
        """Whether two sizes are known to be equal."""
        return _size_key(a) == _size_key(b)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name in COMPOSITES:
            fn = COMPOSITES[name]
            return lambda *operands, **attrs: fn(self, *operands, **attrs)
        if name not in REGISTRY:
            raise AttributeError(f"there is no op {name!r}")
        defn = REGISTRY[name]
        return lambda *operands, **attrs: self._apply(defn, operands, attrs)

    def _apply(self, defn: OpDef, grouped: Sequence[Any], attrs: Mapping[str, Any]) -> Any:
        flat = flatten(grouped)
        handles = [x for x in flat if isinstance(x, Handle)]
        same_kind = not any(s.startswith("*") for s in defn.signature) and getattr(defn.lower, "own_index", False)
        values = tuple(self._operand(x, handles, same_kind, defn) for x in flat)
        results = self.emit(defn, values, attrs)
        wrapped = tuple(Handle(self, v) for v in results)
        return wrapped[0] if len(wrapped) == 1 else wrapped

    def _operand(self, x: Any, handles: list[Handle], same_kind: bool, defn: OpDef) -> Value:
        """An operand as a value: in elementwise ops numbers and host scalars take the tensor operands' shape."""
        if isinstance(x, Value):
            x = Handle(self, x)
        if not same_kind:
            if isinstance(x, Handle):
                return x.value
            return self.constant(x, ScalarType(BOOL if isinstance(x, bool) else I64))
        tensors = [h for h in handles if isinstance(h.type, TensorType)]
        if not isinstance(x, Handle):
            typed = [h for h in handles if h.dtype != BOOL] or handles
            like = next((h for h in tensors if h in typed), typed[0])
            return self.number(x, like).value
        if tensors and isinstance(x.type, ScalarType):
            return self.broadcast(x, self.shape(tensors[0])).value
        return x.value


def _size_key(size: Any) -> Any:
    if isinstance(size, Handle):
        return size.value.dim
    return size.dim if isinstance(size, Value) else size


class EagerBuilder:
    """The twin of `Builder` that executes each op at once with the array module `xp`."""

    def __init__(self, xp: Any) -> None:
        self.xp = xp

    def dtype(self, x: Any) -> DType:
        if isinstance(x, bool):
            return BOOL
        return BY_NUMPY_NAME[self.xp.asarray(x).dtype.name]

    def rank(self, x: Any) -> int:
        return int(getattr(x, "ndim", 0))

    def is_scalar(self, x: Any) -> bool:
        return not hasattr(x, "ndim") or isinstance(x, self.xp.generic)

    def shape(self, x: Any) -> tuple[int, ...]:
        return tuple(getattr(x, "shape", ()))

    def full(self, number: Any, shape: Sequence[int], dtype: DType) -> Any:
        return self.xp.full(tuple(shape), number, dtype=dtype.numpy_name)

    def number(self, number: Any, like: Any) -> Any:
        return self.xp.full_like(like, number)

    def zeros_like(self, x: Any) -> Any:
        return self.xp.zeros_like(x)

    def same_size(self, a: int, b: int) -> bool:
        return a == b

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name in COMPOSITES:
            fn = COMPOSITES[name]
            return lambda *operands, **attrs: fn(self, *operands, **attrs)
        if name not in REGISTRY:
            raise AttributeError(f"there is no op {name!r}")
        eager = REGISTRY[name].eager
        if eager is None:
            raise AttributeError(f"op {name!r} cannot run eagerly by itself")
        return lambda *operands, **attrs: eager(self.xp, *operands, **attrs)


# -- rebuilding -------------------------------------------------------------------------------------------

Visit = Callable[["Rebuilder", Op, tuple[Value, ...]], "Sequence[Value] | None"]


class Rebuilder(Builder):
    """A builder that re-emits old ops; `mapping` says which new value stands for an old one. Where one re-emits no op
    more than once (`keeps`), what stays as it is becomes part of the new graph itself: later transforms know it."""

    keeps = False

    def __init__(self, visit: Visit | None, mapping: dict[Value, Value], span: Span | None = None) -> None:
        super().__init__(span)
        self.visit = visit
        self.mapping = mapping

    def nested(self) -> Rebuilder:
        inner = Rebuilder(self.visit, self.mapping, self.span)
        inner.names, inner.keeps = self.names, self.keeps
        return inner

    def spelled(self, type: Type) -> Type:
        """A type with values for the named sizes that have some."""
        return with_named_sizes(type, self.names)

    def value(self, old: Value) -> Value:
        """The new value for an old one; a value of an enclosing graph stands for itself."""
        return self.mapping.get(old, old)

    def copy(
        self, op: Op, operands: Sequence[Value] | None = None, attrs: Mapping[str, Any] | None = None
    ) -> tuple[Value, ...]:
        """Re-emit an old op with new operands, rebuilding its blocks."""
        operands = tuple(map(self.value, op.operands)) if operands is None else tuple(operands)
        attrs = op.attrs if attrs is None else attrs
        is_same = self.keeps and operands == op.operands and attrs is op.attrs and self.span is op.span
        if not op.blocks and types_follow(op):
            if is_same:
                self.append_op(op)
                return op.results
            if attrs is op.attrs and _is_typed_alike(op, operands):
                return self._again(op, operands)
            return self.emit(op.defn, operands, attrs, names=[r.name for r in op.results], span=op.span)
        blocks = tuple([self.block_like(block) for block in op.blocks])
        if is_same and blocks == op.blocks and self._stay(op.results):
            self.append_op(op)
            return op.results
        return self.emit(op.defn, operands, attrs, blocks=blocks, like=op.results, mapping=self.mapping, span=op.span)

    def _again(self, op: Op, operands: tuple[Value, ...]) -> tuple[Value, ...]:
        """Append an op for operands of the same types: its results have the types of the old ones."""
        results = tuple([Value(r.type, r.name, r.known) for r in op.results])
        self.append_op(Op(op.defn, operands, op.attrs, results, (), op.span or self.span))
        return results

    def _stay(self, olds: Sequence[Value]) -> bool:
        """Whether the types of values name the same values as before."""
        return not self.names and all(self.mapping.get(d, d) is d for old in olds for d in type_values(old.type))

    def params_like(self, olds: Sequence[Value]) -> tuple[Value, ...]:
        """New block parameters for old ones, entered in the mapping; those that may be `keeps` stay."""
        if self.keeps and self._stay(olds):
            return tuple(olds)
        news = values_like(olds, self.mapping, self.names)
        self.mapping.update(zip(olds, news, strict=True))
        return news

    def param_like(self, old: Value) -> Value:
        """A new block parameter for an old one, entered in the mapping."""
        return self.params_like((old,))[0]

    def block_like(self, block: Block) -> Block:
        """Rebuild a nested block."""
        inner = self.nested()
        params = inner.params_like(block.params)
        return inner.finished(block, params, inner.inline(block, params))

    def finished(self, old: Block, params: tuple[Value, ...], results: tuple[Value, ...]) -> Block:
        """The block that an old one became; itself where nothing changed."""
        if params == old.params and results == old.results and tuple(self.ops) == old.ops:
            return old
        return self.block(params, results, old.label)

    def graph(self, old: Graph) -> Graph:
        """A whole graph, re-emitted here; itself where nothing changed."""
        params = self.params_like(old.params)
        body = self.finished(old.body, params, self.inline(old.body, params))
        return old if body is old.body else Graph(old.name, body, old.device, old.inout, old.policy)

    def inline(self, block: Block, arguments: Sequence[Value] = ()) -> tuple[Value, ...]:
        """Re-emit a block's ops here with `arguments` for its parameters; gives the new results."""
        self.mapping.update(zip(block.params, arguments, strict=True))
        for op in block.ops:
            self.step(op)
        return tuple(map(self.value, block.results))

    def step(self, op: Op) -> None:
        """Re-emit one op, as `visit` says."""
        operands = tuple(map(self.value, op.operands))
        outer, self.span = self.span, op.span or self.span
        results = self.visit(self, op, operands) if self.visit is not None else None
        if results is None:
            results = self.copy(op, operands)
        self.span = outer
        self.mapping.update(zip(op.results, results, strict=True))


def _is_typed_alike(op: Op, operands: Sequence[Value]) -> bool:
    """Whether a type rule would give the op's result types again for other operands."""
    for old, new in zip(op.operands, operands, strict=True):
        if new is not old and (new.known != old.known or (new.type is not old.type and new.type != old.type)):
            return False
    return not [r for r in op.results if r.type.__class__ is not ScalarType and type_values(r.type)]


def with_named_sizes(type: Type, names: Mapping[str, Value]) -> Type:
    """A type with values for named sizes."""
    if not names or not isinstance(type, TensorType):
        return type
    return TensorType(type.dtype, tuple(names.get(d, d) if isinstance(d, str) else d for d in type.shape))


def values_like(
    olds: Sequence[Value], mapping: Mapping[Value, Value], names: Mapping[str, Value] | None = None
) -> tuple[Value, ...]:
    """New values with the types of old ones; sizes are replaced through `mapping` and among themselves, named ones
    through `names`."""
    names = names or {}
    made: dict[Value, Value] = {}
    for old in sorted(olds, key=lambda v: not isinstance(v.type, ScalarType)):
        dims = {d: (made.get(d) or mapping.get(d, d)).dim for d in type_values(old.type)}
        known = None if old.known in names else old.known
        type = substitute_dims(old.type, dims) if dims else old.type
        made[old] = Value(with_named_sizes(type, names), old.name, known)
    return tuple(made[old] for old in olds)


def known_size(name: str, operands: Sequence[Value], attrs: Mapping[str, Any]) -> int | str | None:
    """What is known about the result of a size op: `Value.known` of an i64 constant or of a `dim`."""
    if name == "const" and attrs["type"] == ScalarType(I64):
        return int(attrs["value"])
    if name == "dim":
        dim = operands[0].type.shape[attrs["axis"]]  # type: ignore[union-attr]
        return dim if isinstance(dim, int | str) else None
    return None


def types_follow(op: Op) -> bool:
    """Whether the result types follow from operands and attributes alone (else they are stated)."""
    return not op.defn.infer.__dict__.get("stated", False)


def stated(infer: Callable[..., tuple[Type, ...]]) -> Callable[..., tuple[Type, ...]]:
    """Mark a type rule that cannot infer: the result types of such ops are stated where they are made."""
    infer.__dict__["stated"] = True
    return infer


def rebuild(graph: Graph, visit: Visit | None, *, keeps: bool = False) -> Graph:
    """The graph re-emitted op by op. `visit(b, op, operands)` gives the new results, or None to copy the op. `keeps`:
    no op is emitted more than once, so that what stays as it is can be part of the new graph."""
    b = Rebuilder(visit, {})
    b.keeps = keeps
    return b.graph(graph)
