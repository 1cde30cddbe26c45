"""Products of matrices and other sums of products: calls of `gemm` for f32 and f64, loops for all else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tracejit.codegen.loop_ir import Call, Expr, For, Free, If, Offset, Var
from tracejit.codegen.lowering.complex import Complex
from tracejit.codegen.lowering.elements import ONE, ZERO, Array, Element
from tracejit.codegen.lowering.laid import with_unit_stride
from tracejit.codegen.lowering.opaque import Emitter
from tracejit.codegen.support.sharing import PRODUCT_WORK
from tracejit.ir.core import Op
from tracejit.ir.opdef import Contraction
from tracejit.ir.types import F32, F64, I64, TensorType, real_dtype

if TYPE_CHECKING:
    from tracejit.codegen.lowering.entry import Lowering

#: Complex products of at least so many rows, with so many elements on the right, are products of real matrices.
ROWS, ELEMENTS = 8, 256
#: Complex matrices of at least so many rows, which are read so many at a time, and columns times a vector are sums of
#: real products.
LINES, TERMS = 4, 16


def contraction(lowering: Lowering, op: Op, lower: Contraction) -> Array:
    """A sum of products: a library call for matrices of f32 and f64, loops for all else."""
    left, right = (lowering.array(v) for v in op.operands)
    result = lowering.new_result(op.results[0])
    dtype = result.type.dtype
    if lower.spec == "...ij,...jk->...ik" and dtype in (F32, F64):
        _gemm(lowering, left, right, result)
    elif dtype.is_complex and len(result.shape) == 2 and lowering.target == "cpu" and not lowering.in_kernel:
        _complex_product(lowering, op, left, right, result)
    else:
        _product_loops(Emitter(lowering, op), lower.spec, left, right, result)
    return result


def _complex_product(lowering: Lowering, op: Op, left: Array, right: Array, result: Array) -> None:
    """A product of complex matrices as one of real matrices. Where there is little to multiply, by loops."""
    k = lowering.k
    (rows, columns), depth = result.shape, left.shape[-1]
    if ONE in (rows, columns):
        is_much, by_reals = _complex_vector(lowering, op, left, right, result)
    else:
        is_much = k.logical_and(k.ge(rows, ROWS), k.ge(k.mul(depth, columns), ELEMENTS))

        def by_reals() -> None:
            dense = left if left.contiguous else lowering.copy(left, "dense")
            _complex_gemm(lowering, op, _pairs(lowering, dense), right, result)
            if dense is not left:
                lowering.emit(Free(dense.buffer))

    _, then = lowering.inside(by_reals)
    _, orelse = lowering.inside(lambda: _product_loops(Emitter(lowering, op), "ij,jk->ik", left, right, result))
    lowering.emit(If(lowering.let(is_much, "is_much"), then, orelse))


def _complex_vector(
    lowering: Lowering, op: Op, left: Array, right: Array, result: Array
) -> tuple[Expr, Callable[[], None]]:
    """A product with a column, or with a row, which is that of the transposed factors: whether there is enough to
    multiply, and what does it. A matrix is read along its lines, whichever they are."""
    k = lowering.k
    if result.shape[1] == ONE:
        matrix, vector, found = left, _axis(lowering, right, 0), _axis(lowering, result, 0)
    else:
        matrix, vector, found = _turned(lowering, right), _axis(lowering, left, 1), _axis(lowering, result, 1)
    rows, depth = matrix.shape
    is_dense = ONE in matrix.steps(k)
    by_columns = is_dense and matrix.steps(k)[0] == ONE

    def by_reals() -> None:
        dense = matrix if is_dense else lowering.copy(matrix, "dense")
        if by_columns:
            _complex_columns(lowering, op, dense, vector, found)
        else:
            _complex_lines(lowering, op, _pairs(lowering, dense), vector, found)
        if dense is not matrix:
            lowering.emit(Free(dense.buffer))

    if by_columns:
        return k.logical_and(k.ge(rows, ROWS), k.ge(k.mul(rows, depth), ELEMENTS)), by_reals
    return k.logical_and(k.ge(rows, LINES), k.ge(depth, TERMS)), by_reals


def _pairs(lowering: Lowering, array: Array) -> Array:
    """A matrix with contiguous rows as the real one of their pairs."""
    k, (rows, columns) = lowering.k, array.shape
    type = TensorType(real_dtype(array.type.dtype), (None, None))
    shape = (rows, lowering.let(k.mul(columns, 2), "size"))
    if array.contiguous:
        return Array(array.buffer, type, shape)
    step = lowering.let(k.mul(array.steps(k)[0], 2), "step")
    return Array(array.buffer, type, shape, (step, ONE), lowering.let(k.mul(array.offset, 2), "at"))


def _turned(lowering: Lowering, array: Array) -> Array:
    """The transposed matrix, as it lies."""
    type = TensorType(array.type.dtype, array.type.shape[::-1])
    return Array(array.buffer, type, array.shape[::-1], array.steps(lowering.k)[::-1], array.offset)


def _axis(lowering: Lowering, array: Array, axis: int) -> Array:
    """The only row or column of a matrix, as it lies."""
    type = TensorType(array.type.dtype, (array.type.shape[axis],))
    return Array(array.buffer, type, (array.shape[axis],), (array.steps(lowering.k)[axis],), array.offset)


def _complex_gemm(lowering: Lowering, op: Op, pairs: Array, right: Array, result: Array) -> None:
    """The pairs times the matrices `[[re, im], [-im, re]]` of the elements on the right."""
    rows, height = pairs.shape
    width = lowering.let(lowering.k.mul(result.shape[1], 2), "size")
    blocks = Array(lowering.pointer(pairs.type, "blocks"), pairs.type, (height, width))
    lowering.allocate(blocks)
    e = Emitter(lowering, op)
    with e.kernel(), e.loops(right.shape, parallel=True, vector=True) as (i, j):
        x = e.load(right, (i, j))
        assert isinstance(x, Complex)
        row, column = e.k.mul(i, 2), e.k.mul(j, 2)
        for down, across, part in ((0, 0, x.re), (0, 1, x.im), (1, 0, e.k.neg(x.im)), (1, 1, x.re)):
            e.store(blocks, (e.k.add(row, down), e.k.add(column, across)), part)
    steps = (height, ONE, blocks.buffer, width, ONE, result.buffer, width)
    call = Call(f"gemm_{pairs.type.dtype}", (rows, width, height, pairs.buffer, *steps))
    lowering.emit(call, Free(blocks.buffer))


def _complex_columns(lowering: Lowering, op: Op, matrix: Array, vector: Array, result: Array) -> None:
    """The real parts of a vector and its imaginary parts, as two rows, times the pairs of the columns of the matrix."""
    k, type = lowering.k, TensorType(real_dtype(result.type.dtype), (None, None))
    (depth,), (rows,), two = vector.shape, result.shape, k.const(2, I64)
    factors = Array(lowering.pointer(type, "factors"), type, (two, depth))
    lowering.allocate(factors)
    e = Emitter(lowering, op)
    with e.kernel(), e.loops((depth,), parallel=True) as (p,):
        x = e.load(vector, (p,))
        assert isinstance(x, Complex)
        e.store(factors, (ZERO, p), x.re)
        e.store(factors, (ONE, p), x.im)
    columns = _pairs(lowering, _turned(lowering, matrix))
    width = columns.shape[1]
    sums = Array(lowering.pointer(type, "sums"), type, (two, width))
    lowering.allocate(sums)
    steps = (depth, ONE, lowering.start_of(columns), columns.steps(k)[0], ONE, sums.buffer, width)
    lowering.emit(Call(f"gemm_{type.dtype}", (two, width, depth, factors.buffer, *steps)), Free(factors.buffer))
    e = Emitter(lowering, op)
    with e.kernel(), e.loops((rows,), parallel=True) as (i,):
        at = e.k.mul(i, 2)
        (re, im), (by_im, of_im) = ([e.load(sums, (row, e.k.add(at, part))) for part in (0, 1)] for row in (ZERO, ONE))
        e.store(result, (i,), e.k.complex(e.k.sub(re, of_im), e.k.add(im, by_im)))
    lowering.emit(Free(sums.buffer))


def _complex_lines(lowering: Lowering, op: Op, pairs: Array, vector: Array, result: Array) -> None:
    """The pairs of each row times `re, -im, re, -im, ...` of a vector for the real part of an element, and times
    `im, re, im, re, ...` for the other."""
    k, type = lowering.k, pairs.type
    rows, width = pairs.shape
    factors = Array(lowering.pointer(type, "factors"), type, (k.const(2, I64), width))
    lowering.allocate(factors)
    e = Emitter(lowering, op)
    with e.kernel(), e.loops(vector.shape, parallel=True) as (i,):
        x = e.load(vector, (i,))
        assert isinstance(x, Complex)
        at = e.k.mul(i, 2)
        for line, step, part in ((ZERO, 0, x.re), (ZERO, 1, e.k.neg(x.im)), (ONE, 0, x.im), (ONE, 1, x.re)):
            e.store(factors, (line, e.k.add(at, step)), part)
    blocks = lowering.let(k.quotient(k.add(rows, LINES - 1), LINES), "blocks")
    e = Emitter(lowering, op)
    with e.kernel(), e.loops((blocks,), parallel=True) as (block,):
        top = e.k.let(e.k.minimum(e.k.mul(block, LINES), e.k.sub(rows, LINES)), "top")  # the last one reaches back
        lines = [e.k.add(top, i) for i in range(LINES)]
        with e.fold(width, *[e.k.const(0, type.dtype)] * (2 * LINES), combine="add") as fold:
            parts = [e.load(factors, (line, fold.index)) for line in (ZERO, ONE)]
            loaded = [e.load(pairs, (line, fold.index)) for line in lines]
            fold.following = [e.k.mul(x, part) for x in loaded for part in parts]
        for line, re, im in zip(lines, fold.results[::2], fold.results[1::2], strict=True):
            assert not isinstance(re, Complex) and not isinstance(im, Complex)
            e.store(result, (line,), Complex(re, im))
    lowering.emit(Free(factors.buffer))


def _gemm(lowering: Lowering, left: Array, right: Array, result: Array) -> None:
    """`gemm` once per index of the leading axes: products too small to be shared among threads are shared out."""
    left, right = with_unit_stride(lowering, left), with_unit_stride(lowering, right)
    sizes = (*result.shape[-2:], left.shape[-1])
    leading = {a: size for a, size in enumerate(result.shape[:-2]) if size != ONE}

    def call(index: Mapping[int, Expr]) -> None:
        places = [index.get(a, ZERO) for a in range(len(result.shape) - 2)]
        args: list[Expr] = []
        for array in (left, right, result):
            at = array.address(lowering.k, (*places, ZERO, ZERO))
            buffer = array.buffer if at == ZERO else Offset(array.buffer, lowering.let(at, "at"), array.buffer.type)  # type: ignore[arg-type]
            steps = [lowering.let(s, "step") for s in array.steps(lowering.k)[-2:]]
            args += (buffer, *(steps[:1] if array is result else steps))
        lowering.emit(Call(f"gemm_{result.type.dtype}", (*sizes, *args)))

    indices = {a: Var("ijkl"[a % 4], I64) for a in leading}
    _, in_turn = lowering.inside(lambda: call(indices))
    for a in reversed(indices):
        in_turn = (For(indices[a], leading[a], in_turn),)
    if not leading or not lowering.parallel or lowering.in_kernel or lowering.target != "cpu":
        lowering.emit(*in_turn)
        return
    product = Var("product", I64)
    _, shared_out = lowering.inside(lambda: call(_unravelled(lowering, product, leading)))
    is_small = lowering.k.lt(lowering.k.product(sizes), PRODUCT_WORK)
    count = lowering.let(lowering.k.product(leading.values()), "products")
    lowering.emit(If(is_small, (For(product, count, shared_out, "parallel"),), in_turn))


def _unravelled(lowering: Lowering, flat: Expr, sizes: dict[int, Expr]) -> dict[int, Expr]:
    """The index along each axis of a number that counts through all of them, the last one fastest."""
    k, index = lowering.k, dict[int, Expr]()
    for a in reversed(sizes):
        line = lowering.let(k.quotient(flat, sizes[a]), "line")
        index[a] = lowering.let(k.sub(flat, k.mul(line, sizes[a])), "ijkl"[a % 4])
        flat = line
    return index


def _product_loops(e: Emitter, spec: str, left: Array, right: Array, result: Array) -> None:
    inputs, output = spec.split("->")
    names = [
        _letters(s, len(a.shape)) for s, a in zip((*inputs.split(","), output), (left, right, result), strict=True)
    ]
    sizes = {
        n: s
        for letters, a in zip(names, (left, right, result), strict=True)
        for n, s in zip(letters, a.shape, strict=True)
    }
    summed = [n for n in dict.fromkeys((*names[0], *names[1])) if n not in names[2]]
    in_lanes = bool(names[2]) and _goes_along(e, names, (left, right, result), names[2][-1])
    is_real = not result.type.dtype.is_complex  # the parts of pairs would have to be told apart in the end
    in_parts = is_real and not in_lanes and bool(summed) and _goes_along(e, names[:2], (left, right), summed[-1])
    with e.kernel(), e.loops([sizes[n] for n in names[2]], parallel=True, vector=in_lanes) as outer:
        index = dict(zip(names[2], outer, strict=True))
        total = _sum(e, summed, sizes, index, lambda: _product(e, names, index, left, right), in_parts)
        e.store(result, outer, e.k.cast(total, result.type.dtype))


def _goes_along(e: Emitter, names: Sequence[list[str]], arrays: Sequence[Array], axis: str) -> bool:
    """Whether a loop over an axis is a vector: the arrays that have it have lines along it."""
    have = [(a, letters.index(axis)) for letters, a in zip(names, arrays, strict=True) if axis in letters]
    is_long = all(a.shape[at] != ONE for a, at in have)
    return e.in_order and is_long and all(e.is_line(a, at) for a, at in have)


def _product(e: Emitter, names: list[list[str]], index: dict[str, Expr], left: Array, right: Array) -> Element:
    a, b = (e.load(x, [index[n] for n in letters]) for x, letters in ((left, names[0]), (right, names[1])))
    wide = _accumulator(left)
    return e.k.mul(e.k.cast(a, wide), e.k.cast(b, wide))


def _accumulator(array: Array) -> Any:
    dtype = array.type.dtype
    return F32 if dtype.is_float and dtype.bits == 16 else dtype


def _sum(
    e: Emitter,
    summed: list[str],
    sizes: dict[str, Expr],
    index: dict[str, Expr],
    element: Callable[[], Element],
    in_parts: bool,
) -> Element:
    """The sum over axes; `in_parts`: the innermost is a vector of partial sums."""
    if not summed:
        return element()
    probe = e.lowering.array(e.op.operands[0])
    zero = e.k.const(0, _accumulator(probe))
    is_vector = in_parts and len(summed) == 1
    with e.fold(sizes[summed[0]], zero, combine="add" if is_vector else None) as fold:
        index[summed[0]] = fold.index
        term = _sum(e, summed[1:], sizes, index, element, in_parts)
        fold.following = [term if is_vector else e.k.add(fold.carried[0], term)]
    return fold.results[0]


def _letters(spec: str, rank: int) -> list[str]:
    """The axes of one operand; the dots stand for as many leading axes as the rank needs."""
    letters = list(spec.replace("...", ""))
    batch = [f"batch{i}" for i in range(rank - len(letters))] if "..." in spec else []
    return [*batch, *letters]
