"""The mathematical library: functions as straight-line code of simple scalar operations, for vectors of any width."""

from __future__ import annotations

from collections.abc import Callable

from tracejit.codegen.loop_ir import Expr
from tracejit.codegen.mathlib.half import half_conversion, storage_dtype

__all__ = ["FUNCTIONS", "half_conversion", "storage_dtype"]

#: `(k, *operands) -> Expr` by operation name.
FUNCTIONS: dict[str, Callable[..., Expr]] = {}
