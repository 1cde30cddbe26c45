"""PyTorch's further functions and methods of tensors: parts that are views, axes, pairs, kinds, sequences, windows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.eager.differences import check_gradients


def data(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape)


def test_parts_are_views() -> None:
    a = data(4, 6)
    for found, wanted in zip(tj.tensor(a).tensor_split(4, 1), np.array_split(a, 4, 1), strict=True):
        np.testing.assert_array_equal(found.numpy(), wanted)
    for found, wanted in zip(tj.tensor(a).tensor_split((1, -1)), np.split(a, (1, 3)), strict=True):
        np.testing.assert_array_equal(found.numpy(), wanted)

    def written(x: Any) -> Any:
        first, second = x.vsplit(2)
        first[0, 0] = 7.0
        second.mul_(2.0)
        return x.dsplit(1)[0] if x.ndim > 2 else x

    for call in (written, tj.script(written)):
        x = tj.tensor(a)
        call(x)
        np.testing.assert_array_equal(x.numpy(), np.concatenate([[[7.0, *a[0, 1:]]], a[1:2], 2 * a[2:]]))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.hsplit(4),
        lambda x: x.hsplit(0),
        lambda x: x.vsplit(-2),
        lambda x: x.dsplit(2),
        lambda x: x[0].vsplit(2),
        lambda x: x.tensor_split(0),
        lambda x: x[0].fill_diagonal_(1.0),
        lambda x: tj.view_as_complex(x.reshape(8, 3)),
    ],
)
def test_what_does_not_fit_is_refused(call: Any) -> None:
    for function in (call, tj.script(call)):
        with pytest.raises(ValueError):
            function(tj.tensor(data(4, 6)))
    with pytest.raises(ValueError, match="equal parts"):
        tj.tensor(data(4, 6)).hsplit(np.int64(4))


def test_diagonals_are_filled() -> None:
    for shape, wrap in (((4, 6), False), ((7, 3), False), ((9, 3), True), ((3, 3, 3), False)):
        wanted = np.zeros(shape)
        np.fill_diagonal(wanted, 2.0, wrap)
        found = tj.zeros(shape, dtype=tj.float64)
        assert found.fill_diagonal_(2.0, wrap) is found
        np.testing.assert_array_equal(found.numpy(), wanted)
    check_gradients(lambda x: (x * 1).fill_diagonal_(2.0) ** 2, data(3, 3))


def test_axes_and_pairs() -> None:
    for value in (np.array(1.5), data(3), data(2, 3), data(2, 3, 4)):
        for rank in (1, 2, 3):
            name = f"atleast_{rank}d"
            assert getattr(tj, name)(tj.tensor(value)).shape == getattr(np, name)(value).shape
    z = data(3, 4) + 1j * data(3, 4)[::-1]
    pairs = tj.view_as_real(tj.tensor(z))
    np.testing.assert_array_equal(pairs.numpy(), np.stack([z.real, z.imag], -1))
    np.testing.assert_array_equal(tj.view_as_complex(pairs).numpy(), z)
    np.testing.assert_array_equal(tj.tensor(z).mH.numpy(), z.conj().T)

    def turned(x: Any, angle: Any) -> Any:
        turn = tj.view_as_complex(x.reshape(-1, 2)) * tj.polar(tj.ones_like(angle), angle)
        return tj.view_as_real(turn).flatten()

    check_gradients(turned, data(6), data(3))

    def written(z: Any) -> Any:
        pairs = tj.view_as_real(z)
        pairs[0] = 0.0
        return pairs

    for call in (written, tj.script(written)):
        with pytest.raises((ValueError, RuntimeError), match="read-only"):
            call(tj.tensor(z))
    for call in (tj.view_as_real, tj.script(lambda x: tj.view_as_real(x))):
        with pytest.raises(TypeError, match="complex"):
            call(tj.tensor(data(3)))


def test_kinds_of_tensors() -> None:
    assert tj.FloatTensor([1, 2]).dtype == tj.float32 and tj.LongTensor(2, 3).shape == (2, 3)
    assert tj.FloatTensor().shape == (0,)
    assert tj.DoubleTensor(data(2)).dtype == tj.float64
    x = tj.tensor([1.5])
    assert x.type(tj.int32).dtype == tj.int32 and x.cfloat().dtype == tj.complex64
    assert tj.is_floating_point(x) and not tj.is_complex(x) and tj.is_nonzero(x) and x.is_cpu and x.get_device() == -1
    assert tj.as_tensor(x) is x and tj.get_default_dtype() == tj.float32
    assert tj.broadcast_shapes((3, 1), (4,)) == (3, 4)


def test_inference_mode() -> None:
    x = tj.ones(2, requires_grad=True)

    @tj.inference_mode()
    def doubled(x: Any) -> Any:
        return x * 2

    assert not doubled(x).requires_grad
    with tj.inference_mode():
        assert not (x * 2).requires_grad
    with tj.inference_mode(False):
        assert (x * 2).requires_grad
    assert tj.inference_mode(False)(lambda x: x * 2)(x).requires_grad

    def inside(x: Any, quiet: bool) -> Any:
        if quiet:
            with tj.inference_mode():
                return x * 2
        with tj.inference_mode(False):
            return x * 2

    assert not tj.script(inside)(x, True).requires_grad and tj.script(inside)(x, False).requires_grad


def test_places_of_triangles_and_powers() -> None:
    for offset in (-1, 0, 2):
        np.testing.assert_array_equal(tj.tril_indices(3, 4, offset).numpy(), np.tril_indices(3, offset, 4))
        np.testing.assert_array_equal(tj.triu_indices(3, 4, offset).numpy(), np.triu_indices(3, offset, 4))
    np.testing.assert_allclose(tj.logspace(0, 3, 4, dtype=tj.float64).numpy(), np.logspace(0, 3, 4))
    assert tj.logspace(1, 2, 1).tolist() == [10.0]


def test_windows() -> None:
    for name, wanted in (
        ("hann_window", np.hanning),
        ("hamming_window", np.hamming),
        ("blackman_window", np.blackman),
        ("bartlett_window", np.bartlett),
        ("kaiser_window", lambda n: np.kaiser(n, 12.0)),
    ):
        made = getattr(tj, name)
        for n in (1, 2, 7, 8):
            np.testing.assert_allclose(made(n, False, dtype=tj.float64).numpy(), wanted(n), atol=1e-15)
            periodic = wanted(n + 1)[:n] if n > 1 else [1.0]
            np.testing.assert_allclose(made(n, dtype=tj.float64).numpy(), periodic, atol=1e-15)
        assert made(5).dtype == tj.float32 and made(0).shape == (0,)


def test_windows_take_only_their_parameters() -> None:
    np.testing.assert_allclose(tj.hamming_window(9, False, 0.5, 0.5).numpy(), np.hanning(9), atol=1e-7)

    def misspelt(n: int) -> Any:
        return tj.hamming_window(n, alpa=0.5)

    for call in (misspelt, tj.script(misspelt), lambda n: tj.hann_window(n, True, 0.5)):
        with pytest.raises(TypeError):
            call(9)


def test_a_device_is_a_keyword() -> None:
    for call in (lambda: tj.tril_indices(2, 2, 0, tj.int32, "cpu"), lambda: tj.logspace(0, 1, 3, 10.0, None, "cpu")):
        with pytest.raises(TypeError):
            call()


A = np.array([[1.0, np.nan, 3.0, -8.0], [np.nan] * 4, [4.0, 5.0, 0.0, 7.0]])
TINY = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, -3e-310, 1.0, 0.5, -6.25])


@pytest.mark.filterwarnings("ignore:All-NaN slice")
@pytest.mark.parametrize(
    ("ours", "numpys", "a"),
    [
        (lambda x: (tj.nanmedian(x), x.nanmedian(dim=1)), lambda a: (np.nanmedian(a), np.nanmedian(a, 1)), A),
        (
            lambda x: (tj.nanquantile(x, tj.tensor([0.1, 0.7], dtype=tj.float64), dim=0, keepdim=True),),
            lambda a: (np.nanquantile(a, [0.1, 0.7], axis=0, keepdims=True),),
            A,
        ),
        (
            lambda x: (tj.diff(x, prepend=0.0), tj.diff(x, dim=0, append=x[:1], n=2)),
            lambda a: (np.diff(a, prepend=0.0), np.diff(a, axis=0, append=a[:1], n=2)),
            A,
        ),
        (lambda x: (tj.corrcoef(x),), lambda a: (np.corrcoef(a),), data(3, 5)),
        (lambda x: tj.frexp(x), np.frexp, TINY),
        (lambda x: tj.frexp(x), np.frexp, np.float32([3e38, -1e-42, 0.0, np.nan, 1.0, 9.0])),
    ],
)
def test_functions_under_pytorchs_names(ours: Any, numpys: Any, a: np.ndarray) -> None:
    x = tj.tensor(a)
    for found in (ours(x), tj.script(ours)(x)):
        for own, wanted in zip(found, numpys(a), strict=True):
            assert own.dtype == wanted.dtype
            np.testing.assert_allclose(own.numpy(), wanted, rtol=1e-14)


def test_derivatives_of_functions_of_order_and_bits() -> None:
    holes = np.where(data(3, 5) > 1, np.nan, data(3, 5))
    check_gradients(lambda x: tj.frexp(x)[0], data(3, 5))
    check_gradients(lambda x: tj.nanquantile(x, 0.3, 1), data(3, 5))
    check_gradients(tj.corrcoef, data(3, 5))
    assert np.count_nonzero(tj.grad(lambda x: tj.nanmedian(x))(holes)) in (1, 2)


def test_methods_as_functions() -> None:
    def parts(x: Any) -> Any:
        return tj.clone(x) * tj.detach(x), tj.split_with_sizes(x, [1, 2]), tj.row_stack([x, x]), x.sinc()

    x = tj.tensor([1.0, 2.0, 3.0], requires_grad=True)
    for call in (parts, tj.script(parts)):
        product, (first, rest), rows, _ = call(x)
        assert (first.tolist(), rest.tolist(), rows.shape) == ([1.0], [2.0, 3.0], (2, 3))
        assert tj.autograd.grad(product.sum(), x)[0].tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        (lambda x: tj.roll(x, shifts=(1, 2), dims=(0, 1)), lambda a: np.roll(a, (1, 2), (0, 1))),
        (lambda x: x.roll(shifts=1), lambda a: np.roll(a, 1)),
        (lambda x: tj.tile(x, dims=(2, 1)), lambda a: np.tile(a, (2, 1))),
        (lambda x: x.transpose(dim0=0, dim1=1), lambda a: a.T),
        (lambda x: tj.diag(input=x, diagonal=1), lambda a: np.diag(a, 1)),
        (lambda x: tj.nn.functional.pad(input=x, pad=(1, 0)), lambda a: np.pad(a, ((0, 0), (1, 0)))),
    ],
)
def test_names_of_arguments(call: Any, wanted: Any) -> None:
    a = data(3, 4)
    for function in (call, tj.script(call)):
        np.testing.assert_array_equal(function(tj.tensor(a)).numpy(), wanted(a))


@pytest.mark.parametrize("call", [lambda x: tj.roll(x), lambda x: tj.tile(x)])
def test_a_missing_argument_is_an_error(call: Any) -> None:
    for function in (call, tj.script(call)):
        with pytest.raises(TypeError):
            function(tj.tensor(data(3, 4)))


def test_views_whose_sizes_are_known_at_run_time_only() -> None:
    def windows(x: Any) -> Any:
        n, length, width = x.shape
        y = x.view(n, length // 2, 2, width).view(n, length, width)
        y[0, 0] = 7.0
        return x.reshape(-1, 2, width).view(-1, 2 * width)

    def turned(x: Any) -> Any:
        return x.transpose(0, 1).view(-1)

    for shape in ((2, 6, 4), (1, 4, 3)):
        found, wanted = tj.tensor(data(*shape)), tj.tensor(data(*shape))
        np.testing.assert_array_equal(tj.script(windows)(found).numpy(), windows(wanted).numpy())
        np.testing.assert_array_equal(found.numpy(), wanted.numpy())
    for function in (turned, tj.script(turned)):
        np.testing.assert_array_equal(function(found).numpy(), found.numpy().ravel())
        with pytest.raises(RuntimeError, match="use reshape"):
            function(tj.tensor(data(2, 6, 4)))
