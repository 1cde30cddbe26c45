"""What a derivative needs and what is changed in place before it is taken, by the path and the trip: scripts raise
where eager code does, and nowhere else."""

from __future__ import annotations

import pytest

import tracejit as tj
from tracejit import NotDifferentiable


def outcome(fn, n):
    """Whether a call raises eager code's RuntimeError, and what it leaves in `.grad` and in leaves."""
    w = tj.tensor([0.3, 0.5, -0.4, 0.2], dtype=tj.float64, requires_grad=True)
    u = tj.tensor([0.9, -0.2, 0.6, 0.7], dtype=tj.float64, requires_grad=True)
    x = tj.tensor([0.2, -0.7, 1.1, 0.4], dtype=tj.float64)
    try:
        fn(w, u, x, n)
        error = ""
    except NotDifferentiable:
        raise
    except RuntimeError as raised:
        error = next((text for text in ("changed in place", "second time") if text in str(raised)), str(raised))
    return error, [None if v is None else v.tolist() for v in (w, u, w.grad, u.grad)]


def retained(w, u, x, n):
    y = w * u
    for i in range(n):
        (y * x).sum().backward(retain_graph=True)
        with tj.no_grad():
            u -= 0.1


def retained_not_needed(w, u, x, n):
    y = w + u
    for i in range(n):
        (y * x).sum().backward(retain_graph=True)
        with tj.no_grad():
            u -= 0.1


def two_losses_stepped_between(w, u, x, n):
    for i in range(n):
        a = (w * u * x).sum()
        b = (w * w).sum()
        a.backward()
        with tj.no_grad():
            w -= 0.1 * w.grad
        b.backward()


def two_losses_not_needed(w, u, x, n):
    for i in range(n):
        a = (w * u * x).sum()
        b = (u * u * x).sum() + w.sum()
        a.backward()
        with tj.no_grad():
            w -= 0.1 * w.grad
        b.backward()


def gan(w, u, x, n):
    for i in range(n):
        fake = tj.tanh(w * x)
        d = (u * fake.detach()).sum()
        d.backward()
        with tj.no_grad():
            u -= 0.1 * u.grad
        u.grad = None
        g = (u * fake).sum()
        g.backward()
        with tj.no_grad():
            w -= 0.1 * w.grad
        w.grad = None


def gan_wrong(w, u, x, n):
    for i in range(n):
        fake = tj.tanh(w * x)
        score = (u * fake).sum()
        d = (u * fake.detach()).sum()
        d.backward()
        with tj.no_grad():
            u -= 0.1 * u.grad
        score.backward()


def on_a_path_in_a_loop(w, u, x, n):
    loss = x.sum()
    for i in range(n + 1):
        loss = loss + (w * u * i).sum()
        if i == 2:
            with tj.no_grad():
                u += 1
    loss.backward()


def save_after_change(w, u, x, n):
    loss = w.sum()
    for i in range(n):
        with tj.no_grad():
            u += 1
        if i == n - 1:
            loss = loss + (w * u).sum()
    loss.backward()


def every_trip_changes(w, u, x, n):
    loss = w.sum()
    for i in range(n):
        loss = loss + (w * u).sum()
        with tj.no_grad():
            u += 1
    loss.backward()


def rebound(w, u, x, n):
    h = x * 1.0
    for i in range(n):
        h = h * w
        h += 1.0
    h.sum().backward()


def fresh_in_each_trip(w, u, x, n):
    for i in range(n):
        y = w * x
        z = (y * y).sum()
        if i == 2:
            y += 1
        z.backward()


def list_of_losses(w, u, x, n):
    ys = []
    for i in range(n + 1):
        ys.append((w * w * i).sum())
    for y in ys:
        y.backward()
        with tj.no_grad():
            w -= 0.1


def list_of_losses_rebuilt(w, u, x, n):
    for e in range(2):
        ys = []
        for i in range(n + 1):
            ys.append((w * w * i).sum())
        for y in ys:
            y.backward()
        with tj.no_grad():
            w -= 0.1


def list_of_losses_kept(w, u, x, n):
    ys = []
    for e in range(2):
        for i in range(n + 1):
            ys.append((w * w * i).sum())
        ys[-1].backward()
        with tj.no_grad():
            w -= 0.1
    ys[0].backward()


def list_partly(w, u, x, n):
    ys = []
    for i in range(n + 1):
        ys.append((w * w * i).sum() if i % 2 else (w * x).sum())
    with tj.no_grad():
        w -= 0.1
    ys[n].backward()


def states_of_a_list(w, u, x, n):
    hs = []
    h = x * 1.0
    for i in range(n):
        h = tj.tanh(h * w)
        hs.append(h)
    for i in range(n):
        hs[i].sum().backward(retain_graph=True)
        with tj.no_grad():
            w -= 0.1


