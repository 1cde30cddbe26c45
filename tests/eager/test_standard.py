"""Names of the array API standard and facts about tensors, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj

STANDARD = """
abs acos acosh add all any arange argmax argmin argsort asarray asin asinh astype atan atan2 atanh bitwise_and
bitwise_invert bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor bool broadcast_arrays broadcast_to can_cast
ceil clip complex128 complex64 concat conj copysign cos cosh count_nonzero cumulative_prod cumulative_sum diff divide e
empty empty_like equal exp expand_dims expm1 eye finfo flip float32 float64 floor floor_divide from_dlpack full
full_like greater greater_equal hypot iinfo imag inf int16 int32 int64 int8 isdtype isfinite isin isinf isnan less
less_equal
linalg linspace log log10 log1p log2 logaddexp logical_and logical_not logical_or logical_xor matmul matrix_transpose
max maximum mean meshgrid min minimum moveaxis multiply nan negative newaxis nextafter nonzero not_equal ones ones_like
permute_dims pi positive pow prod real reciprocal remainder repeat reshape result_type roll round searchsorted sign
signbit sin sinh sort sqrt square squeeze stack std subtract sum take take_along_axis tan tanh tensordot tile tril triu
trunc uint16 uint32 uint64 uint8 unique_all unique_counts unique_inverse unique_values unstack var vecdot where zeros
zeros_like __array_api_version__ __array_namespace_info__
""".split()
LINALG = (
    "cross diagonal matmul matrix_transpose outer tensordot trace vecdot det inv qr solve svd eigh cholesky".split()
)


def test_the_namespace_is_complete() -> None:
    space = tj.zeros(2).__array_namespace__()
    assert [name for name in STANDARD if not hasattr(space, name)] == []
    assert [name for name in LINALG if not hasattr(space.linalg, name)] == []


def test_the_namespace_describes_itself() -> None:
    info = tj.__array_namespace_info__()
    assert info.default_dtypes()["real floating"] == tj.float32
    assert set(info.dtypes(kind="real floating")) == {"float32", "float64"}
    assert info.capabilities()["boolean indexing"]
    assert info.default_device() in info.devices()


@pytest.mark.parametrize("values", [[3.0, 1.0, np.nan, 1.0, -0.0, np.nan], [4, 4, 1], []])
def test_unique_gives_what_numpy_gives(values: list[Any]) -> None:
    array = np.array(values, "float32" if not values or isinstance(values[0], float) else "int64")
    x = tj.from_numpy(array)
    options: dict[str, Any] = {"return_index": True, "return_inverse": True, "return_counts": True}
    for got, want in (
        (tj.unique(x, **options), np.unique(array, **options)),
        (tj.unique_all(x), np.unique_all(array)),
        (tj.unique_counts(x), np.unique_counts(array)),
        (tj.unique_inverse(x), np.unique_inverse(array)),
        ((tj.unique_values(x),), (np.unique_values(array),)),
    ):
        for a, b in zip(got, want, strict=True):
            np.testing.assert_array_equal(a.numpy(), b)
    matrix = np.array([[1, 2], [2, 3]])
    assert tj.unique_inverse(tj.tensor(matrix)).inverse_indices.tolist() == [[0, 1], [1, 2]]


def test_other_functions_of_the_standard() -> None:
    x = np.array([[1.0, -2.0, 3.0], [-0.0, 5.0, np.nan]])
    t = tj.from_numpy(x)
    np.testing.assert_array_equal(tj.signbit(t).numpy(), np.signbit(x))
    np.testing.assert_array_equal(tj.signbit(tj.tensor([-1, 0, 2])).numpy(), [True, False, False])
    np.testing.assert_array_equal(tj.nextafter(t, 9.0).numpy(), np.nextafter(x, 9.0))
    np.testing.assert_array_equal(tj.cumulative_sum(t, axis=1).numpy(), np.cumulative_sum(x, axis=1))
    for initial in (False, True):
        got = tj.cumulative_prod(t, axis=0, include_initial=initial)
        np.testing.assert_array_equal(got.numpy(), np.cumulative_prod(x, axis=0, include_initial=initial))
    z = np.array([1 + 2j, 3 - 1j])
    np.testing.assert_allclose(tj.vecdot(tj.tensor(z), tj.tensor(z * 2)).numpy(), np.vecdot(z, z * 2))
    np.testing.assert_allclose(tj.vecdot(t[:1], t[:1], axis=0).numpy(), x[0] ** 2)
    for a, b in zip(tj.broadcast_arrays(t, tj.ones(3)), np.broadcast_arrays(x, np.ones(3)), strict=True):
        np.testing.assert_array_equal(a.numpy(), b)
    assert [r.tolist() for r in tj.unstack(tj.tensor([[1, 2], [3, 4]]), axis=1)] == [[1, 3], [2, 4]]
    assert tj.matrix_transpose(tj.ones(4, 2, 3)).shape == (4, 3, 2)
    assert tj.astype(t, tj.float32).dtype == tj.float32


def test_dtypes_are_described() -> None:
    assert tj.finfo(tj.float32).eps == np.finfo(np.float32).eps
    assert tj.finfo(tj.ones(2, dtype=tj.complex128)).bits == 64
    assert tj.iinfo("int8").max == 127
    assert tj.isdtype(tj.float32, "real floating")
    assert tj.isdtype(tj.uint8, ("signed integer", "unsigned integer"))
    assert not tj.isdtype(tj.bool, "numeric")
    assert tj.isdtype(tj.int64, tj.int64)
    with pytest.raises(TypeError, match="integers"):
        tj.iinfo(tj.float32)
    with pytest.raises(TypeError, match="floats"):
        tj.finfo("int8")
    with pytest.raises(ValueError, match="knows no kind"):
        tj.isdtype(tj.int8, "vowels")


def test_pytorch_methods_about_tensors() -> None:
    x = tj.ones(2, 3)
    assert x.stride() == (3, 1)
    assert x.T.stride(0) == 1
    assert x.element_size() == 4
    assert x.data_ptr() == x.numpy().ctypes.data
    assert x.is_floating_point() and not x.is_complex() and not x.is_cuda
    assert x.new_zeros(2).dtype == tj.float32
    assert x.double().new_full((2,), 3).tolist() == [3.0, 3.0]
    assert x.int().new_tensor([1.5]).tolist() == [1]
    assert x.expand_as(tj.ones(4, 2, 3)).shape == (4, 2, 3)
    assert x.view_as(tj.ones(3, 2)).shape == (3, 2)
    assert x.t().shape == (3, 2)
    rounded: Any = tj.tensor([1.26])
    assert round(rounded, 1).tolist() == pytest.approx([1.3])
    assert tj.is_tensor(x) and not tj.is_tensor(1)
    assert tj.numel(x) == x.nelement() == 6


def test_scattering_in_place() -> None:
    x = tj.zeros(3, 4)
    places = tj.tensor([[0], [1], [2]])
    x.scatter_(1, places, 1.0)
    x.scatter_add_(1, places, tj.ones(3, 1))
    x.index_add_(0, tj.tensor([0, 0]), tj.ones(2, 4), alpha=0.5)
    x.clip_(0, 2.5).clamp_(min=0.25)
    assert x.tolist() == [[2.5, 1.0, 1.0, 1.0], [0.25, 2.0, 0.25, 0.25], [0.25, 0.25, 2.0, 0.25]]
    weights = tj.ones(3, requires_grad=True)
    y = weights * 2
    y.index_add_(0, tj.tensor([1]), tj.tensor([3.0]))
    y.sum().backward()
    assert weights.grad is not None and weights.grad.tolist() == [2.0, 2.0, 2.0]


def test_detach_in_place() -> None:
    x = tj.ones(2, requires_grad=True)
    y = x * 2
    y.detach_()
    assert y.is_leaf and not y.requires_grad
    with pytest.raises(RuntimeError, match="view"):
        (x * 2)[0].detach_()


def test_products_have_fixed_ranks() -> None:
    for call in (
        lambda: tj.ones(3).mm(tj.ones(3)),
        lambda: tj.ones(2, 3).mv(tj.ones(3, 1)),
        lambda: tj.bmm(tj.ones(2, 3), tj.ones(3, 2)),
    ):
        with pytest.raises(ValueError, match="takes .-d and .-d operands"):
            call()


def test_gradients_through_steps_are_zero() -> None:
    x = tj.tensor([1.5, 2.5], requires_grad=True)
    tj.floor(x * 2).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [0.0, 0.0]
    (found,) = tj.autograd.grad((tj.round(x) + x).sum(), x)
    assert found is not None and found.tolist() == [1.0, 1.0]
    with pytest.raises(RuntimeError, match="not used"):
        tj.autograd.grad(tj.sign(x).sum(), [x, tj.ones(1, requires_grad=True)])


def test_requires_grad_is_set_on_inexact_leaves_only() -> None:
    x = tj.ones(2, requires_grad=True)
    y = x * 2
    with pytest.raises(RuntimeError, match="leaf"):
        y.requires_grad = False
    with pytest.raises(RuntimeError, match="floating-point"):
        tj.tensor([1, 2]).requires_grad = True
    x.requires_grad = False
    assert not x.requires_grad and not (x * 2).requires_grad


def test_products_keep_bfloat16() -> None:
    x = tj.ones(2, 2, dtype=tj.bfloat16)
    assert (x @ x).dtype == x.mv(x[0]).dtype == tj.einsum("ij,jk->ik", x, x).dtype == tj.bfloat16


@pytest.mark.parametrize("offset", [0, 1, -2, 9])
def test_diagonals_of_matrices(offset: int) -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    for diagonal in (tj.linalg.diagonal, tj.script(lambda x, offset: tj.linalg.diagonal(x, offset=offset))):
        np.testing.assert_array_equal(diagonal(tj.tensor(x), offset=offset), np.linalg.diagonal(x, offset=offset))
    for trace in (tj.linalg.trace, tj.script(lambda x, offset: tj.linalg.trace(x, offset=offset))):
        np.testing.assert_array_equal(trace(tj.tensor(x), offset=offset), np.linalg.trace(x, offset=offset))
        assert trace(tj.tensor(x.astype("int8")), offset=offset).dtype == tj.int64
    inside = tj.script(lambda x, offset: (np.linalg.trace(x, offset=offset), np.linalg.diagonal(x, offset=offset)))
    for found, expected in zip(
        inside(x, offset), (np.linalg.trace(x, offset=offset), np.linalg.diagonal(x, offset=offset)), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def test_a_diagonal_of_matrices_is_a_view() -> None:
    x = tj.zeros(2, 3, 3)
    tj.linalg.diagonal(x).fill_(1)
    assert x.tolist() == [np.eye(3).tolist()] * 2
    assert tj.linalg.trace(x, dtype=tj.float64).dtype == tj.float64


def test_the_trace_of_a_vector_is_refused() -> None:
    for trace in (tj.linalg.trace, tj.Tensor.trace, tj.script(lambda x: x.trace())):
        with pytest.raises(ValueError, match="two axes|out of bounds"):
            trace(tj.ones(3))


@pytest.mark.parametrize(
    "same",
    [
        lambda x: (tj.reshape(x, (3, 2)), tj.reshape(x, shape=(3, 2)), x.reshape(shape=(3, -1)), tj.reshape(x, 3, 2)),
        lambda x: (tj.permute_dims(x, axes=(1, 0)), x.permute(dims=(1, 0)), x.permute(1, 0), tj.permute(x, (1, 0))),
        lambda x: (tj.flip(x, axis=1), tj.flip(x, dims=(1,)), x.flip(1), x.flip([-1])),
        lambda x: (tj.pad(x, 1), tj.pad(x, (1, 1, 1, 1)), tj.pad(x, ((1, 1), (1, 1)))),
        lambda x: (x + tj.tensor([0.5, 1, 2]), x + [0.5, 1, 2], [0.5, 1, 2] + x),
    ],
    ids=["reshape", "permute", "flip", "pad", "list"],
)
def test_spellings_of_arguments(same: Any) -> None:
    for run in (same, tj.script(same)):
        first, *others = (y.tolist() for y in run(tj.arange(6.0).reshape(2, 3)))
        assert all(other == first for other in others)


def test_reshape_by_a_copy_and_without() -> None:
    def written(x: Any, copy: bool | None) -> Any:
        y = tj.reshape(x, (3, 2), copy=copy)
        y[0] = 9
        return y

    for run in (written, tj.script(written)):
        for copy, first in ((True, 0.0), (False, 9.0), (None, 9.0)):
            x = tj.arange(6.0).reshape(2, 3)
            assert run(x, copy)[0].tolist() == [9, 9]
            assert x[0, 0].item() == first
    with pytest.raises(ValueError, match="has no view"):
        tj.reshape(tj.ones(3, 2).T, (3, 2), copy=False)
    with pytest.raises(tj.ScriptError, match="needs a copy is not known"):
        tj.script(written)(tj.ones(3, 2).T, False)


def test_what_counts_as_zero() -> None:
    x = np.diag([1.0, 0.6, 0.4])
    for run in (
        tj.linalg.matrix_rank,
        tj.script(lambda x, rtol: np.linalg.matrix_rank(x, rtol=rtol), static=("rtol",)),
    ):
        assert int(run(x, rtol=0.5)) == 2
    for run in (tj.linalg.pinv, tj.script(lambda x, rtol: np.linalg.pinv(x, rtol=rtol), static=("rtol",))):
        np.testing.assert_allclose(run(x, rtol=0.5), np.linalg.pinv(x, rtol=0.5), atol=1e-12)
