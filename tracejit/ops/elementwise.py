"""Elementwise arithmetic, comparison, logic, bits, rounding, `select` and `cast`.

All operands of an op have one dtype and one shape (or are all host scalars): promotion and broadcasting
happen before, in `coerce.py`. Transcendental functions are in `transcendental.py`.
"""

from __future__ import annotations

from typing import Any

from tracejit.errors import DTypeMismatch
from tracejit.ir.core import Value
from tracejit.ir.opdef import Sample
from tracejit.ir.types import (
    BOOL,
    DTYPES,
    FLOATS,
    INEXACT,
    INTEGERS,
    NUMERIC,
    DType,
    ListType,
    Type,
    real_dtype,
    unsized,
)
from tracejit.ops import simplify
from tracejit.ops.define import (
    SHAPES,
    as_dtype,
    binary,
    conjugate,
    draw,
    dtype_name,
    element_type,
    elementwise_rule,
    flat,
    op,
    pointwise,
    quiet,
    require_dtype,
    same_shape,
    spellings,
    to_bool,
    unary,
    uniform,
    with_dtype,
    with_shape,
)

REAL = INTEGERS + FLOATS
BITS = (BOOL, *INTEGERS)
WHOLE = ("int64", "int32", "uint8")
ANY = ("float64", "float32", "int64", "int32", "uint8")
EITHER_SIGN = ((-3.0, 3.0), (-3.0, 3.0))


def _ufunc_names(name: str, operator: str, *numpy_names: str) -> tuple[str, ...]:
    """Function, method, operator (with its reflected form) and NumPy spellings of a binary op."""
    named = [s for n in numpy_names for s in spellings(n) if s != "method equal"]  # that is PyTorch's for whole tensors
    return (*spellings(name, kinds=("function", "method")), f"operator __{operator}__", *named)


# -- arithmetic -----------------------------------------------------------------------------------------------

add = binary(
    "add",
    NUMERIC,
    doc="x + y. Integers wrap.",
    vjp=lambda b, g, x, y, out: (g, g),
    samples=uniform(*EITHER_SIGN, dtypes=ANY, more=("int8", "float16", "bfloat16", "complex128", "complex64")),
    names=("function add", "method add", "numpy add", "operator __add__"),
    commutative=True,
    factor="alpha",
    neutral=0,
    ranges=lambda r, x, y: r.sum(x, y),
    signs=(1, 1),
)
sub = binary(
    "sub",
    NUMERIC,
    doc="x - y. Integers wrap.",
    eager=lambda xp, x, y: xp.subtract(x, y),
    vjp=lambda b, g, x, y, out: (g, b.neg(g)),
    samples=uniform((2.0, 5.0), (-2.0, 2.0), dtypes=("float64", "float32", "int64", "int32", "complex128")),
    names=_ufunc_names("sub", "sub", "subtract"),
    factor="alpha",
    neutral=0,
    ranges=lambda r, x, y: r.difference(x, y),
    signs=(1, -1),
)
mul = binary(
    "mul",
    NUMERIC,
    doc="x * y. Integers wrap.",
    eager=lambda xp, x, y: xp.multiply(x, y),
    slopes=(lambda b, x, y, out: y, lambda b, x, y, out: x),
    samples=uniform(*EITHER_SIGN, dtypes=ANY, more=("complex128", "bfloat16")),
    names=_ufunc_names("mul", "mul", "multiply"),
    commutative=True,
    neutral=1,
    ranges=lambda r, x, y: r.product(x, y),
)
div = binary(
    "div",
    INEXACT,
    doc="True division of inexact numbers; x / 0 is inf or nan.",
    eager=lambda xp, x, y: xp.true_divide(x, y),
    slopes=(lambda b, x, y, out: b.reciprocal(y), lambda b, x, y, out: b.neg(out * b.reciprocal(y))),
    samples=uniform((-3.0, 3.0), (0.5, 3.0), more=("complex128",)),
    names=_ufunc_names("div", "truediv", "divide", "true_divide"),
    neutral=1,
    cost=4,
)
floordiv = binary(
    "floordiv",
    REAL,
    doc="The floor of x / y; an integer over 0 is 0, as NumPy's.",
    eager=lambda xp, x, y: xp.floor_divide(x, y),
    samples=uniform((-9.0, 9.0), (1.3, 4.0), dtypes=("float64", "float32", "int64", "int32")),
    names=_ufunc_names("floordiv", "floordiv", "floor_divide"),
    cost=8,
    ranges=lambda r, x, y: r.quotient(x, y),
    cheaper=lambda r, x, y: "natural_floordiv" if r.is_natural(x, y) else "",
)
mod = binary(
    "mod",
    REAL,
    doc="The remainder of x / y with the sign of y; an integer over 0 is 0, as NumPy's.",
    slopes=(lambda b, x, y, out: b.number(1, out), lambda b, x, y, out: b.neg(b.floordiv(x, y))),
    samples=uniform((-9.0, 9.0), (1.3, 4.0), dtypes=("float64", "float32", "int64", "int32")),
    names=(*_ufunc_names("mod", "mod", "remainder"), "numpy mod"),
    cost=8,
    ranges=lambda r, x, y: r.remainder(x, y),
    cheaper=lambda r, x, y: "near_mod" if r.is_near(x, y) else "natural_mod" if r.is_natural(x, y) else "",
)
fmod = binary(
    "fmod",
    REAL,
    doc="The remainder of x / y with the sign of x, as C's.",
    slopes=(lambda b, x, y, out: b.number(1, out), lambda b, x, y, out: b.neg(b.trunc(x / y))),
    samples=uniform((-9.0, 9.0), (1.3, 4.0), dtypes=("float64", "float32", "int64", "int32")),
    cost=8,
)


