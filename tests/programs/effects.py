"""Random Python functions as text that change what the caller gave them and raise at a step chosen at run time.

A program is a module with a function `program(o, a, b, l, d, k)`: an object with a number, a float, an array and a
method, two arrays of five, a list of floats, a dict, and the step at which it raises. Steps count in `t`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

HEADER = """import numpy as np


class Thing:
    def __init__(self):
        self.n = 3
        self.x = 0.5
        self.v = np.arange(5.0)

    def grow(self, by):
        self.n += by
        self.x = self.x * 0.5 + by
        return self.n


def shift(r, t, k):
    r[1:] = r[:-1]
    if t == k:
        raise ValueError("in shift")
    r[0] = t
    return r.sum()


def note(o, l, t, k):
    o.n = t
    l.append(float(t))
    if t == k - 1:
        raise IndexError(f"noted {t}")
    o.x = o.x + 1


def program(o, a, b, l, d, k):
    t = 0
    i = 0
    s = 0.0
    p, q = a, b
    c = a * 2
    z = np.zeros(5)
"""


def generate(seed: int, size: int = 10) -> str:
    """The program of a seed."""
    return _Writer(random.Random(seed)).program(size)


class _Writer:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.lines: list[str] = []
        self.depth = 1
        self.loops = 0

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        self.line(head)
        self.depth += 1
        yield
        self.depth -= 1

    def program(self, size: int) -> str:
        for _ in range(size):
            self.statement()
        self.tick()
        self.line("return s + c.sum() + p[0] + q[1] + z.sum()")
        return HEADER + "\n".join(self.lines) + "\n"

    def body(self) -> None:
        for _ in range(self.rng.randint(1, 3)):
            self.statement()

    def statement(self) -> None:
        """One statement, often with a step behind it."""
        kinds: list[Callable[[], None]] = [self.write, self.write, self.change, self.change, self.read]
        if self.depth < 4:
            kinds += [self.branch, self.loop]
        self.rng.choice(kinds)()
        if self.rng.random() < 0.5:
            self.tick()

    def tick(self) -> None:
        """A step, which may be the one that raises."""
        self.line("t += 1")
        forms = (
            "if t == k:\n{0}    raise ValueError(f'step {{t}}')",
            "s += 1 // (k - t)",
            "assert t != k, 'stop'",
            "s += a[5 * (t == k)]",
            "c = c + z[: 5 - 2 * (t == k)]",
        )
        self.line(self.rng.choice(forms).format("    " * self.depth))

    def array(self) -> str:
        return self.rng.choice(("a", "a", "b", "p", "q", "z", "o.v", "d['v']"))

    def number(self) -> str:
        return self.rng.choice(("t", "i", "2.5", "o.x", "o.n", "a[1]", "q[2]", "s", "d['f']", "len(l)"))

    def vector(self) -> str:
        r = self.rng.choice((self.array(), self.array(), "c"))
        return self.rng.choice((f"{r} * 0.5", f"{r} + {self.array()}", f"{r}[::-1]", r, f"np.minimum({r}, 9.0)"))

    def write(self) -> None:
        """A write into an array."""
        r = self.array()
        name = self.rng.choice(("a", "b", "p", "q", "z"))
        forms = (
            f"{r}[{self.rng.randint(0, 4)}] = {self.number()}",
            f"{r}[{self.rng.randint(0, 4)}] += {self.number()} * 0.5",
            f"{r}[:] = {self.vector()}",
            f"{r}[1:] = ({self.vector()})[:-1]",
            f"{r}[i % 5] = {self.number()}",
            f"{name} += {self.vector()}",
            f"{name} *= 0.5",
            f"{name}[{name} > 4] = 1.5",
            f"s += shift({r}, t, k)",
        )
        self.line(self.rng.choice(forms))

    def change(self) -> None:
        """A change of an object, list or dict of the caller."""
        forms = (
            f"o.n = {self.rng.choice(('t', 'o.n + 1', 'i'))}",
            f"o.x = {self.number()} * 0.5",
            f"o.v = {self.vector()} + 0.0",
            f"s += o.grow({self.rng.randint(1, 3)})",
            f"l.append({self.number()} * 1.0)",
            "if len(l) > 0:\n{0}    s += l.pop()",
            f"if len(l) > 1:\n{{0}}    l[1] = {self.number()} * 1.0",
            f"d['f'] = {self.number()} * 1.0",
            f"d['v'] = {self.vector()} + 0.0",
            "note(o, l, t, k)",
            "print(t, o.n)",
        )
        self.line(self.rng.choice(forms).format("    " * self.depth))

    def read(self) -> None:
        """A value of its own of what is there now, or another name for it."""
        forms = (
            f"c = {self.vector()} + 0.0",
            f"c = {self.array()}.copy()",
            "p, q = q, p",
            "p, z = z, p",
            f"p = {self.rng.choice(('a', 'b'))}",
            f"s += {self.number()}",
        )
        self.line(self.rng.choice(forms))

    def branch(self) -> None:
        """An `if`, sometimes with an early return."""
        cond = self.rng.choice(("k > 4", "t % 2 == 0", "s > 5.0", "o.n > 3", "a[0] > b[0]", "len(l) > 2"))
        with self.block(f"if {cond}:"):
            self.body()
            if self.rng.random() < 0.15:
                self.line("return s + p[0]")
        if self.rng.random() < 0.6:
            with self.block("else:"):
                self.body()

    def loop(self) -> None:
        """A loop of few trips."""
        self.loops += 1
        if self.rng.random() < 0.7:
            head = f"for i in range({self.rng.choice(('2', '3', 'k % 4', 'len(a) - 2'))}):"
        else:
            self.line(f"w{self.loops} = 0")
            head = f"while w{self.loops} < {self.rng.choice(('2', 'o.n % 4'))}:"
        with self.block(head):
            if head.startswith("while"):
                self.line(f"w{self.loops} += 1")
            self.body()
            if self.rng.random() < 0.2:
                self.line("if s > 20.0:\n{0}    break".format("    " * self.depth))
