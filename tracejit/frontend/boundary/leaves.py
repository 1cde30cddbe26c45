"""How the caller makes what a call returns, and changes, from the results of the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from tracejit.frontend.boundary.signature import Access
from tracejit.records import record


@record
class ArrayLeaf:
    """Graph result `index` as a new array, or what it shares memory with: the first of `shares` whose flag holds.

    A flag is a graph result of type bool; None holds always. `readonly` is True, False, or `("r", i)`: graph result i.
    """

    index: int
    shares: tuple[tuple[int | None, InputLeaf | ViewLeaf], ...] = ()
    readonly: Any = False


@record
class TurnedLeaf:
    """Graph result `index` as a new array, seen with its axes in another order: NumPy's `transpose(axes)`."""

    index: int
    axes: tuple[int, ...]


@record
class NumberLeaf:
    """Graph result `index` as a Python number (`weak`) or a NumPy scalar."""

    index: int
    weak: bool


@record
class InputLeaf:
    """The very object that input `input` came from."""

    input: int


@record
class ViewLeaf:
    """A view of input `input`: offset, strides and lengths in elements of its C order; `("r", i)` is graph result i.

    `whole`: where it shows all of the input, in order, it is the input itself.
    """

    input: int
    offset: Any
    strides: tuple[Any, ...]
    lengths: tuple[Any, ...]
    readonly: Any = False
    whole: bool = False


@record
class ConstantLeaf:
    """A compile-time object."""

    value: Any


@record
class TreeLeaf:
    """A container of results; `type` is a class, or what makes the dict from pairs."""

    type: Callable[..., Any]
    keys: tuple[Any, ...]
    children: tuple[Leaf, ...]


@record
class SliceLeaf:
    """A range, made from three results."""

    parts: tuple[Leaf, ...]


@record
class ItemsLeaf:
    """The items of a growing list, or one part of all of them, from graph results.

    Of numbers result `index` is an array; of arrays it has them along its first axis. Where sizes vary it has all
    elements one after the other, and `sizes` are the sizes of an item: an int, `("s", i)` for graph result i, or
    `("r", i)` where graph result i is an array of the size of each. `weak` is that of a `NumberLeaf`.
    """

    index: int
    weak: bool = False
    sizes: tuple[Any, ...] | None = None


@record
class ListLeaf:
    """A list of graph result `length` items: a leaf or tree with `ItemsLeaf`s and constants in it."""

    length: int
    items: Leaf


@record
class TableLeaf:
    """A container of graph result `length` items: a dict of keys and values, of which a defaultdict has a factory
    (`argument`), or a set or deque of keys, of which a deque has a greatest length. Of the items, `live` tells which
    are still there."""

    type: type
    length: int
    keys: Leaf
    values: Leaf | None = None
    argument: Leaf | None = None
    live: Leaf | None = None


@record
class PoolLeaf:
    """Lists that lie in a pool: graph result `length` items, and graph results that are arrays: where each list begins,
    and how many items it has. The first lists are those of the caller at `given`."""

    length: int
    items: Leaf
    starts: int
    counts: int
    given: tuple[Access, ...] = ()


@record
class SharedLeaf:
    """One list of a pool, by the leaf of its number; in `items` of a list, one for each."""

    pool: PoolLeaf
    at: Leaf
    new: bool = False  #: a new list with its items, where it may be one of the caller


@record
class ObjectsLeaf:
    """The objects of a pool: graph result `length` instances of a class, or what a function makes of such parts, with
    the items of each of their attributes."""

    cls: Callable[..., Any]
    length: int
    names: tuple[str, ...]
    parts: tuple[Leaf, ...]


def class_bits(count: int) -> int:
    """How many of the lowest bits of an object's number tell which of so many classes it is of."""
    return (count - 1).bit_length()


@record
class FamilyLeaf:
    """The objects of several pools: the lowest bits of a number (`class_bits`) tell the pool, the others which of its
    objects it is."""

    pools: tuple[ObjectsLeaf, ...]


@record
class InstanceLeaf:
    """One object of a pool, by the leaf of its number; in `items` of a list, one for each."""

    pool: ObjectsLeaf | FamilyLeaf
    at: Leaf


@record
class ObjectLeaf:
    """The very object that is found at `access`; `tree` is what it holds."""

    access: Access
    tree: Leaf


@record
class ChosenLeaf:
    """The very object at the first access of `shares` of which graph result holds, else what `tree` makes."""

    shares: tuple[tuple[int, Access], ...]
    tree: Leaf


@record
class OptionalLeaf:
    """A value, or None where graph result `some` is false: in `items` of a list, an array with one for each."""

    some: int
    value: Leaf


@record
class TextLeaf:
    """Text: a template (`messages.py`), and the graph results it shows: numbers and arrays."""

    template: str
    values: tuple[int, ...]
    arrays: tuple[int, ...] = ()


@record
class ChoiceLeaf:
    """One of several compile-time objects, by graph result `index`: that has one for each in `items` of a list."""

    index: int
    options: tuple[Any, ...]


@record
class TextsLeaf:
    """The texts that are made at run time: graph results that are arrays of all their letters, where each text begins,
    and how many letters it has; words for what else stands among the letters (`messages.letters`)."""

    letters: int
    starts: int
    counts: int
    fields: tuple[str, ...]


@record
class MadeTextLeaf:
    """One of these texts, by the leaf of its number; in `items` of a list, one for each."""

    memory: TextsLeaf
    at: Leaf


Leaf: TypeAlias = (
    ArrayLeaf
    | TurnedLeaf
    | NumberLeaf
    | InputLeaf
    | ViewLeaf
    | ConstantLeaf
    | TreeLeaf
    | SliceLeaf
    | ItemsLeaf
    | ListLeaf
    | TableLeaf
    | SharedLeaf
    | InstanceLeaf
    | ObjectLeaf
    | ChosenLeaf
    | OptionalLeaf
    | ChoiceLeaf
    | TextLeaf
    | MadeTextLeaf
)


@record
class Change:
    """A part of an object from outside is set to `value`, or deleted (None)."""

    access: Access
    kind: str  #: `attribute`, `item`, or `list` or `dict`: all items
    key: Any
    value: Leaf | None
