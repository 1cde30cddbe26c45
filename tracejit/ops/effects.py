"""Ordered effects: checks that raise, and printing. They are roots of dead-code elimination."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from tracejit.errors import DTypeMismatch, make_error
from tracejit.ir.core import Value
from tracejit.ir.opdef import Opaque, Sample
from tracejit.ir.types import BOOL, I64, ListType, ScalarType, TensorType, Type
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
    """What a program of this thread reported last: arrays and numbers, each group with the number of the plan that says
    what they are, the newest first."""

    def __init__(self) -> None:
        self.notes: list[tuple[int, tuple[Any, ...]]] = []
        self.is_whole = True  #: the next note begins a new report
        self.pending: list[list[tuple[int, Sequence[Any]]]] = []  #: of the reference interpreter: groups, by token

    def clear(self) -> None:
        """Forget it."""
        if self.notes or self.pending:
            self.notes, self.pending = [], []
        self.is_whole = True

    def note(self, plan: int, values: Sequence[Any], *, more: bool = False) -> None:
        """Remember values, which are the caller's own from now on; `more`: others of the same report come after it."""
        if self.is_whole:
            self.notes = []
        self.notes.append((plan, tuple(values)))
        self.is_whole = not more


REPORTED = Reported()

#: What stands for values that are pending: nothing is ever read of it.
TOKEN = TensorType(I64, ())


def _pending_infer(xs: Sequence[Value], *, plan: int, follows: bool) -> tuple[Type, ...]:
    if any(isinstance(x.type, ListType) for x in xs) or (follows and xs[0].type != TOKEN):
        raise DTypeMismatch("pending takes tensors and numbers, after what stands for others")
    return (TOKEN,)


def _pending_eager(xp: Any, xs: Sequence[Any], *, plan: int, follows: bool) -> Any:
    before = REPORTED.pending[int(xs[0])] if follows else []
    REPORTED.pending.append([(plan, xs[1:] if follows else xs), *before])
    return xp.asarray(len(REPORTED.pending) - 1, dtype="int64")


op(
    "pending",
    ("*xs",),
    doc="Stands for what parts of the caller's objects are to hold, until a `report` names it: `plan` is the number of "
    "what they are. Where it `follows` another one, its first operand, all else is as that says.",
    infer=_pending_infer,
    eager=_pending_eager,
    vjp=lambda b, g, xs, out, *, plan, follows: (None,),
    lower=Opaque(),
)


def _report_infer(xs: Sequence[Value], *, plan: int, follows: bool) -> tuple[Type, ...]:
    for x in xs:
        if not isinstance(x.type, TensorType):
            raise DTypeMismatch(f"report takes tensors, got {x.type}")
    return ()


def _report_eager(xp: Any, xs: Sequence[Any], *, plan: int, follows: bool) -> tuple[()]:
    groups = [] if plan < 0 else [(plan, xs[1:] if follows else xs)]
    groups += REPORTED.pending[int(xs[0])] if follows else ()
    for i, (number, values) in enumerate(groups, 1):
        REPORTED.note(number, [x.copy() for x in values], more=i < len(groups))
    return ()


op(
    "report",
    ("*xs",),
    doc="Tells the caller what parts of its objects hold, for the case that the call ends in an error now: `plan` is "
    "the number of what they are, among those of the lowering; -1: none but those of the `pending` that it `follows`, "
    "its first operand.",
    infer=_report_infer,
    eager=_report_eager,
    vjp=lambda b, g, xs, out, *, plan, follows: (None,),
    lower=Opaque(),
    effect="order",
)
