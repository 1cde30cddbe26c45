"""Between a call's Python values and a graph's inputs and results."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tracejit.devices import as_array, is_writeable, module_of
from tracejit.eager.alias import Region, tensor_view
from tracejit.eager.backward import backward, leaves_behind
from tracejit.eager.tensor import Tensor, bump_version, wrap
from tracejit.frontend.boundary.leaves import MadeTextLeaf, TextsLeaf, class_bits
from tracejit.frontend.boundary.results import LeftGradient
from tracejit.frontend.derivatives.gradients import CLEARED, ENTRY, HAS_ARRAY
from tracejit.frontend.function import (
    ArrayLeaf,
    Change,
    ChoiceLeaf,
    ChosenLeaf,
    ConstantLeaf,
    FamilyLeaf,
    InputLeaf,
    InstanceLeaf,
    ItemsLeaf,
    Leaf,
    ListLeaf,
    Lowered,
    NumberLeaf,
    ObjectLeaf,
    ObjectsLeaf,
    OptionalLeaf,
    PoolLeaf,
    SharedLeaf,
    SliceLeaf,
    TableLeaf,
    TextLeaf,
    TreeLeaf,
    TurnedLeaf,
    ViewLeaf,
)
from tracejit.messages import filled, letters
from tracejit.records import record


def raw_array(value: Any) -> Any:
    """A Tensor's array; other values as they are."""
    return value._data if isinstance(value, Tensor) else value


