"""`tracejit.jit.save`: the specialisations of a script, and what they read from outside, in one file.

Of each call that a script was compiled for, the file has the lowering of that very call and, where that can be had, one
for arrays of any sizes. Facts that the second does not rely on (how arrays lie in memory, which of them ask for
gradients) are not asked of arguments later. Parts of the module that is saved are named; all else from outside is as
it is now: values are compiled in, arrays are in the file.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tracejit.deploy.capture import require_arguments
from tracejit.eager.modes import MODE
from tracejit.eager.random import STATE
from tracejit.errors import ExportError, ScriptError
from tracejit.frontend.boundary.signature import (
    MISSING,
    Access,
    ArraySpec,
    Spec,
    StaticSpec,
    TreeSpec,
    constant_access,
    matches,
    step_kind,
)
from tracejit.frontend.function import Input, Lowered, any_sizes, hidden_name
from tracejit.frontend.restarts import MustTell
from tracejit.frontend.tensors.array_facts import GRADIENTS, LAYOUT, taken_as
from tracejit.ir.core import Graph, walk
from tracejit.ir.printer import called_graphs
from tracejit.nn import Module
from tracejit.records import record
from tracejit.saving.archive import EXTRA, GRAPHS, SCRIPT, WEIGHTS, Content, write_archive
from tracejit.saving.codec import Encoder, Unsaved
from tracejit.saving.loaded import LoadedFunction, LoadedModule
from tracejit.saving.modules import Arrays, unwrapped, write_modules
from tracejit.scripted import ScriptedFunction, TracedFunction, script
from tracejit.scripted.function import BoundScript, Specialisation
from tracejit.transforms import pipeline
from tracejit.weights import writing

FORMAT = 1

#: The dict of outer values, and by their names the things of tracejit that scripts read: those of the process that
#: loads a file are meant.
OUTSIDE, PROCESS = "outside", {"gradient mode": MODE, "random state": STATE}


def save(
    fn: Any, file: Any, example_args: Sequence[Any] | None = None, extra_files: Mapping[str, str | bytes] | None = None
) -> None:
    """Write a script or a scripted module to a path or an open file, so that `load` needs none of its source.

    The file has what `fn` was compiled for so far: dtypes, ranks, compiled-in values, modes of modules. With
    `example_args` it has that of a call with these alone, and nothing is run. `extra_files` are further contents by
    name. Raises ExportError where something cannot be written, ScriptError for examples that cannot be compiled.
    """
    root, functions = _functions_of(fn)
    made = _Writer(root)
    for name, function in functions.items():
        calls = function.calls_of(root)
        if example_args is not None:
            require_arguments(example_args)
            calls = function.call(example_args) if name == _MAIN[root is not None] else []
        made.function(name, function, calls)
    if not any(content["entries"] for content in made.functions.values()):
        raise ExportError(
            f"cannot save {fn!r}: it was not called yet, with what is outside now; call it, or give example_args"
        )
    write_archive(file, made.members(extra_files or {}))


#: The name of the function that calls of what is loaded run: of a function alone, of a module.
_MAIN = {False: "", True: "forward"}


@record
class _Call:
    """What a function was compiled for; `aliases` are pairs of arguments that are the same array."""

    made: Specialisation
    aliases: tuple[tuple[int, int], ...]


@record
class _Function:
    """A function to be saved; `bound` are the arguments that it is bound to."""

    script: ScriptedFunction
    bound: tuple[Any, ...] = ()

    def calls_of(self, root: Module | None) -> list[_Call]:
        """The calls so far, of a method those of one module."""
        found = [
            _Call(made, aliases) for (_, aliases), known in list(self.script._cache.items()) for made in list(known)
        ]
        return [c for c in found if not self.bound or c.made.parameters[0] == StaticSpec(root)]

    def call(self, examples: Sequence[Any]) -> list[_Call]:
        """A call with examples."""
        made = self.script.specialise(self.script.bind((*self.bound, *examples), {}))
        return [c for c in self.calls_of(self.bound[0] if self.bound else None) if c.made is made]


def _functions_of(fn: Any) -> tuple[Module | None, dict[str, _Function]]:
    """The module to be saved, if it is one, and the functions by the names of its methods."""
    if isinstance(fn, TracedFunction) and isinstance(fn.traced, Module):
        return fn.traced, {"forward": _Function(fn)}
    made = script(fn)
    if isinstance(made, ScriptedFunction):
        return None, {"": _Function(made)}
    if type(made) is LoadedModule:
        module, methods = made.__dict__["module"], made.__dict__["methods"]
        return module, {n: _Function(m, (module,) if m.is_bound else ()) for n, m in methods.items()}
    if isinstance(made, BoundScript):
        raise ExportError(f"cannot save {fn!r}, a method: save its module")
    module = getattr(made, "__tracejit_module__", None)
    if not isinstance(module, Module):
        raise ExportError(f"cannot save {fn!r}: it is no function or module")
    methods = {n: m for cls in reversed(type(module).__mro__) for n, m in vars(cls).items()}
    scripts = {n: _Function(m, (module,)) for n, m in methods.items() if isinstance(m, ScriptedFunction)}
    return module, {**scripts, "forward": _Function(made.__dict__["script"], (module,))}


class _Writer:
    """What becomes of functions and the module that they are methods of."""

    def __init__(self, root: Module | None) -> None:
        self.arrays = Arrays()
        self.tree, self.names = ({}, {}) if root is None else write_modules(root, self.arrays)
        self.parts = {} if root is None else {id(part): path for path, part in root.named_modules()}
        self.outside: dict[str, Any] = {}
        self.held: dict[str, Any] = {}  #: stands for the dict of outer values
        named = {id(self.held): OUTSIDE, **{id(thing): name for name, thing in PROCESS.items()}}
        named.update((i, f"module {path}") for i, path in self.parts.items())
        for part in () if root is None else root.modules():
            named.update((id(m), named[id(unwrapped(m))]) for m in part._modules.values() if m is not None)
        self.encode = _References(named, self.names)
        self.places = {
            id(x): constant_access(part).step("attribute", name)  # where modules have arrays that a trace met itself
            for part in (() if root is None else root.modules())
            for table in (part._parameters, part._buffers)
            for name, x in table.items()
        }
        self.graphs: dict[str, str] = {}  #: names of members by their texts
        self.functions: dict[str, Any] = {}

    def members(self, extra: Mapping[str, str | bytes]) -> dict[str, Content]:
        """The members of the archive."""
        self.arrays.require_apart()
        content = {
            "format": FORMAT,
            "modules": self.tree,
            "outside": self.outside,
            "functions": self.functions,
        }
        members: dict[str, Content] = {SCRIPT: json.dumps(content, allow_nan=False).encode()}
        members.update({name: text.encode() for text, name in self.graphs.items()})
        try:
            members[WEIGHTS] = writing(self.arrays.state)
        except TypeError as error:
            raise ExportError(f"cannot save {error}") from error
        members.update({EXTRA + n: x.encode() if isinstance(x, str) else x for n, x in extra.items()})
        return members

    # -- functions ----------------------------------------------------------------------------------------------

    def function(self, name: str, function: _Function, calls: Sequence[_Call]) -> None:
        """Write a function with what it was compiled for."""
        script = function.script
        try:
            self.functions[name] = {
                "name": script.__name__,
                "bound": bool(function.bound),
                "parameters": [self.parameter(p) for p in script.signature.parameters.values()],
                "static": list(script.options.static),
                "told": self.encode(tuple(sorted(script._static, key=repr))),
                "sizes": self.encode(tuple(sorted((s for s in script._sizes if s[0].root >= 0), key=repr))),
                "numbers": script._takes_numbers,
                "entries": list(self.entries(script, calls)),
            }
        except Unsaved as error:
            raise ExportError(f"cannot save {script.__name__}: a file cannot hold {error}") from None

    def parameter(self, p: inspect.Parameter) -> list[Any]:
        """A parameter, with its default."""
        return [p.name, int(p.kind), self.plain(p.default, p.name)]

    def plain(self, value: Any, name: str) -> Any:
        """A value from outside that may hold arrays."""
        return Encoder({}, lambda array: self.arrays.add(array, name))(value)

    def entries(self, script: ScriptedFunction, calls: Sequence[_Call]) -> Iterator[Any]:
        """What the file has of calls; of a loaded function, what its file had."""
        if isinstance(script, LoadedFunction):
            for known in script.entries:
                yield self.entry(known.whole, known.specs, known.aliases, known.free, known.any_size)
            return
        for call in calls:
            yield from self.of_call(script, call)

    def of_call(self, script: ScriptedFunction, call: _Call) -> Iterator[Any]:
        """What the file has of a call: nothing where what was compiled in is no more."""
        made = call.made
        with _set(self.settings(made.lowered.guards)):
            outer = ((a, spec) for a, spec in made.lowered.guards.items() if a.root < 0)
            if not all(matches(spec, a.fetch(())) for a, spec in outer):
                return
            yield self.entry(made.lowered, made.parameters, call.aliases)
            if made.lowered.gradients or made.lowered.reports:
                return  # what is found in `.grad`, and left by errors, is told of single calls
            specs = tuple(_of_any_size(s, Access(i), script._sizes) for i, s in enumerate(made.parameters))
            try:
                general, free = self.general(script, specs, call)
            except (ScriptError, MustTell):
                return
            yield self.entry(general, specs, call.aliases, free, any_size=True)

    def settings(self, guards: Mapping[Access, Spec]) -> dict[tuple[Any, str], Any]:
        """What was otherwise when this was compiled: attributes of modules such as `training`, the gradient mode."""
        found: dict[tuple[Any, str], Any] = {}
        for access, spec in guards.items():
            owner, steps = access.constant, access.steps
            if len(steps) != 1 or steps[0][0] != "attribute" or not isinstance(spec, StaticSpec):
                continue
            name = steps[0][1]
            is_set = id(owner) in self.parts and name in vars(owner) and name in self.names[id(owner)]
            if (is_set or owner is MODE) and spec.value is not MISSING and not matches(spec, getattr(owner, name)):
                found[owner, name] = spec.value
        return found

    def general(self, script: ScriptedFunction, specs: Sequence[Spec], call: _Call) -> tuple[Lowered, set[str]]:
        """The lowering for arrays of any sizes, and the facts that it does not rely on. Raises ScriptError and
        MustTell."""
        names = script.signature.parameters
        parameters = [(n, Access(i), s) for i, (n, s) in enumerate(zip(names, specs, strict=True))]
        aliases = {Access(a): Access(b) for a, b in call.aliases}

        def lowered(change: Callable[[ArraySpec], ArraySpec]) -> tuple[Lowered, set[str]]:
            with taken_as(change) as asked, any_sizes():
                made = script.lower(parameters, aliases)
            return dataclasses.replace(made, graph=pipeline.run(made.graph, ("dce",))), asked

        made, asked = lowered(lambda spec: spec)
        text = self.text(made)

        def is_same(change: Callable[[ArraySpec], ArraySpec]) -> bool:
            try:
                return self.text(lowered(change)[0]) == text
            except (ScriptError, MustTell):
                return False

        free = {fact for fact, changes in _CHANGES.items() if fact not in asked and all(map(is_same, changes))}
        return made, free

    def text(self, made: Lowered) -> str:
        """A lowering without the specs of its inputs."""
        return f"{made.graph} {made.result} {made.changes} {made.reports}"

    def entry(
        self,
        made: Lowered,
        specs: Sequence[Spec],
        aliases: Sequence[tuple[int, int]],
        free: Collection[str] = (),
        any_size: bool = False,
    ) -> dict[str, Any]:
        """A lowering, and the facts that it does not rely on."""
        encode, graph = self.encode, made.graph
        return {
            "graph": self.graphs.setdefault(str(graph), f"{GRAPHS}{len(self.graphs)}.tj"),
            "specs": encode(tuple(specs)),
            "aliases": encode(tuple(aliases)),
            "inout": encode(graph.inout),
            "inputs": [encode(self.input(i)) for i in made.inputs],
            "result": encode(made.result),
            "guards": list(self.guards(made.guards)),
            "gradients": encode(made.gradients),
            "changes": encode(made.changes),
            "reports": encode(made.reports),
            "tensors": made.tensors,
            "for read-only": made.for_read_only,
            "free": sorted(free),
            "any size": any_size,
            "spans": _spans(graph),
        }

    def input(self, given: Input) -> Input:
        """An input; what is no part of the module is an outer value of the file."""
        access = given.access
        if access.root >= 0 or self.encode.is_named(access):
            return given
        own = access.parent if access.steps and access.steps[-1] == _GRADIENT else access
        value = own.fetch(())
        made = self.places.get(id(value)) or self.outer(own, value)
        return dataclasses.replace(given, access=made if own is access else made.step(*_GRADIENT))

    def outer(self, access: Access, value: Any) -> Access:
        """The access of an outer value."""
        name = next((n for n, x in self.held.items() if x is value), None)
        if name is None:
            name = base = hidden_name(access)
            while name in self.held:
                name += "_"
            self.held[name], self.outside[name] = value, self.plain(value, base)
        return constant_access(self.held).step("item", name)

    def guards(self, guards: Mapping[Access, Spec]) -> Iterator[Any]:
        """Those about arguments, and about what is in the file of the module."""
        for access, spec in guards.items():
            if access.root >= 0:
                yield [self.encode(access), self.encode(spec)]
                continue
            try:
                self.restore(access, spec)
                yield [self.encode(access), self.encode(spec)]
            except Unsaved:
                continue

    def restore(self, access: Access, spec: Spec) -> None:
        """Let the file have a value that a module has from its class."""
        path, steps = self.parts.get(id(access.constant)), access.steps
        if path is None or len(steps) != 1 or not isinstance(spec, StaticSpec):
            return
        kind, name = steps[0]
        known = self.names[id(access.constant)]
        if kind == "attribute" and name not in known:
            if spec.value is not MISSING:
                self.tree[path]["attributes"][name] = Encoder({})(spec.value)
            self.names[id(access.constant)] = known | {name}


class _References(Encoder):
    """Writes accesses of what is in the file; `names` are those that each module has there."""

    def __init__(self, named: Mapping[int, str], names: Mapping[int, Collection[str]]) -> None:
        super().__init__(named)
        self.names = names

    def is_named(self, access: Access) -> bool:
        """Whether an access leads to what is in the file."""
        owner = id(access.constant)
        if owner not in self.names:
            return owner in self.named
        return not access.steps or (access.steps[0][0] == "attribute" and access.steps[0][1] in self.names[owner])

    def rare(self, value: Any) -> Any:
        if isinstance(value, Access) and value.root < 0 and not self.is_named(value):
            raise Unsaved(value.constant)
        return super().rare(value)


_GRADIENT = ("attribute", "grad")

#: As what arrays are lowered to see whether a program relies on a fact.
_CHANGES: dict[str, tuple[Callable[[ArraySpec], ArraySpec], ...]] = {
    GRADIENTS: tuple(
        lambda spec, on=on: dataclasses.replace(spec, requires_grad=on and spec.tensor and spec.dtype.is_inexact)
        for on in (False, True)
    ),
    LAYOUT: tuple(lambda spec, order=order: dataclasses.replace(spec, order=order) for order in ("any", "C")),
}


def _of_any_size(spec: Spec, access: Access, known: Collection[tuple[Access, int]]) -> Spec:
    """A spec that says nothing of sizes, but for the `known` ones, which decide what the program is."""
    if isinstance(spec, ArraySpec):
        dims = tuple(n if (access, axis) in known else None for axis, n in enumerate(spec.dims))
        return dataclasses.replace(spec, dims=dims)
    if isinstance(spec, TreeSpec):
        step = step_kind(spec.type)
        parts = zip(spec.keys, spec.children, strict=True)
        return dataclasses.replace(spec, children=tuple(_of_any_size(s, access.step(step, k), known) for k, s in parts))
    return spec


def _spans(graph: Graph) -> list[Any]:
    """Where in the source the ops of a graph and of those it calls come from, in the order of the text: the places, and
    for each op the number of its place."""
    places: dict[Any, int] = {}
    numbers = [
        -1 if op.span is None else places.setdefault(op.span, len(places))
        for called in called_graphs(graph)
        for op in walk(called.body)
    ]
    fields = [[getattr(span, f.name) for f in dataclasses.fields(span)] for span in places]
    return [fields, numbers]


@contextmanager
def _set(settings: Mapping[tuple[Any, str], Any]) -> Iterator[None]:
    """Attributes as they were when something was compiled."""
    before = {(owner, name): getattr(owner, name) for owner, name in settings}
    try:
        for (owner, name), value in settings.items():
            vars(owner)[name] = value
        yield
    finally:
        for (owner, name), value in before.items():
            vars(owner)[name] = value
