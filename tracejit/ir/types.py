"""Types of the tensor IR: dtypes, host scalars, tensors with symbolic sizes, growing lists.

A dim is an `int`, a name bound by a parameter (`"n"`), or an i64 `Value` in scope. Only lists may hold
tensors of unknown dims (`None`, printed `?`), because their elements can differ in size.
Nothing here imports an array library: `DType.numpy_name` is the bridge.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

from tracejit.records import record

if TYPE_CHECKING:
    from tracejit.ir.core import Value

#: How the elements of an array lie in memory: in C order, in Fortran order, or as its strides say.
Order: TypeAlias = Literal["C", "F", "any"]


def rows_first(count: int) -> tuple[Order, ...]:
    """C order for so many arrays."""
    return ("C",) * count


@record(eq=False)
class DType:
    """An element type, of which there is one object each. `kind` is one of `b i u f c`; `bits` is the size of one
    element."""

    name: str
    kind: str
    bits: int
    numpy_name: str

    @property
    def itemsize(self) -> int:
        """Bytes per element; a bool takes one byte."""
        return max(self.bits // 8, 1)

    @property
    def is_float(self) -> bool:
        return self.kind == "f"

    @property
    def is_complex(self) -> bool:
        return self.kind == "c"

    @property
    def is_inexact(self) -> bool:
        return self.kind in "fc"

    @property
    def is_integer(self) -> bool:
        return self.kind in "iu"

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Callable[[str], DType], tuple[str]]:
        return _named, (self.name,)

    def __copy__(self) -> DType:
        return self

    def __deepcopy__(self, memo: object) -> DType:
        return self


def _named(name: str) -> DType:
    return BY_NAME[name]


BOOL = DType("bool", "b", 8, "bool")
I8 = DType("i8", "i", 8, "int8")
I16 = DType("i16", "i", 16, "int16")
I32 = DType("i32", "i", 32, "int32")
I64 = DType("i64", "i", 64, "int64")
U8 = DType("u8", "u", 8, "uint8")
U16 = DType("u16", "u", 16, "uint16")
U32 = DType("u32", "u", 32, "uint32")
U64 = DType("u64", "u", 64, "uint64")
F16 = DType("f16", "f", 16, "float16")
BF16 = DType("bf16", "f", 16, "bfloat16")
F32 = DType("f32", "f", 32, "float32")
F64 = DType("f64", "f", 64, "float64")
C64 = DType("c64", "c", 64, "complex64")
C128 = DType("c128", "c", 128, "complex128")

DTYPES: tuple[DType, ...] = (BOOL, I8, I16, I32, I64, U8, U16, U32, U64, F16, BF16, F32, F64, C64, C128)
BY_NAME: dict[str, DType] = {d.name: d for d in DTYPES}
BY_NUMPY_NAME: dict[str, DType] = {d.numpy_name: d for d in DTYPES}

INTEGERS = tuple(d for d in DTYPES if d.is_integer)
FLOATS = tuple(d for d in DTYPES if d.is_float)
COMPLEXES = (C64, C128)
INEXACT = FLOATS + COMPLEXES
NUMERIC = INTEGERS + INEXACT


def real_dtype(dtype: DType) -> DType:
    """The dtype of the real part: f32 for c64, f64 for c128, itself otherwise."""
    return {C64: F32, C128: F64}.get(dtype, dtype)


def complex_dtype(dtype: DType) -> DType:
    """The complex dtype whose parts can hold `dtype`: c64 for f32 and smaller floats, else c128."""
    if dtype.is_complex:
        return dtype
    return C64 if dtype in (F16, BF16, F32) else C128


Dim: TypeAlias = "int | str | Value"


@record
class ScalarType:
    """A value the host knows: Python numbers, NumPy scalars, sizes, indices, conditions."""

    dtype: DType

    @property
    def shape(self) -> tuple[Dim, ...]:
        return ()

    @property
    def rank(self) -> int:
        return 0

    def __str__(self) -> str:
        return self.dtype.name


@record
class TensorType:
    """An array on the graph's device; `f32[]` is a rank-0 tensor, unlike the host scalar `f32`."""

    dtype: DType
    shape: tuple[Dim | None, ...]

    @property
    def rank(self) -> int:
        return len(self.shape)

    def __str__(self) -> str:
        return f"{self.dtype.name}[{', '.join(dim_text(d) for d in self.shape)}]"


@record
class ListType:
    """A linear growing list. Tensor elements have unknown dims; `list_pop` is told the sizes."""

    element: Type

    def __str__(self) -> str:
        return f"list<{self.element}>"


Type: TypeAlias = ScalarType | TensorType | ListType


def dim_text(dim: Dim | None) -> str:
    """A dim as the text format spells it."""
    if dim is None:
        return "?"
    return f"%{dim.name}" if not isinstance(dim, int | str) else str(dim)


def unsized(type: Type) -> Type:
    """The type with every tensor dim unknown, as an element of a list."""
    match type:
        case TensorType(dtype, shape):
            return TensorType(dtype, (None,) * len(shape))
        case ListType(element):
            return ListType(unsized(element))
        case _:
            return type


def substitute_dims(type: Type, mapping: dict[Value, Dim]) -> Type:
    """The type with dims that are values replaced as `mapping` says."""
    match type:
        case TensorType(dtype, shape):
            return TensorType(
                dtype, tuple(d if d is None or isinstance(d, int | str) else mapping.get(d, d) for d in shape)
            )
        case ListType(element):
            return ListType(substitute_dims(element, mapping))
        case _:
            return type


_UNSIGNED_TO_SIGNED = {8: I16, 16: I32, 32: I64}


def promote(a: DType, b: DType) -> DType:
    """The NumPy 2 result dtype of two typed operands (NEP 50 without its weak scalars).

    bfloat16 follows ml_dtypes: with float16 it gives float32.
    """
    if a == b:
        return a
    if a == BOOL:
        return b
    if b == BOOL:
        return a
    if a.is_complex or b.is_complex:
        wide = promote(real_dtype(a), real_dtype(b))
        return C128 if wide == F64 or (wide.is_integer and wide.bits > 16) else C64
    if a.is_float and b.is_float:
        if a.bits == b.bits:
            return F32
        return a if a.bits > b.bits else b
    if a.is_float or b.is_float:
        real, whole = (a, b) if a.is_float else (b, a)
        needed = {8: F16, 16: F32, 32: F64, 64: F64}[whole.bits]
        return promote(real, needed) if needed != F16 or real != BF16 else BF16
    if a.kind == b.kind:
        return a if a.bits > b.bits else b
    signed, unsigned = (a, b) if a.kind == "i" else (b, a)
    if signed.bits > unsigned.bits:
        return signed
    return _UNSIGNED_TO_SIGNED.get(unsigned.bits, F64)


def promote_weak(kind: str, typed: DType) -> DType:
    """The result dtype of a Python scalar of `kind` (`b i f c`) and a typed operand (NEP 50)."""
    order = {"b": 0, "i": 1, "u": 1, "f": 2, "c": 3}
    if order[kind] <= order[typed.kind]:
        return typed
    if kind == "i":
        return I64
    if kind == "f":
        return F64
    return complex_dtype(typed) if typed.is_float else C128


def is_differentiable(type: Type) -> bool:
    """Whether values of the type can have a cotangent."""
    return is_differentiable(type.element) if isinstance(type, ListType) else type.dtype.is_inexact
