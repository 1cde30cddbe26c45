"""Text that is known when the function is compiled, read at places known at run time."""

from __future__ import annotations

import numpy as np
import pytest

from tests.programs.compare import check


def palindrome(s):
    i, j = 0, len(s) - 1
    while i < j:
        if s[i] != s[j]:
            return False
        i += 1
        j -= 1
    return True


def longest_common(a, b):
    m, n = len(a), len(b)
    best = np.zeros((m + 1, n + 1), int)
    i = 1
    while i <= m:
        j = 1
        while j <= n:
            best[i, j] = best[i - 1, j - 1] + 1 if a[i - 1] == b[j - 1] else max(best[i - 1, j], best[i, j - 1])
            j += 1
        i += 1
    return best[m, n]


def letters(s, n):
    return s[n], s[n] == "a", s[n] in "aeiou", s[n] != "b", ord(s[n])


def digits(s, n):
    total = k = 0
    while k < n:
        total = total * 10 + int(s[k])
        k += 1
    return total


@pytest.mark.parametrize(
    ("fn", "arguments"),
    [
        (palindrome, [("racecar",), ("ab",), ("",)]),
        (longest_common, [("AGGTAB", "GXTXAYB"), ("A" * 100, "BA" * 60), ("", "A")]),
        (letters, [("banana", 1), ("banana", -2), ("banana", 6), ("banana", -7), ("", 0)]),
        (digits, [("90112", 5), ("90112", 0)]),
    ],
)
def test_as_plain_python(fn, arguments):
    for given in arguments:
        check(fn, *given)


def test_a_letter_of_many():
    check(lambda s, n: s[n], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ", 3)


def test_lists_chosen_by_or_are_returned():
    def base(n, b):
        digits = []
        while n:
            n, r = divmod(n, b)
            digits.append(r)
        return digits or [0]

    def picked(xs, n):
        return xs if n > len(xs) else [n]

    for n in (0, 5, 1000):
        check(base, n, 7)
        check(picked, [1, 2, 3], n)
