"""Numbers in order by vectors: of any number of them, with pivots of either kind, and nothing else is written."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest

from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.support.ordering import FEW, SLACK, ordering_module
from tracejit.runtime.engine import engine

Order = Callable[[np.ndarray[Any, Any]], None]
ROUNDS = "%rounds = mul i64 %digits, 2"


@pytest.fixture(scope="module", params=[(32, False), (32, True), (64, False), (64, True)])
def order(request: pytest.FixtureRequest) -> Iterator[tuple[Any, Order]]:
    """A dtype and the function for it; with middles of the range as pivots, and with medians of samples before."""
    bits, by_middles = request.param
    options = engine().options
    if options.vector_bits < 512:
        pytest.skip("needs a CPU with AVX-512")
    text = ordering_module(bits, options)
    assert ROUNDS in text
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    module = llvm.parse_assembly(text.replace(ROUNDS, "%rounds = mul i64 %digits, 0") if by_middles else text)
    module.verify()
    machine = llvm.Target.from_default_triple().create_target_machine(cpu=options.cpu, features=options.features)
    with llvm.create_mcjit_compiler(module, machine) as compiled:
        compiled.finalize_object()
        kinds = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
        call = ctypes.CFUNCTYPE(ctypes.c_int64, *kinds)(compiled.get_function_address(f"tj_order_u{bits}"))

        def run(x: np.ndarray[Any, Any]) -> None:
            memory = np.full(len(x) + SLACK + 8, 77, x.dtype)
            assert call(x.ctypes.data, memory.ctypes.data, len(x)) == 1
            assert (memory[len(x) + SLACK :] == 77).all()

        yield np.dtype(f"u{bits // 8}"), run


def patterns(n: int, dtype: Any) -> Iterator[np.ndarray[Any, Any]]:
    rng, most = np.random.default_rng(n), np.iinfo(dtype).max
    yield rng.integers(0, most, n, dtype=dtype, endpoint=True)
    yield rng.integers(0, 3, n).astype(dtype)
    yield np.arange(n).astype(dtype)
    yield np.arange(n)[::-1].astype(dtype)
    yield np.full(n, most, dtype)
    yield np.zeros(n, dtype)
    yield np.left_shift(dtype.type(1), rng.integers(0, 8 * dtype.itemsize, n).astype(dtype))
    yield np.minimum(np.arange(n), np.arange(n)[::-1]).astype(dtype)
    yield np.where(rng.random(n) < 0.02, rng.integers(0, 99, n), most).astype(dtype)


@pytest.mark.parametrize("n", [*range(20), FEW - 1, FEW, FEW + 1, 2 * FEW + 3, 500, 1000, 20_000])
def test_order(order: tuple[Any, Order], n: int) -> None:
    dtype, run = order
    for given in patterns(n, dtype):
        whole = np.concatenate([given, np.full(40, 123, dtype)])
        run(whole[:n])
        np.testing.assert_array_equal(whole[:n], np.sort(given))
        assert (whole[n:] == 123).all()


@pytest.mark.parametrize("bits", [32, 64])
def test_other_machines_say_that_they_do_not(bits: int) -> None:
    assert "ret i64 0" in ordering_module(bits, LlvmOptions("x86-64-v3", vector_bits=256))
