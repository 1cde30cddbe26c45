"""What a specialisation depends on: where each value comes from, and which facts about it are compiled in.

An `Access` leads from the call's arguments (or from a fixed object) to a value; a `Spec` is the part of that value
the compiled code relies on. Two calls with equal specs run the same code.
"""

from __future__ import annotations

import dataclasses
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from types import BuiltinMethodType, MappingProxyType, MethodType
from typing import Any, TypeAlias

import numpy as np

from tracejit.devices import is_writeable
from tracejit.eager.tensor import Tensor
from tracejit.ir.types import BY_NUMPY_NAME, DType, Order
from tracejit.records import record


@record
class Access:
    """Argument `root` (counted in parameter order), or `constant` when root is -1, then `steps` into it.

    Steps are `("attribute", name)`, `("item", key)`, `("cell", None)`, `("tuple", i)`, `("list", i)`,
    `("iterate", None)` (a tuple of its items), `("has", name)` (whether there is such an attribute),
    `("contents", None)` (what `contents` gives), `("numbers", (column, dtype))` (as an array, the
    numbers of a list, or those at one place of the tuples in it).
    """

    root: int
    steps: tuple[tuple[str, Any], ...] = ()
    constant: Any = dataclasses.field(default=None, compare=False)
    constant_id: int = 0

    def step(self, kind: str, key: Any = None) -> Access:
        """The access of a part."""
        return Access(self.root, (*self.steps, (kind, key)), self.constant, self.constant_id)

    @property
    def parent(self) -> Access:
        """The access of what this is a part of."""
        return Access(self.root, self.steps[:-1], self.constant, self.constant_id)

    def fetch(self, arguments: Sequence[Any]) -> Any:
        """The value, in a call with these arguments; `MISSING` where the path no longer exists."""
        value: Any = self.constant if self.root < 0 else arguments[self.root]
        for kind, key in self.steps:
            try:
                if kind == "attribute":
                    value = getattr(value, key)
                elif kind == "cell":
                    value = value.cell_contents
                elif kind == "iterate":
                    value = tuple(value)
                elif kind == "has":
                    value = hasattr(value, key)
                elif kind == "contents":
                    value = contents(value)
                elif kind == "numbers":
                    column, dtype = key
                    value = np.array(value if column is None else [item[column] for item in value], dtype)
                elif kind == "tuple":
                    value = tuple.__getitem__(value, key)
                else:
                    value = value[key]
            except (AttributeError, KeyError, IndexError, ValueError, TypeError):
                return MISSING
        return value

    def text(self, names: Sequence[str]) -> str:
        """How the user would write it."""
        shown = names[self.root] if self.root >= 0 else ""
        for kind, key in self.steps:
            if kind in ("cell", "numbers"):
                continue
            shown += f".{key}" if kind == "attribute" else f"[{key!r}]" if shown else str(key)
        return shown.lstrip(".")


MISSING = object()

#: What to do with an array that scripts do not take.
CONVERSION = "convert it to a plain array of numbers first: np.asarray(x, dtype=float)"


def constant_access(value: Any) -> Access:
    """The access of a fixed object (a globals dict, a closure cell, a module instance)."""
    return Access(-1, (), value, id(value))


@record
class ArraySpec:
    """An array: sizes 0 and 1 are compiled in, larger ones are run-time values (None)."""

    dtype: DType
    dims: tuple[int | None, ...]
    order: Order
    tensor: bool
    requires_grad: bool = False
    writeable: bool = True
    device: str = "cpu"

    @property
    def contiguous(self) -> bool:
        """Whether the elements lie in C order."""
        return self.order == "C"


@record
class NumberSpec:
    """A run-time number: a Python int, float or complex (`weak`), or a NumPy scalar; in guards, at least `least`."""

    dtype: DType
    weak: bool
    least: int | None = None


