"""PyTorch's further functions and methods of Tensors in scripts: those of `eager/spellings.py`."""

from __future__ import annotations

import ast
import dataclasses
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from tracejit.eager.spellings import SPLITS, TYPES, dtype_of_maker, ends_of_parts, type_name
from tracejit.eager.tensor import Tensor
from tracejit.frontend.derivatives.made_leaves import as_asked
from tracejit.frontend.functions.arguments import Arguments, as_array
from tracejit.frontend.functions.handlers import handles
from tracejit.frontend.tensors.arrays import METHODS, PYTORCH, define, function
from tracejit.frontend.tensors.reshaping import reshaped
from tracejit.frontend.tensors.tensor_views import known_size, method, part
from tracejit.frontend.values import ArrayView, FrontValue, ListValue, Number, Size, SliceValue, Static, TupleValue

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


# -- parts ----------------------------------------------------------------------------------------------------------


@define("tensor_split", "x indices_or_sections axis=0")
def _tensor_split(c: Calls, a: Arguments) -> FrontValue:
    x = a.array()
    if not x.rank:
        c.arith.mismatch(ValueError("tensor_split takes a tensor of at least one axis"), a.node)
    return _parts(c, a, x, a.axis(x.rank))


def _parts(c: Calls, a: Arguments, x: ArrayView, axis: int) -> FrontValue:
    given = a["indices_or_sections"]
    cuts: list[FrontValue | None]
    if isinstance(given, TupleValue | ListValue):
        cuts = [None, *given.items, None]
    else:
        count, size = a.integer(c.static(given, a.node, "the number of parts")), known_size(c, x, axis, a.node)
        try:
            cuts = [Static(end) for end in ends_of_parts(a.name, size, count)]
        except ValueError as error:
            return c.arith.mismatch(error, a.node)
    return TupleValue(tuple(part(c, x, axis, SliceValue(i, j, None), a.node) for i, j in pairwise(cuts)))


for _name in SPLITS:

    @define(_name, "x indices_or_sections")
    def _split_along(c: Calls, a: Arguments) -> FrontValue:
        if not c.ctx.tensors:
            return function(c, f"numpy.{a.name}", [a["x"], a["indices_or_sections"]], {}, a.node)
        x, (axis, rank) = a.array(), SPLITS[a.name]
        if x.rank < rank:
            text = f"{a.name} takes a tensor of at least {rank} axes, not {x.rank}"
            return c.arith.mismatch(ValueError(text), a.node)
        return _parts(c, a, x, min(axis, x.rank - 1))

    PYTORCH.add(_name)


@define("repeat_interleave", "x repeats axis=None")
def _repeat_interleave(c: Calls, a: Arguments) -> FrontValue:
    """Each element as often as one number says, or a list of them."""
    return c.call_object(np.repeat, [a["x"], a["repeats"], a["axis"]], {}, a.node)


@define("split_with_sizes", "x split_sizes axis=0")
def _split_with_sizes(c: Calls, a: Arguments) -> FrontValue:
    return function(c, "split", [a["x"], a["split_sizes"], a["axis"]], {}, a.node)


for _name in ("clone", "detach"):

    @define(_name, "x")
    def _of_method(c: Calls, a: Arguments) -> FrontValue:
        return METHODS[a.name](c, a.array(), [], {}, a.node)


