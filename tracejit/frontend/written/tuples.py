"""Tuples whose length is known at run time only."""

from __future__ import annotations

from typing import Any

from tracejit.frontend.containers.tables import entry, growing, is_slice, same_kind, stands_for


@stands_for(tuple)
class LongTuple:
    """A tuple: its items are those of a list that nobody else knows."""

    def __init__(self, items: Any = ()) -> None:
        self._data = growing()
        self._data.extend(items)

    def __len__(self) -> Any:
        return len(self._data)

    def __iter__(self) -> Any:
        return self._data

    def __contains__(self, item: Any) -> Any:
        return item in self._data

    def __getitem__(self, index: Any) -> Any:
        if is_slice(index):
            return LongTuple(self._data[index])
        n = len(self._data)
        if index < -n or index >= n:
            raise IndexError("tuple index out of range")
        return entry(self._data, index if index >= 0 else index + n)

    def index(self, item: Any) -> Any:
        for i in range(len(self._data)):
            if entry(self._data, i) == item:
                return i
        raise ValueError("tuple.index(x): x not in tuple")

    def count(self, item: Any) -> Any:
        return self._data.count(item)

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, tuple):
            raise TypeError(f'can only concatenate tuple (not "{type(other).__name__}") to tuple')
        return LongTuple(self._data + listed(other))

    def __radd__(self, other: Any) -> Any:
        return LongTuple(listed(other) + self._data) if isinstance(other, tuple) else NotImplemented

    def __mul__(self, n: Any) -> Any:
        return LongTuple(self._data * n)

    def __rmul__(self, n: Any) -> Any:
        return LongTuple(self._data * n)

    def __eq__(self, other: Any) -> Any:
        return self._data == listed(other) if isinstance(other, tuple) else NotImplemented

    def __lt__(self, other: Any) -> Any:
        return self._data < listed(other) if isinstance(other, tuple) else NotImplemented

    def __gt__(self, other: Any) -> Any:
        return self._data > listed(other) if isinstance(other, tuple) else NotImplemented

    def __le__(self, other: Any) -> Any:
        return self._data <= listed(other) if isinstance(other, tuple) else NotImplemented

    def __ge__(self, other: Any) -> Any:
        return self._data >= listed(other) if isinstance(other, tuple) else NotImplemented


def listed(items: Any) -> Any:
    """The items of a tuple in a list."""
    return items._data if same_kind(items, LongTuple) else list(items)
