"""Whole training steps inside a script: `zero_grad`, `backward` and an optimizer's `step` as one native call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.runtime.test_call_patterns import natively
from tracejit import nn, optim
from tracejit.runtime.cpu import memory_fresh_blocks

OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "sgd": lambda p: optim.SGD(p, 0.1),
    "momentum": lambda p: optim.SGD(p, 0.05, momentum=0.9, dampening=0.5, weight_decay=0.01),
    "nesterov": lambda p: optim.SGD(p, 0.05, momentum=0.9, nesterov=True, maximize=True),
    "adam": lambda p: optim.Adam(p, 0.01, weight_decay=0.01),
    "amsgrad": lambda p: optim.Adam(p, 0.01, amsgrad=True),
    "adamw": lambda p: optim.AdamW(p, 0.01),
    "rmsprop": lambda p: optim.RMSprop(p, 0.01, momentum=0.5, centered=True),
    "adagrad": lambda p: optim.Adagrad(p, 0.1, lr_decay=0.1),
    "groups": lambda p: optim.SGD([{"params": [q], "lr": 0.02 * i} for i, q in enumerate(p)], 0.1),
}


def network(width: int = 8) -> nn.Sequential:
    tj.manual_seed(0)
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))


def data(rows: int = 16) -> tuple[tj.Tensor, tj.Tensor]:
    rng = np.random.default_rng(1)
    return tj.tensor(rng.normal(size=(rows, 4)).astype("float32")), tj.tensor(
        rng.normal(size=(rows, 2)).astype("float32")
    )


def step_of(net: nn.Module, optimizer: Any) -> Callable[..., Any]:
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_scripted_step_trains_as_the_eager_one(name: str) -> None:
    losses: list[list[float]] = []
    nets = [network(), network()]
    states = []
    for net, wrap in zip(nets, (lambda f: f, tj.script), strict=True):
        optimizer = OPTIMIZERS[name](list(net.parameters()))
        step = wrap(step_of(net, optimizer))
        losses.append([float(step(*data())) for _ in range(5)])
        states.append(
            [value for _, entry in sorted(optimizer.state_dict()["state"].items()) for value in entry.values()]
        )
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    for p, q in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        np.testing.assert_allclose(q.detach().numpy(), p.detach().numpy(), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(q.grad.numpy(), p.grad.numpy(), rtol=1e-3, atol=1e-6)
    for a, b in zip(*states, strict=True):
        np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=1e-3, atol=1e-7)
    assert step.compiles == 1
    assert natively(step) == 4


def test_ignoring_the_loss_still_trains() -> None:
    net = network()
    optimizer = optim.SGD(net.parameters(), 0.1)

    @tj.script
    def step(x: Any, y: Any) -> None:
        optimizer.zero_grad()
        nn.functional.mse_loss(net(x), y).backward()
        optimizer.step()

    before = float(nn.functional.mse_loss(net(data()[0]), data()[1]))
    for _ in range(20):
        step(*data())
    assert float(nn.functional.mse_loss(net(data()[0]), data()[1])) < 0.8 * before


def test_a_step_takes_no_fresh_memory_after_its_second_call() -> None:
    width = 1 << 19  # every array of the first layer is a block that the runtime counts
    net = network(width)
    step = tj.script(step_of(net, optim.Adam(net.parameters(), 0.01)))
    x, y = data(2)
    for _ in range(2):
        step(x, y)
    before = memory_fresh_blocks()
    for _ in range(3):
        step(x, y)
    assert memory_fresh_blocks() == before


def test_a_frozen_parameter_costs_no_backward_work() -> None:
    graphs = []
    for frozen in (False, True):
        net = network()
        net[0].weight.requires_grad = not frozen
        step = tj.script(step_of(net, optim.SGD(net.parameters(), 0.1)))
        step(*data())
        graphs.append(step.graph)
        assert (net[0].weight.grad is None) == frozen
    assert graphs[0].count("= matmul(") == graphs[1].count("= matmul(") + 1


def test_settings_that_change_are_not_stale_and_compiled_once() -> None:
    w = tj.tensor([1.0, 2.0], requires_grad=True)
    optimizer = optim.SGD([w], 0.1)

    @tj.script
    def step() -> None:
        optimizer.zero_grad()
        w.sum().backward()
        optimizer.step()

    expected = np.array([1.0, 2.0])
    for i in range(6):
        optimizer.param_groups[0]["lr"] = 0.1 / (i + 1)
        expected -= 0.1 / (i + 1)
        step()
        np.testing.assert_allclose(w.detach().numpy(), expected, rtol=1e-6)
    assert step.compiles == 2  # from its first change on it is a run-time value


def test_optimizer_and_module_as_arguments() -> None:
    @tj.script
    def step(net: Any, optimizer: Any, x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    net = network()
    optimizer = optim.Adam(net.parameters(), 0.01)
    losses = [float(step(net, optimizer, *data())) for _ in range(10)]
    assert losses[-1] < losses[0] and step.compiles == 1


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam"])
def test_a_loop_over_steps_inside_the_script(name: str) -> None:
    nets = [network(), network()]
    x, y = data()
    last: list[Any] = []
    for net, scripted in zip(nets, (False, True), strict=True):
        optimizer = OPTIMIZERS[name](list(net.parameters()))

        def fit(x: Any, y: Any, steps: int, net: Any = net, optimizer: Any = optimizer) -> Any:
            loss = x.sum() * 0.0
            for _ in range(steps):
                optimizer.zero_grad()
                loss = nn.functional.mse_loss(net(x), y)
                loss.backward()
                optimizer.step()
            return loss

        run = tj.script(fit) if scripted else fit
        last.append([float(run(x, y, 4)), float(run(x, y, 0)), float(run(x, y, 3))])
    np.testing.assert_allclose(last[1], last[0], rtol=1e-5, atol=1e-7)
    for p, q in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        np.testing.assert_allclose(q.detach().numpy(), p.detach().numpy(), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(q.grad.numpy(), p.grad.numpy(), rtol=1e-3, atol=1e-6)


@tj.script
def backward_on_one_path(w: Any, flag: float) -> Any:
    if flag > 0.5:
        (w * w).sum().backward()
    elif flag < -0.5:
        w.grad = None
    return flag


@tj.script
def backward_in_every_trip(w: Any, n: int) -> int:
    for _ in range(n):
        (w * w).sum().backward()
    return n


def test_grad_is_what_the_path_taken_left() -> None:
    for start in (None, [10.0, 20.0]):
        for _ in range(2):  # by Python, then natively
            for flag, added in ((1.0, True), (0.0, False), (-1.0, None)):
                w = tj.tensor([1.0, 2.0], requires_grad=True)
                w.grad = None if start is None else tj.tensor(start)
                backward_on_one_path(w, flag)
                before = np.zeros(2) if start is None else np.array(start)
                expected = before + [2.0, 4.0] if added else None if added is None or start is None else before
                assert w.grad is None if expected is None else w.grad.tolist() == expected.tolist()
    for n in (0, 1, 3):
        w = tj.tensor([1.0, 2.0], requires_grad=True)
        backward_in_every_trip(w, n)
        assert w.grad is None if n == 0 else w.grad.tolist() == [2.0 * n, 4.0 * n]


@pytest.mark.parametrize("clears", [False, True])
def test_grad_that_the_caller_changes_between_calls_is_seen(clears: bool) -> None:
    def adds(w: Any) -> Any:
        loss = (w * w).sum()
        loss.backward()
        return loss

    def trains(w: Any) -> Any:
        loss = (w * w).sum()
        loss.backward()
        with tj.no_grad():
            w -= 0.25 * w.grad
        w.grad = None
        return loss

    step = trains if clears else adds
    scripted, found = tj.script(step), []
    for call in (step, scripted):
        w = tj.tensor([1.0, -2.0]).requires_grad_()
        states = []
        for given in (None, None, tj.tensor([1.0, 1.0]), "kept", None, "kept"):
            if given != "kept":
                w.grad = given
            states.append((call(w).item(), w.detach().tolist(), None if w.grad is None else w.grad.tolist()))
        found.append(states)
    assert found[0] == found[1]
    loss = scripted(w)
    with pytest.raises(RuntimeError, match="took derivatives itself"):
        loss.backward()


@tj.script
def clears_one_and_adds_to_the_other(a: Any, w: Any) -> None:
    a.grad = None
    (w * w).sum().backward()


def test_grad_is_left_in_the_order_of_the_arguments() -> None:
    """Clearing comes before gradients go on to what a tensor was made of, and before a later name of the same one."""
    for _ in range(3):  # by Python, then natively
        w = tj.tensor([1.0, 2.0]).requires_grad_()
        clears_one_and_adds_to_the_other(w, w)
        assert w.grad.tolist() == [2.0, 4.0]
        w.grad, b = tj.tensor([5.0, 5.0]), tj.tensor([1.0, 3.0]).requires_grad_()
        seen = []
        b.register_hook(lambda g, w=w, seen=seen: seen.append(w.grad))
        clears_one_and_adds_to_the_other(w, b * 2.0)
        assert (seen, w.grad, b.grad.tolist()) == ([None], None, [8.0, 24.0])

        def sets(g: Any, w: Any = w) -> None:
            w.grad = tj.tensor([7.0, 7.0])

        b.register_hook(sets)
        clears_one_and_adds_to_the_other(w, b * 2.0)
        assert w.grad.tolist() == [7.0, 7.0]
        made = b * 2.0
        made.sum().backward()  # frees what another one needs
        with pytest.raises(RuntimeError, match="second time"):
            clears_one_and_adds_to_the_other(w, made)
        assert w.grad is None or w.grad.tolist() == [7.0, 7.0]


class Tenfold(tj.Tensor):
    """A Tensor that shows ten times what it holds."""

    cleared = 0

    @property
    def grad(self) -> Any:
        return None if self._grad is None else self._grad * 10

    @grad.setter
    def grad(self, value: Any) -> None:
        Tenfold.cleared += value is None
        self._grad = value


def test_grad_of_a_subclass_is_its_own() -> None:
    @tj.script
    def shown(w: Any) -> Any:
        return (w * 2.0).detach() if w.grad is None else w.grad * 1.0

    @tj.script
    def clears(w: Any) -> None:
        w.grad = None

    w = Tenfold([1.0])
    for _ in range(4):
        w._grad = tj.tensor([1.0])
        assert shown(w).tolist() == [10.0]
        cleared = Tenfold.cleared
        clears(w)
        assert w._grad is None and Tenfold.cleared == cleared + 1
    plain = tj.tensor([1.0])
    plain.grad = tj.tensor([3.0])
    assert shown(plain).tolist() == [3.0]


def test_reading_grad_that_no_path_left_is_an_error() -> None:
    @tj.script
    def fn(w: Any, n: int) -> Any:
        w.grad = None
        for _ in range(n):
            (w * w).sum().backward()
        return w.grad * 1.0

    w = tj.tensor([1.0, 2.0], requires_grad=True)
    assert fn(w, 2).tolist() == [4.0, 8.0]
    with pytest.raises(TypeError, match="None"):
        fn(w, 0)


def step_without_clearing(w: Any, x: Any) -> Any:
    loss = (w * x).pow(2).sum()
    loss.backward()
    with tj.no_grad():
        w -= 0.1 * w.grad
    return loss


def read_after_backward(w: Any, x: Any) -> Any:
    (w * x).sum().backward()
    return w.grad * 1.0


def read_after_a_branch(w: Any, x: Any) -> Any:
    if x[0] > 0:
        (w * x).sum().backward()
    return w.grad * 1.0 if w.grad is not None else w * 0.0


def read_before_backward(w: Any, x: Any) -> Any:
    held = w.grad
    (w * x).sum().backward()
    (w * w).sum().backward()
    return w.grad * 1.0 if held is None else held + w.grad


def zeroed_in_place(w: Any, x: Any) -> Any:
    if w.grad is not None:
        w.grad.zero_()
    (w * x).sum().backward()
    return w.grad * 1.0


def only_read(w: Any, x: Any) -> Any:
    return x * 1.0 if w.grad is None else w.grad * x


@pytest.mark.parametrize(
    ("fn", "leaf"),
    [
        (step_without_clearing, True),
        (read_after_backward, True),
        (read_after_a_branch, True),
        (read_before_backward, True),
        (zeroed_in_place, True),
        (only_read, True),
        (only_read, False),
    ],
)
def test_grad_in_a_script_includes_what_it_held(fn: Callable[..., Any], leaf: bool) -> None:
    scripted = tj.script(fn)
    found: list[list[Any]] = []
    for run in (fn, scripted):
        w = tj.tensor([1.0, 2.0], requires_grad=leaf)
        rows: list[Any] = []
        for start in (None, "kept", "kept", [5.0, -1.0], "kept", None, "kept"):
            if start != "kept":
                w.grad = None if start is None else tj.tensor(start)
                if start is None and fn is read_after_a_branch:
                    w.grad = tj.tensor([1.0, 1.0])
            before = w.grad
            rows.append(run(w, tj.tensor([1.0, 3.0])).tolist())
            rows.append(None if w.grad is None else w.grad.tolist())
            rows.append(before is None or before is w.grad)  # it accumulates in place
            rows.append(w.tolist())
        found.append(rows)
    assert found[0] == found[1]
    assert scripted.compiles <= 2
    assert natively(scripted) >= 4


def test_gradients_of_outer_tensors_include_what_they_held() -> None:
    w = tj.tensor([1.0, 2.0], requires_grad=True)
    optimizer = optim.SGD([w], 0.5)

    @tj.script
    def step() -> None:
        (3.0 * w).sum().backward()
        optimizer.step()

    expected, total = np.array([1.0, 2.0]), 0.0
    for _ in range(5):
        step()
        total += 3.0
        expected -= 0.5 * total
        assert w.tolist() == expected.tolist() and w.grad.tolist() == [total, total]
    assert step.compiles == 2 and natively(step) >= 3


def test_clearing_to_zeros_in_a_script() -> None:
    nets = [network(), network()]
    for net, wrap in zip(nets, (lambda f: f, tj.script), strict=True):
        optimizer = optim.SGD(net.parameters(), 0.1)

        def step(x: Any, y: Any, net: Any = net, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad(set_to_none=False)
            nn.functional.mse_loss(net(x), y).backward()
            optimizer.step()

        run = wrap(step)
        for _ in range(4):
            run(*data())
    for p, q in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        np.testing.assert_allclose(q.detach().numpy(), p.detach().numpy(), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(q.grad.numpy(), p.grad.numpy(), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("to_zeros", [False, True])
def test_gradients_limited_in_a_loop_that_clears_them_by_hand(to_zeros: bool) -> None:
    def descend(w: Any, x: Any) -> Any:
        for _ in range(3):
            (w * x).pow(2).sum().backward()
            nn.utils.clip_grad_norm_([w], 1.0)
            with tj.no_grad():
                w.sub_(0.1 * w.grad)
            if to_zeros:
                w.grad.zero_()
            else:
                w.grad = None
        return w

    x, found = tj.tensor([1.0, 2.0, 3.0]), []
    for fn in (descend, tj.script(descend)):
        w = tj.tensor([1.0, -2.0, 0.5], requires_grad=True)
        fn(w, x)
        found.append(w.tolist())
    assert found[0] == pytest.approx(found[1], rel=1e-6)


@pytest.mark.compiled
def test_a_parameter_under_two_names_is_refused() -> None:
    p = nn.Parameter(tj.ones(3))
    optimizer = optim.SGD([p], lr=0.1)

    @tj.script
    def step(p: Any, target: Any) -> Any:
        optimizer.zero_grad()
        loss = ((p - target) ** 2).sum()
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(3):
        with pytest.raises(ValueError, match="also found outside"):
            step(p, tj.zeros(3))
    other = nn.Parameter(tj.ones(3))
    step(other, tj.zeros(3))
    assert other.grad.tolist() == [2.0] * 3 and p.grad is None


def normalised() -> nn.Sequential:
    tj.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))


def test_a_target_network_and_the_best_weights_are_loaded_in_a_script() -> None:
    found: list[Any] = []
    for wrap in (lambda f: f, tj.script):
        net, target = normalised(), normalised()
        optimizer = optim.SGD(net.parameters(), 0.5)

        def train(x: Any, y: Any, net: nn.Module = net, target: nn.Module = target, optimizer: Any = optimizer) -> Any:
            least, best = 1e9, {name: value.clone() for name, value in net.state_dict().items()}
            for i in range(6):
                optimizer.zero_grad()
                loss = nn.functional.mse_loss(net(x), y + 0.1 * target(x).detach())
                loss.backward()
                optimizer.step()
                if loss.item() < least:
                    least, best = loss.item(), {name: value.clone() for name, value in net.state_dict().items()}
                if i % 2:
                    target.load_state_dict(net.state_dict())
            loaded = net.load_state_dict(best)
            return least, len(loaded.missing_keys)

        least, missing = wrap(train)(*data())
        found.append([least, missing, *(v.numpy() for m in (net, target) for v in m.state_dict().values())])
    for eager, compiled in zip(*found, strict=True):
        np.testing.assert_allclose(compiled, eager, rtol=1e-4, atol=1e-6)


def test_weights_of_other_sizes_and_names_are_not_loaded() -> None:
    net, other, small = network(), network(5), nn.Linear(4, 2)

    def load(source: nn.Module) -> Any:
        return tj.script(lambda x: net.load_state_dict(source.state_dict()))(tj.zeros(1))

    with pytest.raises(RuntimeError, match="size mismatch for 0.weight"):
        load(other)
    with pytest.raises(tj.ScriptError, match="outside the language"):
        load(small)
