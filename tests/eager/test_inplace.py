"""Writes in place: values, versions, and gradients of written tensors and their views."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.eager.differences import check_gradients
from tracejit.eager.tensor import version_of


def vector(n: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.5, 2, n)


def test_values_as_numpy() -> None:
    x = tj.tensor([1.0, 2.0, 3.0])
    alias = x
    x += 1
    x -= tj.tensor([1.0, 0.0, 0.0])
    x *= 2
    x /= 4
    x **= 2
    assert alias is x
    np.testing.assert_allclose(x.numpy(), [0.25, 2.25, 4.0])
    x.fill_(3).add_(1).sub_(2).mul_(3).div_(2).clamp_(max=2.5)
    assert x.tolist() == [2.5, 2.5, 2.5]
    x.copy_(tj.tensor([1, 2, 3])).zero_()
    assert x.tolist() == [0.0, 0.0, 0.0]
    y = tj.tensor([1, 2])
    y //= 2
    y |= 4
    assert y.tolist() == [4, 5]


def test_a_result_that_does_not_fit_is_refused() -> None:
    x = tj.tensor([1, 2])
    with pytest.raises(TypeError):
        x += 0.5
    with pytest.raises(TypeError):
        x /= 2
    y = tj.ones(3)
    with pytest.raises(ValueError):
        y += tj.ones(2, 3)


def test_every_write_counts_once_for_all_aliases() -> None:
    x = tj.ones(4)
    v, d = x[1:], x.detach()
    before = version_of(x)
    x.add_(1)
    v[0] = 3
    d.zero_()
    assert version_of(x) == version_of(v) == version_of(d) == before + 3


def test_a_leaf_that_requires_gradients_is_not_written_while_recording() -> None:
    x = tj.ones(2, requires_grad=True)
    writes: list[Callable[[], Any]] = [lambda: x.add_(1), lambda: x[0].zero_(), lambda: x.__setitem__(0, 1.0)]
    for write in writes:
        with pytest.raises(RuntimeError, match="leaf"):
            write()
    with tj.no_grad():
        x += 1
        x[0] = 5
    assert x.tolist() == [5.0, 2.0] and x.is_leaf


def test_changing_what_a_derivative_needs_is_an_error() -> None:
    x = tj.ones(3, requires_grad=True)
    for make in (lambda a: a * a, lambda a: a.exp(), lambda a: a.exp()[1:], lambda a: a / tj.ones(3)):
        y = x * 2
        z = make(y)
        target = z if make(y).grad_fn.name.startswith(("exp", "vread")) else y
        with tj.no_grad():
            target.mul_(2)
        if z.grad_fn.name.startswith("div"):
            z.sum().backward()
            continue
        with pytest.raises(RuntimeError, match="in place"):
            z.sum().backward()


def test_changing_what_no_derivative_needs_is_fine() -> None:
    x = tj.ones(3, requires_grad=True)
    y = x * 2
    z = y + 1
    w = y.sum()
    y.add_(5)
    (z.sum() + w + y.sum()).backward()
    assert x.grad.tolist() == [6.0, 6.0, 6.0]


def test_writing_a_constant_operand_is_noticed() -> None:
    x, c = tj.ones(2, requires_grad=True), tj.tensor([2.0, 3.0])
    y = (x * c).sum()
    c.zero_()
    with pytest.raises(RuntimeError, match="in place"):
        y.backward()


PROGRAMS: dict[str, Callable[[Any], Any]] = {}


def program(fn: Callable[[Any], Any]) -> Callable[[Any], Any]:
    PROGRAMS[fn.__name__] = fn
    return fn


@program
def whole_tensor(x: Any) -> Any:
    y = x * 2
    y.mul_(x)
    y += x
    y.div_(x + 1)
    return y


@program
def self_times_itself(x: Any) -> Any:
    y = x.clone()
    y *= y
    y *= y
    return y


@program
def view_then_base(x: Any) -> Any:
    y = x * x
    v = y[1:4]
    v.mul_(x[:3])
    return y * 2 + v.sum()


@program
def base_then_view(x: Any) -> Any:
    y = x * x
    v = y[1:4]
    y.mul_(3)
    return v * x[:3]


@program
def view_of_view(x: Any) -> Any:
    y = (x * x).reshape(2, 3)
    v = y.T[1:]
    w = v[0]
    w.mul_(x[:2])
    v[1] = x[4] * 3
    return y.sum(0) * v.sum() + w.sum()


@program
def overlapping_views(x: Any) -> Any:
    y = x.clone()
    a, c = y[:4], y[2:]
    a *= 2
    c *= a
    return (y * y).sum() + a.prod()


@program
def shifted_copy_onto_itself(x: Any) -> Any:
    y = x * 1
    y[1:] = y[:-1]
    return y * x


@program
def recurrence(x: Any) -> Any:
    y = x.clone()
    for i in range(5):
        y[i + 1] = (y[i] * x[i]).tanh()
    return y


@program
def reversed_view(x: Any) -> Any:
    y = x * 2
    y.flip(0)[:2] = x[2:4] ** 2
    return y


@program
def diagonal_write(x: Any) -> Any:
    m = tj.outer(x, x)
    m.diagonal().mul_(x)
    m.diagonal(1)[:] = 0
    return m.sum(1)


@program
def transposed_base(x: Any) -> Any:
    m = tj.outer(x[:2], x[:3]).T.contiguous().T
    m[0].mul_(x[3:])
    return m.sum(0)


@program
def constant_over_values(x: Any) -> Any:
    y = x * x
    y[::2].zero_()
    y[1].fill_(2)
    return y + x


@program
def gradient_into_a_constant(x: Any) -> Any:
    y = tj.zeros(6, dtype=tj.float64)
    v = y[2:]
    y[:3] = x[:3] * x[3:]
    return y * 2 + v.sum()


@program
def mask_and_places(x: Any) -> Any:
    y = x * 1
    y[tj.tensor([True, False] * 3)] *= 2
    y[np.array([0, 5])] += x[1:3]
    y[y > 2] = 0.5
    return y


@program
def repeated_places_take_the_last(x: Any) -> Any:
    y = x * 1
    y[np.array([1, 1, 2])] = x[:3] * 5
    return y


@program
def copy_and_clamp(x: Any) -> Any:
    y = tj.empty(6, dtype=tj.float64)
    y.copy_(x * x)
    y.clamp_(0.5, 2.0)
    y.exp_()
    return y


@program
def copy_of_a_leaf(x: Any) -> Any:
    y = tj.zeros(6, dtype=tj.float64)
    y.copy_(x)
    return y * y


def into_constants(x: Any) -> list[Any]:
    """Methods that write what varies into a tensor that did not."""
    rows, constant = x.reshape(3, 2), tj.ones(3, 2, dtype=tj.float64)
    picked = tj.tensor([0, 1, 1])
    return [
        constant.clone().add_(rows, alpha=3),
        constant.clone().clamp_(max=x[0] * 0.4),
        constant.clone().index_add_(0, picked, rows),
        constant.clone().index_add_(0, picked, constant, alpha=x[0]),
        constant.clone().scatter_(0, tj.tensor([[0, 1], [1, 0]]), rows[:2]),
        constant.clone().scatter_add_(0, tj.tensor([[0, 1], [1, 1], [2, 0]]), rows),
        constant.clone().index_put_((picked,), rows, accumulate=True),
        constant.clone().masked_scatter_(constant > 0, rows),
        constant.clone().lerp_(rows, 0.25),
        constant.clone().addcmul_(rows, rows, value=0.5),
        tj.zeros(3, 3, dtype=tj.float64).addmm_(rows, rows.T),
    ]


@program
def what_varies_written_into_constants(x: Any) -> Any:
    return tj.cat([y.reshape(-1) for y in into_constants(x)]) * x[0]


@program
def filled_with_what_varies(x: Any) -> Any:
    made = [
        tj.full((2, 3), x[0] * x[1]),
        tj.full_like(x, x[2]),
        x.new_full((2,), x[3], requires_grad=False),
        tj.asarray([x[0], [2.0, x[4] * x[5]][1]]),
        tj.linspace(x[0], x[1], 5, dtype=tj.float64),
        tj.linspace(1.0, x[1], 4, endpoint=False, dtype=tj.float64),
        tj.arange(x[2] * 0.01, 3.0, 1.0, dtype=tj.float64),
        tj.nn.functional.pad(tj.ones(2, dtype=tj.float64), (1, 2), value=x[0]),
    ]
    return tj.cat([y.reshape(-1) for y in made]) * x[0]


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_gradients_of_written_tensors(name: str) -> None:
    check_gradients(PROGRAMS[name], vector())


def test_a_copy_of_the_data_leaves_the_history() -> None:
    def fn(x: Any) -> Any:
        made = tj.tensor([x[0], x[1] * x[1]])
        own = tj.tensor(x * 2, requires_grad=True)
        (own.sum() * own[0]).backward()
        (made.sum() * x.sum()).backward()
        return own.grad * 1.0, made.requires_grad

    for run in (fn, tj.script(fn)):
        x = tj.tensor(vector(2), requires_grad=True)
        slope, asks = run(x)
        np.testing.assert_allclose(slope.numpy(), [x[0].item() * 4 + x[1].item() * 2, x[0].item() * 2])
        np.testing.assert_allclose(x.grad.numpy(), [x[0].item() + x[1].item() ** 2] * 2)
        assert not asks


def test_what_numpys_functions_write_is_counted_or_refused() -> None:
    x, c = tj.ones(3, requires_grad=True), tj.tensor([1.0, 2.0, 3.0])
    y = (x * c).sum()
    np.put(c, [0], [5.0])
    np.add.at(c, [1, 1], 1.0)
    assert c.tolist() == [5.0, 4.0, 3.0]
    with pytest.raises(RuntimeError, match="in place"):
        y.backward()
    writes: list[Callable[[], Any]] = [
        lambda: np.add.at(c, [0], x[0]),
        lambda: np.copyto(c, x),
        lambda: np.put(x, [0], [5.0]),
    ]
    for write in writes:
        with pytest.raises(TypeError, match="is not recorded"):
            write()
    assert c.tolist() == [5.0, 4.0, 3.0] and x.tolist() == [1.0, 1.0, 1.0]


def test_complex_parts_are_views_that_cannot_be_written_with_a_record() -> None:
    x = tj.tensor([1.0, 2.0], requires_grad=True)
    z = x * (1 + 1j)
    part = z.real
    with pytest.raises(RuntimeError, match="in place"):
        part.mul_(x)


def test_views_made_without_recording_follow_later_writes() -> None:
    x = tj.ones(3)
    with tj.no_grad():
        v = x[1:]
    w = tj.tensor([2.0, 3.0, 4.0], requires_grad=True)
    x.mul_(w)
    assert v.requires_grad
    v.sum().backward()
    assert w.grad.tolist() == [0.0, 1.0, 1.0]


def test_expanded_tensors_cannot_be_written() -> None:
    with pytest.raises(ValueError):
        tj.ones(1).expand(3).add_(1)


def test_written_tensors_do_not_keep_themselves_alive() -> None:
    gc.collect()
    gc.disable()
    try:
        w = tj.ones(4, requires_grad=True)
        y = w * 2
        y += 1
        y *= w
        y[1:3] = w[:2]
        y[np.array([0, 3])] = 5
        y[0].mul_(w[0])
        seen = weakref.ref(y)
        del y
        assert seen() is None
    finally:
        gc.enable()


def out_of_a_scan(w: tj.Tensor, x: tj.Tensor) -> tj.Tensor:
    made = w * 2
    np.cumsum(x, out=made)
    return made + w


def out_of_a_function(w: tj.Tensor, x: tj.Tensor) -> tj.Tensor:
    made = x * 2
    np.sum(tj.stack([w, x]), 0, None, made)
    return made


def out_of_a_part(w: tj.Tensor, x: tj.Tensor) -> tj.Tensor:
    made = x * 1
    np.clip(w[:2], 1.5, 3, out=made[1:])
    return made


def out_that_is_stretched(w: tj.Tensor, x: tj.Tensor) -> tj.Tensor:
    made = tj.stack([x, x])
    np.multiply(w, x, out=made)
    return made


@pytest.mark.parametrize("make", [out_of_a_scan, out_of_a_function, out_of_a_part, out_that_is_stretched])
def test_what_numpy_functions_write_to_out_is_recorded(make: Callable[..., Any]) -> None:
    check_gradients(make, vector(3), vector(3, 1))


@pytest.mark.parametrize(
    "write",
    [
        lambda x, o: np.add.accumulate(x, out=o),
        lambda x, o: np.multiply(x, x, out=o, where=np.array([True, False, True])),
        lambda x, o: np.divmod(x, 2, out=(o, x * 1)),
        lambda x, o: np.nancumsum(x, out=o),
    ],
)
def test_writes_to_out_that_are_not_recorded_are_refused_and_counted(write: Callable[..., Any]) -> None:
    x, leaf = tj.tensor(vector(3)), tj.ones(3, dtype=tj.float64, requires_grad=True)
    for out in (leaf, leaf * 2, (leaf * 2)[:]):
        held = out.tolist()
        with pytest.raises(TypeError, match="out= is not recorded"):
            write(x, out)
        assert out.tolist() == held
    constant = x * 2
    product = (leaf * constant).sum()
    write(x, constant)
    with pytest.raises(RuntimeError, match="changed in place"):
        product.backward()


def test_out_of_another_shape_or_dtype_is_refused() -> None:
    x = tj.ones(3, requires_grad=True)
    for write in (lambda o: np.add(x, 1, out=o), lambda o: tj.add(x, 1, out=o), lambda o: np.cumsum(x, out=o)):
        with pytest.raises(ValueError, match="shape"):
            write(tj.zeros(2))
        with pytest.raises(TypeError, match="cannot hold"):
            write(tj.zeros(3, dtype=tj.int64))
