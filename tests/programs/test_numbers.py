"""Where numbers overflow, wrap around, are rounded, stored and compared exactly: each program against plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check
from tests.programs.line_programs import module_of
from tracejit import ScriptError, script

TENS = np.array([12, 17, 25, -15, -26, -35])
BYTES = np.array([200, 100, 250, 255], np.uint8)
HALVES = np.array([3.0, 1.0, 2.0])
TENSOR = tj.tensor([1.0, 2.0, 3.0])
INTEGERS = (np.int8, np.int32, np.int64, np.uint8, np.uint16, np.uint64)
FLOATS = (1e30, -1e30, 1e10, float("nan"), float("inf"), -2.9, 200.7, 2.9, 2.0**63, -(2.0**63), 2.0**64)
PAIRS = (
    (2**53 + 1, 2.0**53),
    (2**63 - 1, 2.0**63),
    (-(2**63), -(2.0**63)),
    (5, float("nan")),
    (5, float("inf")),
    (5, 5.5),
    (-5, -5.5),
)
ORDERED = "a == b, a != b, a < b, a <= b, a > b, a >= b, b == a, b != a, b < a, b <= a, b > a, b >= a"
LITERALS = ", ".join(f"a {op} -1, -1 {op} a, a {op} 2**62" for op in ("==", "!=", "<", "<=", ">", ">="))

PROGRAMS: dict[str, tuple[Any, ...]] = {
    # rounding integers to tens wraps around in their dtype
    "a | np.round(a, -1), a.round(-1), np.round(a, -2), np.round(a, 2), round(a[0], -1)": (TENS, BYTES),
    # the builtin sum adds items one by one, in their dtype
    "a | sum(a), sum(a, 5), sum(a, 0.5)": (BYTES, BYTES.astype(np.int8), TENS.astype(np.int32), HALVES),
    # floats that Python makes overflow
    "v | a, n = v;; a**n": ((10.0, 400), (1e200, 2), (-1e200, 3.0), (2.0, 3), (0.0, -1), (0, -1), (2, 3), (1e999, 2)),
    "a | a**2": (1e200, 3.0, np.float64(1e200)),
    "n | 10.0**n": (400, 3),
    "v | math.fmod(v[0], v[1])": ((1.0, 0.0), (1e999, 2.0), (5.0, 3.0), (5.0, 1e999), (1e999 * 0, 0.0)),
    "v | a, b = v;; " + ORDERED: PAIRS,
    # Python integers outside the dtype they are compared with, or stand beside in `where`
    "a | " + LITERALS: (np.uint64(2**63), np.array([2**63, 1], np.uint64), TENS),
    "v | a, b = v;; " + ORDERED + " ": ((np.uint64(2**63), -1), (np.uint64(3), 3), (np.array([2**63], np.uint64), -1)),
    "a | np.where(a > 200, a, -1), np.where(a > 200, 300, a), np.where(a > 200, a, 2**40)": (BYTES,),
    "v | np.where(v[0] > 200, v[0], v[1])": ((BYTES, -200), (BYTES, 5)),
    # bounds of a range in a narrow dtype
    "n | b = np.zeros(9);; for k in range(n[0], n[1]):\\n\\tb[k] = 1;; b": (np.array([1, 4], np.uint8),),
    "n | [k for k in range(n[0], 9, n[1])]": (np.array([1, 4], np.uint8),),
    # a sequence beside an array is an array
    "a | a * [3, 4, 5], [1, 2, 3] - a, a / (1, 2, 3), a == [3, 1, 5], a < (1, 2, 3), a @ [1, 2, 3]": (HALVES,),
    "a | a += [1, 2, 3];; a": (HALVES,),
    "v | v[0] * v[1]": ((HALVES, [1, 2, 3]),),
    # NumPy's scalars, inside containers too
    "a | print(a[0], [a[0]], f'{a[0]} {a[0]:.3f} {a[0]!r}', str(a[0]), repr(a[1]), a[1])": (
        np.array([0.1, 1e-5], np.float32),
        np.array([0.1, 3.0], np.float16),
        np.array([0.1, 1e20]),
    ),
    "v | print([v[0][0]], (v[0][0], v[1]), {'k': v[0][0]}, v[0][0], f'{v[0][0]} {v[0][0]!r} {[v[1]]}')": (
        (HALVES, 2.5),
        (TENS, 3),
    ),
    # NumPy's functions make NumPy's dtypes beside Tensors too
    "x | np.ones(3) + x, np.zeros(3) + x, np.array([1.0, 2.0, 3.0]) + x, np.asarray([1.0, 2.0, 3.0]) + x": (TENSOR,),
    "x | np.linspace(0, 1, 3) + x, np.arange(3.0) + x, np.eye(3) + x, np.full(3, 2.0) + x": (TENSOR,),
}


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    lines = [*PROGRAMS, "a, x | a[0] = x;; a", "a, x | a[:] = x;; a", "v | v[0] ** v[1]"]
    lines += ["c | print(c)", "c | raise ValueError(f'bad {c}')", "c | raise ValueError('bad', c)"]
    module = module_of(lines, tmp_path_factory.mktemp("numbers") / "number_programs.py")
    return {line: getattr(module, f"p{k}") for k, line in enumerate(lines)}


@pytest.mark.parametrize("line", PROGRAMS)
def test_a_program(programs, line):
    scripted = None
    for argument in PROGRAMS[line]:
        scripted = check(programs[line], argument, scripted=scripted)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_a_float_stored_in_an_integer_array(programs, dtype):
    for line in ("a, x | a[0] = x;; a", "a, x | a[:] = x;; a"):
        scripted = None
        for number in FLOATS:
            scripted = check(programs[line], np.zeros(2, dtype), number, scripted=scripted)


@pytest.mark.parametrize("number", [1 + 2j, np.complex64(1j)])
def test_a_complex_number_in_a_message(programs, number):
    for line in ("c | print(c)", "c | raise ValueError(f'bad {c}')", "c | raise ValueError('bad', c)"):
        check(programs[line], number)


@pytest.mark.parametrize("operands", [(2, -1), (-2.0, 0.5)])
def test_a_power_whose_type_depends_on_the_numbers_is_refused(programs, operands):
    with pytest.raises(ScriptError, match=r"use (float|complex)\(x\) \*\* y") as caught:
        script(programs["v | v[0] ** v[1]"])(operands)
    assert "number_programs" in str(caught.traceback[-1].path)


def test_an_int_that_a_narrow_dtype_cannot_hold_does_not_become_one_refused():
    def least(a):
        least = 1000
        for v in a:
            if v < least:
                least = v
        return least

    def chosen(a):
        return a[0] if a[0] < a[1] else 300

    def listed(a):
        items = [300]
        for v in a:
            items.append(v)
        return items[0]

    for program in (least, chosen, listed):
        for dtype in ("int8", "uint8"):
            with pytest.raises(ScriptError, match=f"is the int .*00 and elsewhere {dtype}, which cannot hold that"):
                script(program)(np.array([3, 2], dtype))
        scripted = script(program)
        for dtype in ("int16", "int64", "float32"):
            assert scripted(np.array([3, 2], dtype)) == program(np.array([3, 2], dtype))

    def counted(a):
        number = len(a) * 100
        for v in a:
            number = min(number, v)
        return number

    scripted = script(counted)
    assert scripted(np.array([3], np.int8)) == 3
    with pytest.raises(OverflowError, match="Python integer 200 out of bounds for int8"):
        scripted(np.array([3, 2], np.int8))
