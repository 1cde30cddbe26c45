"""PyTorch's further functions and methods of tensors that are views, or other names: parts, axes, kinds of tensors."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tracejit.eager.apply import TENSORS
from tracejit.eager.arguments import as_tensor, axis_of, spelled
from tracejit.eager.conversions import astype, matrix_transposed
from tracejit.eager.creation import data_or_sizes
from tracejit.eager.indexing import getitem
from tracejit.eager.inplace import fill_
from tracejit.eager.shapes import diagonal, narrow, reshape, split, swapaxes, vstack
from tracejit.eager.tensor import Tensor, wrap
from tracejit.eager.traceable import traceable

# -- parts ----------------------------------------------------------------------------------------------------------


#: Functions that split into equal parts: the axis (of a vector, its only one), and how many axes there must be.
SPLITS = {"hsplit": (1, 1), "vsplit": (0, 2), "dsplit": (2, 3)}


@spelled
def tensor_split(x: Any, indices_or_sections: Any, axis: int = 0) -> tuple[Tensor, ...]:
    """Views of parts along an axis: as many as a number says, as equal as possible, or cut at the given places."""
    x = as_tensor(x)
    if not x.ndim:
        raise ValueError("tensor_split takes a tensor of at least one axis")
    return _parts("tensor_split", x, axis_of(axis, x.ndim), indices_or_sections)


def _split_along(name: str) -> Callable[..., tuple[Tensor, ...]]:
    axis, rank = SPLITS[name]

    def function(x: Any, indices_or_sections: Any) -> tuple[Tensor, ...]:
        x = as_tensor(x)
        if x.ndim < rank:
            raise ValueError(f"{name} takes a tensor of at least {rank} axes, not {x.ndim}")
        return _parts(name, x, min(axis, x.ndim - 1), indices_or_sections)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"`tensor_split` along axis {axis}, into equal parts only."
    return function


def _parts(name: str, x: Tensor, axis: int, given: Any) -> tuple[Tensor, ...]:
    if isinstance(given, Tensor):
        given = given.tolist()
    if isinstance(given, tuple | list):
        cuts = [None, *(operator.index(cut) for cut in given), None]
        pieces = [slice(*pair) for pair in pairwise(cuts)]
        return tuple(getitem(x, (slice(None),) * axis + (piece,)) for piece in pieces)
    ends = ends_of_parts(name, x.shape[axis], operator.index(given))
    return tuple(narrow(x, axis, start, end - start) for start, end in pairwise(ends))


def ends_of_parts(name: str, size: int, count: int) -> list[int]:
    """Where so many parts of an axis begin and end. ValueError where there are none, or the function makes equal ones
    only and they would not be."""
    if count < 1:
        raise ValueError(f"{name}: the number of parts is at least 1, not {count}")
    if name in SPLITS and size % count:
        raise ValueError(f"{name}: {size} places do not make {count} equal parts")
    return [k * (size // count) + min(k, size % count) for k in range(count + 1)]


def split_with_sizes(x: Any, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views of consecutive parts of these sizes along an axis."""
    return split(x, split_sizes, dim)


def narrow_copy(self: Tensor, dim: int, start: int, length: int) -> Tensor:
    """`narrow`, but a copy."""
    return TENSORS.fresh(narrow(self, dim, start, length))


def fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Set the elements whose indices are all equal to one value; in tall matrices again below, one row left out, with
    `wrap`."""
    if self.ndim < 2 or (self.ndim > 2 and len(set(self.shape)) > 1):
        raise ValueError(f"fill_diagonal_ takes a matrix, or equal sizes, not shape {self.shape}")
    line = self
    while line.ndim > 1:
        line = diagonal(line)
    fill_(line, fill_value)
    rows, columns = self.shape[:2]
    if wrap and self.ndim == 2 and rows > columns + 1:
        fill_diagonal_(getitem(self, slice(columns + 1, None)), fill_value, wrap)
    return self


# -- axes -------------------------------------------------------------------------------------------------------------


def _at_least(rank: int) -> Callable[..., Any]:
    def function(*tensors: Any) -> Any:
        made = [_with_axes(as_tensor(x), rank) for x in (tensors[0] if _is_several(tensors) else tensors)]
        return tuple(made) if _is_several(tensors) or len(tensors) > 1 else made[0]

    function.__name__ = function.__qualname__ = f"atleast_{rank}d"
    function.__doc__ = f"The tensor with at least {rank} axes, or all of several."
    return function


def _is_several(tensors: tuple[Any, ...]) -> bool:
    return len(tensors) == 1 and isinstance(tensors[0], tuple | list)


def _with_axes(x: Tensor, rank: int) -> Tensor:
    if x.ndim >= rank:
        return x
    shape = (*(1,) * (rank - x.ndim if rank < 3 or not x.ndim else x.ndim == 1), *x.shape)
    return reshape(x, *shape, *(1,) * (rank - len(shape)))


def swapdims(x: Any, dim0: int, dim1: int) -> Tensor:
    """With two axes exchanged."""
    return swapaxes(x, dim0, dim1)


def adjoint(x: Any) -> Tensor:
    """The conjugate transpose of matrices."""
    x = matrix_transposed(as_tensor(x))
    return TENSORS.conj(x) if x.dtype.kind == "c" else x


def _hermitian(self: Tensor) -> Tensor:
    if self.ndim not in (0, 2):
        raise ValueError(f"H takes a matrix, got shape {self.shape}")
    return adjoint(self) if self.ndim else self


def _of_method(name: str) -> Callable[..., Any]:
    def function(input: Any) -> Any:
        return getattr(as_tensor(input), name)()

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"`input.{name}()`."
    return function


# -- complex numbers as pairs -----------------------------------------------------------------------------------------


def _unwritable(x: Tensor) -> Tensor:
    if isinstance(x._data, np.ndarray):
        x._data.flags.writeable = False
    return x


def view_as_real(x: Any) -> Tensor:
    """Real and imaginary parts along a new last axis, which cannot be written."""
    return _unwritable(TENSORS.as_pairs(as_tensor(x)))


def view_as_complex(x: Any) -> Tensor:
    """The complex numbers whose real and imaginary parts lie along the last axis, which cannot be written."""
    return _unwritable(TENSORS.of_pairs(as_tensor(x)))


# -- kinds of tensors -------------------------------------------------------------------------------------------------

#: PyTorch's makers of tensors of one dtype.
TYPES = {
    "FloatTensor": "float32",
    "DoubleTensor": "float64",
    "HalfTensor": "float16",
    "LongTensor": "int64",
    "IntTensor": "int32",
    "ShortTensor": "int16",
    "CharTensor": "int8",
    "ByteTensor": "uint8",
    "BoolTensor": "bool",
}


def _maker(name: str, dtype: str) -> Callable[..., Tensor]:
    def make(*data: Any) -> Tensor:
        return wrap(data_or_sizes(name, data, dtype))

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"A new tensor of dtype {dtype}: of the data, or (of sizes) of unspecified values."
    return traceable(make)


def type_(self: Tensor, dtype: Any = None) -> Any:
    """The tensor in another dtype, which a maker (`LongTensor`) may stand for; without one, the name of its maker."""
    if dtype is None:
        return type_name(self.dtype.name)
    return astype(self, dtype_of_maker(dtype), copy=False)


def type_name(dtype: str) -> str:
    """PyTorch's name of the tensors of a dtype."""
    names = [name for name, of in TYPES.items() if of == dtype]
    if not names:
        raise TypeError(f"tensors of dtype {dtype} have no name of their own")
    return f"torch.{names[0]}"


def dtype_of_maker(kind: Any) -> Any:
    """The dtype that a maker stands for, or its name; what is none stays as it is."""
    name = kind if isinstance(kind, str) else getattr(kind, "__name__", None)
    return TYPES.get(name.removeprefix("torch."), kind) if isinstance(name, str) else kind


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "tensor_split": tensor_split,
    **{name: _split_along(name) for name in SPLITS},
    **{f"atleast_{rank}d": _at_least(rank) for rank in (1, 2, 3)},
    "swapdims": swapdims,
    "adjoint": adjoint,
    "view_as_real": view_as_real,
    "view_as_complex": view_as_complex,
    "split_with_sizes": split_with_sizes,
    "row_stack": vstack,
    "clone": _of_method("clone"),
    "detach": _of_method("detach"),
}
METHODS: dict[str, Any] = {
    **{name: FUNCTIONS[name] for name in ("tensor_split", *SPLITS, "swapdims", "adjoint")},
    "split_with_sizes": split_with_sizes,
    "narrow_copy": narrow_copy,
    "fill_diagonal_": fill_diagonal_,
    "type": type_,
    "H": property(_hermitian),
    "mH": property(adjoint),
}
MAKERS = {name: _maker(name, dtype) for name, dtype in TYPES.items()}
