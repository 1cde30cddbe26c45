"""`python -m tests.programs.fuzz --count N --seed S`: random programs until N are done; failures are shrunk and kept.

Each program runs in a process of its own, so that a crash is a failure like any other. A failure becomes a file in
`tests/programs/regressions`, which `test_regressions.py` replays.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.programs.differential import judge
from tests.programs.generate import Program, generate
from tests.programs.shrink import shrink
from tracejit import config

REGRESSIONS = Path(__file__).parent / "regressions"
SECONDS = 60  #: more than any program needs


def failure_of(source: str, seed: int, gradient: bool, folder: Path) -> str | None:
    """The key of what fails in a program, judged in a process of its own; None where nothing does."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        signal.alarm(SECONDS)
        failure = judge(source, seed, gradient, folder)
        os.write(writer, b"" if failure is None else failure.key.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        key = pipe.read().decode()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return f"died of {signal.Signals(-status).name}" if status < 0 else key or None


def fuzz(seeds: range, folder: Path, keep: Path, per_bug: int = 1) -> Counter[str]:
    """Judge the programs of the seeds; counts by kind of failure. The first of a kind is shrunk and put into `keep`."""
    found: Counter[str] = Counter()
    for seed in seeds:
        program = generate(seed, 1 + seed % 2)
        key = failure_of(program.source, seed, program.gradient, folder)
        if key is None:
            continue
        found[key] += 1
        print(f"seed {seed}: {key}", flush=True)
        if found[key] <= per_bug:
            path = write_regression(program, key, folder, keep)
            print(path.read_text(), flush=True)
    return found


def write_regression(program: Program, key: str, folder: Path, keep: Path) -> Path:
    """Shrink a failing program into a file."""
    small = shrink(program.source, lambda s: failure_of(s, program.seed, program.gradient, folder) == key)
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
    parser.add_argument("--keep", type=Path, default=REGRESSIONS, help="where shrunk failures are written")
    options = parser.parse_args()
    started = time.perf_counter()
    judge("def program(a, b, m, q, x, y, k):\n    return x\n", 0, False, Path(tempfile.gettempdir()))  # compiler warm
    with tempfile.TemporaryDirectory() as folder, config.override(verify=True):
        found = fuzz(range(options.seed, options.seed + options.count), Path(folder), options.keep)
    print(f"{options.count} programs in {time.perf_counter() - started:.0f} s")
    for key, count in found.most_common():
        print(f"{count:5d}  {key}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
