"""Calls whose results or changes Python makes are told apart natively all the same."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

import tracejit as tj
from tracejit import nn, script
from tracejit.runtime.dispatch import is_available

pytestmark = pytest.mark.skipif(not is_available(), reason="needs the native call path")

X = np.array([3.0, 1.0, 2.0])


def hits(fn):
    return sum(s.hits for s in fn._specialisations)


def grown(x):
    found = []
    for v in x:
        if v > 1:
            found.append(v * 2)
    return found


def told(x):
    return f"{x.sum()} of {len(x)}"


def chosen(x):
    return {"first": x[0]} if x[0] > 5 else {"first": -x[0]}


@pytest.mark.parametrize("fn", [grown, told, chosen])
def test_results_that_python_makes(fn):
    scripted = script(fn)
    for k in range(4):
        assert scripted(X + k) == fn(X + k)
    assert hits(scripted) == 3 and scripted.compiles == 1


@pytest.mark.parametrize(
    "values", [[True, False] * 9, [-(2**63), 2**63 - 1] * 9, [0.5, math.inf] * 9, [1j, 2 - 3j] * 9], ids=str
)
def test_lists_of_many_numbers(values):
    scripted = script(lambda values, i: values[i])
    for i in (0, 1, 17, -1):
        found = scripted(values, i)
        assert found == values[i] and type(found) is type(values[i])
    assert scripted(values[1:], 0) == values[1]
    assert hits(scripted) == 4 and scripted.compiles == 1


def test_lists_dicts_and_objects_of_the_caller():
    @dataclasses.dataclass
    class Count:
        n: float

    @script
    def f(items, table, count, x):
        items.append(float(x.sum()))
        table["last"] = x * 2
        count.n += 1.0

    items, table, count = [0.0], {"last": X}, Count(0.0)
    for k in range(4):
        f(items, table, count, X + k)
        items = items[-1:]
    assert (items, count.n) == ([15.0], 4.0)
    np.testing.assert_array_equal(table["last"], (X + 3) * 2)
    assert hits(f) == 3


def test_parts_of_star_arguments():
    @script
    def f(*rows, **more):
        rows[1].append(rows[0] + more["a"])

    found = [0.0]
    for k in range(3):
        f(float(k), found, a=10.0)
        del found[0]
    assert found == [12.0] and hits(f) == 2


def test_one_object_that_comes_twice_is_refused_by_every_call():
    @script
    def f(a, b):
        a.append(1.0)
        b.append(2.0)

    for _ in range(2):
        a, b = [0.0], [0.0]
        f(a, b)
        assert (a, b) == ([0.0, 1.0], [0.0, 2.0])
    for _ in range(2):
        with pytest.raises(ValueError, match="'a' and 'b' are one object"):
            f(a, a)


def test_arrays_that_overlap_are_refused_or_right_by_every_call():
    @script
    def f(a, b):
        a[0] = b[-1]
        return [a[0], b[-1]]

    for _ in range(3):
        assert f(np.array([1.0, 2.0]), np.array([3.0, 4.0])) == [4.0, 4.0]
    for _ in range(2):
        a = np.array([1.0, 2.0, 3.0])
        assert f(a, a) == [3.0, 3.0]
        with pytest.raises(ValueError, match="overlap"):
            f(a[:2], a[1:])
        with pytest.raises(ValueError, match="read-only"):
            a.flags.writeable = False
            f(a, a.copy())


def test_overlaps_among_many_arrays():
    """Those of a call are found by their order in memory."""
    count, memory = 13, np.zeros(400)

    def f(xs):
        xs[0][...], xs[3][...], xs[6][...], xs[9][...], xs[12][...] = 0, 3, 6, 9, 12
        return xs[1].sum() + xs[2].sum()

    f = script(f)
    rng = np.random.default_rng(0)
    outcomes = set()
    for trial in range(150):
        starts = rng.choice(50 if trial % 2 else 90, count, replace=False) * 4
        xs = [memory[s : s + 3 + (s % 7 == 0) * rng.integers(0, 3)] for s in starts]
        shared = any(np.shares_memory(xs[i], x) for i in range(0, count, 3) for x in (*xs[:i], *xs[i + 1 :]))
        outcomes.add(shared)
        memory[:] = -1
        if shared:
            with pytest.raises(ValueError, match="overlap"):
                f(xs)
            assert (memory == -1).all()
        else:
            f(xs)
            assert [x.tolist() for x in xs] == [[-1.0 if i % 3 else i] * len(x) for i, x in enumerate(xs)]
    assert outcomes == {True, False}
    assert f.compiles == 1


def test_buffers_that_training_sets():
    plain, module = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    scripted = script(module)
    for k in range(4):
        x = tj.tensor(np.outer(np.arange(5.0) + k, X).astype(np.float32))
        loss, expected = (scripted(x) * x).sum(), (plain(x) * x).sum()
        loss.backward()
        expected.backward()
        np.testing.assert_allclose(loss.item(), expected.item(), rtol=1e-5)
    np.testing.assert_allclose(module.weight.grad.numpy(), plain.weight.grad.numpy(), rtol=1e-4)
    np.testing.assert_allclose(module.running_var.numpy(), plain.running_var.numpy(), rtol=1e-5)
    assert int(module.num_batches_tracked) == 4
    assert hits(scripted.__dict__["script"]) == 3


def test_what_an_error_leaves():
    @script
    def f(items, x):
        items.append(float(x[0]))
        if x[0] > 4:
            raise ValueError("enough")

    items = [0.0]
    for k in range(2):
        f(items, X + k)
        del items[0]
    for k in range(2):
        with pytest.raises(ValueError, match="enough"):
            f(items, X + 5 + k)
        del items[0]
    assert items == [9.0]
    assert hits(f) == 3


def test_recorded_and_plain_calls():
    @script
    def f(x):
        return [x * 2, "two"]

    w = tj.tensor([1.0, 2.0], requires_grad=True)
    for _ in range(3):
        made, text = f(w)
        assert made.requires_grad and text == "two"
        with tj.no_grad():
            assert not f(w)[0].requires_grad
    made.sum().backward()
    np.testing.assert_array_equal(w.grad.numpy(), [2.0, 2.0])


def test_one_array_as_two_arguments_that_are_read_needs_no_code_of_its_own():
    @script
    def f(a, b):
        return a * b

    for _ in range(3):
        np.testing.assert_array_equal(f(X, X), X * X)
    np.testing.assert_array_equal(f(X, X + 1), X * (X + 1))
    assert f.compiles == 1 and hits(f) == 3


def test_derivatives_are_called_natively():
    @script
    def f(x):
        return (x * x).sum()

    for k in range(4):
        w = tj.tensor(X + k, requires_grad=True)
        (f(w) * 3).backward()
        np.testing.assert_array_equal(w.grad.numpy(), (X + k) * 6)
    assert hits(f.last.with_gradients((0,)).backward._run) == 2


def test_numpy_owns_the_memory_of_numbers_wherever_it_lies():
    @script
    def f(x):
        return x.sum()

    x = tj.tensor([1.0, 2.0])
    found = [f(x) for _ in range(30_000)]  # some lie where blocks of the allocator would
    assert all(r.numpy().flags.owndata and r.item() == 3.0 for r in found)
