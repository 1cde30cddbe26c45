"""What a script that goes backward itself leaves behind asks for gradients as in eager code, and gives none: a later
`backward()` through it is a RuntimeError, never a gradient without its part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tracejit as tj
from tracejit.scripted import script


def in_an_argument(w, x, left, n):
    y = w * x
    y.sum().backward()
    if n > 0:
        left["array"][1:] = y[1:] * n


def in_a_dict(w, x, left, n):
    y = w * x
    y.sum().backward()
    left["array"] = y * n


def in_a_list(w, x, left, n):
    y = w * x
    left["items"].append(y * n)
    y.sum().backward()


def in_a_gradient(w, x, left, n):
    (w * x * x * n).sum().backward(create_graph=True)
    left["array"] = tj.zeros(3)


LEAVE = [in_an_argument, in_a_dict, in_a_list, in_a_gradient]


def left_by(fn: Callable[..., Any], n: int) -> tuple[tj.Tensor, tj.Tensor]:
    w, x = tj.ones(3, requires_grad=True), tj.ones(3, requires_grad=True)
    left = {"array": tj.zeros(3), "items": list[Any]()}
    fn(w, x, left, n)
    found = x.grad if fn.__name__ == "in_a_gradient" else (left["items"] or [left["array"]])[0]
    assert found is not None
    return w, found


@pytest.mark.parametrize("leave", LEAVE)
def test_what_is_left_behind_cannot_be_gone_through_again(leave: Callable[..., Any]) -> None:
    compiled = script(leave)
    for _ in range(2):  # the second call is native, where no object of the caller changes
        w, found = left_by(compiled, 2)
        assert found.requires_grad and found.tolist() == left_by(leave, 2)[1].tolist()
        with pytest.raises(RuntimeError, match="second time"):
            (w.sum() + found.sum()).backward()


def test_what_the_path_taken_did_not_write_asks_for_nothing() -> None:
    compiled = script(in_an_argument)
    for n in (0, 1, 0):
        assert left_by(compiled, n)[1].requires_grad == bool(n)


def test_gradients_with_a_history_are_added() -> None:
    compiled = script(in_a_gradient)
    for fn in (in_a_gradient, compiled):
        w, x = tj.ones(3, requires_grad=True), tj.ones(3, requires_grad=True)
        x.grad = tj.ones(3)
        for _ in range(2):
            fn(w, x, {"array": x}, 1)
        assert x.grad.requires_grad and x.grad.tolist() == [5.0] * 3
