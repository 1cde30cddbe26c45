"""Devices and their array modules: `"cpu"` is NumPy, `"cuda"` is CuPy (imported on first use).

The only module beside `runtime/cuda.py` that may import cupy. `DeviceError` says in one sentence what is missing.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np


class DeviceError(RuntimeError):
    """A device that does not exist here."""


class Device(str):
    """A device name, `"cpu"` or `"cuda:0"`; compares as a string, with `"cuda"` standing for `"cuda:0"`."""

    __slots__ = ()

    def __new__(cls, name: str, index: int | None = None) -> Device:
        kind, _, at = (name if index is None else f"{name}:{index}").partition(":")
        if kind not in ("cpu", "cuda") or (at and not at.isdigit()) or (kind == "cpu" and at not in ("", "0")):
            raise ValueError(f"unknown device {name!r}: use 'cpu', 'cuda' or 'cuda:<index>'")
        return super().__new__(cls, "cpu" if kind == "cpu" else f"cuda:{int(at or 0)}")

    @property
    def type(self) -> str:
        """`"cpu"` or `"cuda"`."""
        return self.partition(":")[0]

    @property
    def index(self) -> int:  # type: ignore[override]
        """The number of the GPU; 0 for the CPU."""
        return int(self.partition(":")[2] or 0)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str) and not isinstance(other, Device) and other in ("cuda", "cpu:0"):
            other = Device(other)
        return str.__eq__(self, other) if isinstance(other, str) else NotImplemented

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return str.__hash__(self)

    def __repr__(self) -> str:
        return f"device('{self}')"


CPU = Device("cpu")


def as_device(device: str | None) -> Device:
    """A device from its name; None is the CPU."""
    if device is None:
        return CPU
    return device if isinstance(device, Device) else Device(device)


def cupy() -> ModuleType:
    """The cupy module; a `DeviceError` where it or its GPU is missing."""
    loaded = sys.modules.get("cupy")
    if loaded is not None and loaded in _working:
        return loaded
    try:
        import cupy as module
    except ImportError as error:
        raise DeviceError("device 'cuda' needs CuPy: install tracejit[cuda]") from error
    if not module.is_available():
        raise DeviceError("device 'cuda' needs an NVIDIA GPU with a working driver; CuPy found none")
    _working.add(module)
    return module


_working: set[ModuleType] = set()  #: cupy, once it has found a GPU: asking again takes as long as a launch


def array_module(device: str | None) -> ModuleType:
    """numpy or cupy."""
    if device == "cuda":
        return cupy()
    return np if as_device(device).type == "cpu" else cupy()


def module_of(array: Any) -> ModuleType:
    """The array module that owns an array."""
    if isinstance(array, np.ndarray | np.generic):
        return np
    loaded = sys.modules.get("cupy")
    if loaded is not None and isinstance(array, loaded.ndarray):
        return loaded
    raise TypeError(f"{type(array).__name__} is not a numpy or cupy array")


def is_array(x: object) -> bool:
    """Whether x is a numpy or cupy array (without importing cupy)."""
    loaded = sys.modules.get("cupy")
    return isinstance(x, np.ndarray) or (loaded is not None and isinstance(x, loaded.ndarray))


def device_of(array: Any) -> Device:
    """The device an array lives on."""
    return CPU if isinstance(array, np.ndarray | np.generic) else Device(f"cuda:{array.device.id}")


def is_writeable(array: Any) -> bool:
    """Whether an array may be written; those of a GPU always may."""
    return bool(getattr(getattr(array, "flags", None), "writeable", True))


def as_array(value: Any, device: str) -> Any:
    """A value as an array of the device's module; an array that already is one is itself."""
    return array_module(device).asarray(value)


def to_device(array: Any, device: Device) -> Any:
    """The array on that device; itself where it already is there."""
    here = device_of(array)
    if here == device:
        return array
    if device.type == "cpu":
        return array.get()
    module = cupy()
    with module.cuda.Device(device.index):
        return module.asarray(array)
