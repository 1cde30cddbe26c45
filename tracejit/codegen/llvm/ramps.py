"""Indices that are linear in the index of a vector loop: kept as `offset + constant + step * index`.

Addresses made of them need no vector arithmetic, and their step says which kind of memory access a load is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracejit.codegen.llvm.values import ZERO, Ramp, Value, type_text
from tracejit.codegen.loop_ir import Var
from tracejit.codegen.lowering.schedule import SPACED
from tracejit.ir.types import BOOL, F64, I8, I16, I64, DType

if TYPE_CHECKING:
    from tracejit.codegen.llvm.expressions import ExpressionPrinter

#: With so many lanes it pays to compare their numbers instead of what is in them.
MANY = 32
#: Comparisons of a ramp: whether its value may be equal, and whether the truth is that of the others.
_ORDERS = {"icmp slt": (False, False), "icmp sle": (True, False), "icmp sgt": (True, True), "icmp sge": (False, True)}
_MIRRORED = {"icmp slt": "icmp sgt", "icmp sle": "icmp sge", "icmp sgt": "icmp slt", "icmp sge": "icmp sle"}


class Stretches:
    """Elements side by side that a vector loop reads in every trip, as many as its index steps on: such stretches are
    read as whole vectors, though one column of them after the other is asked for."""

    def __init__(self) -> None:
        self._read: dict[tuple[Var, str, str], tuple[int, set[int]]] = {}

    def note(self, buffer: Var, ramp: Ramp, step: int) -> None:
        """A read in every trip, by a step that is or probably is that number."""
        if 1 < step <= SPACED:
            self._read.setdefault((buffer, ramp.step.text, ramp.offset.text), (step, set()))[1].add(ramp.constant)

    def begin(self, buffer: Var, ramp: Ramp) -> int | None:
        """The constant of the first index of the stretch that a read belongs to; None where there is none."""
        step, constants = self._read.get((buffer, ramp.step.text, ramp.offset.text), (0, set[int]()))
        begin = next(iter(sorted(constants)), None)
        while begin is not None and begin <= ramp.constant:
            if constants.issuperset(range(begin, begin + step)):
                if ramp.constant < begin + step:
                    return begin
                begin += step
            else:
                begin += 1
        return None


def as_ramp(x: Value | Ramp) -> Ramp | None:
    """A ramp, or a value that is the same in all lanes as one of step 0."""
    if isinstance(x, Ramp):
        return x
    if x.lanes > 1:
        return None
    return Ramp(ZERO, int(x.text), ZERO) if x.is_literal else Ramp(x, 0, ZERO)


def i64(p: ExpressionPrinter, opcode: str, a: Value, b: Value) -> Value:
    """An i64 operation with the folding that ramps need."""
    if a.is_literal and b.is_literal:
        x, y = int(a.text), int(b.text)
        return Value(str({"add": x + y, "sub": x - y, "mul": x * y}[opcode]), I64)
    if b.text == "0":
        return ZERO if opcode == "mul" else a
    if a.text == "0" and opcode != "sub":
        return ZERO if opcode == "mul" else b
    if opcode == "mul" and "1" in (a.text, b.text):
        return a if b.text == "1" else b
    return p.binary(opcode, a, b)


def literal(value: int) -> Value:
    """An i64 literal."""
    return Value(str(value), I64)


def combined(p: ExpressionPrinter, opcode: str, args: list[Value | Ramp]) -> Ramp | None:
    """`add`, `sub` and `mul` of ramps, where the result is one."""
    if opcode not in ("add", "sub", "mul") or args[0].dtype != I64:
        return None
    a, b = (as_ramp(x) for x in args)
    if a is None or b is None:
        return None
    if opcode != "mul":
        constant = a.constant + b.constant if opcode == "add" else a.constant - b.constant
        return Ramp(i64(p, opcode, a.offset, b.offset), constant, i64(p, opcode, a.step, b.step))
    if isinstance(args[0], Ramp) and isinstance(args[1], Ramp):
        return None
    ramp, scale = (a, b) if isinstance(args[0], Ramp) else (b, a)
    factor = start(p, scale)
    if factor.is_literal:
        times = int(factor.text)
        step = i64(p, "mul", ramp.step, factor)
        p.likely_steps.setdefault(step.text, p.likely_steps.get(ramp.step.text, 1) * times)
        return Ramp(i64(p, "mul", ramp.offset, factor), ramp.constant * times, step)
    return Ramp(i64(p, "mul", start(p, ramp), factor), 0, i64(p, "mul", ramp.step, factor))


def start(p: ExpressionPrinter, ramp: Ramp) -> Value:
    """The ramp's value at index 0."""
    return i64(p, "add", ramp.offset, literal(ramp.constant))


def chosen(p: ExpressionPrinter, cond: Value, a: Value | Ramp, b: Value | Ramp) -> Ramp | None:
    """A selection between ramps by a condition that is the same in all lanes."""
    left, right = as_ramp(a), as_ramp(b)
    if left is None or right is None or cond.lanes > 1:
        return None
    step = left.step if left.step.text == right.step.text else _chosen_step(p, cond, left.step, right.step)
    if left.constant == right.constant:
        return Ramp(p.choose(cond, left.offset, right.offset), left.constant, step)
    return Ramp(p.choose(cond, start(p, left), start(p, right)), 0, step)


