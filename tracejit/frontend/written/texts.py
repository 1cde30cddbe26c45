"""Text that is made at run time: its letters lie in a memory that all texts share (`frontend/texts/made_texts.py`).

A text is a number `at`: its letters have the codes `letters[start[at]]` and so on, `count[at]` of them. Texts never
change, so that parts of one lie where it does. Below 0 stands what shows numbers that only Python can write, such as
floats: it is `Pools.fields` that says how, and the bits of the numbers follow.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tracejit.frontend.containers.tables import entry, growing_ints, is_slice, outlined, plus, set_entry, shows_as
from tracejit.frontend.texts.made_texts import ascii_only, known_letters, no_method, number_of, part_of, text_at
from tracejit.frontend.written.decimals import nearest_float

_BLANKS = " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f"


class Memory:
    """The letters of all texts; at first those that are known when compiling, given as their letters and lengths."""

    def __init__(self, letters: Any, counts: Any) -> None:
        self.letters = growing_ints()
        self.start = growing_ints()
        self.count = growing_ints()
        for letter in letters:
            self.letters.append(int(letter))
        start = 0
        for n in counts:
            self.start.append(start)
            self.count.append(int(n))
            start = plus(start, n)


def put(memory: Any, cell: Any) -> None:
    """Add a letter to the text that is being made."""
    memory.letters.append(cell)


@outlined
def put_text(memory: Any, at: Any) -> None:
    """Add a text to the one that is being made."""
    first = entry(memory.start, at)
    for i in range(entry(memory.count, at)):
        memory.letters.append(entry(memory.letters, plus(first, i)))


@outlined
def put_int(memory: Any, n: Any, base: Any, ten: Any, plus_sign: Any, mark: Any) -> None:
    """Add the digits of an int; `ten` is the letter of the first one beyond 9. `plus_sign` and `mark` are the letters
    of the sign of those that are not negative, and of the base: 0 for none."""
    letters = memory.letters
    if n < 0:
        letters.append(45)
    elif plus_sign:
        letters.append(plus_sign)
    if mark:
        letters.append(48)
        letters.append(mark)
    low, rest, goes_on = len(letters), n if n < 0 else -n, True
    while goes_on:
        digit = -(rest + rest // -base * base)
        letters.append(48 + digit if digit < 10 else ten + digit - 10)
        rest = -(rest // -base)
        goes_on = rest != 0
    high = len(letters) - 1
    while low < high:
        first = entry(letters, low)
        set_entry(letters, low, entry(letters, high))
        set_entry(letters, high, first)
        low += 1
        high -= 1


@outlined
def pad(memory: Any, start: Any, fill: Any, align: Any, width: Any) -> None:
    """Make what was added since there were so many letters as wide: `align` is one of `<`, `^`, `>` and `=`, by its
    code."""
    letters = memory.letters
    end = len(letters)
    more = width - (end - start)
    if more > 0:
        for _ in range(more):
            letters.append(fill)
        ahead = 0 if align == 60 else more // 2 if align == 94 else more
        if align == 61 and (entry(letters, start) in (32, 43, 45)):
            start += 1
        for i in range(end - start):
            set_entry(letters, end - 1 - i + ahead, entry(letters, end - 1 - i))
        for i in range(ahead):
            set_entry(letters, start + i, fill)
        for i in range(more - ahead):
            set_entry(letters, end + ahead + i, fill)


@outlined
def padded(memory: Any, at: Any, fill: Any, align: Any, width: Any) -> Any:
    """A text between fill letters, as wide."""
    start = len(memory.letters)
    put_text(memory, at)
    pad(memory, start, fill, align, width)
    return finished(memory, start)


def place(memory: Any, start: Any, count: Any) -> Any:
    """The number of a text whose letters are there."""
    memory.start.append(start)
    memory.count.append(count)
    return len(memory.start) - 1


@outlined
def finished(memory: Any, start: Any) -> Any:
    """The number of the text whose letters were added since there were so many."""
    return place(memory, start, len(memory.letters) - start)


@outlined
def added(memory: Any, a: Any, b: Any) -> Any:
    """One text behind another: what was made last is not copied."""
    start = entry(memory.start, a)
    if plus(start, entry(memory.count, a)) != len(memory.letters):
        start = len(memory.letters)
        put_text(memory, a)
    put_text(memory, b)
    return finished(memory, start)


@outlined
def cut(memory: Any, at: Any, start: Any, count: Any, step: Any) -> Any:
    """A part of a text."""
    first = plus(entry(memory.start, at), start)
    if step == 1:
        return place(memory, first, count)
    begin = len(memory.letters)
    for i in range(count):
        memory.letters.append(entry(memory.letters, first + i * step))
    return finished(memory, begin)


@outlined
def same(memory: Any, a: Any, b: Any) -> Any:
    """Whether two texts have the same letters."""
    n, first, second = entry(memory.count, a), entry(memory.start, a), entry(memory.start, b)
    if n != entry(memory.count, b):
        return False
    i = n if first == second else 0
    while i < n and entry(memory.letters, plus(first, i)) == entry(memory.letters, plus(second, i)):
        i = plus(i, 1)
    return i >= n


@outlined
def less(memory: Any, a: Any, b: Any) -> Any:
    """Whether a text comes before another."""
    m, n, first, second = entry(memory.count, a), entry(memory.count, b), entry(memory.start, a), entry(memory.start, b)
    i = 0
    while i < m and i < n and entry(memory.letters, plus(first, i)) == entry(memory.letters, plus(second, i)):
        i = plus(i, 1)
    if i >= m or i >= n:
        return m < n
    return entry(memory.letters, plus(first, i)) < entry(memory.letters, plus(second, i))


@outlined
def hashed(memory: Any, at: Any) -> Any:
    """The number that `choices.text_hash` gives of the text."""
    first, n = entry(memory.start, at), entry(memory.count, at)
    made = np.int64(n)
    for i in range(n):
        made = made * np.int64(31) + np.int64(entry(memory.letters, plus(first, i)))
    return made


@outlined
def found(memory: Any, at: Any, other: Any, start: Any, stop: Any) -> Any:
    """The first place of a text in a part of another; -1 if it is nowhere there."""
    first, second, n = entry(memory.start, at), entry(memory.start, other), entry(memory.count, other)
    p = start
    while p + n <= stop:
        i = 0
        while i < n and entry(memory.letters, first + p + i) == entry(memory.letters, second + i):
            i += 1
        if i == n:
            return p
        p += 1
    return -1


@shows_as(str)
class Text:
    """A text: `pool` and `at` are what the front end knows of it."""

    pool: Any
    at: Any

    def __len__(self) -> Any:
        known_letters(self)
        return entry(self.pool.count, self.at)

    def __eq__(self, other: Any) -> Any:
        if not isinstance(other, str):
            return NotImplemented
        known_letters(self, other)
        return same(self.pool, self.at, number_of(other))

    def __lt__(self, other: Any) -> Any:
        if not isinstance(other, str):
            return NotImplemented
        known_letters(self, other)
        return less(self.pool, self.at, number_of(other))

    def __gt__(self, other: Any) -> Any:
        if not isinstance(other, str):
            return NotImplemented
        known_letters(self, other)
        return less(self.pool, number_of(other), self.at)

    def __le__(self, other: Any) -> Any:
        return not self > other if isinstance(other, str) else NotImplemented

    def __ge__(self, other: Any) -> Any:
        return not self < other if isinstance(other, str) else NotImplemented

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, str):
            raise TypeError(f'can only concatenate str (not "{type(other).__name__}") to str')
        return text_at(added(self.pool, self.at, number_of(other)), self, other)

    def __radd__(self, other: Any) -> Any:
        if not isinstance(other, str):
            return NotImplemented
        return text_at(added(self.pool, number_of(other), self.at), self, other)

    def __mul__(self, n: Any) -> Any:
        if not isinstance(n, int):
            raise TypeError(f"can't multiply sequence by non-int of type '{type(n).__name__}'")
        start = len(self.pool.letters)
        for _ in range(n):
            put_text(self.pool, self.at)
        return text_at(finished(self.pool, start), self)

    def __rmul__(self, n: Any) -> Any:
        return self * n

    def __getitem__(self, index: Any) -> Any:
        n = len(self)
        if is_slice(index):
            start, count, step = part_of(index, n)
            return text_at(cut(self.pool, self.at, start, count, step))
        if not isinstance(index, (int, np.integer)):
            raise TypeError(f"string indices must be integers, not '{type(index).__name__}'")
        index = int(index)
        if index < -n or index >= n:
            raise IndexError("string index out of range")
        return text_at(cut(self.pool, self.at, index if index >= 0 else index + n, 1, 1))

    def __getattr__(self, name: Any) -> Any:
        return no_method(name)

    def __iter__(self) -> Any:
        return [self[i] for i in range(len(self))]

    def __contains__(self, other: Any) -> Any:
        return self.find(other) >= 0

    def _codes(self) -> Any:
        """The codes of the letters."""
        known_letters(self)
        first = entry(self.pool.start, self.at)
        return [entry(self.pool.letters, plus(first, i)) for i in range(entry(self.pool.count, self.at))]

    def _bounds(self, start: Any, stop: Any) -> Any:
        n = len(self)
        start = 0 if start is None else max(start + n, 0) if start < 0 else start
        stop = n if stop is None else max(stop + n, 0) if stop < 0 else min(stop, n)
        return start, stop

    def find(self, other: Any, start: Any = None, stop: Any = None) -> Any:
        known_letters(other)
        start, stop = self._bounds(start, stop)
        return found(self.pool, self.at, number_of(other), start, stop)

    def rfind(self, other: Any, start: Any = None, stop: Any = None) -> Any:
        known_letters(other)
        start, stop = self._bounds(start, stop)
        wanted = number_of(other)
        size = entry(self.pool.count, wanted)
        at = stop - size
        while at >= start and found(self.pool, self.at, wanted, at, at + size) < 0:
            at -= 1
        return at if at >= start else -1

    def rindex(self, other: Any, start: Any = None, stop: Any = None) -> Any:
        at = self.rfind(other, start, stop)
        if at < 0:
            raise ValueError("substring not found")
        return at

    def index(self, other: Any, start: Any = None, stop: Any = None) -> Any:
        at = self.find(other, start, stop)
        if at < 0:
            raise ValueError("substring not found")
        return at

    def count(self, other: Any, start: Any = None, stop: Any = None) -> Any:
        known_letters(other)
        start, stop = self._bounds(start, stop)
        wanted = number_of(other)
        size = entry(self.pool.count, wanted)
        if size == 0:
            return max(stop - start + 1, 0)
        times, at = 0, found(self.pool, self.at, wanted, start, stop)
        while at >= 0:
            times += 1
            at = found(self.pool, self.at, wanted, at + size, stop)
        return times

    def startswith(self, other: Any, start: Any = None, stop: Any = None) -> Any:
        if isinstance(other, tuple):
            return any(self.startswith(part, start, stop) for part in other)
        start, stop = self._bounds(start, stop)
        return start + len(other) <= stop and self[start : start + len(other)] == other

    def endswith(self, other: Any, start: Any = None, stop: Any = None) -> Any:
        if isinstance(other, tuple):
            return any(self.endswith(part, start, stop) for part in other)
        start, stop = self._bounds(start, stop)
        return start + len(other) <= stop and self[stop - len(other) : stop] == other

    def removeprefix(self, other: Any) -> Any:
        return self[len(other) :] if self.startswith(other) else self[:]

    def removesuffix(self, other: Any) -> Any:
        return self[: len(self) - len(other)] if len(other) > 0 and self.endswith(other) else self[:]

    def lstrip(self, letters: Any = None) -> Any:
        ascii_only(self)
        wanted = _BLANKS if letters is None else letters
        n, at = len(self), 0
        while at < n and self[at] in wanted:
            at += 1
        return self[at:]

    def rstrip(self, letters: Any = None) -> Any:
        ascii_only(self)
        wanted = _BLANKS if letters is None else letters
        n = len(self)
        while n > 0 and self[n - 1] in wanted:
            n -= 1
        return self[:n]

    def strip(self, letters: Any = None) -> Any:
        return self.lstrip(letters).rstrip(letters)

    def join(self, items: Any) -> Any:
        texts = list(items)
        numbers = [number_of(item) for item in texts]
        start = len(self.pool.letters)
        for i in range(len(numbers)):
            if i > 0:
                put_text(self.pool, self.at)
            put_text(self.pool, numbers[i])
        return text_at(finished(self.pool, start), self, texts)

    def split(self, sep: Any = None, maxsplit: Any = -1) -> Any:
        made = []
        n, at = len(self), 0
        if sep is None:
            ascii_only(self)
            while at < n:
                while at < n and self[at] in _BLANKS:
                    at += 1
                start = at
                while at < n and (len(made) == maxsplit or self[at] not in _BLANKS):
                    at += 1
                if at > start:
                    made.append(self[start:at])
            return made
        if len(sep) == 0:
            raise ValueError("empty separator")
        end = self.find(sep)
        while end >= 0 and len(made) != maxsplit:
            made.append(self[at:end])
            at = end + len(sep)
            end = self.find(sep, at)
        made.append(self[at:])
        return made

    def rsplit(self, sep: Any = None, maxsplit: Any = -1) -> Any:
        made = []
        stop = len(self)
        if sep is None:
            ascii_only(self)
            at = stop
            while at > 0:
                while at > 0 and self[at - 1] in _BLANKS:
                    at -= 1
                stop = at
                while at > 0 and (len(made) == maxsplit or self[at - 1] not in _BLANKS):
                    at -= 1
                if stop > at:
                    made.append(self[at:stop])
            return made[::-1]
        if len(sep) == 0:
            raise ValueError("empty separator")
        at = self.rfind(sep)
        while at >= 0 and len(made) != maxsplit:
            made.append(self[at + len(sep) : stop])
            stop = at
            at = self.rfind(sep, 0, stop)
        made.append(self[:stop])
        return made[::-1]

    def rpartition(self, sep: Any) -> Any:
        if len(sep) == 0:
            raise ValueError("empty separator")
        at = self.rfind(sep)
        return self[: max(at, 0)], sep if at >= 0 else "", self[at + len(sep) if at >= 0 else 0 :]

    def partition(self, sep: Any) -> Any:
        if len(sep) == 0:
            raise ValueError("empty separator")
        at = self.find(sep)
        end = len(self) if at < 0 else at
        return self[:end], sep if at >= 0 else "", self[end + len(sep) :]

    def replace(self, old: Any, new: Any, count: Any = -1) -> Any:
        if len(old) > 0:
            return (new + "").join(self.split(old, count))
        n, made = len(self), ""
        for i in range(n + 1):
            if count < 0 or i < count:
                made += new
            if i < n:
                made += self[i]
        return made

    def ljust(self, width: Any, fill: Any = " ") -> Any:
        known_letters(self)
        return text_at(padded(self.pool, self.at, ord(fill), 60, width), self)

    def rjust(self, width: Any, fill: Any = " ") -> Any:
        known_letters(self)
        return text_at(padded(self.pool, self.at, ord(fill), 62, width), self)

    def upper(self) -> Any:
        ascii_only(self)
        start = len(self.pool.letters)
        for code in self._codes():
            put(self.pool, code - 32 if 97 <= code <= 122 else code)
        return text_at(finished(self.pool, start))

    def lower(self) -> Any:
        ascii_only(self)
        start = len(self.pool.letters)
        for code in self._codes():
            put(self.pool, code + 32 if 65 <= code <= 90 else code)
        return text_at(finished(self.pool, start))

    def isdigit(self) -> Any:
        ascii_only(self)
        codes = self._codes()
        return len(codes) > 0 and all(48 <= code <= 57 for code in codes)

    def isalpha(self) -> Any:
        ascii_only(self)
        codes = self._codes()
        return len(codes) > 0 and all(65 <= code <= 90 or 97 <= code <= 122 for code in codes)

    def isalnum(self) -> Any:
        ascii_only(self)
        codes = self._codes()
        return len(codes) > 0 and all(48 <= code <= 57 or 65 <= code <= 90 or 97 <= code <= 122 for code in codes)

    def isupper(self) -> Any:
        ascii_only(self)
        codes = self._codes()
        return any(65 <= code <= 90 for code in codes) and not any(97 <= code <= 122 for code in codes)

    def islower(self) -> Any:
        ascii_only(self)
        codes = self._codes()
        return any(97 <= code <= 122 for code in codes) and not any(65 <= code <= 90 for code in codes)

    def isspace(self) -> Any:
        ascii_only(self)
        codes = self._codes()
        return len(codes) > 0 and all(9 <= code <= 13 or 28 <= code <= 32 for code in codes)

    def ord(self) -> Any:
        """The code of the only letter."""
        n = len(self)
        if n != 1:
            raise TypeError(f"ord() expected a character, but string of length {n} found")
        return entry(self.pool.letters, entry(self.pool.start, self.at))

    def __int__(self, base: Any = 10) -> Any:
        ascii_only(self)
        if base != 0 and (base < 2 or base > 36):
            raise ValueError("int() base must be >= 2 and <= 36, or 0")
        codes = self.strip(" \t\n\r\x0b\x0c")._codes()
        n = len(codes)
        at = 1 if n > 0 and (codes[0] == 43 or codes[0] == 45) else 0
        is_number, value, was_digit = at < n, 0, False
        radix = 10 if base == 0 else base
        has_zero = base == 0 and at < n and codes[at] == 48  # which stands before other zeros only
        if base != 10 and at + 1 < n and codes[at] == 48:
            mark = codes[at + 1] | 32
            marked = 16 if mark == 120 else 8 if mark == 111 else 2 if mark == 98 else 0
            if marked != 0 and base in (0, marked):
                at += 2
                is_number, was_digit, has_zero, radix = at < n, True, False, marked
        while at < n and is_number:
            code = codes[at]
            digit = code - 48 if 48 <= code <= 57 else (code | 32) - 87 if 97 <= code | 32 <= 122 else 99
            if digit < radix:
                value = value * radix - digit
                was_digit = True
            else:
                is_number = code == 95 and was_digit
                was_digit = False
            at += 1
        if not (is_number and was_digit) or (has_zero and value != 0):
            raise ValueError(f"invalid literal for int() with base {base}: {self!r}")
        return value if codes[0] == 45 else -value

    def __float__(self) -> Any:
        ascii_only(self)
        is_number, value = nearest_float(self.pool, self.at)
        if not is_number:
            raise ValueError(f"could not convert string to float: {self!r}")
        return value