class ResultBuilder:
    """Makes what a call returns from the graph's results."""

    def __init__(self, lowered: Lowered, arguments: Sequence[Any], outputs: Sequence[Any], tensors: bool) -> None:
        self.lowered = lowered
        self.arguments = arguments
        self.outputs = outputs
        self.tensors = tensors
        self.pools: dict[PoolLeaf, list[Any]] = {}  #: the items of pools
        self.objects: dict[ObjectsLeaf, list[Any]] = {}  #: those of pools
        self.lists: dict[tuple[PoolLeaf, int], list[Any]] = {}  #: the lists that were made of them

    def build(self, leaf: Leaf) -> Any:
        """One returned value."""
        match leaf:
            case ArrayLeaf():
                return self.array(leaf)
            case TurnedLeaf(index, axes):
                return self.array(ArrayLeaf(index)).transpose(axes)
            case NumberLeaf(index, weak):
                return self.number(self.outputs[index], weak)
            case InputLeaf(index):
                return self.lowered.inputs[index].access.fetch(self.arguments)
            case ViewLeaf():
                return self.view(leaf)
            case ConstantLeaf(value):
                return value
            case OptionalLeaf(some, value):
                return self.build(value) if self.outputs[some] else None
            case TextLeaf(template, values, arrays):
                shown = [raw_array(self.outputs[i]) for i in arrays]
                return filled(template, [self.in_text(self.outputs[i]) for i in values], shown)
            case MadeTextLeaf(memory, at):
                return self.text(memory, self.build(at))
            case ChoiceLeaf(index, options):
                return options[int(self.outputs[index])]
            case ChosenLeaf(shares, tree):
                own = next((access for flag, access in shares if self.outputs[flag]), None)
                return self.build(tree) if own is None else own.fetch(self.arguments)
            case ObjectLeaf(access):
                return access.fetch(self.arguments)
            case TreeLeaf(kind, keys, children):
                return make_tree(kind, keys, [self.build(c) for c in children])
            case SliceLeaf(parts):
                return range(*(int(self.build(p)) for p in parts))
            case ListLeaf(length, items):
                return self.items(items, int(self.outputs[length]))
            case TableLeaf():
                return self.table(leaf)
            case SharedLeaf(pool, at, new):
                return self.items_of(pool, self.build(at)) if new else self.shared(pool, self.build(at))
            case InstanceLeaf(pool, at):
                return self.objects_of(pool)[self.build(at)]
            case ItemsLeaf():
                raise AssertionError("items stand in lists only")

    def shared(self, pool: PoolLeaf, at: int) -> list[Any]:
        """A list of a pool; the same one each time."""
        if at < len(pool.given):
            return pool.given[at].fetch(self.arguments)
        made = self.lists.get((pool, at))
        if made is None:
            made = self.lists[pool, at] = self.items_of(pool, at)
        return made

    def items_of(self, pool: PoolLeaf, at: int) -> list[Any]:
        """What a list of a pool holds."""
        items = self.pools.get(pool)
        if items is None:
            items = self.pools[pool] = self.items(pool.items, int(self.outputs[pool.length]))
        start, count = (int(raw_array(self.outputs[i])[at]) for i in (pool.starts, pool.counts))
        return items[start : start + count]

    def text(self, memory: TextsLeaf, at: int) -> str:
        """A text that was made at run time."""
        cells, starts, counts = (raw_array(self.outputs[i]) for i in (memory.letters, memory.starts, memory.counts))
        return letters(cells[starts[at] : starts[at] + counts[at]], *memory.fields)

    def objects_of(self, pool: ObjectsLeaf | FamilyLeaf) -> Sequence[Any]:
        """The objects of a pool, or of several; the same ones each time."""
        if isinstance(pool, FamilyLeaf):
            return Interleaved([self.objects_of(p) for p in pool.pools])
        made = self.objects.get(pool)
        if made is None:
            length = int(self.outputs[pool.length])
            columns = [self.items(p, length) for p in pool.parts]
            made = self.objects[pool] = make_trees(pool.cls, pool.names, columns, length)
        return made

    def table(self, leaf: TableLeaf) -> Any:
        """A dict, set or deque."""
        length = int(self.outputs[leaf.length])
        keys = self.items(leaf.keys, length)
        if leaf.live is not None:
            assert leaf.values is not None
            rows = zip(keys, self.items(leaf.values, length), self.items(leaf.live, length), strict=False)
            return {key: value for key, value, is_there in rows if is_there}
        items = keys if leaf.values is None else dict(zip(keys, self.items(leaf.values, len(keys)), strict=True))
        if leaf.argument is None:
            return leaf.type(items)
        argument = self.build(leaf.argument)
        return leaf.type(items, argument) if leaf.values is None else leaf.type(argument, items)

    def finish(self, leaf: Leaf, changes: Sequence[Change]) -> Any:
        """What the function returned, and set in objects of the caller; everything is made before anything is set."""
        made = self.build(leaf)
        set_parts(self.made(changes))
        return made

    def made(self, changes: Sequence[Change]) -> list[tuple[Any, Change, Any]]:
        """Changes, each with the object of the caller and what is to be set in it."""
        return [(c.access.fetch(self.arguments), c, None if c.value is None else self.build(c.value)) for c in changes]

    def items(self, leaf: Leaf, length: int) -> list[Any]:
        """The items of a list, or a part of each."""
        match leaf:
            case TreeLeaf(kind, keys, children):
                return make_trees(kind, keys, [self.items(c, length) for c in children], length)
            case SharedLeaf(pool, at):
                there = len(raw_array(self.outputs[pool.starts]))  # what may be None has a number although none is
                return [self.shared(pool, i) if i < there else None for i in self.items(at, length)]
            case InstanceLeaf(pool, at):
                objects = self.objects_of(pool)
                return [objects[i] if i < len(objects) else None for i in self.items(at, length)]
            case OptionalLeaf(some, value):
                flags = raw_array(self.outputs[some]).tolist()
                return [x if flag else None for flag, x in zip(flags, self.items(value, length), strict=True)]
            case MadeTextLeaf(memory, at):
                return [self.text(memory, i) for i in self.items(at, length)]
            case ChoiceLeaf(index, options):
                return [options[i] for i in raw_array(self.outputs[index]).tolist()]
            case ItemsLeaf(index, weak, sizes):
                found = self.outputs[index]
                if weak:
                    return raw_array(found).tolist()
                made = wrap(found) if self.tensors and not isinstance(found, Tensor) else found
                return [made[i] for i in range(length)] if sizes is None else self.cut(made, sizes, length)
            case _:
                return [self.build(leaf) for _ in range(length)]

    def cut(self, flat: Any, sizes: Sequence[Any], length: int) -> list[Any]:
        """Arrays of varying sizes out of their elements one after the other."""
        found: list[Any] = []
        start = 0
        for shape in item_shapes(self.outputs, sizes, length):
            stop = start + math.prod(shape)
            found.append(flat[start:stop].reshape(shape))
            start = stop
        return found

    def in_text(self, value: Any) -> Any:
        """A number that text shows: a narrow float stays NumPy's, which has fewer digits."""
        is_narrow = isinstance(value, np.floating) and not isinstance(value, float)
        return value if is_narrow else self.number(value, True)

    def number(self, value: Any, weak: bool) -> Any:
        if isinstance(value, Tensor):
            return value
        if weak:
            return value.item() if hasattr(value, "item") else value
        if self.tensors:
            return wrap(as_array(value, self.lowered.graph.device))
        return value

    def array(self, leaf: ArrayLeaf) -> Any:
        """A new array, or what it shares memory with."""
        for flag, shared in leaf.shares:
            if flag is None or self.outputs[flag]:
                return self.build(shared)
        made = self.outputs[leaf.index]
        if isinstance(made, np.generic | bool | int | float | complex):
            made = as_array(made, self.lowered.graph.device)
        if self.part(leaf.readonly):
            made = read_only(made)
        return wrap(made) if self.tensors and not isinstance(made, Tensor) else made

    def view(self, leaf: ViewLeaf) -> Any:
        """A view of an argument, sharing its memory."""
        owner = self.lowered.inputs[leaf.input].access.fetch(self.arguments)
        strides, lengths = [self.part(s) for s in leaf.strides], [self.part(n) for n in leaf.lengths]
        return shared_view(owner, leaf.whole, self.part(leaf.offset), strides, lengths, self.part(leaf.readonly))

    def part(self, value: Any) -> int:
        return int(self.outputs[value[1]]) if isinstance(value, tuple) else value


