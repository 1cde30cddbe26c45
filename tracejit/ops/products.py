"""Products of vectors, matrices and higher arrays, all made of `matmul`, `mul` and `sum`."""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from typing import Any

from tracejit.errors import ShapeMismatch, error_class
from tracejit.ir.types import BOOL, F32
from tracejit.ops import coerce
from tracejit.ops.define import conjugate
from tracejit.ops.functions import Operand, array, count_of, function, on, one_axis
from tracejit.ops.statistics import sum_

TORCH = ("function", "method")


def _pair(b: Any, x: Operand, y: Operand) -> tuple[Any, Any]:
    """Two arrays in their common dtype."""
    x, y = coerce.promote_operands(b, (array(b, x), array(b, y)))
    return x, y


def of_bools(b: Any, product: Callable[..., Any], *operands: Any) -> Any:
    """A product of bools: whether any term holds, of which there are some where a sum of zeros and ones is not 0."""
    return on(b).ne(product(b, *(b.cast(x, dtype=F32) for x in operands)), 0)


def agree(b: Any, a: Any, c: Any, text: str, payload: Sequence[Any] = (), kind: str = "ValueError") -> None:
    """Two sizes must be equal: an error now, or a check at run time. `{0}`, `{1}` ... in the text are the payload, or
    the two sizes."""
    if b.same_size(a, c):
        return
    if isinstance(a, int) and isinstance(c, int):
        error = ShapeMismatch if kind == "ValueError" else error_class(kind)
        raise error(text.format(*(payload or (a, c))))
    b.check_eq(a, c, tuple(payload or (a, c)), kind=kind, message=text)


def with_sizes(b: Any, x: Any, shape: Sequence[Any]) -> Any:
    """x, whose sizes are equal to `shape` at run time, with the sizes of `shape`."""
    return coerce.broadcast_to(b, x, shape, exact=True)


_MATMUL = (
    "matmul: Input operand 1 has a mismatch in its core dimension 0, with gufunc signature (n?,k),(k,m?)->(n?,m?) "
    "(size {1} is different from {0})"
)


def _aligned(b: Any, x: Any, y: Any, axis: int) -> Any:
    """y, whose `axis` must have the size of the last axis of x, with that size."""
    size, last = b.shape(x)[-1], b.rank(x) - 1
    message = coerce.Message()
    text = (
        f"shapes {message.shape(b.shape(x))} and {message.shape(b.shape(y))} not aligned: "
        f"{message.size(size)} (dim {last}) != {message.size(b.shape(y)[axis])} (dim {axis})"
    )
    agree(b, size, b.shape(y)[axis], text, message.payload)
    return with_sizes(b, y, tuple(size if i == axis else n for i, n in enumerate(b.shape(y))))


@function(kinds=())
def matmul_any(b: Any, x: Operand, y: Operand) -> Any:
    """The matrix product with NumPy's rules: a vector counts as a row on the left and as a column on the right, further
    leading axes broadcast. `ValueError` where sizes do not fit."""
    x, y = _pair(b, x, y)
    if not b.rank(x) or not b.rank(y):
        raise ShapeMismatch("matmul: input operand does not have enough dimensions: a scalar is not a matrix")
    if b.dtype(x) == BOOL:
        return of_bools(b, matmul_any, x, y)
    row, column = b.rank(x) == 1, b.rank(y) == 1
    x = b.reshape(x, (1, *b.shape(x))) if row else x
    y = b.reshape(y, (*b.shape(y), 1)) if column else y
    out = _matrices(b, x, y)
    shape = b.shape(out)
    if row or column:
        kept = (*shape[:-2], *(() if row else (shape[-2],)), *(() if column else (shape[-1],)))
        out = b.reshape(out, kept)
    return out


