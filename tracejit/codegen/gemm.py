"""Matrix products as LLVM text: calls of a BLAS where there is one, an own register-blocked kernel otherwise.

`@tj_gemm_T(m, n, k, A, a_row, a_col, B, b_row, b_col, C, c_row)` computes C = A @ B with strides in elements; C's
columns are contiguous. `_inner` is the same from inside a parallel loop, where a BLAS must not start threads.
"""

from __future__ import annotations

from tracejit.codegen.gemm_kernel import kernel_text
from tracejit.codegen.llvm_options import LlvmOptions

PARAMS = "i64 %m, i64 %n, i64 %k, ptr %a, i64 %ar, i64 %ac, ptr %b, i64 %br, i64 %bc, ptr %c, i64 %cr"

#: Products of fewer multiplications run on one thread: a BLAS shares them too early for a machine with other work.
THREADED_WORK = 1 << 21

_ROW_MAJOR, _PLAIN, _TRANSPOSED = 101, 111, 112
_TYPES = (("f32", "float", "s"), ("f64", "double", "d"))


def gemm_text(options: LlvmOptions, blas_integer: int = 0, blas_threads: bool = False) -> str:
    """The products of f32 and f64; the arguments are those of `gemm_module`."""
    if not blas_integer:
        return "\n".join(_own(name, options) for name, _, _ in _TYPES)
    common = _COMMON + (_SET_THREADS if blas_threads else _NO_THREADS)
    return common + "\n".join(_blas(name, type, letter, f"i{blas_integer}") for name, type, letter in _TYPES)


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


#: How a matrix is told to a BLAS: row-major or its transpose and the leading dimension; 0 where it must be copied.
_COMMON = f"""
declare ptr @tj_alloc(i64)
declare void @tj_free(ptr)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
define internal {{ i32, i64 }} @tj_layout(i64 %rows, i64 %columns, i64 %row, i64 %column) nounwind {{
  %unit_column = icmp eq i64 %column, 1
  %one_column = icmp eq i64 %columns, 1
  %one_row = icmp eq i64 %rows, 1
  %unit_row = icmp eq i64 %row, 1
  %along = or i1 %unit_column, %one_column
  %wide = icmp sge i64 %row, %columns
  %apart = or i1 %wide, %one_row
  %plain = and i1 %along, %apart
  br i1 %plain, label %rows_first, label %other
rows_first:
  %lead = select i1 %one_row, i64 %columns, i64 %row
  %p0 = insertvalue {{ i32, i64 }} {{ i32 {_PLAIN}, i64 0 }}, i64 %lead, 1
  ret {{ i32, i64 }} %p0
other:
  %down = or i1 %unit_row, %one_row
  %tall = icmp sge i64 %column, %rows
  %aside = or i1 %tall, %one_column
  %flipped = and i1 %down, %aside
  br i1 %flipped, label %columns_first, label %neither
columns_first:
  %lead1 = select i1 %one_column, i64 %rows, i64 %column
  %p1 = insertvalue {{ i32, i64 }} {{ i32 {_TRANSPOSED}, i64 0 }}, i64 %lead1, 1
  ret {{ i32, i64 }} %p1
neither:
  ret {{ i32, i64 }} zeroinitializer
}}
"""

_SET_THREADS = """
declare i32 @tj_blas_set_threads_local(i32)
"""
_NO_THREADS = """
define internal i32 @tj_blas_set_threads_local(i32 %count) alwaysinline nounwind {
  ret i32 0
}
"""


