"""Sums and deviations of floats as `math.fsum` and `statistics` give them, bit for bit, of any size."""

import math
import statistics

import numpy as np
import pytest

from tests.programs.compare import check


def total(values):
    return math.fsum(values)


def total_of_array(a):
    return math.fsum(a)


def mean(values):
    return statistics.mean(values)


def pvariance(values):
    return statistics.pvariance(values)


def variance(values):
    return statistics.variance(values)


def deviations(values):
    return statistics.stdev(values), statistics.pstdev(values)


def about(values, center):
    return statistics.pvariance(values, center), statistics.variance(values, center), statistics.stdev(values, center)


INF, NAN = math.inf, math.nan
THIRDS = [1 / 3, 2 / 3, 1e16, -1e16, 0.1, 0.2, 0.3]
HUGE = [1.7e308, 1.6e308, 1.7e308]
TINY = [5e-324, 1e-320, 2e-310]
CLOSE = [1.0, 1.0 + 2.0**-52, 1.0 + 2.0**-51, 1.0]
MANY = [1e15 + math.sin(i) for i in range(40)]

CASES = [
    *((total, v) for v in ([], THIRDS, [1e308] * 2, [1e308] * 20, [1e308, 1e308, -1e308], [INF, 1.0, 1e308, 1e308])),
    *((total, v) for v in ([INF, -INF], [NAN, 1.0], [1e308, 1e308, INF], [-INF, -INF], [NAN, INF])),
    (total_of_array, np.array([1e308, 1e308])),
    *((mean, v) for v in (THIRDS, HUGE, TINY, MANY, [INF, -INF], [INF, 1.0], [NAN])),
    *(
        (pvariance, v)
        for v in (THIRDS, CLOSE, HUGE, TINY, MANY, [INF, 1.0], [NAN, 1.0], [1e200, -1e200], [1e-200, 0.0])
    ),
    *((variance, v) for v in (THIRDS, CLOSE, HUGE[:1] * 20, TINY, MANY, [-INF, 1.0], [1e200, -1e200], [2, 3, 5])),
    *((deviations, v) for v in (THIRDS, CLOSE, HUGE, TINY, MANY, [1e200, -1e200], [1, 2, 4], [INF, 1.0])),
    *((about, v, 0.25) for v in (THIRDS, CLOSE, MANY, [1e150, -1e150], [INF, 1.0])),
    (about, [1e200, -1e200], 0.0),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0].__name__}({case[1]})"[:40])
def test_programs(case):
    check(*case, tolerance=0.0)
