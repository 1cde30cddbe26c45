"""Sizes that a call gives: -1 stands for the rest, other calls with the same sizes share what was compiled."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check
from tracejit import script

X = np.arange(12.0)


def reshaped(x, n, m):
    return x.reshape(n, m) * 2


def from_shape(x, shape):
    return np.reshape(x, shape)


def flat_by_path(x, n):
    size = -1 if n > 2 else n
    return x.reshape(size)


def message_of(fn, *arguments):
    with pytest.raises(ValueError) as caught:
        fn(*arguments)
    return str(caught.value)


@pytest.mark.parametrize(
    "fn, sizes",
    [
        (reshaped, (-1, 4)),
        (reshaped, (3, -1)),
        (reshaped, (-7, 4)),  # any negative number is the rest, in NumPy
        (from_shape, ((2, -1, 3),)),
        (from_shape, ([-1, 6],)),
        (from_shape, (-1,)),
        (flat_by_path, (3,)),
    ],
)
def test_the_rest(fn, sizes):
    check(fn, X, *sizes)


@pytest.mark.compiled
def test_one_program_for_all_sizes_and_one_for_each_rest():
    scripted = script(reshaped)
    for n, m in ((3, 4), (-1, 4), (2, 6), (-1, 6), (6, 2), (4, -1), (12, 1), (2, -1)):
        np.testing.assert_array_equal(scripted(X, n, m), reshaped(X, n, m))
    assert scripted.compiles == 3


def test_views_of_tensors():
    def viewed(x, shape):
        return x.view(shape)

    scripted = script(viewed)
    for shape in ([3, 4], [-1, 4], [2, -1], [6, 2]):
        assert scripted(tj.tensor(X), shape).tolist() == viewed(tj.tensor(X), shape).tolist()
    with pytest.raises(ValueError, match="at most one size may be -1"):
        scripted(tj.tensor(X), [-2, 4])


@pytest.mark.parametrize("sizes", [(5, 2), (5, -1), (-1, -1), (-3, -4), (0, -1)])
def test_what_does_not_fit_is_told_as_in_numpy(sizes):
    assert message_of(script(reshaped), X, *sizes) == message_of(reshaped, X, *sizes)


def test_one_size_that_does_not_fit():
    assert message_of(script(from_shape), X, (5,)) == "cannot reshape array of size 12 into shape (5,)"


@pytest.mark.compiled
def test_a_negative_size_that_is_computed_is_an_error():
    def half(x, n):
        return x.reshape(n - 3, 4)

    scripted = script(half)
    assert scripted(X, 6).shape == (3, 4)
    with pytest.raises(ValueError, match="cannot be negative: write -1 for the rest"):
        scripted(X, 2)


def test_gradient_through_the_rest():
    gradient = tj.grad(lambda x, n: (x.reshape(n, 4)[0] ** 2).sum())
    for n in (-1, 3, -1):
        np.testing.assert_array_equal(gradient(X, n), np.where(X < 4, 2 * X, 0))


def padded(x, n, mode):
    for i in range(n - 1):
        x = np.pad(x, (i, n), mode)
    return x if n < 3 else np.pad(x, [[n, 1]], mode=mode)


@pytest.mark.compiled
def test_widths_of_padding_are_numbers_of_a_call():
    scripted = script(padded)
    for n in range(4):
        for mode in ("edge", "reflect", "constant"):
            np.testing.assert_array_equal(scripted(X[:5], n, mode), padded(X[:5], n, mode))
    assert scripted.compiles == 3


def test_widths_that_do_not_fit():
    for width in (True, 1.5, (1, 2, 3), ((1, 2), (3, 4))):
        check(lambda x, width=width: np.pad(x, width, "edge"), X)
