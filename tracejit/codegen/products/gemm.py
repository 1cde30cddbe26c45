"""Matrix products as LLVM text: register tiles where the operands lie well, a few numbers and products of one or a
few rows or columns in their own ways, else packed panels; a BLAS, where there is one, for matrices with vectors
beyond the caches, for few rows and columns that sum much, and for what is left on machines with short vectors.

`@tj_gemm_T(m, n, k, A, a_row, a_col, B, b_row, b_col, C, c_row)` computes C = A @ B with strides in elements; C's
columns are contiguous. `_inner` is the same from inside a parallel loop.

Most programs need the register tiles only. A process links the rest, which takes long to compile, when a product first
needs it: then `@tj_resolve` gives the address of a part. What chooses has no vectors and is compiled quickly.
"""

from __future__ import annotations

from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.products.direct import direct_fits_text
from tracejit.codegen.products.dots import DOTS
from tracejit.codegen.products.few import FAR_BYTES, MOST, MOST_NEAR
from tracejit.codegen.products.laid import choice_text, no_choice_text
from tracejit.codegen.products.pieces import PARAMS, TYPES
from tracejit.codegen.products.tall import TALL_PARTS, tall_choice_text
from tracejit.codegen.products.tiny import tiny_fits_text

#: dtypes with products of their own.
DTYPES = tuple(TYPES)
#: Parts that a process links when they are needed: `@tj_NAME_T`, its arguments and its result.
PARTS = {
    "panels": (f"{PARAMS}, i1 %share", "void"),
    "few": (f"{PARAMS}, i1 %share", "void"),
    "dots": (f"{DOTS}, i1 %share", "i1"),
    "line": ("i64 %n, i64 %k, ptr %a, i64 %as, ptr %b, i64 %br, i64 %bc, ptr %c, i1 %share", "i1"),
    "tiny": (PARAMS, "void"),
    **{part: (params, "void") for part, params in TALL_PARTS.items()},
    "turn": ("ptr %from, i64 %step, i64 %last, i64 %k, ptr %to", "void"),
    "laid": (f"{PARAMS}, ptr %laid, i1 %lays", "void"),
    "packed": (f"{PARAMS}, i1 %share", "void"),  # by a BLAS
}
#: Parts of which several are one module, named as one of them.
HOMES = dict.fromkeys(TALL_PARTS, "tall")
#: Parts that threads of a parallel loop do without where they are not there.
SPARED = tuple(TALL_PARTS)
#: Parts that a library of its own does without, to be small.
LARGE = ("few", "dots", "laid")
#: Products of at most so many rows and columns, of which each element sums at least so many times more, are a BLAS's
#: where they have fewer rows or columns than fill a tile, or too few multiplications for threads to share.
NARROW, DEEP = 32, 16
FEW, UNSHARED = 8, 1 << 20
#: A part of a dtype by the number that `@tj_resolve` gets.
NUMBERED = tuple((part, name) for part in PARTS for name in DTYPES)


def gemm_text(name: str, options: LlvmOptions, *, has_blas: bool = False, is_lazy: bool = False) -> str:
    """The products of one dtype; `has_blas`: there is a BLAS, `is_lazy`: parts are found when they are needed."""
    lanes = options.vector_bits // (8 * TYPES[name][1])
    rest = "packed" if has_blas and options.vector_bits < 256 else "panels"
    parts = "\n".join(_later(part, name) for part in PARTS) if is_lazy else _declared(name)
    vectors = "packed" if has_blas else "panels"
    choices = [_choice(name, suffix, lanes, rest, vectors, has_few=is_lazy) for suffix in ("", "_inner")]
    fits = direct_fits_text(name, options), tiny_fits_text(name, options)
    laid = choice_text(name, options) if is_lazy else no_choice_text(name)
    tall = tall_choice_text(name, options, is_lazy=is_lazy)
    return "\n".join((_DIRECT.format(name=name), *fits, parts, tall, _clear(name), *choices, laid))


