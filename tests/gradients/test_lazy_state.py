"""Optimisers written by hand whose state comes when it is first needed, and training loops that are differentiated
through such state, against eager code."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.cases import Cases, Program
from tests.programs.compare import agree, observe
from tracejit import script

case = Cases()

_RNG = np.random.default_rng(3)


def _tensor(*sizes: int) -> Any:
    return tj.tensor(_RNG.normal(size=sizes).astype(np.float32))


X, Y, W, B = _tensor(5, 3), _tensor(5), _tensor(3), _tensor(1)


def new_state(p: Any) -> Any:
    return {"m": tj.zeros_like(p), "v": tj.zeros_like(p), "t": 0}


def adam(s: Any, p: Any) -> Any:
    s["t"] += 1
    s["m"] = 0.9 * s["m"] + 0.1 * p.grad
    s["v"] = 0.99 * s["v"] + 0.01 * p.grad**2
    return (s["m"] / (1 - 0.9 ** s["t"])) / ((s["v"] / (1 - 0.99 ** s["t"])).sqrt() + 1e-8)


@case((X, Y, W, B, 3), (X, Y, W, B, 1))
def by_name(x: Any, y: Any, w0: Any, b0: Any, n: int) -> Any:
    w, b = w0.clone().requires_grad_(), b0.clone().requires_grad_()
    state: Any = {}
    for _ in range(n):
        loss = ((x @ w + b - y) ** 2).mean()
        loss.backward()
        with tj.no_grad():
            for name, p in {"w": w, "b": b}.items():
                if name not in state:
                    state[name] = new_state(p)
                p -= 0.1 * adam(state[name], p)
                p.grad = None
    return w.detach(), b.detach()


@case((X, Y, W, B, 3))
def tuples_and_momentum(x: Any, y: Any, w0: Any, b0: Any, n: int) -> Any:
    w, b = w0.clone().requires_grad_(), b0.clone().requires_grad_()
    state: Any = {}
    moments: Any = {}
    for _ in range(n):
        loss = ((x @ w + b - y) ** 2).mean()
        loss.backward()
        with tj.no_grad():
            for name, p in {"w": w, "b": b}.items():
                if name not in state:
                    state[name] = (tj.zeros_like(p), 0)
                m, t = state[name]
                m = 0.9 * m + p.grad
                state[name] = (m, t + 1)
                v = moments.setdefault(name, tj.zeros_like(p))
                v.mul_(0.9).add_(p.grad)
                p -= 0.1 * m / (t + 1) + 0.01 * v
                p.grad = None
    return w.detach(), b.detach()


class Adam:
    def __init__(self, params: Any) -> None:
        self.params = params
        self.state: Any = {}

    def step(self) -> None:
        with tj.no_grad():
            for i, p in enumerate(self.params):
                st = self.state.setdefault(i, {})
                if len(st) == 0:
                    st.update(new_state(p))
                p -= 0.05 * adam(st, p)
                p.grad = None


@case((X, Y, W, B, 3), (X, Y, W, B, 1))
def of_a_class(x: Any, y: Any, w0: Any, b0: Any, n: int) -> Any:
    w, b = w0.clone().requires_grad_(), b0.clone().requires_grad_()
    opt = Adam([w, b])
    for _ in range(n):
        loss = ((x @ w + b - y) ** 2).mean()
        loss.backward()
        opt.step()
    return w.detach(), b.detach()


@case((X, Y, W, 3))
def made_by_a_defaultdict(x: Any, y: Any, w0: Any, n: int) -> Any:
    w = w0.clone().requires_grad_()
    state: Any = defaultdict(dict)
    for _ in range(n):
        loss = ((x @ w - y) ** 2).mean()
        loss.backward()
        st = state["w"]
        if "step" not in st:
            st["step"] = 0
            st["m"] = tj.zeros_like(w)
        st["step"] += 1
        st["m"] = 0.9 * st["m"] + w.grad
        with tj.no_grad():
            w -= 0.1 * st["m"] / st["step"]
        w.grad = None
    return w.detach()


class Momentum:
    def __init__(self, p: Any) -> None:
        self.p = p
        self.buf: Any = None

    def step(self) -> None:
        if self.buf is None:
            self.buf = self.p.grad.clone()
        else:
            self.buf = 0.9 * self.buf + self.p.grad
        with tj.no_grad():
            self.p -= 0.1 * self.buf
        self.p.grad = None


@case((X, Y, W, B, 3), (X, Y, W, B, 1))
def attributes_that_are_none_at_first(x: Any, y: Any, w0: Any, b0: Any, n: int) -> Any:
    w, b = w0.clone().requires_grad_(), b0.clone().requires_grad_()
    parts = [Momentum(w), Momentum(b)]
    for _ in range(n):
        loss = ((x @ w + b - y) ** 2).mean()
        loss.backward()
        for part in parts:
            part.step()
    return w.detach(), b.detach()


@case((X, Y, W, 0.2, 3), (X, Y, W, 0.2, 1))
def differentiated_through_it(x: Any, y: Any, w0: Any, lr0: float, n: int) -> Any:
    lr, w = tj.tensor(lr0, requires_grad=True), w0.clone().requires_grad_()
    params: Any = {"w": w, "b": tj.tensor(0.1)}
    state: Any = {}
    for _ in range(n):
        e = x @ params["w"] + params["b"] - y
        for name, g in {"w": 2 * x.T @ e / 5, "b": 2 * e.mean()}.items():
            if name not in state:
                state[name] = {"m": g * 0, "t": 0}
            s = state[name]
            s["t"] += 1
            s["m"] = 0.9 * s["m"] + g
            params[name] = params[name] - lr * s["m"] / s["t"]
    loss = ((x @ params["w"] + params["b"] - y) ** 2).mean()
    loss.backward()
    return loss.detach(), lr.grad, w.grad


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_lazy_state(fn: Program, calls: tuple[tuple[Any, ...], ...]) -> None:
    scripted = script(fn)
    for arguments in calls:
        agree(observe(fn, arguments), observe(scripted, arguments), 1e-4)
