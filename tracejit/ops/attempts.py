"""Ops that may fail, as ops that say whether they did: what a `try` around a failing op is made of.

`attempt_<name>` gives the results of the op and, last, a host bool: whether it worked. Where it did not, the other
results hold anything, and nothing of them has a derivative.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracejit.ir.opdef import Opaque, OpDef
from tracejit.ir.types import BOOL, ScalarType
from tracejit.ops.control import branch
from tracejit.ops.define import op


def fallible(name: str, signature: Sequence[str], *, raises: str, **fields: Any) -> OpDef:
    """Register an op that raises a `LinAlgError` of the text `raises` for some elements of its first operand, a stack
    of matrices, and `attempt_<name>`."""
    made = op(name, signature, effect="fail", raises=raises, attempt=f"attempt_{name}", **fields)
    _attempt(made)
    return made


def _attempt(of: OpDef) -> None:
    eager, rule, lower, samples = of.eager, of.vjp, of.lower, of.samples
    assert eager is not None and not isinstance(rule, str) and samples is not None
    assert isinstance(lower, Opaque) and lower.emit is not None
    lowered = lower.emit

    def run(xp: Any, *operands: Any, **attrs: Any) -> tuple[Any, ...]:
        worked = True
        try:
            found = eager(xp, *operands, **attrs)
        except ValueError as error:  # a LinAlgError is one
            if str(error) != of.raises:
                raise
            worked, x = False, operands[0]
            unit = xp.broadcast_to(xp.eye(*x.shape[-2:], dtype=x.dtype), x.shape)
            found = eager(xp, unit, *operands[1:], **attrs)
        return (*(found if isinstance(found, tuple) else (found,)), worked)

    def pull(b: Any, g: Any, *rest: Any, **attrs: Any) -> tuple[Any, ...]:
        """The rule of the op, where it worked: elsewhere the rule may fail as the op did."""
        *operands, (*out, worked) = rest
        given = [*operands, *g[:-1], *out]
        there = [i for i, x in enumerate(given) if x is not None]

        def cotangent(i: int) -> Any:
            def worked_out(inner: Any, *handles: Any) -> Any:
                every = [None] * len(given)
                for place, x in zip(there, handles, strict=True):
                    every[place] = x
                n, m = len(operands), len(out)
                parts: list[Any] = [every[n : n + m], every[n + m :]]
                g, out_ = (p[0] if m == 1 else tuple(p) for p in parts)
                return rule(inner, g, *every[:n], out_, **attrs)[i]

            def none(inner: Any, *handles: Any) -> Any:
                return inner.zeros_like(handles[there.index(i)])

            return branch(b, worked, worked_out, none, [given[j] for j in there])

        return tuple(None if b.is_scalar(x) else cotangent(i) for i, x in enumerate(operands))

    def emit(e: Any, results: Sequence[Any], *operands: Any, **attrs: Any) -> tuple[Any, ...]:
        with e.noting() as conditions:
            found = lowered(e, results[:-1], *operands, **attrs)
        worked = e.k.const(True, BOOL)
        for cond in conditions:
            worked = e.k.logical_and(worked, cond)
        return (*(found if isinstance(found, tuple) else (found,)), worked)

    op(
        of.attempt,
        of.signature,
        doc=f"`{of.name}`, and whether it worked.",
        infer=lambda *operands, **attrs: (*of.infer(*operands, **attrs), ScalarType(BOOL)),
        eager=run,
        vjp=pull,
        lower=Opaque(emit),
        free=of.free,
        samples=lambda rng: samples(rng)[:1],
    )