_DIRECT = """
declare void @tj_direct_{name}(i64, i64, i64, ptr, i64, i64, ptr, i64, ptr, i64, i1)
"""


def _declared(name: str) -> str:
    parts = {part: of for part, of in PARTS.items() if part not in LARGE}
    declared = (f"declare {result} @tj_{part}_{name}({params})" for part, (params, result) in parts.items())
    return "\n".join([*declared, f"define internal void @tj_find_turn_{name}() nounwind {{\n  ret void\n}}"])


def _later(part: str, name: str) -> str:
    """A part that is found on its first call, and `@tj_find_PART_T`, which finds it beforehand."""
    params, result = PARTS[part]
    returned = "  ret void" if result == "void" else f"  ret {result} %result"
    call = f"call {result} %part({params})"
    return f"""
declare ptr @tj_resolve(i32)
@tj_{part}_{name}_known = internal global ptr null
define void @tj_find_{part}_{name}() nounwind {{
  %known = load atomic ptr, ptr @tj_{part}_{name}_known acquire, align 8
  %unknown = icmp eq ptr %known, null
  br i1 %unknown, label %find, label %done
find:
  %found = call ptr @tj_resolve(i32 {NUMBERED.index((part, name))})
  store atomic ptr %found, ptr @tj_{part}_{name}_known release, align 8
  br label %done
done:
  ret void
}}
define {result} @tj_{part}_{name}({params}) nounwind {{
  %known = load atomic ptr, ptr @tj_{part}_{name}_known acquire, align 8
  %unknown = icmp eq ptr %known, null
  br i1 %unknown, label %find, label %go
find:
  call void @tj_find_{part}_{name}()
  br label %go
go:
  %part = load atomic ptr, ptr @tj_{part}_{name}_known acquire, align 8
  {call if result == "void" else f"%result = {call}"}
{returned}
}}"""


def _clear(name: str) -> str:
    """C = 0 for an empty sum."""
    type, size = TYPES[name]
    return f"""
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
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
}}"""


