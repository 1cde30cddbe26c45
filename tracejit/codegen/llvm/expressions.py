"""Loop-IR expressions as LLVM instructions, scalar and vector alike.

An expression inside a vector loop is emitted with one lane while it does not depend on the loop's index, as a
`Ramp` while it is linear in it, and with all lanes otherwise; so invariants stay scalar, and index arithmetic
never becomes a vector unless data needs it. The table in `scalars.py` says how operations are spelled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tracejit.codegen.llvm import casts as llvm_casts
from tracejit.codegen.llvm import memory as llvm_memory
from tracejit.codegen.llvm import ramps as llvm_ramps
from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.llvm.ramps import Stretches
from tracejit.codegen.llvm.values import Emitter, Ramp, Value, lane_indices, literal_text, suffix_text, type_text
from tracejit.codegen.loop_ir import (
    Bitcast,
    Cast,
    Const,
    Expr,
    Input,
    Let,
    Load,
    Offset,
    Rare,
    Scalar,
    Select,
    Stmt,
    Var,
)
from tracejit.codegen.scalars import SCALARS, Expansion, KernelBuilder, expansion
from tracejit.ir.types import BOOL, F32, F64, I8, I64, DType
from tracejit.records import record

_DIVISIONS = ("sdiv", "udiv", "srem", "urem")
_FUSED = ("fadd", "fsub", "fmul")


@record
class PastCaches:
    """Which stores of a vector loop, told by `id` while its body is there, write whole lines past the caches: under the
    loop's own mask (None: all lanes), where a condition holds (None: always)."""

    stores: frozenset[int]
    condition: Value | None
    mask: Value | None = None


@dataclass(slots=True)
class VectorContext:
    """The vector loop being printed: its width, the register of its first lane's index, the active lanes, and what is
    done about its memory."""

    lanes: int
    index: Value
    mask: Value | None = None
    asked: set[tuple[str, str]] | None = None  #: streams whose next lines were asked for; None: nothing is asked for
    past_caches: PastCaches | None = None


