"""What Python's builtins, NumPy's functions, and methods of arrays, dicts and texts take: a call with other arguments
is Python's TypeError."""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import math
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from types import BuiltinFunctionType, MappingProxyType, MethodDescriptorType
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from tracejit.signatures import signature_of

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

#: How operators are written.
SYMBOL = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "floordiv": "//", "mod": "%", "pow": "**", "matmul": "@",
    "bitand": "&", "bitor": "|", "bitxor": "^", "shl": "<<", "shr": ">>",
    "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
}  # fmt: skip
_SEQUENCES = ("str", "list", "tuple")

_NATIVE = (BuiltinFunctionType, MethodDescriptorType)

_none = None  # the defaults below only say that there is one

#: Those that Python gives no signature of.
_SIGNATURES: dict[Any, Callable[..., Any]] = {
    bool: lambda x=_none, /: x,
    int: lambda x=_none, /, base=_none: x,
    set: lambda x=_none, /: x,
    frozenset: lambda x=_none, /: x,
    dict: lambda x=_none, /, **items: x,
    filter: lambda f, x, /: x,
    map: (lambda f, x, /, *more, strict=False: x) if sys.version_info >= (3, 14) else (lambda f, x, /, *more: x),
    next: lambda x, default=_none, /: x,
    iter: lambda x, sentinel=_none, /: x,
    getattr: lambda x, name, default=_none, /: x,
    min: lambda x, /, *more, key=_none, default=_none: x,
    max: lambda x, /, *more, key=_none, default=_none: x,
    vars: lambda x=_none, /: x,
    range: lambda a, b=_none, c=_none, /: a,
    slice: lambda a, b=_none, c=_none, /: a,
    math.log: lambda x, base=_none, /: x,
    np.arange: lambda start=_none, stop=_none, step=_none, dtype=_none, *, device=_none, like=_none: start,
    dict.pop: lambda self, key, default=_none, /: key,
    dict.update: lambda self, other=_none, /, **items: other,
    dict.keys: lambda self, /: self,
    dict.values: lambda self, /: self,
    dict.items: lambda self, /: self,
    dict.clear: lambda self, /: self,
    dict.copy: lambda self, /: self,
}


@functools.cache
def _signature(fn: Any) -> inspect.Signature | None:
    """The parameters of a builtin; None where they are not known, or any will do."""
    own = _SIGNATURES.get(fn)
    if isinstance(fn, np.ufunc):
        return _of_ufunc(fn)
    try:
        if own is None and isinstance(fn, _NATIVE) and (text := getattr(fn, "__text_signature__", None)) is not None:
            return _of_text(text, is_bound=isinstance(fn, BuiltinFunctionType))
        return signature_of(fn if own is None else own)
    except (TypeError, ValueError, SyntaxError):
        return None


def _of_text(text: str, *, is_bound: bool) -> inspect.Signature:
    """The parameters in the text that a native function has of them: `inspect` takes the tokenizer of Python, whose
    patterns it compiles first. `$` marks what the function is bound to."""
    made = cast(ast.FunctionDef, ast.parse(f"def f{text.replace('$', '')}: ...").body[0]).args
    kinds = inspect.Parameter
    placed = [(arg, kinds.POSITIONAL_ONLY) for arg in made.posonlyargs]
    placed += [(arg, kinds.POSITIONAL_OR_KEYWORD) for arg in made.args]
    needed = len(placed) - len(made.defaults)
    found = [kinds(arg.arg, kind, default=_default(i >= needed)) for i, (arg, kind) in enumerate(placed)]
    if "$" in text:
        found[:1] = [] if is_bound else [found[0].replace(kind=kinds.POSITIONAL_ONLY)]
    found += [kinds(made.vararg.arg, kinds.VAR_POSITIONAL)] if made.vararg else []
    named = zip(made.kwonlyargs, made.kw_defaults, strict=True)
    found += [kinds(arg.arg, kinds.KEYWORD_ONLY, default=_default(default is not None)) for arg, default in named]
    return inspect.Signature(found + ([kinds(made.kwarg.arg, kinds.VAR_KEYWORD)] if made.kwarg else []))


def _default(is_optional: bool) -> Any:
    return None if is_optional else inspect.Parameter.empty