def _choice(name: str, suffix: str, lanes: int, rest: str, vectors: str, *, has_few: bool) -> str:
    """Tiles where they fit, a few numbers, one row or column and a few of them in their own ways, the others by `rest`,
    vectors with large matrices and narrow matrices by `vectors`. A product with one column is the transposed one with
    one row."""
    share = "false" if suffix else "true"
    tiles = f"i64 %m, i64 %n, i64 %k, ptr %a, i64 %ar, i64 %ac, ptr %b, i64 %br, ptr %c, i64 %cr, i1 {share}"
    narrow = rest if rest == vectors else "narrow"
    deep = f"""
narrow:
  %many = call i64 @llvm.smax.i64(i64 %m, i64 %n)
  %some.columns = icmp sle i64 %many, {NARROW}
  %least = mul i64 %many, {DEEP}
  %long = icmp sge i64 %k, %least
  %deep = and i1 %some.columns, %long
  %fewest = call i64 @llvm.smin.i64(i64 %m, i64 %n)
  %too.few = icmp slt i64 %fewest, {FEW}
  %elements = mul i64 %m, %n
  %multiplications = mul i64 %elements, %k
  %unshared = icmp slt i64 %multiplications, {UNSHARED}
  %worse = or i1 %too.few, %unshared
  %theirs = and i1 %deep, %worse
  br i1 %theirs, label %{vectors}, label %{rest}"""
    few = f"""few.rows:
  %of.b = mul i64 %k, %n
  %is.far = icmp sgt i64 %of.b, {FAR_BYTES // TYPES[name][1]}
  %most = select i1 %is.far, i64 {MOST}, i64 {MOST_NEAR}
  %no.more = icmp sle i64 %m, %most
  %lies = icmp eq i64 %bc, 1
  %wide = icmp sge i64 %n, {lanes}
  %f0 = and i1 %no.more, %lies
  %f1 = and i1 %f0, %wide
  br i1 %f1, label %bands, label %lying
bands:
  call void @tj_few_{name}({PARAMS}, i1 {share})
  ret void
lying:
  %a.lie = icmp eq i64 %ac, 1
  %b.lie = icmp eq i64 %br, 1
  %long.k = icmp sge i64 %k, {lanes}
  %two = icmp sge i64 %n, 2
  %rows.few = icmp sle i64 %m, {MOST_NEAR}
  %columns.few = icmp sle i64 %n, {MOST_NEAR}
  %d0 = and i1 %a.lie, %long.k
  %dots = and i1 %d0, %two
  %d1 = and i1 %dots, %b.lie
  %by.rows = and i1 %d1, %rows.few
  %by.columns = and i1 %dots, %columns.few
  br i1 %by.rows, label %rows.done, label %perhaps
rows.done:
  %r.done = call i1 @tj_dots_{name}(
    i64 %n, i64 %m, i64 %k, ptr %b, i64 %bc, ptr %a, i64 %ar, i64 1, ptr %c, i64 1, i64 %cr, i1 {share})
  br i1 %r.done, label %done, label %{narrow}
perhaps:
  br i1 %by.columns, label %columns.done, label %{narrow}
columns.done:
  %c.done = call i1 @tj_dots_{name}(
    i64 %m, i64 %n, i64 %k, ptr %a, i64 %ar, ptr %b, i64 %bc, i64 %br, ptr %c, i64 %cr, i64 1, i1 {share})
  br i1 %c.done, label %done, label %{narrow}
"""
    packed = f"""
packed:
  call void @tj_packed_{name}({PARAMS}, i1 {share})
  ret void"""
    return f"""
define void @tj_gemm_{name}{suffix}({PARAMS}) nounwind {{
  %wide.n = icmp sge i64 %n, {lanes}
  br i1 %wide.n, label %tiles, label %other
tiles:
  %fits = call i1 @tj_direct_fits_{name}(i64 %m, i64 %n, i64 %k, i64 %ac, i64 %bc)
  br i1 %fits, label %direct, label %other
direct:
  call void @tj_direct_{name}({tiles})
  ret void
other:
  %few = call i64 @llvm.smin.i64(i64 %m, i64 %n)
  %nothing = icmp slt i64 %few, 1
  br i1 %nothing, label %done, label %some
some:
  %empty = icmp slt i64 %k, 1
  br i1 %empty, label %clear, label %small
clear:
  call void @tj_clear_{name}(i64 %m, i64 %n, ptr %c, i64 %cr)
  ret void
small:
  %is.tiny = call i1 @tj_tiny_fits_{name}(i64 %m, i64 %n, i64 %k, i64 %bc)
  br i1 %is.tiny, label %tiny, label %thin
tiny:
  call void @tj_tiny_{name}({PARAMS})
  ret void
thin:
  %row = icmp eq i64 %m, 1
  br i1 %row, label %one.row, label %several
one.row:
  %row.done = call i1 @tj_line_{name}(i64 %n, i64 %k, ptr %a, i64 %ac, ptr %b, i64 %br, i64 %bc, ptr %c, i1 {share})
  br i1 %row.done, label %done, label %{vectors}
several:
  %single = icmp eq i64 %n, 1
  %dense = icmp eq i64 %cr, 1
  %column = and i1 %single, %dense
  br i1 %column, label %one.column, label %{"few.rows" if has_few else narrow}
{few if has_few else ""}one.column:
  %column.done = call i1 @tj_line_{name}(i64 %m, i64 %k, ptr %b, i64 %br, ptr %a, i64 %ac, i64 %ar, ptr %c, i1 {share})
  br i1 %column.done, label %done, label %{vectors}
done:
  ret void
panels:
  call void @tj_panels_{name}({PARAMS}, i1 {share})
  ret void{packed if "packed" in (rest, vectors) else ""}{deep if narrow == "narrow" else ""}
}}
declare i64 @llvm.smin.i64(i64, i64)
declare i64 @llvm.smax.i64(i64, i64)
"""
