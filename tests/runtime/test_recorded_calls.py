"""Calls whose Tensors ask for gradients: served natively once seen, and the same nodes as those Python makes."""

from __future__ import annotations

import gc
import weakref
from typing import Any, NamedTuple

import numpy as np
import pytest

import tracejit as tj
from tests.runtime.test_call_patterns import natively
from tracejit.runtime import dispatch

pytestmark = pytest.mark.skipif(not dispatch.is_available(), reason="no native call path on this interpreter")


def variable(*values: float) -> tj.Tensor:
    return tj.tensor(np.array(values, float), requires_grad=True)


def decay(x: Any, w: Any, steps: int) -> Any:
    for _ in range(steps):
        x = (x * w).tanh()
    return x.sum()


def test_the_second_call_is_native_and_has_the_same_gradient() -> None:
    fn = tj.script(decay)
    x, w = variable(0.3, -0.4), variable(1.5, 0.7)
    found = []
    for steps in (3, 3, 5, 0):
        x.grad = w.grad = None
        fn(x, w, steps).backward()
        got = x.grad.numpy(), np.zeros(2) if w.grad is None else w.grad.numpy()
        x.grad = w.grad = None
        decay(x, w, steps).backward()
        np.testing.assert_allclose(got[0], x.grad.numpy(), rtol=1e-12)
        np.testing.assert_allclose(got[1], 0 if w.grad is None else w.grad.numpy(), rtol=1e-12)
        found.append(got)
    np.testing.assert_array_equal(found[0], found[1])
    assert natively(fn) == 3 and fn.compiles == 1


def test_no_grad_and_recording_have_a_native_path_each() -> None:
    fn = tj.script(lambda x: x * 2 + 1)
    x = variable(1.0, 2.0)
    for _ in range(2):
        assert fn(x).grad_fn is not None
        with tj.no_grad():
            plain = fn(x)
            assert plain.grad_fn is None and not plain.requires_grad
            with tj.enable_grad():
                assert fn(x).requires_grad
    assert natively(fn) == 4 and fn.compiles == 1


class Pair(NamedTuple):
    total: Any
    rest: Any


@pytest.mark.parametrize("repeat", [1, 2])
def test_results_of_every_kind(repeat: int) -> None:
    @tj.script
    def several(x: Any, n: int) -> Any:
        y = x * x
        return Pair(y.sum(), {"y": y, "n": n, "same": y, "most": y.argmax(), "x": x}), None

    x = variable(1.0, -3.0, 2.0)
    for _ in range(repeat):
        pair, nothing = several(x, 4)
    assert natively(several) == repeat - 1
    assert nothing is None and pair.rest["n"] == 4 and pair.rest["x"] is x
    assert type(pair) is Pair and int(pair.rest["most"]) == 1 and not pair.rest["most"].requires_grad
    assert pair.total.grad_fn is pair.rest["y"].grad_fn
    x.grad = None
    (pair.total + 2.0 * pair.rest["y"][0]).backward()
    np.testing.assert_allclose(x.grad.numpy(), [6.0, -6.0, 4.0])


def test_history_goes_on_before_and_behind() -> None:
    fn = tj.script(lambda x: x.exp())
    x = variable(0.5, 0.25)
    fn(x)
    (3.0 * fn(2.0 * fn(x))).sum().backward()
    y = np.exp(x.detach().numpy())
    np.testing.assert_allclose(x.grad.numpy(), 6.0 * np.exp(2.0 * y) * y, rtol=1e-12)


def test_second_derivative_of_a_native_call() -> None:
    fn = tj.script(lambda x: (x * x * x).sum())
    x = variable(2.0, 3.0)
    for _ in range(2):
        (slope,) = tj.autograd.grad(fn(x), [x], create_graph=True)
        (curve,) = tj.autograd.grad(slope.sum(), [x])
        np.testing.assert_allclose(curve.numpy(), [12.0, 18.0])
    assert natively(fn) == 1


def test_misuse_is_an_error_as_before() -> None:
    fn = tj.script(lambda x: (x * x).sum())
    x = variable(2.0)
    fn(x)
    loss = fn(x)
    loss.backward()
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()
    loss = fn(x)
    with tj.no_grad():
        x += 1.0
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_nothing_is_kept_alive() -> None:
    fn = tj.script(lambda x: (x.exp() * x).sum())
    x = variable(*range(5))
    fn(x)
    result = fn(x)
    node, tensor = weakref.ref(result.grad_fn), weakref.ref(result)
    del result
    gc.collect()
    assert node() is None and tensor() is None


def test_a_view_counts_the_writes_to_its_memory() -> None:
    fn = tj.script(lambda x, s, y: (x * x * s * y).sum())
    base = tj.tensor(np.arange(6.0))
    part = base[1:4].requires_grad_()
    y = tj.tensor(np.ones(3))
    fn(part, 2.0, y)
    loss = fn(part, 2.0, y)
    loss.backward(retain_graph=True)
    np.testing.assert_allclose(part.grad.numpy(), 4.0 * np.arange(1.0, 4.0))
    base[2] = 7.0
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()
    assert natively(fn) == 1
