"""`tracejit.jit.load`: what `save` wrote, as something to call."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tracejit.deploy import load as load_exported
from tracejit.deploy.graph_file import require_valid
from tracejit.errors import ExportError, ParseError, Span
from tracejit.ir.core import Graph, walk
from tracejit.ir.parser import parse_all
from tracejit.saving.archive import EXTRA, GRAPHS, SCRIPT, WEIGHTS, is_archive, reading
from tracejit.saving.codec import Decoder
from tracejit.saving.loaded import Entry, LoadedFunction, LoadedModule
from tracejit.saving.modules import ReadArrays, read_modules
from tracejit.saving.writing import FORMAT, OUTSIDE, PROCESS
from tracejit.weights import read_weights


def load(file: Any, device: Any = None, extra_files: dict[str, Any] | None = None) -> Any:
    """What was saved or exported, as something to call: a script or module (`tracejit.jit.save`), a graph (`.tj`)
    compiled for this machine, or a shared library (`.so`).

    Nothing of a file but the code of a `.so` is executed. `device` is where the arrays of a script shall be, if not
    where they were; `extra_files` gets the contents of the names that it has. Raises ExportError for what is no such
    file or damaged.
    """
    if isinstance(file, str | os.PathLike) and Path(file).suffix in (".so", ".tj") and not is_archive(Path(file)):
        return load_exported(Path(file))
    with reading(file) as (archive, name):
        try:
            content = json.loads(archive.read(SCRIPT))
            if content["format"] != FORMAT:
                raise ExportError(f"{name} has format {content['format']}, this tracejit reads {FORMAT}")
            with archive.open(WEIGHTS) as opened:
                state = read_weights(opened, archive.getinfo(WEIGHTS).file_size, name)
            texts = {n: archive.read(n).decode() for n in archive.namelist() if n.startswith(GRAPHS)}
            for key in () if extra_files is None else tuple(extra_files):
                if EXTRA + key in archive.namelist():
                    extra_files[key] = archive.read(EXTRA + key)  # type: ignore[index]
            return _made(content, ReadArrays(state, device), texts)
        except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
            raise ExportError(f"cannot load {name}: it is damaged ({error})") from error


def _made(content: Mapping[str, Any], arrays: ReadArrays, texts: Mapping[str, str]) -> Any:
    """The script of a file."""
    parts = read_modules(content["modules"], arrays)
    outside: dict[str, Any] = {}
    named = {**PROCESS, OUTSIDE: outside, **{f"module {path}": part for path, part in parts.items()}}
    decode = Decoder(named, arrays)
    outside.update({name: decode(value) for name, value in content["outside"].items()})
    methods = {name: _function(f, decode, texts) for name, f in content["functions"].items()}
    return LoadedModule(parts[""], methods) if parts else methods[""]


def _function(content: Mapping[str, Any], decode: Decoder, texts: Mapping[str, str]) -> LoadedFunction:
    parameters = [
        inspect.Parameter(name, inspect._ParameterKind(kind), default=decode(default))
        for name, kind, default in content["parameters"]
    ]
    entries = [_entry(entry, decode, texts) for entry in content["entries"]]
    made = LoadedFunction(content["name"], inspect.Signature(parameters), entries, content["bound"], content["static"])
    made.told(decode(content["told"]), decode(content["sizes"]), content["numbers"])
    return made


def _entry(content: Mapping[str, Any], decode: Decoder, texts: Mapping[str, str]) -> Entry:
    text = texts[content["graph"]]
    return Entry(
        f"{text}{content['spans']}",
        lambda: _graph(text, content),
        decode(content["specs"]),
        decode(content["aliases"]),
        decode(content["inout"]),
        decode(content["inputs"]),
        dict(decode(content["guards"])),
        {
            "result": decode(content["result"]),
            "gradients": decode(content["gradients"]),
            "changes": decode(content["changes"]),
            "reports": decode(content["reports"]),
            "tensors": bool(content["tensors"]),
            "for_read_only": bool(content["for read-only"]),
        },
        frozenset(content["free"]),
        bool(content["any size"]),
    )


def _graph(text: str, content: Mapping[str, Any]) -> Graph:
    """A graph; its ops are those of the lines that they had in the source."""
    try:
        graphs = parse_all(text)
        places = [Span(*fields) for fields in content["spans"][0]]
        ops = [op for graph in graphs for op in walk(graph.body)]
        for op, number in zip(ops, content["spans"][1], strict=True):
            object.__setattr__(op, "span", places[number] if number >= 0 else None)
    except (ParseError, ValueError, TypeError, IndexError) as error:
        raise ExportError(f"the loaded file is damaged: {error}") from error
    require_valid(graphs[0], "a graph of the file")
    return graphs[0]
