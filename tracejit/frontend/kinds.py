"""Types of values that meet, and the kinds of items that growing lists hold.

A list whose length is known at run time only holds items of one kind: numbers of one type, arrays of one dtype and
rank, or tuples of such. Its content is one or more `list<T>` values, the *slots*: one for a number, one for an
array and one more for each of its sizes that varies from item to item.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Container, Iterable, Sequence
from dataclasses import field
from functools import reduce
from typing import Any, TypeAlias

from tracejit.frontend.arith import is_python_number, python_kind
from tracejit.frontend.control.choices import MAX_LISTED
from tracejit.frontend.sizes import key
from tracejit.frontend.values import (
    ArrayView,
    ChoiceValue,
    DictValue,
    Family,
    FrontValue,
    GrowingList,
    ListValue,
    MessageValue,
    Number,
    ObjectValue,
    OptionalValue,
    SharedList,
    SharedObject,
    SharedText,
    SharedVariant,
    Static,
    TupleValue,
    describe,
    family_of,
    root_of,
    shown_class,
)
from tracejit.ir.types import (
    BOOL,
    BY_NUMPY_NAME,
    C128,
    F64,
    I64,
    DType,
    ScalarType,
    TensorType,
    Type,
    promote,
    promote_weak,
)
from tracejit.records import record

_WEAK = {"b": BOOL, "i": I64, "f": F64, "c": C128}
_ORDER = "bifc"


def join_number_types(a: tuple[DType, bool], b: tuple[DType, bool]) -> tuple[DType, bool]:
    """The common (dtype, weak) of two numbers that meet."""
    (a_dtype, a_weak), (b_dtype, b_weak) = a, b
    if a_weak and b_weak:
        kind = max(a_dtype.kind, b_dtype.kind, key=_ORDER.index)
        return _WEAK[kind], True
    if a_weak:
        return promote_weak(a_dtype.kind, b_dtype), False
    if b_weak:
        return promote_weak(b_dtype.kind, a_dtype), False
    return promote(a_dtype, b_dtype), False


def number_type(x: FrontValue) -> tuple[DType, bool] | None:
    """(dtype, weak) of a number; None for anything else, and for members of an IntEnum, which stay so."""
    if isinstance(x, Number):
        return x.dtype, x.weak
    if isinstance(x, Static) and isinstance(x.value, enum.Enum):
        return None
    if is_python_number(x):
        return _WEAK[python_kind(x)], True
    if isinstance(x, Static) and hasattr(x.value, "dtype") and getattr(x.value, "shape", None) == ():
        return BY_NUMPY_NAME[x.value.dtype.name], False
    return None


@record
class NumberKind:
    """Numbers: Python's (`weak`) or NumPy scalars."""

    dtype: DType
    weak: bool


@record
class ArrayKind:
    """Arrays of one dtype and rank; a size is a number, that of an argument by name, or None where it varies. `placed`:
    they change in place, and lie in the memory of their dtype (`placed_arrays.py`)."""

    dtype: DType
    sizes: tuple[int | str | None, ...]
    placed: bool = False


@record
class TupleKind:
    """Tuples (or lists of one length, `cls` is `list`) of items of these kinds."""

    items: tuple[Kind, ...]
    cls: type
    keys: frozenset[object] = field(default=frozenset(), compare=False)  #: the places that made them

    def joined(self, other: TupleKind) -> frozenset[object]:
        return self.keys | other.keys

    @property
    def is_ordered_by_items(self) -> bool:
        """Whether `<` is that of tuples, and none that the class of a NamedTuple defines."""
        return not isinstance(getattr(self.cls, "__lt__", None), types.FunctionType)


@record
class SharedKind:
    """Lists of one pool, named by what all its lists have in common (`shared_lists.Pools.root`)."""

    root: object


@record
class InstanceKind:
    """Instances of one class, by their numbers in its pool; or of those of a family, where `cls` is that."""

    cls: type
    family: type | None = field(default=None, compare=False)  #: that the class belongs to


@record
class OptionalKind:
    """Items of a kind, or None."""

    item: Kind


