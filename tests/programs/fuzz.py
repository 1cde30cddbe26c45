"""`python -m tests.programs.fuzz --count N --seed S`: random programs until N are done; failures are shrunk and kept.

A failure becomes a file in `tests/programs/regressions`, which `test_regressions.py` replays.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.programs.differential import Failure, judge
from tests.programs.generate import Program, generate
from tests.programs.shrink import shrink
from tracejit import config

REGRESSIONS = Path(__file__).parent / "regressions"


def fuzz(seeds: range, folder: Path, keep: Path | None, per_bug: int = 1) -> Counter[str]:
    """Judge the programs of the seeds; counts by kind of failure. The first of a kind is shrunk and written to `keep`."""
    found: Counter[str] = Counter()
    for seed in seeds:
        program = generate(seed)
        failure = judge(program.source, seed, program.gradient, folder)
        if failure is None:
            continue
        found[failure.key] += 1
        print(f"\nseed {seed}: {failure.key}", flush=True)
        if keep is not None and found[failure.key] <= per_bug:
            path = write_regression(program, failure, folder, keep)
            print(path.read_text(), flush=True)
    return found


def write_regression(program: Program, failure: Failure, folder: Path, keep: Path) -> Path:
    """Shrink a failing program into a file."""

    def fails(source: str) -> bool:
        again = judge(source, program.seed, program.gradient, folder)
        return again is not None and again.key == failure.key

    small = shrink(program.source, fails)
    keep.mkdir(exist_ok=True)
    path = keep / f"seed_{program.seed}.py"
    head = f'"""Found by fuzzing: {failure.key}."""\n\n'
    path.write_text(f"{head}{small}\n\nSEED = {program.seed}\nGRADIENT = {program.gradient}\n")
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="how many programs")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--keep", type=Path, default=REGRESSIONS, help="where shrunk failures are written")
    options = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, config.override(verify=True):
        found = fuzz(range(options.seed, options.seed + options.count), Path(folder), options.keep)
    print(f"{options.count} programs in {time.perf_counter() - started:.0f} s")
    for key, count in found.most_common():
        print(f"{count:5d}  {key}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
