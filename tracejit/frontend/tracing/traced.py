"""What a traced function sees in place of its arguments: `TracedTensor` and `TracedNumber`.

They stand for a front-end value and hand everything that is done with them to their tracer (`tracer.py`). What needs
the values themselves (`float(x)`, `if x > 0`, `x.numpy()`) is decided there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from tracejit.eager.tensor import Size, Tensor, initialise
from tracejit.frontend.values import ArrayView, FrontValue, Number

if TYPE_CHECKING:
    from tracejit.frontend.tracing.tracer import Tracer


class _NoValues:
    """Stands where a Tensor keeps its array; any use of it is refused."""

    __slots__ = ("tracer",)

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer

    def __getattribute__(self, name: str) -> Any:
        object.__getattribute__(self, "tracer").refuse_values()


class TracedTensor(Tensor):
    """A tensor (or a NumPy scalar) inside a trace. Its sizes are ints, or `TracedNumber`s where they vary."""

    __slots__ = ("front", "tracer")

    front: ArrayView | Number
    tracer: Tracer

    def __init__(self, front: ArrayView | Number, tracer: Tracer) -> None:
        initialise(self, _NoValues(tracer), False)
        self.front = front
        self.tracer = tracer

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return self.tracer.attribute(self, name)

    @property
    def shape(self) -> tuple[Any, ...]:  # type: ignore[override]
        return self.tracer.attribute(self, "shape")

    @property
    def ndim(self) -> int:
        return self.front.rank if isinstance(self.front, ArrayView) else 0

    @property
    def size(self) -> Any:  # type: ignore[override]
        made = self.tracer.attribute(self, "size")
        found = TracedSize(made.front, self.tracer) if isinstance(made, TracedNumber) else Size(made)  # type: ignore[arg-type]
        found.shape = self.shape
        return found

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.front.dtype.numpy_name)

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> Any:  # type: ignore[override]
        return self.size * self.itemsize

    @property
    def device(self) -> Any:  # type: ignore[override]
        return self.tracer.attribute(self, "device")

    @property
    def strides(self) -> Any:  # type: ignore[override]
        return self.tracer.refuse_use("the strides of a traced tensor are not known", "use its shape")

    @property
    def requires_grad(self) -> bool:
        return self.tracer.is_leaf(self)

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.tracer.refuse_use("requires_grad of a traced tensor cannot be set", "set it on the argument of the call")

    @property
    def is_leaf(self) -> bool:
        return self.tracer.is_leaf(self)

    def is_contiguous(self) -> Any:
        """Not known while tracing."""
        return self.tracer.refuse_use("whether a traced tensor is contiguous is not known", "use x.contiguous()")

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of a 0-d tensor")
        return int(self.shape[0])

    def __iter__(self) -> Iterator[Any]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"<traced {self.tracer.describe(self)}>"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a traced tensor cannot be pickled or copied by value")


class TracedNumber:
    """A Python number inside a trace: a size, a number argument, or what was computed of them."""

    __slots__ = ("front", "tracer")

    def __init__(self, front: Number, tracer: Tracer) -> None:
        self.front: FrontValue = front
        self.tracer = tracer

    def __bool__(self) -> bool:
        return bool(self.tracer.known(self))

    def __int__(self) -> int:
        return int(self.tracer.known(self))

    def __float__(self) -> float:
        return float(self.tracer.known(self))

    def __complex__(self) -> complex:
        return complex(self.tracer.known(self))

    def __index__(self) -> int:
        found = self.tracer.known(self)
        if not isinstance(found, int):
            raise TypeError(f"'{type(found).__name__}' object cannot be interpreted as an integer")
        return int(found)

    def __hash__(self) -> int:
        return hash(self.tracer.known(self))

    def __repr__(self) -> str:
        return f"<traced {self.tracer.describe(self)}>"

    def __format__(self, spec: str) -> str:
        return format(self.tracer.known(self), spec) if spec else repr(self)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return self.tracer.method("__array_ufunc__", (self, ufunc, method, *inputs), kwargs)

    def item(self) -> TracedNumber:
        """The number itself."""
        return self


def _operator(name: str) -> Callable[..., Any]:
    def method(self: TracedNumber, *others: Any) -> Any:
        if any(not isinstance(x, _NUMBERS) for x in others):
            return NotImplemented
        return self.tracer.method(name, (self, *others), {})

    return method


_NUMBERS = (TracedNumber, bool, int, float, complex)
_BINARY = "add sub mul truediv floordiv mod pow divmod and or xor lshift rshift".split()
for _name in (*_BINARY, *(f"r{name}" for name in _BINARY), *"eq ne lt le gt ge neg pos abs invert round".split()):
    setattr(TracedNumber, f"__{_name}__", _operator(f"__{_name}__"))


class TracedSize(TracedNumber):
    """The number of elements, which can be called as `Tensor.size` can."""

    __slots__ = ("shape",)
    shape: Any

    def __call__(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]
