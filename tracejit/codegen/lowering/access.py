"""Elements of values on demand, and every access to memory that this takes.

Asking for the element of a value at an index asks the operands of its op at their indices; what is asked twice is
remembered by (value, index). Addresses are split so that their loop-invariant part is named outside the loop. Where all
accesses to a buffer begin at one place that the caller knows, the kernel is given the buffer from there on: kernels of
parts of arrays are those of whole ones.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TypeAlias

from tracejit.codegen.loop_ir import Cast, Const, Expr, Offset, Scalar, Select, Var
from tracejit.codegen.lowering.code import Code
from tracejit.codegen.lowering.complex import Complex
from tracejit.codegen.lowering.elements import ZERO, Array, Element, Index, load, parts, ravel, stores, unravel
from tracejit.ir.aliasing import has_storage, is_flat
from tracejit.ir.core import Op, Value
from tracejit.ir.opdef import Pointwise, Reduction
from tracejit.ir.types import Dim, TensorType, Type
from tracejit.records import record

Outer: TypeAlias = "Callable[[Value], Array | Element]"
Sizes: TypeAlias = "Callable[[Dim], Expr]"


#: Groups of at least so many values are computed in order rather than by recursion.
LONG = 24


@record
class Access:
    """A load or store, in the order in which they are emitted."""

    buffer: Var
    address: Expr
    is_store: bool
    is_apart: bool = False  #: from what the kernel writes into the buffer


class Operand:
    """What a lowering rule sees of an operand: its type, its sizes, and its element at an index."""

    __slots__ = ("maker", "type", "value")

    def __init__(self, maker: Elements, value: Value) -> None:
        self.maker = maker
        self.value = value
        self.type: Type = value.type

    @property
    def shape(self) -> Index:
        """The sizes of its axes."""
        return self.maker.sizes_of(self.value)

    def __call__(self, index: Sequence[Expr]) -> Element:
        return self.maker.element(self.value, tuple(index))

    def flat(self, at: Expr) -> Element:
        """The element with that C-order index."""
        return self.maker.flat_element(self.value, at)


class Elements:
    """Elements on demand: values inside the group by their ops, values outside from arrays and scalars."""

    def __init__(self, code: Code, ops: Sequence[Op], outer: Outer, size: Sizes) -> None:
        self.code = code
        self.k = code.k
        self.outer = outer
        self.size = size
        self.producers: dict[Value, Op] = {r: op for op in ops for r in op.results}
        self.memo: dict[tuple[Value, Index], Element] = {}
        self.operands: dict[Value, Operand] = {}
        self.fold: Callable[[Op, Index], Element] | None = None
        self.accesses: list[Access] = []
        self._is_apart = False  #: what is read now is
        self.address_names: set[Var] = set()
        self.spills: dict[Value, Array] = {}
        self.spilled: set[Value] = set()
        self.still: Collection[Var] | None = None  #: buffers that the kernel is given whole; None: all
        self.starts: dict[Var, dict[Expr, Var]] = {}  #: the others, by where accesses begin, from there on

    def sizes_of(self, value: Value) -> Index:
        """The sizes of a value's axes; none for a host scalar."""
        if not isinstance(value.type, TensorType):
            return ()
        return tuple(self.size(d) for d in value.type.shape if d is not None)

    def operand(self, value: Value) -> Operand:
        """The accessor of a value."""
        found = self.operands.get(value)
        if found is None:
            found = self.operands[value] = Operand(self, value)
        return found

    def prepare(self, values: Iterable[Value], index: Index) -> None:
        """Compute values that long chains of elementwise ops make, in order, so that no chain is followed at once."""
        if len(self.producers) < LONG:
            return
        chain: dict[Value, None] = {}
        queue = list(values)
        while queue:
            value = queue.pop()
            op = self.producers.get(value)
            if (
                op is not None
                and value not in chain
                and isinstance(op.defn.lower, Pointwise)
                and op.defn.lower.own_index
            ):
                chain[value] = None
                if value not in self.spilled:
                    queue.extend(v for v in op.operands if isinstance(v.type, TensorType))
        for value in self.producers if chain else ():
            if value in chain:
                self.element(value, index)

    def element(self, value: Value, index: Index) -> Element:
        """The element of a value at an index."""
        key = (value, index)
        found = self.memo.get(key)
        if found is None:
            found = self._spilled(value, index) if value in self.spills else self._compute(value, index)
            if self._depth(found) <= max((self.code.depth(i) for i in index), default=0):
                self.memo[key] = found
        return found

    def _spilled(self, value: Value, index: Index) -> Element:
        """A costly value that several loops need: the first one keeps it in a result that is written later."""
        array = self.spills[value]
        if value in self.spilled:
            return self.load(array, index, value.name)
        found = self._compute(value, index)
        self.store(array, index, found)
        return found

    def _depth(self, x: Element) -> int:
        if isinstance(x, Complex):
            return max(self.code.depth(x.re), self.code.depth(x.im))
        return self.code.depth(x)

    def _compute(self, value: Value, index: Index) -> Element:
        op = self.producers.get(value)
        if op is None:
            place = self.outer(value)
            return self.load(place, index, value.name) if isinstance(place, Array) else place
        match op.defn.lower:
            case Pointwise() if self._is_reshaped(op):
                return self.flat_element(op.operands[0], ravel(self.k, index, self.sizes_of(value)))
            case Pointwise(fn):
                operands = op.defn.group([self.operand(v) for v in op.operands])
                before, self._is_apart = self._is_apart, "apart" in op.attrs
                found = self.k.let(fn(self.k, index, *operands, **op.attrs), value.name)
                self._is_apart = before
                return found
            case Reduction():
                assert self.fold is not None
                return self.fold(op, index)
            case _:
                return self.k.const(op.attrs["value"], op.attrs["type"].dtype)

    def _is_reshaped(self, op: Op) -> bool:
        """Whether an op gives other axes to an array that lies in C order: an element's C-order index is its place."""
        if not is_flat(op) or _units_apart(op.operands[0]) == _units_apart(op.results[0]):
            return False
        return self._in_order(self._source(op.operands[0])) is not None

    def _source(self, value: Value) -> Value:
        """What has the elements of a value in their order, and is no other such value of the group."""
        while (
            value in self.producers
            and is_flat(self.producers[value])
            and has_storage(self.producers[value].operands[0])
        ):
            value = self.producers[value].operands[0]
        return value

    def _in_order(self, value: Value) -> Array | None:
        """The array from outside that a value is, if it lies in C order."""
        place = None if value in self.producers else self.outer(value)
        return place if isinstance(place, Array) and place.contiguous else None

    def flat_element(self, value: Value, at: Expr) -> Element:
        """The element of a value with a C-order index."""
        value = self._source(value)
        place = self._in_order(value)
        if place is not None:
            self.accesses.append(Access(place.buffer, at, False, self._is_apart))
            return self.k.let(load(*self._from_start(place, at), place.type.dtype, self.k), value.name)
        return self.element(value, unravel(self.k, at, self.sizes_of(value)))

    def load(self, array: Array, index: Index, name: str) -> Element:
        """An element of an array outside the group."""
        at = array.address(self.k, index)
        self.accesses.append(Access(array.buffer, at, False, self._is_apart))
        return self.k.let(load(*self._from_start(array, at), array.type.dtype, self.k), name)

    def store(self, array: Array, index: Index, value: Element) -> None:
        """Write an element of a result."""
        at = array.address(self.k, index)
        self.accesses.append(Access(array.buffer, at, True))
        self.code.emit(*stores(*self._from_start(array, at), value, self.k))

    def _from_start(self, array: Array, address: Expr) -> tuple[Var, Expr]:
        """The buffer from where its accesses begin, and the place in it."""
        buffer = array.buffer
        if self.still is None or buffer in self.still or array.type.dtype.is_complex:
            return buffer, self.sum_of(address)
        start, rest = ZERO, ZERO
        for term in _addends(address):
            if self._is_known(term):
                start = self.k.add(start, term)
            else:
                rest = self.k.add(rest, term)
        starts = self.starts.setdefault(buffer, {})
        if start not in starts:
            starts[start] = buffer if start == ZERO else Var(buffer.name, buffer.type)
            if buffer in self.code.volatile:
                self.code.volatile.add(starts[start])
        return starts[start], self.sum_of(rest)

    def _is_known(self, e: Expr) -> bool:
        """Whether the caller of the kernel knows what an expression is."""
        if isinstance(e, Var):
            return e not in self.code.depths
        return isinstance(e, Const | Scalar | Cast | Select) and all(map(self._is_known, parts(e)))

    def spread(self) -> set[Var]:
        """Buffers whose accesses begin at several places."""
        return {buffer for buffer, starts in self.starts.items() if len(starts) > 1}

    def given(self) -> dict[Var, Offset]:
        """What the kernel is given for buffers that begin elsewhere."""
        return {
            var: Offset(buffer, start, buffer.type)  # type: ignore[arg-type]
            for buffer, starts in self.starts.items()
            for start, var in starts.items()
            if var is not buffer
        }

    def sum_of(self, address: Expr) -> Expr:
        """An address with its loop-invariant part named outside the loop, the innermost index and then a number added
        last: neighbours have the rest in common."""
        terms = sorted(_addends(address), key=self.code.depth)
        total, number = ZERO, ZERO
        depth = 0
        for term in terms:
            if isinstance(term, Const):
                number = self.k.add(number, term)
                continue
            if self.code.depth(term) > depth:
                total = self._name(total)
                depth = self.code.depth(term)
            total = self.k.add(total, term)
        return self.k.add(total, number)

    def _name(self, partial: Expr) -> Expr:
        named = self.code.bind(partial, "at")
        if isinstance(named, Var) and named is not partial:
            self.address_names.add(named)
        return named


def _units_apart(value: Value) -> list[Dim | None]:
    """The sizes of a tensor's axes but those of size 1."""
    return [d for d in value.type.shape if d != 1] if isinstance(value.type, TensorType) else []


def _addends(e: Expr) -> Iterator[Expr]:
    if getattr(e, "op", None) == "add":
        for part in parts(e):
            yield from _addends(part)
    else:
        yield e
