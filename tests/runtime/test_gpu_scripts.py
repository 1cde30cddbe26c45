"""Scripts on a GPU by CuPy: arrays and Tensors there give what NumPy arrays give here, forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.gpu import has_gpu
from tests.runtime.test_cuda_scripts import CASES, array, copied, flat, out_of_range
from tracejit import devices

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not has_gpu(), reason="needs CuPy and a GPU")]


def on_gpu(args: list[Any]) -> list[Any]:
    """The arguments with arrays as cupy arrays."""
    return [devices.cupy().asarray(a) if isinstance(a, np.ndarray) else a for a in args]


def host(x: Any) -> Any:
    """A result as NumPy has it."""
    if isinstance(x, tj.Tensor):
        x = x.detach().cpu().numpy()
    return x.get() if isinstance(x, devices.cupy().ndarray) else np.asarray(x)


@pytest.mark.parametrize("name", CASES)
def test_cupy_arrays_give_what_numpy_arrays_give(name: str) -> None:
    fn, args = CASES[name]
    script = fn if hasattr(fn, "graph_for") else tj.script(fn)
    on_cpu = copied(args)
    expected = flat(script(*on_cpu))
    given = on_gpu(copied(args))
    found = flat(script(*given))
    for got, wanted in zip(found, expected, strict=True):
        if isinstance(wanted, np.ndarray) and wanted.ndim:
            assert isinstance(got, devices.cupy().ndarray), "arrays of the GPU stay there"
        assert host(got).dtype == np.asarray(wanted).dtype
        np.testing.assert_allclose(host(got), np.asarray(wanted), rtol=3e-5, atol=1e-6)
    for got, wanted in zip(given, on_cpu, strict=True):
        np.testing.assert_allclose(host(got), np.asarray(wanted), rtol=1e-12)


def network(x: Any, y: Any, w1: Any, w2a: Any, w2b: Any, previous: float) -> Any:
    w2 = w2a if previous < 5.0 else w2b
    return (x.mm(w1).clamp(min=0).mm(w2) - y).pow(2).sum()


def step(x: Any, y: Any, w1: Any, w2: Any, lr: float) -> Any:
    loss = (x.mm(w1).relu().mm(w2) - y).pow(2).sum()
    loss.backward()
    with tj.no_grad():
        w1 -= lr * w1.grad
        w2 -= lr * w2.grad
    w1.grad = None
    w2.grad = None
    return loss


def weights(place: str, *shapes: tuple[int, ...], requires_grad: bool = True) -> list[tj.Tensor]:
    return [
        tj.tensor(array(*shape, dtype="float32", seed=k), device=place, requires_grad=requires_grad)
        for k, shape in enumerate(shapes)
    ]


SHAPES = [(16, 40), (16, 3), (40, 12), (12, 3), (12, 3)]


@pytest.mark.parametrize("previous", [1.0, 9.0])
@pytest.mark.parametrize("compiled", [True, False])
def test_tensors_of_the_gpu_go_forward_and_backward(previous: float, compiled: bool) -> None:
    fn: Callable[..., Any] = tj.script(network) if compiled else network
    grads = []
    for place in ("cpu", "cuda"):
        tensors = weights(place, *SHAPES)
        loss = fn(*tensors, previous)
        assert loss.device == place
        loss.backward()
        assert all(t.grad is None or t.grad.device == place for t in tensors)
        grads.append([host(loss), *(host(t.grad) for t in tensors if t.grad is not None)])
    assert len(grads[0]) == len(grads[1])
    for a, b in zip(*grads, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5)


def test_training_step_is_one_call_on_the_gpu() -> None:
    compiled = tj.script(step)
    ends = []
    for place in ("cpu", "cuda"):
        x, y = weights(place, *SHAPES[:2], requires_grad=False)
        w1, w2 = weights(place, *SHAPES[2:4])
        losses = [float(compiled(x, y, w1, w2, 1e-3)) for _ in range(5)]
        assert losses[-1] < losses[0]
        ends.append([np.array(losses), host(w1), host(w2)])
    for a, b in zip(*ends, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5)


def test_optimiser_trains_a_module_on_the_gpu() -> None:
    ends = []
    for place in ("cpu", "cuda"):
        tj.manual_seed(0)
        model = tj.nn.Sequential(tj.nn.Linear(8, 16), tj.nn.Tanh(), tj.nn.Linear(16, 1)).to(place)
        forward = tj.script(model)
        optimiser = tj.optim.SGD(model.parameters(), lr=0.05)
        x, y = (tj.tensor(array(32, n, dtype="float32", seed=n), device=place) for n in (8, 1))
        losses = []
        for _ in range(5):
            optimiser.zero_grad()
            loss = ((forward(x) - y) ** 2).mean()
            loss.backward()
            optimiser.step()
            losses.append(float(loss))
        assert losses[-1] < losses[0]
        ends.append(losses)
    np.testing.assert_allclose(*ends, rtol=2e-4)


@pytest.mark.parametrize("tensors", [True, False])
def test_transformations_stay_on_the_gpu(tensors: bool) -> None:
    def fn(x: Any, w: Any) -> Any:
        for _ in range(3):
            x = np.tanh(x * w)
        return x.sum()

    found = []
    for place in ("cpu", "cuda"):
        xp = devices.array_module(place)
        x, w, t = (xp.asarray(array(7, seed=k)) for k in range(3))
        if tensors:
            x, w, t = (tj.from_numpy(a) if place == "cpu" else tj.tensor(a) for a in (x, w, t))
        kind = type(x)
        slopes = tj.grad(fn, argnums=(0, 1))(x, w)
        value, pullback = tj.vjp(fn, x, w)
        pulled = pullback(value)
        _, moved = tj.jvp(fn, (x, w), (t, t))
        product = tj.hvp(fn, (x, w), (t, t))
        assert all(isinstance(a, kind) for a in (*slopes, *pulled, *product))
        found.append([host(a) for a in (*slopes, value, *pulled, moved, *product)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-9)


def test_other_layouts_are_read_and_written_in_place() -> None:
    cupy = devices.cupy()

    def double(x: Any) -> None:
        x *= 2.0

    script = tj.script(double)
    base = cupy.arange(24, dtype=np.float64).reshape(4, 6)
    script(base[::-1, ::2])
    expected = np.arange(24, dtype=np.float64).reshape(4, 6)
    expected[::-1, ::2] *= 2.0
    np.testing.assert_array_equal(base.get(), expected)


def test_a_bad_index_is_an_error_at_the_users_line() -> None:
    script = tj.script(out_of_range)
    with pytest.raises(IndexError):
        script(devices.cupy().ones(5), 9)
    assert float(script(devices.cupy().ones(5), 5)) == 5.0


def test_arrays_of_two_devices_are_refused() -> None:
    script = tj.script(lambda x, y: x + y)
    with pytest.raises(tj.ScriptError, match="different devices"):
        script(devices.cupy().ones(3), np.ones(3))
