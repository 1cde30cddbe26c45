"""Scalar expressions as nodes over whole arrays: what is written for one element is done to all.

How an operation is spelt says `spellings.py`; what has no spelling there is expanded into simpler operations, as for
every other target.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tracejit.codegen import scalars
from tracejit.codegen.loop_ir import Bitcast, Cast, Const, Expr, Rare, Scalar, Select, Var
from tracejit.deploy.onnx.model import Handle, Model
from tracejit.deploy.onnx.spellings import SPELLINGS
from tracejit.errors import ExportError
from tracejit.ir.types import BOOL, I64, INTEGERS, U64, DType

#: Right operands that change nothing but the sign of a zero; onnxruntime 1.32 makes invalid graphs of some such sums.
_NEUTRAL = {"add": 0, "sub": 0, "mul": 1, "div": 1}


class Elements:
    """Translates expressions whose variables stand for arrays, which broadcast against each other."""

    def __init__(self, model: Model, bound: Mapping[Var, Handle] | None = None) -> None:
        self.model = model
        self.bound: dict[Var, Handle] = dict(bound or {})
        self.late: dict[Var, Callable[[], Handle]] = {}  #: what makes an array when it is first asked for
        self._variables: dict[str, Var] = {}
        self._memo: dict[int, tuple[Expr, Handle]] = {}  # the expression keeps its id from being used again

    def bind(self, handle: Handle) -> Var:
        """The variable that stands for an array."""
        var = self._variables.get(handle.name)
        if var is None:
            var = self._variables[handle.name] = Var(handle.name, handle.dtype)
            self.bound[var] = handle
        return var

    def size(self, e: Expr) -> int | Handle:
        """A size as a number where it is one."""
        return e.value if isinstance(e, Const) and isinstance(e.value, int) else self(e)

    def __call__(self, e: Expr) -> Handle:
        """The node that computes an expression."""
        found = self._memo.get(id(e))
        if found is None:
            found = self._memo[id(e)] = e, self._translated(e)
        return found[1]

    def _translated(self, e: Expr) -> Handle:
        match e:
            case Var():
                return self.bound[e] if e in self.bound else self.late[e]()
            case Const(value, dtype):
                assert isinstance(dtype, DType)
                return self.model.constant(value, dtype)
            case Cast(x, dtype):
                return self.model.cast(self(x), dtype)
            case Select(cond, a, b):
                return self.model.where(self(cond), self(a), self(b))
            case Scalar(op, args):
                return self.apply(op, *map(self, args))
            case Rare(cond, value, op, args):
                return self.model.where(self(cond), self.apply(op, *map(self, args)), self(value))
            case Bitcast(x, dtype):
                return self._bits(self(x), dtype)
            case _:
                raise ExportError(f"{type(e).__name__} has no form in ONNX")

    def apply(self, name: str, *args: Handle) -> Handle:
        """A scalar operation on arrays of one dtype."""
        dtype, rank = args[0].dtype, max(a.rank for a in args)
        row = scalars.SCALARS.get(name)
        if row is None:
            raise ExportError(f"{name} has no form in ONNX")
        if name in _NEUTRAL and self.model.number_of(args[1]) == _NEUTRAL[name]:
            return args[0]
        if name in ("add", "mul") and self.model.number_of(args[0]) == _NEUTRAL[name]:
            return args[1]
        if name in _SHIFTS:
            return _SHIFTS[name](self.model, *args)
        spellings = SPELLINGS.get(name, {})
        spelt = spellings.get(dtype.name, spellings.get(dtype.kind))
        if isinstance(spelt, str):
            operator, _, attr = spelt.removeprefix("Not ").partition(" ")
            attrs: dict[str, Any] = {attr: 1} if attr else {}
            kind = BOOL if row.result == "bool" else dtype
            found = self.model.node(operator, *args, dtype=kind, rank=rank, **attrs)
            return self.model.node("Not", found) if spelt.startswith("Not ") else found
        try:
            expansion = scalars.expansion(name, dtype) if spelt is None else scalars.expanded(spelt, dtype, row.arity)
            return self._expanded(expansion, args)
        except (KeyError, ExportError) as error:
            raise ExportError(f"{name} of {dtype.numpy_name} has no form in ONNX") from error

    def _expanded(self, expansion: scalars.Expansion, args: tuple[Handle, ...]) -> Handle:
        inner = Elements(self.model, dict(zip(expansion.params, args, strict=True)))
        for let in expansion.lets:
            inner.bound[let.var] = inner(let.expr)
        return inner(expansion.result)

    def _bits(self, x: Handle, dtype: DType) -> Handle:
        if x.dtype.is_integer and dtype.is_integer:
            return self.model.cast(x, dtype)
        raise ExportError(f"ONNX cannot read the bits of {x.dtype.numpy_name} as {dtype.numpy_name}")


# -- shifts, which ONNX has for unsigned numbers only -----------------------------------------------------------


def _shift(m: Model, x: Handle, y: Handle, direction: str) -> Handle:
    """A shift of the bits of x as an unsigned number of 64 bits."""
    amount, rank = m.cast(y, U64), max(x.rank, y.rank)
    return m.node("BitShift", m.cast(x, U64), amount, dtype=U64, rank=rank, direction=direction)


def _left(m: Model, x: Handle, y: Handle) -> Handle:
    return m.cast(_shift(m, x, y, "LEFT"), x.dtype)


def _logical_right(m: Model, x: Handle, y: Handle) -> Handle:
    if x.dtype.kind == "i" and x.dtype != I64:
        x, narrow = m.cast(m.cast(x, _UNSIGNED[x.dtype.bits]), U64), x.dtype
        return m.cast(_shift(m, x, y, "RIGHT"), narrow)
    return m.cast(_shift(m, x, y, "RIGHT"), x.dtype)


def _arithmetic_right(m: Model, x: Handle, y: Handle) -> Handle:
    """Of a negative number the complement is shifted, and complemented again."""
    if x.dtype.kind == "u":
        return _logical_right(m, x, y)
    negative = m.node("Less", x, m.constant(0, x.dtype), dtype=BOOL)
    flipped = m.where(negative, m.node("BitwiseNot", x), x)
    shifted = m.cast(_shift(m, flipped, y, "RIGHT"), x.dtype)
    return m.where(negative, m.node("BitwiseNot", shifted), shifted)


_UNSIGNED = {d.bits: d for d in INTEGERS if d.kind == "u"}
_SHIFTS: Mapping[str, Callable[..., Handle]] = {"lsl": _left, "lsr": _logical_right, "asr": _arithmetic_right}
