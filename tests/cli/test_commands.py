"""The command line, through `main`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tracejit as tj
from tracejit.__main__ import main
from tracejit.cli.targets import UsageError, arguments_of

USER = """
import tracejit as tj

def scale(x, s):
    return (x * s).sum()

class Model:
    @staticmethod
    def forward(x):
        return x + 1

def outside(x):
    yield x
"""


@pytest.fixture
def user(tmp_path: Path) -> str:
    file = tmp_path / "user_program.py"
    file.write_text(USER)
    return str(file)


def test_a_stage_is_shown(user: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", f"{user}:scale", "f32[3]", "0.5", "--stage", "graph"]) == 0
    assert "graph @scale(%x: f32[n], %s: f64)" in capsys.readouterr().out
    assert main(["explain", f"{user}:Model.forward", "f32[3]", "--stage", "llvm"]) == 0
    assert "define i32" in capsys.readouterr().out


def test_a_function_is_exported(user: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "scale.py").touch()  # not of the export
    assert main(["export", f"{user}:scale", "f32[3]", "0.5", "-o", str(tmp_path / "scale.o"), "--name", "scaled"]) == 0
    assert capsys.readouterr().out.endswith("beside it: scale.h, scale.json, scale.tj\n")
    assert "int scaled(const tj_tensor *inputs" in (tmp_path / "scale.h").read_text()


def test_a_function_is_exported_for_another_machine(user: str, tmp_path: Path) -> None:
    path = tmp_path / "scale.o"
    assert main(["export", f"{user}:scale", "f32[3]", "0.5", "-o", str(path), "--target", "aarch64-linux"]) == 0
    assert path.read_bytes()[18:20] == b"\xb7\x00"  # the machine in an ELF header: AArch64


def test_what_is_no_function_is_refused(user: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", f"{user}:__name__", "f32[3]"]) == 2
    assert "is no function but of type str" in capsys.readouterr().err


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="^0$"):
        main(["--version"])
    assert capsys.readouterr().out.split() == ["tracejit", tj.__version__]


def test_times_are_compared(user: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from tracejit.demo import timing

    monkeypatch.setattr(
        timing, "interleaved", lambda functions, seconds: {n: bool(f()) + 1.0 for n, f in functions.items()}
    )
    assert main(["bench", f"{user}:scale", "f32[3]", "0.5"]) == 0
    assert "ratio     1.00" in capsys.readouterr().out


def test_the_machine_is_examined(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "a small function compiles and runs" in out


def test_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TRACEJIT_CACHE_DIR", str(tmp_path))
    assert main(["cache", "info"]) == 0
    assert "0 entries" in capsys.readouterr().out
    assert main(["cache", "clear"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["explain", "nothing"], "is not FILE.py:FUNCTION"),
        (["explain", "/nowhere.py:f"], "there is no file"),
        (["explain", "USER:missing"], "has no 'missing'"),
        (["explain", "USER:scale"], "takes x, s: give an example of each"),
        (["explain", "USER:scale", "x32[3]", "1"], "is no dtype"),
        (["explain", "USER:scale", "f32[", "1"], "is no argument"),
        (["export", "USER:scale", "f32[3]", "1.0", "-o", "/nowhere/model.so"], "does not exist"),
        (["explain", "USER:outside", "f32[3]"], "yield x"),
    ],
)
def test_mistakes_are_explained(
    user: str, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main([a.replace("USER", user) for a in arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error


def test_example_arguments() -> None:
    array, integers, tensor, number, text = arguments_of(["f32[2,3]", "i64[4]", "grad:f64[2]", "0.5", "'sum'"])
    assert array.shape == (2, 3) and array.dtype == np.float32
    assert integers.dtype == np.int64 and tensor.requires_grad
    assert (number, text) == (0.5, "sum")
    with pytest.raises(UsageError):
        arguments_of(["f32(3)"])


def test_wrong_stages_and_arguments_are_named(user: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", f"{user}:scale", "f32[3]", "0.5", "--stage", "nope"]) == 2
    assert "no stage 'nope'" in capsys.readouterr().err
    assert main(["explain", f"{user}:scale", "f32[3]", "0.5", "1"]) == 2
    assert "takes x, s: too many positional arguments" in capsys.readouterr().err
    assert main(["explain", f"{user}:scale"]) == 2
    assert "give an example of each" in capsys.readouterr().err
