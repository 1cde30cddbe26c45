"""The closed table of scalar operations, and `KernelBuilder`, the only way to make them.

A row says how each consumer spells an operation: NumPy (`evaluate`), C and CUDA (`c`), LLVM (`llvm`); both
spellings depend on the dtype kind (`b i u f`). An operation without a spelling for a kind has an `expand`
function written with the builder itself: compound integer rules and the whole mathematical library are such
expansions. `expansion(name, dtype)` gives them in the form printers use. A new math function is one row here.

f16 and bf16 operands are computed in f32 and rounded after every operation, as NumPy does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from functools import cache
from typing import Any, Literal, TypeAlias

import numpy as np

from tracejit.codegen import folding, mathlib, numeric
from tracejit.codegen.loop_ir import Bitcast, Cast, Const, Expr, Let, Rare, Scalar, Select, Stmt, Var
from tracejit.codegen.mathlib import basic
from tracejit.ir.types import BF16, BOOL, F16, F32, DType
from tracejit.records import record

Number: TypeAlias = bool | int | float


# -- the table ------------------------------------------------------------------------------------------------


@record
class ScalarOp:
    """One scalar operation.

    kinds:    dtype kinds its operands may have; all operands share one dtype.
    result:   `same` dtype as the operands, or `bool`.
    evaluate: NumPy arrays of the operand dtype -> array of the result dtype.
    c:        kind -> C expression with `{0}`, `{1}`, `{2}` for operands (already in parentheses where needed) and
              `{f}` the suffix of math functions (`f` for f32). C computes narrow integers in int, and signed
              overflow is undefined: `{t}` is the operand's type, `{n}` a cast back to it, empty from 32 bits on,
              `{w}` a cast of a narrow unsigned operand to u32, `{ut}` the unsigned type of the operand's width,
              `{u}` that type or u32, the wider.
    llvm:     kind -> opcode (`fadd`, `icmp slt`, `fcmp olt`) or intrinsic (`llvm.sqrt`; one whose name contains
              `.with.overflow` gives its second result).
    avx512:   the same for an intrinsic on whole registers of AVX-512 by dtype name, with literal operands behind it;
              further operands are the result of switched-off lanes, the mask, and the rounding.
    python:   kind -> expression over Python numbers with `{0}`, `{1}` for operands and `{low}`, `{high}` for the range
              of an integer dtype; functions are those of `cuda/host_numbers.py`. With `python_rounds` its value is
              exact, or that of doubles, and is brought into the dtype by the printer. Other kinds are left to
              `evaluate`.
    expand:   `(k, *operands) -> Expr` in terms of other operations, for kinds without a spelling.
    """

    name: str
    arity: int
    kinds: str
    evaluate: Callable[..., Any]
    result: Literal["same", "bool"] = "same"
    c: Mapping[str, str] = field(default_factory=dict[str, str])
    llvm: Mapping[str, str] = field(default_factory=dict[str, str])
    avx512: Mapping[str, str] = field(default_factory=dict[str, str])
    python: Mapping[str, str] = field(default_factory=dict[str, str])
    python_rounds: bool = False
    expand: Callable[..., Expr] | None = None


def _arithmetic(name: str, sign: str, evaluate: Callable[..., Any]) -> ScalarOp:
    """+ - *: integers wrap."""
    signed, unsigned = f"({{t}})(({{u}}){{0}} {sign} ({{u}}){{1}})", f"{{n}}({{w}}{{0}} {sign} {{w}}{{1}})"
    return ScalarOp(
        name,
        2,
        "iuf",
        evaluate,
        c={"f": f"{{0}} {sign} {{1}}", "i": signed, "u": unsigned},
        llvm={"f": f"f{name}", "i": name, "u": name},
        python=dict.fromkeys("fiu", f"{{0}} {sign} {{1}}"),
        python_rounds=True,
    )


def _comparison(name: str, sign: str, evaluate: Callable[..., Any]) -> ScalarOp:
    ordered = {"f": f"fcmp {'une' if name == 'ne' else 'o' + name}"}
    equality = name in ("eq", "ne")
    integer = {
        kind: f"icmp {name if equality else prefix + name}" for kind, prefix in (("i", "s"), ("u", "u"), ("b", "u"))
    }
    spelt = dict.fromkeys("biuf", f"{{0}} {sign} {{1}}")
    return ScalarOp(name, 2, "biuf", evaluate, "bool", c=spelt, llvm=ordered | integer, python=spelt)


def _bitwise(name: str, opcode: str, sign: str, evaluate: Callable[..., Any]) -> ScalarOp:
    """Bit operations; on booleans they are the logical ones."""
    c = dict.fromkeys("iu", f"{{n}}({{0}} {sign} {{1}})") | {"b": f"(bool)({{0}} {sign} {{1}})"}
    python = dict.fromkeys("biu", f"{{0}} {sign} {{1}}")
    return ScalarOp(name, 2, "biu", evaluate, c=c, llvm=dict.fromkeys("biu", opcode), python=python)


def _logical(name: str, opcode: str, sign: str, evaluate: Callable[..., Any]) -> ScalarOp:
    python = {"b": f"{{0}} {sign if opcode == 'xor' else opcode} {{1}}"}
    return ScalarOp(name, 2, "b", evaluate, c={"b": f"{{0}} {sign} {{1}}"}, llvm={"b": opcode}, python=python)


def _shift(name: str, opcode: str, c: Mapping[str, str], evaluate: Callable[..., Any]) -> ScalarOp:
    """A shift by an amount that is at least 0 and less than the width."""
    return ScalarOp(name, 2, "iu", evaluate, c=c, llvm=dict.fromkeys("iu", opcode))


def _rounding(name: str, intrinsic: str, function: str, evaluate: Callable[..., Any]) -> ScalarOp:
    return ScalarOp(name, 1, "f", evaluate, c={"f": f"{function}{{f}}({{0}})"}, llvm={"f": intrinsic})


def _compound(
    name: str,
    arity: int,
    kinds: str,
    evaluate: Callable[..., Any],
    result: Literal["same", "bool"] = "same",
    python: Mapping[str, str] | None = None,
    python_rounds: bool = False,
) -> ScalarOp:
    """An operation that is always expanded, by the function of its name in `mathlib/basic.py`."""
    expand = getattr(basic, name)
    return ScalarOp(
        name, arity, kinds, evaluate, result, python=python or {}, python_rounds=python_rounds, expand=expand
    )


def _math(name: str, evaluate: Callable[..., Any], arity: int = 1, c: str = "") -> ScalarOp:
    """A function of the mathematical library; `c` is CUDA's own function where its stated error is at most 2 ULP."""
    arguments = ", ".join(f"{{{i}}}" for i in range(arity))
    spelling = {"f": f"{c}{{f}}({arguments})"} if c else {}
    return ScalarOp(name, arity, "f", evaluate, c=spelling, expand=mathlib.FUNCTIONS[name])


