"""Interleaved medians on a machine that does other things too.

A round measures every variant of a case once, so that load and clock changes hit all of them alike; the figure of
a variant is the median of its rounds. Calls that are not counted come before each sample: threads of the variant
before may still wait busily, and the caches hold its data.

Variants may live in another interpreter (`peer`). What a variant computes is compared with the case's reference before
anything is timed; one that differs is shown as wrong and not timed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Protocol

from benchmarks.fingerprint import distance, fingerprint

#: Seconds for which threads disturb others behind the last call of a variant: OpenBLAS's, which NumPy calls, wait
#: busily for 0.11; PyTorch's for some 0.01, and our pool leaves small work alone for a while after it lost a core to
#: them. Others do not.
LINGERING = {"numpy": 0.15, "eager": 0.15, "python": 0.15, "torch": 0.1, "torch.compile": 0.1}
LINGERING |= {"torch LSTM": 0.1, "torchscript": 0.1}


class Variant(Protocol):
    """Something that can be timed."""

    def sample(self, repeats: int) -> float:
        """Mean seconds per call over so many calls."""
        ...

    def fingerprint(self) -> list[float]:
        """What a call computes (`fingerprint.py`)."""
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

    def fingerprint(self) -> list[float]:
        return fingerprint(self.fn())


@dataclass(frozen=True)
class Case:
    """Ways of computing one thing. `work` counts floating-point operations, `traffic` bytes, for rates.

    `reference` computes the same in float64, where a call does not change what the next one computes; a variant is
    right within `tolerance` of it, relative to the mean size of each result.
    """

    family: str
    name: str
    variants: Mapping[str, Variant]
    work: float = 0.0
    traffic: float = 0.0
    reference: Callable[[], Any] | None = None
    tolerance: float = 1e-3


@dataclass
class Result:
    """The medians of a case in seconds, with the least and the greatest sample; who was wrong, and how much."""

    case: Case
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    spread: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    wrong: dict[str, float] = field(default_factory=dict[str, float])

    def ratio(self, slow: str, fast: str) -> float | None:
        """How many times as fast `fast` is."""
        if slow not in self.seconds or fast not in self.seconds:
            return None
        return self.seconds[slow] / self.seconds[fast]


def measure(case: Case, seconds: float, rounds: int = 15) -> Result:
    """Measure a case for about so long. The first call of each variant (which may compile) is not counted."""
    result = Result(case, wrong=wrong(case))
    timed = {name: variant for name, variant in case.variants.items() if name not in result.wrong}
    share = seconds / rounds / max(len(timed), 1)
    lingering = {name: 0.0 if _is_serial() else LINGERING.get(name, 0.0) for name in timed}
    before = max(lingering.values(), default=0.0)
    once: dict[str, float] = {}
    for name, variant in timed.items():
        _settle(variant, before)
        once[name] = _once(variant)
        before = lingering[name]
    samples: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(rounds):
        for name, variant in timed.items():
            _settle(variant, before)
            samples[name].append(variant.sample(_repeats(once[name], share)))
            before = lingering[name]
    for name, times in samples.items():
        result.seconds[name] = median(times)
        result.spread[name] = min(times), max(times)
    return result


def _is_serial() -> bool:
    """Whether `run` gave every library one thread."""
    return os.environ.get("OMP_NUM_THREADS") == "1"


def _settle(variant: Variant, seconds: float) -> None:
    """Call once, and again until so long has passed: how long a call takes is not known while others are busy."""
    end = time.perf_counter() + seconds
    variant.sample(1)
    while time.perf_counter() < end:
        variant.sample(1)


def wrong(case: Case) -> dict[str, float]:
    """The variants that are further from the reference than the case allows, and how far."""
    if case.reference is None:
        return {}
    expected = fingerprint(case.reference())
    found = {name: distance(variant.fingerprint(), expected) for name, variant in case.variants.items()}
    return {name: off for name, off in found.items() if off > case.tolerance}


def _once(variant: Variant) -> float:
    """About how long a call takes, in seconds."""
    variant.sample(1)
    return max(min(variant.sample(1) for _ in range(3)), 1e-9)


def _repeats(once: float, seconds: float) -> int:
    """How many calls of so long take about so many seconds."""
    return max(1, min(int(seconds / once), 2_000_000))


def local_case(family: str, name: str, variants: Mapping[str, Callable[[], Any]], **facts: Any) -> Case:
    """A case of functions of this process."""
    return Case(family, name, {key: Local(fn) for key, fn in variants.items()}, **facts)
