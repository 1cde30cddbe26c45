"""NumPy functions, and some of Python's, written in the language itself, in terms of those that tracejit defines.

A script that calls `np.nanstd` gets the function of this package inlined. Its statements are lowered as the user's
are, so shapes, dtypes, errors and derivatives follow from what it calls; every op and error belongs to the user's
line. Arguments that decide a shape or a path (`axis`, `mode`, flags) are compile-time values here too.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import cache
from types import FunctionType
from typing import Any, NoReturn

from tracejit.frontend.functions.names import elementwise_names, resolve


class Library:
    """A function of tracejit's by its name, for definitions here to call."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __tracejit_lower__(self, calls: Any, args: Any, kwargs: Any, node: Any) -> Any:
        from tracejit.frontend.tensors.arrays import function

        return function(calls, self.name, args, kwargs, node)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"{self.name} is called inside scripts only")


class Refusal:
    """Called in a definition with a reason and what to write instead: the user's call is outside the language."""

    def __tracejit_lower__(self, calls: Any, args: Any, kwargs: Any, node: Any) -> Any:
        reason, instead = (calls.static(a, node, "this") for a in args)
        calls.ctx.refuse(node, reason, instead)

    def __call__(self, reason: str, instead: str) -> NoReturn:
        raise TypeError(reason)


refuse = Refusal()

_WRITTEN: dict[Any, Callable[..., Any]] = {}
_METHODS: dict[str, Callable[..., Any]] = {}
_OF_NUMBERS: dict[str, Callable[..., Any]] = {}
_EXTENDED: dict[str, Callable[..., Any]] = {}


class Known:
    """`each(n)`: 0, 1 ... n - 1 for an n that is known when the function is compiled; a loop over it is unrolled. A
    second argument says in errors what n is, if not the number of axes."""

    def __tracejit_lower__(self, calls: Any, args: Any, kwargs: Any, node: Any) -> Any:
        from tracejit.frontend.values import Static, TupleValue

        what = args[1].value if len(args) > 1 else "the number of axes"
        return TupleValue(tuple(Static(k) for k in range(calls.static(args[0], node, what))))

    def __call__(self, n: Any, what: str = "") -> Sequence[int]:
        return range(n)


each = Known()


class OfOneType:
    """`of_one_type(fn, *args)`: a call whose result has one type whatever path it takes."""

    def __tracejit_lower__(self, calls: Any, args: Any, kwargs: Any, node: Any) -> Any:
        before, calls.ctx.types_met = calls.ctx.types_met, False
        made = calls.call_value(args[0], args[1:], {}, node)
        if calls.ctx.types_met:
            reason = "the dtype depends on the first element: numbers of two types meet in the function"
            calls.ctx.refuse(node, reason, "np.vectorize(f, otypes=[float]), or numbers of one type")
        calls.ctx.types_met = before
        return made

    def __call__(self, fn: Any, *args: Any) -> Any:
        return fn(*args)


of_one_type = OfOneType()


class IsKnown:
    """`is_known(n)`: whether a number is known when the function is compiled."""

    def __tracejit_lower__(self, calls: Any, args: Any, kwargs: Any, node: Any) -> Any:
        from tracejit.frontend.values import Static

        return Static(isinstance(args[0], Static))

    def __call__(self, n: Any) -> bool:
        return True


is_known = IsKnown()


class Decisive:
    """`decisive(n)`: a size that decides what the program is, compiled in unless data decides it."""

    def __tracejit_lower__(self, calls: Any, args: Any, kwargs: Any, node: Any) -> Any:
        from tracejit.frontend.control.dependence import compiled_in, decided_by
        from tracejit.frontend.values import Static

        if isinstance(args[0], Static):
            return args[0]
        found = decided_by(calls.ctx, args[0].value)
        return args[0] if found.by_data else Static(int(compiled_in(found)))

    def __call__(self, n: Any) -> Any:
        return n


decisive = Decisive()


def written(
    *functions: Any, methods: str = "", numbers: str = ""
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a definition for functions of NumPy, for methods of arrays, and for those of Python's numbers."""

    def register(fn: Callable[..., Any]) -> Callable[..., Any]:
        _WRITTEN.update(dict.fromkeys(functions, fn))
        _METHODS.update(dict.fromkeys(methods.split(), fn))
        _OF_NUMBERS.update(dict.fromkeys(numbers.split(), fn))
        return fn

    return register


def extended(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a definition for calls with arguments that the library function of that name does not take."""

    def register(fn: Callable[..., Any]) -> Callable[..., Any]:
        _EXTENDED.update(dict.fromkeys(names, fn))
        return fn

    return register


#: The modules with definitions, and those in which are all for functions that tracejit has ops for, for methods of
#: arrays, and for methods of Python's numbers and `math`.
_MODULES = (
    "arrangement averages changes complex_numbers frequencies iterators matrices numbers padding polynomials "
    "reductions selection sequences statistics tables vectorizing whole windows"
)
_FOR_OPS, _FOR_METHODS, _FOR_NUMBERS = "numbers", "arrangement selection", "whole"

#: The packages whose functions in Python have definitions.
_PACKAGES = ("numpy", "heapq", "statistics")


@cache
def _load(modules: str = _MODULES) -> None:
    """Import definitions, once a script may need one of them: that takes longer than to compile many a script."""
    for module in modules.split():
        importlib.import_module(f"{__name__}.{module}")


def replacement(fn: Any) -> Callable[..., Any] | None:
    """The definition for a function of NumPy; None where there is none."""
    if isinstance(fn, FunctionType) and str(fn.__module__).split(".")[0] not in _PACKAGES:
        return None
    _load(_FOR_OPS if resolve(fn) in elementwise_names() else _MODULES)
    try:
        return _WRITTEN.get(fn)
    except TypeError:
        return None


def method_replacement(name: str) -> Callable[..., Any] | None:
    """The definition for a method of arrays; None where there is none."""
    _load(_FOR_METHODS)
    return _METHODS.get(name)


def number_method(name: str) -> Callable[..., Any] | None:
    """The definition of a method of Python's numbers; None where there is none."""
    _load(_FOR_NUMBERS)
    return _OF_NUMBERS.get(name)


def extension(name: str) -> Callable[..., Any] | None:
    """The definition of a library function for arguments that are NumPy's only, or of one of `math`."""
    _load(_FOR_NUMBERS if name.startswith("math.") else _MODULES)
    return _EXTENDED.get(name)
