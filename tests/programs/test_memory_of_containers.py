"""What containers own in functions that call each other, as the reference evaluator sees it: nothing is read after it
was freed, freed twice or left."""

from __future__ import annotations

from collections import defaultdict, deque

import pytest

from tests.programs.compare import check
from tests.programs.test_long_tuples import grown, of_digits, reached, solved, walks
from tracejit.codegen.evaluate import evaluate
from tracejit.scripted import script


def remembered(n):
    memo = {}

    def paths(i, j):
        if i == 0 or j == 0:
            return 1
        if (i, j) not in memo:
            memo[i, j] = paths(i - 1, j) + paths(i, j - 1)
        return memo[i, j]

    return paths(n, n + 1), len(memo)


def marked(n):
    seen, order = set(), []

    def visit(at):
        if at in seen:
            return
        seen.add(at)
        for to in (at * 2 % n, at * 3 % n, (at + 1) % n):
            visit(to)
        order.append(at)

    visit(0)
    return order, len(seen)


def taken_in_turns(n):
    found = defaultdict(list)

    def one(k):
        if k >= 0:
            found[k % 5].append(k)
            other(k - 1)

    def other(k):
        if k >= 0:
            found[k % 7].append(-k)
            one(k - 2)

    one(n)
    return len(found), found[3], sum(len(row) for row in found.values())


def rows_of_rows(n):
    rows = [[0]]

    def split(k):
        if k > 0:
            rows.append(rows[-1] + [k])
            split(k - 1)
            rows[k - 1] = [*rows[k], -k]

    split(n)
    queue, total = deque(rows), 0
    while queue:
        row = queue.popleft()
        total += sum(row)
        if len(row) > 3:
            queue.append(row[2:])
    return total, rows


PROGRAMS = [
    (reached, 4),
    (of_digits, 9),
    (solved, 6),
    (grown, 7),
    (walks, 6),
    (remembered, 6),
    (marked, 40),
    (taken_in_turns, 40),
    (rows_of_rows, 8),
]


@pytest.mark.compiled
@pytest.mark.parametrize("fn, n", PROGRAMS)
def test_of_functions_that_call_each_other(fn, n):
    scripted = check(fn, n)
    evaluate(scripted.specialise([n]).compiled.program, [n])


@pytest.mark.compiled
def test_the_evaluator_sees_the_whole_program():
    made = script(remembered).specialise([3]).compiled.program
    assert made.functions
    assert evaluate(made, [3])[0] == remembered(3)[0]
