"""How an array lies in memory, and whether it may be written."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tracejit.frontend.functions.arguments import as_array
from tracejit.frontend.tensors.array_facts import LAYOUT, note_asked
from tracejit.frontend.tensors.slices import lies_by_rows, permuted
from tracejit.frontend.tensors.turned_operands import may_lie_otherwise
from tracejit.frontend.values import ArrayView, FrontValue, Number, Size, Static
from tracejit.ir.core import Value
from tracejit.ir.reached import Truth
from tracejit.ir.types import BOOL, ScalarType

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


def steps(c: Calls, x: ArrayView, node: ast.AST) -> tuple[Size, ...]:
    """The steps in elements along each axis, where the memory is one that a script lays out or an argument in C
    order."""
    note_asked(LAYOUT)
    if x.storage in c.ctx.strided:
        c.ctx.refuse(node, "the strides of this argument are not known in a script", "pass x.contiguous()")
    return x.strides


def is_contiguous(c: Calls, x: FrontValue, node: ast.AST) -> FrontValue:
    """Whether an array lies in C order. An argument that does not was compiled for as such; its parts are not known."""
    note_asked(LAYOUT)
    if isinstance(x, ArrayView) and x.storage in c.ctx.strided and x.is_whole:
        return Static(False)
    view = as_array(c, x, node)
    steps(c, view, node)
    return as_truth(lies_by_rows(c.ctx, view))


def lies_in_order(c: Calls, node: ast.AST, x: FrontValue, by_columns: FrontValue) -> FrontValue:
    """Whether an array lies in C order, or by columns, as NumPy lays out what its functions make."""
    view = as_array(c, x, node)
    if view.storage in c.ctx.unordered and may_lie_otherwise(c.ctx, [view]):
        c.ctx.refuse(node, "how this array lies in memory is not known in a script", "np.ascontiguousarray(x)")
    if not c.static(by_columns, node, "the order"):
        return is_contiguous(c, view, node)
    if view.storage in c.ctx.strided and view.is_whole and c.ctx.device == "cpu":
        note_asked(LAYOUT)
        return Static(view.storage in c.ctx.by_columns)
    return is_contiguous(c, permuted(view, tuple(reversed(range(view.rank)))), node)


def may_be_written(c: Calls, node: ast.AST, x: FrontValue) -> FrontValue:
    """Whether NumPy lets an array be written."""
    b = c.ctx.b
    if isinstance(x, Number):
        return Static(False)
    view = as_array(c, x, node)
    found: Truth = True
    for flag in (view.readonly, *(c.ctx.storage.alias(view.storage, other) for other in c.ctx.readonly)):
        if flag is True:
            return Static(False)
        if isinstance(flag, Value):
            held = found if isinstance(found, Value) else b.constant(True, ScalarType(BOOL))
            found = b.emit("logical_and", (held, b.emit("logical_not", (flag,))[0]))[0]
    return as_truth(found)


def as_truth(found: Truth) -> FrontValue:
    """A truth value of the program."""
    return Number(found, weak=True) if isinstance(found, Value) else Static(found)
