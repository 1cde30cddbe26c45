"""The eager `Tensor`: an array with a place on the tape.

Here are its storage, the facts about it and its conversions. Operations are attached by `methods.py` from the op
registry; recording is in `tape.py`, views and in-place writes in `alias.py` and `inplace.py`.

Compiled calls read the first five slots at fixed offsets: `_data _requires_grad _grad_fn _version _grad`.
CPython sorts the slots of one class by name, so the layout is stated by a chain of base classes.
A tensor made by a compiled call may leave the later slots unset; they then read as None.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tracejit.devices import Device, as_device, device_of, to_device
from tracejit.eager.signatures import Operators
from tracejit.ir.types import BY_NUMPY_NAME, DType
from tracejit.messages import FORMS

if TYPE_CHECKING:
    import weakref

    from tracejit.eager.tape import Node
    from tracejit.eager.writes import WriteLog


class _Value(Operators):
    __slots__ = ("_data", "_requires_grad")

    _data: Any
    _requires_grad: bool


class _History(_Value):
    __slots__ = ("_grad_fn", "_version")

    _grad_fn: Node | None
    _version: int


class Size(int):
    """A number of elements that can be called as PyTorch's `size`."""

    shape: tuple[int, ...]

    def __call__(self, dim: int | None = None) -> Any:
        """The shape, or the size of one axis."""
        return self.shape if dim is None else self.shape[dim]


