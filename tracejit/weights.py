"""Weights in files of the safetensors format: read and written without running anything.

The format (https://huggingface.co/docs/safetensors): eight bytes with the length of a JSON header, the header with
dtype, shape and place of every tensor, then their bytes in C order, little-endian, one after the other without gaps.
"""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

import tracejit as tj
from tracejit.eager import dtypes
from tracejit.files import replacing


class IncompatibleKeys(NamedTuple):
    """What a non-strict `load_state_dict` did not find a place or a value for."""

    missing_keys: list[str]
    unexpected_keys: list[str]


_NAMES = {
    "bool": "BOOL",
    "int8": "I8",
    "int16": "I16",
    "int32": "I32",
    "int64": "I64",
    "uint8": "U8",
    "uint16": "U16",
    "uint32": "U32",
    "uint64": "U64",
    "float16": "F16",
    "bfloat16": "BF16",
    "float32": "F32",
    "float64": "F64",
    "complex64": "C64",
}
_DTYPES = {name: dtype for dtype, name in _NAMES.items()}

#: No header is longer, as in the format's own library.
_LONGEST = 100_000_000


def save_weights(weights: Any, path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None) -> None:
    """Write a module's `state_dict`, or a dict of Tensors and arrays, to a safetensors file.

    `metadata` is text by name. The file is complete or not there. TypeError for complex128, which the format lacks.
    """
    if isinstance(weights, str | os.PathLike):
        weights, path = path, weights
    state = weights.state_dict() if hasattr(weights, "state_dict") else weights
    if not isinstance(state, Mapping):
        raise TypeError(f"save_weights takes a module or a dict of tensors, not {type(weights).__name__}")
    write = writing(state, metadata)
    with replacing(Path(path)) as file:
        write(file)


def writing(state: Mapping[Any, Any], metadata: Mapping[str, str] | None = None) -> Callable[[IO[bytes]], None]:
    """What writes a dict of Tensors and arrays into an open file. TypeError as of `save_weights`."""
    for name in state:
        if not isinstance(name, str):
            raise TypeError(f"the names of tensors are text, not {name!r}")
    arrays = {name: _array(name, value) for name, value in state.items()}
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": _checked_metadata(metadata)}
    # The widest numbers first, so that every tensor is aligned.
    placed = sorted(arrays.values(), key=lambda array: -array.itemsize)
    ends = list(itertools.accumulate(array.nbytes for array in placed))
    end_of = {id(array): end for array, end in zip(placed, ends, strict=True)}
    for name, array in arrays.items():
        end = end_of[id(array)]
        shape = list(array.shape)
        header[name] = {"dtype": _NAMES[array.dtype.name], "shape": shape, "data_offsets": [end - array.nbytes, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)

    def write(file: IO[bytes]) -> None:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for array in placed:
            file.write(array.tobytes())

    return write


def load_weights(path: Any, module: Any = None, *, strict: bool = True, device: Any = None) -> Any:
    """The Tensors of a safetensors file by name; with a module, copied into its parameters and buffers (see
    `Module.load_state_dict`, which says what `strict` means and what is given). ValueError for a damaged file."""
    if module is not None and not hasattr(module, "load_state_dict"):
        path, module = module, path
    with Path(path).open("rb") as file:
        state = read_weights(file, Path(path).stat().st_size, path)
    if module is not None:
        return module.load_state_dict(state, strict)
    return state if device is None else {name: tensor.to(device) for name, tensor in state.items()}


def load_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The metadata of a safetensors file."""
    with Path(path).open("rb") as file:
        return _header(path, file, Path(path).stat().st_size).get("__metadata__", {})


def _array(name: str, value: Any) -> np.ndarray[Any, Any]:
    if isinstance(value, tj.Tensor):
        value = value.detach().cpu().numpy()
    array = np.asarray(value)
    if array.dtype.name not in _NAMES:
        raise TypeError(f"{name!r} has dtype {array.dtype}, which safetensors files cannot hold")
    return np.array(array, array.dtype.newbyteorder("<"), order="C")  # a copy: one array under two names is two


def _checked_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    if not all(isinstance(k, str) and isinstance(v, str) for k, v in metadata.items()):
        raise TypeError("metadata is text by name")
    return dict(metadata)


def _header(path: object, file: IO[bytes], size: int) -> dict[str, Any]:
    """The header; the file is left where the data begins."""
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(size - 8, _LONGEST):
        raise ValueError(f"{path}: not a safetensors file")
    try:
        header = json.loads(file.read(length).decode(), object_pairs_hook=_once)
    except ValueError as error:
        raise ValueError(f"{path}: the header is damaged: {error}") from None
    if not isinstance(header, dict):
        raise ValueError(f"{path}: the header is not an object")
    return header


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name appears twice")
    return found


def read_weights(file: IO[bytes], size: int, path: object) -> dict[str, tj.Tensor]:
    """The Tensors of an open file of so many bytes, which messages call `path`. ValueError for a damaged one."""
    header = _header(path, file, size)
    data = file.read()
    header.pop("__metadata__", None)
    state: dict[str, tj.Tensor] = {}
    end = 0
    for name, entry in sorted(header.items(), key=lambda item: _offsets(path, *item)):
        dtype, shape, (first, last) = entry.get("dtype"), entry.get("shape"), _offsets(path, name, entry)
        if dtype not in _DTYPES:
            raise ValueError(f"{path}: tensor {name!r} has dtype {dtype}, which tracejit does not have")
        if not isinstance(shape, list) or not all(isinstance(n, int) and n >= 0 for n in shape):
            raise ValueError(f"{path}: tensor {name!r} has no valid shape")
        kind = dtypes.bfloat16() if dtype == "BF16" else np.dtype(_DTYPES[dtype])
        if first != end or last > len(data) or last - first != math.prod(shape) * kind.itemsize:
            raise ValueError(f"{path}: the place of tensor {name!r} does not fit its shape and its neighbours")
        array = np.frombuffer(data[first:last], np.uint8).copy().view(kind.newbyteorder("<")).astype(kind, copy=False)
        state[name] = tj.from_numpy(array.reshape(shape))
        end = last
    if end != len(data):
        raise ValueError(f"{path}: {len(data) - end} bytes after the last tensor")
    return {name: state[name] for name in header}


def _offsets(path: object, name: str, entry: Any) -> tuple[int, int]:
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    if not isinstance(offsets, list) or [type(n) for n in offsets] != [int, int]:
        raise ValueError(f"{path}: tensor {name!r} has no valid place")
    return offsets[0], offsets[1]
