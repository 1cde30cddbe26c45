"""Numbers in order by vectors: of any number of them, with pivots of either kind, and nothing else is written."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest

from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.support.ordering import CALLS, SLACK, ordering_module
from tracejit.runtime.engine import engine

ROUNDS = "%rounds = mul i64 %digits, 2"
#: Bits of numbers, bits of vectors (of any CPU with AVX2: LLVM does in several instructions what a CPU has none for),
#: and whether pivots are middles of the range, or members of samples before.
KINDS = [(bits, width, by_middles) for bits in (32, 64) for width in (256, 512) for by_middles in (False, True)]


class Ordering:
    """The functions of a module, with arrays that they may read and write no further than is said."""

    def __init__(self, bits: int, compiled: Any) -> None:
        self.dtype = np.dtype(f"i{bits // 8}")
        self.functions: dict[str, Any] = {}
        for name, (arrays, numbers) in CALLS[bits].items():
            kinds = [*[ctypes.c_void_p] * arrays, *[ctypes.c_int64] * numbers]
            address = compiled.get_function_address(f"tj_{name}")
            self.functions[name.partition("_")[0]] = ctypes.CFUNCTYPE(ctypes.c_int64, *kinds)(address)

    def __call__(self, name: str, given: np.ndarray[Any, Any], *numbers: int) -> np.ndarray[Any, Any]:
        n = len(given)
        whole = np.concatenate([given, np.full(SLACK, 123, self.dtype)])
        spare = [np.full(n + SLACK + 8, 77, self.dtype) for _ in range(2 if name == "places" else 1)]
        assert self.functions[name](whole.ctypes.data, *(s.ctypes.data for s in spare), n, *numbers) == 1
        assert (whole[n:] == 123).all()
        assert all((s[n + SLACK :] == 77).all() for s in spare)
        if name == "places":
            np.testing.assert_array_equal(whole[:n], given)
            return spare[0][:n]
        return whole[:n]


@pytest.fixture(scope="module", params=KINDS, ids=str)
def ordering(request: pytest.FixtureRequest) -> Iterator[Ordering]:
    bits, width, by_middles = request.param
    options = engine().options
    if options.vector_bits < 256:
        pytest.skip("needs a CPU with AVX2")
    text = ordering_module(bits, replace(options, vector_bits=width))
    assert ROUNDS in text
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    module = llvm.parse_assembly(text.replace(ROUNDS, "%rounds = mul i64 %digits, 0") if by_middles else text)
    module.verify()
    machine = llvm.Target.from_default_triple().create_target_machine(cpu=options.cpu, features=options.features)
    with llvm.create_mcjit_compiler(module, machine) as compiled:
        compiled.finalize_object()
        yield Ordering(bits, compiled)


def patterns(n: int, dtype: Any) -> Iterator[np.ndarray[Any, Any]]:
    rng, (least, most) = np.random.default_rng(n), (np.iinfo(dtype).min, np.iinfo(dtype).max)
    yield rng.integers(least, most, n, dtype=dtype, endpoint=True)
    yield rng.integers(-1, 2, n).astype(dtype)
    yield np.arange(n).astype(dtype)
    yield np.arange(n)[::-1].astype(dtype)
    yield np.full(n, most, dtype)
    yield np.full(n, least, dtype)
    yield np.left_shift(dtype.type(1), rng.integers(0, 8 * dtype.itemsize, n).astype(dtype))
    yield np.minimum(np.arange(n), np.arange(n)[::-1]).astype(dtype)
    yield np.where(rng.random(n) < 0.02, rng.integers(0, 99, n), most).astype(dtype)
    yield rng.choice(np.array([least, least + 1, least + 9, most - 5, most - 4, 0, 3], dtype), n)


SIZES = [*range(10), 31, 32, 33, 63, 64, 65, 127, 129, 500, 1023, 1024, 5000]


def test_order(ordering: Ordering) -> None:
    for n in SIZES:
        for given in patterns(n, ordering.dtype):
            np.testing.assert_array_equal(ordering("order", given), np.sort(given))


def test_select(ordering: Ordering) -> None:
    for n in SIZES[1:]:
        for given in patterns(n, ordering.dtype):
            order = np.sort(given)
            for rank in {0, n // 3, n // 2, n - 1}:
                found = ordering("select", given, rank)
                assert found[rank] == order[rank]
                assert (found[:rank] <= order[rank]).all()
                assert (found[rank:] >= order[rank]).all()
                np.testing.assert_array_equal(np.sort(found), order)


def test_places(ordering: Ordering) -> None:
    if ordering.dtype.itemsize < 8:
        pytest.skip("32-bit keys take their places with them")
    for n in SIZES:
        for given in patterns(n, ordering.dtype):
            np.testing.assert_array_equal(ordering("places", given), np.argsort(given, kind="stable"))


@pytest.mark.parametrize("bits", [32, 64])
def test_other_machines_say_that_they_do_not(bits: int) -> None:
    assert "ret i64 0" in ordering_module(bits, LlvmOptions("x86-64-v2", vector_bits=128))
