"""Elementwise ops on arrays whose axes were exchanged, like `x.T + 1`: computed as the memory lies, and seen so again.

NumPy lays the result out as the operands lie, so that both are passed through from one end to the other. An operand
with one axis that is longer than 1 has no order of its own. Results that get a name lie by rows: names come to stand
for one of several arrays in branches and loops, and parts of one array are read many times.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from functools import lru_cache

from tracejit.frontend.context import Context
from tracejit.frontend.sizes import key
from tracejit.frontend.syntax.trees import nodes_in, parts_of
from tracejit.frontend.tensors.slices import inverse, permuted
from tracejit.frontend.values import ArrayView, FrontValue, Size, TupleValue
from tracejit.ops import coerce


def common_axes(ctx: Context, node: ast.AST, operands: Sequence[FrontValue]) -> tuple[int, ...]:
    """The axes, as those of memory by rows, of all arrays among the operands that have an order, if they are known to
    fit each other or are checked here; () where results lie by rows, as all do among Tensors."""
    arrays = [x for x in operands if isinstance(x, ArrayView) and x.rank]
    axes = next(filter(None, (_axes(ctx, x) for x in arrays)), ())
    if ctx.tensors or not axes:
        return ()
    first = next(x for x in arrays if _axes(ctx, x))
    if not all(_lies_like(ctx, x, first) for x in arrays) or not _is_taken_at_once(ctx, node):
        return ()
    shapes = [[n if isinstance(n, int) else ctx.handle(n) for n in x.lengths] for x in arrays]
    coerce.broadcast_shapes(ctx.b, shapes)
    return axes


#: What takes an array and gives it no name.
_TAKES = (ast.BinOp, ast.UnaryOp, ast.Compare, ast.Attribute, ast.Subscript)
#: What makes names, and what is returned, one of several values.
_PATHS = (ast.If, ast.IfExp, ast.For, ast.While, ast.Try, ast.Match, ast.comprehension)


def _is_taken_at_once(ctx: Context, node: ast.AST) -> bool:
    """Whether an expression is an operand, an argument of a method or a function of a module, or returned."""
    whole = ctx.frame.source.node
    parents, has_paths = _structure(whole)
    outer = parents.get(node)
    if isinstance(outer, ast.keyword):
        outer = parents.get(outer)
    if isinstance(outer, _TAKES) or (isinstance(outer, ast.Call) and isinstance(outer.func, ast.Attribute)):
        return True
    while isinstance(outer, ast.Tuple):
        outer = parents.get(outer)
    if isinstance(outer, ast.Return) and isinstance(whole, ast.FunctionDef):
        return ctx.frame.caller is None and not has_paths
    return isinstance(outer, ast.Lambda) and outer is whole and ctx.frame.caller is None


@lru_cache(maxsize=16)
def _structure(tree: ast.AST) -> tuple[Mapping[ast.AST, ast.AST], bool]:
    """What each node of a function stands in, and whether the function takes one of several paths."""
    nodes = nodes_in(tree)
    return {inner: outer for outer in nodes for inner in parts_of(outer)}, any(isinstance(n, _PATHS) for n in nodes)


def _axes(ctx: Context, x: ArrayView) -> tuple[int, ...]:
    """The axes of an array as those of memory by rows; () where they are the same, or that is not known."""
    is_turned = bool(x.via) and x.via[0] == "transpose"
    if x.storage in ctx.by_columns and (is_turned or x.is_whole):
        axes = tuple(x.rank - 1 - k for k in (x.via[1] if is_turned else range(x.rank)))
        return () if axes == tuple(range(x.rank)) else axes
    return x.via[1] if is_turned and x.storage not in ctx.strided else ()


def _lies_like(ctx: Context, x: ArrayView, first: ArrayView) -> bool:
    """Whether an operand lies in the order of another, or has none, and need not be stretched at run time."""
    sizes = first.lengths[first.rank - x.rank :]
    if x.rank == first.rank and _axes(ctx, x) == _axes(ctx, first):
        return all(_is_fixed(ctx, n, size) for n, size in zip(x.lengths, sizes, strict=True))
    long = [k for k, n in enumerate(x.lengths) if not _is_unit(n)]
    return x.rank <= first.rank and len(long) < 2 and all(_is_fixed(ctx, x.lengths[k], sizes[k]) for k in long)


def _is_fixed(ctx: Context, a: Size, b: Size) -> bool:
    """Whether two sizes are one or certainly an error."""
    return key(a) == key(b) or (ctx.sizes.at_least(a, 2) and ctx.sizes.at_least(b, 2))


def _is_unit(n: Size) -> bool:
    return isinstance(n, int) and n == 1


def note_order(ctx: Context, made: FrontValue, operands: Sequence[FrontValue]) -> None:
    """Note an array that lies by rows where NumPy lays it out as the operands lie, if those may lie otherwise. One that
    lies by rows decides."""
    if not isinstance(made, ArrayView) or ctx.tensors or not may_lie_otherwise(ctx, operands):
        return
    arrays = [x for x in operands if isinstance(x, ArrayView) and x.rank == made.rank]
    if not any(x.is_whole and not may_lie_otherwise(ctx, [x]) and not any(map(_is_unit, x.lengths)) for x in arrays):
        ctx.unordered.add(made.storage)


def may_lie_otherwise(ctx: Context, operands: Sequence[FrontValue]) -> bool:
    """Whether the axes of one of some operands may lie in another order than by rows."""
    arrays = [x for x in operands if isinstance(x, ArrayView) and sum(not _is_unit(n) for n in x.lengths) > 1]
    return any(_axes(ctx, x) or x.storage in ctx.unordered or _is_strided(ctx, x) for x in arrays)


def _is_strided(ctx: Context, x: ArrayView) -> bool:
    """Whether nothing is known of how an array lies."""
    is_known = x.storage in ctx.by_columns and (x.is_whole or x.via[:1] == ("transpose",))
    return x.storage in ctx.strided and not is_known


def is_disordered(ctx: Context, x: ArrayView) -> bool:
    """Whether the memory of an array in Python has an order that is known at run time only, or is not followed here."""
    if x.storage in ctx.unordered:
        return may_lie_otherwise(ctx, [x])
    return x.storage in ctx.strided and len(ctx.whole_view(x.storage).lengths) > 1


def by_rows(x: FrontValue, axes: tuple[int, ...]) -> FrontValue:
    """An operand with such axes as it lies in memory; what has no order has its one axis where it belongs."""
    if not axes or not isinstance(x, ArrayView) or not x.rank:
        return x
    if x.rank == len(axes):
        return permuted(x, inverse(axes))
    more = len(axes) - x.rank
    via = ("reshape",) if x.is_whole else ()
    strides, lengths = (0,) * more + x.strides, (1,) * more + x.lengths
    order = inverse(axes)
    return x.viewed(x.offset, [strides[k] for k in order], [lengths[k] for k in order], via)


def laid_out(ctx: Context, made: FrontValue, axes: tuple[int, ...], operands: Sequence[FrontValue]) -> FrontValue:
    """What was made of operands with such axes; () where it lies by rows."""
    if axes:
        return turned(made, axes)
    note_order(ctx, made, operands)
    return made


def turned(made: FrontValue, axes: tuple[int, ...]) -> FrontValue:
    """What was made of such operands, with their axes."""
    if isinstance(made, TupleValue):
        return TupleValue(tuple(turned(item, axes) for item in made.items), made.cls)
    return permuted(made, axes) if axes and isinstance(made, ArrayView) else made
