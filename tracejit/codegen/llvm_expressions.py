"""Loop-IR expressions as LLVM instructions, scalar and vector alike.

An expression inside a vector loop is emitted with one lane while it does not depend on the loop's index, as a
`Ramp` while it is linear in it, and with all lanes otherwise; so invariants stay scalar, and index arithmetic
never becomes a vector unless data needs it. The table in `scalars.py` says how operations are spelled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tracejit.codegen.llvm_options import LlvmOptions
from tracejit.codegen.llvm_values import (
    ZERO,
    Emitter,
    Ramp,
    Value,
    lane_indices,
    literal_text,
    memory_type_text,
    type_text,
)
from tracejit.codegen.loop_ir import Bitcast, Cast, Const, Expr, Input, Load, Offset, Pointer, Rare, Scalar, Select, Var
from tracejit.codegen.scalars import SCALARS, Expansion, cast_expansion, expansion
from tracejit.ir.types import BF16, BOOL, F16, F32, F64, I8, I32, I64, U16, DType

_HALVES = (F16, BF16)
_FUSED = ("fadd", "fsub", "fmul")


@dataclass(slots=True)
class VectorContext:
    """The vector loop being printed: its width, the register of its first lane's index, and the active lanes."""

    lanes: int
    index: Value
    mask: Value | None = None


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
        self._volatile = 0  #: counts loads whose result may change with the epoch
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
        before = self._volatile
        value = _EMIT[type(e)](self, e)
        epoch = -1 if before == self._volatile else self.epoch
        self.scopes[-1].expressions[key] = (value, epoch, e)
        return value

    def value(self, e: Expr) -> Value:
        """The value of an expression in registers (a ramp becomes a vector)."""
        value = self.expr(e)
        return value if isinstance(value, Value) else self.materialise(value)

    def uniform(self, e: Expr) -> Value:
        """The value of an expression that is the same in all lanes."""
        value = self.value(e)
        assert value.lanes == 1, f"{e} differs between lanes"
        return value

    def constant(self, value: bool | int | float | complex, dtype: DType) -> Value:
        """A literal."""
        assert not isinstance(value, complex)
        negative_zero = isinstance(value, float) and value == 0 and str(value)[0] == "-"
        if dtype in _HALVES:
            return self.cast(self.constant(value, F32), dtype)
        return Value(literal_text("nan" if value != value else value, dtype, negative_zero), dtype)

    def _scalar(self, e: Scalar) -> Value | Ramp:
        return self.apply(e.op, [self.expr(a) for a in e.args], e.type, e.contract)

    def apply(self, op: str, args: list[Value | Ramp], result: DType, contract: bool = False) -> Value | Ramp:
        """Operation `op` of the table."""
        row = SCALARS[op]
        dtype = args[0].dtype
        assert isinstance(dtype, DType)
        spelling = row.llvm.get(dtype.kind)
        if spelling is None:
            return self.expand(expansion(op, dtype), args)
        if any(isinstance(a, Ramp) for a in args):
            ramp = self._ramp(spelling, args)
            if ramp is not None:
                return ramp
        values = [self.materialise(a) if isinstance(a, Ramp) else a for a in args]
        if spelling.startswith("llvm."):
            return self._intrinsic(spelling, values, result, contract)
        flags = " contract" if (contract or self.fastmath) and spelling in _FUSED else ""
        if len(values) == 1:
            x = values[0]
            return self.pure(f"{spelling} {x.typed()}", result, x.lanes, x)
        return self.binary(spelling + flags, values[0], values[1], result)

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

    def expand(self, template: Expansion, args: list[Value | Ramp]) -> Value | Ramp:
        """An operation by its expansion. Its vars are bound anew at every use, so nothing in it is remembered."""
        outer, self._in_template = self._in_template, True
        for param, arg in zip(template.params, args, strict=True):
            self.env[param] = arg if isinstance(arg, Value) else self.materialise(arg)
        for let in template.lets:
            self.env[let.var] = self.expr(let.expr)
        result = self.expr(template.result)
        self._in_template = outer
        return result

    def _select(self, e: Select) -> Value | Ramp:
        cond, a, b = self.value(e.cond), self.expr(e.a), self.expr(e.b)
        if cond.lanes == 1 and e.type == I64 and (isinstance(a, Ramp) or isinstance(b, Ramp)):
            left, right = self._as_ramp(a), self._as_ramp(b)
            if left is not None and right is not None:
                return Ramp(self.choose(cond, left.offset, right.offset), self.choose(cond, left.step, right.step))
        a = self.materialise(a) if isinstance(a, Ramp) else a
        b = self.materialise(b) if isinstance(b, Ramp) else b
        return self.choose(cond, a, b)

    # -- indices that are linear in the index of a vector loop --------------------------------------------------

    def _as_ramp(self, x: Value | Ramp) -> Ramp | None:
        if isinstance(x, Ramp):
            return x
        return Ramp(x, ZERO) if x.lanes == 1 else None

    def _ramp(self, opcode: str, args: list[Value | Ramp]) -> Ramp | None:
        """`add`, `sub` and `mul` of ramps, where the result is one."""
        if opcode not in ("add", "sub", "mul") or args[0].dtype != I64:
            return None
        a, b = (self._as_ramp(x) for x in args)
        if a is None or b is None:
            return None
        if opcode != "mul":
            return Ramp(self._i64(opcode, a.offset, b.offset), self._i64(opcode, a.step, b.step))
        if isinstance(args[0], Ramp) and isinstance(args[1], Ramp):
            return None
        ramp, factor = (a, b.offset) if isinstance(args[0], Ramp) else (b, a.offset)
        return Ramp(self._i64("mul", ramp.offset, factor), self._i64("mul", ramp.step, factor))

    def _i64(self, opcode: str, a: Value, b: Value) -> Value:
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
        return self.binary(opcode, a, b)

    def first(self, ramp: Ramp) -> Value:
        """The ramp's value in the first lane."""
        assert self.vector is not None
        return self._i64("add", ramp.offset, self._i64("mul", ramp.step, self.vector.index))

    def materialise(self, ramp: Ramp, dtype: DType = I64) -> Value:
        """The ramp as a vector of i64, or of another integer dtype (modulo its width)."""
        assert self.vector is not None
        lanes = self.vector.lanes
        start, step = self.first(ramp), ramp.step
        if dtype.bits < 64:
            start, step = self.convert("trunc", start, dtype), self._narrow(step, dtype)
        if lanes == 1:
            return Value(start.text, dtype, 1, start.depth)
        lane = type_text(dtype)
        iota = Value(f"<{', '.join(f'{lane} {i}' for i in range(lanes))}>", dtype, lanes)
        offsets = iota if step.text == "1" else self.binary("mul", self.splat(step, lanes), iota, dtype)
        return self.binary("add", self.splat(start, lanes), offsets, dtype)

    def _narrow(self, step: Value, dtype: DType) -> Value:
        if step.is_literal:
            return Value(
                str((int(step.text) + (1 << dtype.bits - 1)) % (1 << dtype.bits) - (1 << dtype.bits - 1)), dtype
            )
        return self.convert("trunc", step, dtype)

    # -- conversions --------------------------------------------------------------------------------------------

    def _cast(self, e: Cast) -> Value | Ramp:
        x = self.expr(e.x)
        if isinstance(x, Ramp):
            if e.type.is_integer and (e.type.bits < 64 or e.type == I64):
                return x if e.type == I64 else self.materialise(x, e.type)
            x = self.materialise(x)
        return self.cast(x, e.type)

    def cast(self, x: Value, to: DType) -> Value:
        """A value conversion with NumPy's rules."""
        source = x.dtype
        assert isinstance(source, DType)
        if source == to:
            return x
        if source in _HALVES:
            return self.cast(self._half(x, source, F32), to)
        if to in _HALVES:
            narrow = self._to_odd(x) if source == F64 else self.cast(x, F32)
            return self._half(narrow, F32, to)
        if to == BOOL:
            zero = literal_text(0, source)
            return self.binary("fcmp une" if source.is_float else "icmp ne", x, Value(zero, source), BOOL)
        if source.is_float:
            return self._from_float(x, to)
        if to.is_float:
            return self.convert("sitofp" if source.kind == "i" else "uitofp", x, to)
        if source != BOOL and source.bits == to.bits:
            return Value(x.text, to, x.lanes, x.depth)
        if source != BOOL and source.bits > to.bits:
            return self.convert("trunc", x, to)
        return self.convert("sext" if source.kind == "i" else "zext", x, to)

    def _from_float(self, x: Value, to: DType) -> Value:
        assert isinstance(x.dtype, DType)
        if to.is_float:
            return self.convert("fpext" if to.bits > x.dtype.bits else "fptrunc", x, to)
        if to.bits < 32:
            return self.convert("trunc", self._guarded_fptosi(x, I32), to)
        if to.bits == 32:
            wide = self._guarded_fptosi(x, I32 if to.kind == "i" else I64)
            return wide if to.kind == "i" else self.convert("trunc", wide, to)
        low = self._guarded_fptosi(x, I64)
        if to.kind == "i":
            return low
        limit = Value(literal_text(2.0**63, x.dtype), x.dtype)
        high = self._guarded_fptosi(self.binary("fsub", x, limit), I64)
        flipped = self.binary("xor", high, Value(str(-(1 << 63)), I64))
        chosen = self.choose(self.binary("fcmp oge", x, limit, BOOL), flipped, low)
        return Value(chosen.text, to, chosen.lanes, chosen.depth)

    def _guarded_fptosi(self, x: Value, to: DType) -> Value:
        """Truncation to a signed integer; its least value where x does not fit, as x86 does (alone it is poison)."""
        assert isinstance(x.dtype, DType)
        fits = self.binary(
            "fcmp olt",
            self.intrinsic("llvm.fabs", x.dtype, x),
            Value(literal_text(2.0 ** (to.bits - 1), x.dtype), x.dtype),
            BOOL,
        )
        return self.choose(fits, self.convert("fptosi", x, to), Value(str(-(1 << to.bits - 1)), to))

    def _half(self, x: Value, source: DType, to: DType) -> Value:
        """f16 or bf16 from or to f32: by F16C instructions where the machine has them, else by integer operations."""
        bits = to if source == F32 else source
        if bits == F16 and self.options.has_f16c:
            half = "half" if x.lanes == 1 else f"<{x.lanes} x half>"
            if (
                source == F32
            ):  # the fence keeps LLVM from merging this with a rounding to f32, for which there is no code
                x = self.intrinsic("llvm.arithmetic.fence", F32, x)
                narrow = self.pure(f"fptrunc {x.typed()} to {half}", F16, x.lanes, x)
                return self.pure(f"bitcast {half} {narrow.text} to {type_text(F16, x.lanes)}", F16, x.lanes, narrow)
            wide = self.pure(f"bitcast {x.typed()} to {half}", F16, x.lanes, x)
            return self.pure(f"fpext {half} {wide.text} to {type_text(F32, x.lanes)}", F32, x.lanes, wide)
        given = x if source == F32 else Value(x.text, U16, x.lanes, x.depth)
        made = self.expand(cast_expansion(source, to), [given])
        assert isinstance(made, Value)
        return Value(made.text, to, made.lanes, made.depth)

    def _to_odd(self, x: Value) -> Value:
        """f64 to f32 rounded to odd, so that a second rounding to a half is right (Boldo and Melquiond, 2008)."""
        near = self.convert("fptrunc", x, F32)
        back = self.convert("fpext", near, F64)
        bits = self.bitcast(near, I32)
        above = self.binary(
            "fcmp ogt", self.intrinsic("llvm.fabs", F64, back), self.intrinsic("llvm.fabs", F64, x), BOOL
        )
        toward_zero = self.binary("sub", bits, self.cast(above, I32))
        odd = self.binary("or", toward_zero, Value("1", I32))
        exact = self.binary("fcmp ueq", back, x, BOOL)
        return self.bitcast(self.choose(exact, bits, odd), F32)

    def _bitcast(self, e: Bitcast) -> Value:
        return self.bitcast(self.value(e.x), e.type)

    def bitcast(self, x: Value, to: DType) -> Value:
        """The same bits read as another dtype of the same width."""
        if type_text(x.dtype) == type_text(to):
            return Value(x.text, to, x.lanes, x.depth)
        return self.convert("bitcast", x, to)

    # -- memory -------------------------------------------------------------------------------------------------

    def element(self, pointer: Value, index: Value, dtype: DType) -> Value:
        """The address of an element."""
        type = memory_type_text(dtype)
        if index.text == "0":
            return pointer
        return self.pure(
            f"getelementptr {type}, {pointer.typed()}, {index.typed()}", pointer.dtype, index.lanes, pointer, index
        )

    def _offset(self, e: Offset) -> Value:
        pointer = self.lookup(e.buffer)
        assert isinstance(pointer, Value)
        return self.element(pointer, self.uniform(e.index), e.type.element)

    def _load(self, e: Load) -> Value:
        buffer, index = self.lookup(e.buffer), self.expr(e.index)
        assert isinstance(buffer, Value)
        readonly = e.buffer in self.readonly
        if not readonly:
            self._volatile += 1
        if isinstance(index, Ramp):
            loaded = self._load_ramp(buffer, index, e.type, readonly)
        elif index.lanes > 1:
            loaded = self._gather(buffer, index, e.type)
        else:
            address = self.element(buffer, index, e.type)
            loaded = self._read(
                f"load {memory_type_text(e.type)}, ptr {address.text}, align {_align(e.type)}",
                e.type,
                1,
                readonly,
                address,
            )
        return self.from_memory(loaded, e.type)

    def _read(self, text: str, dtype: DType, lanes: int, readonly: bool, *operands: Value) -> Value:
        """A load: of memory that never changes it is placed in front of the innermost loop, else it stays here."""
        text += self.alias_metadata(dtype)
        stored = I8 if dtype == BOOL else dtype
        if readonly:
            return self.pure(text, stored, lanes, *operands, lowest=self.safe_depth)
        key = f"{text} ;{self.epoch}"
        found = self.scope.instructions.get(key)
        if found is None:
            found = self.scope.instructions[key] = self.define(text, stored, lanes)
        return found

    @property
    def safe_depth(self) -> int:
        """The least depth at which a load of this place is certain to be executed."""
        return len(self.scopes) - 1

    def alias_metadata(self, dtype: DType) -> str:
        """Metadata for accesses to buffers of a dtype (buffers of different dtypes never overlap)."""
        return ""

    def from_memory(self, loaded: Value, dtype: DType) -> Value:
        """A loaded element as it is in registers."""
        if dtype != BOOL:
            return loaded
        return self.binary("icmp ne", Value(loaded.text, I8, loaded.lanes, loaded.depth), Value("0", I8), BOOL)

    def to_memory(self, value: Value, dtype: DType) -> Value:
        """The value as it is stored."""
        return self.convert("zext", value, I8) if dtype == BOOL else value

    def _load_ramp(self, buffer: Value, ramp: Ramp, dtype: DType, readonly: bool) -> Value:
        assert self.vector is not None
        lanes, mask = self.vector.lanes, self.vector.mask
        if ramp.step.text not in ("0", "1") and lanes > 1:
            return self._gather(buffer, self.materialise(ramp), dtype)
        start = self.element(buffer, ramp.offset, dtype)
        address = self.element(start, self._i64("mul", ramp.step, self.vector.index), dtype)
        if ramp.step.text == "0" or lanes == 1:
            return self._read(
                f"load {memory_type_text(dtype)}, ptr {address.text}, align {_align(dtype)}",
                dtype,
                1,
                readonly,
                address,
            )
        type = memory_type_text(dtype, lanes)
        if mask is None:
            return self._read(
                f"load {type}, ptr {address.text}, align {_align(dtype)}", dtype, lanes, readonly, address
            )
        name = f"@llvm.masked.load.{_memory_suffix(dtype, lanes)}.p0"
        self.declare(f"declare {type} {name}(ptr, i32, <{lanes} x i1>, {type})")
        call = f"call {type} {name}(ptr {address.text}, i32 {_align(dtype)}, {mask.typed()}, {type} zeroinitializer)"
        return self._read(call, dtype, lanes, readonly, address, mask)

    def _gather(self, buffer: Value, index: Value, dtype: DType) -> Value:
        assert self.vector is not None
        lanes = self.vector.lanes
        addresses = self.element(buffer, index, dtype)
        mask = self.vector.mask.typed() if self.vector.mask is not None else f"<{lanes} x i1> splat (i1 true)"
        type = memory_type_text(dtype, lanes)
        name = f"@llvm.masked.gather.{_memory_suffix(dtype, lanes)}.v{lanes}p0"
        self.declare(f"declare {type} {name}(<{lanes} x ptr>, i32, <{lanes} x i1>, {type})")
        call = (
            f"call {type} {name}(<{lanes} x ptr> {addresses.text}, i32 {_align(dtype)}, {mask}, {type} zeroinitializer)"
        )
        return self._read(call, dtype, lanes, False, addresses)

    def store(self, buffer: Value, index: Value | Ramp, value: Value, dtype: DType) -> None:
        """`buffer[index] = value` in the active lanes."""
        self.epoch += 1
        value = self.to_memory(value, dtype)
        align, metadata = _align(dtype), self.alias_metadata(dtype)
        if self.vector is None or self.vector.lanes == 1:
            place = self.first(index) if isinstance(index, Ramp) else index
            address = self.element(buffer, place, dtype)
            self.line(f"store {memory_type_text(dtype)} {value.text}, ptr {address.text}, align {align}{metadata}")
            return
        lanes, mask = self.vector.lanes, self.vector.mask
        value = self.splat(value, lanes)
        type = memory_type_text(dtype, lanes)
        if not isinstance(index, Ramp) or index.step.text != "1":
            self._scatter(buffer, index, value, dtype)
            return
        start = self.element(buffer, index.offset, dtype)
        address = self.element(start, self.vector.index, dtype)
        if mask is None:
            self.line(f"store {type} {value.text}, ptr {address.text}, align {align}{metadata}")
            return
        name = f"@llvm.masked.store.{_memory_suffix(dtype, lanes)}.p0"
        self.declare(f"declare void {name}({type}, ptr, i32, <{lanes} x i1>)")
        self.line(f"call void {name}({type} {value.text}, ptr {address.text}, i32 {align}, {mask.typed()}){metadata}")

    def _scatter(self, buffer: Value, index: Value | Ramp, value: Value, dtype: DType) -> None:
        assert self.vector is not None
        lanes, mask = self.vector.lanes, self.vector.mask
        places = self.splat(self.materialise(index) if isinstance(index, Ramp) else index, lanes)
        addresses = self.element(buffer, places, dtype)
        active = mask.typed() if mask is not None else f"<{lanes} x i1> splat (i1 true)"
        type = memory_type_text(dtype, lanes)
        name = f"@llvm.masked.scatter.{_memory_suffix(dtype, lanes)}.v{lanes}p0"
        self.declare(f"declare void {name}({type}, <{lanes} x ptr>, i32, <{lanes} x i1>)")
        self.line(
            f"call void {name}({type} {value.text}, <{lanes} x ptr> {addresses.text}, i32 {_align(dtype)}, {active})"
        )

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


def _align(dtype: DType | Pointer) -> int:
    return 8 if isinstance(dtype, Pointer) else dtype.itemsize


def _memory_suffix(dtype: DType, lanes: int) -> str:
    scalar = {F32: "f32", F64: "f64"}.get(dtype) or memory_type_text(dtype)
    return f"v{lanes}{scalar}"


_EMIT: dict[type, Callable[[ExpressionPrinter, Any], Value | Ramp]] = {
    Scalar: ExpressionPrinter._scalar,
    Cast: ExpressionPrinter._cast,
    Bitcast: ExpressionPrinter._bitcast,
    Select: ExpressionPrinter._select,
    Load: ExpressionPrinter._load,
    Rare: ExpressionPrinter._rare,
    Offset: ExpressionPrinter._offset,
    Input: lambda printer, e: printer.input(e),
}
