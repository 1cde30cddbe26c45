"""Graph to text: the canonical form that tests contain, `parser.py` reads and hashes are made of.

One generic syntax for all ops (grammar in README.md). Names come from the source; numbers only break ties,
in the order of the text, so equal graphs print equally whatever their history.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tracejit.ir.core import Block, Graph, Op, Value
from tracejit.ir.types import Dim, DType, ListType, ScalarType, TensorType, Type, dim_text

#: A name as the grammar spells it: a word, further words after dots.
NAME = re.compile(r"[^\W\d]\w*(?:\.\w+)*")

_TIE_BREAK = re.compile(r"(?:\.\d+)+$")


def print_graph(graph: Graph, spans: bool = False) -> str:
    """The graph's text, with the graphs it calls after it; `spans` adds the source line of each op as a comment."""
    graphs = called_graphs(graph)
    names = _Names()
    titles = {g: names.fresh(g.name) for g in graphs}
    return "\n".join(_Printer(titles, spans).graph(g) for g in graphs)


def called_graphs(graph: Graph) -> tuple[Graph, ...]:
    """The graph and every graph its ops' attributes name, directly or through another, in first-use order."""
    found: dict[Graph, None] = {graph: None}
    queue = [graph]
    for caller in queue:
        named: list[Graph] = []
        _note_graphs(caller.body, named)
        new = [callee for callee in dict.fromkeys(named) if callee not in found]
        found.update(dict.fromkeys(new))
        queue += new
    return tuple(found)


def _note_graphs(block: Block, found: list[Graph]) -> None:
    for op in block.ops:
        if op.attrs:
            _note_graphs_in(op.attrs.values(), found)
        for nested in op.blocks:
            _note_graphs(nested, found)


def _note_graphs_in(values: Iterable[Any], found: list[Graph]) -> None:
    for value in values:
        kind = value.__class__
        if kind is Graph:
            found.append(value)
        elif kind is tuple:
            _note_graphs_in(value, found)


def type_text(type: Type, dim: Callable[[Dim | None], str] = dim_text) -> str:
    """A type as the text format spells it; `dim` spells one size."""
    match type:
        case ScalarType(dtype):
            return dtype.name
        case TensorType(dtype, shape):
            return f"{dtype.name}[{', '.join(dim(d) for d in shape)}]"
        case ListType(element):
            return f"list<{type_text(element, dim)}>"


def number_text(number: complex) -> str:
    """A number so that it reads back exactly: `-0.0`, `1e-05`, `nan`, `inf`, `1.0+2.0j`."""
    if isinstance(number, int):
        return int.__repr__(number)
    if isinstance(number, float):
        return float.__repr__(number)
    imaginary = float.__repr__(float(number.imag))
    sign = "" if imaginary.startswith("-") else "+"
    return f"{float.__repr__(float(number.real))}{sign}{imaginary}j"


class _Names:
    """Unique names: the k-th use of a word gets the suffix `.k`, the first none."""

    def __init__(self) -> None:
        self._used: dict[str, int] = {}

    def fresh(self, name: str) -> str:
        base = _TIE_BREAK.sub("", name)
        if not NAME.fullmatch(base):
            base = re.sub(r"\W+", "_", base)
            base = base if NAME.fullmatch(base) else f"v{base}"
        count = self._used.get(base, 0)
        self._used[base] = count + 1
        return f"{base}.{count}" if count else base


class _Printer:
    """Writes one graph."""

    def __init__(self, titles: Mapping[Graph, str], spans: bool) -> None:
        self.titles = titles
        self.spans = spans
        self.names = _Names()
        self.value_names: dict[Value, str] = {}
        self.lines: list[str] = []

    def graph(self, graph: Graph) -> str:
        params = [
            f"{self.value(p)}: {'inout ' if i in graph.inout else ''}{self.type(p.type)}"
            for i, p in self._named(graph.params)
        ]
        policy = f" {self.attrs(graph.policy)}" if graph.policy else ""
        self.lines.append(f"graph @{self.titles[graph]}({', '.join(params)}) on {graph.device}{policy} {{")
        self.block(graph.body, "  ")
        self.lines.append("}\n")
        return "\n".join(self.lines)

    def block(self, block: Block, indent: str) -> None:
        """The block's ops and its `yield`."""
        for op in block.ops:
            self.op(op, indent)
        self.lines.append(f"{indent}yield {self.values(block.results)}".rstrip())

    def op(self, op: Op, indent: str) -> None:
        results = [self.value(v) for v in op.results]
        head = f"{', '.join(results)} = " if results else ""
        attrs = f" {self.attrs(op.attrs)}" if op.attrs else ""
        types = f" : {', '.join(self.type(v.type) for v in op.results)}" if results else ""
        region = " {" if op.blocks else ""
        span = f"  // {op.span}" if self.spans and op.span is not None else ""
        self.lines.append(f"{indent}{head}{op.name}({self.values(op.operands)}){attrs}{types}{region}{span}")
        for block in op.blocks:
            params = [f"{self.value(p)}: {self.type(p.type)}" for _, p in self._named(block.params)]
            self.lines.append(f"{indent}  {block.label}({', '.join(params)}):")
            self.block(block, f"{indent}    ")
        if op.blocks:
            self.lines.append(f"{indent}}}")

    def _named(self, params: Sequence[Value]) -> list[tuple[int, Value]]:
        """Numbered parameters, all of them named before a type may mention one."""
        for param in params:
            self.value(param)
        return list(enumerate(params))

    def value(self, value: Value) -> str:
        name = self.value_names.get(value)
        if name is None:
            name = self.value_names[value] = f"%{self.names.fresh(value.name)}"
        return name

    def values(self, values: Sequence[Value]) -> str:
        return ", ".join(self.value(v) for v in values)

    def type(self, type: Type) -> str:
        return type_text(type, self.dim)

    def dim(self, dim: Dim | None) -> str:
        return self.value(dim) if isinstance(dim, Value) else dim_text(dim)

    def attrs(self, attrs: Mapping[str, Any]) -> str:
        return "{" + ", ".join(f"{name} = {self.literal(value)}" for name, value in attrs.items()) + "}"

    def literal(self, value: Any) -> str:
        match value:
            case bool() | None:
                return repr(value)
            case int() | float() | complex():
                return number_text(value)
            case str():
                return json.dumps(value)
            case tuple():
                items = [self.literal(item) for item in value]
                return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"
            case DType():
                return value.name
            case ScalarType() | TensorType() | ListType():
                return f"!{self.type(value)}"
            case Graph():
                return f"@{self.titles[value]}"
            case _:
                raise TypeError(f"the text format has no literal for {type(value).__name__}")
