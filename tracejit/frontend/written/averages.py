"""Functions of `statistics` over lists and tuples of numbers."""

from __future__ import annotations

import math
import statistics
from statistics import StatisticsError
from typing import Any

from tracejit.frontend.containers.tables import growing_floats, outlined
from tracejit.frontend.written import written

#: Numbers beyond these are scaled, so that their squares and what these are rounded by are floats as well.
_LARGE, _SMALL = 1e90, 1e-90
_DOWN, _UP = 2.0**-700, 2.0**700
#: Splits a float into halves of 26 bits (Dekker 1971).
_HALVES = 134217729.0


@outlined
def _total(data: Any) -> Any:
    return math.fsum(data)


def _points(data: Any, least: Any, text: Any) -> Any:
    """The data as a list of floats; the error `text` where there are fewer."""
    items = growing_floats()
    for x in data:
        items.append(float(x))
    if len(items) < least:
        raise StatisticsError(text)
    return items


@outlined
def _not_finite(items: Any) -> Any:
    """The sum of those that are infinite or nan, 0 where none is."""
    total = 0.0
    for x in items:
        if not math.isfinite(x):
            total += x
    return total


@outlined
def _scale(items: Any) -> Any:
    """The power of two that numbers are multiplied by."""
    largest = 0.0
    for x in items:
        largest = max(largest, abs(x))
    return _DOWN if largest > _LARGE else _UP if largest < _SMALL else 1.0


def _product(a: Any, b: Any) -> Any:
    """A product, and what its rounding left."""
    p = a * b
    a_high = _HALVES * a - (_HALVES * a - a)
    b_high = _HALVES * b - (_HALVES * b - b)
    a_low, b_low = a - a_high, b - b_high
    return p, ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low


@outlined
def _quotient(parts: Any, n: Any) -> Any:
    """The sum of the parts over a number, and what its rounding left."""
    near = _total(parts) / n
    high, low = _product(near, float(n))
    return near, _total([*parts, -high, -low]) / n


@outlined
def _mean(items: Any) -> Any:
    """The float next to the mean."""
    odd = _not_finite(items)
    if odd != 0.0:
        return odd / len(items)
    scale = _scale(items)
    near, rest = _quotient([x * scale for x in items], len(items))
    return (near + rest) / scale


@outlined
def _squares(items: Any, middle: Any) -> Any:
    """Parts whose sum is the number of items times the sum of the squares of their distances from their mean, which is
    near `middle`."""
    n = float(len(items))
    distances, parts = [], []
    for x in items:
        d = x - middle
        moved = d - x
        rest = (x - (d - moved)) - (middle + moved)
        distances.append(d)
        distances.append(rest)
        high, low = _product(d, d)
        a, b = _product(high, n)
        parts.append(a)
        parts.append(b + n * (low + 2.0 * d * rest))
    left = _total(distances)
    more = _total([*distances, -left])
    high, low = _product(left, left)
    return [*parts, -high, -low, -2.0 * left * more]


@outlined
def _spread(data: Any, center: Any, less: Any) -> Any:
    """The mean square of the distances from the mean, or from a number that is given: of `less` items fewer. In two
    parts, the second one what rounding left of the first; and by what square they are scaled."""
    n = len(data)
    if center is not None:
        items = [(x - center) * (x - center) for x in data]
        odd = _not_finite(items)
        scale = _scale(items)
        near, rest = (odd, 0.0) if odd != 0.0 else _quotient([x * scale * scale for x in items], n - less)
        return near, rest, scale
    odd = _not_finite(data)
    if odd != 0.0:
        return odd / (n - less), 0.0, 1.0
    scale = _scale(data)
    items = [x * scale for x in data]
    near, rest = _quotient(_squares(items, _total(items) / n), n * (n - less))
    return near, rest, scale


@outlined
def _variance(data: Any, center: Any, less: Any) -> Any:
    near, rest, scale = _spread(data, center, less)
    found = (near + rest) / scale / scale
    if math.isinf(found) and math.isfinite(near):
        raise OverflowError("integer division result too large for a float")
    return found


@outlined
def _deviation(data: Any, center: Any, less: Any) -> Any:
    near, rest, scale = _spread(data, center, less)
    if not math.isfinite(near):
        raise AttributeError("'float' object has no attribute 'numerator'")  # Python's own
    root = math.sqrt(near)
    if root > 0.0:
        high, low = _product(root, root)
        root += ((near - high) - low + rest) / (2.0 * root)
    return root / scale


@written(statistics.mean)
def mean(data: Any) -> Any:
    """statistics.mean."""
    return _mean(_points(data, 1, "mean requires at least one data point"))


@written(statistics.pvariance)
def pvariance(data: Any, mu: Any = None) -> Any:
    """statistics.pvariance."""
    return _variance(_points(data, 1, "pvariance requires at least one data point"), mu, 0)


@written(statistics.variance)
def variance(data: Any, xbar: Any = None) -> Any:
    """statistics.variance."""
    return _variance(_points(data, 2, "variance requires at least two data points"), xbar, 1)


@written(statistics.pstdev)
def pstdev(data: Any, mu: Any = None) -> Any:
    """statistics.pstdev."""
    return _deviation(_points(data, 1, "pstdev requires at least one data point"), mu, 0)


@written(statistics.stdev)
def stdev(data: Any, xbar: Any = None) -> Any:
    """statistics.stdev."""
    return _deviation(_points(data, 2, "stdev requires at least two data points"), xbar, 1)
