"""Run a function as plain Python and compiled; results, changed arguments, output and exceptions must agree."""

from __future__ import annotations

import contextlib
import copy
import enum
import io
import types
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.programs import derivatives
from tracejit import Tensor
from tracejit.scripted import script


@dataclass
class Outcome:
    """What a call did."""

    result: Any
    arguments: Sequence[Any]
    output: str
    error: BaseException | None


def observe(fn: Callable[..., Any], arguments: Sequence[Any]) -> Outcome:
    """Call `fn` on copies of the arguments."""
    own = copy.deepcopy(list(arguments))
    out = io.StringIO()
    result, error = None, None
    with contextlib.redirect_stdout(out), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy warns of empty means, which are results here
        try:
            result = fn(*own)
        except Exception as raised:
            error = raised
    return Outcome(result, own, out.getvalue(), error)


def same(a: Any, b: Any, tolerance: float) -> bool:
    """Equality of results; floats within a relative tolerance, types as Python sees them."""
    if isinstance(a, tuple | list):
        return type(a) is type(b) and len(a) == len(b) and all(same(x, y, tolerance) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k], tolerance) for k in a)
    if isinstance(a, np.integer) and isinstance(b, np.floating):  # where paths meet, dtypes promote
        return bool(a == b)
    if type(a) is int and isinstance(b, float | np.floating):  # where paths meet, an int that meets a float is a float
        return bool(a == b)
    if isinstance(a, np.ndarray | np.generic) or isinstance(b, np.ndarray | np.generic):
        x, y = np.asarray(a), np.asarray(b)
        if x.shape != y.shape or x.dtype != y.dtype:
            return False
        if x.dtype.kind in "fc":
            return bool(np.allclose(x, y, rtol=tolerance, atol=tolerance, equal_nan=True))
        return bool(np.array_equal(x, y))
    if isinstance(a, float) and isinstance(b, float):
        return bool(np.isclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True))
    if isinstance(a, complex) and isinstance(b, complex):
        return bool(np.isclose(a, b, rtol=tolerance, atol=tolerance))
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return type(a) is type(b) and same(a.numpy(), b.numpy(), tolerance)
    if hasattr(a, "__dict__") and not isinstance(a, enum.Enum | type | types.FunctionType):
        return type(a) is type(b) and same(vars(a), vars(b), tolerance)
    return type(a) is type(b) and a == b


def check(fn: Callable[..., Any], *arguments: Any, tolerance: float = 1e-9, scripted: Any = None) -> Any:
    """Assert that compiled and plain runs agree, the first compiled call and a second one, which is served natively,
    and that derivatives do; gives the scripted function."""
    scripted = script(fn) if scripted is None else scripted
    plain = observe(fn, arguments)
    for _ in range(2):
        agree(plain, observe(scripted, arguments), tolerance)
    if plain.error is None:
        derivatives.look_at(fn, arguments)
    return scripted


def agree(plain: Outcome, compiled: Outcome, tolerance: float) -> None:
    """Assert that a compiled call did what the plain one did."""
    if plain.error is not None:
        assert compiled.error is not None, f"plain Python raised {plain.error!r}, compiled gave {compiled.result!r}"
        assert isinstance(compiled.error, type(plain.error)) or type(plain.error) in type(compiled.error).__mro__, (
            f"plain Python raised {plain.error!r}, compiled raised {compiled.error!r}"
        )
    elif compiled.error is not None:
        raise compiled.error
    else:
        assert same(plain.result, compiled.result, tolerance), f"plain: {plain.result!r}\ncompiled: {compiled.result!r}"
    for i, (a, b) in enumerate(zip(plain.arguments, compiled.arguments, strict=True)):
        assert same(a, b, tolerance), f"argument {i}: plain {a!r}, compiled {b!r}"
    assert plain.output == compiled.output
