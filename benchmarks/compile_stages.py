"""`python -m benchmarks.compile_stages`: where the time to a first result goes, stage by stage, in new processes.

Times are of the processor, in milliseconds, the least of several processes; imports are excluded. `--cached` gives the
second process instead, which finds object code on the disk; `--profile NAME` runs one program under cProfile.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import process_time
from typing import Any


class Stages:
    """Time of each stage without the stages it runs itself."""

    def __init__(self) -> None:
        self.times: dict[str, float] = {}
        self.names: list[str] = []  #: of the stages that run now
        self._open: list[float] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what is done inside."""
        self._open.append(0.0)
        self.names.append(name)
        start = process_time()
        try:
            yield
        finally:
            whole = process_time() - start
            self.names.pop()
            self.times[name] = self.times.get(name, 0.0) + whole - self._open.pop()
            if self._open:
                self._open[-1] += whole

    def timed(self, inner: Callable[..., Any], name: str | Callable[..., str]) -> Callable[..., Any]:
        """The function, its calls timed."""

        def call(*args: Any, **kwargs: Any) -> Any:
            with self.stage(name if isinstance(name, str) else name(*args)):
                return inner(*args, **kwargs)

        return call

    def watch(self, owner: Any, attribute: str, name: str | Callable[..., str]) -> None:
        """Time every call of what `owner` has by that name."""
        setattr(owner, attribute, self.timed(getattr(owner, attribute), name))


def watched() -> Stages:
    """Timers on all stages of this process."""
    from tracejit.codegen.llvm import printer
    from tracejit.runtime import cache as disk
    from tracejit.runtime import cpu, emission, engine, stock
    from tracejit.scripted import compiler, function
    from tracejit.transforms import pipeline

    calls = {
        "LLVMPY_ParseAssembly": "LLVM parse",
        "LLVMPY_RunNewModulePassManager": "LLVM passes",
        "LLVMPY_TargetMachineEmitToMemory": "LLVM code",
    }
    stages = Stages()
    unlocked = emission._unlocked
    shared = "shared code"  # its passes and code are no program's
    emission._unlocked = lambda name: stages.timed(
        unlocked(name), lambda *_: shared if shared in stages.names else calls[name]
    )
    stages.watch(function, "lower_function", "front end")
    stages.watch(pipeline, "_step", lambda graph, name, graphs: name)
    stages.watch(compiler, "lower", "loop program")
    stages.watch(printer, "print_kernel", "LLVM text")
    stages.watch(printer.EntryPrinter, "print_entry", "LLVM text")
    stages.watch(cpu, "compile_program", "native: rest")
    stages.watch(stock.Stock, "_emitted", shared)
    stages.watch(engine.Engine, "link", "link")
    stages.watch(engine.Engine, "__init__", "engine")
    stages.watch(cpu.loop_text, "print_program", "loop text")
    stages.watch(disk, "load", "disk")
    stages.watch(disk, "store", "disk")
    stages.watch(function, "fast_specialisation", "call path")
    return stages


def child(name: str, profile: str) -> None:
    """Run one program once and print its stages."""
    for module in ("llvmlite.binding", "tracejit.scripted"):  # imports are not counted
        importlib.import_module(module)
    from benchmarks.compile_programs import PROGRAMS

    prepared = PROGRAMS[name]()
    if profile:
        import cProfile
        import pstats

        profiler = cProfile.Profile(process_time)
        profiler.runcall(prepared)
        pstats.Stats(profiler).sort_stats(profile).print_stats(60)
        return
    stages = watched()
    with stages.stage("rest"):
        prepared()
    print(json.dumps(stages.times))


def main() -> None:
    from benchmarks.compile_programs import PROGRAMS

    parser = argparse.ArgumentParser()
    parser.add_argument("programs", nargs="*", default=[])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cached", action="store_true")
    parser.add_argument("--profile", default="")
    parser.add_argument("--child", action="store_true")
    options = parser.parse_args()
    if options.child or options.profile:
        child(options.programs[0], options.profile)
        return
    for name in PROGRAMS:
        if options.programs and not any(p in name for p in options.programs):
            continue
        best: dict[str, float] = {}
        folder = tempfile.mkdtemp(prefix="tracejit-bench-")
        for i in range(options.rounds + options.cached):
            if not options.cached:
                folder = tempfile.mkdtemp(prefix="tracejit-bench-")
            found = _run(name, folder)
            if options.cached and i == 0:
                continue
            if not best or sum(found.values()) < sum(best.values()):
                best = found
        rows = sorted(best.items(), key=lambda row: -row[1])
        print(
            f"{name:24s} {sum(best.values()) * 1e3:7.1f}  "
            + "  ".join(f"{n} {t * 1e3:.1f}" for n, t in rows if t > 2e-4),
            flush=True,
        )


def _run(name: str, folder: str) -> dict[str, float]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {
        "TRACEJIT_CACHE_DIR": folder,
        "TRACEJIT_NUM_THREADS": "1",  # stages of several threads cannot be told apart
    }
    command = [sys.executable, "-m", "benchmarks.compile_stages", "--child", name]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
