"""The first result of a process does not wait for the native call path; later calls have it, many a better one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tracejit.ir.parser import parse
from tracejit.runtime import dispatch, engine
from tracejit.scripted.compiler import prepare_lists, prepare_products

pytestmark = [
    pytest.mark.compiled,
    pytest.mark.skipif(not dispatch.is_available(), reason="no native call path on this interpreter"),
]

_PROGRAM = """
import numpy as np
import tracejit as tj
from tracejit.runtime.dispatch import is_decided
from tracejit.runtime.errands import wait_for_all

def twice(x):
    if x[0] < 0:
        raise ValueError("negative")
    return x * 2

f = tj.script(twice)
x = np.ones(3)
is_native = []
for data in (-x, x) if {fails} else (x, x):
    try:
        print(f(data).tolist())
    except ValueError as error:
        print(error)
    is_native.append(bool(f._specialisations))
wait_for_all()
print(is_native, f(x).tolist(), is_decided(), [s.hits for s in f._specialisations])
"""


@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("fails", [False, True])
def test_second_call_is_native(tmp_path: Path, threads: str, fails: bool) -> None:
    (tmp_path / "program.py").write_text(_PROGRAM.format(fails=fails))
    environment = {**os.environ, "TRACEJIT_CACHE_DIR": str(tmp_path), "TRACEJIT_NUM_THREADS": threads}
    done = subprocess.run(
        [sys.executable, str(tmp_path / "program.py")], env=environment, capture_output=True, text=True, check=False
    )
    first = "negative" if fails else "[2.0, 2.0, 2.0]"
    assert done.stdout.splitlines() == [first, "[2.0, 2.0, 2.0]", "[False, True] [2.0, 2.0, 2.0] True [1]"], done.stderr


_MANY = """
import time
from pathlib import Path
import numpy as np
import tracejit as tj
from tracejit.runtime import shipped
from tracejit.runtime.dispatch_tables import OFTEN

shipped.FOLDER = Path("nowhere")

f, g = tj.script(lambda x: x * 2), tj.script(lambda x: x + 1)
x = np.ones(3)
for fn in f, g:
    fn(x), fn(x)
first = f._vectorcall
assert first == g._vectorcall != 0
for i in range(OFTEN - 1):
    f(x)
assert f._vectorcall == first
f(x)
end = time.monotonic() + (60 if {is_first} else 0)
while f._vectorcall == first and time.monotonic() < end:
    time.sleep(0.01)
print(f._vectorcall != first, f._vectorcall == g._vectorcall, f(x).tolist(), g(x).tolist())
"""


def test_many_calls_take_a_better_path(tmp_path: Path) -> None:
    """In the first process from some time on, in later ones from the start, as where it came with the package."""
    environment = {**os.environ, "TRACEJIT_CACHE_DIR": str(tmp_path)}
    for is_first in True, False:
        (tmp_path / "program.py").write_text(_MANY.format(is_first=is_first))
        done = subprocess.run(
            [sys.executable, str(tmp_path / "program.py")], env=environment, capture_output=True, text=True, check=False
        )
        assert done.stdout == f"{is_first} True [2.0, 2.0, 2.0] [2.0, 2.0, 2.0]\n", done.stderr


@pytest.mark.parametrize(
    ("rows", "parts"),
    [
        (["1"], ("line",)),
        (["m"], ("panels",)),
        (["m", "1"], ("panels", "line")),
    ],
)
def test_what_is_compiled_ahead_goes_by_the_shapes_of_products(
    rows: list[str], parts: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(engine, "prepare", asked.append)
    monkeypatch.setattr(engine, "products_ahead", lambda name, parts: (name, parts))
    params = ", ".join(f"%a{i}: f32[{m}, k]" for i, m in enumerate(rows))
    products = "".join(f"  %c{i} = matmul(%a{i}, %b) : f32[{m}, n]\n" for i, m in enumerate(rows))
    results = ", ".join(f"%c{i}" for i in range(len(rows)))
    prepare_products(parse(f"graph @f({params}, %b: f32[k, n]) on cpu {{\n{products}  yield {results}\n}}\n"))
    assert asked == [("f32", parts)]


@pytest.mark.parametrize(("op", "asked"), [("list_new", True), ("sin", False)])
def test_what_lists_need_is_compiled_while_a_program_with_some_is_lowered(
    op: str, asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Any] = []
    monkeypatch.setattr(engine, "prepare", begun.append)
    line = "list_new() {element = !f64} : list<f64>" if op == "list_new" else "sin(%x) : f64"
    prepare_lists(parse(f"graph @f(%x: f64) on cpu {{\n  %a = {line}\n  yield %x\n}}\n"))
    assert begun == ([engine.lists] if asked else [])


_RECORDED = """
import time
import tracejit as tj
from tracejit.runtime import dispatch

@tj.script
def square(x):
    return x * x

def is_begun():
    return bool(dispatch._begun)

x = tj.ones(3, requires_grad=True)
y = square(x)
seen = [is_begun()]
if {backward}:
    y.sum().backward()
    seen.append(is_begun())
square(x)
seen.append(is_begun())
while dispatch.is_coming():
    time.sleep(0.001)
y = square(x)
y.sum().backward()
print(seen, len(square._specialisations), y.tolist(), x.grad.tolist())
"""


@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("backward", [False, True])
def test_first_gradients_come_before_the_native_call_path(tmp_path: Path, threads: str, backward: bool) -> None:
    (tmp_path / "program.py").write_text(_RECORDED.format(backward=backward))
    environment = {**os.environ, "TRACEJIT_CACHE_DIR": str(tmp_path), "TRACEJIT_NUM_THREADS": threads}
    done = subprocess.run(
        [sys.executable, str(tmp_path / "program.py")], env=environment, capture_output=True, text=True, check=False
    )
    seen, slope = ([False, True, True], 4.0) if backward else ([False, True], 2.0)
    assert done.stdout == f"{seen} 1 [1.0, 1.0, 1.0] {[slope] * 3}\n", done.stderr
