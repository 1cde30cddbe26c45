"""Subscripts: which view an index denotes, and reads and writes that need gather, scatter or masks.

Integers, slices, None and Ellipsis give views of the same memory; integer arrays and boolean masks read copies.
A write reads its right side in full first and never stretches its target.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Sequence

from tracejit.frontend.arith import Arithmetic, is_python_number
from tracejit.frontend.context import Context
from tracejit.frontend.control.choices import as_number
from tracejit.frontend.control.optionals import as_element
from tracejit.frontend.control.unreachable import Unreachable
from tracejit.frontend.sizes import MAX_SHOWN, key
from tracejit.frontend.tensors import elements, scattering
from tracejit.frontend.tensors.index_items import condition_mask, is_condition, is_view_index, places_together
from tracejit.frontend.tensors.slices import permuted, slice_bounds
from tracejit.frontend.values import (
    ArrayView,
    FrontValue,
    Number,
    Size,
    SliceValue,
    Static,
    describe,
    type_name,
)
from tracejit.ir.core import Value
from tracejit.ir.types import BOOL, F64, I64, U64, DType, ScalarType
from tracejit.records import record

Index = FrontValue

_NO_INDEX = (
    "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or boolean arrays are valid "
    "indices"
)


@dataclasses.dataclass(slots=True)
class _Fancy:
    """Array indices left over after the basic part: axis of the basic view -> array view.

    `front`: other items stand between array indices (integers beside arrays count as such), so that their axes come
    first in the result, as in NumPy.
    """

    arrays: dict[int, ArrayView]
    front: bool = False


@record
class Places:
    """Places in a view: `index` counts along `count` of its axes, from `axis` on, taken as one."""

    view: ArrayView
    axis: int
    count: int
    index: Value | None


class Indexing:
    """Subscript reads and writes."""

    def __init__(self, ctx: Context, arith: Arithmetic) -> None:
        self.ctx = ctx
        self.arith = arith

    def of_scalar(self, x: Number, items: Sequence[Index], node: ast.AST) -> FrontValue:
        """`x[...]` and `x[None]` of a NumPy scalar: new axes are all that it takes."""
        if any(i not in (Static(None), Static(Ellipsis)) for i in items):
            self.ctx.check_false("IndexError", "invalid index to scalar variable.")
        if Static(None) not in items:
            return Number(x.value, weak=False)
        return self.read(self.ctx.fresh(self.ctx.b.emit("broadcast", (x.value,))[0]), items, node)

    # -- single places --------------------------------------------------------------------------------------

    def checked_index(
        self, index: FrontValue, length: Size, axis: int, node: ast.AST, message: str | None = None
    ) -> Size:
        """A non-negative index below `length`; raises IndexError at run time otherwise."""
        ctx, sizes = self.ctx, self.ctx.sizes
        i = ctx.as_size(index, node)
        message = message or f"index {{0}} is out of bounds for axis {axis} with size {{1}}"
        if not sizes.at_least(i, 0):
            if isinstance(i, int):
                wrapped = sizes.add(ctx.b, length, i)
                if not sizes.at_least(wrapped, 0) and ctx.boundscheck:
                    zero, at = ctx.size_value(0), ctx.size_value(wrapped)
                    ctx.check(
                        ctx.b.emit("ge", (at, zero))[0],
                        "IndexError",
                        message,
                        ctx.size_value(i),
                        ctx.size_value(length),
                    )
                    sizes.note_lower(wrapped, 0)
                return wrapped
            zero, n = ctx.size_value(0), ctx.size_value(length)
            negative = ctx.b.emit("lt", (i, zero))[0]
            j = ctx.b.emit("select", (negative, ctx.b.emit("add", (i, n))[0], i), names=(i.name,))[0]
            if ctx.boundscheck:
                inside = ctx.b.emit("logical_and", (ctx.b.emit("ge", (j, zero))[0], ctx.b.emit("lt", (j, n))[0]))[0]
                ctx.check(inside, "IndexError", message, i, n)
            sizes.note_lower(j, 0)
            sizes.note_below(j, length)
            return j
        if ctx.boundscheck and not sizes.is_below(i, length):
            at, n = ctx.size_value(i), ctx.size_value(length)
            ctx.check(ctx.b.emit("lt", (at, n))[0], "IndexError", message, at, n)
            sizes.note_below(i, length)
        return i

    # -- views ------------------------------------------------------------------------------------------------

    def expand(self, view: ArrayView, items: Sequence[Index], node: ast.AST) -> list[Index]:
        """The index with its Ellipsis spelled out and trailing full slices added."""
        consumed = sum(self.axes_of(i) for i in items)
        if consumed > view.rank:
            self.arith.mismatch(
                IndexError(
                    f"too many indices for array: array is {view.rank}-dimensional, but {consumed} were indexed"
                ),
                node,
            )
        full = SliceValue(None, None, None)
        out: list[Index] = []
        seen = False
        for item in items:
            if isinstance(item, Static) and item.value is Ellipsis:
                if seen:
                    self.arith.mismatch(IndexError("an index can only have a single ellipsis ('...')"), node)
                seen = True
                out.extend([full] * (view.rank - consumed))
            else:
                out.append(item)
        if not seen:
            out.extend([full] * (view.rank - consumed))
        return out

    @staticmethod
    def axes_of(item: Index) -> int:
        """How many axes one index item consumes."""
        if is_condition(item) or (isinstance(item, Static) and (item.value is None or item.value is Ellipsis)):
            return 0
        if isinstance(item, ArrayView) and item.dtype == BOOL:
            return item.rank
        return 1

    def basic(
        self, view: ArrayView, items: Sequence[Index], node: ast.AST, front: bool = False
    ) -> tuple[ArrayView, _Fancy]:
        """The view the basic part of an index denotes, with array indices left as full slices."""
        ctx, sizes, b = self.ctx, self.ctx.sizes, self.ctx.b
        offset = view.offset
        strides: list[Size] = []
        lengths: list[Size] = []
        prefix: list[Size] = []
        plain = view.plain
        fancy = _Fancy({}, front)
        axis = 0
        for item in items:
            if is_condition(item):
                fancy.arrays[len(lengths)] = condition_mask(self.arith, item, node)
            if self.axes_of(item) == 0:
                strides.append(0)
                lengths.append(1)
                plain = False
                continue
            length, stride = view.lengths[axis], view.strides[axis]
            if isinstance(item, SliceValue):
                if item.start is None and item.stop is None and item.step is None:
                    strides.append(stride)
                    lengths.append(length)
                else:
                    start, count, step = slice_bounds(ctx, item, length, node)
                    offset = sizes.add(b, offset, sizes.mul(b, start, stride))
                    strides.append(sizes.mul(b, step, stride))
                    lengths.append(count)
                    plain = plain and start == 0 and step == 1 and key(count) == key(length)
            elif isinstance(item, ArrayView) and item.rank > 0:
                fancy.arrays[len(lengths)] = item
                for k in range(self.axes_of(item)):
                    strides.append(view.strides[axis + k])
                    lengths.append(view.lengths[axis + k])
            else:
                if _is_no_integer(item):
                    self.arith.mismatch(IndexError(_NO_INDEX), node)
                index = self.checked_index(item, length, axis, node)
                offset = sizes.add(b, offset, sizes.mul(b, index, stride))
                if lengths:
                    plain = False
                prefix.append(index)
            axis += self.axes_of(item)
        made = ArrayView(
            view.storage,
            view.dtype,
            offset,
            tuple(strides),
            tuple(lengths),
            (*view.prefix, *prefix) if plain else (),
            plain,
            readonly=view.readonly,
        )
        if (
            view.is_whole
            and all(_is_full(i) or (isinstance(i, Static) and i.value is None) for i in items)
            and not plain
        ):
            made = dataclasses.replace(made, via=("reshape",))
        return made, fancy

    def view(self, view: ArrayView, items: Sequence[Index], node: ast.AST) -> tuple[ArrayView, _Fancy]:
        """Resolve an index."""
        self.ctx.at(node)
        return self.basic(view, self.expand(view, items, node), node, self.is_divided(items))

    # -- reading ------------------------------------------------------------------------------------------------

    def read(self, view: ArrayView, items: Sequence[Index], node: ast.AST) -> FrontValue:
        """`x[items]`: an element, a view, or (array indices) a copy."""
        self.ctx.at(node)
        front = self.is_divided(items)
        opens = any(isinstance(i, Static) and i.value is Ellipsis for i in items)
        items = self.expand(view, items, node)
        if len(items) == view.rank and not opens and all(self.is_integer(i) for i in items):
            return elements.read(self.ctx, view, self.element_places(view, items, node))
        made, fancy = self.basic(view, items, node, front)
        return self.gather(made, fancy, node) if fancy.arrays else made

    def element_places(self, view: ArrayView, items: Sequence[Index], node: ast.AST) -> list[Size]:
        """The checked indices of one element."""
        return [self.checked_index(i, n, k, node) for k, (i, n) in enumerate(zip(items, view.lengths, strict=True))]

    @staticmethod
    def is_integer(item: Index) -> bool:
        """Whether an index item is a single integer."""
        match item:
            case Number():
                return item.dtype.is_integer
            case Static(value):
                return not isinstance(value, bool) and value is not None and hasattr(value, "__index__")
            case ArrayView():
                return item.rank == 0 and item.dtype.is_integer
            case _:
                return False

    def gather(self, view: ArrayView, fancy: _Fancy, node: ast.AST) -> FrontValue:
        """A copy of the places the array indices name."""
        b = self.ctx.b
        axis, mask = next(iter(fancy.arrays.items()))
        if len(fancy.arrays) == 1 and mask.dtype == BOOL and mask.rank == view.rank:
            count, picked = b.emit("mask_read", (self.ctx.load(view), self.fitted_mask(mask, view, axis, node)))
            self.ctx.sizes.note_lower(count, 0)
            return self.ctx.fresh(picked)
        at = self.flat_index(view, fancy, node)
        assert at.index is not None
        source = self.merged(at.view, at.axis, at.count)
        return self.ctx.fresh(b.emit("gather", (source, at.index), {"axis": at.axis})[0])

    def places(self, view: ArrayView, flat: FrontValue, node: ast.AST) -> list[FrontValue]:
        """The index of each axis for one that counts the elements in C order."""
        ctx, sizes, b = self.ctx, self.ctx.sizes, self.ctx.b
        if view.rank == 1:
            return [flat]
        total: Size = 1
        for n in view.lengths:
            total = sizes.mul(b, total, n)
        rest = ctx.size_value(self.checked_index(flat, total, 0, node, "index {0} is out of bounds for size {1}"))
        found: list[FrontValue] = []
        for n in reversed(view.lengths):
            length = ctx.size_value(n)
            found.insert(0, Number(b.emit("mod", (rest, length))[0], weak=True))
            rest = b.emit("floordiv", (rest, length))[0]
        return found

    def is_divided(self, items: Sequence[Index]) -> bool:
        """Whether an item that is no array index (or integer) stands between two that are."""
        if is_view_index(items):
            return False
        places = [k for k, item in enumerate(items) if self.is_integer(item) or not is_view_index([item])]
        return places != list(range(places[0], places[-1] + 1))

    def flat_index(self, view: ArrayView, fancy: _Fancy, node: ast.AST) -> Places:
        """The places that the array indices name together."""
        ctx = self.ctx
        axes = sorted(fancy.arrays)
        if len(axes) == 1 and fancy.arrays[axes[0]].dtype == BOOL:
            return self.flat_mask(self.moved(view, axes[0], fancy), fancy.arrays[axes[0]], node)
        along: list[int] = []
        places: list[ArrayView] = []
        for a in axes:
            found = self.places_of(view, a, fancy.arrays[a], node)
            along += range(a, a + len(found))
            places += found
        index = places_together(self.arith, places, [view.lengths[a] for a in along], node)
        at = 0 if fancy.front else along[0]
        rest = [k for k in range(view.rank) if k not in along]
        turned = permuted(view, (*rest[:at], *along, *rest[at:]))
        return Places(turned, at, len(along), ctx.load(index))

    def places_of(self, view: ArrayView, axis: int, index: ArrayView, node: ast.AST) -> list[ArrayView]:
        """An array index as checked places, one array per axis it consumes; a mask as those of its true elements."""
        if index.dtype != BOOL:
            return [self.checked_places(index, view.lengths[axis], axis, node)]
        ctx, b = self.ctx, self.ctx.b
        self.check_mask(index, view, axis, node)
        held = ctx.load(index)
        sizes = [ctx.size_value(n) for n in index.lengths]
        found: list[ArrayView] = []
        for k in range(index.rank):
            places = b.emit("iota", sizes, {"axis": k, "dtype": I64})[0]
            count, picked = b.emit("mask_read", (places, held))
            ctx.sizes.note_lower(count, 0)
            found.append(ctx.fresh(picked))
        return found

    def moved(self, view: ArrayView, axis: int, fancy: _Fancy) -> Places:
        """The view with the axes of its only array index in front where NumPy has them there."""
        count = self.axes_of(fancy.arrays[axis])
        if not fancy.front or axis == 0:
            return Places(view, axis, count, None)
        along = list(range(axis, axis + count))
        rest = [k for k in range(view.rank) if k not in along]
        return Places(permuted(view, (*along, *rest)), 0, count, None)

    def flat_mask(self, at: Places, mask: ArrayView, node: ast.AST) -> Places:
        """A mask over some axes, as the places of its true elements."""
        ctx, b = self.ctx, self.ctx.b
        self.check_mask(mask, at.view, at.axis, node)
        total: Size = 1
        for length in mask.lengths:
            total = ctx.sizes.mul(b, total, length)
        flat = b.emit("reshape", (ctx.load(mask), ctx.size_value(total)))[0]
        places = b.emit("iota", (ctx.size_value(total),), {"axis": 0, "dtype": I64})[0]
        count, index = b.emit("mask_read", (places, flat))
        ctx.sizes.note_lower(count, 0)
        return dataclasses.replace(at, index=index)

    def fitted_mask(self, mask: ArrayView, view: ArrayView, axis: int, node: ast.AST) -> Value:
        """A mask checked against the axes it selects from, in their sizes."""
        self.check_mask(mask, view, axis, node)
        wanted = view.lengths[axis : axis + mask.rank]
        content = self.ctx.load(mask)
        if self.ctx.same_lengths(mask.lengths, wanted):
            return content
        return self.ctx.b.emit("broadcast", (content, *map(self.ctx.size_value, wanted)), {"exact": True})[0]

    def check_mask(self, mask: ArrayView, view: ArrayView, axis: int, node: ast.AST) -> None:
        """A mask must have the size of the axes it selects from."""
        ctx = self.ctx
        for k, length in enumerate(mask.lengths):
            expected = view.lengths[axis + k]
            if isinstance(length, int) and isinstance(expected, int) and length != expected:
                text = f"boolean index did not match indexed array along axis {axis + k}; size of axis is {expected}"
                self.arith.mismatch(IndexError(f"{text} but size of corresponding boolean axis is {length}"), node)
            if key(length) != key(expected):
                same = ctx.b.emit("eq", (ctx.size_value(length), ctx.size_value(expected)))[0]
                text = (
                    f"boolean index did not match indexed array along axis {axis + k}; "
                    "size of axis is {1} but size of corresponding boolean axis is {0}"
                )
                ctx.check(same, "IndexError", text, ctx.size_value(length), ctx.size_value(expected))

    def merged(self, view: ArrayView, axis: int, count: int) -> Value:
        """The content of a view with `count` axes from `axis` on reshaped into one."""
        ctx, b = self.ctx, self.ctx.b
        content = ctx.load(view)
        if count == 1:
            return content
        total: Size = 1
        for length in view.lengths[axis : axis + count]:
            total = ctx.sizes.mul(b, total, length)
        lengths = [*view.lengths[:axis], total, *view.lengths[axis + count :]]
        return b.emit("reshape", (content, *map(ctx.size_value, lengths)))[0]

    def checked_places(self, index: ArrayView, length: Size, axis: int, node: ast.AST) -> ArrayView:
        """An integer array as i64 places: negative ones counted from the end, all checked."""
        ctx, b = self.ctx, self.ctx.b
        if not index.dtype.is_integer:
            self.arith.mismatch(IndexError("arrays used as indices must be of integer (or boolean) type"), node)
        value = ctx.load(index)
        if index.dtype != I64:
            value = b.emit("cast", (value,), {"dtype": I64})[0]
        h = ctx.handle(value)
        n = ctx.handle(ctx.size_value(length))
        wrapped = b.select(b.lt(h, 0), b.add(h, n), h)
        if not ctx.boundscheck:
            return ctx.fresh(wrapped.value)
        outside = b.logical_or(b.lt(wrapped, 0), b.ge(wrapped, n))
        bad = b.any(outside, axes=tuple(range(index.rank))).value
        good = b.emit("logical_not", (b.emit("fetch", (bad,))[0],))[0]
        ctx.check(good, "IndexError", f"index is out of bounds for axis {axis} with size {{0}}", ctx.size_value(length))
        return ctx.fresh(wrapped.value)

    # -- writing ------------------------------------------------------------------------------------------------

    def write(self, view: ArrayView, items: Sequence[Index], value: FrontValue, node: ast.AST) -> None:
        """`x[items] = value`."""
        self.ctx.at(node)
        front, value = self.is_divided(items), as_number(self.ctx.b, elements.current(self.ctx, value))
        value = as_element(self, value, view.dtype, node)
        items = self.expand(view, items, node)
        if len(items) == view.rank and all(self.is_integer(i) for i in items):
            places = self.element_places(view, items, node)
            return self.ctx.set_element(view, places, self.element_value(value, view.dtype, node))
        target, fancy = self.basic(view, items, node, front)
        if not fancy.arrays:
            return self.assign(target, value, node)
        axis, mask = next(iter(fancy.arrays.items()))
        if len(fancy.arrays) == 1 and mask.dtype == BOOL and self.arith.is_number(value):
            return self.write_masked(target, axis, mask, value, node)
        return scattering.write(self, self.flat_index(target, fancy, node), value, node)

    def element_value(self, value: FrontValue, dtype: DType, node: ast.AST) -> Value:
        """A number converted to an array's dtype for one element (NumPy's `unsafe` casting of assignments)."""
        if isinstance(value, ArrayView):
            if value.rank:
                self.arith.mismatch(ValueError("setting an array element with a sequence."), node)
            value = self.ctx.element(value, ())
        if not self.arith.is_number(value):
            self.arith.mismatch(TypeError(f"an array element cannot hold '{type_name(value)}'"), node)
        value = self.whole_number(value, dtype)
        self.check_fits(value, dtype)
        if dtype.kind != "c" and _kind(value) == "c" and is_python_number(value):
            self.arith.mismatch(TypeError("float() argument must be a string or a real number, not 'complex'"), node)
        return self.arith.scalar(value, dtype)

    def whole_number(self, value: FrontValue, dtype: DType) -> FrontValue:
        """A float to be stored in an integer array as the Python int without its fraction, as NumPy takes it; a nan is
        a ValueError, what does not fit 64 bits an OverflowError. Others stay as they are: NumPy casts float64 scalars
        to unsigned dtypes without a check."""
        is_float = isinstance(value, Static) and isinstance(value.value, float)
        is_float = is_float or (isinstance(value, Number) and value.dtype == F64)
        if not (dtype.is_integer and is_float) or (dtype.kind == "u" and not is_python_number(value)):
            return value
        b, number = self.ctx.b, self.arith.scalar(value, F64)
        self.ctx.check(
            b.emit("logical_not", (b.emit("isnan", (number,))[0],))[0],
            "ValueError",
            "cannot convert float NaN to integer",
        )
        self.ctx.check(
            b.emit("logical_not", (b.emit("isinf", (number,))[0],))[0],
            "OverflowError",
            "cannot convert float infinity to integer",
        )
        high = 2.0**64 if dtype == U64 else 2.0**63
        low, top = (b.constant(n, ScalarType(F64)) for n in (-(2.0**63), high))
        inside = b.emit("logical_and", (b.emit("ge", (number, low))[0], b.emit("lt", (number, top))[0]))[0]
        self.ctx.check(inside, "OverflowError", "Python int too large to convert to C long")
        if dtype != U64:
            return Number(b.emit("cast", (number,), {"dtype": I64})[0], weak=True)
        one = b.constant(-1.0, ScalarType(F64))
        message = f"Python integer {{0}} out of bounds for {dtype.numpy_name}"
        whole = b.emit("cast", (b.emit("minimum", (number, b.constant(0.0, ScalarType(F64))))[0],), {"dtype": I64})[0]
        self.ctx.check(b.emit("gt", (number, one))[0], "OverflowError", message, whole)
        return Number(b.emit("cast", (number,), {"dtype": U64})[0], weak=False)

    def check_fits(self, value: FrontValue, dtype: DType) -> None:
        """A Python int stored in an integer array must fit it (NumPy raises OverflowError)."""
        if not (is_python_number(value) and dtype.is_integer and dtype.bits < 64 and _kind(value) == "i"):
            return
        low = -(2 ** (dtype.bits - 1)) if dtype.kind == "i" else 0
        high = 2 ** (dtype.bits - (dtype.kind == "i")) - 1
        message = f"Python integer {{0}} out of bounds for {dtype.numpy_name}"
        if isinstance(value, Static):
            if not low <= value.value <= high:
                self.ctx.always_raise("OverflowError", message.format(value.value))
            return
        b, v = self.ctx.b, self.arith.scalar(value, I64)
        inside = b.emit(
            "logical_and",
            (b.emit("ge", (v, self.ctx.size_value(low)))[0], b.emit("le", (v, self.ctx.size_value(high)))[0]),
        )
        self.ctx.check(inside[0], "OverflowError", message, v)

    def content_for(self, value: FrontValue, lengths: Sequence[Size], dtype: DType, node: ast.AST) -> Value:
        """The right side of an assignment, cast and broadcast to the target's shape (which is never stretched)."""
        ctx, b = self.ctx, self.ctx.b
        sizes = [ctx.size_value(n) for n in lengths]
        if self.arith.is_number(value):
            return b.emit("broadcast", (self.element_value(value, dtype, node), *sizes))[0]
        if not isinstance(value, ArrayView):
            ctx.refuse(node, f"{describe(value)} cannot be assigned to an array", "convert it with np.array first")
        content = ctx.load(value)
        if value.dtype != dtype:
            content = b.emit("cast", (content,), {"dtype": dtype})[0]
        return self.fit(content, value.lengths, lengths, node)

    def fit(self, content: Value, have: Sequence[Size], want: Sequence[Size], node: ast.AST) -> Value:
        """Broadcast `content` to the target's lengths; extra leading axes of size 1 are dropped, as NumPy does."""
        ctx, b = self.ctx, self.ctx.b
        message = _shape_message(len(have), len(want))
        payload = [ctx.size_value(n) for n in (*have, *want)][:MAX_SHOWN]
        while len(have) > len(want):
            if have[0] != 1:
                self.require_fit(have[0], 1, message, payload, node)
            have = have[1:]
            content = b.emit("reshape", (content, *map(ctx.size_value, have)))[0]
        if ctx.same_lengths(have, want):
            return content
        exact = self.require_broadcast(have, want, message, payload, node)
        sizes = [ctx.size_value(n) for n in want]
        return b.emit("broadcast", (content, *sizes), {"exact": exact})[0]

    def check_broadcast(self, have: Sequence[Size], want: Sequence[Size], node: ast.AST) -> None:
        """Raise `ValueError` unless an array of some lengths can be stretched to others."""
        payload = [self.ctx.size_value(n) for n in (*have, *want)][:MAX_SHOWN]
        self.require_broadcast(have, want, _shape_message(len(have), len(want)), payload, node)

    def require_broadcast(
        self, have: Sequence[Size], want: Sequence[Size], message: str, payload: Sequence[Value], node: ast.AST
    ) -> bool:
        """`require_fit` of all lengths; gives whether it is known which of them are stretched."""
        exact = True
        for n, m in zip(reversed(have), reversed(want), strict=False):
            if key(n) != key(m) and n != 1:
                exact = self.require_fit(n, m, message, payload, node) and exact
        return exact

    def require_fit(self, n: Size, m: Size, message: str, payload: Sequence[Value], node: ast.AST) -> bool:
        """Raise `ValueError` unless n is m or 1; gives whether it is m for sure then."""
        ctx, b = self.ctx, self.ctx.b
        ctx.at(node)
        if isinstance(n, int) and isinstance(m, int):
            ctx.check(b.constant(False, ScalarType(BOOL)), "ValueError", message, *payload)
            raise Unreachable
        nv, mv = ctx.size_value(n), ctx.size_value(m)
        fits = b.emit("eq", (nv, mv))[0]
        exact = m == 1 or ctx.sizes.at_least(n, 2)
        if not exact:
            fits = b.emit("logical_or", (fits, b.emit("eq", (nv, ctx.size_value(1)))[0]))[0]
        ctx.check(fits, "ValueError", message, *payload)
        return exact

    def assign(self, target: ArrayView, value: FrontValue, node: ast.AST) -> None:
        """Write a whole view."""
        content = self.content_for(value, target.lengths, target.dtype, node)
        self.ctx.store(target, content)

    def write_masked(self, view: ArrayView, axis: int, mask: ArrayView, value: FrontValue, node: ast.AST) -> None:
        """`x[mask] = number`: a select over the whole view."""
        ctx, b = self.ctx, self.ctx.b
        cond = self.fitted_mask(mask, view, axis, node)
        sizes = [ctx.size_value(n) for n in view.lengths]
        if mask.rank < view.rank:
            padded = [*[1] * axis, *view.lengths[axis : axis + mask.rank], *[1] * (view.rank - axis - mask.rank)]
            cond = b.emit("reshape", (cond, *map(ctx.size_value, padded)))[0]
            cond = b.emit("broadcast", (cond, *sizes), {"exact": True})[0]
        new = b.emit("broadcast", (self.element_value(value, view.dtype, node), *sizes))[0]
        ctx.store(view, b.emit("select", (cond, new, ctx.load(view)))[0])


def _is_full(item: Index) -> bool:
    return isinstance(item, SliceValue) and item.start is None and item.stop is None and item.step is None


def _is_no_integer(item: Index) -> bool:
    """Whether an index is a number or constant that is no integer."""
    if isinstance(item, Number):
        return not item.dtype.is_integer
    return isinstance(item, Static) and not hasattr(item.value, "__index__")


def _kind(value: FrontValue) -> str:
    if isinstance(value, Number | ArrayView):
        return value.dtype.kind
    assert isinstance(value, Static)
    obj = value.value
    if hasattr(obj, "dtype"):
        return str(obj.dtype.kind)
    return "b" if isinstance(obj, bool) else "i" if isinstance(obj, int) else "f" if isinstance(obj, float) else "c"


def _shape_message(have: int, want: int) -> str:
    def part(start: int, count: int) -> str:
        shown = ",".join(f"{{{i}}}" if i < MAX_SHOWN else "?" for i in range(start, start + count))
        return f"({shown},)" if count == 1 else f"({shown})"

    return f"could not broadcast input array from shape {part(0, have)} into shape {part(have, want)}"