def _chosen_step(p: ExpressionPrinter, cond: Value, a: Value, b: Value) -> Value:
    """The step of a selection: where one side is 0 (a stretched size), the other is likely."""
    step = p.choose(cond, a, b)
    moving = b if a.text == "0" else a
    p.likely_steps[step.text] = int(moving.text) if moving.is_literal else p.likely_steps.get(moving.text, 1)
    if {a.text, b.text} == {"0", "1"}:
        p.stretched[step.text] = cond, moving is a
    return step


def first(p: ExpressionPrinter, ramp: Ramp) -> Value:
    """The ramp's value in the first lane."""
    assert p.vector is not None
    return i64(p, "add", start(p, ramp), i64(p, "mul", ramp.step, p.vector.index))


def lanes_of(p: ExpressionPrinter, ramp: Ramp, dtype: DType = I64) -> Value:
    """The ramp as a vector of i64, or of another integer dtype (modulo its width)."""
    assert p.vector is not None
    lanes = p.vector.lanes
    begin, step = first(p, ramp), ramp.step
    if dtype.bits < 64:
        begin, step = _narrow(p, begin, dtype), _narrow(p, step, dtype)
    if lanes == 1:
        return Value(begin.text, dtype, 1, begin.depth)
    lane = type_text(dtype)
    iota = Value(f"<{', '.join(f'{lane} {i}' for i in range(lanes))}>", dtype, lanes)
    offsets = iota if step.text == "1" else p.binary("mul", p.splat(step, lanes), iota, dtype)
    return p.binary("add", p.splat(begin, lanes), offsets, dtype)


def _narrow(p: ExpressionPrinter, x: Value, dtype: DType) -> Value:
    if not x.is_literal:
        return p.convert("trunc", x, dtype)
    half = 1 << dtype.bits - 1
    return Value(str((int(x.text) + half) % (2 * half) - half), dtype)


def divided(p: ExpressionPrinter, opcode: str, ramp: Ramp, divisor: Value) -> Value:
    """`sdiv` or `srem` of an index by a positive size, the same in all lanes.

    Vector units cannot divide integers; an index is less than 2**53, so the quotient of doubles is off by one at most.
    """
    x = lanes_of(p, ramp)
    d = p.convert("sitofp", divisor, F64)
    inverse = p.pure(f"fdiv double 1.0, {d.text}", F64, 1, d)
    guess = p.binary("fmul", p.convert("sitofp", x, F64), inverse)
    quotient = p.convert("fptosi", guess, I64)
    rest = p.binary("sub", x, p.binary("mul", quotient, divisor))
    below, above = p.binary("icmp slt", rest, ZERO, BOOL), p.binary("icmp sge", rest, divisor, BOOL)
    if opcode == "srem":
        lifted = p.choose(below, p.binary("add", rest, divisor), rest)
        return p.choose(above, p.binary("sub", rest, divisor), lifted)
    lifted = p.choose(below, p.binary("sub", quotient, literal(1)), quotient)
    return p.choose(above, p.binary("add", quotient, literal(1)), lifted)


def compared(p: ExpressionPrinter, opcode: str, args: list[Value | Ramp]) -> Value | None:
    """A comparison of a ramp of step 1 with what is the same in all of many lanes: it holds in the first ones or in the
    others, and where it turns is a number. Numbers of lanes are short: a register holds many of them."""
    assert p.vector is not None
    lanes = p.vector.lanes
    if isinstance(args[1], Ramp):
        opcode, args = _MIRRORED.get(opcode, ""), args[::-1]
    ramp, limit = args
    if opcode not in _ORDERS or lanes < MANY or not isinstance(ramp, Ramp) or ramp.step.text != "1":
        return None
    if isinstance(limit, Ramp) or limit.lanes > 1:
        return None
    through, is_negated = _ORDERS[opcode]
    begin, short = first(p, ramp), I8 if lanes > 32 else I16
    turn = p.intrinsic("llvm.ssub.sat", I64, limit, begin)
    turn = p.intrinsic("llvm.smin", I64, turn, literal(lanes - through))
    turn = p.intrinsic("llvm.smax", I64, turn, literal(-through))
    count = p.convert("trunc", i64(p, "add", turn, literal(int(through))), short)
    numbers = Value(f"<{', '.join(f'{type_text(short)} {i}' for i in range(lanes))}>", short, lanes)
    made = p.binary("icmp uge" if is_negated else "icmp ult", numbers, p.splat(count, lanes), BOOL)
    counts_on = p.binary("icmp sle", begin, literal((1 << 63) - lanes), BOOL)
    return p.unless_rare(counts_on, made, f"{_by_values(p, opcode, lanes)}({begin.typed()}, {limit.typed()})")


def _by_values(p: ExpressionPrinter, opcode: str, lanes: int) -> str:
    """The function that compares `begin`, `begin + 1`, ... one by one."""
    function = f"@lanes.{opcode.replace(' ', '.')}.{lanes}"
    numbers = ", ".join(f"i64 {i}" for i in range(lanes))
    p.declare(f"""define internal <{lanes} x i1> {function}(i64 %begin, i64 %limit) cold noinline {{
  %begins = insertelement <{lanes} x i64> poison, i64 %begin, i64 0
  %all = shufflevector <{lanes} x i64> %begins, <{lanes} x i64> poison, <{lanes} x i32> zeroinitializer
  %x = add <{lanes} x i64> %all, <{numbers}>
  %limits = insertelement <{lanes} x i64> poison, i64 %limit, i64 0
  %y = shufflevector <{lanes} x i64> %limits, <{lanes} x i64> poison, <{lanes} x i32> zeroinitializer
  %z = {opcode} <{lanes} x i64> %x, %y
  ret <{lanes} x i1> %z
}}""")
    return function
