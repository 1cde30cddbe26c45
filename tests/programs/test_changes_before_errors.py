"""What a script set in objects, dicts, lists and `.grad` of its caller before an error is set, as in Python."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.cases import A, Cases, T, run
from tests.programs.effects import generate
from tests.programs.test_random_effects import load
from tracejit import nn
from tracejit.frontend.boundary.reports import Reports
from tracejit.ir.reached import Masks

case = Cases()


class Thing:
    def __init__(self):
        self.n = 1
        self.x = 0.5
        self.a = np.arange(4.0)


@dataclass
class Body:
    position: Any = field(default_factory=lambda: np.arange(3.0))
    mass: float = 2.0
    trace: list[Any] = field(default_factory=lambda: [0.5])
    count: int = 0


@case((Thing(), 0), (Thing(), 1))
def attribute_that_is_set_again_later(o, k):
    o.n = o.n + 1
    y = 1 // k
    o.n = 10
    return y


@case((Thing(), 3), (Thing(), 0), (Thing(), 9))
def attributes_in_a_loop(o, k):
    for i in range(5):
        o.n += i
        o.x = o.x * 2
        if i == k:
            raise ValueError(f"at {i}")
    return o.n


@case((Thing(), A(4), 2), (Thing(), A(4), 7), (Thing(), A(4), 1))
def array_in_an_attribute(o, a, k):
    o.a = a * 2
    a[0] = 9
    o.a[1] = a[k]
    o.a = o.a + 1
    assert k < 2, "big"
    return o.a.sum()


@case(*[(Thing(), k) for k in range(-1, 4)])
def attributes_in_branches(o, k):
    if k > 0:
        o.n = 5
        if k > 1:
            o.x = 0.25
            y = 10 // (k - 2)
        else:
            o.x = 7.0
            y = 0
    else:
        o.n = 7
        y = 1 // k
    o.n = 1
    return o.x + y


@case((Thing(), 0), (Thing(), 1), (Thing(), 2))
def attributes_first_met_in_one_branch(o, k):
    if k > 1:
        o.n = 5
    else:
        o.x = 2.0
        o.a[0] = 1 // k
    return o.n


def _doubled(o, k):
    o.n = o.n * 2
    if o.n > k:
        raise ValueError("too big")
    return o.n


@case((Thing(), 100), (Thing(), 10**9))
def attribute_set_by_a_function(o, k):
    total = 0
    while total < 1000:
        total += _doubled(o, k)
    return total


@case((np.ones(3), np.ones(4), Thing()), (np.ones(3), np.ones(3), Thing()))
def sizes_that_do_not_fit(a, b, o):
    o.n = 3
    return (a + b).sum()


@case((np.ones(3), np.zeros((3, 3)), Thing()), (np.ones(3), np.eye(3), Thing()), (np.ones(4), np.eye(3), Thing()))
def singular_matrix(a, m, o):
    o.n = 3
    o.a = m @ a
    o.x = 1.5
    return np.linalg.inv(m)


@case(([1.0], 2), ([1.0], 9), ([], 3))
def list_that_grows(l, k):
    for i in range(5):
        l.append(i * 2.0)
        if i == k:
            raise KeyError("k")
    return len(l)


@case(([1, 2, 3], 2), ([1, 2, 3], 7))
def list_that_shrinks(l, k):
    while len(l) > 0:
        v = l.pop()
        if v == k:
            raise KeyError(f"{v}")
    return 0


@case(([3, 1, 2], 0), ([3, 1, 2], 1))
def list_that_is_sorted_and_cleared(l, k):
    l.sort()
    l.reverse()
    l.extend([1, 2])
    y = 1 // k
    l.clear()
    return y


@case(([np.zeros(2)], 3), ([np.zeros(2)], 0), ([np.zeros(2)], 1))
def list_of_arrays(l, k):
    l.append(np.zeros(2))
    l.append(np.ones(2) * k)
    l[0][0] = 5
    if k > 2:
        raise IndexError("three")
    l.pop()
    y = 1 // k
    return len(l) + y


@case(({"old": 1, "n": 2}, 0), ({"old": 1, "n": 2}, 3))
def dict_items(d, k):
    d["new"] = np.arange(3.0) * k
    del d["old"]
    d["n"] += 1
    assert k, "no"
    return d["new"]


@case(*[(Body(), k) for k in (0, 3, 100)])
def dataclass_in_a_loop(p, k):
    for i in range(6):
        p.position = p.position + p.mass
        p.trace.append(p.mass * i)
        p.count += 1
        p.mass = p.mass * 2
        if p.count > k:
            raise RuntimeError(f"count {p.count}")
    return p.position


@case(*[(Body(), k) for k in range(4)])
def attributes_of_other_kinds(p, k):
    p.position = (p.mass, k)
    p.trace = [1, 2, k]
    y = 1 // k
    p.position = None
    y = 1 // (k - 1)
    p.position = "done"
    return y + 1 // (k - 2)


@case(*[(Body(), k) for k in range(7)])
def early_return_and_break(p, k):
    if k > 1:
        p.trace.append(1.0)
        for i in range(k):
            if i == 2:
                p.count = i
                break
            p.trace.append(2.0)
            p.mass = p.mass * 1.5
        else:
            p.count = -1
        if k == 5:
            return 0.0
        1 // (k - 4)
    else:
        p.mass = -1.0
        1 // k
    return p.mass


def _product(n, k):
    if n == k:
        raise ValueError("reached")
    return 1 if n < 2 else n * _product(n - 1, k)


@case((Body(), 5, 3), (Body(), 5, 9))
def function_that_calls_itself_raises(p, n, k):
    p.count = 7
    y = _product(n, k)
    p.count = 8
    return y


@case((0, [1]), (1, [1]))
def prints_between(k, l):
    print("a", k)
    l.insert(0, 5)
    print("b", k * 2)
    y = 1 // k
    print("c")
    return y


@case(*[(Thing(), Thing(), Body(), k) for k in range(13)])
def an_error_at_each_place(o, p, q, k):
    o.n = 2
    1 // k
    p.n = o.n + k
    o.x = 1.0 / (k - 1)
    q.position = o.a * 2
    q.position[0] = 1 // (k - 2)
    o.n = 1  # as it was
    p.n = 3 // (k - 3)
    q.position = q.position + 1
    p.x = q.mass / (k - 4)
    p.a = q.position * k
    q.trace.append(p.x / (k - 5))
    o.n = p.n
    if k > 6:
        o.x = p.x
        q.count = 1 // (k - 7)
        p.a = p.a - 1
        q.mass = 3.0 / (k - 8)
        o.n = 6
    else:
        q.position = None
        q.count = 1 // (k - 6)
    o.a = o.a + q.mass
    p.x = 1.0 / (k - 9)
    for i in range(3):
        o.n += i
        p.n = 1 // (k - 9 - i)
        q.mass = q.mass * 2
    q.position = (p.n, o.x)
    return 1 // (k - 12)


@case(*[(Body(), k) for k in range(6)])
def attributes_that_come_and_go(q, k):
    q.extra = k
    1 // k
    q.mass = 3.0
    del q.extra
    1 // (k - 1)
    q.extra = (q.mass, k)
    1 // (k - 2)
    q.mass = 2.0
    del q.count
    return 1 // (k - 3)


@case(*[(Thing(), k) for k in range(8)])
def errors_that_are_caught(o, k):
    o.n = 3
    try:
        o.x = 1 / k
        o.n = 5
        y = 10 // (k - 1)
        o.n = 7
        y += 1 // (k - 2)
    except ZeroDivisionError:
        y = 0
        o.x = 2.0
    z = 1 // (k - 3)
    o.n = 6
    assert k != 4
    for i in range(3):
        try:
            o.n += 1 // (k - 4 - i)
        except ZeroDivisionError:
            o.x = 1.0 / (k - 6)
    return y + z + 1 // (k - 7)


@case(*[([Thing() for _ in range(5)], k) for k in range(6)])
def each_of_many_objects(things, k):
    for i, o in enumerate(things):
        for p in things:
            o.x = p.n / (k - i)
            p.n += 1
    return things[0].x


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_is_plain_python(fn, calls):
    run(fn, calls)


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.calls = 0
        self.register_buffer("mean", tj.zeros(2))
        with tj.no_grad():
            self.linear.weight.fill_(0.5)

    def forward(self, x, k):
        self.calls += 1
        y = self.linear(x)
        self.mean.mul_(0.9)
        self.mean = self.mean + y.detach().sum(0) * 0.1
        if k == 0:
            raise ValueError("zero")
        self.calls += 10
        return y[k].sum()


@pytest.mark.parametrize("sizes", [(2, 3), (2, 4)])
@pytest.mark.parametrize("k", [0, 1, 5])
def test_a_module_keeps_what_forward_set(k, sizes):
    plain = Counting()
    compiled = copy.deepcopy(plain)
    kinds = []
    for module in (plain, tj.script(compiled)):
        try:
            module(T(*sizes), k)
            kinds.append(None)
        except Exception as error:
            kinds.append(type(error))
    assert kinds[0] is kinds[1]
    assert plain.calls == compiled.calls
    np.testing.assert_allclose(plain.mean.numpy(), compiled.mean.numpy(), rtol=1e-6)


def _step(w, x, k):
    loss = ((w * x) ** 2).sum()
    loss.backward()
    1 // k
    with tj.no_grad():
        w -= 0.1 * w.grad
    1 // (k - 1)
    w.grad = None
    1 // (k - 2)
    return loss


@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_gradients_left_before_an_error_are_left(k):
    plain, compiled = T(3).requires_grad_(), T(3).requires_grad_()
    for fn, w in ((_step, plain), (tj.script(_step), compiled)):
        if k < 3:
            with pytest.raises(ZeroDivisionError):
                fn(w, T(3), k)
        else:
            fn(w, T(3), k)
    np.testing.assert_allclose(plain.detach().numpy(), compiled.detach().numpy(), rtol=1e-6)
    assert (plain.grad is None) == (compiled.grad is None)
    if plain.grad is not None:
        np.testing.assert_allclose(plain.grad.numpy(), compiled.grad.numpy(), rtol=1e-6)


def _train(net, optimiser, x, k, halves):
    total = 0.0
    for step in range(3):
        optimiser.zero_grad()
        1 // (k - 4 * step)
        loss = (net(x) ** 2).mean()
        loss.backward()
        1 // (k - 4 * step - 1)
        if halves:
            for p in net.parameters():
                p.grad = p.grad * 0.5
                total += 1 / (k - 4 * step - 2)
        optimiser.step()
        total += loss.item() / (k - 4 * step - 3)
    return total


@pytest.mark.parametrize("halves", [False, True])
def test_an_error_at_each_place_of_a_training_leaves_what_plain_python_leaves(halves):
    script = tj.script(_train)
    for k in range(13):
        outcomes = []
        for train in (_train, script):
            tj.manual_seed(0)
            net = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 2))
            optimiser = tj.optim.Adam(net.parameters(), lr=0.1)
            try:
                found = [train(net, optimiser, T(2, 3), k, halves)]
            except ZeroDivisionError:
                found = [None]
            for p in net.parameters():
                found += [p.tolist(), None if p.grad is None else p.grad.tolist()]
            outcomes.append(found)
        assert (outcomes[0][0] is None) == (outcomes[1][0] is None)
        for plain, compiled in zip(*outcomes, strict=True):
            assert (plain is None) == (compiled is None)
            if plain is not None:
                np.testing.assert_allclose(plain, compiled, rtol=2e-5, atol=1e-7)


def _set_all(things, a):
    for o in things:
        for p in things:
            o.x = 1.0 / (p.n + a + o.n)
    return 0.0


@pytest.mark.compiled
def test_what_checks_report_grows_with_the_changes_and_not_with_their_product_with_the_checks():
    sizes = []
    for n in (5, 10, 20):
        script = tj.script(_set_all)
        things = [Thing() for _ in range(n)]
        for i, thing in enumerate(things):
            thing.n = i
        script(things, 2.0)
        assert things[-1].x == 1.0 / (2 * n)
        told = [operands.count("%") for operands in re.findall(r"(?:pending|report)\((.*?)\)", script.graph)]
        sizes.append(sum(told) / n**2)
    assert 0 < sizes[2] < 1.2 * sizes[1] < 1.5 * sizes[0]


def _train_once(net, optimiser, x):
    optimiser.zero_grad()
    (net(x) ** 2).mean().backward()
    optimiser.step()


@pytest.mark.compiled
def test_what_holds_of_all_of_a_training_is_not_looked_for_at_each_check_and_parameter(monkeypatch):
    looked, traced = [], {}
    pending, lead = Reports.pending_now, Masks.of
    monkeypatch.setattr(Reports, "pending_now", lambda self, latest: looked.append(latest) or pending(self, latest))
    monkeypatch.setattr(Masks, "of", lambda self, values: lead(traced.setdefault(id(self), self), values))
    net = nn.Sequential(*(nn.Linear(2, 2) for _ in range(3)))
    script = tj.script(_train_once)
    script(net, tj.optim.Adam(net.parameters()), T(2, 2))
    checks = len(re.findall(r"\bcheck(?:_eq)?\(", script.graph))
    assert 0 < len(looked) < checks / 2
    assert 0 < len(traced) < 6  # each goes through all ops; there are six parameters


THING = Thing()


def _count_globally(k):
    THING.n += 1
    THING.x = k * 1.5
    return 1 // k


def test_an_object_from_outside_counts_each_call():
    scripted = tj.script(_count_globally)
    for k in (0, 1, 0, 0):
        try:
            scripted(k)
        except ZeroDivisionError:
            pass
    assert (THING.n, THING.x) == (5, 0.0)


def test_numbers_that_a_script_leaves_in_an_object_are_run_time_values():
    thing = Thing()

    def leave(a):
        thing.n += 1
        thing.x = a[0] * 2
        return thing.x

    scripted = tj.script(leave)
    for i in range(5):
        assert scripted(np.ones(3) * i) == 2 * i
    assert (thing.n, thing.x) == (6, 8.0)
    assert scripted.compiles <= 2  # a Python float at first, then what the script left


def test_a_tensor_written_before_an_error_counts_a_version():
    def write(x, k):
        x.add_(1)
        return 1 // k

    x = T(3)
    y = (x.requires_grad_() * 1).detach()
    w = T(3).requires_grad_()
    product = (w * y).sum()
    with pytest.raises(ZeroDivisionError):
        tj.script(write)(y, 0)
    with pytest.raises(RuntimeError, match="in place"):
        product.backward()


def test_random_numbers_drawn_before_an_error_are_drawn():
    def draw(k):
        x = tj.rand(3)
        y = 1 // k
        return x * y

    tj.manual_seed(3)
    with pytest.raises(ZeroDivisionError):
        draw(0)
    expected = tj.rand(2)
    tj.manual_seed(3)
    with pytest.raises(ZeroDivisionError):
        tj.script(draw)(0)
    assert tj.rand(2).tolist() == expected.tolist()


@pytest.mark.compiled
def test_nothing_is_reported_where_nothing_is_set():
    def plain(a, k):
        a[0] = 1
        return a[k] + 1 // k

    scripted = tj.script(plain)
    scripted(A(3), 1)
    assert "report" not in scripted.graph


def test_the_program_that_writes_programs_gives_the_same_one_again(tmp_path):
    assert generate(5) == generate(5)
    assert callable(load(generate(5), tmp_path, 5).program)


def descend(w: Any, x: Any, k: int) -> Any:
    """A training step that raises between its gradient and its update where k is 0."""
    loss = (w * x).sum()
    loss.backward()
    scale = 1 // k
    with tj.no_grad():
        w -= 0.125 * scale * w.grad
    w.grad = None
    return loss


@pytest.mark.compiled
def test_gradients_are_left_by_errors_of_native_calls() -> None:
    script, states = tj.script(descend), []
    for step in (descend, script):
        w, x = tj.tensor([1.0, 2.0], requires_grad=True), tj.tensor([1.0, 3.0])
        seen: list[Any] = []
        for k in (1, 1, 0, 1, 0, 0, 1):
            try:
                seen.append(step(w, x, k).item())
            except ZeroDivisionError:
                assert w.grad is not None
                seen.append(w.grad.tolist())
            seen.append(w.tolist())
        states.append(seen)
    assert states[0] == states[1]
    assert sum(s.hits for s in script._specialisations) == 5  # all but the first without and with a `.grad`


def test_a_raise_behind_a_change_keeps_its_line() -> None:
    def noted(x, log):
        for i in range(len(x)):
            log.append(i)
            if x[i] < 0:
                raise ValueError("negative")
        return 0

    log: list[int] = []
    with pytest.raises(ValueError, match="negative") as caught:
        tj.script(noted)(np.array([1.0, -2.0]), log)
    assert caught.traceback[-1].lineno - noted.__code__.co_firstlineno == 3
    assert log == [0, 1]