def _of_ufunc(fn: np.ufunc) -> inspect.Signature:
    """The parameters of a ufunc, which not every version of NumPy tells."""
    kinds = inspect.Parameter
    given = [kinds(f"x{i}", kinds.POSITIONAL_ONLY) for i in range(fn.nin)]
    given += [kinds(f"out{i}", kinds.POSITIONAL_ONLY, default=None) for i in range(fn.nout)]
    options = "out where axes axis keepdims casting order dtype subok signature".split()
    return inspect.Signature([*given, *(kinds(name, kinds.KEYWORD_ONLY, default=None) for name in options)])


def is_builtin(fn: Any) -> bool:
    """Whether an object is one of Python's builtins."""
    return getattr(builtins, str(getattr(fn, "__name__", "")), None) is fn


def require_arguments(
    c: Calls,
    fn: Any,
    args: Sequence[Any],
    keywords: Collection[str],
    node: ast.AST,
    receiver: Any = None,
    spellings: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Raise what Python does where a builtin, or a method of a `receiver`, takes no such arguments; `spellings`: what
    keywords stand for that are not among its parameters."""
    own = () if receiver is None else (receiver,)
    signature = _signature(fn)
    if signature is None:
        return
    keywords = tuple([k if k in signature.parameters else spellings.get(k, k) for k in keywords])
    refusal = _refusal(fn, len(own) + len(args), keywords)
    if refusal is not None:
        c.arith.mismatch(TypeError(_message(fn, (*own, *((),) * len(args)), keywords) or refusal), node)


@functools.cache
def _refusal(fn: Any, count: int, keywords: tuple[str, ...]) -> str | None:
    """What `inspect` says of so many positional arguments and these keywords; None where they fit."""
    signature = cast(inspect.Signature, _signature(fn))
    parameters = signature.parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):  # what names no parameter is taken: dict(x=1)
        keywords = tuple(
            k for k in keywords if k in parameters and parameters[k].kind is not inspect.Parameter.POSITIONAL_ONLY
        )
    try:
        signature.bind(*(None,) * count, **dict.fromkeys(keywords))
    except TypeError as error:
        return str(error)
    return None


def missing_arguments(kind: str, names: Sequence[str]) -> str:
    """What Python says of arguments that a call lacks."""
    *others, last = map(repr, names)
    listed = f"{', '.join(others)}{',' if len(others) > 1 else ''} and {last}" if others else last
    return f"missing {len(names)} required {kind} argument{'s' if others else ''}: {listed}"


def too_many_arguments(least: int, most: int, given: int | str, named: int = 0) -> str:
    """What Python says of more positional arguments than a function takes, beside `named` keyword-only ones."""
    taken = f"from {least} to {most}" if least < most else str(most)
    plural = "s" * (least < most or most != 1)
    if not named:
        return f"takes {taken} positional argument{plural} but {given} {'was' if given == 1 else 'were'} given"
    both = f"positional argument{'s' * (given != 1)} (and {named} keyword-only argument{'s' * (named != 1)})"
    return f"takes {taken} positional argument{plural} but {given} {both} were given"


def wrong_operands(op: str, first: str, second: str, in_place: bool = False) -> str:
    """What Python says of an operator between two types that it is not defined for."""
    symbol = SYMBOL[op]
    if op in ("eq", "ne", "lt", "le", "gt", "ge"):
        return f"'{symbol}' not supported between instances of '{first}' and '{second}'"
    if symbol == "+" and first in _SEQUENCES:
        return f'can only concatenate {first} (not "{second}") to {first}'
    if symbol == "*" and (first in _SEQUENCES or second in _SEQUENCES):
        return f"can't multiply sequence by non-int of type '{second if first in _SEQUENCES else first}'"
    shown = f"{symbol}=" if in_place else "** or pow()" if symbol == "**" else symbol
    return f"unsupported operand type(s) for {shown}: '{first}' and '{second}'"


def _message(fn: Any, args: Sequence[Any], keywords: Collection[str]) -> str | None:
    """What Python says of a call with so many arguments, before it looks at them."""
    try:
        fn(*args, **dict.fromkeys(keywords, ()))
    except TypeError as error:
        return str(error)
    except Exception:
        return None
    return None
