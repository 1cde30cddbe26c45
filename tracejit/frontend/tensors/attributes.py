"""Attributes of arrays and NumPy scalars, read and set: `shape`, `T`, `real`, `flat` and their like."""

from __future__ import annotations

import ast
import dataclasses
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from tracejit.devices import Device
from tracejit.frontend.control.optionals import require_value
from tracejit.frontend.derivatives.made_leaves import ask
from tracejit.frontend.functions.arguments import Arguments
from tracejit.frontend.instances.objects import is_users
from tracejit.frontend.tensors import arrays
from tracejit.frontend.tensors.array_flags import steps
from tracejit.frontend.tensors.array_parts import part_of
from tracejit.frontend.tensors.reshaping import reshaped, total_size
from tracejit.frontend.tensors.slices import permuted, restrided
from tracejit.frontend.tensors.tensor_facts import requires_grad
from tracejit.frontend.tensors.tensor_spellings import conjugate_transpose
from tracejit.frontend.values import (
    ArrayView,
    BoundMethod,
    FrontValue,
    Number,
    OptionalValue,
    SharedVariant,
    Size,
    Static,
    TupleValue,
)

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


def of_outer(calls: Calls, base: Static, name: str, node: ast.AST) -> FrontValue | None:
    """An attribute that a function of an outer object's class gives: a descriptor, a `cached_property` that was not yet
    read, `__getattr__`; None for others."""
    cls, statics = type(base.value), calls.statics
    if is_users(calls.objects.find(cls, "__getattribute__")):
        calls.ctx.refuse(node, f"{cls.__name__} makes all its attributes by __getattribute__", "define __getattr__")
    if (made := calls.objects.described(base, cls, name, node)) is not None:
        return made
    member = calls.objects.find(cls, name)
    if isinstance(member, functools.cached_property) and statics.lacks(base.value, name):
        made = calls.call_value(Static(member.func), [base], {}, node)
        statics.set_attribute(base.value, name, made, node)
        return made
    is_made = calls.objects.descriptor(member, "__get__") is not None and statics.lacks(base.value, name)
    return calls.objects.member(base, cls, name, node) if is_made or statics.is_made_up(base.value, name) else None


def attribute(calls: Calls, base: FrontValue, name: str, node: ast.AST) -> FrontValue | None:
    """An attribute of an array or number; None if there is none of that name."""
    ctx = calls.ctx
    if isinstance(base, Number):
        return _number_attribute(calls, base, name, node)
    assert isinstance(base, ArrayView)
    match name:
        case "shape":
            return TupleValue(tuple(ctx.size_number(n) for n in base.lengths))
        case "ndim":
            return Static(base.rank)
        case "size":
            return ctx.size_number(total_size(calls, base))
        case "nbytes":
            return ctx.size_number(ctx.sizes.mul(ctx.b, total_size(calls, base), base.dtype.itemsize))
        case "dtype":
            return Static(np.dtype(base.dtype.numpy_name))
        case "itemsize":
            return Static(base.dtype.itemsize)
        case "strides":
            found = (ctx.sizes.mul(ctx.b, s, base.dtype.itemsize) for s in steps(calls, base, node))
            return TupleValue(tuple(map(ctx.size_number, found)))
        case "flags" if not ctx.tensors:
            return _flags(calls, base, node)
        case "device":
            return Static(Device(ctx.device) if ctx.tensors else ctx.device)
        case "T":
            return permuted(base, tuple(reversed(range(base.rank))))
        case "mT":
            if base.rank < 2:
                calls.arith.mismatch(ValueError("matrix transpose with ndim < 2 is undefined"), node)
            return permuted(base, (*range(base.rank - 2), base.rank - 1, base.rank - 2))
        case "H" | "mH" if ctx.tensors:
            return conjugate_transpose(calls, base, name, node)
        case "real" | "imag":
            return part_of(calls, base, name, node)
        case "flat":
            return _flat(calls, base, node)
        case "grad":
            return calls.gradients.read(base, node)
        case "requires_grad" if ctx.tensors:
            return requires_grad(calls, base, node)
        case "is_cuda" | "is_cpu" if ctx.tensors:
            return Static((ctx.device == "cpu") == (name == "is_cpu"))
        case "data" if ctx.tensors:
            return arrays.method(calls, base, "detach", [], {}, node)
        case _:
            return None


def called(calls: Calls, node: ast.expr) -> FrontValue:
    """What is called: an expression, but for the `size` of a Tensor, which is a number that can be called too, and for
    methods of objects of several classes."""
    if not isinstance(node, ast.Attribute):
        return calls.expressions.value(node)
    base = calls.expressions.value(node.value)
    if isinstance(base, OptionalValue) and isinstance(base.value, SharedVariant):
        base = require_value(calls.ctx, base, "AttributeError", f"'NoneType' object has no attribute '{node.attr}'")
    if isinstance(base, SharedVariant):
        return BoundMethod(base, node.attr)
    if node.attr != "size" or not calls.ctx.tensors:
        return calls.attribute(base, node.attr, node)
    is_array = isinstance(base, ArrayView) or (isinstance(base, Number) and not base.weak)
    return BoundMethod(base, "size") if is_array else calls.attribute(base, "size", node)


