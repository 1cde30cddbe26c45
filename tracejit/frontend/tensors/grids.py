"""NumPy's objects that make arrays of their subscript: `np.mgrid[0:n, 0:m]`, `np.ogrid`, `np.r_`, `np.c_`, `np.s_`."""

from __future__ import annotations

import ast
import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from tracejit.frontend.arith import is_python_number
from tracejit.frontend.functions.arguments import Arguments, as_array
from tracejit.frontend.functions.library import operand
from tracejit.frontend.tensors.arrays import converted, function
from tracejit.frontend.tensors.joining import concatenated, with_axis
from tracejit.frontend.values import ArrayView, FrontValue, Number, Size, SliceValue, Static, TupleValue
from tracejit.ir.types import BOOL, promote
from tracejit.ops import coerce

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


def grid_subscript(calls: Calls, maker: Any, index: FrontValue, node: ast.AST) -> FrontValue | None:
    """`maker[index]`; None where `maker` is no such object."""
    items = list(index.items) if isinstance(index, TupleValue) else [index]
    if isinstance(index, Static) and isinstance(index.value, tuple):
        items = [Static(i) for i in index.value]
    items = [_slice_of(i) for i in items]
    if maker is np.mgrid or maker is np.ogrid:
        return _grid(calls, items, maker is np.mgrid, isinstance(index, TupleValue) or len(items) > 1, node)
    if maker is np.r_ or maker is np.c_:
        return _joined(calls, items, maker is np.c_, node)
    return index if maker is np.s_ or maker is np.index_exp else None


def _slice_of(item: FrontValue) -> FrontValue:
    if isinstance(item, Static) and isinstance(item.value, slice):
        s = item.value
        return SliceValue(*(None if p is None else Static(p) for p in (s.start, s.stop, s.step)))
    return item


def _line(calls: Calls, item: FrontValue, node: ast.AST, several: bool = False) -> ArrayView:
    """The numbers of a slice: by its step, or as many as an imaginary step says; those of one slice are NumPy's
    `arange`, which counts on from the first two, those of `several` multiples of their steps."""
    if not isinstance(item, SliceValue) or item.stop is None:
        calls.ctx.refuse(node, "a grid is made of slices with a stop", "np.mgrid[0:n, 0:m]")
    start, step = item.start or Static(0), item.step
    if _is_complex(step):
        count = calls.call_object(int, [calls.call_object(abs, [step or Static(0)], {}, node)], {}, node)
        if not several:
            made = function(calls, "linspace", [start, item.stop, count], {}, node)
        else:
            binary, typed = calls.arith.binary, calls.arith.typed
            gaps = calls.call_object(max, [binary("sub", count, Static(1), node), Static(1)], {}, node)
            width = binary("div", binary("sub", item.stop, start, node), gaps, node)
            places = function(calls, "arange", [count], {}, node)
            made = typed("add", node, typed("mul", node, places, width), start)
    else:
        counts_on = not (several or calls.ctx.tensors)
        made = function(calls, "arange", [start, item.stop, step or Static(1)], {}, node, counts_on)
    assert isinstance(made, ArrayView)
    return made


def _require_length(calls: Calls, item: FrontValue, node: ast.AST) -> None:
    """`ValueError` for a slice of a dense grid that ends a step or more before it begins."""
    assert isinstance(item, SliceValue)
    assert item.stop is not None
    if _is_complex(item.step):
        return
    binary = calls.arith.binary
    steps = binary("div", binary("sub", item.stop, item.start or Static(0), node), item.step or Static(1), node)
    fits, text = binary("gt", steps, Static(-1), node), "negative dimensions are not allowed"
    if not isinstance(fits, Static):
        calls.ctx.check(calls.arith.scalar(fits, BOOL), "ValueError", text)
    elif not fits.value:
        calls.arith.mismatch(ValueError(text), node)


def _is_complex(step: FrontValue | None) -> bool:
    if isinstance(step, Static):
        return isinstance(step.value, complex)
    return isinstance(step, Number) and step.dtype.is_complex


def _grid(calls: Calls, items: list[FrontValue], dense: bool, several: bool, node: ast.AST) -> FrontValue:
    """The coordinates of a grid: dense as one array, open as a tuple of arrays that broadcast."""
    lines = [_line(calls, item, node, several) for item in items]
    if not several:
        return lines[0]
    if dense:
        for item in items:
            _require_length(calls, item, node)
    dtype = functools.reduce(promote, (line.dtype for line in lines))
    lines = [converted(calls, line, dtype) for line in lines]
    opened: list[ArrayView] = []
    for k, line in enumerate(lines):
        for _ in range(k):
            line = with_axis(line, 0)
        for _ in range(k + 1, len(lines)):
            line = with_axis(line, line.rank)
        opened.append(line)
    if not dense:
        return TupleValue(tuple(opened))
    sizes: list[Size] = [line.lengths[0] for line in lines]
    full = [calls.ctx.fresh(calls.indexing.fit(calls.ctx.load(x), x.lengths, sizes, node)) for x in opened]
    arguments = Arguments(calls, "mgrid", "", [], {}, node)
    return concatenated(calls, arguments, [with_axis(x, 0) for x in full], 0)


def _joined(calls: Calls, items: list[FrontValue], as_columns: bool, node: ast.AST) -> FrontValue:
    """`np.r_[...]`: slices, numbers and vectors one after the other; `np.c_[...]`: vectors as columns."""
    if any(isinstance(i, Static) and isinstance(i.value, str) for i in items):
        calls.ctx.refuse(node, "directives of np.r_ are outside the language", "np.concatenate with an axis")
    parts = [_line(calls, i, node) if isinstance(i, SliceValue) else calls.as_operand(i) for i in items]
    if any(is_python_number(x) for x in parts):  # they take the dtype of the others
        dtype = coerce.result_dtype(calls.ctx.b, [operand(calls, x, node) for x in parts])
        for x in parts:
            calls.indexing.check_fits(x, dtype)
        parts = [Number(calls.arith.scalar(x, dtype), weak=False) if is_python_number(x) else x for x in parts]
    parts = [as_array(calls, x, node) for x in parts]
    parts = [with_axis(x, 0) if x.rank == 0 else x for x in parts]
    if as_columns:
        parts = [with_axis(x, 1) if x.rank == 1 else x for x in parts]
    arguments = Arguments(calls, "r_", "", [], {}, node)
    return concatenated(calls, arguments, parts, parts[0].rank - 1 if as_columns else 0)
