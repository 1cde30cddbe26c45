"""Whether linear inequalities over whole numbers contradict one another, by eliminating one number after the other
(Fourier and Motzkin). Factors that all terms share are divided out and the rest is rounded, so that `2 x = 2 y + 1` is
seen to be impossible too."""

from __future__ import annotations

from collections.abc import Iterable
from math import gcd

from tracejit.ir.core import Value
from tracejit.transforms.numbers.linear import Linear

#: More inequalities than this are not followed up.
_MOST = 150

#: Inequalities by their terms: with the constant, their sum is at most 0.
_Rows = dict[frozenset[tuple[Value, int]], int]


def contradict(inequalities: Iterable[Linear]) -> bool:
    """Whether expressions cannot all be at most 0; False also where that takes too long to find out."""
    rows: _Rows = {}
    for x in inequalities:
        _enter(rows, x.terms, x.constant)
    while len(rows) <= _MOST:
        if rows.get(frozenset(), 0) > 0:
            return True
        signs: dict[Value, list[int]] = {}
        for terms in rows:
            for value, factor in terms:
                signs.setdefault(value, [0, 0])[factor > 0] += 1
        if not signs:
            return False
        rows = _without(rows, min(signs, key=lambda v: signs[v][0] * signs[v][1]))
    return False


def _without(rows: _Rows, value: Value) -> _Rows:
    """What follows for the other values."""
    found: _Rows = {}
    sides: tuple[list[tuple[int, dict[Value, int], int]], ...] = ([], [])
    for terms, constant in rows.items():
        others = dict(terms)
        factor = others.pop(value, 0)
        if factor:
            sides[factor > 0].append((abs(factor), others, constant))
        else:
            _enter(found, others, constant)
    for n, low, c in sides[0]:
        for m, high, d in sides[1]:
            common = gcd(n, m)
            times, other = m // common, n // common
            terms = {v: times * f for v, f in low.items()}
            for v, f in high.items():
                terms[v] = terms.get(v, 0) + other * f
            _enter(found, terms, times * c + other * d)
    return found


def _enter(rows: _Rows, terms: dict[Value, int], constant: int) -> None:
    """Add an inequality, if it says more than those of the same terms."""
    terms = {v: f for v, f in terms.items() if f}
    common = gcd(*terms.values()) if terms else 1
    if common > 1:
        terms, constant = {v: f // common for v, f in terms.items()}, -(-constant // common)
    key = frozenset(terms.items())
    if key not in rows or rows[key] < constant:
        rows[key] = constant
