"""Functions with a derivative of their own: one node, never looked through, right in every mode; or refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit import ScriptError

X = np.array([0.3, -0.5, 0.8])


class Scaled(tj.autograd.Function):
    """x * x * k, whose derivative is said to be 7 * x * k."""

    @staticmethod
    def forward(ctx: Any, x: Any, k: Any) -> Any:
        ctx.save_for_backward(x)
        ctx.k = k
        return x * x * k

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g * 7.0 * x * ctx.k, None


@tj.custom_vjp
def sine(x: Any) -> Any:
    return np.sin(x)


sine.defvjp(lambda x: (np.sin(x), x), lambda x, g: (g * 100.0 * x,))


class Raising(tj.autograd.Function):
    """A function whose backward always raises."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x * 2.0

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * ctx.missing


def scaled_sum(x: Any) -> Any:
    return Scaled.apply(x, 3.0).sum()


def in_a_loop(x: Any) -> Any:
    for _ in range(3):
        x = sine(x) * 0.5
    return x.sum()


def test_function_eager_and_scripted() -> None:
    scripted = tj.script(scaled_sum)
    for fn in (scaled_sum, scripted):
        x = tj.tensor([1.0, 2.0], dtype=tj.float64, requires_grad=True)
        out = fn(x)
        assert out.item() == 15.0
        out.backward()
        np.testing.assert_array_equal(x.grad.numpy(), [21.0, 42.0])
    assert scripted.graph.count("= custom(") == 1
    np.testing.assert_array_equal(tj.hessian(scripted)(np.array([1.0, 2.0])), 21.0 * np.eye(2))
    assert tj.jvp(scripted, (np.array([1.0, 2.0]),), (np.ones(2),))[1] == 63.0


def test_custom_vjp_in_a_loop_and_to_second_order() -> None:
    x, slope, curvature = 0.3, 1.0, 0.0
    for _ in range(3):
        curvature = curvature * 50.0 * x + slope * slope * 50.0
        slope, x = slope * 50.0 * x, math.sin(x) * 0.5
    scripted = tj.script(in_a_loop)
    np.testing.assert_allclose(tj.grad(scripted)(np.array([0.3])), [slope])
    assert scripted.graph_for(np.array([0.3])).count("= custom(") == 1
    np.testing.assert_allclose(tj.hessian(scripted)(np.array([0.3])), [[curvature]])
    np.testing.assert_allclose(tj.grad(lambda x: tj.grad(scripted)(x).sum())(np.array([0.3])), [curvature])


def test_a_rule_that_always_raises_is_refused() -> None:
    with pytest.raises(ScriptError, match="Raising always raises"):
        tj.script(lambda x: Raising.apply(x).sum())(np.ones(2))


def test_rules_that_always_raise_say_what_and_where() -> None:
    def f(x: Any) -> Any:
        return x.sum()

    own = tj.custom_vjp(f)
    with pytest.raises(ScriptError, match="f has no derivative yet") as caught:
        tj.grad(own)(X)
    assert caught.value.filename == __file__
    own.defvjp(lambda x: (x.sum(), x), lambda g: (g,))
    with pytest.raises(ScriptError, match=r"backward of f always raises TypeError: .*<lambda>\(\) takes 1 pos"):
        tj.grad(own)(X)
    own.defvjp(lambda x: (x, x), lambda x, g: (x,))
    with pytest.raises(ScriptError, match="the forward of f gives a 1-d array of float64, and f itself"):
        tj.grad(own)(X)


def test_what_is_no_function_has_no_derivative() -> None:
    for make in (tj.custom_vjp, tj.checkpoint, tj.grad):
        with pytest.raises(TypeError, match="a function is needed, not int"):
            make(3)


