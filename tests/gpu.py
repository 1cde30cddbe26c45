"""What tests that need a GPU share."""

from __future__ import annotations

from tracejit import device


def has_gpu() -> bool:
    """Whether CuPy and a GPU are there."""
    try:
        device.cupy()
    except device.DeviceError:
        return False
    return True
