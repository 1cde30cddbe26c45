"""What a command works on: a function named `FILE.py:FUNCTION`, and example arguments written as text.

f32[64,1000]       an array of random numbers        grad:f32[100]   a Tensor that asks for a gradient
tensor:i64[5]      a Tensor                          0.5, 3, None    a Python value
"""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tracejit.errors import ScriptError
from tracejit.ir.types import BY_NAME, BY_NUMPY_NAME


class UsageError(ValueError):
    """What was typed cannot be understood; the text says what can."""


def function_of(target: str) -> Any:
    """The function (or method, by a dotted name) that `FILE.py:FUNCTION` names."""
    file, separator, name = target.rpartition(":")
    if not separator or not file:
        raise UsageError(f"{target!r} is not FILE.py:FUNCTION")
    module = _module(Path(file))
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise UsageError(f"{file} has no {name!r}")
        found = getattr(found, part)
    if not callable(found):
        raise UsageError(f"{target} is no function but of type {type(found).__name__}")
    return found


def _module(path: Path) -> Any:
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except ScriptError:
        raise
    except SyntaxError as error:
        raise UsageError(f"{path}, line {error.lineno}: {error.msg}") from error
    return module


_ARRAY = re.compile(r"(?:(?P<kind>grad|tensor):)?(?P<dtype>[a-z]+\d*)\[(?P<dims>[\d,\s]*)\]")


def arguments_of(texts: list[str], seed: int = 0) -> list[Any]:
    """Example arguments; random numbers are the same in every run."""
    rng = np.random.default_rng(seed)
    return [_argument(text, rng) for text in texts]


def _argument(text: str, rng: np.random.Generator) -> Any:
    matched = _ARRAY.fullmatch(text.strip())
    if matched is None:
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError) as error:
            raise UsageError(
                f"{text!r} is no argument: write f32[64,1000], grad:f32[3], tensor:i64[5] or 0.5"
            ) from error
    array = _random(matched["dtype"], tuple(int(d) for d in matched["dims"].split(",") if d.strip()), rng)
    if matched["kind"] is None:
        return array
    from tracejit.eager.creation import tensor

    return tensor(array, requires_grad=matched["kind"] == "grad")


def _random(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray[Any, Any]:
    dtype = BY_NAME.get(name) or BY_NUMPY_NAME.get(name)
    if dtype is None:
        raise UsageError(f"{name!r} is no dtype: use one of {', '.join(BY_NAME)}")
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.is_integer:
        return rng.integers(0, 10, shape).astype(dtype.numpy_name)
    values = rng.standard_normal(shape)
    if dtype.is_complex:
        return (values + 1j * rng.standard_normal(shape)).astype(dtype.numpy_name)
    if dtype.name == "bf16":
        import ml_dtypes

        return values.astype(ml_dtypes.bfloat16)
    return values.astype(dtype.numpy_name)
