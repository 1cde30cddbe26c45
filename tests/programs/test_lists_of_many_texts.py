"""Lists of more texts than branches tell apart: loops over them, dicts and sets of them, one by a run-time index."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest

from tests.programs.compare import check

WORDS = [f"w{i * 7 % 40}" for i in range(80)]
NAMES = [f"n{i}" for i in range(70)]


def counted(words: Any, by: int) -> Any:
    counts, found = {}, Counter(words)
    for word in words:
        counts[word] = counts.get(word, 0) + by
    return counts, found.most_common(2), "w3" in counts, max(counts, key=counts.get)


def different(words: Any) -> Any:
    seen, first = set(), []
    for word in words:
        if word not in seen:
            seen.add(word)
            first.append(word)
    first.sort(reverse=True)
    return first, len(seen)


def by_index(words: Any, places: Any) -> Any:
    counts = defaultdict(int)
    for i in places:
        counts[words[i]] += 1
    return counts, [words[i] for i in np.argsort(-places)]


def best(names: Any, scores: Any) -> Any:
    top, who = -1.0, "nobody"
    for i in range(len(names)):
        if scores[i] > top:
            top, who = scores[i], names[i]
    return who


def balance(rows: Any) -> Any:
    cash, held = 0.0, defaultdict(int)
    for kind, name, count, price in rows:
        if kind == "buy":
            cash -= count * price
            held[name] += count
        elif kind == "sell":
            cash += count * price
            held[name] -= count
        else:
            raise ValueError(f"what is {kind}?")
    return cash, held


def grouped(rows: Any) -> Any:
    groups = defaultdict(list)
    for name, k in rows:
        groups[k].append(name)
    return groups


def told_apart(words: Any) -> Any:
    letters = 0
    for word in words:
        letters += len(word) + (word in ("w1", "w2")) + (word.upper() == "W3")
    return letters


def missing(words: Any) -> Any:
    found = {}
    for word in words[1:]:
        found[word] = 1
    return found["w99"]


ORDERS = [(("buy", "sell")[i % 2], f"s{i % 3}", i, 1.5 * i) for i in range(70)]


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        (counted, (WORDS, 2)),
        (different, (WORDS,)),
        (by_index, (WORDS, np.array([3, 79, 3, 41]))),
        (best, (NAMES, np.arange(70.0) % 50)),
        (balance, (ORDERS,)),
        (balance, ([*ORDERS, ("keep", "s1", 1, 1.0)],)),
        (grouped, ([(name, i % 7) for i, name in enumerate(NAMES)],)),
        (told_apart, (WORDS,)),
        (missing, (NAMES,)),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_as_in_plain_python(program: Any, arguments: tuple[Any, ...]):
    check(program, *arguments)
