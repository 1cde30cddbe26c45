"""What a function can read from outside, found without lowering it: the key of what is kept of it on the disk.

`Reachable` starts from functions and argument specs and follows closure cells, defaults and every global, module
attribute and class attribute whose name the code mentions. What it meets is numbered in the order of meeting, so that
two processes that describe the same things number them alike: what is kept on the disk names objects by these numbers.

More is described than is read, and what cannot be described in full gets no number: whatever was read of it is not kept
(`scripted/kept.py` looks).
"""

from __future__ import annotations

import abc
import enum
import functools
import linecache
import marshal
import os
import sys
import types
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tracejit.eager.tensor import Tensor
from tracejit.frontend.boundary.signature import ArraySpec, NumberSpec, NumbersSpec, Spec, StaticSpec, TreeSpec, spec_of
from tracejit.runtime.cache import digest, stamp

#: More objects than this, or more said of them, takes longer than to compile: nothing is kept then.
LIMIT, _MOST_SAID = 4000, 20000

_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(...), range)

#: Packages whose own code belongs to a version that is part of the key, beside the standard library.
_VERSIONED = ("numpy", "tracejit", "ml_dtypes", "cupy")
_STANDARD = str(Path(os.__file__).parent) + os.sep

_FOLLOWED = (
    *(type, types.FunctionType, types.ModuleType, types.MethodType, types.CellType, np.ndarray, Tensor, enum.Enum),
    *(property, staticmethod, classmethod, functools.cached_property, functools.partial),
)

_IMMUTABLE, _HEAP = 1 << 8, 1 << 9

#: Gives the classes registered with an abstract one, by weak references, before other things.
_get_dump: Any = getattr(abc, "_get_dump", None)

#: Names in a class that describe nothing a script can read.
_INCIDENTAL = frozenset(
    ("__dict__", "__weakref__", "__doc__", "__module__", "__qualname__", "_abc_impl", "__abstractmethods__")
    + ("__static_attributes__", "__firstlineno__", "__match_args__")
)


class Indescribable(Exception):
    """Too much, or nothing that could be told again in another process."""


