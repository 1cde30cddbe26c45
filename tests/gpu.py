"""What tests that need a GPU share."""

from __future__ import annotations

from tracejit import devices


def has_gpu() -> bool:
    """Whether CuPy and a GPU are there."""
    try:
        devices.cupy()
    except devices.DeviceError:
        return False
    return True
