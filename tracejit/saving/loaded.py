"""Scripts that were read from a file: functions and modules whose specialisations are all there from the start."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tracejit.eager.hooks import BACKWARD_TABLES, FORWARD_TABLES, MODULE_HOOKS
from tracejit.errors import ExportError
from tracejit.frontend.boundary.signature import (
    Access,
    ArraySpec,
    NumberSpec,
    NumbersSpec,
    Spec,
    StaticSpec,
    TreeSpec,
    matches,
    python_type,
    spec_of,
)
from tracejit.frontend.function import Input, Lowered, any_size_wanted
from tracejit.frontend.syntax.source import FunctionSource
from tracejit.frontend.tensors.array_facts import GRADIENTS, LAYOUT
from tracejit.ir.core import Graph
from tracejit.ir.types import DType, ScalarType, TensorType, Type
from tracejit.locks import cached_property
from tracejit.saving.modules import LoadedPart, refuse_loaded
from tracejit.scripted import ScriptedFunction, ScriptedModule
from tracejit.scripted.function import Specialisation
from tracejit.scripted.kept import Kept
from tracejit.scripted.options import Options
from tracejit.scripted.reachable import Reachable


@dataclasses.dataclass(eq=False)
class Entry:
    """One lowering of a file. Its graph is read when it is needed."""

    content: str  #: what the graph and the places of its ops are
    graph: Callable[[], Graph]
    specs: tuple[Spec, ...]
    aliases: tuple[tuple[int, int], ...]
    inout: tuple[int, ...]
    inputs: tuple[Input, ...]
    guards: dict[Access, Spec]
    parts: dict[str, Any]  #: the other fields of the `Lowered`
    free: frozenset[str] = frozenset()  #: facts that it does not rely on
    any_size: bool = False

    @cached_property
    def _graph(self) -> Graph:
        graph = self.graph()
        fits = [*map(_type_in, graph.param_types)] == [*map(_type_of, self.inputs)]
        if not fits or graph.inout != self.inout:
            raise ExportError(f"the loaded file is damaged: {graph.name} takes other inputs than it says")
        return graph

    @property
    def whole(self) -> Lowered:
        """The lowering as it is in the file."""
        return Lowered(self._graph, self.inputs, guards=self.guards, **self.parts)

    def lowered(
        self, specs: Sequence[Spec], aliases: Sequence[tuple[int, int]], arguments: Sequence[Any] | None
    ) -> Lowered | None:
        """The lowering for these specs, and for these arguments if there is a call; None where it is for others."""
        if tuple(aliases) != self.aliases or (any_size_wanted() and not self.any_size):
            return None
        if not all(map(_is_alike, self.specs, specs)):
            return None
        for access, spec in self.guards.items():
            known = access.root < 0 or arguments is not None
            if known and not matches(spec, access.fetch(arguments or ())):
                return None
        inputs = [self.input(i, x, specs) for i, x in enumerate(self.inputs)]
        found = tuple(x for x in inputs if x is not None)
        if len(found) < len(inputs):
            return None
        return dataclasses.replace(self.whole, inputs=found)

    def input(self, index: int, saved: Input, specs: Sequence[Spec]) -> Input | None:
        """An input as it is found in a call; None where the lowering is not for it."""
        access, spec = saved.access, saved.spec
        if saved.is_list:
            return saved
        value = access.fetch(()) if access.root < 0 else None
        try:
            given = _spec_at(specs, access) if access.root >= 0 else spec_of(value)
        except (TypeError, LookupError):
            return None
        if isinstance(spec, NumberSpec):
            return saved if given == spec else None
        if not isinstance(given, ArraySpec) or not _is_alike(spec, given):
            return None
        sizes = given.dims if value is None else value.shape
        if not all(map(self.takes_size, spec.dims, sizes)):
            return None
        relied = (
            (spec.contiguous == given.contiguous or LAYOUT in self.free)
            and (spec.requires_grad == given.requires_grad or GRADIENTS in self.free)
            and (spec.writeable == given.writeable or (spec.writeable and index not in self.inout))
        )
        dims = tuple(d if n is None else n for n, d in zip(spec.dims, given.dims, strict=True))
        return dataclasses.replace(saved, spec=dataclasses.replace(given, dims=dims)) if relied else None

    def missed(self) -> Iterator[str]:
        """What it needs of modules and else from outside that is not so now."""
        for access, spec in self.guards.items():
            if access.root < 0 and access.steps and not matches(spec, access.fetch(())):
                yield f"{access.steps[-1][1]}={spec.value!r}" if isinstance(spec, StaticSpec) else access.text(())
        for i, x in enumerate(self.inputs):
            if x.access.root < 0 and self.input(i, x, ()) is None:
                yield f"{x.access.text(())}: {_spec_text(x.spec, self)}"

    def takes_size(self, saved: int | None, given: int | None) -> bool:
        """Whether it is for a size; None: 2 or more, here of any size."""
        if saved is None:
            return self.any_size or given is None or given > 1
        return saved == given


def _type_of(x: Input) -> tuple[DType, tuple[int | None, ...] | None]:
    """The dtype of an input, and what is known about its sizes."""
    return x.spec.dtype, x.spec.dims if isinstance(x.spec, ArraySpec) else None


def _type_in(type: Type) -> tuple[DType, tuple[int | None, ...] | None]:
    """The same of a parameter of a graph."""
    if isinstance(type, TensorType):
        return type.dtype, tuple(n if isinstance(n, int) else None for n in type.shape)
    assert isinstance(type, ScalarType), "lists are no parameters"
    return type.dtype, None


def _spec_at(specs: Sequence[Spec], access: Access) -> Spec:
    """The spec of a part of an argument."""
    spec = specs[access.root]
    for _, key in access.steps:
        if not isinstance(spec, TreeSpec):
            raise LookupError(key)
        spec = spec.children[spec.keys.index(key)]
    return spec


def _is_alike(saved: Spec, given: Spec) -> bool:
    """Whether specs are the same but for facts about arrays that inputs are asked for."""
    match saved, given:
        case ArraySpec(), ArraySpec():
            same = (saved.dtype, saved.tensor, saved.device) == (given.dtype, given.tensor, given.device)
            return same and len(saved.dims) == len(given.dims)
        case TreeSpec(kind, keys, children), TreeSpec():
            same = _is_same_kind(kind, given.type) and keys == given.keys
            return same and all(map(_is_alike, children, given.children))
        case NumberSpec(weak=True), StaticSpec(value) if type(value) is not bool:
            return spec_of(value) == saved
        case _:
            return saved == given


def _is_same_kind(saved: type, given: type) -> bool:
    """Whether containers are of one type: named tuples by name and fields."""
    if saved is given:
        return True
    fields = getattr(saved, "_fields", None)
    return fields is not None and fields == getattr(given, "_fields", None) and saved.__name__ == given.__name__


class LoadedFunction(ScriptedFunction):
    """A script from a file. Calls of other kinds than those it was saved for are a TypeError that lists them."""

    runs_plain = False

    def __init__(
        self, name: str, signature: inspect.Signature, entries: Sequence[Entry], bound: bool, static: Sequence[str]
    ) -> None:
        def call(*args: Any, **kwargs: Any) -> Any:
            return self(*args, **kwargs)

        call.__name__ = call.__qualname__ = name
        call.__doc__ = None
        call.__signature__ = signature  # type: ignore[attr-defined]
        super().__init__(call, Options(static=tuple(static)))
        self.entries = tuple(entries)
        self.is_bound = bound  #: whether the first parameter is the module

    def told(self, static: Sequence[Access], sizes: Sequence[tuple[Access, int]], takes_numbers: bool) -> None:
        """Which numbers and sizes are compiled in, and whether lists of many numbers are run-time values."""
        self._static, self._sizes, self._takes_numbers = set(static), set(sizes), takes_numbers

    @cached_property
    def source(self) -> FunctionSource:
        """A stand-in: there is no text."""
        node = ast.parse("def loaded(): pass").body[0]
        assert isinstance(node, ast.FunctionDef)
        return FunctionSource(node, "<loaded>", self.__name__, {}, {}, self.__tracejit_function__)

    def __reduce__(self) -> Any:
        file = io.BytesIO()
        self.save(file)
        return _from_bytes, (file.getvalue(),)

    def __repr__(self) -> str:
        return f"<loaded function {self.__name__}>"

    def _lowered(
        self,
        kept: Kept | None,
        specs: tuple[Spec, ...],
        aliases: dict[Access, Access],
        arguments: Sequence[Any],
    ) -> Specialisation:
        entry, lowered = self.chosen(specs, aliases, arguments)
        layouts = ",".join(getattr(i.spec, "order", "C") for i in lowered.inputs)
        nothing = Reachable(())
        is_kept = lowered.graph.device == "cpu"
        own = Kept(nothing, nothing.key("loaded", entry.content, layouts)) if is_kept else None
        return Specialisation(lowered, specs, bool(aliases), own)

    def lower(self, parameters: Sequence[tuple[str, Access, Spec]], aliases: dict[Access, Access]) -> Lowered:
        """The lowering for parameters of these specs."""
        return self.chosen([spec for _, _, spec in parameters], aliases, None)[1]

    def chosen(
        self, specs: Sequence[Spec], aliases: Mapping[Access, Access], arguments: Sequence[Any] | None
    ) -> tuple[Entry, Lowered]:
        """The first lowering that fits. Raises TypeError where none does."""
        same = sorted((a.root, b.root) for a, b in aliases.items())
        for entry in self.entries:
            lowered = entry.lowered(specs, same, arguments)
            if lowered is not None:
                return entry, lowered
        asked = self.described(specs, None)
        general = [*(e.any_size for e in self.entries[1:]), False]  # one stands behind that of the same call
        shown = (e for e, follows in zip(self.entries, general, strict=True) if e.any_size or not follows)
        there = dict.fromkeys(self.described(e.specs, e) for e in shown)
        listed = "\n  ".join(there) if there else "nothing"
        raise TypeError(f"what was saved of {self.__name__} is not for a call\n  {asked}\nbut for\n  {listed}")

    def described(self, specs: Sequence[Spec], entry: Entry | None) -> str:
        """A call in words."""
        names = list(self.signature.parameters)
        shown = [f"{n}: {_spec_text(s, entry)}" for n, s in zip(names, specs, strict=True)][self.is_bound :]
        needs = () if entry is None else sorted(entry.missed())
        return f"{self.__name__}({', '.join(shown)}){' with ' if needs else ''}{', '.join(needs)}"

    __tracejit_lower__ = staticmethod(refuse_loaded)


def _spec_text(spec: Spec, entry: Entry | None) -> str:
    """A spec in words; sizes that may be any are `*`."""
    match spec:
        case ArraySpec():
            free = "*" if entry is not None and entry.any_size else "n"
            dims = ", ".join(free if n is None else str(n) for n in spec.dims)
            facts = entry.free if entry is not None else ()
            notes = ("not in C order",) if not spec.contiguous and LAYOUT not in facts else ()
            notes += ("asking for gradients",) if spec.requires_grad and GRADIENTS not in facts else ()
            notes += (f"on {spec.device}",) if spec.device != "cpu" else ()
            kind = "Tensor" if spec.tensor else "array"
            return " ".join((f"{kind} {spec.dtype.numpy_name}[{dims}]", *notes))
        case NumberSpec(dtype, weak):
            return python_type(dtype).__name__ if weak else dtype.numpy_name
        case StaticSpec(value):
            return repr(value)
        case NumbersSpec():
            return "list of numbers"
        case TreeSpec(kind, keys, children):
            parts = [_spec_text(child, entry) for child in children]
            if issubclass(kind, dict):
                parts = [f"{key!r}: {part}" for key, part in zip(keys, parts, strict=True)]
            return f"{kind.__name__}({', '.join(parts)})"


class LoadedModule(ScriptedModule):
    """A scripted module from a file: parameters, buffers, submodules and plain attributes, and its compiled methods."""

    def __init__(self, module: LoadedPart, methods: Mapping[str, LoadedFunction]) -> None:
        self.__dict__.update(module=module, script=methods["forward"], methods=dict(methods))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._run("forward", args, kwargs)

    def __getattr__(self, name: str) -> Any:
        methods = self.__dict__["methods"]
        if name in methods:
            return lambda *args, **kwargs: self._run(name, args, kwargs)
        return super().__getattr__(name)

    def _run(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        module, method = self.__dict__["module"], self.__dict__["methods"][name]
        if MODULE_HOOKS.count and any(_hooked(module)):
            raise RuntimeError(f"{module._kind} was loaded and cannot run hooks: remove them first")
        return method(module, *args, **kwargs) if method.is_bound else method(*args, **kwargs)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        file = io.BytesIO()
        self.save(file)
        return _from_bytes, (file.getvalue(),)

    def __repr__(self) -> str:
        return f"loaded({self.__dict__['module']!r})"


def _from_bytes(data: bytes) -> Any:
    """A copy, of the content of its file."""
    import tracejit as tj

    return tj.jit.load(io.BytesIO(data))


def _hooked(module: LoadedPart) -> Iterator[bool]:
    tables = (*FORWARD_TABLES, *BACKWARD_TABLES)
    return (bool(vars(part)[table]) for part in module.modules() for table in tables)
