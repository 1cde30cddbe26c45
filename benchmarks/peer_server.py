"""The peers' side: PyTorch, JAX and Numba versions of the cases, measured on request.

Runs in an environment that has these libraries and need not have tracejit; of this project it imports `scalar_programs`
only, which is plain NumPy. Names of cases are those of the other modules. Questions and answers are lines of JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

THREADS = sys.argv[1] if len(sys.argv) > 1 else "1"
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = THREADS
if THREADS == "1":
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import numpy as np  # noqa: E402
from scalar_programs import PROGRAMS, edit_distance  # noqa: E402  (beside this file; imports NumPy only)

Maker = Callable[[], Callable[[], Any]]
CASES: dict[tuple[str, str], Maker] = {}

SAMPLES, INPUTS, HIDDEN, OUTPUTS, RATE = 64, 1000, 100, 10, 1e-6


def case(name: str, framework: str) -> Callable[[Maker], Maker]:
    def register(maker: Maker) -> Maker:
        CASES[name, framework] = maker
        return maker

    return register


def normal(*shape: int) -> Any:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def network_data(batch: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    shapes = (SAMPLES, INPUTS), (SAMPLES, OUTPUTS), (INPUTS, HIDDEN), (HIDDEN, OUTPUTS)
    x, y, w1, w2 = (rng.standard_normal(shape, dtype=np.float32) for shape in shapes)
    return x[:batch].copy(), y[:batch].copy(), w1, w2


# -- PyTorch --------------------------------------------------------------------------------------------------


def add_torch() -> None:
    import torch

    torch.set_num_threads(int(THREADS))

    def heavy(x: Any, w: Any, b: Any) -> Any:
        return torch.tanh(x * w + b) * torch.sigmoid(x) + torch.exp(-x * x)

    for size in (1_000, 100_000, 10_000_000):

        @case(f"tanh(x*w+b)*sigmoid(x)+exp(-x*x), {size:,}", "torch")
        def _(size: int = size) -> Callable[[], Any]:
            args = [torch.from_numpy(normal(size)) for _ in range(3)]
            return lambda: heavy(*args)

        @case(f"tanh(x*w+b)*sigmoid(x)+exp(-x*x), {size:,}", "torch.compile")
        def _(size: int = size) -> Callable[[], Any]:
            args = [torch.from_numpy(normal(size)) for _ in range(3)]
            compiled = torch.compile(heavy)
            return lambda: compiled(*args)

    def training(batch: int) -> Callable[[], Any]:
        x, y, w1, w2 = map(torch.from_numpy, network_data(batch))
        w1.requires_grad_()
        w2.requires_grad_()

        def step() -> Any:
            loss = (x.mm(w1).clamp(min=0).mm(w2) - y).pow(2).sum()
            loss.backward()
            with torch.no_grad():
                for w in (w1, w2):
                    w -= RATE * w.grad
                    w.grad = None
            return loss

        return step

    for batch in (64, 16, 1):
        CASES[f"training step, batch {batch}", "torch"] = lambda batch=batch: training(batch)

    @case("x*2+1, 16 elements, Tensor", "torch")
    def _() -> Callable[[], Any]:
        x = torch.arange(16, dtype=torch.float32)
        return lambda: x * 2 + 1

    @case("softmax, 1000 x 1000", "torch")
    def _() -> Callable[[], Any]:
        x = torch.from_numpy(normal(1000, 1000))
        return lambda: torch.softmax(x, 1)


# -- JAX --------------------------------------------------------------------------------------------------------


def add_jax() -> None:
    import jax
    import jax.numpy as jnp

    @jax.jit
    def heavy(x: Any, w: Any, b: Any) -> Any:
        return jnp.tanh(x * w + b) * jax.nn.sigmoid(x) + jnp.exp(-x * x)

    for size in (1_000, 100_000, 10_000_000):

        @case(f"tanh(x*w+b)*sigmoid(x)+exp(-x*x), {size:,}", "jax")
        def _(size: int = size) -> Callable[[], Any]:
            args = [jnp.asarray(normal(size)) for _ in range(3)]
            return lambda: heavy(*args).block_until_ready()

    def loss(weights: Any, x: Any, y: Any) -> Any:
        return ((jnp.maximum(x @ weights[0], 0) @ weights[1] - y) ** 2).sum()

    @jax.jit
    def train(weights: Any, x: Any, y: Any) -> Any:
        value, gradients = jax.value_and_grad(loss)(weights, x, y)
        return value, tuple(w - RATE * g for w, g in zip(weights, gradients, strict=True))

    def training(batch: int) -> Callable[[], Any]:
        x, y, w1, w2 = map(jnp.asarray, network_data(batch))
        state = [(w1, w2)]

        def step() -> Any:
            value, state[0] = train(state[0], x, y)
            return value.block_until_ready()

        return step

    for batch in (64, 16, 1):
        CASES[f"training step, batch {batch}", "jax"] = lambda batch=batch: training(batch)

    @case("x*2+1, 16 elements, Tensor", "jax")
    def _() -> Callable[[], Any]:
        x = jnp.arange(16, dtype=jnp.float32)
        fn = jax.jit(lambda x: x * 2 + 1)
        return lambda: fn(x).block_until_ready()

    @case("softmax, 1000 x 1000", "jax")
    def _() -> Callable[[], Any]:
        x = jnp.asarray(normal(1000, 1000))
        fn = jax.jit(lambda x: jax.nn.softmax(x, 1))
        return lambda: fn(x).block_until_ready()


# -- Numba --------------------------------------------------------------------------------------------------------


def add_numba() -> None:
    import numba

    @numba.njit
    def heavy(x: Any, w: Any, b: Any) -> Any:
        return np.tanh(x * w + b) * (1 / (1 + np.exp(-x))) + np.exp(-x * x)

    for size in (1_000, 100_000, 10_000_000):

        @case(f"tanh(x*w+b)*sigmoid(x)+exp(-x*x), {size:,}", "numba")
        def _(size: int = size) -> Callable[[], Any]:
            args = [normal(size) for _ in range(3)]
            return lambda: heavy(*args)

    fast_edit_distance = numba.njit(edit_distance)

    @case("edit distance, 100 x 100", "numba")
    def _() -> Callable[[], Any]:
        rng = np.random.default_rng(0)
        a, b = (rng.integers(0, 4, 100) for _ in range(2))
        table = np.zeros((101, 101), np.int64)
        return lambda: fast_edit_distance(a, b, table)

    for name, (fn, data) in PROGRAMS.items():

        @case(name, "numba")
        def _(fn: Callable[..., Any] = fn, data: Callable[[], tuple[Any, ...]] = data) -> Callable[[], Any]:
            compiled, args = numba.njit(boundscheck=False)(fn), data()
            return lambda: compiled(*args)

    @case("x*2+1, 16 elements, ndarray", "numba")
    def _() -> Callable[[], Any]:
        x = np.arange(16, dtype=np.float32)
        fn = numba.njit(lambda x: x * np.float32(2) + np.float32(1))
        return lambda: fn(x)


# -- the server -----------------------------------------------------------------------------------------------------

_made: dict[tuple[str, str], Callable[[], Any]] = {}


def sample(name: str, framework: str, repeats: int) -> float:
    key = name, framework
    if key not in _made:
        _made[key] = CASES[key]()
    fn = _made[key]
    start = time.perf_counter()
    for _ in range(repeats):
        fn()
    return (time.perf_counter() - start) / repeats


def answer(question: dict[str, Any]) -> Any:
    if "list" in question:
        known: dict[str, list[str]] = {}
        for name, framework in CASES:
            known.setdefault(name, []).append(framework)
        return known
    return sample(question["case"], question["framework"], question["repeats"])


def main() -> None:
    for add in (add_torch, add_jax, add_numba):
        try:
            add()
        except ImportError as error:
            print(f"peers: {error}", file=sys.stderr)
    for line in sys.stdin:
        try:
            reply = {"value": answer(json.loads(line))}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
