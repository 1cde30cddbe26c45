"""Functions that call themselves: one graph per signature, run by `call` ops.

A function that is met while it is being inlined is lowered as a graph of its own from then on (`Again`). What a call of
it gives and changes is found as a fixed point: the first lowering takes a call that is still being lowered for one that
never returns, so the result is that of the paths that do not recur; then the function is lowered again until what it
gives is what its calls were taken to give. A signature is the shape of the arguments (`packing.py`): kinds and dtypes,
which arrays share memory, what is compiled in. All sizes are run-time values, since they change from level to level.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, starmap
from typing import TYPE_CHECKING, Any

from tracejit.errors import ScriptError
from tracejit.frontend.boundary.packing import CannotPass, Code, Packer, Shape, Unpacker, storage_shape
from tracejit.frontend.boundary.signature import Access
from tracejit.frontend.containers import long_tuples
from tracejit.frontend.containers.key_order import mix
from tracejit.frontend.containers.shared_lists import Pools
from tracejit.frontend.containers.tables import OUTLINED
from tracejit.frontend.context import Again as Again
from tracejit.frontend.context import Context, Frame
from tracejit.frontend.control.passed_errors import Passed, passed_on, seen
from tracejit.frontend.control.unreachable import Unreachable
from tracejit.frontend.functions.callees import Body, Instance, NumberPlace
from tracejit.frontend.instances.nested_objects import Nesting
from tracejit.frontend.instances.pooled_objects import pool_if_possible
from tracejit.frontend.kinds import pooled_classes
from tracejit.frontend.restarts import LengthVaries, NeedsStatic
from tracejit.frontend.syntax.scopes import names_read
from tracejit.frontend.syntax.source import FunctionNode, FunctionSource
from tracejit.frontend.texts import made_texts
from tracejit.frontend.values import (
    Closure,
    DictValue,
    FrontValue,
    GrowingList,
    ObjectValue,
    OptionalValue,
    SharedList,
    SharedObject,
    SharedText,
    SharedVariant,
    Static,
    TupleValue,
    describe,
)
from tracejit.ir.core import Op, Value
from tracejit.ir.linking import relinked
from tracejit.ir.opdef import REGISTRY
from tracejit.ir.types import BOOL, I64, ListType, ScalarType, TensorType

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

#: How often a function is lowered before its types are said never to settle.
_PASSES = 20
#: How many signatures of one function may be met inside each other.
_NESTED = 40
#: A tuple that is longer in each of so many signatures grows as long as the run goes on.
_LONGER = 6


@dataclass(slots=True)
class Known:
    """What lowering once more starts from."""

    recursive: set[FunctionNode] = field(default_factory=set[FunctionNode])
    #: generators that call themselves, and whose calls therefore give lists
    collected: set[FunctionNode] = field(default_factory=set[FunctionNode])
    #: generators that are asked for one item after another, and whose calls therefore give objects
    resumable: set[FunctionNode] = field(default_factory=set[FunctionNode])
    device: str | None = None  #: where arrays are although no argument is one
    tensors: bool = False  #: arrays are Tensors although no argument is one
    varying: set[Access] = field(default_factory=set[Access])  #: numbers in attributes that the script sets
    early: dict[Access, Any] = field(default_factory=dict[Access, Any])  #: lists from outside that are there at once
    entries: set[Access] = field(default_factory=set[Access])  #: arrays whose `.grad` at entry is an input
    #: names behind branches and in loops that are to be leaves of their own, by the places of these
    leaves: set[object] = field(default_factory=set[object])
    notes_writes: bool = False  #: writes are marked for derivatives although no argument asks for gradients
    #: sizes (access, axis) of arrays from outside that decide what the program is
    sizes: set[tuple[Access, int]] = field(default_factory=set[tuple[Access, int]])
    #: loops over few numbers, of which a body needs one while it is compiled; `while` loops that cannot be unrolled
    unrolled: set[ast.AST] = field(default_factory=set[ast.AST])
    rolled: set[ast.AST] = field(default_factory=set[ast.AST])
    #: loops and names in them that start as views of other arrays, and are written then
    sharing: set[object] = field(default_factory=set[object])
    #: loops over lists that change their length meanwhile
    changing: set[ast.AST] = field(default_factory=set[ast.AST])
    #: places that make lists that keep their length, and those whose lists were found not to
    steady: set[object] = field(default_factory=set[object])
    unsteady: set[object] = field(default_factory=set[object])
    #: places that make lists that other lists hold
    pools: Pools = field(default_factory=Pools)
    #: paths of number arguments that decide a type, per function
    static: dict[FunctionNode, set[object]] = field(default_factory=dict[FunctionNode, "set[object]"])
    #: functions of which the texts among the arguments are those of a run, since they grow with each call
    texts: set[FunctionNode] = field(default_factory=set[FunctionNode])
    #: arguments of functions that are tuples which grow with each call
    tuples: set[tuple[FunctionNode, str]] = field(default_factory=set[tuple[FunctionNode, str]])


class Recursion:
    """The functions of one lowering that call themselves."""

    def __init__(self, root: Context, known: Known) -> None:
        self.root = root
        self.known = known
        self.instances: dict[object, Instance] = {}
        self.active: list[Instance] = []
        self.given: dict[FunctionNode, Nesting] = {}  #: objects in the arguments of functions

    # -- calls ------------------------------------------------------------------------------------------------

    def is_recursive(self, source: FunctionSource) -> bool:
        """Whether calls of the function are `call` ops."""
        return source.node in self.known.recursive

    def look_for(self, source: FunctionSource, args: Sequence[FrontValue], callers: Iterable[Frame]) -> None:
        """If the function is among its callers it calls itself: lower again, knowing that. Functions of tracejit call
        themselves by name only: else the user nested what they stand for, such as one `vmap` in another. Nor is it one
        that calls itself where it is a method of another module, as `train` is of each in a tree of them."""
        is_own = str(source.globals.get("__name__")).startswith("tracejit.")
        if is_own and source.function.__name__ not in source.function.__code__.co_names:
            return
        again = [c for c in callers if c.source.node is source.node and c.source.function is source.function]
        if is_own and args and isinstance(args[0], Static):
            again = [c for c in again if c.env.get("self", args[0]) == args[0]]
        if again:
            self.known.recursive.add(source.node)
            raise Again

    def invoke(
        self, calls: Calls, source: FunctionSource, env: dict[str, FrontValue], node: ast.AST, closure: Closure | None
    ) -> FrontValue:
        """A call with bound arguments; gives its result."""
        ctx = calls.ctx
        keep = made_texts.stored if source.node in self.known.texts else made_texts.kept
        env = {name: keep(calls, value, node) for name, value in env.items()}
        env |= {n: long_tuples.as_long(calls, v, node) for n, v in env.items() if (source.node, n) in self.known.tuples}
        if source.function not in OUTLINED or any(map(_leads_to_objects, env.values())):
            env = {**env, **{f"$pool{i}": pool for i, pool in enumerate(ctx.pools.values())}}
        packer = Packer(ctx, self.known.static.get(source.node, ()), lambda c: outer_names(calls, c))
        try:
            shape = packer.pack(TupleValue(tuple(_passed(calls, v) for v in env.values())))
            enclosing = None if closure is None else packer.pack(closure, ("closure",))
        except CannotPass as error:
            ctx.refuse(
                node,
                f"{describe(error.value)} cannot be an argument of {source.name!r}, which calls itself",
                "pass the arrays and numbers it is made of",
            )
        for found in self.given.setdefault(source.node, Nesting()).ever_more(packer.objects):
            pool_if_possible(ctx, found)
        instance = self.instance(calls, source, tuple(env), shape, enclosing, packer)
        try:
            self.settle(instance, calls, node)
        except ScriptError as error:
            if not (source.is_library or source.is_standard):
                raise
            ctx.refuse(node, error.reason, error.instead)
        if self.active:
            self.active[-1].used.setdefault(instance, instance.version)
            self.active[-1].attributes |= instance.attributes
        return _Call(calls, node, instance, packer).emit()

    def instance(
        self,
        calls: Calls,
        source: FunctionSource,
        names: tuple[str, ...],
        shape: Shape,
        closure: Shape | None,
        packer: Packer,
    ) -> Instance:
        """The instance of a call's signature. Flags that say which arrays are one memory go behind its numbers."""
        ctx = calls.ctx
        storages = packer.storages
        flags = {
            (i, j): flag
            for j, b in enumerate(storages if ctx.storage.aliases else ())
            for i, a in enumerate(storages[:j])
            if (flag := ctx.storage.alias(a, b)) is not False
        }
        if any(ctx.storage.apart(storages[i], storages[j]) is not False for i, j in flags):
            reason = "a function that calls itself is given a tensor and what detach() made of it"
            raise ScriptError(reason, ctx.b.span, instead="x.detach().clone()")
        for flag in flags.values():
            packer.number(flag if isinstance(flag, Value) else ctx.b.constant(True, ScalarType(BOOL)), ("alias",))
        shapes = tuple(storage_shape(ctx, c) for c in storages)
        assert ctx.tries is not None
        looked = ((), False) if source.function in OUTLINED else seen(ctx.tries)
        modes = (ctx.grad_mode, ctx.tensors, calls.gradients.has_leaves)
        key = (Code(source), names, shape, closure, shapes, tuple(flags), modes, looked)
        found = self.instances.get(key)
        if found is None:
            numbers = tuple(
                (v.type, names[path[0]] if path and isinstance(path[0], int) else v.name, path)  # type: ignore[index]
                for v, path in zip(packer.numbers, packer.places, strict=True)
            )
            named = tuple((s, ctx.storage.bases[c].name) for s, c in zip(shapes, storages, strict=True))
            found = self.instances[key] = Instance(
                source,
                self.graph_name(source),
                names,
                shape,
                closure,
                numbers,
                named,
                tuple(flags),
                ctx.grad_mode,
                looked,
            )
        return found

    def graph_name(self, source: FunctionSource) -> str:
        name = "".join(ch if ch.isalnum() or ch == "_" else "_" for ch in source.name).strip("_") or "function"
        taken = {i.name for i in self.instances.values()}
        return next(n for n in (name, *(f"{name}_{k}" for k in range(2, len(taken) + 3))) if n not in taken)

    # -- the fixed point --------------------------------------------------------------------------------------

    def settle(self, instance: Instance, calls: Calls, node: ast.AST) -> None:
        """Lower an instance if that is due; the outermost caller waits until all it needs is settled."""
        if instance in self.active:
            return
        alike = [] if instance.passes else [i for i in self.instances.values() if i.source.node is instance.source.node]
        if found := _growing_tuples(alike):
            self.known.tuples |= {(instance.source.node, name) for name in found}
            raise Again
        if sum(i.source.node is instance.source.node for i in self.active) > _NESTED:
            if instance.source.node not in self.known.texts and _has_texts(instance.shape):
                self.known.texts.add(instance.source.node)
                raise Again
            self.refuse(calls, instance, node, "with arguments of ever other types")
        if instance.is_stale:
            self.lower(instance, calls, node)
        while not self.active:
            stale = next((i for i in self.reachable(instance) if i.is_stale), None)
            if stale is None:
                self.link(instance)
                return
            self.lower(stale, calls, node)

    def refuse(self, calls: Calls, instance: Instance, node: ast.AST, how: str) -> None:
        calls.ctx.refuse(
            node,
            f"{instance.source.name!r} calls itself {how}",
            "keep the types of arguments and results the same at every level",
        )

    def reachable(self, instance: Instance) -> Iterator[Instance]:
        """The instance and all that its last lowering called."""
        found = {instance: None}
        queue = [instance]
        while queue:
            at = queue.pop()
            yield at
            for callee in at.used:
                if callee not in found:
                    found[callee] = None
                    queue.append(callee)

    def lower(self, instance: Instance, calls: Calls, node: ast.AST) -> None:
        """Lower an instance once, with what is known about the calls in it."""
        instance.passes += 1
        if instance.passes > _PASSES:
            self.refuse(calls, instance, node, "and its result never has the same type as that of its calls")
        self.active.append(instance)
        instance.used, instance.attributes = {}, set()
        try:
            graph, interface = Body(self, instance, calls).lower()
        except NeedsStatic as request:
            place = request.access
            if not isinstance(place, NumberPlace):
                raise
            self.known.static.setdefault(place.node, set()).add(place.path)
            raise Again from None
        finally:
            self.active.pop()
        instance.graph = graph
        if interface != instance.interface:
            instance.interface, instance.stub = interface, None
            instance.version += 1

    def link(self, instance: Instance) -> None:
        """Let the graphs of settled instances call each other."""
        made = [i for i in self.reachable(instance) if i.linked is None]
        linked = relinked({i.callee: i.graph for i in made if i.graph is not None})
        for each in made:
            each.linked = linked[each.callee]


