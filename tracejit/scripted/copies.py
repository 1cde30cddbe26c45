"""Copies of arrays: what `fn.explain` lists, and what `script(copies="error")` refuses.

After `ownership` every copy is a visible op that says why it is there; but for results that are made aside because
`in-place-windows` could not prove that what they are made of lies elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator

from tracejit.errors import ScriptError, Span
from tracejit.ir.core import Block, Graph, Value
from tracejit.ir.printer import called_graphs
from tracejit.ir.types import Type
from tracejit.records import record
from tracejit.transforms.in_place_windows import reads_beside_results

_WHY = {
    "asked": "the program asks for a copy",
    "view": "this part of an array is overwritten before its last use",
    "takes": "it is changed or bound anew while the old content is still needed",
    "result": "a result of its own must not be another array's memory",
    "layout": "the products of a loop read it the other way round",
    "aside": "it is made aside first, because what it is made of may lie where it goes",
}

#: What plain NumPy copies too: a read of a part is one, before the write that overlaps it, its BLAS turns a matrix in
#: every product, and what it writes it has made aside.
_NUMPY = frozenset(("asked", "view", "layout", "aside"))


@record
class Copy:
    """One copy in a program: of what, why, and whether in a loop."""

    name: str
    type: Type
    why: str
    in_loop: bool
    span: Span | None

    def text(self) -> str:
        """What is copied and why, as one line."""
        return f"%{self.name}: {self.type}{', in a loop' if self.in_loop else ''}: {_WHY[self.why]}"


def copies(graph: Graph) -> Iterator[Copy]:
    """The copies a graph and those it calls make, in order."""
    for each in called_graphs(graph):
        yield from _copies(each.body, False)


def _copies(block: Block, in_loop: bool) -> Iterator[Copy]:
    aside = {w: read for read, writes in reads_beside_results(block) for w in writes if "apart" not in read.attrs}
    for op in block.ops:
        if op in aside:
            made: Value = op.operands[1]
            yield Copy(made.name, made.type, "aside", in_loop, op.span or aside[op].span)
        if op.name == "copy":
            source: Value = op.operands[0]
            yield Copy(source.name, source.type, op.attrs["why"], in_loop, op.span)
        for inner in op.blocks:
            yield from _copies(inner, in_loop or op.name == "loop")


def refuse_copies(graph: Graph) -> None:
    """A `ScriptError` at the first copy of a whole array that plain NumPy would not make."""
    for copy in copies(graph):
        if copy.why not in _NUMPY:
            raise ScriptError(
                f"an array ({copy.name}) is copied here, which plain NumPy does not do: {_WHY[copy.why]}",
                copy.span,
                instead="write into one array, or allow it with script(copies='allow')",
            )
