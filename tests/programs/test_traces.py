"""`tj.trace`: what a plain function does with traced values, compared with running it on the values."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import tracejit as tj
from tracejit import nn
from tracejit.deploy.load import NativeError
from tracejit.eager.tensor import Size
from tracejit.errors import ScriptError

pytestmark = pytest.mark.compiled


class Pair(NamedTuple):
    a: Any
    b: Any


@dataclasses.dataclass
class Weights:
    w: Any
    k: int

    def scaled(self) -> Any:
        return self.w * self.k


def assert_same(got: Any, want: Any) -> None:
    """Equal values, types, dtypes and structure; the number of elements that a graph gives is a plain int."""
    if isinstance(want, tj.Tensor):
        assert isinstance(got, tj.Tensor)
        got, want = got.detach().numpy(), want.detach().numpy()
    if isinstance(want, np.ndarray):
        assert type(got) is type(want) and got.dtype == want.dtype and got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=1e-6)
    elif isinstance(want, tuple | list):
        assert type(got) is type(want) and len(got) == len(want)
        for a, b in zip(got, want, strict=True):
            assert_same(a, b)
    elif isinstance(want, dict):
        assert list(got) == list(want)
        for key in want:
            assert_same(got[key], want[key])
    elif dataclasses.is_dataclass(want):
        assert type(got) is type(want)
        assert_same(vars(got), vars(want))
    else:
        assert type(got) is (int if isinstance(want, Size) else type(want))
        assert got == want or math.isclose(got, want, rel_tol=2e-5)


def draw(*shape: int, seed: int = 0) -> Any:
    return tj.tensor(np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32))


def in_place(x: Any, y: Any) -> Any:
    x += y
    x[:, 0] = 3.0
    row = x[1]
    row *= 2
    x.add_(1.0).mul_(y)
    return x, row


def one_element(x: Any) -> Any:
    first = x[0]
    first += 5.0  # a view of rank 0: x changes too
    return x.sum(), first


def a_sum_that_is_written(x: Any) -> Any:
    total = x.sum()
    other = total
    total += 1.0
    shaped = total.reshape(1)
    shaped[0] = 7.0
    return total, other, shaped


def a_buffer(x: Any) -> Any:
    made = tj.zeros(3)
    made[0] = x[0]
    made += 1
    return made


def fancy_writes(x: Any, places: Any) -> Any:
    x[places] = 0.5
    x[x < 0] = 0.0
    x[[0, 1], [1, 0]] = 9.0
    return x


def written_array(x: Any) -> None:
    x[0:2] = x[1:3] * 2


CASES: dict[str, tuple[Callable[..., Any], list[tuple[Any, ...]], int]] = {
    "methods": (lambda x: x.exp().sum(0).softmax(0), [(draw(3, 4),), (draw(5, 4),)], 1),
    "numpy functions": (lambda x: np.exp(x) + np.sum(x, axis=0), [(draw(3, 4),), (draw(5, 4),)], 1),
    "ndarrays": (
        lambda x: (np.exp(x) @ x.T).sum(axis=1) + x[0, 0],
        [(draw(3, 4).numpy(),), (draw(6, 4).numpy(),)],
        1,
    ),
    "more numpy": (
        lambda x: (np.concatenate([x, x]), np.where(x > 0, x, 0), np.linalg.norm(x), np.clip(x, 0, 1), x.mean()),
        [(draw(3, 3).numpy(),)],
        1,
    ),
    "a written ndarray": (written_array, [(draw(5, 4).numpy(),)], 1),
    "in place": (in_place, [(draw(3, 4), draw(3, 4, seed=1)), (draw(5, 4), draw(5, 4, seed=1))], 1),
    "one element": (one_element, [(draw(4),), (draw(5),)], 1),
    "a sum that is written": (a_sum_that_is_written, [(draw(4),)], 1),
    "a buffer": (a_buffer, [(draw(4),), (draw(4, seed=1),)], 1),
    "fancy reads": (lambda x, i: (x[i], x[:, None, i], x[x > 0], x[[0, 2]]), [(draw(4, 4), tj.tensor([1, -1]))], 1),
    "fancy writes": (fancy_writes, [(draw(4, 4), tj.tensor([1, 2]))], 1),
    "sizes are run-time values": (
        lambda x: x.reshape(x.shape[0] * x.shape[1]) / x.shape[0] + x.size,
        [(draw(3, 4),), (draw(5, 6),)],
        1,
    ),
    "a loop over a size": (
        lambda x: sum(x[i] * i for i in range(len(x))),
        [(draw(3, 4),), (draw(5, 4),), (draw(3, 4),)],
        2,
    ),
    "iteration": (lambda x: [row.sum() for row in x], [(draw(3, 4),), (draw(2, 4),)], 2),
    "numbers are run-time values": (lambda x, n, s: x * n + s, [(draw(3), 2, 1.5), (draw(3), 5, 2.5)], 1),
    "a branch on a number": (
        lambda x, n: x * 2 if n > 3 else x,
        [(draw(3), 2), (draw(3), 5), (draw(4), 5)],
        2,
    ),
    "a loop over a number": (lambda x, n: [x * i for i in range(n)], [(draw(3), 2), (draw(3), 3)], 2),
    "an axis": (lambda x, axis: x.sum(axis), [(draw(3, 2), 0), (draw(3, 2), 1)], 2),
    "an index": (lambda x, i: (x[i], x[i:]), [(draw(5, 2), 1), (draw(5, 2), 3)], 1),
    "numbers only": (lambda a, b: (a * b + 1, a / b, a // b, a**b), [(7, 3), (8, 5)], 1),
    "NamedTuple": (lambda p: Pair(p.a * p.b, p.b + 1), [(Pair(draw(3), 2.0),)], 1),
    "dataclass": (lambda d: (d.scaled(), d), [(Weights(draw(3), 2),)], 1),
    "dict": (lambda d: {k: v * 2 for k, v in d.items()}, [({"x": draw(3), "y": draw(2, 2)},)], 1),
    "list": (lambda items: [items[0] + items[1], sum(items)], [([draw(3), draw(3, seed=1)],)], 1),
    "views": (
        lambda x: (x.T, x.mT, x.permute(1, 0), x.transpose(0, 1), x.flatten(), x[None], x[..., 0], x[::2, ::-1]),
        [(draw(4, 3),)],
        1,
    ),
    "conversions": (
        lambda x: (x.to(tj.float64), x.double(), x.int(), x.astype("float32"), x.to("cpu"), x.type_as(x), x.bool()),
        [(draw(4, 3),)],
        1,
    ),
    "creation": (
        lambda x: (tj.zeros(x.shape[0], 2), tj.ones_like(x), tj.arange(4), tj.eye(3), tj.tensor([1.0, 2.0])),
        [(draw(4, 3),), (draw(5, 3),)],
        1,
    ),
    "comparisons": (
        lambda x, y: (x > y, x == y, (x < 0) & (y > 0), ~(x > 0), x.eq(y)),
        [(draw(4), draw(4, seed=1))],
        1,
    ),
    "operators": (lambda x: (2 - x, 1 / x, 2**x, -x, abs(x), divmod(x, 2), x + [1.0, 2.0, 3.0]), [(draw(3),)], 1),
    "constants": (lambda x: (x, None, "s", 3, 2.5, True), [(draw(2),)], 1),
    "named results": (lambda x: (x.max(), x.max(0), x.argmax(1), x.topk(2), x.topk(2).values), [(draw(3, 4),)], 1),
    "parts": (lambda x: (x.chunk(2), x.split(2), x.unbind(), x.narrow(0, 1, 2)), [(draw(4, 3),), (draw(5, 3),)], 2),
    "constant arrays": (lambda x: [x * np.arange(3), [x * int(i) for i in tj.arange(3)]], [(draw(3),)], 1),
    "variadic": (lambda *xs: sum(xs), [(draw(3), draw(3, seed=1))], 1),
    "module": (
        nn.Sequential(nn.Linear(3, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 2)),
        [(draw(4, 3),), (draw(6, 3),)],
        1,
    ),
    "loss": (nn.functional.cross_entropy, [(draw(4, 3), tj.tensor([0, 1, 2, 1]))], 1),
    "Python's own constructs": (lambda x: [x * k for k in {2, 3}], [(draw(3),)], 1),
}


@pytest.mark.parametrize("name", CASES)
def test_trace_does_what_the_function_does(name: str) -> None:
    fn, calls, compiles = CASES[name]
    traced = tj.trace(fn, *calls[0])
    for arguments in calls:
        given, plain = copy.deepcopy(arguments), copy.deepcopy(arguments)
        assert_same(traced(*given), fn(*plain))
        assert_same(list(given), list(plain))
    assert traced.compiles == compiles


REFUSED: dict[str, Callable[[Any], Any]] = {
    "a branch on data": lambda x: x if x.sum() > 0 else -x,
    "a number of data": lambda x: float(x.sum()),
    "text of data": lambda x: f"{x.sum():.3f}",
    "values": lambda x: x.numpy() + 1,
    "a list of values": lambda x: x.tolist(),
    "an array of values": lambda x: np.asarray(x),
    "membership": lambda x: 3.0 in x,
    "any object": lambda x: object(),
    "an array made by NumPy, written": lambda x: np.zeros(3).__iadd__(x),
    "an unknown attribute of a list": lambda x: x.strides,
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_recorded_is_refused(name: str) -> None:
    with pytest.raises(ScriptError) as found:
        tj.trace(REFUSED[name], draw(3))
    assert found.value.filename == __file__
    assert found.value.instead


def test_a_changed_list_argument_is_refused() -> None:
    with pytest.raises(ScriptError, match="container that is an argument was changed"):
        tj.trace(lambda items: items.append(items[0]), [draw(3)])


def test_python_errors_stay_python_errors() -> None:
    with pytest.raises(AttributeError, match="'Tensor' object has no attribute 'nope'"):
        tj.trace(lambda x: x.nope, draw(3))
    with pytest.raises(ValueError, match="broadcast"):
        tj.trace(lambda x: x.reshape(3, 1) + tj.ones(2, 4), draw(3))
    with pytest.raises(TypeError, match="something to call"):
        tj.trace(3)  # type: ignore[arg-type]

    def careful(x: Any) -> Any:
        try:
            return tj.ones(3).reshape(2, 2) + x
        except ValueError:
            return x * 3

    assert_same(tj.trace(careful, draw(3))(draw(3)), draw(3) * 3)


def test_a_value_that_outlives_its_trace_says_so() -> None:
    kept: list[Any] = []

    def leak(x: Any) -> Any:
        kept.append(x)
        return x

    tj.trace(leak, draw(3))
    for use in (lambda x: x + 1, lambda x: x.shape, bool, tj.exp, lambda x: x[0], np.sum):
        with pytest.raises((RuntimeError, TypeError), match=r"after the trace has ended|not subscriptable"):
            use(kept[0])


def test_outer_tensors_are_inputs() -> None:
    weight = tj.ones(3, requires_grad=True)
    traced = tj.trace(lambda x: (x * weight).sum(), draw(3))
    traced(draw(3)).backward()
    assert_same(weight.grad, draw(3))
    with tj.no_grad():
        weight.fill_(2.0)
    assert_same(traced(draw(3)), draw(3).sum() * 2)
    assert traced.compiles == 1


def test_a_changed_surrounding_is_traced_anew() -> None:
    factor, table, weight = 2.0, [1.0, 3.0], tj.ones(3)

    def scaled(x: Any) -> Any:
        return x * factor + table[0] + weight

    traced = tj.trace(scaled, draw(3))
    factor, weight = 3.0, tj.zeros(3)
    table[0] = 5.0
    assert_same(traced(draw(3)), draw(3) * 3 + 5)


def test_a_module_that_changed_is_traced_anew() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(3, 3, bias=False)
            self.factor = 2.0

        def forward(self, x: Any) -> Any:
            return self.inner(x) * (self.factor if self.training else 1.0)

    module = Scaled()
    traced = tj.trace(module, draw(2, 3))
    for change in (
        lambda: None,
        lambda: setattr(module, "factor", 3.0),
        module.eval,
        lambda: setattr(module.inner, "weight", nn.Parameter(tj.ones(3, 3))),
    ):
        change()
        assert_same(traced(draw(2, 3)), module(draw(2, 3)))


def test_modules_learn_through_a_trace() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    twin = copy.deepcopy(module)
    tj.trace(module, draw(5, 3))(draw(5, 3)).sum().backward()
    twin(draw(5, 3)).sum().backward()
    for got, want in zip(module.parameters(), twin.parameters(), strict=True):
        assert_same(got.grad, want.grad)


def test_a_training_step_can_be_traced() -> None:
    def step(x: Any, y: Any, w: Any, rate: float) -> Any:
        loss = ((x @ w - y) ** 2).sum()
        loss.backward()
        with tj.no_grad():
            w -= rate * w.grad
        w.grad = None
        return loss

    w, twin = (draw(3, 1).requires_grad_() for _ in range(2))
    data = draw(8, 3), draw(8, 1)
    traced = tj.trace(step, *data, w, 0.01)
    for _ in range(3):
        assert_same(traced(*data, w, 0.01), step(*data, twin, 0.01))
    assert_same(w, twin)
    assert w.grad is None


def test_transformations_take_traces() -> None:
    cube = tj.trace(lambda x: (x**3).sum(), draw(2))
    x = draw(2)
    assert_same(tj.grad(cube)(x), 3 * x**2)
    assert_same(tj.hessian(cube)(x), tj.diag(6 * x))
    assert_same(tj.jvp(cube, (x,), (tj.ones(2),))[1], (3 * x**2).sum())
    assert_same(tj.vmap(cube)(draw(4, 2)), (draw(4, 2) ** 3).sum(1))
    square = lambda y: (y**2).sum()  # noqa: E731
    assert_same(tj.trace(lambda x: tj.grad(square)(x), x)(x), 2 * x)
    assert_same(tj.trace(lambda x: tj.jvp(square, (x,), (x,)), x)(x), (square(x), 2 * square(x)))
    assert_same(tj.trace(lambda x: tj.vjp(square, x)[1](1.0), x)(x), (2 * x,))
    assert_same(tj.trace(lambda x: tj.hvp(square, (x,), (x,)), x)(x), 2 * x)


def test_own_derivatives_stay_in_traces() -> None:
    class Square(tj.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:  # type: ignore[override]
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:  # type: ignore[override]
            (x,) = ctx.saved_tensors
            return g * x * 10

    @tj.custom_vjp
    def cube(x: Any) -> Any:
        return x**3

    cube.defvjp(lambda x: (x**3, x), lambda x, g: (g * x * 7,))
    x = draw(3)
    for fn, slope in ((Square.apply, 10), (cube, 7)):
        traced = tj.trace(lambda x, fn=fn: fn(x).sum(), x)
        assert_same(traced(x), fn(x).sum())
        assert_same(tj.grad(traced)(x), x * slope)
        assert traced.graph.count("custom") == 1


def test_the_tape_in_traces() -> None:
    def slope(x: Any) -> Any:
        (g,) = tj.autograd.grad((x * x).sum(), x)
        return g

    with pytest.raises(RuntimeError, match="does not require gradients"):
        tj.trace(slope, draw(3))
    x = draw(3).requires_grad_()
    assert_same(tj.trace(slope, x)(x), slope(x))


def test_scripts_keep_their_control_flow_inside_a_trace() -> None:
    @tj.script
    def positive(x: Any) -> Any:
        total = 0.0
        for i in range(len(x)):
            if x[i] > 0:
                total += x[i]
        return total

    traced = tj.trace(lambda x: positive(x) * 2, draw(4))
    for n in (4, 7):
        assert_same(traced(draw(n)), positive(draw(n)) * 2)
    assert traced.compiles == 1
    assert "loop" in traced.graph


def test_scripts_of_outer_arrays_are_recorded() -> None:
    @tj.script
    def doubled(x: Any) -> Any:
        return x * 2

    table = tj.ones(3)
    for _ in range(3):
        doubled(table)  # served natively from now on
    traced = tj.trace(lambda x: x + doubled(table), draw(3))
    table.fill_(5.0)
    assert_same(traced(draw(3)), draw(3) + 10)
    assert_same(doubled(table), table * 2)


def test_traces_inside_scripts_and_traces() -> None:
    inner = tj.trace(lambda x: x.sum() * 2, draw(3))

    @tj.script
    def outer(x: Any) -> Any:
        return inner(x) + 1

    assert_same(outer(draw(3)), draw(3).sum() * 2 + 1)
    assert_same(tj.trace(lambda x: inner(x) - 1, draw(3))(draw(3)), draw(3).sum() * 2 - 1)


def test_random_numbers_are_drawn_at_each_call() -> None:
    def noisy(x: Any) -> Any:
        return x + tj.rand(3)

    traced = tj.trace(noisy, draw(3))
    tj.manual_seed(3)
    got = [traced(draw(3)) for _ in range(2)]
    tj.manual_seed(3)
    assert_same(got, [noisy(draw(3)) for _ in range(2)])
    with pytest.raises(ScriptError, match="manual_seed"):
        tj.trace(lambda x: tj.manual_seed(0), draw(3))


def test_traces_are_exported(tmp_path: Path) -> None:
    traced = tj.trace(lambda x: x.sum(0) * 2, draw(3, 2))
    tj.export(traced, (draw(3, 2),), str(tmp_path / "traced.so"))
    loaded = tj.load(str(tmp_path / "traced.so"))
    np.testing.assert_allclose(loaded(draw(5, 2).numpy()), (draw(5, 2).sum(0) * 2).numpy(), rtol=1e-6)


def test_sizes_that_decide_the_program_are_checked_by_the_library(tmp_path: Path) -> None:
    traced = tj.trace(lambda x: sum(x[i] * i for i in range(len(x))), draw(3, 2))
    tj.export(traced, (draw(3, 2),), str(tmp_path / "fixed.so"))
    loaded = tj.load(str(tmp_path / "fixed.so"))
    np.testing.assert_allclose(loaded(draw(3, 5).numpy()), (draw(3, 5)[1] + draw(3, 5)[2] * 2).numpy(), rtol=1e-6)
    with pytest.raises(NativeError, match="an axis of size 4, expected 3"):
        loaded(draw(4, 5).numpy())


def test_arrays_are_made_without_arguments() -> None:
    inner = tj.script(lambda n: tj.ones(n) * 2)
    made = tj.trace(lambda: [tj.zeros(1), inner(3)])()
    assert [type(m) for m in made] == [tj.Tensor, tj.Tensor]
    np.testing.assert_array_equal(made[1], [2, 2, 2])


def test_tensors_are_detached_in_place() -> None:
    def f(x: Any) -> Any:
        y = x * 2
        assert y.detach_() is y
        return (y * x).sum()

    def g(x: Any) -> Any:
        y = x * 2
        if y[0] > 3:
            y.detach_()
        return (y * x).sum()

    example = tj.tensor([1.0, 2.0], requires_grad=True)
    for fn in (f, tj.script(f), tj.trace(f, example), g, tj.script(g)):
        x = tj.tensor([2.0, 2.0, 3.0], requires_grad=True)
        fn(x).backward()
        np.testing.assert_array_equal(x.grad, [4, 4, 6])
    x = tj.tensor([1.0, 2.0, 3.0], requires_grad=True)
    tj.script(g)(x).backward()
    np.testing.assert_array_equal(x.grad, [4, 8, 12])


@pytest.mark.parametrize("fn", [lambda x: x.detach_(), lambda x: x.sum().detach_()])
def test_what_has_another_owner_is_not_detached(fn: Callable[[Any], Any]) -> None:
    def with_view(x: Any) -> Any:
        y = x * 2
        parts = [y[1:]]
        y.detach_()
        return parts

    def shown(part: Any) -> Any:
        return lambda: part

    def with_function(x: Any) -> Any:
        y = x * 2
        last = shown(y[1:])
        y.detach_()
        return last()

    for each in (fn, with_view, with_function):
        with pytest.raises(ScriptError, match=r"detach_\(\)|in place"):
            tj.script(each)(tj.ones(3, requires_grad=True))


def test_traces_can_be_looked_into() -> None:
    traced = tj.trace(lambda x: (x * 2 + 1).sum(), draw(3))
    assert "mul" in traced.graph
    assert "fused" in traced.ir("after:fuse")
    assert "define" in traced.llvm
    assert "kernel" in traced.explain(draw(3))


def test_disabled_traces_are_plain_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEJIT_DISABLE", "1")
    traced = tj.trace(lambda x: x if x.sum() > 0 else -x, draw(3))
    assert traced(draw(3)) is not None
    assert traced.compiles == 0
