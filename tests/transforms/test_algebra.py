"""Which identities are applied: only those that hold to the bit."""

from __future__ import annotations

import math

import pytest

import tracejit.ops  # noqa: F401
from tracejit.ir.opdef import REGISTRY
from tracejit.ir.types import BF16, BOOL, C64, C128, F32, F64, I8, I64, U8, DType, ScalarType
from tracejit.transforms.algebra import decide_comparison, is_idempotent, is_neutral, value_with_itself


@pytest.mark.parametrize(
    ("op", "number", "dtype", "right", "expected"),
    [
        ("add", 0, I64, True, True),
        ("add", 0, I64, False, True),
        ("add", 0.0, F64, True, False),
        ("add", -0.0, F64, True, True),
        ("add", complex(-0.0, -0.0), C128, True, True),
        ("sub", 0.0, F32, True, True),
        ("sub", -0.0, F32, True, False),
        ("sub", 0, I64, False, False),
        ("mul", 1.0, F32, False, True),
        ("mul", 1.0, BF16, True, True),
        ("mul", 0.0, F32, True, False),
        ("div", 1.0, F64, True, True),
        ("div", 1.0, F64, False, False),
        ("logical_and", True, BOOL, False, True),
        ("logical_or", True, BOOL, False, False),
        ("shl", 0, U8, True, True),
        ("add", complex(-0.0, -0.0), C64, True, True),
    ],
)
def test_neutral_elements(op: str, number: complex, dtype: DType, right: bool, expected: bool) -> None:
    assert is_neutral(REGISTRY[op], number, ScalarType(dtype), right) is expected


def test_idempotent_functions() -> None:
    assert is_idempotent(REGISTRY["abs"], ScalarType(F32))
    assert is_idempotent(REGISTRY["abs"], ScalarType(I8))
    assert is_idempotent(REGISTRY["floor"], ScalarType(F64))


@pytest.mark.parametrize(
    ("op", "dtype", "expected"),
    [
        ("sub", I64, 0),
        ("eq", I8, True),
        ("lt", U8, False),
        ("sub", F64, None),
        ("eq", F64, None),
        ("floordiv", I64, None),
        ("add", I64, None),
    ],
)
def test_integers_with_themselves(op: str, dtype: DType, expected: object) -> None:
    assert value_with_itself(REGISTRY[op], ScalarType(dtype)) == expected


def test_ranges_decide_comparisons() -> None:
    sizes = (2, 2**63 - 1)
    assert decide_comparison(REGISTRY["eq"], sizes, (1, 1)) is False
    assert decide_comparison(REGISTRY["gt"], sizes, (1, 1)) is True
    assert decide_comparison(REGISTRY["lt"], (0, 0), sizes) is True
    assert decide_comparison(REGISTRY["eq"], sizes, (2, 2)) is None
    assert decide_comparison(REGISTRY["ge"], sizes, (2, 2)) is True
    assert decide_comparison(REGISTRY["lt"], sizes, (2, 2)) is False
    assert decide_comparison(REGISTRY["gt"], sizes, (2, 2)) is None
    assert decide_comparison(REGISTRY["le"], (0, 2), sizes) is True
    assert decide_comparison(REGISTRY["ne"], (0, 1), sizes) is True
    assert decide_comparison(REGISTRY["sub"], sizes, (1, 1)) is None
    assert decide_comparison(REGISTRY["eq"], None, (1, 1)) is None


def test_nan_is_a_number_like_any_other_here() -> None:
    assert not is_neutral(REGISTRY["mul"], math.nan, ScalarType(F64), True)
