"""Helpers that fill the obvious fields of an `OpDef`: registration, type rules, slopes, samples.

An elementwise function is about six lines with them. Nothing here imports an array library: eager rules are
handed one (`xp`), and samples get a `numpy.random.Generator`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tracejit.errors import DTypeMismatch, ShapeMismatch
from tracejit.ir.core import Value
from tracejit.ir.opdef import REGISTRY, Lowering, OpDef, Pointwise, Sample
from tracejit.ir.types import BOOL, I64, DType, ScalarType, TensorType, Type

Samples = Callable[[Any], list[Sample]]


def op(name: str, signature: Sequence[str], **fields: Any) -> OpDef:
    """Register an op; `fields` are those of `OpDef`."""
    return REGISTRY.register(OpDef(name, tuple(signature), **fields))


def spellings(name: str, *more: str, kinds: Sequence[str] = ("function", "method", "numpy")) -> tuple[str, ...]:
    """How Python may call an op: `name` under every kind, and `more` spelt out ("numpy absolute")."""
    return (*(f"{kind} {name}" for kind in kinds), *more)


# -- type rules -----------------------------------------------------------------------------------------------


def names_of(dtypes: Iterable[DType]) -> str:
    """Dtypes as an error message lists them."""
    return ", ".join(d.name for d in dtypes)


def element_type(operand: Value, op_name: str) -> DType:
    """The dtype of a scalar or tensor operand."""
    if not isinstance(operand.type, ScalarType | TensorType):
        raise DTypeMismatch(f"{op_name} takes numbers and arrays, got {operand.type}")
    return operand.type.dtype


def tensor_type(operand: Value, op_name: str) -> TensorType:
    """The type of an operand that must be a tensor."""
    if not isinstance(operand.type, TensorType):
        raise DTypeMismatch(f"{op_name} takes an array, got {operand.type}")
    return operand.type


def require_dtype(operand: Value, allowed: Sequence[DType], op_name: str) -> DType:
    """The operand's dtype, which must be one of `allowed`."""
    dtype = element_type(operand, op_name)
    if dtype not in allowed:
        raise DTypeMismatch(f"{op_name} is not defined for {operand.type}; it takes {names_of(allowed)}")
    return dtype


def require_size(operand: Value, op_name: str) -> Value:
    """An operand that must be an i64 host scalar."""
    if operand.type != ScalarType(I64):
        raise DTypeMismatch(f"{op_name}: sizes and indices are i64 scalars, got {operand.type}")
    return operand


def dims_of(sizes: Sequence[Value], op_name: str) -> tuple[Any, ...]:
    """Size operands as the dims of a type."""
    return tuple(require_size(s, op_name).dim for s in sizes)


def same_shape(op_name: str, operands: Sequence[Value]) -> tuple[Any, ...] | None:
    """The common shape of elementwise operands; None when all are host scalars."""
    first = operands[0]
    for other in operands[1:]:
        kinds_differ = isinstance(first.type, ScalarType) != isinstance(other.type, ScalarType)
        if kinds_differ or first.type.shape != other.type.shape:  # type: ignore[union-attr]
            raise ShapeMismatch(f"{op_name}: operands {first.type} and {other.type} differ in shape")
    return None if isinstance(first.type, ScalarType) else first.type.shape  # type: ignore[union-attr]


def with_shape(dtype: DType, shape: tuple[Any, ...] | None) -> Type:
    """A tensor type, or a host scalar's where `shape` is None."""
    return ScalarType(dtype) if shape is None else TensorType(dtype, shape)


def with_dtype(type: Type, dtype: DType) -> Type:
    """The same scalar or tensor type with another dtype."""
    return ScalarType(dtype) if isinstance(type, ScalarType) else TensorType(dtype, type.shape)  # type: ignore[union-attr]