def _avx512(name: str, literal: str = "") -> dict[str, str]:
    """The intrinsics of AVX-512 for f32 and f64."""
    return {f"f{n}": f"llvm.x86.avx512.mask.{name}.p{letter}.512{literal}" for n, letter in ((32, "s"), (64, "d"))}


#: The interval [3/4, 3/2), and NaN for negative numbers.
_SIGNIFICAND = ", i32 15"


def _parts(name: str, arity: int, avx512: Mapping[str, str]) -> ScalarOp:
    """An operation on a float's exponent or significand."""
    return ScalarOp(name, arity, "f", getattr(numeric, name), avx512=avx512, expand=mathlib.FUNCTIONS[name])


def _truncating(name: str, sign: str, opcode: str, evaluate: Callable[..., Any]) -> ScalarOp:
    """Integer division that truncates."""
    c, python = (dict.fromkeys("iu", text) for text in (f"{{n}}({{0}} {sign} {{1}})", f"{name}({{0}}, {{1}})"))
    llvm = {kind: letter + opcode for kind, letter in (("i", "s"), ("u", "u"))}
    return ScalarOp(name, 2, "iu", evaluate, c=c, llvm=llvm, python=python, python_rounds=True)


def _overflowing(name: str, sign: str, evaluate: Callable[..., Any], expand: Callable[..., Expr]) -> ScalarOp:
    """Whether a sum, difference or product of signed integers does not fit."""
    llvm = {"i": f"llvm.s{name}.with.overflow"}
    python = {"i": f"not {{low}} <= {{0}} {sign} {{1}} <= {{high}}"}
    return ScalarOp(f"{name}_overflows", 2, "i", evaluate, "bool", llvm=llvm, python=python, expand=expand)


