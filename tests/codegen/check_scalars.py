"""Runs as a child process: every scalar operation on some dtypes, compiled as a vector loop for one kind of machine.

Usage: check_scalars.py MACHINE DTYPE... Prints one line per disagreement and ends with status 1 if there is any.
"""

from __future__ import annotations

import sys

import ml_dtypes
import numpy as np
from native_programs import maps, values

from tracejit.codegen import numeric
from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.scalars import SCALARS
from tracejit.ir.types import BOOL, BY_NAME, DTYPES, DType
from tracejit.runtime.cpu import compile_program
from tracejit.runtime.machines import host_options

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


def disagreement(name: str, operands: list[np.ndarray], found: np.ndarray) -> str | None:
    """What is wrong with an operation's results, or None."""
    row = SCALARS[name]
    with np.errstate(all="ignore"):
        expected = np.asarray(row.evaluate(*operands)).astype(found.dtype)
    if row.result == "bool" or found.dtype.kind in "biu":
        return None if (found == expected).all() else worst(operands, found, expected)
    distance = ulps(found, expected)
    exact = (row.expand is None and name != "fma") or name in ("sign", "minimum", "maximum")
    return None if distance <= (0 if exact else 4) else f"{distance} ULP: {worst(operands, found, expected)}"


def worst(operands: list[np.ndarray], found: np.ndarray, expected: np.ndarray) -> str:
    """The first element that differs."""
    same = (found == expected) | ((found != found) & (expected != expected))
    at = int(np.argmin(same))
    return f"{[o[at] for o in operands]} gives {found[at]}, expected {expected[at]}"


def places_of(name: str, arity: int) -> tuple[int, ...]:
    """Which inputs an operation gets: any, any, any, amounts to shift or scale, divisors, numerators for them."""
    if name in ("lsl", "asr", "lsr", "ldexp"):
        return (0, 3)
    return (5, 4) if name in ("quotient", "remainder") else tuple(range(arity))


def inputs_of(dtype: DType) -> list[np.ndarray]:
    """77 values for each input, so that vectors and tails are there."""
    rng = np.random.default_rng(1)
    x, y, z = (values(dtype, 77, rng) for _ in range(3))
    if not dtype.is_integer:
        exponents = np.rint(np.clip(np.where(y == y, y, 0).astype(np.float64), -150, 150)).astype(y.dtype)
        return [x, y, z, exponents, x, x]
    amounts = (np.abs(y.astype(np.int64)) % dtype.bits).astype(y.dtype)
    divisors = np.where(y == 0, 1, y).astype(y.dtype)
    numerators = np.where(divisors.astype(np.int64) == -1, 5, x).astype(x.dtype) if dtype.kind == "i" else x
    return [x, y, z, amounts, divisors, numerators]


def check_operations(dtype: DType, options: LlvmOptions) -> int:
    """Compile and compare all operations; the number of disagreements."""
    rows = [r for n, r in SCALARS.items() if dtype.kind in r.kinds and (n != "asr" or dtype.kind != "u")]
    inputs = inputs_of(dtype)
    fns = [
        (lambda k, *xs, name=r.name: k.op(name, *xs), places_of(r.name, r.arity), BOOL if r.result == "bool" else dtype)
        for r in rows
    ]
    results = compile_program(maps(fns, dtype, len(inputs)), options=options).call(inputs)
    wrong = 0
    for row, (_, used, _), found in zip(rows, fns, results, strict=True):
        problem = disagreement(row.name, [inputs[u] for u in used], found)
        if problem is not None:
            wrong += 1
            print(f"{row.name} on {dtype}: {problem}")
    return wrong


def check_casts(source: DType, options: LlvmOptions) -> int:
    """Compile and compare all casts of a dtype; floats outside an integer's range are left out."""
    x = values(source, 77, np.random.default_rng(2))
    targets = [t for t in DTYPES if not t.is_complex and t != source]
    fns = [(lambda k, v, to=t: k.cast(v, to), (i,), t) for i, t in enumerate(targets)]
    inputs = [fitting(x, source, t) for t in targets]
    wrong = 0
    for target, given, found in zip(
        targets, inputs, compile_program(maps(fns, source, len(inputs)), options=options).call(inputs), strict=True
    ):
        with np.errstate(all="ignore"):
            expected = given.astype(numeric.numpy_dtype(target))
        if not ((found == expected) | ((found != found) & (expected != expected))).all():
            wrong += 1
            print(f"cast of {source} to {target}: {worst([given], found, expected)}")
    return wrong


def fitting(x: np.ndarray, source: DType, target: DType) -> np.ndarray:
    """The values that the target can hold; 1 in place of the others."""
    if not source.is_float or not target.is_integer:
        return x
    info, wide = np.iinfo(numeric.numpy_dtype(target)), x.astype(np.float64)
    return np.where((wide > info.min - 1.0) & (wide < float(info.max)), x, x.dtype.type(1)).astype(x.dtype)


def main(machine: str, names: list[str]) -> int:
    """Check everything; the number of disagreements."""
    options = MACHINES[machine]
    return sum(check_operations(BY_NAME[n], options) + check_casts(BY_NAME[n], options) for n in names)


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1], sys.argv[2:]) else 0)
