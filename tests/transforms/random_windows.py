"""Random functions that read and write rows, columns, slices and elements of arrays in loops: their gradients where
values are read again from the arrays as the loops left them are, to the bit, those where all are saved.

`python -m tests.transforms.random_windows --first 0 --count 1000` looks for functions whose gradients differ.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

import tracejit as tj
from tests import sources
from tests.searches import search
from tracejit import config
from tracejit.ir.core import Graph, walk
from tracejit.ir.interpreter import run
from tracejit.scripted.compiler import simplify
from tracejit.transforms.derivatives.lasting_reads import LastingReads

ROWS, COLUMNS = 6, 5
#: Windows of the matrix `h`, of the three-dimensional `t` and the vector `v`, by how many numbers they have; `{i}` is a
#: row, `{j}` a column, each with neighbours.
PLACES = {
    5: ("h[{i}]", "h[{i}]", "h[{i}]", "h[{i}, :]", "h[{i}][::-1]", "h.T[:, {i}]", "t[{i}, {k}]", "t[{i}, {k}, ::-1]"),
    6: ("h[:, {j}]", "h[:, {j}]", "h.T[{j}]", "h[::-1, {j}]"),
    3: (
        "h[{i}, 1:-1]",
        "h[{i}, 2:]",
        "h[{i}, :3]",
        "v[{i}:{i} + 3]",
        "v[3 * {k}:3 * {k} + 3]",
        "h[{i}, 1:4]",
        "t[{i}, {k}, 1:-1]",
        "t[{i}, {k}, 3:0:-1]",
    ),
    2: (
        "v[2 * {i}:2 * {i} + 2]",
        "v[{i}:{i} + 2]",
        "h[{i}, ::3]",
        "h[{k}:{k} + 2, {j}]",
        "t[{i}, :, {j}]",
        "t[{i}, ::-1, {j}]",
    ),
    1: ("h[{i}, {j}]", "v[{i}]", "h[{i}, 2]", "t[{i}, 0, {j}]"),
    10: ("t[{i}].ravel()", "t[{i}].reshape(-1)"),
}
WHOLE = ("np.tanh({x} + {y})", "np.sin({x} * w) + {y}", "{x} * {y}", "{x} * 0.5 + w", "np.exp(-{x} * {x}) * {y}")
HEAD = f"""\
def f(w, x, n):
    h = np.zeros(({ROWS}, x.shape[0])) + x
    t = np.zeros(({ROWS}, 2, x.shape[0])) + x * w
    v = np.concatenate((x, x * w, x))
    m = np.outer(x, x) + w
"""
TAIL = "    return np.sum(h * h) + np.sum(np.sin(t)) * 0.5 + np.sum(v * v * w)\n"


class Writer:
    """Writes one function."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lines: list[str] = []
        self.is_tidy = self.random.random() < 0.6  #: trips mostly read what earlier ones wrote

    def place(self, size: int, row: Sequence[str], column: Sequence[str]) -> str:
        choose = self.random.choice
        return choose(PLACES[size]).format(i=choose(row), j=choose(column), k=choose(("0", "1")))

    def statement(self, indent: str, row: Sequence[str], column: Sequence[str]) -> None:
        size = self.random.choice((5, 5, 5, 6, 3, 2, 1, 10))
        to_row, to_column = row, column
        if self.is_tidy and len(row) > 2 and self.random.random() < 0.9:
            to_row, row, to_column, column = row[:1], row[1:2], column[:1], column[1:2]
        x, y = (self.place(size, row, column) for _ in range(2))
        value = self.random.choice(WHOLE).format(x=x, y=y)
        if size == 5 and self.random.random() < 0.3:
            value = f"np.tanh(m @ {x})"
        if self.random.random() < 0.1:
            value = f"{x} + 0.1"
        target = self.place(size if size != 10 else 5, to_row, to_column)
        if size == 10:
            value = f"({value})[:5]"
        sign = "+=" if self.random.random() < 0.15 else "="
        if self.random.random() < 0.15:
            self.lines += [f"{indent}if w > 0.5 or {self.random.choice(to_row)} > 1:"]
            indent += "    "
        self.lines.append(f"{indent}{target} {sign} {value}")

    def loop(self, depth: int, indent: str, row: Sequence[str], column: Sequence[str]) -> None:
        name = f"i{len(self.lines)}"
        kind = self.random.random()
        inner = indent + "    "
        if kind < 0.7:
            self.lines.append(f"{indent}for {name} in range(n):")
            row = [f"{name} + 1", name, name, *row]
        elif kind < 0.85:
            self.lines.append(f"{indent}for {name} in range(n - 1, -1, -1):")
            row = [name, f"{name} + 1", name, *row]
        else:
            self.lines += [f"{indent}{name} = 0", f"{indent}while {name} < n:", f"{inner}{name} += 1"]
            row = [name, f"{name} - 1", *row]
        column = [f"{name} + 1", name, *column] if self.random.random() < 0.5 else column
        for _ in range(self.random.randrange(1, 4)):
            if depth < 1 and self.random.random() < 0.25:
                self.loop(depth + 1, inner, row, column)
            else:
                self.statement(inner, row, column)

    def source(self) -> str:
        """Lines for the middle of the function."""
        for _ in range(self.random.randrange(1, 3)):
            self.loop(0, "    ", ("0", "2"), ("1", "3"))
            if self.random.random() < 0.3:
                self.statement("    ", ("0", "2"), ("1", "3"))
        return "\n".join(self.lines) + "\n"


def defined(lines: str, file: str) -> Callable[..., Any]:
    """The function with some lines in its middle."""
    return sources.defined(HEAD + lines + TAIL, file, np=np)["f"]


def arguments() -> tuple[Any, ...]:
    return 0.6, np.random.default_rng(1).normal(size=COLUMNS) * 0.5, 3


@contextmanager
def all_saved() -> Iterator[None]:
    """Nothing is read again from arrays."""
    before, LastingReads.anew = LastingReads.anew, lambda *_: []  # type: ignore[method-assign]
    try:
        yield
    finally:
        LastingReads.anew = before  # type: ignore[method-assign]


def expanded(fn: Callable[..., Any], given: Sequence[Any]) -> tuple[Graph, list[Any]]:
    """The graph of a function's value and gradient, expanded, and its inputs."""
    specialised = tj.script(tj.value_and_grad(fn, (0, 1))).specialise(list(given))
    inputs = [i.access.fetch(given) for i in specialised.lowered.inputs]
    return simplify(specialised.lowered.graph)[0], inputs


def saved(fn: Callable[..., Any]) -> int:
    """How many lists the residuals of a function's gradient are pushed to."""
    return sum(op.name == "list_push" for op in walk(expanded(fn, arguments())[0].body))


def check(seed: int) -> None:
    """Raises where gradients of the function of a seed differ."""
    compare(defined(Writer(seed).source(), f"<random windows {seed}>"))


def compare(fn: Callable[..., Any]) -> None:
    """Raises where gradients differ."""
    with config.override(verify=True):
        found = run(*expanded(fn, arguments()))
    with all_saved():
        expected = run(*expanded(fn, arguments()))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def main() -> int:
    return search(
        argparse.ArgumentParser(description=__doc__),
        "random functions",
        lambda seed, _: check(seed),
        lambda seed: HEAD + Writer(seed).source() + TAIL,
        count=200,
    )


if __name__ == "__main__":
    sys.exit(main())
