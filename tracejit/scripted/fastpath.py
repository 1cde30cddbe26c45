"""A specialisation as guards and a result plan for the native call path (`runtime/guards.py`).

What the plan cannot express (texts, lists of arrays of many sizes, attributes that are set) stays with the Python path.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from ctypes import py_object
from dataclasses import replace
from operator import methodcaller
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tracejit.codegen.numeric import numpy_dtype
from tracejit.eager.modes import MODE
from tracejit.eager.tape import attach
from tracejit.eager.tensor import Tensor, wrap
from tracejit.frontend.boundary.results import History
from tracejit.frontend.boundary.signature import (
    FEW_NUMBERS,
    MISSING,
    Access,
    NumberSpec,
    NumbersSpec,
    Spec,
    StaticSpec,
    TreeSpec,
    python_type,
    step_kind,
)
from tracejit.frontend.function import (
    ArrayLeaf,
    ConstantLeaf,
    Input,
    InputLeaf,
    ItemsLeaf,
    Leaf,
    ListLeaf,
    Lowered,
    NumberLeaf,
    OptionalLeaf,
    TreeLeaf,
    TurnedLeaf,
    ViewLeaf,
)
from tracejit.ops.effects import REPORTED
from tracejit.records import record
from tracejit.runtime import guards as g
from tracejit.runtime.dispatch import is_available
from tracejit.runtime.dispatch_tables import FrameHead, offset_of
from tracejit.runtime.failure import error_hook
from tracejit.runtime.specialisation import Specialisation as NativeSpecialisation
from tracejit.scripted.entries import native_entry
from tracejit.scripted.node import Spent, spend
from tracejit.scripted.overlap import has_two_names, require_one_name
from tracejit.scripted.results import leave_gradients, make_tree, make_trees, read_only, set_gradients, shared_view

if TYPE_CHECKING:
    from tracejit.scripted.compiler import Compiled
    from tracejit.scripted.function import Specialisation

#: Gives the exception of (status, address of the context).
ErrorHook: TypeAlias = Callable[[int, int], BaseException]

#: Parameters whose parts are arguments of the call.
_EXTRA = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Inexpressible(Exception):
    """The native path cannot serve this specialisation."""


@record
class _Either:
    """One of two parts of a result, by the leaf that tells which; the other one may be nothing that can be made."""

    holds: int
    then: Any
    orelse: Any


@record
class CallPattern:
    """How a call passes its arguments: so many by position, then keywords in this order; defaults for the rest."""

    positional: int
    keywords: tuple[str, ...]

    def place(self, index: int, parameter: inspect.Parameter) -> tuple[int, Any]:
        """Where parameter `index` is found: its place in the call, or -1 and its default."""
        if index < self.positional and parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            return index, None
        if parameter.name in self.keywords:
            return self.positional + self.keywords.index(parameter.name), None
        return -1, parameter.default

    def extra(
        self, index: int, parameter: inspect.Parameter, access: Access
    ) -> tuple[int, tuple[tuple[str, Any], ...]]:
        """Where a part of `*args` or `**kwargs`, parameter `index`, is found: its place in the call, further steps."""
        (_, key), *further = access.steps
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            return index + key, tuple(further)
        return self.positional + self.keywords.index(key), tuple(further)


def fast_specialisation(
    made: Specialisation,
    signature: inspect.Signature,
    pattern: CallPattern,
    recorded: bool,
    run: Callable[[Sequence[Any]], Any],
) -> NativeSpecialisation | None:
    """The specialisation for the native path and one pattern of calls; None where calls must be told apart by Python.

    With Tensors that ask for gradients there are two: calls that are `recorded` on the tape, and calls under `no_grad`.
    `run` runs the specialisation on arguments that it fits, where the plan cannot express all of it.
    """
    lowered = made.lowered
    if not is_available() or lowered.for_read_only:
        return None
    from tracejit.scripted.fastrecord import RecordedPlan

    kind = RecordedPlan if recorded else Plan
    try:
        if lowered.changes or _changes_at_errors(made):
            return kind(made, signature, pattern).build_around(run)
        try:
            return kind(made, signature, pattern).build()
        except Inexpressible:
            return kind(made, signature, pattern).build_around(run)
    except Inexpressible:
        return None


class Plan:
    """A specialisation in the words of the native path."""

    recorded = False

    def __init__(self, made: Specialisation, signature: inspect.Signature, pattern: CallPattern) -> None:
        self.made = made
        self.pattern = pattern
        self.parameters = tuple(signature.parameters.values())
        self.places = [pattern.place(i, p) for i, p in enumerate(signature.parameters.values())]
        self.lowered: Lowered = made.lowered
        self.arguments: list[g.Argument] = []
        self.at: dict[Access, int] = {}  #: places among the guards of those that carry inputs
        self.guarded: dict[Access, int] = {}  #: places of the others
        self.inputs = {i.access: i for i in self.lowered.inputs}
        self.inout = {self.lowered.inputs[i].access for i in self.lowered.graph.inout}

    def guards(self) -> list[g.Argument]:
        """The guards of a call; those that carry the graph's inputs stand last, in order."""
        self.guard_properties()
        for i, spec in enumerate(self.made.parameters):
            self.guard_tree(Access(i), spec)
        for access, spec in self.lowered.guards.items():
            self.guard_outer(access, spec)
        if self.made.wanted and not self.lowered.gradients:
            self.arguments.append(g.Argument(g.IsGuard(self.recorded), -1, (("attribute", "enabled"),), MODE))
        return [*self.arguments, *[self.carrier(k, i) for k, i in enumerate(self.lowered.inputs)]]

    def build(self) -> NativeSpecialisation:
        arguments = self.guards()
        leaves: list[g.Leaf] = []
        shape, finish = self.results(self.lowered.result, leaves)
        if self.lowered.gradients or self.lowered.histories:
            shape, finish = "finish", self.leave_gradients(shape, finish, leaves)
        plan = g.ResultPlan(tuple(leaves), shape, finish)
        hook, objects = error_hook(self.compiled.interface.errors), list[int]()
        if self.made.may_report:
            hook = self.leaving_gradients(hook, objects)
        entry = native_entry(self.compiled.native, self.compiled.has_loops, hook)
        made = NativeSpecialisation(entry, arguments, plan, self.pattern.positional, self.pattern.keywords)
        objects.append(made.table.objects)
        return made

    def build_around(self, run: Callable[[Sequence[Any]], Any]) -> NativeSpecialisation:
        """Guards only: `run` gets the arguments of calls that they let through."""
        guards = self.guards()
        leaves: list[g.Leaf] = []
        arguments = [self.given(i, spec, leaves) for i, spec in enumerate(self.made.parameters)]

        def finish(*values: Any) -> Any:
            return run([self.assemble(place, values) for place in arguments])

        entry = g.NativeEntry(0, (), _no_error)
        plan = g.ResultPlan(tuple(leaves), "finish", finish)
        return NativeSpecialisation(entry, guards, plan, self.pattern.positional, self.pattern.keywords)

    def given(self, index: int, spec: Spec, leaves: list[g.Leaf]) -> Any:
        """Put an argument among the leaves; how it is made, for `assemble`."""
        if isinstance(spec, TreeSpec) and self.parameters[index].kind in _EXTRA:
            parts = [Access(index).step(step_kind(spec.type), key) for key in spec.keys]
            return (lambda *made: make_tree(spec.type, spec.keys, made)), [self.object_at(a, leaves) for a in parts]
        return self.object_at(Access(index), leaves)

    def object_at(self, access: Access, leaves: list[g.Leaf]) -> int:
        """Put a guarded object among the leaves."""
        leaves.append(g.ArgumentResult(self.at[access] if access in self.at else self.guarded[access]))
        return len(leaves) - 1

    @property
    def compiled(self) -> Compiled:
        """The graph whose outputs the leaves name."""
        return self.made.compiled

    def argument(self, guard: g.Guard, access: Access) -> g.Argument:
        """A guard for what is found at an access, in calls of this pattern."""
        access = self.past_property(access)
        if access.root < 0:
            return g.Argument(guard, -1, _steps_from(access.constant, access.steps), access.constant)
        if self.parameters[access.root].kind in _EXTRA:
            root, steps = self.pattern.extra(access.root, self.parameters[access.root], access)
            return g.Argument(guard, root, steps)
        root, default = self.places[access.root]
        return g.Argument(guard, root, access.steps, default)

    def past_property(self, access: Access) -> Access:
        """The access of the same where `.grad` of an input is read from its slot: the property is Python code."""
        at = self.grad_read(access)
        if at is None:
            return access
        return replace(access, steps=(*access.steps[:at], ("attribute", "_grad"), *access.steps[at + 1 :]))

    def grad_read(self, access: Access) -> int | None:
        """The step of an access that reads `.grad` of an input, if one does."""
        for at, step in enumerate(access.steps):
            if step == ("attribute", "grad") and self.is_tensor(replace(access, steps=access.steps[:at])):
                return at
        return None

    def guard_properties(self) -> None:
        """Where `.grad` of an input is read, it is that of Tensors, not of a subclass."""
        reads = [(access, self.grad_read(access)) for access in (*self.lowered.guards, *self.inputs)]
        for owner in dict.fromkeys(replace(x, steps=x.steps[:at]) for x, at in reads if at is not None):
            kind = owner.step("attribute", "__class__")
            self.arguments.append(self.argument(g.IsGuard(Tensor.grad), kind.step("attribute", "grad")))

    def is_tensor(self, access: Access) -> bool:
        """Whether it leads to an input that is a Tensor."""
        found = self.inputs.get(access)
        return found is not None and found.is_tensor

    # -- guards -----------------------------------------------------------------------------------------------

    def guard_tree(self, access: Access, spec: Spec) -> None:
        """Guards of an argument's containers and compile-time parts; inputs are added in graph order later."""
        match spec:
            case TreeSpec(kind, keys, children):
                if (
                    access.steps or self.parameters[access.root].kind not in _EXTRA
                ):  # the call makes `*args`, `**kwargs`
                    self.add(self.tree_guard(kind, keys), access)
                for key, child in zip(keys, children, strict=True):
                    self.guard_tree(access.step(step_kind(kind), key), child)
            case StaticSpec(value):
                self.add(self.static_guard(value), access)
            case NumbersSpec():
                pass  # its items are an input
            case _:
                if access not in self.inputs:
                    raise Inexpressible

    @staticmethod
    def tree_guard(kind: type, keys: tuple[Any, ...]) -> g.Guard:
        """A container of this type with these keys."""
        if issubclass(kind, dict):
            if kind is not dict:  # a subclass may keep an order of its own
                raise Inexpressible
            return g.KeysGuard(keys)
        return g.TypeGuard(kind, len(keys) if issubclass(kind, tuple | list) else None)

    def guard_outer(self, access: Access, spec: Spec) -> None:
        if isinstance(spec, TreeSpec):
            self.guard_container(access, spec.type, len(spec.keys))
            return
        if isinstance(spec, NumberSpec):  # the guard that carries the input looks at it
            return
        assert isinstance(spec, StaticSpec)
        kind, name = access.steps[-1] if access.steps else ("", None)
        if spec.value is MISSING and kind == "attribute":
            access, spec = access.parent.step("has", name), StaticSpec(False)
        if spec.value is MISSING or kind == "contents":
            raise Inexpressible
        if any(kind == "iterate" for kind, _ in access.steps):
            self.guard_items(access, spec.value)
            return
        self.add(self.static_guard(spec.value), access)

    def guard_container(self, access: Access, kind: type, length: int) -> None:
        """A container from outside. What it holds has guards of its own; that a dict is the same one stands for the
        order of its keys."""
        if access.root >= 0:
            raise Inexpressible
        if issubclass(kind, dict):
            self.add(g.IsGuard(access.fetch(())), access)
        self.add(g.TypeGuard(kind, length if issubclass(kind, dict | list | tuple) else None), access)

    def guard_items(self, access: Access, items: tuple[Any, ...]) -> None:
        """What iterating over a container of modules gives."""
        held = access.parent.step("attribute", "_modules")
        modules = held.fetch(()) if access.root < 0 else None
        if not isinstance(modules, dict) or tuple(modules.values()) != items:
            raise Inexpressible
        self.guard_container(held, type(modules), len(items))
        for key, item in modules.items():
            self.add(g.IsGuard(item), held.step("item", key))

    @staticmethod
    def static_guard(value: Any) -> g.Guard:
        """Objects compare by identity; numbers and strings made at run time may differ in identity and miss."""
        return g.IsGuard(value)

    def add(self, guard: g.Guard, access: Access) -> None:
        self.guarded[access] = len(self.arguments)
        self.arguments.append(self.argument(guard, access))

    def carrier(self, index: int, input: Input) -> g.Argument:
        """The guard that also passes the value to the graph, as input number `index`."""
        access, spec = input.given_at, input.spec
        self.at[access] = len(self.arguments) + index
        if input.is_list:
            return self.argument(self.numbers_guard(input), access)
        if isinstance(spec, NumberSpec):
            guard: g.Guard
            if not spec.weak:
                guard = g.BoxedGuard(numpy_dtype(spec.dtype).type)
            elif spec.dtype.kind == "i":
                told = self.lowered.guards.get(access)
                least = told.least if isinstance(told, NumberSpec) else None
                guard = g.IntGuard() if least is None else g.IntGuard(least)
            else:
                guard = g.BoxedGuard(float if spec.dtype.kind == "f" else complex)
            return self.argument(guard, access)
        guard = g.ArrayGuard(
            numpy_dtype(spec.dtype),
            tuple(n if n is not None else f"{id(input)}.{k}" for k, n in enumerate(spec.dims)),
            order=spec.order,
            inout=access in self.inout,
            tensor=Tensor if spec.tensor else None,
            requires_grad=spec.requires_grad,
        )
        return self.argument(guard, access)

    def numbers_guard(self, input: Input) -> g.NumbersGuard:
        """A list of many numbers or tuples."""
        (_, (column, _)), kind = input.access.steps[-1], python_type(input.spec.dtype)
        width = sum(i.given_at == input.given_at for i in self.lowered.inputs)
        return g.NumbersGuard(kind, FEW_NUMBERS + 1, None if column is None else (column, width))

    # -- results ----------------------------------------------------------------------------------------------

    def results(self, leaf: Leaf, leaves: list[g.Leaf]) -> tuple[str, Any]:
        places = self.flatten(leaf, leaves)
        if isinstance(places, int):
            return "single", None
        if isinstance(places, tuple) and places[1] == tuple(range(len(leaves))):
            return ("tuple", None) if isinstance(leaf, TreeLeaf) and leaf.type is tuple else ("finish", places[0])
        return "finish", lambda *values: self.assemble(places, values)

    @classmethod
    def assemble(cls, place: Any, values: tuple[Any, ...]) -> Any:
        """A result out of its flattened parts: the value at a place, or what a function makes of others."""
        if isinstance(place, int):
            return values[place]
        if isinstance(place, _Either):
            return cls.assemble(place.then if values[place.holds] else place.orelse, values)
        make, children = place
        return make(*[cls.assemble(c, values) for c in children])

    def leave_gradients(self, shape: str, finish: Any, leaves: list[g.Leaf]) -> Callable[..., Any]:
        """What `backward()` in the script leaves in `.grad`: Tensors and gradients are leaves of their own, behind
        the result's."""
        count, lefts = len(leaves), list[int]()
        for left in self.lowered.gradients:
            state = left.state
            lefts.append(len(leaves))
            leaves.append(g.ArgumentResult(self.at[self.lowered.inputs[left.input].access]))
            leaves.append(g.ArrayResult(left.result, wrap(np.zeros(0))) if left.result >= 0 else g.ConstantResult(None))
            leaves.append(g.ConstantResult(state) if isinstance(state, int) else g.NumberResult(state[1]))
        spent = Spent(self.lowered.graph, self.lowered.histories)
        places = {x.output: i for i, x in enumerate(leaves) if isinstance(x, g.ArrayResult) and x.like is not None}
        results = [self.spent(places[h.result], h, leaves) for h in spent.results if h.result in places]
        arguments: list[tuple[int, int, int]] = []
        for i, h in spent.arguments:
            access = self.lowered.inputs[i].access
            if not self.is_tensor(access):
                continue
            leaves.append(g.ArgumentResult(self.at[access]))
            arguments.append(self.spent(len(leaves) - 1, h, leaves))
        may_meet, reports = has_two_names(self.lowered), bool(self.lowered.reports)

        def finished(*values: Any) -> Any:
            node = spent.node()
            if node is not None:
                for at, holds, port in results:
                    if values[holds]:
                        attach(values[at], node, port)
            if reports:
                REPORTED.clear()
            if may_meet:
                require_one_name([values[at] for at in lefts])
            leave_gradients([values[at : at + 3] for at in lefts])
            if node is not None:
                for at, holds, port in arguments:
                    if values[holds]:
                        spend(values[at], node, port)
            if shape == "single":
                return values[0]
            return values[:count] if shape == "tuple" else finish(*values[:count])

        return finished

    def spent(self, place: int, history: History, leaves: list[g.Leaf]) -> tuple[int, int, int]:
        """What asks for gradients after a call that cannot give them: the leaf, the leaf that says whether it does, and
        the graph result."""
        holds = self.number(True if history.holds is None else ("r", history.holds), leaves)
        return place, holds, history.result

    def leaving_gradients(self, hook: ErrorHook, objects: list[int]) -> ErrorHook:
        """The error hook that also sets `.grad` as the script had when it raised. The Tensors are found in the frame
        that the context is part of; `objects` will hold the offset of the objects in it."""
        lowered = self.lowered
        places = [self.at[i.given_at] for i in lowered.inputs]

        def hooked(status: int, context: int) -> BaseException:
            error = hook(status, context)
            first = context - offset_of(FrameHead, "context") + objects[0]
            for plan, values in REPORTED.notes:
                left = lowered.reports[plan]
                inputs = {k.input: _object_at(first + 8 * places[k.input]) for k in left.gradients}
                set_gradients(lowered, left.gradients, inputs, left.values(values))
            REPORTED.clear()
            return error

        return hooked

    def flatten(self, leaf: Leaf, leaves: list[g.Leaf]) -> Any:
        """Put what a result is made of among the leaves; how it is made, for `assemble`."""
        match leaf:
            case TreeLeaf(kind, keys, children):
                parts = tuple(self.flatten(c, leaves) for c in children)
                return (lambda *made: make_tree(kind, keys, made)), parts
            case OptionalLeaf(some, value):
                return _Either(self.number(("r", some), leaves), self.flatten(value, leaves), self.number(None, leaves))
            case ViewLeaf():
                return self.view(leaf, leaves)
            case TurnedLeaf(index, axes):
                return methodcaller("transpose", axes), (self.flatten(ArrayLeaf(index), leaves),)
            case ArrayLeaf(index, shares, readonly) if shares or readonly is not False:
                made = self.flatten(ArrayLeaf(index), leaves)
                if readonly is not False:
                    made = _read_only_where, (self.number(readonly, leaves), made)
                for flag, shared in reversed(shares):
                    holds = self.number(True if flag is None else ("r", flag), leaves)
                    made = _Either(holds, self.flatten(shared, leaves), made)
                return made
            case ListLeaf(length, items):
                return self.items(items, self.number(("r", length), leaves), leaves)
            case _:
                leaves.append(self.leaf(leaf))
                return len(leaves) - 1

    def items(self, leaf: Leaf, length: int, leaves: list[g.Leaf]) -> Any:
        """How the items of a list are made, or a part of each; its length is the leaf at `length`."""
        match leaf:
            case ItemsLeaf(index, weak, None) if weak or not self.made.tensors:
                leaves.append(g.ArrayResult(index))
                return methodcaller("tolist") if weak else list, (len(leaves) - 1,)
            case TreeLeaf(kind, keys, children):
                columns = tuple(self.items(c, length, leaves) for c in children)
                return (lambda n, *columns: make_trees(kind, keys, columns, n)), (length, *columns)
            case ConstantLeaf(value):
                return (lambda n: [value] * n), (length,)
            case _:
                raise Inexpressible

    def view(self, leaf: ViewLeaf, leaves: list[g.Leaf]) -> Any:
        """A view of an argument."""
        owner, rank = self.flatten(InputLeaf(leaf.input), leaves), len(leaf.lengths)
        numbers = (leaf.readonly, leaf.offset, *leaf.strides, *leaf.lengths)

        def made(owner: Any, readonly: Any, offset: int, *sizes: int) -> Any:
            return shared_view(owner, leaf.whole, offset, sizes[:rank], sizes[rank:], readonly)

        return made, (owner, *(self.number(n, leaves) for n in numbers))

    def number(self, part: Any, leaves: list[g.Leaf]) -> int:
        """A number or flag that says how a result is made: a constant, or `("r", i)` for graph result i."""
        leaves.append(g.NumberResult(part[1]) if isinstance(part, tuple) else g.ConstantResult(part))
        return len(leaves) - 1

    def leaf(self, leaf: Leaf) -> g.Leaf:
        like = wrap(np.zeros(0)) if self.made.tensors else None
        match leaf:
            case ArrayLeaf(index):
                return g.ArrayResult(index, like)
            case NumberLeaf(index, weak):
                if weak:
                    return g.NumberResult(index)
                return g.ArrayResult(index, like) if like is not None else g.NumberResult(index, boxed=True)
            case InputLeaf(index):
                return g.ArgumentResult(self.at[self.lowered.inputs[index].access])
            case ConstantLeaf(value):
                return g.ConstantResult(value)
            case _:
                raise Inexpressible


def _steps_from(owner: Any, steps: tuple[tuple[str, Any], ...]) -> tuple[tuple[str, Any], ...]:
    """Steps from a fixed object. To a part of a module they lead through the table that has it: Python code would look
    it up by its name."""
    if steps and steps[0][0] == "attribute" and hasattr(type(owner), "state_dict"):
        name = steps[0][1]
        for table in ("_parameters", "_buffers", "_modules"):
            if name in vars(owner).get(table, ()):
                return ("attribute", table), ("item", name), *steps[1:]
    return steps


def _no_error(status: int, context: int) -> BaseException:
    raise AssertionError("nothing native was called")


def _read_only_where(holds: bool, made: Any) -> Any:
    return read_only(made) if holds else made


def _changes_at_errors(made: Specialisation) -> bool:
    """Whether an error may leave changes to parts of objects that only Python can make: other than `.grad`, or of a
    call that in the end changes nothing, so that no Python code runs that would forget a report."""
    lowered = made.lowered
    return made.may_report and (not lowered.gradients or any(left.changes for left in lowered.reports))


def _object_at(address: int) -> Any:
    """The object that the pointer at an address leads to."""
    return py_object.from_address(address).value
