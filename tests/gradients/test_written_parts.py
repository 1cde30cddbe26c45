"""Parts of tensors that derivatives need and that are written before `backward()`: inside a script as in eager code."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit as tj
from tests.gradients.test_tape_misuse import gradient
from tracejit.scripted import script


def clone_used(x):
    y = x * 2
    v = y.clone()
    z = v * v
    y += 1
    z.sum().backward()


def clone_of_a_part_used(x):
    y = x * 2
    v = y[1:].clone()
    z = v * v
    y += 1
    z.sum().backward()


def elements_by_indices_used(x):
    y = x * 2
    v = y[[0, 1]]
    z = v * v
    y += 1
    z.sum().backward()


def elements_by_mask_used(x):
    y = x * 2
    v = y[y > 2]
    z = v * v
    y += 1
    z.sum().backward()


def part_of_a_clone_used(x):
    y = x * 2
    v = y.clone()[1:]
    z = v * v
    y += 1
    z.sum().backward()


def unpacked_elements(x):
    y = x * 2
    a, b, c = y
    z = a * b * c
    y += 1
    z.backward()


def all_written_through_a_slice(x):
    y = x * 2
    z = y[:] ** 2
    y[:] = 0
    z.sum().backward()


def middle_written(x):
    y = tj.zeros(3)
    y[:] = x * 2
    z = y[2:] * y[:1]
    y[1] = 0
    z.sum().backward()


def transpose_used(x):
    y = x.reshape(3, 1) * x
    z = y.T * y.T
    y[0, 0] = 0
    z.sum().backward()


def column_written(x):
    y = x.reshape(3, 1) * x
    z = y[1] * y[1]
    y[:, 0] = 0
    z.sum().backward()


def other_rows_written_twice(x):
    y = x.reshape(3, 1) * x
    z = y[2] * y[2]
    y[:2] = 0
    y[0] = 1
    z.sum().backward()


def row_written_later(x):
    y = x.reshape(3, 1) * x
    z = y[2] * y[2]
    y[:2] = 0
    y[2, 2] = 1
    z.sum().backward()


def element_between_written(x):
    y = x * 2
    z = y[::2] * y[::2]
    y[1] = 0
    z.sum().backward()


def flipped_part(x):
    y = x * 2
    z = y.flip(0)[1:] * 2 * y.flip(0)[1:]
    y[0] = 0
    z.sum().backward()


def part_not_needed(x):
    y = x * 2
    z = (y[1:] * 3).exp()
    y[1] = 0
    z.sum().backward()


def written_by_mask(x):
    y = x * 2
    z = y[1:] * y[1:]
    y[y > 100] = 0
    z.sum().backward()


def written_by_indices(x):
    y = x * 2
    z = y[1:] * y[1:]
    y[[0]] = 0
    z.sum().backward()


def empty_part_written(x):
    y = x * 2
    z = y[1:] * y[1:]
    y[3:] = 0
    z.sum().backward()


def empty_part_used(x):
    y = x * 2
    z = y[3:] * y[3:]
    y[:] = 0
    z.sum().backward()


def part_of_a_leaf_written(x):
    with tj.no_grad():
        pass
    z = x[1:] * x[1:]
    with tj.no_grad():
        x[1:] -= 0.1
    z.sum().backward()


def leaf_written(x):
    z = x[1:] * x[1:]
    with tj.no_grad():
        x -= 0.1
    z.sum().backward()


def other_part_of_a_leaf_written(x):
    z = x[1:] * x[1:]
    with tj.no_grad():
        x[0] -= 0.1
    z.sum().backward()


def in_each_trip(x):
    for i in range(2):
        y = x * 2
        z = y[1:] * y[1:]
        y[i] = 0.5
        z.sum().backward()


def view_of_a_view_before(x):
    y = x * 2
    v = y[1:]
    w = v[1:]
    z = w * w
    v[0] = 3.0
    z.sum().backward()


def view_of_a_view(x):
    y = x * 2
    v = y[1:]
    w = v[1:]
    z = w * w
    v[1] = 3.0
    z.sum().backward()


def part_used(x):
    y = x * 2
    z = y[1:] * y[1:]
    y[1] = 5.0
    z.sum().backward()


def element_used(x):
    y = x * 2
    z = y[0] * y[0]
    y[0] = 1.0
    z.backward()


def written_by_its_own_statement(x):
    y = x * 2
    y[1:] *= y[1:]
    y[:2] += y[1:]
    y.sum().backward()


def one_after_the_other(x):
    y = x * 1.0
    y[1] = y[0] * y[0]
    y[2] = y[1] * y[1]
    y.sum().backward()


def one_after_the_other_and_the_first(x):
    y = x * 1.0
    y[1] = y[0] * y[0]
    y[0] = y[1] * 3
    y.sum().backward()


def computed_again(x):
    y = x * 2
    y[1:] * y[1:]
    y[1] = 5.0
    (y[1:] * y[1:]).sum().backward()


@pytest.mark.parametrize(
    "fn",
    [f for name, f in list(globals().items()) if getattr(f, "__module__", "") == __name__],
    ids=lambda f: f.__name__,
)
def test_a_script_does_what_eager_code_does(fn) -> None:
    expected, scripted = gradient(fn), script(fn)
    for _ in range(2):
        found = gradient(scripted)
        assert found == expected if isinstance(expected, str | None) else np.allclose(found, expected, 1e-5)
