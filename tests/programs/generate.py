"""Random structured Python functions as text, for comparison between plain Python and compiled code.

A program is a module with a function `program(a, b, m, q, x, y, k)` and the helpers it calls. Every name keeps one kind
of value (`Kind`) and, for arrays, one shape: vectors have `n` elements, matrices `p` rows of `n`, pieces any number.
Values stay small: numbers that a loop could grow go through a bounded function.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.programs.expressions import Expressions, Kind, Scope

HEADER = """import math

import numpy as np


def bound(v):
    return v / (1.0 + v * v)
"""
PARAMETERS = ("a", "b", "m", "q", "x", "y", "k")
INDENT = "    "


@dataclass(frozen=True)
class Program:
    """The text of a module and the facts its arguments need."""

    seed: int
    source: str
    gradient: bool  #: the result is one float to differentiate


def generate(seed: int, size: int = 2) -> Program:
    """The program of a seed; `size` scales the number of statements. A third gives one float, to be differentiated."""
    rng = random.Random(seed)
    return _Writer(rng, rng.random() < 0.33, size).program(seed)


class _Writer(Expressions):
    def __init__(self, rng: random.Random, gradient: bool, size: int) -> None:
        super().__init__(rng)
        self.gradient = gradient
        self.size = size
        self.lines: list[str] = []
        self.depth = 0
        self.counter = 0
        self.in_helper = False
        self.returned: tuple[Kind, ...] = ()

    # -- text -------------------------------------------------------------------------------------------------

    def line(self, text: str) -> None:
        self.lines.append(INDENT * self.depth + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """The lines written inside, one level deeper under `head`."""
        self.line(head)
        self.depth += 1
        before = len(self.lines)
        yield
        if len(self.lines) == before:
            self.line("pass")
        self.depth -= 1

    def fresh(self, prefix: str) -> str:
        self.counter += 1
        return f"{prefix}{self.counter}"

    # -- functions --------------------------------------------------------------------------------------------

    def program(self, seed: int) -> Program:
        self.recursion = random.Random(f"recursion {seed}")  # of its own: programs without recursion stay as they were
        for _ in range(self.rng.choice((0, 0, 1))):
            self.helper()
        with self.block(f"def program({', '.join(PARAMETERS)}):"):
            scope = self.parameters()
            self.returned = (Kind.FLOAT,) if self.gradient else self.rng.choice(_RESULTS)
            self.statements(scope, self.rng.randint(self.size, 3 * self.size))
            self.finish(scope)
        return Program(seed, HEADER + "\n\n" + "\n".join(self.lines) + "\n", self.gradient)

    def parameters(self) -> Scope:
        names: dict[Kind, list[str]] = {
            Kind.FLOAT: ["x", "y"],
            Kind.INT: ["k"],
            Kind.BOOL: [],
            Kind.VECTOR: ["a", "b"],
            Kind.PIECE: [],
            Kind.MATRIX: ["m"],
            Kind.PLACES: ["q"],
        }
        scope = Scope(names, fixed={"n", "p"})
        self.line("n, p = a.shape[0], m.shape[0]")
        for kind, prefix in (
            (Kind.FLOAT, "s"),
            (Kind.INT, "t"),
            (Kind.VECTOR, "u"),
            (Kind.BOOL, "flag"),
            (Kind.PIECE, "w"),
        ):
            if self.chance(0.25 * self.size):
                self.define(scope, kind, prefix)
        return scope

    def define(self, scope: Scope, kind: Kind, prefix: str) -> None:
        name = self.fresh(prefix)
        if kind is Kind.VECTOR:
            own = scope.own_vectors
            self.line(f"{name} = {self.pick(own) if own and self.chance(0.3) else self.new_vector(scope)}")
        else:
            self.line(f"{name} = {self.expression(kind, scope, 2)}")
        scope.names[kind].append(name)

    def helper(self) -> None:
        """A function of a number and a number, or of a vector and a number that may change the vector; it may call
        itself a few times."""
        name, takes_vector = self.fresh("helper"), self.chance(0.5)
        first = "c" if takes_vector else "v"
        default = "=0.5" if self.chance(0.4) else ""
        names: dict[Kind, list[str]] = {kind: [] for kind in Kind}
        names[Kind.FLOAT] = ["z"] if takes_vector else ["v", "z"]
        names[Kind.INT] = ["j0"]
        if takes_vector:
            names[Kind.VECTOR] = ["c"]
        scope = Scope(names, fixed={"n", "p"})
        self.in_helper = True
        self.returned = (Kind.FLOAT,)
        recurs = self.recursion.random() < 0.4
        self.itself = name if recurs else ""
        with self.block(f"def {name}({first}, z{default}, j0=2{', left=2' if recurs else ''}):"):
            if takes_vector:
                self.line("n = c.shape[0]")
            self.statements(scope, self.rng.choice((1, 1, 2, 3)[: 2 * self.size]))
            self.finish(scope)
            self.itself = ""
        self.lines += ["", ""]
        self.in_helper = False
        self.helpers.append((name, takes_vector))

    def finish(self, scope: Scope) -> None:
        """The last statement of a function: its result, or none where everything happens in place."""
        if self.gradient and not self.in_helper:
            parts = ["0.3 * np.sum(a)", "np.sum(b * b)", "m.sum()", "x", "y", *scope[Kind.FLOAT][-2:]]
            parts += [f"{name}.sum()" for name in scope.vectors[-1:]]
            chosen = self.rng.sample(parts, min(3, len(parts)))
            self.line(f"return {' + '.join([self.float(scope, 2), *chosen])}")
        elif self.returned:
            self.line(f"return {self.result(scope)}")

    def result(self, scope: Scope) -> str:
        return ", ".join(self.expression(kind, scope, 2) for kind in self.returned)

    # -- statements -------------------------------------------------------------------------------------------

    def statements(self, scope: Scope, count: int) -> None:
        for _ in range(count):
            kinds = list(_SIMPLE)
            if self.depth < 4:
                kinds += ["branch"] * 3
                if self.loops < 3:
                    kinds += ["for_range"] * 3 + ["for_items", "while_loop", "while_loop"]
            if scope.vectors:
                kinds += _ON_VECTORS
            if scope.matrices:
                kinds += _ON_MATRICES
            if self.loops:
                kinds += ["jump"]
            getattr(self, self.rng.choice(kinds))(scope)

    def jump(self, scope: Scope) -> None:
        """A jump under a condition (a bare one would end the block)."""
        word = self.rng.choice(("break", "break", "continue", "return"))
        if word == "return":
            word = f"return {self.result(scope)}" if self.returned else "return"
        with self.block(f"if {self.condition(scope)}:"):
            if self.chance(0.4):
                self.statements(scope.nested(), 1)
            self.line(word)

    def early_return(self, scope: Scope) -> None:
        with self.block(f"if {self.condition(scope)}:"):
            self.line(f"return {self.result(scope)}" if self.returned else "return")

    def assign_float(self, scope: Scope) -> None:
        name = self.pick(scope[Kind.FLOAT])
        match self.rng.randrange(5):
            case 0:
                self.line(f"{name} {self.rng.choice(('+=', '-='))} {self.bounded(scope)}")
            case 1:
                self.line(f"{name} *= {self.rng.choice(('0.5', '-0.9', '0.25'))}")
            case 2 if not self.gradient and self.chance(0.3):
                self.line(f"{name} = {self.int(scope, 2)}")
            case _:
                self.line(f"{name} = {self.bounded(scope)}")

    def assign_int(self, scope: Scope) -> None:
        names = [name for name in scope[Kind.INT] if name not in scope.fixed]
        if not names:
            return
        name = self.pick(names)
        if self.chance(0.3):
            self.line(f"{name} {self.rng.choice(('+=', '-='))} 1")
        else:
            self.line(f"{name} = {self.int(scope, 2)}")

    def assign_flag(self, scope: Scope) -> None:
        if scope[Kind.BOOL]:
            self.line(f"{self.pick(scope[Kind.BOOL])} = {self.condition(scope)}")

    def new_name(self, scope: Scope) -> None:
        kind, prefix = self.rng.choice(
            ((Kind.FLOAT, "s"), (Kind.FLOAT, "s"), (Kind.INT, "t"), (Kind.VECTOR, "u"), (Kind.PIECE, "w"))
        )
        if kind in (Kind.FLOAT, Kind.INT) or scope.vectors:
            self.define(scope, kind, prefix)

    def swap_numbers(self, scope: Scope) -> None:
        names = self.rng.sample(scope[Kind.FLOAT], min(2, len(scope[Kind.FLOAT])))
        if len(names) == 2:
            self.line(f"{names[0]}, {names[1]} = {names[1]}, {self.bounded(scope)}")

    def function(self, scope: Scope) -> None:
        """A function made here, which sees the names around it."""
        name, inner = self.fresh("f"), scope.nested()
        inner[Kind.FLOAT].append("v")
        if self.chance(0.5):
            self.line(f"{name} = lambda v: {self.float(inner, 2)}")
        else:
            with self.block(f"def {name}(v):"):
                self.line(f"return {self.bounded(inner)}")
        scope.functions.append(name)

    def guard(self, scope: Scope) -> None:
        """Statements that may raise."""
        match self.rng.randrange(8):
            case 0:
                self.line(f"assert {self.float(scope, 1)} > -50.0, 'too small'")
            case 1:
                with self.block(f"if {self.float(scope, 1)} > 9.0:"):
                    self.line("raise ValueError('too large')")
            case 2:
                self.define_divided(scope)
            case 3 if scope.vectors:
                self.line(f"{self.pick(scope.vectors)}[{self.int(scope, 1)}] = 0.5")
            case 4:
                name = self.fresh("late")
                with self.block(f"if {self.condition(scope)} or {self.condition(scope)}:"):
                    self.line(f"{name} = {self.float(scope, 1)}")
                scope[Kind.FLOAT].append(name)
            case _:
                self.assign_float(scope)

    def define_divided(self, scope: Scope) -> None:
        name, divisor = self.fresh("t"), self.int(scope, 1)
        self.line(f"{name} = {self.int(scope, 1)} {self.rng.choice(('//', '%'))} {divisor}")
        scope[Kind.INT].append(name)

    def bounded(self, scope: Scope) -> str:
        """A float that repetition does not blow up."""
        made = self.float(scope, 2)
        if self.loops == 0 and self.chance(0.3):
            return made
        return f"{self.rng.choice(_BOUNDED)}({made})"

    def new_vector(self, scope: Scope) -> str:
        """A vector in memory of its own."""
        return f"{self.rng.choice(_BOUNDED_ARRAYS)}({self.vector(scope, 2)})"

    def bounded_vector(self, scope: Scope) -> str:
        """A vector that repetition does not blow up."""
        made = self.vector(scope, 2)
        return f"{self.rng.choice(_BOUNDED_ARRAYS)}({made})" if self.loops or self.chance(0.5) else made

    # -- arrays -----------------------------------------------------------------------------------------------

    def bind_vector(self, scope: Scope) -> None:
        names = scope.own_vectors
        if not names:
            return
        name, others = self.pick(names), names
        match self.rng.randrange(7):
            case 0:
                other = self.pick(names)
                self.line(f"{name}, {other} = {other}, {name}")
            case 1:
                self.line(f"{name} = {self.pick(others)}[::-1]")
            case 2:
                self.line(f"{name} = {self.pick(others)} if {self.condition(scope)} else {self.pick(others)}")
            case 3:
                with self.block(f"if {self.condition(scope)}:"):
                    self.line(f"{name} = {self.pick(others)}")
            case 4:
                self.line(f"{name} = {self.pick(scope.vectors)}.copy()")
            case 5 if len(names) > 2:
                p, r, s = self.rng.sample(names, 3)
                self.line(f"{p}, {r}, {s} = {r}, {s}, {p}")
            case _:
                self.line(f"{name} = {self.new_vector(scope)}")

    def write_element(self, scope: Scope) -> None:
        target = f"{self.pick(scope.vectors)}[{self.place(scope)}]"
        if self.chance(0.4):
            self.line(f"{target} {self.rng.choice(('+=', '-=', '*='))} {self.rng.choice(('0.5', 'x', '-0.75'))}")
        elif self.chance(0.15):
            other = f"{self.pick(scope.vectors)}[{self.place(scope)}]"
            self.line(f"{target}, {other} = {self.bounded(scope)}, {self.bounded(scope)}")
        else:
            self.line(f"{target} = {self.bounded(scope)}")

    def write_slice(self, scope: Scope) -> None:
        name, other = self.pick(scope.vectors), self.pick(scope.vectors)
        bound = self.place(scope)
        self.line(
            self.rng.choice(
                (
                    f"{name}[1:] = {other}[:-1]",
                    f"{name}[:-1] += {other}[1:]",
                    f"{name}[::2] *= {self.rng.choice(('0.5', '-0.9'))}",
                    f"{name}[::-1] = {other}",
                    f"{name}[:] = {self.bounded_vector(scope)}",
                    f"{name}[{bound}:] = {self.bounded(scope)}",
                    f"{name}[:{bound}] = {other}[:{bound}] * 0.5",
                    f"{name}[1:-1] = 0.5 * ({other}[2:] - {other}[:-2])",
                    f"{name} *= {self.rng.choice(('0.5', '-0.7'))}",
                    f"{name} += bound({other})",
                    f"np.multiply({other}, 0.5, out={name})",
                    f"{name}[-2:] = {self.float(scope, 1)}",
                )
            )
        )

    def write_masked(self, scope: Scope) -> None:
        name, other = self.pick(scope.vectors), self.pick(scope.vectors)
        mask = f"{other} {self.rng.choice(('<', '>', '>='))} {self.float(scope, 1)}"
        choice = self.rng.randrange(3)
        if choice == 0:
            self.line(f"{name}[{mask}] = {self.bounded(scope)}")
        elif choice == 1:
            self.line(f"{name}[{mask}] *= 0.5")
        else:
            kept = self.fresh("mask")
            self.line(f"{kept} = {mask}")
            self.line(f"{name}[{kept}] = bound({other}[{kept}])")

    def view(self, scope: Scope) -> None:
        """A name for a part of an array, and a write through it."""
        name, base = self.fresh("view"), self.pick(scope.vectors)
        part = self.rng.choice(("[1:]", "[:-1]", "[::2]", f"[{self.place(scope)}:]", "[1:][::-1]", "[::-1][1:]"))
        self.line(f"{name} = {base}{part}")
        self.line(
            self.rng.choice(
                (
                    f"{name}[:] = {self.bounded(scope)}",
                    f"{name} += 0.25",
                    f"{name}[0] = 1.5",
                    f"{name} *= bound({name}[::-1])",
                )
            )
        )
        scope[Kind.PIECE].append(name)

    def bind_piece(self, scope: Scope) -> None:
        if scope[Kind.PIECE]:
            self.line(f"{self.pick(scope[Kind.PIECE])} = {self.expression(Kind.PIECE, scope, 2)}")

    def write_piece(self, scope: Scope) -> None:
        if scope[Kind.PIECE]:
            name = self.pick(scope[Kind.PIECE])
            self.line(
                self.rng.choice((f"{name}[:] = {self.bounded(scope)}", f"{name} *= -0.5", f"{name}[1:] = {name}[:-1]"))
            )

    def write_matrix(self, scope: Scope) -> None:
        name, row = self.pick(scope.matrices), self.row(scope)
        vector = self.pick(scope.vectors) if scope.vectors else "0.5"
        column = self.fresh("col")
        self.line(
            self.rng.choice(
                (
                    f"{name}[{row}, {self.place(scope)}] = {self.bounded(scope)}",
                    f"{name}[{row}] = {vector}",
                    f"{name}[{row}] *= 0.5",
                    f"{name}[:, {self.place(scope)}] = {self.bounded(scope)}",
                    f"{name}[1:] = {name}[:-1]",
                    f"{name}[1:, ::2] *= -0.5",
                    f"{name}.T[{self.place(scope)}] += 0.25",
                    f"{name}[{name} > {self.float(scope, 1)}] = 0.5",
                    f"{column} = {name}[:, {self.place(scope)}]; {column} *= 0.5",
                    f"{column} = {name}[{row}]; {column}[{self.place(scope)}] = {self.bounded(scope)}",
                )
            )
        )

    def row_vector(self, scope: Scope) -> None:
        """A row of the matrix, as a vector that may be written but not bound again."""
        name = self.fresh("row")
        self.line(f"{name} = {self.pick(scope.matrices)}[{self.row(scope)}]")
        scope.vectors.append(name)
        scope.fixed.add(name)

    def write_places(self, scope: Scope) -> None:
        self.line(f"{self.pick(scope[Kind.PLACES])}[{self.place(scope)}] = {self.int(scope, 2)}")

    # -- control flow -----------------------------------------------------------------------------------------

    def branch(self, scope: Scope) -> None:
        with self.block(f"if {self.condition(scope)}:"):
            self.statements(scope.nested(), self.rng.choice((1, 1, 2, 3)[: 2 * self.size]))
        if self.chance(0.25):
            with self.block(f"elif {self.condition(scope)}:"):
                self.statements(scope.nested(), self.rng.randint(1, 2))
        if self.chance(0.6):
            with self.block("else:"):
                self.statements(scope.nested(), self.rng.choice((1, 1, 2, 3)[: 2 * self.size]))

    def body(self, head: str, inner: Scope, scope: Scope) -> None:
        """A loop, perhaps with an `else`."""
        self.loops += 1
        with self.block(head):
            self.statements(inner, self.rng.choice((1, 1, 2, 3)[: 2 * self.size]))
        self.loops -= 1
        if self.chance(0.15):
            with self.block("else:"):
                self.statements(scope.nested(), 1)

    def for_range(self, scope: Scope) -> None:
        i, inner = self.fresh("i"), scope.nested()
        if scope.vectors and self.chance(0.7):
            inner.places.append(i)
            spans = ["n", "n", "1, n", "n - 1, -1, -1", "0, n, 2", "n - 2, -1, -2"]
            spans += [f"{j}, n" for j in scope.places[-1:]] + [f"{j} + 1" for j in scope.places[-1:]]
            spans += [f"n - 1, {j}, -1" for j in scope.places[-1:]]
        elif scope.matrices and self.chance(0.4):
            inner.rows.append(i)
            spans = ["p", "p - 1, -1, -1"]
        else:
            spans = ["3", "k % 4", "2, 5"] if not self.in_helper else ["3", "j0 % 4"]
            spans += [f"{self.int(scope, 1)} % 4", f"0, {self.int(scope, 1)} % 5, 2"]
        inner[Kind.INT].append(i)
        inner.fixed.add(i)
        self.body(f"for {i} in range({self.rng.choice(spans)}):", inner, scope)
        if self.chance(0.05):
            scope[Kind.INT].append(i)

    def for_items(self, scope: Scope) -> None:
        """A loop over elements, pairs, rows or a tuple."""
        v, i, inner = self.fresh("v"), self.fresh("i"), scope.nested()
        inner[Kind.FLOAT].append(v)
        vectors, matrices = scope.vectors, scope.matrices
        heads = (
            [f"for {v} in (0.5, x, -1.5):", f"for {v} in [1.0, 0.25]:"]
            if not self.in_helper
            else [f"for {v} in (0.5, z):"]
        )
        if vectors:
            heads += [f"for {v} in {self.pick(vectors)}:"] * 2
        choice = self.rng.random()
        if vectors and choice < 0.2:
            inner.places.append(i)
            heads = [f"for {i}, {v} in enumerate({self.pick(vectors)}):"]
        elif vectors and choice < 0.4:
            u = self.fresh("v")
            inner[Kind.FLOAT].append(u)
            heads = [f"for {v}, {u} in zip({self.pick(vectors)}, {self.pick(vectors)}):"]
        elif vectors and choice < 0.5:
            inner[Kind.FLOAT].remove(v)
            inner.places.append(i)
            heads = [f"for {i} in reversed(range(n)):"]
        elif matrices and choice < 0.65:
            inner[Kind.FLOAT].remove(v)
            inner[Kind.VECTOR].append(v)
            inner.fixed.add(v)
            heads = [f"for {v} in {self.pick(matrices)}:"]
        self.body(self.rng.choice(heads), inner, scope)

    def while_loop(self, scope: Scope) -> None:
        count, inner = self.fresh("c"), scope.nested()
        self.line(f"{count} = 0")
        inner[Kind.INT].append(count)
        inner.fixed.add(count)
        test = f"{count} < {self.rng.randint(2, 5)}"
        if self.chance(0.7):
            test = f"{test} and {self.condition(scope)}" if self.chance(0.7) else f"{self.condition(scope)} and {test}"
        self.loops += 1
        with self.block(f"while {test}:"):
            self.line(f"{count} += 1")
            self.statements(inner, self.rng.choice((1, 1, 2, 3)[: 2 * self.size]))
        self.loops -= 1
        if self.chance(0.15):
            with self.block("else:"):
                self.statements(scope.nested(), 1)


_BOUNDED = ("bound",) * 7 + ("math.sin", "np.tanh", "math.atan")
_BOUNDED_ARRAYS = ("bound",) * 5 + ("np.sin", "np.tanh")
_SIMPLE = ["assign_float"] * 4 + [
    "assign_int",
    "assign_int",
    "assign_flag",
    "new_name",
    "swap_numbers",
    "function",
    "guard",
    "early_return",
]
_ON_VECTORS = (
    ["bind_vector"] * 3
    + ["write_element"] * 3
    + ["write_slice"] * 2
    + ["write_masked", "view", "bind_piece", "write_piece"]
)
_ON_MATRICES = ["write_matrix", "write_matrix", "row_vector", "write_places"]
_RESULTS: tuple[tuple[Kind, ...], ...] = (
    (Kind.FLOAT,),
    (Kind.FLOAT, Kind.INT),
    (Kind.VECTOR, Kind.FLOAT),
    (Kind.INT, Kind.BOOL, Kind.FLOAT),
    (Kind.FLOAT, Kind.VECTOR, Kind.MATRIX),
    (Kind.VECTOR,),
    (),
)
