"""The mathematical library: functions as straight-line code of simple scalar operations, for vectors of any width.

Results are within 2 ULP of the true value in f32 and f64, with NaN, infinities, signed zeros, subnormals and huge
arguments right, whether or not the target fuses multiply and add.
"""

from __future__ import annotations

from collections.abc import Callable

from tracejit.codegen.loop_ir import Expr
from tracejit.codegen.mathlib import arithmetic, error, exponential, logarithmic, power, trigonometric
from tracejit.codegen.mathlib.half import half_conversion, storage_dtype

__all__ = ["FUNCTIONS", "half_conversion", "storage_dtype"]

_PLACES = {
    arithmetic: "ldexp exponent significand",
    exponential: "exp exp2 expm1 sigmoid sinh cosh tanh",
    logarithmic: "log log1p log2 log10 asinh acosh atanh",
    trigonometric: "sin cos tan asin acos atan atan2",
    power: "half_power pow cbrt hypot rsqrt fmod",
    error: "erf",
}

#: `(k, *operands) -> Expr` by operation name.
FUNCTIONS: dict[str, Callable[..., Expr]] = {
    name: getattr(module, name) for module, names in _PLACES.items() for name in names.split()
}
