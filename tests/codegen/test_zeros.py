"""Arrays of zeros are filled without a kernel."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit as tj
from tests.threads import each_number_of_threads
from tracejit.codegen.llvm.streams import LARGE
from tracejit.codegen.text import print_program


def zeros(n: int, m: int):
    a = np.zeros(n)
    b = np.zeros((n, m), np.complex64)
    c = np.zeros(n, np.bool_)
    if n > 0:
        a[n - 1] = 1
        b[0, m - 1] = 2j
        c[n // 2] = True
    return a, b, c


def test_zeros_of_any_size_and_dtype() -> None:
    fn = tj.script(zeros)
    whole = LARGE // 8
    with each_number_of_threads(1, 3) as counts:
        for _ in counts:
            for n, m in ((0, 1), (1, 2), (7, 3), (1000, 5), (whole - 1, 1), (whole, 1), (whole + 131_077, 1)):
                used = fn(n, m)  # memory that is used again is not zero by itself
                for x in used:
                    x.fill(1)
                del used
                for found, expected in zip(fn(n, m), zeros(n, m), strict=True):
                    np.testing.assert_array_equal(found, expected, strict=True)


@pytest.mark.compiled
def test_only_zeros_need_no_kernel() -> None:
    fn = tj.script(zeros)
    fn(3, 2)
    assert fn.last.compiled.program.kernels == ()
    other = tj.script(lambda n: (np.full(n, -0.0), np.ones(n), np.zeros(n)))
    assert all(np.signbit(other(5)[0]))
    text = print_program(other.last.compiled.program)
    assert (text.count("\n  kernel"), text.count("call zero_shared")) == (2, 1)
    alone = tj.script(parallel=False)(lambda n: np.zeros(n))
    assert not alone(4).any()
    assert "zero_shared" not in print_program(alone.last.compiled.program)