@record
class StaticSpec:
    """A compiled-in object. Strings, numbers, bound methods and tuples of them compare by value, others by identity."""

    value: Any

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StaticSpec):
            return False
        return _is_same(self.value, other.value)

    def __hash__(self) -> int:
        if isinstance(self.value, tuple):
            return hash((tuple, len(self.value)))
        return hash((type(self.value), self.value)) if _by_value(self.value) else id(self.value)


@record
class TreeSpec:
    """A container: its type, its keys (indices, dict keys or field names) and what it holds."""

    type: type
    keys: tuple[Any, ...]
    children: tuple[Spec, ...]


@record
class NumbersSpec:
    """A list of many Python numbers of one type, or of tuples of numbers of these types: how many, and which, are
    run-time values."""

    dtypes: tuple[DType, ...]
    in_tuples: bool

    @property
    def columns(self) -> list[tuple[int | None, str]]:
        """The keys of the accesses to its arrays."""
        return [(k if self.in_tuples else None, dtype.numpy_name) for k, dtype in enumerate(self.dtypes)]


Spec: TypeAlias = ArraySpec | NumberSpec | StaticSpec | TreeSpec | NumbersSpec

#: Arrays whose operators and methods are those of arrays.
_ARRAYS = (np.ndarray, np.memmap, np.recarray)
#: Containers whose items, length and attributes scripts know.
_CONTAINERS = (tuple, list, dict, set, OrderedDict, defaultdict, Counter)

#: A list with more numbers than these is one run-time value where that is asked for; of a shorter one, each number is.
FEW_NUMBERS = 16


def _is_same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if isinstance(a, tuple) and isinstance(b, tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(_is_same, a, b))
    return _by_value(a) and type(a) is type(b) and bool(a == b or (a != a and b != b))


def _by_value(x: Any) -> bool:
    if isinstance(x, MethodType | BuiltinMethodType):
        return True  # made anew whenever the attribute is read
    return isinstance(x, _BY_VALUE) and not isinstance(x, np.generic)


def array_spec(array: Any, tensor: bool, requires_grad: bool = False, any_size: bool = False) -> ArraySpec:
    """The spec of an ndarray. Subclasses that give operators another meaning are refused: code does not have it."""
    kind = type(array)
    if isinstance(array, np.ndarray) and kind not in _ARRAYS:
        raise TypeError(
            f"a script computes with plain arrays, not {kind.__module__.replace('.core', '')}.{kind.__name__}"
        )
    dtype = _dtype_of(array.dtype)
    if dtype is None:
        raise TypeError(f"tracejit has no dtype {array.dtype}")
    dims = tuple(None if any_size else n if n < 2 else None for n in array.shape)
    flags = getattr(array, "flags", None)
    device = "cuda" if hasattr(array, "__cuda_array_interface__") else "cpu"
    native = device == "cuda" or (bool(flags.aligned) and array.dtype.isnative)  # type: ignore[union-attr]
    order: Order = "C" if flags is None or (native and flags.c_contiguous) else "any"
    if native and device == "cpu" and order != "C" and flags.f_contiguous:  # type: ignore[union-attr]
        order = "F"
    return ArraySpec(dtype, dims, order, tensor, requires_grad, is_writeable(array), device)


class OwnContainer(TypeError):
    """A container of a class of the user is none that a script takes."""

    instead = "make it a plain dict, list, tuple or set, a NamedTuple or a dataclass"


def require_plain(container: Any) -> None:
    """Raise `OwnContainer` for one of a class that may give items, length or attributes another meaning."""
    kind = type(container)
    is_known = kind in _CONTAINERS or hasattr(kind, "_fields") or kind.__module__.startswith("tracejit.")
    if not is_known and not _is_renamed(kind) and isinstance(container, tuple | list | dict | set):
        base = next(c for c in _CONTAINERS if isinstance(container, c))
        raise OwnContainer(f"a script takes plain containers, not {kind.__name__}, a subclass of {base.__name__}")


def _is_renamed(kind: type) -> bool:
    """Whether a class adds nothing to the container that it is, but its name."""
    own = kind.__mro__[: next((i for i, c in enumerate(kind.__mro__) if c in _CONTAINERS), 0)]
    return all(vars(c).keys() <= _NOTHING for c in own)


