"""Ordered effects: checks that raise, and printing. They are roots of dead-code elimination."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from tracejit.errors import DTypeMismatch, make_error
from tracejit.ir.core import Value
from tracejit.ir.opdef import Opaque, Sample
from tracejit.ir.types import BOOL, ScalarType, TensorType, Type
from tracejit.messages import filled
from tracejit.ops import simplify
from tracejit.ops.define import op, require_dtype, require_size


def python_error(kind: str, message: str, payload: Sequence[Any] = ()) -> BaseException:
    """The exception a failed check raises."""
    return make_error(kind, message, payload)


def _require_scalars(name: str, values: Sequence[Value]) -> None:
    for value in values:
        if not isinstance(value.type, ScalarType):
            raise DTypeMismatch(f"{name} takes host scalars, got {value.type}")


def _check_infer(cond: Value, payload: Sequence[Value], *, kind: str, message: str) -> tuple[Type, ...]:
    require_dtype(cond, (BOOL,), "check")
    _require_scalars("check", (cond, *payload))
    return ()


def _check_eager(xp: Any, cond: Any, payload: Sequence[Any], *, kind: str, message: str) -> tuple[()]:
    if not cond:
        raise python_error(kind, message, payload)
    return ()


op(
    "check",
    ("cond", "*payload"),
    simplify=simplify.check,
    doc="Raises the Python exception `kind` unless cond holds; `{0}`, `{1}` ... in `message` are the payload.",
    infer=_check_infer,
    eager=_check_eager,
    vjp=lambda b, g, cond, payload, out, *, kind, message: (None, None),
    lower=Opaque(),
    effect="order",
)


def _check_eq_infer(a: Value, other: Value, payload: Sequence[Value], *, kind: str, message: str) -> tuple[Type, ...]:
    require_size(a, "check_eq")
    require_size(other, "check_eq")
    _require_scalars("check_eq", payload)
    return ()


def _check_eq_eager(xp: Any, a: Any, other: Any, payload: Sequence[Any], *, kind: str, message: str) -> tuple[()]:
    if a != other:
        raise python_error(kind, message, payload or (a, other))
    return ()


op(
    "check_eq",
    ("a", "b", "*payload"),
    simplify=simplify.check_eq,
    doc="Raises the Python exception `kind` unless the two i64 scalars are equal; `{0}`, `{1}` ... in `message` are "
    "the payload, or the two where there is none.",
    infer=_check_eq_infer,
    eager=_check_eq_eager,
    vjp=lambda b, g, a, other, payload, out, *, kind, message: (None, None, None),
    lower=Opaque(),
    effect="order",
)

#: What `broadcast_dim` says when the sizes do not fit.
BROADCAST_MESSAGE = "operands could not be broadcast together with sizes {0} and {1} along one axis"


def _broadcast_dim_infer(a: Value, other: Value) -> tuple[Type, ...]:
    return (require_size(a, "broadcast_dim").type, require_size(other, "broadcast_dim").type)[:1]


def _broadcast_dim_eager(xp: Any, a: Any, other: Any) -> Any:
    if a == 1:
        return other
    if other not in (1, a):
        raise python_error("ValueError", BROADCAST_MESSAGE, (a, other))
    return a


op(
    "broadcast_dim",
    ("a", "b"),
    simplify=simplify.broadcast_dim,
    doc="The size that two sizes broadcast to: the other one if one is 1, both if they are equal, else a ValueError.",
    infer=_broadcast_dim_infer,
    eager=_broadcast_dim_eager,
    vjp="its result is an integer",
    lower=Opaque(),
    effect="order",
    samples=lambda rng: [Sample(pair) for pair in ((1, 5), (5, 1), (4, 4), (1, 1), (0, 1))],
)


def _print_infer(xs: Sequence[Value], *, template: str) -> tuple[Type, ...]:
    _require_scalars("print", xs)
    return ()


def _print_eager(xp: Any, xs: Sequence[Any], *, template: str) -> tuple[()]:
    print(filled(template, [x.item() if hasattr(x, "item") else x for x in xs]), end="")
    return ()


op(
    "print",
    ("*xs",),
    doc="Writes `template`, filled with host scalars by `str.format`, to the current `sys.stdout`; newlines are in it.",
    infer=_print_infer,
    eager=_print_eager,
    vjp=lambda b, g, xs, out, *, template: (None,),
    lower=Opaque(),
    effect="order",
)


class Reported(threading.local):
    """What a program of this thread reported last: the number of the plan that says what its arrays are."""

    def __init__(self) -> None:
        self.plan = -1
        self.arrays: tuple[Any, ...] = ()

    def clear(self) -> None:
        """Forget it."""
        self.plan, self.arrays = -1, ()

    def note(self, plan: int, arrays: Sequence[Any]) -> None:
        """Remember arrays, which are the caller's own from now on."""
        self.plan, self.arrays = plan, tuple(arrays)


REPORTED = Reported()


def _report_infer(xs: Sequence[Value], *, plan: int) -> tuple[Type, ...]:
    for x in xs:
        if not isinstance(x.type, TensorType):
            raise DTypeMismatch(f"report takes tensors, got {x.type}")
    return ()


def _report_eager(xp: Any, xs: Sequence[Any], *, plan: int) -> tuple[()]:
    REPORTED.note(plan, [x.copy() for x in xs])
    return ()


op(
    "report",
    ("*xs",),
    doc="Tells the caller what parts of its objects hold, for the case that the call ends in an error now: `plan` is "
    "the number of what they are, among those of the lowering.",
    infer=_report_infer,
    eager=_report_eager,
    vjp=lambda b, g, xs, out, *, plan: (None,),
    lower=Opaque(),
    effect="order",
)