def elementwise_rule(
    op_name: str, allowed: Sequence[DType], result: Callable[[DType], DType] | None = None
) -> Callable[..., tuple[Type, ...]]:
    """Type rule of an elementwise op: equal shapes, equal dtypes out of `allowed`, result dtype from it."""

    def infer(*operands: Value) -> tuple[Type, ...]:
        dtype = require_dtype(operands[0], allowed, op_name)
        for other in operands[1:]:
            if element_type(other, op_name) != dtype:
                raise DTypeMismatch(f"{op_name}: operands {operands[0].type} and {other.type} differ in dtype")
        return (with_shape(result(dtype) if result else dtype, same_shape(op_name, operands)),)

    infer.__dict__["allowed"] = tuple(allowed)
    return infer


def allowed_dtypes(defn: OpDef) -> tuple[DType, ...] | None:
    """The operand dtypes of an elementwise op; None for ops of other kinds."""
    return defn.infer.__dict__.get("allowed")


# -- eager rules ----------------------------------------------------------------------------------------------


def quiet(fn: Callable[..., Any]) -> Callable[..., Any]:
    """An eager rule without NumPy's floating-point warnings: inf and nan are results here, not accidents."""

    @functools.wraps(fn)
    def run(xp: Any, *operands: Any, **attrs: Any) -> Any:
        if xp.__name__ != "numpy":
            return fn(xp, *operands, **attrs)
        with xp.errstate(all="ignore"):
            return fn(xp, *operands, **attrs)

    return run


def ufunc(name: str) -> Callable[..., Any]:
    """The eager rule that calls an array function by name."""
    return quiet(lambda xp, *operands: getattr(xp, name)(*operands))


def dtype_name(dtype: DType | ScalarType) -> str:
    """The array library's name of a dtype attribute (a scalar type stands for its dtype)."""
    return as_dtype(dtype).numpy_name


def as_dtype(dtype: DType | ScalarType) -> DType:
    """A dtype attribute, which text spells like a scalar type."""
    return dtype.dtype if isinstance(dtype, ScalarType) else dtype


# -- lowering and derivatives of elementwise ops --------------------------------------------------------------


def pointwise(scalar: Callable[..., Any]) -> Pointwise:
    """Lowering from `scalar(k, *elements, **attrs)`, applied at the output's own index."""
    return Pointwise(lambda k, index, *operands, **attrs: scalar(k, *(x(index) for x in operands), **attrs))


def named_scalar(name: str) -> Pointwise:
    """Lowering to the scalar operation of that name."""
    return pointwise(lambda k, *elements: getattr(k, name)(*elements))


def conjugate(b: Any, x: Any) -> Any:
    """The conjugate of x; x itself when it is real."""
    return b.conj(x) if b.dtype(x).is_complex else x


def sloped(*slopes: Callable[..., Any] | None) -> Callable[..., tuple[Any, ...]]:
    """A vjp rule from the partial derivatives `slope(b, *operands, out)`, one per operand; None is slope 0.

    The product is strong: a zero cotangent gives 0 even where the slope is inf or nan, so that the side of a
    `where` that was not taken contributes exactly 0. Complex functions must be holomorphic; their cotangents
    follow PyTorch's convention (the conjugate of the derivative).
    """

    def vjp(b: Any, g: Any, *operands_and_out: Any) -> tuple[Any, ...]:
        return tuple(
            None if slope is None else b.strong_mul(g, conjugate(b, slope(b, *operands_and_out))) for slope in slopes
        )

    return vjp


def flat(*entries: Any) -> Callable[..., tuple[Any, ...]]:
    """The vjp rule of a function whose slope is 0 wherever it has one."""

    def vjp(*_operands: Any, **_attrs: Any) -> tuple[Any, ...]:
        return entries

    vjp.__dict__["flat"] = all(entry is None for entry in entries)
    return vjp


# -- samples --------------------------------------------------------------------------------------------------

