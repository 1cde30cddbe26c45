"""The keywords of `@script`."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

from tracejit.records import record

_UNITS = {
    "B": 1,
    **{f"{letter}B": 1000**k for k, letter in enumerate("KMGT", 1)},
    **{f"{letter}IB": 1024**k for k, letter in enumerate("KMGT", 1)},
}


def bytes_of(memory: int | str | None) -> int | None:
    """A memory budget in bytes: a number, or text such as `"64MB"` or `"1.5 GiB"`; None is no budget."""
    if memory is None:
        return None
    found = re.fullmatch(r"([0-9.]+)\s*([KMGT]?I?B)?", str(memory).strip().upper())
    try:
        size = int(float(found[1]) * _UNITS[found[2] or "B"]) if found else 0
    except ValueError:
        size = 0
    if size <= 0 or isinstance(memory, bool):
        raise ValueError(f"memory is a number of bytes or a text such as '64MB', not {memory!r}")
    return size


@record
class Options:
    """The keywords of `@script`."""

    parallel: bool = True
    fastmath: bool = False
    boundscheck: bool = True
    cache: bool = True
    static: tuple[str, ...] = ()
    memory: int | str | None = None
    copies: str = "allow"
    fallback: bool = False

    def __post_init__(self) -> None:
        for name in ("parallel", "fastmath", "boundscheck", "cache", "fallback"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"script(): {name} is True or False, not {getattr(self, name)!r}")
        names = (self.static,) if isinstance(self.static, str) else tuple(self.static)
        object.__setattr__(self, "static", names)
        object.__setattr__(self, "memory", bytes_of(self.memory))
        if self.copies not in ("allow", "error"):
            raise ValueError(f"copies is 'allow' or 'error', not {self.copies!r}")

    @property
    def described(self) -> tuple[Any, ...]:
        """All of them."""
        return tuple(getattr(self, f.name) for f in fields(self))

    @property
    def policy(self) -> dict[str, Any]:
        """What the graph is told: settings that differ from the default."""
        given: dict[str, tuple[Any, Any]] = {
            "parallel": (self.parallel, True),
            "fastmath": (self.fastmath, False),
            "cache": (self.cache, True),
            "memory": (self.memory, None),
            "copies": (self.copies, "allow"),
        }
        return {name: value for name, (value, default) in given.items() if value != default}
