"""Lists whose items change in loops and whose length does not: `len` of them is known when the function is compiled."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check
from tracejit import nn, script
from tracejit.errors import ScriptError


class Cells(nn.Module):
    """Recurrent layers one above the other, as cells that are called step by step."""

    def __init__(self, layers, width):
        super().__init__()
        self.inputs = nn.ModuleList([nn.Linear(width, 2 * width) for _ in range(layers)])
        self.states = nn.ModuleList([nn.Linear(width, 2 * width) for _ in range(layers)])
        self.width = width

    def step(self, x, h, i: int):
        gate, value = (self.inputs[i](x) + self.states[i](h)).chunk(2, 1)
        gate = tj.sigmoid(gate)
        return gate * h + (1 - gate) * tj.tanh(value)

    def forward(self, xs, hs=None):
        if hs is None:
            hs = [tj.zeros(xs.shape[1], self.width) for _ in range(len(self.inputs))]
        outs = []
        for t in range(xs.shape[0]):
            x = xs[t]
            for i in range(len(hs)):
                hs[i] = self.step(x, hs[i], i)
                x = hs[i]
            outs.append(x)
        return tj.stack(outs), hs


def test_states_of_stacked_cells():
    tj.manual_seed(3)
    cells = Cells(2, 3)
    compiled = script(cells)
    for steps in (4, 1):
        xs = tj.randn(steps, 2, 3)
        (ys, hs), (found, states) = cells(xs), compiled(xs)
        np.testing.assert_allclose(found.detach().numpy(), ys.detach().numpy(), atol=1e-6)
        assert len(states) == 2
        for h, s in zip(hs, states, strict=True):
            np.testing.assert_allclose(s.detach().numpy(), h.detach().numpy(), atol=1e-6)
    given = [tj.randn(2, 3), tj.randn(2, 3)]
    own = [h.clone() for h in given]
    ys, found = cells(tj.ones(3, 2, 3), given)[0], compiled(tj.ones(3, 2, 3), own)[0]
    np.testing.assert_allclose(found.detach().numpy(), ys.detach().numpy(), atol=1e-6)
    np.testing.assert_allclose(own[1].detach().numpy(), given[1].detach().numpy(), atol=1e-6)


def set_only(n):
    counts = [0, 0, 0]
    for i in range(n):
        counts[i % 3] += i
    return counts, len(counts), sum(counts)


def set_and_appended_to(n):
    counts = [0, 0, 0]
    for i in range(n):
        counts[i % 3] += i
        if i == 4:
            counts.append(100)
        counts[len(counts) - 1] -= 1
    return counts, len(counts)


def popped(n):
    rest = [1, 2, 3]
    i = 0
    while rest:
        rest[-1] += i
        i += rest.pop()
        if i > n:
            break
    return rest, i


def changed_by_a_function_that_calls_itself(n):
    found = [0, 0]

    def go(k):
        if k == 0:
            return
        found[k % 2] += k
        if k == 3:
            found.append(k)
        go(k - 1)

    go(n)
    return found, len(found)


def out_of_range(n):
    xs = [1.0, 2.0]
    for i in range(n):
        xs[i] = i * 0.5
    return xs


def joined(n):
    a, b = [1, 2], [3, 4]
    for i in range(n):
        a[i % 2] += 1
        b[0] -= i
    c = a + b
    return [x * y for x, y in zip(a, b)], c, a == b, a[::-1]


PROGRAMS = [set_only, set_and_appended_to, popped, changed_by_a_function_that_calls_itself, out_of_range, joined]


@pytest.mark.parametrize("fn", PROGRAMS)
def test_as_plain_python(fn):
    scripted = script(fn)
    for n in (0, 1, 2, 6):
        check(fn, n, scripted=scripted)


def counted_by_a_while(x, weights):
    k = 0
    while k < len(weights) and x.sum() < 50:
        if k == 1:
            k += 1
            x = x + 0.5
            continue
        x = x @ weights[k] if weights[k].ndim == 2 else x + weights[k]
        k += 1
        if x.sum() < 0:
            break
    else:
        return k, x.sum()
    return -k, x.sum()


def ended_by_a_known_break(x, weights):
    k = len(weights)
    while True:
        j = 0
        while j < 2:
            x = x + weights[k - 1].sum(axis=-1).sum() * weights[j].shape[0]
            j += 1
        k -= 1
        if k == 0:
            break
    return x


def beyond_the_last(x, weights):
    k = 0
    while k <= len(weights):
        x = x @ weights[k] + weights[k + 1]
        k += 2
    return x


@pytest.mark.parametrize("fn", [counted_by_a_while, ended_by_a_known_break, beyond_the_last])
def test_whiles_whose_trips_are_known(fn):
    scripted = script(fn)
    weights = [np.ones((3, 4)), np.arange(4.0), np.ones((4, 2)), np.ones(2)]
    for x in (np.ones((2, 3)), np.full((2, 3), -1.0), np.full((2, 3), 9.0)):
        check(fn, x, weights, scripted=scripted)


class Chain(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 5), nn.Linear(5, 2)])

    def forward(self, x):
        k = 0
        while k < len(self.layers):
            x = tj.tanh(self.layers[k](x))
            k += 1
        return x.sum()


def test_layers_that_a_while_counts():
    net = Chain()
    x = tj.randn(2, 3)
    scripted = script(net)
    loss = scripted(x)
    assert float(loss) == pytest.approx(float(net(x)), rel=1e-5)
    loss.backward()
    assert all(p.grad is not None for p in net.parameters())


def test_whiles_whose_trips_data_or_too_many_tell_are_refused():
    def told_by_data(x, tolerance):
        axis, error = 0, 1.0
        while error > tolerance:
            x = x.sum(axis=axis)[None]
            axis, error = axis + 1, error / 2
        return x

    def too_many(x):
        total, k = 0.0, 0
        while k < 100:
            total += x.sum(axis=k % 2).sum()
            k += 1
        return total

    for fn, arguments in ((told_by_data, (np.ones((2, 2)), 0.5)), (too_many, (np.ones((2, 2)),))):
        with pytest.raises(ScriptError, match="must be known when the function is compiled"):
            script(fn)(*arguments)


def test_lists_of_the_caller():
    def shifted(xs, n):
        for i in range(n):
            xs[i % len(xs)] += xs[i - 1]
        return len(xs)

    check(shifted, [1.0, 2.0, 4.0], 2)
    check(shifted, [1.0], 1)


def runs_over_what_it_puts_in(xs, n):
    trips, own, total = 0, [1, 2, n], 0
    for v in xs:
        trips += 1
        if trips < 3:
            xs.append(v)
    for v in own:
        if total == 0:
            own[1] = 50
        total = total * 100 + v
    for v in own:
        own.remove(v)
    return trips, xs, own, total


def test_a_loop_over_a_list_sees_what_its_body_changes():
    check(runs_over_what_it_puts_in, [1, 2], 3)


def test_comprehensions_see_what_lists_get_meanwhile():
    def grown(n):
        items, other = [1, 2, 3], [n, 1]

        def put(v):
            if len(items) < 6:
                items.append(v)
            other[1] = 50
            return v

        return [put(v) for v in items], sum(put(v) for v in other), items

    check(grown, 3)


@pytest.mark.compiled
def test_lists_that_get_longer_beside_a_count_are_refused():
    def counted(n):
        items, total = [1, 2, 3], 0
        for i, v in enumerate(items):
            if len(items) < 6:
                items.append(v * n)
            total += i * v
        return total

    def paired(n):
        items, total = [1, 2, 3], 0
        for a, b in zip(items, range(n), strict=False):
            items.append(a)
            total += a * b
        return total

    for fn in (counted, paired):
        with pytest.raises(ScriptError, match="changes its length while a loop runs over it"):
            script(fn)(3)
