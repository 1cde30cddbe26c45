"""Random functions that write whole arguments and parts of them, in branches and loops, between what may raise: what
was written before an error is there behind it, and nothing else.

`python -m tests.programs.random_writes --first 0 --count 1000` looks for functions that differ.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import tracejit as tj
from tests.searches import search_texts
from tests.sources import defined

ARGUMENTS = ("a", "b", "c")
#: What the number is that branches and assertions ask about.
NUMBERS = (-1.0, 0.5, 1.5, 2.5, 4.0, 7.0)
SIZES = (4, 1)

_HELPERS = (
    "    y[:] = x * k\n    assert k < 4\n    x[:] = y\n",
    "    x += 1\n    if k > 1:\n        y[:] = x\n    assert k < 2\n    y[1:] = x[:-1]\n",
    "    for i in range(2):\n        y[:] = x\n        assert i + k < 3\n        y -= x * 0.5\n",
)


class Writer:
    """Writes one function of three arrays of one size, a float and a number of trips."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.names: list[str] = [*ARGUMENTS]  #: of arrays

    def value(self, depth: int = 0) -> str:
        """An array of the size, or a number."""
        chance, choose = self.random.random(), self.random.choice
        if chance < 0.45 or depth > 2:
            return choose(self.names)
        if chance < 0.55:
            return choose(("y", "2.0", "0.5"))
        x, z = self.value(depth + 1), self.value(depth + 1)
        if chance < 0.86:
            return f"({x} {choose('+-*')} {z})"
        # values that are others, said in another way; values that are made twice
        same = f"({x} * 1.0)", f"({x} ** 1)", f"{choose(self.names)}.copy()", f"np.maximum({x}, {x})"
        twice = "(a * 2.0)", "(b + c)", "np.exp(-a)", f"{choose(self.names)}.sum()", f"{choose(self.names)}[::-1]"
        where = f"np.where({x} > 0.0, {choose(self.names)}, {choose(self.names)})"
        return choose((*same, *twice, where))

    def block(self, indent: str, depth: int) -> Iterator[str]:
        """The lines of some statements."""
        for _ in range(self.random.randint(1, 4)):
            yield from self.statement(indent, depth)

    def statement(self, indent: str, depth: int) -> Iterator[str]:
        chance, choose = self.random.random(), self.random.choice
        target = choose(ARGUMENTS)
        if chance < 0.18:
            yield f"{indent}{target} {choose(('+=', '*=', '-='))} {self.value()}"
        elif chance < 0.42:
            value = self.value() if self.random.random() < 0.8 else choose(("y", "2.0", "a.sum()"))
            yield f"{indent}{target}[:] = {value}"
        elif chance < 0.5:
            yield f"{indent}{target}[1:] = {choose(ARGUMENTS)}[:-1] + {choose(('1', 'y'))}"
        elif chance < 0.56:
            name = choose("uvw")
            yield f"{indent}{name} = {self.value()} * a"
            if depth == 0 and name not in self.names:
                self.names.append(name)
        elif chance < 0.66:
            yield f"{indent}assert y < {choose((0, 1, 2, 3, 5))}"
        elif chance < 0.68:
            yield f"{indent}s = s + {choose(self.names)}.sum()"
        elif chance < 0.71:
            yield f"{indent}h({', '.join(self.random.sample(ARGUMENTS, 2))}, y)"
        elif chance < 0.72:
            yield f"{indent}if y > {choose((0, 1, 3))}:"
            yield f"{indent}    return s"
        elif depth < 2:
            yield from self.branches(indent, depth) if chance < 0.88 else self.loop(indent, depth)

    def branches(self, indent: str, depth: int) -> Iterator[str]:
        yield f"{indent}if y > {self.random.choice((0, 1, 2, 3))}:"
        yield from self.counted("s += 1.0", indent, depth)
        if self.random.random() < 0.4:
            yield f"{indent}else:"
            yield from self.counted("s -= 1.0", indent, depth)

    def counted(self, count: str, indent: str, depth: int) -> Iterator[str]:
        """A block that shows in the result that it ran."""
        yield f"{indent}    {count}"
        yield from self.block(indent + "    ", depth + 1)

    def loop(self, indent: str, depth: int) -> Iterator[str]:
        choose = self.random.choice
        yield f"{indent}for i{depth} in range({choose(('2', '3', 'k'))}):"
        yield from self.counted("s += 1.0", indent, depth)
        if self.random.random() < 0.3:
            yield f"{indent}    if i{depth} + y > {choose((1, 2, 3))}:"
            yield f"{indent}        {choose(('break', 'assert False', 'continue'))}"

    def source(self) -> str:
        """The text of the function and of one that it calls."""
        helper = f"def h(x, y, k):\n{self.random.choice(_HELPERS)}\n\n"
        body = "\n".join(self.block("    ", 0))
        return f"{helper}def f(a, b, c, y, k):\n    s = 0.0\n{body}\n    return s + a.sum()\n"


def outcome(fn: Callable[..., Any], size: int, number: float) -> tuple[str, list[Any]]:
    """The error of a call, and its arrays and result behind it."""
    made: list[Any] = [np.arange(1.0, size + 1), np.full(size, 0.5), np.linspace(-1, 1, size)]
    try:
        with np.errstate(all="ignore"):
            return "", [*made, fn(*made, number, 2)]
    except AssertionError as error:
        return type(error).__name__, made


@tj.script
def rubbish(size: int) -> Any:
    """Arrays whose memory is then used again: what is not written there shows."""
    return np.full(size, np.nan), np.full(size, np.nan)


def check(seed: int) -> None:
    """Raises where the function of a seed differs."""
    fn = defined(Writer(seed).source(), f"<random writes {seed}>", np=np)["f"]
    compiled = tj.script(fn)
    for size in SIZES:
        for number in NUMBERS:
            error, expected = outcome(fn, size, number)
            rubbish(size)
            raised, found = outcome(compiled, size, number)
            assert raised == error, (size, number)
            for x, y in zip(found, expected, strict=True):
                np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-9, err_msg=f"{size}, {number}, {error}")


def main() -> int:
    return search_texts(__doc__, check, lambda seed: Writer(seed).source())


if __name__ == "__main__":
    sys.exit(main())
