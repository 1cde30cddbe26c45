"""Calls of elementwise ops: `np.add(x, y)`, with NumPy's `out=`, `where=` and `dtype=`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from tracejit.eager.elementwise import operands_by_name
from tracejit.frontend.arith import is_python_number, python_kind
from tracejit.frontend.tensors.write_checks import require_output, written_into
from tracejit.frontend.values import (
    ArrayView,
    FrontValue,
    ListValue,
    Number,
    Static,
    TupleValue,
    type_name,
)
from tracejit.ir.opdef import REGISTRY
from tracejit.ir.types import BOOL, DType

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls
    from tracejit.frontend.context import Context

#: Keywords of ufuncs that do not change what an in-range call computes, with the values for which that holds.
_NEUTRAL: dict[str, tuple[Any, ...]] = {"order": ("K", "C"), "subok": (True, False)}


def elementwise(
    calls: Calls,
    op: str,
    args: list[FrontValue],
    kwargs: dict[str, FrontValue],
    node: ast.AST,
    numpys: bool = False,
) -> FrontValue:
    """An elementwise op; with `out` (which NumPy's functions take by position too) its result is written there, with
    `where` only where that holds."""
    out = kwargs.pop("out", None)
    where = kwargs.pop("where", None)
    dtype = kwargs.pop("dtype", None)
    casting = kwargs.pop("casting", Static("same_kind"))
    rule = calls.static(casting, node, "'casting'")
    if rule not in ("same_kind", "unsafe"):
        calls.ctx.refuse(node, f"casting={rule!r} is outside the language", "leave it out")
    for name, values in _NEUTRAL.items():
        if name in kwargs and calls.static(kwargs[name], node, f"{name!r}") in values:
            del kwargs[name]
    defn = REGISTRY[op]
    factor = kwargs.pop(defn.factor, None)
    arity = len(defn.signature)
    if numpys and len(args) == arity + 1 and out is None:
        out = args.pop()
    try:
        args = [*args, *operands_by_name(defn.signature[len(args) :], kwargs, op)]
    except TypeError:
        calls.ctx.refuse(node, f"{op}() has no keyword {next(iter(kwargs))!r} in a script", "leave it out")
    if len(args) != arity:
        names = ", ".join(defn.signature)
        calls.arith.mismatch(TypeError(f"{op}() takes {arity} operands ({names}), got {len(args)}"), node)
    if factor is not None:
        args[-1] = calls.expressions.binary("mul", args[-1], factor, node)
    operands = [calls.as_operand(calls.operand_array(a, node)) for a in args]
    if isinstance(out, TupleValue) and len(out.items) == 1:
        out = out.items[0]
    with written_into(out, calls):
        if dtype is not None and not (isinstance(dtype, Static) and dtype.value is None):
            wanted = calls.ctx.dtype_of_object(calls.static(dtype, node, "'dtype'"), node)
            made = _in_dtype(calls, op, operands, wanted, rule, node)
        else:
            made = calls.arith.typed(op, node, *operands)
    if out is None or (isinstance(out, Static) and out.value is None):
        if where is not None and not (isinstance(where, Static) and where.value is True):
            calls.ctx.refuse(node, "'where' without 'out' leaves elements undefined", "pass out=np.zeros_like(x)")
        return calls.arith.scalar_of_rank_0(made)
    if not isinstance(out, ArrayView):
        calls.arith.mismatch(TypeError("return arrays must be of ArrayType"), node)
    if rule != "unsafe":
        require_same_kind(calls, op, made, out, node)
    if where is not None:
        made = calls.arith.typed("select", node, calls.operand_array(where, node), made, out)
    require_output(calls, made, out, node)
    calls.indexing.assign(out, made, node)
    return out


def beside_array(calls: Calls, x: FrontValue, other: FrontValue, node: ast.AST) -> FrontValue:
    """An operand: a sequence is an array where the other operand is NumPy's, a list of Python numbers where it is a
    Tensor."""
    is_array = isinstance(other, ArrayView) or (calls.arith.is_number(other) and not is_python_number(other))
    if not is_array or (calls.ctx.tensors and type_name(x) != "list"):
        return x
    if calls.ctx.tensors and not _is_of_python_numbers(x):
        calls.ctx.refuse(node, "a list beside a Tensor is one of Python numbers", "make a Tensor of it")
    return calls.operand_array(x, node)


def _is_of_python_numbers(x: FrontValue) -> bool:
    if isinstance(x, Static) and isinstance(x.value, list):
        return all(_is_of_python_numbers(Static(item)) for item in x.value)
    return all(map(_is_of_python_numbers, x.items)) if isinstance(x, ListValue) else is_python_number(x)


def is_square_of_truths(ctx: Context, x: FrontValue, y: FrontValue, node: ast.AST) -> bool:
    """Whether `x ** y` squares truth values: for the int 2 NumPy gives int8, for other ints powers in int64."""
    if not (isinstance(x, ArrayView) and x.dtype == BOOL and is_python_number(y) and python_kind(y) == "i"):
        return False
    if not isinstance(y, Static):
        ctx.refuse(node, "the dtype of a power of truth values depends on the exponent", "np.power(x, n)")
    return y.value == 2


def _in_dtype(calls: Calls, op: str, operands: list[FrontValue], wanted: DType, rule: str, node: ast.AST) -> FrontValue:
    """An op computed in the dtype that is asked for; TypeError where NumPy has no loop for it."""
    if wanted == BOOL:
        made = calls.arith.typed(op, node, *operands)
        if _dtype_of(made) == BOOL:  # a comparison
            return made
    if rule != "unsafe":
        for x in operands:
            if not (isinstance(x, Number) and x.weak):
                require_cast(calls, f"Cannot cast ufunc {op!r} input", x, wanted, node)
    made = calls.arith.typed(op, node, *[_converted(calls, x, wanted) for x in operands])
    if _dtype_of(made) != wanted:
        text = f"No loop matching the specified signature and casting was found for ufunc {op}"
        calls.arith.mismatch(TypeError(text), node)
    return made


def _dtype_of(x: FrontValue) -> DType | None:
    return x.dtype if isinstance(x, ArrayView | Number) else None


#: Kinds of dtype in the order in which NumPy's rule `same_kind` lets a result be stored.
_KINDS = "buifc"


def require_same_kind(calls: Calls, op: str, made: FrontValue, target: ArrayView, node: ast.AST) -> None:
    """NumPy's `same_kind` rule for a result that is written into an array: TypeError otherwise."""
    require_cast(calls, f"Cannot cast ufunc {op!r} output", made, target.dtype, node)


def require_cast(calls: Calls, what: str, made: FrontValue, target: DType, node: ast.AST) -> None:
    """NumPy's `same_kind` rule for a conversion: TypeError otherwise."""
    dtype = _dtype_of(made)
    if dtype is None or _KINDS.index(dtype.kind) <= _KINDS.index(target.kind):
        return
    text = f"{what} from dtype('{dtype.numpy_name}') to dtype('{target.numpy_name}') with casting rule 'same_kind'"
    calls.arith.mismatch(TypeError(text), node)


def _converted(calls: Calls, x: FrontValue, dtype: DType) -> FrontValue:
    if isinstance(x, ArrayView):
        return (
            x
            if x.dtype == dtype
            else calls.ctx.fresh(calls.ctx.b.emit("cast", (calls.ctx.load(x),), {"dtype": dtype})[0])
        )
    return Number(calls.arith.scalar(x, dtype), weak=False)
