"""`tj.autograd.functional` and `gradcheck`: the transformations under PyTorch's signatures."""

from __future__ import annotations

from typing import Any

import pytest

import tracejit as tj

X, Y = tj.tensor([1.0, 2.0], dtype=tj.float64), tj.tensor([3.0, 5.0], dtype=tj.float64)
functional = tj.autograd.functional


def cubes(x: Any) -> Any:
    return (x**3).sum()


def several(x: Any, y: Any) -> Any:
    return (x * y).sum(), x * 2


def lists(found: Any) -> Any:
    return tuple(map(lists, found)) if isinstance(found, tuple) else found.tolist()


def test_jacobians_and_hessians() -> None:
    assert lists(functional.jacobian(cubes, X)) == [3, 12]
    none = [[0, 0], [0, 0]]
    assert lists(functional.jacobian(several, (X, Y))) == (([3, 5], [1, 2]), ([[2, 0], [0, 2]], none))
    assert lists(functional.hessian(cubes, X)) == [[6, 0], [0, 12]]
    assert lists(functional.hessian(cubes, (X,))) == (([[6, 0], [0, 12]],),)


def test_products() -> None:
    assert lists(functional.vjp(cubes, X)) == (9, [3, 12])
    assert lists(functional.vjp(several, (X, Y), (tj.ones((), dtype=tj.float64), Y)))[1] == ([9, 15], [1, 2])
    assert lists(functional.jvp(several, (X, Y), (Y, X))) == ((13, [2, 4]), (39, [6, 10]))
    assert lists(functional.hvp(cubes, X, Y)) == lists(functional.vhp(cubes, X, Y)) == (9, [18, 60])
    with pytest.raises(RuntimeError, match="single element"):
        functional.vjp(several, (X, Y))


def test_results_ask_for_gradients_where_that_is_wanted() -> None:
    x = X.clone().requires_grad_()
    assert not functional.jacobian(cubes, x).requires_grad and not functional.hvp(cubes, x, Y)[1].requires_grad
    functional.jacobian(cubes, x, create_graph=True).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [6, 12]


@tj.custom_vjp
def wrong(x: Any) -> Any:
    return x.sin().sum()


wrong.defvjp(lambda x: (x.sin().sum(), x), lambda x, g: (g * x.sin(),))


def test_gradcheck() -> None:
    assert tj.autograd.gradcheck(cubes, X) and tj.autograd.gradcheck(several, (X, Y))
    with pytest.raises(RuntimeError, match="differs by"):
        tj.autograd.gradcheck(wrong, (X,))
    assert not tj.autograd.gradcheck(wrong, (X,), raise_exception=False)
