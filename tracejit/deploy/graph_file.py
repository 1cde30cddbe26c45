"""Graphs as files: the text (`.tj`), and beside it the arrays it needs (`.tj.safetensors`).

The first line of a text that needs arrays is a comment with the name of their file. An array's name ends in the place
of its parameter: `weight.1` is for the second one. Nothing in either file is executed.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tracejit.deploy.files import write_atomically
from tracejit.errors import ExportError, VerifyError
from tracejit.ir.core import Graph, Value
from tracejit.ir.parser import parse
from tracejit.ir.types import ScalarType
from tracejit.ir.verifier import verify
from tracejit.scripted.compiler import Compiled, compile_graph
from tracejit.weights import load_weights, save_weights

_WEIGHTS = re.compile(r"// weights: ([^/\\\n]+)\n")


def write_graph(graph: Graph, path: Path, constants: Mapping[int, np.ndarray[Any, Any]]) -> Path:
    """Write a graph and the arrays for its parameters at the keys of `constants`; gives the path of the text. Raises
    ExportError where they cannot be written, as for an array of a dtype that safetensors files lack."""
    text = f"{graph}\n"
    if constants:
        beside = path.with_name(f"{path.name}.safetensors")  # a module's own weights may be in `path`.safetensors
        try:
            save_weights({f"{graph.params[i].name}.{i}": array for i, array in constants.items()}, beside)
        except (OSError, TypeError) as error:
            raise ExportError(f"cannot write {beside}: {getattr(error, 'strerror', None) or error}") from error
        text = f"// weights: {beside.name}\n{text}"
    write_atomically(path, text.encode())
    return path


def read_graph(path: Path) -> LoadedGraph:
    """A graph that `write_graph` wrote, compiled for this machine. Raises ExportError for a file that cannot be read,
    ParseError for another text, ValueError for damaged arrays."""
    text = _text(path)
    graph = parse(text, str(path))
    require_valid(graph, str(path))
    named = _WEIGHTS.match(text)
    weights = {} if named is None else _weights(path.with_name(named[1]), path, graph)
    return LoadedGraph(compile_graph(graph), weights)


def require_valid(graph: Graph, name: str) -> None:
    """Raise ExportError for a graph whose types contradict each other: somebody wrote it by hand."""
    try:
        verify(graph)
    except VerifyError as error:
        reason = str(error).partition("\n\n")[0]
        raise ExportError(f"cannot load {name}: {reason}") from None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise ExportError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ExportError(f"cannot read {path}: it is no text") from None


def _weights(beside: Path, path: Path, graph: Graph) -> dict[int, np.ndarray[Any, Any]]:
    """The arrays of a graph by the place of their parameter."""
    try:
        state = load_weights(beside)
    except OSError as error:
        raise ExportError(f"cannot read the weights of {path}, {beside}: {error.strerror}") from error
    found: dict[int, np.ndarray[Any, Any]] = {}
    for name, tensor in state.items():
        place = name.rpartition(".")[2]
        if not (place.isdecimal() and int(place) < len(graph.params)):
            raise ExportError(f"{beside}: tensor {name!r} is of no parameter of {path}")
        found[int(place)] = tensor.numpy()
    return found


class LoadedGraph:
    """A graph read from text: call it with arrays and numbers in the order of its parameters, but for those that the
    arrays beside it are for."""

    def __init__(self, compiled: Compiled, weights: Mapping[int, np.ndarray[Any, Any]]) -> None:
        self.compiled = compiled
        self.weights = weights
        self._free = [i for i in range(len(compiled.graph.params)) if i not in weights]

    @property
    def graph(self) -> Graph:
        """The graph."""
        return self.compiled.graph

    def __call__(self, *args: Any) -> Any:
        """Run it; gives its one result or a tuple."""
        if len(args) != len(self._free):
            raise TypeError(f"{self.graph.name} takes {len(self._free)} arguments, got {len(args)}")
        results = self.compiled(self._inputs(args))[: self.compiled.n_results]
        return results[0] if len(results) == 1 else tuple(results)

    def _inputs(self, args: Sequence[Any]) -> list[Any]:
        inputs: list[Any] = [self.weights.get(i) for i in range(len(self.graph.params))]
        for i, arg in zip(self._free, args, strict=True):
            value = getattr(arg, "_data", arg)
            _check_number(self.graph.params[i], value)
            inputs[i] = value
        return inputs

    def __repr__(self) -> str:
        return f"<graph {self.graph.name}>"


def _check_number(parameter: Value, value: Any) -> None:
    """Raise TypeError for a fraction where an integer is wanted, which a conversion would cut."""
    if isinstance(parameter.type, ScalarType) and parameter.type.dtype.is_integer:
        try:
            operator.index(value)
        except TypeError:
            raise TypeError(f"{parameter.name}: expected an integer, got {value!r}") from None