def _matrices(b: Any, x: Any, y: Any) -> Any:
    """The product of stacks of matrices whose leading axes broadcast."""
    inner, rows = b.shape(x)[-1], b.shape(y)[-2]
    agree(b, inner, rows, _MATMUL)
    if b.rank(x) == 2 and b.rank(y) == 2:
        return b.matmul(x, with_sizes(b, y, (inner, b.shape(y)[-1])))
    if b.rank(y) == 2:
        return _stack_times_matrix(b, x, with_sizes(b, y, (inner, b.shape(y)[-1])))
    batch, exact = coerce.broadcast_shapes(b, [b.shape(x)[:-2], b.shape(y)[:-2]])
    x = coerce.broadcast_to(b, x, (*batch, *b.shape(x)[-2:]), exact)
    y = coerce.broadcast_to(b, y, (*batch, inner, b.shape(y)[-1]), exact)
    return b.matmul(x, y)


def _stack_times_matrix(b: Any, x: Any, y: Any) -> Any:
    """All rows of a stack times one matrix, as one product."""
    shape = b.shape(x)
    rows = b.reshape(x, (count_of(b, x, range(len(shape) - 1)), shape[-1]))
    return b.reshape(b.matmul(rows, y), (*shape[:-1], b.shape(y)[-1]))


@function("operator __matmul__")
def matmul_(b: Any, x: Operand, y: Operand) -> Any:
    """The matrix product: see `matmul_any`."""
    return matmul_any(b, x, y)


for _name, _ranks, _doc in (
    ("mm", (2, 2), "The product of two matrices."),
    ("mv", (2, 1), "The product of a matrix and a vector."),
    ("bmm", (3, 3), "The products of two stacks of matrices."),
):

    def _product(b: Any, x: Operand, y: Operand, _name: str = _name, _ranks: tuple[int, int] = _ranks) -> Any:
        x, y = _pair(b, x, y)
        if (b.rank(x), b.rank(y)) != _ranks:
            raise ShapeMismatch(
                f"{_name} takes {_ranks[0]}-d and {_ranks[1]}-d operands, not {b.rank(x)}-d and {b.rank(y)}-d"
            )
        return matmul_any(b, x, y)

    _product.__name__, _product.__doc__ = _name, f"{_doc} `ValueError` for operands of other ranks."
    function(kinds=TORCH)(_product)


@function()
def dot(b: Any, x: Operand, y: Operand) -> Any:
    """NumPy's dot: the inner product of vectors, the matrix product of matrices, x * y with a scalar; else a sum over
    the last axis of x and the last but one of y."""
    x, y = _pair(b, x, y)
    if not b.rank(x) or not b.rank(y):
        return on(b).mul(x, y)
    y = _aligned(b, x, y, max(b.rank(y) - 2, 0))
    if b.rank(x) == 1 and b.rank(y) == 1:
        return inner(b, x, y)
    if b.rank(y) <= 2:
        return matmul_any(b, x, y)
    return tensordot(b, x, y, ((b.rank(x) - 1,), (b.rank(y) - 2,)))


@function()
def inner(b: Any, x: Operand, y: Operand) -> Any:
    """The sum of products over the last axes."""
    x, y = _pair(b, x, y)
    if not b.rank(x) or not b.rank(y):
        return on(b).mul(x, y)
    if b.dtype(x) == BOOL:
        return of_bools(b, inner, x, y)
    if b.rank(x) == 1 and b.rank(y) == 1:
        return b.sum(x * _aligned(b, x, y, 0), axes=(0,))
    return tensordot(b, x, y, ((b.rank(x) - 1,), (b.rank(y) - 1,)))


@function()
def vdot(b: Any, x: Operand, y: Operand) -> Any:
    """The inner product of the flattened arrays, the first one conjugated."""
    x, y = _pair(b, x, y)
    return inner(b, conjugate(b, b.reshape(x, (count_of(b, x),))), b.reshape(y, (count_of(b, y),)))


