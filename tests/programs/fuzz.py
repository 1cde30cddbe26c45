"""`python -m tests.programs.fuzz --count N --seed S`: random programs until N are done; failures are shrunk and kept.

One in `NATIVE_EVERY` becomes machine code, one in `FINAL_EVERY` goes through all transforms, the others stop at the
graphs of the front end and of differentiation; `--depth` takes one of these for all. A failure becomes a file in
`tests/programs/regressions`, which `test_regressions.py` replays. With `--device cuda` all of them run on arrays of a
GPU and are compared with NumPy; failures are then kept elsewhere, whole with `--whole`, since every try takes long.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.programs.differential import Depth, judge
from tests.programs.generate import Program, generate
from tests.programs.shrink import shrink
from tracejit import config

REGRESSIONS = Path(__file__).parent / "regressions"
SECONDS = 60  #: more than any program needs
BATCH = 100  #: how many programs share a process
NATIVE_EVERY, FINAL_EVERY = 16, 4

Task = tuple[int, str, bool, Depth]  #: seed, source, whether it is differentiated, and how far it is compiled


@dataclass(frozen=True)
class Way:
    """How programs are judged: how far they are compiled (None: by seed), where they run, whether failures are
    shrunk."""

    depth: Depth | None = None
    device: str = "cpu"
    whole: bool = False


ORDINARY = Way()


def depth_of(seed: int) -> Depth:
    """How far the program of a seed is compiled."""
    if seed % NATIVE_EVERY == 0:
        return Depth.NATIVE
    return Depth.FINAL if seed % FINAL_EVERY == 0 else Depth.GRAPH


def failures(tasks: Sequence[Task], folder: Path, device: str = "cpu") -> Iterator[str | None]:
    """The key of what fails in each program, or None. They are judged in a process of their own, so that a crash is a
    failure like any other; those behind it get another process."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        with os.fdopen(writer, "w", buffering=1) as pipe:
            for seed, source, gradient, depth in tasks:
                signal.alarm(SECONDS)
                with config.override(verify=depth == Depth.NATIVE):
                    failure = judge(source, seed, gradient, folder, depth, device)
                print("" if failure is None else failure.key, file=pipe)
        os._exit(0)
    os.close(writer)
    done = 0
    with os.fdopen(reader) as pipe:
        for line in pipe:
            done += 1
            yield line.strip() or None
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if done < len(tasks):
        yield f"died of {signal.Signals(-status).name}" if status < 0 else f"left with status {status}"
        yield from failures(tasks[done + 1 :], folder, device)


def failure_of(source: str, seed: int, gradient: bool, folder: Path, depth: Depth, device: str = "cpu") -> str | None:
    """The key of what fails in one program; None where nothing does."""
    return next(failures([(seed, source, gradient, depth)], folder, device))


def fuzz(seeds: range, folder: Path, keep: Path, way: Way = ORDINARY, per_bug: int = 1) -> Counter[str]:
    """Judge the programs of the seeds; counts by kind of failure. The first of a kind is shrunk and put into `keep`."""
    found: Counter[str] = Counter()
    started = time.perf_counter()
    for first in range(0, len(seeds), BATCH):
        programs = [generate(seed, 1 + seed % 2) for seed in seeds[first : first + BATCH]]
        depths = [depth_of(p.seed) if way.depth is None else way.depth for p in programs]
        tasks = [(p.seed, p.source, p.gradient, d) for p, d in zip(programs, depths, strict=True)]
        for program, how, key in zip(programs, depths, failures(tasks, folder, way.device), strict=True):
            if key is None:
                continue
            found[key] += 1
            print(f"seed {program.seed}: {key}", flush=True)
            if found[key] <= per_bug:
                path = write_regression(program, key, folder, keep, replace(way, depth=how))
                print(path.read_text(), flush=True)
        for path in folder.glob("program_*.py"):
            path.unlink()
        if (first + BATCH) % 5000 == 0:
            print(f"{first + BATCH} programs in {time.perf_counter() - started:.0f} s", flush=True)
    return found


def write_regression(program: Program, key: str, folder: Path, keep: Path, way: Way) -> Path:
    """Shrink a failing program into a file."""
    small, depth = program.source, way.depth or Depth.NATIVE
    if not way.whole:
        small = shrink(small, lambda s: failure_of(s, program.seed, program.gradient, folder, depth, way.device) == key)
    keep.mkdir(exist_ok=True)
    path = keep / f"seed_{program.seed}.py"
    path.write_text(
        f'"""Found by fuzzing: {key}."""\n\n{small}\n\nSEED = {program.seed}\nGRADIENT = {program.gradient}\n'
    )
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="how many programs")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--depth", choices=[d.name.lower() for d in Depth], help="how far all of them are compiled")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="where they run")
    parser.add_argument("--whole", action="store_true", help="do not shrink failures")
    parser.add_argument("--keep", type=Path, help="where shrunk failures are written")
    options = parser.parse_args()
    on_gpu = options.device == "cuda"
    depth = Depth.NATIVE if on_gpu else None if options.depth is None else Depth[options.depth.upper()]
    way = Way(depth, options.device, options.whole)
    keep = options.keep or (Path(tempfile.gettempdir()) / "gpu_failures" if on_gpu else REGRESSIONS)
    started = time.perf_counter()
    judge("def program(a, b, m, q, x, y, k):\n    return x\n", 0, False, Path(tempfile.gettempdir()))  # compiler warm
    gc.freeze()  # what is there already is not copied into every process
    with tempfile.TemporaryDirectory() as folder:
        found = fuzz(range(options.seed, options.seed + options.count), Path(folder), keep, way)
    print(f"{options.count} programs in {time.perf_counter() - started:.0f} s")
    for key, count in found.most_common():
        print(f"{count:5d}  {key}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
