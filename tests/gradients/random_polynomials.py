"""Random programs over lists, lists of lists, dicts and objects that compute polynomials of one number, so that their
derivatives to any order are known exactly.

`python -m tests.gradients.random_polynomials --first 0 --count 1000` looks for programs whose derivatives differ.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial import Polynomial

import tracejit as tj
from tests.searches import search
from tests.sources import defined
from tracejit.ir.interpreter import run
from tracejit.scripted.compiler import simplify

POINT = 0.7
HEAD = """\
def f(x):
    v, w = x, x * 0.5 + 0.3
    a, b = [x, x * x], [x * 0.4]
    rows = [[x], [x * x, 0.5 * x], [0.2 + x]]
    d = {}
    for k in range(2):
        d[2 * k] = x * 0.3 + k
    o = Pair(x, 0.6 * x)
"""
TAIL = """\
    s = v * w
    for u in a:
        s = s * 0.7 + u
    for u in b:
        s = s - u * x
    for r in rows:
        for u in r:
            s = s * 0.9 + u
    for k in d:
        s = s + d[k] * (k + 1)
    return s + o.first * o.second
"""
ATOMS = (
    "x",
    "v",
    "w",
    "a[-1]",
    "a[{i} % len(a)]",
    "b[0]",
    "b[{i} % len(b)]",
    "rows[{i} % 2][-1]",
    "rows[-1][0]",
    "d[0]",
    "o.first",
    "o.second",
)
#: Statements that change things; `{e}` is an expression, `{i}` the index of the loop around.
CHANGES = (
    "v = {e}",
    "w = {e}",
    "v, w = w, {e}",
    "a.append({e})",
    "b.append({e})",
    "a[{i} % len(a)] = {e}",
    "a[-1] += {e}",
    "b[0] = {e}",
    "b.insert(0, {e})",
    "v = a.pop() if len(a) > 1 else {e}",
    "a, b = list(b), list(a)",
    "rows[{i} % 2].append({e})",
    "rows[{i} % 2][0] = {e}",
    "rows[-1][-1] *= {e}",
    "rows.append([{e}, v])",
    "if len(rows) > 3: w = rows.pop()[0]",
    "if len(rows[0]) > 1: v = rows[0].pop() * 0.5",
    "d[{i} % 4] = {e}",
    "d[0] = d[{i} % 3] * 0.5 if {i} % 3 in d else {e}",
    "o.first = {e}",
    "o.first, o.second = o.second, o.first * 0.5",
)
CONDITIONS = ("{i} % 2 == 0", "{i} > 0", "v > 0.4", "a[-1] > w", "len(a) > 2", "len(rows) > 3")


class Number(Polynomial):
    """A polynomial that compares as its value at the point."""

    def __gt__(self, other: Any) -> bool:
        return bool(self(POINT) > (other(POINT) if isinstance(other, Polynomial) else other))


@dataclass
class Pair:
    """An object whose attributes are numbers."""

    first: Any
    second: Any


class Writer:
    """Writes one function."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lines: list[str] = []

    def expression(self, i: str) -> str:
        """A product of at most two values, damped, and something more."""
        first, second, third = (self.random.choice(ATOMS).format(i=i) for _ in range(3))
        forms = (f"{first} * 0.5", f"{first} * {second} * 0.4", f"{first} * 0.3 - {second}", f"0.2 + {first} * x")
        return self.random.choice((*forms, f"{first} * {second} * 0.3 + {third}"))

    def change(self, i: str, indent: str) -> None:
        text = self.random.choice(CHANGES)
        self.lines.append(indent + text.replace("{e}", self.expression(i)).replace("{i}", i))

    def block(self, i: str, indent: str, depth: int) -> None:
        for _ in range(self.random.randrange(1, 4)):
            kind = self.random.random()
            if kind < 0.25 and depth < 3:
                self.lines.append(f"{indent}if {self.random.choice(CONDITIONS).format(i=i)}:")
                self.block(i, indent + "    ", depth + 1)
                if self.random.random() < 0.5:
                    self.lines.append(f"{indent}else:")
                    self.block(i, indent + "    ", depth + 1)
            elif kind < 0.35 and depth < 2:
                j = f"j{depth}"
                self.lines.append(f"{indent}for {j} in range({self.random.choice(('2', i))}):")
                self.block(j, indent + "    ", depth + 1)
            else:
                self.change(i, indent)

    def source(self) -> str:
        for k in range(self.random.randrange(1, 3)):
            self.lines.append(f"    for i{k} in range({self.random.randrange(1, 4)}):")
            self.block(f"i{k}", "        ", 1)
        return HEAD + "\n".join(self.lines) + "\n" + TAIL


def function(seed: int) -> tuple[Callable[..., Any], str]:
    """The function of a seed, and its source."""
    text = Writer(seed).source()
    return defined(text, f"<random polynomial {seed}>", Pair=Pair)["f"], text


def check(seed: int, orders: int = 3) -> int:
    """Compare derivatives, interpreted; gives how many. Raises where one differs."""
    fn, _ = function(seed)
    expected: Any = fn(Number([0.0, 1.0]))
    for order in range(orders + 1):
        (found,) = run(fn_graph(fn), [POINT])
        want = expected(POINT)
        if not np.isclose(found, want, rtol=1e-8, atol=1e-8 * max(1.0, abs(want))):
            raise AssertionError(f"derivative {order}: {found!r}, of the polynomial {want!r}")
        expected, fn = expected.deriv(), tj.grad(fn)
    return orders


def fn_graph(fn: Callable[..., Any]) -> Any:
    """The graph of a function of one number, derivatives expanded."""
    return simplify(tj.script(fn).specialise([POINT]).lowered.graph)[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=3, help="how often they are differentiated")
    return search(
        parser,
        "random polynomials",
        lambda seed, options: check(seed, options.orders),
        lambda seed: function(seed)[1],
    )


if __name__ == "__main__":
    sys.exit(main())
