"""`tj.autograd.grad` and `tj.autograd.backward` in scripts do what they do on the eager tape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit.scripted import script

X = tj.tensor(np.array([0.5, -1.5, 2.0]))


def leaf(*values: float) -> tj.Tensor:
    return tj.tensor(np.array(values), requires_grad=True)


def plain(w: Any, x: Any) -> Any:
    return tj.autograd.grad((w * w * x).sum(), w)


def several(w: Any, x: Any) -> Any:
    b = w.sum()
    y = b * x
    return tj.autograd.grad(outputs=(y * w).sum(), inputs=[w, y, b])


def weighted(w: Any, x: Any) -> Any:
    return tj.autograd.grad(tj.sin(w) * x, (w,), grad_outputs=x * 2)


def penalty(w: Any, x: Any) -> Any:
    loss = (w**3 * x).sum()
    (g,) = tj.autograd.grad(loss, w, create_graph=True)
    (loss + (g * g).sum()).backward()
    return g, w.grad


def descent_through_descent(w: Any, x: Any) -> Any:
    inner = w
    for _ in range(3):
        (g,) = tj.autograd.grad(((inner - x) ** 2).mean() + inner.prod(), inner, create_graph=True)
        inner = inner - 0.1 * g
    tj.autograd.backward((inner * inner).sum())
    return inner, w.grad


def descent_of_two(w: Any, x: Any) -> Any:
    a, b = w, x.clone().requires_grad_()
    for _ in range(2):
        ga, gb = tj.autograd.grad(((a * b - x) ** 2).mean(), (a, b), create_graph=True)
        a = a - 0.1 * ga
        b = b - 0.1 * gb
    (a * b).sum().backward()
    return a, b, w.grad


def exchanged(w: Any, x: Any) -> Any:
    a, b = w, x
    for _ in range(3):
        y = (a * a * b).sum()
        a, b = b, a
    y.backward()
    return a, b, w.grad


def in_branches(w: Any, x: Any) -> Any:
    y = w * x
    if y.sum() > 0:
        g = tj.autograd.grad(y.sum(), w, retain_graph=True)[0]
    else:
        g = tj.autograd.grad((y * y).sum(), y, retain_graph=True)[0]
    y.sum().backward()
    return g * w.grad


def while_it_decreases(w: Any, x: Any) -> Any:
    before, n = 1e9, 0
    while True:
        loss = ((w - x) ** 4).sum()
        if loss > before - 1e-3 or n > 30:
            break
        before, n = loss.item(), n + 1
        (g,) = tj.autograd.grad(loss, w)
        with tj.no_grad():
            w -= 0.05 * g
    return w, n


def unused_by_permission(w: Any, x: Any) -> Any:
    y = w * x
    return tj.autograd.grad(y.sum(), [w, (w + 1).exp()], allow_unused=True)


def unused(w: Any, x: Any) -> Any:
    y = w.exp()
    return tj.autograd.grad((w * x).sum(), y)


def of_no_history(w: Any, x: Any) -> Any:
    return tj.autograd.grad((w * x).sum(), x)


def of_a_constant(w: Any, x: Any) -> Any:
    return tj.autograd.grad(x.sum(), w)


def freed(w: Any, x: Any) -> Any:
    loss = (w * w * x).sum()
    tj.autograd.grad(loss, w)
    loss.backward()
    return w.grad


def of_vectors(w: Any, x: Any) -> Any:
    return tj.autograd.grad(w * x, w)


def of_two(w: Any, x: Any) -> Any:
    y = tj.tanh(w * x)
    return tj.autograd.grad([(y * y).sum(), y.prod()], [w, y])


def of_two_weighted(w: Any, x: Any) -> Any:
    y = tj.sin(w) * x
    (g,) = tj.autograd.grad((y, y.sum()), w, grad_outputs=[w * x, w.prod()], create_graph=True)
    (g * g).sum().backward()
    return g.detach(), w.grad


def of_two_in_a_loop(w: Any, x: Any) -> Any:
    total, h = w * 0, w
    for i in range(4):
        h = h * x + i
        a, b = h.sum(), (w * i).sum()
        if i % 2:
            total = total + tj.autograd.grad([a, b], w, retain_graph=True)[0]
    return total


def backward_of_two(w: Any, x: Any) -> Any:
    y = w * w * x
    tj.autograd.backward([y.sum(), y], [None, x])
    return w.grad


def two_of_which_one_is_constant(w: Any, x: Any) -> Any:
    return tj.autograd.grad([(w * x).sum(), x.sum()], w, allow_unused=True)


def of_a_constant_by_permission(w: Any, x: Any) -> Any:
    return tj.autograd.grad(x.sum(), w, allow_unused=True)


def too_few_weights(w: Any, x: Any) -> Any:
    return tj.autograd.grad([w * x, w + x], w, grad_outputs=[x])


def of_one_element(w: Any, x: Any) -> Any:
    return tj.autograd.grad((w * x)[1:2], w)


def a_second_of_two(w: Any, x: Any) -> Any:
    y, z = (w * w).sum(), (w * x).exp().sum()
    tj.autograd.grad([y, z], w)
    z.backward()
    return w.grad


def of_what_a_loop_carries(w, x):
    p, total = w * 0.5, 0.0
    for _ in range(3):
        g, h = tj.autograd.grad((p * p).sum(), [p, w], retain_graph=True)
        total = total + (g * x).sum() + h.sum()
        p = tj.sin(p * w)
    return total


def of_what_two_loops_carry(w, x):
    p, total = w * 0.5, 0.0
    for _ in range(3):
        q = p * w
        for _ in range(2):
            q = tj.sin(q * w)
            g, h = tj.autograd.grad((p * p * q).sum(), [q, w], retain_graph=True)
            total = total + (g * x).sum() + h.sum()
            g, h = tj.autograd.grad((p * q).sum(), [q, p], retain_graph=True)
            total = total + g.sum() + (h * x).sum()
        p = p * x
    return total


def of_a_state_that_is_detached_now_and_then(w, x):
    c, p, total = w * 1.0, w * 0.5, 0.0
    for i in range(5):
        c = tj.sin(c * w + p)
        if i % 2 == 1:
            g, h = tj.autograd.grad((c * p).sum(), [p, w])
            total = total + g.sum() + (h * x).sum()
            c, p = c.detach(), (p * 2).detach() * x
        p = p * w
    return total


def by_an_inner_slope_and_truncated(w, x):
    p = w
    for i in range(2):
        (g,) = tj.autograd.grad((p * p).sum(), [p], create_graph=True)
        p = p - w * g * x
        if i % 2 == 1:
            (p * p * p).sum().backward()
            p = p.detach()
    return p.detach().sum()


def by_an_inner_slope_of_a_new_leaf(w, x):
    p = w
    for i in range(5):
        (g,) = tj.autograd.grad((p * p).sum(), [p], create_graph=True)
        p = p - w.detach() * g * x
        if i % 2 == 1:
            (p * p * p).sum().backward()
            p = p.detach().requires_grad_()
    return p.detach().sum()


def by_what_was_detached_in_an_earlier_trip(w, x):
    p, total = w * 1.0, 0.0
    for i in range(4):
        (g,) = tj.autograd.grad((p * p * w).sum(), [p])
        total = total + (g * x).sum()
        if i == 2:
            p = p.detach()
    return total


PROGRAMS = [
    of_what_a_loop_carries,
    of_what_two_loops_carry,
    of_a_state_that_is_detached_now_and_then,
    by_an_inner_slope_and_truncated,
    by_an_inner_slope_of_a_new_leaf,
    by_what_was_detached_in_an_earlier_trip,
    of_two,
    of_two_weighted,
    of_two_in_a_loop,
    backward_of_two,
    two_of_which_one_is_constant,
    of_a_constant_by_permission,
    too_few_weights,
    of_one_element,
    a_second_of_two,
    plain,
    several,
    weighted,
    penalty,
    descent_through_descent,
    descent_of_two,
    exchanged,
    in_branches,
    while_it_decreases,
    unused_by_permission,
    unused,
    of_no_history,
    of_a_constant,
    freed,
    of_vectors,
]


def outcome(fn: Any, *values: float) -> Any:
    w = leaf(*values)
    try:
        found = fn(w, X)
    except RuntimeError:
        return "RuntimeError", None
    found = found if isinstance(found, tuple) else (found,)
    return [x.tolist() if isinstance(x, tj.Tensor) else x for x in found], None if w.grad is None else w.grad.tolist()


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda fn: fn.__name__)
def test_compiled_is_the_eager_tape(program: Any) -> None:
    compiled = script(program)
    for values in ((1.0, 0.3, -0.7), (-0.4, 1.2, 0.1)):
        found, expected = outcome(compiled, *values), outcome(program, *values)
        for a, b in zip(found, expected, strict=True):
            if isinstance(b, list):
                for p, q in zip(a, b, strict=True):
                    np.testing.assert_allclose(np.array(p, float), np.array(q, float), rtol=1e-9)
            else:
                assert a == b


def test_what_is_not_followed_is_refused() -> None:
    def of_a_part(w: Any, x: Any) -> Any:
        return tj.autograd.grad((w * x).sum(), w[1:])

    with pytest.raises(tj.ScriptError, match="part of an array"):
        script(of_a_part)(leaf(1.0, 2.0, 3.0), X)