_NOTHING = vars(type("", (), {})).keys() | {"__doc__", "__firstlineno__", "__static_attributes__", "__slots__"}


def require_dtype(value: Any) -> None:
    """Raise TypeError for a number of NumPy's that no script can compute with (`longdouble`)."""
    if isinstance(value, np.number) and _dtype_of(value.dtype) is None:
        raise TypeError(f"tracejit has no dtype {value.dtype}")


@cache
def _dtype_of(dtype: np.dtype[Any]) -> DType | None:
    """tracejit's dtype for NumPy's, in any byte order; None if there is none. NumPy makes the name anew when asked."""
    return BY_NUMPY_NAME.get(dtype.name)


class ItemsOfSet(frozenset[Any]):
    """The items of a set of the caller, in the order in which that comes to them; equal to those of another set with
    the same order, not to a frozenset."""

    order: tuple[Any, ...]

    def __new__(cls, items: Iterable[Any]) -> ItemsOfSet:
        order = tuple(items)
        made = super().__new__(cls, order)
        made.order = order
        return made

    def __iter__(self) -> Iterator[Any]:
        return iter(self.order)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ItemsOfSet | set) or not super().__eq__(other):
            return False
        return self.order == (other.order if isinstance(other, ItemsOfSet) else tuple(other))

    def __hash__(self) -> int:
        return super().__hash__()


_BY_VALUE = (int, float, complex, str, bytes, np.dtype, type(None), ItemsOfSet)

#: Containers that are compile-time objects although what they hold may change.
CHANGEABLE = (set, deque, bytearray, array, memoryview, MappingProxyType)


def contents(value: Any) -> Any:
    """What a changeable container holds now, as a value to compare with."""
    match value:
        case set():
            return ItemsOfSet(value)
        case memoryview():
            return value.tobytes()
        case MappingProxyType() | dict():
            return tuple((k, contents(v)) for k, v in value.items())
        case deque() | bytearray() | array() | list() | tuple():
            return tuple(map(contents, value))
        case _:
            return value


#: Python's types of numbers, and their dtypes.
PYTHON_DTYPES: dict[type, DType] = {
    kind: BY_NUMPY_NAME[name]
    for kind, name in ((bool, "bool"), (int, "int64"), (float, "float64"), (complex, "complex128"))
}


def python_type(dtype: DType) -> type:
    """Python's type of numbers of a dtype."""
    return next(kind for kind, own in PYTHON_DTYPES.items() if own == dtype)


def numbers_spec(value: Any) -> NumbersSpec | None:
    """The spec of a list of many numbers of one type, or of tuples of such; None of anything else."""
    if type(value) is not list or len(value) <= FEW_NUMBERS or len(set(map(type, value))) > 1:
        return None
    in_tuples = type(value[0]) is tuple
    if in_tuples and len(set(map(len, value))) > 1:
        return None
    columns = list(zip(*value, strict=True)) if in_tuples else [value]
    kinds = [set(map(type, column)) for column in columns]
    if not kinds or any(len(kind) > 1 or not kind <= PYTHON_DTYPES.keys() for kind in kinds):
        return None
    return NumbersSpec(tuple(PYTHON_DTYPES[kind.pop()] for kind in kinds), in_tuples)


