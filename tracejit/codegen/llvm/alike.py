"""Kernels that compute the same from their parameters: compiled once, launched with the arguments of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any, TypeAlias

from tracejit.codegen.loop_ir import Const, For, Kernel, Stmt, Var
from tracejit.errors import Span
from tracejit.ir.types import DType

#: Who hears of kernels as they are made, if somebody does.
Told: TypeAlias = Callable[[Kernel], None] | None


class Kernels:
    """The kernels of a program as they are made; `told` hears of each."""

    def __init__(self, told: Told = None) -> None:
        self._told = told
        self._made: dict[str, Kernel] = {}
        self._alike: dict[tuple[Any, ...], list[str]] = {}
        self._structures: dict[str, Any] = {}

    @property
    def made(self) -> tuple[Kernel, ...]:
        """All kernels, in the order in which they were made."""
        return tuple(self._made.values())

    def find(self, params: Sequence[Var], body: Sequence[Stmt], spans: Sequence[Span] = ()) -> Kernel | None:
        """A kernel whose code is the same but for the names of variables; from now on it stands for `spans` too."""
        names = self._alike.get(_rough(params, body))
        if names is None:
            return None
        wanted = structure(params, body)
        name = next((name for name in names if self._structure(name) == wanted), None)
        if name is None:
            return None
        found = self._made[name]
        found = self._made[name] = replace(found, spans=tuple(dict.fromkeys((*found.spans, *spans))))
        return found

    def add(self, kernel: Kernel) -> None:
        """Keep a new kernel."""
        self._made[kernel.name] = kernel
        self._alike.setdefault(_rough(kernel.params, kernel.body), []).append(kernel.name)
        if self._told is not None:
            self._told(kernel)

    def _structure(self, name: str) -> Any:
        if name not in self._structures:
            kernel = self._made[name]
            self._structures[name] = structure(kernel.params, kernel.body)
        return self._structures[name]


def _rough(params: Sequence[Var], body: Sequence[Stmt]) -> tuple[Any, ...]:
    """What is cheap to compare."""
    inner = [len(s.body) for s in body if isinstance(s, For)]
    return tuple(p.type for p in params), len(body), tuple(inner)


def structure(params: Sequence[Var], body: Sequence[Stmt]) -> Any:
    """Code with its variables numbered in the order in which they appear, and without its places in the source."""
    numbers: dict[Var, int] = {}

    def of(x: Any) -> Any:
        kind = x.__class__
        if kind is Var:
            return numbers.setdefault(x, len(numbers)), x.type
        if kind is tuple:
            return tuple([of(item) for item in x])
        if kind is Const:
            return repr(x.value), x.type  # -0.0 and nan are told apart
        parts = _parts(kind)
        return x if parts is None else (kind, *[of(getattr(x, name)) for name in parts])

    return of(tuple(params)), of(tuple(body))


@cache
def _parts(kind: type) -> tuple[str, ...] | None:
    """The fields of a statement or an expression but for its place; None for what has none."""
    if kind is DType or not is_dataclass(kind):
        return None
    return tuple(f.name for f in fields(kind) if f.name != "span")
