"""Arithmetic on sizes and indices while lowering: folded, memoised, and with facts about signs.

A size is an int or an i64 value. Values of the form `root + constant` are remembered as such, so that
`x[1:]` and `x[:-1]` have one and the same length value, and lower bounds prove clamps inactive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tracejit.frontend.values import Size
from tracejit.ir.builder import Builder
from tracejit.ir.core import Value
from tracejit.ir.types import I64, ScalarType

if TYPE_CHECKING:
    from tracejit.frontend.context import Context

Key = int | str | Value

#: How many run-time sizes a message shows.
MAX_SHOWN = 8


def key(size: Size) -> Key:
    """What makes two sizes the same."""
    return size.dim if isinstance(size, Value) else size


def shown_size(size: Size | str, numbers: list[Value]) -> str:
    """A size in a message; one that is known at run time only is appended to the numbers before."""
    if not isinstance(size, Value):
        return str(size)
    numbers.append(size)
    return f"{{{len(numbers) - 1}}}" if len(numbers) <= MAX_SHOWN else "?"


def shown_shape(shape: Sequence[Size | str], numbers: list[Value], between: str = ",") -> str:
    """A shape in a message."""
    parts = [shown_size(n, numbers) for n in shape]
    return f"({parts[0]},)" if len(parts) == 1 else f"({between.join(parts)})"


def check_equal(ctx: Context, size: Size, other: Size, kind: str, message: str, *payload: Value) -> None:
    """Raise `kind` at this line at run time unless two sizes are equal; they are one size from here on."""
    sizes = ctx.size_value(size), ctx.size_value(other)
    ctx.b.emit("check_eq", (*sizes, *payload), {"kind": kind, "message": message})


@dataclass(slots=True)
class Sizes:
    """Facts and memoised sizes of one region; `nested` extends them for an inner block."""

    affine: dict[Value, tuple[Value, int]] = field(default_factory=dict[Value, tuple[Value, int]])
    lower: dict[Key, int] = field(default_factory=dict["Key", int])
    below: dict[Key, set[Key]] = field(default_factory=dict["Key", "set[Key]"])
    memo: dict[tuple[object, ...], Value] = field(default_factory=dict[tuple[object, ...], Value])
    truths: dict[Value, bool] = field(default_factory=dict[Value, bool])  #: truth values that are known here

    def nested(self) -> Sizes:
        """Facts for an inner block: everything known here, and what is learned there stays there."""
        below = {k: set(v) for k, v in self.below.items()}
        return Sizes(dict(self.affine), dict(self.lower), below, dict(self.memo), dict(self.truths))

    # -- facts ----------------------------------------------------------------------------------------

    def split(self, size: Size) -> tuple[Value | None, int]:
        """`size` as (root, constant)."""
        if isinstance(size, int):
            return None, size
        if isinstance(size.known, int):
            return None, size.known
        return self.affine.get(size, (size, 0))

    def at_least(self, size: Size, bound: int) -> bool:
        """Whether `size >= bound` is proved."""
        root, constant = self.split(size)
        if root is None:
            return constant >= bound
        low = self.lower.get(key(size))
        if low is not None and low >= bound:
            return True
        low = self.lower.get(key(root))
        return low is not None and low + constant >= bound

    def note_lower(self, size: Size, bound: int) -> None:
        """Remember `size >= bound`."""
        if isinstance(size, Value):
            self.lower[key(size)] = max(bound, self.lower.get(key(size), bound))

    def note_below(self, index: Size, limit: Size) -> None:
        """Remember `index < limit`."""
        self.below.setdefault(key(index), set()).add(key(limit))

    def is_below(self, index: Size, limit: Size, beyond: int = 0) -> bool:
        """Whether `index < limit + beyond` is proved; `beyond` is not negative."""
        root, constant = self.split(index)
        limit_root, limit_constant = self.split(limit)
        limit_constant += beyond
        if root is None:
            if limit_root is None:
                return constant < limit_constant
            return self.at_least(limit, constant + 1 - beyond)
        if limit_root is not None and key(root) == key(limit_root):
            return constant < limit_constant
        if key(limit) in self.below.get(key(index), ()):
            return True
        return any(
            bound_root == (None if limit_root is None else key(limit_root))
            and bound_constant + constant <= limit_constant
            for bound_root, bound_constant in map(self._bound, self.below.get(key(root), ()))
        )

    def order(self, x: Size, y: Size) -> int:
        """-1 where `x < y` is proved, 1 where `x > y` is, else 0."""
        return -1 if self.is_below(x, y) else int(self.is_below(y, x))

    def _bound(self, bound: Key) -> tuple[Key | None, int]:
        """A remembered limit as (key of its root, constant)."""
        if isinstance(bound, Value):
            root, constant = self.split(bound)
            return (None if root is None else key(root)), constant
        return (None, bound) if isinstance(bound, int) else (bound, 0)

    # -- arithmetic -------------------------------------------------------------------------------------

    def value(self, b: Builder, size: Size) -> Value:
        """A size as an i64 value."""
        if isinstance(size, Value):
            return size
        found = self.memo.get(("const", size))
        if found is None:
            found = self.memo[("const", size)] = b.constant(size, ScalarType(I64))
        return found

    def op(self, b: Builder, name: str, x: Size, y: Size) -> Value:
        """An i64 op, memoised."""
        at = (name, key(x), key(y))
        found = self.memo.get(at)
        if found is None:
            found = self.memo[at] = b.emit(name, (self.value(b, x), self.value(b, y)), names=(name,))[0]
        return found

    def add(self, b: Builder, x: Size, y: Size) -> Size:
        """`x + y`; no overflow check (sizes and offsets fit memory)."""
        (x_root, x_constant), (y_root, y_constant) = self.split(x), self.split(y)
        if x_root is not None and y_root is not None:
            return self.op(b, "add", x, y)
        root, constant = x_root or y_root, x_constant + y_constant
        if root is None:
            return constant
        if constant == 0:
            return root
        made = self.op(b, "add", root, constant)
        self.affine[made] = (root, constant)
        return made

    def sub(self, b: Builder, x: Size, y: Size) -> Size:
        """`x - y`."""
        (x_root, x_constant), (y_root, y_constant) = self.split(x), self.split(y)
        if y_root is None:
            return self.add(b, x, -y_constant)
        if x_root is not None and key(x_root) == key(y_root):
            return x_constant - y_constant
        return self.op(b, "sub", x, y)

    def mul(self, b: Builder, x: Size, y: Size) -> Size:
        """`x * y`."""
        (x_root, x_constant), (y_root, y_constant) = self.split(x), self.split(y)
        if x_root is None and y_root is None:
            return x_constant * y_constant
        for root, constant, other in ((x_root, x_constant, y), (y_root, y_constant, x)):
            if root is None and constant in (0, 1):
                return other if constant else 0
        made = self.op(b, "mul", x, y)
        if self.at_least(x, 0) and self.at_least(y, 0):
            self.note_lower(made, 0)
        return made

    def minimum(self, b: Builder, x: Size, y: Size) -> Size:
        """The smaller one."""
        (x_root, x_constant), (y_root, y_constant) = self.split(x), self.split(y)
        if x_root is None and y_root is None:
            return min(x_constant, y_constant)
        if key(x) == key(y):
            return x
        for a, (root, constant), other in ((x, (x_root, x_constant), y), (y, (y_root, y_constant), x)):
            if root is None and self.at_least(other, constant):
                return a
        if x_root is not None and y_root is not None and key(x_root) == key(y_root):
            return x if x_constant <= y_constant else y
        for a, other in ((x, y), (y, x)):
            if self.is_below(a, other, 1):
                return a
        made = self.op(b, "minimum", x, y)
        if self.at_least(x, 0) and self.at_least(y, 0):
            self.note_lower(made, 0)
        return made

    def maximum(self, b: Builder, x: Size, y: Size) -> Size:
        """The larger one."""
        (x_root, x_constant), (y_root, y_constant) = self.split(x), self.split(y)
        if x_root is None and y_root is None:
            return max(x_constant, y_constant)
        if key(x) == key(y):
            return x
        for root, constant, other in ((x_root, x_constant, y), (y_root, y_constant, x)):
            if root is None and self.at_least(other, constant):
                return other
        made = self.op(b, "maximum", x, y)
        for root, constant, operand in ((x_root, x_constant, x), (y_root, y_constant, y)):
            if root is None:
                self.note_lower(made, constant)
            elif self.at_least(operand, 0):
                self.note_lower(made, 0)
        return made

    def given_or(self, b: Builder, given: Size, own: Size) -> Size:
        """The size that is given; its own where that is -1."""
        if isinstance(given, int) or self.at_least(given, 0):
            return own if given == -1 else given
        values = [self.value(b, size) for size in (given, own)]
        is_own = b.emit("eq", (values[0], self.value(b, -1)))[0]
        return b.emit("select", (is_own, values[1], values[0]))[0]

    def floordiv(self, b: Builder, x: Size, y: int) -> Size:
        """`x // y` for a positive constant."""
        root, constant = self.split(x)
        if root is None:
            return constant // y
        if y == 1:
            return x
        made = self.op(b, "floordiv", x, y)
        if self.at_least(x, 0):
            self.note_lower(made, 0)
        return made
