"""`python -m benchmarks.run`: measure, print tables, write JSON and a plot.

Everything runs with one thread unless `--threads` says otherwise, in this process and in the peers'.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

FAMILIES = (
    *("calls", "pointwise", "reductions", "products", "network"),
    *("loops", "scalar_loops", "columns", "recurrent", "models"),
)
_THREAD_VARIABLES = ("TRACEJIT_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def main() -> int:
    options = _options()
    for variable in _THREAD_VARIABLES:  # before NumPy is imported
        os.environ[variable] = str(options.threads)
    from rich.console import Console

    from benchmarks import machine, report, startup
    from benchmarks.measure import Result, measure

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    description = machine.description() | {"threads": options.threads} | machine.limits(options.seconds)
    console.print(", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in description.items()))
    results: list[Result] = []
    for case in _cases(options):
        with console.status(f"{case.family}: {case.name}"):
            results.append(measure(case, options.seconds))
    report.print_results(console, results)
    processes = None
    if not options.quick:
        with console.status("processes"):
            processes = startup.measure_startup()
        report.print_startup(console, processes)
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(report.as_json(description, results, processes))
    drawn = report.plot(results, folder / "results.png")
    console.print(
        f"written: {folder / 'results.json'}{' and results.png' if drawn else ' (no plot without matplotlib)'}"
    )
    return 0


def _cases(options: argparse.Namespace) -> Iterator["Case"]:  # noqa: F821, UP037  (imported after the environment is set)
    from benchmarks.peer.client import Peers

    peers = None if options.peers is None else Peers(options.peers, options.threads)
    for family in options.families.split(","):
        for case in importlib.import_module(f"benchmarks.{family}").cases():
            if options.only in case.name:
                yield case if peers is None else peers.extend(case)
    if peers is not None:
        peers.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description="Measure and compare.")
    parser.add_argument("--families", default=",".join(FAMILIES), help="comma-separated (default: %(default)s)")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--seconds", type=float, default=1.5, help="time for each case (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="threads of every library (default: %(default)s)")
    parser.add_argument("--peers", metavar="PYTHON", help="an interpreter with torch, jax or numba")
    parser.add_argument("--quick", action="store_true", help="leave out what needs new processes")
    parser.add_argument(
        "--out", default="benchmarks/results/local", help="folder of JSON and plot (default: %(default)s)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
