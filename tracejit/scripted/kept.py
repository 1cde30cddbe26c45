"""What is kept on the disk of a compiled function, so that another process need not lower it again.

An entry has the lowering of one specialisation, and the native programs made of it. Its key describes everything the
function can read from outside (`scripted/reachable.py`); objects from outside are named by their numbers there. What
was lowered by means of anything that is not described so is not kept. When an entry is found, the guards of the
specialisation are checked as those of any other.

Graphs come along packed: they are unpacked when somebody asks for what only they tell.
"""

from __future__ import annotations

import io
import operator
import os
import pickle
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tracejit import config, errors
from tracejit.codegen import loop_ir
from tracejit.codegen.loop_ir import Function, Program
from tracejit.frontend.boundary import leaves, reports, results, signature
from tracejit.frontend.boundary.signature import MISSING, Access, Spec, StaticSpec
from tracejit.frontend.function import Input, Lowered
from tracejit.frontend.restarts import MustTell, NeedsItems, NeedsSizes, NeedsStatic
from tracejit.ir import core
from tracejit.ir import types as ir_types
from tracejit.ir.core import Block, Graph, walk
from tracejit.ir.opdef import REGISTRY, OpDef
from tracejit.ir.types import BY_NAME, DType, Type
from tracejit.locks import cached_property
from tracejit.runtime import cache as disk
from tracejit.scripted.compiler import Compiled
from tracejit.scripted.reachable import (
    Reachable,
    code_of,
    find,
    held_by_package,
    is_librarys,
    is_namespace,
    name_of,
)

if TYPE_CHECKING:
    from tracejit.runtime.cpu import Begun

_PACKAGE = str(Path(config.__file__).parent) + os.sep


class Unkept(Exception):
    """Something that cannot be told in another process."""


# -- packing ----------------------------------------------------------------------------------------------------------


def met(number: int) -> Any:
    """The thing of a number; stands in entries for the method of the `Reachable` that unpacks them."""
    raise NotImplementedError


def at_thing(steps: Any, number: int) -> Access:
    """The access from the thing of a number; like `met`."""
    raise NotImplementedError


def in_package(steps: Any, module: str, name: str) -> Access:
    """The access from what a versioned package holds by a name, from a module's names where that is empty."""
    return _access_from(find(module, name) if name else vars(sys.modules[module]), steps)


def missing() -> object:
    """`MISSING`, of which there is one."""
    return MISSING


def _records() -> dict[type, Callable[[Any], Any]]:
    """How records are packed: their class and their fields."""
    modules = (leaves, reports, results, signature, loop_ir, core, ir_types)
    classes = [c for m in modules for c in vars(m).values() if isinstance(c, type) and hasattr(c, "__slots__")]
    made: dict[type, Callable[[Any], Any]] = {}
    for cls in (*classes, errors.Span, Input):
        names = [f.name for f in fields(cls) if f.init] if hasattr(cls, "__dataclass_fields__") else []
        if names:
            made[cls] = _reducer(cls, names)
    made[DType] = lambda dtype: (dtype_named, (dtype.name,))
    made[OpDef] = lambda defn: (op_named, (defn.name,))
    return made


def _reducer(cls: type, names: Sequence[str]) -> Callable[[Any], Any]:
    get = operator.attrgetter(*names)
    if len(names) == 1:
        return lambda made: (cls, (get(made),))
    return lambda made: (cls, get(made))


def dtype_named(name: str) -> DType:
    """A dtype."""
    return BY_NAME[name]


def op_named(name: str) -> OpDef:
    """The definition of an op."""
    return REGISTRY[name]


