"""Indices that are a number less the count of a loop are carried, where that keeps numbers in registers."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit.codegen.llvm.falling import with_falling_indices
from tracejit.codegen.loop_ir import Const, For, Let, Load, Pointer, Scalar, Store, Var
from tracejit.ir.types import I64


def recurrence(a: Any, b: Any) -> Any:
    h = np.zeros_like(a)
    h[0] = b[0]
    for i in range(1, len(a)):
        h[i] = a[i] * h[i - 1] + b[i]
    return (h * h).sum()


@pytest.mark.compiled
def test_gradients_of_loops_step_backward() -> None:
    a, b = np.array([0.5, 0.25, -2.0, 3.0]), np.array([1.0, 2.0, 3.0, 4.0])
    gradient = tj.grad(recurrence, argnums=(0, 1))
    da, db = gradient(a, b)  # h is 1, 2.25, -1.5, -0.5
    np.testing.assert_allclose(da, [0.0, 16.5 * 1.0, -6.0 * 2.25, -1.0 * -1.5])
    np.testing.assert_allclose(db, [2.0 + 0.25 * 16.5, 16.5, -6.0, -1.0])
    entry, _, _ = gradient.llvm.partition("; ---- kernels")
    assert not re.search(r"sub i64 %\w+, %i\d+", entry)


def test_only_numbers_from_outside_are_carried_where_a_trip_reads_what_another_wrote() -> None:
    count, last, inner, place, other = (Var(name, I64) for name in ("i", "last", "inner", "place", "other"))
    buffer, read = Var("x", Pointer(I64)), Var("read", I64)
    lets = (
        Let(inner, Scalar("add", (count, Const(1, I64)), I64)),
        Let(place, Scalar("sub", (last, count), I64)),
        Let(other, Scalar("sub", (inner, count), I64)),
        Let(read, Load(buffer, place, I64)),
    )
    beside = For(count, Const(3, I64), (*lets, Store(buffer, other, read)))
    loop = with_falling_indices(beside)
    assert [(c.var, c.init) for c in loop.carried] == [(place, last)]
    assert loop.body == (lets[0], *lets[2:], beside.body[-1])
    same = For(count, Const(3, I64), (*lets, Store(buffer, place, read)))
    assert with_falling_indices(same) is same
