"""What a Python name can stand for while a function is lowered: run-time values and compile-time objects.

`Number` and `ArrayView` are run-time values of the graph; `Static` is any Python object known when the function
is compiled (literals, functions, dtypes, modules, None); the containers hold the others. All are immutable
except `ListValue` and `DictValue`, which are Python's own mutable containers with a known structure.
"""

from __future__ import annotations

import ast
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from tracejit.frontend.syntax.source import FunctionSource
from tracejit.ir.core import Value
from tracejit.ir.types import DType
from tracejit.records import record

if TYPE_CHECKING:
    from tracejit.frontend.boundary.signature import Access
    from tracejit.frontend.context import Frame
    from tracejit.frontend.kinds import Kind

Size: TypeAlias = "int | Value"


@record
class Number:
    """A host scalar. `weak`: a Python number (its dtype is bool, i64, f64 or c128), else a NumPy scalar. `boxed`: it is
    returned as an array of rank 0, which a few functions of NumPy give."""

    value: Value
    weak: bool
    boxed: bool = False

    @property
    def dtype(self) -> DType:
        return self.value.type.dtype  # type: ignore[union-attr]


@record
class ArrayView:
    """An array name: a storage class and where the view lies in its base.

    Offset and strides count elements of the base's logical C order. A view of the form `base[i, j]` keeps its
    leading indices in `prefix` (then it is `plain`: the rest is whole), so that element accesses stay n-d.
    `via` names the op that reads the view from the whole base where there is one: `("reshape",)` or
    `("transpose", perm)`; it says nothing new, but such ops have leaner derivatives than strided reads.
    `readonly`: NumPy gives this view as one that may not be written, whatever its base; a bool value of the graph where
    that depends on the path.
    """

    storage: int
    dtype: DType
    offset: Size
    strides: tuple[Size, ...]
    lengths: tuple[Size, ...]
    prefix: tuple[Size, ...] = ()
    plain: bool = False
    via: tuple[Any, ...] = ()
    readonly: bool | Value = False

    def viewed(
        self, offset: Size, strides: Sequence[Size], lengths: Sequence[Size], via: tuple[Any, ...] = ()
    ) -> ArrayView:
        """Another view of the same memory, derived from this one."""
        place = self.storage, self.dtype, offset, tuple(strides), tuple(lengths)
        return ArrayView(*place, (), plain=False, via=via, readonly=self.readonly)

    @property
    def rank(self) -> int:
        return len(self.lengths)

    @property
    def is_whole(self) -> bool:
        """Whether the view is its base itself."""
        return self.plain and not self.prefix


@record
class Static:
    """A Python object known at compile time."""

    value: Any


@record
class TupleValue:
    """A tuple or NamedTuple (`cls`) of known length."""

    items: tuple[FrontValue, ...]
    cls: type | None = None
    keys: frozenset[object] = field(default=frozenset(), compare=False)  #: the places that may have made it


@record
class DictView(TupleValue):
    """The keys, values or items of a dict of known keys; `kind` is what Python calls it."""

    kind: str = "dict_keys"


#: The classes of the keys, values and items of dicts by name.
VIEWS = {type(v).__name__: type(v) for d in ({}, OrderedDict[Any, Any]()) for v in (d.keys(), d.values(), d.items())}


@dataclass(slots=True, eq=False)
class ListValue:
    """A list of known length; a mutable object with identity, as in Python."""

    items: list[FrontValue]
    level: int = 0  #: control-flow depth where it was made; changed at another one, it becomes a `GrowingList`
    keys: frozenset[object] = frozenset()  #: the places in the program that may have made it


@record
class GrowingList:
    """A list whose length is known at run time only: the storage classes of its slots (`kinds.slots`)."""

    storages: tuple[int, ...]
    kind: Kind
    keys: frozenset[object]


@record(eq=False)
class Shared:
    """What other lists may hold, and several names stand for: number `at` of a pool."""

    at: Value
    pool: ObjectValue


@record(eq=False)
class SharedList(Shared):
    """A list in a pool of lists (`written/lists.py`)."""


@record(eq=False)
class SharedObject(Shared):
    """An instance of a class in the pool of that (`pooled_objects.py`)."""

    @property
    def cls(self) -> type:
        """The class."""
        return root_of(self)  # type: ignore[return-value]


class Family:
    """What stands for classes whose objects meet in a list, or under one name: a subclass has them."""

    classes: tuple[type, ...] = ()


