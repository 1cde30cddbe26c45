"""Tables, JSON and a plot of what was measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Result
from tracejit.demo.timing import pretty

#: What a compiled variant is compared with, in this order.
BASES = ("numpy", "python", "eager")


def print_results(console: Console, results: Sequence[Result]) -> None:
    """One table per family: a row per case, a column per variant, then the ratio to the first base."""
    for family in dict.fromkeys(r.case.family for r in results):
        rows = [r for r in results if r.case.family == family]
        names = list(dict.fromkeys(n for r in rows for n in r.seconds))
        table = Table(family)
        for column in (*names, "ratio", "to the best peer", "rate"):
            table.add_column(column, justify="right", no_wrap=True)
        for r in rows:
            cells = [pretty(r.seconds[n]) if n in r.seconds else "" for n in names]
            table.add_row(r.case.name, *cells, _ratio(r), _to_the_best(r), _rate(r))
        console.print(table)
        for r in rows:
            for name, off in r.wrong.items():
                console.print(f"not timed: {r.case.name} by {name} differs from the reference by {off:.1e}")


def _ratio(result: Result) -> str:
    for base in BASES:
        ratio = result.ratio(base, "compiled")
        if ratio is not None:
            return f"{ratio:.2f} x {base}"
    return ""


def _to_the_best(result: Result) -> str:
    """Times as fast as the fastest of everything that is not ours."""
    peers = [name for name in result.seconds if name not in ("compiled", "eager", "bare builtin")]
    if "compiled" not in result.seconds or not peers:
        return ""
    best = min(peers, key=result.seconds.__getitem__)
    return f"{result.seconds[best] / result.seconds['compiled']:.2f} x {best}"


def _rate(result: Result) -> str:
    seconds = result.seconds.get("compiled")
    if seconds is None:
        return ""
    if result.case.work:
        return f"{result.case.work / seconds / 1e9:.1f} GFLOP/s"
    if result.case.traffic:
        return f"{result.case.traffic / seconds / 1e9:.1f} GB/s"
    return ""


def print_startup(console: Console, startup: dict[str, Any]) -> None:
    """Import, first results, memory."""
    table = Table("process")
    for column in ("cold", "second program", "warm"):
        table.add_column(column, justify="right")
    for module, seconds in startup["import"].items():
        table.add_row(f"import {module}", "", "", pretty(seconds))
    for name, times in startup["first result"].items():
        shown = (pretty(times[kind]) for kind in ("cold", "second", "warm"))
        table.add_row(f"decorator to first result: {name}", *shown)
    for name, size in startup["peak memory MiB"].items():
        table.add_row(f"memory of the pointwise chain, 10,000,000: {name}", "", "", f"{size:.0f} MiB")
    console.print(table)


def as_json(machine: dict[str, Any], results: Sequence[Result], startup: dict[str, Any] | None) -> str:
    """Everything measured."""
    rows = [
        {
            "family": r.case.family,
            "name": r.case.name,
            "seconds": r.seconds,
            "spread": r.spread,
            "work": r.case.work,
            "traffic": r.case.traffic,
            "wrong": r.wrong,
        }
        for r in results
    ]
    return json.dumps({"machine": machine, "cases": rows, "startup": startup}, indent=1) + "\n"


def plot(results: Sequence[Result], path: Path) -> bool:
    """Bars of how many times as fast as the base each variant is; False where matplotlib is missing."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = [(r, base) for r in results if (base := next((b for b in BASES if b in r.seconds), None)) is not None]
    names = [n for n in dict.fromkeys(n for r, _ in shown for n in r.seconds) if n not in ("bare builtin",)]
    figure, axes = pyplot.subplots(figsize=(10, 0.16 * len(shown) * (len(names) + 1) + 1.5))
    height = 0.8 / max(len(names), 1)
    for k, name in enumerate(names):
        places = [i + k * height for i, (r, _) in enumerate(shown) if name in r.seconds]
        ratios = [r.seconds[base] / r.seconds[name] for r, base in shown if name in r.seconds]
        axes.barh(places, ratios, height, label=name)
    axes.set_yticks(
        [i + 0.4 for i in range(len(shown))], [f"{r.case.name} ({r.case.family})" for r, _ in shown], fontsize=7
    )
    axes.set_xscale("log")
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.invert_yaxis()
    axes.set_xlabel("times as fast as NumPy (or plain Python, or eager)")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    return True