_ROWS = (
    # arithmetic
    _arithmetic("add", "+", np.add),
    _arithmetic("sub", "-", np.subtract),
    _arithmetic("mul", "*", np.multiply),
    ScalarOp(
        "div",
        2,
        "f",
        np.divide,
        c={"f": "{0} / {1}"},
        llvm={"f": "fdiv"},
        python={"f": "divided({0}, {1})"},
        python_rounds=True,
    ),
    ScalarOp("fma", 3, "f", numeric.fma, c={"f": "fma{f}({0}, {1}, {2})"}, llvm={"f": "llvm.fmuladd"}),
    ScalarOp("neg", 1, "f", np.negative, c={"f": "-{0}"}, llvm={"f": "fneg"}, python={"f": "-{0}"}),
    ScalarOp(
        "abs",
        1,
        "if",
        np.abs,
        c={"f": "fabs{f}({0})"},
        llvm={"f": "llvm.fabs"},
        python=dict.fromkeys("if", "abs({0})"),
        python_rounds=True,
        expand=basic.abs,
    ),
    _truncating("quotient", "/", "div", numeric.quotient),
    _truncating("remainder", "%", "rem", numeric.remainder),
    _compound("floordiv", 2, "iuf", np.floor_divide, "same", dict.fromkeys("iu", "floordiv({0}, {1})"), True),
    _compound("mod", 2, "iuf", np.remainder, "same", dict.fromkeys("iu", "modulo({0}, {1})")),
    ScalarOp("fmod", 2, "iuf", np.fmod, c={"f": "fmod{f}({0}, {1})"}, expand=mathlib.FUNCTIONS["fmod"]),
    ScalarOp("pow", 2, "iuf", numeric.power, expand=mathlib.FUNCTIONS["pow"]),
    _compound("sign", 1, "iuf", np.sign),
    _compound("minimum", 2, "biuf", np.minimum, "same", dict.fromkeys("biu", "min({0}, {1})")),
    _compound("maximum", 2, "biuf", np.maximum, "same", dict.fromkeys("biu", "max({0}, {1})")),
    ScalarOp("copysign", 2, "f", np.copysign, c={"f": "copysign{f}({0}, {1})"}, llvm={"f": "llvm.copysign"}),
    ScalarOp("sqrt", 1, "f", np.sqrt, c={"f": "sqrt{f}({0})"}, llvm={"f": "llvm.sqrt"}),
    _rounding("floor", "llvm.floor", "floor", np.floor),
    _rounding("ceil", "llvm.ceil", "ceil", np.ceil),
    _rounding("trunc", "llvm.trunc", "trunc", np.trunc),
    _rounding("round", "llvm.rint", "rint", np.rint),
    _parts("ldexp", 2, _avx512("scalef")),
    _parts("exponent", 1, _avx512("getexp")),
    _parts("significand", 1, _avx512("getmant", _SIGNIFICAND)),
    # comparison and classification
    _comparison("eq", "==", np.equal),
    _comparison("ne", "!=", np.not_equal),
    _comparison("lt", "<", np.less),
    _comparison("le", "<=", np.less_equal),
    _comparison("gt", ">", np.greater),
    _comparison("ge", ">=", np.greater_equal),
    _compound("isnan", 1, "f", np.isnan, "bool", {"f": "isnan({0})"}),
    _compound("isinf", 1, "f", np.isinf, "bool"),
    _compound("isfinite", 1, "f", np.isfinite, "bool"),
    # logic and bits
    _logical("logical_and", "and", "&&", np.logical_and),
    _logical("logical_or", "or", "||", np.logical_or),
    _logical("logical_xor", "xor", "!=", np.logical_xor),
    ScalarOp("logical_not", 1, "b", np.logical_not, c={"b": "!{0}"}, python={"b": "not {0}"}, expand=basic.logical_not),
    _bitwise("bitand", "and", "&", np.bitwise_and),
    _bitwise("bitor", "or", "|", np.bitwise_or),
    _bitwise("bitxor", "xor", "^", np.bitwise_xor),
    _compound("shl", 2, "iu", np.left_shift),
    _compound("shr", 2, "iu", np.right_shift),
    _shift("lsl", "shl", {"i": "({t})(({u}){0} << {1})", "u": "{n}({w}{0} << {1})"}, np.left_shift),
    _shift("asr", "ashr", dict.fromkeys("iu", "{n}({0} >> {1})"), np.right_shift),
    _shift("lsr", "lshr", {"i": "({t})(({ut}){0} >> {1})", "u": "{n}({0} >> {1})"}, numeric.logical_shift_right),
    # overflow of signed integers, for Python's unbounded ones
    _overflowing("add", "+", numeric.add_overflows, basic.add_overflows),
    _overflowing("sub", "-", numeric.sub_overflows, basic.sub_overflows),
    _overflowing("mul", "*", numeric.mul_overflows, basic.mul_overflows),
    # the mathematical library
    _math("exp", np.exp, c="exp"),
    _math("exp2", np.exp2, c="exp2"),
    _math("expm1", np.expm1, c="expm1"),
    _math("log", np.log, c="log"),
    _math("log1p", np.log1p, c="log1p"),
    _math("log2", np.log2, c="log2"),
    _math("log10", np.log10, c="log10"),
    _math("sin", np.sin, c="sin"),
    _math("cos", np.cos, c="cos"),
    _math("tan", np.tan),
    _math("asin", np.arcsin),
    _math("acos", np.arccos),
    _math("atan", np.arctan, c="atan"),
    _math("atan2", np.arctan2, 2),
    _math("sinh", np.sinh),
    _math("cosh", np.cosh, c="cosh"),
    _math("tanh", np.tanh, c="tanh"),
    _math("asinh", np.arcsinh),
    _math("acosh", np.arccosh),
    _math("atanh", np.arctanh),
    _math("erf", numeric.erf, c="erf"),
    _math("sigmoid", numeric.sigmoid),
    _math("rsqrt", numeric.rsqrt),
    _math("cbrt", np.cbrt, c="cbrt"),
    _math("half_power", numeric.half_power),
    _math("hypot", np.hypot, 2),
)

