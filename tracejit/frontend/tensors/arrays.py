"""Functions, methods and attributes of arrays, under their NumPy and PyTorch names.

Elementwise functions come from the op registry; the tables here are about functions that take axes, shapes, lists
or modes. A function that NumPy defines as a view of its argument gives a view here too.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tracejit.eager.tensor import Tensor, no_attribute
from tracejit.frontend.control.dependence import require_known
from tracejit.frontend.derivatives.made_leaves import as_asked
from tracejit.frontend.functions.arguments import SPELLINGS, Arguments, normal_axis
from tracejit.frontend.functions.builtin_arguments import require_arguments
from tracejit.frontend.functions.library import library_call, library_function
from tracejit.frontend.functions.mathcalls import math_call
from tracejit.frontend.functions.names import elementwise_names
from tracejit.frontend.sizes import key
from tracejit.frontend.syntax.source import function_source
from tracejit.frontend.tensors import elements
from tracejit.frontend.tensors.array_parts import viewed_as
from tracejit.frontend.tensors.elementwise import elementwise, require_same_kind
from tracejit.frontend.tensors.memory_order import (
    axes_in_memory,
    axes_to_read,
    by_columns,
    copied,
    in_order,
    noted,
    ordered,
)
from tracejit.frontend.tensors.memory_size import require_bytes
from tracejit.frontend.tensors.reshaping import in_a_line, reshaped
from tracejit.frontend.tensors.slices import permuted, require_view
from tracejit.frontend.values import ArrayView, FrontValue, Number, Size, Static, TupleValue, describe, type_name
from tracejit.frontend.written import method_replacement, number_method
from tracejit.ir.types import BOOL, C128, F64, I64

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

#: name -> (signature, handler); `function` binds the arguments and calls the handler.
FUNCTIONS: dict[str, tuple[str, Callable[[Calls, Arguments], FrontValue]]] = {}

#: Names among `FUNCTIONS` that mean PyTorch's function; NumPy's of that name is another one.
PYTORCH: set[str] = set()


def define(
    names: str, signature: str
) -> Callable[[Callable[[Calls, Arguments], FrontValue]], Callable[[Calls, Arguments], FrontValue]]:
    """Register a handler under one or more names."""

    def register(handler: Callable[[Calls, Arguments], FrontValue]) -> Callable[[Calls, Arguments], FrontValue]:
        for name in names.split():
            FUNCTIONS[name] = (signature, handler)
        return handler

    return register


def function(
    calls: Calls,
    name: str,
    args: list[FrontValue],
    kwargs: dict[str, FrontValue],
    node: ast.AST,
    numpys: bool = False,
) -> FrontValue:
    """A library function by its resolved name; `numpys` says that it is called as NumPy's."""
    calls.ctx.at(node)
    if name.startswith("math."):
        return math_call(calls, name[5:], args, kwargs, node)
    if name in FUNCTIONS:
        signature, handler = FUNCTIONS[name]
        a = Arguments(calls, name, signature, elements.viewed(calls.ctx, name, args), kwargs, node, numpys)
        return as_asked(a, elements.note_view(calls.ctx, name, args, handler(calls, a)))
    library = library_function(name)
    if library is not None:
        return library_call(calls, library, args, kwargs, node)
    ops = elementwise_names()
    if name in ops:
        return elementwise(calls, ops[name], args, kwargs, node, numpys)
    calls.ctx.refuse(node, f"the function {name!r} is not available in a script", _OUTSIDE)


#: Methods of NumPy's scalars that arrays have not.
_OF_SCALARS = ("bit_count", "is_integer")
_OUTSIDE = "write it with available functions, or call it outside the script"


def is_available(name: str) -> bool:
    """Whether `function` knows a name."""
    found = name.startswith("math.") or name in FUNCTIONS or library_function(name) is not None
    return found or name in elementwise_names()


