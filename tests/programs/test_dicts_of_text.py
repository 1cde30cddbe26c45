"""OrderedDict and defaultdict whose keys are text, which are known when the function is compiled."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from enum import Enum
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check


def grouped(n: int) -> Any:
    groups = defaultdict(list)
    groups["even"].append(n)
    groups["even"].append(2)
    groups["odd"].append(1)
    return groups, len(groups), list(groups.keys())


def totals(n: float) -> Any:
    sums = defaultdict(float)
    sums["a"] += 1.5
    sums["a"] += n
    sums["b"] -= 1
    print(sums)
    return sums["a"], sums["c"], "c" in sums, "zz" in sums, sums.get("zz", 3)


def in_order(n: int) -> Any:
    found: OrderedDict[str, int] = OrderedDict([("b", 1), ("a", 2)])
    found["c"] = n
    print(found, OrderedDict())
    found.move_to_end("b")
    first = found.popitem(last=False)
    same = found == OrderedDict([("b", 1), ("c", n)]), found == {"b": 1, "c": n}
    return found, first, same, isinstance(found, OrderedDict), isinstance(found, dict)


def on_paths(n: int) -> Any:
    found = OrderedDict(a=1)
    if n > 0:
        found["a"] = n
    else:
        found["a"] = -n
    for i in range(3):
        found["a"] += i
    return found


def numbered(x: Any) -> Any:
    found = OrderedDict()
    counts = defaultdict(int)
    for v in x:
        found[int(v)] = 1
        counts[int(v)] += 1
    return found, counts


def counted_words(words: Any) -> Any:
    counts = defaultdict(int)
    for word in words:
        counts[word] += 1
    return counts


def from_the_caller(found: Any) -> Any:
    found["c"] = 3
    copied = found.copy()
    return found, copied, isinstance(copied, OrderedDict)


def made_anew(x: Any) -> Any:
    cache = defaultdict(lambda: np.zeros(3))
    cache["k"] += x
    return cache["k"], cache["z"]


CASES: list[tuple[Any, tuple[Any, ...]]] = [
    (grouped, (3,)),
    (totals, (2.0,)),
    (in_order, (4,)),
    (on_paths, (3,)),
    (on_paths, (-3,)),
    (numbered, (np.array([5, 2, 5]),)),
    (counted_words, (["a", "b", "a"],)),
    (from_the_caller, (OrderedDict(a=1, b=2),)),
    (made_anew, (np.ones(3),)),
]


@pytest.mark.parametrize(("fn", "arguments"), CASES, ids=[f.__name__ for f, _ in CASES])
def test_programs(fn: Any, arguments: tuple[Any, ...]) -> None:
    check(fn, *arguments)


def features(x: Any) -> Any:
    out = OrderedDict()
    out["twice"] = x * 2
    out["sum"] = x.sum()
    return out


def test_tensors_in_order() -> None:
    made = tj.script(features)(tj.ones(3))
    assert type(made) is OrderedDict
    assert list(made) == ["twice", "sum"]
    assert made["sum"].item() == 3.0


def popped(d: Any) -> Any:
    return d.pop("a"), d.pop("zz", 1), d.popitem()


def test_what_leaves_the_dict_is_returned() -> None:
    check(popped, {"a": tj.ones(1), "b": tj.zeros(1)})
    check(popped, {"a": np.ones(1), "b": np.zeros(1)})


class Suit(Enum):
    HEARTS = 1
    SPADES = 2
    CLUBS = 3


def counted_members(suits: Any, places: Any) -> Any:
    counts, chosen = Counter(suits), defaultdict(int)
    for i in places:
        chosen[suits[i]] += 1
    return counts[Suit.HEARTS], len(counts), chosen[Suit.SPADES], Suit.CLUBS in chosen


def test_members_of_an_enum_are_keys() -> None:
    check(counted_members, [Suit.HEARTS, Suit.SPADES, Suit.HEARTS], np.array([0, 1, 1, 2]))


def losses_of_layers(x: Any) -> Any:
    found: dict[str, Any] = {}
    for i in range(len(x)):
        losses = {"class": x[i], "box": x[i] * 2}
        losses = {f"{k}_{i}": v for k, v in losses.items()}
        found.update(losses)
        found.update({k + f"_last{i}": x[i] for k in ("a", "b")})
    weights = {"class": 1.0, "box": 0.5, "a": 0.25, "b": 2.0}
    return sum(v * weights[k.rsplit("_", 1)[0]] for k, v in found.items()), list(found.keys())


def of_pairs(n: int) -> Any:
    of_numbers = dict([(n, 1.0), (n + 1, 2.0)])
    of_both = {k + n: v for k, v in {1: "one", 2: "two"}.items()}
    found: dict[str, int] = {}
    found.update([(f"q{n}", 3), ("q4", 5)])
    return of_numbers[n + 1], of_both[n + 2], found, list(of_both)


def test_keys_made_at_run_time_of_what_is_known() -> None:
    check(losses_of_layers, np.array([1.0, 2.0, 4.0]))
    check(losses_of_layers, tj.tensor(np.array([1.0, 2.0, 4.0])))
    for n in (1, 4):
        check(of_pairs, n)