def test_a_rule_that_is_set_anew_is_compiled_anew() -> None:
    own = tj.custom_vjp(lambda x: x.sum())
    sloped = tj.grad(tj.script(lambda x: own(x) * 2.0))
    for k in (1.0, 3.0):
        own.defvjp(lambda x: (x.sum(), x), lambda x, g, k=k: (g * x * k,))
        np.testing.assert_array_equal(tj.grad(own)(X), X * k)
        np.testing.assert_array_equal(sloped(X), X * k * 2.0)

    class Rule(tj.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2.0

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2.0

    slope = tj.grad(lambda x: Rule.apply(x).sum())
    np.testing.assert_array_equal(slope(X), np.full(3, 2.0))
    Rule.backward = staticmethod(lambda ctx, g: g * 5.0)  # type: ignore[method-assign]
    np.testing.assert_array_equal(slope(X), np.full(3, 5.0))


def test_no_grad_inside_a_differentiated_loop() -> None:
    def fn(x: Any) -> Any:
        s = 0.0
        for _ in range(3):
            with tj.no_grad():
                c = x * s
            s = s + x * x * 0.1 + c
        return s

    x = tj.tensor(0.7, dtype=tj.float64, requires_grad=True)
    fn(x).backward()
    assert tj.grad(fn)(0.7) == pytest.approx(x.grad.item(), rel=1e-12)
    assert tj.jvp(fn, (0.7,), (1.0,))[1] == pytest.approx(x.grad.item(), rel=1e-12)


def test_a_wrapper_keeps_tangents() -> None:
    inner = tj.script(lambda y: np.sin(y) * y)
    outer = tj.script(lambda x: inner(x) + x)
    assert tj.jvp(lambda x: outer(x) * 2.0, (0.5,), (1.0,))[1] == pytest.approx(
        2.0 * (math.cos(0.5) * 0.5 + math.sin(0.5) + 1.0)
    )


def test_closures_whose_cells_change() -> None:
    """Functions made in a loop share a cell; each is what it was when it was called."""
    fns = [tj.grad(lambda x: x ** float(k)) for k in (1, 2, 3)]  # noqa: B023
    assert [fn(2.0) for fn in fns] == [12.0, 12.0, 12.0]
    found = [tj.grad(lambda x: x ** float(k))(2.0) for k in (1, 2, 3)]  # noqa: B023
    assert found == [1.0, 4.0, 12.0]
    assert [tj.grad(lambda x: x ** float(k))(2.0) for k in (3, 2, 1)] == [12.0, 4.0, 1.0]  # noqa: B023


def test_forward_mode_to_fourth_order_through_a_while() -> None:
    """Functions of one definition that call each other are no recursion."""

    def fn(x: Any) -> Any:
        v = x
        while v < 10.0:
            v = v * v * 0.5 + x + 1.0
        return v * v

    pushed, pulled = fn, fn
    for order in range(1, 5):

        def forward(x: Any, inner: Any = pushed) -> Any:
            return tj.jvp(inner, (x,), (1.0,))[1]

        pushed, pulled = forward, tj.grad(pulled)
        assert tj.script(pushed)(0.8) == pytest.approx(pulled(0.8), rel=1e-12), order


@tj.custom_vjp
def halved_slope(x):
    return (x * x).sum()


halved_slope.defvjp(lambda x: (halved_slope(x), x), lambda x, g: (g * x,))


@tj.custom_vjp
def asks_itself(x):
    return np.exp(x)


asks_itself.defvjp(lambda x: (np.exp(x), x), lambda x, g: (g * asks_itself(x),))


@tj.custom_vjp
def slope_of_another_shape(x):
    return x.sum()


slope_of_another_shape.defvjp(lambda x: (x.sum(), None), lambda _, g: (g,))


def test_forward_may_call_the_function_itself() -> None:
    np.testing.assert_array_equal(tj.grad(lambda x: halved_slope(x) * 2.0)(X), 2 * X)
    np.testing.assert_array_equal(tj.hessian(halved_slope)(X), np.eye(len(X)))


def test_backward_that_calls_the_function_itself_is_refused() -> None:
    with pytest.raises(tj.ScriptError, match="asks_itself calls asks_itself"):
        tj.grad(lambda x: asks_itself(x).sum())(X)


def test_a_slope_of_another_shape_is_not_stretched() -> None:
    with pytest.raises(tj.ScriptError, match="always raises"):
        tj.grad(slope_of_another_shape)(X)
    x = tj.tensor(X, requires_grad=True)
    with pytest.raises(RuntimeError, match="of shape"):
        slope_of_another_shape(x).backward()


def test_checkpoint_draws_the_same_numbers_again() -> None:
    x = tj.ones(64, dtype=tj.float64, requires_grad=True)
    w = tj.full((64,), 1.5, dtype=tj.float64, requires_grad=True)
    body = tj.checkpoint(lambda h: tj.nn.functional.dropout(h * w, 0.5, True))
    tj.manual_seed(3)
    total = body(body(x)).sum()
    after = tj.rand(4)
    total.backward()
    assert 0.0 < float(total) == float((x.grad * x.detach()).sum())
    tj.manual_seed(3)
    body(body(x))
    assert tj.rand(4).tolist() == after.tolist()


def test_checkpoint_of_a_function_that_changes_its_argument_is_refused() -> None:
    def body(h):
        h += 1.0
        return h * h

    x = tj.tensor(X, requires_grad=True)
    with pytest.raises(RuntimeError, match="changed in place"):
        tj.checkpoint(body)(x * 1.0)
    y = x * 1.0
    total = tj.checkpoint(lambda h: h * h)(y).sum()
    y += 1.0
    with pytest.raises(RuntimeError, match="changed in place"):
        total.backward()


def test_scripts_refuse_custom_functions_that_change_their_argument() -> None:
    def put(h):
        h[0] = 7.0
        return h * 2.0

    def add(h):
        h += 1.0
        return h * h

    own = tj.custom_vjp(put)
    own.defvjp(lambda h: (put(h), None), lambda saved, g: (g,))
    for inner in (tj.checkpoint(put), tj.checkpoint(add), own):

        def outer(x, inner=inner):
            return inner(x).sum() + x.sum()

        for x in (X.copy(), tj.tensor(X)):
            with pytest.raises(tj.ScriptError, match="one it is given"):
                tj.script(outer)(x)
            with pytest.raises(tj.ScriptError, match="one it is given"):
                tj.grad(outer)(x)
            np.testing.assert_array_equal(np.asarray(x), X)
