"""What the parameters of native functions are, as `inspect` says."""

import bisect
import builtins
import heapq
import inspect
import itertools
import math
import operator
from types import BuiltinFunctionType, MethodDescriptorType

import numpy as np

from tracejit.frontend.functions.builtin_arguments import _of_text

OWNERS = (builtins, math, operator, itertools, heapq, bisect, np, np.linalg, np.ndarray, str, list, dict, set, int)


def described(signature: inspect.Signature):
    return [(p.name, p.kind, p.default is p.empty) for p in signature.parameters.values()]


def test_signatures_that_are_read_from_their_text_are_those_of_inspect():
    compared = 0
    for fn in (getattr(owner, name) for owner in OWNERS for name in dir(owner)):
        text = getattr(fn, "__text_signature__", None)
        if not isinstance(fn, BuiltinFunctionType | MethodDescriptorType) or text is None:
            continue
        try:
            expected = inspect.signature(fn)
        except ValueError:  # a default that has no text
            continue
        found = _of_text(text, is_bound=isinstance(fn, BuiltinFunctionType))
        assert described(found) == described(expected), fn
        compared += 1
    assert compared > 200
