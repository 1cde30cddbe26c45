"""Matrix products by a BLAS, as LLVM text: every call of it runs on one thread, large products are shared by our pool.

A BLAS that shares a product by itself spins for its threads, which on a machine with other work costs many times
the product; and two pools take each other's cores. So its threads are switched off while any product of ours runs,
and blocks of rows or columns are chunks of a parallel loop. Blocks depend on the sizes only, so results do not
depend on the number of threads. A BLAS without a switch is called as it is.
"""

from __future__ import annotations

from tracejit.codegen.products.pieces import PARAMS, TYPES, Fields, plain_text

#: Products of fewer multiplications run on one thread: below some 150 us waking a thread costs more than it brings. Of
#: a matrix and a vector fewer take as long: each multiplication reads an element of the matrix.
SHARED_WORK, SHARED_READS = 1 << 23, 1 << 20
#: The least rows or columns of a block, a multiple of the register tiles of common kernels; at most this many blocks,
#: and of a matrix with a vector, where pieces of rows are to be long.
BLOCK, BLOCKS, LONG_BLOCKS = 32, 16, 8

_ROW_MAJOR, _PLAIN, _TRANSPOSED = 101, 111, 112
_LETTERS = {"f32": "s", "f64": "d"}


def blas_text(name: str, integer: str, threads: bool) -> str:
    """`@tj_packed_T(..., share)`. `integer` is the library's integer type, `threads` says whether it has a switch for
    the number of its threads."""
    return _COMMON + _blas(name, TYPES[name][0], _LETTERS[name], integer, threads)


def switch_text(threads: bool) -> str:
    """`@tj_blas_enter` and `@tj_blas_leave` around each product: one module for the whole process."""
    return _SWITCHED if threads else _UNSWITCHED


#: How a matrix is told to a BLAS: row-major or its transpose and the leading dimension; 0 where it must be copied.
_COMMON = f"""
declare ptr @tj_alloc(i64)
declare void @tj_free(ptr)
declare void @tj_parallel_for(ptr, ptr, i64, i64)
declare void @tj_blas_enter()
declare void @tj_blas_leave()
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


#: The switch of OpenBLAS is one for the whole process: the first product of ours to begin, in any thread, turns its
#: threads off, and the last one to end turns them on again.
_SWITCHED = """
declare i32 @tj_blas_get_threads()
declare void @tj_blas_set_threads(i32)
@tj_blas_lock = internal global i32 0
@tj_blas_inside = internal global i32 0
@tj_blas_before = internal global i32 0

define internal void @tj_blas_take() nounwind {
start:
  br label %try
try:
  %pair = cmpxchg ptr @tj_blas_lock, i32 0, i32 1 acquire monotonic
  %got = extractvalue { i32, i1 } %pair, 1
  br i1 %got, label %done, label %try
done:
  ret void
}

define void @tj_blas_enter() nounwind {
  call void @tj_blas_take()
  %inside = load i32, ptr @tj_blas_inside
  %more = add i32 %inside, 1
  store i32 %more, ptr @tj_blas_inside
  %first = icmp eq i32 %inside, 0
  br i1 %first, label %switch, label %done
switch:
  %before = call i32 @tj_blas_get_threads()
  store i32 %before, ptr @tj_blas_before
  call void @tj_blas_set_threads(i32 1)
  br label %done
done:
  store atomic i32 0, ptr @tj_blas_lock release, align 4
  ret void
}

define void @tj_blas_leave() nounwind {
  call void @tj_blas_take()
  %inside = load i32, ptr @tj_blas_inside
  %less = sub i32 %inside, 1
  store i32 %less, ptr @tj_blas_inside
  %before = load i32, ptr @tj_blas_before
  %last = icmp eq i32 %less, 0
  %several = icmp sgt i32 %before, 1
  %back = and i1 %last, %several
  br i1 %back, label %switch, label %done
switch:
  call void @tj_blas_set_threads(i32 %before)
  br label %done
done:
  store atomic i32 0, ptr @tj_blas_lock release, align 4
  ret void
}
"""

#: Without a switch the library shares its products itself.
_UNSWITCHED = """
define void @tj_blas_enter() nounwind {
  ret void
}

define void @tj_blas_leave() nounwind {
  ret void
}
"""


def _copy_text(name: str, type: str) -> str:
    """A copy of a strided matrix in C order; null where there is no memory for it."""
    size = TYPES[name][1]
    return f"""
