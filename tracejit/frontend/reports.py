"""What a call that ends in an error has changed in objects of its caller: told where the error is raised.

Plain Python sets attributes, items and `.grad` when the program says so; a graph sets them at its end. Before an op
that may raise, while something is to be set, the program therefore gets a `report` of the present values, on the path
that raises alone where that can be told. Arrays of the caller need none: they are written in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tracejit.frontend.leaves import Change
from tracejit.frontend.results import LeftGradient, Results
from tracejit.ir.builder import Builder
from tracejit.ir.core import Value
from tracejit.ir.opdef import OpDef
from tracejit.ir.types import I64, ScalarType
from tracejit.records import record

if TYPE_CHECKING:
    from tracejit.frontend.function import Lowering

#: Effects after which the call goes on in any case.
_HARMLESS = ("print", "report")


@record
class LeftByError:
    """What a call that ends in an error has changed, made of the arrays that a `report` gives; `scalars` are the
    numbers among them."""

    changes: tuple[Change, ...]
    gradients: tuple[LeftGradient, ...]
    scalars: frozenset[int]

    def values(self, arrays: Sequence[Any]) -> list[Any]:
        """What the arrays of a report stand for."""
        return [_on_host(x)[()] if i in self.scalars else x for i, x in enumerate(arrays)]


def _on_host(array: Any) -> Any:
    return array.get() if hasattr(array, "get") else array


class Reports:
    """The reports of one lowering."""

    def __init__(self, lowering: Lowering) -> None:
        self.lowering = lowering
        self.plans: list[LeftByError] = []
        self.is_reporting = False
        self.may_be_old = False  #: a report may have been made where nothing raised

    def before(self, b: Builder, defn: OpDef, operands: Sequence[Value]) -> None:
        """Report, where an op that is about to be emitted raises, what is to be set. Python ints that leave 64 bits are
        no error of plain Python: nothing is reported for them."""
        ctx = self.lowering.ctx
        is_number = defn.effect == "fail" and all(isinstance(v.type, ScalarType) for v in operands)
        if self.is_reporting or is_number or defn.name in _HARMLESS or b in ctx.outer_builders:
            return
        if not self.may_be_old and not self.results().are_pending:
            return
        outer, span = ctx.b, b.span
        ctx.b, self.is_reporting = b, True
        try:
            never = defn.name == "check" and _is_false(b, operands[0])
            cond = None if never else fits(b, defn, operands)
            if cond is None:
                self.may_be_old = self.may_be_old or defn.name != "check"
                self.report()
                return
            with ctx.nested() as failing:
                self.report()
            b.emit("if", (cond,), blocks=(b.nested().block((), (), "then"), failing.block((), (), "else")), types=())
        finally:
            ctx.b, self.is_reporting = outer, False
            b.span = span

    def results(self) -> Results:
        """What the caller would find changed now."""
        lowering = self.lowering
        return Results(lowering.calls, lowering.params, lowering.classes)

    def report(self) -> None:
        """Emit a report here."""
        ctx = self.lowering.ctx
        node = self.lowering.source.node
        found = self.results()
        changes = tuple(found.changes(node))
        gradients = found.gradients()
        scalars = frozenset(i for i, v in enumerate(found.outputs) if isinstance(v.type, ScalarType))
        arrays = [ctx.b.emit("broadcast", (v,))[0] if i in scalars else v for i, v in enumerate(found.outputs)]
        ctx.b.emit("report", arrays, {"plan": len(self.plans)})
        self.plans.append(LeftByError(changes, gradients, scalars))


def fits(b: Builder, defn: OpDef, operands: Sequence[Value]) -> Value | None:
    """Whether an op does not raise; None where nothing simpler than the op itself tells."""
    match defn.name:
        case "check":
            return operands[0]
        case "check_eq":
            return b.emit("eq", operands[:2])[0]
        case "broadcast_dim":
            one = b.constant(1, ScalarType(I64))
            total = b.emit("eq", operands)[0]
            for v in operands:
                total = b.emit("logical_or", (total, b.emit("eq", (v, one))[0]))[0]
            return total
        case _:
            return None


def _is_false(b: Builder, cond: Value) -> bool:
    """Whether a condition is the constant that a `raise` checks."""
    maker = next((op for op in reversed(b.ops) if cond in op.results), None)
    return maker is not None and maker.name == "const" and maker.attrs["value"] is False
