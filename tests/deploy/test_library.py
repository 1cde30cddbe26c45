"""Exported libraries through ctypes: results, errors, memory, weights."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from ctypes import c_int64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported_graphs import ROWS, program

from tracejit.deploy.artifact import c_name, write_program
from tracejit.deploy.load import CTensor, NativeError, NativeLibrary
from tracejit.errors import ExportError

Export = Callable[..., NativeLibrary]


def expected_rows(x: np.ndarray) -> np.ndarray:
    return np.tanh(x).sum(1)


@pytest.mark.parametrize("shape", [(5, 7), (1, 1), (1, 40), (3, 0), (0, 3), (64, 33)])
def test_all_sizes_are_served_by_one_library(export: Export, shape: tuple[int, int]) -> None:
    x = np.random.default_rng(0).normal(size=shape).astype("f4")
    z, limit = export(ROWS)(x, 1.5)
    np.testing.assert_allclose(z, expected_rows(x), rtol=1e-5, atol=1e-6)
    assert limit == 1.5


def test_strided_inputs(export: Export) -> None:
    x = np.random.default_rng(1).normal(size=(6, 8)).astype("f4")
    rows = export(ROWS)
    for view in (x.T, x[::2, ::-1], x[::-1], np.broadcast_to(x[:1], (4, 8))):
        np.testing.assert_allclose(rows(view, 0.0)[0], expected_rows(view), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("limit", [2.5, 3.0, 2.6, 1e22, 1e16, 123456789.25, 5e5, float("inf"), 2.5000000000000004])
def test_an_error_has_a_status_and_the_message_python_would_write(export: Export, limit: float) -> None:
    with pytest.raises(NativeError) as raised:
        export(ROWS)(np.zeros((2, 2), "f4"), limit)
    assert raised.value.status == 1
    assert str(raised.value).startswith(f"ValueError: limit {limit} is not below 2.5 {{}}")


@pytest.mark.parametrize(
    "value", [1.0, -0.0, 1e-5, 1.5e-7, 0.0001, 1e300, -2.25, float("nan"), -float("inf"), 1 / 3, 2.0**60]
)
def test_floats_are_written_as_repr_does(export: Export, value: float) -> None:
    text = """
    graph @fail(%x: f64, %i: i64, %b: bool) on cpu {
      %no = const() {value = False, type = !bool} : bool
      check(%no, %x, %i, %b) {kind = "IndexError", message = "{0}|{1}|{2}|{0:.3f}|{1:5d}|{0:10.2e}"}
      yield %x
    }
    """
    with pytest.raises(NativeError) as raised:
        export(text, "fail")(value, -3, True)
    written = str(raised.value).removeprefix("IndexError: ").split(" (line")[0]
    assert written == f"{value}|-3|True|{value:.3f}|   -3|{value:10.2e}"


def test_wrong_arguments_are_reported(export: Export) -> None:
    rows = export(ROWS)
    x = np.zeros((2, 2), "f4")
    tensors = (CTensor * 2)()
    inputs, keep = rows._inputs((x, 1.0))
    outputs = (CTensor * 2)()

    def message(change: Callable[[Any], None]) -> str:
        for i in range(2):
            tensors[i] = inputs[i]
        change(tensors)
        assert rows._function(tensors, outputs, None) == -2
        return rows._message().decode()

    def assign(field: str, value: Any, index: int = 0) -> Callable[[Any], None]:
        return lambda records: setattr(records[index], field, value)

    assert message(assign("ndim", 1)) == "x has 1 axes, expected 2"
    assert message(assign("dtype", 13)) == "x has dtype code 13, expected 12"
    assert message(assign("shape", None)) == "x has no shape"
    assert message(assign("data", None)) == "x has no data"
    assert message(assign("data", None, 1)) == "limit has no data"
    assert "size -1" in message(assign("shape", (c_int64 * 2)(-1, 2)))
    for given in ((None, outputs), (inputs, None)):
        assert rows._function(*given, None) == -2
        assert rows._message().decode() == f"{'outputs' if given[1] is None else 'inputs'} is NULL"
    assert rows._arena_size(None) == 0
    del keep


def test_equal_names_are_equal_sizes(export: Export) -> None:
    text = """
    graph @add(%x: f32[n], %y: f32[n]) on cpu {
      %z = add(%x, %y) : f32[n]
      yield %z
    }
    """
    add = export(text, "add")
    assert add(np.ones(3, "f4"), np.ones(3, "f4")).tolist() == [2, 2, 2]
    with pytest.raises(NativeError, match="y has an axis of size 4, but an axis of the same name has size 3"):
        add(np.ones(3, "f4"), np.ones(4, "f4"))


def test_given_outputs_are_written_in_place(export: Export) -> None:
    rows = export(ROWS)
    x = np.random.default_rng(2).normal(size=(3, 4)).astype("f4")
    inputs, keep = rows._inputs((x, 1.0))
    outputs = (CTensor * 2)()
    target, limit = np.zeros(6, "f4"), np.zeros((), "f8")
    shape, strides = (c_int64 * 1)(3), (c_int64 * 1)(2)
    outputs[0] = CTensor(target.ctypes.data, 1, shape, strides, 0)
    outputs[1] = CTensor(limit.ctypes.data, 0, None, None, 0)
    assert rows._function(inputs, outputs, None) == 0
    np.testing.assert_allclose(target[::2], expected_rows(x), rtol=1e-5)
    assert not target[1::2].any() and limit == 1.0

    shape[0] = 4
    assert rows._function(inputs, outputs, None) == -2
    assert rows._message().decode() == "output result0 has an axis of size 4, but the result's is 3"
    outputs[0].ndim = 2
    assert rows._function(inputs, outputs, None) == -2
    assert rows._message().decode() == "output result0 has 2 axes, but the result has 1"
    outputs[0].dtype = 13
    assert rows._function(inputs, outputs, None) == -2
    assert rows._message().decode() == "output result0 has dtype code 13, but the result's is 12"
    del keep


def test_the_arena_serves_the_working_memory(export: Export) -> None:
    rows = export(ROWS)
    x = np.random.default_rng(3).normal(size=(30, 40)).astype("f4")
    plain, lent = rows(x, 1.0)[0], rows(x, 1.0, arena=True)[0]
    np.testing.assert_array_equal(plain, lent)
    assert rows.arena_size(x, 1.0) >= 30 * 4


def test_constants_are_embedded(export: Export) -> None:
    text = """
    graph @scale(%x: f64[n, 3], %w: f64[n, 3]) on cpu {
      %y = mul(%x, %w) : f64[n, 3]
      yield %y
    }
    """
    w = np.arange(6.0).reshape(2, 3)
    scale = export(text, "scale", constants={1: w})
    assert [s["name"] for s in scale.manifest["inputs"]] == ["x"]
    np.testing.assert_array_equal(scale(np.full((2, 3), 2.0)), 2 * w)


def test_an_argument_changed_in_place(export: Export) -> None:
    text = """
    graph @bump(%x: inout f64[n], %i: i64, %v: f64) on cpu {
      %y = index_update(%x, %v, %i) : f64[n]
      yield %y
    }
    """
    x = np.zeros(3)
    export(text, "bump")(x, 1, 4.0)
    assert x.tolist() == [0.0, 4.0, 0.0]
    y = np.zeros(6)
    export(text, "bump")(y[4::-2], 1, 5.0)
    assert y.tolist() == [0.0, 0.0, 5.0, 0.0, 0.0, 0.0]


def test_print_goes_to_standard_output(tmp_path: Path) -> None:
    text = """
    graph @show(%x: f64, %b: bool) on cpu {
      print(%x, %b) {template = "x = {0}, 100% {1}\\n"}
      yield
    }
    """
    path = write_program(program(text), tmp_path / "show.so")
    code = f"from tracejit.deploy.load import NativeLibrary; NativeLibrary({str(path)!r})(0.5, False)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "x = 0.5, 100% False\n"


# -- files ----------------------------------------------------------------------------------------------------


def test_everything_lies_beside(tmp_path: Path) -> None:
    write_program(program(ROWS), tmp_path / "model.so", graph_text=ROWS)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.h", "model.json", "model.so", "model.tj"]


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="does not exist"):
        write_program(program(ROWS), tmp_path / "nowhere" / "model.so")


def test_an_unwritable_place_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "model.h").mkdir()
    with pytest.raises(ExportError, match="cannot write"):
        write_program(program(ROWS), tmp_path / "model.so")
    assert [p.name for p in tmp_path.iterdir()] == ["model.h"]


def test_other_suffixes_and_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="must end in one of"):
        write_program(program(ROWS), tmp_path / "model.dll")
    with pytest.raises(ExportError, match="cannot be the name of a C function"):
        write_program(program(ROWS), tmp_path / "model.so", name="double")


def test_without_a_linker_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(ExportError, match=r"path ending in \.o"):
        write_program(program(ROWS), tmp_path / "model.so")
    assert write_program(program(ROWS), tmp_path / "model.o").stat().st_size > 0


def test_without_room_for_the_linkers_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(ExportError, match="cannot link"):
        write_program(program(ROWS), tmp_path / "model.so")
    assert not list(tmp_path.iterdir())


def test_an_object_for_another_machine(tmp_path: Path) -> None:
    data = write_program(program(ROWS), tmp_path / "model.o", target="aarch64-linux").read_bytes()
    assert data[:4] == b"\x7fELF" and int.from_bytes(data[18:20], "little") == 183
    for target, message in [
        ("pdp11", "unknown target 'pdp11'; known: x86_64-linux"),
        ("pdp11-dec-unix", "unknown target 'pdp11-dec-unix': No available targets"),
        ("i686-unknown-linux-gnu", "no little-endian machine of 64 bits"),
        ("s390x-unknown-linux-gnu", "no little-endian machine of 64 bits"),
    ]:
        with pytest.raises(ExportError, match=message):
            write_program(program(ROWS), tmp_path / "model.o", target=target)
    with pytest.raises(ExportError, match="export .o and archive it there"):
        write_program(program(ROWS), tmp_path / "model.a", target="arm64-apple-macosx")


def test_c_names() -> None:
    stems = ("model", "libmodel", "my-model", "2layer")
    assert [c_name(s) for s in stems] == ["model", "model", "my_model", "f_2layer"]


def test_a_manifest_of_another_version_is_refused(tmp_path: Path) -> None:
    path = write_program(program(ROWS), tmp_path / "model.so")
    path.with_suffix(".json").write_text('{"version": 99}')
    with pytest.raises(ExportError, match="has version 99"):
        NativeLibrary(path)
    path.with_suffix(".json").unlink()
    with pytest.raises(ExportError, match="no manifest"):
        NativeLibrary(path)


def test_a_small_library_is_small(tmp_path: Path) -> None:
    assert write_program(program(ROWS), tmp_path / "model.so").stat().st_size < 100_000
