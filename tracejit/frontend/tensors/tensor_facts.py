"""What a Tensor tells of itself under PyTorch's names: sizes, steps in memory, its dtype's kind, whether it asks for
gradients."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tracejit import cuda
from tracejit.eager.dtypes import float32
from tracejit.eager.facts import set_default_dtype
from tracejit.frontend.derivatives.made_leaves import ask
from tracejit.frontend.functions.arguments import Arguments, as_array
from tracejit.frontend.functions.handlers import handles
from tracejit.frontend.instances.heap import led_to
from tracejit.frontend.tensors.array_flags import as_truth, is_contiguous, steps
from tracejit.frontend.tensors.arrays import METHODS, define
from tracejit.frontend.tensors.reshaping import total_size
from tracejit.frontend.tensors.tensor_views import Method, method
from tracejit.frontend.texts.shown_arrays import asks
from tracejit.frontend.values import (
    ArrayView,
    FrontValue,
    Number,
    Size,
    Static,
    TupleValue,
    describe,
)
from tracejit.ir.types import DType

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


def _fact(of: Callable[[DType], bool | int]) -> Method:
    def handler(
        c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
    ) -> FrontValue:
        return Static(of(as_array(c, x, node).dtype))

    return handler


METHODS["is_floating_point"] = _fact(lambda dtype: dtype.is_float)
METHODS["is_complex"] = _fact(lambda dtype: dtype.is_complex)
METHODS["element_size"] = _fact(lambda dtype: dtype.itemsize)


@method("detach_")
def _detach_in_place(
    c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    """The array itself becomes constant for derivatives: the same content, with no past. Arrays that arguments are, and
    those that other names show parts of, are left alone."""
    ctx = c.ctx
    if not isinstance(x, ArrayView):
        ctx.refuse(node, f"{describe(x)} cannot be changed in place", "bind the name to x.detach()")
    if not x.dtype.is_inexact:
        return x
    classes = {x.storage, *(other for other, _ in ctx.storage.partners(x.storage))}
    known = led_to(v for frame in ctx.frames() for v in frame.env.values())
    others = (v for v in known if isinstance(v, ArrayView) and v.storage in classes)
    parts = any(v.storage != x.storage or not v.is_whole for v in others)
    is_given = classes & ctx.arguments and not c.gradients.is_gradient(x)
    if parts or not x.is_whole or is_given:
        ctx.refuse(node, "detach_() of an argument, or of an array with views, is outside the language", "x.detach()")
    ctx.storage.write(ctx.b, x.storage, ctx.b.emit("detach", (ctx.load(x),))[0])
    return x


@method("requires_grad_")
def _requires_grad(
    c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    a = Arguments(c, "requires_grad_", "x requires_grad=True", [x, *args], kwargs, node)
    is_named = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    if isinstance(x, Number) and not (is_named and isinstance(node.func.value, ast.Call)):  # type: ignore[union-attr]
        c.ctx.refuse(node, f"{describe(x)} cannot be told to ask for gradients", "tj.tensor(x, requires_grad=True)")
    return ask(c, a.array(), bool(a.static("requires_grad")), node)


for _name in ("is_floating_point", "is_complex"):

    @define(_name, "x")
    def _fact_function(c: Calls, a: Arguments, _name: str = _name) -> FrontValue:
        return METHODS[_name](c, a["x"], [], {}, a.node)


for _count in (cuda.is_available, cuda.device_count):

    @handles(_count)
    def _gpus(
        c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST, _count: Any = _count
    ) -> FrontValue:
        return Static(_count())


@define("is_tensor", "x")
def _is_tensor(c: Calls, a: Arguments) -> FrontValue:
    x = a["x"]
    return Static(c.ctx.tensors and (isinstance(x, ArrayView) or (isinstance(x, Number) and not x.weak)))


@define("get_default_dtype", "")
def _get_default_dtype(c: Calls, a: Arguments) -> FrontValue:
    return Static(float32)


@define("set_default_dtype", "d")
def _set_default_dtype(c: Calls, a: Arguments) -> FrontValue:
    try:
        set_default_dtype(a.static("d"))
    except ValueError as error:
        c.arith.mismatch(error, a.node)
    return Static(None)


@define("is_nonzero", "x")
def _is_nonzero(c: Calls, a: Arguments) -> FrontValue:
    return c.call_object(bool, [a["x"]], {}, a.node)


@define("numel", "x")
def _numel_function(c: Calls, a: Arguments) -> FrontValue:
    return c.ctx.size_number(total_size(c, a.array()))


@method("numel nelement")
def _numel(c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    return c.ctx.size_number(total_size(c, as_array(c, x, node)))


@method("size")
def _size(c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    """The shape, or the size of one axis; what arrays have under that name is a number."""
    if not c.ctx.tensors:
        return c.arith.mismatch(TypeError("'int' object is not callable"), node)
    a = Arguments(c, "size", "x dim=None", [x, *args], kwargs, node)
    lengths = x.lengths if isinstance(x, ArrayView) else ()
    return _numbers(c, lengths) if a.is_none("dim") else c.ctx.size_number(lengths[a.axis(len(lengths), "dim")])


@method("is_same_size")
def _is_same_size(
    c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    a = Arguments(c, "is_same_size", "x y", [x, *args], kwargs, node)
    sizes = (_numbers(c, a.array(name).lengths) for name in ("x", "y"))
    return c.expressions.compare_one(ast.Eq(), next(sizes), next(sizes), node)


@method("dim ndimension")
def _dim(c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    return Static(x.rank if isinstance(x, ArrayView) else 0)


@method("stride")
def _stride(
    c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    a = Arguments(c, "stride", "x dim=None", [x, *args], kwargs, node)
    found = steps(c, a.array(), node)
    return c.ctx.size_number(found[a.axis(len(found), "dim")]) if not a.is_none("dim") else _numbers(c, found)


def _numbers(c: Calls, sizes: tuple[Size, ...]) -> TupleValue:
    return TupleValue(tuple(c.ctx.size_number(s) for s in sizes))


@method("is_contiguous")
def _is_contiguous(
    c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    return is_contiguous(c, x, node)


def requires_grad(c: Calls, x: ArrayView | Number, node: ast.AST) -> FrontValue:
    """Whether a derivative of x leads to an argument that asks for one."""
    content = c.ctx.load(x) if isinstance(x, ArrayView) else x.value
    return as_truth(asks(c, x, content))
