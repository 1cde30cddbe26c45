"""Queues whose items are known at run time only."""

from __future__ import annotations

from collections import deque
from typing import Any

from tracejit.frontend.containers.tables import entry, growing, has_loop, same_kind, set_entry, stands_for


@stands_for(deque)
class Queue:
    """A deque: its items are those of a list from `_head` on."""

    def __init__(self, items: Any = (), maxlen: Any = None) -> None:
        self._data = growing()
        self._head = 0
        self._edits = 0  #: items that came or went
        self.maxlen = maxlen
        self.extend(items)

    def __len__(self) -> Any:
        return len(self._data) - self._head

    def _edit(self) -> None:
        if has_loop(self._data):
            raise RuntimeError("deque mutated during iteration")
        self._edits += 1

    def _goes_on(self, edits: Any, at: Any, count: Any) -> Any:
        """Whether a loop that began after so many edits has more trips."""
        if self._edits != edits:
            raise RuntimeError("deque mutated during iteration")
        return at < count

    def append(self, item: Any) -> None:
        self._edit()
        self._data.append(item)
        if self.maxlen is not None and len(self) > self.maxlen:
            self._drop()

    def _drop(self) -> None:
        """Forget the first item."""
        self._edit()
        self._head += 1
        if self._head > 32 and 2 * self._head > len(self._data):
            self._settle()

    def _settle(self) -> None:
        """Let the list begin with the first item."""
        if self._head > 0:
            n = len(self)
            for i in range(n):
                set_entry(self._data, i, entry(self._data, i + self._head))
            while len(self._data) > n:
                self._data.pop()
            self._head = 0

    def appendleft(self, item: Any) -> None:
        self._edit()
        if self._head == 0:
            n = len(self._data)
            room = n + 8
            for _ in range(room):
                self._data.append(item)
            for i in range(n - 1, -1, -1):
                set_entry(self._data, i + room, entry(self._data, i))
            self._head = room
        self._head -= 1
        set_entry(self._data, self._head, item)
        if self.maxlen is not None and len(self) > self.maxlen:
            self._data.pop()

    def pop(self) -> Any:
        if len(self) == 0:
            raise IndexError("pop from an empty deque")
        self._edit()
        return self._data.pop()

    def popleft(self) -> Any:
        if len(self) == 0:
            raise IndexError("pop from an empty deque")
        found = entry(self._data, self._head)
        self._drop()
        return found

    def extend(self, items: Any) -> None:
        for item in list(items) if same_kind(items, Queue) else items:
            self.append(item)

    def extendleft(self, items: Any) -> None:
        for item in items:
            self.appendleft(item)

    def clear(self) -> None:
        self._edit()
        self._data.clear()
        self._head = 0

    def _place(self, index: Any) -> Any:
        n = len(self)
        if index < -n or index >= n:
            raise IndexError("deque index out of range")
        return self._head + (index if index >= 0 else index + n)

    def __getitem__(self, index: Any) -> Any:
        return entry(self._data, self._place(index))

    def __setitem__(self, index: Any, item: Any) -> None:
        set_entry(self._data, self._place(index), item)

    def __iter__(self) -> Any:
        self._settle()
        return self._data

    def __contains__(self, item: Any) -> Any:
        return item in self.__iter__()

    def __iadd__(self, items: Any) -> Any:
        self.extend(items)
        return self

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, deque):
            raise TypeError(f'can only concatenate deque (not "{type(other).__name__}") to deque')
        made = self.copy()
        made.extend(list(other))
        return made

    def __mul__(self, n: Any) -> Any:
        if not isinstance(n, int):
            raise TypeError(f"can't multiply sequence by non-int of type '{type(n).__name__}'")
        items = list(self)
        made = Queue((), self.maxlen)
        for _ in range(n):
            made.extend(items)
        return made

    def __rmul__(self, n: Any) -> Any:
        return self * n

    def __imul__(self, n: Any) -> Any:
        items = list(self * n)
        self.clear()
        self.extend(items)
        return self

    def count(self, item: Any) -> Any:
        return self.__iter__().count(item)

    def index(self, item: Any) -> Any:
        items = self.__iter__()
        for i in range(len(items)):
            if items[i] == item:
                return i
        raise ValueError(f"{item!r} is not in deque")

    def insert(self, index: Any, item: Any) -> None:
        if self.maxlen is not None and len(self) >= self.maxlen:
            raise IndexError("deque already at its maximum size")
        self._edit()
        self.__iter__().insert(index, item)

    def remove(self, item: Any) -> None:
        items = self.__iter__()
        for i in range(len(items)):
            if items[i] == item:
                self._edit()
                items.pop(i)
                return
        raise ValueError(f"{item!r} is not in deque")

    def __delitem__(self, index: Any) -> None:
        at = self._place(index) - self._head
        self._edit()
        self.__iter__().pop(at)

    def __eq__(self, other: Any) -> Any:
        return list(self) == list(other) if isinstance(other, deque) else NotImplemented

    def __lt__(self, other: Any) -> Any:
        return list(self) < list(other) if isinstance(other, deque) else NotImplemented

    def __gt__(self, other: Any) -> Any:
        return list(self) > list(other) if isinstance(other, deque) else NotImplemented

    def __le__(self, other: Any) -> Any:
        return list(self) <= list(other) if isinstance(other, deque) else NotImplemented

    def __ge__(self, other: Any) -> Any:
        return list(self) >= list(other) if isinstance(other, deque) else NotImplemented

    def reverse(self) -> None:
        self.__iter__().reverse()

    def rotate(self, n: Any = 1) -> None:
        if len(self) > 0:
            for _ in range(n % len(self)):
                self.appendleft(self.pop())

    def copy(self) -> Any:
        return Queue(self, self.maxlen)
