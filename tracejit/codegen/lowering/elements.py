"""What lowering computes with: elements (real or complex), index arithmetic, and arrays over flat buffers.

The loop IR has no complex numbers: a complex element is a pair of real expressions (`Complex`), and a complex
buffer is addressed as pairs of reals, so that element i lives at 2i and 2i + 1. `ElementBuilder` makes the same
operations work on pairs, so that neither ops nor kernels care.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from tracejit.codegen.loop_ir import Bitcast, Cast, Const, Expr, Load, Offset, Rare, Scalar, Select, Store, Var
from tracejit.codegen.lowering.complex import OPERATIONS, Complex
from tracejit.codegen.scalars import KernelBuilder
from tracejit.ir.types import BOOL, I64, DType, TensorType, real_dtype
from tracejit.records import record

Element: TypeAlias = "Expr | Complex"
Index: TypeAlias = "tuple[Expr, ...]"

ZERO = Const(0, I64)
ONE = Const(1, I64)


class ElementBuilder(KernelBuilder):
    """A `KernelBuilder` that also takes complex elements; `bind` names a shared expression."""

    def __init__(self, bind: Callable[[Expr, str], Expr]) -> None:
        super().__init__()
        self._bind = bind

    def let(self, x: Any, name: str = "t") -> Any:
        """x under a name; both parts of a complex element."""
        if isinstance(x, Complex):
            return Complex(self.let(x.re, f"{name}_re"), self.let(x.im, f"{name}_im"))
        return x if x.__class__ is Var or x.__class__ is Const else self._bind(x, name)

    def const(self, value: Any, dtype: DType) -> Any:
        """A literal; a pair for complex dtypes."""
        if not dtype.is_complex:
            return super().const(value.real if isinstance(value, complex) else value, dtype)
        number, part = complex(value), real_dtype(dtype)
        return Complex(super().const(number.real, part), super().const(number.imag, part))

    def op(self, name: str, *operands: Any) -> Any:
        """Operation `name`; on complex operands by the formulas of `complex.py`."""
        index_rule = _INDEX_RULES.get(name)
        if index_rule is not None:
            a, b = operands
            if getattr(a, "type", None) is I64 and getattr(b, "type", None) is I64:
                return index_rule(a, b)
        if Complex not in map(type, operands):
            return super().op(name, *operands)
        pair = next(x for x in operands if isinstance(x, Complex))
        lifted = (x if isinstance(x, Complex) else self.as_complex(x, pair.type) for x in operands)
        return OPERATIONS[name](self, *lifted)

    def as_complex(self, x: Any, dtype: DType) -> Complex:
        """A number or real element as a complex one."""
        if isinstance(x, int | float | complex):
            return self.const(x, dtype)
        real = real_dtype(dtype)
        return Complex(super().cast(x, real), super().const(0.0, real))

    def select(self, cond: Any, a: Any, b: Any) -> Any:
        """`cond ? a : b`, part by part for complex elements."""
        if Complex not in (type(a), type(b)):
            return super().select(cond, a, b)
        pair = a if isinstance(a, Complex) else b
        a, b = (x if isinstance(x, Complex) else self.as_complex(x, pair.type) for x in (a, b))
        return Complex(super().select(cond, a.re, b.re), super().select(cond, a.im, b.im))

    def cast(self, x: Any, dtype: DType) -> Any:
        """A value conversion; complex to real drops the imaginary part, to bool asks whether it is not 0."""
        if isinstance(x, Complex):
            if dtype.is_complex:
                part = real_dtype(dtype)
                return Complex(super().cast(x.re, part), super().cast(x.im, part))
            if dtype == BOOL:
                return self.ne(x, 0)
            return super().cast(x.re, dtype)
        return self.as_complex(x, dtype) if dtype.is_complex else super().cast(x, dtype)

    def complex(self, re: Any, im: Any) -> Any:
        """The complex element of two parts."""
        return Complex(re, im)

    def conj(self, x: Any) -> Any:
        """The complex conjugate."""
        return Complex(x.re, self.neg(x.im)) if isinstance(x, Complex) else x

    def real(self, x: Any) -> Any:
        """The real part."""
        return x.re if isinstance(x, Complex) else x

    def imag(self, x: Any) -> Any:
        """The imaginary part."""
        return x.im if isinstance(x, Complex) else self.const(0, x.type)

    def square(self, x: Any) -> Any:
        """x * x."""
        x = self.let(x)
        return self.mul(x, x)

    def reciprocal(self, x: Any) -> Any:
        """1 / x."""
        return self.op("reciprocal", x) if isinstance(x, Complex) else super().reciprocal(x)

    def ceildiv(self, a: Expr, b: Expr) -> Expr:
        """a / b rounded up, for a >= 0 and b > 0."""
        return self.quotient(self.add(a, self.sub(b, 1)), b)

    def product(self, factors: Iterable[Expr]) -> Expr:
        """The product of i64 expressions; 1 for none."""
        total: Expr = ONE
        for factor in factors:
            total = self.mul(total, factor)
        return total


# -- index arithmetic -------------------------------------------------------------------------------------------


def _add_indices(a: Expr, b: Expr) -> Expr:
    if isinstance(a, Const):
        a, b = b, a
    if isinstance(b, Const):
        if b.value == 0:
            return a
        if isinstance(a, Const):
            return Const(_wrapped(a.value + b.value), I64)
        if isinstance(a, Scalar) and a.op == "add" and isinstance(a.args[1], Const):
            return _add_indices(a.args[0], _add_indices(a.args[1], b))
    return _rejoined(a, b) or Scalar("add", (a, b), I64)


def _rejoined(a: Expr, b: Expr) -> Expr | None:
    """x, where the sum is `x / y * y` and the remainder of `x / y`: an index taken apart and put together again."""
    if isinstance(a, Scalar) and isinstance(b, Scalar) and (a.op, b.op) == ("mul", "remainder"):
        whole, y = a.args
        if isinstance(whole, Scalar) and whole.op == "quotient" and whole.args == b.args and y == b.args[1]:
            return b.args[0]
    return None


def _mul_indices(a: Expr, b: Expr) -> Expr:
    if isinstance(a, Const):
        a, b = b, a
    if isinstance(b, Const):
        if b.value in (0, 1):
            return a if b.value == 1 else ZERO
        if isinstance(a, Const):
            return Const(_wrapped(a.value * b.value), I64)
    return Scalar("mul", (a, b), I64)


def _wrapped(value: Any) -> int:
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


#: What most of lowering does is index arithmetic: sums and products of i64, folded without a look at the table.
_INDEX_RULES: dict[str, Callable[[Expr, Expr], Expr]] = {"add": _add_indices, "mul": _mul_indices}


# -- walking expressions --------------------------------------------------------------------------------------


def parts(e: Expr) -> tuple[Expr, ...]:
    """The direct subexpressions, buffers of loads included."""
    of = _PARTS.get(type(e))
    return () if of is None else of(e)


_PARTS: dict[type, Callable[[Any], tuple[Expr, ...]]] = {
    Load: lambda e: (e.buffer, e.index),
    Offset: lambda e: (e.buffer, e.index),
    Scalar: lambda e: e.args,
    Cast: lambda e: (e.x,),
    Bitcast: lambda e: (e.x,),
    Select: lambda e: (e.cond, e.a, e.b),
    Rare: lambda e: (e.cond, e.value, *e.args),
}


def variables(e: Expr) -> Iterable[Var]:
    """Every var an expression reads, with repetitions."""
    if isinstance(e, Var):
        yield e
    else:
        for part in parts(e):
            yield from variables(part)


@record
class Affine:
    """`rest + sum(coefficients[v] * v)`; coefficients and rest do not depend on the vars asked about."""

    coefficients: dict[Var, Expr]
    rest: Expr


def affine(k: KernelBuilder, e: Expr, over: frozenset[Var] | set[Var]) -> Affine | None:
    """An index expression as an affine form in the vars `over`; None where it is not one."""
    if isinstance(e, Var) and e in over:
        return Affine({e: ONE}, ZERO)
    if not any(v in over for v in variables(e)):
        return Affine({}, e)
    match e:
        case Scalar("add" | "sub", (a, b)):
            return _combine(k, e.op, affine(k, a, over), affine(k, b, over))
        case Scalar("mul", (a, b)):
            left, right = affine(k, a, over), affine(k, b, over)
            if left is None or right is None or (left.coefficients and right.coefficients):
                return None
            form, factor = (left, right.rest) if left.coefficients else (right, left.rest)
            scaled = {v: k.mul(c, factor) for v, c in form.coefficients.items()}
            return Affine(scaled, k.mul(form.rest, factor))
        case Select(cond, a, b) if not any(v in over for v in variables(cond)):
            return _choose(k, cond, affine(k, a, over), affine(k, b, over))
        case _:
            return None


def _combine(k: KernelBuilder, op: str, a: Affine | None, b: Affine | None) -> Affine | None:
    if a is None or b is None:
        return None
    both = {v: k.op(op, a.coefficients.get(v, ZERO), b.coefficients.get(v, ZERO)) for v in _keys(a, b)}
    return Affine(both, k.op(op, a.rest, b.rest))


def _choose(k: KernelBuilder, cond: Expr, a: Affine | None, b: Affine | None) -> Affine | None:
    if a is None or b is None:
        return None
    both = {v: k.select(cond, a.coefficients.get(v, ZERO), b.coefficients.get(v, ZERO)) for v in _keys(a, b)}
    return Affine(both, k.select(cond, a.rest, b.rest))


def _keys(a: Affine, b: Affine) -> list[Var]:
    return list(dict.fromkeys((*a.coefficients, *b.coefficients)))


# -- arrays ---------------------------------------------------------------------------------------------------


@record(eq=False)
class Array:
    """Where a tensor lives: `buffer[offset + sum(i * stride)]`, in elements of the tensor's dtype.

    `strides` is None for C order from offset 0; only such arrays can be updated, handed out or pushed to lists.
    """

    buffer: Var
    type: TensorType
    shape: Index
    strides: Index | None = None
    offset: Expr = ZERO

    @property
    def contiguous(self) -> bool:
        """Whether the elements lie in C order from the buffer's start."""
        return self.strides is None

    def is_dense(self, k: KernelBuilder) -> bool:
        """Whether the elements are known to lie in C order, wherever the first one is."""
        if self.strides is None:
            return True
        rows = zip(self.shape, self.strides, c_strides(k, self.shape), strict=True)
        return all(size == ONE or stride == dense for size, stride, dense in rows)

    def steps(self, k: KernelBuilder) -> Index:
        """The strides, spelt out."""
        return c_strides(k, self.shape) if self.strides is None else self.strides

    def address(self, k: KernelBuilder, index: Sequence[Expr]) -> Expr:
        """The place of an element in the buffer."""
        at = self.offset
        for i, step in zip(index, self.steps(k), strict=True):
            at = k.add(at, k.mul(i, step))
        return at

    def flat_address(self, k: ElementBuilder, flat: Expr) -> Expr:
        """The place of the element with that C-order index."""
        if self.strides is None:
            return flat
        return self.address(k, unravel(k, flat, self.shape))