def params_list(w, u, x, n):
    ps = [w, u]
    for i in range(n):
        (ps[0] * ps[1] * x).sum().backward()
        for q in ps:
            with tj.no_grad():
                q -= 0.1 * q.grad
            q.grad = None


def params_list_wrong(w, u, x, n):
    ps = [w, u]
    for i in range(n):
        l = (ps[0] * ps[1] * x).sum()
        l.backward(retain_graph=True)
        for q in ps:
            with tj.no_grad():
                q -= 0.1 * q.grad
            q.grad = None
        l.backward()


def state_dict(w, u, x, n):
    st = {"m": x * 0.0, "w": w}
    for i in range(n):
        (st["w"] * u).sum().backward()
        with tj.no_grad():
            st["m"] *= 0.9
            st["m"] += st["w"].grad
            st["w"] -= 0.1 * st["m"]
        st["w"].grad = None


def state_dict_wrong(w, u, x, n):
    st = {"m": x * 0.5, "w": w}
    total = w.sum()
    for i in range(n):
        total = total + (st["w"] * st["m"]).sum()
        st["m"] *= 0.9
    total.backward()


def view_changed(w, u, x, n):
    y = w * x
    v = y[1:]
    z = (v * v).sum()
    for i in range(n - 1):
        y *= 2.0
    z.backward()


def view_changes(w, u, x, n):
    y = w * x
    z = (y * y).sum()
    v = y[1:]
    for i in range(n - 1):
        v *= 2.0
    z.backward()


def clone_kept(w, u, x, n):
    y = w * x
    z = (y.clone() * y.clone()).sum()
    for i in range(n):
        y += 1
    z.backward()


def detached_alias(w, u, x, n):
    y = w * x
    d = y.detach()
    z = (y * y).sum()
    for i in range(n):
        d += 1
    z.backward()


def detached_needed(w, u, x, n):
    d = w.detach()
    z = (u * d).sum()
    for i in range(n):
        with tj.no_grad():
            w += 1
    z.backward()


def elements(w, u, x, n):
    y = w * x
    z = (y * y).sum()
    for i in range(n):
        y[i] = 0.0
    z.backward()


def caught(w, u, x, n):
    y = (w * u).sum()
    for i in range(n):
        try:
            y.backward(retain_graph=True)
        except RuntimeError:
            (w * x).sum().backward()
        with tj.no_grad():
            u += 1


def in_place_own(w, u, x, n):
    y = w * x
    for i in range(n):
        y *= y
    y.sum().backward()


def in_place_exp(w, u, x, n):
    y = w * x
    for i in range(n):
        y.exp_()
    y.sum().backward()


def in_place_exp_then(w, u, x, n):
    y = w * x
    for i in range(n):
        y.exp_()
        y += 1
    y.sum().backward()


def rnn_truncated(w, u, x, n):
    h = x * 1.0
    for i in range(2 * n):
        h = tj.tanh(h * w + u)
        if i % 2 == 1:
            h.sum().backward()
            with tj.no_grad():
                w -= 0.1 * w.grad
            w.grad = None
            h = h.detach()


def rnn_untruncated(w, u, x, n):
    h = x * 1.0
    for i in range(n):
        h = tj.tanh(h * w + u)
        h.sum().backward(retain_graph=True)
        with tj.no_grad():
            u -= 0.1


def rnn_untruncated_w(w, u, x, n):
    h = x * 1.0
    for i in range(n):
        h = tj.tanh(h * w + u)
        h.sum().backward(retain_graph=True)
        with tj.no_grad():
            w -= 0.1


def grad_call_u(w, u, x, n):
    y = (w * u * x).sum()
    for i in range(n):
        (g,) = tj.autograd.grad(y, [w], retain_graph=True)
        with tj.no_grad():
            u -= 0.1 * g


def no_trips(w, u, x, n):
    y = (w * u).sum()
    for i in range(n):
        for j in range(i):
            with tj.no_grad():
                u += 1
    y.backward()


def buffers_late(w, u, x, n):
    mean = x * 1.0
    for i in range(n):
        y = w * mean
        with tj.no_grad():
            mean *= 0.9
        (y**2).sum().backward()


def helper_changes(w, u, x, n):
    def step(q):
        with tj.no_grad():
            q -= 0.1

    y = (w * u).sum()
    for i in range(n):
        step(u)
    y.backward()


def data_attr(w, u, x, n):
    y = (w * u).sum()
    for i in range(n):
        u.data -= 0.1
    y.backward()


def rebound_result_on_path(w, u, x, n):
    h = x * 1.0
    for i in range(n):
        h = tj.exp(h * w)
        if i == 1:
            h += 1.0
    h.sum().backward()