class _Packer(pickle.Pickler):
    """Packs records, plain values and things that were met; raises `Unkept` for all else."""

    def __init__(self, file: io.BytesIO, reachable: Reachable) -> None:
        super().__init__(file, protocol=5)
        self.reachable = reachable

    def reducer_override(self, obj: Any, /) -> Any:
        kind = type(obj)
        known = _RECORDS.get(kind)
        if known is not None:
            return known(obj)
        if (kind is type or kind is types.FunctionType) and obj in _GLOBALS:
            return NotImplemented
        number = self.reachable.number(obj)
        if number is not None:
            return met, (number,)
        return self._rare(obj)

    def _rare(self, obj: Any) -> Any:
        match obj:
            case Access():
                return self._access(obj)
            case _ if obj is MISSING:
                return missing, ()
            case NeedsStatic():
                return NeedsStatic, (obj.access,)
            case NeedsSizes():
                return NeedsSizes, (tuple(obj.sizes),)
            case NeedsItems():
                return NeedsItems, ()
            case np.dtype() | np.generic():
                return NotImplemented
            case types.MappingProxyType():
                return dict, (dict(obj),)
            case types.MethodType():
                return types.MethodType, (obj.__func__, obj.__self__)
            case _ if is_librarys(obj):
                return find, name_of(obj)
            case _:
                raise Unkept(f"{type(obj).__qualname__} {obj!r}"[:200])

    def _access(self, access: Access) -> Any:
        if access.root >= 0:
            return Access, (access.root, access.steps)
        held = access.constant
        number = self.reachable.number(held)
        if number is not None:
            return at_thing, (access.steps, number)
        if isinstance(held, dict) and is_namespace(held):
            return in_package, (access.steps, held["__name__"], "")
        named = name_of(held) if is_librarys(held) else held_by_package(held)
        if named is not None:
            return in_package, (access.steps, *named)
        raise Unkept(f"{access.steps} of {type(held).__qualname__}")


_RECORDS = _records()
del _RECORDS[Access]
_FUNCTIONS = {f.__name__: f for f in (missing, in_package, dtype_named, op_named, find)}
_GLOBALS = frozenset((*_RECORDS, Access, NeedsStatic, NeedsSizes, NeedsItems, met, at_thing, *_FUNCTIONS.values()))


class _Unpacker(pickle.Unpickler):
    """Unpacks what `_Packer` packed; the things it names are those met now."""

    def __init__(self, data: bytes, objects: Sequence[Any]) -> None:
        super().__init__(io.BytesIO(data))
        self.objects = objects

    def find_class(self, module: str, name: str, /) -> Any:
        if name in _FUNCTIONS:
            return _FUNCTIONS[name]
        if module == __name__:
            return self.objects.__getitem__ if name == "met" else self._at
        if module == "builtins" or module.split(".", maxsplit=1)[0] in ("numpy", "tracejit", "types"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name}")

    def _at(self, steps: Any, number: int) -> Access:
        return _access_from(self.objects[number], steps)


def _access_from(held: Any, steps: Any) -> Access:
    return Access(-1, steps, held, id(held))


# -- what is kept of a graph, and of what is compiled -----------------------------------------------------------------


class KeptGraph(Graph):
    """A graph of which name, device and types are known; the rest is unpacked when asked for."""

    __slots__ = ("_result_types", "_param_types", "_unpack", "_whole")

    def __init__(
        self, head: tuple[Any, ...], params: tuple[Type, ...], found: tuple[Type, ...], unpack: Callable[[], Graph]
    ) -> None:
        for name, part in zip(("name", "device", "inout", "policy"), head, strict=True):
            object.__setattr__(self, name, part)
        self._param_types, self._result_types = params, found
        self._unpack = unpack
        self._whole: Block | None = None

    @property
    def body(self) -> Block:  # type: ignore[override]
        """The body."""
        if self._whole is None:
            self._whole = self._unpack().body
        return self._whole

    @property
    def param_types(self) -> tuple[Type, ...]:
        return self._param_types

    @property
    def result_types(self) -> tuple[Type, ...]:
        return self._result_types


