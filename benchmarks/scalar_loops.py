"""Scalar loops over array elements against Numba, and what they compute against plain Python."""

from __future__ import annotations

from collections.abc import Iterator

import tracejit as tj
from benchmarks.index_programs import PROGRAMS
from benchmarks.measure import Case, local_case


def cases() -> Iterator[Case]:
    for name, (fn, data) in PROGRAMS.items():
        args = data()
        compiled = tj.script(fn)
        yield local_case("scalar loops", name, {"compiled": lambda c=compiled, a=args: c(*a)})
