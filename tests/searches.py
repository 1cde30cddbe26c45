"""The command line of those who look for random programs that go wrong: seeds in, what went wrong and what was refused
out."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from tracejit.errors import NotDifferentiable, ScriptError

Check = Callable[[int, argparse.Namespace], bool | None]


def search(
    parser: argparse.ArgumentParser,
    what: str,
    check: Check,
    source: Callable[[int], str],
    *,
    count: int = 1000,
    refusals: tuple[type[Exception], ...] = (ScriptError,),
) -> int:
    """Check the programs of the seeds that the command line names, `count` of them unless it says how many; 1 where one
    was wrong. `check` raises for a wrong program, with one of `refusals` for one that may be refused, and gives False
    for one that it could not judge; `source` is the text of a program."""
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=count, help=f"how many {what}")
    options = parser.parse_args()
    started, wrong, unjudged, refused = time.perf_counter(), 0, 0, Counter[str]()
    for seed in range(options.first, options.first + options.count):
        try:
            unjudged += check(seed, options) is False
        except refusals as error:
            refused[str(error).split("\n")[0][:200]] += 1
        except Exception as error:
            wrong += 1
            print(f"seed {seed}: {type(error).__name__}: {str(error)[:300]}\n{source(seed)}", flush=True)
    print(
        f"{options.count} {what}, {sum(refused.values())} refused, {unjudged} not judged, {wrong} wrong, "
        f"in {time.perf_counter() - started:.0f} s"
    )
    for reason, times in refused.most_common(30):
        print(f"{times:5d}  {reason}")
    return 1 if wrong else 0


def search_texts(description: str | None, check: Callable[[int], None], source: Callable[[int], str]) -> int:
    """The same for functions that need nothing but their seed; `source` is the text of a function."""
    parser = argparse.ArgumentParser(description=description)
    return search(parser, "random functions", lambda seed, _: check(seed), source, count=200)


def search_functions(description: str | None, check: Callable[[int], None], function: Callable[[int], Any]) -> int:
    """The same for functions whose derivatives are checked, which may be refused; `function` gives the function of a
    seed and its text."""
    return search(
        argparse.ArgumentParser(description=description),
        "random functions",
        lambda seed, _: check(seed),
        lambda seed: function(seed)[1],
        count=200,
        refusals=(ScriptError, NotDifferentiable),
    )
