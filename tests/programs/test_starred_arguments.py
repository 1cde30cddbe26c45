"""Calls with `*items` of which it is known at run time only how many there are."""

from dataclasses import dataclass
from typing import NamedTuple

import pytest

from tests.programs.compare import check
from tracejit import script


class Polynomial:
    def __init__(self, *coefficients):
        self.coefficients = list(coefficients)
        while len(self.coefficients) > 1 and self.coefficients[-1] == 0:
            self.coefficients.pop()

    def __add__(self, other):
        n = max(len(self.coefficients), len(other.coefficients))
        a = self.coefficients + [0] * (n - len(self.coefficients))
        b = other.coefficients + [0] * (n - len(other.coefficients))
        return Polynomial(*[x + y for x, y in zip(a, b, strict=True)])

    def __call__(self, x):
        made = 0
        for c in reversed(self.coefficients):
            made = made * x + c
        return made


class Matrix:
    def __init__(self, rows):
        self.rows = rows

    def transposed(self):
        return Matrix([list(column) for column in zip(*self.rows)])  # noqa: B905 - as people write it

    def __matmul__(self, other):
        columns = list(zip(*other.rows))  # noqa: B905
        return Matrix([[sum(a * b for a, b in zip(r, c, strict=True)) for c in columns] for r in self.rows])


class Box:
    def __init__(self, width, height):
        self.width, self.height = width, height

    def scaled(self, by, *more):
        return self.width * by + sum(more)


def summed(a, b, x):
    p = Polynomial(*a) + Polynomial(*b)
    return p(x), p.coefficients


def totals(*values):
    return sum(values), len(values), max(values), values[0], [v * 2 for v in values]


def passed_on(*values):
    return totals(*values)


def of_any_length(n):
    values = []
    for i in range(n):
        values.append(i * 1.5)
    return totals(*values), passed_on(*values), totals(7.0, *values)


def area(width, height):
    return width * height


def two_and_more(a, b, *more):
    return a, b, sum(more, 0.0), len(more)


def of_two(values, k):
    return area(*[v + k for v in values if v > 0])


def more_than_two(values):
    found = [v for v in values if v > 0]
    return two_and_more(*found), two_and_more(1.0, *found), two_and_more(1.0, 2.0, *found)


def nested(values):
    def minus(a, b):
        return a - b

    found = [v for v in values if v > 0]
    return minus(*found), (lambda a, b: a * b)(*found), minus(*(v for v in values if v > 0))


def constructed(values):
    found = [v for v in values if v > 0]
    box = Box(*found)
    return box.width, box.scaled(*found)


def transposed(n, m):
    rows = [[i * m + j for j in range(m)] for i in range(n)]
    turned = [list(column) for column in zip(*rows[::-1])]  # noqa: B905
    again = list(map(list, zip(*turned)))  # noqa: B905
    return turned, [sum(column) for column in zip(*rows)], again == rows[::-1], list(zip(*rows))  # noqa: B905


def products(n):
    m = Matrix([[i + j for j in range(n)] for i in range(n)])
    return (m @ m).rows, m.transposed().rows


def mapped_lists(n):
    rows = [[i + j for j in range(n)] for i in range(n)]
    copied = list(map(list, rows))
    copied[0][0] = 5
    return rows, copied, list(map(sorted, rows))


def columns_of_text(rows):
    width = max(map(len, rows))
    filled = [row + "." * (width - len(row)) for row in rows]
    return ["".join(column) for column in zip(*filled)]  # noqa: B905


def extremes(n):
    values = [i * 7 % 5 for i in range(n)]
    return max(*values), min(*values)


def named_behind(a, b, *, scale):
    return (a - b) * scale


def beside_a_name(n):
    return named_behind(*[i + 1 for i in range(n)], scale=2)


def printed(n):
    values = [i * 7 % 5 for i in range(n)]
    print(*values)
    print(*values, sep=", ", end=";\n")
    return n


@dataclass
class Point:
    x: float
    y: float = 2.0

    def shifted(self, dx, dy=1.0):
        return Point(self.x + dx, self.y + dy)


class Pair(NamedTuple):
    a: float
    b: float = 5.0


class Scale:
    def __init__(self, a, b=3.0, *, scale=1.0):
        self.a, self.b, self.scale = a, b, scale

    def of(self, a, b=2.0):
        return self.a * a + self.b * b

    @classmethod
    def made(cls, *args):
        return cls(*args)

    @staticmethod
    def summed(a, b, c=0.0):
        return a + 10 * b + 100 * c


