"""What a specialisation asks of the arguments and how it makes the result: plain descriptions, no machinery.

Guards are exact: a subclass of ndarray, a byte-swapped or misaligned array, an int beyond 64 bits, an array that
overlaps one the function writes, or a Tensor that asks for an unexpected gradient does not fit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from tracejit.ir.types import Order
from tracejit.records import record


@record
class ArrayGuard:
    """An ndarray, or an instance of the Tensor class `tensor`.

    `dims`: an int is exactly that size, a name is a size of at least 2 shared by all dims of that name, None is
    any size. `order` asks for C order, Fortran order, or where it is "any" for neither, the strides of which are
    passed on, as they are where it is None: whatever it is. `inout` asks for a writeable array that shares no memory
    with another argument, and bumps a Tensor's version. `requires_grad` is what the Tensor's must be; None is either.
    """

    dtype: np.dtype[Any]
    dims: tuple[int | str | None, ...]
    order: Order | None = "C"
    inout: bool = False
    tensor: type | None = None
    requires_grad: bool | None = False


@record
class BoxedGuard:
    """A float, complex or NumPy scalar of exactly this type, passed as a host scalar."""

    type: type


@record
class IntGuard:
    """A Python int that fits 64 bits and is at least `least`, passed as a host scalar."""

    least: int = -(2**63)


@record
class BoolGuard:
    """True or False, passed as a host scalar."""


@record
class IsGuard:
    """This very object (None, a string, a dtype, a function); nothing is passed."""

    object: object


@record
class TypeGuard:
    """An object of exactly this type and, for tuples, lists and dicts, length; nothing is passed."""

    type: type
    length: int | None = None


@record
class KeysGuard:
    """A dict (of no subclass) with exactly these keys in this order; nothing is passed."""

    keys: tuple[Any, ...]


@record
class NumbersGuard:
    """A list (of no subclass) of at least so many items, all exactly of this type (bool, int that fits 64 bits, float
    or complex), passed as an array. With a `column` (k, n) its items are tuples of n, and the numbers are at k."""

    type: type
    least: int
    column: tuple[int, int] | None = None


Guard: TypeAlias = ArrayGuard | BoxedGuard | IntGuard | BoolGuard | IsGuard | TypeGuard | KeysGuard | NumbersGuard


@record
class Argument:
    """A guarded value: call argument `root` (keyword values count on after positional ones), or `constant` (root -1).

    `steps` lead on to a part of it: `("attribute", name)`, `("item", key)` of a dict, `("cell", None)`,
    `("tuple", i)`, `("list", i)`, `("has", name)` (True or False: whether there is such an attribute). Guard a
    container's type before stepping into it.
    """

    guard: Guard
    root: int
    steps: tuple[tuple[str, Any], ...] = ()
    constant: object = None


@record
class ArrayResult:
    """Output `output` as a new ndarray (0-d for a host scalar), inside a Tensor like `like` if that is given."""

    output: int
    like: object = None


@record
class NumberResult:
    """A host scalar output as a Python number, or (`boxed`) as a NumPy scalar."""

    output: int
    boxed: bool = False


@record
class ConstantResult:
    """Always this object."""

    object: object


@record
class ArgumentResult:
    """The very object that entry `index` of the arguments guarded."""

    index: int


@record
class SameResult:
    """The object of an earlier leaf."""

    leaf: int


Leaf: TypeAlias = ArrayResult | NumberResult | ConstantResult | ArgumentResult | SameResult


@record
class ResultPlan:
    """How the leaves make the result: the `single` leaf, a flat `tuple` of them, or `finish(*leaves)`."""

    leaves: tuple[Leaf, ...]
    shape: str = "single"
    finish: Callable[..., Any] | None = None


@record
class Output:
    """One output of a native entry."""

    dtype: np.dtype[Any]
    rank: int
    is_scalar: bool = False


@record
class NativeEntry:
    """A native function to be called: its address, its outputs, what to do about failures and prints. With address 0
    nothing is called or written.

    `error_hook(status, context_address)` gives the exception for a non-zero status. The interpreter lock is released
    from `release_above` input elements on (None: never). `keep` lives as long as the entry may be called.
    """

    address: int
    outputs: tuple[Output, ...]
    error_hook: Callable[[int, int], BaseException]
    print_hook: int = 0
    release_above: int | None = None
    keep: object = None