def _copy_text(name: str, type: str) -> str:
    """A copy of a strided matrix in C order, and C = 0 for an empty sum."""
    size = 4 if name == "f32" else 8
    return f"""
define internal ptr @tj_dense_{name}(i64 %rows, i64 %columns, ptr %x, i64 %row, i64 %column) nounwind {{
start:
  %count = mul i64 %rows, %columns
  %bytes = mul i64 %count, {size}
  %made = call ptr @tj_alloc(i64 %bytes)
  br label %outer
outer:
  %i = phi i64 [ 0, %start ], [ %i1, %ended ]
  %more = icmp slt i64 %i, %rows
  br i1 %more, label %line, label %done
line:
  %from = mul i64 %i, %row
  %to = mul i64 %i, %columns
  br label %inner
inner:
  %j = phi i64 [ 0, %line ], [ %j1, %element ]
  %left = icmp slt i64 %j, %columns
  br i1 %left, label %element, label %ended
element:
  %step = mul i64 %j, %column
  %at = add i64 %from, %step
  %source = getelementptr {type}, ptr %x, i64 %at
  %value = load {type}, ptr %source
  %place = add i64 %to, %j
  %target = getelementptr {type}, ptr %made, i64 %place
  store {type} %value, ptr %target
  %j1 = add i64 %j, 1
  br label %inner
ended:
  %i1 = add i64 %i, 1
  br label %outer
done:
  ret ptr %made
}}

define internal void @tj_clear_{name}(i64 %m, i64 %n, ptr %c, i64 %cr) nounwind {{
start:
  %bytes = mul i64 %n, {size}
  br label %check
check:
  %i = phi i64 [ 0, %start ], [ %next, %line ]
  %more = icmp slt i64 %i, %m
  br i1 %more, label %line, label %done
line:
  %at = mul i64 %i, %cr
  %target = getelementptr {type}, ptr %c, i64 %at
  call void @llvm.memset.p0.i64(ptr %target, i8 0, i64 %bytes, i1 false)
  %next = add i64 %i, 1
  br label %check
done:
  ret void
}}
"""


def _integers(names: str, integer: str) -> tuple[str, dict[str, str]]:
    """Conversions of i64 registers to the BLAS library's integers, and the converted names."""
    if integer == "i64":
        return "", {name: f"%{name}" for name in names.split()}
    lines = "\n".join(f"  %{name}.short = trunc i64 %{name} to {integer}" for name in names.split())
    return lines, {name: f"%{name}.short" for name in names.split()}


