"""Making tensors, facts about them, conversions, views, and other libraries."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tracejit as tj

# -- making ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (True, "bool"),
        (3, "int64"),
        (2.5, "float32"),
        (1j, "complex64"),
        ([1, 2], "int64"),
        ([1, 2.5], "float32"),
        ([[True], [False]], "bool"),
        ([], "float32"),
        (np.float64(1), "float64"),
        ([np.float64(1)], "float64"),
        (np.ones(2), "float64"),
        (np.ones(2, ">f4"), "float32"),
        ([np.ones(2, np.int8), np.ones(2, np.int8)], "int8"),
        (range(3), "int64"),
    ],
)
def test_dtype_of_a_new_tensor(data: Any, dtype: str) -> None:
    made = tj.tensor(data)
    assert made.dtype == dtype
    np.testing.assert_array_equal(made.numpy(), np.asarray(data))


def test_what_cannot_be_a_tensor() -> None:
    for data in ("a", None, ["a"], object(), np.array(["x"]), np.array([1], "M8[s]")):
        with pytest.raises(TypeError):
            tj.tensor(data)
    with pytest.raises(OverflowError):
        tj.tensor([2**70])
    with pytest.raises(ValueError):
        tj.tensor([[1], [1, 2]])


def test_tensor_copies_and_from_numpy_shares() -> None:
    a = np.ones(2)
    copied, shared, seen = tj.tensor(a), tj.from_numpy(a), tj.asarray(a)
    a[0] = 5
    assert copied[0].item() == 1 and shared[0].item() == 5 and seen[0].item() == 5
    shared[1] = 7
    assert a[1] == 7
    assert tj.asarray(shared) is shared
    assert tj.asarray(a, dtype=tj.float32).dtype == tj.float32
    with pytest.raises(ValueError):
        tj.asarray(a, dtype=tj.float32, copy=False)
    with pytest.raises(TypeError):
        tj.from_numpy([1])


def test_filled_tensors() -> None:
    assert tj.zeros(2, 3).dtype == tj.ones((2, 3)).dtype == tj.empty([2]).dtype == tj.eye(2).dtype == tj.float32
    assert tj.zeros(()).shape == tj.zeros().shape == ()
    assert tj.full((2,), 3).dtype == tj.int64 and tj.full(2, 1.5).tolist() == [1.5, 1.5]
    assert tj.eye(2, 3).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert tj.eye(2, 3, k=1).tolist() == tj.script(lambda: tj.eye(2, 3, k=1))().tolist() == [[0, 1, 0], [0, 0, 1]]
    like = tj.ones(2, dtype=tj.int8)
    assert tj.zeros_like(like).dtype == tj.int8 and tj.full_like(like, 4).tolist() == [4, 4]
    assert tj.ones_like(like, dtype=tj.float64).dtype == tj.float64
    assert tj.ones(2, requires_grad=True).requires_grad
    with pytest.raises(ValueError):
        tj.zeros(-1)


def test_ranges() -> None:
    assert tj.arange(4).tolist() == [0, 1, 2, 3] and tj.arange(4).dtype == tj.int64
    assert tj.arange(5, 1, -2).tolist() == [5, 3]
    assert tj.arange(0.0, 1.0, 0.25).tolist() == [0, 0.25, 0.5, 0.75]
    assert tj.arange(0, 1, 0.5).dtype == tj.float32
    np.testing.assert_allclose(tj.linspace(0, 1, 5).numpy(), np.linspace(0, 1, 5))
    with pytest.raises(ValueError):
        tj.arange(0, 1, 0)


def test_random_numbers_repeat_with_the_seed() -> None:
    tj.manual_seed(3)
    first = [tj.rand(3), tj.randn(2, 2), tj.randint(0, 10, (4,)), tj.randperm(5), tj.bernoulli(tj.full((5,), 0.5))]
    tj.manual_seed(3)
    again = [tj.rand(3), tj.randn(2, 2), tj.randint(0, 10, (4,)), tj.randperm(5), tj.bernoulli(tj.full((5,), 0.5))]
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_random_numbers_have_their_distributions() -> None:
    tj.manual_seed(0)
    u, n = tj.rand(5000), tj.randn(5000, dtype=tj.float64)
    assert 0 <= u.min().item() and u.max().item() < 1 and abs(u.mean().item() - 0.5) < 0.02 and u.dtype == tj.float32
    assert abs(n.mean().item()) < 0.05 and abs(n.std().item() - 1) < 0.05 and n.dtype == tj.float64
    k = tj.randint(3, 6, (500,))
    assert set(k.tolist()) == {3, 4, 5} and k.dtype == tj.int64
    assert tj.randint(4, (2, 2)).shape == (2, 2)
    b = tj.bernoulli(tj.full((4000,), 0.25))
    assert abs(b.mean().item() - 0.25) < 0.03
    with pytest.raises(ValueError):
        tj.bernoulli(1.5, (2,))


# -- facts and conversions ---------------------------------------------------------------------------------------


def test_facts() -> None:
    x = tj.zeros(2, 3)
    assert (x.shape, x.ndim, x.size, x.numel(), x.dim(), len(x)) == ((2, 3), 2, 6, 6, 2, 2)
    assert x.strides == (12, 4) and x.nbytes == 24 and x.itemsize == 4
    assert x.device == "cpu" and x.is_leaf and x.grad is None and x.grad_fn is None
    assert x.T.shape == (3, 2) and not x.T.is_contiguous() and x.T.contiguous().is_contiguous()
    assert x.contiguous() is x
    assert tj.zeros(4, 2, 3).mT.shape == (4, 3, 2)


def test_dtypes_are_numpys() -> None:
    assert tj.float32 == np.float32 and tj.zeros(1).dtype == "float32"
    assert np.zeros(2, tj.int8).dtype == tj.int8
    assert tj.result_type(tj.float32, tj.int64) == tj.float64
    assert tj.result_type(tj.tensor([1], dtype=tj.int8), 1.0) == np.result_type(np.int8, 1.0)
    assert tj.can_cast(tj.int32, tj.float64)


def test_bfloat16_takes_no_complex_numbers_in_place() -> None:
    pytest.importorskip("ml_dtypes")
    x = tj.zeros(2, dtype=tj.bfloat16)
    with pytest.raises(TypeError, match="complex64"):
        x += 1j
    x += 1.5
    assert x.tolist() == [1.5, 1.5]


def test_bfloat16() -> None:
    pytest.importorskip("ml_dtypes")
    x = tj.tensor([1.0, 2.5], dtype=tj.bfloat16, requires_grad=True)
    assert x.dtype == tj.bfloat16
    (x.float() * x).sum().backward()
    assert x.grad.dtype == tj.bfloat16 and x.grad.float().tolist() == [2.0, 5.0]


def test_bfloat16_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(ImportError, match="ml_dtypes"):
        tj.bfloat16  # noqa: B018


def test_single_elements() -> None:
    x = tj.tensor([[2.5]])
    assert x.item() == float(x) == 2.5 and int(x) == 2 and complex(x) == 2.5 and bool(x)
    assert isinstance(tj.tensor(3).item(), int) and [10, 20][tj.tensor(1)] == 20
    assert f"{tj.tensor(2.5):.2f}" == "2.50" and f"{tj.tensor(3)}" == "3"
    with pytest.raises(ValueError):
        bool(tj.ones(2))
    with pytest.raises(ValueError):
        tj.ones(2).item()
    with pytest.raises(TypeError):
        float(tj.ones(2))
    with pytest.raises(TypeError):
        [1, 2][tj.tensor(1.0)]


def test_conversions() -> None:
    x = tj.tensor([1.7, -2.2])
    assert x.to(tj.float32) is x and x.float() is x and x.to("cpu") is x and x.cpu() is x
    assert x.to(tj.int64).tolist() == x.long().tolist() == [1, -2]
    assert (
        x.double().dtype
        == x.to(tj.zeros(1, dtype=tj.float64)).dtype
        == x.type_as(tj.eye(1).double()).dtype
        == tj.float64
    )
    assert x.astype("int8").dtype == tj.int8 and x.astype(tj.float32) is not x
    assert x.bool().tolist() == [True, True] and x.half().dtype == tj.float16
    assert x.to(dtype=tj.float32, copy=True) is not x
    assert x.tolist() == [pytest.approx(1.7), pytest.approx(-2.2)]


def test_a_missing_gpu_is_said_so() -> None:
    try:
        import cupy

        present = cupy.is_available()
    except ImportError:
        present = False
    if not present:
        with pytest.raises(RuntimeError, match=r"CuPy|GPU"):
            tj.zeros(1).cuda()
    with pytest.raises(ValueError, match="unknown device"):
        tj.zeros(1, device="tpu")


def test_copies_and_pickles_of_tensors() -> None:
    x = tj.tensor([1.0], requires_grad=True)
    for other in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert other.requires_grad and other.tolist() == [1.0]
        other.detach().fill_(5)
    assert x.item() == 1.0
    with pytest.raises(RuntimeError):
        copy.deepcopy(x * 2)


def test_hashing_is_by_identity() -> None:
    x, y = tj.ones(1), tj.ones(1)
    assert len({x, y, x}) == 2


def test_data_replaces_memory_without_a_record() -> None:
    x = tj.ones(2, requires_grad=True)
    x.data = tj.tensor([3.0, 4.0])
    x.data *= 2
    assert x.tolist() == [6.0, 8.0] and x.is_leaf and x.requires_grad


def test_grad_must_fit() -> None:
    x = tj.ones(2)
    with pytest.raises(ValueError):
        x.grad = tj.ones(3)
    with pytest.raises(TypeError):
        x.grad = 1.0


# -- views ---------------------------------------------------------------------------------------------------------


def test_shape_functions_equal_numpy() -> None:
    a = np.arange(24.0).reshape(2, 3, 4)
    x = tj.from_numpy(a)
    cases: list[tuple[Any, Any]] = [
        (x.reshape(4, -1), a.reshape(4, -1)),
        (x.flatten(1), a.reshape(2, 12)),
        (x.permute(2, 0, 1), a.transpose(2, 0, 1)),
        (x.transpose(0, 2), a.swapaxes(0, 2)),
        (tj.transpose(x, (1, 0, 2)), a.transpose(1, 0, 2)),
        (x.T, a.T),
        (x.movedim(0, 2), np.moveaxis(a, 0, 2)),
        (x.movedim((0, 1), (2, 0)), np.moveaxis(a, (0, 1), (2, 0))),
        (x.narrow(2, 1, 2), a[:, :, 1:3]),
        (x.unsqueeze(-1), a[..., None]),
        (x[:1].squeeze(), a[0]),
        (x[:1].squeeze(0), a[0]),
        (x.flip(0), np.flip(a, 0)),
        (x.flip((0, 2)), np.flip(a, (0, 2))),
        (x.diagonal(1, 1, 2), a.diagonal(1, 1, 2)),
        (x.unfold(2, 2, 2), a.reshape(2, 3, 2, 2)),
        (x[:, :1].expand(2, 5, 4), np.broadcast_to(a[:, :1], (2, 5, 4))),
        (x[:, :1].expand(-1, 5, -1), np.broadcast_to(a[:, :1], (2, 5, 4))),
        (x.select(1, 2), a[:, 2]),
        (x.unflatten(2, (2, -1)), a.reshape(2, 3, 2, 2)),
        (tj.broadcast_to(x[0, 0], (3, 4)), np.broadcast_to(a[0, 0], (3, 4))),
    ]
    for got, expected in cases:
        np.testing.assert_array_equal(got.numpy(), expected)
        assert np.shares_memory(got.numpy(), a)


def test_joining_and_repeating_equal_numpy() -> None:
    a = np.arange(6.0).reshape(2, 3)
    x = tj.from_numpy(a)
    cases: list[tuple[Any, Any]] = [
        (tj.cat([x, x], 1), np.concatenate([a, a], 1)),
        (tj.concat([x, x.int()], dim=0), np.concatenate([a, a], 0)),
        (tj.stack([x, x], -1), np.stack([a, a], -1)),
        (tj.hstack([x[0], x[1]]), np.hstack([a[0], a[1]])),
        (tj.vstack([x[0], x[1]]), np.vstack([a[0], a[1]])),
        (x.tile(2, 2), np.tile(a, (2, 2))),
        (x.repeat(2, 1, 1), np.tile(a, (2, 1, 1))),
        (tj.repeat(x, 2, 1), np.repeat(a, 2, 1)),
        (tj.roll(x, 1), np.roll(a, 1)),
        (tj.roll(x, (1, -1), (0, 1)), np.roll(a, (1, -1), (0, 1))),
        (tj.pad(x, (1, 2), value=9), np.pad(a, ((0, 0), (1, 2)), constant_values=9)),
        (tj.tril(x), np.tril(a)),
        (tj.triu(x, 1), np.triu(a, 1)),
        (tj.meshgrid(x[0], x[1])[1], np.meshgrid(a[0], a[1], indexing="ij")[1]),
        (tj.cartesian_prod(x[0], x[1])[4], np.array([1.0, 4.0])),
    ]
    for got, expected in cases:
        np.testing.assert_array_equal(got.numpy(), expected)
    assert [p.tolist() for p in x.split(2, 1)] == [[[0, 1], [3, 4]], [[2], [5]]]
    assert [p.shape for p in x.chunk(2, 1)] == [(2, 2), (2, 1)]
    assert [p.shape for p in tj.split(x, [1, 2], 1)] == [(2, 1), (2, 2)]
    with pytest.raises(ValueError):
        tj.cat([x, tj.ones(3, 2)])
    with pytest.raises(ValueError):
        tj.cat([])


def test_view_needs_fitting_memory() -> None:
    x = tj.zeros(2, 3)
    assert x.view(3, 2).shape == (3, 2) and x.view(-1).shape == (6,)
    with pytest.raises(RuntimeError, match="contiguous"):
        x.T.view(6)
    assert x.T.reshape(6).shape == (6,)
    assert x.T.contiguous().view(6).shape == (6,)
    with pytest.raises(ValueError):
        x.view(4, -1)


def test_what_functions_compute_lies_in_c_order_so_that_it_can_be_viewed():
    images, turned = tj.randn(2, 3, 5, 4), tj.randn(3, 4).T
    places = tj.tensor([2, 0])
    made = [
        tj.nn.functional.conv2d(images, tj.randn(6, 3, 3, 3, requires_grad=True)).relu(),
        tj.nn.functional.unfold(images, 2),
        tj.cat([turned, turned], 1),
        tj.stack([turned, turned]),
        tj.einsum("ibnd,jbnd->ijbn", tj.randn(3, 2, 2, 4), tj.randn(5, 2, 2, 4)),
        images.permute(3, 1, 2, 0).mean(1),
        turned.cumsum(0),
        turned.softmax(-1),
        turned[:, places],
        turned.requires_grad_()[:, places],
        tj.nn.MultiheadAttention(4, 2)(*[tj.randn(5, 2, 4)] * 3)[0],
    ]
    for x in made:
        assert x.view(-1).shape == (x.size,)
    assert not tj.moveaxis(images, 1, 3).is_contiguous()


def test_shape_errors() -> None:
    x = tj.zeros(2, 3)
    for wrong in (
        lambda: x.reshape(4, 2),
        lambda: x.permute(0, 0),
        lambda: x.transpose(0, 5),
        lambda: x.expand(4, 3),
        lambda: x.narrow(1, 2, 2),
        lambda: x.sum(3),
        lambda: x.unsqueeze(5),
    ):
        with pytest.raises((ValueError, IndexError)):
            wrong()


# -- other libraries ---------------------------------------------------------------------------------------------------


def test_numpy_reads_tensors() -> None:
    x = tj.tensor([1.0, 2.0])
    assert np.shares_memory(np.asarray(x), x.numpy())
    assert np.array(x, dtype=np.float64).dtype == np.float64
    np.testing.assert_allclose(x, [1, 2])


def test_ufuncs_on_tensors_are_recorded() -> None:
    x = tj.tensor([0.5, 1.5], requires_grad=True)
    y = np.exp(x) + np.multiply(2.0, x)
    assert isinstance(y, tj.Tensor) and y.requires_grad
    np.add.reduce(y).backward()
    np.testing.assert_allclose(x.grad.numpy(), np.exp([0.5, 1.5]) + 2, rtol=1e-6)
    out = np.zeros(2, np.float32)
    np.sin(x.detach(), out=out)
    np.testing.assert_allclose(out, np.sin([0.5, 1.5]), rtol=1e-6)
    with pytest.raises(TypeError, match="detach"):
        np.sin(x, out=out)


def test_array_functions_on_tensors() -> None:
    x = tj.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    for result in (np.sum(x), np.mean(x, axis=0), np.concatenate([x, x]), np.where(x > 2, x, 0.0), np.matmul(x, x)):
        assert isinstance(result, tj.Tensor) and result.requires_grad
    assert np.shape(x) == (2, 2) and np.allclose(x, x)
    with pytest.raises(TypeError, match="gradient"):
        np.unwrap(x)
    assert isinstance(np.unwrap(x.detach()), tj.Tensor)


def test_dlpack() -> None:
    x = tj.ones(2, 3)
    a = np.from_dlpack(x)
    assert np.shares_memory(a, x.numpy())
    y = tj.from_dlpack(np.arange(3))
    assert y.tolist() == [0, 1, 2] and x.__dlpack_device__() == (1, 0)
    with pytest.raises(TypeError):
        tj.from_dlpack([1])


def test_other_protocols() -> None:
    x = tj.ones(1)
    assert x.__array_namespace__() is tj
    assert not hasattr(x, "__cuda_array_interface__")


def test_importing_does_not_load_the_compiler() -> None:
    code = "import sys, tracejit; tracejit.ones(1) + 1; tracejit.nn.Linear; print('llvmlite' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(tj.__file__).parents[1]
    )
    assert done.stdout.strip() == "False"


def test_what_is_no_size_and_no_dtype() -> None:
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        tj.zeros("a", 2)
    with pytest.raises(TypeError, match="'tpu' is neither a dtype nor a device"):
        tj.ones(2).to("tpu")
