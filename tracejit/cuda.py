"""PyTorch's questions about GPUs, which CuPy answers."""

from __future__ import annotations

from tracejit.devices import DeviceError, cupy

__all__ = ["device_count", "is_available", "synchronize"]


def device_count() -> int:
    """How many GPUs tensors can be on; 0 without CuPy."""
    try:
        return int(cupy().cuda.runtime.getDeviceCount())
    except DeviceError:
        return 0


def is_available() -> bool:
    """Whether tensors can be on a GPU."""
    return device_count() > 0


def synchronize() -> None:
    """Wait until the GPU has done what it was given. `DeviceError` without one."""
    cupy().cuda.runtime.deviceSynchronize()
