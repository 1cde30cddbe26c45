"""Which tracejit function a Python callable stands for: `np.exp`, `tj.exp` and `math.exp` resolve here.

The spellings come from the op definitions (`OpDef.names`) and from `tensors/arrays.py`; nothing else knows how a
library spells a function.
"""

from __future__ import annotations

import math
import random
import sys
from functools import cache
from types import FunctionType
from typing import Any

import numpy as np

from tracejit.eager.methods import FUNCTIONS as PUBLIC
from tracejit.frontend.functions.outside_world import beyond_scripts, library_beyond_scripts
from tracejit.ir.opdef import REGISTRY
from tracejit.ops.functions import FUNCTIONS as DEFINITIONS

#: NumPy spellings of functions that tracejit names otherwise.
NUMPY_ALIASES = {
    "amax": "max",
    "amin": "min",
    "concatenate": "cat",
    "arccos": "acos",
    "arcsin": "asin",
    "arctan": "atan",
    "arctan2": "atan2",
    "clip": "clip",
    "row_stack": "vstack",
}


#: Modules of NumPy and tracejit whose functions are spelt with their name in front.
LIBRARIES = ("linalg", "fft")


@cache
def elementwise_names() -> dict[str, str]:
    """Python function name -> op name, for every op that has a spelling as a function or method."""
    found: dict[str, str] = {}
    for defn in REGISTRY:
        for spelling in defn.names:
            kind, _, name = spelling.partition(" ")
            if kind in ("function", "numpy", "method"):
                found.setdefault(name, defn.name)
    return found


def _by_its_name(fn: Any) -> str | None:
    """The name of a function of NumPy, where that is a usual one: most are found so, without a look at all of them."""
    name = getattr(fn, "__name__", None)
    return name if isinstance(name, str) and vars(np).get(name) is fn and _is_preferred(name) else None


def _numpy_functions() -> dict[int, str]:
    """NumPy's functions by identity; NumPy loads some modules when they are first named."""
    return _functions_of(tuple(name for name in LIBRARIES if f"numpy.{name}" in sys.modules))


@cache
def _functions_of(libraries: tuple[str, ...]) -> dict[int, str]:
    found: dict[int, str] = {}
    for prefix, module in (*((f"{library}.", getattr(np, library)) for library in libraries), ("", np)):
        for name, value in vars(module).items():
            if callable(value) and not isinstance(value, type) and not name.startswith("_"):
                current = found.get(id(value))
                if current is None or not _is_preferred(current):
                    found[id(value)] = prefix + name
    return found


def _is_preferred(name: str) -> bool:
    from tracejit.frontend.tensors.arrays import FUNCTIONS

    return name in FUNCTIONS or name in elementwise_names()


@cache
def _math_functions() -> dict[int, str]:
    return {id(v): k for k, v in vars(math).items() if callable(v)}


def resolve(fn: Any) -> str | None:
    """The name of a library function as `arrays.function` takes it (`"exp"`, `"math.exp"`, `"linalg.norm"`)."""
    name = _math_functions().get(id(fn))
    if name is not None:
        return f"math.{name}"
    name = _by_its_name(fn) or _numpy_functions().get(id(fn))
    if name is not None:
        name = NUMPY_ALIASES.get(name, name)
        return f"numpy.{name}" if is_numpys_own(name) else name
    return _tracejit_name(fn)


def is_numpys_own(name: str) -> bool:
    """Whether NumPy's function of that name has a definition of its own beside tracejit's (`split`, `meshgrid`)."""
    theirs, ours = DEFINITIONS.get(f"numpy {name}"), DEFINITIONS.get(f"function {name}")
    if theirs is None or ours is theirs:
        return False
    from tracejit.frontend.tensors.arrays import PYTORCH

    return ours is not None or name in PYTORCH


#: Where tracejit has functions that scripts compile by their source, as the user's.
_INLINED = "tracejit.nn."


@cache
def _tracejit_functions() -> dict[int, str]:
    """A function under several names goes by one that scripts know."""
    from tracejit.frontend.tensors.arrays import is_available

    found: dict[int, str] = {}
    for name, value in PUBLIC.items():
        if id(value) not in found or not is_available(found[id(value)]):
            found[id(value)] = name
    return found


def _tracejit_name(fn: Any) -> str | None:
    module = getattr(fn, "__module__", None)
    name = getattr(fn, "__name__", None)
    if module is None or name is None or not str(module).startswith("tracejit") or str(module).startswith(_INLINED):
        return None
    import tracejit

    found = _tracejit_functions().get(id(fn))
    if found is not None:
        return found
    return name if getattr(tracejit, name, None) is fn else None


def is_numpys(fn: Any) -> bool:
    """Whether a Python function is part of NumPy, whose own code is not for compiling."""
    return str(getattr(fn, "__module__", "")).split(".")[0] == "numpy"


def host_random(fn: Any) -> tuple[str, str] | None:
    """Why a function that draws from a random generator of NumPy or Python, seeds or makes one cannot be called, and
    what to do instead; None for other functions."""
    owner = getattr(fn, "__self__", None)
    of_numpy = (np.random.default_rng, np.random.Generator, np.random.RandomState, np.random.seed)
    if isinstance(owner, np.random.RandomState | np.random.Generator) or any(fn is f for f in of_numpy):
        library = "NumPy"
    elif isinstance(owner, random.Random) or fn is random.Random:
        library = "Python"
    else:
        return None
    reason = f"{library}'s random generators keep their state out of a script's reach"
    return reason, "draw the numbers outside and pass the array, or use tj.rand with tj.manual_seed"


#: Functions of NumPy that scripts cannot call for a reason of their own, with what to write instead.
_REFUSED: list[tuple[tuple[Any, ...], tuple[str, str]]] = [
    ((np.seterr,), ("settings are those of the whole process", 'with np.errstate(all="ignore"):')),
]


def name_of(fn: Any) -> str:
    """What errors call a function."""
    return getattr(fn, "__qualname__", getattr(fn, "__name__", type(fn).__name__))


def not_known(fn: Any) -> tuple[str, str]:
    """Why a function that is not Python's own cannot be called, and what to do instead."""
    for functions, reason in _REFUSED:
        if any(fn is f for f in functions):
            return reason
    found = beyond_scripts(fn)
    unknown = (
        f"the function {name_of(fn)!r} is not known to tracejit",
        "write it in Python, or call it outside the script",
    )
    return unknown if found is None else found


def eager_only(fn: Any) -> tuple[str, str] | None:
    """Why one of tracejit's own functions that work on the values of Tensors, or on files and functions, cannot be
    called, or one of Python's that reaches beyond values, and what to do instead; None for other functions."""
    module = str(getattr(fn, "__module__", ""))
    if isinstance(fn, FunctionType | type) and (found := library_beyond_scripts(fn)) is not None:
        return found
    if not isinstance(fn, FunctionType):
        return None
    if module == "tracejit.autograd":
        return f"tj.autograd.{fn.__name__} works on the eager tape", "use tj.grad, or loss.backward() and x.grad"
    if module == "tracejit" or module.startswith("tracejit.eager") or _tracejit_name(fn) is not None:
        name = fn.__qualname__.removesuffix(".__init__")
        return f"the function {name!r} is not available in a script", "call it outside the script"
    return None