class Reachable:
    """The things met, by number (`objects`), and their description (`key`). Raises `Indescribable`."""

    def __init__(self, start: Iterable[Any], specs: Iterable[Spec] = ()) -> None:
        self.objects: list[Any] = []
        self.numbers: dict[int, int] = {}
        self._described: list[bytes] = []
        self._waiting: deque[Any] = deque()
        self._names: dict[str, None] = {}
        self._modules: list[types.ModuleType] = []
        self._asked: set[tuple[int, str]] = set()
        for thing in start:
            self._value(thing)
        for spec in specs:
            self._spec(spec)
        while self._waiting or self._attributes():
            self._follow(self._waiting.popleft())

    def key(self, *more: str) -> str:
        """A digest of everything met, the versions it belongs to, and `more`."""
        from tracejit.runtime.machines import identity

        return digest("reachable", stamp(), *identity(), *more, *self._described)

    def number(self, thing: Any) -> int | None:
        """The number of a thing that was met and described."""
        return self.numbers.get(id(thing))

    # -- describing -------------------------------------------------------------------------------------------

    def _say(self, text: str | bytes) -> None:
        self._described.append(text.encode() if isinstance(text, str) else text)

    def _meet(self, thing: Any) -> bool:
        """Whether a thing is new; it gets a number."""
        known = self.numbers.get(id(thing))
        if known is not None:
            self._say(f"#{known}")
            return False
        if len(self.objects) >= LIMIT or len(self._described) > _MOST_SAID:
            raise Indescribable
        self.numbers[id(thing)] = len(self.objects)
        self.objects.append(thing)
        return True

    def _value(self, value: Any) -> None:
        """Describe a value; what it leads to waits."""
        kind = type(value)
        if kind in _PLAIN:
            self._say(f"{kind.__name__} {value!r}")
        elif isinstance(value, tuple | list | dict):
            self._container(value)
        elif isinstance(value, np.generic | np.dtype):
            self._say(f"{kind.__name__} {value!r} {value.dtype.str if isinstance(value, np.generic) else value.str}")
        elif not self._is_opaque(value) and self._meet(value):
            self._say(kind.__qualname__)
            self._waiting.append(value)

    def _container(self, value: Any) -> None:
        if not self._meet(value):
            return
        if len(value) > _MOST_SAID:
            raise Indescribable
        self._say(f"{type(value).__qualname__} {len(value)}")
        if type(value) not in (tuple, list, dict):
            self._value(type(value))
            self._value(getattr(value, "__dict__", None))
        if isinstance(value, dict):
            for key, part in dict.items(value):
                self._value(key)
                self._value(part)
            return
        for part in value:
            self._value(part)

    def _spec(self, spec: Spec) -> None:
        match spec:
            case ArraySpec() | NumberSpec() | NumbersSpec():
                self._say(repr(spec))
            case StaticSpec(value):
                self._say("static")
                self._value(value)
            case TreeSpec(kind, keys, children):
                self._say(f"tree {len(keys)}")
                self._value(kind)
                for key, child in zip(keys, children, strict=True):
                    self._value(key)
                    self._spec(child)

    def _is_opaque(self, value: Any) -> bool:
        """Whether nothing can be said of a value beyond its class: it gets no number."""
        if isinstance(value, _FOLLOWED) or is_librarys(value):
            return False
        if hasattr(type(value), "kept_parts"):
            if value.kept_parts is not None:
                return False
        elif _is_plain_object(value):
            return False
        if isinstance(value, set | frozenset):
            items = [*map(repr, value)]  # a loop comes to numbers in an order that is the same in each process
            is_known = all(isinstance(v, int | float) for v in value)
            self._say(f"{type(value).__qualname__} {items if is_known else sorted(items)}")
        self._say(f"opaque {type(value).__module__}.{type(value).__qualname__}")
        return True

    # -- following --------------------------------------------------------------------------------------------

    def _follow(self, thing: Any) -> None:
        """Describe what a thing leads to."""
        self._say(f"of {self.numbers[id(thing)]}")
        if is_librarys(thing):
            self._say(f"{type(thing).__name__} {name_of(thing)} {_registered(thing)}")
            return
        match thing:
            case types.ModuleType():
                self._say(f"module {thing.__name__} {getattr(thing, '__file__', '')}")
                self._modules.append(thing)
            case types.FunctionType():
                self._function(thing)
            case types.MethodType():
                self._parts(thing.__func__, thing.__self__)
            case types.CellType():
                self._cell(thing)
            case type():
                self._class(thing)
            case property():
                self._parts(thing.fget, thing.fset, thing.fdel)
            case staticmethod() | classmethod():
                self._parts(thing.__func__)
            case functools.cached_property():
                self._parts(thing.func, thing.attrname)
            case functools.partial():
                self._parts(thing.func, thing.args, thing.keywords)
            case enum.Enum():
                self._say(str(thing.name))  # members that stand for several have none
                self._parts(type(thing), thing.value)
            case np.ndarray() | Tensor():
                self._array(thing)
            case _ if hasattr(type(thing), "kept_parts"):
                self._parts(type(thing), *thing.kept_parts)
            case _:
                self._object(thing)

    def _parts(self, *parts: Any) -> None:
        for part in parts:
            self._value(part)

    def _function(self, fn: types.FunctionType) -> None:
        """Code, source text, defaults, closure, attributes, and the globals that the code mentions."""
        self._say(code_of(fn))
        if id(fn.__globals__) not in self.numbers:
            self.numbers[id(fn.__globals__)] = len(self.objects)
            self.objects.append(fn.__globals__)
        self._say(f"globals {self.numbers[id(fn.__globals__)]} {fn.__module__} {fn.__qualname__}")
        self._parts(fn.__defaults__, fn.__kwdefaults__)
        for name, part in vars(fn).items():
            self._say(name)
            self._value(part)
        for cell in fn.__closure__ or ():
            self._value(cell)
        for name in names_in(fn.__code__):
            self._names[name] = None
            if name in fn.__globals__:
                self._say(name)
                self._value(fn.__globals__[name])
            elif hasattr(sys.modules["builtins"], name):
                self._say(f"{name} {_shallow(getattr(sys.modules['builtins'], name))}")

    def _cell(self, cell: types.CellType) -> None:
        try:
            content = cell.cell_contents
        except ValueError:  # not bound yet
            self._say("empty")
            return
        self._value(content)

    def _class(self, cls: type) -> None:
        self._say(f"class {cls.__module__} {cls.__qualname__} {_registered(cls)}")
        self._parts(type(cls), *cls.__mro__[1:])
        for name, part in vars(cls).items():
            if name not in _INCIDENTAL:
                self._say(name)
                self._value(part)

    def _object(self, thing: Any) -> None:
        """An instance of a class written in Python: its class and its attributes."""
        self._parts(type(thing))
        for name, part in getattr(thing, "__dict__", {}).items():
            self._say(str(name))
            self._value(part)
        for name in _slots(type(thing)):
            if hasattr(thing, name):
                self._say(name)
                self._value(getattr(thing, name))

    def _array(self, array: Any) -> None:
        try:
            self._say(repr(spec_of(array)))
        except TypeError:
            raise Indescribable from None
        if type(array) not in (np.ndarray, Tensor):
            self._value(type(array))

    def _attributes(self) -> bool:
        """Describe what modules hold by names that are mentioned; whether more waits."""
        for module in self._modules:
            held = vars(module)
            fixed = is_versioned(module.__name__)
            for name in self._names:
                if name in held and (id(module), name) not in self._asked:
                    self._asked.add((id(module), name))
                    self._say(f"{module.__name__}.{name}")
                    if fixed and not isinstance(held[name], types.ModuleType):
                        self._say(_shallow(held[name]))
                    else:
                        self._value(held[name])
        return bool(self._waiting)