#: All scalar operations by name.
SCALARS: dict[str, ScalarOp] = {row.name: row for row in _ROWS}

_HALVES = (F16, BF16)


@record
class Expansion:
    """An operation as straight-line code: `lets` over `params`, then `result`. May name further operations."""

    params: tuple[Var, ...]
    lets: tuple[Let, ...]
    result: Expr


@cache
def expansion(name: str, dtype: DType) -> Expansion:
    """How operation `name` on operands of `dtype` is computed by simpler ones."""
    row = SCALARS[name]
    if row.expand is None:
        raise KeyError(f"{name} has no expansion")
    return expanded(row.expand, dtype, row.arity)


def expanded(function: Callable[..., Expr], dtype: DType, arity: int) -> Expansion:
    """A function `(k, *operands) -> Expr` of operands of `dtype` as straight-line code."""
    return _expand(function, [dtype] * arity)


@cache
def cast_expansion(source: DType, target: DType) -> Expansion:
    """f16 or bf16 from or to f32 by integer operations; the half is a u16 holding its bits."""
    return _expand(mathlib.half_conversion(source, target), [mathlib.storage_dtype(source)])


def _expand(function: Callable[..., Expr], dtypes: list[DType]) -> Expansion:
    params = tuple(Var("xyz"[i], dtype) for i, dtype in enumerate(dtypes))
    body: list[Stmt] = []
    result = function(KernelBuilder(body), *params)
    return Expansion(params, tuple(s for s in body if isinstance(s, Let)), result)


