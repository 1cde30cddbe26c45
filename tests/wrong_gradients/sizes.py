"""Programs about arrays whose sizes differ from trip to trip, or are equal only at run time."""

from __future__ import annotations

import numpy as np

from tests.gradients.programs import Registry

X = np.array([0.3, -0.5, 0.8])
V = np.array([0.9, 0.4, -0.7, 0.2, 1.3])
ROWS = np.array([0, 2, 3, 5], np.uint32)
COLUMNS = np.array([0, 2, 1, 0, 2], np.uint32)

REGISTRY = Registry()
example = REGISTRY.example


@example(V, X)
def rows_of_a_sparse_matrix(values, x):
    y = np.empty(ROWS.size - 1, values.dtype)
    for i in range(ROWS.size - 1):
        places = COLUMNS[ROWS[i] : ROWS[i + 1]]
        row = values[ROWS[i] : ROWS[i + 1]]
        y[i] = row @ x[places]
    return np.sum(y * y)


@example(V, X)
def two_slices_of_one_length(values, x):
    total = 0.0
    for i in range(3):
        first = np.sin(values[i : i + 2])
        second = x[ROWS[i] : ROWS[i] + 2]
        total += np.sum(first[: second.size] * second * first[: second.size])
    return total


@example(V, 0.4)
def branches_in_branches_that_keep_arrays_of_different_sizes(values, x):
    total = 0.0
    for i in range(4):
        if values[i] > 0.0:
            if i > 0:
                part = np.sin(values[1:4] * x)
                total += np.sum(part * part * x)
            else:
                whole = np.cos(values * x)
                total += np.sum(whole * whole * values)
        else:
            total = total * x
    return total