def pow_base_slope(b: Any, x: Any, y: Any, out: Any) -> Any:
    """y * x**(y - 1), and 0 for x**0 (also at x = 0, where the product would be 0 * inf)."""
    return b.select(b.eq(y, 0), 0, y * b.pow(x, y - 1))


def pow_exponent_slope(b: Any, x: Any, y: Any, out: Any) -> Any:
    """x**y * log(x), and its limit 0 where the power is 0; that of 0**0 is 0 by convention."""
    is_flat = b.eq(x, 0) if b.dtype(y).is_complex else b.logical_and(b.eq(x, 0), b.eq(y, 0))
    return b.select(b.logical_or(b.eq(out, 0), is_flat), 0, out * b.log(x))


pow = binary(
    "pow",
    NUMERIC,
    doc="x ** y. Integer powers wrap and need y >= 0.",
    eager=lambda xp, x, y: xp.power(x, y),
    slopes=(pow_base_slope, pow_exponent_slope),
    samples=lambda rng: [
        *uniform((0.3, 2.5), (-2.0, 2.5), more=("complex128",))(rng),
        *uniform((-3, 3), (0, 4), dtypes=("int64", "int32"))(rng),
        Sample((rng.permuted([-2.0, 0.0, 0.0, 3.0]), rng.permuted([2.0, 3.0, 2.0, 3.0]))),
    ],
    names=_ufunc_names("pow", "pow", "power"),
    neutral=1,
    cost=24,
)


def _winner(first: str) -> Any:
    """The rule of minimum and maximum: the operand that is taken has the cotangent, the other 0, also of an infinite
    one; equal operands share evenly."""
    second = {"lt": "gt", "gt": "lt"}[first]

    def vjp(b: Any, g: Any, x: Any, y: Any, out: Any) -> tuple[Any, ...]:
        shared = b.mul(g, b.number(0.5, g))
        return tuple(b.select(b.eq(x, y), shared, b.select(getattr(b, wins)(x, y), g, 0)) for wins in (first, second))

    return vjp


minimum = binary(
    "minimum",
    (BOOL, *REAL),
    doc="The smaller one; nan if either is nan.",
    vjp=_winner("lt"),
    samples=uniform(*EITHER_SIGN, dtypes=ANY),
    commutative=True,
    idempotent=True,
    ranges=lambda r, x, y: r.smaller(x, y),
)
maximum = binary(
    "maximum",
    (BOOL, *REAL),
    doc="The larger one; nan if either is nan.",
    vjp=_winner("gt"),
    samples=uniform(*EITHER_SIGN, dtypes=ANY),
    commutative=True,
    idempotent=True,
    ranges=lambda r, x, y: r.larger(x, y),
)
copysign = binary(
    "copysign",
    FLOATS,
    doc="x with the sign of y.",
    slopes=(lambda b, x, y, out: b.sign(x) * b.copysign(b.number(1, out), y), None),
    samples=uniform(*EITHER_SIGN),
)
neg = unary(
    "neg",
    NUMERIC,
    simplify=simplify.involution("neg"),
    doc="-x.",
    eager=lambda xp, x: xp.negative(x),
    vjp=lambda b, g, x, out: (b.neg(g),),
    samples=uniform((-3.0, 3.0), dtypes=("float64", "float32", "int64", "int32", "complex128")),
    names=(*spellings("neg", kinds=("function", "method")), "operator __neg__", *spellings("negative")),
    ranges=lambda r, x: r.negation(x),
)


