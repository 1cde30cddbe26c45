"""`tj.grad` and its relatives: structures, argument numbers, nesting, batches, errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

import tracejit as tj

X = np.linspace(0.1, 0.5, 4)
W = np.arange(12.0).reshape(3, 4) / 10


def layer(x, w):
    return np.tanh(w @ x)


def cubes(x):
    return np.sum(x**3)


def until(x, limit):
    while x < limit:
        x = x * x + 0.5
    return x


class Pair(NamedTuple):
    scale: Any
    shift: Any


@dataclass
class Weights:
    inner: Any
    name: str


# -- grad ---------------------------------------------------------------------------------------------------------


def test_python_floats_have_python_floats_as_gradients() -> None:
    found = tj.grad(lambda a, b: a * a * b)(3.0, 2.0)
    assert type(found) is float
    assert found == 12.0
    assert tj.grad(lambda a, b: a * a * b, argnums=(0, 1))(3.0, 2.0) == (12.0, 9.0)
    assert tj.grad(lambda a, b: a * a * b, argnums=-1)(3.0, 2.0) == 9.0


def test_arrays_and_tensors_keep_their_kind() -> None:
    assert type(tj.grad(cubes)(X)) is np.ndarray
    found = tj.grad(lambda t: (t * t).sum())(tj.tensor([1.0, 2.0]))
    assert isinstance(found, tj.Tensor)
    assert found.dtype == tj.float32
    assert found.tolist() == [2.0, 4.0]


def test_gradient_has_the_structure_of_the_argument() -> None:
    def f(p, q):
        return np.sum(p["w"] * q.scale) + q.shift + np.sum(p["list"][1])

    p, q = {"w": X, "list": [2.0, X * 2]}, Pair(3.0, 4.0)
    dp, dq = tj.grad(f, argnums=(0, 1))(p, q)
    np.testing.assert_allclose(dp["w"], [3.0] * 4)
    assert dp["list"][0] == 0.0
    np.testing.assert_allclose(dp["list"][1], np.ones(4))
    assert isinstance(dq, Pair)
    assert dq.scale == pytest.approx(X.sum())
    assert dq.shift == 1.0


def test_dataclass_arguments() -> None:
    found = tj.grad(lambda w: np.sum(w.inner * w.inner))(Weights(X, "first"))
    np.testing.assert_allclose(found.inner, 2 * X)
    assert found.name is None


def test_auxiliary_results() -> None:
    def f(x):
        y = x * 2.0
        return np.sum(y * y), {"y": y, "count": 3}

    slope, aux = tj.grad(f, has_aux=True)(X)
    np.testing.assert_allclose(slope, 8 * X)
    np.testing.assert_allclose(aux["y"], 2 * X)
    assert aux["count"] == 3
    (value, aux), slope = tj.value_and_grad(f, has_aux=True)(X)
    assert value == pytest.approx(4 * np.sum(X * X))


def test_gradients_nest() -> None:
    f = tj.grad(tj.grad(tj.grad(lambda a: a**4)))
    assert f(2.0) == pytest.approx(48.0)
    assert tj.grad(lambda a: tj.grad(until)(a, 20.0) * a)(1.2) == pytest.approx(
        _slope(lambda a: _until_slope(a) * a, 1.2), rel=1e-5
    )


def _until_slope(a: float) -> float:
    slope = 1.0
    while a < 20.0:
        slope, a = slope * 2 * a, a * a + 0.5
    return slope


def _slope(f: Any, x: float, step: float = 1e-6) -> float:
    return (f(x + step) - f(x - step)) / (2 * step)


def test_gradient_of_a_function_that_changes_its_argument_changes_it() -> None:
    def f(a):
        for i in range(a.shape[0] - 1):
            a[i + 1] = a[i] * a[i + 1]
        return a.sum()

    a = np.array([2.0, 3.0, 4.0])
    np.testing.assert_allclose(tj.grad(f)(a), [1 + 3 + 12, 2 + 8, 6])
    np.testing.assert_allclose(a, [2, 6, 24])


def test_same_array_as_two_arguments_is_two_variables() -> None:
    f = lambda a, b: np.sum(a * b * b)  # noqa: E731
    np.testing.assert_allclose(tj.grad(f)(X, X), X * X)
    da, db = tj.vjp(f, X, X)[1](1.0)
    np.testing.assert_allclose(da, X * X)
    np.testing.assert_allclose(db, 2 * X * X)


def test_scripted_functions_methods_and_modules() -> None:
    class Scaled:
        def __init__(self) -> None:
            self.factor = 3.0

        def __call__(self, x):
            return np.sum(x * x) * self.factor

    np.testing.assert_allclose(tj.grad(tj.script(cubes))(X), 3 * X**2)
    np.testing.assert_allclose(tj.grad(Scaled().__call__)(X), 6 * X)


def test_a_transformation_that_is_asked_for_again_is_not_compiled_again() -> None:
    assert tj.grad(cubes) is tj.grad(cubes)
    assert tj.grad(cubes) is not tj.value_and_grad(cubes)
    made = [tj.grad(lambda x: np.sum(x)) for _ in range(2)]
    assert made[0] is made[1]


def test_calls_without_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    from tracejit import config

    with config.override(disable=True):
        np.testing.assert_allclose(tj.grad(lambda x: (x * x).sum())(X), 2 * X)
        assert tj.value_and_grad(lambda a: a * a)(3.0) == (9.0, 6.0)


# -- refusals -------------------------------------------------------------------------------------------------------


def test_integer_argument_is_not_differentiable() -> None:
    with pytest.raises(tj.NotDifferentiable, match="not a float"):
        tj.grad(lambda a: a * 2.0)(3)
    with pytest.raises(tj.NotDifferentiable, match="not a float"):
        tj.grad(lambda a: np.sum(a) * 2.0)(np.arange(3))


def test_integer_and_array_results_are_not_differentiable() -> None:
    with pytest.raises(tj.NotDifferentiable, match="returns a number of int64, not a float"):
        tj.grad(lambda a: a.shape[0] + 1)(X)
    with pytest.raises(tj.NotDifferentiable, match="returns a 1-d array of float64, not one number"):
        tj.grad(lambda a: a * 2.0)(X)
    with pytest.raises(tj.NotDifferentiable, match="returns several results: has_aux=True"):
        tj.grad(lambda a: (np.sum(a), 1))(X)


def test_what_holds_no_float_is_named() -> None:
    with pytest.raises(tj.NotDifferentiable, match="argument 0 holds a number of int64, not a float"):
        tj.grad(lambda a: a * a)(3)
    with pytest.raises(tj.NotDifferentiable, match="argument 1 of .* holds no float"):
        tj.grad(lambda a, b: a * a, argnums=1)(3.0, "name")


def test_unused_arguments() -> None:
    f = lambda a, b: a * 2.0  # noqa: E731
    assert tj.grad(f, argnums=1)(1.0, 2.0) == 0.0
    with pytest.raises(tj.NotDifferentiable, match="'b' does not matter"):
        tj.grad(f, argnums=1, unused="error")(1.0, 2.0)


@pytest.mark.compiled
def test_unused_arguments_inside_scripts() -> None:
    f = lambda a, b: a * 2.0 + int(b)  # noqa: E731
    outer = tj.grad(f, argnums=1, unused="error")
    assert tj.script(lambda a, b: tj.grad(f, 1)(a, b))(1.0, 2.0) == 0.0
    for inside in (lambda a, b: tj.grad(f, 1, unused="error")(a, b), lambda a, b: outer(a, b)):
        with pytest.raises(tj.NotDifferentiable, match=r"argument 1 does not matter to the result \(line"):
            tj.script(inside)(1.0, 2.0)
    assert tj.script(lambda a, b: tj.grad(f, unused="error")(a, b))(1.0, 2.0) == 2.0


def test_numbers_of_arguments() -> None:
    f = lambda a, b: (a * b * b).sum()  # noqa: E731
    for make in (tj.grad, tj.jacobian, tj.hessian):
        assert isinstance(make(f, argnums=[0])(2.0, X), tuple)
        last = make(f, argnums=-1)(2.0, X)
        np.testing.assert_array_equal(last, tj.script(lambda a, b, make=make: make(f, -1)(a, b))(2.0, X))
        np.testing.assert_array_equal(last, make(f, argnums=1)(2.0, X))
        for wrong in ("b", 1.0, (0, None)):
            call = lambda a, b, make=make, wrong=wrong: make(f, wrong)(a, b)  # noqa: E731
            for fn in (call, tj.script(call)):
                with pytest.raises(TypeError, match="argnums is the number of an argument"):
                    fn(2.0, X)
    with pytest.raises(ValueError, match="there is no argument 2"):
        tj.script(lambda a, b: tj.jacobian(f, 2)(a, b))(2.0, X)


@pytest.mark.parametrize(
    "call",
    [
        lambda f, x: tj.grad(f, argnum=0)(x),
        lambda f, x: tj.value_and_grad(f, 0, False, "error")(x),
        lambda f, x: tj.grad(f, unused="warn")(x),
        lambda f, x: tj.jacobian(f, has_aux=True)(x),
        lambda f, x: tj.hessian()(x),
        lambda f, x: tj.vmap(f, axis=0)(x),
        lambda f, x: tj.jvp(f, (x,)),
        lambda f, x: tj.jvp(f, (x,), (x, x)),
        lambda f, x: tj.hvp(f, x, x, x),
        lambda f, x: tj.vjp(f, x)[1](1.0, 2.0),
        lambda f, x: tj.checkpoint(f, 2)(x),
    ],
)
def test_wrong_calls_of_transformations_raise_inside_scripts_what_they_raise_outside(call) -> None:
    f = lambda x: (x * x).sum()  # noqa: E731
    with pytest.raises((TypeError, ValueError)) as outside:
        call(f, X)
    with pytest.raises(outside.type) as inside:
        tj.script(lambda x: call(f, x))(X)
    inside_says, outside_says = (str(error.value).replace("vjp.<locals>.", "") for error in (inside, outside))
    assert inside_says and outside_says.startswith(inside_says)  # Python 3.14 adds which name may have been meant


def test_results_without_a_derivative_name_their_line() -> None:
    def place(x):
        k = x.argmax()
        return k

    with pytest.raises(tj.NotDifferentiable, match=r"place returns a number of int64.*k = x.argmax\(\)") as caught:
        tj.grad(place)(X)
    assert len(caught.traceback) <= 3


def test_jacobians_of_functions_that_return_their_arguments() -> None:
    one, zero = np.eye(4), np.zeros((4, 4))
    np.testing.assert_array_equal(tj.jacobian(lambda x: x)(X), one)
    same, twice = tj.jacobian(lambda x: [x, x * 2.0])(X)
    np.testing.assert_array_equal((same, twice), (one, one * 2.0))
    by_first, by_second = tj.jacobian(lambda x, y: y, (0, 1))(X, X + 1.0)
    np.testing.assert_array_equal((by_first, by_second), (zero, one))
    found = tj.jacobian(lambda p: {"w": p["w"], "sum": p["w"].sum()})({"w": X})
    np.testing.assert_array_equal(found["w"]["w"], one)
    np.testing.assert_array_equal(found["sum"]["w"], np.ones(4))


@pytest.mark.compiled
@pytest.mark.parametrize(
    "call",
    [
        lambda x: tj.grad(lambda y: y * 2.0)(x),
        lambda x: tj.grad(lambda y: y.argmax())(x),
        lambda x: tj.grad(lambda y: y.sum() * 1j)(x),
        lambda x: tj.grad(lambda k, y: y.sum() * k)(3, x),
        lambda x: tj.jacobian(lambda y: y.astype(np.int64))(x),
    ],
)
def test_what_has_no_derivative_has_none_inside_scripts(call) -> None:
    with pytest.raises(tj.NotDifferentiable):
        call(X)
    with pytest.raises(tj.NotDifferentiable, match=r"\(line"):
        tj.script(call)(X)


def test_flat_functions_have_slope_zero() -> None:
    np.testing.assert_array_equal(tj.grad(lambda x: np.sum(np.floor(x * 3.0) * np.sign(x)))(X), np.zeros(4))
    assert tj.grad(lambda x: float(int(x)) * 2.0)(3.7) == 0.0


def test_kinks() -> None:
    zeros = np.array([0.0, 0.0])
    np.testing.assert_array_equal(tj.grad(lambda x: np.sum(np.abs(x)))(zeros), [0, 0])
    np.testing.assert_array_equal(tj.grad(lambda x: np.max(x))(zeros), [0.5, 0.5])
    np.testing.assert_array_equal(tj.grad(lambda x: np.sum(np.clip(x, 0.0, 1.0)))(zeros), [1, 1])
    assert tj.grad(lambda x: np.sqrt(x))(0.0) == np.inf
    assert tj.grad(lambda x: np.where(x > 0.0, np.log(x), 2.0 * x))(0.0) == 2.0
    assert tj.grad(lambda x: np.linalg.norm(x))(zeros).tolist() == [0, 0]


# -- vjp, jvp, hvp --------------------------------------------------------------------------------------------------


def test_pullback() -> None:
    out, pullback = tj.vjp(layer, X, W)
    np.testing.assert_allclose(out, layer(X, W))
    g = np.array([1.0, -2.0, 0.5])
    dx, dw = pullback(g)
    inner = g * (1 - out**2)
    np.testing.assert_allclose(dx, W.T @ inner)
    np.testing.assert_allclose(dw, np.outer(inner, X))
    np.testing.assert_allclose(pullback(2 * g)[0], 2 * dx)


def test_pullback_of_containers_and_integers() -> None:
    out, pullback = tj.vjp(lambda p, k: (p["a"] * k, p["a"].sum()), {"a": X}, 3)
    assert isinstance(out, tuple)
    dp, dk = pullback((np.ones(4), 2.0))
    np.testing.assert_allclose(dp["a"], [5.0] * 4)
    assert dk is None


def test_pushforward() -> None:
    out, tangent = tj.jvp(layer, (X, W), (X * 2, np.zeros_like(W)))
    np.testing.assert_allclose(tangent, (1 - out**2) * (W @ (X * 2)))
    assert tj.jvp(until, (1.1, 50.0), (1.0, 0.0))[1] == pytest.approx(tj.grad(until)(1.1, 50.0))
    assert tj.jvp(lambda a, b: a * b, (2.0, 2.0), (1.0, 0.0)) == (4.0, 2.0)


def of_many(items: Any, k: int) -> Any:
    return items[k] * items[0] + sum(items)


def test_lists_of_many_floats() -> None:
    items = [0.5 * i + 1 for i in range(40)]
    expected = [1.0] * 40
    expected[0], expected[3] = 1 + items[3], 1 + items[0]
    assert tj.vjp(of_many, items, 3)[1](1.0) == (expected, None)
    assert tj.jvp(of_many, (items, 3), ([1.0] * 40, None))[1] == pytest.approx(sum(expected))
    assert tj.grad(of_many)(items, 3) == tj.script(lambda xs, k: tj.grad(of_many)(xs, k))(items, 3) == expected
    scripted = tj.script(of_many)
    tj.vjp(scripted, items, 3)
    assert scripted(items, 3) == scripted(items[:20], 3) + sum(items[20:]) and scripted.compiles == 1


@pytest.mark.compiled
def test_lists_of_any_length_inside_a_script() -> None:
    def grown(x: float, n: int) -> Any:
        items = [x]
        for _ in range(n):
            items.append(items[-1] * 0.5)
        return tj.grad(of_many)(items, 0)

    with pytest.raises(tj.ScriptError, match="a list of any length"):
        tj.script(grown)(1.0, 5)


def test_tangents_must_fit() -> None:
    with pytest.raises(ValueError, match="shape"):
        tj.jvp(cubes, (X,), (np.ones(3),))
    with pytest.raises(ValueError, match="as many tangents"):
        tj.jvp(cubes, (X,), (X, X))


def test_hessian_vector_products() -> None:
    np.testing.assert_allclose(tj.hvp(cubes, (X,), (np.ones(4),)), 6 * X)
    da, db = tj.hvp(lambda a, b: np.sum(a * a * b), (X, X + 1), (X, X))
    np.testing.assert_allclose(da, 2 * X * (X + 1) + 2 * X * X)
    np.testing.assert_allclose(db, 2 * X * X)


# -- matrices ---------------------------------------------------------------------------------------------------------


def test_jacobians() -> None:
    slope = 1 - np.tanh(W @ X) ** 2
    np.testing.assert_allclose(tj.jacobian(layer)(X, W), slope[:, None] * W)
    np.testing.assert_allclose(tj.jacobian(layer, 1)(X, W), np.einsum("i,ij,k->ijk", slope, np.eye(3), X))
    dx, dw = tj.jacobian(layer, (0, 1))(X, W)
    assert (dx.shape, dw.shape) == ((3, 4), (3, 3, 4))
    np.testing.assert_allclose(tj.jacobian(lambda a: a * X)(2.0), X)
    np.testing.assert_allclose(tj.jacobian(cubes)(X), 3 * X**2)


def test_jacobian_of_a_recurrence_is_triangular() -> None:
    def f(x):
        p = np.zeros(x.shape[0])
        p[0] = x[0]
        for i in range(x.shape[0] - 1):
            p[i + 1] = np.tanh(p[i] * x[i + 1])
        return p

    found = tj.jacobian(f)(X)
    assert np.all(np.triu(found, 1) == 0)
    expected = np.stack([_column(f, X, j) for j in range(4)], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-8)


def _column(f: Any, x: Any, j: int, step: float = 1e-6) -> Any:
    e = np.eye(x.size)[j] * step
    return (f(x + e) - f(x - e)) / (2 * step)


def test_hessians() -> None:
    np.testing.assert_allclose(tj.hessian(cubes)(X), np.diag(6 * X))
    assert tj.hessian(lambda a: a**3)(2.0) == pytest.approx(12.0)


# -- batches ----------------------------------------------------------------------------------------------------------


def test_batches() -> None:
    xs = np.stack([X, X + 1, X * 2])
    np.testing.assert_allclose(tj.vmap(layer, in_axes=(0, None))(xs, W), np.tanh(xs @ W.T))
    np.testing.assert_allclose(tj.vmap(layer, in_axes=(1, None), out_axes=1)(xs.T, W), np.tanh(W @ xs.T))
    np.testing.assert_allclose(tj.vmap(tj.grad(cubes))(xs), 3 * xs**2)
    np.testing.assert_allclose(tj.vmap(lambda a, b: a * b)(X, X + 1), X * (X + 1))


def test_axes_in_the_structure_of_arguments_and_results() -> None:
    a = np.arange(12.0).reshape(3, 4)

    def fn(d: Any, b: Any) -> Any:
        return {"p": d["x"] * d["y"], "q": (d["x"].sum(), b * 2.0)}

    found = tj.vmap(fn, in_axes=({"x": 0, "y": None}, None), out_axes={"p": 1, "q": (0, None)})({"x": a, "y": 2.0}, a)
    np.testing.assert_array_equal(found["p"], (a * 2).T)
    np.testing.assert_array_equal(found["q"][0], a.sum(axis=1))
    np.testing.assert_array_equal(found["q"][1], a * 2)
    inside = tj.script(
        lambda a: tj.vmap(lambda d, b: (d["x"] * b, d["x"]), in_axes=({"x": 1}, None), out_axes=(1, 0))({"x": a}, 3.0)
    )
    np.testing.assert_array_equal(inside(a)[0], a * 3)
    np.testing.assert_array_equal(inside(a)[1], a.T)


def settled(m: Any, v: Any) -> Any:
    m = m + m.T
    for _ in range(5):
        v = m @ v
        v = v / np.linalg.norm(v)
    return v @ m @ v, v[v > -9.0]


def test_sizes_of_results_that_only_a_run_tells() -> None:
    m, v = np.arange(18.0).reshape(2, 3, 3) / 10, np.stack([X[:3], X[1:4]])
    want = [settled(*slices) for slices in zip(m, v, strict=True)]
    for axis in (0, 1):
        found = tj.vmap(settled, in_axes=(0, axis), out_axes=(0, axis))(m, np.moveaxis(v, 0, axis))
        np.testing.assert_allclose(found[0], [value for value, _ in want])
        np.testing.assert_allclose(np.moveaxis(found[1], axis, 0), [vector for _, vector in want])
    assert tj.check(lambda m, v: (tj.vmap(settled)(m, v)[1] ** 3).sum(), m, v)
    positive = tj.vmap(lambda x: x[x > 0])
    assert positive(np.array([[1.0, -1.0, 2.0], [-3.0, 4.0, 5.0]])).tolist() == [[1, 2], [4, 5]]
    with pytest.raises(ValueError, match="results of slices have sizes 2 and 1 along one axis"):
        positive(np.array([[1.0, 2.0], [-1.0, 1.0]]))
    with pytest.raises(ValueError, match="there are no slices"):
        positive(np.ones((0, 3)))


def test_numbers_that_are_the_same_for_all_slices_are_arrays() -> None:
    def fn(x: Any) -> Any:
        return x, 2, (True, np.float32(0.5))

    a = np.ones(3)
    for found in (tj.vmap(fn)(a), tj.script(lambda a: tj.vmap(fn)(a))(a)):
        assert [x.tolist() for x in (found[1], *found[2])] == [[2] * 3, [True] * 3, [0.5] * 3]
    found = tj.vmap(fn, out_axes=(0, None, 0))(a)
    assert found[1].shape == ()


def test_axes_that_do_not_fit() -> None:
    a = np.ones((3, 4))
    for wrong in (
        lambda: tj.vmap(lambda x: x, in_axes=2)(a),
        lambda: tj.vmap(lambda x: x, out_axes=2)(a),
        lambda: tj.vmap(lambda x: x * 2.0, out_axes=None)(a),
        lambda: tj.vmap(lambda d: d["x"], in_axes=({"y": 0},))({"x": a}),
        lambda: tj.vmap(lambda x: (x, x), out_axes=(0, 0, 0))(a),
        lambda: tj.vmap(lambda x, y: x, in_axes=(0, 0))(a, 1.0),
        lambda: tj.vmap(lambda x, y: x + y, in_axes=(0,))(a, a),
        lambda: tj.vmap(lambda x: x, in_axes=(0, 0))(a),
        lambda: tj.vmap(lambda *xs: xs[0], in_axes=(0,))(a, a),
        lambda: tj.vmap(lambda x, **given: x * given["y"])(a, y=a),
        lambda: tj.script(lambda a: tj.vmap(lambda x, y: x + y, in_axes=(0,))(a, a))(a),
    ):
        with pytest.raises(ValueError, match="vmap"):
            wrong()


def test_arguments_that_are_the_same_for_all_slices() -> None:
    def scaled(x: Any, y: Any, by: float = 2.0) -> Any:
        return x * by + y

    a = np.ones(3)
    assert tj.vmap(scaled, in_axes=(0, 0))(a, a).tolist() == [3, 3, 3]
    assert tj.vmap(scaled, in_axes=(0, None, None))(a, 1.0, 3.0).tolist() == [4, 4, 4]
    assert tj.vmap(lambda *xs, **given: xs[0] * given["by"])(a, by=3.0).tolist() == [3, 3, 3]


def test_every_slice_takes_its_own_way() -> None:
    def steps(x, limit):
        n = 0
        while x < limit:
            x = x * x + 0.5
            n += 1
        return x, n

    values, counts = tj.vmap(steps, in_axes=(0, None))(np.array([1.1, 2.0, 60.0]), 50.0)
    assert counts.tolist() == [4, 3, 0]
    assert values[2] == 60.0


def test_batch_sizes_must_agree() -> None:
    with pytest.raises(ValueError, match="4 and 3"):
        tj.vmap(lambda a, b: a * b)(X, np.ones(3))


# -- inside functions -----------------------------------------------------------------------------------------------


def test_transformations_inside_scripts() -> None:
    @tj.script
    def f(x, w):
        y, pullback = tj.vjp(layer, x, w)
        dx, dw = pullback(y)
        return dx, dw, tj.jvp(lambda v: layer(v, w), (x,), (x,))[1]

    y, pullback = tj.vjp(layer, X, W)
    dx, dw, tangent = f(X, W)
    np.testing.assert_allclose(dx, pullback(y)[0])
    np.testing.assert_allclose(dw, pullback(y)[1])
    np.testing.assert_allclose(tangent, tj.jvp(layer, (X, W), (X, W * 0))[1])


def test_transformations_nest_in_any_order() -> None:
    directional = lambda x: tj.jvp(cubes, (x,), (x,))[1]  # noqa: E731
    np.testing.assert_allclose(tj.grad(directional)(X), 9 * X**2)
    np.testing.assert_allclose(tj.grad(lambda x: np.sum(tj.hvp(cubes, (x,), (x,))))(X), 12 * X)
    assert tj.jacobian(tj.jacobian(lambda v: layer(v, W)))(X).shape == (3, 4, 4)
    np.testing.assert_allclose(tj.hessian(lambda x: np.sum(tj.vmap(lambda e: e**3)(x)))(X), np.diag(6 * X))
    assert tj.vmap(tj.vmap(lambda e: e * e))(W).shape == W.shape
    assert tj.vmap(tj.jacobian(lambda v: v * v))(W).shape == (3, 4, 4)


def test_batch_inside_a_loss_with_captured_parameters() -> None:
    def loss(p, xs, ys):
        def one(x, y):
            h = np.tanh(p["w"] @ x + p["b"]) - y
            return np.sum(h * h)

        return tj.vmap(one)(xs, ys).mean()

    xs, ys = np.linspace(-1, 1, 20).reshape(5, 4), np.linspace(0, 1, 15).reshape(5, 3)
    found = tj.grad(loss)({"w": W, "b": np.zeros(3)}, xs, ys)
    h = np.tanh(xs @ W.T)
    inner = 2 * (h - ys) * (1 - h * h) / 5
    np.testing.assert_allclose(found["w"], inner.T @ xs)
    np.testing.assert_allclose(found["b"], inner.sum(axis=0))


# -- functions with their own derivative ----------------------------------------------------------------------------


@tj.custom_vjp
def clipped_product(x, k):
    return x * k


clipped_product.defvjp(lambda x, k: (x * k, (x, k)), lambda saved, g: (g * 7.0, None))


def test_own_derivative_counts_everywhere() -> None:
    np.testing.assert_allclose(tj.grad(lambda x: np.sum(clipped_product(x, 2.0)))(X), [7.0] * 4)
    x = tj.tensor(X, requires_grad=True)
    clipped_product(x, 2.0).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [7.0] * 4)
    assert tj.jvp(lambda x: clipped_product(x, 2.0), (3.0,), (2.0,)) == (6.0, 14.0)


@pytest.mark.compiled
def test_own_derivative_is_one_node() -> None:
    f = tj.script(lambda x: np.sum(clipped_product(x, 2.0)))
    f(X)
    assert 'custom(%x) {name = "clipped_product"}' in f.graph


def test_own_derivative_may_not_close_over_what_varies() -> None:
    def f(x):
        @tj.custom_vjp
        def scaled(v):
            return v * x

        return scaled(x)

    with pytest.raises((tj.NotDifferentiable, tj.ScriptError)):
        tj.grad(f)(2.0)


# -- check ------------------------------------------------------------------------------------------------------------


def test_check_agrees_and_reports_differences() -> None:
    report = tj.check(layer, X, W)
    assert report
    assert "agree: forward mode and central differences" in str(report)
    assert tj.check(lambda t: (t * t).sum(), tj.tensor(X)).compared[-1] == "the eager tape and central differences"
    wrong = tj.check(lambda x: np.sum(clipped_product(x, 2.0)), X)
    assert not wrong
    assert [d.what for d in wrong.differences] == [
        "reverse mode and central differences",
        "forward mode and central differences",
    ]


# -- checkpoint -------------------------------------------------------------------------------------------------------


def deep(h, w):
    for _ in range(3):
        h = np.tanh(h * w)
    return h


def test_checkpointed_functions_have_the_same_derivatives() -> None:
    again = tj.checkpoint(deep)
    plain = tj.grad(lambda x, w: np.sum(deep(deep(x, w), w)), (0, 1))(X, 1.3)
    found = tj.grad(lambda x, w: np.sum(again(again(x, w), w)), (0, 1))(X, 1.3)
    np.testing.assert_allclose(found[0], plain[0])
    assert found[1] == pytest.approx(plain[1])
    captured = tj.grad(lambda x, w: np.sum(tj.checkpoint(lambda v: deep(deep(v, w), w))(x)), (0, 1))(X, 1.3)
    assert captured[1] == pytest.approx(plain[1])


def test_checkpoint_keeps_only_the_arguments() -> None:
    from tracejit.scripted.compiler import simplify
    from tracejit.transforms.derivatives.vjp import derive

    def residuals(f: Any) -> int:
        graph = simplify(tj.script(f).specialise([X, 1.3]).lowered.graph)[0]
        return derive(graph, [0, 1]).n_residuals

    assert residuals(lambda x, w: np.sum(np.sin(tj.checkpoint(deep)(x, w)))) < residuals(
        lambda x, w: np.sum(np.sin(np.exp(np.tanh(np.exp(np.tanh(x * w))))))
    )


def test_checkpoint_on_the_eager_tape() -> None:
    def run(wrap: Any) -> tuple[Any, Any]:
        x, w = tj.tensor(X, requires_grad=True), tj.tensor(1.3, dtype=tj.float64, requires_grad=True)
        wrap(lambda h: (h * w).tanh())(x).sum().backward()
        return x.grad.numpy(), w.grad.numpy()

    for found, expected in zip(run(tj.checkpoint), run(lambda f: f), strict=True):
        np.testing.assert_allclose(found, expected)


def test_what_always_raises_raises_its_own_error():
    def transposed(x):
        return x.transpose(1, 2).sum()

    for transformation in (tj.grad, tj.value_and_grad):
        with pytest.raises(np.exceptions.AxisError, match="axis 2 is out of bounds"):
            transformation(transposed)(W)


def test_transformations_inside_themselves_in_a_script():
    a, b = np.array([0.3, -0.7, 1.2]), np.array([1.1, 0.4])

    def products(a, b):
        table = tj.vmap(tj.vmap(lambda x, y: np.sin(x * y) + np.sum(b), in_axes=(None, 0)), in_axes=(0, None))
        return np.sum(table(a, b) ** 2)

    def curvatures(a):
        return np.sum(tj.vmap(lambda x: np.sum(tj.hessian(lambda v: np.sum(v**3) * x)(a)))(a))

    def slopes_of_slopes(a):
        inner = tj.jacobian(lambda v: v * v * v[0])
        return np.sum(tj.jacobian(lambda v: inner(v)[0])(a) ** 2)

    for fn, arguments in ((products, (a, b)), (curvatures, (a,)), (slopes_of_slopes, (a,))):
        report = tj.check(fn, *arguments)
        assert report and not report.skipped, str(report)


@pytest.mark.compiled
def test_functions_of_the_library_are_transformed():
    x = tj.tensor([0.5, -2.0], dtype=tj.float64)
    assert tj.grad(tj.sin)(0.5) == pytest.approx(np.cos(0.5))
    np.testing.assert_allclose(tj.jvp(tj.exp, (x,), (x,))[1].numpy(), x.numpy() * np.exp(x.numpy()))
    np.testing.assert_array_equal(tj.jacobian(tj.cumsum)(x).numpy(), [[1.0, 0.0], [1.0, 1.0]])
    np.testing.assert_array_equal(tj.vmap(tj.nn.functional.relu)(x).numpy(), [0.5, 0.0])
    np.testing.assert_array_equal(tj.vjp(tj.mul, x, x)[1](x)[0].numpy(), x.numpy() ** 2)
    with pytest.raises(tj.ScriptError, match="'sin' is not a Python function with a source"):
        tj.script(tj.sin)


def test_numbers_with_a_default_have_no_batch_axis():
    def powers(x, n=3, scale=2.0):
        return x**n * scale

    x = np.array([0.5, 2.0])
    np.testing.assert_array_equal(tj.vmap(powers)(x), powers(x))
    np.testing.assert_array_equal(tj.vmap(powers)(x, 2), powers(x, 2))
    np.testing.assert_array_equal(tj.vmap(powers, in_axes=(0, None, 0))(x, 2, x), powers(x, 2, x))


@pytest.mark.compiled
def test_cotangents_of_many_axes():
    """A message has room for eight sizes."""

    @tj.script
    def pulled(x, g):
        return tj.vjp(lambda v: v * v, x)[1](g)[0]

    x = np.arange(720.0).reshape(2, 3, 4, 5, 6)
    np.testing.assert_array_equal(pulled(x, x), 2 * x * x)
    with pytest.raises(
        ValueError, match=r"cotangent has shape \(3, 3, 4, 5, 6\), the value it belongs to \(2, 3, 4, \?, \?\)"
    ):
        pulled(x, np.ones((3, 3, 4, 5, 6)))


def test_results_without_a_derivative_are_refused():
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    _, pullback = tj.vjp(lambda v: (v.tolist(), v.sum()), x)
    with pytest.raises(tj.NotDifferentiable, match="list of lists"):
        pullback(([[1.0, 0.0], [0.0, 1.0]], None))
    np.testing.assert_array_equal(pullback((None, 2.0))[0], 2.0 * np.ones((2, 2)))
    with pytest.raises(tj.NotDifferentiable, match="list of lists"):
        tj.jvp(lambda v: v.tolist(), (x,), (x,))
    assert tj.jvp(lambda v: ((v > 2).tolist(), v.sum()), (x,), (x,))[1][0] == [None, None]


def of_two(a, b):
    return tj.sin(a) * tj.sum(a * b), 3


@pytest.mark.parametrize("way", ["jvp", "vjp", "hvp", "jvp by its tangents", "vjp by its cotangents"])
def test_derivatives_go_on_the_eager_tape(way: str) -> None:
    def loss(x: Any, v: Any) -> Any:
        if way.startswith("jvp"):
            (y, _), (t, _) = tj.jvp(of_two, (x, v), (v, x))
            return (y * t).sum()
        if way == "hvp":
            return (tj.hvp(lambda a: tj.sum(a**4) * a[0], (x,), (v,)) * x).sum()
        (y, _), pullback = tj.vjp(of_two, x, v)
        a, b = pullback((v, None))
        return (y * a * b).sum()

    start = [np.array([0.3, -0.5, 1.1]), np.array([1.0, 2.0, 0.4])]
    x, v = (tj.tensor(s) for s in start)
    varied = (v,) if "by its" in way else (x, v)
    for t in varied:
        t.requires_grad_()
    loss(x, v).backward()
    for t in varied:
        for k in range(3):
            moved = [tj.tensor(s.copy()) for s in start]
            changed = moved[0 if t is x else 1]
            changed[k] += 1e-6
            above = loss(*moved).item()
            changed[k] -= 2e-6
            np.testing.assert_allclose(t.grad[k].item(), (above - loss(*moved).item()) / 2e-6, rtol=1e-6)


def test_a_recorded_pullback_needs_its_arguments_as_they_were() -> None:
    x = tj.tensor(np.array([1.0, 2.0]), requires_grad=True) * 1
    _, pullback = tj.vjp(lambda a: a * a, x)
    x += 1
    with pytest.raises(RuntimeError, match="changed in place"):
        pullback(tj.tensor(np.ones(2)))


def test_floats_that_are_known_have_a_tangent_of_zero() -> None:
    def fn(x):
        return "a", x.sum(), 2.0, [3, 1j]

    assert tj.jvp(fn, (np.ones(2),), (np.ones(2),))[1] == (None, 2.0, 0.0, [None, 0j])


def test_lists_that_are_chosen_have_tangents_of_their_length() -> None:
    def fn(x, n):
        rows = [[0, 1], [2, 3, 4]]
        row = rows[n]
        row.append(int(x.argmax()))
        return x.sum(), row

    assert tj.jvp(fn, (np.ones(2), 1), (np.ones(2), None))[1] == (2.0, [None] * 4)
