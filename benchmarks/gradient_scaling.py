"""`python -m benchmarks.gradient_scaling`: time and memory of gradients over the number of trips T.

Each point runs in a process of its own, whose peak memory is what the gradient added. Writes JSON and a plot.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import tracejit as tj

GRID, ROW = 256, 64


def recurrence(p: Any, w: Any) -> Any:
    """One element written in place per trip."""
    for i in range(1, p.shape[0]):
        p[i] = np.tanh(p[i - 1] * w)
    return p.sum()


def rows(x: Any, w: Any, trips: int) -> Any:
    """One row written in place per trip."""
    h = np.zeros((trips + 1, x.shape[0]))
    h[0] = x
    for t in range(trips):
        h[t + 1] = np.tanh(h[t] * w)
    return (h * h).sum()


def linear_sweeps(u: Any, trips: int) -> Any:
    """A linear stencil: its derivative needs no value."""
    for _ in range(trips):
        u[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
    return (u * u).sum()


def nonlinear_sweeps(u: Any, trips: int) -> Any:
    """A stencil whose derivative needs the result of each sweep."""
    for _ in range(trips):
        u[1:-1, 1:-1] = np.tanh(u[:-2, 1:-1] + u[2:, 1:-1] - u[1:-1, :-2] - u[1:-1, 2:])
    return (u * u).sum()


def scalar_loop(x: Any, trips: int) -> Any:
    """Two carried numbers."""
    a, b = x, 0.1
    for _ in range(trips):
        a, b = math.sin(a * 1.1) + b * 0.1, math.tanh(b + a * x)
    return a * b + a


def grid() -> Any:
    return np.random.default_rng(0).standard_normal((GRID, GRID))


def _elements(n: int) -> tuple[Any, ...]:
    return np.linspace(0.1, 1.0, n), 1.5  # values do not die down to subnormal numbers, which are slow


#: Name -> function, options of `script`, arguments for T trips, the values of T, elements written per trip.
Program = tuple[Callable[..., Any], dict[str, Any], Callable[[int], tuple[Any, ...]], tuple[int, ...], int]
PROGRAMS: dict[str, Program] = {
    "recurrence in place": (recurrence, {}, _elements, (10_000, 20_000, 100_000, 200_000, 1_000_000, 2_000_000), 1),
    "recurrence of rows of 64": (
        *(rows, {}, lambda n: (np.linspace(0.1, 1.0, ROW), 1.5, n)),
        *((1_000, 2_000, 10_000, 20_000, 100_000), ROW),
    ),
    "linear stencil 256 x 256": (linear_sweeps, {}, lambda n: (grid(), n), (10, 20, 40, 80, 160), GRID * GRID),
    "nonlinear stencil 256 x 256": (nonlinear_sweeps, {}, lambda n: (grid(), n), (10, 20, 40, 80, 160), GRID * GRID),
    "nonlinear stencil, memory=16MB": (
        *(nonlinear_sweeps, {"memory": "16MB"}, lambda n: (grid(), n)),
        *((10, 20, 40, 80, 160), GRID * GRID),
    ),
    "scalar loop": (scalar_loop, {}, lambda n: (0.3, n), (100_000, 200_000, 1_000_000, 2_000_000), 2),
    "scalar loop, memory=1MB": (
        *(scalar_loop, {"memory": "1MB"}, lambda n: (0.3, n)),
        *((100_000, 200_000, 1_000_000, 2_000_000), 2),
    ),
}


def peak() -> int:
    """The process's largest memory so far, in bytes (Linux; 0 elsewhere)."""
    status = Path("/proc/self/status")
    return int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024 if status.exists() else 0


def point(name: str, trips: int, repeats: int = 5) -> dict[str, float]:
    """Seconds of forward and gradient, and bytes that the first long gradient added."""
    fn, options, arguments, _, _ = PROGRAMS[name]
    forward = tj.script(**options)(fn)
    gradient = tj.grad(forward)
    for run in (forward, gradient):
        run(*arguments(3))
    given = arguments(trips)
    forward(*given)
    before = peak()
    gradient(*given)
    added = peak() - before

    def best(run: Callable[..., Any]) -> float:
        times: list[float] = []
        for _ in range(repeats):
            own = arguments(trips)
            start = time.perf_counter()
            run(*own)
            times.append(time.perf_counter() - start)
        return min(times)

    return {"trips": trips, "forward": best(forward), "gradient": best(gradient), "bytes": added}


def measured(name: str, trips: int) -> dict[str, float]:
    """One point, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.gradient_scaling", "--point", name, str(trips)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def plot(results: dict[str, list[dict[str, float]]], path: Path) -> bool:
    """Time and memory over T; False where matplotlib is missing."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (times, memory) = pyplot.subplots(1, 2, figsize=(12, 5))
    for name, points in results.items():
        trips = [p["trips"] for p in points]
        (line,) = times.loglog(trips, [p["gradient"] for p in points], marker="o", label=name)
        times.loglog(trips, [p["forward"] for p in points], linestyle=":", color=line.get_color())
        memory.loglog(trips, [max(p["bytes"], 1e4) for p in points], marker="o", color=line.get_color())
    times.set(xlabel="trips", ylabel="seconds (dotted: forward)")
    memory.set(xlabel="trips", ylabel="bytes added by the gradient")
    times.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path)
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="benchmarks/results/local", help="folder for JSON and plot")
    parser.add_argument("--point", nargs=2, metavar=("NAME", "TRIPS"), help="measure one point and print it as JSON")
    options = parser.parse_args()
    if options.point:
        print(json.dumps(point(options.point[0], int(options.point[1]))))
        return 0
    results: dict[str, list[dict[str, float]]] = {}
    for name, (_, _, _, counts, written) in PROGRAMS.items():
        print(
            f"{name}\n{'trips':>10} {'forward ms':>11} {'gradient ms':>12} {'ratio':>6} {'MB':>8} {'bytes/element':>14}"
        )
        results[name] = []
        for trips in counts:
            p = measured(name, trips)
            results[name].append(p)
            print(
                f"{trips:10} {p['forward'] * 1e3:11.3f} {p['gradient'] * 1e3:12.3f} {p['gradient'] / p['forward']:6.2f}"
                f" {p['bytes'] / 1e6:8.1f} {p['bytes'] / (trips * written):14.2f}",
                flush=True,
            )
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gradient_scaling.json").write_text(json.dumps(results, indent=1))
    plot(results, folder / "gradient_scaling.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
