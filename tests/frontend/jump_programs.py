"""Functions full of jumps as text, and the desugared form as Python again.

A program records what it does in `log` and takes every decision from `bits`, so two runs can be compared step by step.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tracejit.frontend.syntax.desugar import (
    RETURN_VALUE,
    Branch,
    ForLoop,
    NotFlags,
    SetFlag,
    SetReturn,
    Statement,
    WhileLoop,
    WithBlock,
    desugar,
)
from tracejit.frontend.syntax.scopes import annotate, assigned

NAMES = ("x", "y", "z")


def jump_program(seed: int) -> str:
    """A function `f(bits, log, x, y, z)`."""
    writer = _Writer(random.Random(seed))
    with writer.block("def f(bits, log, x, y, z):"):
        writer.statements(writer.rng.randint(2, 5), loops=0, depth=0)
        if writer.rng.random() < 0.7:
            writer.line(f"return {writer.name()} + 1")
    return "\n".join(writer.lines) + "\n"


class _Writer:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.lines: list[str] = []
        self.depth = 0
        self.count = 0

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def name(self) -> str:
        return self.rng.choice(NAMES)

    def number(self) -> int:
        self.count += 1
        return self.count

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        self.line(head)
        self.depth += 1
        yield
        self.depth -= 1

    def statements(self, count: int, loops: int, depth: int) -> None:
        for _ in range(count):
            kinds = ["log", "bind", "bind", "read"] + (["if", "if", "for", "while", "with"] if depth < 3 else [])
            getattr(self, f"make_{self.rng.choice(kinds)}")(loops, depth)
        if self.rng.random() < (0.5 if depth else 0.0):
            jumps = ["return", f"return {self.name()}"] + (["break", "continue", "break", "continue"] if loops else [])
            self.line(self.rng.choice([*jumps, "raise ValueError(x)"]))

    def make_log(self, loops: int, depth: int) -> None:
        self.line(f"log.append({self.number()})")

    def make_bind(self, loops: int, depth: int) -> None:
        self.line(f"{self.name()} = {self.rng.choice((str(self.number()), self.name() + ' + 1'))}")

    def make_read(self, loops: int, depth: int) -> None:
        name = self.name()
        self.line(self.rng.choice((f"log.append({name} + 0)", f"{name} += 2", f"log.append((lambda: {name} + 0)())")))

    def make_if(self, loops: int, depth: int) -> None:
        with self.block("if next(bits):"):
            self.statements(self.rng.randint(1, 2), loops, depth + 1)
        if self.rng.random() < 0.3:
            with self.block("elif next(bits):"):
                self.statements(1, loops, depth + 1)
        if self.rng.random() < 0.5:
            with self.block("else:"):
                self.statements(self.rng.randint(1, 2), loops, depth + 1)

    def make_for(self, loops: int, depth: int) -> None:
        with self.block(f"for {self.rng.choice((*NAMES, 'i'))} in range({self.rng.randint(0, 3)}):"):
            self.statements(self.rng.randint(1, 3), loops + 1, depth + 1)
        self.make_else(loops, depth)

    def make_while(self, loops: int, depth: int) -> None:
        with self.block("while next(bits):"):
            self.statements(self.rng.randint(1, 3), loops + 1, depth + 1)
        self.make_else(loops, depth)

    def make_else(self, loops: int, depth: int) -> None:
        if self.rng.random() < 0.3:
            with self.block("else:"):
                self.statements(1, loops, depth + 1)

    def make_with(self, loops: int, depth: int) -> None:
        with self.block("with manager():"):
            self.statements(1, loops, depth + 1)


class Dead:
    """The value of a name that liveness says nobody reads: reading it fails."""

    def __add__(self, other: Any) -> Any:
        raise AssertionError("a name that was called dead is read")


def desugared_text(source: str, forget: bool) -> str:
    """The desugared form of the function in `source`, as Python without jumps out of loops other than at the end of
    their bodies. With `forget`, names that `annotate` calls dead lose their value."""
    node = ast.parse(source).body[0]
    assert isinstance(node, ast.FunctionDef)
    statements = desugar(node.body, node)
    annotate(statements)
    flags = sorted(n for n in _flags(statements))
    printer = _Printer(forget)
    with printer.block("def f(bits, log, x, y, z):"):
        for flag in flags:
            printer.line(f"{printer.plain(flag)} = False")
        printer.statements(statements)
        printer.line(f"return {printer.plain(RETURN_VALUE)}")
    return "\n".join(printer.lines) + "\n"


def _flags(statements: Sequence[Statement]) -> set[str]:
    return {name for name in assigned(statements) if name.startswith("$") and name != RETURN_VALUE}


class _Printer(_Writer):
    def __init__(self, forget: bool) -> None:
        super().__init__(random.Random(0))
        self.forget = forget

    @staticmethod
    def plain(name: str) -> str:
        return name.replace("$", "_")

    def condition(self, test: ast.expr | NotFlags) -> str:
        if isinstance(test, NotFlags):
            return f"not ({' or '.join(map(self.plain, test.names))})"
        return ast.unparse(test)

    def statements(self, statements: Sequence[Statement], *_: Any, **__: Any) -> None:
        for s in statements:
            self.statement(s)
        if not statements:
            self.line("pass")

    def drop(self, names: set[str]) -> None:
        for name in sorted(names if self.forget else ()):
            self.line(f"{self.plain(name)} = Dead()" if not name.startswith("$") else "pass")

    def statement(self, s: Statement) -> None:
        match s:
            case SetFlag(name, value):
                self.line(f"{self.plain(name)} = {value}")
            case SetReturn(value):
                self.line(f"{self.plain(RETURN_VALUE)} = {'None' if value is None else ast.unparse(value)}")
            case Branch():
                with self.block(f"if {self.condition(s.test)}:"):
                    self.statements(s.then)
                with self.block("else:"):
                    self.statements(s.orelse)
                self.drop((assigned(s.then) | assigned(s.orelse)) - s.live)
            case ForLoop():
                self.loop(s, f"for {ast.unparse(s.target)} in {ast.unparse(s.iter)}:")
            case WhileLoop():
                self.loop(s, f"while {ast.unparse(s.test)}:")
            case WithBlock():
                self.statements(s.body)
            case ast.stmt():
                self.line(ast.unparse(s))
            case _:
                raise AssertionError(s)

    def loop(self, s: ForLoop | WhileLoop, head: str) -> None:
        with self.block(head):
            self.statements(s.body)
            if s.exits:
                with self.block(f"if {' or '.join(map(self.plain, s.exits))}:"):
                    self.line("break")
            self.drop(assigned(s.body) - s.live_head)
        self.drop(assigned(s.body) - s.live)
