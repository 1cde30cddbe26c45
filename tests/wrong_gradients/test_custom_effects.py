"""What a function's own backward checks, prints and returns: the same in scripts as on the eager tape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj


class Guarded(tj.autograd.Function):
    """2 * x, whose backward raises for large x and for large cotangents, and prints."""

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        (x,) = args
        ctx.save_for_backward(x)
        return x * 2

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (x,), (g,) = ctx.saved_tensors, grads
        if x[0] > 2:
            raise ValueError("large argument")
        print("backward of", g.sum())
        assert g[0] < 5, "large cotangent"
        return g * 3


class Shortened(tj.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        return args[0] * 2

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return grads[0][:2]


class OneTooMany(tj.autograd.Function):
    """2 * x * k; its backward gives one more gradient than there are arguments."""

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        x, k = args
        ctx.k = k
        return x * 2 * k

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return grads[0] * 2 * ctx.k, None, grads[0]


class NoneTooMany(OneTooMany):
    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return grads[0] * 2 * ctx.k, None, None, None


class Showing(tj.autograd.Function):
    """Shows what asks for gradients: only what it is given."""

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        (x,) = args
        y = x * 2
        print(x, y)
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (x, y), (g,) = ctx.saved_tensors, grads
        print(x, y * 1, g)
        return g * 2


def _taped(fn: Any, x: Any) -> Any:
    t = tj.tensor(x, requires_grad=True)
    fn(t).backward()
    return np.asarray(t.grad)


def _pulled(fn: Any, x: Any) -> Any:
    return tj.vjp(fn, x)[1](1.0)[0]


def _gradient(fn: Any, x: Any) -> Any:
    return tj.grad(fn)(x)


def _in_a_script(fn: Any, x: Any) -> Any:
    @tj.script
    def step(t: Any) -> Any:
        fn(t).backward()

    t = tj.tensor(x, requires_grad=True)
    step(t)
    return np.asarray(t.grad)


def _forward_mode(fn: Any, x: Any) -> Any:
    return tj.jvp(fn, (x,), (np.ones_like(x),))[1]


def _guarded(x: Any, scale: float = 1.0) -> Any:
    return (Guarded.apply(x) * scale).sum()


def _guarded_in_a_loop(x: Any, scale: float = 1.0) -> Any:
    total = x.sum()
    for i in range(2):
        if x[1] > i:
            total = total + (Guarded.apply(x) * scale).sum()
    return total


def _guarded_below(x: Any, n: Any, scale: float) -> Any:
    return _guarded(x, scale) if n == 0 else _guarded_below(x, n - 1, scale) * x[1]


def _guarded_in_a_recursion(x: Any, scale: float = 1.0) -> Any:
    return _guarded_below(x, 2 if x[1] > 0 else 1, scale)


@pytest.mark.parametrize(
    "fn, run",
    [
        *((_guarded, way) for way in (_taped, _pulled, _gradient, _in_a_script)),
        *((fn, way) for fn in (_guarded_in_a_loop, _guarded_in_a_recursion) for way in (_taped, _gradient)),
    ],
)
def test_what_a_backward_checks_and_prints_happens(fn: Any, run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fn, loud = tj.script(fn), tj.script(lambda x: fn(x, 9.0))
    assert run(fn, np.array([1.0, 1.0])).shape == (2,)
    assert capsys.readouterr().out.startswith("backward of ")
    with pytest.raises(AssertionError, match="large cotangent"):
        run(loud, np.array([1.0, 1.0]))
    with pytest.raises(ValueError, match="large argument"):
        run(fn, np.array([3.0, 1.0]))


def _guarded_in_segments(x: Any) -> Any:
    for _ in range(1000):
        x = Guarded.apply(x) * 0.33
    return x.sum()


@pytest.mark.parametrize(
    "fn",
    [tj.script(memory="1KB")(_guarded_in_segments), lambda x: tj.checkpoint(lambda y: Guarded.apply(y) * y)(x).sum()],
)
def test_what_is_computed_again_checks_in_its_backward(fn: Any) -> None:
    assert tj.grad(fn)(np.array([1.0, 1.0])).shape == (2,)
    with pytest.raises(ValueError, match="large argument"):
        tj.grad(fn)(np.array([3.0, 1.0]))


def test_forward_mode_makes_the_checks_that_need_no_cotangent(capsys: pytest.CaptureFixture[str]) -> None:
    assert _forward_mode(_guarded, np.array([1.0, 1.0])) == 6.0
    with pytest.raises(ValueError, match="large argument"):
        _forward_mode(_guarded, np.array([3.0, 1.0]))
    assert not capsys.readouterr().out


@pytest.mark.parametrize("way", [_taped, _pulled, _in_a_script, _forward_mode])
@pytest.mark.parametrize("is_scripted", [False, True])
def test_a_gradient_of_another_length_is_refused(way: Any, is_scripted: bool) -> None:
    fn = tj.script(lambda x: Shortened.apply(x).sum()) if is_scripted else lambda x: Shortened.apply(x).sum()
    with pytest.raises(RuntimeError, match=r"gave a gradient of shape \(2,\) for .* of shape \(3,\)"):
        way(fn, np.ones(3))


def test_more_gradients_than_arguments_are_refused_unless_they_are_none() -> None:
    with pytest.raises(RuntimeError, match="OneTooMany.backward gave 3 gradients for 2 arguments"):
        _taped(lambda x: OneTooMany.apply(x, 2.0).sum(), np.ones(3))
    with pytest.raises(tj.ScriptError, match="backward of OneTooMany gives 3 cotangents for 2 arguments"):
        _taped(tj.script(lambda x: OneTooMany.apply(x, 2.0).sum()), np.ones(3))
    for fn in (lambda x: NoneTooMany.apply(x, 2.0).sum(), tj.script(lambda x: NoneTooMany.apply(x, 2.0).sum())):
        np.testing.assert_array_equal(_taped(fn, np.ones(3)), np.full(3, 4.0))


def test_what_a_rule_prints_asks_for_gradients_as_in_eager_code(capsys: pytest.CaptureFixture[str]) -> None:
    def plain(x: Any) -> Any:
        return Showing.apply(x).sum()

    def scaled(x: Any) -> Any:
        y = x * 1 if x[0] > 0 else x.detach()
        return Showing.apply(y).sum()

    for fn in (plain, scaled):
        _taped(fn, np.ones(2))
        shown = capsys.readouterr().out
        _taped(tj.script(fn), np.ones(2))
        assert capsys.readouterr().out == shown
