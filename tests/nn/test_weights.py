"""Files of the safetensors format."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit import nn
from tracejit.weights import load_metadata

DTYPES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 bfloat16 float32 float64 complex64".split()


def test_all_dtypes_and_shapes_come_back(tmp_path: Path) -> None:
    state = {
        f"{name}.{i}": tj.tensor(np.arange(np.prod(shape)).reshape(shape) % 2, dtype=getattr(tj, name))
        for name in DTYPES
        for i, shape in enumerate(((3,), (2, 3), (), (0, 2)))
    }
    tj.save_weights(state, tmp_path / "w.safetensors")
    found = tj.load_weights(tmp_path / "w.safetensors")
    assert list(found) == list(state)
    for name, want in state.items():
        assert found[name].dtype == want.dtype and found[name].shape == want.shape
        np.testing.assert_array_equal(found[name].numpy(), want.numpy())
    found["float32.0"].add_(1)  # writable, of its own


def test_views_and_shared_tensors(tmp_path: Path) -> None:
    x = tj.tensor(np.arange(12.0).reshape(3, 4))
    tj.save_weights({"t": x.T, "x": x, "again": x, "step": x[:, ::2]}, str(tmp_path / "w"))
    found = tj.load_weights(str(tmp_path / "w"))
    np.testing.assert_array_equal(found["t"].numpy(), x.numpy().T)
    np.testing.assert_array_equal(found["step"].numpy(), x.numpy()[:, ::2])
    np.testing.assert_array_equal(found["again"].numpy(), x.numpy())


def test_modules(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    first, second = (nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)) for _ in range(2))
    first(tj.rand(2, 1, 5, 5))
    tj.save_weights(first, path)
    keys = tj.load_weights(path, second)
    assert keys.missing_keys == [] and keys.unexpected_keys == []
    for name, value in first.state_dict().items():
        np.testing.assert_array_equal(second.state_dict()[name].numpy(), value.numpy())
    third = nn.Linear(2, 2)
    with pytest.raises(RuntimeError, match="Missing key"):
        tj.load_weights(path, third)
    assert "weight" in tj.load_weights(third, path, strict=False).missing_keys
    third.load_state_dict({"weight": tj.zeros(2, 2), "bias": tj.ones(2)})


def test_the_layout_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "w"
    tj.save_weights({"b": np.array([1, 2], np.int8), "a": np.array([[1.5]], np.float64)}, path, {"made": "here"})
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    assert length % 8 == 0
    header = json.loads(data[8 : 8 + length])
    assert header["__metadata__"] == load_metadata(path) == {"made": "here"}
    assert header["a"] == {"dtype": "F64", "shape": [1, 1], "data_offsets": [0, 8]}
    assert header["b"] == {"dtype": "I8", "shape": [2], "data_offsets": [8, 10]}
    assert data[8 + length :] == np.float64(1.5).tobytes() + b"\x01\x02"


def file_of(path: Path, header: Any, data: bytes) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
DAMAGED: dict[str, tuple[Any, bytes]] = {
    "no json": (b"{'a': 1}", b""),
    "twice": (b'{"a": %b, "a": %b}' % ((json.dumps(ENTRY).encode(),) * 2), bytes(8)),
    "no object": ([1], b""),
    "too short": ({"a": ENTRY}, bytes(7)),
    "too long": ({"a": ENTRY}, bytes(9)),
    "gap": ({"a": ENTRY, "b": {**ENTRY, "data_offsets": [12, 20]}}, bytes(20)),
    "overlap": ({"a": ENTRY, "b": {**ENTRY, "data_offsets": [4, 12]}}, bytes(12)),
    "size": ({"a": {**ENTRY, "shape": [3]}}, bytes(8)),
    "negative": ({"a": {**ENTRY, "shape": [-1, -2]}}, bytes(8)),
    "dtype": ({"a": {**ENTRY, "dtype": "F8_E4M3"}}, bytes(8)),
    "no place": ({"a": {"dtype": "F32", "shape": [2]}}, bytes(8)),
}


@pytest.mark.parametrize("name", sorted(DAMAGED))
def test_damaged_files_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError):
        tj.load_weights(file_of(tmp_path / "w", *DAMAGED[name]))


def test_other_files_and_values_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w"
    for content in (b"", b"abc", (1 << 60).to_bytes(8, "little") + b"{}"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="not a safetensors file"):
            tj.load_weights(path)
    with pytest.raises(TypeError, match="complex128"):
        tj.save_weights({"x": np.zeros(1, complex)}, tmp_path / "x")
    with pytest.raises(TypeError):
        tj.save_weights([1], tmp_path / "x")
    assert [p.name for p in tmp_path.iterdir()] == ["w"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "w.safetensors").symlink_to(tmp_path / "real" / "w.safetensors")
    tj.save_weights({"x": tj.ones(2)}, tmp_path / "w.safetensors")
    assert (tmp_path / "w.safetensors").is_symlink()
    assert [p.name for p in (tmp_path / "real").iterdir()] == ["w.safetensors"]
    assert list(tj.load_weights(tmp_path / "real" / "w.safetensors")) == ["x"]


def test_what_is_no_plain_file_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        tj.save_weights({"x": tj.ones(2)}, pipe)
        assert pipe.is_fifo()
        assert os.read(reader, 1 << 16).endswith(np.ones(2, np.float32).tobytes())
    finally:
        os.close(reader)


def test_a_file_has_the_mode_of_others(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"")
    tj.save_weights({"x": tj.ones(2)}, tmp_path / "w.safetensors")
    assert (tmp_path / "w.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode
    (tmp_path / "w.safetensors").chmod(0o600)
    tj.save_weights({"w": tj.ones(2)}, tmp_path / "w.safetensors")
    assert (tmp_path / "w.safetensors").stat().st_mode & 0o777 == 0o600


def test_names_are_text_and_errors_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="the names of tensors are text, not 1"):
        tj.save_weights({1: tj.ones(2)}, tmp_path / "w")
    missing = tmp_path / "none" / "w.safetensors"
    with pytest.raises(FileNotFoundError) as caught:
        tj.save_weights({"x": tj.ones(2)}, missing)
    assert caught.value.filename == str(missing)
    long = tmp_path / ("w" * 250)
    tj.save_weights({"x": tj.ones(2)}, long)
    assert tj.load_weights(long)["x"].tolist() == [1.0, 1.0]
