"""The object code that comes with the package: what it holds, when it is used, and what builds of wheels do."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import tracejit
from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.runtime import cache as disk
from tracejit.runtime import machines, shared_code, shipped
from tracejit.runtime.machines import host_options, level_options, shared_options
from tracejit.runtime.shipped import Shipped, write
from tracejit.runtime.shipping import ship

ROOT = Path(__file__).parents[2]

only_x86 = pytest.mark.skipif(machines.machine_name() != "x86_64", reason="levels are of x86-64")

CODES = {"one": b"first", "two": b"", "three": bytes(range(256))}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "new" / "level.tjs"
    write(made, CODES, moves=False)
    return made


def found(path: Path | None, names: tuple[str, ...] = (*CODES, "none")) -> dict[str, bytes]:
    here = Shipped(path)
    given = {name: here.find(name) for name in names}
    return {name: data for name, data in given.items() if data is not None}


def test_what_was_written_is_found_by_name(path: Path) -> None:
    assert found(path) == CODES
    assert len(Shipped(path)) == 3 and Shipped(path).has("one") and not Shipped(path).has("none")
    assert sorted(path.parent.iterdir()) == [path]


def test_without_a_file_there_is_nothing(tmp_path: Path) -> None:
    assert found(None) == found(tmp_path / "none.tjs") == found(tmp_path) == {}


@pytest.mark.parametrize("cut", [0, 10, 30, 60, 150])
def test_a_file_that_was_cut_off_holds_nothing(path: Path, cut: int) -> None:
    path.write_bytes(path.read_bytes()[:cut])
    assert found(path) == {}


def test_every_damage_is_seen(path: Path) -> None:
    data = path.read_bytes()
    assert Shipped(path).is_whole
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x40]) + data[place + 1 :])
        given = found(path)
        assert given.items() <= CODES.items() and len(given) < len(CODES), place
        assert not Shipped(path).is_whole


def test_a_file_that_is_longer_or_shorter_than_it_says_holds_nothing(path: Path) -> None:
    data = path.read_bytes()
    for other in (data[:-1], data + b"0"):
        path.write_bytes(other)
        assert found(path) == {}


def test_a_header_of_any_length_is_no_code(path: Path) -> None:
    data = path.read_bytes()
    at = data.index(b"\n") + 1 + 16
    for length in (0, 1, 1 << 40, (1 << 64) - 1):
        path.write_bytes(data[:at] + length.to_bytes(8, "little") + data[at + 8 :])
        assert found(path) == {}


def test_code_of_other_sources_is_not_used(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = disk.sources(*shipped._SOURCES)
    monkeypatch.setattr(disk, "sources", lambda *folders: here._replace(state="edited"))
    assert found(path) == {}


def test_code_of_sources_in_place_is_of_the_compiler_that_is_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "llvm_version", lambda: "1.0")
    assert found(path) == {}


def test_all_who_may_read_the_sources_may_read_it(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write(tmp_path / "new" / "level.tjs", CODES, moves=False)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(place.stat().st_mode) for place in (tmp_path / "new", tmp_path / "new" / "level.tjs")]
    assert modes == [0o755, 0o644]


def test_what_lies_beside_the_sources_is_none_of_them() -> None:
    assert "objects/" not in disk._SOURCES and "codegen/" in disk._SOURCES


def test_the_path_of_calls_is_that_of_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects begin in another way where Python has no lock."""
    names = []
    for header in (16, 32):
        monkeypatch.setattr(shared_code, "HEADER", header)
        names += [shared_code.call_path(host_options()).name, shared_code.call_path_at_once().name]
    assert len(set(names)) == 4


def test_what_moves_is_compiled_beside_its_sources(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tracejit.runtime.shipping", "--moves", str(tmp_path / "tracejit" / "objects")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "is not beside the sources" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "later", "is_used"),
    [
        ({}, 0, True),
        ({"state": "unpacked elsewhere"}, 50, True),
        ({"state": "edited", "sizes": "grown"}, 0, False),
        ({"state": "edited"}, 100, False),
    ],
)
def test_code_that_moves_along_is_of_the_sources_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], later: int, is_used: bool
) -> None:
    path = tmp_path / "level.tjs"
    write(path, CODES, moves=True)
    written = path.stat().st_mtime_ns
    here = disk.sources(*shipped._SOURCES)._replace(newest=written + later * 10**9)
    monkeypatch.setattr(disk, "sources", lambda *folders: here._replace(**change))
    assert found(path) == (CODES if is_used else {})


def test_a_write_that_fails_leaves_what_was_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> Path:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        write(path, {}, moves=False)
    assert sorted(path.parent.iterdir()) == [path] and found(path) == CODES


def test_shared_code_is_for_what_this_machine_has() -> None:
    def names(options: LlvmOptions) -> set[str]:
        return {name for name in options.features.split(",") if name.startswith("+")}

    shared, host = shared_options(), host_options()
    assert names(shared) <= names(host)
    assert (shared.vector_bits, shared.masked_bits, shared.has_f16c) == (
        host.vector_bits,
        host.masked_bits,
        host.has_f16c,
    )


@only_x86
def test_levels_have_what_the_levels_before_have() -> None:
    features = [set(level_options(level).features.split(",")) - {"-prefer-256-bit"} for level in machines.LEVELS]
    assert features == sorted(features, key=len)
    assert all(a < b for a, b in zip(features, features[1:], strict=False))
    assert [level_options(level).vector_bits for level in machines.LEVELS] == [128, 256, 512]


