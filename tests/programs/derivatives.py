"""`tj.check` of the programs that are compared with plain Python, on their arguments in 64 bits.

Every run looks at one program in `SHARE`, chosen by its name; `--every-derivative` at all of them.
"""

from __future__ import annotations

import contextlib
import copy
import io
import warnings
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tracejit as tj
from tracejit import Tensor, config, pytree
from tracejit.transformations.base import scripted

SHARE = 12
every = False  #: set by the option

#: Why a program has no derivative that differences could show, by the name of its function.
EXEMPT = {
    "alone": "detach() ends all modes",
    "facts": "x.data is a constant",
    "power_iteration": "its tolerance is an argument: made a little smaller it is negative, and the loop has no end",
}

#: Programs that make numbers or arrays without a gradient of tensors, which is where the eager tape ends.
CUT = frozenset(("casts_t", "lists", "made", "tensors_in_containers"))


def look_at(fn: Callable[..., Any], arguments: Sequence[Any]) -> None:
    """Assert that all derivatives of a program agree, if it is chosen and has floats among its arguments."""
    name = getattr(fn, "__name__", type(fn).__name__)
    is_chosen = every or zlib.crc32(f"{fn.__module__}.{name}".encode()) % SHARE == 0
    if not is_chosen or name in EXEMPT or config.get("disable"):
        return
    leaves, structure = pytree.flatten(tuple(copy.deepcopy(arguments)))
    wide = [_wide(x) for x in leaves]
    if not any(isinstance(x, float) or (isinstance(x, np.ndarray | Tensor) and _is_float(x)) for x in wide):
        return
    given = structure.unflatten(wide)
    with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fn(*copy.deepcopy(given))
        except Exception:  # not a program of 64 bits
            return
        report = tj.check(fn, *given)
    wrong = [d for d in report.differences if not (name in CUT and d.what.startswith("the eager tape"))]
    assert not wrong or (_rounds(fn) and _modes_agree(wrong)), f"the derivatives of {name} differ\n{report}"


def _wide(x: Any) -> Any:
    """Floats in 64 bits."""
    if isinstance(x, Tensor) and _is_float(x):
        return tj.tensor(x.detach().numpy().astype(np.float64), requires_grad=x.requires_grad)
    return x.astype(np.float64) if isinstance(x, np.ndarray | np.generic) and _is_float(x) else x


def _is_float(x: Any) -> bool:
    return x.detach().numpy().dtype.kind == "f" if isinstance(x, Tensor) else x.dtype.kind == "f"


def _rounds(fn: Callable[..., Any]) -> bool:
    """Whether a program computes in fewer bits somewhere, so that differences see the steps between numbers."""
    graph = scripted(fn).graph
    return any(dtype in graph for dtype in ("f32", "f16", "c64"))


def _modes_agree(wrong: Sequence[Any]) -> bool:
    """Whether differences are all that forward and reverse mode differ from."""
    slopes = [d.second for d in wrong if d.what.endswith("central differences")]
    return len(slopes) == len(wrong) and np.allclose(slopes, slopes[0], rtol=1e-3, atol=1e-3, equal_nan=True)