def _has_texts(arguments: Shape) -> bool:
    """Whether texts that are known when compiling are among arguments."""
    return any(kind == "static" and isinstance(spec[0].value, str) for kind, *spec in arguments[2])


def _growing_tuples(instances: Sequence[Instance]) -> list[str]:
    """The arguments that are tuples of values of one kind, longer in each instance than in the one before."""
    if len(instances) < _LONGER:
        return []
    given = [dict(zip(i.names, i.shape[2], strict=True)) for i in instances[-_LONGER:]]
    columns = ((name, [g.get(name) for g in given]) for name in given[-1])
    return [name for name, shapes in columns if all(starmap(_is_longer, pairwise(shapes)))]


def _is_longer(a: Shape | None, b: Shape | None) -> bool:
    """Whether one is that of a tuple of values of one kind, and the other that of a longer one."""
    match a, b:
        case ("tuple", None, tuple(few)), ("tuple", None, tuple(many)):
            return len(few) < len(many) and len({*few, *many}) == 1
        case _:
            return False


def _leads_to_objects(value: FrontValue) -> bool:
    """Whether a value is an object or text of a pool, or a list or tuple that may hold such."""
    if isinstance(value, TupleValue):
        return any(map(_leads_to_objects, value.items))
    held = value.pool.fields["data"] if isinstance(value, SharedList) else value
    return isinstance(held, SharedObject | SharedVariant | SharedText) or (
        isinstance(held, GrowingList) and bool(pooled_classes(held.kind))
    )


