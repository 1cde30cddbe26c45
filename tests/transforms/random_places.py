"""Random loops over elements of two arrays: nests of counted loops, of which inner ones may depend on outer trips, with
branches, numbers that each trip moves, and reads and writes at places linear in all of these.

`program(seed)` gives a graph's text; `inputs(seed)` its arguments: a vector, a matrix and a number.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: The length of each axis; every index is made to lie in it.
LENGTH = 12


@dataclass(slots=True)
class _Index:
    """A whole number of the program, and what it lies between."""

    name: str
    low: int
    high: int


class _Writer:
    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.lines: list[str] = []
        self.count = 0
        self.arrays = {"a": "%A", "b": "%B"}
        self.used: list[tuple[str, str]] = []  #: arrays with places in scope
        self.types = {"a": f"f64[{LENGTH}]", "b": f"f64[{LENGTH}, {LENGTH}]"}

    def new(self) -> str:
        self.count += 1
        return f"%v{self.count}"

    def emit(self, text: str, type: str) -> str:
        name = self.new()
        self.lines.append(f"{name} = {text} : {type}")
        return name

    def number(self, value: int) -> str:
        return self.emit(f"const() {{value = {value}, type = !i64}}", "i64")

    # -- whole numbers ------------------------------------------------------------------------------------------------

    def linear(self, known: Sequence[_Index], low: int, high: int) -> _Index:
        """A number that is linear in known ones and lies between two others."""
        total: _Index | None = None
        for index in self.rng.sample(known, min(len(known), self.rng.choice((0, 1, 1, 1, 2)))):
            factor = self.rng.choice((1, 1, 1, 1, -1, -1, 2))
            ends = sorted((factor * index.low, factor * index.high))
            name = index.name
            if factor != 1:
                name = self.emit(f"mul({name}, {self.number(factor)})", "i64")
            if total is None:
                total = _Index(name, *ends)
            elif total.high + ends[1] - total.low - ends[0] <= high - low:
                total = _Index(
                    self.emit(f"add({total.name}, {name})", "i64"), total.low + ends[0], total.high + ends[1]
                )
        if total is None or total.high - total.low > high - low:
            value = self.rng.randint(low, high)
            return _Index(self.number(value), value, value)
        near = [
            n for n in (-total.low, 0, 1, 2, 3, 4, high - total.high) if low <= n + total.low and n + total.high <= high
        ]
        move = self.rng.choice(near)
        if move:
            total.name = self.emit(
                f"{self.rng.choice(('add', 'checked_add'))}({total.name}, {self.number(move)})", "i64"
            )
        return _Index(total.name, total.low + move, total.high + move)

    def place(self, array: str, known: Sequence[_Index]) -> str:
        before = [place for of, place in self.used if of == array]
        if before and self.rng.random() < 0.3:
            return self.rng.choice(before)
        rank = 1 if array == "a" else 2
        place = ", ".join(self.linear(known, 0, LENGTH - 1).name for _ in range(rank))
        self.used.append((array, place))
        return place

    # -- statements ---------------------------------------------------------------------------------------------------

    def statement(self, known: list[_Index], values: list[str], depth: int) -> None:
        kind = self.rng.random()
        if depth and kind < 0.35:
            self.loop(known, values, depth - 1)
        elif depth and kind < 0.45:
            self.branch(known, values, depth - 1)
        elif kind < 0.7:
            self.read(known, values)
        else:
            self.write(known, values)

    def read(self, known: Sequence[_Index], values: list[str]) -> None:
        array = self.rng.choice("ab")
        place = self.place(array, known)
        read = self.emit(f"fetch({self.arrays[array]}, {place})", "f64")
        product = self.emit(f"mul({read}, {self.rng.choice(values)})", "f64")
        values.append(self.emit(f"{self.rng.choice(('tanh', 'sin'))}({product})", "f64"))

    def write(self, known: Sequence[_Index], values: list[str]) -> None:
        array = self.rng.choice("ab")
        place, value = self.place(array, known), self.rng.choice(values[-3:])
        if self.rng.random() < 0.3:
            old = self.emit(f"fetch({self.arrays[array]}, {place})", "f64")
            terms = self.rng.choice(((old, value), (value, old)))
            value = self.emit(f"{self.rng.choice(('add', 'sub'))}({', '.join(terms)})", "f64")
            if self.rng.random() < 0.2:
                values.append(self.rng.choice((old, value)))
        if self.rng.random() < 0.3:
            value = self.emit(f"mul({value}, {self.rng.choice(values)})", "f64")
        name = "index_update"
        if self.rng.random() < 0.25:
            name, outer = "index_add", known[: self.rng.randint(0, len(known))]
            place = place if self.rng.random() < 0.5 else self.place(array, outer)
        self.arrays[array] = self.emit(f"{name}({self.arrays[array]}, {value}, {place})", self.types[array])
        values.append(value)

    def body(self, known: list[_Index], values: list[str], depth: int) -> None:
        outside = len(self.used)
        for _ in range(self.rng.randint(1, 4)):
            self.statement(known, values, depth)
        del self.used[outside:]

    def loop(self, known: list[_Index], values: list[str], depth: int) -> None:
        limit = self.linear(known, 0, 4)
        start = self.linear(known, 0, LENGTH - 1)
        step = self.rng.choice((1, 1, -1, 2))
        before = dict(self.arrays)
        trip, moved = self.new(), self.new()
        last = start.low + step * (limit.high - 1), start.high + step * (limit.high - 1)
        ends = min(start.low, *last), max(start.high, *last)
        moves = 0 <= ends[0] and ends[1] < LENGTH and self.rng.random() < 0.4
        inside = [*known, _Index(trip, 0, max(limit.high - 1, 0))]
        if moves:
            inside.append(_Index(moved, *ends))
        outer, self.lines = self.lines, []
        self.arrays = {name: self.new() for name in before}
        params = ", ".join(f"{self.arrays[n]}: {t}" for n, t in self.types.items())
        own = [*values]
        self.body(inside, own, depth)
        add = "checked_add" if moves and self.rng.random() < 0.5 else "add"
        following = self.emit(f"{add}({moved}, {self.number(step)})", "i64")
        ends_now = f"{self.arrays['a']}, {self.arrays['b']}"
        body, self.lines = self.lines, outer
        results = self.new(), self.new(), self.new()
        self.lines += [
            f"{results[0]}, {results[1]}, {results[2]} = loop({limit.name}, %true, {start.name}, {before['a']}, "
            f"{before['b']}) : i64, {self.types['a']}, {self.types['b']} {{",
            f"body({trip}: i64, {moved}: i64, {params}):",
            *body,
            f"yield %true, {following}, {ends_now}",
            "}",
        ]
        self.arrays = {"a": results[1], "b": results[2]}

    def branch(self, known: list[_Index], values: list[str], depth: int) -> None:
        if self.rng.random() < 0.3:
            condition = self.emit(f"gt({self.rng.choice(values)}, %zero)", "bool")
        else:
            x, y = self.linear(known, 0, 4).name, self.linear(known, 0, 4).name
            condition = self.emit(f"{self.rng.choice(('lt', 'le', 'eq', 'ne'))}({x}, {y})", "bool")
        before = dict(self.arrays)
        outer = self.lines
        blocks: list[str] = []
        for label in ("then", "else"):
            self.lines, self.arrays = [], dict(before)
            if label == "then" or self.rng.random() < 0.6:
                self.body(known, [*values], depth)
            blocks += [f"{label}():", *self.lines, f"yield {self.arrays['a']}, {self.arrays['b']}"]
        self.lines = outer
        results = self.new(), self.new()
        types = f"{self.types['a']}, {self.types['b']}"
        self.lines += [f"{results[0]}, {results[1]} = if({condition}) : {types} {{", *blocks, "}"]
        self.arrays = {"a": results[0], "b": results[1]}


def program(seed: int) -> str:
    """The text of a graph from a vector, a matrix and a number to a number that depends on all elements at the end."""
    w = _Writer(seed)
    w.lines += [
        "%true = const() {value = True, type = !bool} : bool",
        "%zero = const() {value = 0.0, type = !f64} : f64",
    ]
    for _ in range(w.rng.randint(1, 2)):
        w.loop([], ["%w"], 2)
    for array, axes in (("a", "(0,)"), ("b", "(0, 1)")):
        squared = w.emit(f"mul({w.arrays[array]}, {w.arrays[array]})", w.types[array])
        w.arrays[array] = w.emit(f"sum({squared}) {{axes = {axes}}}", "f64[]")
    total = w.emit(f"add({w.arrays['a']}, {w.arrays['b']})", "f64[]")
    params = f"%A: {w.types['a']}, %B: {w.types['b']}, %w: f64"
    return "\n".join([f"graph @f({params}) on cpu {{", *w.lines, f"yield {total}", "}"])


def inputs(seed: int) -> list[object]:
    """Arguments for a program."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=LENGTH), rng.normal(size=(LENGTH, LENGTH)), float(rng.normal())]
