"""Fourier transforms as users call them, compared with NumPy; derivatives in every way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.ops.function_cases import check, eager, interpreted
from tests.threads import each_number_of_threads

RNG = np.random.default_rng(3)
X = RNG.normal(size=(4, 6))
Z = X + 1j * RNG.normal(size=(4, 6))
NORMS = (None, "backward", "ortho", "forward")


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("n", [None, 1, 4, 6, 9])
@pytest.mark.parametrize("name", ["fft", "ifft", "irfft", "hfft"])
def test_complex_transforms_agree_with_numpy(name: str, n: int | None, norm: str | None) -> None:
    for x in (Z, X):
        for axis in (-1, 0):
            expected = getattr(np.fft, name)(x, n, axis, norm)
            check(f"numpy fft.{name}", expected, x, n, axis, norm)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("n", [None, 1, 4, 6, 9])
@pytest.mark.parametrize("name", ["rfft", "ihfft"])
def test_transforms_of_real_signals_agree_with_numpy(name: str, n: int | None, norm: str | None) -> None:
    for axis in (-1, 0):
        check(f"numpy fft.{name}", getattr(np.fft, name)(X, n, axis, norm), X, n, axis, norm)


@pytest.mark.parametrize("name", ["fftn", "ifftn", "irfftn", "fft2", "ifft2", "irfft2"])
def test_transforms_along_several_axes_agree_with_numpy(name: str) -> None:
    function = getattr(np.fft, name)
    x = RNG.normal(size=(2, 3, 4)) + 1j * RNG.normal(size=(2, 3, 4))
    check(f"numpy fft.{name}", function(x), x)
    check(f"numpy fft.{name}", function(x, (3, 5), (0, 2)), x, (3, 5), (0, 2))
    check(f"numpy fft.{name}", function(x, axes=(-1, 0), norm="ortho"), x, axes=(-1, 0), norm="ortho")


def test_real_transforms_along_several_axes_agree_with_numpy() -> None:
    x = RNG.normal(size=(2, 3, 4))
    check("numpy fft.rfftn", np.fft.rfftn(x), x)
    check("numpy fft.rfft2", np.fft.rfft2(x, (3, 3)), x, (3, 3))


@tj.script
def along_each_axis(x: Any) -> Any:
    return np.fft.fft(x, axis=0), np.fft.fft(x, axis=1), np.fft.fft(x, axis=2)


@pytest.mark.parametrize("shape", [(64, 5, 33), (256, 3, 2), (86, 4, 9), (3, 16, 1), (4, 128, 7), (32, 96, 2)])
def test_many_lines_along_any_axis_whatever_the_number_of_threads(shape: tuple[int, ...]) -> None:
    x = RNG.normal(size=shape) + 1j * RNG.normal(size=shape)
    found: list[Any] = []
    with each_number_of_threads(1, 3) as counts:
        found.extend(along_each_axis(x) for _ in counts)
    for axis, (one, other) in enumerate(zip(*found, strict=True)):
        np.testing.assert_allclose(one, np.fft.fft(x, axis=axis), atol=1e-12)
        np.testing.assert_array_equal(one, other)


@tj.script
def real_along_each_axis(x: Any) -> Any:
    halves = np.fft.rfft(x, axis=0), np.fft.rfft(x, axis=1), np.fft.rfft(x, axis=2)
    n, m, k = x.shape
    a, b, c = halves
    return halves, (np.fft.irfft(a, n, axis=0), np.fft.irfft(b, m, axis=1), np.fft.irfft(c, k, axis=2))


@pytest.mark.parametrize("shape", [(64, 5, 33), (86, 4, 9), (3, 16, 1), (4, 94, 43), (2, 96, 2)])
def test_many_real_lines_along_any_axis_whatever_the_number_of_threads(shape: tuple[int, ...]) -> None:
    x = RNG.normal(size=shape)
    found: list[Any] = []
    with each_number_of_threads(1, 3) as counts:
        found.extend(real_along_each_axis(x) for _ in counts)
    for axis in range(3):
        np.testing.assert_allclose(found[0][0][axis], np.fft.rfft(x, axis=axis), atol=1e-12)
        np.testing.assert_allclose(found[0][1][axis], x, atol=1e-12)
        for one, other in zip(*found, strict=True):
            np.testing.assert_array_equal(one[axis], other[axis])


@pytest.mark.parametrize("n", [7, 8])
def test_imaginary_parts_that_a_real_line_cannot_have_do_not_count(n: int) -> None:
    half = RNG.normal(size=n // 2 + 1) + 1j * RNG.normal(size=n // 2 + 1)
    check("numpy fft.irfft", np.fft.irfft(half, n), half, n)
    np.testing.assert_allclose(real_of_half(half, n), np.fft.irfft(half, n), atol=1e-12)


@tj.script
def real_of_half(half: Any, n: Any) -> Any:
    return np.fft.irfft(half, n)


def test_dtypes_are_numpys() -> None:
    for dtype in ("float32", "complex64", "int32", "bool", "float16"):
        x = np.array([1, 0, 1, 1]).astype(dtype)
        for name in ("fft", "irfft"):
            want = getattr(np.fft, name)(x)
            found = eager(f"numpy fft.{name}", x)
            if dtype != "float16":
                assert found.dtype == want.dtype
            np.testing.assert_allclose(found, want, atol=1e-2 if dtype == "float16" else 1e-6)


@pytest.mark.parametrize("n", [1, 2, 7, 8])
def test_frequencies_and_shifts_agree_with_numpy(n: int) -> None:
    check("numpy fft.fftfreq", np.fft.fftfreq(n, 0.25), n, 0.25)
    check("numpy fft.rfftfreq", np.fft.rfftfreq(n), n)
    x = RNG.normal(size=(n, 3))
    for name in ("fftshift", "ifftshift"):
        for axes in (None, 0, (0, 1)):
            check(f"numpy fft.{name}", getattr(np.fft, name)(x, axes), x, axes)


def test_what_cannot_be_transformed_is_refused() -> None:
    for run in (eager, interpreted):
        with pytest.raises(ValueError, match=r"Invalid number of FFT data points \(0\) specified"):
            run("numpy fft.fft", np.zeros(0))
        with pytest.raises(ValueError, match="Invalid norm value"):
            run("numpy fft.fft", X, norm="other")
        with pytest.raises(ValueError, match="out of bounds"):
            run("numpy fft.fft", X, axis=2)
        with pytest.raises(TypeError, match="rfft takes real numbers"):
            run("numpy fft.rfft", Z)


# -- native code ------------------------------------------------------------------------------------------------


@tj.script
def forward(x: Any) -> Any:
    return np.fft.fft(x)


@tj.script
def backward(x: Any) -> Any:
    return np.fft.ifft(x)


def test_any_length_is_as_exact_as_numpys() -> None:
    sizes = [*range(2, 50), 64, 97, 128, 180, 243, 256, 343, 1009, 1024, 2 * 41, 41 * 43, 3000]
    for n in sizes:
        x = RNG.normal(size=n) + 1j * RNG.normal(size=n)
        for compiled, plain in ((forward, np.fft.fft), (backward, np.fft.ifft)):
            expected = plain(x)
            error = np.abs(compiled(x) - expected).max() / np.sqrt(np.mean(np.abs(expected) ** 2))
            assert error < 2e-14, (n, plain)
    assert forward.compiles == 1


def test_special_values_and_stacks() -> None:
    assert forward(np.zeros((0, 8), complex)).shape == (0, 8)
    assert forward(np.ones((3, 1), complex)).tolist() == [[1], [1], [1]]
    assert np.isnan(forward(np.array([1, np.nan, 0, 0], complex))).all()
    x = (RNG.normal(size=(3, 5, 30)) + 0j).astype("complex64")
    np.testing.assert_allclose(forward(x), np.fft.fft(x), atol=1e-4)
    assert forward(x).dtype == np.complex64
    with pytest.raises(ValueError, match="Invalid number of FFT data points"):
        forward(np.zeros(0, complex))


def test_lengths_known_at_run_time_only() -> None:
    @tj.script
    def f(x: Any, n: int) -> Any:
        return np.fft.irfft(np.fft.rfft(x, n) * np.fft.rfftfreq(n), n), np.fft.fft(x, n=n // 2), np.fft.fftshift(x)

    for n in (4, 7, 12):
        for found, expected in zip(f(X[0], n), f.__wrapped__(X[0], n), strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-14)


# -- derivatives ------------------------------------------------------------------------------------------------


def power_spectrum(x: Any) -> Any:
    return tj.fft.rfft(x).abs() ** 2


def filtered(x: Any) -> Any:
    return tj.fft.irfft(tj.fft.rfft(x) * tj.fft.rfft(x.sin()), x.shape[-1])


def padded(x: Any) -> Any:
    return tj.fft.ifft(tj.fft.fft(x, 9) ** 2, 5, norm="ortho").real


def plane(x: Any) -> Any:
    return tj.fft.ifft2(tj.fft.fft2(x + 1j * x.cos()).exp() * 1e-3).imag


@pytest.mark.parametrize("f", [power_spectrum, filtered, padded, plane], ids=lambda f: f.__name__)
def test_all_ways_to_the_derivative_agree(f: Any) -> None:
    x = tj.from_numpy(X * 0.3)
    report = tj.check(f, x)
    assert report and not report.skipped, str(report)


@pytest.mark.parametrize("f", [filtered, plane], ids=lambda f: f.__name__)
def test_all_ways_to_the_second_derivative_agree(f: Any) -> None:
    report = tj.check(lambda y: tj.grad(lambda z: f(z).sin().sum())(y), X * 0.3)
    assert report and not report.skipped, str(report)


def test_the_gradient_of_a_complex_argument_is_the_direction_of_growth() -> None:
    def energy(z: Any) -> Any:
        return (np.abs(np.fft.fft(z)) ** 2).sum()

    found = tj.grad(energy)(Z)
    np.testing.assert_allclose(found, 2 * Z.shape[-1] * Z, rtol=1e-12)
    assert energy(Z - 1e-3 * found) < energy(Z)
