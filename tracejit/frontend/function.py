"""A Python function and the specs of its arguments -> a graph, its inputs, its results.

The graph's parameters are the array and number leaves of the arguments, then hidden inputs. Its results are the
leaves of the returned value, gradients left in `.grad`, attributes that were set; then the final versions of the
parameters that were written (`Graph.inout`).
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from tracejit.errors import ScriptError
from tracejit.frontend.boundary.leaves import (
    ArrayLeaf as ArrayLeaf,
)
from tracejit.frontend.boundary.leaves import (
    Change as Change,
)
from tracejit.frontend.boundary.leaves import (
    ChoiceLeaf as ChoiceLeaf,
)
from tracejit.frontend.boundary.leaves import (
    ChosenLeaf as ChosenLeaf,
)
from tracejit.frontend.boundary.leaves import (
    ConstantLeaf as ConstantLeaf,
)
from tracejit.frontend.boundary.leaves import (
    FamilyLeaf as FamilyLeaf,
)
from tracejit.frontend.boundary.leaves import (
    InputLeaf as InputLeaf,
)
from tracejit.frontend.boundary.leaves import (
    InstanceLeaf as InstanceLeaf,
)
from tracejit.frontend.boundary.leaves import (
    ItemsLeaf as ItemsLeaf,
)
from tracejit.frontend.boundary.leaves import (
    Leaf as Leaf,
)
from tracejit.frontend.boundary.leaves import (
    ListLeaf as ListLeaf,
)
from tracejit.frontend.boundary.leaves import (
    NumberLeaf as NumberLeaf,
)
from tracejit.frontend.boundary.leaves import (
    ObjectLeaf as ObjectLeaf,
)
from tracejit.frontend.boundary.leaves import (
    ObjectsLeaf as ObjectsLeaf,
)
from tracejit.frontend.boundary.leaves import (
    OptionalLeaf as OptionalLeaf,
)
from tracejit.frontend.boundary.leaves import (
    PoolLeaf as PoolLeaf,
)
from tracejit.frontend.boundary.leaves import (
    SharedLeaf as SharedLeaf,
)
from tracejit.frontend.boundary.leaves import (
    SliceLeaf as SliceLeaf,
)
from tracejit.frontend.boundary.leaves import (
    TableLeaf as TableLeaf,
)
from tracejit.frontend.boundary.leaves import (
    TextLeaf as TextLeaf,
)
from tracejit.frontend.boundary.leaves import (
    TreeLeaf as TreeLeaf,
)
from tracejit.frontend.boundary.leaves import (
    TurnedLeaf as TurnedLeaf,
)
from tracejit.frontend.boundary.leaves import (
    ViewLeaf as ViewLeaf,
)
from tracejit.frontend.boundary.reports import LeftByError, Reports
from tracejit.frontend.boundary.results import History as History
from tracejit.frontend.boundary.results import LeftGradient as LeftGradient
from tracejit.frontend.boundary.results import Results
from tracejit.frontend.boundary.signature import (
    Access,
    ArraySpec,
    ItemsOfSet,
    NumberSpec,
    NumbersSpec,
    Spec,
    StaticSpec,
    TreeSpec,
    step_kind,
)
from tracejit.frontend.boundary.statics import Statics
from tracejit.frontend.containers import tables
from tracejit.frontend.containers.shared_lists import Pools, in_pool, make_pools
from tracejit.frontend.context import (
    Context,
    Frame,
)
from tracejit.frontend.control.trips import Growing, TooMany, Unrolling
from tracejit.frontend.control.unreachable import Unreachable
from tracejit.frontend.derivatives.gradients import CLEARED, ENTRY, HAS_ARRAY, Gradients, NeedsEntry
from tracejit.frontend.first_call import ARGUMENTS
from tracejit.frontend.functions.recursion import Again, Known, Recursion
from tracejit.frontend.kinds import join_kinds
from tracejit.frontend.restarts import (
    AttributeVaries,
    FoundLate,
    LengthVaries,
    ListGrows,
    NeedsDevice,
    NeedsItems,
    NeedsLoop,
    NeedsSizes,
    NeedsTensors,
    NeedsUnrolling,
    NeedsWrites,
)
from tracejit.frontend.script_builder import ScriptBuilder
from tracejit.frontend.sizes import Sizes, key
from tracejit.frontend.statements import Statements
from tracejit.frontend.syntax.desugar import RETURN_VALUE
from tracejit.frontend.syntax.source import FunctionSource
from tracejit.frontend.tensors import elements
from tracejit.frontend.tensors.array_facts import taken
from tracejit.frontend.tensors.write_checks import NeedsSharing
from tracejit.frontend.values import (
    ArrayView,
    DictValue,
    FrontValue,
    Number,
    ObjectValue,
    Static,
    TupleValue,
    dict_class,
)
from tracejit.ir.core import Block, Graph, Value
from tracejit.ir.types import I64, ScalarType, TensorType
from tracejit.records import record


@record
class Input:
    """One graph parameter: where it comes from, and its spec; `hidden`: an array that is
    not among the arguments."""

    access: Access
    spec: ArraySpec | NumberSpec
    hidden: bool = False

    @property
    def is_tensor(self) -> bool:
        """Whether it is a Tensor, not an array or a number."""
        return isinstance(self.spec, ArraySpec) and self.spec.tensor

    @property
    def is_list(self) -> bool:
        """Whether the call has a list, of whose numbers the graph takes an array."""
        return bool(self.access.steps) and self.access.steps[-1][0] == "numbers"

    @property
    def given_at(self) -> Access:
        """Where the call has what the parameter is or is made of."""
        return self.access.parent if self.is_list else self.access


@dataclass(slots=True)
class Lowered:
    """One specialisation of a function."""

    graph: Graph
    inputs: tuple[Input, ...]
    result: Leaf
    guards: dict[Access, Spec]
    gradients: tuple[LeftGradient, ...] = ()
    changes: tuple[Change, ...] = ()
    keep: list[Any] = field(default_factory=list[Any])
    reports: tuple[LeftByError, ...] = ()  #: by the number of a plan
    histories: tuple[History, ...] = ()  #: of the results of a function that takes derivatives itself
    tensors: bool = False  #: results are Tensors
    for_read_only: bool = False  #: it raises because an argument may not be written


def lower_function(
    source: FunctionSource,
    parameters: Sequence[tuple[str, Access, Spec]],
    *,
    name: str | None = None,
    aliases: Mapping[Access, Access] | None = None,
    policy: Mapping[str, Any] | None = None,
    boundscheck: bool = True,
    varying: Collection[Access] = (),
) -> Lowered:
    """Lower one function. `parameters` are its parameters by name, with access and spec; `aliases` maps an array
    argument to an earlier one that is the same array; `varying`: numbers from outside that are run-time values. Raises
    `ScriptError` for what is outside the language."""
    growing = Growing()
    known = Known(varying=set(varying))
    while True:
        lowering = Lowering(source, aliases or {}, _ANY_SIZE.get(), policy or {}, boundscheck, growing, known)
        stale = lowering.ctx.stale
        try:
            made = lowering.run(name or source.name, parameters)
            if not stale:
                return made
        except Again:
            continue
        except RecursionError:
            if not known.pools.without_cycles():
                raise
        except AttributeVaries as found:
            known.varying.add(found.access)
        except FoundLate as found:
            known.early[found.access] = found.value
        except NeedsTensors:
            known.tensors = True
        except NeedsDevice as found:
            known.device = found.device
        except NeedsEntry as found:
            known.entries.add(found.access)
        except NeedsWrites:
            known.notes_writes = True
        except NeedsUnrolling as found:
            known.unrolled.add(found.loop)
        except NeedsLoop as found:
            known.unrolled.discard(found.loop)
            known.rolled.add(found.loop)
        except TooMany:
            growing.shorten()
        except NeedsSizes as found:
            if not found.hidden - known.sizes:
                raise
            known.sizes |= found.hidden
        except NeedsSharing as found:
            known.sharing.add(found.start)
        except LengthVaries as found:
            known.steady -= found.keys
            known.unsteady |= found.keys
        except ListGrows as found:
            before = dict(growing)
            if found.keeps_length:
                known.steady |= found.kinds.keys() - known.unsteady
            for place, kind in found.kinds.items():
                growing[place] = join_kinds(growing.get(place), kind)
            assert stale or growing != before, "lowering again finds nothing new about lists"
        except ScriptError:
            if stale:
                continue
            if not growing.withdraw():
                raise
            known.pools = Pools()
        except Exception:
            if not stale:  # else what it is about may be of another kind
                raise


def any_size_wanted() -> bool:
    """Whether nothing may be assumed about sizes here."""
    return _ANY_SIZE.get()


_ANY_SIZE: ContextVar[bool] = ContextVar("any_size", default=False)


@contextmanager
def any_sizes() -> Iterator[None]:
    """What is lowered inside assumes nothing about sizes, 0 and 1 included (exported functions)."""
    token = _ANY_SIZE.set(True)
    try:
        yield
    finally:
        _ANY_SIZE.reset(token)


class Lowering:
    """One attempt at lowering one function."""

    context: type[Context] = Context

    def __init__(
        self,
        source: FunctionSource,
        aliases: Mapping[Access, Access],
        any_size: bool,
        policy: Mapping[str, Any],
        boundscheck: bool,
        growing: Growing,
        known: Known,
    ) -> None:
        self.source = source
        self.aliases = aliases
        self.any_size = any_size
        self.policy = policy
        self.ctx = self.context(
            ScriptBuilder(),
            Frame(source, {}),
            any_size=any_size,
            boundscheck=boundscheck,
            marks_copies=policy.get("copies") == "error",
            growing=growing,
            unrolling=Unrolling(growing, known.unrolled, known.rolled),
            sharing=known.sharing,
            steady=known.steady,
            notes_writes=known.notes_writes,
        )
        assert isinstance(self.ctx.b, ScriptBuilder)
        self.ctx.b.context = self.ctx
        self.known = known
        self.recursion = self.ctx.recursion = Recursion(self.ctx, known)
        self.top = self.ctx.b
        self.statements = Statements(self.ctx)
        self.calls = self.statements.calls
        self.statics = Statics(self.ctx, self.hidden_input, self.hidden_number, known)
        self.calls.statics = self.statics
        self.statics.grow = self.statements.lists.of_outside
        self.statics.table = lambda items: tables.table_of(self.calls, items, source.node)
        self.statics.in_pool = lambda made: in_pool(self.calls, made, source.node)
        self.gradients = self.calls.gradients = Gradients(self.calls)
        self.inputs: list[Input] = []
        self.params: list[Value] = self.gradients.parameters
        self.classes: list[int] = []
        self.views: dict[Access, ArrayView] = {}
        self.numbers: dict[Access, Number] = {}
        self.prologue: list[Any] = []
        self.dim_names = _dim_names()
        self.reports = Reports(self)

    # -- inputs -----------------------------------------------------------------------------------------------

    def run(self, name: str, parameters: Sequence[tuple[str, Access, Spec]]) -> Lowered:
        specs = [spec for _, _, spec in parameters]
        self.ctx.tensors = self.known.tensors or any(map(_has_tensor, specs))
        self.ctx.undecided = not self.ctx.tensors and not any(map(_devices, specs))
        devices = {device for _, _, spec in parameters for device in _devices(spec)}
        if len(devices) > 1:
            raise ScriptError(
                f"arguments are on different devices: {' and '.join(sorted(devices))}",
                self.source.span(self.source.node),
                instead="move them to one device first: x.cuda() or x.cpu()",
            )
        self.ctx.device = self.known.device or next(iter(devices), "cpu")
        self.ctx.is_anywhere = not devices and self.known.device is None
        node = self.source.node
        self.ctx.at(node)
        with_prologue = self.ctx.b
        make_pools(self.calls, node)
        for parameter, access, spec in parameters:
            self.ctx.frame.env[parameter] = self.bind(parameter, access, spec)
        if not self.recursion.known.recursive:  # names of sizes mean nothing to graphs that are called
            self.ctx.argument_dims = frozenset(self.ctx.dims)
        for access, value in self.known.early.items():
            self.statics.container(value, access)
        self.statics.note_pools()
        if not self.any_size:
            self.ctx.before_errors = self.reports.before
        result = self.body()
        assert self.ctx.b is with_prologue
        self.ctx.at(node)
        self.ctx.before_errors = None
        results = Results(self.calls, self.params, self.classes)
        leaf = results.leaf(result, node)
        gradients = results.gradients()
        changes = tuple(results.changes(node))
        inout = tuple(
            i
            for i, (p, c) in enumerate(zip(self.params, self.classes, strict=True))
            if c and self.ctx.storage.bases[c] is not p
        )
        finals = [self.ctx.storage.bases[self.classes[i]] for i in inout]
        results.require_apart(finals)
        histories = results.histories(finals, bool(gradients))
        ops = (*self.prologue, *self.top.ops)
        body = Block(tuple(self.params), ops, (*results.outputs, *finals))
        policy = {**self.policy, **({"any_size": True} if self.any_size else {})}
        graph = Graph(_identifier(name), body, self.ctx.device, inout, policy)
        guards = self.statics.guards
        lowered = Lowered(graph, tuple(self.inputs), leaf, guards, gradients, changes, self.statics.keep)
        lowered.histories = histories
        lowered.tensors = self.ctx.tensors
        lowered.for_read_only = self.ctx.refused_write
        lowered.reports = tuple(self.reports.plans)
        return lowered

    def body(self) -> FrontValue:
        """What the function returns for the arguments in the frame."""
        alive = self.call_itself() if self.recursion.is_recursive(self.source) else self.calls.run(self.source)
        result = (self.ctx.frame.result if alive else None) or Static(None)
        return elements.current(self.ctx, result)

    def call_itself(self) -> bool:
        """Call the function, which calls itself, with the arguments; whether it returns."""
        frame = self.ctx.frame
        try:
            frame.env[RETURN_VALUE] = self.recursion.invoke(
                self.calls, self.source, dict(frame.env), self.source.node, None
            )
        except Unreachable:
            return False
        return True

    def bind(self, name: str, access: Access, spec: Spec) -> FrontValue:
        """An argument as a front-end value."""
        match spec:
            case ArraySpec():
                return self.array_input(name, access, spec)
            case NumberSpec():
                return self.number_input(name, access, spec)
            case StaticSpec(ItemsOfSet() as items):
                return Static(set(items))
            case StaticSpec(value):
                self.statics.guard_contents(value, access)
                return Static(value)
            case NumbersSpec():
                return self.bind_numbers(name, access, spec)
            case TreeSpec(kind, keys, children):
                return self.bind_tree(name, access, kind, keys, children)

    def bind_tree(
        self, name: str, access: Access, kind: type, keys: tuple[Any, ...], children: tuple[Spec, ...]
    ) -> FrontValue:
        step = step_kind(kind)
        parts = [self.bind(f"{name}_{k}", access.step(step, k), c) for k, c in zip(keys, children, strict=True)]
        if issubclass(kind, dict):
            return self.statics.of_outside(DictValue(dict(zip(keys, parts, strict=True)), access, cls=dict_class(kind)))
        if issubclass(kind, tuple):
            return TupleValue(tuple(parts), kind if hasattr(kind, "_fields") else None)
        if issubclass(kind, list):
            return self.statics.list_of_outside(parts, access)
        return self.statics.of_outside(ObjectValue(kind, dict(zip(keys, parts, strict=True)), access))

    def bind_numbers(self, name: str, access: Access, spec: NumbersSpec) -> FrontValue:
        """A list of many numbers, or of tuples of them: a parameter for each column."""
        if self.ctx.device != "cpu":
            raise NeedsItems
        columns = [
            self.array_input(name, access.step("numbers", key), ArraySpec(dtype, (None,), "C", tensor=False))
            for key, dtype in zip(spec.columns, spec.dtypes, strict=True)
        ]
        return self.statics.numbers_of_outside(columns, spec.in_tuples, access)

    def number_input(self, name: str, access: Access, spec: NumberSpec) -> Number:
        """A parameter for a number."""
        value = Value(ScalarType(spec.dtype), name)
        self.add_param(value, Input(access, spec), 0)
        self.ctx.number_access[value] = access
        return Number(value, spec.weak)

    def hidden_number(self, access: Access, spec: NumberSpec) -> Number:
        """A number from outside the function."""
        if access not in self.numbers:
            self.numbers[access] = self.number_input(hidden_name(access), access, spec)
        return self.numbers[access]

    def add_param(self, value: Value, input: Input, storage: int) -> None:
        self.params.append(value)
        self.inputs.append(input)
        self.classes.append(storage)

    def array_input(self, name: str, access: Access, spec: ArraySpec, hidden: bool = False) -> ArrayView:
        """A parameter for an array; its named sizes are read once, at the start of the function."""
        same = self.aliases.get(access)
        if same is not None and same in self.views:
            return self.views[same]
        spec = taken(spec)
        dims = tuple(next(self.dim_names) if d is None else d for d in spec.dims)
        value = Value(TensorType(spec.dtype, dims), name)
        prologue = ScriptBuilder()
        for axis, dim in enumerate(dims):
            if isinstance(dim, str):
                size = prologue.emit("dim", (value,), {"axis": axis}, names=(dim,))[0]
                self.ctx.dims[dim] = size
                self.ctx.size_access[dim] = (access, axis)
                self.ctx.sizes.note_lower(size, 0 if self.any_size else 2)
        held, start = self.held_gradient(access)
        state = Number(prologue.constant(start, ScalarType(I64)), weak=True)
        starts = spec.requires_grad and held is None
        zeros = prologue.zeros_like(prologue.wrap(value)).value if starts else None
        storage = self.ctx.storage.new(value)
        self.add_param(value, Input(access, spec, hidden), storage)
        self.ctx.arguments.add(storage)
        elements.note_input(self.ctx, storage, spec.tensor)
        if not spec.contiguous:
            self.ctx.strided.add(storage)
        if spec.order == "F":
            self.ctx.by_columns.add(storage)
        if not spec.writeable:
            self.ctx.readonly.add(storage)
        with self.strides_in(prologue) if hidden and self.ctx.outer_builders else nullcontext():
            nothing = None if zeros is None else self.ctx.whole_view(self.ctx.storage.new(zeros))
            view = self.views[access] = self.ctx.whole_view(storage)
        self.prologue.extend(prologue.ops)
        if held is not None:
            nothing = self.statics.hidden(held, access.step("attribute", "grad"))
        self.gradients.add_input(storage, state, nothing, access, spec)
        return view

    @contextmanager
    def strides_in(self, prologue: ScriptBuilder) -> Iterator[None]:
        """Around the views of an array that is first met inside a block: other blocks, and another attempt at this one,
        use the same strides, which are computed at the start of the function."""
        own = Sizes(lower=dict(self.ctx.sizes.lower))
        with self.ctx.within(prologue, self.ctx.storage, own):
            yield
        for sizes in (*self.ctx.outer_sizes, self.ctx.sizes):
            for at, made in own.memo.items():
                sizes.memo.setdefault(at, made)
                sizes.lower.update({k: own.lower[k] for k in (key(made),) if k in own.lower})

    def held_gradient(self, access: Access) -> tuple[Any, int]:
        """What `.grad` of an input holds when the call begins, where that matters, and the state that is."""
        if access not in self.known.entries:
            return None, 0
        arguments = ARGUMENTS.get()
        if arguments is None:
            return None, CLEARED
        found = access.step("attribute", "grad")
        value = found.fetch(arguments)
        if value is None:
            self.statics.guards[found] = StaticSpec(None)
            return None, CLEARED
        return value, HAS_ARRAY | ENTRY

    def hidden_input(self, access: Access, spec: Any) -> ArrayView:
        """An array from outside the function; it may first be met inside a nested block."""
        view = self.array_input(hidden_name(access), access, spec, hidden=True)
        self.ctx.tensors = self.ctx.tensors or spec.tensor
        self.ctx.undecided = False
        known = dict(self.ctx.storage.bases)
        base = known[view.storage]
        new = [view.storage]
        if view.storage in self.gradients.leaves:
            new.append(self.gradients.array(view.storage).storage)
        for storage in self.ctx.outer_storages:
            for c in new:  # the array and, if it asks for gradients, the zeros that its `.grad` starts from
                storage.bases.setdefault(c, known[c])
        for sizes in self.ctx.outer_sizes:
            for dim in base.type.shape:  # type: ignore[union-attr]
                if isinstance(dim, str):
                    sizes.note_lower(self.ctx.dims[dim], 0 if self.any_size else 2)
        return view


def hidden_name(access: Access) -> str:
    """A name for a hidden input: the last one of the path to it."""
    names = [str(key) for _, key in access.steps if isinstance(key, str)]
    return _identifier(names[-1]) if names else "hidden"


def _devices(spec: Spec) -> set[str]:
    """The devices of the arrays in a spec."""
    if isinstance(spec, ArraySpec):
        return {spec.device}
    return set().union(*map(_devices, spec.children)) if isinstance(spec, TreeSpec) else set()


def _has_tensor(spec: Spec) -> bool:
    if isinstance(spec, ArraySpec):
        return spec.tensor
    if isinstance(spec, StaticSpec):
        return hasattr(spec.value, "state_dict")
    return isinstance(spec, TreeSpec) and any(_has_tensor(c) for c in spec.children)


def _dim_names() -> Any:
    """Names for the sizes of parameters: n, m, k, ... then d0, d1, ..."""
    yield from ("n", "m", "k", "l", "p", "q", "r", "s", "t", "u", "v", "w")
    for i in itertools.count():
        yield f"d{i}"


def _identifier(name: str) -> str:
    made = "".join(ch if ch.isalnum() or ch == "_" else "_" for ch in name)
    return made.strip("_") or "script"
