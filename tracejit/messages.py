"""Texts of errors and prints: templates in the syntax of `str.format`, filled with the values of a run.

A field is the number of a value, as in `{0:.2f}`, or says what is made of several: `{complex(v0,v1)}` of two values,
`{array(a0)!r}` of array 0. Arrays are put together before the text that shows them, by texts of their own:
`{begin('float64',0,v0)}` starts array 0 of a size, `{item(v0)}` fills in the next element; both show nothing.
"""

from __future__ import annotations

import ast
import builtins
import string
import threading
import warnings
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np


class _Pending(threading.local):
    """The arrays of the next text of this thread, and where the elements of the last one go."""

    def __init__(self) -> None:
        self.arrays: list[Any] = []
        self.places: Iterator[int] = iter(())


_pending = _Pending()

#: How a field makes what it shows of arrays and numbers, by name.
FORMS: dict[str, Callable[..., Any]] = {
    "complex": complex,
    "complex64": lambda re, im: np.complex64(complex(re, im)),
    "complex128": lambda re, im: np.complex128(complex(re, im)),
    "array": lambda array: array,
    "numbers": lambda array: array.tolist(),
    "items": list,
    "text": lambda place, *options: uncovered(options[place]),
    "texts": lambda places, *options: [uncovered(options[i]) for i in places.tolist()],
    "tuples": lambda *columns: list(zip(*columns, strict=True)),
    "lists": lambda *columns: [list(row) for row in zip(*columns, strict=True)],
    "dict": lambda keys, values: dict(zip(keys, values, strict=True)),
    "OrderedDict": lambda keys, values: OrderedDict(zip(keys, values, strict=True)),
    "Counter": lambda keys, values: Counter(dict(zip(keys, values, strict=True))),
    "set": set,
    "shared": lambda items, starts, counts, ats: [items[starts[i] : starts[i] + counts[i]] for i in ats],
    "deque": deque,
    "tuple": tuple,
    "frozenset": frozenset,
}


def escape(text: str) -> str:
    """Text as a template without fields."""
    return text.replace("{", "{{").replace("}", "}}")


def hidden(template: str) -> str:
    """A template as a word that may stand in a field of another."""
    return "t" + template.encode().hex()


def uncovered(word: str) -> str:
    """The template that a word hides."""
    return bytes.fromhex(word[1:]).decode()


def _one_of(count: int, *parts: Any) -> str:
    """The text of one of so many templates: each hidden one with the number of its values, which one, all values."""
    words, sizes, (which, *values) = parts[: 2 * count : 2], parts[1 : 2 * count : 2], parts[2 * count :]
    start = sum(sizes[:which])
    return filled(uncovered(words[which]), values[start : start + sizes[which]])


FORMS["one_of"] = _one_of
FORMS["formatted"] = lambda word, *values: filled(uncovered(word), values)
FORMS["called"] = lambda method, text, *args: getattr(text, method)(*args)


def letters(cells: Any, *words: str) -> str:
    """A text by the codes of its letters. Below 0 stands which hidden template comes instead, which begins with the
    dtypes of what it shows; the bits of that follow."""
    given, made = map(int, cells), list[str]()
    for cell in given:
        if cell >= 0:
            made.append(chr(cell))
            continue
        count, rest = uncovered(words[-1 - cell]).split(" ", 1)
        *dtypes, template = rest.split(" ", int(count))
        made.append(filled(template, [_of_bits(next(given), dtype) for dtype in dtypes]))
    return "".join(made)


def _of_bits(bits: int, dtype: str) -> Any:
    """A number of a dtype by its bits; those of a narrow float are the bits of a float64."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        found = np.int64(bits).view(np.float64)
        return float(found) if kind.itemsize == 8 else found.astype(kind)
    return bool(bits) if kind.kind == "b" else bits % (1 << 64) if dtype == "uint64" else bits


def made_texts(cells: Any, starts: Any, counts: Any, places: Any, *words: str) -> list[str]:
    """Texts by their numbers: where the letters of each begin, and how many there are."""
    parts = ((starts[i], counts[i]) for i in map(int, places))
    return [letters(cells[start : start + count], *words) for start, count in parts]


FORMS["letters"] = letters
FORMS["made_texts"] = made_texts

#: What has been warned of, by file, as modules keep it in `__warningregistry__`.
_warned: dict[str, dict[Any, Any]] = {}


def _warn(word: str, category: str, file: str, line: int, *values: Any) -> str:
    """Warn with the text of a hidden template, of a built-in category, at a line of a file (hidden as well); shows
    nothing."""
    text, place = filled(uncovered(word), values), uncovered(file)
    warnings.warn_explicit(text, getattr(builtins, category), place, line, registry=_warned.setdefault(place, {}))
    return ""


FORMS["warn"] = _warn


def filled(template: str, values: Sequence[Any], arrays: Sequence[Any] | None = None) -> str:
    """The text of a template; `arrays` are those it shows, where they are at hand."""
    return _Filler(_pending.arrays if arrays is None else arrays).vformat(template, values, {})


class _Filler(string.Formatter):
    def __init__(self, arrays: Sequence[Any]) -> None:
        self.arrays = arrays

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Any) -> tuple[Any, str]:
        if field_name.isdigit():
            return args[int(field_name)], field_name
        return self.made(ast.parse(field_name, mode="eval").body, args), field_name

    def made(self, node: ast.expr, args: Sequence[Any]) -> Any:
        """What a field of several values shows."""
        match node:
            case ast.Constant(value):
                return value
            case ast.Name(name):
                return (args if name[0] == "v" else self.arrays)[int(name[1:])]
            case ast.Call(ast.Name("begin"), parts):
                _begin(*(self.made(p, args) for p in parts))
                return ""
            case ast.Call(ast.Name("item"), parts):
                _item(*(self.made(p, args) for p in parts))
                return ""
            case ast.Call(ast.Name(name), parts):
                return FORMS[name](*(self.made(p, args) for p in parts))
            case _:
                raise ValueError(f"no field of a message: {ast.unparse(node)}")


def _begin(dtype: str, index: int, *shape: int) -> None:
    array = np.empty(tuple(map(int, shape)), np.dtype(dtype))
    _pending.arrays[index:] = [array]
    _pending.places = iter(range(array.size))


def _item(*parts: Any) -> None:
    _pending.arrays[-1].flat[next(_pending.places)] = parts[0] if len(parts) == 1 else complex(*parts)
