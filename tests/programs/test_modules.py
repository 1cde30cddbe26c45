"""Scripted modules against the same modules in plain Python: attributes, buffers, containers, methods, state."""

from __future__ import annotations

from typing import Any, Dict, Final, List, Optional

import numpy as np
import pytest

import tracejit as tj
from tests.programs.cases import T
from tests.programs.compare import check
from tracejit import Tensor, nn, script


def eq(a, b):
    assert np.allclose(
        np.asarray(a.detach() if isinstance(a, Tensor) else a),
        np.asarray(b.detach() if isinstance(b, Tensor) else b),
        atol=1e-5,
    ), (a, b)


class Base(nn.Module):
    __constants__ = ["k"]

    def __init__(self, k=2):
        super().__init__()
        self.k = k
        self.lin = nn.Linear(3, 3)
        self.w = nn.Parameter(T(3))
        self.register_buffer("buf", tj.zeros(3))
        self.name = "base"
        self.act = None
        self.hist = [1.0, 2.0]
        self.cfg = {"a": 1.0}
        self.counter = 0

    def helper(self, x):
        return x * self.k

    def forward(self, x):
        return self.helper(self.lin(x)) + self.w


class Der(Base):
    def forward(self, x):
        y = super().forward(x)
        return y + 1 if self.training else y - 1


class Expert(tj.nn.Module):
    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.weight = tj.nn.Parameter(tj.ones(2) * scale)

    def forward(self, x: Any) -> Any:
        return x * self.weight + self.scale


class Experts(tj.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.small, self.large = Expert(1.0), Expert(3.0)

    def forward(self, x: Any) -> Any:
        chosen = self.small if x.sum() > 0 else self.large
        return chosen(x), chosen.weight, chosen.scale, isinstance(chosen, Expert), chosen is self.small


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_module_chosen_by_a_condition(sign: float) -> None:
    module, x = Experts(), tj.ones(2) * sign
    check(lambda x: module(x), x)
    slopes = []
    for call in (module, tj.script(module)):
        for p in module.parameters():
            p.grad = None
        call(x)[0].sum().backward()
        slopes.append([[0.0, 0.0] if p.grad is None else p.grad.tolist() for p in module.parameters()])
    assert slopes[0] == slopes[1]


def test_inherit():
    m = Der()
    s = script(m)
    x = T(2, 3)
    eq(s(x), m(x))
    m.eval()
    eq(s(x), m(x))
    m.train()
    eq(s(x), m(x))
    assert s.script.compiles <= 2, s.script.compiles


class Buf(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("run", tj.zeros(3))
        self.n = 0
        self.last = None

    def forward(self, x):
        self.run += x
        self.n += 1
        self.last = x * 2
        if self.n > 2:
            self.run *= 0.5
        return self.run.sum() * self.n


def test_buffers():
    a, b = Buf(), Buf()
    s = script(b)
    for i in range(5):
        eq(a(T(3)), s(T(3)))
        eq(a.run, b.run)
        assert a.n == b.n
        eq(a.last, b.last)


class Lists(nn.Module):
    def __init__(self):
        super().__init__()
        self.ls = nn.ModuleList([nn.Linear(3, 3) for _ in range(3)])
        self.d = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.ReLU()})
        self.seq = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))

    def forward(self, x, i: int = 0):
        for l in self.ls:
            x = l(x)
        for i, l in enumerate(self.ls):
            x = l(x) * (i + 1)
        for l in reversed(self.ls):
            x = l(x)
        x = self.ls[0](x) + self.ls[-1](x)
        for k, v in self.d.items():
            x = v(x)
        for k in self.d:
            x = self.d[k](x)
        for v in self.d.values():
            x = v(x)
        x = self.seq(x)
        for m in self.seq:
            x = m(x)
        x = self.seq[0](x)
        for a, b in zip(self.ls, self.seq):
            x = b(a(x))
        if "a" in self.d:
            x = self.d["a"](x)
        for l in self.ls[1:]:
            x = l(x)
        return x * len(self.ls) + len(self.d) + len(self.seq)