def fresh_then_summed_on_path(w, u, x, n):
    loss = w.sum()
    for i in range(n):
        y = w * x
        loss = loss + (y * y).sum()
        if i == 1:
            y *= 2
    loss.backward()


def one_or_the_other(w, u, x, n):
    h = w if n > 1 else u
    z = (w * x * w).sum()
    with tj.no_grad():
        h += 1
    z.backward()


def swap(w, u, x, n):
    a = w * 1.0
    b = u * 1.0
    loss = w.sum()
    for i in range(n):
        loss = loss + (a * a).sum()
        a, b = b, a
    a += 1
    loss.backward()


def sgd(w, u, x, n):
    for i in range(n):
        ((w * x - u) ** 2).sum().backward()
        with tj.no_grad():
            w -= 0.1 * w.grad
            u -= 0.1 * u.grad
        w.grad = None
        u.grad = None


def adam(w, u, x, n):
    m, v = x * 0.0, x * 0.0
    for i in range(n):
        ((w - x) ** 2).sum().backward()
        with tj.no_grad():
            m *= 0.9
            m += 0.1 * w.grad
            v *= 0.99
            v += 0.01 * w.grad * w.grad
            w -= 0.1 * m / (v.sqrt() + 1e-8)
        w.grad.zero_()


SAME = [
    states_of_a_list,
    sgd,
    adam,
    retained,
    retained_not_needed,
    two_losses_stepped_between,
    two_losses_not_needed,
    gan,
    gan_wrong,
    on_a_path_in_a_loop,
    save_after_change,
    every_trip_changes,
    rebound,
    fresh_in_each_trip,
    list_of_losses,
    list_of_losses_rebuilt,
    list_of_losses_kept,
    list_partly,
    params_list,
    params_list_wrong,
    state_dict,
    state_dict_wrong,
    view_changed,
    view_changes,
    clone_kept,
    detached_alias,
    detached_needed,
    elements,
    caught,
    in_place_own,
    in_place_exp,
    in_place_exp_then,
    rnn_truncated,
    rnn_untruncated,
    rnn_untruncated_w,
    grad_call_u,
    no_trips,
    buffers_late,
    helper_changes,
    data_attr,
]


@pytest.mark.parametrize("fn", SAME)
def test_a_script_raises_where_eager_code_does(fn) -> None:
    scripted = tj.script(fn)
    for n in (0, 1, 2, 3):
        error, values = outcome(fn, n)
        found_error, found = outcome(scripted, n)
        assert (n, found_error) == (n, error)
        assert found == [None if v is None else pytest.approx(v, rel=1e-9, abs=1e-12) for v in values]


def all_of_it(x):
    y = x * 2
    z = y * y
    y[:] = 0
    z.sum().backward()


def parts_in_a_loop(x):
    y, total = x * 2, x.sum() * 0
    for i in range(2):
        total = total + (y[i + 1 :] * y[i + 1 :]).sum()
        if i:
            y[:] = 1.0
    total.backward()


@pytest.mark.parametrize(("fn", "enough"), [(all_of_it, 1), (parts_in_a_loop, 2)])
def test_what_has_no_elements_is_not_changed(fn, enough) -> None:
    scripted = tj.script(fn)
    for n in (0, 1, 2):
        slopes = []
        for called in (fn, scripted):
            x = tj.tensor([0.3, 0.5][:n], dtype=tj.float64, requires_grad=True)
            if n < enough:
                called(x)
                slopes.append(x.grad.tolist())
            else:
                with pytest.raises(RuntimeError, match="changed in place"):
                    called(x)
        assert slopes == ([[0.0] * n] * 2 if n < enough else [])


@pytest.mark.compiled
@pytest.mark.parametrize("fn", [rebound_result_on_path, fresh_then_summed_on_path, one_or_the_other, swap])
def test_arrays_of_which_a_name_stands_for_one_or_another_are_refused(fn) -> None:
    with pytest.raises(NotDifferentiable, match="may be changed in place meanwhile"):
        outcome(tj.script(fn), 1)


@pytest.mark.compiled
@pytest.mark.parametrize("fn", [sgd, adam, gan, state_dict, params_list, rnn_truncated, list_of_losses_rebuilt])
def test_usual_training_loops_count_no_writes(fn) -> None:
    scripted = tj.script(fn)
    assert outcome(scripted, 2)[0] == ""
    assert "version" not in str(scripted.graph)


@pytest.mark.compiled
def test_writes_are_counted_where_the_path_decides() -> None:
    scripted = tj.script(retained)
    outcome(scripted, 1)
    assert "version" in str(scripted.graph)
