"""Functions and methods of Tensors: what a compiled call gives, against the eager call."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.test_traces import assert_same, draw
from tracejit import nn

#: Expressions over x, y, n, p (4 by 6; integers, positive), v (6), i (integers), b (mask), c, s, sp (3 by 3).
EXPRESSIONS: dict[str, list[str]] = {
    "splitting and repeating": [
        "x.split(2)",
        "tj.split(x, 4, 1)",
        "tj.split(x, [1, 3])",
        "x.split([2, 4], dim=1)",
        "np.split(x, 2)",
        "np.split(x, [1, 3])",
        "x.repeat(2, 1)",
        "x.repeat(2, 2, 1)",
        "tj.repeat(x, 2)",
        "tj.repeat(x, 2, axis=1)",
        "np.repeat(x, 2, axis=0)",
        "x.tile(2)",
        "tj.tile(x, (2, 1))",
        "x.repeat_interleave(2, dim=1)",
        "x.repeat_interleave(tj.tensor([0, 2, 1, 1]), 0)",
        "tj.repeat_interleave(x, tj.tensor([3, 0, 1, 1, 2, 0]), dim=1)",
    ],
    "flipping and diagonals": [
        "x.flip(0)",
        "tj.flip(x, (0, 1))",
        "x.flip(dims=(1,))",
        "np.flip(x, 0)",
        "x.flip()",
        "x.flip(0, 1)",
        "x.lerp(y, 0.25)",
        "x + (1.0 if x.device.type == 'cpu' else 2.0)",
        "tj.roll(x, 1, 0)",
        "x.roll(2)",
        "tj.roll(x, (1, 2), (0, 1))",
        "x.diagonal()",
        "x.diagonal(1)",
        "x.diagonal(offset=-1, dim1=1, dim2=0)",
        "tj.diag(v)",
        "tj.diag(x)",
        "tj.diag(v, 1)",
        "np.diag(v)",
        "x.diag()",
    ],
    "shapes": [
        "x.squeeze()",
        "x[:1].squeeze(0)",
        "x[:1].squeeze()",
        "x.unsqueeze(1)",
        "x.unsqueeze(-1)",
        "tj.expand_dims(x, 0)",
        "x.movedim(0, 1)",
        "tj.moveaxis(x, 0, -1)",
        "x.swapaxes(0, 1)",
        "x.view(6, 4)",
        "x.view(-1)",
        "x.reshape(2, -1)",
        "x.reshape((3, 8))",
        "x.flatten(0)",
        "x.ravel()",
        "x.unflatten(1, (2, 3))",
        "x.expand(4, 6)",
        "v.expand(3, 6)",
        "v.broadcast_to((2, 6))",
        "tj.broadcast_tensors(x, v)",
        "tj.permute_dims(x, (1, 0))",
        "x.select(0, 1)",
        "x.select(1, -1)",
        "x.narrow(1, 2, 3)",
        "tj.narrow(x, 0, 1, 2)",
        "x.chunk(3)",
        "x.chunk(2, dim=1)",
        "x.unbind(1)",
        "x.unfold(1, 3, 2)",
        "x.unfold(0, 2, 1)",
    ],
    "joining": [
        "tj.cat([x, y], dim=1)",
        "tj.concat((x, y))",
        "tj.stack([x, y], dim=-1)",
        "tj.hstack([x, y])",
        "tj.vstack([x, v])",
        "tj.cat([x, n])",
        "tj.concatenate([x, y], axis=None)",
    ],
    "reductions": [
        "x.sum()",
        "x.sum(0)",
        "x.sum(dim=1, keepdim=True)",
        "x.sum(axis=(0, 1))",
        "x.sum(axis=-1, keepdims=True)",
        "x.mean(1)",
        "x.prod(0)",
        "x.max()",
        "x.max(1)",
        "x.max(dim=0, keepdim=True)",
        "x.min(0)",
        "x.argmax()",
        "x.argmax(0)",
        "x.argmin(dim=1, keepdim=True)",
        "(x > 0).any()",
        "(x > 0).all(1)",
        "x.any(0)",
        "x.var()",
        "x.var(0)",
        "x.std(1, keepdim=True)",
        "x.var(0, correction=1)",
        "tj.std(x, dim=1, correction=1)",
        "x.norm()",
        "x.norm(1)",
        "x.norm(2, 1)",
        "x.norm(dim=1)",
        "tj.norm(x, ord=1, axis=0)",
        "x.logsumexp(1)",
        "x.logsumexp(dim=0, keepdim=True)",
        "x.softmax(1)",
        "tj.softmax(x, dim=0)",
        "x.log_softmax(-1)",
        "x.cumsum(0)",
        "tj.cumsum(x, dim=1)",
        "x.cumprod(1)",
        "n.sum()",
        "n.mean()",
        "n.cumsum(0)",
        "n.prod(1)",
        "(x > 0).sum()",
        "(x > 0).sum(0)",
        "n.max()",
        "x.sum(dtype=tj.float64)",
    ],
    "elementwise": [
        "tj.clamp(x, 0, 1)",
        "x.clamp(min=0)",
        "x.clip(-1, 1)",
        "x.clamp(max=y)",
        "tj.where(x > 0, x, y)",
        "tj.where(x > 0, 1.0, 0.0)",
        "tj.where(x > 0, x, 0)",
        "tj.maximum(x, y)",
        "tj.minimum(x, 0.5)",
        "x.pow(2)",
        "x.pow(y.abs())",
        "2 ** x",
        "tj.pow(p, 0.5)",
        "x.square()",
        "p.reciprocal()",
        "p.rsqrt()",
        "p.sqrt()",
        "p.log()",
        "p.log2()",
        "p.log10()",
        "p.log1p()",
        "x.exp()",
        "x.exp2()",
        "x.expm1()",
        "x.sin()",
        "x.cos()",
        "x.tan()",
        "x.tanh()",
        "tj.asin(x / 9)",
        "tj.acos(x / 9)",
        "tj.atan(x)",
        "tj.atan2(x, y)",
        "x.sinh()",
        "x.cosh()",
        "x.erf()",
        "x.sigmoid()",
        "x.relu()",
        "tj.gelu(x)",
        "tj.silu(x)",
        "tj.softplus(x)",
        "tj.leaky_relu(x, 0.1)",
        "tj.elu(x)",
        "x.abs()",
        "x.sign()",
        "x.floor()",
        "x.ceil()",
        "x.round()",
        "x.trunc()",
        "tj.round(x)",
        "F.gelu(x)",
        "F.gelu(x, approximate='tanh')",
        "F.softplus(x, beta=2.0)",
        "F.leaky_relu(x, negative_slope=0.3)",
        "F.elu(x, alpha=0.5)",
    ],
    "operators": [
        "n // 2",
        "n % 3",
        "n ** 2",
        "n & 3",
        "n",
        "n ^ 1",
        "~n",
        "n << 1",
        "n >> 1",
        "-n",
        "n / 2",
        "n.float()",
        "n + 1.5",
        "n * True",
        "n == 3",
        "n != x",
        "x < y",
        "x <= 0",
        "(x > 0) & (y > 0)",
        "x > 0",
        "~(x > 0)",
        "tj.logical_and(x > 0, y > 0)",
        "tj.logical_or(x, y)",
        "tj.logical_not(x)",
        "tj.logical_xor(x > 0, y > 0)",
        "tj.bitwise_and(n, 1)",
        "tj.isnan(x)",
        "tj.isfinite(x)",
        "tj.isinf(x)",
        "tj.remainder(x, 2)",
        "tj.fmod(x, 2)",
        "tj.floor_divide(x, 2)",
        "x.div(2)",
        "x.mul(y)",
        "x.sub(1)",
        "x.add(y)",
        "tj.add(x, y)",
        "tj.subtract(x, 1)",
        "tj.multiply(x, y)",
        "tj.divide(x, p)",
        "tj.negative(x)",
        "x.neg()",
    ],
    "products": [
        "tj.dot(v, v)",
        "v.dot(v)",
        "x.mm(y.T)",
        "x.mv(v)",
        "tj.matmul(x, v)",
        "x @ y.T",
        "tj.outer(v, v)",
        "v.outer(v)",
        "tj.bmm(x.reshape(2, 2, 6), y.reshape(2, 6, 2))",
        "tj.einsum('ij,kj->ik', x, y)",
        "tj.einsum('ii', s)",
        "tj.einsum('ij->j', x)",
        "tj.tensordot(x, y, 2)",
        "tj.tensordot(x, y, dims=([1], [1]))",
        "tj.tensordot(x, y, axes=([1], [1]))",
    ],
    "picking and ordering": [
        "x.triu()",
        "tj.tril(x, 1)",
        "x.sort()",
        "tj.sort(x, dim=0)",
        "tj.sort(x, descending=True)",
        "x.argsort()",
        "x.argsort(0, descending=True)",
        "x.topk(2)",
        "tj.topk(x, 3, dim=0)",
        "x.topk(2, largest=False)",
        "n.unique()",
        "tj.unique(n, return_counts=True)",
        "tj.unique(n, return_inverse=True)",
        "tj.nonzero(x > 0)",
        "tj.nonzero(x > 0, as_tuple=False)",
        "(x > 0).nonzero()",
        "x.gather(0, tj.tensor([[0, 1, 2, 3, 0, 1]]))",
        "tj.gather(x, 1, tj.tensor([[0], [1], [2], [3]]))",
        "tj.take(x, i)",
        "x.take(i)",
        "x.index_select(0, i)",
        "tj.index_select(x, 1, i)",
        "tj.take_along_axis(x, tj.argsort(x, 1), 1)",
        "tj.scatter(x, 0, tj.tensor([[0, 1, 2, 0, 0, 1]]), y[:1])",
        "x.scatter_add(0, tj.tensor([[0, 1, 2, 0, 0, 1]]), y[:1])",
        "tj.scatter(x, 1, tj.tensor([[0], [1]]), 5.0)",
        "tj.cartesian_prod(v, i)",
        "tj.meshgrid(v, i)",
        "tj.meshgrid(v, i, indexing='ij')",
        "np.meshgrid(v, i)",
        "tj.one_hot(i, 5)",
        "tj.pad(x, (1, 2))",
        "tj.pad(x, (1, 2, 0, 1), value=3.0)",
        "np.pad(x, 1)",
        "tj.pad(x, ((1, 1), (0, 2)))",
        "x.masked_fill(x > 0, 0.0)",
        "x.masked_select(x > 0)",
        "n.masked_fill(n > 3, 0)",
    ],
    "the array API": [
        "tj.unique_all(n)",
        "tj.unique_counts(n)",
        "tj.unique_values(v)",
        "tj.signbit(x)",
        "tj.vecdot(x, y)",
        "tj.cumulative_sum(x, axis=0, include_initial=True)",
        "tj.matrix_transpose(x)",
        "tj.broadcast_arrays(x, v)",
        "tj.unstack(x)",
        "tj.linalg.vecdot(x, y, axis=0)",
        "x.index_add(0, i, y[:3])",
        "x.where(b[:, None], 0.0)",
        "x.expand_as(tj.ones(2, 4, 6))",
        "x.t()",
        "x.argwhere()",
        "tj.astype(x, tj.float64)",
    ],
    "PyTorch's further parts and axes": [
        "tj.tensor_split(x, 4, dim=1)",
        "x.tensor_split((1, -1))",
        "x.hsplit(3)",
        "x.vsplit([1, 3])",
        "v.hsplit([2, 4])",
        "x.reshape(2, 2, 6).dsplit(2)",
        "x.split_with_sizes([1, 3])",
        "x.narrow_copy(0, 1, 2)",
        "tj.atleast_1d(x.sum(), v)",
        "tj.atleast_2d(v)",
        "(tj.atleast_3d(v), tj.atleast_3d(x))",
        "x.swapdims(0, 1)",
        "x.swapdims(dim0=0, dim1=-1)",
        "x.split_with_sizes(split_sizes=[1, 5], dim=1)",
        "(c.mH, c.H, c.adjoint(), x.mH)",
        "tj.view_as_real(c)",
        "tj.view_as_complex(x.reshape(4, 3, 2))",
        "x.clone().fill_diagonal_(2.0)",
        "tj.ones(3, 3, 3).fill_diagonal_(0.0)",
        "(x.type(tj.float64), x.cdouble(), n.cfloat())",
        "(tj.FloatTensor([1, 2]), tj.LongTensor([[1], [2]]))",
        "(tj.is_floating_point(x), tj.is_complex(c), x.is_same_size(y), x.is_same_size(v))",
        "x.ndimension() + x.get_device()",
        "tj.broadcast_shapes((3, 1), (1, 4))",
        "tj.as_tensor(x)",
    ],
    "sequences and windows": [
        "tj.tril_indices(4, x.shape[1], -1)",
        "tj.triu_indices(3, 3, offset=1)",
        "tj.logspace(0, 2, 5)",
        "tj.logspace(-1, 1, steps=4, base=2.0, dtype=tj.float64)",
        "tj.hann_window(x.shape[1])",
        "tj.hamming_window(6, False, alpha=0.5)",
        "(tj.blackman_window(6), tj.bartlett_window(7), tj.hann_window(1))",
        "tj.kaiser_window(6, True, beta=5.0)",
        "tj.hann_window(4, device=x.device)",
    ],
    "in place": [
        "x.clone().scatter_reduce_(0, tj.tensor([[0, 1, 2, 0, 0, 1]]), y[:1], 'amax')",
        "x.clone().index_fill_(0, i, 1.5)",
        "x.clone().index_put_((i,), y[:3])",
        "x.clone().masked_scatter_(x > 0, y)",
        "x.clone().lerp_(y, 0.25)",
        "s.clone().addmm_(s, sp)",
        "x.clone().cumsum_(1)",
        "x.clone().nan_to_num_()",
        "x.clone().tril_()",
        "p.clone().polygamma_(1)",
        "x.clone().arctan_()",
    ],
    "linear algebra and complex numbers": [
        "tj.linalg.norm(x)",
        "tj.linalg.det(sp)",
        "tj.linalg.inv(sp)",
        "tj.linalg.solve(sp, s)",
        "tj.linalg.cholesky(sp)",
        "c @ c",
        "c.conj()",
        "c.real",
        "c.imag",
        "tj.abs(c)",
        "c.sum()",
        "c.exp()",
        "c * 2j",
        "tj.conj(c)",
    ],
    "losses and layers": [
        "F.mse_loss(x, y)",
        "F.cross_entropy(x, tj.tensor([0, 1, 2, 3]))",
        "F.nll_loss(x.log_softmax(1), tj.tensor([0, 1, 2, 3]))",
        "F.binary_cross_entropy_with_logits(x, (y > 0).float())",
        "F.layer_norm(x, (6,))",
        "F.embedding(i, x)",
        "F.scaled_dot_product_attention(x, y, y)",
        "F.linear(x, y)",
        "F.dropout(x, 0.5, False)",
        "F.mse_loss(x, y, reduction='sum')",
        "F.one_hot(i, 4)",
        "F.softmax(x, dim=1)",
        "F.relu(x)",
    ],
    "facts, copies and creation": [
        "x.T",
        "x.mT",
        "x.shape",
        "x.ndim",
        "x.size",
        "x.dtype",
        "x.numel()",
        "x.dim()",
        "x.clone()",
        "x.detach()",
        "x.contiguous()",
        "x.to(tj.float64)",
        "x.to('float64')",
        "x.astype(tj.int32)",
        "x.double()",
        "x.half()",
        "x.long()",
        "v[0].item()",
        "len(x)",
        "tj.zeros_like(x)",
        "tj.ones_like(x, dtype=tj.int32)",
        "tj.full_like(x, 3.0)",
        "tj.zeros(2, 3)",
        "tj.zeros((2, 3), dtype=tj.int64)",
        "tj.ones(3)",
        "tj.full((2,), 7)",
        "tj.eye(3)",
        "tj.eye(2, 3)",
        "tj.arange(5)",
        "tj.arange(1, 5, 2)",
        "tj.arange(0.0, 1.0, 0.25)",
        "tj.linspace(0, 1, 5)",
        "tj.tensor([1, 2])",
        "tj.tensor(3.0)",
        "tj.asarray(x)",
        "tj.tensor([[1.0, 2.0], [3.0, 4.0]])",
    ],
    "indexing": [
        "x[0]",
        "x[-1]",
        "x[1, 2]",
        "x[1:3]",
        "x[::2]",
        "x[:, ::-1]",
        "x[..., 1]",
        "x[None]",
        "x[:, None, :]",
        "x[i]",
        "x[:, i]",
        "x[i, i]",
        "x[b]",
        "x[x > 0]",
        "x[b, 1]",
        "x[0, i]",
        "x[i][:, 1]",
        "x[[0, 1]]",
        "x[[0, 1], [2, 3]]",
        "x[tj.tensor(1)]",
        "x[b][0]",
        "x[..., None]",
        "x[1:1]",
        "x[3:0:-1]",
        "x[i, None]",
        "x[:, 0, None]",
        "x[i.reshape(3, 1), i]",
    ],
}


def arguments() -> dict[str, Any]:
    """The names that expressions use."""
    rng = np.random.default_rng(7)
    x, square = draw(4, 6), draw(3, 3)
    return {
        "x": x,
        "y": draw(4, 6, seed=1),
        "v": draw(6),
        "i": tj.tensor([1, 0, 3]),
        "b": tj.tensor([True, False, True, True]),
        "n": tj.tensor(rng.integers(1, 9, (4, 6))),
        "c": tj.tensor((rng.random((3, 3)) + 1j * rng.random((3, 3))).astype(np.complex64)),
        "p": x.abs() + 0.5,
        "s": square,
        "sp": square.mm(square.T) + tj.eye(3),
    }


@pytest.mark.compiled
@pytest.mark.parametrize("group", EXPRESSIONS)
def test_compiled_calls_give_what_eager_calls_give(group: str) -> None:
    given = arguments()
    names = {"tj": tj, "np": np, "F": nn.functional}
    text = f"lambda {', '.join(given)}: [{', '.join(EXPRESSIONS[group])}]"
    function = eval(text, names)
    got = tj.trace(function, *given.values())(*given.values())
    want = function(*given.values())
    for expression, a, b in zip(EXPRESSIONS[group], got, want, strict=True):
        try:
            assert_same(a, b)
        except AssertionError as error:
            raise AssertionError(f"{expression}: {error}") from None


def topk(x: Any, i: Any, k: int) -> Any:
    return x.topk(k, dim=0)


def gather(x: Any, i: Any, k: int) -> Any:
    return x.gather(0, i)


def gather_columns(x: Any, i: Any, k: int) -> Any:
    return tj.gather(x, 0, i.reshape(1, -1))


def scatter(x: Any, i: Any, k: int) -> Any:
    return tj.scatter(x[:, 0], 0, i, x[:2, 1])


def index_add(x: Any, i: Any, k: int) -> Any:
    return x.index_add(0, i, x)


def take_along_axis(x: Any, i: Any, k: int) -> Any:
    return tj.take_along_axis(x, i.reshape(1, -1), 0)


def narrow(x: Any, i: Any, k: int) -> Any:
    return x.narrow(0, 1, k)


def unfold(x: Any, i: Any, k: int) -> Any:
    return x.unfold(0, k, 1)


def split(x: Any, i: Any, k: int) -> Any:
    return tj.split(x, [1, k])


def unsqueeze(x: Any, i: Any, k: int) -> Any:
    return x.unsqueeze(5)


def view(x: Any, i: Any, k: int) -> Any:
    return x.T.view(-1)


def products(x: Any, i: Any, k: int) -> Any:
    return x.mm(x[0])


@pytest.mark.parametrize(
    "function",
    [topk, gather_columns, scatter, index_add, take_along_axis, narrow, unfold, split, unsqueeze, view, products],
)
def test_what_does_not_fit_is_refused_as_in_eager_calls(function: Any) -> None:
    given = draw(4, 3), tj.tensor([1, 0, 2, 3, 0]), 9
    with pytest.raises((ValueError, IndexError, RuntimeError)) as eager:
        function(*given)
    with pytest.raises((ValueError, IndexError, RuntimeError)) as compiled:
        tj.script(function)(*given)
    kinds = (ValueError, IndexError, RuntimeError)
    shared = [k for k in kinds if isinstance(eager.value, k) and isinstance(compiled.value, k)]
    assert shared, f"eager: {eager.value!r}, compiled: {compiled.value!r}"


def test_gather_takes_smaller_indices() -> None:
    given = draw(4, 3), tj.tensor([[1, 0], [2, 3]]), 0
    assert_same(tj.script(gather)(*given), gather(*given))


def test_exchanged_axes_of_tensors_and_arrays() -> None:
    @tj.script
    def exchanged(x: Any) -> Any:
        return x.transpose(0, 1)

    assert exchanged(tj.ones(2, 3)).shape == (3, 2)
    assert exchanged(np.ones((2, 3))).shape == (2, 3)


@pytest.mark.compiled
def test_sizes_that_decide_how_many_parts_there_are_are_compiled_in() -> None:
    @tj.script
    def halves(x: Any) -> Any:
        return x.chunk(2)

    for n, sizes in ((4, [2, 2]), (7, [4, 3]), (4, [2, 2])):
        assert [part.shape[0] for part in halves(tj.ones(n, 2))] == sizes
    assert halves.compiles == 2
    first = tj.vmap(lambda x: x.unbind()[0] * 2)
    for shape in ((3, 2), (3, 4), (5, 4)):
        assert_same(first(tj.ones(*shape)), tj.ones(shape[0]) * 2)

    @tj.script
    def of_data(x: Any) -> Any:
        return x[x > 0].chunk(2)

    with pytest.raises(tj.ScriptError, match="depends on data"):
        of_data(tj.ones(4))


@pytest.mark.compiled
def test_numbers_inside_containers_are_compiled_in() -> None:
    @tj.script
    def total(x: Any, options: Any) -> Any:
        return x.sum(options["axis"][0])

    x = np.arange(6.0).reshape(2, 3)
    for axis in (0, 1, 0):
        assert_same(total(x, {"axis": (axis,)}), x.sum(axis))
    assert total.compiles == 2


@pytest.mark.parametrize("program", [lambda x: x.clamp(), lambda x: x.repeat_interleave(-1)])
def test_what_eager_calls_refuse_is_an_error(program) -> None:
    for fn in (program, tj.script(program)):
        with pytest.raises((TypeError, ValueError), match="bound|negative"):
            fn(tj.tensor([1.0, 2.0]))
