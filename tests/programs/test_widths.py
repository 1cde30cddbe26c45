"""Widths that data or arguments decide: of fields of f-strings, and of repeated text; lengths that `__len__` gives."""

import numpy as np
import pytest

from tests.programs.compare import check


def of_arguments(values, width):
    return [f"{x:>{width}.{2}f}|" for x in values], "{:{w}d}".format(3, w=width)


def gray_codes(n):
    return [f"{i ^ i >> 1:0{n}b}" for i in range(1 << n)]


def of_data(values):
    width = max(len(str(x)) for x in values)
    rows = [f"{x:*<{width}}|{x:0>{width}}|{x:{width}}|{str(x):{width}}|" for x in values]
    return rows, "-" * width, width * "ab"


class Bag:
    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n


class Window:
    def __init__(self, values):
        self.values = values

    def __len__(self):
        return self.values[0]

    def __getitem__(self, i):
        return self.values[i]


def length(n):
    return len(Bag(n))


def condition(n):
    return 1 if Bag(n) else 2


def of_numpy(values):
    return len(Window(values)), 1 if Window(values) else 2


CASES = [
    (of_arguments, [1.0, 2.5], 8),
    (gray_codes, 3),
    (of_data, [1, 100, 20]),
    (length, 3),
    (length, -1),
    (length, 1.5),
    (condition, 3),
    (condition, 0),
    (condition, -1),
    (of_numpy, np.array([3, 4, 5])),
    (of_numpy, np.array([-3, 4, 5])),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0].__name__}({case[1]})"[:30])
def test_programs(case):
    check(*case)
