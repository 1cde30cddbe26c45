"""Spelling of host expressions in Python: integer arithmetic on ints that wraps, IEEE arithmetic on floats.

What has no spelling is a call of a function made for it, which is among the `constants` of the text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any

from tracejit.codegen.cuda.host_numbers import CASTS, conversion, library, limits, operation, same_bits
from tracejit.codegen.loop_ir import Bitcast, Cast, Const, Expr, Input, Load, Offset, Rare, Scalar, Select, Var
from tracejit.codegen.lowering.elements import parts
from tracejit.codegen.scalars import SCALARS
from tracejit.ir.types import F32, I64, DType

_ATOM = re.compile(r"\w+(\.\w+)*")
_DEEPEST = 12  #: parentheses in parentheses


class HostExpressions:
    """Spells expressions. What is needed twice, or is deep inside, gets a name by `temporary(text, expression)`.

    Without `wraps` integer arithmetic is Python's own, for what is no part of a result.
    """

    def __init__(
        self,
        names: dict[Var, str],
        temporary: Callable[[str, Expr], str],
        leaf: Callable[[Expr, Callable[[Expr], str]], str],
        wraps: bool = True,
    ) -> None:
        self.names = names
        self.temporary = temporary
        self.leaf = leaf  #: spells loads, inputs and offsets; is given what spells their parts
        self.wraps = wraps
        self.constants: dict[str, Any] = {}
        self._shared: dict[int, str | None] = {}

    def __call__(self, e: Expr) -> str:
        """The text, not in parentheses."""
        return self.spell_all([e])[0]

    def atom(self, e: Expr) -> str:
        """The text as an operand of anything."""
        return _in_parentheses(self(e))

    def spell_all(self, expressions: list[Expr]) -> list[str]:
        """The texts of expressions that may share parts."""
        self._shared = dict.fromkeys(_repeated(expressions))
        texts = [self._spell(e, 0) for e in expressions]
        self._shared = {}
        return texts

    def constant(self, name: str, value: Any) -> str:
        """A name of the text that stands for a Python object."""
        self.constants[name] = value
        return name

    def _operand(self, e: Expr, depth: int) -> str:
        text = _in_parentheses(self._spell(e, depth + 1))
        return self.temporary(text, e) if depth >= _DEEPEST and not _ATOM.fullmatch(text) else text

    def _spell(self, e: Expr, depth: int) -> str:
        if id(e) not in self._shared:
            return self._text(e, depth)
        known = self._shared[id(e)]
        if known is None:
            known = self._shared[id(e)] = self.temporary(self._text(e, depth), e)
        return known

    def _text(self, e: Expr, depth: int) -> str:
        match e:
            case Var():
                return self.names[e]
            case Const(value, dtype):
                return _literal(value, dtype)
            case Scalar():
                return self._scalar(e, [self._operand(a, depth) for a in e.args])
            case Cast(x, dtype):
                return self._cast(self._operand(x, depth), _dtype(x), dtype)
            case Bitcast(x, dtype):
                source = _dtype(x)
                function = self.constant(f"{dtype}_bits_of_{source}", same_bits(source, dtype))
                return f"{function}({self._spell(x, depth + 1)})"
            case Select(cond, a, b):
                yes, test, no = (self._operand(x, depth) for x in (a, cond, b))
                return f"{yes} if {test} else {no}"
            case Rare(cond, value, op, args, dtype):
                function = self.constant(f"library_{op}_{dtype}", library(op, dtype))
                called = ", ".join(self._operand(a, depth) for a in args)
                return f"{function}({called}) if {self._operand(cond, depth)} else {self._operand(value, depth)}"
            case Load() | Input() | Offset():
                return self.leaf(e, lambda part: self._operand(part, depth))

    def _scalar(self, e: Scalar, operands: list[str]) -> str:
        row, dtype = SCALARS[e.op], _dtype(e.args[0])
        template = row.python.get(dtype.kind)
        if template is None:
            return f"{self.constant(f'{e.op}_{dtype}', operation(e.op, dtype))}({', '.join(operands)})"
        low, high = limits(dtype) if dtype.is_integer else (0, 0)
        text = template.format(*operands, low=low, high=high)
        rounds = row.python_rounds and (self.wraps or dtype.is_float)
        return self._in_range(text, dtype) if rounds else text

    def _in_range(self, text: str, dtype: DType) -> str:
        """The value of a text as a value of the dtype."""
        if dtype == F32:
            return f"rounded({text})"
        if dtype.is_float:
            return text
        low, high = limits(dtype)
        if dtype.kind == "u":
            return f"({text}) & {high}"
        return f"w if {low} <= (w := {text}) <= {high} else wrapped(w, {dtype.bits})"  # read before w is set again

    def _cast(self, text: str, source: DType, target: DType) -> str:
        if source == target:
            return text
        if (source.kind, target.name) in CASTS:
            return CASTS[source.kind, target.name].format(text)
        if target.is_integer and source.kind == "b":
            return f"int({text})"
        if target.is_integer and source.is_integer:
            (low, high), (least, largest) = limits(source), limits(target)
            return text if least <= low and high <= largest else self._in_range(text, target)
        return f"{self.constant(f'{target}_of_{source}', conversion(source, target))}({text})"


def _repeated(expressions: Iterable[Expr]) -> list[int]:
    """Which parts are part of more than one expression, or several times of one."""
    count: dict[int, int] = {}
    waiting = list(expressions)
    while waiting:
        e = waiting.pop()
        if isinstance(e, Var | Const):
            continue
        count[id(e)] = count.get(id(e), 0) + 1
        if count[id(e)] == 1:
            waiting += parts(e)
    return [key for key, times in count.items() if times > 1]


def _in_parentheses(text: str) -> str:
    return text if _ATOM.fullmatch(text) else f"({text})"


def _dtype(e: Expr) -> DType:
    assert isinstance(e.type, DType), f"{e} is a pointer"
    return e.type


def _literal(value: bool | int | float | complex, dtype: DType) -> str:
    if dtype == I64 or not dtype.is_float:
        return repr(value)
    assert isinstance(value, int | float)
    value = float(value)
    return repr(value) if math.isfinite(value) else f"float('{value}')"