def _number_attribute(calls: Calls, base: Number, name: str, node: ast.AST) -> FrontValue | None:
    if name in ("real", "imag"):
        if not base.dtype.is_complex:
            none = Static(0.0 if base.dtype.is_float else 0)
            zero = none if base.weak else Number(calls.arith.scalar(none, base.dtype), weak=False)
            return base if name == "real" else zero
        return Number(calls.ctx.b.emit(name, (base.value,))[0], base.weak)
    if base.weak:
        return None
    if name == "requires_grad" and calls.ctx.tensors:
        return requires_grad(calls, base, node)
    known = {
        "shape": TupleValue(()),
        "ndim": Static(0),
        "size": Static(1),
        "nbytes": Static(base.dtype.itemsize),
        "itemsize": Static(base.dtype.itemsize),
        "dtype": Static(np.dtype(base.dtype.numpy_name)),
        "T": base,
        "strides": TupleValue(()),
    }
    if name == "flags" and not calls.ctx.tensors:
        return _flags(calls, base, node)
    return known.get(name)


def _flags(calls: Calls, base: ArrayView | Number, node: ast.AST) -> FrontValue:
    from tracejit.frontend.written.array_flags import ArrayFlags

    return calls.call_object(ArrayFlags, [base], {}, node)


# -- other shapes of the same memory ----------------------------------------------------------------------------------


def _flat(calls: Calls, base: ArrayView, node: ast.AST) -> FrontValue:
    """`x.flat`: the elements in C order as a vector; one that may not be written where they do not lie evenly."""
    flat = reshaped(calls, base, [-1], node)
    if flat.storage != base.storage:
        calls.ctx.hold(flat, base)
    return flat


@contextmanager
def item_target(calls: Calls, node: ast.expr) -> Iterator[FrontValue]:
    """What an item is stored in. Elements of `x.flat` that do not lie evenly are a copy there, whose content x takes
    afterwards."""
    base = calls.expressions.value(node)
    source = None
    if isinstance(node, ast.Attribute) and node.attr == "flat" and isinstance(node.value, ast.Name | ast.Attribute):
        source = calls.expressions.value(node.value)
    if not (isinstance(base, ArrayView) and isinstance(source, ArrayView)) or source.storage == base.storage:
        yield base
        return
    copied = calls.ctx.fresh(calls.ctx.load(base))
    yield copied
    calls.indexing.assign(source, reshaped(calls, copied, list(source.lengths), node), node)


def set_attribute(calls: Calls, base: ArrayView, name: str, value: FrontValue, node: ast.AST) -> bool:
    """Attributes of arrays that can be set."""
    match name:
        case "grad":
            calls.gradients.write(base, value, node)
        case "requires_grad" if calls.ctx.tensors:
            ask(calls, base, bool(calls.static(value, node, "'requires_grad'")), node)
        case "data" if calls.ctx.tensors:
            if not (isinstance(value, ArrayView) and calls.ctx.storage.alias(base.storage, value.storage) is True):
                reason = "a tensor cannot be given other memory in a script"
                calls.ctx.refuse(node, reason, "x.data.copy_(values) writes into its own")
        case "shape":
            _set_shape(calls, base, value, node)
        case "real" | "imag" if base.dtype.is_complex or name == "real":
            part = part_of(calls, base, name, node)
            assert isinstance(part, ArrayView)
            calls.indexing.assign(part, value, node)
        case "flat":
            flat = reshaped(calls, base, [-1], node)
            held, flat = flat, calls.ctx.fresh(calls.ctx.load(flat)) if flat.storage != base.storage else flat
            calls.indexing.assign(flat, value, node)
            if held is not flat:
                calls.indexing.assign(base, reshaped(calls, flat, list(base.lengths), node), node)
        case _:
            return False
    return True


def _set_shape(calls: Calls, base: ArrayView, value: FrontValue, node: ast.AST) -> None:
    """`x.shape = sizes`: all names of that array have the new shape from here on."""
    ctx = calls.ctx
    classes = {base.storage, *(c for c, _ in ctx.storage.partners(base.storage))}
    if base.is_whole and classes & ctx.arguments:
        ctx.refuse(
            node,
            "the shape of an argument cannot be set in a script",
            "bind a name to the reshaped array: y = x.reshape(sizes)",
        )
    sizes: list[Size] = Arguments(calls, "shape", "x", [base], {}, node).sizes(value)
    made = reshaped(calls, base, sizes, node)
    if made.storage != base.storage or (not base.plain and restrided(ctx, base, made.lengths) is None):
        ctx.refuse(node, "this array does not lie in memory so that it could take that shape", "x = x.reshape(sizes)")
    made = dataclasses.replace(made)
    named = [(f, name) for f in ctx.frames() for name, v in f.env.items() if v is base]
    inner = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    if ctx.level and (len(named) > 1 or not inner):
        ctx.refuse(
            node,
            "an array with several names cannot take another shape inside a branch or loop",
            "bind a name to the reshaped array: y = x.reshape(sizes)",
        )
    for frame, name in named:
        frame.env[name] = made