def test_lists():
    m = Lists()
    eq(script(m)(T(2, 3)), m(T(2, 3)))


def test_state():
    m = Base()
    s = script(m)
    sd = s.state_dict()
    m2 = Base()
    m2.load_state_dict(sd)
    eq(script(m2)(T(3)), s(T(3)))
    ps = list(s.parameters())
    assert len(ps) == 3
    assert dict(s.named_parameters()).keys() == dict(m.named_parameters()).keys()
    l = s(T(3)).sum()
    l.backward()
    assert m.w.grad is not None and m.lin.weight.grad is not None
    g = m.w.grad.numpy().copy()
    m.w.grad = None
    m(T(3)).sum().backward()
    eq(g, m.w.grad)
    m.k = 5
    eq(s(T(3)), m(T(3)))
    s.eval()
    assert not m.training
    s.train()
    assert m.training
    assert s.k == 5 and s.training


def test_freeze():
    m = Base()
    m.lin.weight.requires_grad = False
    s = script(m)
    s(T(3)).sum().backward()
    assert m.lin.weight.grad is None and m.w.grad is not None


def test_shared():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(3, 3)
            self.b = nn.Linear(3, 3)
            self.b.weight = self.a.weight

        def forward(self, x):
            return self.b(self.a(x))

    m = Tied()
    s = script(m)
    eq(s(T(2, 3)), m(T(2, 3)))
    s(T(2, 3)).sum().backward()
    g = m.a.weight.grad.numpy().copy()
    m.a.weight.grad = None
    m(T(2, 3)).sum().backward()
    eq(g, m.a.weight.grad)


def test_containers_attr():
    class C(nn.Module):
        def __init__(self):
            super().__init__()
            self.hist = [1.0, 2.0]
            self.cfg = {"a": 1.0}
            self.pair = (1, 2.0)
            self.ts = [T(3), T(3)]

        def forward(self, x):
            s = 0.0
            for h in self.hist:
                s += h
            self.hist.append(s)
            self.cfg["a"] += 1.0
            self.cfg["b"] = 2.0
            a, b = self.pair
            for t in self.ts:
                x = x + t
            return x * s * self.cfg["a"] * a * b

    m, n = C(), C()
    s = script(n)
    for _ in range(3):
        eq(s(T(3)), m(T(3)))
        assert m.hist == n.hist and m.cfg == n.cfg, (m.hist, n.hist, m.cfg, n.cfg)


def test_methods():
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(T(3))

        @script
        def forward(self, x):
            return self.helper(x, scale=2.0) + self.stat(x) + self.prop

        def helper(self, x, *, scale):
            return x * self.w * scale

        @staticmethod
        def stat(x):
            return x + 1

        @property
        def prop(self):
            return self.w.sum()

        @script
        def other(self, x):
            return self.forward(x) * 2

    m = M()
    eq(m(T(3)), T(3) * T(3) * 2 + T(3) + 1 + 6)
    eq(m.other(T(3)), m(T(3)) * 2)


def test_optional_sub():
    class Down(nn.Module):
        def __init__(self, d):
            super().__init__()
            self.down = nn.Linear(3, 3) if d else None
            self.drop = nn.Dropout(0.0)

        def forward(self, x, mask: Optional[Tensor] = None):
            y = x
            if self.down is not None:
                y = self.down(x)
            if mask is not None:
                y = y * mask
            return self.drop(y)

    for d in (True, False):
        m = Down(d)
        s = script(m)
        eq(s(T(3)), m(T(3)))
        eq(s(T(3), T(3)), m(T(3), T(3)))
        eq(s(T(3), mask=T(3)), m(T(3), T(3)))


def test_annotated():
    class A(nn.Module):
        k: Final[int]
        outs: List[Tensor]

        def __init__(self):
            super().__init__()
            self.k = 3
            self.outs = []

        def forward(self, x: Tensor) -> Dict[str, Tensor]:
            out: Dict[str, Tensor] = {}
            for i in range(self.k):
                out[str(i)] = x * i
            return out

    m = A()
    r = script(m)(T(3))
    e = m(T(3))
    assert r.keys() == e.keys(), (r, e)
    [eq(r[k], e[k]) for k in e]


