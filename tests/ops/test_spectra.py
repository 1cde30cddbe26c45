"""Short-time Fourier transforms against NumPy's transforms of each part, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.eager.differences import check_gradients

SIGNALS = np.random.default_rng(0).normal(size=(2, 50))
WINDOW = np.hanning(8) + 0.1


def parts(x: np.ndarray, n: int, hop: int) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(x, n, -1)[..., ::hop, :]


def test_spectra_of_parts() -> None:
    around = np.pad(SIGNALS, ((0, 0), (6, 6)), "reflect")
    wide = np.pad(WINDOW, 2)
    expected = np.fft.rfft(parts(around, 12, 5) * wide).swapaxes(1, 2)

    def spectra(x: Any, w: Any) -> Any:
        return tj.stft(x, 12, 5, 8, w), x.stft(12, 5, 8, w, center=False, normalized=True), x[0].stft(7, onesided=False)

    for call in (spectra, tj.script(spectra)):
        found, plain, whole = call(tj.tensor(SIGNALS), tj.tensor(WINDOW))
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)
        inside = np.fft.rfft(parts(SIGNALS, 12, 5) * wide, norm="ortho").swapaxes(1, 2)
        np.testing.assert_allclose(plain.numpy(), inside, atol=1e-12)
        alone = np.fft.fft(parts(np.pad(SIGNALS[0], 3, "reflect"), 7, 1)).T
        np.testing.assert_allclose(whole.numpy(), alone, atol=1e-12)
    pairs = tj.stft(tj.tensor(SIGNALS), 12, 5, 8, tj.tensor(WINDOW), return_complex=False)
    np.testing.assert_allclose(pairs.numpy(), np.stack([expected.real, expected.imag], -1), atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"normalized": True}, {"onesided": False}, {"hop_length": 3}])
def test_signals_of_spectra(options: dict[str, Any]) -> None:
    def there_and_back(x: Any) -> Any:
        return tj.istft(tj.stft(x, 8, **options), 8, **options, length=50)

    for call in (there_and_back, tj.script(there_and_back)):
        np.testing.assert_allclose(call(tj.tensor(SIGNALS)).numpy(), SIGNALS, atol=1e-12)
    longer = tj.istft(tj.stft(tj.tensor(SIGNALS), 8, **options), 8, **options, length=57).numpy()
    np.testing.assert_allclose(longer[:, :48], SIGNALS[:, :48], atol=1e-12)
    assert longer.shape == (2, 57) and not longer[:, 55:].any()


def test_derivatives() -> None:
    check_gradients(lambda x, w: tj.stft(x, 8, 3, window=w).abs().square(), SIGNALS[:, :20], WINDOW)
    check_gradients(lambda x, w: tj.istft(tj.stft(x, 8, 3, window=w) * 2, 8, 3, window=w), SIGNALS[0, :20], WINDOW)


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda x: tj.stft(x, 60, center=False), ValueError),
        (lambda x: tj.stft(x, 8, window=x[0]), ValueError),
        (lambda x: tj.stft(x, 8, win_length=9), ValueError),
        (lambda x: tj.stft(x, 8, 0), ValueError),
        (lambda x: tj.stft(x[None], 8), ValueError),
        (lambda x: tj.stft(x.cdouble(), 8, onesided=True), TypeError),
        (lambda x: tj.istft(x, 8), TypeError),
        (lambda x: tj.istft(tj.stft(x, 8, 9), 8, 9), ValueError),
        (lambda x: tj.istft(tj.stft(x, 8), 8, 0), ValueError),
        (lambda x: tj.istft(tj.stft(x, 8), 16), ValueError),
        (lambda x: tj.istft(tj.stft(x, 8), 8, onesided=False), ValueError),
    ],
)
def test_what_does_not_fit(call: Any, kind: type[Exception]) -> None:
    for function in (call, tj.script(call)):
        with pytest.raises(kind):
            function(tj.tensor(SIGNALS))
