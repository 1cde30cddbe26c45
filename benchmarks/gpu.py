"""`python -m benchmarks.gpu`: scripts on a GPU beside CuPy and PyTorch run eagerly; table and JSON.

Host time is what a call keeps the processor for while the GPU works behind it; total time is what a call takes when one
follows the other until all are done. Everything is compared with NumPy in float64 before it is timed. Variants are
measured in turn, and a figure is the median of the rounds.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import tracejit as tj
from benchmarks.fingerprint import distance, fingerprint
from tracejit.devices import cupy

TOLERANCE = 1e-3
ROUNDS = 7


@dataclass
class Case:
    """One program at one size: the variants by name, each with its arguments, and the reference."""

    name: str
    variants: dict[str, Callable[[], Any]]
    reference: Callable[[], Any]
    host: dict[str, float] = field(default_factory=dict[str, float])
    total: dict[str, float] = field(default_factory=dict[str, float])
    wrong: dict[str, float] = field(default_factory=dict[str, float])


# -- programs: `m` is the array module --------------------------------------------------------------------------------


def chain(m: Any, x: Any, w: Any, b: Any) -> Any:
    return m.tanh(x * w + b) / (1 + m.exp(-x)) + m.exp(-x * x)


def steps(x: Any, n: int) -> Any:
    for _ in range(n):
        x = x * 0.99 + 0.01 * x * x
    return x


def newton(m: Any, x: Any) -> Any:
    y = x
    while abs(y * y - x).max() > 1e-3:
        y = 0.5 * (y + x / y)
    return y


def network(m: Any, x: Any, w1: Any, w2: Any, y: Any) -> Any:
    """One training step of two layers, its gradient by hand."""
    h = m.tanh(x @ w1)
    d = h @ w2 - y
    g = d * (2 / d.size)
    return (d * d).mean(), w1 - 0.1 * (x.T @ ((g @ w2.T) * (1 - h * h))), w2 - 0.1 * (h.T @ g)


@tj.script
def scripted_chain(x, w, b):
    return tj.tanh(x * w + b) / (1 + tj.exp(-x)) + tj.exp(-x * x)


@tj.script
def scripted_chain_gradient(x, w, b):
    return tj.grad(lambda v: (tj.tanh(v * w + b) / (1 + tj.exp(-v)) + tj.exp(-v * v)).sum())(x)


@tj.script
def scripted_softmax(x):
    e = tj.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@tj.script
def scripted_newton(x):
    y = x
    while abs(y * y - x).max() > 1e-3:
        y = 0.5 * (y + x / y)
    return y


scripted_steps = tj.script(steps)


@tj.script
def scripted_network(x, w1, w2, y):
    def loss(w1, w2):
        return ((tj.tanh(x @ w1) @ w2 - y) ** 2).mean()

    value, (g1, g2) = tj.value_and_grad(loss, argnums=(0, 1))(w1, w2)
    return value, w1 - 0.1 * g1, w2 - 0.1 * g2


# -- cases ------------------------------------------------------------------------------------------------------------


class Places:
    """Where arrays live: CuPy, and PyTorch where it is installed."""

    def __init__(self) -> None:
        self.cupy: ModuleType = cupy()
        self.torch: Any = None
        try:
            import torch

            self.torch = torch if torch.cuda.is_available() else None
        except ImportError:
            pass

    def case(
        self,
        name: str,
        arrays: Sequence[np.ndarray[Any, Any]],
        scripted: Callable[..., Any],
        eager: Callable[..., Any],
        torch: Callable[..., Any] | None = None,
    ) -> Case:
        """`eager(m, *arrays)` runs by NumPy and CuPy, `torch(*tensors)` by PyTorch (None: as `eager`)."""
        device = [self.cupy.asarray(x) for x in arrays]
        variants = {"tracejit": lambda: scripted(*device), "CuPy": lambda: eager(self.cupy, *device)}
        if self.torch is not None:
            tensors = [self.torch.asarray(x, device="cuda") for x in arrays]
            variants["PyTorch"] = lambda: torch(*tensors) if torch else eager(self.torch, *tensors)
        return Case(name, variants, lambda: eager(np, *(x.astype(np.float64) for x in arrays)))

    def wait(self) -> None:
        """Until the GPU has done all."""
        self.cupy.cuda.Device().synchronize()

    def cases(self, largest: int) -> Iterator[Case]:
        rng = np.random.default_rng(0)

        def uniform(*shape: int, scale: float = 1.0) -> np.ndarray[Any, Any]:
            return (rng.random(shape, np.float32) * scale).astype(np.float32)

        w, b = np.float32(0.5), np.float32(0.1)
        for n in (1_000, 100_000, 10_000_000, 100_000_000):
            if n > largest:
                continue
            x = [uniform(n)]
            yield self.case(
                f"chain of 8 operations, {n:,}", x, lambda x: scripted_chain(x, w, b), lambda m, x: chain(m, x, w, b)
            )
            if n <= 10_000_000:
                yield self.case(
                    f"its gradient, {n:,}",
                    x,
                    lambda x: scripted_chain_gradient(x, w, b),
                    lambda m, x: _chain_gradient(m, x, w, b),
                    self._by_autograd(lambda x: chain(self.torch, x, w, b).sum()),
                )
        for rows, columns in ((1024, 1024), (8192, 4096)):
            yield self.case(
                f"softmax of rows, {rows} x {columns}",
                [uniform(rows, columns)],
                scripted_softmax,
                _softmax,
                lambda x: self.torch.softmax(x, 1),
            )
        for n in (1_000, 100_000, 10_000_000):
            if n > largest:
                continue
            yield self.case(
                f"loop of 100 steps, {n:,}", [uniform(n)], lambda x: scripted_steps(x, 100), lambda m, x: steps(x, 100)
            )
        yield self.case("Newton until it settles, 100,000", [uniform(100_000) + 1], scripted_newton, newton)
        for n, inputs, hidden in ((1024, 256, 512), (8192, 1024, 4096)):
            shapes = ((n, inputs), (inputs, hidden), (hidden, 10), (n, 10))
            yield self.case(
                f"training step, {n} x {inputs} x {hidden} x 10",
                [uniform(*s, scale=0.1) for s in shapes],
                scripted_network,
                network,
                self._step,
            )

    def _by_autograd(self, loss: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def gradient(x: Any) -> Any:
            x = x.detach().requires_grad_()
            return self.torch.autograd.grad(loss(x), x)[0]

        return gradient

    def _step(self, x: Any, w1: Any, w2: Any, y: Any) -> Any:
        torch = self.torch
        w1, w2 = (w.detach().requires_grad_() for w in (w1, w2))
        loss = ((torch.tanh(x @ w1) @ w2 - y) ** 2).mean()
        g1, g2 = torch.autograd.grad(loss, (w1, w2))
        with torch.no_grad():
            return loss.detach(), w1 - 0.1 * g1, w2 - 0.1 * g2


def _chain_gradient(m: Any, x: Any, w: Any, b: Any) -> Any:
    """The derivative of `chain` by hand."""
    t, s, e = m.tanh(x * w + b), 1 / (1 + m.exp(-x)), m.exp(-x * x)
    return (1 - t * t) * w * s + t * s * (1 - s) - 2 * x * e


def _softmax(m: Any, x: Any) -> Any:
    e = m.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


# -- measuring --------------------------------------------------------------------------------------------------------


def on_host(x: Any) -> Any:
    """A result as NumPy has it."""
    if isinstance(x, tuple):
        return tuple(map(on_host, x))
    x = x.detach().cpu().numpy() if hasattr(x, "detach") else x
    return x.get() if hasattr(x, "get") else x


def measure(case: Case, places: Places, seconds: float) -> None:
    """Compare a case's variants with its reference, then time those that are right."""
    expected = fingerprint(case.reference())
    for name, variant in case.variants.items():
        off = distance(fingerprint(on_host(variant())), expected)
        if off > TOLERANCE:
            case.wrong[name] = off
    right = [name for name in case.variants if name not in case.wrong]
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in right}
    share = seconds / ROUNDS / len(case.variants)
    counts = {name: _count(case.variants[name], places, share) for name in right}
    for _ in range(ROUNDS):
        for name in right:
            samples[name].append(_sample(case.variants[name], places, counts[name]))
    for name, found in samples.items():
        case.host[name], case.total[name] = (median(s[i] for s in found) for i in range(2))


