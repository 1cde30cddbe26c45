"""Optimizers against their formulas in NumPy, and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit import nn, optim


def trajectory(make: Callable[..., Any], steps: int = 5) -> np.ndarray:
    """Where minimising sum(p**4) / 4 leads."""
    p = nn.Parameter(tj.tensor([1.0, -2.0], dtype=tj.float64))
    optimizer = make([p])
    for _ in range(steps):
        optimizer.zero_grad()
        (p**4 / 4).sum().backward()
        optimizer.step()
    return p.detach().numpy().copy()


def by_hand(update: Callable[[np.ndarray, np.ndarray, dict[str, Any], int], np.ndarray], steps: int = 5) -> np.ndarray:
    p, state = np.array([1.0, -2.0]), {"v": np.zeros(2), "m": np.zeros(2)}
    for t in range(1, steps + 1):
        p = update(p, p**3, state, t)
    return p


def test_sgd() -> None:
    np.testing.assert_allclose(trajectory(lambda p: optim.SGD(p, lr=0.1)), by_hand(lambda p, g, s, t: p - 0.1 * g))


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_with_momentum_and_decay(nesterov: bool) -> None:
    def update(p: Any, g: Any, s: Any, t: int) -> Any:
        g = g + 0.01 * p
        s["v"] = g if t == 1 else 0.9 * s["v"] + g
        return p - 0.05 * (g + 0.9 * s["v"] if nesterov else s["v"])

    got = trajectory(lambda p: optim.SGD(p, 0.05, momentum=0.9, weight_decay=0.01, nesterov=nesterov))
    np.testing.assert_allclose(got, by_hand(update))


@pytest.mark.parametrize("decoupled", [False, True])
def test_adam_and_adamw(decoupled: bool) -> None:
    def update(p: Any, g: Any, s: Any, t: int) -> Any:
        if decoupled:
            p = p * (1 - 0.1 * 0.05)
        else:
            g = g + 0.05 * p
        s["m"] = 0.9 * s["m"] + 0.1 * g
        s["v"] = 0.999 * s["v"] + 0.001 * g * g
        return p - 0.1 * (s["m"] / (1 - 0.9**t)) / (np.sqrt(s["v"] / (1 - 0.999**t)) + 1e-8)

    make = optim.AdamW if decoupled else optim.Adam
    np.testing.assert_allclose(trajectory(lambda p: make(p, lr=0.1, weight_decay=0.05)), by_hand(update))


def test_rmsprop_and_adagrad() -> None:
    def rms(p: Any, g: Any, s: Any, t: int) -> Any:
        s["v"] = 0.99 * s["v"] + 0.01 * g * g
        return p - 0.01 * g / (np.sqrt(s["v"]) + 1e-8)

    def ada(p: Any, g: Any, s: Any, t: int) -> Any:
        s["v"] = s["v"] + g * g
        return p - 0.1 / (1 + (t - 1) * 0.5) * g / (np.sqrt(s["v"]) + 1e-10)

    np.testing.assert_allclose(trajectory(lambda p: optim.RMSprop(p)), by_hand(rms))
    np.testing.assert_allclose(trajectory(lambda p: optim.Adagrad(p, 0.1, lr_decay=0.5)), by_hand(ada))


def test_adadelta_and_adamax() -> None:
    def delta(p: Any, g: Any, s: Any, t: int) -> Any:
        s["v"] = 0.9 * s["v"] + 0.1 * g * g
        step = np.sqrt(s["m"] + 1e-6) / np.sqrt(s["v"] + 1e-6) * g
        s["m"] = 0.9 * s["m"] + 0.1 * step**2
        return p - step

    def largest(p: Any, g: Any, s: Any, t: int) -> Any:
        g = g + 0.05 * p
        s["m"] = 0.9 * s["m"] + 0.1 * g
        s["v"] = np.maximum(0.999 * s["v"], abs(g) + 1e-8)
        return p - 0.002 / (1 - 0.9**t) * s["m"] / s["v"]

    np.testing.assert_allclose(trajectory(lambda p: optim.Adadelta(p)), by_hand(delta))
    np.testing.assert_allclose(trajectory(lambda p: optim.Adamax(p, weight_decay=0.05)), by_hand(largest))
    with pytest.raises(ValueError, match="rho"):
        optim.Adadelta([nn.Parameter(tj.ones(1))], rho=1.5)


@pytest.mark.parametrize("decoupled", [False, True])
def test_nadam_and_radam(decoupled: bool) -> None:
    def averages(p: Any, g: Any, s: Any, rate: float) -> tuple[Any, Any]:
        p, g = (p * (1 - rate * 0.05), g) if decoupled else (p, g + 0.05 * p)
        s["m"], s["v"] = 0.9 * s["m"] + 0.1 * g, 0.95 * s["v"] + 0.05 * g * g
        return p, g

    def nesterov(p: Any, g: Any, s: Any, t: int) -> Any:
        p, g = averages(p, g, s, 0.1)
        now, later = (0.9 * (1 - 0.5 * 0.96 ** (u * 0.004)) for u in (t, t + 1))
        s["product"] = s.get("product", 1.0) * now
        size = np.sqrt(s["v"] / (1 - 0.95**t)) + 1e-8
        moved = (1 - now) / (1 - s["product"]) * g + later / (1 - s["product"] * later) * s["m"]
        return p - 0.1 * moved / size

    def rectified(p: Any, g: Any, s: Any, t: int) -> Any:
        p, g = averages(p, g, s, 0.1)
        limit, mean = 2 / 0.05 - 1, s["m"] / (1 - 0.9**t)
        length = limit - 2 * t * 0.95**t / (1 - 0.95**t)
        if length <= 5:
            return p - 0.1 * mean
        scale = (length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length)
        return p - 0.1 * mean * np.sqrt(scale * (1 - 0.95**t)) / (np.sqrt(s["v"]) + 1e-8)

    options = {"lr": 0.1, "betas": (0.9, 0.95), "weight_decay": 0.05, "decoupled_weight_decay": decoupled}
    for kind, update in ((optim.NAdam, nesterov), (optim.RAdam, rectified)):
        found = trajectory(lambda p, kind=kind: kind(p, **options), 9)
        np.testing.assert_allclose(found, by_hand(update, 9), rtol=1e-10)


def test_asgd_and_rprop() -> None:
    def averaged(p: Any, g: Any, s: Any, t: int) -> Any:
        eta = 0.1 / (1 + 0.01 * 0.1 * (t - 1)) ** 0.75
        return p * (1 - 0.01 * eta) - eta * g

    def signs(p: Any, g: Any, s: Any, t: int) -> Any:
        turn, step = g * s["m"], s.get("step", np.full(2, 0.3))
        s["step"] = np.clip(step * np.where(turn > 0, 1.2, np.where(turn < 0, 0.5, 1.0)), 1e-6, 50.0)
        s["m"] = np.where(turn < 0, 0.0, g)
        return p - np.sign(s["m"]) * s["step"]

    np.testing.assert_allclose(trajectory(lambda p: optim.ASGD(p, 0.1, lambd=0.01)), by_hand(averaged))
    np.testing.assert_allclose(trajectory(lambda p: optim.Rprop(p, 0.3), 8), by_hand(signs, 8))
    with pytest.raises(ValueError, match="etas"):
        optim.Rprop([nn.Parameter(tj.ones(1))], etas=(1.5, 2.0))
    p = nn.Parameter(tj.tensor([4.0]))
    optimizer = optim.ASGD([p], 0.1, lambd=0.0, t0=1)
    seen = []
    for _ in range(4):
        optimizer.zero_grad()
        p.sum().backward()
        optimizer.step()
        seen.append(p.item())
    assert optimizer.state[p]["ax"].item() == pytest.approx(np.mean(seen[2:]), rel=1e-6)


def rosenbrock(optimizer: Any, p: Any) -> Callable[[], Any]:
    def closure() -> Any:
        optimizer.zero_grad()
        loss = (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2
        loss.backward()
        return loss

    return closure


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_lbfgs_finds_the_end_of_a_valley(search: str | None) -> None:
    p = nn.Parameter(tj.tensor([-1.2, 1.0], dtype=tj.float64))
    optimizer = optim.LBFGS([p], max_iter=100, max_eval=200, line_search_fn=search)
    closure = rosenbrock(optimizer, p)
    assert optimizer.step(closure).item() == pytest.approx(24.2)
    optimizer.step(closure)
    np.testing.assert_allclose(p.detach().numpy(), [1.0, 1.0], atol=1e-4)
    before = p.detach().numpy().copy()
    optimizer.step(closure)
    np.testing.assert_allclose(p.detach().numpy(), before, atol=1e-4)


def test_lbfgs_is_newtons_method_on_a_quadratic_form() -> None:
    """With exact slopes and as many changes as axes it ends at the minimum; parameters of several shapes are one."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=(6, 6))
    form, right = tj.tensor(a @ a.T + np.eye(6)), tj.tensor(rng.normal(size=6))
    parts = [nn.Parameter(tj.zeros(2, 2, dtype=tj.float64)), nn.Parameter(tj.zeros(2, dtype=tj.float64))]
    optimizer = optim.LBFGS(parts, max_iter=60, max_eval=100, line_search_fn="strong_wolfe", tolerance_change=1e-14)
    calls = []

    @tj.script
    def energy(w: Any, v: Any) -> Any:
        x = tj.cat([w.reshape(-1), v])
        return x @ (form @ x) / 2 - right @ x

    def closure() -> Any:
        optimizer.zero_grad()
        loss = energy(*parts)
        loss.backward()
        calls.append(loss.item())
        return loss

    optimizer.step(closure)
    found = np.concatenate([p.detach().numpy().ravel() for p in parts])
    np.testing.assert_allclose(found, np.linalg.solve(form.numpy(), right.numpy()), atol=1e-6)
    assert len(calls) < 40 and calls[-1] <= min(calls) + 1e-12