def names_in(code: types.CodeType) -> list[str]:
    """The names that code and the code inside it look up, in order."""
    found = dict.fromkeys(code.co_names)
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            found.update(dict.fromkeys(names_in(const)))
    return list(found)


def is_versioned(module: str) -> bool:
    """Whether a module is part of a versioned package: a file of the user may have the name of a standard one."""
    package = module.split(".", maxsplit=1)[0]
    if package not in sys.stdlib_module_names:
        return package in _VERSIONED
    file = getattr(sys.modules.get(package), "__file__", None)
    return file is None or (file.startswith(_STANDARD) and "-packages" not in file)


def is_librarys(thing: Any) -> bool:
    """Whether a thing is what a versioned package calls by that name."""
    module, name = _home(thing)
    if module is None or not name or not is_versioned(module):
        return False
    return find(module, name) is thing


def name_of(thing: Any) -> tuple[str, str]:
    """Module and qualified name of a thing `is_librarys` knows."""
    module, name = _home(thing)
    assert module is not None
    return module, name


def find(module: str, name: str) -> Any:
    """What a module holds by a qualified name; None where it does not."""
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def is_namespace(names: dict[str, Any]) -> bool:
    """Whether a dict is what a module of a versioned package holds."""
    module = sys.modules.get(str(names.get("__name__")))
    return module is not None and vars(module) is names and is_versioned(module.__name__)


def held_by_package(thing: Any) -> tuple[str, str] | None:
    """Module and name by which a versioned package holds an instance of one of its classes; None if it does not."""
    if not is_librarys(type(thing)):
        return None
    module = name_of(type(thing))[0]
    names = (name for name, held in vars(sys.modules[module]).items() if held is thing)
    return next(((module, name) for name in names), None)


def _home(thing: Any) -> tuple[str | None, str]:
    if isinstance(thing, np.ufunc):
        return "numpy", thing.__name__
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    return (module if isinstance(module, str) else None), (name if isinstance(name, str) else "")


def _shallow(thing: Any) -> str:
    """A thing of a versioned package: what it is called, not what is inside."""
    if type(thing) in _PLAIN:
        return f"{type(thing).__name__} {thing!r}"
    file = thing.__code__.co_filename if isinstance(thing, types.FunctionType) else ""
    return f"{type(thing).__qualname__} {_home(thing)} {file} {_registered(thing)}"


def _registered(thing: Any) -> list[str]:
    """The classes that were declared to be subclasses of an abstract one, of its subclasses, or of those declared: an
    `isinstance` asks them all."""
    if not isinstance(thing, abc.ABCMeta):
        return []
    if _get_dump is None:
        raise Indescribable
    found: set[type] = set()
    waiting, seen = [thing], {thing}
    while waiting:
        cls = waiting.pop()
        declared = {c for reference in _get_dump(cls)[0] if (c := reference()) is not None}
        found |= declared
        further = {c for c in (*declared, *type.__subclasses__(cls)) if isinstance(c, abc.ABCMeta)} - seen
        seen |= further
        waiting += further
    return sorted(f"{cls.__module__}.{cls.__qualname__}" for cls in found)


def _is_plain_object(value: Any) -> bool:
    """Whether all there is to an object lies in attributes: its classes are written in Python."""
    cls = type(value)
    for base in cls.__mro__[:-1]:
        flags = base.__flags__
        if not flags & _HEAP or flags & _IMMUTABLE:
            return False
    return cls.__itemsize__ == 0 and cls.__basicsize__ <= 32 + 8 * len(_slots(cls))


def _slots(cls: type) -> list[str]:
    found: list[str] = []
    for base in cls.__mro__:
        names = base.__dict__.get("__slots__", ())
        found += [names] if isinstance(names, str) else list(names)
    return [name for name in found if name not in ("__dict__", "__weakref__")]


def code_of(fn: types.FunctionType) -> str:
    """A digest of a function's code and of the text of the file it is in."""
    filename = fn.__code__.co_filename
    linecache.checkcache(filename)
    text = linecache.getlines(filename, fn.__globals__) or (sys.orig_argv if "-c" in sys.orig_argv else ())
    return digest(marshal.dumps(fn.__code__, 2), "".join(text))
