"""What programs ask about types and about their compilation (`tracejit.jit`); scripts answer by themselves."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from tracejit.eager.modes import MODE

T = TypeVar("T")

#: Forms that say nothing of what they contain, and what to write instead.
_BARE: dict[Any, str] = {
    typing.List: "List[int]",  # noqa: UP006
    typing.Dict: "Dict[int, int]",  # noqa: UP006
    typing.Tuple: "Tuple[int]",  # noqa: UP006
    typing.Optional: "Optional[int]",
}


def is_instance_of(obj: Any, target_type: Any) -> bool:
    """Whether an object is of a type, which may say what containers hold: `List[int]`, `Optional[Dict[str, Tensor]]`,
    or a tuple of types. An empty list is a list of anything. RuntimeError for `List`, `Dict`, `Tuple` and `Optional`
    without brackets, TypeError for other forms of `typing`."""
    return holds(obj, target_type, isinstance, _items)


def _items(container: Any) -> Iterable[Any]:
    return container.items() if isinstance(container, dict) else container


def holds(x: T, form: Any, is_a: Callable[[T, type], bool], items: Callable[[T], Iterable[Any]]) -> bool:
    """`is_instance_of`, by what tells classes of values and gives the items of a container: pairs, of a dict."""

    def each(values: Iterable[Any], form: Any) -> bool:
        return all(holds(value, form, is_a, items) for value in values)

    if isinstance(form, tuple):
        return any(holds(x, f, is_a, items) for f in typing.cast("tuple[Any, ...]", form))
    if form is Any or form is None:
        return form is Any or is_a(x, type(None))
    if form in _BARE:
        raise RuntimeError(f"{form} does not say what it contains: write {_BARE[form]}, for example")
    origin, arguments = typing.get_origin(form), typing.get_args(form)
    if origin in (typing.Union, types.UnionType):
        return any(holds(x, f, is_a, items) for f in arguments)
    if origin is None:
        return is_a(x, form)
    if origin not in (list, dict, tuple, set, frozenset):
        raise TypeError(f"whether a value is of the type {form} cannot be told")
    if not is_a(x, origin):
        return False
    if origin is dict:
        pairs = list(items(x))
        return each((k for k, _ in pairs), arguments[0]) and each((v for _, v in pairs), arguments[1])
    if origin is tuple and arguments[1:] != (...,):
        found = list(items(x))
        return len(found) == len(arguments) and all(map(lambda v, f: holds(v, f, is_a, items), found, arguments))
    return each(items(x), arguments[0])


def is_scripting() -> bool:
    """Whether this is compiled code of a script: False in plain Python, True in scripts."""
    return False


def are_distinct(items: Sequence[Any]) -> bool:
    """Whether no object is there twice."""
    return len({id(x) for x in items}) == len(items)


def is_leaf(tensor: Any) -> bool:
    """Whether a tensor may be a parameter: no operation that was recorded made it."""
    return tensor.is_leaf


def is_tracing() -> bool:
    """Whether `tj.trace` is recording."""
    return MODE.tracer is not None
