"""Loops that train, written out in scripts: results, leaves and gradients are those of eager code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tracejit as tj
from tests.gradients.random_training import compare


def adversaries_step_in_turn(w, u, x, n):
    score = 0.0
    for i in range(n):
        fake = tj.tanh(w * x + i)
        told = tj.sigmoid((u * x).sum()).log() + (1 - tj.sigmoid((u * fake.detach()).sum())).log()
        u.grad = None
        (-told).backward()
        with tj.no_grad():
            u -= 0.1 * u.grad
        fooled = -tj.sigmoid((u * fake).sum()).log()
        w.grad = None
        fooled.backward()
        with tj.no_grad():
            w -= 0.1 * w.grad
        score += told.item() - fooled.item()
    return score, w * 1.0


def one_is_moved_before_the_loss(w, u, x, n):
    for _ in range(n):
        y = w * x
        with tj.no_grad():
            u -= 0.1
        ((u * y).sum() ** 2).backward()
        with tj.no_grad():
            w -= 0.1 * w.grad
        w.grad = None
    return w.sum().item(), u * 1.0


def one_is_moved_before_each_loss_of_an_inner_loop(w, u, x, n):
    for i in range(n):
        y = w * x
        for _ in range(2):
            with tj.no_grad():
                u *= 0.9
            ((u * y).sum() ** 2 * u.sum()).backward(retain_graph=True)
        if i % 2 == 0:
            with tj.no_grad():
                w -= 0.1 * w.grad
    return w.sum().item(), u * 1.0


PROGRAMS = [
    adversaries_step_in_turn,
    one_is_moved_before_the_loss,
    one_is_moved_before_each_loss_of_an_inner_loop,
]


@pytest.mark.parametrize("fn", PROGRAMS)
def test_a_script_trains_as_eager_code(fn: Callable[..., Any]) -> None:
    compare(fn)
