"""Forms of addresses: the steps that an access makes along the axes of a kernel, and (under None) the rest."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from tracejit.codegen.loop_ir import Const, Expr, Scalar, Select
from tracejit.codegen.lowering import schedule
from tracejit.codegen.lowering.elements import ONE, ZERO, parts

Form: TypeAlias = "dict[int | None, Expr]"


def by_steps(form: Form | None, axes: Sequence[int]) -> tuple[int, ...]:
    """The axes from the longest step of an address to that of 1; () where that is not known, or some are not in it."""
    if form is None or not all(form.get(a, ZERO) != ZERO for a in axes):
        return ()
    steps = {a: _length(form[a]) for a in axes}
    found = tuple(sorted(axes, key=steps.__getitem__, reverse=True))
    return found if form[found[-1]] == ONE else ()


def _length(step: Expr) -> tuple[int, int]:
    """How a step compares with others: by the number of run-time factors, and what is known of their product."""
    found = list(factors(step))
    known = [int(f.value.real) for f in found if isinstance(f, Const)]
    return len(found) - len(known), math.prod(known)


def is_loaded_in_vectors(step: Expr) -> bool:
    """Whether a step is a number up to SPACED, or one of two: such elements are loads of vectors."""
    sides = (step.a, step.b) if isinstance(step, Select) else (step,)
    return all(isinstance(e, Const) and 0 <= int(e.value.real) <= schedule.SPACED for e in sides)


def factored(form: Form | None) -> dict[int | None, Counter[Expr]] | None:
    """A form with every step as its factors: products of sizes are multiplied in the order in which axes were met."""
    return None if form is None else {axis: Counter(factors(step)) for axis, step in form.items()}


def factors(e: Expr) -> Iterator[Expr]:
    """What a product is made of; anything else is one factor."""
    if isinstance(e, Scalar) and e.op == "mul":
        for part in parts(e):
            yield from factors(part)
    else:
        yield e
