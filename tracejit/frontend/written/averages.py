"""Functions of `statistics` over lists and tuples of numbers."""

from __future__ import annotations

import math
import statistics
from statistics import StatisticsError
from typing import Any

from tracejit.frontend.containers.tables import outlined
from tracejit.frontend.written import written


@outlined
def _total(data: Any) -> Any:
    return math.fsum(data)


def _points(data: Any, least: Any, text: Any) -> Any:
    """The data as a list; the error `text` where there are fewer."""
    items = list(data)
    if len(items) < least:
        raise StatisticsError(text)
    return items


@written(statistics.mean)
def mean(data: Any) -> Any:
    """statistics.mean."""
    return _mean(_points(data, 1, "mean requires at least one data point"))


@outlined
def _mean(items: Any) -> Any:
    """The float next to the mean: that of the sum over its number, and what a rounding of these left."""
    n = len(items)
    near = _total(items) / n
    if not math.isfinite(near):
        return _total([x / n for x in items]) if all(math.isfinite(x) for x in items) else near
    return near + _total([*items, *[-near for _ in range(n)]]) / n


@written(statistics.pvariance)
def pvariance(data: Any, mu: Any = None) -> Any:
    """statistics.pvariance."""
    items = _points(data, 1, "pvariance requires at least one data point")
    return _squares(items, mu) / len(items)


@written(statistics.variance)
def variance(data: Any, xbar: Any = None) -> Any:
    """statistics.variance."""
    items = _points(data, 2, "variance requires at least two data points")
    return _squares(items, xbar) / (len(items) - 1)


@written(statistics.pstdev)
def pstdev(data: Any, mu: Any = None) -> Any:
    """statistics.pstdev."""
    items = _points(data, 1, "pstdev requires at least one data point")
    return math.sqrt(_squares(items, mu) / len(items))


@written(statistics.stdev)
def stdev(data: Any, xbar: Any = None) -> Any:
    """statistics.stdev."""
    items = _points(data, 2, "stdev requires at least two data points")
    return math.sqrt(_squares(items, xbar) / (len(items) - 1))


@outlined
def _squares(items: Any, center: Any) -> Any:
    """The sum of squares of the distances from the mean, or from a number that is given."""
    if center is not None:
        return _total([(x - center) ** 2 for x in items])
    middle = _total(items) / len(items)
    distances = [x - middle for x in items]
    return _total([d * d for d in distances]) - _total(distances) ** 2 / len(items)
