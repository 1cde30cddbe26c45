"""Runs as a child process: every scalar operation on some dtypes, compiled as a vector loop for one kind of machine.

Usage: check_scalars.py MACHINE DTYPE... Prints one line per disagreement and ends with status 1 if there is any.
"""

from __future__ import annotations

import sys

import ml_dtypes
import numpy as np
from native_programs import pointwise, values

from tracejit.codegen import numeric
from tracejit.codegen.llvm_options import LlvmOptions
from tracejit.codegen.scalars import SCALARS
from tracejit.ir.types import BOOL, BY_NAME, DTYPES, DType
from tracejit.runtime.cpu import compile_program
from tracejit.runtime.engine import host_options

MACHINES = {
    "host": host_options(),
    "narrow": LlvmOptions("x86-64-v2", "", 128, 0),
    "middle": LlvmOptions("x86-64-v3", "", 256, 32, True),
}


def ulps(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest distance in units of the last place; NaN agrees with NaN only."""
    wide, truth = found.astype(np.float64), expected.astype(np.float64)
    if (np.isnan(wide) != np.isnan(truth)).any() or (np.isinf(wide) != np.isinf(truth)).any():
        return float("inf")
    finite = np.isfinite(truth)
    info = ml_dtypes.finfo(expected.dtype)
    exponent = np.floor(np.log2(np.maximum(np.abs(truth[finite]), float(info.tiny))))
    return float(np.max(np.abs(wide[finite] - truth[finite]) / 2.0 ** (exponent - info.nmant), initial=0))


def disagreement(name: str, dtype: DType, options: LlvmOptions) -> str | None:
    """What is wrong with an operation, or None."""
    row = SCALARS[name]
    if name == "asr" and dtype.kind == "u":
        return None
    rng = np.random.default_rng(1)
    operands = [values(dtype, 77, rng) for _ in range(row.arity)]
    if name in ("lsl", "asr", "lsr"):
        operands[1] = (np.abs(operands[1].astype(np.int64)) % dtype.bits).astype(operands[1].dtype)
    if name in ("quotient", "remainder"):
        operands[1] = np.where(operands[1] == 0, 1, operands[1]).astype(operands[1].dtype)
        operands[0] = (
            np.where(operands[1] == -1, 5, operands[0]).astype(operands[0].dtype) if dtype.kind == "i" else operands[0]
        )
    result = BOOL if row.result == "bool" else dtype
    program = pointwise(lambda k, *xs: k.op(name, *xs), [dtype] * row.arity, result)
    (found,) = compile_program(program, options=options).call(operands)
    with np.errstate(all="ignore"):
        expected = np.asarray(row.evaluate(*operands)).astype(found.dtype)
    if dtype.is_float and result == dtype:
        distance = ulps(found, expected)
        exact = (row.expand is None and name != "fma") or name in ("sign", "minimum", "maximum")
        return None if distance <= (0 if exact else 4) else f"{distance} ULP: {worst(operands, found, expected)}"
    return None if (found == expected).all() else worst(operands, found, expected)


def worst(operands: list[np.ndarray], found: np.ndarray, expected: np.ndarray) -> str:
    """The first element that differs."""
    same = (found == expected) | ((found != found) & (expected != expected))
    at = int(np.argmin(same))
    return f"{[o[at] for o in operands]} gives {found[at]}, expected {expected[at]}"


def cast_disagreement(source: DType, target: DType, options: LlvmOptions) -> str | None:
    """What is wrong with a cast, or None; floats outside an integer's range are left out."""
    x = values(source, 77, np.random.default_rng(2))
    if source.is_float and target.is_integer:
        low, high = np.iinfo(numeric.numpy_dtype(target)).min, np.iinfo(numeric.numpy_dtype(target)).max
        wide = x.astype(np.float64)
        x = np.where((wide > low - 1.0) & (wide < float(high)), x, x.dtype.type(1)).astype(x.dtype)
    (found,) = compile_program(pointwise(lambda k, v: k.cast(v, target), [source], target), options=options).call([x])
    with np.errstate(all="ignore"):
        expected = x.astype(numeric.numpy_dtype(target))
    same = (found == expected) | ((found != found) & (expected != expected))
    return None if same.all() else worst([x], found, expected)


def main(dtype: DType, options: LlvmOptions) -> int:
    """Check everything; the number of disagreements."""
    wrong = 0
    for name, row in SCALARS.items():
        if dtype.kind in row.kinds and (found := disagreement(name, dtype, options)):
            wrong += 1
            print(f"{name} on {dtype}: {found}")
    for target in DTYPES:
        if not target.is_complex and target != dtype and (found := cast_disagreement(dtype, target, options)):
            wrong += 1
            print(f"cast of {dtype} to {target}: {found}")
    return wrong


if __name__ == "__main__":
    sys.exit(1 if sum(main(BY_NAME[name], MACHINES[sys.argv[1]]) for name in sys.argv[2:]) else 0)
