"""Calls as PyTorch's users write them: `max` of two tensors, `new_zeros` and its like, what `tensor` makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check
from tracejit import nn


def greater_and_less(a: Any, b: Any) -> Any:
    one, other = a[0, 0], b.sum()
    of_elements = tj.max(one, other), tj.min(one, b[1, 1]), other.max(one * 2)
    return tj.max(a, b), a.min(b), tj.max(a), a.max(0), tj.min(a, dim=1), of_elements


def test_max_of_two_tensors() -> None:
    a, b = tj.tensor([[1.0, 5.0], [2.0, 0.0]]), tj.tensor([[3.0, 5.0], [1.0, 9.0]])
    check(greater_and_less, a, b)
    for call in (tj.max, tj.script(lambda x, y: tj.max(x, y))):
        x, y = a.clone().requires_grad_(), b.clone().requires_grad_()
        call(x, y).sum().backward()
        np.testing.assert_array_equal(x.grad.numpy(), [[0.0, 0.5], [1.0, 0.0]])
        np.testing.assert_array_equal(y.grad.numpy(), [[1.0, 0.5], [0.0, 1.0]])


def new_ones(x: Any) -> Any:
    return (
        x.new_zeros(3),
        x.new_ones(2, 2),
        x.new_full((2,), 7),
        x.new_tensor([1, 2]),
        x.new_zeros((2,), dtype=tj.int32),
    )


@pytest.mark.parametrize("dtype", [tj.float32, tj.float64, tj.int64])
def test_new_tensors(dtype: Any) -> None:
    check(new_ones, tj.ones(2, dtype=dtype))


def made(x: Any, n: int) -> Any:
    return tj.tensor([[1.0, 2.0], [3.0, n]]), tj.tensor(x.sum().item()), tj.tensor([n, 2]), tj.tensor([x[0].item(), 2])


def test_dtypes_of_tensors() -> None:
    check(made, tj.tensor([0.5, 1.5]), 3)


def on_its_device(x: Any) -> Any:
    d = x.device
    assert tj.zeros(2, requires_grad=False)[0] == 0 and len(tj.arange(start=1, end=4)) == 3
    assert len(tj.linspace(0, 1, steps=7)) == 7
    return tj.arange(3, device=d), tj.linspace(0, 1, 3, device=d), tj.eye(2, device=d), tj.full((2,), 1.5, device=d)


def ranges(n: int, s: int) -> Any:
    return np.arange(n, step=s), np.arange(1, n)


def ranges_by_keyword(n: Any, nothing: Any) -> Any:
    arange: Any = np.arange
    return arange(stop=n), arange(0, n, nothing), arange(n, nothing)


def rounded(x: Any, out: Any) -> Any:
    return np.round(x, 1, out), out, np.around(x, 2)


def sum_of(x: Any) -> Any:
    return np.sum(x)


def test_arguments_of_numpy() -> None:
    check(ranges, 5, 2)
    check(ranges_by_keyword, 5, None)
    check(rounded, np.array([1.234, 2.345]), np.zeros(2))


def test_none_for_an_array_is_refused() -> None:
    with pytest.raises(tj.ScriptError, match="of None"):
        tj.script(sum_of)(None)


def spelt_methods(x: Any, y: Any) -> Any:
    return (
        (x.remainder(y), x.floor_divide(y), x.true_divide(y), x.subtract(y), x.multiply(2), x.negative(), x.positive()),
        (x.isclose(y), x.allclose(x), x.greater(y), x.less_equal(y), x.not_equal(y), x.fmax(y), x.logaddexp(y)),
        (
            x.inner(y),
            x.kron(y),
            x.diff(),
            x.cov(),
            x.trace(),
            x.fliplr(),
            x.rot90(),
            x.signbit(),
            x.nansum(),
            x.nanmean(),
        ),
        ((x > 0).bitwise_and(y > 0), (x > 0).bitwise_not(), x.quantile(0.5)),
    )


def keywords(x: Any, y: Any) -> Any:
    z = x.clone()
    z.add_(y, alpha=3)
    z.sub_(1, alpha=0.5)
    e = 2 * x
    tj.mul(x, y, out=e)
    added = tj.add(x, y, alpha=2), x.sub(y, alpha=0.5), tj.sub(input=x, other=2, alpha=3), x.add(2, alpha=2)
    return z, e, added, tj.mul(input=x, other=y), tj.cat(dim=1, tensors=[x, y]), tj.stack(tensors=(x, y)), x.char()


def facts(x: Any) -> Any:
    return (
        x.is_floating_point(),
        x.is_complex(),
        x.element_size(),
        x.is_cuda,
        x.data + 1,
        tj.tensor([]),
        tj.zeros(2, dtype=tj.long),
    )


def places(x: Any) -> Any:
    return (
        tj.zeros(2, device=tj.device("cpu")),
        x.device == tj.device("cpu"),
        x.to(tj.double),
        tj.device("cuda", 1).index,
    )


def test_methods_and_facts() -> None:
    x, y = tj.tensor([[1.5, -2.0], [0.5, 3.0]]), tj.tensor([[1.0, 2.0], [-1.0, 3.0]])
    check(spelt_methods, x, y, tolerance=1e-6)
    check(keywords, x, y, tolerance=1e-6)
    check(facts, x)
    check(places, x)
    check(on_its_device, x)
    np.testing.assert_array_equal(tj.add(x, y, alpha=2).numpy(), (x + 2 * y).numpy())
    assert (tj.float, tj.half, tj.int, tj.short) == (tj.float32, tj.float16, tj.int32, tj.int16)


@pytest.mark.parametrize("name", ["equal", "transpose_", "resize_", "lt_", "cov_"])
def test_methods_that_tensors_lack(name: str) -> None:
    def called(x: Any) -> Any:
        return getattr(x, name)(x)

    for run in (called, tj.script(called)):
        with pytest.raises(AttributeError, match=f"'Tensor' object has no attribute '{name}'"):
            run(tj.ones(2, 2))


def distances_and_products(x: Any, y: Any, c: Any) -> Any:
    return (
        tj.cdist(x, y),
        tj.cdist(x, y, 1.0),
        tj.addbmm(c, x, y.mT, alpha=2),
        tj.logit(tj.sigmoid(x)),
        x.logit(eps=0.1),
    )


def test_distances_of_rows_and_sums_of_products() -> None:
    rng = np.random.default_rng(2)
    x, y, c = (tj.tensor(rng.standard_normal(s)) for s in ((2, 3, 4), (2, 5, 4), (3, 5)))
    check(distances_and_products, x, y, c, tolerance=1e-12)
    a, b = x.numpy(), y.numpy()
    found = distances_and_products(x, y, c)
    apart = a[:, :, None] - b[:, None]
    np.testing.assert_allclose(found[0].numpy(), np.sqrt((apart**2).sum(-1)))
    np.testing.assert_allclose(found[1].numpy(), np.abs(apart).sum(-1))
    np.testing.assert_allclose(found[2].numpy(), c.numpy() + 2 * (a @ b.transpose(0, 2, 1)).sum(0))
    np.testing.assert_allclose(found[3].numpy(), a)
    limited = np.clip(a, 0.1, 0.9)
    np.testing.assert_allclose(found[4].numpy(), np.log(limited / (1 - limited)))
    report = tj.check(lambda x, y: tj.cdist(x, y).sum(), x, y)
    assert report.ok, report


def limits(x: Any, n: int) -> Any:
    masked = x.masked_fill(x > 0, tj.finfo(x.dtype).min)
    return masked, tj.finfo(x).eps * n, tj.iinfo(tj.int32).max + n


def test_limits_of_dtypes() -> None:
    check(limits, tj.tensor([1.0, -2.0]), 3)


def of_kinds(x: Any) -> Any:
    return tj.is_tensor(x), tj.is_tensor(3), tj.is_tensor([x]), tj.zeros(2, dtype=tj.get_default_dtype())


def test_what_is_a_tensor() -> None:
    check(of_kinds, tj.ones(2))


def of_python_numbers(x: Any, n: int, pairs: Any, z: complex) -> Any:
    grown = tj.tensor([(i, i * 0.5) for i in range(n)]), tj.tensor([[i * 0.5 for _ in range(n)] for i in range(n)])
    ints = tj.tensor([(i, i) for i in range(n)])
    return *grown, ints, tj.tensor(pairs), tj.tensor([1, z]), tj.tensor(z), tj.asarray([z] * 3), x


def test_numbers_of_python_make_tensors_of_default_dtypes() -> None:
    for pairs in ([(1, 0.5)] * 3, [(1, 0.5)] * 30):
        check(of_python_numbers, tj.ones(2), 3, pairs, 0.5j)


def ordered(x: Any, n: int) -> Any:
    close = sorted(range(n), key=lambda i: 1 - i * 1e-12)
    return sorted([0.1 + i for i in range(n)]), sorted([0.1 + i for i in range(n)], reverse=True), close, x


def test_floats_are_ordered_in_64_bits() -> None:
    check(ordered, tj.ones(2), 4, tolerance=1e-15)


def test_whether_one_element_is_zero() -> None:
    for x in (tj.tensor(0.0), tj.tensor([2.0]), tj.ones(3)):
        check(lambda x: tj.is_nonzero(x), x)


def of_layers(x: Any, y: Any) -> Any:
    near = tj.cosine_similarity(x, y, dim=1), tj.pairwise_distance(x, y), tj.pdist(x)
    return *near, tj.celu(x), tj.hardshrink(x), tj.threshold(x, 0.1, 2.0), tj.pixel_shuffle(x.reshape(4, 1, 1), 2)


def test_functions_of_layers() -> None:
    check(of_layers, tj.tensor([[1.5, -2.0], [0.5, 3.0]]), tj.tensor([[1.0, 2.0], [-1.0, 3.0]]), tolerance=1e-6)
    assert tj.cosine_similarity is tj.nn.functional.cosine_similarity


def of_data_or_sizes(n: int) -> Any:
    return tj.Tensor([1, 2]), tj.Tensor([[1.5], [2]]), tj.Tensor(2, n).shape, tj.Tensor().shape, tj.Tensor([n]).dtype


def test_tensors_made_by_their_class_are_float32() -> None:
    assert tj.Tensor([1, 2]).dtype == tj.Tensor(np.ones(2)).dtype == tj.float32 and tj.Tensor(2).shape == (2,)
    check(of_data_or_sizes, 3)


def by_keyword(x: Any) -> Any:
    wide = x.view(size=[2, -1]), x.reshape(shape=(3, 2)), x[:1].expand(size=[4, -1])
    kinds = x.type(tj.LongTensor), x.type("torch.DoubleTensor"), x.type(), x.long().type(tj.float32)
    return (
        *wide,
        *kinds,
        x.to(x, non_blocking=True),
        x.to("cpu", tj.float64, non_blocking=False),
        tj.trace(x.view(2, 3)),
    )


def test_shapes_and_kinds_by_keyword() -> None:
    check(by_keyword, tj.arange(6.0))


def test_what_is_no_data_is_a_type_error() -> None:
    for fn in (lambda x: tj.tensor([None]), lambda x: tj.tensor("a"), lambda x: x + tj.tensor(None)):
        check(fn, tj.ones(2))


def test_shapes_that_would_change_in_place_are_errors() -> None:
    for fn in (lambda x: x.squeeze_(0), lambda x: x.t_(), lambda x: x.resize_(3)):
        for call in (fn, tj.script(fn)):
            with pytest.raises(AttributeError, match="keeps its shape"):
                call(tj.ones(1, 3))


def test_the_default_dtype_stays() -> None:
    tj.set_default_dtype(tj.float32)
    with pytest.raises(ValueError, match="give dtype="):
        tj.set_default_dtype(tj.float64)


def along_dim(x: Any) -> Any:
    orders = x.sort(dim=0)[0], x.mode(dim=1)[0], x.logcumsumexp(dim=0), x.topk(1, dim=0, largest=False)[0]
    totals = x.nansum(dim=0, keepdim=True), x.nanmax(dim=-1), x.nanmean(dim=(0, 1)), x.median(dim=1, keepdim=True)[0]
    pairs = x.kron(other=x), x[0].outer(other=x[1]), x.xlogy(other=x), x.logaddexp(other=x), x.isclose(other=x)
    return *orders, *totals, *pairs


def test_methods_take_pytorchs_keywords() -> None:
    check(along_dim, tj.tensor([[3.0, 1.0, 2.0], [2.0, 2.0, 5.0]]))


def by_pytorchs_names(x: Any) -> Any:
    wide = tj.zeros(size=(2, 3)), tj.ones(size=[2]), tj.full(size=(2,), fill_value=2.0), x.new_zeros(size=(2,))
    parts = x.unflatten(0, sizes=(1, 2)), tj.broadcast_to(x[0], size=(2, 3)), x.split(split_size=1)
    products = tj.mm(input=x, mat2=x.t()), tj.mv(x, vec=x[0]), tj.outer(x[0], vec2=x[1]), x[0].dot(tensor=x[1])
    chosen = x.where(condition=x > 2, other=x * 2), tj.where(condition=x > 2, input=x, other=0.0), tj.where(x > 2, x, 1)
    kinds = x.softmax(-1, dtype=tj.float64), tj.log_softmax(x, 1, tj.float64), x.double().type_as(other=x)
    turned = tj.rot90(x, k=3, dims=[1, 0]), tj.rot90(x[None], -1, (2, 0)), x.rot90(2)
    found = x.topk(2, sorted=True), tj.topk(x, 1, dim=0, sorted=False), tj.isin(elements=x, test_elements=x[0])
    return *wide, *parts, *products, *chosen, *kinds, *turned, *found, x.pow(exponent=2), tj.rand(size=(0, 2))


def limited(x: Any) -> Any:
    return x.clamp(max=x[0]), tj.clamp(x, x * 0 + 2, None), tj.masked_select(x[0], x > 2), x.masked_select(x[0] > 1)


def added_and_stretched(x: Any, beta: float, sizes: list[int]) -> Any:
    products = [tj.addmm(x[:, :2] / x[0, 2], x, x.T, beta=each) for each in (beta, 0.5)]
    return *products, tj.addmm(x[:, :2] / 0, x, x.T, beta=0), x[:, None].expand(sizes)


def along_dims_and_into(x: Any) -> Any:
    y, z = tj.zeros(2, 3), tj.zeros(3)
    written = tj.mm(x, tj.eye(3), out=y) is y, tj.sum(x, 0, out=z)
    spectra = tj.fft.fft2(x, dim=(0, 1)), tj.fft.rfftn(x, dim=[1]), tj.fft.fftshift(x, dim=0)
    angles = nn.functional.cosine_similarity(x[None], x[:, None], dim=-2), tj.flip(x, dims=[0])
    return y, written, *spectra, *angles


def test_functions_take_pytorchs_names() -> None:
    check(along_dims_and_into, tj.tensor([[3.0, 1.0, 2.0], [4.0, 6.0, 5.0]]), tolerance=1e-5)
    x = tj.tensor([[3.0, 1.0, 2.0], [4.0, 6.0, 5.0]])
    check(by_pytorchs_names, x)
    check(limited, x)
    check(added_and_stretched, x, 0.0, [-1, 4, 3])
    check(added_and_stretched, tj.tensor([[3.0, 1.0, 0.0], [4.0, 6.0, 5.0]]), 0.0, [2, 4, -1])


def test_more_operands_than_a_function_takes_are_a_type_error() -> None:
    for fn in (lambda x: x.exp(None), lambda x: x.add(x, None), lambda x: tj.relu(x, None)):
        check(fn, tj.ones(2))


def unpacked_parts(x: Any, mask: Any) -> Any:
    y = x[:, mask]
    a, b, c = tj.split(y, 2, 1)
    d, e = y.chunk(2, dim=1)
    f, *rest = tj.split(x, 3, 1)
    print(c.shape, d.shape)
    p, q, r, s, t = y.T.unbind(0)
    return a + b, e, f, len(rest), p * t


def halves(x: Any, n: int) -> Any:
    if n == 0:
        return x
    a, b = tj.split(halves(x, n - 1), 2, 1)
    return tj.cat([b * n, a], 1)


def test_parts_of_sizes_that_data_tell() -> None:
    x = tj.arange(14.0).reshape(2, 7)
    scripted = tj.script(unpacked_parts)
    for width in (5, 6, 7, 4):  # 7: too many parts, 6: too many columns, 4: not enough parts
        check(unpacked_parts, x, tj.arange(7) < width, scripted=scripted)
    y = tj.arange(8.0).reshape(2, 4)
    compiled = tj.script(halves)
    for n in (0, 1, 3):
        check(halves, y, n, scripted=compiled)
    grown = y.clone().requires_grad_()
    compiled(grown, 3).pow(2).sum().backward()
    np.testing.assert_allclose(grown.grad.numpy(), tj.grad(lambda v: halves(v, 3).pow(2).sum())(y).numpy())