define internal ptr @tj_dense_{name}(i64 %rows, i64 %columns, ptr %x, i64 %row, i64 %column) nounwind {{
start:
  %count = mul i64 %rows, %columns
  %bytes = mul i64 %count, {size}
  %made = call ptr @tj_alloc(i64 %bytes)
  %none = icmp eq ptr %made, null
  br i1 %none, label %done, label %outer
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
"""


def _integers(names: str, integer: str) -> tuple[str, dict[str, str]]:
    """Conversions of i64 registers to the BLAS library's integers, and the converted names."""
    if integer == "i64":
        return "", {name: f"%{name}" for name in names.split()}
    lines = "\n".join(f"  %{name}.short = trunc i64 %{name} to {integer}" for name in names.split())
    return lines, {name: f"%{name}.short" for name in names.split()}


#: Arguments of a product of matrices in a known layout, and of a matrix with a vector: type and name.
_MATMAT = Fields.of("i32 %ta, i32 %tb, i64 %m, i64 %n, i64 %k, ptr %a, i64 %lda, ptr %b, i64 %ldb, ptr %c, i64 %cr")
_MATVEC = Fields.of("i32 %layout, i64 %rows, i64 %k, ptr %x, i64 %lead, ptr %v, i64 %vs, ptr %y, i64 %ys")


def _shared(name: str, arguments: Fields, count: str, part: str, blocks: int, define: str = "") -> str:
    """`@NAME(arguments, share)`: one call of `@NAME_one`, or a parallel loop over at most so many blocks of the
    register `count`, which `define` sets, each run by `part`, whose labels see the arguments, `%begin` and the block's
    `%size`."""
    return f"""
define internal void @{name}_part(ptr %record, i64 %begin, i64 %end) nounwind {{
{arguments.loads()}
  %size = sub i64 %end, %begin
{part}
}}

define internal void @{name}({arguments.typed()}, i1 %share) nounwind {{
start:
  br i1 %share, label %several, label %one
one:
  call void @{name}_one({arguments.typed()})
  ret void
several:
  %record = alloca {arguments.type}
{arguments.saves()}
{define}
  %padded = add i64 {count}, {blocks - 1}
  %least = sdiv i64 %padded, {blocks}
  %up = add i64 %least, {BLOCK - 1}
  %tiles = sdiv i64 %up, {BLOCK}
  %block = mul i64 %tiles, {BLOCK}
  call void @tj_parallel_for(ptr @{name}_part, ptr %record, i64 {count}, i64 %block)
  ret void
}}
"""


def _matrix_matrix(name: str, type: str, function: str, integer: str) -> str:
    """C = A B, by blocks of rows or of columns, whichever are more."""
    convert, x = _integers("m n k lda ldb cr", integer)
    args = (
        f"i32 {_ROW_MAJOR}, i32 %ta, i32 %tb, {integer} {x['m']}, {integer} {x['n']}, {integer} {x['k']}, {type} 1.0, "
        f"ptr %a, {integer} {x['lda']}, ptr %b, {integer} {x['ldb']}, {type} 0.0, ptr %c, {integer} {x['cr']}"
    )
    one = f"""
declare void {function}(i32, i32, i32, {integer}, {integer}, {integer}, {_operands(type, integer)})
define internal void @tj_matmat_{name}_one({_MATMAT.typed()}) nounwind {{
{convert}
  call void {function}({args})
  ret void
}}
"""
    define = """
  %tall = icmp sge i64 %m, %n
  %count = select i1 %tall, i64 %m, i64 %n"""
    part = f"""
  %tall = icmp sge i64 %m, %n
  br i1 %tall, label %rows, label %columns
rows:
  %plain_a = icmp eq i32 %ta, {_PLAIN}
  %step_a = select i1 %plain_a, i64 %lda, i64 1
  %skip_a = mul i64 %begin, %step_a
  %a.part = getelementptr {type}, ptr %a, i64 %skip_a
  %skip_c = mul i64 %begin, %cr
  %c.rows = getelementptr {type}, ptr %c, i64 %skip_c
  call void @tj_matmat_{name}_one({_MATMAT.typed(m="size", a="a.part", c="c.rows")})
  ret void
columns:
  %plain_b = icmp eq i32 %tb, {_PLAIN}
  %step_b = select i1 %plain_b, i64 1, i64 %ldb
  %skip_b = mul i64 %begin, %step_b
  %b.part = getelementptr {type}, ptr %b, i64 %skip_b
  %c.columns = getelementptr {type}, ptr %c, i64 %begin
  call void @tj_matmat_{name}_one({_MATMAT.typed(n="size", b="b.part", c="c.columns")})
  ret void"""
    return one + _shared(f"tj_matmat_{name}", _MATMAT, "%count", part, BLOCKS, define)


def _matrix_vector(name: str, type: str, function: str, integer: str) -> str:
    """y = X v, where X (rows x k) is stored as `layout` says, by blocks of rows."""
    convert, x = _integers("stored_rows stored_columns lead vs ys", integer)
    args = (
        f"i32 {_ROW_MAJOR}, i32 %layout, {integer} {x['stored_rows']}, {integer} {x['stored_columns']}, {type} 1.0, "
        f"ptr %x, {integer} {x['lead']}, ptr %v, {integer} {x['vs']}, {type} 0.0, ptr %y, {integer} {x['ys']}"
    )
    one = f"""
declare void {function}(i32, i32, {integer}, {integer}, {_operands(type, integer)})
define internal void @tj_matvec_{name}_one({_MATVEC.typed()}) nounwind {{
  %plain = icmp eq i32 %layout, {_PLAIN}
  %stored_rows = select i1 %plain, i64 %rows, i64 %k
  %stored_columns = select i1 %plain, i64 %k, i64 %rows
{convert}
  call void {function}({args})
  ret void
}}
"""
    part = f"""
  %plain = icmp eq i32 %layout, {_PLAIN}
  %step = select i1 %plain, i64 %lead, i64 1
  %skip_x = mul i64 %begin, %step
  %x.part = getelementptr {type}, ptr %x, i64 %skip_x
  %skip_y = mul i64 %begin, %ys
  %y.part = getelementptr {type}, ptr %y, i64 %skip_y
  call void @tj_matvec_{name}_one({_MATVEC.typed(rows="size", x="x.part", y="y.part")})
  ret void"""
    return one + _shared(f"tj_matvec_{name}", _MATVEC, "%rows", part, LONG_BLOCKS)


def _operands(type: str, integer: str) -> str:
    return f"{type}, ptr, {integer}, ptr, {integer}, {type}, ptr, {integer}"


def _blas(name: str, type: str, letter: str, integer: str, shared: bool) -> str:
    """The products of one dtype; `shared` says whether large ones are shared by our pool."""
    rest_b = "ptr %b, i64 %br, i64 %bc, ptr %c, i64 %cr"
    first_a = "i64 %m, i64 %n, i64 %k, ptr %a, i64 %ar, i64 %ac"
    large = "icmp sge i64 %work, %enough" if shared else "icmp slt i64 %work, 0"
    return f"""
{plain_text(name)}
{_copy_text(name, type)}
{_matrix_matrix(name, type, f"@tj_blas_{letter}gemm", integer)}
{_matrix_vector(name, type, f"@tj_blas_{letter}gemv", integer)}
define internal void @tj_gemm_{name}_whole({PARAMS}, i1 %share) nounwind {{
  %la = call {{ i32, i64 }} @tj_layout(i64 %m, i64 %k, i64 %ar, i64 %ac)
  %ta = extractvalue {{ i32, i64 }} %la, 0
  %lda = extractvalue {{ i32, i64 }} %la, 1
  %strange_a = icmp eq i32 %ta, 0
  br i1 %strange_a, label %copy_a, label %second
copy_a:
  %dense_a = call ptr @tj_dense_{name}(i64 %m, i64 %k, ptr %a, i64 %ar, i64 %ac)
  %no_a = icmp eq ptr %dense_a, null
  br i1 %no_a, label %plain, label %with_a
with_a:
  call void @tj_gemm_{name}_whole(i64 %m, i64 %n, i64 %k, ptr %dense_a, i64 %k, i64 1, {rest_b}, i1 %share)
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
  %no_b = icmp eq ptr %dense_b, null
  br i1 %no_b, label %plain, label %with_b
with_b:
  call void @tj_gemm_{name}_whole({first_a}, ptr %dense_b, i64 %n, i64 1, ptr %c, i64 %cr, i1 %share)
  call void @tj_free(ptr %dense_b)
  ret void
shape:
  %column = icmp eq i64 %n, 1
  %forward_b = icmp sgt i64 %br, 0
  %matrix_vector = and i1 %column, %forward_b
  br i1 %matrix_vector, label %times_vector, label %wide
times_vector:
  call void @tj_matvec_{name}(i32 %ta, i64 %m, i64 %k, ptr %a, i64 %lda, ptr %b, i64 %br, ptr %c, i64 %cr, i1 %share)
  ret void
wide:
  %row = icmp eq i64 %m, 1
  %forward_a = icmp sgt i64 %ac, 0
  %vector_matrix = and i1 %row, %forward_a
  br i1 %vector_matrix, label %vector_times, label %full
vector_times:
  %other = sub i32 {_PLAIN + _TRANSPOSED}, %tb
  call void @tj_matvec_{name}(i32 %other, i64 %n, i64 %k, ptr %b, i64 %ldb, ptr %a, i64 %ac, ptr %c, i64 1, i1 %share)
  ret void
full:
  call void @tj_matmat_{name}({_MATMAT.typed()}, i1 %share)
  ret void
plain:
  call void @tj_plain_{name}({PARAMS})
  ret void
}}

define void @tj_packed_{name}({PARAMS}, i1 %share) nounwind {{
  %plane = mul i64 %m, %n
  %work = mul i64 %plane, %k
  %row = icmp eq i64 %m, 1
  %column = icmp eq i64 %n, 1
  %vector = or i1 %row, %column
  %enough = select i1 %vector, i64 {SHARED_READS}, i64 {SHARED_WORK}
  %large = {large}
  %several = and i1 %share, %large
  call void @tj_blas_enter()
  call void @tj_gemm_{name}_whole({PARAMS}, i1 %several)
  call void @tj_blas_leave()
  ret void
}}
"""
