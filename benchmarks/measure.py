"""Interleaved medians on a machine that does other things too.

A round measures every variant of a case once, so that load and clock changes hit all of them alike; the figure of
a variant is the median of its rounds. Variants may live in another interpreter (`peers.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Protocol


class Variant(Protocol):
    """Something that can be timed."""

    def sample(self, repeats: int) -> float:
        """Mean seconds per call over so many calls."""
        ...


class Local:
    """A function of this process."""

    def __init__(self, fn: Callable[[], Any]) -> None:
        self.fn = fn

    def sample(self, repeats: int) -> float:
        fn = self.fn
        start = time.perf_counter()
        for _ in range(repeats):
            fn()
        return (time.perf_counter() - start) / repeats


@dataclass(frozen=True)
class Case:
    """Ways of computing one thing. `work` counts floating-point operations, `traffic` bytes, for rates."""

    family: str
    name: str
    variants: Mapping[str, Variant]
    work: float = 0.0
    traffic: float = 0.0
    note: str = ""


@dataclass
class Result:
    """The medians of a case in seconds, with the least and the greatest sample."""

    case: Case
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    spread: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])

    def ratio(self, slow: str, fast: str) -> float | None:
        """How many times as fast `fast` is."""
        if slow not in self.seconds or fast not in self.seconds:
            return None
        return self.seconds[slow] / self.seconds[fast]


def measure(case: Case, seconds: float, rounds: int = 15) -> Result:
    """Measure a case for about so long. The first call of each variant (which may compile) is not counted."""
    share = seconds / rounds / max(len(case.variants), 1)
    repeats = {name: _repeats(variant, share) for name, variant in case.variants.items()}
    samples: dict[str, list[float]] = {name: [] for name in case.variants}
    for _ in range(rounds):
        for name, variant in case.variants.items():
            samples[name].append(variant.sample(repeats[name]))
    result = Result(case)
    for name, times in samples.items():
        result.seconds[name] = median(times)
        result.spread[name] = min(times), max(times)
    return result


def _repeats(variant: Variant, share: float) -> int:
    variant.sample(1)
    once = max(min(variant.sample(1) for _ in range(3)), 1e-9)
    return max(1, min(int(share / once), 2_000_000))


def local_case(family: str, name: str, variants: Mapping[str, Callable[[], Any]], **facts: Any) -> Case:
    """A case of functions of this process."""
    return Case(family, name, {key: Local(fn) for key, fn in variants.items()}, **facts)
