"""The calls of LAPACK's routines, for libraries whose integers have 32 or 64 bits."""

from __future__ import annotations

import ctypes

import llvmlite.binding as llvm
import numpy as np
import pytest

from tracejit.codegen.support.lapack import lapack_module

#: A routine that reports 3 and writes 7, 8, ... into its last array.
ROUTINE = """
define void @tj_fortran_dgetrf(ptr %m, ptr %n, ptr %a, ptr %lead, ptr %pivots, ptr %info) {
  store INT 3, ptr %info
  %count = load INT, ptr %m
  br label %next
next:
  %i = phi INT [ 0, %0 ], [ %following, %one ]
  %more = icmp slt INT %i, %count
  br i1 %more, label %one, label %done
one:
  %to = getelementptr INT, ptr %pivots, INT %i
  %value = add INT %i, 7
  store INT %value, ptr %to
  %following = add INT %i, 1
  br label %next
done:
  ret void
}
"""


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("size", [0, 1, 5])
def test_integers_of_a_routine_become_ones_of_64_bits(bits: int, size: int) -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    declared = f"declare void @tj_fortran_dgetrf({', '.join(['ptr'] * 6)})\n"
    text = lapack_module(bits, {"dgetrf"}).replace(declared, ROUTINE.replace("INT", f"i{bits}"))
    module = llvm.parse_assembly(text)
    module.verify()
    machine = llvm.Target.from_default_triple().create_target_machine()
    with llvm.create_mcjit_compiler(module, machine) as engine:
        engine.finalize_object()
        kinds = [ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p]
        call = ctypes.CFUNCTYPE(ctypes.c_int64, *kinds)(engine.get_function_address("tj_lapack_dgetrf"))
        pivots = np.full(size + 1, -1, np.int64)
        assert call(size, size, 0, max(size, 1), pivots.ctypes.data) == 3
        assert pivots.tolist() == [*range(7, 7 + size), -1]