@function("ger")
def outer(b: Any, x: Operand, y: Operand) -> Any:
    """All products of an element of x with one of y (flattened), as a matrix."""
    x, y = _pair(b, x, y)
    rows, columns = count_of(b, x), count_of(b, y)
    shape = (rows, columns)
    return on(b).mul(b.broadcast(b.reshape(x, (rows, 1)), shape), b.broadcast(b.reshape(y, (columns,)), shape))


@function(kinds=("function", "numpy"), rank_0="array")
def tensordot(b: Any, x: Operand, y: Operand, axes: Any = 2, *, dims: Any = None) -> Any:
    """The sum of products over paired axes: `axes` is a number of trailing and leading ones, or two sequences."""
    x, y = _pair(b, x, y)
    axes = axes if dims is None else dims
    if b.dtype(x) == BOOL:
        return of_bools(b, lambda b, x, y: tensordot(b, x, y, axes), x, y)
    if isinstance(axes, int):
        left, right = tuple(range(b.rank(x) - axes, b.rank(x))), tuple(range(axes))
    else:
        left, right = (tuple(a) if isinstance(a, tuple | list) else (a,) for a in axes)
    left = tuple(one_axis(a, b.rank(x)) for a in left)
    right = tuple(one_axis(a, b.rank(y)) for a in right)
    if len(left) != len(right):
        raise ShapeMismatch("shape-mismatch for sum: the operands have different numbers of axes")
    free_x = tuple(a for a in range(b.rank(x)) if a not in left)
    free_y = tuple(a for a in range(b.rank(y)) if a not in right)
    for a, c in zip(left, right, strict=True):
        agree(b, b.shape(x)[a], b.shape(y)[c], "shape-mismatch for sum")
    rows, columns, depth = count_of(b, x, free_x), count_of(b, y, free_y), count_of(b, x, left)
    first = b.reshape(permuted(b, x, (*free_x, *left)), (rows, depth))
    second = b.reshape(permuted(b, y, (*right, *free_y)), (depth, columns))
    shape = (*(b.shape(x)[a] for a in free_x), *(b.shape(y)[a] for a in free_y))
    return b.reshape(b.matmul(first, second), shape)


@function()
def kron(b: Any, x: Operand, y: Operand) -> Any:
    """The Kronecker product of two arrays of one rank."""
    x, y = _pair(b, x, y)
    rank = max(b.rank(x), b.rank(y))
    x, y = (b.reshape(z, ((1,) * (rank - b.rank(z)) + tuple(b.shape(z)))) for z in (x, y))
    pairs = [(m, n) for m, n in zip(b.shape(x), b.shape(y), strict=True)]
    wide = b.reshape(x, tuple(size for m, _ in pairs for size in (m, 1)))
    fine = b.reshape(y, tuple(size for _, n in pairs for size in (1, n)))
    return b.reshape(on(b).mul(wide, fine), tuple(m * n for m, n in pairs))


@function()
def cross(b: Any, x: Operand, y: Operand, axis: int = -1) -> Any:
    """The vector product of vectors of three elements along `axis`."""
    x, y = coerce.binary(b, *_pair(b, x, y))
    axis = one_axis(axis, b.rank(x))
    agree(b, b.shape(x)[axis], 3, "incompatible dimensions for cross product (it must be 3, not {0})")
    before, after = (1, 2, 0), (2, 0, 1)
    picked = [[_pick(b, z, axis, order) for order in (before, after)] for z in (x, y)]
    return picked[0][0] * picked[1][1] - picked[0][1] * picked[1][0]


def _pick(b: Any, x: Any, axis: int, order: Sequence[int]) -> Any:
    """The parts of x along an axis in another order."""
    shape, strides = b.shape(x), b.strides_of(b.shape(x))
    part = tuple(1 if i == axis else s for i, s in enumerate(shape))
    return b.cat(len(order), tuple(b.vread(x, strides[axis] * k, strides, part) for k in order), axis=axis)