# -- building expressions ---------------------------------------------------------------------------------------


def _operation(name: str) -> Callable[..., Expr]:
    def method(self: KernelBuilder, *operands: Expr | Number) -> Expr:
        return self.op(name, *operands)

    method.__name__ = name
    return method


#: What Python gives as an operand.
_NUMBERS = (bool, int, float)
#: Expressions that need no name.
_SHORT = (Var, Const)


@cache
def _kinds(name: str) -> str:
    """The dtype kinds that operands of an operation may have."""
    return SCALARS[name].kinds + "biu" * (name in _TRIVIAL_ON_INTEGERS) + "iu" * (name == "neg")


class KernelBuilder:
    """Builds loop-IR expressions with constant folding; `let` names shared ones in `body`.

    Operands are expressions of one dtype; Python numbers take the dtype of the expression beside them.
    With `contract` the arithmetic it makes may be fused by a target (sums and matrix products only).
    """

    def __init__(self, body: list[Stmt] | None = None, contract: bool = False) -> None:
        self.body = body
        self.contract = contract

    def dtype(self, x: Expr) -> DType:
        """The dtype of a value expression."""
        assert isinstance(x.type, DType), f"{x} is a pointer"
        return x.type

    def const(self, value: Number, dtype: DType) -> Const:
        """A literal, rounded or wrapped to the dtype."""
        if dtype == BOOL:
            return Const(bool(value), dtype)
        if dtype.is_integer:
            if isinstance(value, float):
                raise TypeError(f"{value!r} is not a literal of {dtype}")
            wrapped = int(value) & (1 << dtype.bits) - 1
            negative = dtype.kind == "i" and wrapped >> dtype.bits - 1
            return Const(wrapped - (1 << dtype.bits) if negative else wrapped, dtype)
        with np.errstate(all="ignore"):
            return Const(float(numeric.numpy_dtype(dtype).type(value)), dtype)

    def let(self, x: Expr, name: str = "t") -> Expr:
        """x under a name, so that it is computed once however often the result is used."""
        if self.body is None or x.__class__ in _SHORT:
            return x
        var = Var(name, x.type)
        self.body.append(Let(var, x))
        return var

    def op(self, name: str, *operands: Expr | Number) -> Expr:
        """Operation `name` on operands of one dtype."""
        args = self._lift(operands)
        dtype = self.dtype(args[0])
        row = SCALARS[name]
        if dtype in _HALVES:
            result = self.op(name, *(self.cast(a, F32) for a in args))
            return result if row.result == "bool" else self.cast(result, dtype)
        self._check(row, args, dtype)
        if not [a for a in args if a.__class__ is not Const]:
            return self._fold(row, args)
        simple = self._simplify(name, args, dtype)
        if simple is not None:
            return simple
        contract = self.contract and dtype.is_float and name in ("add", "sub", "mul", "fma")
        return Scalar(name, args, BOOL if row.result == "bool" else dtype, contract)

    def _lift(self, operands: tuple[Expr | Number, ...]) -> tuple[Expr, ...]:
        given = [isinstance(x, _NUMBERS) for x in operands]
        if True not in given:
            return operands  # type: ignore[return-value]
        if False not in given:
            raise TypeError("an operation needs at least one expression")
        dtype = self.dtype(operands[given.index(False)])  # type: ignore[arg-type]
        return tuple([self.const(x, dtype) if n else x for x, n in zip(operands, given, strict=True)])  # type: ignore[arg-type]

    def _check(self, row: ScalarOp, args: tuple[Expr, ...], dtype: DType) -> None:
        if len(args) != row.arity:
            raise TypeError(f"{row.name} takes {row.arity} operands, got {len(args)}")
        if [a for a in args if a.type is not dtype]:
            raise TypeError(f"{row.name} on different dtypes: {', '.join(str(a.type) for a in args)}")
        if dtype.kind not in _kinds(row.name):
            raise TypeError(f"{row.name} is not defined on {dtype}")

    def _fold(self, row: ScalarOp, args: tuple[Expr, ...]) -> Expr:
        dtype = self.dtype(args[0])
        if row.name in _TRIVIAL_ON_INTEGERS and not dtype.is_float:
            return _TRIVIAL_ON_INTEGERS[row.name](args[0])
        values = [np.asarray(a.value, numeric.numpy_dtype(dtype)) for a in args if isinstance(a, Const)]
        with np.errstate(all="ignore"):
            result = row.evaluate(*values).item()
        return self.const(result, BOOL if row.result == "bool" else dtype)

    def _simplify(self, name: str, args: tuple[Expr, ...], dtype: DType) -> Expr | None:
        if not dtype.is_float:
            if name in _TRIVIAL_ON_INTEGERS:
                return _TRIVIAL_ON_INTEGERS[name](args[0])
            if name == "neg":
                return self.sub(0, args[0])
            if name == "abs" and dtype.kind != "i":
                return args[0]
        if name == "logical_not":
            return folding.negated(self, args[0])
        rule = folding.RULES.get(name)
        return rule(self, args[0], args[1]) if rule is not None else None

    def select(self, cond: Expr, a: Expr | Number, b: Expr | Number) -> Expr:
        """`cond ? a : b`; both sides are evaluated."""
        a, b = self._lift((a, b))
        dtype = self.dtype(a)
        if b.type != dtype:
            raise TypeError(f"select between {dtype} and {b.type}")
        if isinstance(cond, Const):
            return a if cond.value else b
        if a is b:
            return a
        if dtype == BOOL and isinstance(a, Const) and isinstance(b, Const) and a.value != b.value:
            return cond if a.value else self.logical_not(cond)
        if dtype in _HALVES:
            return self.cast(self.select(cond, self.cast(a, F32), self.cast(b, F32)), dtype)
        return Select(cond, a, b, dtype)

    def cast(self, x: Expr, dtype: DType) -> Expr:
        """A value conversion with NumPy's rules. Nodes made here convert halves to f32 and from f32 or f64 only."""
        source = self.dtype(x)
        if source == dtype:
            return x
        if isinstance(x, Const) and _is_foldable(x, dtype):
            return self.const(numeric.convert(x.value, dtype).item(), dtype)
        if isinstance(x, Cast) and x.x.type == dtype and _holds(source, dtype):
            return x.x
        if source in _HALVES and dtype != F32:
            return self.cast(Cast(x, F32), dtype)
        if dtype in _HALVES and not source.is_float:
            return Cast(Cast(x, F32), dtype)
        return Cast(x, dtype)

    def bitcast(self, x: Expr, dtype: DType) -> Expr:
        """The same bits read as another dtype of the same width."""
        if x.type == dtype:
            return x
        if isinstance(x, Bitcast):
            return self.bitcast(x.x, dtype)
        return Bitcast(x, dtype)

    def rare(self, cond: Expr, value: Expr, op: str, *args: Expr) -> Expr:
        """`value`, but the library function `op(*args)` where `cond` holds."""
        return Rare(cond, value, op, args, self.dtype(value))

    def bitnot(self, x: Expr) -> Expr:
        """Every bit flipped; logical negation of a bool."""
        dtype = self.dtype(x)
        return self.logical_not(x) if dtype == BOOL else self.op("bitxor", x, -1)

    def square(self, x: Expr) -> Expr:
        """x * x."""
        x = self.let(x)
        return self.mul(x, x)

    def reciprocal(self, x: Expr) -> Expr:
        """1 / x."""
        return self.div(1, x)

    add = _operation("add")
    sub = _operation("sub")
    mul = _operation("mul")
    div = _operation("div")
    fma = _operation("fma")
    neg = _operation("neg")
    abs = _operation("abs")
    quotient = _operation("quotient")
    remainder = _operation("remainder")
    floordiv = _operation("floordiv")
    mod = _operation("mod")
    fmod = _operation("fmod")
    pow = _operation("pow")
    sign = _operation("sign")
    minimum = _operation("minimum")
    maximum = _operation("maximum")
    copysign = _operation("copysign")
    ldexp = _operation("ldexp")
    exponent = _operation("exponent")
    significand = _operation("significand")
    sqrt = _operation("sqrt")
    floor = _operation("floor")
    ceil = _operation("ceil")
    trunc = _operation("trunc")
    round = _operation("round")
    eq = _operation("eq")
    ne = _operation("ne")
    lt = _operation("lt")
    le = _operation("le")
    gt = _operation("gt")
    ge = _operation("ge")
    isnan = _operation("isnan")
    isinf = _operation("isinf")
    isfinite = _operation("isfinite")
    logical_and = _operation("logical_and")
    logical_or = _operation("logical_or")
    logical_xor = _operation("logical_xor")
    logical_not = _operation("logical_not")
    bitand = _operation("bitand")
    bitor = _operation("bitor")
    bitxor = _operation("bitxor")
    shl = _operation("shl")
    shr = _operation("shr")
    lsl = _operation("lsl")
    asr = _operation("asr")
    lsr = _operation("lsr")
    add_overflows = _operation("add_overflows")
    sub_overflows = _operation("sub_overflows")
    mul_overflows = _operation("mul_overflows")
    exp = _operation("exp")
    exp2 = _operation("exp2")
    expm1 = _operation("expm1")
    log = _operation("log")
    log1p = _operation("log1p")
    log2 = _operation("log2")
    log10 = _operation("log10")
    sin = _operation("sin")
    cos = _operation("cos")
    tan = _operation("tan")
    asin = _operation("asin")
    acos = _operation("acos")
    atan = _operation("atan")
    atan2 = _operation("atan2")
    sinh = _operation("sinh")
    cosh = _operation("cosh")
    tanh = _operation("tanh")
    asinh = _operation("asinh")
    acosh = _operation("acosh")
    atanh = _operation("atanh")
    erf = _operation("erf")
    sigmoid = _operation("sigmoid")
    rsqrt = _operation("rsqrt")
    cbrt = _operation("cbrt")
    half_power = _operation("half_power")
    hypot = _operation("hypot")


