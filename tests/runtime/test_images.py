"""Object code that this package links and maps itself, and LLVM's linker where it does not."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tracejit.codegen.llvm.printer import Module
from tracejit.runtime import images
from tracejit.runtime.images import ARE_USED, Library, image_of, linked, prepared
from tracejit.runtime.machines import host_machines

of_this_kind = pytest.mark.skipif(not ARE_USED, reason="code for x86-64 and Linux")


def objects(*texts: str) -> list[bytes]:
    return host_machines().objects(map(Module, texts))


def function(address: int) -> Callable[[int], int]:
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(address)


def nothing(names: Iterable[str]) -> dict[str, int]:
    return {}


#: Variables that begin with a number and with zero, a table of functions, constants, and what others define.
TEXT = """
@count = internal global i64 5
@sums = internal global [700 x i64] zeroinitializer
@before = internal global i64 11
@table = internal constant [2 x ptr] [ptr @twice, ptr @thrice]
@scales = internal constant [4 x double] [double 1.0, double 2.0, double 4.0, double 8.0]
@outer = external global i64
declare i64 @outside(i64)
define internal i64 @twice(i64 %x) {
  %y = mul i64 %x, 2
  ret i64 %y
}
define internal i64 @thrice(i64 %x) {
  %y = mul i64 %x, 3
  ret i64 %y
}
define i64 @f(i64 %x) {
  %count = load i64, ptr @count
  %more = add i64 %count, 1
  store i64 %more, ptr @count
  %sum.at = getelementptr i64, ptr @sums, i64 %x
  %sum = load i64, ptr %sum.at
  %sum.more = add i64 %sum, %x
  store i64 %sum.more, ptr %sum.at
  %even = and i64 %x, 1
  %entry = getelementptr ptr, ptr @table, i64 %even
  %chosen = load ptr, ptr %entry
  %a = call i64 %chosen(i64 %x)
  %place = getelementptr double, ptr @scales, i64 %even
  %scale = load double, ptr %place
  %scale.whole = fptosi double %scale to i64
  %b = call i64 @outside(i64 %a)
  %c = load i64, ptr @outer
  %before = load i64, ptr @before
  %1 = mul i64 %b, %scale.whole
  %2 = add i64 %1, %c
  %3 = add i64 %2, %more
  %4 = add i64 %3, %sum.more
  %5 = add i64 %4, %before
  ret i64 %5
}
"""

OTHER = """
@outer = global i64 1000
define i64 @outside(i64 %x) {
  %y = sub i64 0, %x
  ret i64 %y
}
"""


def expected(x: int, call: int, before: int = 0) -> int:
    """What `f` of `TEXT` gives in its call of that number, with `x` the sum of those `before`."""
    return -(x * (3 if x % 2 else 2)) * (2 if x % 2 else 1) + 1000 + 5 + call + before + x + 11


@of_this_kind
@pytest.mark.parametrize("together", [True, False])
def test_code_refers_to_its_own_things_and_to_those_of_others(together: bool) -> None:
    """Other things lie in the same image, or in another one."""
    files = objects(TEXT, OTHER)
    made = [linked(files)] if together else [linked([file]) for file in files]
    library = Library(made, nothing)
    f = function(library["f"])
    assert [f(4), f(7), f(4)] == [expected(4, 1), expected(7, 2), expected(4, 3, 4)]


@of_this_kind
def test_what_lies_outside_is_asked_for_once_and_images_share_no_variables() -> None:
    code, other = objects(TEXT, OTHER)
    held = Library([image_of(other)], nothing)
    asked: list[set[str]] = []

    def find(names: Iterable[str]) -> dict[str, int]:
        asked.append(set(names))
        return held.symbols

    first, second = (Library([image_of(code)], find) for _ in range(2))
    f, g = function(first["f"]), function(second["f"])
    assert [f(4), f(4), g(4)] == [expected(4, 1), expected(4, 2, 4), expected(4, 1)]
    assert asked == [{"outer", "outside"}] * 2


@of_this_kind
def test_an_image_is_kept_as_bytes() -> None:
    (code,) = prepared(objects(TEXT, OTHER))
    assert image_of(code).packed() == code
    library = Library([image_of(code)], nothing)
    assert function(library["f"])(7) == expected(7, 1)


@of_this_kind
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("@x = thread_local global i64 1\ndefine ptr @f() {\n  ret ptr @x\n}", "section of type"),
        ("@x = common global i64 0\ndefine ptr @f() {\n  ret ptr @x\n}", "x in section 0xfff2"),
        ("@x = external hidden global i64\ndefine ptr @f() {\n  ret ptr @x\n}", "to x cannot be linked"),
    ],
)
def test_what_is_not_known_is_refused(text: str, reason: str) -> None:
    with pytest.raises(RuntimeError, match=reason):
        linked(objects(text))


@of_this_kind
def test_too_few_mappings_are_a_memory_error(monkeypatch: pytest.MonkeyPatch) -> None:
    image = linked(objects(OTHER))
    library = images._memory()
    monkeypatch.setattr(library, "mprotect", lambda *_: -1)
    with pytest.raises(MemoryError):
        Library([image], nothing)
    monkeypatch.setattr(library, "mmap", lambda *_: ctypes.c_void_p(-1).value)
    with pytest.raises(MemoryError):
        Library([image], nothing)


#: Scripts whose code uses most of the support, linked by LLVM.
PROGRAM = """
from pathlib import Path

import numpy as np

from tracejit.runtime import images, shipped

images.ARE_USED = False
shipped.FOLDER = Path("nowhere")

import tracejit as tj


def f(x, w):
    found = []
    for i in range(len(x)):
        if x[i, 0] > 0.5:
            found.append(np.sin(x[i, 1]))
    return (np.tanh(x @ w) * 2).sum() + sum(found)


x, w = np.linspace(0, 1, 40000).reshape(200, 200), np.ones((200, 50))
for _ in range(2):
    np.testing.assert_allclose(tj.script(f)(x, w), f(x, w))
from tracejit.runtime.engine import engine

print("jit" in vars(engine()))
"""


@pytest.mark.compiled
def test_llvm_links_where_images_are_not_used(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    environment = os.environ | {"TRACEJIT_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=120, env=environment)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr[-2000:]