class KeptCompiled(Compiled):
    """A compiled graph of which the interface and the digest of the program are known; the rest is made anew when
    asked for."""

    def __init__(self, interface: Program, has_loops: bool, content: str, make: Callable[[], Compiled]) -> None:
        self._interface = interface
        self.has_loops = has_loops
        self.content = content
        self._make = make

    @cached_property
    def _made(self) -> Compiled:
        made = self._make()
        if "native" in self.__dict__:  # what is asked for is not to be run
            made.stop()
        return made

    stages = property(lambda self: self._made.stages)  # type: ignore[assignment]
    graph = property(lambda self: self._made.graph)  # type: ignore[assignment]
    final = property(lambda self: self._made.final)  # type: ignore[assignment]
    program = property(lambda self: self._made.program)  # type: ignore[assignment]
    layouts = property(lambda self: self._made.layouts)  # type: ignore[assignment]

    @property
    def interface(self) -> Program:
        return self._interface

    @property
    def device(self) -> str:
        return "cpu"

    @property
    def _is_kept(self) -> bool:
        return True

    def take_begun(self) -> Begun | None:
        return self._made.take_begun()


def interface_of(program: Program) -> Program:
    """A program without its code."""
    return Program(
        program.name,
        Function(program.entry.name, ()),
        (),
        program.inputs,
        program.outputs,
        program.errors,
        program.prints,
        program.fastmath,
    )


# -- entries ----------------------------------------------------------------------------------------------------------


#: Lowerings that are kept under one key: of a call whose outcome also depends on what is guarded only.
_VARIANTS = 4


@dataclass(eq=False)
class Kept:
    """The entry of one specialisation. `lowering` is a digest of its lowering, of which all other parts are made."""

    reachable: Reachable
    key: str
    lowering: str = ""
    _variant: int = 0  #: where the next lowering is kept

    def _load(self, name: str) -> Any:
        """A part; None where there is none. What is damaged or of another making counts as absent."""
        data = disk.load(self._place(name))
        if data is None:
            return None
        try:
            return _Unpacker(data, self.reachable.objects).load()
        except Exception:
            return None

    def _place(self, name: str) -> str:
        return disk.digest("kept", self.key, self.lowering, name)

    def _pack(self, part: Any) -> bytes:
        """Raises `Unkept`."""
        file = io.BytesIO()
        try:
            _Packer(file, self.reachable).dump(part)
        except Unkept:
            raise
        except Exception as error:
            raise Unkept(str(error)) from None
        return file.getvalue()

    def _save(self, name: str, part: Any) -> bool:
        try:
            data = self._pack(part)
        except Unkept as error:
            config.log("cache", f"{name} is not kept: {error}")
            return False
        disk.store(self._place(name), data)
        return True

    def lowerings(self) -> Iterator[Lowered]:
        """The lowerings; that given last is the one whose parts are asked for from then on. Raises `MustTell` as it
        was raised instead of one."""
        for self._variant in range(_VARIANTS):
            self.lowering = ""
            data = disk.load(self._place(f"lowering {self._variant}"))
            found = None if data is None else self._lowered(data)
            config.log("cache", f"lowering {'missed' if found is None else 'found'}: {self.key}")
            if found is None:
                return
            yield found
        self.lowering, self._variant = "", 0

    def _lowered(self, data: bytes) -> Lowered | None:
        try:
            found = _Unpacker(data, self.reachable.objects).load()
        except Exception:
            return None
        if isinstance(found, MustTell):
            raise found
        self.lowering = disk.digest(data)
        head, params, outcome, packed, kinds, parts = found
        if not all(errors.adopt_error(kind, cls) for kind, cls in kinds.items()):
            return None
        graph = KeptGraph(head, params, outcome, lambda: _Unpacker(packed, self.reachable.objects).load())
        return Lowered(graph, keep=[self.reachable], **parts)

    def keep_request(self, request: MustTell) -> None:
        """Keep that more must be compiled in."""
        self._save(f"lowering {self._variant}", request)

    def keep_lowered(self, made: Lowered, read: Iterable[Any]) -> bool:
        """Keep a lowering, for which functions and modules were `read`; whether it could be."""
        graph = made.graph
        if graph.device != "cpu" or not all(self._is_described(thing) for thing in read):
            return False
        try:
            packed = self._pack(graph)
            kinds = _error_kinds(graph)
            head = graph.name, graph.device, graph.inout, dict(graph.policy)
            parts = {f.name: getattr(made, f.name) for f in fields(made) if f.name not in ("graph", "keep")}
            data = self._pack((head, graph.param_types, graph.result_types, packed, kinds, parts))
        except Unkept as error:
            config.log("cache", f"@{graph.name} is not kept: {error}")
            return False
        disk.store(self._place(f"lowering {self._variant}"), data)
        self.lowering = disk.digest(data)
        return True

    def _is_described(self, thing: Any) -> bool:
        """Whether the key knows the code of a function, what a module holds."""
        if self.reachable.number(thing) is not None:
            return True
        if isinstance(thing, types.ModuleType):
            return is_namespace(vars(thing))
        code = getattr(thing, "__code__", None)
        return code is not None and code.co_filename.startswith(_PACKAGE)

    def compiled(self, name: str, make: Callable[[], Compiled]) -> Compiled:
        """The compiled graph of that name."""
        found = self._load(name)
        if found is not None:
            return KeptCompiled(*found, make)  # pyright: ignore[reportCallIssue]
        made = make()
        self._save(name, (interface_of(made.program), made.has_loops, made.content))
        return made

    def value(self, name: str, make: Callable[[], Any]) -> Any:
        """A plain value of that name."""
        found = self._load(name)
        if found is None:
            found = make()
            self._save(name, found)
        return found


