"""Columns of a few, windows, joined and turned arrays, as array expressions; NumPy runs the same functions."""

from __future__ import annotations

from collections.abc import Iterator

import tracejit as tj
from benchmarks.column_programs import PROGRAMS
from benchmarks.measure import Case, local_case


def cases() -> Iterator[Case]:
    for name, (fn, data) in PROGRAMS.items():
        args, compiled = data(), tj.script(fn)
        variants = {
            "numpy": lambda f=fn, a=args: f(*a),
            "compiled": lambda c=compiled, a=args: c(*a),
        }
        exact = tuple(a.astype("float64") if a.dtype.kind == "f" else a for a in args)
        yield local_case("columns", name, variants, reference=lambda f=fn, a=exact: f(*a))
