"""Running derivative rules on arrays.

`RuleBuilder` is an `EagerBuilder` with two economies: a product that nobody asks for is not computed, and an
`Update` changes the running cotangent in place, so that reading one element costs one element backward.
`values_read` finds out which operands' values (not only shapes) a rule reads, by running it on the IR's builder.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tracejit.eager.tensor import ir_dtype, raw
from tracejit.ir.builder import Builder, EagerBuilder, Handle
from tracejit.ir.core import Value, values_behind
from tracejit.ir.opdef import REGISTRY, Contraction, OpDef, Update
from tracejit.ir.types import BOOL, F64, I64, ScalarType, TensorType
from tracejit.ops.define import allowed_dtypes

if TYPE_CHECKING:
    from tracejit.eager.tape import OpNode


class Deferred:
    """A result that is computed when it is asked for."""

    __slots__ = ("compute",)

    def __init__(self, compute: Callable[[], Any]) -> None:
        self.compute = compute


def force(x: Any) -> Any:
    """The value of a deferred result; anything else itself."""
    return x.compute() if isinstance(x, Deferred) else x


class _Overwriting:
    """An array module whose `array(x)` hands over x itself: ops that copy their base first then update it."""

    def __init__(self, xp: Any) -> None:
        self._xp = xp

    def __getattr__(self, name: str) -> Any:
        return getattr(self._xp, name)

    def array(self, x: Any, order: str = "C") -> Any:
        return x


class RuleBuilder(EagerBuilder):
    """Executes the ops of one rule. `lazy` defers products; `owned` is an array that may be overwritten."""

    def __init__(self, xp: Any, lazy: bool = False) -> None:
        super().__init__(xp)
        self.lazy = lazy
        self.owned: Any = None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in REGISTRY or REGISTRY[name].eager is None:
            return super().__getattr__(name)
        defn = REGISTRY[name]
        return lambda *operands, **attrs: self._run(defn, operands, attrs)

    def _run(self, defn: OpDef, operands: Sequence[Any], attrs: dict[str, Any]) -> Any:
        assert defn.eager is not None
        operands = [force(x) for x in operands]
        if self.owned is not None and operands and operands[0] is self.owned:
            return defn.eager(_Overwriting(self.xp), *operands, **attrs)
        if self.lazy and isinstance(defn.lower, Contraction):
            return Deferred(lambda: defn.eager(self.xp, *operands, **attrs))  # type: ignore[misc]
        return defn.eager(self.xp, *operands, **attrs)

    def update(self, update: Update, running: Any) -> Any:
        """Apply an update to a running cotangent that may be overwritten."""
        self.owned = running
        try:
            return update.apply(running)
        finally:
            self.owned = None


def spread(entries: Sequence[Any], operands: Sequence[Any]) -> list[Any]:
    """A rule's entries, one per flat operand; None for a group stands for None of each."""
    flat: list[Any] = []
    for entry, operand in zip(entries, operands, strict=True):
        if not isinstance(operand, tuple | list):
            flat.append(entry)
        elif entry is None:
            flat.extend([None] * len(operand))
        else:
            flat.extend(entry)
    return flat


def values_read(node: OpNode, rule: Callable[..., Any]) -> tuple[set[int], bool]:
    """Flat indices of the operands whose values the rule reads, for the cotangents that are wanted, and whether it
    reads the result. Everything, where the rule cannot run on the IR's builder."""
    everything = set(range(len(node.flat))), True
    b = Builder()
    stretch = node.outs[0].shape if getattr(node.defn.lower, "own_index", False) else ()
    operands = [_symbol(x, stretch) for x in node.flat]
    handles = iter([b.wrap(v) for v in operands])
    grouped = [tuple(next(handles) for _ in x) if isinstance(x, tuple | list) else next(handles) for x in node.operands]
    outs = [_symbol(out) for out in node.outs]
    seeds = [b.wrap(_symbol(out)) for out in node.outs]
    results = [b.wrap(v) for v in outs]
    single = len(outs) == 1
    try:
        entries = rule(
            b, seeds[0] if single else tuple(seeds), *grouped, results[0] if single else tuple(results), **node.attrs
        )
        wanted = list(_wanted(b, node, entries, operands))
    except Exception:  # a rule that needs eager operands: then everything counts as read
        return everything
    needed = values_behind(b.ops, wanted)
    return {i for i, v in enumerate(operands) if v in needed}, any(v in needed for v in outs)


@functools.cache
def reads_first_operand(defn: OpDef) -> bool:
    """Whether the derivative of an elementwise op reads the value of its first operand."""
    if isinstance(defn.vjp, str):
        return False
    dtype = F64 if F64 in (allowed_dtypes(defn) or ()) else BOOL
    b = Builder()
    x, *others, g, out = (Value(TensorType(dtype, (2,))) for _ in range(len(defn.signature) + 2))
    try:
        entries = defn.vjp(b, b.wrap(g), b.wrap(x), *map(b.wrap, others), b.wrap(out))
    except Exception:  # a rule that needs eager operands
        return True
    return x in values_behind(b.ops, [e.value for e in entries if isinstance(e, Handle)])


def _symbol(x: Any, stretch: tuple[int, ...] = ()) -> Value:
    """A value of the type of x; a constant that stretches over elementwise operands gets their shape."""
    array = raw(x)
    if isinstance(array, bool | int | float):
        return Value(
            ScalarType({bool: BOOL, int: I64, float: F64}[type(array)]), known=array if type(array) is int else None
        )
    shape = stretch if array.ndim == 0 else tuple(array.shape)
    return Value(TensorType(ir_dtype(array.dtype), shape))


def _wanted(b: Builder, node: OpNode, entries: Sequence[Any], operands: Sequence[Value]) -> Iterable[Value]:
    for edge, entry, operand in zip(node.edges, spread(entries, node.operands), operands, strict=True):
        if edge is None or entry is None:
            continue
        if isinstance(entry, Update):
            assert isinstance(operand.type, TensorType)
            entry = entry.apply(b.full(0, operand.type.shape, operand.type.dtype))
        if isinstance(entry, Handle):
            yield entry.value
