"""`python -m benchmarks.size_scaling`: time per element over the number of elements, with one thread and with two.

Each number of threads runs in a process of its own. Writes JSON and a plot.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import tracejit as tj
from benchmarks import inputs
from benchmarks.loop_programs import recurrence
from benchmarks.measure import local_case, measure
from benchmarks.pointwise import heavy, heavy_sum, light

THREADS = (1, 2)


def squares(a: Any, b: Any) -> Any:
    """The sum of squares of a recurrence."""
    h = recurrence(a, b)
    return (h * h).sum()


def _recurrence(n: int) -> tuple[Any, ...]:
    return inputs.normal(n, scale=0.5), inputs.normal(n, seed=1)


#: Name -> what makes the call, what makes its arguments for n elements, the greatest n.
PROGRAMS: dict[str, tuple[Callable[[], Callable[..., Any]], Callable[[int], tuple[Any, ...]], int]] = {
    "x*w+b": (lambda: tj.script(light), inputs.pointwise, 10**8),
    "chain": (lambda: tj.script(heavy), inputs.pointwise, 10**8),
    "chain, with gradient": (lambda: tj.value_and_grad(heavy_sum, argnums=(0, 1, 2)), inputs.pointwise, 10**8),
    "recurrence": (lambda: tj.script(recurrence), _recurrence, 10**8),
    "recurrence, with gradient": (lambda: tj.value_and_grad(squares, argnums=(0, 1)), _recurrence, 10**7),
}


def points(most: int, seconds: float) -> Iterator[tuple[str, int, float]]:
    """(program, elements, seconds per call) for powers of ten from 1,000 on, in this process."""
    for name, (make, arguments, greatest) in PROGRAMS.items():
        fn = make()
        n = 1_000
        while n <= min(greatest, most):
            args = arguments(n)
            case = local_case("scaling", name, {"compiled": lambda: fn(*args)})  # noqa: B023
            yield name, n, measure(case, seconds, rounds=5).seconds["compiled"]
            n *= 10


def measured(threads: int, most: int, seconds: float) -> list[tuple[str, int, float]]:
    """All points with so many threads, in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.size_scaling",
        "--here",
        "--most",
        str(most),
        "--seconds",
        str(seconds),
    ]
    environment = os.environ | {"TRACEJIT_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return [tuple(row) for row in json.loads(done.stdout)]


def plot(results: dict[int, list[tuple[str, int, float]]], path: Path) -> bool:
    """Nanoseconds per element; False where matplotlib is missing."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5))
    for k, name in enumerate(PROGRAMS):
        for threads, rows in results.items():
            mine = [(n, s / n * 1e9) for program, n, s in rows if program == name]
            style = "-" if threads == THREADS[-1] else ":"
            axes.loglog(*np.transpose(mine), style, marker="o", color=f"C{k}", label=f"{name}, {threads} threads")
    axes.set(xlabel="elements", ylabel="ns per element")
    axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path)
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="benchmarks/results/local", help="folder for JSON and plot")
    parser.add_argument("--most", type=int, default=10**8, help="the greatest number of elements")
    parser.add_argument("--seconds", type=float, default=0.5, help="time for each point")
    parser.add_argument("--here", action="store_true", help="measure in this process and print JSON")
    options = parser.parse_args()
    if options.here:
        print(json.dumps(list(points(options.most, options.seconds))))
        return 0
    results = {threads: measured(threads, options.most, options.seconds) for threads in THREADS}
    print(f"{'program':28} {'elements':>11} {'ns, 1 thread':>13} {'2 threads':>10} {'ratio':>6}")
    for (name, n, serial), (_, _, parallel) in zip(*results.values(), strict=True):
        print(f"{name:28} {n:11,} {serial / n * 1e9:13.3f} {parallel / n * 1e9:10.3f} {serial / parallel:6.2f}")
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "size_scaling.json").write_text(json.dumps(results, indent=1))
    plot(results, folder / "size_scaling.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
