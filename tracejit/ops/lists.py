"""Growing lists: users' lists and the residuals of loops alike.

A list is linear under push and pop: each version is used once. `list_get` and `list_len` only borrow. The
cotangent of a list is a list aligned with it at the top, whose missing bottom entries are zeros; hence
`list_pop0`, which gives zeros when the list is empty, and `list_add`, which fills missing entries. What they make up
has a cotangent too, so that cotangents may have more entries at the bottom, which nobody reads. An array of zeros among
them is a mark without sizes (None, a null pointer): other entries may have other sizes. Readers say theirs.
Operands `sizes` are the sizes of a tensor element, which the list type does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tracejit.errors import DTypeMismatch, ShapeMismatch
from tracejit.ir.core import Value
from tracejit.ir.opdef import Opaque, Update
from tracejit.ir.types import I64, ListType, ScalarType, TensorType, Type, unsized
from tracejit.ops import loops, nodes
from tracejit.ops.control import branch
from tracejit.ops.define import dims_of, dtype_name, op, require_size


def _list_type(x: Value, name: str) -> ListType:
    if not isinstance(x.type, ListType):
        raise DTypeMismatch(f"{name} takes a list, got {x.type}")
    return x.type


def _element_type(of: Value, sizes: Sequence[Value], name: str) -> Type:
    """The type of an element with these sizes."""
    element = _list_type(of, name).element
    rank = element.rank if isinstance(element, TensorType) else 0
    if len(sizes) != rank:
        raise ShapeMismatch(f"{name}: {len(sizes)} sizes for elements {element}")
    return TensorType(element.dtype, dims_of(sizes, name)) if isinstance(element, TensorType) else element


def _require_element(of: Value, value: Value, name: str) -> ListType:
    kind = _list_type(of, name)
    if unsized(value.type) != kind.element:
        raise DTypeMismatch(f"{name}: {value.type} is not an element of {kind}")
    return kind


class EagerList(list[Any]):
    """The eager form of a list: it knows its element type, so that `list_pop0` can make zeros."""

    def __init__(self, element: Type, items: Iterable[Any] = ()) -> None:
        super().__init__(items)
        self.element = element

    def with_items(self, items: Iterable[Any]) -> EagerList:
        """A list of the same type."""
        return EagerList(self.element, items)


def _element_kind(b: Any, value: Any) -> Type:
    """The element type of lists that hold `value`, a handle or an eager value."""
    if hasattr(value, "type"):
        return unsized(value.type)
    if isinstance(value, EagerList):
        return ListType(value.element)
    dtype = b.dtype(value)
    return ScalarType(dtype) if b.is_scalar(value) else TensorType(dtype, (None,) * b.rank(value))


def _zeros(b: Any, like: Any) -> Any:
    """The neutral cotangent of a list element: zeros, or an empty list."""
    kind = _element_kind(b, like)
    return b.list_new(element=kind.element) if isinstance(kind, ListType) else b.zeros_like(like)


op(
    "list_new",
    (),
    doc="An empty list of `element`s.",
    infer=lambda *, element: (ListType(unsized(element)),),
    eager=lambda xp, *, element: EagerList(unsized(element)),
    vjp=lambda b, g, out, *, element: (),
    lower=Opaque(),
)
op(
    "list_push",
    ("list", "value"),
    doc="The list with a value added at its end.",
    infer=lambda of, value: (_require_element(of, value, "list_push"),),
    eager=lambda xp, of, value: of.with_items([*of, value]),
    vjp=lambda b, g, of, value, out: b.list_pop0(g, b.shape(value)),
    lower=Opaque(updates=True),
)


def _pop_infer(of: Value, sizes: Sequence[Value]) -> tuple[Type, ...]:
    return _list_type(of, "list_pop"), _element_type(of, sizes, "list_pop")


def _pop_vjp(b: Any, g: Any, of: Any, sizes: Sequence[Any], out: Any) -> tuple[Any, ...]:
    rest, value = g
    if value is None:
        value = _zeros(b, out[1])
    if rest is None:
        rest = b.list_new(element=_element_kind(b, out[1]))
    return b.list_push(rest, value), None


def _pop_eager(xp: Any, of: EagerList, sizes: Sequence[Any]) -> tuple[Any, Any]:
    return of.with_items(of[:-1]), of[-1]


def _pop0_eager(xp: Any, of: EagerList, sizes: Sequence[Any]) -> tuple[Any, Any]:
    rest = of.with_items(of[:-1])
    found = of[-1] if of else None
    return rest, _eager_zeros(xp, of, sizes) if found is None else found


def _eager_zeros(xp: Any, of: EagerList, sizes: Sequence[Any]) -> Any:
    match of.element:
        case TensorType(dtype):
            return xp.zeros(tuple(int(n) for n in sizes), dtype_name(dtype))
        case ScalarType(dtype):
            return xp.zeros((), dtype_name(dtype))[()]
        case ListType(element):
            return EagerList(element)


op(
    "list_pop",
    ("list", "*sizes"),
    doc="The list without its last element, and that element. The list is not empty.",
    infer=_pop_infer,
    eager=_pop_eager,
    vjp=_pop_vjp,
    lower=Opaque(updates=True),
)
op(
    "list_pop0",
    ("list", "*sizes"),
    doc="`list_pop`, but of an empty list the list itself and zeros.",
    infer=_pop_infer,
    eager=_pop0_eager,
    vjp=_pop_vjp,
    lower=Opaque(updates=True, nodes=nodes.list_pop0),
)
op(
    "list_len",
    ("list",),
    doc="The number of elements.",
    infer=lambda of: (ScalarType(I64),) if _list_type(of, "list_len") else (),
    eager=lambda xp, of: xp.int64(len(of)),
    vjp="its result is an integer",
    lower=Opaque(),
    ranges=lambda r, of: r.size(),
)


def _get_infer(of: Value, index: Value, sizes: Sequence[Value]) -> tuple[Type, ...]:
    require_size(index, "list_get")
    return (_element_type(of, sizes, "list_get"),)


def _get_vjp(b: Any, g: Any, of: Any, index: Any, sizes: Sequence[Any], out: Any) -> tuple[Any, ...]:
    return Update(lambda running: b.list_add(running, g, index, b.list_len(of))), None, None


op(
    "list_get",
    ("list", "index", "*sizes"),
    doc="Element `index`, which is checked and not negative.",
    infer=_get_infer,
    eager=lambda xp, of, index, sizes: of[int(index)],
    vjp=_get_vjp,
    lower=Opaque(),
    samples=lambda rng: [],
)


def _add_infer(of: Value, value: Value, index: Value, length: Value) -> tuple[Type, ...]:
    require_size(index, "list_add")
    require_size(length, "list_add")
    return (_require_element(of, value, "list_add"),)


def _add_eager(xp: Any, of: EagerList, value: Any, index: Any, length: Any) -> EagerList:
    missing = None if isinstance(of.element, TensorType) else _eager_zeros(xp, of, ())
    filled = of.with_items([missing] * (int(length) - len(of)) + of)
    place = int(index) + len(filled) - int(length)
    before = filled[place]
    filled[place] = value if before is None else before + value
    return filled


def _entry(b: Any, g: Any, place: Any, like: Any) -> Any:
    """Entry `place` of a cotangent; negative ones are those that it lacks at the bottom, which are zeros."""
    return branch(
        b,
        b.ge(place, 0),
        lambda inner, g, place, like: inner.list_get0(g, place, inner.shape(like)),
        lambda inner, g, place, like: _zeros(inner, like),
        (g, place, like),
    )


def _add_vjp(b: Any, g: Any, of: Any, value: Any, index: Any, length: Any, out: Any) -> tuple[Any, ...]:
    """The cotangent of the value is its entry of g."""
    return g, _entry(b, g, index - (length - b.list_len(g)), value), None, None


op(
    "list_add",
    ("list", "value", "index", "length"),
    doc="The cotangent of a list of `length` elements, with the value added to that of element `index`; entries that "
    "it lacks at the bottom are zeros, and more entries than that are of nothing.",
    infer=_add_infer,
    eager=_add_eager,
    vjp=_add_vjp,
    lower=Opaque(loops.list_add, updates=True, nodes=nodes.list_add),
    samples=lambda rng: [],
)


def _set_infer(of: Value, index: Value, value: Value) -> tuple[Type, ...]:
    require_size(index, "list_set")
    return (_require_element(of, value, "list_set"),)


def _set_eager(xp: Any, of: EagerList, index: Any, value: Any) -> EagerList:
    result = of.with_items(of)
    result[int(index)] = value
    return result


def _set_vjp(b: Any, g: Any, of: Any, index: Any, value: Any, out: Any) -> tuple[Any, ...]:
    """The cotangent of the value is its entry of g, where the old element gets none."""
    place = index - (b.list_len(of) - b.list_len(g))
    taken = _entry(b, g, place, value)
    return _cleared(b, g, place), None, taken


def _cleared(b: Any, g: Any, place: Any) -> Any:
    """A cotangent without entry `place`; negative ones are those that it lacks."""
    return branch(
        b,
        b.ge(place, 0),
        lambda inner, g, place: inner.list_clear(g, place),
        lambda inner, g, place: g,
        (g, place),
    )


op(
    "list_set",
    ("list", "index", "value"),
    doc="The list with element `index`, checked and not negative, replaced.",
    infer=_set_infer,
    eager=_set_eager,
    vjp=_set_vjp,
    lower=Opaque(loops.list_set, updates=True, nodes=nodes.list_set),
    samples=lambda rng: [],
)


def _clear_infer(of: Value, index: Value) -> tuple[Type, ...]:
    require_size(index, "list_clear")
    return (_list_type(of, "list_clear"),)


def _clear_eager(xp: Any, of: EagerList, index: Any) -> EagerList:
    result = of.with_items(of)
    result[int(index)] = None if isinstance(of.element, TensorType) else _eager_zeros(xp, of, ())
    return result


def _clear_vjp(b: Any, g: Any, of: Any, index: Any, out: Any) -> tuple[Any, ...]:
    return _cleared(b, g, index - (b.list_len(of) - b.list_len(g))), None


op(
    "list_clear",
    ("list", "index"),
    doc="The cotangent of a list with entry `index` zero; an array becomes a mark.",
    infer=_clear_infer,
    eager=_clear_eager,
    vjp=_clear_vjp,
    lower=Opaque(loops.list_clear, updates=True, nodes=nodes.list_clear),
    samples=lambda rng: [],
)


def _get0_eager(xp: Any, of: EagerList, index: Any, sizes: Sequence[Any]) -> Any:
    found = of[int(index)]
    return _eager_zeros(xp, of, sizes) if found is None else found


op(
    "list_get0",
    ("list", "index", "*sizes"),
    doc="`list_get` of a cotangent: an entry that was cleared gives zeros.",
    infer=_get_infer,
    eager=_get0_eager,
    vjp=_get_vjp,
    lower=Opaque(nodes=nodes.list_get0),
    samples=lambda rng: [],
)


# -- parts of lists of numbers --------------------------------------------------------------------------------------


def _require_numbers(of: Value, name: str, *places: Value) -> ScalarType:
    kind = _list_type(of, name)
    if not isinstance(kind.element, ScalarType):
        raise DTypeMismatch(f"{name} takes a list of numbers, got {kind}")
    for place in places:
        require_size(place, name)
    return kind.element


def _require_part(of: Value, value: Value, name: str, *places: Value) -> tuple[Type, ...]:
    element = _require_numbers(of, name, *places)
    if unsized(value.type) != TensorType(element.dtype, (None,)):
        raise DTypeMismatch(f"{name}: {value.type} is no part of {of.type}")
    return (of.type,)


def _part_infer(name: str) -> Any:
    def infer(of: Value, start: Value, count: Value) -> tuple[Type, ...]:
        return (TensorType(_require_numbers(of, name, start, count).dtype, dims_of((count,), name)),)

    return infer


def _part_eager(xp: Any, of: EagerList, start: Any, count: Any) -> Any:
    assert isinstance(of.element, ScalarType)
    below = min(max(-int(start), 0), int(count))
    items = [0] * below + of[int(start) + below : int(start) + int(count)]
    return xp.asarray(items, dtype=dtype_name(of.element.dtype))


def _part_vjp(b: Any, g: Any, of: Any, start: Any, count: Any, out: Any) -> tuple[Any, ...]:
    return Update(lambda running: b.list_add_part(running, g, start, b.list_len(of))), None, None


op(
    "list_part",
    ("list", "start", "count"),
    doc="The `count` numbers of a list from `start` on, which are there, as an array.",
    infer=_part_infer("list_part"),
    eager=_part_eager,
    vjp=_part_vjp,
    lower=Opaque(loops.list_part, nodes=nodes.list_part),
    samples=lambda rng: [],
)
op(
    "list_part0",
    ("list", "start", "count"),
    doc="`list_part` of a cotangent: at negative places are zeros.",
    infer=_part_infer("list_part0"),
    eager=_part_eager,
    vjp=_part_vjp,
    lower=Opaque(loops.list_part0, nodes=nodes.list_part0),
    samples=lambda rng: [],
)


def _set_part_eager(xp: Any, of: EagerList, start: Any, value: Any) -> EagerList:
    result = of.with_items(of)
    result[int(start) : int(start) + len(value)] = list(value)
    return result


def _set_part_vjp(b: Any, g: Any, of: Any, start: Any, value: Any, out: Any) -> tuple[Any, ...]:
    """The cotangent of the value is its part of g, where the old elements get none."""
    place, count = start - (b.list_len(of) - b.list_len(g)), b.shape(value)[0]
    taken = b.list_part0(g, place, count)
    return b.list_clear_part(g, place, count), None, taken


op(
    "list_set_part",
    ("list", "start", "value"),
    doc="The list of numbers with those from `start` on, which are there, replaced by the elements of an array.",
    infer=lambda of, start, value: _require_part(of, value, "list_set_part", start),
    eager=_set_part_eager,
    vjp=_set_part_vjp,
    lower=Opaque(loops.list_set_part, updates=True, nodes=nodes.list_set_part),
    samples=lambda rng: [],
)


def _clear_part_infer(of: Value, start: Value, count: Value) -> tuple[Type, ...]:
    _require_numbers(of, "list_clear_part", start, count)
    return (of.type,)


def _clear_part_eager(xp: Any, of: EagerList, start: Any, count: Any) -> EagerList:
    first, end = max(int(start), 0), max(int(start) + int(count), 0)
    result = of.with_items(of)
    result[first:end] = [_eager_zeros(xp, of, ())] * (end - first)
    return result


def _clear_part_vjp(b: Any, g: Any, of: Any, start: Any, count: Any, out: Any) -> tuple[Any, ...]:
    return b.list_clear_part(g, start - (b.list_len(of) - b.list_len(g)), count), None, None


op(
    "list_clear_part",
    ("list", "start", "count"),
    doc="The cotangent of a list of numbers with `count` of them zero, from `start` on; at negative places are none.",
    infer=_clear_part_infer,
    eager=_clear_part_eager,
    vjp=_clear_part_vjp,
    lower=Opaque(loops.list_clear_part, updates=True, nodes=nodes.list_clear_part),
    samples=lambda rng: [],
)


def _add_part_eager(xp: Any, of: EagerList, value: Any, start: Any, length: Any) -> EagerList:
    for i, x in enumerate(value):
        if int(start) + i >= 0:
            of = _add_eager(xp, of, x, int(start) + i, length)
    return of


def _add_part_vjp(b: Any, g: Any, of: Any, value: Any, start: Any, length: Any, out: Any) -> tuple[Any, ...]:
    return g, b.list_part0(g, start - (length - b.list_len(g)), b.shape(value)[0]), None, None


op(
    "list_add_part",
    ("list", "value", "start", "length"),
    doc="`list_add` of an array to the cotangents of the numbers from `start` on; what is at negative places is not "
    "added.",
    infer=lambda of, value, start, length: _require_part(of, value, "list_add_part", start, length),
    eager=_add_part_eager,
    vjp=_add_part_vjp,
    lower=Opaque(loops.list_add_part, updates=True, nodes=nodes.list_add_part),
    samples=lambda rng: [],
)