def _direction(b: Any, x: Any, out: Any) -> Any:
    """The slope of abs: the sign, or x / |x| of a complex number, 0 at 0. Conjugated once more by `sloped`."""
    if not b.dtype(x).is_complex:
        return b.sign(x)
    wide = b.cast(out, dtype=b.dtype(x))
    return b.select(b.eq(out, 0), 0, b.div(x, wide))


abs = unary(
    "abs",
    NUMERIC,
    doc="The absolute value; real for complex numbers. Slope 0 at 0.",
    eager=lambda xp, x: xp.abs(x),
    vjp=lambda b, g, x, out: (b.strong_mul(b.cast(g, dtype=b.dtype(x)), _direction(b, x, out)),),
    result=real_dtype,
    samples=uniform((0.5, 3.0), dtypes=("float64", "float32", "int64", "int32", "complex128")),
    names=spellings("abs", "operator __abs__", "function absolute", "method absolute", "numpy absolute", "numpy fabs"),
    ranges=lambda r, x: r.magnitude(x),
)


def _sign_vjp(b: Any, g: Any, x: Any, out: Any) -> tuple[Any, ...]:
    """Of a real number 0; of a complex one what turns it, over the modulus."""
    if not b.dtype(x).is_complex:
        return (None,)
    across = b.cast(b.imag(b.mul(conjugate(b, out), g)), dtype=b.dtype(x))
    turned = b.mul(b.mul(out, b.number(1j, out)), across)
    return (b.strong_mul(turned, b.cast(b.reciprocal(b.abs(x)), dtype=b.dtype(x))),)


sign = unary(
    "sign",
    NUMERIC,
    doc="-1, 0 or 1, x / |x| of a complex number; nan stays nan.",
    vjp=_sign_vjp,
    samples=uniform((0.5, 3.0), dtypes=ANY, more=("complex128",)),
)
square = unary(
    "square",
    NUMERIC,
    doc="x * x.",
    slope=lambda b, x, out: x * 2,
    samples=uniform((-3.0, 3.0), dtypes=("float64", "float32", "int64", "int32", "complex128")),
)
reciprocal = unary(
    "reciprocal",
    INEXACT,
    doc="1 / x.",
    slope=lambda b, x, out: b.neg(out * out),
    samples=uniform((0.4, 3.0), more=("complex128",)),
    cost=4,
)
relu = unary(
    "relu",
    REAL,
    doc="x where positive, else 0; slope 0 at 0.",
    eager=lambda xp, x: xp.maximum(x, xp.zeros_like(x)),
    scalar=lambda k, x: k.maximum(x, 0),
    vjp=lambda b, g, x, out: (b.select(b.gt(x, 0), g, 0),),
    samples=uniform((-3.0, 3.0), dtypes=("float64", "float32", "int64")),
    names=spellings("relu", kinds=("function", "method")),
)
clamp = op(
    "clamp",
    ("x", "lo", "hi"),
    doc="x limited to lo..hi (hi wins where they cross); slope 1 on the bounds.",
    infer=elementwise_rule("clamp", (BOOL, *REAL)),
    eager=quiet(lambda xp, x, lo, hi: xp.minimum(xp.maximum(x, lo), hi)),
    vjp=lambda b, g, x, lo, hi, out: (
        b.select(b.logical_and(b.ge(x, lo), b.le(x, hi)), g, 0),
        b.select(b.logical_and(b.lt(x, lo), b.le(lo, hi)), g, 0),
        b.select(b.logical_or(b.gt(x, hi), b.gt(lo, hi)), g, 0),
    ),
    lower=pointwise(lambda k, x, lo, hi: k.minimum(k.maximum(x, lo), hi)),
    samples=uniform((-3.0, 3.0), (-2.0, -1.0), (1.0, 2.0), dtypes=("float64", "float32", "int64")),
    names=spellings("clamp", kinds=("function", "method")),
)