def spec_of(value: Any, static: bool = False, any_size: bool = False, numbers: bool = False) -> Spec:
    """The spec of an argument; `static` compiles a number in, `numbers` takes a list of many of them as one value."""
    if isinstance(value, Tensor):
        return array_spec(value._data, True, value.requires_grad, any_size)
    if isinstance(value, np.ndarray):
        return array_spec(value, False, any_size=any_size)
    require_plain(value)
    if isinstance(value, set):
        return StaticSpec(ItemsOfSet(value))
    if static or value is None or isinstance(value, bool | str | bytes):
        return StaticSpec(value)
    if isinstance(value, np.generic) and (dtype := _dtype_of(value.dtype)) is not None:
        return NumberSpec(dtype, weak=False)
    require_dtype(value)
    if type(value) in PYTHON_DTYPES:
        return NumberSpec(PYTHON_DTYPES[type(value)], weak=True)
    if hasattr(type(value), "__cuda_array_interface__") and hasattr(value, "dtype"):
        return array_spec(value, False, any_size=any_size)
    if numbers and (found := numbers_spec(value)) is not None:
        return found
    if isinstance(value, tuple | list | dict) or is_data_object(value):
        keys, children = tree_children(value)
        numbers = numbers and not isinstance(value, list)  # lists of lists are told apart by what they hold
        return TreeSpec(type(value), keys, tuple(spec_of(c, any_size=any_size, numbers=numbers) for c in children))
    return StaticSpec(value)


def matches(spec: Spec, value: Any) -> bool:
    """Whether a value found at a guarded place is still what was compiled in."""
    if value is MISSING or spec == StaticSpec(MISSING):
        return value is MISSING and spec == StaticSpec(MISSING)
    if isinstance(spec, StaticSpec):
        return StaticSpec(value) == spec
    if isinstance(spec, TreeSpec):
        return type(value) is spec.type and tree_children(value)[0] == spec.keys
    if isinstance(spec, NumberSpec) and spec.least is not None:
        return matches(dataclasses.replace(spec, least=None), value) and value >= spec.least
    try:
        found = spec_of(value)
    except TypeError:  # an array that scripts do not take
        return False
    if isinstance(spec, ArraySpec) and isinstance(found, ArraySpec) and len(spec.dims) == len(found.dims):
        fits = all(n in (d, own) for n, d, own in zip(spec.dims, found.dims, value.shape, strict=True))
        found = dataclasses.replace(found, dims=spec.dims) if fits else found
    return found == spec


def holds_numbers(spec: Spec) -> bool:
    """Whether a list of many numbers is part of a value."""
    return isinstance(spec, NumbersSpec) or (isinstance(spec, TreeSpec) and any(map(holds_numbers, spec.children)))


def refined(
    spec: Spec, access: Access, value: Any, static: Collection[Access], sizes: Collection[tuple[Access, int]]
) -> Spec:
    """The spec with the numbers in `static` and the sizes (access, axis) in `sizes` compiled in."""
    if access in static:
        return StaticSpec(value)
    if isinstance(spec, TreeSpec):
        step = step_kind(spec.type)
        parts = zip(spec.keys, spec.children, tree_children(value)[1], strict=True)
        children = tuple(refined(s, access.step(step, k), v, static, sizes) for k, s, v in parts)
        return dataclasses.replace(spec, children=children)
    if isinstance(spec, ArraySpec) and sizes:
        dims = tuple(
            n if (access, i) in sizes else d for i, (d, n) in enumerate(zip(spec.dims, value.shape, strict=True))
        )
        return dataclasses.replace(spec, dims=dims)
    return spec


def is_data_object(value: Any) -> bool:
    """Whether a value is a dataclass instance (its fields and what else it has are arguments of their own)."""
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def tree_children(value: Any) -> tuple[tuple[Any, ...], list[Any]]:
    """Keys and parts of a container."""
    if isinstance(value, Mapping):
        return tuple(value.keys()), list(value.values())
    if isinstance(value, tuple):  # a NamedTuple may have an own __len__ and __getitem__
        items = list(tuple.__iter__(value))
        return tuple(range(len(items))), items
    if isinstance(value, list):
        return tuple(range(len(value))), list(value)
    fields = (f.name for f in dataclasses.fields(value) if hasattr(value, f.name))
    names = tuple(dict.fromkeys((*fields, *getattr(value, "__dict__", ()))))
    return names, [getattr(value, n) for n in names]


def step_kind(type: type) -> str:
    """The step that leads into a container of that type."""
    if issubclass(type, dict):
        return "item"
    if issubclass(type, tuple):
        return "tuple"
    return "list" if issubclass(type, list) else "attribute"
