"""What a script asks a tensor: whether it needs gradients, how it lies in memory; PyTorch's keywords of means and
quotients; parameters that a module changes before it uses them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check

X = tj.tensor([[1.0, 5.0, -2.0], [2.0, 0.5, 3.0]])


def asked(x: Any, w: Any, flag: bool, n: int) -> Any:
    y = x * w
    with tj.no_grad():
        z = y + 1
    path = y if n > 2 else x
    total = w.sum()
    return x.requires_grad, w.requires_grad, y.requires_grad, z.requires_grad, path.requires_grad, total.requires_grad


@pytest.mark.parametrize("n", [1, 5])
@pytest.mark.parametrize("wanted", [False, True])
def test_requires_grad(n: int, wanted: bool) -> None:
    w = tj.ones(3, requires_grad=wanted)
    assert tj.script(asked)(X, w, True, n) == asked(X, w, True, n)


def asked_in_a_loop(x: Any, w: Any, n: int) -> Any:
    for i in range(n):
        if x.requires_grad:
            x = x.detach() + 1 if i % 3 == 2 else x + 1
            print(i, x[0, 0])
        x = x * w if i % 2 else x * 2
    return x


def test_requires_grad_of_what_a_loop_hands_on() -> None:
    for wanted in (True, False):
        w = tj.ones(3, requires_grad=wanted)
        check(asked_in_a_loop, X, w, 8)


def layout(x: Any, k: int) -> Any:
    y = x.t()
    part = x[:, :k]
    return (
        (
            x.is_contiguous(),
            y.is_contiguous(),
            part.is_contiguous(),
            y.contiguous().is_contiguous(),
            x[0].is_contiguous(),
        ),
        (x.stride(), y.stride(), part.stride(0), x.stride(-1), x.sum().is_contiguous()),
    )


@pytest.mark.parametrize("k", [1, 2, 3, 0])
def test_layout(k: int) -> None:
    check(layout, X, k)
    check(layout, tj.ones(1, 4), k)


def test_layout_of_an_argument_by_columns() -> None:
    assert tj.script(lambda x: x.is_contiguous())(X.t()) is False


def sizes(x: Any) -> Any:
    rows, columns = x.size()
    total = 0
    for i in range(x.size(1)):
        total += i
    flat = x.view(x.size(0), -1)
    return rows, x.size(-1), x.size(dim=1), x.size + 1, total, flat.size(), x.sum().size(), x.size() == (rows, columns)


def test_size_is_a_number_that_can_be_called() -> None:
    check(sizes, X)
    assert X.size == 6 and isinstance(X.size, int) and X.size(1) == 3
    assert tj.script(lambda x, n: x.reshape(n))(X, X.size).shape == (6,)
    with pytest.raises(IndexError):
        tj.script(lambda x: x.size(2))(X)
    with pytest.raises(TypeError, match="not callable"):
        tj.script(lambda x: x.size(0))(X.numpy())


def test_size_in_traces() -> None:
    traced = tj.trace(lambda x: x.view(x.size(0), -1) * x.size(1) + x.size, X)
    for x in (X, tj.ones(4, 5)):
        np.testing.assert_array_equal(traced(x).numpy(), x.numpy() * x.shape[1] + x.size)


def spreads(x: Any) -> Any:
    return (
        x.var(1, unbiased=False),
        x.var(True),
        tj.std(x, 0, True),
        tj.var(x, dim=1, unbiased=True, keepdim=True),
        x.std(dim=1, correction=0),
        *tj.var_mean(x, 0, unbiased=False),
        *tj.std_mean(x, 1, True),
    )


def test_unbiased() -> None:
    check(spreads, X)
    x = X.numpy()
    for found in (spreads(X), tj.script(spreads)(X)):
        expected = [x.var(1), x.var(ddof=1), x.std(0, ddof=1), x.var(1, ddof=1, keepdims=True), x.std(1)]
        expected += [x.var(0), x.mean(0), x.std(1, ddof=1), x.mean(1)]
        for f, e in zip(found, expected, strict=True):
            np.testing.assert_allclose(f.numpy(), e, rtol=1e-6)


def quotients(x: Any, y: Any) -> Any:
    return (
        tj.div(x, y),
        x.div(y, rounding_mode="floor"),
        tj.div(x, y, rounding_mode="trunc"),
        x.div(2, rounding_mode="trunc"),
        tj.div(x, y, rounding_mode=None),
    )


@pytest.mark.parametrize("dtype", [tj.int64, tj.float32, tj.int8])
def test_rounded_quotients(dtype: Any) -> None:
    x, y = tj.tensor([-7, 7, -8, 8, 9], dtype=dtype), tj.tensor([2, -2, 3, 3, -3], dtype=dtype)
    check(quotients, x, y)
    for found in (quotients(x, y), tj.script(quotients)(x, y)):
        assert found[1].tolist() == [-4, -4, -3, 2, -3] and found[1].dtype == dtype
        assert found[2].tolist() == [-3, -3, -2, 2, -3] and found[2].dtype == dtype
        assert found[3].tolist() == [-3, 3, -4, 4, 4]


def test_unknown_rounding_modes() -> None:
    with pytest.raises(ValueError, match="rounding_mode"):
        tj.div(X, 2, rounding_mode="up")


class Counting(tj.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = tj.nn.Parameter(tj.ones(3))

    def forward(self, x: Any) -> Any:
        with tj.no_grad():
            self.w += 1
        return x * self.w


class Started(Counting):
    def forward(self, x: Any) -> Any:
        tj.nn.init.constant_(self.w, 1.5)
        return (x * self.w).sum()


@pytest.mark.parametrize("kind", [Counting, Started])
def test_a_parameter_written_under_no_grad_and_used(kind: Any) -> None:
    plain, compiled = kind(), kind()
    script = tj.script(compiled)
    for _ in range(2):
        found, expected = script(X), plain(X)
        assert found.tolist() == expected.tolist() and compiled.w.tolist() == plain.w.tolist()
        found.sum().backward()
        expected.sum().backward()
        assert compiled.w.grad.tolist() == plain.w.grad.tolist()


def at_depth(x: Any, n: int) -> Any:
    return at_depth(x, n - 1) if n > 0 else tj.is_grad_enabled()


def modes(x: Any, on: bool) -> Any:
    found = [tj.is_grad_enabled()]
    with tj.set_grad_enabled(on):
        found.append(tj.is_grad_enabled())
        y = x * 2
        with tj.enable_grad():
            found.append(tj.is_grad_enabled())
        with tj.no_grad():
            found += [tj.is_grad_enabled(), at_depth(x, 2)]
    return [*found, tj.is_grad_enabled()], (x * y).sum()


@pytest.mark.parametrize("on", [False, True])
@pytest.mark.parametrize("around", [tj.no_grad, tj.enable_grad])
def test_whether_gradients_are_on(around: Any, on: bool) -> None:
    grads: list[Any] = []
    for fn in (modes, tj.script(modes)):
        x = tj.ones(2, requires_grad=True)
        with around():
            found, total = fn(x, on)
        before = around is tj.enable_grad
        assert found == [before, on, True, False, False, before] and total.requires_grad == before
        if before:
            total.backward()
            grads.append(x.grad.tolist())
    assert not grads or grads[0] == grads[1] == ([4, 4] if on else [2, 2])


def switched_for_good(x: Any) -> Any:
    tj.set_grad_enabled(False)
    return x * 2


def test_gradients_switched_beyond_a_block_are_refused() -> None:
    with pytest.raises(tj.ScriptError, match="beyond a block"):
        tj.script(switched_for_good)(X)