@record(eq=False)
class SharedVariant(Shared):
    """An instance of one of the classes of a family, by a number that tells which (`variants.py`)."""

    @property
    def classes(self) -> tuple[type, ...]:
        """The classes."""
        return root_of(self).classes  # type: ignore[attr-defined]


@record(eq=False)
class SharedText(Shared):
    """A text in the memory of those that are made at run time (`made_texts.py`)."""


@dataclass(slots=True, eq=False)
class DictValue:
    """A dict with static keys. A write replaces `items` (`objects.Heap.write`)."""

    items: Mapping[Any, FrontValue]
    access: Access | None = None  #: where the caller's own dict is found
    keys: frozenset[object] = frozenset()  #: the places in the program that may have made it
    cls: type = dict
    factory: FrontValue | None = None  #: what makes the missing values of a defaultdict
    is_mixed: bool = False  #: whether its keys are in one order or another, by the path taken

    def like(self, items: Mapping[Any, FrontValue], keys: frozenset[object] | None = None) -> DictValue:
        """A dict of the same class."""
        return DictValue(items, None, self.keys if keys is None else keys, self.cls, self.factory, self.is_mixed)

    @property
    def contents(self) -> Mapping[Any, FrontValue]:
        """What a write replaces."""
        return self.items

    @contents.setter
    def contents(self, value: Mapping[Any, FrontValue]) -> None:
        self.items = value


def dict_class(kind: type) -> type:
    """The class of a dict from outside, as far as scripts tell them apart."""
    return OrderedDict if issubclass(kind, OrderedDict) else dict


@dataclass(slots=True, eq=False)
class ObjectValue:
    """An instance of a class, with its attributes. A write replaces `fields` (`objects.Heap.write`)."""

    cls: type
    fields: Mapping[str, FrontValue]
    access: Access | None = None  #: where the caller's own object is found
    keys: frozenset[object] = frozenset()  #: the places in the program that may have made it

    @property
    def contents(self) -> Mapping[Any, FrontValue]:
        """What a write replaces."""
        return self.fields

    @contents.setter
    def contents(self, value: Mapping[Any, FrontValue]) -> None:
        self.fields = value


#: Objects that can be changed and keep their identity.
Mutable: TypeAlias = DictValue | ObjectValue


@dataclass(slots=True, eq=False)
class Once:
    """Where an iterator was made (the depth of blocks, and of unrolled loops), and what ran over it."""

    place: tuple[int, int]
    user: ast.AST | None = None


@record
class SequenceValue:
    """Something to iterate: a length and an item for each index. `static` is the length when it is known."""

    length: Size
    item: Callable[[Any], FrontValue]
    static: int | None = None
    range: tuple[Size, Size, Size] | None = None  #: start, stop and step, for what `range` made
    sources: frozenset[int] = frozenset()  #: classes of the arrays and growing lists that items are read from
    known: tuple[tuple[ListValue, int], ...] = ()  #: lists of known length that it runs over, and how long they were
    once: Once | None = None  #: for what Python's iterators are, which are used up by what runs over them
    is_manager: bool = False  #: whether `with` enters it, and gives it itself
    of_ranges: bool = False  #: whether its items are made of the numbers of ranges
    #: raises what running out of items raises (`zip` with `strict=True`), where the loop over them did that
    ended: Callable[[bool | Value], None] | None = None

    @property
    def counts(self) -> bool:
        """Whether its items are numbers of ranges, or made of such: the index tells them."""
        return self.of_ranges or self.range is not None

    def ran_out(self) -> None:
        """All items were taken."""
        if self.ended is not None:
            self.ended(True)


@record(eq=False)
class Closure:
    """A function defined inside the function being lowered, or a lambda."""

    source: FunctionSource
    frame: Frame  #: the function it was made in: names are looked up there when it is called
    defaults: tuple[FrontValue, ...] = ()
    kw_defaults: tuple[FrontValue | None, ...] = ()

    def is_same(self, other: Closure) -> bool:
        """Whether two closures do the same: one definition in one call of the function around it."""
        mine, theirs = (*self.defaults, *self.kw_defaults), (*other.defaults, *other.kw_defaults)
        same = self.source.node is other.source.node and self.frame is other.frame
        return same and all(a is b or (isinstance(a, Static) and a == b) for a, b in zip(mine, theirs, strict=True))


@dataclass(slots=True, eq=False)
class GeneratorValue:
    """A generator: a function that yields, with its arguments. It runs once, in the loop where it was made."""

    source: FunctionSource
    env: Mapping[str, FrontValue]
    closure: Closure | None
    loops: int  #: in how many loops it was made
    used: bool = False


