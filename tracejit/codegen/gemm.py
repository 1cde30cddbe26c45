"""Matrix products as LLVM text: calls of a BLAS where there is one, an own register-blocked kernel otherwise.

`@tj_gemm_T(m, n, k, A, a_row, a_col, B, b_row, b_col, C, c_row)` computes C = A @ B with strides in elements; C's
columns are contiguous. `_inner` is the same from inside a parallel loop.
"""

from __future__ import annotations

from tracejit.codegen.gemm_blas import PARAMS, blas_text
from tracejit.codegen.gemm_kernel import kernel_text
from tracejit.codegen.llvm_options import LlvmOptions


def gemm_text(options: LlvmOptions, blas_integer: int = 0, blas_threads: bool = False) -> str:
    """The products of f32 and f64; the arguments are those of `gemm_module`."""
    if blas_integer:
        return blas_text(f"i{blas_integer}", blas_threads)
    return "\n".join(_own(name, options) for name in ("f32", "f64"))


def _own(name: str, options: LlvmOptions) -> str:
    """The own kernel; inside a parallel loop its own parallel loop runs serially by itself."""
    text = kernel_text(name, options)
    for suffix in ("", "_inner"):
        text += f"""
define void @tj_gemm_{name}{suffix}({PARAMS}) nounwind {{
  call void @tj_own_gemm_{name}({PARAMS})
  ret void
}}"""
    return text
