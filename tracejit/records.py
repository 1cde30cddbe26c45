"""`record`: a class of named fields that nobody changes, cheap to define and to make.

The type checker sees a frozen dataclass with slots and refuses assignments. At run time fields are plain slots: a
frozen dataclass sets each through `object.__setattr__`, which takes three times as long, and graphs and programs are
made of such objects.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Set
from typing import Any, TypeVar, dataclass_transform, overload

_T = TypeVar("_T")


@overload
def record(cls: type[_T], /) -> type[_T]: ...
@overload
def record(*, eq: bool = True) -> Callable[[type[_T]], type[_T]]: ...
@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def record(cls: Any = None, /, *, eq: bool = True) -> Any:
    """Make a class a record. Equal fields make records equal and hash alike, unless `eq` is False: then each is its
    own."""

    def make(made: Any) -> Any:
        own = {name for name in ("__eq__", "__hash__", "__repr__") if made.__dict__.get(name) is not None}
        made = dataclasses.dataclass(slots=True, eq=False, repr=False)(made)
        if eq:
            _by_fields(made, own)
        if "__repr__" not in own:
            made.__repr__ = _shown
        return made

    return make if cls is None else make(cls)


def _by_fields(made: Any, own: Set[str]) -> None:
    """Let records of a class be equal where their fields are, unless the class says itself when they are."""
    names = [f.name for f in dataclasses.fields(made) if f.compare]
    mine, others = ("".join(f"{of}.{name}, " for name in names) for of in ("self", "other"))
    methods: dict[str, Any] = {}
    exec(_METHODS.format(mine=mine, others=others), methods)
    for name in ("__eq__", "__hash__"):
        if name not in own:
            setattr(made, name, methods[name])


#: Written out for each class: code that names the fields is several times as fast as code that looks for them.
_METHODS = """
def __eq__(self, other):
    return ({mine}) == ({others}) if other.__class__ is self.__class__ else NotImplemented
def __hash__(self):
    return hash(({mine}))
"""


def _shown(self: Any) -> str:
    fields = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in dataclasses.fields(self) if f.repr)
    return f"{type(self).__qualname__}({fields})"