def c_strides(k: KernelBuilder, shape: Sequence[Expr]) -> Index:
    """The strides of C order."""
    steps: list[Expr] = []
    step: Expr = ONE
    for size in reversed(shape):
        steps.append(step)
        step = k.mul(step, size)
    return tuple(reversed(steps))


def ravel(k: ElementBuilder, index: Sequence[Expr], shape: Sequence[Expr]) -> Expr:
    """The C-order index of an element of an array of this shape."""
    at: Expr = ZERO
    for i, size in zip(index, shape, strict=True):
        at = k.add(k.mul(at, size), i)
    return at


def unravel(k: ElementBuilder, flat: Expr, shape: Sequence[Expr]) -> Index:
    """The index tuple of a C-order index (sizes that are 0 never get here)."""
    index: list[Expr] = []
    for size in reversed(shape[1:]):
        flat = k.let(flat, "flat")
        index.append(k.remainder(flat, size))
        flat = k.quotient(flat, size)
    return (flat, *reversed(index)) if shape else ()


def load(buffer: Var, at: Expr, dtype: DType, k: KernelBuilder) -> Element:
    """The element at a place of a buffer."""
    if not dtype.is_complex:
        return Load(buffer, at, dtype)
    part, first = real_dtype(dtype), k.mul(at, 2)
    return Complex(Load(buffer, first, part), Load(buffer, k.add(first, 1), part))


def stores(buffer: Var, at: Expr, value: Element, k: KernelBuilder) -> tuple[Store, ...]:
    """The statements that write an element to a place of a buffer."""
    if not isinstance(value, Complex):
        return (Store(buffer, at, value),)
    first = k.mul(at, 2)
    return Store(buffer, first, value.re), Store(buffer, k.add(first, 1), value.im)