def test_plainobj():
    class Cfg:
        def __init__(self):
            self.scale = 2.0
            self.mode = "a"

        def apply(self, x):
            return x * self.scale

    class P(nn.Module):
        def __init__(self):
            super().__init__()
            self.cfg = Cfg()
            self.steps = 0

        def forward(self, x):
            self.cfg.scale += 1.0
            for i in range(3):
                self.steps += i
            return self.cfg.apply(x) + (1 if self.cfg.mode == "a" else 2)

    m, n = P(), P()
    s = script(n)
    for _ in range(3):
        eq(s(T(3)), m(T(3)))
        assert m.cfg.scale == n.cfg.scale and m.steps == n.steps


def test_two_instances():
    f = Base(2), Base(3)

    @script
    def g(m, x):
        return m(x)

    for m in f:
        eq(g(m, T(3)), m(T(3)))


def test_module_in_fn():
    m = Base()

    @script
    def g(x):
        return m(x) * 2

    eq(g(T(3)), m(T(3)) * 2)
    m.k = 7
    eq(g(T(3)), m(T(3)) * 2)


def test_attr_write_branch():
    class W(nn.Module):
        def __init__(self):
            super().__init__()
            self.best = 0.0
            self.h = tj.zeros(3)

        def forward(self, x):
            v = x.sum().item()
            if v > self.best:
                self.best = v
            for i in range(2):
                self.h = self.h + x
            return self.h * self.best

    m, n = W(), W()
    s = script(n)
    for _ in range(3):
        eq(s(T(3)), m(T(3)))
        assert abs(m.best - n.best) < 1e-6
        eq(m.h, n.h)


class Repeated(nn.Module):
    def __init__(self):
        super().__init__()
        self.step = nn.Sequential(nn.Linear(3, 3))
        self.calls = 0

    def forward(self, x, n: int):
        self.calls += 1
        for _ in range(n):
            x = self.step(x)
            if x.abs().max() > 10.0:
                return x / 4
        return x + 4


def test_a_counted_forward_with_a_return_in_its_loop_has_a_gradient() -> None:
    slopes = []
    net = Repeated()
    for call in (net, script(net)):
        net.zero_grad()
        call(T(2, 3), 2).sum().backward()
        slopes.append([p.grad.clone() for p in net.parameters()])
    for a, b in zip(*slopes, strict=True):
        eq(a, b)
    assert net.calls == 2


class Frozen(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.lin = nn.Linear(3, 3)

    def train(self, mode=True):
        super().train(mode)
        self.norm.eval()
        return self

    def forward(self, x):
        return self.lin(self.norm(x))


def test_modes_of_trees_of_modules_are_set() -> None:
    def steps(x, net, n):
        def halve(module):
            if isinstance(module, nn.Linear):
                with tj.no_grad():
                    module.weight.mul_(0.5)

        total = x.sum() * 0
        for _ in range(n):
            net.train()
            total += net(x).sum()
            net.apply(halve).eval()
            total += net(x).sum()
        return total, net[0].norm.training, net.training

    def network():
        tj.manual_seed(0)
        return nn.Sequential(Frozen(), nn.Sequential(nn.BatchNorm1d(3), nn.Sequential(nn.Linear(3, 2))))

    found, nets = [], (network(), network())
    for run, net in zip((steps, script(steps)), nets, strict=True):
        found.append(run(T(4, 3), net, 3))
    eq(*(total for total, *_ in found))
    assert found[0][1:] == found[1][1:] == (False, False)
    for a, b in zip(*(net.state_dict().values() for net in nets), strict=True):
        eq(a, b)
    assert not any(module.training for module in nets[1].modules())


@pytest.mark.compiled
def test_an_error_in_a_layer_is_at_the_users_line() -> None:
    with tj.no_grad(), pytest.raises(ValueError, match="mismatch in its core dimension") as caught:
        script(Repeated())(T(2, 4), 1)
    last = caught.traceback[-1]
    assert (str(last.path), last.name) == (__file__, "forward")
    assert str(last.statement).strip() == "x = self.step(x)"
