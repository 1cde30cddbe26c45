"""Scripts compiled for a GPU and run on the shim: the same results, writes and exceptions as on the CPU."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.cuda_shim.shim_device import MISSING, ShimDevice, execute, module_of
from tracejit.codegen.cuda.schedule import CudaProgram, schedule
from tracejit.codegen.lowering.entry import lower
from tracejit.codegen.walk import ProgramFailure
from tracejit.frontend.function import ArrayLeaf, Leaf, NumberLeaf, TreeLeaf
from tracejit.ir.parser import parse
from tracejit.transforms import pipeline

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING or "-")


def layer(x, w, b):
    return np.maximum(x @ w + b, 0.0)


def layer_norm(x, g):
    mean = x.mean(axis=-1, keepdims=True)
    var = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(var + 1e-5) * g


def newton(x, tol):
    steps = 0
    while np.abs(x * x - 2.0).max() > tol:
        x = x - (x * x - 2.0) / (2.0 * x)
        steps = steps + 1
        if steps > 50:
            break
    return x, steps


def prefix(x):
    for i in range(1, len(x)):
        x[i] = x[i] + x[i - 1]
    return x


def edit_distance(a, b):
    row = np.arange(len(b) + 1)
    for i in range(len(a)):
        before = row[0]
        row[0] = i + 1
        for j in range(len(b)):
            cost = 0 if a[i] == b[j] else 1
            best = min(row[j] + 1, row[j + 1] + 1, before + cost)
            before = row[j + 1]
            row[j + 1] = best
    return row[len(b)]


def jacobi(u, steps):
    for _ in range(steps):
        v = u.copy()
        v[1:-1] = 0.5 * (u[:-2] + u[2:])
        u = v
    return u


def slices(x):
    x[::2] = x[::2] * 2.0
    y = x[1:] + x[:-1]
    y[y > 1.0] = 1.0
    return y.sum(), y


def branches(x, flag):
    if x.sum() > 0.0 and flag:
        return np.exp(-x)
    if flag:
        x = x * 2.0
    return x + 1.0


def statistics(x):
    return x.min(), x.max(), x.argmax(), x.std(), np.cumsum(x), np.any(x > 0.9)


def settle(x, w):
    while (x * x).sum() > 0.1:
        x = np.tanh(x * w)
    return x.sum()


def energy(x, w):
    h = x
    for _ in range(3):
        h = np.tanh(h * w)
    return (h * h).sum()


def integers(x):
    return x // 3, x % 5, x << 2, x >> 1, x ^ 7, -x, np.abs(x)


def signal(x, y):
    z = x + 1j * y
    return np.abs(z * np.conj(z)), (z * z).real, z.sum()


def out_of_range(x, i):
    total = 0.0
    for k in range(i):
        total = total + x[k]
    return total


def array(*shape: int, dtype: str = "float64", seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(dtype)


CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "layer": (layer, (array(5, 4, dtype="float32"), array(4, 3, dtype="float32"), array(3, dtype="float32"))),
    "layer_norm": (layer_norm, (array(3, 4, 40, dtype="float32"), array(40, dtype="float32"))),
    "newton": (newton, (array(6) + 2.0, 1e-9)),
    "prefix": (prefix, (array(30),)),
    "edit_distance": (edit_distance, (np.array([1, 2, 3, 4, 5]), np.array([2, 3, 4, 6]))),
    "jacobi": (jacobi, (array(20), 4)),
    "slices": (slices, (array(9),)),
    "branches": (branches, (array(7), True)),
    "statistics": (statistics, (array(5000),)),
    "gradient_of_while": (tj.value_and_grad(settle, argnums=(0, 1)), (array(9) + 1.0, array(9, seed=1))),
    "gradient_of_writes": (tj.value_and_grad(lambda x: (prefix(x.copy()) ** 2).sum()), (array(12),)),
    "energy": (energy, (array(100), array(100, seed=1))),
    "gradient": (tj.value_and_grad(energy, argnums=(0, 1)), (array(100), array(100, seed=1))),
    "integers": (integers, (np.arange(-20, 20),)),
    "signal": (signal, (array(8), array(8, seed=1))),
    "matrix": (lambda x: (x @ x.T).sum(axis=0) + x.mean(axis=1), (array(6, 3),)),
}


def for_gpu(fn: Any, args: tuple[Any, ...]) -> CudaProgram:
    """A script's graph for these arguments as a program for a GPU."""
    graph = replace(parse(fn.graph_for(*args)), device="cuda")
    return schedule(lower(pipeline.run(graph, pipeline.level2("cuda")), "cuda"))


def copied(args: tuple[Any, ...]) -> list[Any]:
    return [np.copy(a) if isinstance(a, np.ndarray) else a for a in args]


def flat(result: Any) -> list[Any]:
    return [y for x in result for y in flat(x)] if isinstance(result, tuple) else [result]


def returned(leaf: Leaf) -> list[int | None]:
    """The graph results that are returned, others say how; None for an argument."""
    if isinstance(leaf, TreeLeaf):
        return [i for child in leaf.children for i in returned(child)]
    return [leaf.index if isinstance(leaf, ArrayLeaf | NumberLeaf) else None]


@pytest.mark.parametrize("name", CASES)
def test_script_on_the_gpu_equals_the_cpu(name: str, tmp_path: Path) -> None:
    fn, args = CASES[name]
    script = fn if hasattr(fn, "graph_for") else tj.script(fn)
    on_cpu = copied(args)
    expected = flat(script(*on_cpu))
    program = for_gpu(script, args)
    module = module_of([program.program], tmp_path)
    for order in range(3):
        given = copied(args)
        device = ShimDevice(module, order)
        found = execute(program, device, given)
        assert not device.blocks, "all memory is given back"
        for place, wanted in zip(returned(script.last.lowered.result), expected, strict=True):
            got = wanted if place is None else found[place]
            np.testing.assert_allclose(np.asarray(got), np.asarray(wanted), rtol=3e-5, atol=1e-6)
        for got, wanted in zip(given, on_cpu, strict=True):
            np.testing.assert_allclose(np.asarray(got), np.asarray(wanted), rtol=1e-12)


def test_a_bad_index_in_a_loop_fails_on_the_gpu_too(tmp_path: Path) -> None:
    script = tj.script(out_of_range)
    x = array(5)
    with pytest.raises(IndexError):
        script(x, 9)
    program = for_gpu(script, (x, 9))
    device = ShimDevice(module_of([program.program], tmp_path))
    with pytest.raises(ProgramFailure) as failure:
        execute(program, device, [x, 9])
    assert program.program.errors[failure.value.error].kind == "IndexError"
    assert not device.blocks
    (total,) = execute(program, device, [x, 5])
    assert math.isclose(total, x.sum())
