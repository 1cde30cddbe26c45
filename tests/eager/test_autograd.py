"""The tape: accumulation, freed graphs, hooks, modes, `grad`, `Function`, `custom_vjp`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj


def leaf(*values: float) -> tj.Tensor:
    return tj.tensor(list(values), requires_grad=True)


def test_backward_accumulates() -> None:
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    (x * x).sum().backward()
    assert x.grad.tolist() == [4.0, 8.0]
    x.grad = None
    assert x.grad is None


def test_accumulating_does_not_disturb_other_gradients() -> None:
    x, y = leaf(1.0), leaf(2.0)
    z = x + y
    z.sum().backward()
    (x * 3).sum().backward()
    assert (x.grad.item(), y.grad.item()) == (4.0, 1.0)


def test_a_given_gradient_is_not_changed() -> None:
    x, g = leaf(1.0, 2.0), tj.ones(2)
    x.clone().backward(g)
    x.clone().backward(g)
    assert g.tolist() == [1.0, 1.0]
    assert x.grad.tolist() == [2.0, 2.0]


def test_second_backward_needs_retain_graph() -> None:
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 8.0
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


def test_backward_of_more_than_a_scalar_needs_a_gradient() -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="gradient"):
        (x * 2).backward()
    (x * 2).backward(tj.tensor([1.0, 10.0]))
    assert x.grad.tolist() == [2.0, 20.0]
    with pytest.raises(RuntimeError, match="shape"):
        (x * 2).backward(tj.ones(3))


def test_backward_of_a_complex_number_needs_a_gradient() -> None:
    def step(x: Any) -> Any:
        (x[0] * 1j).backward()
        return x.grad

    x = tj.tensor([1 + 2j], requires_grad=True)
    for run in (step, tj.script(step)):
        with pytest.raises(RuntimeError, match="take its real part"):
            run(x)
    (x[0] * 1j).backward(1)
    assert x.grad.tolist() == [-1j]


def test_one_element_needs_no_gradient() -> None:
    def step(x: Any) -> Any:
        (x * 2).backward()
        return x.grad

    for shape in ((1,), (1, 1), ()):
        for run in (step, tj.script(step)):
            assert run(tj.ones(shape, requires_grad=True)).tolist() == tj.full(shape, 2.0).tolist()
    with pytest.raises(RuntimeError, match="scalar"):
        tj.script(step)(tj.ones(2, requires_grad=True))


def test_backward_needs_a_history() -> None:
    with pytest.raises(RuntimeError, match="does not require"):
        tj.ones(1).sum().backward()
    with pytest.raises(RuntimeError, match="int64"):
        leaf(1.0).argmax().backward()


def test_only_inexact_tensors_require_gradients() -> None:
    with pytest.raises(RuntimeError, match="floating-point"):
        tj.tensor([1, 2], requires_grad=True)
    with pytest.raises(RuntimeError, match="floating-point"):
        tj.tensor([1]).requires_grad_()


def test_modes() -> None:
    x = leaf(1.0)
    with tj.no_grad():
        assert not (x * 2).requires_grad
        with tj.enable_grad():
            assert (x * 2).requires_grad
        assert not tj.is_grad_enabled()
    assert (x * 2).requires_grad

    @tj.no_grad()
    def quiet() -> Any:
        return x * 2

    @tj.no_grad
    def quiet_too() -> Any:
        return x * 2

    assert not quiet().requires_grad and not quiet_too().requires_grad
    with tj.set_grad_enabled(False):
        assert not (x * 2).requires_grad
    assert tj.is_grad_enabled()


def test_a_mode_ends_when_an_error_leaves_it() -> None:
    with pytest.raises(KeyError), tj.no_grad():
        raise KeyError
    assert tj.is_grad_enabled()


def test_detach_shares_memory_and_stops_gradients() -> None:
    x = leaf(1.0, 2.0)
    d = x.detach()
    assert not d.requires_grad
    d[0] = 5.0
    assert x.tolist() == [5.0, 2.0]
    (x * x.detach()).sum().backward()
    assert x.grad.tolist() == [5.0, 2.0]


def test_hooks_on_leaves_and_results() -> None:
    x = leaf(1.0, 2.0)
    seen: list[Any] = []
    y = x * 3
    handle = y.register_hook(lambda g: seen.append(g.tolist()))
    doubled = y.register_hook(lambda g: g * 2)
    x.register_hook(lambda g: g + 1)
    y.sum().backward(retain_graph=True)
    assert seen == [[1.0, 1.0]]
    assert x.grad.tolist() == [7.0, 7.0]
    handle.remove()
    doubled.remove()
    x.grad = None
    y.sum().backward()
    assert seen == [[1.0, 1.0]]
    assert x.grad.tolist() == [4.0, 4.0]


def test_a_leaf_hook_sees_the_whole_gradient_once() -> None:
    x, seen = leaf(1.0), []
    x.register_hook(lambda g: seen.append(g.item()))
    (x * 2 + x * 3).sum().backward()
    assert seen == [5.0]


def test_hooks_need_gradients_and_right_shapes() -> None:
    with pytest.raises(RuntimeError):
        tj.ones(1).register_hook(lambda g: g)
    x = leaf(1.0)
    x.register_hook(lambda g: tj.ones(2))
    with pytest.raises(RuntimeError, match="shape"):
        (x * 1).sum().backward()


def test_retain_grad() -> None:
    x = leaf(1.0, 2.0)
    y = x * 2
    y.retain_grad()
    (y * y).sum().backward()
    assert y.grad.tolist() == [4.0, 8.0]


def test_gradients_of_inner_tensors_are_not_kept() -> None:
    x = leaf(1.0)
    y = x * 2
    y.sum().backward()
    assert y.grad is None


def test_grad_leaves_grad_attributes_alone() -> None:
    x, y = leaf(2.0), leaf(3.0)
    z = x * x * y
    gx, gy = tj.autograd.grad(z.sum(), (x, y))
    assert (gx.item(), gy.item()) == (12.0, 4.0)
    assert x.grad is None
    assert not gx.requires_grad


def test_grad_by_an_inner_tensor_and_with_weights() -> None:
    x = leaf(1.0, 2.0)
    y = x * 2
    (gy,) = tj.autograd.grad(y * y, y, grad_outputs=tj.tensor([1.0, 10.0]))
    assert gy.tolist() == [4.0, 80.0]
    (own,) = tj.autograd.grad(x.sum(), [x])
    assert own.tolist() == [1.0, 1.0]


def test_grad_of_unused_inputs() -> None:
    x, y = leaf(1.0), leaf(1.0)
    with pytest.raises(RuntimeError, match="not used"):
        tj.autograd.grad((x * 2).sum(), (x, y))
    gx, gy = tj.autograd.grad((x * 2).sum(), (x, y), allow_unused=True)
    assert gx.item() == 2.0 and gy is None
    with pytest.raises(RuntimeError, match="does not require"):
        tj.autograd.grad((x * 2).sum(), tj.ones(1))


def test_create_graph_gives_higher_orders() -> None:
    x = tj.tensor(0.7, dtype=tj.float64, requires_grad=True)
    y = tj.sin(x)
    for expected in (np.cos, lambda v: -np.sin(v), lambda v: -np.cos(v), np.sin):
        (y,) = tj.autograd.grad(y, x, create_graph=True)
        assert y.item() == pytest.approx(expected(0.7))


def test_backward_with_create_graph() -> None:
    x = leaf(3.0)
    (x**3).sum().backward(create_graph=True)
    x.grad.sum().backward()
    assert x.grad.item() == 27.0 + 18.0


def test_functions_of_several_outputs_add_up() -> None:
    x = leaf(1.0, 2.0)
    tj.autograd.backward([x.sum(), (x * x).sum()])
    assert x.grad.tolist() == [3.0, 5.0]
    a, b = x.split(1)
    x.grad = None
    (a * 2).sum().backward()
    assert x.grad.tolist() == [2.0, 0.0]


def test_long_chains_do_not_recurse() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(5000):
        y = y + 0.0
    y.sum().backward()
    assert x.grad.item() == 1.0


def test_element_reads_cost_one_element_backward() -> None:
    x = tj.zeros(100_000, requires_grad=True)
    total = tj.tensor(0.0)
    for i in range(300):
        total = total + x[i] * i
    total.backward()
    assert x.grad[:4].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert x.grad[300:].sum().item() == 0.0


class Exp(tj.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any, scale: float) -> Any:
        y = (x * scale).exp()
        ctx.save_for_backward(y)
        ctx.scale = scale
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (y,) = ctx.saved_tensors
        return g * y * ctx.scale, None


def test_function_is_one_node() -> None:
    x = tj.tensor([0.5, 1.0], dtype=tj.float64, requires_grad=True)
    y = Exp.apply(x, 2.0)
    assert "Exp" in repr(y.grad_fn)
    (g,) = tj.autograd.grad(y.sum(), x, create_graph=True)
    np.testing.assert_allclose(g.detach().numpy(), 2 * np.exp(2 * x.detach().numpy()))
    (h,) = tj.autograd.grad(g.sum(), x)
    np.testing.assert_allclose(h.numpy(), 4 * np.exp(2 * x.detach().numpy()))


def test_function_derivative_is_not_the_composed_one() -> None:
    class Straight(tj.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.round()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g

    x = leaf(0.4, 1.6)
    (Straight.apply(x) * 3).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_function_of_several_results_and_identity() -> None:
    class Both(tj.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, y: Any) -> Any:
            assert ctx.needs_input_grad == (True, False)
            return x, x * y

        @staticmethod
        def backward(ctx: Any, ga: Any, gb: Any) -> Any:
            return ga * 10 + gb, None

    x = leaf(1.0)
    a, b = Both.apply(x, tj.ones(1))
    assert a is not x
    b.sum().backward(retain_graph=True)
    assert x.grad.item() == 1.0
    (a + b).sum().backward()
    assert x.grad.item() == 12.0


def test_function_checks_what_backward_gives() -> None:
    class Wrong(tj.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, y: Any) -> Any:
            return x * y

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return (g,)

    with pytest.raises(RuntimeError, match="1 gradients for 2"):
        Wrong.apply(leaf(1.0), leaf(1.0)).sum().backward()


def test_saved_tensors_are_guarded() -> None:
    x = leaf(1.0)
    y = Exp.apply(x, 1.0)
    with tj.no_grad():
        y.mul_(2)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()


def test_not_differentiable_names_the_op() -> None:
    x = leaf(1.5)
    assert not (x > 1).requires_grad
    assert not x.argmax().requires_grad
    y = tj.floor(x) * x
    y.sum().backward()
    assert x.grad.item() == 1.0


def test_repr_shows_values_dtype_and_history() -> None:
    x = leaf(1.0)
    assert repr(x) == "tensor([1.], dtype=float32, requires_grad=True)"
    assert repr(x * 2) == "tensor([2.], dtype=float32, requires_grad=True)"
    assert f"{(x * 2).sum()} {x.sum():.2f}" == "2.0 1.00"
    assert repr(tj.tensor([1, 2])) == "tensor([1, 2], dtype=int64)"


def make_cube() -> Any:
    @tj.custom_vjp
    def cube(x: Any) -> Any:
        return x * x * x

    cube.defvjp(lambda x: (x * x * x, x), lambda x, g: (g * 3 * x * x,))
    return cube


def test_custom_vjp_is_one_node_with_its_own_rule() -> None:
    cube = make_cube()
    x = tj.tensor([2.0], dtype=tj.float64, requires_grad=True)
    y = cube(x)
    assert "cube" in repr(y.grad_fn) and cube.__name__ == "cube"
    (g,) = tj.autograd.grad(y.sum(), x, create_graph=True)
    (h,) = tj.autograd.grad(g.sum(), x)
    assert (g.item(), h.item()) == (12.0, 12.0)
    assert not cube(tj.ones(1)).requires_grad


def test_custom_vjp_over_trees() -> None:
    @tj.custom_vjp
    def mix(pair: Any, scale: float) -> Any:
        return {"sum": (pair[0] + pair[1]) * scale, "product": pair[0] * pair[1]}

    def backward(kept: Any, g: Any) -> Any:
        (a, b), scale = kept
        return (g["sum"] * scale + g["product"] * b, g["sum"] * scale + g["product"] * a), None

    mix.defvjp(lambda pair, scale: (mix(pair, scale), (pair, scale)), backward)
    a, b = leaf(2.0), leaf(5.0)
    out = mix((a, b), 10.0)
    (out["sum"] + out["product"]).sum().backward()
    assert (a.grad.item(), b.grad.item()) == (15.0, 12.0)


def test_custom_vjp_misuse() -> None:
    bare = tj.custom_vjp(lambda x: x * 2)
    with pytest.raises(RuntimeError, match="defvjp"):
        bare(leaf(1.0))
    short = tj.custom_vjp(lambda x, y: x * y)
    short.defvjp(lambda x, y: (x * y, None), lambda kept, g: (g,))
    with pytest.raises(RuntimeError, match="1 gradients for 2"):
        short(leaf(1.0), leaf(1.0)).sum().backward()


def test_backward_to_some_inputs_only() -> None:
    x, y = (tj.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    z = x * y
    (z * y).sum().backward(inputs=[x], retain_graph=True)
    np.testing.assert_array_equal(x.grad.numpy(), [1.0, 4.0])  # type: ignore[union-attr]
    assert y.grad is None
    (z * 3).sum().backward(inputs=(x, z))
    np.testing.assert_array_equal(x.grad.numpy(), [4.0, 10.0])  # type: ignore[union-attr]
    np.testing.assert_array_equal(z.grad.numpy(), [3.0, 3.0])  # type: ignore[union-attr]
    (y * y).sum().backward(inputs=y)
    np.testing.assert_array_equal(y.grad.numpy(), [2.0, 4.0])  # type: ignore[union-attr]
    with pytest.raises(RuntimeError, match="inputs"):
        (y * y).sum().backward(inputs=[])
    with pytest.raises(RuntimeError, match="require"):
        (y * y).sum().backward(inputs=[tj.ones(2)])


def test_backward_to_some_inputs_in_scripts() -> None:
    x, y = (tj.ones(2, requires_grad=True) for _ in range(2))

    def some(x: Any, y: Any) -> Any:
        (x * y).sum().backward(inputs=[x])
        return x.grad

    def unknown(x: Any, y: Any) -> Any:
        (x * y).sum().backward(twice=True)
        return x.grad

    with pytest.raises(tj.ScriptError, match="some inputs"):
        tj.script(some)(x, y)
    for call in (unknown, tj.script(unknown)):
        with pytest.raises(TypeError, match="twice"):
            call(x, y)


class Scaled(tj.autograd.Function):
    """x, changed in place to x * y."""

    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(y)
        ctx.mark_dirty(x.mul_(y))
        return x

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0], None


def test_function_that_changes_its_argument() -> None:
    w, y = leaf(1.0, 1.0), tj.tensor([2.0, 3.0])
    x = w * 2
    before = (x * x).sum()
    assert Scaled.apply(x, y) is x and x.tolist() == [4.0, 6.0]
    (x * x).sum().backward()
    assert w.grad.tolist() == [32.0, 72.0]
    with pytest.raises(RuntimeError, match="changed in place"):
        before.backward()
    x = w * 2
    Scaled.apply(x[1:], y[1:])
    assert tj.autograd.grad(x.sum(), w)[0].tolist() == [2.0, 6.0]
    with pytest.raises(RuntimeError, match="leaf"):
        Scaled.apply(w, y)
    with pytest.raises(tj.ScriptError, match="changes its arguments"):
        tj.script(lambda w, y: Scaled.apply(w * 2, y))(w, y)
