"""Small loop programs for the tests of native code, made by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracejit.codegen.loop_ir import (
    Alloc,
    Axis,
    Carried,
    Const,
    Expr,
    For,
    Function,
    Input,
    InputSpec,
    Kernel,
    Launch,
    Let,
    Load,
    Output,
    OutputSpec,
    Pointer,
    Program,
    Stmt,
    Store,
    Var,
)
from tracejit.codegen.numeric import numpy_dtype
from tracejit.codegen.scalars import KernelBuilder
from tracejit.ir.types import I64, DType, ScalarType, TensorType


def size(value: int) -> Const:
    """An i64 literal."""
    return Const(value, I64)


def data(index: int, dtype: DType) -> Input:
    """The data pointer of an input."""
    return Input("data", index, Pointer(dtype))


def dim(index: int, axis: int = 0) -> Input:
    """A size of an input."""
    return Input("dim", index, I64, axis)


def vector_input(dtype: DType, name: str = "x") -> InputSpec:
    """A one-dimensional contiguous input."""
    return InputSpec(name, TensorType(dtype, ("n",)))


def entry_program(
    body: Sequence[Stmt],
    inputs: Sequence[InputSpec] = (),
    outputs: Sequence[DType | tuple[DType, int]] = (),
    kernels: Sequence[Kernel] = (),
    **more: Any,
) -> Program:
    """A program; an output is a host scalar's dtype, or a tensor's dtype and rank."""
    specs = tuple(
        OutputSpec(TensorType(o[0], tuple(f"d{i}" for i in range(o[1]))) if isinstance(o, tuple) else ScalarType(o))
        for o in outputs
    )
    return Program("test", Function("test", tuple(body)), tuple(kernels), tuple(inputs), specs, **more)


def pointwise(
    fn: Callable[..., Expr], dtypes: Sequence[DType], result: DType, *, axis: Axis = "vector", extent: int | None = None
) -> Program:
    """`out[i] = fn(k, x0[i], x1[i], ...)` in one kernel."""
    pointers = [Var(f"x{i}", Pointer(d)) for i, d in enumerate(dtypes)]
    target, count, i = Var("out", Pointer(result)), Var("n", I64), Var("i", I64)
    body: list[Stmt] = []
    k = KernelBuilder(body)
    loaded = [k.let(Load(p, i, d), f"e{n}") for n, (p, d) in enumerate(zip(pointers, dtypes, strict=True))]
    body.append(Store(target, i, fn(k, *loaded)))
    loop = For(i, count if extent is None else size(extent), tuple(body), axis)
    kernel = Kernel("map", (*pointers, target, count), frozenset([target]), (loop,))
    made = Var("made", Pointer(result))
    n: Expr = dim(0)
    entry = (
        Alloc(made, n),
        Launch("map", (*(data(i, d) for i, d in enumerate(dtypes)), made, n)),
        Output(0, made, (n,)),
    )
    inputs = [vector_input(d, f"x{i}") for i, d in enumerate(dtypes)]
    return entry_program(entry, inputs, [(result, 1)], [kernel])


def maps(fns: Sequence[tuple[Callable[..., Expr], Sequence[int], DType]], dtype: DType, inputs: int) -> Program:
    """Many kernels over vectors of one dtype: output n is `fn(k, *the inputs it names)` of the nth entry."""
    specs = [vector_input(dtype, f"x{i}") for i in range(inputs)]
    kernels: list[Kernel] = []
    body: list[Stmt] = []
    for number, (fn, used, result) in enumerate(fns):
        pointers = [Var(f"x{i}", Pointer(dtype)) for i in used]
        target, count, i = Var("out", Pointer(result)), Var("n", I64), Var("i", I64)
        inner: list[Stmt] = []
        k = KernelBuilder(inner)
        loaded = [k.let(Load(p, i, dtype), "e") for p in pointers]
        inner.append(Store(target, i, fn(k, *loaded)))
        loop = For(i, count, tuple(inner), "vector")
        kernels.append(Kernel(f"map{number}", (*pointers, target, count), frozenset([target]), (loop,)))
        made = Var("made", Pointer(result))
        launch = Launch(f"map{number}", (*(data(u, dtype) for u in used), made, dim(0)))
        body += [Alloc(made, dim(0)), launch, Output(number, made, (dim(0),))]
    return entry_program(body, specs, [(result, 1) for _, _, result in fns], kernels)


def fold(combine: str, dtype: DType, identity: Any, *, axis: Axis = "vector") -> Program:
    """All elements of a vector combined into one, stored by a kernel."""
    source, target, count, i = Var("x", Pointer(dtype)), Var("out", Pointer(dtype)), Var("n", I64), Var("i", I64)
    accumulator, element, total = Var("acc", dtype), Var("e", dtype), Var("total", dtype)
    k = KernelBuilder()
    following = k.op(combine, accumulator, element)
    carried = Carried(accumulator, k.const(identity, dtype), following, total, combine, element)
    loop = For(i, count, (Let(element, Load(source, i, dtype)),), axis, (carried,))
    kernel = Kernel("fold", (source, target, count), frozenset([target]), (loop, Store(target, size(0), total)))
    made = Var("made", Pointer(dtype))
    entry = (Alloc(made, size(1)), Launch("fold", (data(0, dtype), made, dim(0))), Output(0, made, ()))
    return entry_program(entry, [vector_input(dtype)], [(dtype, 0)], [kernel])


def values(dtype: DType, count: int, rng: np.random.Generator) -> Any:
    """Test values of a dtype: ordinary ones and the awkward ones."""
    kind = numpy_dtype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, count).astype(kind)
    if dtype.is_integer:
        info = np.iinfo(kind)
        special = [0, 1, 2, 3, info.min, info.max, info.max - 1, *([-1, -2, -7] if dtype.kind == "i" else [])]
        made = rng.integers(info.min, info.max, count, dtype=kind, endpoint=True)
        small = rng.integers(0, 12, count).astype(kind)
        made = np.where(rng.integers(0, 2, count) == 1, made, small).astype(kind)
    else:
        special = [0.0, -0.0, 1.0, -1.0, 0.5, np.inf, -np.inf, np.nan, 1e-30, 3.0]
        made = (rng.normal(size=count) * np.exp(rng.normal(size=count))).astype(kind)
    places = rng.permutation(count)[: len(special)]
    made[places] = np.array(special[: len(places)], kind)
    return made