def _blas(name: str, type: str, letter: str, integer: str) -> str:
    matrix, vector = f"@tj_blas_{letter}gemm", f"@tj_blas_{letter}gemv"
    convert, x = _integers("m n k lda ldb cr", integer)
    product = (
        f"i32 {_ROW_MAJOR}, i32 %ta, i32 %tb, {integer} {x['m']}, {integer} {x['n']}, {integer} {x['k']}, {type} 1.0, "
        f"ptr %a, {integer} {x['lda']}, ptr %b, {integer} {x['ldb']}, {type} 0.0, ptr %c, {integer} {x['cr']}"
    )
    operands = f"{type}, ptr, {integer}, ptr, {integer}, {type}, ptr, {integer}"
    kinds = f"i32, i32, i32, {integer}, {integer}, {integer}, {operands}"
    vector_kinds = f"i32, i32, {integer}, {integer}, {operands}"
    rest_b = "ptr %b, i64 %br, i64 %bc, ptr %c, i64 %cr"
    first_a = "i64 %m, i64 %n, i64 %k, ptr %a, i64 %ar, i64 %ac"
    return f"""
declare void {matrix}({kinds})
declare void {vector}({vector_kinds})
{_copy_text(name, type)}
{_matrix_vector(name, type, vector, integer)}
define internal void @tj_gemm_{name}_whole({PARAMS}) nounwind {{
  %rows = icmp slt i64 %m, 1
  %columns = icmp slt i64 %n, 1
  %nothing = or i1 %rows, %columns
  br i1 %nothing, label %done, label %some
done:
  ret void
some:
  %empty = icmp slt i64 %k, 1
  br i1 %empty, label %clear, label %sum
clear:
  call void @tj_clear_{name}(i64 %m, i64 %n, ptr %c, i64 %cr)
  ret void
sum:
  %la = call {{ i32, i64 }} @tj_layout(i64 %m, i64 %k, i64 %ar, i64 %ac)
  %ta = extractvalue {{ i32, i64 }} %la, 0
  %lda = extractvalue {{ i32, i64 }} %la, 1
  %strange_a = icmp eq i32 %ta, 0
  br i1 %strange_a, label %copy_a, label %second
copy_a:
  %dense_a = call ptr @tj_dense_{name}(i64 %m, i64 %k, ptr %a, i64 %ar, i64 %ac)
  call void @tj_gemm_{name}_whole(i64 %m, i64 %n, i64 %k, ptr %dense_a, i64 %k, i64 1, {rest_b})
  call void @tj_free(ptr %dense_a)
  ret void
second:
  %lb = call {{ i32, i64 }} @tj_layout(i64 %k, i64 %n, i64 %br, i64 %bc)
  %tb = extractvalue {{ i32, i64 }} %lb, 0
  %ldb = extractvalue {{ i32, i64 }} %lb, 1
  %strange_b = icmp eq i32 %tb, 0
  br i1 %strange_b, label %copy_b, label %shape
copy_b:
  %dense_b = call ptr @tj_dense_{name}(i64 %k, i64 %n, ptr %b, i64 %br, i64 %bc)
  call void @tj_gemm_{name}_whole({first_a}, ptr %dense_b, i64 %n, i64 1, ptr %c, i64 %cr)
  call void @tj_free(ptr %dense_b)
  ret void
shape:
  %column = icmp eq i64 %n, 1
  %forward_b = icmp sgt i64 %br, 0
  %matrix_vector = and i1 %column, %forward_b
  br i1 %matrix_vector, label %times_vector, label %wide
times_vector:
  call void @tj_matvec_{name}(i32 %ta, i64 %m, i64 %k, ptr %a, i64 %lda, ptr %b, i64 %br, ptr %c, i64 %cr)
  ret void
wide:
  %row = icmp eq i64 %m, 1
  %forward_a = icmp sgt i64 %ac, 0
  %vector_matrix = and i1 %row, %forward_a
  br i1 %vector_matrix, label %vector_times, label %full
vector_times:
  %other = sub i32 {_PLAIN + _TRANSPOSED}, %tb
  call void @tj_matvec_{name}(i32 %other, i64 %n, i64 %k, ptr %b, i64 %ldb, ptr %a, i64 %ac, ptr %c, i64 1)
  ret void
full:
{convert}
  call void {matrix}({product})
  ret void
}}

define void @tj_gemm_{name}_inner({PARAMS}) nounwind {{
  %before = call i32 @tj_blas_set_threads_local(i32 1)
  call void @tj_gemm_{name}_whole({PARAMS})
  %alone = icmp sle i32 %before, 1
  br i1 %alone, label %done, label %restore
restore:
  %after = call i32 @tj_blas_set_threads_local(i32 %before)
  br label %done
done:
  ret void
}}

define void @tj_gemm_{name}({PARAMS}) nounwind {{
  %plane = mul i64 %m, %n
  %work = mul i64 %plane, %k
  %little = icmp slt i64 %work, {THREADED_WORK}
  br i1 %little, label %one, label %many
one:
  call void @tj_gemm_{name}_inner({PARAMS})
  ret void
many:
  call void @tj_gemm_{name}_whole({PARAMS})
  ret void
}}
"""


def _matrix_vector(name: str, type: str, function: str, integer: str) -> str:
    """y = X v, where X (rows x k) is stored as `layout` says."""
    convert, x = _integers("stored_rows stored_columns lead vs ys", integer)
    args = (
        f"i32 {_ROW_MAJOR}, i32 %layout, {integer} {x['stored_rows']}, {integer} {x['stored_columns']}, {type} 1.0, "
        f"ptr %x, {integer} {x['lead']}, ptr %v, {integer} {x['vs']}, {type} 0.0, ptr %y, {integer} {x['ys']}"
    )
    return f"""
define internal void @tj_matvec_{name}(
    i32 %layout, i64 %rows, i64 %k, ptr %x, i64 %lead, ptr %v, i64 %vs, ptr %y, i64 %ys) nounwind {{
  %plain = icmp eq i32 %layout, {_PLAIN}
  %stored_rows = select i1 %plain, i64 %rows, i64 %k
  %stored_columns = select i1 %plain, i64 %k, i64 %rows
{convert}
  call void {function}({args})
  ret void
}}
"""
