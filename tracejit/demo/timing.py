"""Comparing the speed of functions on a machine that does other things too."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any


def interleaved(functions: Mapping[str, Callable[[], Any]], seconds: float = 0.4, rounds: int = 15) -> dict[str, float]:
    """Median seconds per call of each function; every round measures all of them, so that load hits all alike."""
    repeats = {name: _repeats(fn, seconds / rounds / len(functions)) for name, fn in functions.items()}
    samples: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, fn in functions.items():
            samples[name].append(_once(fn, repeats[name]))
    return {name: median(times) for name, times in samples.items()}


def _repeats(fn: Callable[[], Any], seconds: float) -> int:
    """How many calls take about so long (the first call, which may compile, is not counted)."""
    fn()
    return max(1, min(int(seconds / max(_once(fn, 1), 1e-9)), 1_000_000))


def _once(fn: Callable[[], Any], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        fn()
    return (time.perf_counter() - start) / repeats


def pretty(seconds: float) -> str:
    """A time with three digits and its unit."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