@record
class Interleaved(Sequence[Any]):
    """The items of several lists, by numbers whose lowest bits tell the list."""

    lists: Sequence[Sequence[Any]]

    def __len__(self) -> int:
        return max(map(len, self.lists)) << self.bits

    def __getitem__(self, at: Any) -> Any:
        own = self.lists[at & (1 << self.bits) - 1]
        return own[at >> self.bits] if at >> self.bits < len(own) else None  # what may be None has a number as well

    @property
    def bits(self) -> int:
        """How many bits tell the list."""
        return class_bits(len(self.lists))


def item_shapes(outputs: Sequence[Any], sizes: Sequence[Any], length: int) -> Iterator[tuple[int, ...]]:
    """The shapes of a list's items, by the `sizes` of its `ItemsLeaf`."""
    shapes = [raw_array(outputs[n[1]]) if isinstance(n, tuple) else n for n in sizes]
    for i in range(length):
        yield tuple(int(n[i]) if isinstance(n, np.ndarray) else int(n) for n in shapes)


def read_only(made: Any) -> Any:
    """An array that may not be written any more."""
    if isinstance(made, np.ndarray):
        made.flags.writeable = False
    return made


def shared_view(
    owner: Any, whole: bool, offset: int, strides: Sequence[int], lengths: Sequence[int], readonly: int
) -> Any:
    """The view of an array or Tensor that a `ViewLeaf` tells of; a Tensor's has the owner's history."""
    base = raw_array(owner)
    if whole and not readonly and not offset and (*lengths,) == base.shape and [*strides] == _c_strides(base.shape):
        return owner
    made = view_of(base, offset, strides, lengths)
    if readonly:
        made = read_only(made)
    return tensor_view(owner, made, Region(offset, (*strides,), (*lengths,))) if isinstance(owner, Tensor) else made