@function()
def trace(b: Any, x: Operand) -> Any:
    """The sum of the main diagonal of the first two axes; integers are summed in 64 bits."""
    x = array(b, x)
    if b.rank(x) < 2:
        raise ShapeMismatch(f"trace needs two axes or more, got an array of rank {b.rank(x)}")
    return sum_(b, diagonal(b, x), -1)


def diagonal(b: Any, x: Any, offset: int = 0) -> Any:
    """The diagonal of the first two axes, as the last axis."""
    shape = b.shape(x)
    strides = b.strides_of(shape)
    rows, columns = (shape[0], shape[1] - offset) if offset >= 0 else (shape[0] + offset, shape[1])
    length = (
        on(b).minimum(rows, columns) if not (isinstance(rows, int) and isinstance(columns, int)) else min(rows, columns)
    )
    start = strides[1] * offset if offset >= 0 else strides[0] * -offset
    return b.vread(x, start, (*strides[2:], strides[0] + strides[1]), (*shape[2:], length))


# -- einsum ---------------------------------------------------------------------------------------------------


@function(kinds=("function", "numpy"))
def einsum(b: Any, spec: str, *operands: Operand) -> Any:
    """The sum of products that index letters describe; contracted pairwise from the left, each pair as one batched
    matrix product, or element by element where there is no matrix in it."""
    arrays = coerce.promote_operands(b, [array(b, x) for x in operands])
    if arrays and b.dtype(arrays[0]) == BOOL:
        return of_bools(b, lambda b, *counts: einsum(b, spec, *counts), *arrays)
    inputs, output = einsum_letters(spec, [b.rank(x) for x in arrays])
    terms = [_distinct(b, x, letters) for x, letters in zip(arrays, inputs, strict=True)]
    sizes = _sizes(b, terms)
    current, letters = terms[0]
    for k, (other, other_letters) in enumerate(terms[1:], start=1):
        later = set(output).union(*(t[1] for t in terms[k + 1 :]))
        current, letters = _contract(b, (current, letters), (other, other_letters), later, sizes)
    drop = tuple(i for i, letter in enumerate(letters) if letter not in output)
    current = b.sum(current, axes=drop) if drop else current
    letters = "".join(c for c in letters if c in output)
    return permuted(b, current, tuple(letters.index(c) for c in output))


def permuted(b: Any, x: Any, perm: tuple[int, ...]) -> Any:
    """x with its axes in another order; x itself where the order is the same."""
    return x if perm == tuple(range(len(perm))) else b.transpose(x, perm=perm)


