"""`tj.autograd.functional` and `tj.autograd.gradcheck`: the transformations under PyTorch's signatures.

They take a function and its inputs, one tensor or a tuple of them, and give results in the same form. Results ask for
gradients with `create_graph=True` only.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from tracejit.autograd import no_grad
from tracejit.transformations import calls, matrices
from tracejit.transformations.checking import check


class GradcheckError(RuntimeError):
    """What `gradcheck` raises where derivatives differ."""


def _all(inputs: Any) -> tuple[Any, ...]:
    return inputs if isinstance(inputs, tuple) else (inputs,)  # pyright: ignore[reportUnknownVariableType]


def _as_given(inputs: Any, found: Any) -> Any:
    return found if isinstance(inputs, tuple) or not isinstance(found, tuple) else found[0]


def _mode(create_graph: bool) -> Any:
    return nullcontext() if create_graph else no_grad()


def _numbers(inputs: Any) -> int | tuple[int, ...]:
    return tuple(range(len(inputs))) if isinstance(inputs, tuple) else 0


def _direction(like: Any, v: Any, what: str) -> Any:
    """The tensor or tensors given, or one where a single element leaves no choice: RuntimeError elsewhere."""
    if v is None and (isinstance(like, tuple) or like.numel() != 1):
        raise RuntimeError(f"v can be left out only where the {what} is a single element")
    return like.new_ones(like.shape) if v is None else v


def jacobian(func: Callable[..., Any], inputs: Any, create_graph: bool = False, vectorize: bool = True) -> Any:
    """The derivatives of every element of the results by every element of the inputs: arrays of a result's shape
    followed by an input's, in tuples of results, then of inputs. They are computed together, `vectorize` or not."""
    with _mode(create_graph):
        return matrices.jacobian(func, _numbers(inputs))(*_all(inputs))


def hessian(func: Callable[..., Any], inputs: Any, create_graph: bool = False, vectorize: bool = True) -> Any:
    """The second derivatives of a function that gives one float, in tuples of inputs, twice."""
    with _mode(create_graph):
        return matrices.hessian(func, _numbers(inputs))(*_all(inputs))


def vjp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False) -> tuple[Any, Any]:
    """The results, and v (of their form) times the Jacobian."""
    with _mode(create_graph):
        results, pullback = calls.vjp(func, *_all(inputs))
        return results, _as_given(inputs, pullback(_direction(results, v, "result")))


def jvp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False) -> tuple[Any, Any]:
    """The results, and the Jacobian times v (of the form of the inputs)."""
    with _mode(create_graph):
        return calls.jvp(func, _all(inputs), _all(_direction(inputs, v, "input")))


def hvp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False) -> tuple[Any, Any]:
    """The result of a function that gives one float, and its Hessian times v (of the form of the inputs)."""
    with _mode(create_graph):
        along = _all(_direction(inputs, v, "input"))
        return func(*_all(inputs)), _as_given(inputs, calls.hvp(func, _all(inputs), along))


#: v times the Hessian, which is symmetric.
vhp = hvp


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Whether the derivatives of a function by all ways agree with differences at these inputs (of float64): see
    `tj.check`. Where they do not, `GradcheckError`, or with `raise_exception=False` False."""
    report = check(func, *_all(inputs), rtol=rtol, atol=atol)
    if not report.ok and raise_exception:
        raise GradcheckError(str(report))
    return report.ok
