"""Random Python expressions over the names of a scope, as text."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    """What a name stands for."""

    FLOAT = "float"
    INT = "int"
    BOOL = "bool"
    VECTOR = "vector"  #: n floats
    PIECE = "piece"  #: a vector of any length
    MATRIX = "matrix"  #: p rows of n floats
    PLACES = "places"  #: n integers


@dataclass
class Scope:
    """Names that may be read, by kind; `places` are valid indices of a vector, `rows` of the matrix."""

    names: dict[Kind, list[str]]
    places: list[str] = field(default_factory=list[str])
    rows: list[str] = field(default_factory=list[str])
    functions: list[str] = field(default_factory=list[str])
    fixed: set[str] = field(default_factory=set[str])  #: names that may not be bound anew

    def nested(self) -> Scope:
        """A copy for an inner block: names bound there are gone after it."""
        copied = {kind: list(names) for kind, names in self.names.items()}
        return Scope(copied, list(self.places), list(self.rows), list(self.functions), set(self.fixed))

    def __getitem__(self, kind: Kind) -> list[str]:
        return self.names[kind]

    @property
    def vectors(self) -> list[str]:
        """Names of vectors."""
        return self.names[Kind.VECTOR]

    @property
    def own_vectors(self) -> list[str]:
        """Vectors that are no rows of a matrix. (A name that may be either one is refused: their memory differs.)"""
        return [name for name in self.vectors if name not in self.fixed]

    @property
    def matrices(self) -> list[str]:
        """Names of matrices."""
        return self.names[Kind.MATRIX]


Option = Callable[[], str]


class Expressions:
    """Writes expressions; `depth` bounds how far they nest."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.helpers: list[tuple[str, bool]] = []  #: name of a module function, and whether it takes a vector
        self.itself = ""  #: the module function being written, if it may call itself
        self.loops = 0  #: loops around the present statement

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def pick(self, options: list[str]) -> str:
        """One of the options, later ones more likely."""
        back = min(int(self.rng.expovariate(0.7)) + 1, len(options))
        return options[-back]

    def any_of(self, options: list[Option]) -> str:
        return self.rng.choice(options)()

    def expression(self, kind: Kind, scope: Scope, depth: int) -> str:
        """An expression of that kind."""
        match kind:
            case Kind.FLOAT:
                return self.float(scope, depth)
            case Kind.INT:
                return self.int(scope, depth)
            case Kind.BOOL:
                return self.condition(scope, depth - 1)
            case Kind.VECTOR:
                return self.vector(scope, depth)
            case Kind.PIECE:
                return self.piece(scope, depth)
            case Kind.MATRIX:
                return self.matrix(scope, depth)
            case Kind.PLACES:
                return self.pick(scope[Kind.PLACES])

    # -- indices ----------------------------------------------------------------------------------------------

    def place(self, scope: Scope, depth: int = 1) -> str:
        """A valid index of a vector."""
        options = ["0", "-1"]
        for i in scope.places[-2:]:
            options += [i, i, i, f"n - 1 - {i}", f"-1 - {i}", f"({i} + 1) % n"]
        if depth > 0 and self.chance(0.3):
            return f"{self.int(scope, depth - 1)} % n"
        return self.rng.choice(options)

    def row(self, scope: Scope, depth: int = 1) -> str:
        """A valid row of the matrix."""
        if depth > 0 and self.chance(0.3):
            return f"{self.int(scope, depth - 1)} % p"
        return self.rng.choice([*scope.rows, *scope.rows, "0", "-1"])

    # -- numbers ----------------------------------------------------------------------------------------------

    def float(self, scope: Scope, depth: int) -> str:
        """A float."""
        if depth <= 0 or self.chance(0.2):
            return self.any_of(self.float_leaves(scope))

        def inner() -> str:
            return self.float(scope, depth - 1)

        def one_of(*names: str) -> str:
            return self.rng.choice(names)

        options: list[Option] = [
            *[lambda: f"({inner()} {one_of('+', '-')} {inner()})"] * 3,
            lambda: f"{one_of('0.5', '-0.8', '0.25')} * {inner()}",
            lambda: f"bound({inner()} * {inner()})",
            lambda: f"bound({inner()} - {inner()})",
            lambda: f"{inner()} / (1.5 + {inner()} ** 2)",
            lambda: one_of(
                f"math.tanh({inner()})", f"np.arctan({inner()})", f"math.exp(-abs({inner()}))", f"np.cos({inner()})"
            ),
            lambda: f"np.sqrt(1.0 + {inner()} ** 2)",
            lambda: f"{one_of('-', 'abs')}({inner()})",
            lambda: f"({inner()} if {self.condition(scope, depth - 1)} else {inner()})",
            lambda: f"{one_of('min', 'max')}({inner()}, {inner()})",
            lambda: f"float({self.int(scope, depth - 1)})",
            lambda: f"({inner()}, {inner()})[{self.int(scope, 0)} % 2]",
            *self.float_reductions(scope, depth - 1),
        ]
        if scope.functions:
            options.append(lambda: f"bound({self.pick(scope.functions)}({inner()}))")
        if self.helpers:
            options += [lambda: self.helper_call(scope, depth - 1)] * 2
        if self.itself and self.loops < 2:
            options += [lambda: self.call_itself(scope, depth - 1)] * 3
        return self.any_of(options)

    def float_leaves(self, scope: Scope) -> list[Option]:
        leaves: list[Option] = [lambda: self.rng.choice(("0.5", "-1.25", "2.0", "1"))]
        leaves += [lambda: self.pick(scope[Kind.FLOAT])] * (3 if scope[Kind.FLOAT] else 0)
        if scope.vectors:
            leaves += [lambda: f"{self.pick(scope.vectors)}[{self.place(scope, 0)}]"] * 2
        if scope.matrices:
            leaves.append(lambda: f"{self.pick(scope.matrices)}[{self.row(scope, 0)}, {self.place(scope, 0)}]")
        return leaves

    def float_reductions(self, scope: Scope, depth: int) -> list[Option]:
        options: list[Option] = []
        vectors = scope.vectors
        if vectors:
            options += [
                lambda: f"{self.vector(scope, depth)}.{self.rng.choice(('sum', 'mean', 'max', 'min'))}()",
                lambda: f"np.{self.rng.choice(('sum', 'mean'))}({self.pick(vectors)})",
                lambda: f"bound({self.pick(vectors)} @ {self.pick(vectors)})",
                lambda: f"bound({self.pick(vectors)}[{self.pick(vectors)} > {self.float(scope, depth)}].sum())",
            ]
        if scope[Kind.PIECE]:
            options.append(lambda: f"bound({self.pick(scope[Kind.PIECE])}.sum())")
        if scope.matrices:
            options.append(lambda: f"np.sum({self.matrix(scope, depth)})")
            options.append(lambda: f"bound({self.pick(scope.matrices)}.T * 0.5).sum()")
        if scope.matrices and vectors:
            options.append(lambda: f"bound({self.pick(scope.matrices)} @ {self.pick(vectors)}).max()")
        return options

    def helper_call(self, scope: Scope, depth: int) -> str:
        name, takes_vector = self.rng.choice(self.helpers)
        if takes_vector and not scope.own_vectors:
            return "0.75"
        part = self.rng.choice(("", "", "[::-1]", "[1:]")) if takes_vector else ""
        first = f"{self.pick(scope.own_vectors)}{part}" if takes_vector else self.float(scope, depth)
        second = self.rng.choice((", ", ", z=")) + self.float(scope, depth)
        third = f", j0={self.int(scope, 0)}" if self.chance(0.3) else ""
        return f"bound({name}({first}{second}{third}))"

    def call_itself(self, scope: Scope, depth: int) -> str:
        """A call of the function that is written, as long as it was not called too deep; once in a text."""
        name, self.itself = self.itself, ""
        takes_vector = "c" in scope.names[Kind.VECTOR]
        first = f"c{self.rng.choice(('', '', '[::-1]', '[1:]'))}" if takes_vector else self.float(scope, depth)
        guard = f"left > {self.loops}{' and n > 2' if first == 'c[1:]' else ''}"
        call = f"{name}({first}, {self.float(scope, depth)}, {self.int(scope, 0)}, left - 1)"
        return f"(bound({call}) if {guard} else {self.float(scope, 0)})"

    def int(self, scope: Scope, depth: int) -> str:
        """An int that stays small."""
        if depth <= 0 or self.chance(0.25):
            leaves = [*scope[Kind.INT], *scope[Kind.INT], str(self.rng.randint(0, 4))]
            return self.rng.choice([*leaves, "n"] if scope.vectors else leaves)

        def inner() -> str:
            return self.int(scope, depth - 1)

        options: list[Option] = [
            lambda: f"({inner()} + {inner()}) % 7",
            lambda: f"({inner()} - {inner()}) % 5",
            lambda: f"({inner()} * {inner()}) % 11",
            lambda: f"({inner()} // 2)",
            lambda: f"({inner()} & 3)",
            lambda: f"({inner()} ^ 1) % 9",
            lambda: f"abs({inner()} - 2)",
            lambda: f"({inner()} if {self.condition(scope, depth - 1)} else {inner()})",
            lambda: f"{self.rng.choice(('min', 'max'))}({inner()}, {inner()})",
            lambda: f"int({self.condition(scope, depth - 1)})",
            lambda: f"(-{inner()}) % 6",
            lambda: f"int({self.float(scope, depth - 1)} * 3.0) % 5",
        ]
        if scope.vectors:
            options.append(lambda: f"int(np.argmax({self.pick(scope.vectors)}))")
        if scope[Kind.PLACES]:
            options.append(lambda: f"{self.pick(scope[Kind.PLACES])}[{self.place(scope, depth - 1)}]")
        return self.any_of(options)

    def condition(self, scope: Scope, depth: int = 1) -> str:
        """Something true or false."""

        def number() -> str:
            return self.float(scope, depth)

        def whole() -> str:
            return self.int(scope, depth)

        def inner() -> str:
            return self.condition(scope, depth - 1)

        options: list[Option] = [
            lambda: f"{number()} {self.rng.choice(('<', '>', '<=', '>='))} {number()}",
            lambda: f"{number()} > {self.rng.choice(('0.0', '0.5', '-0.5'))}",
            lambda: f"{whole()} {self.rng.choice(('==', '!=', '<', '>='))} {whole()}",
            lambda: f"{whole()} % 2 == {self.rng.randint(0, 1)}",
            lambda: f"{self.rng.choice(('-0.5', '0.0'))} < {number()} <= {number()}",
        ]
        if scope[Kind.BOOL]:
            options += [lambda: self.pick(scope[Kind.BOOL])] * 2
        if scope.vectors:
            options += [
                lambda: f"({self.pick(scope.vectors)} > {number()}).{self.rng.choice(('any', 'all'))}()",
                lambda: f"(0 <= {whole()} < n and {self.pick(scope.vectors)}[{whole()} % n] > 0.0)",
            ]
        if depth > 0:
            options += [
                lambda: f"({inner()} {self.rng.choice(('and', 'or'))} {inner()})",
                lambda: f"not ({inner()})",
            ]
        return self.any_of(options)

    # -- arrays -----------------------------------------------------------------------------------------------

    def vector(self, scope: Scope, depth: int) -> str:
        """A vector of n floats."""
        names = scope.vectors
        if depth <= 0 or self.chance(0.15):
            return self.pick(names)

        def inner() -> str:
            return self.vector(scope, depth - 1)

        def number() -> str:
            return self.float(scope, 0)

        options: list[Option] = [
            lambda: f"({inner()} {self.rng.choice('+-*')} {inner()})",
            lambda: f"({self.rng.choice(('0.5', '-0.8'))} * {inner()})",
            lambda: f"({inner()} + {number()})",
            lambda: f"bound({inner()})",
            lambda: f"np.{self.rng.choice(('sin', 'abs', 'abs'))}({inner()})",
            lambda: f"np.{self.rng.choice(('maximum', 'minimum'))}({inner()}, {number()})",
            lambda: f"np.where({inner()} > {number()}, {inner()}, {inner()})",
            lambda: f"{inner()}[::-1]",
            lambda: f"{inner()}.copy()",
            lambda: self.rng.choice(("np.zeros(n)", f"np.zeros_like({self.pick(names)})", f"np.full(n, {number()})")),
        ]
        if scope.matrices:
            options.append(lambda: f"{self.pick(scope.matrices)}.sum(axis=0)")
        if scope[Kind.PLACES]:
            options.append(lambda: f"{inner()}[{self.pick(scope[Kind.PLACES])} % n]")
        return self.any_of(options)

    def piece(self, scope: Scope, depth: int) -> str:
        """A vector of any length."""
        sources = [*scope.own_vectors, *scope[Kind.PIECE]]
        if not sources:
            return "np.zeros(2)"
        name, bound = self.pick(sources), self.int(scope, 0)
        made = name + self.rng.choice(("[1:]", "[:-1]", "[::2]", "[::-1]", f"[{bound}:]", f"[:{bound}]"))
        if depth <= 1 or self.chance(0.6):
            return made
        picked = f"{name}[{name} > {self.float(scope, 0)}]"
        return self.rng.choice((f"bound({made})", f"({made} * 0.5)", f"{made}.copy()", picked))

    def matrix(self, scope: Scope, depth: int) -> str:
        """A matrix."""
        name, number = self.pick(scope.matrices), self.float(scope, 0)
        if depth <= 0:
            return name
        options = [name, f"bound({name})", f"({name} * {number})", f"({name} + {name}[::-1])"]
        if scope.vectors:
            vector = self.pick(scope.vectors)
            options += [f"({name} + {vector})", f"np.maximum({name}, {vector})"]
        return self.rng.choice(options)
