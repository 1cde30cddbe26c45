"""Modules that are compiled at the same time."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit import config
from tracejit.codegen.llvm.printer import Effort, Module, print_modules
from tracejit.codegen.lowering import boundary
from tracejit.ir.parser import parse
from tracejit.runtime.emission import Pool, Work
from tracejit.runtime.engine import engine
from tracejit.runtime.machines import host_machines, host_options
from tracejit.scripted.compiler import compile_graph


def module(number: int) -> Module:
    text = f"define i64 @f{number}(i64 %x) {{\n  %y = add i64 %x, {number}\n  ret i64 %y\n}}\n"
    efforts: tuple[Effort, ...] = ("full", "careful", "plain", "quick", "tidied", "baseline")
    return Module(text, efforts[number % len(efforts)])


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_objects_come_in_the_order_of_their_modules_whatever_the_number_of_threads(threads: int) -> None:
    alone = [host_machines().objects([module(i)])[0] for i in range(12)]
    with config.override(num_threads=threads):
        assert host_machines().objects(map(module, range(12))) == alone


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_modules_that_were_begun_with_come_first(threads: int, count: int) -> None:
    alone = [host_machines().objects([module(i)])[0] for i in range(6)]
    work = Work()
    for i in range(count):
        work.ahead(module(i), host_machines())
        time.sleep(0.01 * (i % 2))  # some are compiled before the next comes
    with config.override(num_threads=threads):
        assert host_machines().objects(map(module, range(count, 6)), work) == alone


def test_a_module_that_was_begun_with_and_refused_is_an_error() -> None:
    before = threading.active_count()
    work = Work()
    for text in (module(1), Module("define nonsense"), module(2)):
        work.ahead(text, host_machines())
    with config.override(num_threads=2), pytest.raises(RuntimeError, match="IR parsing error"):
        host_machines().objects([module(3)], work)
    assert threading.active_count() == before


def test_what_was_begun_with_ends_by_itself_where_nobody_asks_for_it() -> None:
    before = threading.active_count()
    work = Work()
    for i in range(4):
        work.ahead(module(i), host_machines())
    work.stop()
    assert ended(work)
    assert threading.active_count() == before


def ended(work: Work) -> bool:
    """Whether the threads that work was begun with end, those that only start included."""
    end = time.monotonic() + 60
    while work.is_begun and time.monotonic() < end:
        time.sleep(0.001)
    for errand in work.begun:
        errand.wait()
    return not work.is_begun


def test_kernels_are_compiled_while_others_are_lowered_and_are_those_of_the_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[Module] = []
    ahead = Work.ahead

    def noted(work: Work, module: Module, pool: Pool) -> None:
        begun.append(module)
        ahead(work, module, pool)

    monkeypatch.setattr(Work, "ahead", noted)
    graph = parse(KERNELS)
    x = np.linspace(-1, 1, 50)
    with config.override(num_threads=2):
        first = compile_graph(graph, runs=True)
        results = first([x])
        assert begun
        assert begun == list(print_modules(first.program, host_options()))[: len(begun)]
    with config.override(num_threads=1):
        begun.clear()
        for made, wanted in zip(results, compile_graph(graph, runs=True)([x]), strict=True):
            assert np.array_equal(made, wanted)
    assert not begun


def test_what_is_only_looked_at_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Module] = []
    monkeypatch.setattr(Work, "ahead", lambda work, module, machines: begun.append(module))
    function = tj.script(stages)
    with config.override(num_threads=2):
        function.explain(np.ones(3))
        assert function.graph_for(np.ones(3))
    assert not begun


def stages(x: Any) -> Any:
    for _ in range(4):
        x = np.tanh(np.cos(np.sin(x) * x) * x) / (1 + x * x)
        x = x + x.sum()
    return x


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_compiles_what_its_parent_had_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parent's thread is not there, but in the middle of a module."""
    x = np.linspace(-1, 1, 50)
    reached, goes_on, make = threading.Event(), threading.Event(), Work._make

    def held(work: Work, *args: Any) -> None:
        reached.set()
        goes_on.wait(60)
        make(work, *args)

    monkeypatch.setattr(Work, "_make", held)
    with config.override(num_threads=2):
        made = compile_graph(replace(parse(KERNELS), policy={"cache": False}), runs=True)
        assert reached.wait(60)
        child = os.fork()
        if not child:
            signal.alarm(20)
            monkeypatch.undo()
            (found,) = made([x])
            os._exit(not np.isfinite(found).all())
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        goes_on.set()
        assert status == 0
        assert np.isfinite(made([x])[0]).all()


