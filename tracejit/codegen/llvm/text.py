"""Modules as text: what every module ends with, and declarations kept once."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: `#0` is for functions of any kind; `!0` marks branches that are hardly ever taken, `!1` those that nearly always are.
#: `!2` is the range of a size.
FOOTER = """
attributes #0 = { nounwind "no-trapping-math"="true" }
!0 = !{!"branch_weights", i32 1, i32 10000}
!1 = !{!"branch_weights", i32 10000, i32 1}
!2 = !{i64 0, i64 -9223372036854775808}
"""

#: What the quick code generator, or a CPU without extensions, would do otherwise: floats and vectors. Alternatives here
#: and below begin with a character that is named, by which `re` finds where to look in a quarter of the time.
_NOT_QUICK = re.compile(
    r" f(?:add|sub|mul|div|rem|neg|ptrunc|pext) |@llvm\.(?:f|sqrt|masked|vector)|<\d+ x | half\b|\(half\b|bfloat"
)
#: What the quick code generator must not get: vectors, and what gives other bits or needs functions on an older CPU.
_NEVER_QUICK = re.compile(
    r" (?:contract|frem) |@llvm\.(?:masked|vector|(?!(?:fabs|sqrt|copysign)\.)[\w.]*\.f\d)|<\d+ x | half\b"
    r"|\(half\b|bfloat"
)
#: The same where the CPU's own fused operations and roundings, whose results are exact, can be used.
_NEVER_BASELINE = re.compile(_NEVER_QUICK.pattern.replace("fabs|", "fabs|fma|fmuladd|floor|ceil|trunc|rint|roundeven|"))


def is_quick(text: str, *, may_compute: bool = False) -> bool:
    """Whether the quick code generator does for a function, or a module, what is to be done; `may_compute`: also with
    floating-point numbers, one by one."""
    return (_NEVER_QUICK if may_compute else _NOT_QUICK).search(text) is None


def is_exact(text: str) -> bool:
    """Whether the quick code generator for this CPU computes what better code does, to the bit."""
    return _NEVER_BASELINE.search(text) is None


def symbol(declaration: str) -> str:
    """The name a line declares or defines."""
    return declaration.split("@", 1)[1].split("(", 1)[0]


def joined(modules: Iterable[str]) -> str:
    """Several modules as one."""
    return once("\n".join(text.removesuffix(FOOTER) for text in modules)) + FOOTER


def once(text: str) -> str:
    """The text without `declare` lines for what is declared before or defined anywhere in it."""
    lines = text.split("\n")
    known = {symbol(line) for line in lines if line.startswith("define")}
    kept: list[str] = []
    for line in lines:
        if line.startswith("declare"):
            if symbol(line) in known:
                continue
            known.add(symbol(line))
        kept.append(line)
    return "\n".join(kept)