@record
class ConstantKind:
    """One compile-time object."""

    value: Any


@record
class ChoiceKind:
    """Compile-time objects of a class, one for each item: texts in alphabetical order, or members of an Enum in its."""

    options: tuple[Any, ...]


@record
class TextKind:
    """Texts that are made at run time, by their numbers (`made_texts.py`). `is_open`: they may show floats."""

    is_open: bool


Kind: TypeAlias = (
    NumberKind | ArrayKind | TupleKind | SharedKind | InstanceKind | OptionalKind | ConstantKind | ChoiceKind | TextKind
)

#: None alone.
NONE = ConstantKind(None)

#: What an empty list holds as long as nothing was put into it.
NOTHING = NumberKind(F64, weak=True)


class NoKind(Exception):
    """Values that one growing list cannot hold; the text says which. `lists`: the places of lists among them, which may
    come to share a pool; `instance`: an object or a container, whose class or place may come to have one; `classes`:
    those of pools that may become one; `tuples`: the places of tuples of several lengths."""

    def __init__(
        self,
        text: str,
        lists: frozenset[object] = frozenset(),
        instance: FrontValue | None = None,
        classes: frozenset[type] = frozenset(),
        tuples: frozenset[object] = frozenset(),
    ) -> None:
        super().__init__(text)
        self.lists = lists
        self.instance = instance
        self.classes = classes
        self.tuples = tuples


def _may_be_long(*kinds: Kind) -> frozenset[object]:
    """The places that made tuples of several lengths, where all their items are of one kind."""
    known = [k for k in kinds if isinstance(k, TupleKind) and k.cls is tuple]
    are_tuples = all(k in known or (isinstance(k, InstanceKind) and shown_class(k.cls) is tuple) for k in kinds)
    if not are_tuples or len({item for k in known for item in k.items}) > 1:
        return frozenset()
    return frozenset[object]().union(*(k.keys for k in known))


def _fixed(size: object, names: Container[str]) -> int | str | None:
    """A size that is the same for all items; None for one that may differ."""
    return size if isinstance(size, int) or (isinstance(size, str) and size in names) else None


def kind_of(value: FrontValue, names: Container[str]) -> Kind:
    """The kind of an item; `names` are the sizes of arguments. Raises `NoKind` for what such lists cannot hold."""
    number = number_type(value)
    if number is not None:
        return NumberKind(*number)
    match value:
        case ArrayView():
            return ArrayKind(value.dtype, tuple(_fixed(key(n), names) for n in value.lengths))
        case TupleValue(items, cls):
            return TupleKind(tuple(kind_of(i, names) for i in items), cls or tuple, value.keys)
        case ListValue(items):
            return TupleKind(tuple(kind_of(i, names) for i in items), list, value.keys)
        case GrowingList():
            raise NoKind(describe(value), value.keys)
        case SharedList():
            return SharedKind(root_of(value))
        case SharedObject():
            return InstanceKind(value.cls, family_of(value.pool))
        case SharedVariant(_, pool):
            return InstanceKind(family_of(pool) or Family, family_of(pool))
        case SharedText() | MessageValue():
            from tracejit.frontend.texts.text_fields import is_open

            return TextKind(is_open(value))
        case ObjectValue() | DictValue() | Static(set()):
            raise NoKind(describe(value), instance=value)
        case OptionalValue(_, inner):
            return OptionalKind(kind_of(inner, names))
        case Static(None | str() | enum.Enum()):
            return ConstantKind(value.value)
        case ChoiceValue(_, options) if isinstance(options[0].value, str | enum.Enum):
            return _choice([o.value for o in options])
        case _:
            raise NoKind(describe(value))


def _are_alike(a: ArrayKind, b: ArrayKind) -> bool:
    """Whether arrays of two kinds can be in one list: those that change in place are of one dtype."""
    return a.dtype == b.dtype or not (a.placed or b.placed)


def _optional(kind: Kind | None) -> OptionalKind:
    assert kind is not None
    return OptionalKind(kind)


