"""Convolutions, as one product of matrices over the windows of the input (Chellapilla et al. 2006).

Layouts are PyTorch's: input (batch, channels, *space) or (channels, *space), weight (out, in / groups, *kernel), of
the transposed convolution (in, out / groups, *kernel). Derivatives to any order follow from the view and the product.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracejit.errors import ShapeMismatch
from tracejit.ops import coerce
from tracejit.ops.arrange import at_least
from tracejit.ops.functions import Operand, Sizes, array, count_of, function
from tracejit.ops.products import agree, with_sizes
from tracejit.ops.windows import (
    are_known,
    floor_quotient,
    padded_axes,
    per_axis,
    places,
    reach,
    require_at_least,
    window_strides,
)

LIBRARY = ("function",)


def _operands(b: Any, name: str, x: Any, weight: Any, bias: Any, space: int) -> tuple[Any, Any, Any, bool]:
    """Input with a batch axis, weight and bias (or None) in their common dtype, and whether a batch axis was added."""
    given = [array(b, x), array(b, weight), *(() if bias is None else (array(b, bias),))]
    x, weight, *rest = coerce.promote_operands(b, given)
    if b.rank(weight) != space + 2:
        raise ShapeMismatch(f"{name}: the weight has {space + 2} axes, got {b.rank(weight)}")
    if b.rank(x) not in (space + 1, space + 2):
        raise ShapeMismatch(f"{name}: the input has {space + 1} or {space + 2} axes, got {b.rank(x)}")
    alone = b.rank(x) == space + 1
    return b.reshape(x, (1, *b.shape(x))) if alone else x, weight, rest[0] if rest else None, alone


def _split(b: Any, name: str, channels: Any, groups: int, what: str) -> Any:
    """The channels of one group."""
    if groups == 1:
        return channels
    share = floor_quotient(b, channels, groups)
    agree(b, share * groups, channels, f"{name}: {what} channels ({{1}}) are not a multiple of groups ({groups})")
    return share


def _with_bias(b: Any, name: str, out: Any, bias: Any, alone: bool) -> Any:
    """The result plus a bias per channel, without the batch axis where the input had none."""
    shape = b.shape(out)
    if bias is not None:
        if b.rank(bias) != 1:
            raise ShapeMismatch(f"{name}: the bias has one axis, got {b.rank(bias)}")
        agree(b, b.shape(bias)[0], shape[1], f"{name}: the bias has {{0}} elements for {{1}} channels")
        column = b.reshape(bias, (b.shape(bias)[0], *(1,) * (len(shape) - 2)))
        out = b.add(out, coerce.broadcast_to(b, column, shape, exact=True))
    return b.reshape(out, shape[1:]) if alone else out


def _widths(
    b: Any, padding: Any, kernel: Sequence[Any], stride: Sequence[Any], dilation: Sequence[Any]
) -> list[tuple[Any, Any]]:
    """Elements of padding before and after each axis."""
    space = len(kernel)
    if padding == "valid":
        return [(0, 0)] * space
    if padding == "same":
        if any(not isinstance(s, int) or s != 1 for s in stride):
            raise ShapeMismatch("padding='same' keeps the size, which a stride other than 1 cannot")
        totals = [reach(k, d) - 1 for k, d in zip(kernel, dilation, strict=True)]
        before = [floor_quotient(b, total, 2) for total in totals]
        return [(lo, total - lo) for total, lo in zip(totals, before, strict=True)]
    if isinstance(padding, str):
        raise ShapeMismatch(f"padding is 'same', 'valid' or numbers, not {padding!r}")
    given = per_axis(padding, space, "padding")
    require_at_least(b, given, 0, "padding")
    return [(p, p) for p in given]


def _conv(
    b: Any, space: int, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    """The convolution over the last `space` axes."""
    name = f"conv{space}d"
    x, weight, bias, alone = _operands(b, name, x, weight, bias, space)
    stride, dilation = per_axis(stride, space, "stride"), per_axis(dilation, space, "dilation")
    require_at_least(b, stride, 1, "stride")
    require_at_least(b, dilation, 1, "dilation")
    outer, inner, *kernel = b.shape(weight)
    share = _split(b, name, b.shape(x)[1], groups, "input")
    agree(b, share, inner, f"{name}: the weight is for {{1}} channels per group, the input has {{0}}")
    outer_share = _split(b, name, outer, groups, "output")
    x = padded_axes(b, x, _widths(b, padding, kernel, stride, dilation), 0)
    batch, _, *sizes = b.shape(x)
    channels = share if groups == 1 else share * groups
    spots = [places(b, n, k, s, d, name) for n, k, s, d in zip(sizes, kernel, stride, dilation, strict=True)]
    columns = _columns(b, with_sizes(b, x, (batch, channels, *sizes)), kernel, spots, stride, dilation)
    depth = count_of(b, weight, range(1, space + 2))
    width = count_of(b, columns, range(space + 1, 2 * space + 2))
    columns = b.reshape(columns, (groups, depth, width))
    rows = b.reshape(with_sizes(b, weight, (outer, share, *kernel)), (groups, outer_share, depth))
    out = b.reshape(b.matmul(rows, columns), (outer, batch, *spots))
    out = b.transpose(out, perm=(1, 0, *range(2, space + 2)))
    return _with_bias(b, name, out, bias, alone)


@function(kinds=LIBRARY)
def conv1d(
    b: Any,
    x: Operand,
    weight: Operand,
    bias: Operand = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Any:
    """The cross-correlation of x (batch, channels, size) with weight (out, channels / groups, kernel), plus a bias per
    output channel. `padding` is a number, "same" or "valid". Same promotion as arithmetic; `ValueError` where sizes do
    not fit."""
    return _conv(b, 1, x, weight, bias, stride, padding, dilation, groups)


@function(kinds=LIBRARY)
def conv2d(
    b: Any,
    x: Operand,
    weight: Operand,
    bias: Operand = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Any:
    """The cross-correlation of x (batch, channels, height, width) with weight (out, channels / groups, kernel height,
    kernel width), plus a bias per output channel. `stride`, `padding` and `dilation` are one number or one per axis;
    `padding` may be "same" or "valid". `ValueError` where sizes do not fit."""
    return _conv(b, 2, x, weight, bias, stride, padding, dilation, groups)


@function(kinds=LIBRARY)
def conv3d(
    b: Any,
    x: Operand,
    weight: Operand,
    bias: Operand = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Any:
    """The cross-correlation over three axes; see `conv2d`."""
    return _conv(b, 3, x, weight, bias, stride, padding, dilation, groups)


def _columns(
    b: Any, x: Any, kernel: Sequence[Any], spots: Sequence[Any], stride: Sequence[Any], dilation: Sequence[Any]
) -> Any:
    """The windows of x as (channels, *kernel, batch, *spots)."""
    if are_known(stride, dilation):
        return b.window_columns(x, (*kernel, *spots), stride=tuple(stride), dilation=tuple(dilation))
    space, (batch, channels) = len(kernel), b.shape(x)[:2]
    per_batch, per_channel, *steps = window_strides(b, b.shape(x), stride, dilation)
    strides = (per_channel, *steps[:space], per_batch, *steps[space:])
    return b.vread(x, 0, strides, (channels, *kernel, batch, *spots))


def _folded(b: Any, columns: Any, sizes: Sequence[Any], stride: Sequence[Any], dilation: Sequence[Any]) -> Any:
    """The adjoint of `_columns`: (batch, channels, *sizes)."""
    if are_known(stride, dilation):
        return b.window_fold(columns, tuple(sizes), stride=tuple(stride), dilation=tuple(dilation))
    space = len(sizes)
    shape = (b.shape(columns)[space + 1], b.shape(columns)[0], *sizes)
    per_batch, per_channel, *steps = window_strides(b, shape, stride, dilation)
    strides = (per_channel, *steps[:space], per_batch, *steps[space:])
    return b.vadd(b.full(0, shape, b.dtype(columns)), columns, 0, strides)


def _conv_transpose(
    b: Any,
    space: int,
    x: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> Any:
    """The adjoint of the convolution with that weight: each input element adds its multiple of the kernel."""
    name = f"conv_transpose{space}d"
    x, weight, bias, alone = _operands(b, name, x, weight, bias, space)
    stride, dilation = per_axis(stride, space, "stride"), per_axis(dilation, space, "dilation")
    padding, extra = per_axis(padding, space, "padding"), per_axis(output_padding, space, "output_padding")
    require_at_least(b, stride, 1, "stride")
    require_at_least(b, dilation, 1, "dilation")
    require_at_least(b, padding, 0, "padding")
    require_at_least(b, extra, 0, "output_padding")
    batch, channels, *sizes = b.shape(x)
    inner, outer_share, *kernel = b.shape(weight)
    agree(b, channels, inner, f"{name}: the weight is for {{1}} input channels, the input has {{0}}")
    share = _split(b, name, channels, groups, "input")
    width = count_of(b, x, (0, *range(2, space + 2)))
    depth = count_of(b, weight, range(1, space + 2))
    weight = with_sizes(b, weight, (channels, outer_share, *kernel))
    rows = b.transpose(b.reshape(weight, (groups, share, depth)), perm=(0, 2, 1))
    columns = b.reshape(b.transpose(x, perm=(1, 0, *range(2, space + 2))), (groups, share, width))
    outer = outer_share if groups == 1 else outer_share * groups
    spread = b.reshape(b.matmul(rows, columns), (outer, *kernel, batch, *sizes))
    full = [
        at_least(b, (n - 1) * s + reach(k, d), 0) + e
        for n, s, k, d, e in zip(sizes, stride, kernel, dilation, extra, strict=True)
    ]
    out = _folded(b, spread, full, stride, dilation)
    cut = [(0 - p, 0 - p) for p in padding]
    return _with_bias(b, name, padded_axes(b, out, cut, 0), bias, alone)


@function(kinds=LIBRARY)
def conv_transpose1d(
    b: Any,
    x: Operand,
    weight: Operand,
    bias: Operand = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Any:
    """The transposed convolution over one axis; see `conv_transpose2d`."""
    return _conv_transpose(b, 1, x, weight, bias, stride, padding, output_padding, groups, dilation)


@function(kinds=LIBRARY)
def conv_transpose2d(
    b: Any,
    x: Operand,
    weight: Operand,
    bias: Operand = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Any:
    """The adjoint of `conv2d`: x is (batch, channels, height, width), weight (channels, out / groups, kernel height,
    kernel width). An axis of size n gets (n - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1
    elements. `ValueError` where sizes do not fit."""
    return _conv_transpose(b, 2, x, weight, bias, stride, padding, output_padding, groups, dilation)


@function(kinds=LIBRARY)
def conv_transpose3d(
    b: Any,
    x: Operand,
    weight: Operand,
    bias: Operand = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Any:
    """The transposed convolution over three axes; see `conv_transpose2d`."""
    return _conv_transpose(b, 3, x, weight, bias, stride, padding, output_padding, groups, dilation)


# -- the windows themselves -----------------------------------------------------------------------------------


def _window_settings(b: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> list[tuple[Any, ...]]:
    """Kernel, dilation, padding and stride of windows over two axes, one per axis each."""
    given = (("kernel_size", kernel, 1), ("dilation", dilation, 1), ("padding", padding, 0), ("stride", stride, 1))
    found: list[tuple[Any, ...]] = []
    for name, sizes, least in given:
        found.append(per_axis(sizes, 2, name))
        require_at_least(b, found[-1], least, name)
    return found


def _batched(b: Any, x: Operand, name: str, rank: int) -> tuple[Any, bool]:
    """x with a batch axis, and whether it had none."""
    x = array(b, x)
    if b.rank(x) not in (rank - 1, rank):
        raise ShapeMismatch(f"{name}: the input has {rank - 1} or {rank} axes, got {b.rank(x)}")
    alone = b.rank(x) == rank - 1
    return b.reshape(x, (1, *b.shape(x))) if alone else x, alone


@function(kinds=LIBRARY)
def im2col(b: Any, x: Operand, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1) -> Any:
    """The windows of x (batch, channels, height, width) as columns: (batch, channels * kernel size, windows).
    `ValueError` where a window does not fit."""
    kernel, dilation, padding, stride = _window_settings(b, kernel_size, dilation, padding, stride)
    x, alone = _batched(b, x, "unfold", 4)
    x = padded_axes(b, x, [(p, p) for p in padding], 0)
    settings = zip(b.shape(x)[2:], kernel, stride, dilation, strict=True)
    spots = [places(b, n, k, s, d, "unfold") for n, k, s, d in settings]
    found = b.transpose(_columns(b, x, kernel, spots, stride, dilation), perm=(3, 0, 1, 2, 4, 5))
    shape = (count_of(b, found, (1, 2, 3)), count_of(b, found, (4, 5)))
    return b.reshape(found, shape if alone else (b.shape(found)[0], *shape))


@function(kinds=LIBRARY)
def col2im(
    b: Any,
    x: Operand,
    output_size: Sizes,
    kernel_size: Sizes,
    dilation: Sizes = 1,
    padding: Sizes = 0,
    stride: Sizes = 1,
) -> Any:
    """The adjoint of `im2col`: columns (batch, channels * kernel size, windows), each added where its window lies in
    images of `output_size`. `ValueError` where there are not so many columns, or rows that are no whole kernels."""
    kernel, dilation, padding, stride = _window_settings(b, kernel_size, dilation, padding, stride)
    x, alone = _batched(b, x, "fold", 3)
    full = [n + p + p for n, p in zip(per_axis(output_size, 2, "output_size"), padding, strict=True)]
    settings = zip(full, kernel, stride, dilation, strict=True)
    spots = [places(b, n, k, s, d, "fold") for n, k, s, d in settings]
    batch, rows, columns = b.shape(x)
    channels = floor_quotient(b, rows, kernel[0] * kernel[1])
    agree(b, rows, channels * (kernel[0] * kernel[1]), "fold: the kernel's size does not divide {0} rows")
    agree(b, columns, spots[0] * spots[1], "fold: {0} columns for {1} windows")
    apart = b.transpose(b.reshape(x, (batch, channels, *kernel, *spots)), perm=(1, 2, 3, 0, 4, 5))
    made = padded_axes(b, _folded(b, apart, full, stride, dilation), [(0 - p, 0 - p) for p in padding], 0)
    return b.reshape(made, b.shape(made)[1:]) if alone else made
