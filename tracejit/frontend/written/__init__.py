"""NumPy functions, and some of Python's, written in the language itself, in terms of those that tracejit defines.

A script that calls `np.nanstd` gets the function of this package inlined. Its statements are lowered as the user's
are, so shapes, dtypes, errors and derivatives follow from what it calls; every op and error belongs to the user's
line. Arguments that decide a shape or a path (`axis`, `mode`, flags) are compile-time values here too.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import cache
from types import FunctionType
from typing import Any, NoReturn


class Library:
    """A function of tracejit's by its name, for definitions here to call."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __tracejit_lower__(self, calls: Any, args: Any, kwargs: Any, node: Any) -> Any:
        from tracejit.frontend.tensors.arrays import function

        return function(calls, self.name, args, kwargs, node)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"{self.name} is called inside scripts only")


class Refusal:
    """Called in a definition with a reason and what to write instead: the user's call is outside the language."""

    def __tracejit_lower__(self, calls: Any, args: Any, kwargs: Any, node: Any) -> Any:
        reason, instead = (calls.static(a, node, "this") for a in args)
        calls.ctx.refuse(node, reason, instead)

    def __call__(self, reason: str, instead: str) -> NoReturn:
        raise TypeError(reason)


refuse = Refusal()

_WRITTEN: dict[Any, Callable[..., Any]] = {}
_METHODS: dict[str, Callable[..., Any]] = {}
_OF_NUMBERS: dict[str, Callable[..., Any]] = {}
_EXTENDED: dict[str, Callable[..., Any]] = {}


class Known:
    """`each(n)`: 0, 1 ... n - 1 for an n that is known when the function is compiled; a loop over it is unrolled. A
    second argument says in errors what n is, if not the number of axes."""

    def __tracejit_lower__(self, calls: Any, args: Any, kwargs: Any, node: Any) -> Any:
        from tracejit.frontend.values import Static, TupleValue

        what = args[1].value if len(args) > 1 else "the number of axes"
        return TupleValue(tuple(Static(k) for k in range(calls.static(args[0], node, what))))

    def __call__(self, n: Any, what: str = "") -> Sequence[int]:
        return range(n)


each = Known()


class OfOneType:
    """`of_one_type(fn, *args)`: a call whose result has one type whatever path it takes."""

    def __tracejit_lower__(self, calls: Any, args: Any, kwargs: Any, node: Any) -> Any:
        before, calls.ctx.types_met = calls.ctx.types_met, False
        made = calls.call_value(args[0], args[1:], {}, node)
        if calls.ctx.types_met:
            reason = "the dtype depends on the first element: numbers of two types meet in the function"
            calls.ctx.refuse(node, reason, "np.vectorize(f, otypes=[float]), or numbers of one type")
        calls.ctx.types_met = before
        return made

    def __call__(self, fn: Any, *args: Any) -> Any:
        return fn(*args)


of_one_type = OfOneType()


class IsKnown:
    """`is_known(n)`: whether a number is known when the function is compiled."""

    def __tracejit_lower__(self, calls: Any, args: Any, kwargs: Any, node: Any) -> Any:
        from tracejit.frontend.values import Static

        return Static(isinstance(args[0], Static))

    def __call__(self, n: Any) -> bool:
        return True


is_known = IsKnown()


class Decisive:
    """`decisive(n)`: a size that decides what the program is, compiled in unless data decides it."""

    def __tracejit_lower__(self, calls: Any, args: Any, kwargs: Any, node: Any) -> Any:
        from tracejit.frontend.control.dependence import compiled_in, decided_by
        from tracejit.frontend.values import Static

        if isinstance(args[0], Static):
            return args[0]
        found = decided_by(calls.ctx, args[0].value)
        return args[0] if found.by_data else Static(int(compiled_in(found)))

    def __call__(self, n: Any) -> Any:
        return n


decisive = Decisive()


