"""The graph of one signature of a function that calls itself, and what its callers rely on.

Its parameters are the scalars of the arguments, the contents of the memory they lie in, then the arrays from outside
that it reads: these the callers fill in. Results are the scalars of the result, new arrays with their sizes, then the
final versions of the parameters that are changed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from tracejit.frontend.boundary.packing import CannotPass, Packer, Shape, Unpacker, dims_shape
from tracejit.frontend.boundary.signature import Access, spec_of
from tracejit.frontend.boundary.statics import Statics
from tracejit.frontend.containers.key_order import is_mixed
from tracejit.frontend.context import Context, Frame
from tracejit.frontend.control.passed_errors import Passed, passing
from tracejit.frontend.control.trips import Unrolling
from tracejit.frontend.derivatives.gradients import Gradients
from tracejit.frontend.instances.heap import Contents
from tracejit.frontend.instances.nested_objects import Nesting
from tracejit.frontend.instances.pooled_objects import pool_if_possible
from tracejit.frontend.script_builder import ScriptBuilder
from tracejit.frontend.statements import Statements
from tracejit.frontend.syntax.source import FunctionNode, FunctionSource
from tracejit.frontend.tensors import elements
from tracejit.frontend.tensors.elements import Elements
from tracejit.frontend.values import (
    ArrayView,
    Closure,
    FrontValue,
    ListValue,
    MaybeUnbound,
    Mutable,
    ObjectValue,
    OptionalValue,
    SequenceValue,
    Static,
    TupleValue,
    describe,
)
from tracejit.ir.core import Block, Graph, Op, Value, walk
from tracejit.ir.printer import called_graphs
from tracejit.ir.types import ListType, ScalarType, TensorType, Type
from tracejit.records import record

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls
    from tracejit.frontend.functions.recursion import Recursion


@record
class NumberPlace:
    """A number argument of a function that calls itself."""

    node: FunctionNode
    path: object


@record
class Interface:
    """What callers rely on. `result` is None where no path returns.

    storages:  of each storage class of the result: ("parameter", i), or ("fresh", type, known sizes)
    written:   parameters (storage classes, then hidden inputs) that are changed
    hidden:    arrays from outside the program, with their accesses
    copies:    views of parameters are copied where they are returned, because other paths return new arrays
    sources:   the parameters that such copies stand for
    changed:   objects of the arguments that are changed, with the names of their parts, and whether their order depends
               on the path taken; what these are then stands behind the result, and both make a tuple
    merged:    objects of the result that are, on some paths, objects of the arguments: their numbers, and these'
    raised:    the classes of errors that the caller sees; whether each came, and the error, stand behind that
    """

    result: Shape | None = None
    number_types: tuple[Type, ...] = ()
    storages: tuple[Shape, ...] = ()
    written: frozenset[int] = frozenset()
    hidden: tuple[tuple[Access, int], ...] = ()
    copies: bool = False
    sources: frozenset[int] = frozenset()
    changed: tuple[tuple[int, tuple[Any, ...], bool], ...] = ()
    merged: tuple[tuple[int, tuple[int, ...]], ...] = ()
    raised: tuple[type, ...] = ()


@dataclass(eq=False)
class Instance:
    """One signature of one function."""

    source: FunctionSource
    name: str
    names: tuple[str, ...]
    shape: Shape
    closure: Shape | None
    numbers: tuple[tuple[Type, str, object], ...]  #: type, name and path of each number
    storages: tuple[tuple[Shape, str], ...]
    aliases: tuple[tuple[int, int], ...]
    grad_mode: bool | None
    seen: tuple[tuple[type, ...], bool] = ((), False)  #: the classes of errors that callers see, and look at
    interface: Interface = field(default_factory=Interface)
    graph: Graph | None = None
    version: int = 0
    passes: int = 0
    used: dict[Instance, int] = field(default_factory=dict["Instance", int])
    stub: Graph | None = None
    linked: Graph | None = None  #: the graph in its last form
    values: dict[int, Any] = field(default_factory=dict[int, Any])  #: hidden arrays by identity
    attributes: set[tuple[int, str]] = field(default_factory=set[tuple[int, str]])  #: of outer objects, that are read
    refused_write: bool = False
    nested: Nesting = field(default_factory=Nesting)  #: objects in the result

    @property
    def callee(self) -> Graph:
        """What calls name: the graph, or until it is settled what stands for it."""
        if self.linked is not None:
            return self.linked
        if self.stub is None:
            inout = tuple(len(self.numbers) + i for i in sorted(self.interface.written))
            self.stub = Graph(self.name, Block((), (), ()), inout=inout)
        return self.stub

    @property
    def raises_nothing(self) -> bool:
        """Whether it is settled that calls raise no error of plain Python: Python ints that leave 64 bits are none."""
        if self.linked is None:
            return False
        for graph in called_graphs(self.linked):
            for op in walk(graph.body):
                if op.name == "call" and graph not in called_graphs(op.attrs["callee"]):
                    continue  # it does not call itself, which may go too deep
                is_of_arrays = any(not isinstance(v.type, ScalarType) for v in op.operands)
                if op.defn.effect == "order" or (op.defn.effect and is_of_arrays):
                    return False
        return True

    @property
    def is_stale(self) -> bool:
        return self.graph is None or any(callee.version != version for callee, version in self.used.items())


class Body:
    """One lowering of an instance's function."""

    def __init__(self, recursion: Recursion, instance: Instance, caller: Calls) -> None:
        self.instance = instance
        root = recursion.root
        self.ctx = ctx = Context(
            ScriptBuilder(),
            Frame(instance.source, {}),
            root.device,
            any_size=True,
            boundscheck=root.boundscheck,
            tensors=caller.ctx.tensors,
            elements=Elements(has_numpys=caller.ctx.elements.has_numpys),
            growing=root.growing,
            read_early=root.read_early,
            stale=root.stale,
            sets=root.sets,
            unrolling=Unrolling(root.growing, root.unrolling.unrolled, root.unrolling.rolled),
            sharing=root.sharing,
            steady=root.steady,
            level=1,
            grad_mode=instance.grad_mode,
            path=(instance.source.node,),
            recursion=recursion,
        )
        assert isinstance(ctx.b, ScriptBuilder)
        ctx.b.context = ctx
        ctx.heap.factories = root.heap.factories
        self.calls = Statements(ctx).calls
        self.calls.statics = _CalleeStatics(self, caller.statics)
        self.calls.gradients = Gradients(self.calls, caller.gradients)
        self.prologue: list[Op] = []
        self.numbers: list[Value] = []
        self.bases: list[Value] = []  #: parameters: contents of storage classes, then hidden inputs
        self.classes: list[int] = []
        self.hidden: list[tuple[Access, int]] = []
        self.copied: set[int] = set()

    # -- parameters ---------------------------------------------------------------------------------------------

    def lower(self) -> tuple[Graph, Interface]:
        """The graph, and what it turned out to give and change."""
        instance, ctx = self.instance, self.ctx
        ctx.at(instance.source.node)
        for type, name, path in instance.numbers:
            self.numbers.append(Value(type, name))
            ctx.number_access[self.numbers[-1]] = NumberPlace(instance.source.node, path)
        for (type_shape, readonly, held, iterated, strided), name in instance.storages:
            c = self.parameter(type_shape, name)
            for flag, group in ((readonly, ctx.readonly), (held, ctx.storage.held), (strided, ctx.strided)):
                if flag:
                    group.add(c)
            if iterated:
                ctx.iterated |= {c}
        for access, i in instance.interface.hidden:
            self.calls.statics.hidden(instance.values[i], access)
        flags = self.numbers[len(self.numbers) - len(instance.aliases) :]
        for (i, j), flag in zip(instance.aliases, flags, strict=True):
            ctx.storage.set_alias(self.classes[i], self.classes[j], flag)
        unpacker = Unpacker(ctx, iter(self.numbers), lambda i: self.classes[i])
        given = unpacker.unpack(instance.shape)
        assert isinstance(given, TupleValue)
        elements.passed(ctx, self.numbers)
        closure = None if instance.closure is None else unpacker.unpack(instance.closure)
        for i, (o, _) in enumerate(unpacker.objects):
            ctx.heap.add_outer(o, ("given", i))
        frame = None
        for around in unpacker.frames.values():
            around.caller, frame = frame, around
        enclosing = closure.frame if isinstance(closure, Closure) else None
        ctx.frame = Frame(instance.source, dict(zip(instance.names, given.items, strict=True)), frame, enclosing)
        ctx.pools = {
            root: pool
            for i, root in enumerate(ctx.pools_known.roots())
            if isinstance(pool := ctx.frame.env.pop(f"$pool{i}", None), ObjectValue)
        }
        if instance.interface.copies:
            ctx.returns_copies = (ctx.frame, self.own)
        catches, looks = instance.seen
        assert ctx.tries is not None
        passed: list[Passed] = []
        if catches:
            ends, passed = passing(ctx.tries, catches, looks, lambda: self.calls.run(instance.source))
        else:
            ends = self.calls.run(instance.source)
        if any(_is_changed(obj, before) for obj, before in self.calls.statics.given.items()):
            self.refuse_change(instance.source.node, "changes an object from outside")
        known = {i for i, *_ in instance.interface.changed}
        changed = [i for i, (o, before) in enumerate(unpacker.objects) if i in known or _is_changed(o, before)]
        given = [o for o, _ in unpacker.objects]
        return self.finish((ctx.frame.result or Static(None)) if ends else None, given, changed, passed)

    def refuse_change(self, node: ast.AST, what: str) -> NoReturn:
        """Changes of objects do not come back to the caller."""
        self.ctx.refuse(
            node,
            f"{self.instance.source.name!r}, which calls itself, {what}",
            "return the new value, or write into an array",
        )

    def parameter(self, shape: Shape, name: str) -> int:
        """A parameter for the content of a storage class."""
        kind, dtype, *rank = shape
        ctx = self.ctx
        if kind == "list":
            value = Value(ListType(dtype), name)
        else:
            dims = tuple(f"d{len(ctx.dims) + axis}" for axis in range(rank[0]))
            value = Value(TensorType(dtype, dims), name)
            prologue = ScriptBuilder()
            for axis, dim in enumerate(dims):
                ctx.dims[dim] = prologue.emit("dim", (value,), {"axis": axis}, names=(dim,))[0]
                ctx.sizes.note_lower(ctx.dims[dim], 0)
            self.prologue += prologue.ops
        self.bases.append(value)
        self.classes.append(ctx.storage.new(value))
        if kind != "list":
            ctx.arguments.add(self.classes[-1])
        return self.classes[-1]

    def hidden_input(self, value: Any, access: Access) -> ArrayView:
        """A parameter for an array from outside; it may first be met inside a nested block."""
        spec = spec_of(value)
        c = self.parameter(("array", spec.dtype, len(spec.dims)), "hidden")  # type: ignore[union-attr]
        if not spec.writeable:  # type: ignore[union-attr]
            self.ctx.readonly.add(c)
        self.ctx.tensors = self.ctx.tensors or spec.tensor  # type: ignore[union-attr]
        for storage in self.ctx.outer_storages:
            storage.bases.setdefault(c, self.bases[-1])
        for sizes in self.ctx.outer_sizes:
            for dim in self.bases[-1].type.shape:  # type: ignore[union-attr]
                sizes.note_lower(self.ctx.dims[str(dim)], 0)
        elements.note_input(self.ctx, c, spec.tensor)  # type: ignore[union-attr]
        self.hidden.append((access, id(value)))
        self.instance.values[id(value)] = value
        return self.ctx.whole_view(c)

    # -- results ------------------------------------------------------------------------------------------------

    def own(self, view: ArrayView) -> ArrayView:
        """A returned array that is no parameter's memory."""
        storage = self.ctx.storage
        shared = {i for i, c in enumerate(self.classes) if storage.alias(view.storage, c) is not False}
        if not shared:
            return view
        self.copied |= shared
        return self.ctx.fresh(self.ctx.b.emit("fresh", (self.ctx.load(view),))[0])

    def finish(
        self, result: FrontValue | None, given: Sequence[Mutable], changed: Sequence[int], passed: Sequence[Passed]
    ) -> tuple[Graph, Interface]:
        instance, ctx = self.instance, self.ctx
        ctx.at(instance.source.node)
        packer = Packer(ctx, given=given)
        shape = None
        if result is not None or passed:
            try:
                parts = [self.contents(given[i]) for i in changed]
                raised = [TupleValue((met, error)) for _, met, error in passed]
                shape = packer.pack(TupleValue((TupleValue(() if result is None else (result,)), *parts, *raised)))
            except CannotPass as error:
                ctx.refuse(
                    instance.source.node,
                    f"{describe(error.value)} cannot be returned by {instance.source.name!r}, which calls itself",
                    "return the arrays and numbers it is made of",
                )
        self.note_nested(packer.objects)
        storages, values, copies = self.storages(packer.storages)
        bases = ctx.storage.bases
        updated = {i for i, c in enumerate(self.classes) if bases[c] is not self.bases[i]}
        written = sorted(instance.interface.written | updated)
        instance.refused_write = instance.refused_write or ctx.refused_write
        numbers = len(self.numbers)
        results = (*packer.numbers, *values, *(bases[self.classes[i]] for i in written))
        body = Block((*self.numbers, *self.bases), (*self.prologue, *ctx.b.ops), results)
        graph = Graph(instance.name, body, ctx.device, tuple(numbers + i for i in written), {"any_size": True})
        interface = Interface(
            shape,
            tuple(v.type for v in packer.numbers),
            storages,
            frozenset(written),
            tuple(self.hidden),
            copies or instance.interface.copies,
            frozenset(self.copied),
            tuple((i, tuple(given[i].contents), is_mixed(given[i])) for i in changed),
            tuple(self.merged(packer.objects, given)),
            tuple(cls for cls, _, _ in passed),
        )
        return graph, interface

    def note_nested(self, made: Sequence[Mutable]) -> None:
        """Objects that hold what a call gave, and so hold more of their kind each time, lie in a pool."""
        for found in self.instance.nested.ever_more(made):
            pool_if_possible(self.ctx, found)
            self.ctx.refuse(
                self.instance.source.node,
                f"{self.instance.source.name!r}, which calls itself, returns {describe(found[0])} that may hold "
                "others without end",
                "put the objects into a list, and let them hold places in it",
            )

    def merged(self, made: Sequence[Mutable], given: Sequence[Mutable]) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Which objects of the result may be which of the arguments."""
        for i, o in enumerate(made):
            behind = self.ctx.heap.behind(o)
            if found := tuple(j for j, g in enumerate(given) if g in behind):
                yield i, found

    def contents(self, o: Mutable) -> TupleValue:
        """What an object of the caller holds in the end."""
        made = TupleValue(tuple(o.contents.values()))
        storage = self.ctx.storage
        for view in _views(made):
            shared = (storage.alias(view.storage, c) is not False for c in self.classes)
            if view.storage not in self.classes and any(shared):
                self.refuse_change(self.instance.source.node, "puts what may be an argument into an object")
        return made

    def storages(self, classes: list[int]) -> tuple[tuple[Shape, ...], list[Value], bool]:
        """What the storage classes of a result are, their graph results, and whether some are parameters on some paths
        only."""
        ctx = self.ctx
        found: list[Shape] = []
        values: list[Value] = []
        copies = False
        for c in classes:
            if c in self.classes:
                found.append(("parameter", self.classes.index(c)))
                continue
            base = ctx.storage.bases[c]
            copies = copies or any(ctx.storage.alias(c, p) is not False for p in self.classes)
            if isinstance(base.type, TensorType):
                sizes = zip(base.type.shape, ctx.dim_sizes(base), strict=True)
                values += [ctx.size_value(size) for dim, size in sizes if not isinstance(dim, int)]
                found.append(("fresh", ("array", base.type.dtype, base.type.rank), dims_shape(base.type)))
            else:
                found.append(("fresh", ("list", base.type.element), ()))  # type: ignore[union-attr]
            values.append(base)
        return tuple(found), values, copies


def _is_changed(o: Mutable, before: Contents) -> bool:
    now = o.contents
    return tuple(now) != tuple(before) or any(now[name] is not v for name, v in before.items())


def _views(value: FrontValue) -> Iterator[ArrayView]:
    """The arrays in a value, objects left out."""
    match value:
        case ArrayView():
            yield value
        case TupleValue(items) | ListValue(items):
            for item in items:
                yield from _views(item)
        case OptionalValue(_, inner) | MaybeUnbound(_, inner):
            yield from _views(inner)
        case _:
            pass


class _CalleeStatics(Statics):
    """Outer names of a function that calls itself: arrays are parameters that its callers fill in."""

    def __init__(self, body: Body, caller: Statics) -> None:
        def number(access: Access, spec: Any) -> NoReturn:
            body.refuse_change(body.instance.source.node, "reads a number in an attribute that the script sets")

        super().__init__(body.ctx, lambda access, spec: body.hidden_input(None, access), number, caller.known)
        self.body = body
        self.guards, self.keep = caller.guards, caller.keep

    def hidden(self, value: Any, access: Access) -> ArrayView:
        """An array as a parameter; one array reached by two ways is one."""
        found = self.arrays.get(id(value))
        if found is None:
            found = self.arrays[id(value)] = self.body.hidden_input(value, access)
            self.keep.append(value)
        return found

    def set_attribute(self, owner: Any, name: str, value: FrontValue, node: ast.AST) -> NoReturn:
        """`owner.name = value` is refused."""
        self.body.refuse_change(node, "sets an attribute of an object from outside")

    def list_of_outside(self, items: Sequence[FrontValue] | SequenceValue, access: Access) -> FrontValue:
        """A list from outside, which cannot change here."""
        assert not isinstance(items, SequenceValue), access  # lists of many numbers are arguments of a script's own
        return ListValue(list(items), level=-1)

    def attribute(self, owner: Any, name: str, node: ast.AST) -> FrontValue:
        """An attribute of a compile-time object; callers must not have set it."""
        self.body.instance.attributes.add((id(owner), name))
        return super().attribute(owner, name, node)
