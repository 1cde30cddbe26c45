"""Derivatives inside a script: `tj.grad(f)(x)`, `loss.backward()`, `x.grad`, `no_grad`.

Each becomes a `gradient` op over values of the graph, which the transform `expand-gradient` replaces by the ops
that compute it. `w.grad` is a name of this lowering only; what is left in it at the end is added to the Tensor's
`.grad` after the call, as in eager code. Branches and loops may change it.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tracejit.eager.backward import COMPLEX_LOSS
from tracejit.eager.hooks import LEAF_HOOKS
from tracejit.errors import NotDifferentiable, ScriptError
from tracejit.frontend.boundary.signature import ArraySpec, constant_access
from tracejit.frontend.containers.array_memory import lies_in_memory, same_memory
from tracejit.frontend.containers.key_order import certain
from tracejit.frontend.context import Again
from tracejit.frontend.derivatives.accumulation import (
    CLEARED,
    ENTRY,
    HAS_ARRAY,
    GradientState,
    accumulate,
    follow,
)
from tracejit.frontend.derivatives.directions import direction_for
from tracejit.frontend.derivatives.tape import Tape
from tracejit.frontend.first_call import ARGUMENTS
from tracejit.frontend.instances.heap import place_key
from tracejit.frontend.tensors import elements
from tracejit.frontend.tensors.arrays import require_single
from tracejit.frontend.values import (
    ArrayView,
    DictValue,
    FrontValue,
    GrowingList,
    ListValue,
    Number,
    ObjectValue,
    OptionalValue,
    Static,
    Transformed,
    TupleValue,
    describe,
)
from tracejit.ir.core import Value
from tracejit.ir.reached import Reach, Truth, any_of, may_lead, value_of
from tracejit.ir.types import F64, ScalarType, is_differentiable
from tracejit.ops.control import emit_gradient

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


_NO_HISTORY = "this tensor does not require gradients and has no grad_fn"
_ENDED = "this may be made of a tensor that asks for gradients, and that a branch or a trip of a loop before made"
_NOT_SCALAR = "grad can be implicitly created only for scalar outputs"
_WRONG_SHAPE = "RuntimeError", "a gradient of shape {have} does not fit an output of shape {want}"

#: The parameters of `backward`; the last one is refused.
_BACKWARD = ("gradient", "retain_graph", "create_graph", "inputs")


class NeedsEntry(Exception):
    """What `.grad` of an input held when the call began matters: lower again with it as an input."""

    def __init__(self, access: Any) -> None:
        super().__init__()
        self.access = access


@dataclass(slots=True)
class Gradients:
    """The state of `.grad` while a function is lowered.

    It lives on the heap like the attributes of any object, so that branches and loops join it.
    """

    calls: Calls
    around: Gradients | None = None  #: of the caller of a function that calls itself
    #: classes of arguments that ask for gradients -> their access; those of tensors that the script made -> None
    leaves: dict[int, Any] = field(default_factory=dict[int, Any])
    made: dict[int, ObjectValue] = field(default_factory=dict[int, ObjectValue])  #: the latter, and their `.grad`
    #: classes that may be several leaves, by the path taken -> where names are bound to them
    joined: dict[int, object] = field(default_factory=dict[int, object])
    #: pairs of classes that are one leaf by the path taken -> where
    twins: dict[frozenset[int], Value] = field(default_factory=dict[frozenset[int], Value])
    inputs: dict[int, Any] = field(default_factory=dict[int, Any])  #: classes of all arguments -> their access
    #: classes whose `.grad` at entry is known -> the state it starts from
    entries: dict[int, int] = field(default_factory=dict[int, int])
    tensors: set[int] = field(default_factory=set[int])  #: classes of arguments that may hold a `.grad`
    parameters: list[Value] = field(default_factory=list[Value])  #: those of the function that is lowered
    zeros_at_first: list[Value] = field(default_factory=list[Value])  #: in `.grad` of leaves, made before all else
    ran: bool = False  #: whether `backward()` is called
    holder: ObjectValue | None = None
    first: dict[int, Value] = field(default_factory=dict[int, Value])  #: what leaves hold at first
    tape: Tape = field(init=False)

    def __post_init__(self) -> None:
        self.tape = Tape(self)

    def add_input(self, storage: int, start: Number, zeros: ArrayView | None, access: Any, spec: ArraySpec) -> None:
        """Note an argument; `start` is the state of its `.grad`, `zeros` an array of its shape if it asks for
        gradients, or what its `.grad` holds."""
        heap = self.calls.ctx.heap
        if self.holder is None:
            self.holder = heap.add_outer(ObjectValue(GradientState, {}), "gradients")
        assert self.holder is not None
        self.inputs[storage] = access
        if spec.tensor:
            self.tensors.add(storage)
        known = start.value.known
        if isinstance(known, int) and known:
            self.entries[storage] = known
        heap.met(self.holder, ("state", storage), start)
        if spec.requires_grad:
            self.leaves[storage] = access
            self.first[storage] = self.calls.ctx.storage.bases[storage]
            self.calls.ctx.notes_writes = True
        if zeros is not None:
            heap.met(self.holder, ("grad", storage), zeros)
            self.zeros_at_first.append(self.calls.ctx.storage.bases[zeros.storage])

    def add_made(self, x: ArrayView, leaf: Value, node: ast.AST) -> None:
        """Note a tensor that the script made, whose content is a leaf from here on, without a `.grad`."""
        ctx, c = self.calls.ctx, x.storage
        parts: dict[Any, FrontValue] = {("state", c): ctx.number(CLEARED), ("grad", c): self.zeros(x)}
        self.add_leaf(c, leaf, ctx.heap.add(ObjectValue(GradientState, parts), place_key(node, ctx.path, "leaf")))

    def add_leaf(self, storage: int, leaf: Value, holder: ObjectValue) -> None:
        """Note that a class of the script holds a leaf from here on, whose `.grad` is known and lies in `holder`."""
        self.leaves[storage], self.first[storage], self.entries[storage] = None, leaf, CLEARED
        self.tensors.add(storage)
        self.calls.ctx.asking.add(storage)
        self.made[storage] = holder

    def is_wanted(self, place: object) -> bool:
        """Whether names that a branch or a loop binds to several leaves are to be leaves of their own."""
        recursion = self.calls.ctx.recursion
        return recursion is not None and place in recursion.known.leaves

    def want_leaves(self, classes: Iterable[int]) -> None:
        """Lower again with classes that may be several leaves, by the path taken, as leaves of their own, unless that
        was tried."""
        recursion, places = self.calls.ctx.recursion, {self.joined.get(c) for c in classes} - {None}
        if recursion is not None and not places <= recursion.known.leaves:
            recursion.known.leaves |= places
            raise Again

    def same(self, a: int, b: int) -> bool | Value:
        """Whether two leaves are one tensor."""
        return True if a == b else self.twins.get(frozenset((a, b)), False)

    def end(self, storage: int) -> None:
        """The leaf that a class held until now is no more there, though the class is."""
        ended = self.calls.ctx.storage.new(self.first[storage])
        self.add_leaf(ended, self.first[storage], self.made[storage])
        del self.calls.ctx.storage.bases[ended]

    def is_made(self, content: Value) -> bool:
        """Whether a content is that of a tensor that the script made and asks gradients for."""
        return any(self.calls.ctx.storage.bases.get(c) is content for c in self.made)

    def given(self) -> list[int]:
        """The leaves that are arguments."""
        return [c for c in self.leaves if c not in self.made]

    def ended(self) -> list[int]:
        """The leaves that were made in branches and loops which have ended."""
        return [c for c in self.made if c not in self.calls.ctx.storage.bases]

    def leads_to_ended(self, y: Value, *, if_carried: bool = False) -> bool:
        """Whether `y` leads to one of those, as far as is known."""
        ctx, ended = self.calls.ctx, [self.first[c] for c in self.ended()]
        if not ended and not if_carried:
            return False
        return may_lead([*ctx.outer_builders, ctx.b], y, ended, self.known(), if_carried=if_carried)

    def known(self) -> list[Value]:
        """What leads to no leaf that it is not: it is there before the function begins."""
        return [*self.parameters, *self.zeros_at_first]

    def holder_of(self, storage: int) -> ObjectValue:
        """What holds the `.grad` of a tensor."""
        found = self.made.get(storage, self.holder)
        assert found is not None
        return found

    def state(self, storage: int) -> Number:
        """What was done to an input's `.grad`."""
        found = self.holder_of(storage).contents["state", storage]
        assert isinstance(found, Number)
        return found

    def array(self, storage: int) -> ArrayView:
        """The array in `.grad`; zeros where there is none."""
        found = self.holder_of(storage).contents["grad", storage]
        assert isinstance(found, ArrayView)
        return found

    def is_gradient(self, x: ArrayView) -> bool:
        """Whether an array is the `.grad` of a leaf."""
        return any(self.array(c).storage == x.storage for c in self.leaves if c not in self.ended())

    def is_new(self, storage: int) -> bool:
        """Whether a known state has an array that is not yet in the input's `.grad`."""
        known = self.state(storage).value.known
        assert isinstance(known, int)
        if known & ENTRY:  # accumulated in place, unless it may not be written
            access = self.inputs[storage].step("attribute", "grad")
            return self.inputs.get(self.array(storage).storage) != access
        return bool(known & HAS_ARRAY)

    def set(self, storage: int, state: Number, array: ArrayView | None, node: ast.AST) -> None:
        """Change an input's `.grad`."""
        holder = self.holder_of(storage)
        contents: dict[Any, FrontValue] = {**holder.contents, ("state", storage): state}
        if array is not None:
            contents["grad", storage] = array
            self.calls.ctx.made.setdefault(array.storage, frozenset())  # what reads it does not make it
        self.calls.ctx.write_object(holder, contents, node)

    # -- loss.backward() and .grad ------------------------------------------------------------------------------

    def backward_of(
        self, loss: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
    ) -> FrontValue:
        """`loss.backward()`."""
        given = {**dict(zip(_BACKWARD, args, strict=False)), **kwargs}
        for name in given.keys() - {*_BACKWARD[:3]}:
            if name not in _BACKWARD:
                return self.calls.arith.mismatch(TypeError(f"backward() got an unexpected argument '{name}'"), node)
            if given[name] != Static(None):
                self.calls.ctx.refuse(
                    node, "backward() to some inputs is outside the language", "tj.grad, or x.detach()"
                )
        return self.backward([(loss, given.get("gradient", Static(None)))], given, node)

    def backward(
        self, weighted: list[tuple[FrontValue, FrontValue]], given: dict[str, FrontValue], node: ast.AST
    ) -> FrontValue:
        """Add the gradients of tensors, each with its weight or None, to `.grad` of every leaf."""
        ctx = self.calls.ctx
        self.ran = True
        if not self.leaves:
            ctx.check_false("RuntimeError", "no argument of this script asks for a gradient (requires_grad)")
        ys, seeds = self.cotangents(weighted, node)
        creates = self.flag(given, "create_graph", False, node)
        retains = self.flag(given, "retain_graph", creates, node)
        classes, versions, truths = self.reached(ys)
        site = self.tape.begin(node)
        attrs = {"groups": tuple(map(len, versions)), "site": site, "retain": retains, "whole": True}
        names = [f"d{xs[0].name}" for xs in versions]
        found = emit_gradient(ctx.b, ys, seeds, [x for xs in versions for x in xs], attrs, names)
        for c, g, truth in zip(classes, found, truths, strict=True):
            total = ctx.fresh(g if creates else ctx.b.emit("detach", (g,), names=(g.name,))[0])
            total = self.after_hooks(c, total, truth, node)
            accumulate(self, c, total, truth, node)
        for c in classes:
            follow(self, c, classes, node)
        return Static(None)

    def after_hooks(self, storage: int, g: ArrayView, truth: Truth, node: ast.AST) -> ArrayView:
        """The gradient of a leaf after the hooks that were registered on it, which are guarded."""
        statics, access = self.calls.statics, self.leaves[storage]
        statics.guarded(LEAF_HOOKS.count, constant_access(LEAF_HOOKS).step("attribute", "count"))
        arguments = ARGUMENTS.get()
        if not LEAF_HOOKS.count or access is None or (access.root >= 0 and arguments is None):
            return g
        at = access.step("attribute", "_hooks")
        hooks = at.fetch(arguments or ())
        statics.guarded(hooks, at)
        for hook in (hooks or {}).values():
            made = self.calls.call_value(Static(hook), [g], {}, node)
            if truth is not True or not (isinstance(made, ArrayView) or made == Static(None)):
                reason = "a hook is registered on this leaf, which may get no gradient here, or which it may not change"
                self.calls.ctx.refuse(node, reason, "change '.grad' after backward()")
            g = made if isinstance(made, ArrayView) else g
        return g

    def reached(self, ys: Sequence[Value]) -> tuple[list[int], list[list[Value]], list[Truth]]:
        """The leaves that the `ys` lead to, at least on some paths, with their versions and whether they do."""
        ctx = self.calls.ctx
        classes = [c for c in self.leaves if c in ctx.storage.bases]
        every = [self.versions(c) for c in classes]
        truths = [any_of(ctx.b, by) for by in zip(*map(self.required, ys), strict=True)]
        if all(truth is False for truth in truths):
            raise ScriptError(_ENDED, ctx.b.span, instead="call backward() there")
        found = [x for x in zip(classes, every, truths, strict=True) if x[2] is not False]
        return [c for c, *_ in found], [xs for _, xs, _ in found], [truth for *_, truth in found]

    def required(self, y: Value) -> list[Truth]:
        """Whether `y` leads to each leaf that is there; where it leads to none at all, RuntimeError."""
        truths = self.reach().of(y)
        self.require_history(y, truths, _NO_HISTORY)
        return truths

    def require_history(self, y: Value, truths: Sequence[Truth], message: str) -> None:
        """RuntimeError where `y`, which leads to some leaves by these truths, leads to none."""
        ctx = self.calls.ctx
        if True in truths or self.leads_to_ended(y, if_carried=bool(self.ended())):
            return
        if all(truth is False for truth in truths):
            ctx.check_false("RuntimeError", message)
        ctx.check(value_of(ctx.b, any_of(ctx.b, truths)), "RuntimeError", message)

    def reach(self, classes: Iterable[int] | None = None, depth: int | None = None) -> Reach:
        """Which of the leaves that are there, or of these, values lead to; `depth`: those that so many blocks make."""
        ctx = self.calls.ctx
        chosen = (c for c in self.leaves if c in ctx.storage.bases) if classes is None else classes
        leaves = [self.versions(c) for c in chosen]
        builders = [*ctx.outer_builders, ctx.b][:depth]
        return Reach(builders, leaves, self.known(), lambda n: ctx.sizes.at_least(n, 1))

    @property
    def has_leaves(self) -> bool:
        """Whether there are leaves, or the caller of a function that calls itself has some."""
        return bool(self.leaves) or (self.around is not None and self.around.has_leaves)

    def flag(self, given: dict[str, FrontValue], name: str, default: bool, node: ast.AST) -> bool:
        """A keyword of `backward()`."""
        value = self.calls.static(given.get(name, Static(None)), node, f"{name!r}")
        return default if value is None else bool(value)

    def versions(self, storage: int) -> list[Value]:
        """What a leaf held when the function, and the present iteration of each loop around, began: what it is given
        under `no_grad` meanwhile has the derivatives of that."""
        found = [self.first[storage], *(bases[storage] for bases in self.tape.heads if storage in bases)]
        return list(dict.fromkeys(found))

    def cotangents(
        self, weighted: Sequence[tuple[FrontValue, FrontValue]], node: ast.AST
    ) -> tuple[list[Value], list[Value]]:
        """The differentiated values and their seeds; an array of one element can do without a weight."""
        pairs: list[tuple[Value, Value]] = []
        for y, given in weighted:
            if isinstance(y, ArrayView) and given == Static(None):
                require_single(self.calls, y, "RuntimeError", _NOT_SCALAR)
                y = self.calls.ctx.element(y, (0,) * y.rank)
            pairs.append(self.cotangent(y, given, node))
        return [y for y, _ in pairs], [seed for _, seed in pairs]

    def cotangent(self, y: FrontValue, given: FrontValue | None, node: ast.AST) -> tuple[Value, Value]:
        """The differentiated value and the seed: 1 for a number, the `gradient` argument for an array."""
        ctx = self.calls.ctx
        given = None if isinstance(given, Static) and given.value is None else given
        if isinstance(y, ArrayView) and y.rank == 0:
            y = ctx.element(y, ())
        if isinstance(y, Number) and y.dtype.is_inexact:
            if given is None and y.dtype.is_complex:
                ctx.check_false("RuntimeError", COMPLEX_LOSS)
            seed = ctx.b.constant(1, ScalarType(y.dtype)) if given is None else self.calls.arith.scalar(given, y.dtype)
            return y.value, seed
        if isinstance(y, ArrayView) and given is not None:
            return ctx.load(y), direction_for(self.calls, given, y, _WRONG_SHAPE, node)
        if isinstance(y, ArrayView):
            ctx.check_false("RuntimeError", _NOT_SCALAR)
        ctx.refuse(node, f"{describe(y)} has no derivative", "take the gradient of a float")

    def read(self, x: ArrayView, node: ast.AST) -> FrontValue:
        """`x.grad`."""
        self.require_known(x, node)
        if x.storage not in self.tensors or not x.is_whole:
            return Static(None)
        ctx, state = self.calls.ctx, self.state(x.storage).value
        if x.storage not in self.entries and not (isinstance(state.known, int) and state.known & CLEARED):
            raise NeedsEntry(self.inputs[x.storage])
        if (held := self.unknown(x)) is not None:
            known = ctx.sizes.truths.get(held)
            if known is None:
                return OptionalValue(held, self.array(x.storage), checked=True)
            return self.array(x.storage) if known else Static(None)
        assert isinstance(state.known, int)
        return self.array(x.storage) if state.known & HAS_ARRAY else Static(None)

    def unknown(self, x: ArrayView) -> Value | None:
        """What tells whether the `.grad` of an array is one, where that is known at run time only."""
        if x.storage not in self.tensors or not x.is_whole:
            return None
        state = self.state(x.storage).value
        return None if isinstance(state.known, int) else self.is_held(state)

    def require_known(self, x: ArrayView, node: ast.AST) -> None:
        """Refuse to ask for the `.grad` of what may be one of several leaves, by the path taken or an index, or one
        that a branch or loop made which has ended."""
        ctx = self.calls.ctx
        if x.storage in self.tensors or not ctx.notes_writes or not x.dtype.is_inexact:
            return
        partners = (c for c, _ in ctx.storage.partners(x.storage) if ctx.storage.apart(x.storage, c) is not True)
        several = any(c in self.tensors for c in partners)
        if several and x.is_whole:
            self.want_leaves(same_memory(ctx, x.storage))
        if several or x.storage in ctx.storage.held:
            reason = "which tensor this is depends on the path taken"
            ctx.require_known(node, reason, "ask for '.grad' of each, where it is known")
        if self.leads_to_ended(ctx.load(x), if_carried=True):
            ctx.refuse(node, _ENDED, "ask for '.grad' there")

    def is_held(self, state: Value) -> Value:
        """Whether there is an array, by a state that is known at run time only."""
        ctx = self.calls.ctx
        found = ctx.sizes.memo.get(("held", state))
        if found is None:
            one = ctx.b.constant(HAS_ARRAY, state.type)
            made = ctx.b.emit("eq", (ctx.b.emit("bitand", (state, one))[0], one), names=("held",))[0]
            found = ctx.sizes.memo["held", state] = made
        return found

    def write(self, x: ArrayView, value: FrontValue, node: ast.AST) -> None:
        """`x.grad = value`."""
        ctx = self.calls.ctx
        self.require_known(x, node)
        if isinstance(value, Static) and value.value is None:
            if (
                x.storage in self.inputs or x.storage in self.made
            ):  # nobody sees the `.grad` of an array that is made here
                zeros = self.zeros(x) if x.storage in self.leaves else None
                self.set(x.storage, ctx.number(CLEARED), zeros, node)
                follow(self, x.storage, (), node)
        elif x.storage not in self.leaves:
            ctx.refuse(node, "this array asks for no gradient, so its '.grad' cannot be set", "requires_grad=True")
        elif isinstance(value, ArrayView):
            self.set(x.storage, ctx.number(CLEARED | HAS_ARRAY), value, node)
            follow(self, x.storage, (), node)
        else:
            ctx.refuse(node, f"'.grad' cannot hold {describe(value)}", "assign an array or None")

    def zeros(self, x: ArrayView) -> ArrayView:
        """An array of zeros like a leaf: what its `.grad` counts from once it is cleared."""
        b = self.calls.ctx.b
        zero = b.constant(0, ScalarType(x.dtype))
        return self.calls.ctx.fresh(b.emit("broadcast", (zero, *map(self.calls.ctx.size_value, x.lengths)))[0])

    def detach(self, x: FrontValue) -> FrontValue:
        """`x.detach()`: the same memory, constant for derivatives."""
        if isinstance(x, ArrayView) and x.dtype.is_inexact:
            ctx = self.calls.ctx
            if lies_in_memory(ctx, x):
                made = ctx.fresh(ctx.b.emit("detach", (ctx.load(x),))[0])
                ctx.detached[made.storage] = x.storage
                return made
            base = ctx.storage.bases[x.storage]
            made = ctx.storage.detached(x.storage, ctx.b.emit("detach", (base,), names=(base.name,))[0])
            return dataclasses.replace(x, storage=made)
        if isinstance(x, Number) and x.dtype.is_inexact:
            return elements.shown(self.calls.ctx, x, Number(self.calls.ctx.b.emit("detach", (x.value,))[0], x.weak))
        return x

    def as_python(self, x: FrontValue, value: Value) -> Value:
        """The value of x as a Python number: that of a Tensor that asks for gradients is constant for derivatives."""
        return value if isinstance(x, Number) and x.weak else self._off_the_tape(value)

    def without_history(self, made: ArrayView) -> ArrayView:
        """What `tj.tensor` has made of Tensors, constant for derivatives where these ask for gradients."""
        ctx = self.calls.ctx
        content = ctx.load(made)
        constant = self._off_the_tape(content)
        return made if constant is content else ctx.fresh(constant)

    def _off_the_tape(self, value: Value) -> Value:
        """The value, constant for derivatives where Tensors ask for gradients, as eager code takes it off the tape."""
        ctx = self.calls.ctx
        if not (ctx.tensors and ctx.notes_writes) or not value.type.dtype.is_inexact:  # type: ignore[union-attr]
            return value
        return ctx.b.emit("detach", (value,), names=(value.name,))[0]

    # -- tj.grad(f) inside a script -----------------------------------------------------------------------------

    def call(
        self, transformed: Transformed, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
    ) -> FrontValue:
        """Call `tj.grad(f)` or `tj.value_and_grad(f)`."""
        calls = self.calls
        if kwargs:
            calls.ctx.refuse(
                node, "a transformed function takes positional arguments in a script", "leave out the name"
            )
        argnums = self.positions(transformed.argnums, len(args), node)
        marked = list(args)
        leaves: list[list[tuple[Value, FrontValue, FrontValue]]] = []
        for n in argnums:
            found: list[tuple[Value, FrontValue, FrontValue]] = []
            marked[n] = self.mark(args[n], found, node)
            leaves.append(found)
        result = calls.call_value(transformed.fn, marked, {}, node)
        calls.ctx.at(node)
        y, aux = result, None
        if transformed.has_aux:
            y, aux = calls.expressions.unpackable(result, 2, node)
        self.require_number(y)
        self.restore([leaf for group in leaves for leaf in group])
        value, seed = self.cotangent(y, None, node)
        xs = [leaf[0] for group in leaves for leaf in group]
        why = [f"argument {n} does not matter to the result" for n, group in zip(argnums, leaves) for _ in group]
        attrs = {"unused": tuple(why)} if transformed.unused == "error" else {}
        found_values = iter(calls.ctx.b.emit("gradient", (value, seed, *xs), attrs, names=[f"d{x.name}" for x in xs]))
        parts = [self.rebuild(args[n], found_values) for n in argnums]
        gradient = TupleValue(tuple(parts)) if isinstance(transformed.argnums, tuple) else parts[0]
        if transformed.kind == "grad":
            return gradient if aux is None else TupleValue((gradient, aux))
        return TupleValue((y if aux is None else TupleValue((y, aux)), gradient))

    def require_number(self, y: FrontValue) -> None:
        """What `tj.grad` is taken of is one real number. Raises NotDifferentiable."""
        if not isinstance(y, ArrayView | Number):
            return
        reason = "not a float"
        if isinstance(y, ArrayView) and y.rank:
            reason = "not one number (see jacobian and vjp)"
        elif y.dtype.is_complex:
            reason = "not a real number: take its real part or abs"
        elif y.dtype.is_inexact:
            return
        raise NotDifferentiable("grad", f"the function returns {describe(y)}, {reason}", self.calls.ctx.b.span)

    def positions(self, argnums: int | tuple[int, ...], count: int, node: ast.AST) -> tuple[int, ...]:
        """`argnums` as places among so many arguments; ValueError at that line where there is none."""
        numbers = argnums if isinstance(argnums, tuple) else (argnums,)
        for n in numbers:
            if not -count <= n < count:
                self.calls.arith.mismatch(ValueError(f"there is no argument {n}"), node)
        return tuple(n % count for n in numbers)

    def mark(self, x: FrontValue, found: list[tuple[Value, FrontValue, FrontValue]], node: ast.AST) -> FrontValue:
        """The argument with fresh variables for its floats."""
        ctx = self.calls.ctx
        x = self.calls.as_operand(x)
        match x:
            case ArrayView() if x.dtype.is_inexact:
                value = ctx.b.emit("leaf", (ctx.load(x),), names=("x",))[0]
                made: FrontValue = ctx.fresh(value)
                found.append((value, made, x))
                return made
            case Number() if x.dtype.is_inexact:
                value = ctx.b.emit("leaf", (x.value,), names=("x",))[0]
                made = Number(value, x.weak)
                found.append((value, made, x))
                return made
            case Static(float() as number):
                value = ctx.b.emit("leaf", (ctx.b.constant(number, ScalarType(F64)),), names=("x",))[0]
                found.append((value, x, x))
                return Number(value, weak=True)
            case TupleValue(items, cls):
                return TupleValue(tuple(self.mark(i, found, node) for i in items), cls)
            case ListValue(items):
                return ListValue([self.mark(i, found, node) for i in items], ctx.level)
            case DictValue(items):
                certain(ctx, x, node)
                return x.like({k: self.mark(v, found, node) for k, v in items.items()})
            case ObjectValue(cls, fields):
                return ObjectValue(cls, {k: self.mark(v, found, node) for k, v in fields.items()})
            case GrowingList(storages) if any(is_differentiable(ctx.storage.bases[s].type) for s in storages):
                ctx.refuse(node, "there is no derivative by a list of any length", "make an array of its items")
            case Number() | ArrayView() | Static(int()):
                ctx.at(node)
                raise NotDifferentiable(describe(x), "it is not a float", ctx.b.span)
            case _:
                return x

    def restore(self, leaves: list[tuple[Value, FrontValue, FrontValue]]) -> None:
        """What the function wrote into its marked arguments is written into the real ones."""
        ctx = self.calls.ctx
        for value, marked, original in leaves:
            if isinstance(marked, ArrayView) and isinstance(original, ArrayView):
                now = ctx.storage.bases[marked.storage]
                if now is not value:
                    ctx.store(original, now)

    def rebuild(self, like: FrontValue, found: Any) -> FrontValue:
        """The gradients in the structure of the argument."""
        like = self.calls.as_operand(like)
        match like:
            case ArrayView() if like.dtype.is_inexact:
                return self.calls.ctx.fresh(next(found))
            case Number() if like.dtype.is_inexact:
                return Number(next(found), like.weak)
            case Static(float()):
                return Number(next(found), weak=True)
            case TupleValue(items, cls):
                return TupleValue(tuple(self.rebuild(i, found) for i in items), cls)
            case ListValue(items):
                return ListValue([self.rebuild(i, found) for i in items], self.calls.ctx.level)
            case DictValue(items):
                return like.like({k: self.rebuild(v, found) for k, v in items.items()})
            case ObjectValue(cls, fields):
                return ObjectValue(cls, {k: self.rebuild(v, found) for k, v in fields.items()})
            case _:
                return Static(None)