def written(
    *functions: Any, methods: str = "", numbers: str = ""
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a definition for functions of NumPy, for methods of arrays, and for those of Python's numbers."""

    def register(fn: Callable[..., Any]) -> Callable[..., Any]:
        _WRITTEN.update(dict.fromkeys(functions, fn))
        _METHODS.update(dict.fromkeys(methods.split(), fn))
        _OF_NUMBERS.update(dict.fromkeys(numbers.split(), fn))
        return fn

    return register


def extended(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a definition for calls with arguments that the library function of that name does not take."""

    def register(fn: Callable[..., Any]) -> Callable[..., Any]:
        _EXTENDED.update(dict.fromkeys(names, fn))
        return fn

    return register


#: For which names of functions and methods each module has definitions: modules are imported once a script names one,
#: which takes longer than to compile many a script.
_DEFINED = {
    "arrangement": (
        "append apply_along_axis apply_over_axes array_split astype atleast_1d atleast_2d atleast_3d block "
        "broadcast_shapes delete diag_indices diagflat diagonal dsplit dstack fromfunction fromiter geomspace "
        "hsplit indices insert logspace matrix_transpose meshgrid ndim packbits repeat require resize "
        "rollaxis shape size split trace tri tril_indices tril_indices_from triu_indices triu_indices_from "
        "unpackbits unstack vsplit"
    ),
    "averages": "mean pstdev pvariance stdev variance",
    "changes": "iadd iand iconcat ifloordiv ilshift imatmul imod imul ior ipow irshift isub itruediv ixor",
    "complex_numbers": (
        "acos acosh asin asinh atan atanh cos cosh exp isclose isfinite isinf isnan log log10 phase polar "
        "rect sin sinh sqrt tan tanh"
    ),
    "frequencies": "fftfreq rfftfreq",
    "iterators": "abs concat contains countOf delitem getitem index invert is_ is_not neg not_ pos setitem truth",
    "matrices": "cross matmul matrix_transpose outer tensordot tensorinv tensorsolve vecdot",
    "numbers": (
        "angle bitwise_count correlate cumulative_prod cumulative_sum divmod ediff1d fabs float_power frexp "
        "gcd i0 imag interp iscomplex iscomplexobj isneginf isposinf isreal isrealobj lcm ldexp logaddexp2 "
        "matvec modf nan_to_num real reciprocal rint signbit unwrap vander vecdot vecmat"
    ),
    "padding": "pad",
    "polynomials": "poly polyadd polyder polydiv polyfit polyint polymul polysub polyval roots",
    "reductions": "all amax amin any max mean min nanmax nanmean nanmin nanprod nansum prod std sum var",
    "selection": (
        "argpartition argsort array_equiv asarray_chkfinite choose clip compress copyto diag_indices_from dot "
        "extract fill_diagonal intersect1d isin ix_ lexsort mask_indices matmul partition piecewise place put "
        "put_along_axis putmask ravel_multi_index searchsorted select setdiff1d setxor1d sort take trim_zeros "
        "union1d unique_values unravel_index where"
    ),
    "sequences": (
        "accumulate batched bisect_left bisect_right compress dropwhile filterfalse from_iterable fromkeys groupby "
        "heapify heappop heappush heappushpop heapreplace insort_left insort_right merge nlargest nsmallest "
        "pairwise starmap takewhile zip_longest"
    ),
    "statistics": (
        "average corrcoef cov gradient histogram histogram2d histogram_bin_edges median nanargmax nanargmin "
        "nancumprod nancumsum nanmedian nanpercentile nanquantile nanstd nanvar percentile quantile"
    ),
    "vectorizing": "__call__ vectorize",
    "whole": (
        "base_repr binary_repr bit_count bit_length hash is_integer math.cbrt math.comb math.dist "
        "math.factorial math.frexp math.fsum math.gcd math.hypot math.isclose math.isqrt math.lcm math.ldexp "
        "math.modf math.perm math.prod math.remainder"
    ),
    "windows": "bartlett blackman hamming hanning kaiser",
}

#: Modules for the functions of one package only, whose names others have, too.
_OF_PACKAGE = {"complex_numbers": "cmath"}

#: The packages whose functions in Python have definitions.
_PACKAGES = ("numpy", "heapq", "statistics")


@cache
def _modules_by_name() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for module, names in _DEFINED.items():
        for name in names.split():
            found.setdefault(name, []).append(module)
    return found


def _load(name: str, package: str = "") -> None:
    """Import what has definitions for that name, of a function of that package."""
    for module in _modules_by_name().get(name, ()):
        if _OF_PACKAGE.get(module, package) == package:
            importlib.import_module(f"{__name__}.{module}")


def replacement(fn: Any) -> Callable[..., Any] | None:
    """The definition for a function of NumPy; None where there is none."""
    if isinstance(fn, FunctionType) and str(fn.__module__).split(".")[0] not in _PACKAGES:
        return None
    _load(str(getattr(fn, "__name__", "")), str(getattr(fn, "__module__", "")))
    try:
        return _WRITTEN.get(fn)
    except TypeError:
        return None


def method_replacement(name: str) -> Callable[..., Any] | None:
    """The definition for a method of arrays; None where there is none."""
    _load(name)
    return _METHODS.get(name)


def number_method(name: str) -> Callable[..., Any] | None:
    """The definition of a method of Python's numbers; None where there is none."""
    _load(name)
    return _OF_NUMBERS.get(name)


def extension(name: str) -> Callable[..., Any] | None:
    """The definition of a library function for arguments that are NumPy's only, or of one of `math`."""
    _load(name)
    return _EXTENDED.get(name)
