"""Names that `:=` binds in comprehensions and conditions are names of the function; comprehension variables are not."""

import numpy as np
import pytest

from tests.programs.compare import check
from tracejit import ScriptError, script


def in_filters(values):
    kept = [x for x in values if (y := x * 2) > 4]
    return kept, y


def in_filters_of_ranges(n):
    kept = [x for x in range(n) if (y := x * 2) > 4]
    total = sum(v for i in range(n) if (v := i * i) % 2)
    return kept, y, total, v


def running_totals(n):
    total = 0
    parts = [total := total + i for i in range(n)]
    return parts, total


def witnesses(values, n):
    found = any((z := x) > 1 for x in values)
    rest = all((last := i) < 3 for i in range(n))
    return found, z, rest, last


def nested(rows):
    flat = [(m := v) for row in rows for v in row]
    if any((hit := v) > 3 for row in rows for v in row if v):
        return hit, flat, m
    return -1, flat, m


def perhaps(c, n):
    y = 0
    if c > 0:
        y = 1
    kept = [i for i in range(n) if (y := i) > 1]
    z = 2
    if c > 1:
        z = 3
    found = c > 5 and (z := n) > 2
    return kept, y, found, z


def variables_of_their_own(n):
    x = 100
    made = [x for x in range(n)]
    found = any(x > 1 for x in range(n))
    return made, x, found


def nothing_bound(n):
    kept = [y for x in range(n) if (y := x) > 1]
    return kept, y


def of_arrays(a):
    if (n := len(a)) > 2 and (m := a.max()) > 1:
        return n * m
    return n * 1.0


def texts(lines):
    found = []
    for line in lines:
        if (k := line.find("=")) >= 0 and (name := line[:k].strip()):
            found.append((name, line[k + 1 :].strip()))
    return found


def next_one(values):
    first = next((y := x) for x in values if x > 1)
    return first, y


CASES = [
    (in_filters, [1, 2, 3, 4]),
    (in_filters_of_ranges, 5),
    (in_filters_of_ranges, 2),
    (running_totals, 4),
    (running_totals, 0),
    (witnesses, [0, 1, 2, 3], 5),
    (witnesses, [0], 2),
    (nested, [[0, 1], [2, 5, 7]]),
    (nested, [[0, 1]]),
    (perhaps, 1, 0),
    (perhaps, 7, 3),
    (perhaps, -1, 0),
    (variables_of_their_own, 3),
    (nothing_bound, 3),
    (nothing_bound, 0),
    (of_arrays, np.arange(4.0)),
    (of_arrays, np.zeros(2)),
    (texts, ["a = 1", "b", "=2"]),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0].__name__}({case[1]})"[:40])
def test_programs(case):
    check(*case)


@pytest.mark.compiled
def test_a_generator_expression_that_is_left_is_refused():
    with pytest.raises(ScriptError, match="binds a name of the function"):
        script(next_one)([1, 2])
