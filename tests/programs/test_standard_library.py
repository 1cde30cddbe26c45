"""Functions of the standard library that scripts have definitions for: `statistics`, `heapq.merge`, `itertools`."""

import heapq
import itertools
import math
import statistics

import numpy as np
import pytest

from tests.programs.compare import check


def averages(values):
    return statistics.mean(values), statistics.fmean(values), statistics.median(values), statistics.mode(values)


def spreads(values):
    return statistics.stdev(values), statistics.pvariance(values)


def of_a_list_that_grows(n):
    values = [float(i * i % 7) for i in range(n)]
    return statistics.mean(values), statistics.pstdev(values), statistics.variance(values, 2.0)


def means(rows):
    return [statistics.mean([float(x) for x in row]) for row in rows]


def merged(a, b):
    return list(heapq.merge(a, b)), [x for x in heapq.merge(a, b, [0, 9])], list(heapq.merge(a[::-1], b, reverse=True))


def merged_by_key(rows, others):
    return list(heapq.merge(rows, others, key=lambda row: row[0]))


def numbered(n):
    counter, made = itertools.count(1), []
    for _ in range(n):
        made.append(next(counter))
    return made, next(counter)


def alternating(values):
    signs = itertools.cycle([1, -1])
    return sum(x * next(signs) for x in values), next(signs)


def enciphered(text, key):
    made, letters = "", itertools.cycle(key)
    for letter in text:
        made += chr((ord(letter) + ord(next(letters)) - 130) % 26 + 65)
    return made


def entropy(data):
    counts = np.bincount(np.frombuffer(data, dtype=np.uint8), minlength=256)
    shares = counts[counts > 0] / len(data)
    return -(shares * np.log2(shares)).sum()


CASES = [
    (averages, [1.0, 2.5, 3.0, 7.0]),
    (averages, [1, 2, 2, 5]),
    (averages, []),
    (spreads, [1.0, 2.5, 3.0, 7.0]),
    (spreads, [1, 2, 2, 5]),
    (spreads, [1.0]),
    (of_a_list_that_grows, 5),
    (means, [[0.1, 0.2, 0.3], [1e308, 1e308, 1e308], [1e16, 1.0, -1e16], [math.inf, 1.0]]),
    (means, np.random.default_rng(0).normal(size=(50, 7))),
    (merged, [1, 4, 4], [2, 3, 9]),
    (merged, [4, 1], [3, 2]),
    (merged_by_key, [(1, 0), (2, 0)], [(1, 1), (3, 1)]),
    (numbered, 3),
    (alternating, [1, 2, 3]),
    (enciphered, "ATTACKATDAWN", "LEMON"),
    (entropy, b"hello world"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].__name__)
def test_programs(case):
    check(*case)
