"""Reports of what a call that ends in an error has changed in objects of its caller.

What is `pending` is told on a way out of native code that all checks share until something else is pending; it goes on
to the way of what that follows. So the code grows with the changes and with the checks, not with their product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracejit.codegen.loop_ir import Call, Const, Expr, Free, PrintSite, ReportSite, Way
from tracejit.codegen.lowering.elements import Array
from tracejit.ir.core import Op, Value
from tracejit.ir.opdef import REGISTRY
from tracejit.ir.types import F64, I64, ScalarType, TensorType

if TYPE_CHECKING:
    from tracejit.codegen.lowering.entry import Lowering


@dataclass(slots=True)
class Pending:
    """Values to be told by a plan, and what they follow."""

    plan: int
    values: tuple[Value, ...]
    before: Pending | None
    way: int | None  #: its number, where there are ways


def pending(lowering: Lowering, op: Op) -> Pending:
    """What an op `pending` stands for, with its way out in native code."""
    before, values = _split(lowering, op)
    made = Pending(op.attrs["plan"], values, before, None)
    if lowering.target == "cpu" and not lowering.in_kernel:
        _, body = lowering.inside(lambda: _tell(lowering, made.plan, values, before is not None))
        made.way = lowering.tables.ways
        lowering.tables.ways += 1
        lowering.emit(Way(made.way, body, None if before is None else before.way))
    return made


def report(lowering: Lowering, op: Op) -> None:
    """Tell the caller all at once, here."""
    before, values = _split(lowering, op)
    if op.attrs["plan"] >= 0:
        _tell(lowering, op.attrs["plan"], values, before is not None)
    while before is not None:
        _tell(lowering, before.plan, before.values, before.before is not None)
        before = before.before


def way_of(lowering: Lowering, ops: Sequence[Op], at: int) -> int | None:
    """The way out of the check behind the op, where the op reports what is pending if that fails."""
    if at + 1 == len(ops):
        return None
    op, cond = ops[at], None
    if op.name == "if" and not op.results and not op.block("then").ops and len(op.block("else").ops) == 1:
        (cond,), (op,) = op.operands, op.block("else").ops
    if op.name != "report" or op.attrs["plan"] >= 0 or not _checks(lowering, ops[at + 1], cond):
        return None
    found = lowering.env[op.operands[0]]
    assert isinstance(found, Pending)
    return found.way


def _checks(lowering: Lowering, op: Op, cond: Value | None) -> bool:
    """Whether an op fails exactly where a condition does not hold; None: always."""
    makers = lowering.uses.makers
    if op.name == "check":
        (tested, *_), made = op.operands, makers.get(op.operands[0])
        return tested is cond if cond is not None else made is not None and made.attrs.get("value") is False
    made = None if cond is None else makers.get(cond)
    is_of_both = made is not None and made.defn is REGISTRY["eq"] and made.operands == op.operands[:2]
    return op.name == "check_eq" and is_of_both


def _split(lowering: Lowering, op: Op) -> tuple[Pending | None, tuple[Value, ...]]:
    """What the op follows, and what it adds."""
    if not op.attrs["follows"]:
        return None, op.operands
    before = lowering.env[op.operands[0]]
    assert isinstance(before, Pending)
    return before, op.operands[1:]


def _tell(lowering: Lowering, plan: int, values: Sequence[Value], more: bool) -> None:
    words: list[Expr] = []
    types: list[ScalarType | TensorType] = []
    copies: list[Array] = []
    for value in values:
        if isinstance(value.type, ScalarType):
            dtype = value.type.dtype
            words.append(lowering.k.cast(lowering.scalar(value), F64 if dtype.is_float else I64))
            types.append(value.type)
            continue
        array = lowering.array(value)
        if not array.contiguous:
            array = lowering.copy(array, "reported")
            copies.append(array)
        words += (array.buffer, *array.shape)
        types.append(TensorType(array.type.dtype, (None,) * array.type.rank))
    call_host(lowering, ReportSite(plan, tuple(types), more), words)
    for array in copies:
        lowering.emit(Free(array.buffer))


def call_host(lowering: Lowering, site: PrintSite | ReportSite, values: Sequence[Expr]) -> None:
    """Call the host with values."""
    number = lowering.tables.prints.setdefault(site, len(lowering.tables.prints))
    lowering.emit(Call("print", (Const(number, I64), *values)))
