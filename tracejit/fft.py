"""Discrete Fourier transforms: the functions that are spelled `fft.<name>` in `ops/`."""

from __future__ import annotations

from tracejit.eager.methods import members

_OWN = members("fft")
globals().update(_OWN)

__all__ = list(_OWN)  # pyright: ignore[reportUnsupportedDunderAll]