# -- rounding -------------------------------------------------------------------------------------------------

for _name, _doc in (
    ("floor", "The largest whole number not above x."),
    ("ceil", "The smallest whole number not below x."),
    ("trunc", "x without its fraction."),
    ("round", "The nearest whole number; halves go to the even one."),
):
    unary(
        _name,
        INEXACT if _name == "round" else FLOATS,
        doc=_doc,
        vjp=flat(None),
        samples=uniform((-3.4, 3.4), more=("complex128",) if _name == "round" else ()),
        names=("function rint", "numpy rint") if _name == "round" else spellings(_name),
    )

# -- comparison -----------------------------------------------------------------------------------------------

for _name, _numpy, _dtypes, _ranges in (
    ("eq", "equal", DTYPES, lambda r, x, y: r.equal(x, y)),
    ("ne", "not_equal", DTYPES, lambda r, x, y: r.unequal(x, y)),
    ("lt", "less", (BOOL, *REAL), lambda r, x, y: r.less(x, y)),
    ("le", "less_equal", (BOOL, *REAL), lambda r, x, y: r.at_most(x, y)),
    ("gt", "greater", (BOOL, *REAL), lambda r, x, y: r.less(y, x)),
    ("ge", "greater_equal", (BOOL, *REAL), lambda r, x, y: r.at_most(y, x)),
):
    binary(
        _name,
        _dtypes,
        doc=f"Whether x is {_numpy.replace('_', ' or ' if 'not' not in _numpy else ' ')} to y.",
        eager=lambda xp, x, y, fn=_numpy: getattr(xp, fn)(x, y),
        vjp="its result is a truth value",
        result=to_bool,
        samples=uniform((-2, 2), (-2, 2), dtypes=("float64", "float32", "int64", "int32", "bool")),
        names=_ufunc_names(_name, _name, _numpy),
        commutative=_name in ("eq", "ne"),
        ranges=_ranges,
    )
for _name, _doc in (
    ("isnan", "Whether x is not a number."),
    ("isinf", "Whether x is plus or minus infinity."),
    ("isfinite", "Whether x is neither infinite nor nan."),
):
    unary(
        _name,
        INEXACT,
        doc=_doc,
        vjp="its result is a truth value",
        result=to_bool,
        samples=lambda rng: [
            Sample((rng.permuted([1.0, float("inf"), float("nan"), -float("inf"), 0.0]).astype(d),))
            for d in ("float64", "float32", "complex128")
        ],
    )

# -- logic and bits -------------------------------------------------------------------------------------------

for _name, _neutral, _ranges in (
    ("logical_and", True, lambda r, x, y: r.both(x, y)),
    ("logical_or", False, lambda r, x, y: r.either(x, y)),
    ("logical_xor", False, None),
):
    binary(
        _name,
        (BOOL,),
        doc=f"{_name.removeprefix('logical_')} of two truth values.",
        vjp="its result is a truth value",
        samples=uniform((0, 1), (0, 1), dtypes=("bool",)),
        commutative=True,
        neutral=_neutral,
        idempotent=_name != "logical_xor",
        ranges=_ranges,
    )
unary(
    "logical_not",
    (BOOL,),
    simplify=simplify.involution("logical_not"),
    doc="not x.",
    vjp="its result is a truth value",
    samples=uniform((0, 1), dtypes=("bool",)),
    ranges=lambda r, x: r.opposite(x),
)
for _name, _numpy, _operator in (("bitand", "and", "and"), ("bitor", "or", "or"), ("bitxor", "xor", "xor")):
    binary(
        _name,
        BITS,
        doc=f"Bitwise {_numpy}.",
        eager=lambda xp, x, y, fn=f"bitwise_{_numpy}": getattr(xp, fn)(x, y),
        vjp="its result is an integer",
        samples=uniform((0, 100), (0, 100), dtypes=("int64", "int32", "uint8", "bool")),
        names=(f"operator __{_operator}__", *spellings(f"bitwise_{_numpy}")),
        commutative=True,
        idempotent=_name != "bitxor",
        ranges=(lambda r, x, y: r.masked(x, y)) if _name == "bitand" else None,
    )