def _choice(options: Sequence[Any]) -> ChoiceKind:
    """The kind of items that are one of these objects each."""
    if len(options) > MAX_LISTED:
        raise NoKind(f"more than {MAX_LISTED} texts or members of an Enum")
    cls: Any = type(options[0])
    members: list[Any] = [] if issubclass(cls, str) else list(cls)
    return ChoiceKind(tuple(sorted(options, key=members.index if members else None)))


def join_kinds(a: Kind | None, b: Kind | None) -> Kind | None:
    """The kind that items of both have; None is that of no items. Raises `NoKind` where there is none."""
    match a, b:
        case None, _:
            return b
        case _, None:
            return a
        case NumberKind(), NumberKind():
            return NumberKind(*join_number_types((a.dtype, a.weak), (b.dtype, b.weak)))
        case ArrayKind(), ArrayKind() if len(a.sizes) == len(b.sizes) and _are_alike(a, b):
            sizes = tuple(m if m == n else None for m, n in zip(a.sizes, b.sizes, strict=True))
            return ArrayKind(promote(a.dtype, b.dtype), sizes, a.placed or b.placed)
        case (NumberKind() as number, ArrayKind(dtype, (), False)) | (
            ArrayKind(dtype, (), False),
            NumberKind() as number,
        ):
            return NumberKind(*join_number_types((number.dtype, number.weak), (dtype, False)))
        case TupleKind(), TupleKind() if a.cls is b.cls and len(a.items) == len(b.items):
            items = (join_kinds(x, y) for x, y in zip(a.items, b.items, strict=True))
            return TupleKind(tuple(k for k in items if k is not None), a.cls, a.joined(b))
        case (SharedKind(), SharedKind()) | (InstanceKind(), InstanceKind()) if a == b:
            return a
        case InstanceKind(family=family), InstanceKind() if family is not None and family is b.family:
            return InstanceKind(family, family)
        case OptionalKind(x), OptionalKind(y):
            return _optional(join_kinds(x, y))
        case (OptionalKind(x) as whole, y) | (y, OptionalKind(x) as whole):
            return whole if y == NONE else _optional(join_kinds(x, y))
        case ConstantKind(), ConstantKind() if type(a.value) is type(b.value) and a.value == b.value:
            return a
        case ConstantKind() | ChoiceKind(), ConstantKind() | ChoiceKind() if _class_of(a) is _class_of(b) is not None:
            return _choice(list(dict.fromkeys((*_options(a), *_options(b)))))
        case TextKind(), TextKind():
            return TextKind(a.is_open or b.is_open)
        case (TextKind() as texts, x) | (x, TextKind() as texts) if holds_texts(x):
            return texts
        case _ if NONE in (a, b):
            return _optional(b if a == NONE else a)
        case _:
            classes = frozenset(k.cls for k in (a, b) if isinstance(k, InstanceKind))
            raise NoKind(
                f"{describe_kind(a)} and {describe_kind(b)}",
                list_places(a) | list_places(b),
                classes=classes if len(classes) > 1 else frozenset(),
                tuples=_may_be_long(a, b),
            )


#: So many items are told apart by branches.
_FEW = 32


def are_many_alike(items: Sequence[FrontValue], few: int = _FEW) -> bool:
    """Whether items are so many numbers of one type that code for each, or branches between them, take longer to
    compile than a list that lies in memory."""
    return len(items) > few and len({number_type(i) for i in items}) == 1 and number_type(items[0]) is not None


def have_one_form(items: Sequence[FrontValue]) -> bool:
    """Whether items are numbers of one type, texts, or tuples of such."""
    forms = set(map(_form, items))
    return len(forms) == 1 and None not in forms


def _form(x: FrontValue) -> object:
    if isinstance(x, TupleValue):
        parts = tuple(map(_form, x.items))
        return None if None in parts else (x.cls, *parts)
    return str if isinstance(x, Static) and isinstance(x.value, str) else number_type(x)


def holds_texts(kind: Kind) -> bool:
    """Whether items of a kind are texts that are known when compiling."""
    return isinstance(kind, ConstantKind | ChoiceKind) and _class_of(kind) is str


def _options(kind: ConstantKind | ChoiceKind) -> tuple[Any, ...]:
    return kind.options if isinstance(kind, ChoiceKind) else (kind.value,)


