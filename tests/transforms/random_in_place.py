"""Random functions that write windows of an array computed from other windows of it, in loops: as NumPy makes them, to
the bit, whether windows meet or not.

`python -m tests.transforms.random_in_place --first 0 --count 1000` looks for functions that differ.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tracejit as tj
from tests.searches import search_texts
from tests.sources import defined
from tests.threads import each_number_of_threads

#: Slices of one length along an axis of `n` elements, with the numbers `i` and `j` of trips.
SPANS = (
    ("1:-1", "2:", ":-2", "1:-1"),
    ("{i} + 1:", "{i}:-1", "{i} + 1:", ":{n} - {i} - 1"),
    (":{i}", "1:{i} + 1", ":{i}", "{n} - {i}:"),
    ("{i}:{i} + 2", "{i} + 1:{i} + 3", "{j}:{j} + 2", "2 * {j}:2 * {j} + 2", "{i} + 2:{i} + 4", "1:3"),
    (":{n} // 2", "{n} // 2:{n} // 2 * 2", "-({n} // 2):", ":{n} // 2"),
    (":", ":", "::-1"),
    ("::2", "::2", "::-2"),
    ("1::2", "1::2"),
)
POINTS = ("{i}", "{i} + 1", "{i} - 1", "{j}", "{j} + 1", "0", "1", "-1", "-{i} - 1")
ELIMINATIONS = (
    "a[{i} + 1:, {i} + 1:] -= a[{i} + 1:, {i}:{i} + 1] * a[{i}:{i} + 1, {i} + 1:]",
    "a[{i} + 1:, {i} + 1:] -= a[{i} + 1:, {i}][:, None] * a[{j}, {i} + 1:]",
    "a[{j}] -= a[{i}] * a[{j}, {i}]",
    "a[:, {i} + 1:] += a[:, {i}:{i} + 1] * a[0, 1:{n} - {i}]",
    "a[:, {i} + 1] -= a[:, {i}] * (a[:, {i}] * a[:, {i} + 1]).max()",
    "a[{i}:, {i}] -= a[{i}:, :{i} + 1].max(1)",
)
VALUES = ("{x} + {y}", "{x} - 0.5 * {y}", "{x} * {y}", "0.25 * ({x} + {y} - {z})", "{x} * 0.5 + np.abs({y})")


class Writer:
    """Writes one function of an array `a`."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.rank = self.random.choice((1, 2, 2, 2, 3))
        self.is_tidy = self.random.random() < 0.6  #: what is read mostly lies beside what is written
        self.lines: list[str] = []

    def names(self, axis: int, trips: Sequence[str]) -> dict[str, str]:
        choose = self.random.choice
        return {"i": choose(trips), "j": choose(trips), "n": f"a.shape[{axis}]"}

    def statement(self, indent: str, trips: Sequence[str]) -> None:
        choose = self.random.choice
        if self.rank == 2 and self.random.random() < 0.15:
            self.lines.append(indent + choose(ELIMINATIONS).format(**self.names(1, trips)))
            return
        spans = [choose(SPANS) if self.random.random() < 0.6 else None for _ in range(self.rank)]
        if not any(spans):
            spans[-1] = choose(SPANS)
        trip, tidy = trips[0] if self.is_tidy else choose(trips), self.is_tidy and None in spans
        points = ("{i} + 1", "{i} + 1", "{i} + 1", "{i}"), ("{i}", "{i}", "{i}", "{i}", "0", "{i} + 2")

        def place(is_target: bool = False) -> str:
            found: list[str] = []
            for axis, span in enumerate(spans):
                names = {**self.names(axis, trips), "i": trip if self.random.random() < 0.9 else choose(trips)}
                if span is not None:
                    stretched = not is_target and self.rank > 1 and self.random.random() < 0.15
                    point = choose(("{i}", "0", "{j}")).format(**names)
                    found.append(f"{point}:{point} + 1" if stretched else choose(span).format(**names))
                else:
                    found.append(choose(points[not is_target] if tidy else POINTS).format(**names))
            return f"a[{', '.join(found)}]"

        value = choose(VALUES).format(x=place(), y=place(), z=place())
        self.lines.append(f"{indent}{place(True)} {choose(('=', '=', '=', '+=', '-='))} {value}")

    def source(self) -> str:
        """The text of the function."""
        choose = self.random.choice
        self.lines = ["def f(a, k):"]
        trips, indent = ["k"], "    "
        for depth in range(self.random.randrange(3)):
            name = f"t{depth}"
            n = f"a.shape[{self.random.randrange(self.rank)}]"
            limits = (
                "{n} - 1",
                "{n} - 1",
                "1, {n} - 1",
                "{n} - 2, 0, -1",
                "{n} - 1, -1, -1",
                "{t} + 1, {n}",
                "k",
                "{n} // 2 - 1",
            )
            self.lines.append(f"{indent}for {name} in range({choose(limits).format(n=n, t=choose(trips))}):")
            indent += "    "
            trips = [name, name, *trips]
            if self.random.random() < 0.1:
                self.lines.append(f"{indent}if {name} > k:")
                indent += "    "
        for _ in range(self.random.randrange(1, 4)):
            self.statement(indent, trips)
        return "\n".join(self.lines) + "\n    return a.sum() * 0\n"


def outcome(fn: Callable[..., Any], a: np.ndarray[Any, Any], k: int) -> str:
    """Calls a function; the type of what it raises."""
    try:
        with np.errstate(all="ignore"):
            fn(a, k)
    except (ValueError, IndexError) as error:
        return type(error).__name__
    return ""


def compare(fn: Callable[..., Any], rank: int, seed: int) -> None:
    """Raises where a function changes arrays in another way than NumPy."""
    compiled, rng = tj.script(fn), np.random.default_rng(seed)
    for top in (4, 6, 9, 40):
        sizes = tuple(rng.integers(2, top, rank))
        a = rng.integers(-8, 8, sizes) / 4
        k = int(rng.integers(0, 4))
        expected = a.copy()
        raised = outcome(fn, expected, k)
        with each_number_of_threads(1, 3) as counts:
            for _ in counts:
                found = a.copy()
                assert outcome(compiled, found, k) == raised, (sizes, k)
                np.testing.assert_array_equal(found, expected, err_msg=f"{sizes}, {k}")


def check(seed: int) -> None:
    """Raises where the function of a seed differs."""
    writer = Writer(seed)
    fn = defined(writer.source(), f"<random in place {seed}>", np=np)["f"]
    compare(fn, writer.rank, seed)


def main() -> int:
    return search_texts(__doc__, check, lambda seed: Writer(seed).source())


if __name__ == "__main__":
    sys.exit(main())
