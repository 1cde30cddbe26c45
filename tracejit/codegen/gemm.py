"""Matrix products as LLVM text: register tiles where packing does not pay, products of one row or column, else a BLAS
where there is one, else an own blocked kernel.

`@tj_gemm_T(m, n, k, A, a_row, a_col, B, b_row, b_col, C, c_row)` computes C = A @ B with strides in elements; C's
columns are contiguous. `_inner` is the same from inside a parallel loop.
"""

from __future__ import annotations

from tracejit.codegen.gemm_blas import PARAMS, blas_text
from tracejit.codegen.gemm_kernel import kernel_text
from tracejit.codegen.llvm_options import LlvmOptions

#: dtypes with products of their own.
DTYPES = ("f32", "f64")


def gemm_text(name: str, options: LlvmOptions, blas_integer: int = 0, blas_threads: bool = False) -> str:
    """The products of one dtype; the arguments are those of `gemm_module`."""
    packed = blas_text(name, f"i{blas_integer}", blas_threads) if blas_integer else _own(name, options)
    return _DIRECT.format(name=name) + packed + _choice(name, "") + _choice(name, "_inner")


_DIRECT = """
declare i1 @tj_direct_fits_{name}(i64, i64, i64, i64, i64)
declare void @tj_direct_{name}(i64, i64, i64, ptr, i64, i64, ptr, i64, ptr, i64, i1)
declare i1 @tj_line_{name}(i64, i64, ptr, i64, ptr, i64, i64, ptr)
"""


def _choice(name: str, suffix: str) -> str:
    """Tiles where they fit, one row or column by itself, else packed blocks. A product with one column is the
    transposed one with one row."""
    share = "false" if suffix else "true"
    tiles = f"i64 %m, i64 %n, i64 %k, ptr %a, i64 %ar, i64 %ac, ptr %b, i64 %br, ptr %c, i64 %cr, i1 {share}"
    return f"""
define void @tj_gemm_{name}{suffix}({PARAMS}) nounwind {{
  %fits = call i1 @tj_direct_fits_{name}(i64 %m, i64 %n, i64 %k, i64 %ac, i64 %bc)
  br i1 %fits, label %direct, label %thin
direct:
  call void @tj_direct_{name}({tiles})
  ret void
thin:
  %row = icmp eq i64 %m, 1
  br i1 %row, label %one.row, label %several
one.row:
  %row.done = call i1 @tj_line_{name}(i64 %n, i64 %k, ptr %a, i64 %ac, ptr %b, i64 %br, i64 %bc, ptr %c)
  br i1 %row.done, label %done, label %packed
several:
  %single = icmp eq i64 %n, 1
  %dense = icmp eq i64 %cr, 1
  %column = and i1 %single, %dense
  br i1 %column, label %one.column, label %packed
one.column:
  %column.done = call i1 @tj_line_{name}(i64 %m, i64 %k, ptr %b, i64 %br, ptr %a, i64 %ac, i64 %ar, ptr %c)
  br i1 %column.done, label %done, label %packed
done:
  ret void
packed:
  call void @tj_packed_{name}{suffix}({PARAMS})
  ret void
}}"""


def _own(name: str, options: LlvmOptions) -> str:
    """The own kernel; inside a parallel loop its own parallel loop runs serially by itself."""
    text = kernel_text(name, options)
    for suffix in ("", "_inner"):
        text += f"""
define internal void @tj_packed_{name}{suffix}({PARAMS}) nounwind {{
  call void @tj_own_gemm_{name}({PARAMS})
  ret void
}}"""
    return text
