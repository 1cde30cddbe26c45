"""Dtypes by name: NumPy's own dtype objects, so that NumPy functions take them; bfloat16 from ml_dtypes."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from tracejit.ir.types import DType, ScalarType

bool = np.dtype("bool")
int8 = np.dtype("int8")
int16 = np.dtype("int16")
int32 = np.dtype("int32")
int64 = np.dtype("int64")
uint8 = np.dtype("uint8")
uint16 = np.dtype("uint16")
uint32 = np.dtype("uint32")
uint64 = np.dtype("uint64")
float16 = np.dtype("float16")
float32 = np.dtype("float32")
float64 = np.dtype("float64")
complex64 = np.dtype("complex64")
complex128 = np.dtype("complex128")

#: Python's number types as dtypes of a new tensor.
_PYTHON = {builtins.bool: bool, builtins.int: int64, builtins.float: float32, builtins.complex: complex64}


def bfloat16() -> np.dtype[Any]:
    """The bfloat16 dtype; needs the package ml_dtypes."""
    try:
        import ml_dtypes
    except ImportError as error:
        raise ImportError("bfloat16 needs the package ml_dtypes") from error
    return np.dtype(ml_dtypes.bfloat16)


def as_dtype(dtype: Any) -> np.dtype[Any]:
    """A NumPy dtype from anything that names one: a dtype, a type, a string, an IR dtype."""
    if isinstance(dtype, ScalarType):
        dtype = dtype.dtype
    if isinstance(dtype, DType):
        dtype = dtype.numpy_name
    if isinstance(dtype, type) and dtype in _PYTHON:
        return np.dtype(dtype) if dtype is builtins.float or dtype is builtins.complex else _PYTHON[dtype]
    if isinstance(dtype, str) and dtype == "bfloat16":
        return bfloat16()
    return np.dtype(dtype)