def einsum_letters(spec: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """Letters of each operand and of the result; `...` stands for capital letters, aligned at the right."""
    spec = spec.replace(" ", "")
    left, arrow, right = spec.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(ranks):
        raise ShapeMismatch(f"einsum: {spec!r} describes {len(inputs)} operands, got {len(ranks)}")
    free = [c for c in string.ascii_uppercase if c not in spec]
    widths = [r - len(t.replace("...", "")) for t, r in zip(inputs, ranks, strict=True)]
    for term, width in zip(inputs, widths, strict=True):
        if width < 0 or (width and "..." not in term):
            raise ShapeMismatch(f"einsum: {term!r} in {spec!r} does not fit an operand's number of axes")
    most = max((w for t, w in zip(inputs, widths, strict=True) if "..." in t), default=0)
    dots = "".join(free[:most])
    inputs = [t.replace("...", dots[most - w :]) for t, w in zip(inputs, widths, strict=True)]
    letters = "".join(inputs)
    if arrow:
        output = right.replace("...", dots)
        for letter in output:
            if letter not in letters or output.count(letter) > 1:
                times = "twice" if letter in letters else "and in no operand"
                raise ShapeMismatch(f"einsum: the index {letter!r} stands in the result of {spec!r} {times}")
        return inputs, output
    return inputs, dots + "".join(sorted(c for c in set(letters) if letters.count(c) == 1 and c not in dots))


def _einsum_sizes(letter: str) -> str:
    return f"einsum: axes of index {letter!r} have sizes {{0}} and {{1}}"


def _distinct(b: Any, x: Any, letters: str) -> tuple[Any, str]:
    """A term without repeated letters: they select a diagonal."""
    while len(set(letters)) < len(letters):
        letter = next(c for c in letters if letters.count(c) > 1)
        i = letters.index(letter)
        j = letters.index(letter, i + 1)
        agree(b, b.shape(x)[i], b.shape(x)[j], _einsum_sizes(letter))
        rest = [k for k in range(len(letters)) if k not in (i, j)]
        x = diagonal(b, b.transpose(x, perm=(i, j, *rest)))
        letters = "".join(letters[k] for k in rest) + letter
    return x, letters


def _sizes(b: Any, terms: Sequence[tuple[Any, str]]) -> dict[str, Any]:
    """The size of each letter, checked to be the same everywhere."""
    sizes: dict[str, Any] = {}
    for x, letters in terms:
        for letter, size in zip(letters, b.shape(x), strict=True):
            known = sizes.setdefault(letter, size)
            if isinstance(known, int) and known == 1:
                sizes[letter] = size
            elif not (isinstance(size, int) and size == 1):
                agree(b, known, size, _einsum_sizes(letter))
    return sizes


def _contract(
    b: Any, left: tuple[Any, str], right: tuple[Any, str], later: set[str], sizes: dict[str, Any]
) -> tuple[Any, str]:
    """The product of two terms, summed over the letters that nothing later names."""
    left, right = (_without_private(b, *t, later | set(o[1])) for t, o in ((left, right), (right, left)))
    shared = [c for c in left[1] if c in right[1]]
    batch = [c for c in shared if c in later]
    summed = [c for c in shared if c not in later]
    rows = [c for c in left[1] if c not in shared]
    columns = [c for c in right[1] if c not in shared]

    letters = [*batch, *rows, *columns]
    if not summed or (batch and letters == batch):
        made = b.mul(*[_spread(b, *t, [*letters, *summed], sizes) for t in (left, right)])
        return (b.sum(made, axes=tuple(range(len(letters), b.rank(made)))) if summed else made), "".join(letters)
    inner = _total(sizes, summed)

    def arranged(term: tuple[Any, str], groups: Sequence[Sequence[str]]) -> Any:
        x, letters = term
        order = [c for group in groups for c in group]
        x = permuted(b, x, tuple(letters.index(c) for c in order))
        x = coerce.broadcast_to(b, x, tuple(sizes[c] for c in order), exact=True)
        totals = (inner if group is summed else _total(sizes, group) for group in groups[1:])
        return b.reshape(x, (*(sizes[c] for c in batch), *totals))

    out = b.matmul(arranged(left, (batch, rows, summed)), arranged(right, (batch, summed, columns)))
    return b.reshape(out, tuple(sizes[c] for c in letters)), "".join(letters)


def _spread(b: Any, x: Any, letters: str, order: Sequence[str], sizes: dict[str, Any]) -> Any:
    """A term with an axis for each of these letters: it is the same along those that it does not name."""
    x = permuted(b, x, tuple(letters.index(c) for c in order if c in letters))
    lengths = iter(b.shape(x))
    x = b.reshape(x, tuple(next(lengths) if c in letters else 1 for c in order))
    return coerce.broadcast_to(b, x, tuple(sizes[c] for c in order), exact=True)


def _without_private(b: Any, x: Any, letters: str, wanted: set[str]) -> tuple[Any, str]:
    """The term summed over letters that nobody else names."""
    drop = tuple(i for i, c in enumerate(letters) if c not in wanted)
    return (b.sum(x, axes=drop) if drop else x), "".join(c for c in letters if c in wanted)


def _total(sizes: dict[str, Any], letters: Sequence[str]) -> Any:
    total: Any = 1
    for letter in letters:
        total = sizes[letter] if isinstance(total, int) and total == 1 else total * sizes[letter]
    return total