class Tensor(_History):
    """An n-dimensional array of one dtype that can take part in differentiation.

    `_data` is a numpy or cupy array (0-d for a scalar). `_grad_fn` is the node that made the tensor and `_port`
    which of its results this is. `_owner` is the tensor whose memory this one shares (None: its own), whose
    `_version` counts writes and whose `_writes` says where they were; `_root` the tensor this one is a view of;
    `_views` weak references to a root's views.

    `Tensor(data)` is `tensor(data, dtype=float32)`; `Tensor(2, 3)` has that shape and unspecified values, as PyTorch's.
    """

    __slots__ = ("_grad", "_hooks", "_owner", "_port", "_root", "_views", "_writes", "__weakref__")

    _grad: Tensor | None
    _hooks: dict[int, Callable[[Tensor], Tensor | None]] | None
    _owner: Tensor | None
    _port: int
    _root: Tensor | None
    _views: list[weakref.ref[Tensor]] | None
    _writes: WriteLog | None

    __array_priority__ = 1000

    def __init__(
        self, *data: Any, dtype: Any = None, device: str | Device | None = None, requires_grad: bool = False
    ) -> None:
        from tracejit.eager.creation import data_or_sizes

        initialise(self, data_or_sizes("Tensor", data, dtype, device), False)
        if requires_grad:
            self.requires_grad_()

    def __getattr__(self, name: str) -> Any:
        if name in _UNSET:
            return _UNSET[name]
        raise AttributeError(no_attribute(type(self).__name__, name))

    # -- facts ----------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return self._data.shape

    @property
    def ndim(self) -> int:
        return self._data.ndim

    @property
    def size(self) -> Size:
        """The number of elements; called, the shape or one size: `x.size(0)`."""
        made = Size(self._data.size)
        made.shape = self._data.shape
        return made

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._data.dtype

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return self._data.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return int(self._data.nbytes)

    @property
    def strides(self) -> tuple[int, ...]:
        """Steps in bytes, as NumPy's."""
        return self._data.strides

    @property
    def device(self) -> Device:
        return device_of(self._data)

    @property
    def requires_grad(self) -> bool:
        """Whether operations on the tensor are recorded; can be set on leaves of inexact dtype."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value != self._requires_grad:
            self.requires_grad_(value)

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made this tensor."""
        return self._grad_fn is None

    @property
    def grad_fn(self) -> Node | None:
        """The tape's node that made this tensor."""
        return self._grad_fn

    @property
    def grad(self) -> Tensor | None:
        """The gradient that `backward` has accumulated."""
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"a gradient is a Tensor or None, got {type(value).__name__}")
            if value.shape != self.shape:
                raise ValueError(f"a gradient of shape {value.shape} does not fit a tensor of shape {self.shape}")
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    @property
    def data(self) -> Tensor:
        """The values alone, sharing memory; writes through it are not recorded."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        """Take another tensor's memory, dtype and shape, without a record."""
        if not isinstance(value, Tensor):
            raise TypeError(f"data is a Tensor, got {type(value).__name__}")
        if value._data is not self._data:
            self._data = value._data
            bump_version(self)

    def numel(self) -> int:
        """The number of elements."""
        return self.size

    def dim(self) -> int:
        """The number of axes."""
        return self.ndim

    def is_contiguous(self) -> bool:
        """Whether the elements lie in C order without gaps."""
        return bool(self._data.flags.c_contiguous)

    # -- conversions out of the tape -------------------------------------------------------------------

    def detach(self) -> Tensor:
        """The same memory without history."""
        result = wrap(self._data)
        result._owner = memory_owner(self)
        return result

    def numpy(self) -> np.ndarray[Any, Any]:
        """The values as a NumPy array that shares this tensor's memory (a copy if it is on a GPU)."""
        return self._data if isinstance(self._data, np.ndarray) else self._data.get()

    def item(self) -> Any:
        """The only element, as a Python number."""
        if self._data.size != 1:
            raise ValueError(f"item() needs a tensor of one element, got shape {self.shape}")
        return self._data.item()

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        return self._data.tolist()

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad` of a leaf of inexact dtype; gives the tensor itself."""
        if requires_grad:
            check_differentiable(self)
        elif self._grad_fn is not None:
            raise RuntimeError("requires_grad can be cleared on leaf tensors only; use detach() to leave the tape")
        self._requires_grad = bool(requires_grad)
        return self

    def __len__(self) -> int:
        if not self._data.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self._data.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self._data.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(len(self)))  # type: ignore[index]

    def __bool__(self) -> bool:
        if self._data.size != 1:
            raise ValueError(f"the truth value of a tensor of shape {self.shape} is ambiguous; use .any() or .all()")
        return bool(self._data.item())

    def __int__(self) -> int:
        return int(self._single("int"))

    def __float__(self) -> float:
        return float(self._single("float"))

    def __complex__(self) -> complex:
        return complex(self._single("complex"))

    def __index__(self) -> int:
        if self._data.ndim or self._data.dtype.kind not in "iu":
            raise TypeError("only 0-d integer tensors can be an index")
        return int(self._data)

    def _single(self, target: str) -> Any:
        if self._data.size != 1:
            raise TypeError(f"only tensors of one element convert to {target}, got shape {self.shape}")
        return self._data.item()

    def __contains__(self, item: Any) -> bool:
        return bool((self._data == (item._data if isinstance(item, Tensor) else item)).any())

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        from tracejit.eager.text import tensor_text

        return tensor_text(self)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec or not self.ndim else repr(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.numpy(), self._requires_grad)

    def __copy__(self) -> Tensor:
        return _restore(type(self), self._data, self._requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self._grad_fn is not None:
            raise RuntimeError("only leaf tensors can be deep-copied; use clone() or detach() first")
        result = _restore(type(self), self._data.copy(), self._requires_grad)
        result._grad = None if self._grad is None else wrap(self._grad._data.copy())
        memo[id(self)] = result
        return result

    def cpu(self) -> Tensor:
        """This tensor on the CPU; itself if it is there."""
        return self.to("cpu")

    def cuda(self, device: str | Device | None = None) -> Tensor:
        """This tensor on a GPU; itself if it is there."""
        return self.to(device or "cuda")


_UNSET: dict[str, Any] = dict.fromkeys(("_grad", "_hooks", "_owner", "_root", "_views", "_writes")) | {"_port": 0}


#: PyTorch's methods that change the shape which every name of a tensor sees.
_RESHAPING = "as_strided_ resize_as_ resize_ set_ squeeze_ swapaxes_ swapdims_ t_ transpose_ unsqueeze_".split()


def no_attribute(kind: str, name: str) -> str:
    """What an AttributeError says."""
    text = f"'{kind}' object has no attribute '{name}'"
    if name in ("values", "indices") and kind == Tensor.__name__:
        return f"{text}: max, min, sort and median give values alone, argmax, argmin and argsort the places"
    return f"{text}: a tensor keeps its shape; bind the name to the new one" if name in _RESHAPING else text


def initialise(tensor: Tensor, array: Any, requires_grad: bool) -> None:
    """Fill the slots of a new tensor without history."""
    tensor._data = array
    tensor._requires_grad = requires_grad
    tensor._grad_fn = None
    tensor._version = 0
    tensor._grad = None
    tensor._hooks = None
    tensor._owner = None
    tensor._port = 0
    tensor._root = None
    tensor._views = None
    tensor._writes = None


def wrap(array: Any) -> Tensor:
    """A new tensor around an array (a NumPy scalar becomes a 0-d array); shares memory, has no history."""
    tensor = Tensor.__new__(Tensor)
    initialise(tensor, array if type(array) is np.ndarray else _as_array(array), False)
    return tensor


def _as_array(x: Any) -> Any:
    if isinstance(x, np.generic | bool | int | float | complex):
        return np.asarray(x)
    return x


def _restore(cls: type[Tensor], array: Any, requires_grad: bool) -> Tensor:
    tensor = cls.__new__(cls)
    initialise(tensor, array, requires_grad)
    return tensor


def raw(x: Any) -> Any:
    """The array of a tensor; anything else itself."""
    return x._data if isinstance(x, Tensor) else x


@functools.cache
def ir_dtype(dtype: Any) -> DType:
    """The IR's dtype for an array dtype."""
    found = BY_NUMPY_NAME.get(np.dtype(dtype).name)
    if found is None:
        raise TypeError(f"tensors cannot have dtype {dtype}")
    return found


def memory_owner(tensor: Tensor) -> Tensor:
    """The tensor that counts the writes to this tensor's memory."""
    owner = tensor._owner
    return tensor if owner is None else owner


def version_of(tensor: Tensor) -> int:
    """How often the tensor's memory was written, through any tensor that shares it."""
    return memory_owner(tensor)._version


def bump_version(tensor: Tensor) -> None:
    """Count a write to the tensor's memory."""
    memory_owner(tensor)._version += 1


def check_differentiable(tensor: Tensor) -> None:
    """Refuse gradients of integers and truth values."""
    if tensor._data.dtype.kind not in "fcV":
        raise RuntimeError(f"only tensors of floating-point or complex dtype can require gradients, not {tensor.dtype}")


def moved(tensor: Tensor, device: str | Device) -> Tensor:
    """A tensor without history holding the values on another device; the tensor itself if it is there."""
    array = to_device(tensor._data, as_device(device))
    return tensor if array is tensor._data else wrap(array)


def _shown(array: Any, asks: bool) -> Tensor:
    """A tensor in a text; `asks` for gradients, as far as the text says."""
    made = wrap(array)
    made._requires_grad = bool(asks)
    return made


FORMS["tensor"] = _shown
FORMS["scalar_tensor"] = lambda dtype, value, asks: _shown(np.asarray(value, dtype), asks)