def test_lbfgs_refuses_what_it_cannot_do() -> None:
    p, q = nn.Parameter(tj.ones(1)), nn.Parameter(tj.ones(1))
    with pytest.raises(ValueError, match="strong_wolfe"):
        optim.LBFGS([p], line_search_fn="armijo")
    with pytest.raises(ValueError, match="one group"):
        optim.LBFGS([{"params": [p]}, {"params": [q]}])
    with pytest.raises(TypeError, match="function"):
        optim.LBFGS([p]).step()


@pytest.mark.parametrize("kind", ["Adadelta", "Adamax", "NAdam", "RAdam", "ASGD", "Rprop"])
def test_compiled_steps_are_eager_ones(kind: str) -> None:
    def trained(compiled: bool) -> np.ndarray:
        p = nn.Parameter(tj.tensor([1.0, -2.0], dtype=tj.float64))
        optimizer = getattr(optim, kind)([p], lr=0.1)

        def step(t: Any) -> Any:
            optimizer.zero_grad()
            loss = ((p - t) ** 2).sum()
            loss.backward()
            optimizer.step()
            return loss

        run = tj.script(step) if compiled else step
        for _ in range(8):
            run(tj.tensor([0.5, 0.5], dtype=tj.float64))
        return p.detach().numpy()

    np.testing.assert_allclose(trained(True), trained(False), rtol=1e-12)


