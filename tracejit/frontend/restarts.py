"""What is found while a function is lowered, of lists and loops, that must be known from the start: lowering begins
again."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracejit.frontend.kinds import Kind


class ListGrows(Exception):
    """Lists that must be growing ones from the start: lower again, knowing the kind of their items (None: no item)."""

    def __init__(self, keys: Iterable[object], kind: Kind | None, keeps_length: bool = False) -> None:
        super().__init__()
        self.kinds = dict.fromkeys(keys, kind)
        self.keeps_length = keeps_length  #: items are set, as far as is known


class LengthVaries(Exception):
    """Lists that were taken to keep their length do not: lower again without that."""

    def __init__(self, keys: Iterable[object]) -> None:
        super().__init__()
        self.keys = frozenset(keys)


class NeedsUnrolling(Exception):
    """A loop over few numbers: lower again with its iterations one after the other."""

    def __init__(self, loop: ast.AST) -> None:
        super().__init__()
        self.loop = loop