def _class_of(kind: ConstantKind | ChoiceKind) -> type | None:
    """The class of objects of which several can be in a list."""
    first = _options(kind)[0]
    return type(first) if isinstance(first, str | enum.Enum) else None


def list_places(kind: Kind) -> frozenset[object]:
    """The places that make the lists among items of a kind."""
    match kind:
        case SharedKind(root):
            return frozenset((root,))
        case TupleKind(cls=cls, keys=keys) if cls is list:
            return keys
        case TupleKind(items):
            return frozenset[object]().union(*map(list_places, items))
        case OptionalKind(item):
            return list_places(item)
        case _:
            return frozenset()


def tuple_places(kind: Kind) -> frozenset[object]:
    """The places that make the tuples among items of a kind."""
    match kind:
        case TupleKind(items, cls, keys):
            own = keys if cls is tuple else frozenset[object]()
            return own.union(*map(tuple_places, items))
        case OptionalKind(item):
            return tuple_places(item)
        case _:
            return frozenset()


def pooled_classes(kind: Kind) -> frozenset[type]:
    """The classes of the objects of pools among items of a kind."""
    match kind:
        case InstanceKind(cls):
            return frozenset((cls,))
        case TextKind():
            return frozenset((str,))
        case TupleKind(items):
            return frozenset[type]().union(*map(pooled_classes, items))
        case OptionalKind(item):
            return pooled_classes(item)
        case _:
            return frozenset()


def may_be_none(kind: Kind) -> bool:
    """Whether items of a kind, or parts of them, may be None."""
    return isinstance(kind, OptionalKind) or (isinstance(kind, TupleKind) and any(map(may_be_none, kind.items)))


def kind_of_items(items: Iterable[FrontValue], names: Container[str]) -> Kind | None:
    """The kind that all items have; None for no items. Raises `NoKind`."""
    return reduce(join_kinds, (kind_of(i, names) for i in items), None)


def are_of_one_kind(items: Iterable[FrontValue], names: Container[str]) -> bool:
    """Whether all items have a kind, and the same."""
    try:
        kind_of_items(items, names)
    except NoKind:
        return False
    return True


def slots(kind: Kind) -> list[Type]:
    """The element types of the lists that hold items of this kind."""
    match kind:
        case NumberKind(dtype):
            return [ScalarType(dtype)]
        case ArrayKind(dtype, sizes, is_placed):
            lengths = [ScalarType(I64) for n in sizes if n is None]
            return [ScalarType(I64) if is_placed else TensorType(dtype, (None,) * len(sizes)), *lengths]
        case TupleKind(items):
            return [s for k in items for s in slots(k)] or [ScalarType(BOOL)]
        case SharedKind() | InstanceKind() | ChoiceKind() | TextKind():
            return [ScalarType(I64)]
        case OptionalKind(item):
            return [ScalarType(BOOL), *slots(item)]
        case ConstantKind():
            return [ScalarType(BOOL)]


def describe_kind(kind: Kind) -> str:
    """A kind in the user's words, for messages."""
    match kind:
        case NumberKind(dtype, True):
            return {"b": "a bool", "i": "an int", "f": "a float", "c": "a complex"}[dtype.kind]
        case NumberKind(dtype):
            return f"a NumPy {dtype.numpy_name} scalar"
        case ArrayKind(dtype, sizes):
            return f"a {len(sizes)}-d array of {dtype.numpy_name}"
        case TupleKind(items, cls):
            return f"a {cls.__name__} of {len(items)}"
        case SharedKind():
            return "a list"
        case InstanceKind(cls) if issubclass(cls, Family):
            return f"a {' or '.join(member.__name__ for member in cls.classes)}"
        case InstanceKind(cls):
            return f"a {shown_class(cls).__name__}"
        case OptionalKind(item):
            return f"{describe_kind(item)} or None"
        case ConstantKind(value):
            return repr(value)
        case TextKind():
            return "a text"
        case ChoiceKind(options):
            return "a text" if isinstance(options[0], str) else f"a {type(options[0]).__name__}"