@record
class Transformed:
    """`tj.grad(fn)` or `tj.value_and_grad(fn)`, waiting for its arguments."""

    kind: str
    fn: FrontValue
    argnums: int | tuple[int, ...] = 0
    has_aux: bool = False
    unused: str = "zero"


@record
class BoundMethod:
    """`receiver.name`, to be called."""

    receiver: FrontValue
    name: str


@record
class BoundFunction:
    """A callable with its first arguments: a method of an object, `super().method`, `functools.partial`."""

    fn: FrontValue
    args: tuple[FrontValue, ...]
    kwargs: tuple[tuple[str, FrontValue], ...] = ()


@record
class SuperValue:
    """`super()` in a method of `cls`: its attributes are those of the classes behind `cls`, seen from `receiver`."""

    cls: type
    receiver: FrontValue


@record
class MaybeUnbound:
    """A name that is bound on some paths only; reading it checks `bound` at run time."""

    bound: Value
    value: FrontValue


@record
class MaybeNumber(MaybeUnbound):
    """A name that is an array where `bound` holds and a number elsewhere: reading it where an array stands beside it
    takes either, elsewhere the array. `node` is what made it."""

    number: FrontValue
    node: ast.AST


@record
class OptionalValue:
    """A value, or None where `some` does not hold. Used without a condition, it is an error where it is None; as an
    argument of NumPy and the like it is refused, unless `checked`."""

    some: Value
    value: FrontValue
    checked: bool = False


@record
class ChoiceValue:
    """One of several compile-time objects of one class (strings, members of an Enum), by an i64 index."""

    index: Value
    options: tuple[Static, ...]


@record
class MessageValue:
    """Text with run-time values in it (an f-string): a template (`messages.py`), numbers, and contents of arrays."""

    template: str
    values: tuple[Value, ...]
    arrays: tuple[Value, ...] = ()


@record
class SliceValue:
    """A slice in a subscript."""

    start: FrontValue | None
    stop: FrontValue | None
    step: FrontValue | None


@record
class Rest:
    """As the last argument of a call: a tuple of all others, of a length known at run time only."""

    items: FrontValue


FrontValue: TypeAlias = (
    Number
    | ArrayView
    | Static
    | TupleValue
    | ListValue
    | GrowingList
    | SharedList
    | SharedObject
    | SharedVariant
    | SharedText
    | DictValue
    | ObjectValue
    | SequenceValue
    | Closure
    | GeneratorValue
    | BoundMethod
    | BoundFunction
    | SuperValue
    | Transformed
    | MaybeUnbound
    | OptionalValue
    | ChoiceValue
    | MessageValue
    | SliceValue
    | Rest
)


#: The attribute of a class of the definitions in `written/` that says which of Python's it stands for.
STANDS_FOR = "tracejit_stands_for"


def shown_class(cls: type) -> type:
    """The class that a user sees: of the classes of the definitions the one that it stands for."""
    return vars(cls).get(STANDS_FOR, cls)


def describe(value: FrontValue) -> str:
    """A value's kind in the user's words, for messages."""
    match value:
        case GrowingList() | SharedList():
            return "a list of a length known at run time only"
        case Number(_, True):
            return {"b": "bool", "i": "int", "f": "float", "c": "complex"}[value.dtype.kind]
        case Number():
            return f"a NumPy {value.dtype.numpy_name} scalar"
        case ArrayView():
            return f"a {value.rank}-d array of {value.dtype.numpy_name}"
        case Static(obj):
            return "None" if obj is None else f"the {type(obj).__name__} {obj!r}"[:60]
        case TupleValue(items, cls):
            return f"a {cls.__name__}" if cls is not None else f"a tuple of {len(items)}"
        case ListValue():
            return f"a list of {len(value.items)}"
        case DictValue(items):
            return f"a dict with {', '.join(map(repr, items))}"[:60] if items else "an empty dict"
        case ObjectValue(cls) | SharedObject(cls=cls):
            return f"a {shown_class(cls).__name__}"
        case SharedVariant(classes=classes):
            return f"a {' or '.join(cls.__name__ for cls in classes)}"
        case SequenceValue():
            return "a range" if value.range is not None else "an iterator"
        case Closure(source):
            return f"the function {source.name}"
        case GeneratorValue():
            return "a generator"
        case Transformed(kind):
            return f"a function made by tj.{kind}"
        case BoundMethod(_, name):
            return f"the method {name}"
        case BoundFunction(fn):
            return describe(fn)
        case SuperValue():
            return "super()"
        case MaybeUnbound(_, inner):
            return describe(inner)
        case OptionalValue(_, inner):
            return f"{describe(inner)} or None"
        case ChoiceValue(_, options):
            return f"one of {', '.join(repr(o.value) for o in options)}"[:60]
        case MessageValue() | SharedText():
            return "text made of run-time values"
        case SliceValue():
            return "a slice"
        case Rest(items):
            return describe(items)