def require_method(calls: Calls, base: ArrayView | Number, name: str, node: ast.AST) -> None:
    """Refuse what arrays have but scripts do not; what they do not have is an AttributeError at its line."""
    python = {"b": bool, "i": int, "f": float, "c": complex}
    is_python = isinstance(base, Number) and base.weak
    kinds = (python.get(base.dtype.kind, int),) if is_python else (Tensor, np.ndarray)
    if isinstance(base, Number) and not is_python and name in _OF_SCALARS:
        kinds = (getattr(np, base.dtype.numpy_name),)
    if not any(hasattr(kind, name) for kind in kinds) and not calls.ctx.frame.source.is_library:
        shown = "Tensor" if calls.ctx.tensors and not is_python else type_name(base)
        calls.ctx.check_false("AttributeError", no_attribute(shown, name))
    in_place_name = name.endswith("_") and not name.startswith("_")
    if name in METHODS or in_place_name or is_available(name) or written_method(calls, base, name) is not None:
        return
    instead = "leave it out: NumPy's functions take tensors in scripts" if name == "numpy" else _OUTSIDE
    calls.ctx.refuse(node, f"the attribute {name!r} of {describe(base)} is not available in a script", instead)


def method(
    calls: Calls, receiver: FrontValue, name: str, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    """`receiver.name(...)` of an array or a NumPy scalar."""
    calls.ctx.at(node)
    owner = Tensor if calls.ctx.tensors else np.ndarray
    if isinstance(receiver, ArrayView) and hasattr(owner, name):
        spellings = SPELLINGS if owner is Tensor else {}
        require_arguments(calls, getattr(owner, name), args, kwargs, node, receiver, spellings)
    own = written_method(calls, receiver, name)
    if own is not None:
        return calls.inline(function_source(own), [receiver, *args], kwargs, node, None)
    if name in METHODS:
        return METHODS[name](calls, receiver, args, kwargs, node)
    if name.endswith("_") and not name.startswith("_"):
        return in_place(calls, receiver, name, args, kwargs, node)
    if is_available(name):
        made = function(calls, name, [receiver, *args], kwargs, node)
        is_python = isinstance(receiver, Number) and receiver.weak and hasattr(complex, name)
        return Number(made.value, weak=True) if is_python and isinstance(made, Number) else made
    calls.ctx.refuse(node, f"the method {name!r} is not available in a script", _OUTSIDE)


def written_method(calls: Calls, receiver: FrontValue, name: str) -> Callable[..., Any] | None:
    """The definition of a method that Python numbers, or arrays but not Tensors, have."""
    is_number = isinstance(receiver, Number) and (receiver.weak or name in _OF_SCALARS)
    if is_number and (found := number_method(name)) is not None:
        return found
    return None if calls.ctx.tensors else method_replacement(name)


def in_place(
    calls: Calls, receiver: FrontValue, name: str, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    """`x.add_(y)` and its like: the function's result written into `x`."""
    receiver = elements.target(calls.ctx, receiver)
    if not isinstance(receiver, ArrayView):
        calls.ctx.refuse(node, f"{describe(receiver)} cannot be changed in place", "bind the name to the new value")
    if name in ("zero_", "fill_", "copy_"):
        made = Static(0) if name == "zero_" else [*args, *kwargs.values()][0]
    else:
        made = function(calls, name[:-1], [receiver, *args], kwargs, node)
        require_same_kind(calls, name[:-1], made, receiver, node)
    calls.indexing.assign(receiver, made, node)
    return receiver


# -- views ----------------------------------------------------------------------------------------------------


@define("reshape", "x *sizes shape=None order='C' copy=None")
def _reshape(c: Calls, a: Arguments) -> FrontValue:
    x = a.array()
    if a.rest and isinstance(a.rest[-1], Static) and isinstance(a.rest[-1].value, str):
        a.values["order"] = a.rest.pop()
    if not a.rest and not a.is_none("shape"):
        a.rest = [a["shape"]]
    sizes = a.sizes(a.rest[0]) if len(a.rest) == 1 else [c.ctx.as_size(s, a.node) for s in a.rest]
    if a.static("order") == "F":
        made = by_columns(reshaped(c, by_columns(x), sizes[::-1], a.node))
    else:
        made = reshaped(c, x, sizes, a.node)
    if a.static("copy"):
        return copied(c, made, axes_in_memory(a, made.rank))
    if a.static("copy") is False and made.storage != x.storage:
        c.ctx.refuse(a.node, "whether this needs a copy is not known when the function is compiled", "copy=None")
    return made


@define("view", "x *sizes dtype=None size=None")
def _view(c: Calls, a: Arguments) -> FrontValue:
    """Another shape of a Tensor; an array, or a NumPy scalar, as another dtype."""
    of = a["x"]
    for name in ("dtype", "size"):
        if not a.rest and not a.is_none(name):
            a.rest = [a[name]]
    match a.rest:
        case [] | [Static(None)]:
            return dataclasses.replace(a.array()) if isinstance(of, ArrayView) else of
        case [Static(type() | np.dtype() | str() as kind)]:
            return viewed_as(c, of, kind, a.node)
        case _:
            pass
    x = a.array()
    made = function(c, "reshape", [x, *a.rest], {}, a.node)
    if isinstance(made, ArrayView) and made.storage != x.storage:
        require_view(c.ctx, made)
    return made


@define("ravel", "x order='C'")
def _ravel(c: Calls, a: Arguments) -> FrontValue:
    x = a.array()
    return in_a_line(c, permuted(x, axes_to_read(a, x)), a.node)


@define("permute permute_dims", "x *order axes=None axis=None")
def _permute(c: Calls, a: Arguments) -> FrontValue:
    x = a.array()
    for name in ("axes", "axis"):
        if not a.rest and name in a.values and not a.is_none(name):
            a.rest = [a[name]]
    order = [c.static(r, a.node, "an axis") for r in a.rest]
    if len(order) == 1 and isinstance(order[0], tuple | list):
        order = list(order[0])
    if not order or order == [None]:
        return permuted(x, tuple(reversed(range(x.rank))))
    axes = [normal_axis(a, k, x.rank) for k in order]
    if sorted(axes) != list(range(x.rank)):
        c.arith.mismatch(ValueError("axes don't match array"), a.node)
    return permuted(x, tuple(axes))


@define("transpose", "x *order axes=None dim0=None dim1=None")
def _transpose(c: Calls, a: Arguments) -> FrontValue:
    """Two separate axes of a Tensor are exchanged (PyTorch), of an array they are an order (NumPy)."""
    a.rest += [a[name] for name in ("dim0", "dim1") if not a.is_none(name)]
    if len(a.rest) == 2 and c.ctx.tensors:
        x = a.array()
        i, j = (normal_axis(a, c.static(r, a.node, "an axis"), x.rank) for r in a.rest)
        return _swapped(x, i, j)
    return _permute(c, a)


def _swapped(x: ArrayView, i: int, j: int) -> ArrayView:
    perm = list(range(x.rank))
    perm[i], perm[j] = perm[j], perm[i]
    return permuted(x, tuple(perm))


@define("swapaxes", "x i j")
def _swapaxes(c: Calls, a: Arguments) -> FrontValue:
    x = a.array()
    return _swapped(x, a.axis(x.rank, "i"), a.axis(x.rank, "j"))


@define("movedim moveaxis", "x source destination")
def _movedim(c: Calls, a: Arguments) -> FrontValue:
    x = a.array()
    sources, targets = (
        [normal_axis(a, k, x.rank) for k in (v if isinstance(v, tuple | list) else (v,))]
        for v in (a.static("source"), a.static("destination"))
    )
    order = [k for k in range(x.rank) if k not in sources]
    for target, source in sorted(zip(targets, sources, strict=True)):
        order.insert(target, source)
    return permuted(x, tuple(order))


@define("expand_dims unsqueeze", "x axis")
def _expand_dims(c: Calls, a: Arguments) -> FrontValue:
    x = a.array()
    axes = a.static("axis")
    rank = x.rank + (len(axes) if isinstance(axes, tuple) else 1)
    new = sorted(normal_axis(a, k, rank) for k in (axes if isinstance(axes, tuple) else (axes,)))
    strides, lengths = list(x.strides), list(x.lengths)
    for k in new:
        strides.insert(k, 0)
        lengths.insert(k, 1)
    via: tuple[Any, ...] = ("reshape",) if x.is_whole else ()
    return x.viewed(x.offset, strides, lengths, via)


_NOT_ONE = "cannot select an axis to squeeze out which has size not equal to one"


@define("squeeze", "x axis=None")
def _squeeze(c: Calls, a: Arguments) -> FrontValue:
    x = a.array()
    wanted = None if a.is_none("axis") else a.axes(x.rank)
    drop = [k for k, n in enumerate(x.lengths) if n == 1 and (wanted is None or k in wanted)]
    for k, n in enumerate(x.lengths):
        if isinstance(n, int) or (wanted is not None and k not in wanted) or c.ctx.sizes.at_least(n, 2):
            continue
        if wanted is None or c.ctx.tensors:  # PyTorch leaves sizes that are not 1 alone
            why = "squeeze needs to know which sizes are 1"
            if require_known(c.ctx, n, a.node, why, "x[:, 0] and the like, or reshape") == 1:
                drop.append(k)
            continue
        is_one = c.ctx.b.emit("eq", (n, c.ctx.size_value(1)))[0]
        c.ctx.check(is_one, "ValueError", _NOT_ONE)
        drop.append(k)
    if wanted is not None and len(drop) != len(wanted) and not c.ctx.tensors:
        c.arith.mismatch(ValueError(_NOT_ONE), a.node)
    keep = [k for k in range(x.rank) if k not in drop]
    if not drop:
        return x
    strides, lengths = (tuple(part[k] for k in keep) for part in (x.strides, x.lengths))
    via: tuple[Any, ...] = ("reshape",) if x.is_whole else ()
    return x.viewed(x.offset, strides, lengths, via)


@define("flip", "x axis=None")
def _flip(c: Calls, a: Arguments) -> FrontValue:
    x = a.array()
    return flipped(c, x, a.axes(x.rank))


def flipped(c: Calls, x: ArrayView, axes: Sequence[int]) -> ArrayView:
    """The view with the order of elements along some axes reversed."""
    offset, strides = x.offset, list(x.strides)
    sizes, b = c.ctx.sizes, c.ctx.b
    for k in axes:
        last = sizes.sub(b, x.lengths[k], 1)
        offset = sizes.add(b, offset, sizes.mul(b, last, strides[k]))
        strides[k] = sizes.mul(b, -1, strides[k])
    return x.viewed(offset, strides, x.lengths)


@define("diag", "x k=0")
def _diag(c: Calls, a: Arguments) -> FrontValue:
    """The diagonal of a matrix as a view, or the matrix with that diagonal."""
    x = a.array()
    if x.rank == 2:
        return function(c, "diagonal", [x, a["k"]], {}, a.node)
    library = library_function("numpy.diag")
    assert library is not None
    return library_call(c, library, [x, a["k"]], {}, a.node)


@define("broadcast_to expand", "x *shape size=None")
def _broadcast_to(c: Calls, a: Arguments) -> FrontValue:
    x = a.array()
    if not a.is_none("size"):
        a.rest = [a["size"]]
    want = a.sizes(a.rest[0]) if len(a.rest) == 1 else [c.ctx.as_size(s, a.node) for s in a.rest]
    have = [*[1] * (len(want) - x.rank), *x.lengths]
    if a.name == "expand":
        want = [c.ctx.sizes.given_or(c.ctx.b, w, h) for h, w in zip(have, want, strict=True)]
    require_bytes(c, want, x.dtype, a.node)
    return dataclasses.replace(broadcast_view(c, x, want, a.node), readonly=True)


def broadcast_view(c: Calls, x: ArrayView, want: Sequence[Size], node: ast.AST) -> ArrayView:
    """The view stretched to other lengths: an axis of size 1 stays where it is (stride 0)."""
    if len(want) < x.rank:
        text = "input operand has more dimensions than allowed by the axis remapping"
        c.arith.mismatch(ValueError(text), node)
    lead = len(want) - x.rank
    c.indexing.check_broadcast(x.lengths, want, node)
    if c.ctx.same_lengths(x.lengths, want):
        return x
    strides: list[Size] = [0] * lead
    for n, m, stride in zip(x.lengths, want[lead:], x.strides, strict=True):
        if key(n) != key(m) and n != 1 and not c.ctx.sizes.at_least(n, 2):
            one = c.ctx.b.emit("eq", (c.ctx.size_value(n), c.ctx.size_value(1)))[0]
            stride = c.ctx.b.emit("select", (one, c.ctx.size_value(0), c.ctx.size_value(stride)))[0]
        strides.append(0 if n == 1 else stride)
    via: tuple[Any, ...] = (
        ()
        if any(n != 1 and key(n) != key(m) for n, m in zip(x.lengths, want[lead:], strict=True))
        else ("broadcast", x)
    )
    return x.viewed(x.offset, strides, want, via)


def converted(c: Calls, x: ArrayView, dtype: Any) -> ArrayView:
    """The array in another dtype."""
    if x.dtype == dtype:
        return x
    return c.ctx.fresh(c.ctx.b.emit("cast", (c.ctx.load(x),), {"dtype": dtype})[0])


# -- methods that are not functions ---------------------------------------------------------------------------------


def _copy(c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    if not isinstance(x, ArrayView):
        return elements.copied(c.ctx, x)
    a = Arguments(c, "copy", "order='C' memory_format=None", args, kwargs, node)
    return copied(c, x, axes_in_memory(a, x.rank, x))


def _astype(
    c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    a = Arguments(c, "astype", "dtype=None order='K' casting='unsafe' subok=True copy=True", args, kwargs, node)
    dtype = c.ctx.dtype_of_object(a.static("dtype"), node)
    if isinstance(x, ArrayView):
        if x.dtype == dtype and not a.static("copy"):
            return ordered(c, a, x)
        return noted(a, copied(c, x, axes_in_memory(a, x.rank, x), dtype), x)
    return Number(c.arith.scalar(x, dtype), weak=False)


def _item(c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    if isinstance(x, ArrayView):
        if args:
            items = list(args[0].items) if isinstance(args[0], TupleValue) else args
            x = c.indexing.read(x, items if len(items) > 1 else c.indexing.places(x, items[0], node), node)
        else:
            require_single(c, x, "ValueError", "can only convert an array of size 1 to a Python scalar")
            x = c.ctx.element(x, (0,) * x.rank)
    assert isinstance(x, Number)
    return python_number(c, x)


def require_single(c: Calls, x: ArrayView, kind: str, message: str) -> None:
    """Raise `kind` unless the array has one element."""
    for n in x.lengths:
        if n != 1:
            one = c.ctx.b.emit("eq", (c.ctx.size_value(n), c.ctx.size_value(1)))[0]
            c.ctx.check(one, kind, message)


def python_number(c: Calls, x: Number) -> Number:
    """A scalar as the Python number of its kind."""
    wide = {"b": BOOL, "i": I64, "u": I64, "f": F64, "c": C128}[x.dtype.kind]
    value = c.ctx.signed(x.value) if x.dtype.is_integer else c.arith.scalar(x, wide)
    return Number(c.gradients.as_python(x, value), weak=True)


def _fill(c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    assert isinstance(x, ArrayView)
    c.indexing.assign(x, args[0], node)
    return Static(None)


def _detach(
    c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    return c.gradients.detach(x)


def _same(c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    return x


def _contiguous(
    c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    return in_order(c, x, tuple(range(x.rank))) if isinstance(x, ArrayView) else x


def _backward(
    c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    return c.gradients.backward_of(x, args, kwargs, node)


def _conj(c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    """The conjugate; a real array, but not a Tensor, is its own, whereas `np.conj` makes a new one."""
    if isinstance(x, ArrayView) and not x.dtype.is_complex and not c.ctx.tensors and not args:
        return x
    made = function(c, "conj", [x, *args], kwargs, node)
    return Number(made.value, x.weak) if isinstance(x, Number) and isinstance(made, Number) else made


def _tolist(
    c: Calls, x: ArrayView | Number, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    """The items as Python's numbers, in lists of lists."""
    from tracejit.frontend.written.sequences import ROWS

    rank = x.rank if isinstance(x, ArrayView) else 0
    if rank == 0:
        return _item(c, x, args, kwargs, node)
    if rank > len(ROWS):
        c.ctx.refuse(node, f"tolist() of {describe(x)} is outside the language", "make lists of its parts")
    return c.call_object(ROWS[rank - 1], [x], {}, node)


def _new(name: str) -> Callable[..., FrontValue]:
    def handler(
        c: Calls, x: ArrayView | Number, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
    ) -> FrontValue:
        given = {k: v for k, v in kwargs.items() if not (isinstance(v, Static) and not v.value)}
        return function(c, name, args, {"dtype": c.attribute(x, "dtype", node), **given}, node)

    return handler


METHODS: dict[str, Callable[..., FrontValue]] = {
    **{f"new_{name}": _new(name) for name in ("zeros", "ones", "empty", "full", "tensor")},
    "tolist": _tolist,
    "conj": _conj,
    "conjugate": _conj,
    "copy": _copy,
    "clone": _copy,
    "astype": _astype,
    "item": _item,
    "fill": _fill,
    "detach": _detach,
    "contiguous": _contiguous,
    "backward": _backward,
    "zero_grad": _same,
}
