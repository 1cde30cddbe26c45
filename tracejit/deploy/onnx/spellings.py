"""How ONNX spells the scalar operations of `codegen/scalars.py`.

By dtype name or kind: an operator, behind it an attribute that is 1 (`Mod fmod`), before it `Not`; or a function
`(k, *operands) -> Expr` where runtimes have no kernel. What is not listed is expanded as for other targets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from tracejit.codegen.loop_ir import Expr
from tracejit.deploy.onnx import functions

Spelling: TypeAlias = "str | Callable[..., Expr]"

_ARITHMETIC = {"add": "Add", "sub": "Sub", "mul": "Mul"}
_COMPARISONS = {"lt": "Less", "le": "LessOrEqual", "gt": "Greater", "ge": "GreaterOrEqual"}
_BITS = {"bitand": "And", "bitor": "Or", "bitxor": "Xor"}
_LOGIC = {"logical_and": "And", "logical_or": "Or", "logical_xor": "Xor", "logical_not": "Not"}
_FLOATS = {
    "div": "Div", "neg": "Neg", "abs": "Abs", "fmod": "Mod fmod", "pow": "Pow", "sqrt": "Sqrt", "floor": "Floor",
    "ceil": "Ceil", "round": "Round", "isnan": "IsNaN", "isinf": "IsInf", "exp": "Exp", "log": "Log", "sin": "Sin",
    "cos": "Cos", "tanh": "Tanh", "sigmoid": "Sigmoid", "half_power": "Sqrt",
}  # fmt: skip
#: Operators that onnxruntime has for f32 only.
_F32 = {name: name.capitalize() for name in "tan asin acos atan sinh cosh asinh acosh atanh erf".split()}

SPELLINGS: dict[str, Mapping[str, Spelling]] = {
    **{name: dict.fromkeys("iuf", operator) for name, operator in _ARITHMETIC.items()},
    **{
        name: dict.fromkeys("iuf", operator) | {"b": functions.COMPARISONS[name]}
        for name, operator in _COMPARISONS.items()
    },
    **{name: dict.fromkeys("iu", f"Bitwise{operator}") | {"b": operator} for name, operator in _BITS.items()},
    **{name: {"b": operator} for name, operator in _LOGIC.items()},
    **{name: {"f": function} for name, function in functions.FUNCTIONS.items()},
    **{name: {"f": operator} for name, operator in _FLOATS.items()},
    **{
        name: {"f": functions.FUNCTIONS[name], "f32": operator} if name in functions.FUNCTIONS else {"f32": operator}
        for name, operator in _F32.items()
    },
    "eq": dict.fromkeys("biuf", "Equal"),
    "ne": dict.fromkeys("biuf", "Not Equal"),
    "abs": dict.fromkeys("if", "Abs"),
    "quotient": dict.fromkeys("iu", "Div"),
    "remainder": dict.fromkeys("iu", "Mod fmod"),
}
