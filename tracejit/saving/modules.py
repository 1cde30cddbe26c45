"""The modules of a file: their tree, parameters, buffers and plain attributes, and the stand-ins that loading makes."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from tracejit.devices import device_of
from tracejit.eager.tensor import Tensor, wrap
from tracejit.errors import ExportError, ScriptError
from tracejit.nn import Module, Parameter
from tracejit.saving.codec import Decoder, Encoder, Unsaved

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

#: Tables of every module, written as such.
_TABLES = ("_parameters", "_buffers", "_modules")
_OWN = frozenset(("_kind", *(name for name in vars(Module()) if name.startswith("_"))))


def refuse_loaded(calls: Calls, args: Any, kwargs: Any, node: ast.AST) -> NoReturn:
    """A call, in a script, of what was loaded."""
    raise ScriptError(
        "what was loaded has no source to compile here", calls.ctx.frame.span(node), instead="call it outside"
    )


class LoadedPart(Module):
    """A module of a file: what the module that was saved held, without its code."""

    _kind: str  #: the name of the class that it stands for

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Only what was saved as a whole can be called."""
        raise RuntimeError(f"{self._kind} was loaded as a part of another module, which is called as a whole")

    forward.__tracejit_lower__ = refuse_loaded  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        return super().__repr__().replace(type(self).__name__, self._kind, 1)


class Arrays:
    """The arrays of a file by name; one array has one name."""

    def __init__(self) -> None:
        self.state: dict[str, np.ndarray[Any, Any]] = {}
        self.kept: dict[str, Any] = {}
        self._names: dict[int, str] = {}

    def add(self, value: Any, name: str) -> Any:
        """Write an array or Tensor; gives what stands for it."""
        known = self._names.get(id(value))
        if known is None:
            known = name
            while known in self.state:
                known += "_"
            self._names[id(value)], self.kept[known] = known, value
            tensor = value if isinstance(value, Tensor) else wrap(value)
            array = tensor.detach().cpu().numpy()
            split = array.dtype == np.complex128  # which safetensors files lack
            self.state[known] = array.copy().view(np.float64).reshape(*array.shape, 2) if split else array
        kind = next((cls.__name__ for cls in (Parameter, Tensor) if isinstance(value, cls)), "array")
        asks, is_split = getattr(value, "requires_grad", False), value.dtype == np.complex128
        return {"array": [known, kind, asks, is_split, device_of(getattr(value, "_data", value)).type]}

    def require_apart(self) -> None:
        """Raise ExportError where two arrays have memory in common, which two in a file have not."""
        tensors = ((name, getattr(x, "_data", x)) for name, x in self.kept.items())
        placed = sorted(
            ((*np.lib.array_utils.byte_bounds(x), name, x) for name, x in tensors if type(x) is np.ndarray and x.size),
            key=lambda item: item[:2],
        )
        for (_, end, name, array), (start, _, other, further) in itertools.pairwise(placed):
            if start < end and np.shares_memory(array, further):
                raise ExportError(f"cannot save {name!r} and {other!r}: they share memory; let one be a clone()")


class ReadArrays:
    """The arrays of a file, made when they are first asked for; `device`: where all of them are to be."""

    def __init__(self, state: Mapping[str, Tensor], device: Any = None) -> None:
        self.state = state
        self.device = device
        self.made: dict[str, Any] = {}

    def __call__(self, content: Any) -> Any:
        """The array of what `Arrays.add` gave."""
        name = content[0]
        if name not in self.made:
            self.made[name] = self.make(*content)
        return self.made[name]

    def make(self, name: str, kind: str, asks: bool, is_split: bool, device: str) -> Any:
        """A Parameter, Tensor or array."""
        array = self.state[name].numpy()
        if is_split:
            array = array.view(np.complex128).reshape(array.shape[:-1])
        made = wrap(array).to(self.device or device)
        if kind == "array":
            return made._data
        return Parameter(made, asks) if kind == "Parameter" else made.requires_grad_(asks)


def unwrapped(module: Any) -> Module:
    """A module; of a scripted one, that which it compiles."""
    return module.__tracejit_module__ if hasattr(type(module), "__tracejit_module__") else module


def write_modules(root: Module, arrays: Arrays) -> tuple[dict[str, Any], dict[int, frozenset[str]]]:
    """The tree of a module and all below it, and the names of what of each is in the file."""
    paths = {id(part): path for path, part in reversed(list(root.named_modules(remove_duplicate=False)))}
    tree: dict[str, Any] = {}
    names: dict[int, frozenset[str]] = {}
    for path, part in root.named_modules():
        encode = Encoder({})
        content: dict[str, Any] = {"class": getattr(part, "_kind", type(part).__name__)}
        for table in _TABLES[:2]:
            content[table] = {
                name: None if x is None else arrays.add(x, f"{path}.{name}" if path else name)
                for name, x in vars(part)[table].items()
            }
        content["_modules"] = {n: None if m is None else paths[id(unwrapped(m))] for n, m in part._modules.items()}
        content["unsaved"] = sorted(part._non_persistent)
        content["attributes"] = dict(_attributes(part, path, arrays, encode))
        tree[path] = content
        names[id(part)] = frozenset((*content["attributes"], *(n for t in _TABLES for n in vars(part)[t]), *_TABLES))
    return tree, names


def _attributes(part: Module, path: str, arrays: Arrays, encode: Encoder) -> Iterator[tuple[str, Any]]:
    """The plain values and arrays among a module's own attributes."""
    for name, value in vars(part).items():
        if name in _OWN:
            continue
        encode.array = lambda x, name=name: arrays.add(x, f"{path}.{name}" if path else name)
        try:
            yield name, encode(value)
        except Unsaved:
            continue


def read_modules(tree: Mapping[str, Any], arrays: ReadArrays) -> dict[str, LoadedPart]:
    """The modules of a file by their paths."""
    parts = {path: LoadedPart() for path in tree}
    decode = Decoder({}, arrays)
    for path, content in tree.items():
        part = parts[path]
        own = vars(part)
        own["_kind"] = str(content["class"])
        own["_parameters"].update({n: decode(x) for n, x in content["_parameters"].items()})
        own["_buffers"].update({n: decode(x) for n, x in content["_buffers"].items()})
        own["_modules"].update({n: None if p is None else parts[p] for n, p in content["_modules"].items()})
        own["_non_persistent"].update(content["unsaved"])
        own.update({n: decode(x) for n, x in content["attributes"].items()})
    return parts
