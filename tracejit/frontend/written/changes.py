"""The functions of `operator` that change their first argument where it can be changed, and give it or the result."""

from __future__ import annotations

import operator
from typing import Any

from tracejit.frontend.written import written


@written(operator.iadd, operator.iconcat)
def iadd(a: Any, b: Any) -> Any:
    """A += b."""
    a += b
    return a


@written(operator.isub)
def isub(a: Any, b: Any) -> Any:
    """A -= b."""
    a -= b
    return a


@written(operator.imul)
def imul(a: Any, b: Any) -> Any:
    """A *= b."""
    a *= b
    return a


@written(operator.itruediv)
def itruediv(a: Any, b: Any) -> Any:
    """A /= b."""
    a /= b
    return a


@written(operator.ifloordiv)
def ifloordiv(a: Any, b: Any) -> Any:
    """A //= b."""
    a //= b
    return a


@written(operator.imod)
def imod(a: Any, b: Any) -> Any:
    """A %= b."""
    a %= b
    return a


@written(operator.ipow)
def ipow(a: Any, b: Any) -> Any:
    """A **= b."""
    a **= b
    return a


@written(operator.imatmul)
def imatmul(a: Any, b: Any) -> Any:
    """A @= b."""
    a @= b
    return a


@written(operator.iand)
def iand(a: Any, b: Any) -> Any:
    """A &= b."""
    a &= b
    return a


@written(operator.ior)
def ior(a: Any, b: Any) -> Any:
    """A |= b."""
    a |= b
    return a


@written(operator.ixor)
def ixor(a: Any, b: Any) -> Any:
    """A ^= b."""
    a ^= b
    return a


@written(operator.ilshift)
def ilshift(a: Any, b: Any) -> Any:
    """A <<= b."""
    a <<= b
    return a


@written(operator.irshift)
def irshift(a: Any, b: Any) -> Any:
    """A >>= b."""
    a >>= b
    return a