def _unchanged(x: Expr) -> Expr:
    return x


def _always(value: bool) -> Callable[[Expr], Expr]:
    return lambda _: Const(value, BOOL)


#: Operations that say nothing about integers and booleans: rounding keeps them, and they are always finite.
_TRIVIAL_ON_INTEGERS: dict[str, Callable[[Expr], Expr]] = {
    "floor": _unchanged,
    "ceil": _unchanged,
    "trunc": _unchanged,
    "round": _unchanged,
    "isnan": _always(False),
    "isinf": _always(False),
    "isfinite": _always(True),
}


def _is_foldable(x: Const, dtype: DType) -> bool:
    """Whether the conversion of a literal is defined: a float must fit the integer it becomes."""
    if not isinstance(x.value, float) or not dtype.is_integer:
        return not isinstance(x.value, complex)
    low, high = (-(1 << dtype.bits - 1), 1 << dtype.bits - 1) if dtype.kind == "i" else (0, 1 << dtype.bits)
    return low <= x.value < high


def _holds(wide: DType, narrow: DType) -> bool:
    """Whether `wide` holds every value of `narrow`, so that a cast there and back changes nothing."""
    if narrow == BOOL:
        return True
    if narrow.is_integer and wide.is_integer:
        return wide.bits > narrow.bits and (wide.kind == "i" or narrow.kind == "u")
    digits = {"f16": 11, "bf16": 8, "f32": 24, "f64": 53}
    if narrow.is_integer:
        return wide.is_float and digits[wide.name] >= narrow.bits
    return wide.is_float and narrow.is_float and wide.bits > narrow.bits
