"""The parameters of Python functions, whatever their annotations."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

_FORMAT: dict[str, Any] = {}

if sys.version_info >= (
    3,
    14,
):  # evaluates annotations when they are asked for, and some name what is for type checkers
    import annotationlib

    _FORMAT["annotation_format"] = annotationlib.Format.FORWARDREF


def signature_of(fn: Callable[..., Any], *, follow_wrapped: bool = True) -> inspect.Signature:
    """`inspect.signature`, which raises TypeError or ValueError where there is none; annotations that name nothing
    (yet) are forward references."""
    return inspect.signature(fn, follow_wrapped=follow_wrapped, **_FORMAT)
