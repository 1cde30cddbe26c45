"""Running the entry of a program statement by statement: sequence, branches and loops, and how it fails.

Memory, calls and launches are left to who does it: the reference evaluator.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from tracejit.codegen.loop_ir import Expr, For, Function, If, Stmt, Var


class ProgramFailure(Exception):
    """A `Fail` was reached: the error's index and its payload."""

    def __init__(self, error: int, payload: tuple[Any, ...]) -> None:
        super().__init__(f"error {error}, payload {payload}")
        self.error = error
        self.payload = payload


class Walk(ABC):
    """Runs statements; `values` holds every var bound so far (SSA form makes one table enough)."""

    def __init__(self) -> None:
        self.values: dict[Var, Any] = {}

    @abstractmethod
    def expr(self, e: Expr) -> Any:
        """The value of an expression."""

    @abstractmethod
    def stmt(self, stmt: Stmt) -> None:
        """Run one statement."""

    def body(self, stmts: Sequence[Stmt]) -> None:
        """Run statements in order."""
        for stmt in stmts:
            self.stmt(stmt)

    def bind(self, results: Sequence[Var], values: Sequence[Any]) -> None:
        """Give vars their values."""
        self.values.update(zip(results, values, strict=True))

    def branch(self, stmt: If) -> None:
        """Run the side that the condition chooses."""
        if self.expr(stmt.cond):
            taken, values = stmt.then, stmt.then_values
        else:
            taken, values = stmt.orelse, stmt.else_values
        self.body(taken)
        self.bind(stmt.results, [self.expr(v) for v in values])

    def invoke(self, function: Function, args: Sequence[Any]) -> list[Any]:
        """Run a function with values of its own; gives its results."""
        outer = dict(self.values)
        self.bind(function.params, args)
        self.body(function.body)
        results = [self.expr(e) for e in function.results]
        self.values.clear()
        self.values.update(outer)
        return results

    def loop(self, loop: For) -> None:
        """Run a loop, handing carried values from one iteration to the next."""
        extent = int(self.expr(loop.extent))
        state = [self.expr(c.init) for c in loop.carried]
        go = loop.go is None or bool(self.expr(loop.go[1]))
        i = 0
        while go and i < extent:
            self.values[loop.var] = np.int64(i)
            if loop.go is not None:
                self.values[loop.go[0]] = np.bool_(True)
            self.bind([c.var for c in loop.carried], state)
            self.body(loop.body)
            state = [self.expr(c.next) for c in loop.carried]
            go = loop.go is None or bool(self.expr(loop.go[2]))
            i += 1
        self.bind([c.result for c in loop.carried], state)