def _count(variant: Callable[[], Any], places: Places, share: float) -> int:
    variant()
    return max(2, min(int(share / max(_sample(variant, places, 3)[1], 1e-7)), 500))


def _sample(variant: Callable[[], Any], places: Places, count: int) -> tuple[float, float]:
    """Seconds of a call on the host, and in all."""
    places.wait()
    start = time.perf_counter()
    for _ in range(count):
        variant()
    queued = time.perf_counter() - start
    places.wait()
    return queued / count, (time.perf_counter() - start) / count


def description(places: Places) -> dict[str, Any]:
    """What the figures belong to."""
    properties = places.cupy.cuda.runtime.getDeviceProperties(0)
    made = {
        "gpu": properties["name"].decode(),
        "cuda": places.cupy.cuda.runtime.runtimeGetVersion(),
        "cupy": places.cupy.__version__,
        "numpy": np.__version__,
        "tracejit": tj.__version__,
    }
    return made | ({"torch": places.torch.__version__} if places.torch is not None else {})


def table(cases: Sequence[Case]) -> Table:
    """A row per case: host and total microseconds of every variant."""
    names = list(dict.fromkeys(name for case in cases for name in case.variants))
    made = Table("microseconds per call: host / total")
    for name in names:
        made.add_column(name, justify="right", no_wrap=True)
    for case in cases:
        cells = [f"{case.host[n] * 1e6:.1f} / {case.total[n] * 1e6:.1f}" if n in case.host else "wrong" for n in names]
        made.add_row(case.name, *cells)
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.5, help="how long a case is measured")
    parser.add_argument("--largest", type=int, default=100_000_000, help="no more elements than this")
    parser.add_argument("--out", type=Path, help="where JSON is written")
    options = parser.parse_args()
    places = Places()
    console = Console(width=160)
    made: list[Case] = []
    for case in places.cases(options.largest):
        measure(case, places, options.seconds)
        made.append(case)
    console.print(table(made))
    for case in made:
        for name, off in case.wrong.items():
            console.print(f"not timed: {case.name} by {name} differs from the reference by {off:.1e}")
    if options.out is not None:
        rows = [{"name": c.name, "host": c.host, "total": c.total, "wrong": c.wrong} for c in made]
        options.out.write_text(json.dumps({"machine": description(places), "cases": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