class Total:
    def __init__(self, start):
        self.value = start

    def add(self, a, b: float | None = None):
        self.value += a if b is None else a * b
        return self.value


def with_defaults(a, b=2.0, c=3.0):
    return a, b, c


def and_more(a, b=2.5, *rest):
    return a, b, len(rest), sum(rest, 0.0)


def twice(fn):
    def inner(*args, **kwargs):
        return fn(*args, **kwargs) * 2

    return inner


@twice
def decorated(a, b=3.0):
    return a + b


def positive(values):
    return [v for v in values if v > 0]


def of_defaults(values):
    found = positive(values)
    return with_defaults(*found), Scale(1.0, 2.0).of(*found[:2]), Scale.summed(*found, 4.0), decorated(*found[1:])


def of_classes(values):
    found = positive(values)
    p, q = Point(*found), Point(1.0, 1.0).shifted(*found)
    pair, made, scaled = Pair(*found), Scale.made(*found), Scale(*found, scale=0.5)
    return (p.x, p.y, q.x, q.y), pair, (made.a, made.b), (scaled.a, scaled.b, scaled.scale)


def of_static_methods(values):
    return Scale.summed(*positive(values)), and_more(*positive(values)), and_more(1.0, *positive(values))


def of_none(values):
    total = Total(1.0)
    return total.add(*positive(values)), total.value


def named_behind_items(values):
    return with_defaults(*positive(values), c=9.0), with_defaults(*positive(values), **{"b": 7.0})


def named_tuple(values):
    return Pair(*positive(values))


def a_data_class(values):
    p = Point(*positive(values))
    return p.x, p.y


def printed_beside(values):
    found = positive(values)
    print("found:", *found)
    print(*found, "and", *found, sep="-", end="!\n")
    print("a", *[1, 2], "b")
    return max(*found, 0.5, *found), min(0.25, *found)


CASES = [
    (summed, [1, 2], [3, 4, 5], 2),
    (summed, [1, 2], [0, -2], 2),
    (of_any_length, 3),
    (of_any_length, 1),
    (of_two, [1.0, -1.0, 2.0], 1.0),
    (of_two, [1.0], 1.0),
    (of_two, [-1.0], 1.0),
    (of_two, [1.0, 2.0, 3.0], 1.0),
    (more_than_two, [1.0, -1.0, 2.0]),
    (more_than_two, [1.0, -1.0]),
    (nested, [1.0, -1.0, 2.0]),
    (nested, [1.0, 3.0, 2.0]),
    (constructed, [1.0, -1.0, 2.0]),
    (constructed, [1.0]),
    (constructed, [1.0, 3.0, 2.0]),
    (transposed, 2, 3),
    (transposed, 3, 1),
    (products, 3),
    (mapped_lists, 3),
    (columns_of_text, ["abc", "d", "ef"]),
    (extremes, 4),
    (extremes, 1),
    (extremes, 0),
    (beside_a_name, 2),
    (beside_a_name, 1),
    (beside_a_name, 3),
    (printed, 4),
    (printed, 0),
    (of_defaults, [1.0, 2.0]),
    (of_defaults, [-1.0]),
    (of_classes, [1.0]),
    (of_classes, [1.0, -1.0, 4.0]),
    (of_classes, [1.0, 2.0, 3.0]),
    (of_static_methods, [1.0, 2.0]),
    (of_static_methods, [1.0, 2.0, 3.0]),
    (of_static_methods, [1.0]),
    (of_static_methods, [1.0, 2.0, 3.0, 4.0]),
    (of_none, [2.0]),
    (of_none, [2.0, 3.0]),
    (of_none, []),
    (named_behind_items, [1.0]),
    (named_behind_items, [1.0, 2.0]),
    (printed_beside, [1.0, -1.0, 2.0]),
    (printed_beside, []),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0].__name__}({case[1]})"[:40])
def test_programs(case):
    check(*case)


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("fn", "values"),
    [
        (named_tuple, []),
        (named_tuple, [1.0, 2.0, 3.0]),
        (a_data_class, []),
        (a_data_class, [1.0, 2.0, 3.0]),
        (of_static_methods, [1.0]),
        (of_none, [1.0, 2.0, 3.0]),
        (named_behind_items, [1.0, 2.0]),
        (named_behind_items, [1.0, 2.0, 3.0]),
    ],
)
def test_errors_are_those_of_python(fn, values):
    with pytest.raises(TypeError) as plain:
        fn(values)
    with pytest.raises(TypeError) as compiled:
        script(fn)(values)
    assert str(compiled.value) == str(plain.value)