SHAPES: tuple[tuple[int, ...], ...] = ((5,), (2, 3), (), (0,), (1, 3))


def draw(rng: Any, low: float, high: float, shape: Sequence[int], dtype: str) -> Any:
    """A random array of that dtype; integers include both ends."""
    if dtype == "bool":
        return rng.integers(0, 2, size=shape).astype("bool")
    if "int" in dtype:
        return rng.integers(int(low), int(high) + 1, size=shape).astype(dtype)
    if "complex" in dtype:
        return (rng.uniform(low, high, size=shape) + 1j * rng.uniform(low, high, size=shape)).astype(dtype)
    return rng.uniform(low, high, size=shape).astype(dtype)


def uniform(
    *ranges: tuple[float, float],
    dtypes: Sequence[str] = ("float64", "float32"),
    more: Sequence[str] = (),
    **attrs: Any,
) -> Samples:
    """Samples with operand i drawn from `ranges[i]`: every shape in the first dtype, one vector and one host
    scalar in every dtype."""

    def samples(rng: Any) -> list[Sample]:
        def operands(shape: Sequence[int], dtype: str) -> tuple[Any, ...]:
            return tuple(draw(rng, low, high, shape, dtype) for low, high in ranges)

        found = [Sample(operands(shape, dtypes[0]), dict(attrs)) for shape in SHAPES]
        for dtype in (*dtypes, *more):
            found.append(Sample(operands((7,), dtype), dict(attrs)))
            found.append(Sample(tuple(x[0] for x in operands((1,), dtype)), dict(attrs)))
        return found

    return samples


# -- families -------------------------------------------------------------------------------------------------


def unary(
    name: str,
    dtypes: Sequence[DType],
    *,
    slope: Callable[..., Any] | None = None,
    vjp: Callable[..., Any] | str | None = None,
    eager: Callable[..., Any] | None = None,
    scalar: Callable[..., Any] | None = None,
    result: Callable[[DType], DType] | None = None,
    samples: Samples,
    names: tuple[str, ...] | None = None,
    **fields: Any,
) -> OpDef:
    """Register an elementwise op of one operand. By default NumPy's function and the scalar op of that name."""
    return _elementwise(name, ("x",), dtypes, (slope,), vjp, eager, scalar, result, samples, names, fields)


def binary(
    name: str,
    dtypes: Sequence[DType],
    *,
    slopes: tuple[Callable[..., Any] | None, Callable[..., Any] | None] = (None, None),
    vjp: Callable[..., Any] | str | None = None,
    eager: Callable[..., Any] | None = None,
    scalar: Callable[..., Any] | None = None,
    result: Callable[[DType], DType] | None = None,
    samples: Samples,
    names: tuple[str, ...] | None = None,
    **fields: Any,
) -> OpDef:
    """Register an elementwise op of two operands of one shape and dtype."""
    return _elementwise(name, ("x", "y"), dtypes, slopes, vjp, eager, scalar, result, samples, names, fields)


def _elementwise(
    name: str,
    signature: tuple[str, ...],
    dtypes: Sequence[DType],
    slopes: tuple[Callable[..., Any] | None, ...],
    vjp: Callable[..., Any] | str | None,
    eager: Callable[..., Any] | None,
    scalar: Callable[..., Any] | None,
    result: Callable[[DType], DType] | None,
    samples: Samples,
    names: tuple[str, ...] | None,
    fields: dict[str, Any],
) -> OpDef:
    lower: Lowering = pointwise(scalar) if scalar else named_scalar(name)
    return op(
        name,
        signature,
        infer=elementwise_rule(name, dtypes, result),
        eager=quiet(eager) if eager else ufunc(name),
        vjp=vjp or sloped(*slopes),
        lower=lower,
        samples=samples,
        names=spellings(name) if names is None else names,
        **fields,
    )


def to_bool(_dtype: DType) -> DType:
    """The result dtype of comparisons and tests."""
    return BOOL
