"""Kernels that compute the same from their parameters: compiled once, launched with the arguments of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from tracejit.codegen.loop_ir import Const, Kernel, Stmt, Var
from tracejit.ir.types import DType


class Kernels:
    """The kernels of a program as they are made."""

    def __init__(self) -> None:
        self.made: list[Kernel] = []
        self._alike: dict[tuple[Any, ...], list[Kernel]] = {}
        self._structures: dict[str, Any] = {}

    def find(self, name: str, params: Sequence[Var], body: Sequence[Stmt]) -> Kernel | None:
        """A kernel made for an op of that name whose code is the same but for the names of variables."""
        for kernel in self._alike.get(self._rough(name, params, body), ()):
            if kernel.name not in self._structures:
                self._structures[kernel.name] = structure(kernel.params, kernel.body)
            if self._structures[kernel.name] == structure(params, body):
                return kernel
        return None

    def add(self, name: str, kernel: Kernel) -> None:
        """Keep a new kernel, made for an op of that name."""
        self.made.append(kernel)
        self._alike.setdefault(self._rough(name, kernel.params, kernel.body), []).append(kernel)

    def _rough(self, name: str, params: Sequence[Var], body: Sequence[Stmt]) -> tuple[Any, ...]:
        """What is cheap to compare."""
        return name, tuple(p.type for p in params), len(body)


def structure(params: Sequence[Var], body: Sequence[Stmt]) -> Any:
    """Code with its variables numbered in the order in which they appear, and without its places in the source."""
    numbers: dict[Var, int] = {}

    def of(x: Any) -> Any:
        if isinstance(x, Var):
            return numbers.setdefault(x, len(numbers)), x.type
        if isinstance(x, tuple):
            return tuple([of(item) for item in x])
        if isinstance(x, Const):
            return repr(x.value), x.type  # -0.0 and nan are told apart
        if isinstance(x, DType) or not is_dataclass(x):
            return x
        return type(x), *[of(getattr(x, name)) for name in _parts(type(x))]

    return of(tuple(params)), of(tuple(body))


@cache
def _parts(kind: type) -> tuple[str, ...]:
    return tuple(f.name for f in fields(kind) if f.name != "span")
