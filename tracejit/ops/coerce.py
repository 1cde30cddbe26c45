"""Promotion and broadcasting: what happens to operands before an op sees them.

Generic over every builder (`Builder`, `EagerBuilder`, the recording one of eager tensors). Operands are handles,
arrays, tensors or Python numbers. Python numbers are weak (NEP 50), and so is a handle flagged in `weak`: a Python
number known at run time only. Elementwise ops get operands of one dtype and one shape by explicit `cast` and
`broadcast` ops; the dtypes an op takes are read off its definition.

Sizes known when building are compared there. Of two others, sizes that cannot be 1 are checked once to be equal;
sizes that may be 1 stretch at run time (`broadcast_dim`). A builder may say what it knows: `b.any_size` (named sizes
may be 0 or 1, as in an export) and `b.at_least(value, bound)` (a size is proved to be at least `bound`).
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

from tracejit.errors import DTypeMismatch, OfNumPyOnly, ShapeMismatch
from tracejit.ir.builder import COMPOSITES, Builder, Handle
from tracejit.ir.opdef import REGISTRY, OpDef
from tracejit.ir.types import (
    BOOL,
    C128,
    F16,
    F32,
    F64,
    I8,
    I64,
    U64,
    DType,
    ScalarType,
    dim_text,
    promote,
    promote_weak,
)
from tracejit.ops.define import allowed_dtypes
from tracejit.ops.reduction import highest, lowest
from tracejit.records import record

_ORDER = {
    "eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
}  # fmt: skip
COMPARISONS = frozenset(_ORDER)

#: Python's own dtypes by the kind of number.
_PYTHON = {"b": BOOL, "i": I64, "f": F64, "c": C128}
#: The float dtype in which NumPy computes a function of integers of that many bits.
_FLOAT_FOR = {8: F16, 16: F32, 32: F64, 64: F64}
#: Arithmetic of truth values is logic; the rest of the signed arithmetic refuses them.
_LOGIC = {"add": "logical_or", "mul": "logical_and"}
NO_BOOL = {
    "sub": "numpy boolean subtract, the `-` operator, is not supported, use the bitwise_xor, the `^` operator, or the "
    "logical_xor function instead.",
    "neg": "The numpy boolean negative, the `-` operator, is not supported, use the `~` operator or the logical_not "
    "function instead.",
    "sign": "sign is not defined for truth values",
}
#: Functions that leave integers (and truth values) as they are.
_IDENTITY = {"floor": "biu", "ceil": "biu", "trunc": "biu", "round": "biu", "abs": "bu", "real": "b"}


#: How many run-time values a message shows.
_MAX_PAYLOAD = 8


# -- what an operand is ---------------------------------------------------------------------------------------


def is_number(x: Any) -> bool:
    """Whether x is a Python number (NumPy's f64 scalar, a `float`, is not)."""
    return isinstance(x, bool | int | float | complex) and not hasattr(x, "dtype")


def number_kind(x: Any) -> str:
    """`b i f c` of a Python number."""
    if isinstance(x, bool):
        return "b"
    return "i" if isinstance(x, int) else "f" if isinstance(x, float) else "c"


@record
class Weak:
    """A Python number known at run time only: a host scalar handle that promotes like a literal."""

    x: Any


@record
class _Operand:
    """An operand with what promotion asks of it."""

    x: Any
    dtype: DType
    weak: bool

    @property
    def kind(self) -> str:
        return self.dtype.kind


def _operands(b: Any, xs: Sequence[Any], weak: Sequence[bool]) -> list[_Operand]:
    flags = tuple(weak) or (False,) * len(xs)
    found: list[_Operand] = []
    for x, flag in zip(xs, flags, strict=True):
        if is_number(x):
            found.append(_Operand(x, _PYTHON[number_kind(x)], True))
        elif isinstance(x, Weak):
            found.append(_Operand(x.x, b.dtype(x.x), True))
        else:
            found.append(_Operand(x, b.dtype(x), flag))
    return found


def _common_dtype(operands: Sequence[_Operand]) -> DType:
    """The dtype the operands meet in: typed ones promote as NumPy's, weak ones follow."""
    typed = [o.dtype for o in operands if not o.weak]
    if not typed:
        return max((o.dtype for o in operands), key=lambda d: "biufc".index(d.kind))
    common = typed[0]
    for dtype in typed[1:]:
        common = promote(common, dtype)
    for operand in operands:
        if operand.weak:
            common = promote_weak(operand.kind, common)
    return common


def result_dtype(b: Any, xs: Sequence[Any], weak: Sequence[bool] = ()) -> DType:
    """The NumPy 2 result dtype of these operands."""
    return _common_dtype(_operands(b, xs, weak))


def convert(b: Any, x: Any, dtype: DType, weak: bool = False) -> Any:
    """x as an operand of that dtype. A Python integer that does not fit raises `OverflowError`, as NumPy does; one
    known at run time only is checked."""
    if is_number(x):
        if isinstance(x, int) and not isinstance(x, bool) and dtype.is_integer and not _fits(x, dtype):
            raise OverflowError(f"Python integer {x} out of bounds for {dtype.numpy_name}")
        return b.wrap(b.constant(_as_kind(x, dtype), ScalarType(dtype))) if isinstance(b, Builder) else x
    x = x.x if isinstance(x, Weak) else x
    source = b.dtype(x)
    if source == dtype:
        return x
    if weak and source.is_integer and dtype.is_integer and isinstance(x, Handle):
        low, high = b.ge(x, lowest(dtype)), b.le(x, min(highest(dtype), highest(I64)))
        message = f"Python integer {{0}} out of bounds for {dtype.numpy_name}"
        b.check(b.logical_and(low, high), (x,), kind="OverflowError", message=message)
    return b.cast(x, dtype=dtype)


def _fits(x: int, dtype: DType) -> bool:
    return lowest(dtype) <= x <= highest(dtype)


def _as_kind(x: Any, dtype: DType) -> Any:
    if dtype == BOOL:
        return bool(x)
    if dtype.is_integer:
        return int(x)
    return complex(x) if dtype.is_complex else float(x)


def promote_operands(b: Any, xs: Sequence[Any], weak: Sequence[bool] = ()) -> list[Any]:
    """The operands in their common dtype."""
    operands = _operands(b, xs, weak)
    dtype = _common_dtype(operands)
    return [convert(b, o.x, dtype, o.weak) for o in operands]


# -- broadcasting ---------------------------------------------------------------------------------------------


def shape_of(b: Any, x: Any) -> tuple[Any, ...]:
    """The sizes of an operand: ints, or handles where they are known at run time only; () for numbers."""
    return () if is_number(x) else b.shape(x)


def size_text(size: Any) -> str:
    """A size as an error message shows it."""
    return dim_text(size.value.dim) if isinstance(size, Handle) else str(size)


#: The shape of the array that what is computed now is written into.
OUTPUT: ContextVar[Sequence[Any] | None] = ContextVar("output", default=None)


@record
class Misfit:
    """The error of shapes that do not broadcast: its kind, and its text before the shapes."""

    kind: type[Exception]
    text: str

    def of(self, shapes: Sequence[Sequence[Any]], message: Message) -> str:
        """The text with the shapes, and that of an output."""
        out = OUTPUT.get()
        shown = shapes if out is None or self is not OPERANDS else [*shapes, out]
        return f"{self.text} {' '.join(map(message.shape, shown))}"


OPERANDS = Misfit(ShapeMismatch, "operands could not be broadcast together with shapes")
INDEX_ARRAYS = Misfit(IndexError, "shape mismatch: indexing arrays could not be broadcast together with shapes")


def _is_stretched(b: Any, size: Any) -> bool | None:
    """Whether a size is 1: known, or None."""
    if not isinstance(size, Handle):
        return size == 1
    known = size.value.known
    if isinstance(known, int):
        return known == 1
    if isinstance(known, str) and not getattr(b, "any_size", False):
        return False
    at_least = getattr(b, "at_least", None)
    return False if at_least is not None and at_least(size.value, 2) else None


def broadcast_shapes(
    b: Any, shapes: Sequence[Sequence[Any]], misfit: Misfit = OPERANDS
) -> tuple[tuple[Any, ...], bool]:
    """The shape that shapes broadcast to, and whether no size stretches at run time. Emits the checks it needs."""
    rank = max((len(s) for s in shapes), default=0)
    result: list[Any] = []
    exact = True
    for axis in range(-rank, 0):
        size: Any = 1
        for shape in shapes:
            if len(shape) >= -axis:
                size, fixed = _meet(b, size, shape[axis], shapes, misfit)
                exact = exact and fixed
        result.append(size)
    return tuple(result), exact


def _meet(b: Any, a: Any, c: Any, shapes: Sequence[Sequence[Any]], misfit: Misfit) -> tuple[Any, bool]:
    """The size that two sizes broadcast to, and whether it was decided without a run-time stretch."""
    if b.same_size(a, c):
        return a, True
    one_a, one_c = _is_stretched(b, a), _is_stretched(b, c)
    if one_a or one_c:
        return (c if one_a else a), True
    if one_a is None and one_c is None:
        return b.broadcast_dim(a, c), False
    message = Message()
    text = misfit.of(shapes, message)
    if not isinstance(a, Handle) and not isinstance(c, Handle) and not message.payload:
        raise misfit.kind(text)
    kind = "IndexError" if misfit.kind is IndexError else "ValueError"
    if one_a is None or one_c is None:
        fixed, free = (c, a) if one_a is None else (a, c)
        fits = b.logical_or(b.eq(free, 1), b.eq(free, fixed))
        b.check(fits, message.payload, kind=kind, message=text)
        return fixed, False
    b.check_eq(a, c, message.payload, kind=kind, message=text)
    return (c if isinstance(c, int) else a), True


class Message:
    """Texts with sizes in them: those known at run time only become `{0}`, `{1}` ..., and `payload` fills them in."""

    def __init__(self) -> None:
        self.payload: list[Any] = []

    def size(self, size: Any) -> str:
        """A size."""
        if not isinstance(size, Handle) or len(self.payload) == _MAX_PAYLOAD:
            return size_text(size)
        self.payload.append(size)
        return f"{{{len(self.payload) - 1}}}"

    def shape(self, shape: Sequence[Any]) -> str:
        """A shape as NumPy writes it."""
        return f"({','.join(map(self.size, shape))}{',' if len(shape) == 1 else ''})"


def broadcast_to(b: Any, x: Any, shape: Sequence[Any], exact: bool = False) -> Any:
    """x stretched to a shape that it broadcasts to; x itself where it has that shape."""
    have = b.shape(x)
    same = len(have) == len(shape) and all(b.same_size(h, s) for h, s in zip(have, shape, strict=True))
    if same and (shape or not b.is_scalar(x)):
        return x
    return b.broadcast(x, tuple(shape), exact=True) if exact and have else b.broadcast(x, tuple(shape))


def broadcast_operands(b: Any, xs: Sequence[Any]) -> list[Any]:
    """The operands in one shape. Python numbers (and host scalars among themselves) stay as they are."""
    arrays = [x for x in xs if not is_number(x) and not b.is_scalar(x)]
    if not arrays:
        return list(xs)
    shape, exact = broadcast_shapes(b, [b.shape(x) for x in arrays])
    return [x if is_number(x) else broadcast_to(b, x, shape, exact) for x in xs]


# -- elementwise ops ------------------------------------------------------------------------------------------


def operand_dtype(defn: OpDef, operands: Sequence[_Operand], common: DType) -> DType:
    """The dtype in which an elementwise op computes operands that met in `common`: the nearest one it takes. A float
    function of integers takes the narrowest float that holds each of them."""
    allowed = allowed_dtypes(defn)
    assert allowed is not None
    if common in allowed or allowed == (BOOL,):
        return common if common in allowed else BOOL
    if common == BOOL and defn.name in NO_BOOL:
        raise DTypeMismatch(NO_BOOL[defn.name])
    if common == BOOL and I8 in allowed:
        return I8
    if (common == BOOL or common.is_integer) and F64 in allowed:
        typed = [o.dtype for o in operands if not o.weak]
        weak_decides = all(d == BOOL for d in typed) and common != BOOL
        return F64 if defn.name == "div" or weak_decides else _FLOAT_FOR[max((d.bits for d in typed), default=8)]
    raise DTypeMismatch(f"{defn.name} is not defined for {common.numpy_name}")


def operands_of(b: Any, name: str, *xs: Any) -> list[Any]:
    """The operands in the dtype in which the elementwise op `name` computes them."""
    operands = _operands(b, xs, ())
    dtype = operand_dtype(REGISTRY[name], operands, _common_dtype(operands))
    return [convert(b, o.x, dtype, o.weak) for o in operands]


def elementwise(b: Any, name: str, xs: Sequence[Any], weak: Sequence[bool] = ()) -> Any:
    """An elementwise op on operands of any dtypes and shapes that fit."""
    operands = _operands(b, xs, weak)
    common = _common_dtype(operands)
    if name in COMPARISONS:
        outside = _compare_outside(b, name, operands, common)
        if outside is not None:
            return outside
        common = _comparison_dtype(operands, common)
    if common.kind in _IDENTITY.get(name, ""):
        return convert(b, operands[0].x, common)
    if common == BOOL:
        name = _LOGIC.get(name, name)
    dtype = operand_dtype(REGISTRY[name], operands, common)
    if all(is_number(x) for x in xs) and not isinstance(b, Builder):
        return getattr(b, name)(*(b.full(x, (), dtype) for x in xs))
    converted = [_as_bool(b, o.x) if dtype == BOOL else convert(b, o.x, dtype, o.weak) for o in operands]
    return getattr(b, name)(*broadcast_operands(b, converted))


def _as_bool(b: Any, x: Any) -> Any:
    """Whether each element is not 0."""
    x = x.x if isinstance(x, Weak) else x
    if is_number(x):
        return convert(b, bool(x), BOOL)
    return x if b.dtype(x) == BOOL else b.ne(x, 0)


def _compare_outside(b: Any, name: str, operands: Sequence[_Operand], common: DType) -> Any:
    """A comparison of 64-bit integers with a Python integer that may not be one of them; None for others."""
    weak = [k for k, o in enumerate(operands) if o.weak and o.kind == "i"]
    if not (common.is_integer and common.bits == 64) or len(weak) != 1:
        return None
    at = weak[0]
    given, other = operands[at].x, operands[1 - at].x
    known = is_number(given)
    if (known and _fits(given, common)) or (not known and common != U64):
        return None
    below = not known or given < lowest(common)
    holds = _ORDER[name](*((0, 1) if below == (at == 0) else (1, 0)))
    if known:
        return b.eq(other, other) if holds else b.ne(other, other)
    sides = [b.cast(given, dtype=U64), convert(b, other, U64)]
    inside = apply(b, name, *(sides if at == 0 else sides[::-1]))
    if holds:
        return apply(b, "logical_or", b.lt(given, 0), inside)
    return apply(b, "logical_and", b.ge(given, 0), inside)


def _comparison_dtype(operands: Sequence[_Operand], common: DType) -> DType:
    """Comparisons with a Python integer are exact, also where it does not fit the other's dtype."""
    weak = any(o.weak and o.kind == "i" and not (is_number(o.x) and _fits(o.x, common)) for o in operands)
    return I64 if weak and common.is_integer and common.bits < 64 else common


#: Whether NumPy's `where` takes Python integers modulo those of a dtype; from 2.5 on they must fit, as elsewhere.
_WHERE_WRAPS = np.lib.NumpyVersion(np.__version__) < "2.5.0"


def _wrapped(operand: _Operand, dtype: DType) -> Any:
    """A Python integer modulo the integers of that dtype; others as they are."""
    x = operand.x
    if not (operand.weak and dtype.is_integer and isinstance(x, int)) or _fits(x, dtype):
        return x
    return (x - lowest(dtype)) % (1 << dtype.bits) + lowest(dtype)


def _select(b: Any, xs: Sequence[Any], weak: Sequence[bool]) -> Any:
    """`where(cond, x, y)`: the condition becomes a truth value, the other two promote."""
    cond, *sides = xs
    operands = _operands(b, sides, tuple(weak)[1:])
    common = _common_dtype(operands)
    if _WHERE_WRAPS:
        sides = [convert(b, _wrapped(o, common), common) for o in operands]
    else:
        sides = [convert(b, o.x, common, o.weak) for o in operands]
    if not isinstance(b, Builder) and all(is_number(x) for x in sides):
        dtype = result_dtype(b, sides)
        sides = [b.full(x, (), dtype) for x in sides]
    return b.select(*broadcast_operands(b, [_as_bool(b, cond), *sides]))


def _clamp(b: Any, xs: Sequence[Any], weak: Sequence[bool]) -> Any:
    """Bounds that are None do not limit."""
    x, *bounds = (*xs, None, None)[:3]
    flags = (*weak, False, False)[:3] if weak else (False,) * 3
    given = [(each, flag) for each, flag in zip((x, *bounds), flags, strict=True) if each is not None]
    if len(given) == 1:
        raise OfNumPyOnly("clamp needs a lower bound, an upper bound or both")
    operands = _operands(b, [g[0] for g in given], [g[1] for g in given])
    dtype = operand_dtype(REGISTRY["clamp"], operands, _common_dtype(operands))
    low, high = (
        convert(b, free if bound is None else _inward(b, bound, flag, dtype, name), dtype, flag)
        for bound, flag, free, name in zip(
            bounds, flags[1:], (lowest(dtype), highest(dtype)), ("maximum", "minimum"), strict=True
        )
    )
    return b.clamp(*broadcast_operands(b, [convert(b, x, dtype, flags[0]), low, high]))


def _inward(b: Any, bound: Any, weak: bool, dtype: DType, name: str) -> Any:
    """A bound that is a Python integer, moved to where the dtype ends if it is beyond: it limits nothing there."""
    end, bound = lowest(dtype) if name == "maximum" else highest(dtype), bound.x if isinstance(bound, Weak) else bound
    if not dtype.is_integer or end > highest(I64):
        return bound
    if is_number(bound):
        return (max if name == "maximum" else min)(bound, end) if isinstance(bound, int) else bound
    return getattr(b, name)(bound, end) if weak and b.dtype(bound) == I64 else bound


def _pow(b: Any, xs: Sequence[Any], weak: Sequence[bool]) -> Any:
    """Exponents that are small literals become products and roots, as in NumPy; a negative exponent of an integer is
    a `ValueError`."""
    base, exponent = xs
    if is_number(exponent) and not is_number(base) and b.dtype(base).is_complex:
        whole = _whole_power(exponent)
        if whole is not None and (whole != -1 or b.is_scalar(base)):
            return _product(b, convert(b, base, result_dtype(b, xs, weak)), whole)
    if is_number(exponent) and not is_number(base) and not b.is_scalar(base):
        short = {2: "square", 1: "", 0.5: "sqrt", -1: "reciprocal"}.get(exponent)
        dtype = result_dtype(b, xs, weak)
        if short is not None and (dtype.is_inexact or (dtype.is_integer and exponent in (1, 2))):
            base = convert(b, base, dtype)
            return getattr(b, short)(base) if short else base
    if result_dtype(b, xs, weak).kind == "i":
        _require_exponent(b, exponent)
    return elementwise(b, "pow", xs, weak)


def _whole_power(exponent: complex) -> int | None:
    """An exponent for which NumPy multiplies complex numbers with each other."""
    n = complex(exponent)
    return int(n.real) if n.imag == 0 and n.real.is_integer() and 0 < abs(n.real) < 100 else None


def _product(b: Any, x: Any, n: int) -> Any:
    """x**n of complex numbers by squares, in NumPy's order."""
    if n == 3:
        return b.mul(x, b.mul(x, x))
    made, square, left = None, x, abs(n)
    while left:
        if left % 2:
            made = square if made is None else b.mul(made, square)
        left //= 2
        square = b.mul(square, square) if left else square
    return made if n > 0 else apply(b, "div", 1.0, made)


def _require_exponent(b: Any, exponent: Any) -> None:
    message = "Integers to negative integer powers are not allowed."
    if is_number(exponent):
        if exponent < 0:
            raise ValueError(message)
    elif isinstance(exponent, Handle) and exponent.dtype.kind == "i":
        fits = b.ge(exponent, 0)
        if not b.is_scalar(fits):
            fits = b.fetch(b.all(fits, axes=tuple(range(b.rank(fits)))), ())
        b.check(fits, (), kind="ValueError", message=message)


#: Ops whose operands are not simply promoted and broadcast.
SPECIAL = {"select": _select, "clamp": _clamp, "pow": _pow}


def apply(b: Any, name: str, *operands: Any, weak: Sequence[bool] = (), **attrs: Any) -> Any:
    """The op or composite `name` on operands that have not been promoted or broadcast. `weak[i]` says that operand i is
    a Python number known at run time only; Python numbers among the operands are weak without it."""
    if name in SPECIAL:
        flags = weak or (False,) * len(operands)
        weak = tuple(flag or isinstance(x, Weak) for x, flag in zip(operands, flags, strict=True))
        return SPECIAL[name](b, [x.x if isinstance(x, Weak) else x for x in operands], weak)
    name = "matmul_any" if name == "matmul" else name
    if name == "cast" and is_number(operands[0]):
        return convert(b, _as_kind(operands[0], attrs["dtype"]), attrs["dtype"])
    if name in COMPOSITES:
        return COMPOSITES[name](b, *operands, **attrs)
    if allowed_dtypes(REGISTRY[name]) is not None:
        return elementwise(b, name, operands, weak)
    return getattr(b, name)(*operands, **attrs)


def binary(b: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """Two operands in one dtype and one shape."""
    first, second = broadcast_operands(b, promote_operands(b, (x, y)))
    return first, second