def test_options_run() -> None:
    for make in (
        lambda p: optim.Adam(p, amsgrad=True),
        lambda p: optim.RMSprop(p, momentum=0.5, centered=True),
        lambda p: optim.SGD(p, maximize=True),
    ):
        assert np.isfinite(trajectory(make)).all()


def test_groups_have_settings_of_their_own() -> None:
    a, b = nn.Parameter(tj.ones(1)), nn.Parameter(tj.ones(1))
    optimizer = optim.SGD([{"params": [a]}, {"params": b, "lr": 1.0}], lr=0.1)
    (a + b).sum().backward()
    optimizer.step()
    assert a.item() == pytest.approx(0.9) and b.item() == 0.0


def test_parameters_keep_identity_and_stay_leaves() -> None:
    p = nn.Parameter(tj.ones(2))
    memory = p.detach().numpy()
    optimizer = optim.SGD([p], lr=0.5)
    p.sum().backward()
    optimizer.step()
    assert p.is_leaf and p.requires_grad and memory.tolist() == [0.5, 0.5]


def test_closure_gives_the_loss() -> None:
    p = nn.Parameter(tj.ones(1))
    optimizer = optim.SGD([p], lr=0.1)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 1.0
    assert p.item() == pytest.approx(0.8)


def test_state_dict_round_trip() -> None:
    p, q = nn.Parameter(tj.ones(1)), nn.Parameter(tj.ones(1))
    first, second = optim.Adam([p], lr=0.1), optim.Adam([q], lr=0.5)
    for _ in range(3):
        (p * p).sum().backward()
        first.step()
    second.load_state_dict(first.state_dict())
    assert second.param_groups[0]["lr"] == 0.1
    assert second.state[q]["step"] == 3
    assert second.state[q]["exp_avg"].item() == first.state[p]["exp_avg"].item()
    assert second.state[q]["exp_avg"] is not first.state[p]["exp_avg"]


