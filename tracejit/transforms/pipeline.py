"""Transforms by name, the pipelines of the levels, and running them.

A transform is a pure function: valid graph in, valid graph out, same signature and meaning. It lives in the
module of its name (`expand-gradient` in `expand_gradient.py`), is registered there with `@transform`, and has a
folder of golden tests. What runs when is said here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TypeAlias

from tracejit import config
from tracejit.ir.core import Graph
from tracejit.ir.linking import relinked
from tracejit.ir.printer import called_graphs, print_graph
from tracejit.ir.verifier import verify as verify_graph

Transform: TypeAlias = Callable[[Graph], Graph]
Observer: TypeAlias = Callable[[str, Graph], None]

#: Simplification: of every graph, and again of what a derivation made.
LEVEL1 = ("canonicalize", "licm", "cse", "dce")
#: What turns a simplified graph into one that code generation takes.
LEVEL2 = (
    "plain-values",
    "scalarize",
    "defer-products",
    "turn-factors",
    "multiply-ahead",
    "lay-factors",
    "outer-products",
    "unstack",
    "ranges",
    "leave-unset",
    "hoist-elements",
    "wrap-aside",
    "last-trips",
    "carry-elements",
    "write-home",
    "sink-slices",
    "sink-reshapes",
    "sink-broadcasts",
    "split-totals",
    "fuse",
    "dce",
    "in-place-windows",
    "ownership",
    "independent",
)
#: Those of them that are for the CPU only.
CPU_ONLY = frozenset(
    (
        *("scalarize", "wrap-aside", "last-trips", "carry-elements", "defer-products", "turn-factors"),
        *("multiply-ahead", "lay-factors", "outer-products", "sink-slices", "hoist-elements"),
    )
)

_TRANSFORMS: dict[str, Transform] = {}


def level2(device: str) -> tuple[str, ...]:
    """The transforms of level 2 for a device."""
    return tuple(t for t in LEVEL2 if device == "cpu" or t not in CPU_ONLY)


def transform(name: str) -> Callable[[Transform], Transform]:
    """Register a function as the transform of that name."""

    def register(fn: Transform) -> Transform:
        if name in _TRANSFORMS:
            raise ValueError(f"transform {name!r} is defined twice")
        _TRANSFORMS[name] = fn
        return fn

    return register


def load(names: Sequence[str]) -> None:
    """Import the modules of transforms that will be needed."""
    for name in names:
        find(name)


def find(name: str) -> Transform:
    """The transform of that name, its module imported when needed; a `ValueError` where there is none."""
    if name not in _TRANSFORMS:
        module = f"{__package__}.{name.replace('-', '_')}"
        try:
            import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
    if name not in _TRANSFORMS:
        raise ValueError(f"there is no transform {name!r}")
    return _TRANSFORMS[name]


def run(graph: Graph, names: Sequence[str], observer: Observer | None = None, verify: bool | None = None) -> Graph:
    """The graph after the named transforms, in order; the graphs it calls go through them too.

    `observer(name, graph)` is told of each stage. `verify` (by default the setting of that name) checks the
    graph after the first transform and after each that changed it. `TRACEJIT_LOG=passes` prints every stage to
    stderr, `after:<name>` one of them.
    """
    verify = config.get("verify") if verify is None else verify
    graphs = called_graphs(graph)
    for position, name in enumerate(names):
        before, graph = graph, _step(graph, name, graphs)
        graphs = graphs if graph is before else called_graphs(graph)
        if verify and (position == 0 or graph is not before):
            verify_graph(graph, name)
        if observer is not None:
            observer(name, graph)
        topic = "passes" if config.logs("passes") else f"after:{name}"
        config.log(topic, f"@{graph.name} after {name}", lambda shown=graph: print_graph(shown))
    return graph


def _step(graph: Graph, name: str, graphs: Sequence[Graph]) -> Graph:
    """The graph after one transform, which all graphs that it calls, and itself, go through."""
    done = {g: find(name)(g) for g in graphs}
    changed = len(graphs) > 1 and any(new is not old for old, new in done.items())
    return relinked(done)[graph] if changed else done[graph]


class Stages:
    """An observer that remembers the graph after each stage; its text is made when it is asked for."""

    def __init__(self, graph: Graph) -> None:
        self.graphs: dict[str, Graph] = {"frontend": graph}

    def __call__(self, name: str, graph: Graph) -> None:
        self.graphs[f"after:{name}"] = graph

    def text(self, stage: str) -> str:
        """The graph of a stage (`frontend`, or `after:` and a transform: its last run); a `KeyError` names all."""
        if stage not in self.graphs:
            raise KeyError(f"no stage {stage!r}; there are {', '.join(self.graphs)}")
        return print_graph(self.graphs[stage])
