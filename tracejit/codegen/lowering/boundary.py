"""Where the entry meets its caller: parameters become places, results are handed over, `inout` parameters come home.

The final version of an `inout` parameter is nearly always in the parameter's own memory already. Where it is not
(new storage, or the memory of another parameter after a swap), it is copied there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tracejit.codegen.loop_ir import (
    Alloc,
    Call,
    Const,
    Expr,
    Free,
    If,
    Input,
    InputSpec,
    Let,
    Output,
    Pointer,
    Stmt,
    Var,
)
from tracejit.codegen.lowering.complex import Complex
from tracejit.codegen.lowering.elements import ZERO, Array, Element, c_strides, load, stores
from tracejit.ir.core import Value
from tracejit.ir.types import BOOL, I64, DType, ListType, Order, ScalarType, TensorType, real_dtype

if TYPE_CHECKING:
    from tracejit.codegen.lowering.entry import Lowering


def bind(lowering: Lowering, index: int, param: Value) -> InputSpec:
    """Bind one parameter."""
    inout = index in lowering.graph.inout
    if isinstance(param.type, ScalarType):
        lowering.env[param] = _scalar_input(lowering, index, param.type.dtype, param.name)
        return InputSpec(param.name, param.type, "C", inout)
    assert isinstance(param.type, TensorType), "a list cannot be a parameter"
    data = lowering.pointer(param.type, param.name)
    lowering.emit(Let(data, Input("data", index, data.type)))
    for axis, dim in enumerate(param.type.shape):
        if isinstance(dim, str) and dim not in lowering.sizes:
            lowering.sizes[dim] = lowering.let(Input("dim", index, I64, axis), dim)
    array = Array(data, param.type, lowering.shape(param.type))
    order = lowering.layouts[index] if lowering.layouts else "C"
    if order != "C" and param.type.rank:
        array = _strided_input(lowering, index, param, array, order)
    lowering.env[param] = array
    return InputSpec(param.name, param.type, order, inout)


def _scalar_input(lowering: Lowering, index: int, dtype: DType, name: str) -> Element:
    if not dtype.is_complex:
        return lowering.let(Input("scalar", index, dtype), name)
    data = Var(name, Pointer(real_dtype(dtype)))
    lowering.emit(Let(data, Input("data", index, data.type)))
    return lowering.k.let(load(data, ZERO, dtype, lowering.k), name)


def _strided_input(lowering: Lowering, index: int, param: Value, array: Array, order: Order) -> Array:
    """A parameter in another order than C: read through its strides, or copied where it is changed or must be dense."""
    if order == "F":
        steps = tuple(reversed(c_strides(lowering.k, array.shape[::-1])))
    else:
        axes = range(len(array.shape))
        steps = tuple(lowering.let(Input("stride", index, I64, axis), f"{param.name}_stride") for axis in axes)
    given = Array(array.buffer, array.type, array.shape, steps)
    if index not in lowering.graph.inout and param not in lowering.uses.dense:
        return given
    dense = lowering.copy(given, param.name)
    if index in lowering.graph.inout:
        lowering.caller[index] = given
    else:
        lowering.temporaries.append(dense)
    return dense


def hand_over(lowering: Lowering, index: int, value: Value) -> None:
    """Hand a result to the caller."""
    place = lowering.place(value)
    if isinstance(place, Array):
        lowering.emit(Output(index, place.buffer, place.shape))
    elif isinstance(place, Complex):
        pair = Var(value.name, Pointer(place.re.type))  # type: ignore[arg-type]
        lowering.emit(Alloc(pair, Const(2, I64)), *stores(pair, ZERO, place, lowering.k), Output(index, pair))
    else:
        lowering.emit(Output(index, place))


def write_back(lowering: Lowering, finals: Sequence[Value]) -> None:
    """Bring the final versions of `inout` parameters home, where they are not there already."""
    arrays = [(i, f) for i, f in zip(lowering.graph.inout, finals, strict=True) if not isinstance(f.type, ListType)]
    homes = [lowering.array(lowering.graph.params[i]) for i, _ in arrays]
    states = [(i, lowering.array(f), lowering.lifetimes.origins(f)) for i, f in arrays]
    parked = [_parked(lowering, i, place, origins) for i, place, origins in states]
    for (i, _, origins), place, home in zip(states, parked, homes, strict=True):
        if origins == {None}:
            lowering.copy_into(home, place)
            lowering.emit(Free(place.buffer))
        elif origins != {i}:
            _bring_home(lowering, place, home, [h.buffer for h in homes])
    lowering.emit(*written_back(lowering))
    lowering.emit(*(Free(lowering.array(lowering.graph.params[i]).buffer) for i in lowering.caller))


def written_back(lowering: Lowering) -> tuple[Stmt, ...]:
    """Statements that bring changed parameters of other layouts than C order from their dense copies to the caller:
    at the end, and before an error, for what was written stays written."""
    if lowering.going_home is None:

        def copy_all() -> None:
            for index, given in lowering.caller.items():
                dense = lowering.array(lowering.graph.params[index])
                if lowering.layouts[index] == "F":  # written along its lines
                    given, dense = (_turned(lowering, x) for x in (given, dense))
                lowering.copy_into(given, dense)

        _, lowering.going_home = lowering.inside(copy_all)
    return lowering.going_home


def _turned(lowering: Lowering, array: Array) -> Array:
    """The array with its axes in reverse."""
    type = TensorType(array.type.dtype, array.type.shape[::-1])
    return Array(array.buffer, type, array.shape[::-1], array.steps(lowering.k)[::-1], array.offset)


def back_home(lowering: Lowering, carried: Sequence[Value], results: Sequence[Value]) -> None:
    """Bring parameters home that moved to other storage in a loop: results of it that were `carried`."""
    for param, result in zip(carried, results, strict=True):
        if param in lowering.moved:
            place = lowering.array(result)
            (index,) = lowering.lifetimes.origins(param)
            assert index is not None
            home = lowering.array(lowering.graph.params[index])
            _bring_home(lowering, place, home, [home.buffer])
            lowering.env[result] = Array(home.buffer, place.type, place.shape)


def _parked(lowering: Lowering, index: int, place: Array, origins: frozenset[int | None]) -> Array:
    """A final version that may be in the memory of another parameter is copied away first."""
    others = [lowering.array(lowering.graph.params[j]).buffer for j in origins if j is not None and j != index]
    if not others:
        return place
    moved = lowering.pointer(place.type, "parked")
    same: Expr = Const(False, BOOL)
    for other in others:
        equal = Var("same", BOOL)
        lowering.emit(Call("same_pointer", (place.buffer, other), (equal,)))
        same = lowering.k.logical_or(same, equal)
    made, then = lowering.inside(lambda: lowering.copy(place, "parked").buffer)
    lowering.emit(If(same, then, (), (moved,), (made,), (place.buffer,)))
    return Array(moved, place.type, place.shape)


def _bring_home(lowering: Lowering, place: Array, home: Array, kept: Sequence[Var]) -> None:
    same = Var("same", BOOL)
    lowering.emit(Call("same_pointer", (place.buffer, home.buffer), (same,)))
    _, then = lowering.inside(lambda: lowering.copy_into(home, place))
    lowering.emit(If(lowering.k.logical_not(same), then))
    lowering.free_unless(place.buffer, kept)