def _error_kinds(graph: Graph) -> dict[str, type[BaseException]]:
    """The exception classes of the user that a graph raises, by kind. Raises `Unkept` where only this process can make
    one."""
    found: dict[str, type[BaseException]] = {}
    graphs = [graph]
    for of in graphs:
        for op in walk(of.body):
            for attr in op.attrs.values():
                if isinstance(attr, Graph) and attr not in graphs:
                    graphs.append(attr)
                elif isinstance(attr, str) and (cls := _user_error(attr)) is not None:
                    found[attr] = cls
    return found


def _user_error(kind: str) -> type[BaseException] | None:
    try:
        return errors.user_error(kind)
    except KeyError:
        raise Unkept(f"exceptions of kind {kind}") from None


def entry(
    function: Any, specs: Sequence[Spec], aliases: Mapping[Access, Access], varying: Iterable[Access]
) -> Kept | None:
    """The entry of a scripted function for such arguments, of which `aliases` are the same array as another, where
    the numbers found at `varying` are run-time values. None where all that cannot be described."""
    try:
        reachable = Reachable((function,), specs)
    except Exception:  # of the user's objects too: a key is not worth an error
        return None
    same = (f"{a.root} {a.steps} {b.root} {b.steps}" for a, b in aliases.items())
    floats = sorted(f"{a.root} {reachable.number(a.constant)} {a.steps}" for a in varying)
    return Kept(reachable, reachable.key("aliases", *same, "varying", *floats))


def with_live_values(guards: Mapping[Access, Spec], arguments: Sequence[Any]) -> dict[Access, Spec]:
    """Guards that hold, with the very objects of this process: the native call path compares identities."""
    made = dict(guards)
    for access, spec in guards.items():
        if isinstance(spec, StaticSpec) and spec.value is not MISSING:
            made[access] = StaticSpec(access.fetch(arguments))
    return made


def checked_place(fn: Any) -> str | None:
    """Where on the disk stands that a function's source was found and can be lowered as far as that can be seen at
    once; None of what is no plain function."""
    if type(fn) is not types.FunctionType:
        return None
    try:
        return disk.digest("checked", disk.stamp(), code_of(fn))
    except ValueError:  # code with constants that have no spelling
        return None