def view_of(
    base: np.ndarray[Any, Any], offset: int, strides: Sequence[int], lengths: Sequence[int]
) -> np.ndarray[Any, Any]:
    """A view given in elements of the base's C order, on whatever layout the base has."""
    if base.size == 0:
        return base.reshape(-1)[:0].reshape(lengths)
    module: Any = np if type(base) is np.ndarray else module_of(base)
    if 0 in lengths:
        return module.empty(lengths, base.dtype)
    # the step along an axis of one element may be any number
    strides = [s if n > 1 else max(-base.size, min(s, base.size)) for s, n in zip(strides, lengths, strict=True)]
    if module is np and base.flags.c_contiguous:
        size = base.itemsize
        return np.ndarray(lengths, base.dtype, base, offset * size, [s * size for s in strides])
    logical = _c_strides(base.shape)
    corner: list[slice] = []
    for step in logical:
        corner.append(slice(offset // step, offset // step + 1))
        offset %= step
    return module.lib.stride_tricks.as_strided(
        base[tuple(corner)], shape=lengths, strides=[_bytes_of(s, logical, base) for s in strides]
    )


def _c_strides(shape: Sequence[int]) -> list[int]:
    strides = [1] * len(shape)
    for i in range(len(shape) - 2, -1, -1):
        strides[i] = strides[i + 1] * max(shape[i + 1], 1)
    return strides


def _bytes_of(stride: int, logical: Sequence[int], base: np.ndarray[Any, Any]) -> int:
    """A stride in C-order elements as bytes of the base's own layout."""
    sign, left, total = (-1 if stride < 0 else 1), abs(stride), 0
    for step, own in zip(logical, base.strides, strict=True):
        total += (left // step) * own
        left %= step
    return sign * total


def set_parts(made: Sequence[tuple[Any, Change, Any]]) -> None:
    """Set what a function set in objects of the caller; all of it has been made before."""
    for owner, change, value in made:
        if change.kind == "list":
            owner[:] = value
        elif change.kind == "dict":
            owner.clear()
            owner.update(value)
        elif change.kind == "attribute":
            delattr(owner, change.key) if change.value is None else setattr(owner, change.key, value)
        elif change.value is None:
            del owner[change.key]
        else:
            owner[change.key] = value


def make_tree(kind: Callable[..., Any], keys: Sequence[Any], parts: Sequence[Any]) -> Any:
    """A container from its parts."""
    if not isinstance(kind, type) or issubclass(kind, dict):
        return kind(zip(keys, parts, strict=True))
    if issubclass(kind, tuple):
        return kind(*parts) if hasattr(kind, "_fields") else tuple(parts)
    if issubclass(kind, list | set):
        return kind(parts)
    made = object.__new__(kind)
    for key, part in zip(keys, parts, strict=True):
        object.__setattr__(made, key, part)
    return made


def make_trees(kind: Callable[..., Any], keys: Sequence[Any], columns: Sequence[list[Any]], length: int) -> list[Any]:
    """`length` containers from the columns of their parts."""
    rows = zip(*columns, strict=True) if columns else itertools.repeat((), length)
    return list(rows) if kind is tuple else [make_tree(kind, keys, row) for row in rows]


def set_gradients(
    lowered: Lowered, gradients: Sequence[LeftGradient], inputs: Mapping[int, Any], outputs: Sequence[Any]
) -> None:
    """`.grad` of inputs, as `backward()` in the script left it."""
    found: list[tuple[Tensor, Tensor | None, int]] = []
    for left in gradients:
        made = None
        if left.result >= 0:
            array = outputs[left.result]
            made = array if isinstance(array, Tensor) else wrap(as_array(array, lowered.graph.device))
        state = left.state if isinstance(left.state, int) else int(outputs[left.state[1]])
        found.append((inputs[left.input], made, state))
    leave_gradients(found)


_NO_LEAF = (
    "a script that calls backward() reads or sets '.grad' of a tensor that is no leaf, or of what that was made of "
    "outside, to which gradients go on at the end of the call: make it inside, or pass x.detach().requires_grad_()"
)


def leave_gradients(found: Iterable[tuple[Tensor, Tensor | None, int]]) -> None:
    """Do to `.grad` of tensors, one after the other, what a script did (bits `HAS_ARRAY`, `CLEARED`, `ENTRY`): nothing,
    clear, or `leave_gradient`. Then gradients of those that are no leaves go on to what these were made of."""
    found = list(found)
    onward = [(x, g) for x, g, state in found if state & HAS_ARRAY and x._grad_fn is not None]
    if onward:
        behind = leaves_behind(x for x, _ in onward)
        for tensor, _, state in found:
            goes_on = state & HAS_ARRAY and tensor._grad_fn is not None
            if state & (CLEARED | ENTRY) and (goes_on or id(tensor) in behind):
                raise RuntimeError(_NO_LEAF)
    for tensor, gradient, state in found:
        if not state & HAS_ARRAY:
            if state & CLEARED:
                _clear(tensor)
        elif tensor._grad_fn is None:
            leave_gradient(tensor, gradient, state)
    if onward:
        backward([x for x, _ in onward], [g for _, g in onward])


def _clear(tensor: Tensor) -> None:
    """`tensor.grad = None`, past Python code unless that is a subclass's."""
    if type(tensor).grad is Tensor.grad:
        tensor._grad = None
    else:
        tensor.grad = None


def leave_gradient(tensor: Tensor, gradient: Tensor | None, state: int) -> None:
    """Do to `.grad` what a script did that left an array there (bits `CLEARED`, `ENTRY`): set, or add as `backward()`,
    in place where that may be. With `ENTRY`, `gradient` has what `.grad` held in it; None: it was added in place
    already."""
    held = tensor._grad
    if state & CLEARED or held is None:
        tensor.grad = gradient
    elif gradient is not None and gradient._requires_grad:
        tensor.grad = gradient if state & ENTRY else held + gradient
    elif gradient is not None:
        total = gradient._data if state & ENTRY else held._data + gradient._data
        if held.requires_grad or not is_writeable(held._data):
            tensor.grad = wrap(total)
        else:
            held._data[...] = total
            bump_version(held)


def has_tensor(lowered: Lowered) -> bool:
    """Whether results are Tensors: an input is one, or no input is an array and the script makes Tensors."""
    return lowered.tensors or any(i.is_tensor for i in lowered.inputs)