def spread(value: FrontValue) -> FrontValue:
    """A tuple that is known when compiling as one of values; others unchanged."""
    if not (isinstance(value, Static) and isinstance(value.value, tuple)):
        return value
    return TupleValue(tuple(map(Static, value.value)), None if type(value.value) is tuple else type(value.value))


def spread_beside(value: FrontValue, other: FrontValue) -> FrontValue:
    """The value, `spread` where it meets another tuple."""
    is_tuple = isinstance(other, TupleValue) or (isinstance(other, Static) and isinstance(other.value, tuple))
    return spread(value) if is_tuple and value != other else value


def type_name(value: FrontValue) -> str:
    """The name of a value's Python type, as TypeErrors show it."""
    match value:
        case Number(_, True):
            return describe(value)
        case Number():
            return f"numpy.{value.dtype.numpy_name}"
        case ArrayView():
            return "numpy.ndarray"
        case Static(obj):
            return type(obj).__name__
        case DictView():
            return value.kind
        case TupleValue(_, cls):
            return "tuple" if cls is None else cls.__name__
        case ListValue() | GrowingList() | SharedList():
            return "list"
        case DictValue(cls=kind):
            return kind.__name__
        case ObjectValue(cls) | SharedObject(cls=cls):
            return shown_class(cls).__name__
        case SharedVariant(classes=classes):
            return " or ".join(cls.__name__ for cls in classes)
        case MaybeUnbound(_, inner):
            return type_name(inner)
        case OptionalValue(_, inner):
            return type_name(inner)
        case ChoiceValue(_, options):
            return type_name(options[0])
        case MessageValue() | SharedText():
            return "str"
        case SequenceValue():
            return "range"
        case SliceValue():
            return "slice"
        case _:
            return "function"


def root_of(value: Shared) -> object:
    """What the lists of a pool have in common; the class of the objects in one."""
    root = value.pool.fields["root"]
    assert isinstance(root, Static)
    return root.value


def family_of(pool: ObjectValue) -> type[Family] | None:
    """The family that the objects of a pool belong to; None where their class is in none."""
    found = pool.fields.get("family")
    return found.value if isinstance(found, Static) else None


def list_classes(value: FrontValue | None) -> set[int]:
    """The storage classes of the growing lists that a value leads to."""
    match value:
        case GrowingList(storages):
            return set(storages)
        case TupleValue(items) | ListValue(items):
            return set[int]().union(*map(list_classes, items))
        case DictValue(items):
            return set[int]().union(*map(list_classes, items.values()))
        case ObjectValue(_, fields):
            return set[int]().union(*map(list_classes, fields.values()))
        case SequenceValue():
            return set(value.sources)
        case Closure():
            return set[int]().union(*map(list_classes, (*value.defaults, *value.kw_defaults)))
        case BoundFunction(_, args, kwargs):
            return set[int]().union(*map(list_classes, (*args, *(v for _, v in kwargs))))
        case BoundMethod(inner) | MaybeUnbound(_, inner) | OptionalValue(_, inner):
            return list_classes(inner)
        case _:
            return set()


def position(node: ast.AST) -> tuple[int, int]:
    """Line and column of a node."""
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


def shown(name: str) -> str:
    """How messages call a name; `$value` and other internal ones stand for a result, `$error` for what is caught."""
    return "the error" if name.startswith("$error") else "the result" if name.startswith("$") else f"{name!r}"


def one_kind(name: str, a: FrontValue, b: FrontValue) -> str:
    """What to write where two kinds of value meet."""
    if any(isinstance(x, Static) and isinstance(x.value, str) for x in (a, b)):
        return "use numbers: a text must be known when the function is compiled"
    if name.startswith("$error"):
        return "a handler for each class, and arguments of one kind"
    if name.startswith("$"):
        return "return one kind of value on every path"
    numbers = [isinstance(x, Number) or (isinstance(x, Static) and isinstance(x.value, int | float)) for x in (a, b)]
    if any(numbers) and any(isinstance(x, ArrayView) for x in (a, b)):
        return "make it an array from the start (zeros, full), or use two names"
    return "give it one kind of value, or use two names"
