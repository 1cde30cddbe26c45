"""np.vectorize: a function of numbers for each element."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracejit.frontend.written import each, of_one_type, refuse, written


def _arrays_for(first: Any, n: Any) -> Any:
    """An array of n results for each value that a call gives."""
    return tuple([np.empty(n, np.asarray(value).dtype) for value in first])


def _each(fn: Any, dtypes: Any, args: Any) -> Any:
    """What a function that np.vectorize made gives: for Python's numbers, after a first call for the dtypes."""
    if len(args) == 0:
        raise ValueError("args can not be empty")
    arrays = np.broadcast_arrays(*args)
    flat = [a.reshape(-1) for a in arrays]
    n = flat[0].size
    shape = arrays[0].shape
    if dtypes is None:
        if n == 0:
            raise ValueError("cannot call `vectorize` on size 0 inputs unless `otypes` is set")
        first = of_one_type(fn, *[a[0] for a in flat])
        are_several = isinstance(first, tuple)
        made = _arrays_for(first if are_several else (first,), n)
    else:
        are_several = len(dtypes) != 1
        made = tuple([np.empty(n, dtypes[k]) for k in each(len(dtypes))])
    for i in range(n):
        values = fn(*[a[i].item() for a in flat])
        if are_several:
            for k in each(len(made)):
                made[k][i] = values[k]
        else:
            made[0][i] = values
    return tuple([m.reshape(shape) for m in made]) if are_several else made[0].reshape(shape)


def _called(fn: Any, dtypes: Any, excluded: Any, args: Any, kwargs: Any) -> Any:
    """What a function that np.vectorize made gives: those of its arguments that are excluded go to every call."""
    if len(kwargs) == 0 and len(excluded) == 0:
        return _each(fn, dtypes, args)
    places = [i for i in each(len(args)) if i not in excluded]
    names = [name for name in kwargs if name not in excluded]

    def of_elements(*elements: Any) -> Any:
        beside = {name: kwargs[name] for name in kwargs if name in excluded}
        for k in each(len(names)):
            beside[names[k]] = elements[len(places) + k]
        given = [elements[places.index(i)] if i in places else args[i] for i in each(len(args))]
        return fn(*given, **beside)

    return _each(of_elements, dtypes, [args[i] for i in places] + [kwargs[name] for name in names])


@written(np.vectorize)
def vectorize(
    pyfunc: Any, otypes: Any = None, doc: Any = None, excluded: Any = None, cache: Any = False, signature: Any = None
) -> Any:
    """np.vectorize of a function of numbers."""
    if signature is not None or cache:
        refuse("np.vectorize with 'cache' or 'signature'", "the function itself, in a loop")

    def vectorized(*args: Any, **kwargs: Any) -> Any:
        return _called(pyfunc, otypes, () if excluded is None else excluded, args, kwargs)

    return vectorized


@written(np.vectorize.__call__)
def vectorized_before(made: Any, *args: Any, **kwargs: Any) -> Any:
    """A call of what np.vectorize made outside."""
    if made.signature is not None or made.cache:
        refuse("np.vectorize with 'cache' or 'signature'", "the function itself, in a loop")
    return _called(made.pyfunc, made.otypes, made.excluded, args, kwargs)
