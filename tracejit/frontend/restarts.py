"""What is found while a function is lowered, that must be known from the start: lowering begins again."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tracejit.frontend.values import ArrayView, FrontValue

if TYPE_CHECKING:
    from tracejit.frontend.context import Context
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


class NeedsLoop(Exception):
    """A `while` loop whose iterations cannot be told while compiling: lower again with it as a loop."""

    def __init__(self, loop: ast.AST) -> None:
        super().__init__()
        self.loop = loop


class AttributeVaries(Exception):
    """A number in an attribute that the script sets: lower again with it as an input."""

    def __init__(self, access: Any) -> None:
        super().__init__()
        self.access = access


class FoundLate(Exception):
    """A list from outside that changes is first met in a branch or loop: lower again with it there from the start."""

    def __init__(self, value: Any, access: Any) -> None:
        super().__init__()
        self.value = value
        self.access = access


class MustTell(Exception):
    """The specs of the arguments must say more: lower again for those."""


class NeedsStatic(MustTell):
    """A number argument decides a type (an axis, say): lower again with it compiled in."""

    def __init__(self, access: Any) -> None:
        super().__init__()
        self.access = access


class NeedsSizes(MustTell):
    """Sizes of arguments decide what the program is: lower again with them compiled in."""

    def __init__(self, sizes: Iterable[tuple[Any, int]]) -> None:
        super().__init__()
        self.sizes = frozenset(sizes)

    @property
    def hidden(self) -> frozenset[tuple[Any, int]]:
        """Those of arrays that are no arguments."""
        return frozenset((access, axis) for access, axis in self.sizes if access.root < 0)


class NeedsItems(MustTell):
    """Lists of many numbers cannot be run-time values here: lower again with each number as a value of its own."""


class NeedsDevice(Exception):
    """No argument is an array, and one from outside is elsewhere: lower again for its device."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = device


class NeedsTensors(Exception):
    """No argument is an array, and an array was made by a function of tracejit's: lower again with Tensors."""


class NeedsWrites(Exception):
    """The script asks gradients for what it makes: lower again with writes marked for derivatives from the start."""


def note_maker(ctx: Context, made: FrontValue, numpys: bool) -> None:
    """Where no argument is an array, the first function that makes one says what arrays are: NumPy's, or Tensors."""
    if ctx.undecided and isinstance(made, ArrayView):
        if not numpys:
            raise NeedsTensors
        ctx.undecided = False