@method("narrow_copy")
def _narrow_copy(
    c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    return METHODS["copy"](c, function(c, "narrow", [x, *args], kwargs, node), [], {}, node)


@method("fill_diagonal_")
def _fill_diagonal(
    c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    a = Arguments(c, "fill_diagonal_", "x fill_value wrap=False", [x, *args], kwargs, node)
    line = a.array()
    if line.rank < 2 or (line.rank > 2 and not c.ctx.same_lengths(line.lengths[1:], line.lengths[:-1])):
        c.arith.mismatch(ValueError("fill_diagonal_ takes a matrix, or equal sizes"), node)
    if a.static("wrap"):
        c.ctx.refuse(node, "fill_diagonal_ does not wrap in a script", "fill parts of the matrix")
    while line.rank > 1:
        found = function(c, "diagonal", [line], {}, node)
        assert isinstance(found, ArrayView)
        line = found
    c.indexing.assign(line, a["fill_value"], node)
    return x


# -- axes -------------------------------------------------------------------------------------------------------------


def _with_axes(c: Calls, value: FrontValue, rank: int, node: ast.AST) -> ArrayView:
    x = as_array(c, value, node)
    if x.rank >= rank:
        return x
    lengths: list[Size] = [*(1,) * (rank - x.rank if rank < 3 or not x.rank else x.rank == 1), *x.lengths]
    return reshaped(c, x, [*lengths, *(1,) * (rank - len(lengths))], node)


for _rank in (1, 2, 3):

    @define(f"atleast_{_rank}d", "x *more")
    def _atleast(c: Calls, a: Arguments, _rank: int = _rank) -> FrontValue:
        given = a["x"]
        several = isinstance(given, TupleValue | ListValue)
        items = given.items if isinstance(given, TupleValue | ListValue) else (given, *a.rest)
        made: tuple[FrontValue, ...] = tuple(_with_axes(c, x, _rank, a.node) for x in items)
        return made[0] if len(made) == 1 and not several else TupleValue(made)


@define("swapdims", "x dim0 dim1")
def _swapdims(c: Calls, a: Arguments) -> FrontValue:
    return function(c, "swapaxes", [a["x"], a["dim0"], a["dim1"]], {}, a.node)


@define("adjoint", "x")
def _adjoint(c: Calls, a: Arguments) -> FrontValue:
    x = function(c, "matrix_transpose", [a["x"]], {}, a.node)
    return function(c, "conj", [x], {}, a.node) if isinstance(x, ArrayView) and x.dtype.is_complex else x


def conjugate_transpose(c: Calls, x: ArrayView, name: str, node: ast.AST) -> FrontValue:
    """`x.H` and `x.mH`."""
    if name == "H" and x.rank not in (0, 2):
        c.arith.mismatch(ValueError("H takes a matrix"), node)
    return function(c, "adjoint", [x], {}, node) if x.rank or name == "mH" else x


# -- complex numbers as pairs -----------------------------------------------------------------------------------------


@define("view_as_real view_as_complex", "x")
def _pairs(c: Calls, a: Arguments) -> FrontValue:
    x = c.ctx.handle(c.ctx.load(a.array()))
    try:
        made = c.ctx.b.as_pairs(x) if a.name == "view_as_real" else c.ctx.b.of_pairs(x)
    except (TypeError, ValueError) as error:
        return c.arith.mismatch(error, a.node)
    return dataclasses.replace(c.ctx.fresh(made.value), readonly=True)


# -- kinds of tensors -------------------------------------------------------------------------------------------------


def _made_of(c: Calls, given: list[FrontValue], dtype: FrontValue, node: ast.AST) -> FrontValue:
    """An array of the data, or of sizes."""
    is_shape = all(
        (isinstance(n, Static) and isinstance(n.value, int)) or (isinstance(n, Number) and n.dtype.is_integer)
        for n in given
    )
    return function(c, "empty" if is_shape else "tensor", given or [Static(0)], {"dtype": dtype}, node)


for _name, _dtype in TYPES.items():

    @define(_name, "x=() *more")
    def _make(c: Calls, a: Arguments, _dtype: str = _dtype) -> FrontValue:
        return _made_of(c, [a["x"], *a.rest], Static(_dtype), a.node)


@handles(Tensor)
def _tensor(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    a = Arguments(c, "Tensor", "dtype='float32' device=None requires_grad=False", [], kwargs, node)
    return as_asked(a, _made_of(c, args, a["dtype"], node))


@method("type")
def _type(c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    a = Arguments(c, "type", "x dtype=None", [x, *args], kwargs, node)
    if a.is_none("dtype"):
        return Static(type_name(a.array().dtype.numpy_name))
    return METHODS["to"](c, a["x"], [Static(dtype_of_maker(a.static("dtype")))], {}, node)


@method("get_device")
def _get_device(
    c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    return Static(-1 if c.ctx.device == "cpu" else int(str(c.ctx.device).partition(":")[2] or 0))