unary(
    "bitnot",
    BITS,
    simplify=simplify.involution("bitnot"),
    doc="Bitwise not; logical not of truth values.",
    eager=lambda xp, x: xp.invert(x),
    vjp="its result is an integer",
    samples=uniform((0, 100), dtypes=("int64", "int32", "uint8", "bool")),
    names=(
        "operator __invert__",
        *spellings("bitwise_not"),
        *(f"{kind} {n}" for n in ("bitwise_invert", "invert") for kind in ("function", "numpy")),
    ),
)
for _name, _numpy, _operator in (("shl", "left_shift", "lshift"), ("shr", "right_shift", "rshift")):
    binary(
        _name,
        INTEGERS,
        doc=f"{_numpy.replace('_', ' ').capitalize()} of x by y bits; from the width on 0, or -1 (right, x < 0).",
        eager=lambda xp, x, y, fn=_numpy: getattr(xp, fn)(x, y),
        vjp="its result is an integer",
        samples=uniform((0, 100), (0, 6), dtypes=("int64", "int32", "uint8")),
        names=(
            f"operator __{_operator}__",
            *spellings(f"bitwise_{_numpy}"),
            *(f"{kind} {_numpy}" for kind in ("function", "numpy")),
        ),
        neutral=0,
        ranges=(lambda r, x, y: r.shifted_right(x, y)) if _name == "shr" else None,
    )

# -- choice, conversion, derivative helpers -------------------------------------------------------------------


def _select_infer(cond: Value, a: Value, other: Value) -> tuple[Type, ...]:
    require_dtype(cond, (BOOL,), "select")
    dtype = element_type(a, "select")
    if element_type(other, "select") != dtype:
        raise DTypeMismatch(f"select: operands {a.type} and {other.type} differ in dtype")
    return (with_shape(dtype, same_shape("select", (cond, a, other))),)


select = op(
    "select",
    ("cond", "a", "b"),
    simplify=simplify.select,
    doc="a where cond holds, else b. The side that is not taken gets a cotangent of exactly 0.",
    infer=_select_infer,
    eager=lambda xp, cond, a, other: xp.where(cond, a, other)[()],
    vjp=lambda b, g, cond, a, other, out: (None, b.select(cond, g, 0), b.select(cond, 0, g)),
    lower=pointwise(lambda k, cond, a, other: k.select(cond, a, other)),
    samples=lambda rng: [
        *(
            Sample((draw(rng, 0, 1, shape, "bool"), draw(rng, -3, 3, shape, d), draw(rng, -3, 3, shape, d)))
            for d in ("float64", "float32", "int64", "bool")
            for shape in SHAPES[: 5 if d == "float64" else 1]
        ),
        Sample((True, 1.5, 2.5)),
        Sample((False, 3, 4)),
    ],
    ranges=lambda r, cond, a, other: r.chosen(cond, a, other),
)


def _cast_vjp(b: Any, g: Any, x: Any, out: Any, *, dtype: DType) -> tuple[Any, ...]:
    source, target = b.dtype(x), as_dtype(dtype)
    return (b.cast(g, dtype=source) if source.is_inexact and target.is_inexact else None,)


@quiet
def _cast_eager(xp: Any, x: Any, *, dtype: DType) -> Any:
    x = xp.asarray(x)
    if x.dtype.kind == "c" and not as_dtype(dtype).is_complex and as_dtype(dtype) != BOOL:
        x = x.real
    return x.astype(dtype_name(dtype))[()]


def _cast_infer(x: Value, *, dtype: DType) -> tuple[Type, ...]:
    element_type(x, "cast")
    return (with_dtype(x.type, as_dtype(dtype)),)


cast = op(
    "cast",
    ("x",),
    simplify=simplify.cast,
    doc="x converted to another dtype with NumPy's rules: floats truncate to integers, complex numbers lose the "
    "imaginary part.",
    infer=_cast_infer,
    eager=_cast_eager,
    vjp=_cast_vjp,
    lower=pointwise(lambda k, x, *, dtype: k.cast(x, as_dtype(dtype))),
    samples=lambda rng: (
        [
            Sample((draw(rng, 0, 100, (4,), source),), {"dtype": target})
            for target in DTYPES
            if not target.is_complex and target.name != "bf16"
            for source in ("float64", "float32", "int64", "uint8", "bool")
        ]
        + [Sample((2.75,), {"dtype": t}) for t in (*INTEGERS[:4], BOOL)]
    ),
    ranges=lambda r, x, *, dtype: r.same(x),
)