def test_an_error_while_a_graph_is_lowered_stops_what_was_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    works: list[Work] = []
    make = Work.__init__

    def noted(work: Work) -> None:
        make(work)
        works.append(work)

    def fail(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Work, "__init__", noted)
    monkeypatch.setattr(boundary, "hand_over", fail)
    with config.override(num_threads=2), pytest.raises(KeyboardInterrupt):
        compile_graph(parse(KERNELS), runs=True)
    assert all(map(ended, works))


#: Long kernels that no fusion joins: each sum is needed whole for what follows.
_PARTS = "".join(
    f"""  %t{i} = tanh(%u{i}) : f64[n]
  %e{i} = erf(%t{i}) : f64[n]
  %g{i} = lgamma(%e{i}) : f64[n]
  %s{i} = sum(%g{i}) {{axes = (0,)}} : f64[]
  %b{i} = broadcast(%s{i}, %n) : f64[n]
  %u{i + 1} = add(%g{i}, %b{i}) : f64[n]
"""
    for i in range(6)
)
KERNELS = f"graph @kernels(%u0: f64[n]) on cpu {{\n  %n = dim(%u0) {{axis = 0}} : i64\n{_PARTS}  yield %u6\n}}"


def test_objects_of_one_program_are_linked_together() -> None:
    caller = Module("declare i64 @f3(i64)\ndefine i64 @g(i64 %x) {\n  %y = call i64 @f3(i64 %x)\n  ret i64 %y\n}\n")
    linked = engine().link(host_machines().objects([module(3), caller]), ["g"])
    assert ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(linked["g"])(4) == 7


@pytest.mark.parametrize("threads", [1, 3])
def test_what_llvm_refuses_is_an_error_and_leaves_no_thread_behind(threads: int) -> None:
    before = threading.active_count()
    with config.override(num_threads=threads), pytest.raises(RuntimeError, match="IR parsing error"):
        host_machines().objects([module(1), Module("define nonsense"), module(2)])
    assert threading.active_count() == before


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_of_the_printer_leaves_no_thread_behind(threads: int) -> None:
    def modules() -> Iterator[Module]:
        yield module(1)
        raise KeyError("printer")

    before = threading.active_count()
    with config.override(num_threads=threads), pytest.raises(KeyError, match="printer"):
        host_machines().objects(modules())
    assert threading.active_count() == before


def test_where_no_thread_can_be_started_the_caller_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    alone = host_machines().objects([module(i) for i in range(4)])
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with config.override(num_threads=3):
        assert host_machines().objects([module(i) for i in range(4)]) == alone


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_right_after_the_first_call_and_an_early_end_are_safe(tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    environment = os.environ | {"TRACEJIT_CACHE_DIR": str(tmp_path), "TRACEJIT_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, str(file)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == ["0", "3.0", "3.0", "refused"]
    environment["TRACEJIT_CACHE_DIR"] = str(tmp_path / "other")
    done = subprocess.run([sys.executable, str(file), "early"], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "refused\n", "")


PROGRAM = """
import os, sys
import numpy as np
import tracejit as tj

def refused(x):
    return x.there_is_no_such_method()

def f(x):
    return x * 2 + 1

try:
    tj.script(refused)(np.ones(3))
except AttributeError:
    print("refused", flush=True)
if sys.argv[1:] == []:
    child = os.fork()
    found = tj.script(f)(np.ones(2))[1]
    os.write(1, f"{found}\\n".encode())  # at once: two processes write
    if child:
        print(os.waitpid(child, 0)[1])
"""