class ExpressionPrinter(Emitter):
    """Emits expressions. `written` holds the buffers this function may write: loads of others are pure."""

    def __init__(self, declarations: set[str], options: LlvmOptions, fastmath: bool = False) -> None:
        super().__init__(declarations)
        self.options = options
        self.fastmath = fastmath
        self.env: dict[Var, Value | Ramp] = {}
        self.readonly: set[Var] = set()
        self.vector: VectorContext | None = None
        self.epoch = 0  #: counts what may have changed memory
        self.known_steps: dict[str, Value] = {}  #: in a version of a loop: what steps (by register) are there
        self.likely_steps: dict[str, int] = {}  #: what steps only the running program knows will probably be
        self.columns: set[str] = set()  #: those of them between which elements side by side are read or written
        self.stretches = Stretches()  #: of the vector loop that is printed
        self.stretched: dict[str, tuple[Value, bool]] = {}  #: steps of 0 or 1: 1 where the condition has that truth
        self.read_in_lanes: frozenset[Var] = frozenset()  #: what the body of the `lanes` loop being printed reads
        self.waited_for: frozenset[int] = frozenset()  #: operations of loops around that the C library gives sooner
        self.volatile_loads = 0  #: counts loads whose result may change with the epoch
        self._in_template = False

    # -- names ----------------------------------------------------------------------------------------------

    def lookup(self, var: Var) -> Value | Ramp:
        """What a var is bound to."""
        return self.env[var]

    def input(self, e: Input) -> Value:
        """What the caller passed; only the entry can say."""
        raise TypeError(f"{e.kind} of input {e.index} is read outside the entry")

    # -- expressions ----------------------------------------------------------------------------------------

    def expr(self, e: Expr) -> Value | Ramp:
        """The value of an expression, computed once per scope while memory does not change."""
        if type(e) is Var:
            return self.lookup(e)
        if type(e) is Const:
            return self.constant(e.value, e.type)
        if self._in_template:
            return _EMIT[type(e)](self, e)
        key = id(e)
        for scope in reversed(self.scopes):
            found = scope.expressions.get(key)
            if found is not None and found[1] in (-1, self.epoch):
                return found[0]
        before = self.volatile_loads
        value = _EMIT[type(e)](self, e)
        epoch = -1 if before == self.volatile_loads else self.epoch
        self.scopes[-1].expressions[key] = (value, epoch, e)
        return value

    def value(self, e: Expr) -> Value:
        """The value of an expression in registers (a ramp becomes a vector)."""
        return self.spread(self.expr(e))

    def spread(self, x: Value | Ramp) -> Value:
        """A ramp as a vector; any other value as it is."""
        return x if isinstance(x, Value) else llvm_ramps.lanes_of(self, x)

    def uniform(self, e: Expr) -> Value:
        """The value of an expression that is the same in all lanes."""
        value = self.value(e)
        assert value.lanes == 1, f"{e} differs between lanes"
        return value

    def constant(self, value: bool | int | float | complex, dtype: DType) -> Value:
        """A literal."""
        assert not isinstance(value, complex)
        negative_zero = isinstance(value, float) and value == 0 and str(value)[0] == "-"
        if dtype in llvm_casts.HALVES:
            return self.cast(self.constant(value, F32), dtype)
        return Value(literal_text("nan" if value != value else value, dtype, negative_zero), dtype)

    def _scalar(self, e: Scalar) -> Value | Ramp:
        first, args = e.args[0].type, [self.expr(a) for a in e.args]
        assert isinstance(first, DType)
        if id(e) in self.waited_for and all(isinstance(a, Value) and a.lanes == 1 for a in args):
            return self._by_library(e.op, first, args)
        row = SCALARS[e.op]
        spelt = first.kind in row.llvm or (first.name in row.avx512 and self.fills_registers(first, args))
        if not spelt and Const in map(type, e.args):
            literals = tuple(a if isinstance(a, Const) else None for a in e.args)
            template = _expansion_with(e.op, first, literals, repr(literals))
            return self.expand(template, [x for x, a in zip(args, e.args, strict=True) if not isinstance(a, Const)])
        return self.apply(e.op, args, e.type, e.contract)

    def apply(self, op: str, args: list[Value | Ramp], result: DType, contract: bool = False) -> Value | Ramp:
        """Operation `op` of the table."""
        row = SCALARS[op]
        dtype = args[0].dtype
        assert isinstance(dtype, DType)
        spelling = row.llvm.get(dtype.kind)
        if spelling is None:
            whole = dtype.name in row.avx512 and self.fills_registers(dtype, args)
            return self._of_registers(row.avx512[dtype.name], args) if whole else self.elementary(op, dtype, args)
        if Ramp in map(type, args):
            ramp = self._of_ramps(spelling, args)
            if ramp is not None:
                return ramp
        values = [self.spread(a) for a in args]
        if spelling.startswith("llvm."):
            return self._intrinsic(spelling, values, result, contract)
        if spelling in _DIVISIONS:
            if values[1].lanes > 1:
                values[1] = self._divisor(values[1])
            if self._divides_as_floats(dtype, values):
                return self._divided(spelling, values[0], values[1])
        flags = " contract" if (contract or self.fastmath) and spelling in _FUSED else ""
        if len(values) == 1:
            x = values[0]
            return self.pure(f"{spelling} {x.typed()}", result, x.lanes, x)
        return self.binary(spelling + flags, values[0], values[1], result)

    def fills_registers(self, dtype: DType, args: Sequence[Value | Ramp]) -> bool:
        """Whether operands are whole registers of AVX-512."""
        bits = dtype.bits * max(self.lanes if isinstance(a, Ramp) else a.lanes for a in args)
        return self.options.vector_bits == 512 and bits % 512 == 0

    def _of_registers(self, intrinsic: str, args: Sequence[Value | Ramp]) -> Value:
        """An intrinsic of AVX-512 on each register of the operands."""
        values = [self.spread(a) for a in args]
        lanes = max(v.lanes for v in values)
        dtype = values[0].dtype
        assert isinstance(dtype, DType)
        values = [self.splat(v, lanes) for v in values]
        width = 512 // dtype.bits
        type, mask = type_text(dtype, width), f"i{width}"
        intrinsic, *literals = intrinsic.split(", ")
        operands = [type] * len(args) + [text.split()[0] for text in literals]
        self.declare(f"declare {type} @{intrinsic}({', '.join(operands)}, {type}, {mask}, i32)")
        made: list[Value] = []
        for start in range(0, lanes, width):
            parts = [self.lanes_from(v, start, width) for v in values]
            typed = ", ".join([*(v.typed() for v in parts), *literals])
            text = f"call {type} @{intrinsic}({typed}, {type} zeroinitializer, {mask} -1, i32 4)"
            made.append(self.pure(text, dtype, width, *parts))
        while len(made) > 1:
            made = [self.joined(a, b) for a, b in zip(made[::2], made[1::2], strict=True)]
        return made[0]

    def lanes_from(self, x: Value, start: int, count: int) -> Value:
        """Lanes `start` to `start + count` of a vector."""
        if x.lanes == count:
            return x
        places = ", ".join(f"i32 {i}" for i in range(start, start + count))
        vector = type_text(x.dtype, x.lanes)
        return self.pure(f"shufflevector {x.typed()}, {vector} poison, <{count} x i32> <{places}>", x.dtype, count, x)

    def joined(self, a: Value, b: Value) -> Value:
        """Two vectors one after the other."""
        count = 2 * a.lanes
        places = ", ".join(f"i32 {i}" for i in range(count))
        return self.pure(f"shufflevector {a.typed()}, {b.typed()}, <{count} x i32> <{places}>", a.dtype, count, a, b)

    def _divisor(self, x: Value) -> Value:
        """A divisor that is 1 in the lanes that are switched off: dividing by their zeros would trap."""
        mask = None if self.vector is None else self.vector.mask
        return x if mask is None else self.choose(mask, x, Value("1", x.dtype))

    def _divides_as_floats(self, dtype: DType, values: list[Value]) -> bool:
        """Whether vectors are divided as floats: LLVM multiplies instead by a literal, by one lane after the other
        where it is of 64 bits and no power of 2."""
        divisor = values[1]
        if max(v.lanes for v in values) == 1:
            return False
        if dtype.bits <= 32:
            return not divisor.is_literal
        is_power = divisor.is_literal and divisor.lanes == 1 and int(divisor.text).bit_count() == 1
        return self.fills_registers(dtype, values) and not is_power

    def _divided(self, opcode: str, x: Value, y: Value) -> Value:
        """The quotient or remainder of vectors of integers, for which processors have no instruction: a quotient of
        floats cannot round up to the next whole number where floats have more digits than the dividend."""
        dtype, lanes = y.dtype, max(x.lanes, y.lanes)
        assert isinstance(dtype, DType)
        wide = F32 if dtype.bits <= 16 else F64
        exact = self.splat(self.binary("fdiv", self.cast(x, wide), self.cast(y, wide), wide), lanes)
        to = "fptosi" if opcode[0] == "s" else "fptoui"
        made = self.pure(f"{to} {exact.typed()} to {type_text(dtype, lanes)}", dtype, lanes, exact)
        if opcode.endswith("rem"):
            made = self.binary("sub", x, self.binary("mul", made, y, dtype), dtype)
        return made if dtype.bits <= 32 else self._unless_long(opcode, x, y, made)

    def _unless_long(self, opcode: str, x: Value, y: Value, made: Value) -> Value:
        """What was `made` of integers of 64 bits, or the quotient or remainder element by element where some are beyond
        what a float has digits for."""
        limit, lanes, vector = 1 << 53, made.lanes, made.typed().rsplit(" ", 1)[0]
        x, y = self.splat(x, lanes), self.splat(y, lanes)
        fits: list[Value] = []
        for v in (x, y):
            v = self.binary("add", v, self.constant(limit // 2, I64), I64) if opcode[0] == "s" else v
            fits.append(self.binary("icmp ult", v, self.constant(limit, I64), BOOL))
        both = self.binary("and", fits[0], fits[1], BOOL)
        bits = self.pure(f"bitcast {both.typed()} to i{lanes}", I64, 1, both)
        every = self.pure(f"icmp eq i{lanes} {bits.text}, -1", BOOL, 1, bits)
        function = f"@lanes.{opcode}.{lanes}"
        self.declare(f"""define internal {vector} {function}({vector} %x, {vector} %y) cold noinline {{
  %z = {opcode} {vector} %x, %y
  ret {vector} %z
}}""")
        return self.unless_rare(every, made, f"{function}({x.typed()}, {y.typed()})")

    def unless_rare(self, usual: Value, made: Value, rare: str) -> Value:
        """What was `made`, or what the call `rare` gives where that is not `usual`."""
        slow, done, before = self.new_label("rare"), self.new_label("usual"), self.scope.label
        name, type = self.name(), made.typed().rsplit(" ", 1)[0]
        self.line(f"br i1 {usual.text}, label %{done}, label %{slow}, !prof !1")
        self.begin(slow)
        self.line(f"{name} = call {type} {rare}")
        self.line(f"br label %{done}")
        self.begin(done)
        return self.define(f"phi {type} [ {made.text}, %{before} ], [ {name}, %{slow} ]", made.dtype, made.lanes)

    def _of_ramps(self, opcode: str, args: list[Value | Ramp]) -> Value | Ramp | None:
        """An integer operation with a ramp, where there is something better than vector instructions."""
        dividend, divisor = args[0], args[-1]
        if opcode.startswith("icmp"):
            return llvm_ramps.compared(self, opcode, args)
        if opcode not in ("sdiv", "srem"):
            return llvm_ramps.combined(self, opcode, args)
        if isinstance(dividend, Ramp) and isinstance(divisor, Value) and divisor.lanes == 1 and self.lanes > 1:
            return llvm_ramps.divided(self, opcode, dividend, divisor)
        return None

    @property
    def lanes(self) -> int:
        """Lanes of the vector loop being printed; 1 outside."""
        return 1 if self.vector is None else self.vector.lanes

    def _intrinsic(self, spelling: str, values: list[Value], result: DType, contract: bool) -> Value:
        if ".with.overflow" not in spelling:
            return self.intrinsic(spelling, result, *values, flags=" contract" if contract else "")
        lanes = max(v.lanes for v in values)
        a, b = (self.splat(v, lanes) for v in values)
        pair = f"{{ {type_text(a.dtype, lanes)}, {type_text(BOOL, lanes)} }}"
        kind = type_text(a.dtype) if lanes == 1 else f"v{lanes}{type_text(a.dtype)}"
        self.declare(f"declare {pair} @{spelling}.{kind}({type_text(a.dtype, lanes)}, {type_text(a.dtype, lanes)})")
        both = self.pure(f"call {pair} @{spelling}.{kind}({a.typed()}, {b.typed()})", result, lanes, a, b)
        return self.pure(f"extractvalue {pair} {both.text}, 1", result, lanes, both)

    def elementary(self, op: str, dtype: DType, args: list[Value | Ramp]) -> Value | Ramp:
        """An operation that LLVM does not have."""
        return self.expand(expansion(op, dtype), args)

    def expand(self, template: Expansion, args: list[Value | Ramp]) -> Value | Ramp:
        """An operation by its expansion. Its vars are bound anew at every use, so nothing in it is remembered."""
        outer, self._in_template = self._in_template, True
        for param, arg in zip(template.params, args, strict=True):
            self.env[param] = self.spread(arg)
        for let in template.lets:
            self.env[let.var] = self.expr(let.expr)
        result = self.expr(template.result)
        self._in_template = outer
        return result

    def _select(self, e: Select) -> Value | Ramp:
        cond, a, b = self.value(e.cond), self.expr(e.a), self.expr(e.b)
        if isinstance(a, Ramp) or isinstance(b, Ramp):
            ramp = llvm_ramps.chosen(self, cond, a, b)
            if ramp is not None:
                return ramp
        return self.choose(cond, self.spread(a), self.spread(b))

    # -- conversions --------------------------------------------------------------------------------------------

    def _cast(self, e: Cast) -> Value | Ramp:
        x = self.expr(e.x)
        if isinstance(x, Ramp) and e.type.is_integer:
            return x if e.type == I64 else llvm_ramps.lanes_of(self, x, e.type)
        return self.cast(self.spread(x), e.type)

    def cast(self, x: Value, to: DType) -> Value:
        """A value conversion with NumPy's rules."""
        return llvm_casts.cast(self, x, to)

    def _bitcast(self, e: Bitcast) -> Value:
        return llvm_casts.bitcast(self, self.value(e.x), e.type)

    # -- memory -------------------------------------------------------------------------------------------------

    def read(self, text: str, dtype: DType, lanes: int, readonly: bool, *operands: Value) -> Value:
        """A load: of memory that never changes it is placed in front of the innermost loop, else it stays here."""
        text += self.alias_metadata(dtype)
        stored = I8 if dtype == BOOL else dtype
        if readonly:
            lowest = self.scope.depth - 1 if self.scope.is_loop_body else self.scope.depth
            return self.pure(text, stored, lanes, *operands, lowest=lowest)
        key = f"{text} ;{self.epoch}"
        found = self.scope.instructions.get(key)
        if found is None:
            found = self.scope.instructions[key] = self.define(text, stored, lanes)
        return found.viewed(stored)

    def alias_metadata(self, dtype: DType) -> str:
        """Metadata for accesses to buffers of a dtype (buffers of different dtypes never overlap)."""
        return ""

    def known_step(self, step: Value) -> Value:
        """The step of a ramp as this version of the loop knows it."""
        return self.known_steps.get(step.text, step)

    # -- library functions for rare arguments -------------------------------------------------------------------

    def _rare(self, e: Rare) -> Value:
        cond, value = self.value(e.cond), self.value(e.value)
        args = [self.value(a) for a in e.args]
        lanes = max(cond.lanes, value.lanes, *(a.lanes for a in args))
        function = self._library_function(e.op, e.type, len(args))
        cond = self.splat(cond, lanes)
        if lanes > 1 and self.vector is not None and self.vector.mask is not None:
            cond = self.binary("and", cond, self.vector.mask)
        any_lane = cond
        if lanes > 1:
            bits = self.pure(f"bitcast {cond.typed()} to i{lanes}", I64, 1, cond)
            any_lane = self.pure(f"icmp ne i{lanes} {bits.text}, 0", BOOL, 1, bits)
        values = [self.splat(a, lanes) for a in (value, *args)]
        slow, done = self.new_label("rare"), self.new_label("common")
        before = self.scope.label
        self.line(f"br i1 {any_lane.text}, label %{slow}, label %{done}, !prof !0")
        self.begin(slow)
        type = type_text(e.type, lanes)
        name = self.name()
        if lanes == 1:
            self.line(f"{name} = call {type} {function}({', '.join(v.typed() for v in values[1:])})")
        else:
            given = ", ".join(v.typed() for v in (cond, *values))
            self.line(f"{name} = call {type} {self._per_lane(e, function, lanes)}({given})")
        self.line(f"br label %{done}")
        self.begin(done)
        return self.define(f"phi {type} [ {values[0].text}, %{before} ], [ {name}, %{slow} ]", e.type, lanes)

    def _by_library(self, op: str, dtype: DType, args: Sequence[Value | Ramp]) -> Value:
        """A function of the C library."""
        values = [self.spread(a) for a in args]
        function = self._library_function(op, dtype, len(values))
        return self.pure(
            f"call {type_text(dtype)} {function}({', '.join(v.typed() for v in values)})", dtype, 1, *values
        )

    def _library_function(self, op: str, dtype: DType, arity: int) -> str:
        name = f"@{op}{'f' if dtype == F32 else ''}"
        type = type_text(dtype)
        self.declare(f"declare {type} {name}({', '.join([type] * arity)})")
        return name

    def _per_lane(self, e: Rare, function: str, lanes: int) -> str:
        """A cold function that replaces the marked lanes of a vector by calls."""
        name = f"@lanes.{function[1:]}.{lanes}"
        type, vector = type_text(e.type), type_text(e.type, lanes)
        params = "".join(f", {vector} %x{i}" for i in range(len(e.args)))
        pick = "\n".join(f"  %a{i} = extractelement {vector} %x{i}, i64 %i" for i in range(len(e.args)))
        args = ", ".join(f"{type} %a{i}" for i in range(len(e.args)))
        self.declare(f"""define internal {vector} {name}(<{lanes} x i1> %mask, {vector} %value{params}) cold noinline {{
start:
  br label %loop
loop:
  %i = phi i64 [ 0, %start ], [ %next, %join ]
  %now = phi {vector} [ %value, %start ], [ %kept, %join ]
  %marked = extractelement <{lanes} x i1> %mask, i64 %i
  br i1 %marked, label %call, label %join
call:
{pick}
  %y = call {type} {function}({args})
  %changed = insertelement {vector} %now, {type} %y, i64 %i
  br label %join
join:
  %kept = phi {vector} [ %now, %loop ], [ %changed, %call ]
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, {lanes}
  br i1 %more, label %loop, label %end
end:
  ret {vector} %kept
}}""")
        return name

    # -- across lanes -----------------------------------------------------------------------------------------------

    def summed(self, start: Value, vector: Value, mask: Value | None) -> Value:
        """A number plus one lane after the other; lanes outside of the mask add -0.0, which changes nothing."""
        dtype = vector.dtype
        assert isinstance(dtype, DType)
        if mask is not None:
            vector = self.choose(mask, vector, Value("-0.0" if dtype.is_float else "0", dtype))
        if vector.lanes > 1 and dtype.is_integer:
            vector = self._across("llvm.vector.reduce.add", vector)
        if vector.lanes > 1:
            return self._across("llvm.vector.reduce.fadd", vector, start)
        total = self.apply("add", [start, vector], dtype)
        assert isinstance(total, Value)
        return total

    def _across(self, name: str, vector: Value, *start: Value) -> Value:
        """An intrinsic that makes a number of a vector."""
        assert isinstance(vector.dtype, DType)
        full, type = f"@{name}.{suffix_text(vector.dtype, vector.lanes)}", type_text(vector.dtype, 1)
        types = ", ".join([*(type for _ in start), type_text(vector.dtype, vector.lanes)])
        self.declare(f"declare {type} {full}({types})")
        given = ", ".join(v.typed() for v in (*start, vector))
        return self.pure(f"call {type} {full}({given})", vector.dtype, 1, *start, vector)

    def reduce(self, op: str, vector: Value) -> Value:
        """All lanes combined in a fixed tree: halves with halves."""
        dtype = vector.dtype
        assert isinstance(dtype, DType)
        while vector.lanes > 1:
            half = vector.lanes // 2
            type = type_text(dtype, vector.lanes)
            parts: list[Value | Ramp] = []
            for at in (0, half):
                if half == 1:
                    parts.append(self.pure(f"extractelement {type} {vector.text}, i64 {at}", dtype, 1, vector))
                else:
                    mask = lane_indices(range(at, at + half))
                    parts.append(
                        self.pure(f"shufflevector {type} {vector.text}, {type} poison, {mask}", dtype, half, vector)
                    )
            combined = self.apply(op, parts, dtype)
            assert isinstance(combined, Value)
            vector = combined
        return vector


@lru_cache(maxsize=1024)
def _expansion_with(op: str, dtype: DType, literals: tuple[Const | None, ...], spelling: str) -> Expansion:
    """An expansion in which some operands are literals, folded. `spelling` keeps 0.0 and -0.0 apart in the memo."""
    body: list[Stmt] = []
    operands = tuple(Var("x", dtype) if literal is None else literal for literal in literals)
    expand = SCALARS[op].expand
    assert expand is not None, f"{op} on {dtype} has neither an instruction nor an expansion"
    result = expand(KernelBuilder(body), *operands)
    params = tuple(x for x in operands if isinstance(x, Var))
    return Expansion(params, tuple(s for s in body if isinstance(s, Let)), result)


_EMIT: dict[type, Callable[[ExpressionPrinter, Any], Value | Ramp]] = {
    Scalar: ExpressionPrinter._scalar,
    Cast: ExpressionPrinter._cast,
    Bitcast: ExpressionPrinter._bitcast,
    Select: ExpressionPrinter._select,
    Load: llvm_memory.load,
    Rare: ExpressionPrinter._rare,
    Offset: llvm_memory.offset,
    Input: lambda printer, e: printer.input(e),
}
