"""Nested containers as flat lists of leaves: tuples, lists, dicts, NamedTuples and dataclasses.

`flatten(tree)` gives the leaves and a `Structure`; `Structure.unflatten(leaves)` rebuilds the same containers.
Everything else, `None` included, is a leaf. Dicts keep their order; two structures are equal when containers,
keys and field names agree.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from tracejit.records import record


@record
class Structure:
    """The shape of a tree. `container` is None for a leaf; `keys` are dict keys or dataclass field names."""

    container: type | None = None
    keys: tuple[Any, ...] = ()
    children: tuple[Structure, ...] = ()

    @property
    def is_leaf(self) -> bool:
        return self.container is None

    @property
    def leaf_count(self) -> int:
        """How many leaves a tree of this structure has."""
        return 1 if self.container is None else sum(child.leaf_count for child in self.children)

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        """The tree with these leaves, in the order of `flatten`."""
        rest = iter(leaves)
        try:
            tree = self._build(rest)
        except StopIteration:
            raise ValueError(f"too few leaves: the structure holds {self.leaf_count}") from None
        if next(rest, _END) is not _END:
            raise ValueError(f"too many leaves: the structure holds {self.leaf_count}")
        return tree

    def _build(self, rest: Iterator[Any]) -> Any:
        container = self.container
        if container is None:
            return next(rest)
        items = []
        for child in self.children:
            items.append(child._build(rest))
        if issubclass(container, dict):
            return container(zip(self.keys, items, strict=True))
        if _is_namedtuple(container):
            return container(*items)
        if issubclass(container, tuple | list):
            return container(items)
        return _rebuild_dataclass(container, self.keys, items)


_END = object()
LEAF = Structure()


def _is_namedtuple(cls: type) -> bool:
    return issubclass(cls, tuple) and hasattr(cls, "_fields")


def _rebuild_dataclass(cls: type, names: Sequence[str], values: Sequence[Any]) -> Any:
    """An instance with these fields; `__init__` and `__post_init__` do not run, so any field can be a leaf."""
    instance = object.__new__(cls)
    for name, value in zip(names, values, strict=True):
        object.__setattr__(instance, name, value)
    return instance


def _children(tree: Any) -> tuple[tuple[Any, ...], list[Any]] | None:
    """Keys and items of a container; None for a leaf."""
    if isinstance(tree, tuple):  # a NamedTuple may have an own __iter__
        return (), list(tuple.__iter__(tree))
    if isinstance(tree, list):
        return (), list(tree)
    if isinstance(tree, dict):
        return tuple(tree), list(tree.values())
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        names = tuple(f.name for f in dataclasses.fields(tree))
        return names, [getattr(tree, name) for name in names]
    return None


def flatten(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list[Any], Structure]:
    """Leaves in order, and the structure. `is_leaf(x)` true stops at `x` even if it is a container."""
    leaves: list[Any] = []

    def visit(node: Any) -> Structure:
        found = None if is_leaf is not None and is_leaf(node) else _children(node)
        if found is None:
            leaves.append(node)
            return LEAF
        keys, items = found
        return Structure(type(node), keys, tuple(visit(item) for item in items))

    structure = visit(tree)
    return leaves, structure


def unflatten(structure: Structure, leaves: Iterable[Any]) -> Any:
    """The tree with these leaves."""
    return structure.unflatten(leaves)


def leaves(tree: Any) -> list[Any]:
    """The leaves alone."""
    return flatten(tree)[0]


def map(fn: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """`fn` applied to corresponding leaves of trees of one structure."""
    first, structure = flatten(tree)
    rest: list[list[Any]] = []
    for other in others:
        found, other_structure = flatten(other)
        if other_structure != structure:
            raise ValueError("trees of different structure")
        rest.append(found)
    return structure.unflatten(fn(*group) for group in zip(first, *rest, strict=True))
