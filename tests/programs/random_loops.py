"""Random functions whose loops count: counters that rise in one loop and fall in another, conditions that guard an
index, `break` and `continue`. What they give, write and raise is what plain Python gives, writes and raises.

`python -m tests.programs.random_loops --first 0 --count 1000` looks for functions that differ.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import tracejit as tj
from tests.searches import search
from tests.sources import defined

COUNTERS = ("k", "j", "m")
TRIPS = 300  #: what all loops together may take
GUARDED = ("{v} >= 1 and h[{v} - 1] > x[i]", "0 <= {v} < 8 and h[{v}] <= x[i]", "{v} > 0 and h[{v} - 1] != x[i]")
HEAD = f"""\
def f(x, h, n):
    k = 0
    j = {{start}}
    m = t = 0
    for i in range(len(x)):
        t += 1
        if t > {TRIPS}:
            break
"""
TAIL = "    return k, j, m, t\n"
ARGUMENTS = (([3, 1, 4, 1, 5, 2, 6, 0], 5), ([5, 4, 3, 2, 1], 3), ([1, 2, 3], 7), ([], 2))


class Writer:
    """Writes the function of a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def source(self) -> str:
        """The text."""
        start = self.random.choice(("0", "n", "len(x) - 1", "1"))
        return HEAD.format(start=start) + "".join(f"        {line}\n" for line in self.block(0)) + TAIL

    def counter(self) -> str:
        return self.random.choice(COUNTERS)

    def expression(self, depth: int = 0) -> str:
        kind = self.random.random()
        if depth > 1 or kind < 0.35:
            return self.random.choice((*COUNTERS, "i"))
        if kind < 0.6:
            return self.random.choice(("0", "1", "2", "3", "-1", "n", "len(x)"))
        a, b = self.expression(depth + 1), self.expression(depth + 1)
        forms = ("{a} + {b}", "{a} - {b}", "{a} // 2", "{a} % 5", "{a} * 2 % 7", "-{a} // 3")
        calls = ("min({a}, {b})", "max({a}, {b})", "abs({a})", "int(h[{a} % 8])")
        form = self.random.choice((*(f"({form})" for form in forms), *calls))
        return form.format(a=a, b=b)

    def condition(self, depth: int = 0) -> str:
        kind, v = self.random.random(), self.counter()
        if depth < 2 and kind < 0.25:
            return (
                f"({self.condition(depth + 1)} {self.random.choice(('and', 'and', 'or'))} {self.condition(depth + 1)})"
            )
        if kind < 0.4:
            return f"x[i] {self.random.choice(('>', '<='))} h[{v} % 8]"
        if kind < 0.5:
            return f"h[{v} % 8] {self.random.choice(('>', '<'))} {self.random.choice(('2', '3', *COUNTERS))}"
        if kind < 0.65:
            return self.random.choice(GUARDED).format(v=v)
        limit = self.random.choice(("0", "1", "2", "n", "i", "len(x)", *COUNTERS))
        return f"{v} {self.random.choice(('>=', '>', '<', '<=', '!=', '=='))} {limit}"

    def block(self, depth: int) -> list[str]:
        lines: list[str] = []
        for _ in range(self.random.randint(1, 3 if depth else 4)):
            lines += self.statement(depth)
        return lines

    def statement(self, depth: int) -> list[str]:
        kind, v = self.random.random(), self.counter()
        if kind < 0.3:
            return [f"{v} {self.random.choice(('+=', '-='))} {self.random.choice(('1', '1', '2', 'i'))}"]
        if kind < 0.36:
            return [f"{v} = {self.expression()}"]
        if kind < 0.4:
            return [f"{v} = {self.counter()}"]
        if kind < 0.5:
            place = self.random.choice((f"{v} % 8", f"{v} % 8", v, f"{v} - 1"))
            return [f"h[{place}] = {self.random.choice(('x[i]', 'i', '1', f'{v} % 100'))}"]
        if kind < 0.54:
            return [f"h[{v}] = x[i]", f"{v} += 1"]
        if kind < 0.58:
            return [f"m = (m + int(h[{self.random.choice((f'{v} % 8', v))}])) % 100"]
        if depth == 3:
            return [f"if {self.condition()}:", f"    {self.random.choice(('break', 'continue'))}"]
        if kind < 0.65:  # a stack gives back what does not fit
            return [f"while {self.random.choice(GUARDED).format(v=v)}:", *self.counted(), f"    {v} -= 1"]
        if kind < 0.75:
            orelse = ["else:", *self.body(depth)] if self.random.random() < 0.4 else []
            return [f"if {self.condition()}:", *self.body(depth), *orelse]
        if kind < 0.87:
            return [f"while {self.condition()}:", *self.counted(), *self.body(depth)]
        if kind < 0.95:
            return self.flagged(depth)
        own = f"p{depth}"
        ranges = ("3", "k", "i", "n - i", "i, -1, -1", "j, n", "k - 1, 0, -1", "0, len(x), 2")
        use = self.random.choice((f"h[{own} % 8] += 1", f"{v} += {own}", f"h[{own}] = x[i]"))
        return [f"for {own} in range({self.random.choice(ranges)}):", *self.counted(), f"    {use}", *self.body(depth)]

    def flagged(self, depth: int) -> list[str]:
        """A loop that a flag ends, or a condition too."""
        flag, v = f"g{depth}", self.counter()
        going = self.random.choice((flag, flag, f"{flag} and {self.condition()}"))
        step = self.random.choice((f"{v} += 1", f"{v} -= 1", f"{v} = {self.expression()}"))
        end = [f"    if {self.condition()}:", f"        {flag} = False", "    else:", f"        {step}"]
        parts = [end, self.body(depth), [f"    {self.counter()} = {v}"]]
        self.random.shuffle(parts)
        return [f"{flag} = True", f"while {going}:", *self.counted(), *(line for part in parts for line in part)]

    def body(self, depth: int) -> list[str]:
        return [f"    {line}" for line in self.block(depth + 1)]

    def counted(self) -> list[str]:
        return ["    t += 1", f"    if t > {TRIPS}:", "        break"]


def function(seed: int) -> tuple[Callable[..., Any], str]:
    """The function of a seed, and its text."""
    source = Writer(seed).source()
    return defined(source, f"<random loops {seed}>")["f"], source


def outcome(fn: Callable[..., Any], values: list[int], n: int) -> tuple[Any, list[int]]:
    """What a function gives, or the kind of its error, and what it leaves in its second argument."""
    x, h = np.array(values, dtype=np.int64), np.zeros(8, dtype=np.int64)
    try:
        given: Any = tuple(int(v) for v in fn(x, h, n))
    except (IndexError, OverflowError) as error:
        given = type(error)
    return given, h.tolist()


def check(seed: int) -> bool:
    """Compare the function of a seed with its compiled form; False where its numbers leave 64 bits."""
    fn, _ = function(seed)
    compiled = tj.script(fn)
    for values, n in ARGUMENTS:
        expected, found = outcome(fn, values, n), outcome(compiled, values, n)
        if found[0] is OverflowError:
            return False
        assert found == expected, f"x = {values}, n = {n}: {found}, in plain Python {expected}"
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    return search(parser, "random loops", lambda seed, _: check(seed), lambda seed: function(seed)[1], refusals=())


if __name__ == "__main__":
    sys.exit(main())