def test_misuse_is_refused() -> None:
    p = nn.Parameter(tj.ones(1))
    for wrong in (lambda: optim.SGD([], 0.1), lambda: optim.SGD([p], -1), lambda: optim.SGD([p, p], 0.1)):
        with pytest.raises(ValueError):
            wrong()
    with pytest.raises(ValueError):
        optim.SGD([p], 0.1, nesterov=True)
    with pytest.raises(TypeError):
        optim.SGD(p, 0.1)
    with pytest.raises(ValueError, match="leaf"):
        optim.SGD([p * 2], 0.1)


SCHEDULES: dict[str, tuple[Callable[[Any], Any], Callable[[int], float]]] = {
    "step": (lambda o: optim.lr_scheduler.StepLR(o, 3, 0.5), lambda e: 0.5 ** (e // 3)),
    "milestones": (lambda o: optim.lr_scheduler.MultiStepLR(o, [2, 5]), lambda e: 0.1 ** ((e >= 2) + (e >= 5))),
    "exponential": (lambda o: optim.lr_scheduler.ExponentialLR(o, 0.9), lambda e: 0.9**e),
    "cosine": (
        lambda o: optim.lr_scheduler.CosineAnnealingLR(o, 4, 0.1),
        lambda e: 0.1 + 0.9 * (1 + math.cos(math.pi * e / 4)) / 2,
    ),
    "linear": (lambda o: optim.lr_scheduler.LinearLR(o, 0.5, 1.0, 4), lambda e: 0.5 + 0.125 * min(e, 4)),
    "function": (lambda o: optim.lr_scheduler.LambdaLR(o, lambda e: 1 / (e + 1)), lambda e: 1 / (e + 1)),
    "product": (lambda o: optim.lr_scheduler.MultiplicativeLR(o, lambda e: 1 / e), lambda e: 1 / math.factorial(e)),
    "constant": (lambda o: optim.lr_scheduler.ConstantLR(o, 0.3, 4), lambda e: 0.3 if e < 4 else 1.0),
    "polynomial": (lambda o: optim.lr_scheduler.PolynomialLR(o, 5, 2.0), lambda e: (1 - min(e, 5) / 5) ** 2),
    "sequence": (
        lambda o: optim.lr_scheduler.SequentialLR(
            o, [optim.lr_scheduler.LinearLR(o, 0.1, total_iters=3), optim.lr_scheduler.ExponentialLR(o, 0.9)], [4]
        ),
        lambda e: 0.1 + 0.3 * min(e, 3) if e < 4 else 0.9 ** (e - 4),
    ),
    "chain": (
        lambda o: optim.lr_scheduler.ChainedScheduler(
            [optim.lr_scheduler.ConstantLR(o, 0.1, 3), optim.lr_scheduler.ExponentialLR(o, 0.9)]
        ),
        lambda e: 0.9**e * (0.1 if e < 3 else 1.0),
    ),
}


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_schedules(name: str) -> None:
    make, expected = SCHEDULES[name]
    optimizer = optim.SGD([nn.Parameter(tj.ones(1))], lr=1.0)
    scheduler = make(optimizer)
    for epoch in range(8):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(expected(epoch))
        assert scheduler.get_last_lr() == [optimizer.param_groups[0]["lr"]]
        scheduler.step()
    state = scheduler.state_dict()
    other = make(optim.SGD([nn.Parameter(tj.ones(1))], lr=1.0))
    other.load_state_dict(state)
    assert other.last_epoch == 8


#: Rates (and momentum) of PyTorch 2.13 for the same arguments, in its SGD with lr=1, momentum=0.9.
ONE_CYCLE = [0.04, 0.253326, 0.703688, 0.990777, 0.983647, 0.919044, 0.811746, 0.672684, 0.516028, 0.357739]
ONE_CYCLE_MOMENTUM = [0.95, 0.927779, 0.880866, 0.850961, 0.851635, 0.858096, 0.868826, 0.882732, 0.898397, 0.914226]
THREE_PHASES = [0.1, 0.38125, 0.6625, 0.94375, 0.775, 0.49375, 0.2125, 0.091, 0.076, 0.061, 0.046, 0.031, 0.016, 0.001]
TRIANGLES = [0.1, 0.4, 0.7, 1.0, 0.7, 0.4, 0.1, 0.25, 0.4, 0.55, 0.4, 0.25, 0.1, 0.175, 0.25]
RESTARTS = [1.0, 0.7525, 0.2575, 1.0, 0.93368257, 0.7525, 0.505, 0.2575, 0.07631743, 1.0, 0.98313328, 0.93368257]
METRICS = [1, 0.9, 0.95, 0.96, 0.97, 0.91, 0.92, 0.93, 0.99, 0.5, 0.6, 0.7, 0.8, 0.9]
PLATEAUS: list[tuple[dict[str, Any], list[float]]] = [
    ({"patience": 2}, [1, 1, 1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01, 0.01, 0.001, 0.001]),
    (
        {"mode": "max", "patience": 1, "factor": 0.5, "threshold": 0.01, "threshold_mode": "abs", "cooldown": 1}
        | {"min_lr": 0.2},
        [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2],
    ),
    ({"patience": 0, "min_lr": [0.01], "eps": 0.05}, [1, 1, 1, 0.1] + [0.01] * 11),
]


def schedule(make: Callable[[Any], Any], count: int, metrics: list[float] | None = None) -> list[tuple[float, float]]:
    optimizer = optim.SGD([nn.Parameter(tj.ones(1))], lr=1.0, momentum=0.9)
    scheduler = make(optimizer)
    group = optimizer.param_groups[0]
    found = [(group["lr"], group["momentum"])]
    for i in range(count - 1):
        scheduler.step() if metrics is None else scheduler.step(metrics[i])
        found.append((group["lr"], group["momentum"]))
    return found


def test_schedules_that_move_the_momentum_too() -> None:
    lr = optim.lr_scheduler
    rates, momenta = zip(*schedule(lambda o: lr.OneCycleLR(o, 1.0, total_steps=14), 10))
    assert rates == pytest.approx(ONE_CYCLE, abs=1e-6) and momenta == pytest.approx(ONE_CYCLE_MOMENTUM, abs=1e-6)
    options = {"anneal_strategy": "linear", "three_phase": True, "div_factor": 10.0, "final_div_factor": 100.0}
    rates, _ = zip(*schedule(lambda o: lr.OneCycleLR(o, [1.0], epochs=2, steps_per_epoch=7, **options), 14))
    assert rates == pytest.approx(THREE_PHASES, abs=1e-6)
    rates, momenta = zip(*schedule(lambda o: lr.CyclicLR(o, 0.1, 1.0, 3, mode="triangular2"), 15))
    assert rates == pytest.approx(TRIANGLES)
    assert momenta[3] == pytest.approx(0.8) and momenta[6] == pytest.approx(0.9)
    adam = optim.Adam([nn.Parameter(tj.ones(1))])
    lr.OneCycleLR(adam, 1.0, total_steps=14)
    assert adam.param_groups[0]["betas"] == (0.95, 0.999)
    with pytest.raises(ValueError, match="momentum"):
        lr.CyclicLR(optim.Adagrad([nn.Parameter(tj.ones(1))]), 0.1, 1.0)
    with pytest.raises(ValueError, match="total_steps"):
        lr.OneCycleLR(adam, 1.0)


def test_warm_restarts() -> None:
    rates, _ = zip(*schedule(lambda o: optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 3, 2, 0.01), 12))
    assert rates == pytest.approx(RESTARTS, abs=1e-6)


@pytest.mark.parametrize("number", range(len(PLATEAUS)))
def test_plateaus(number: int) -> None:
    options, expected = PLATEAUS[number]
    rates, _ = zip(*schedule(lambda o: optim.lr_scheduler.ReduceLROnPlateau(o, **options), 15, METRICS))
    assert rates == pytest.approx(expected)


def test_two_layer_network_learns() -> None:
    tj.manual_seed(0)
    x = tj.randn(64, 5)
    y = (x[:, :1] * x[:, 1:2]).detach()
    net = nn.Sequential(nn.Linear(5, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = optim.Adam(net.parameters(), lr=0.02)
    losses = []
    for _ in range(150):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(net(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]


def test_what_is_no_list_of_parameters_or_no_optimizer_is_refused() -> None:
    net = nn.Linear(2, 2)
    with pytest.raises(TypeError, match=r"module.parameters\(\)"):
        optim.SGD(net, lr=0.1)
    with pytest.raises(TypeError, match="made for an optimizer"):
        optim.lr_scheduler.StepLR(0.1, 2)
