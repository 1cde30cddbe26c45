"""np.vectorize: a function of numbers for each element."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracejit.frontend.written import of_one_type, refuse, written


def _each(fn: Any, dtypes: Any, args: Any) -> Any:
    """What a function that np.vectorize made gives: for Python's numbers, after a first call for the dtype."""
    arrays = np.broadcast_arrays(*args)
    flat = [a.reshape(-1) for a in arrays]
    n = flat[0].size
    if dtypes is None:
        if n == 0:
            raise ValueError("cannot call `vectorize` on size 0 inputs unless `otypes` is set")
        first = of_one_type(fn, *[a[0] for a in flat])
        if isinstance(first, tuple):
            refuse("np.vectorize of a function that returns several values", "one function for each")
        made = np.empty(n, np.asarray(first).dtype)
    else:
        if len(dtypes) != 1:
            refuse("np.vectorize of a function that returns several values", "one function for each")
        made = np.empty(n, dtypes[0])
    for i in range(n):
        made[i] = fn(*[a[i].item() for a in flat])
    return made.reshape(arrays[0].shape)


@written(np.vectorize)
def vectorize(
    pyfunc: Any, otypes: Any = None, doc: Any = None, excluded: Any = None, cache: Any = False, signature: Any = None
) -> Any:
    """np.vectorize, where every argument is one of the function's."""
    if excluded is not None or signature is not None or cache:
        refuse("np.vectorize with 'excluded', 'cache' or 'signature'", "the function itself, in a loop")

    def vectorized(*args: Any) -> Any:
        return _each(pyfunc, otypes, args)

    return vectorized


@written(np.vectorize.__call__)
def vectorized_before(made: Any, *args: Any) -> Any:
    """A call of what np.vectorize made outside."""
    if len(made.excluded) > 0 or made.signature is not None or made.cache:
        refuse("np.vectorize with 'excluded', 'cache' or 'signature'", "the function itself, in a loop")
    return _each(made.pyfunc, made.otypes, args)