#: Programs that ask for all kinds of shared code; what was not shipped is an error.
_PROGRAMS = """
import sys
from pathlib import Path
import numpy as np
from tracejit.runtime import shipped
shipped.FOLDER = Path(sys.argv[1])
import tracejit
from tracejit.runtime import stock

def refuse(self, key, data):
    raise AssertionError("made here")

is_whole = sys.argv[2] == "whole"
if is_whole:
    stock.Stock._keep = refuse

@tracejit.script
def products(a, b, n: int):
    c = a @ b
    for i in range(n):
        c = np.tanh(c @ a[:c.shape[1]])
    return c, a @ b[:, 0], a[0] @ b

@tracejit.script
def ordered(x):
    return np.sort(x), np.argsort(x)

@tracejit.script
def solved(a, b):
    return np.linalg.solve(a, b)

@tracejit.script
def listed(x):
    parts = []
    for i in range(x.shape[0]):
        if x[i] > 0:
            parts.append(x[i] * 2)
    return np.stack(parts)

@tracejit.script
def shared(x):
    return np.exp(x) + 1

r = np.random.default_rng(0)
for dtype in (np.float32, np.float64):
    sizes = (3, 4, 5), (70, 90, 110), (1, 300, 300), (300, 300, 1), (600, 3, 600), (3, 5000, 3), (400, 400, 400)
    for m, k, n in sizes:
        a, b = r.standard_normal((m, k)).astype(dtype), r.standard_normal((k, n)).astype(dtype)
        got = products(a, b, 0)
        for given, wanted in zip(got, (a @ b, a @ b[:, 0], a[0] @ b)):
            np.testing.assert_allclose(given, wanted, rtol=1e-3, atol=1e-3)
    a = r.standard_normal((64, 64)).astype(dtype) / 64
    c = a @ a
    for _ in range(5):
        c = np.tanh(c @ a)
    np.testing.assert_allclose(products(a, a, 5)[0], c, rtol=1e-3, atol=1e-3)
    for size in (7, 5000):
        x = r.permutation(size).astype(dtype)
        assert (ordered(x)[0] == np.sort(x)).all() and (ordered(x)[1] == np.argsort(x)).all()
    b = a + np.eye(64, dtype=dtype)
    np.testing.assert_allclose(solved(b, a), np.linalg.solve(b, a), rtol=1e-3, atol=1e-3)
    x = r.standard_normal(50).astype(dtype)
    np.testing.assert_array_equal(listed(x), x[x > 0] * 2)
    x = r.standard_normal(1 << 20).astype(dtype)
    np.testing.assert_allclose(shared(x), np.exp(x) + 1, rtol=1e-5)
print("all right")
"""


def run(folder: Path, mode: str, cache: Path) -> str:
    environment = os.environ | {"TRACEJIT_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT), "TRACEJIT_NUM_THREADS": "2"}
    command = [sys.executable, "-c", _PROGRAMS, str(folder), mode]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@only_x86
def test_all_that_programs_ask_for_is_shipped(tmp_path: Path) -> None:
    written = ship(tmp_path / "objects", [shared_options().cpu], moves=False)
    assert [path.suffix for path in written] == [".tjs"]
    assert run(tmp_path / "objects", "whole", tmp_path / "cache") == "all right\n"
    assert ship(tmp_path / "objects", [shared_options().cpu], moves=False) == []


def test_without_what_is_shipped_programs_make_it(tmp_path: Path) -> None:
    assert run(tmp_path / "none", "nothing", tmp_path / "cache") == "all right\n"


@only_x86
def test_builds_bring_it(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", reason="what builds")
    source, built, installed = tmp_path / "source", tmp_path / "built", tmp_path / "installed"
    names = ["pyproject.toml", "README.md", "LICENSE", "MANIFEST.in", "tools/build_backend.py"]
    names += [str(path.relative_to(ROOT)) for path in ROOT.glob("tracejit/**/*.py")]
    for name in names:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    (built / "tracejit" / "objects").mkdir(parents=True)
    (built / "tracejit" / "objects" / "of-a-build-before.tjs").write_bytes(b"")
    build = "import sys; sys.path.insert(0, 'tools'); from setuptools import setup; setup()"
    command = [sys.executable, "-c", build, "build_py", "--build-lib", str(built)]
    environment = os.environ | {"PYTHONSAFEPATH": "1"}  # the folder that Python runs in is on no path
    done = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list(built.glob("tracejit/objects/*.tjs"))) == 2 and not list(built.rglob("__pycache__"))
    shutil.copytree(built, installed, copy_function=shutil.copyfile)  # as installers do, without the times
    code = "import tracejit; from tracejit.runtime.shipped import FOLDER, Shipped; print(tracejit.__file__)\n"
    code += "print([len(Shipped(path)) > 20 for path in FOLDER.iterdir()])"
    environment = os.environ | {"PYTHONPATH": str(installed), "TRACEJIT_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    place, used = done.stdout.splitlines()
    assert Path(place).parent == installed / "tracejit" != Path(tracejit.__file__).parent
    assert used == "[True, True]"


def test_editable_installs_leave_the_sources_alone(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", reason="what builds")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'tools')!r})\n"
        "from setuptools import Distribution\n"
        "from build_backend import BuildPy\n"
        "command = BuildPy(Distribution({'packages': ['package']}))\n"
        "command.finalize_options()\n"
        "command.editable_mode = True\n"
        "command.run()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.rglob("*.tjs"))
