"""What the arguments of a call have to do with each other: arrays that are one memory, objects that come twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tracejit.devices import is_array, module_of
from tracejit.frontend.boundary.signature import Access, ArraySpec, Spec, is_data_object, step_kind, tree_children
from tracejit.frontend.derivatives.gradients import HAS_ARRAY
from tracejit.frontend.function import Lowered
from tracejit.scripted.node import raw_value

#: What long lists are made of, mostly: it holds nothing.
_PLAIN = frozenset((bool, int, float, complex, str, type(None)))


def same_arrays(arguments: Sequence[Any], specs: Sequence[Spec]) -> dict[Access, Access]:
    """Array arguments that are an earlier one: they are one memory in the graph too."""
    seen: dict[Any, int] = {}
    found: dict[Access, Access] = {}
    for i, (value, spec) in enumerate(zip(arguments, specs, strict=True)):
        if not isinstance(spec, ArraySpec):
            continue
        array = raw_value(value)
        where = (_address(array), array.shape, array.strides, array.dtype.str)
        if array.size and where in seen and spec == specs[seen[where]]:
            found[Access(i)] = Access(seen[where])
        else:
            seen.setdefault(where, i)
    return found


def has_two_names(lowered: Lowered) -> bool:
    """Whether the script does more to some `.grad` than to add, and has tensors as arguments and from outside."""
    roots = {lowered.inputs[left.input].access.root < 0 for left in lowered.gradients}
    return len(roots) == 2 and any(left.state != HAS_ARRAY for left in lowered.gradients)


def require_one_name(tensors: Sequence[Any]) -> None:
    """A tensor whose `.grad` changes and that is both an argument and found outside is refused: the function was
    compiled for two."""
    if len(set(map(id, tensors))) < len(tensors):
        raise ValueError("an argument whose '.grad' changes is also found outside: use it by one of the two names")


def require_disjoint(lowered: Lowered, inputs: Sequence[Any], names: Sequence[str]) -> None:
    """Arguments that overlap in part are refused where the function writes one of them."""
    if has_two_names(lowered):
        require_one_name([inputs[left.input] for left in lowered.gradients])
    if not lowered.graph.inout:
        return
    arrays = {i: raw for i, value in enumerate(inputs) if is_array(raw := raw_value(value))}
    near = _near(arrays)
    for i in lowered.graph.inout:
        for k in sorted(near.get(i, ())):
            module: Any = module_of(arrays[i])
            if type(arrays[k]) is type(arrays[i]) and module.shares_memory(arrays[i], arrays[k]):
                a, b = (lowered.inputs[j].access.text(names) for j in (i, k))
                raise ValueError(
                    f"arguments {a!r} and {b!r} overlap in memory and {a!r} is written: pass a copy of one"
                )


def _near(arrays: Mapping[int, Any]) -> dict[int, set[int]]:
    """For each array those that lie between its ends in part, without looking at all pairs."""
    found: dict[int, set[int]] = {i: set() for i in arrays}
    open_: list[tuple[int, int]] = []  #: ends of arrays that begin before, and whose they are
    for low, high, i in sorted((*_extent(array), i) for i, array in arrays.items() if array.size):
        open_ = [(end, k) for end, k in open_ if end > low]
        for _, k in open_:
            found[k].add(i)
            found[i].add(k)
        open_.append((high, i))
    return found


def _extent(array: Any) -> tuple[int, int]:
    """The addresses of an array's first byte and behind its last one."""
    reach = [(n - 1) * step for n, step in zip(array.shape, array.strides, strict=True)]
    start = _address(array)
    return start + sum(r for r in reach if r < 0), start + sum(r for r in reach if r > 0) + array.itemsize


def _address(array: Any) -> int:
    return array.__array_interface__["data"][0] if isinstance(array, np.ndarray) else array.data.ptr


def require_single(lowered: Lowered, arguments: Sequence[Any], names: Sequence[str]) -> None:
    """A list, dict or object that the function changes and that comes twice is refused: the function was compiled for
    two."""
    changes = (*lowered.changes, *(c for left in lowered.reports for c in left.changes))
    if not changes:
        return
    places: dict[int, list[Access]] = {}
    waiting = [(Access(i), value) for i, value in enumerate(arguments)]
    while waiting:
        access, value = waiting.pop()
        if not isinstance(value, tuple | list | dict) and not is_data_object(value):
            continue
        if not isinstance(value, tuple):
            places.setdefault(id(value), []).append(access)
        step = step_kind(type(value))
        keys, parts = tree_children(value)
        if not _PLAIN.issuperset(map(type, parts)):
            waiting += [(access.step(step, key), part) for key, part in zip(keys, parts, strict=True)]
    for change in changes:
        found = places.get(id(change.access.fetch(arguments)), ())
        if len(found) > 1:
            a, b = sorted(access.text(names) for access in found[:2])
            raise ValueError(f"{a!r} and {b!r} are one object and the function changes it: pass a copy of one")
