"""What holds a name that functions in a function rebind."""

from __future__ import annotations

from typing import NoReturn


class Cell:
    """Holds one name of a function, as an attribute of that name."""

    def __getattr__(self, name: str) -> NoReturn:
        raise UnboundLocalError(f"cannot access local variable {name!r} where it is not associated with a value")