def _passed(calls: Calls, value: FrontValue) -> FrontValue:
    """An argument of a function that calls itself, perhaps None; objects that may be None are passed by numbers."""
    is_object = isinstance(value, OptionalValue) and isinstance(value.value, ObjectValue | DictValue)
    return calls.as_operand(value) if is_object else calls.kept(value)


def outer_names(calls: Calls, closure: Closure) -> dict[str, FrontValue]:
    """What a function, and functions beside it that it calls, read of the functions around it."""
    found: dict[str, FrontValue] = {}
    queue = [closure]
    while queue:
        fn = queue.pop()
        arguments = fn.source.node.args
        own = {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
        own |= {a.arg for a in (arguments.vararg, arguments.kwarg) if a is not None}
        for name in sorted(names_read(fn.source.node) - own - calls.locals_of(fn.source.node)):
            frame: Frame | None = closure.frame
            while frame is not None and name not in frame.env:
                frame = frame.enclosing
            if frame is None or name in found:
                continue
            found[name] = value = frame.env[name]
            if isinstance(value, Closure):
                queue.append(value)
    return found


@dataclass(slots=True)
class _Call:
    """One call being emitted."""

    calls: Calls
    node: ast.AST
    instance: Instance
    packer: Packer

    def emit(self) -> FrontValue:
        """The op, what it changes, its result."""
        ctx, interface = self.calls.ctx, self.instance.interface
        hidden = [self.calls.statics.hidden(self.instance.values[i], access) for access, i in interface.hidden]
        for name in self.instance.attributes & self.calls.statics.written:
            ctx.refuse(
                self.node,
                f"{self.instance.source.name!r}, which calls itself, reads the attribute {name[1]!r} that was set here",
                "pass it as an argument",
            )
        classes = [*self.packer.storages, *(view.storage for view in hidden)]
        ctx.refused_write |= self.instance.refused_write
        written = sorted(interface.written)
        for i in written:
            if isinstance(ctx.storage.bases[classes[i]].type, TensorType):
                ctx.require_writeable(ctx.whole_view(classes[i]))
        span = ctx.at(self.node)
        operands = (*self.packer.numbers, *(ctx.storage.bases[c] for c in classes))
        fresh = [_fresh_values(shape) for shape in interface.storages if shape[0] == "fresh"]
        numbers = [Value(type, "result") for type in interface.number_types]
        finals = [_like(ctx.storage.bases[classes[i]]) for i in written]
        results = (*numbers, *(v for group in fresh for v in group), *finals)
        if ctx.tries is not None:
            ctx.tries.before(ctx.b, REGISTRY["call"], operands, {})
        if ctx.before_errors is not None and not self.instance.raises_nothing:
            ctx.before_errors(ctx.b, REGISTRY["call"], operands)
        ctx.b.ops.append(Op(REGISTRY["call"], operands, {"callee": self.instance.callee}, results, (), span))
        self.change(ctx, [classes[i] for i in written], finals)
        if interface.result is None:
            raise Unreachable
        return self.result(ctx, classes, numbers, [group[-1] for group in fresh])

    def change(self, ctx: Context, classes: list[int], finals: list[Value]) -> None:
        """Enter the new contents of what the call changed."""
        lists = {c for c, v in zip(classes, finals, strict=True) if isinstance(v.type, ListType)}
        if any(lists.intersection(own) for own in ctx.list_lengths):
            raise LengthVaries(ctx.steady)
        made = [
            v if isinstance(v.type, ListType) else ctx.recorded(v, ctx.storage.bases[c])
            for c, v in zip(classes, finals, strict=True)
        ]
        for c, final in zip(classes, made, strict=True):
            if isinstance(final.type, TensorType):
                ctx.storage.write(ctx.b, c, final, marks=ctx.notes_writes)
        ctx.storage.bases.update(zip(classes, made, strict=True))

    def result(self, ctx: Context, classes: list[int], numbers: list[Value], fresh: list[Value]) -> FrontValue:
        interface = self.instance.interface
        assert interface.result is not None
        arrays = iter(fresh)
        places: list[int] = []
        for shape in interface.storages:
            if shape[0] == "parameter":
                places.append(classes[shape[1]])
                continue
            value = next(arrays)
            if isinstance(value.type, TensorType):
                for dim in value.type.shape:
                    ctx.sizes.note_lower(dim, 0) if isinstance(dim, Value) else None
                value = ctx.recorded(value)
            places.append(ctx.storage.new(value))
            if interface.sources and isinstance(value.type, TensorType):
                ctx.snapshots[places[-1]] = frozenset(classes[i] for i in interface.sources)
        given = self.packer.objects
        unpacker = Unpacker(ctx, iter(numbers), lambda i: places[i], level=ctx.level, given=given)
        made = unpacker.unpack(interface.result)
        assert isinstance(made, TupleValue)
        for i, sources in interface.merged:
            ctx.heap.merged[unpacker.objects[i][0]] = frozenset(given[j] for j in sources)
        changed, raised = made.items[1 : 1 + len(interface.changed)], made.items[1 + len(interface.changed) :]
        for (i, names, mixed), parts in zip(interface.changed, changed, strict=True):
            assert isinstance(parts, TupleValue)
            ctx.write_object(given[i], dict(zip(names, parts.items, strict=True)), self.node)
            mix(given[i], mixed)
        passed: list[Passed] = []
        for cls, pair in zip(interface.raised, raised, strict=True):
            assert isinstance(pair, TupleValue)
            met, error = pair.items
            passed.append((cls, met, error))
        assert ctx.tries is not None
        passed_on(ctx.tries, passed, self.node)
        ended = made.items[0]
        assert isinstance(ended, TupleValue)
        if not ended.items:
            raise Unreachable
        return ended.items[0]


def _fresh_values(shape: Shape) -> list[Value]:
    """New results for a new array, or list, of the callee: its varying sizes, then itself."""
    _, (kind, dtype, *_), dims = shape
    if kind == "list":
        return [Value(ListType(dtype), "result")]
    sizes = [Value(ScalarType(I64), "n") for d in dims if d is None]
    varying = iter(sizes)
    return [*sizes, Value(TensorType(dtype, tuple(next(varying) if d is None else d for d in dims)), "result")]


def _like(value: Value) -> Value:
    return Value(value.type, value.name)
