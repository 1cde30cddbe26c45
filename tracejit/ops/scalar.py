"""Python's integers: i64 host scalars whose arithmetic raises `OverflowError` instead of wrapping."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tracejit.errors import DTypeMismatch
from tracejit.ir.core import Value
from tracejit.ir.opdef import Opaque, Sample
from tracejit.ir.types import I64, U64, ScalarType, Type
from tracejit.ops import loops
from tracejit.ops.define import binary, op, uniform

_LOW, _HIGH = -(1 << 63), (1 << 63) - 1


def _checked(
    name: str,
    arity: int,
    python: Callable[..., int],
    emit: Callable[..., Any],
    cases: Sequence[tuple[int, ...]],
    doc: str,
    **algebra: Any,
) -> None:
    """Register the checked form of an operation; `python` computes on Python ints, `algebra` is for `OpDef`."""

    def infer(*operands: Value) -> tuple[Type, ...]:
        for operand in operands:
            if operand.type != ScalarType(I64):
                raise DTypeMismatch(f"{name} takes i64 host scalars, got {operand.type}")
        return (ScalarType(I64),)

    def eager(xp: Any, *operands: Any) -> Any:
        result = python(*(int(x) for x in operands))
        if not _LOW <= result <= _HIGH:
            raise OverflowError(loops.OVERFLOW_MESSAGE)
        return xp.int64(result)

    op(
        name,
        ("x", "y")[:arity],
        doc=f"{doc} `OverflowError` where the result does not fit 64 bits.",
        infer=infer,
        eager=eager,
        vjp="its result is an integer",
        lower=Opaque(emit),
        effect="fail",
        samples=lambda rng: [Sample(case) for case in cases],
        **algebra,
    )


_PAIRS = ((3, 4), (-7, 2), (0, 0), (_HIGH, 0), (_LOW, 0), (1 << 40, -(1 << 20)))
_checked(
    "checked_add",
    2,
    lambda x, y: x + y,
    loops.checked("add"),
    (*_PAIRS, (_HIGH, -5)),
    "x + y of Python ints.",
    commutative=True,
    neutral=0,
    ranges=lambda r, x, y: r.sum(x, y),
    unchecked="add",
)
_checked(
    "checked_sub",
    2,
    lambda x, y: x - y,
    loops.checked("sub"),
    (*_PAIRS, (_LOW, -5)),
    "x - y of Python ints.",
    neutral=0,
    ranges=lambda r, x, y: r.difference(x, y),
    unchecked="sub",
)
_checked(
    "checked_mul",
    2,
    lambda x, y: x * y,
    loops.checked("mul"),
    (*_PAIRS, (_LOW, 1)),
    "x * y of Python ints.",
    commutative=True,
    neutral=1,
    ranges=lambda r, x, y: r.product(x, y),
    unchecked="mul",
    cheaper=lambda r, x, y: "natural_checked_mul" if r.is_natural(x, y) and (x.known or y.known) else "",
)
_checked(
    "natural_checked_mul",
    2,
    lambda x, y: x * y,
    loops.natural_checked_mul,
    ((3, 4), (0, 7), (_HIGH, 1), (1 << 40, 1 << 20)),
    "x * y of Python ints that are not negative.",
    ranges=lambda r, x, y: r.product(x, y),
    unchecked="mul",
)
_checked(
    "checked_neg",
    1,
    lambda x: -x,
    loops.checked_negation("neg"),
    ((3,), (-4,), (0,), (_HIGH,)),
    "-x of a Python int.",
    ranges=lambda r, x: r.negation(x),
    unchecked="neg",
)
_checked(
    "checked_abs",
    1,
    lambda x: abs(x),
    loops.checked_negation("abs"),
    ((3,), (-4,), (0,), (_HIGH,)),
    "abs(x) of a Python int.",
    ranges=lambda r, x: r.magnitude(x),
    unchecked="abs",
)
_checked(
    "checked_pow",
    2,
    lambda x, y: x**y,
    loops.checked_pow,
    ((3, 4), (-2, 63), (0, 0), (7, 1), (-1, 101)),
    "x ** y of Python ints, y >= 0.",
)
_checked(
    "checked_shl",
    2,
    lambda x, y: x << y,
    loops.checked_shl,
    ((3, 4), (-1, 63), (0, 70), (5, 0)),
    "x << y of Python ints, y >= 0.",
)


def _natural(name: str, operation: str, eager: Callable[..., Any], doc: str) -> None:
    """Register the form of a division for operands that are not negative: without a sign it is one instruction, and a
    choice where y may be 0, for it may run before y is looked at."""
    binary(
        name,
        (I64,),
        doc=f"{doc} for x and y that are not negative; 0 where y is 0.",
        eager=eager,
        scalar=lambda k, x, y: k.cast(getattr(k, operation)(k.cast(x, U64), k.cast(y, U64)), I64),
        samples=uniform((0.0, 9.0), (0.0, 4.0), dtypes=("int64",)),
        names=(),
        cost=8,
    )


_natural("natural_floordiv", "floordiv", lambda xp, x, y: xp.floor_divide(x, y), "The floor of x / y,")
_natural("natural_mod", "mod", lambda xp, x, y: xp.remainder(x, y), "The remainder of x / y,")


def _near(k: Any, x: Any, y: Any) -> Any:
    return k.select(k.lt(x, 0), k.add(x, y), k.select(k.lt(x, y), x, k.sub(x, y)))


binary(
    "near_mod",
    (I64,),
    doc="The remainder of x / y for -y <= x < 2 * y: of a place beside the ends of an array that goes round.",
    eager=lambda xp, x, y: xp.remainder(x, y),
    scalar=_near,
    samples=uniform((-3.0, 5.0), (3.0, 3.0), dtypes=("int64",)),
    names=(),
    cost=3,
)