def _strong_mul_eager(xp: Any, g: Any, d: Any) -> Any:
    product = xp.multiply(g, d)
    return xp.where(xp.equal(g, 0), xp.zeros_like(product), product)[()]


def _strong_product_eager(xp: Any, g: Any, h: Any) -> Any:
    product = xp.multiply(g, h)
    return xp.where(xp.logical_or(xp.equal(g, 0), xp.equal(h, 0)), xp.zeros_like(product), product)[()]


strong_mul = op(
    "strong_mul",
    ("g", "d"),
    doc="g * d, but 0 where g is 0 whatever d is (inf, nan). Linear in g.",
    infer=elementwise_rule("strong_mul", INEXACT),
    eager=quiet(_strong_mul_eager),
    vjp=lambda b, c, g, d, out: (b.strong_mul(c, conjugate(b, d)), b.strong_product(c, conjugate(b, g))),
    lower=pointwise(lambda k, g, d: k.select(k.eq(g, 0), k.const(0, k.dtype(g)), k.mul(g, d))),
    samples=lambda rng: [
        *uniform(*EITHER_SIGN, more=("complex128",))(rng),
        Sample((draw(rng, 0, 0, (3,), "float64"), rng.permuted([float("inf"), float("nan"), 1.0]))),
    ],
    simplify=simplify.strong_mul,
)


def _strong_product_vjp(b: Any, c: Any, g: Any, h: Any, out: Any) -> tuple[Any, Any]:
    return b.strong_product(c, conjugate(b, h)), b.strong_product(c, conjugate(b, g))


strong_product = op(
    "strong_product",
    ("g", "h"),
    doc="g * h of two cotangents, but 0 where either is 0 whatever the other is. Linear in both: what `strong_mul` "
    "hands to its slope: a tangent of that slope (inf, nan on a side not taken) then meets the zero cotangent.",
    infer=elementwise_rule("strong_product", INEXACT),
    eager=quiet(_strong_product_eager),
    vjp=_strong_product_vjp,
    lower=pointwise(
        lambda k, g, h: k.select(
            k.eq(g, 0), k.const(0, k.dtype(g)), k.select(k.eq(h, 0), k.const(0, k.dtype(g)), k.mul(g, h))
        )
    ),
    samples=lambda rng: [
        *uniform(*EITHER_SIGN, more=("complex128",))(rng),
        Sample((draw(rng, 0, 0, (3,), "float64"), rng.permuted([float("inf"), float("nan"), 1.0]))),
        Sample((rng.permuted([float("inf"), float("nan"), 1.0]), draw(rng, 0, 0, (3,), "float64"))),
    ],
    simplify=simplify.strong_product,
    commutative=True,
)
leaf = op(
    "leaf",
    ("x",),
    doc="x itself; marks the variable that a `gradient` op differentiates by. One that the script `made` a leaf ends "
    "eager code's tape.",
    infer=lambda x, made=False: (x.type,),
    eager=lambda xp, x, made=False: x,
    vjp=lambda b, g, x, out, made=False: (g,),
    lower=pointwise(lambda k, x, made=False: x),
    samples=uniform((-3.0, 3.0)),
)
detach = op(
    "detach",
    ("x",),
    doc="x itself, as a constant for derivatives.",
    infer=lambda x: (x.type,),
    eager=lambda xp, x: x,
    vjp=flat(None),
    lower=pointwise(lambda k, x: x),
    samples=uniform((-3.0, 3.0), dtypes=("float32", "int64")),
    names=("function stop_gradient",),
    stands_for=0,
)


def _unrecorded_infer(new: Value, old: Value) -> tuple[Type, ...]:
    if isinstance(new.type, ListType) or unsized(new.type) != unsized(old.type):
        raise ValueError(f"unrecorded: {new.type} cannot be written over {old.type}")
    return (new.type,)


unrecorded = op(
    "unrecorded",
    ("new", "old"),
    doc="new, with the derivative of old: the content of an array after a write under `no_grad`.",
    infer=_unrecorded_infer,
    eager=lambda xp, new, old: new,
    vjp=lambda b, g, new, old, out: (None, g),
    lower=pointwise(lambda k, new, old: new),
    samples=uniform((-3.0, 3.0), (1.0, 2.0), dtypes=("int64",)),  # its slope is not that of its value
    stands_for=0,
)
