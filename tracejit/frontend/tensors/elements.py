"""Elements of Tensors: views of rank 0 in plain Python, numbers in a script.

A number that was read from a Tensor remembers the place, and the content that it is right for. Where the Tensor has
changed since, it is read again when it is used; what changes it in place is written there. Where the place depends on
the path taken, both are refused. As long as nothing writes the Tensor, all this emits nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from tracejit.errors import ScriptError
from tracejit.frontend.functions.names import is_numpys
from tracejit.frontend.instances.heap import led_to
from tracejit.frontend.restarts import NeedsUnrolling
from tracejit.frontend.tensors.same_tensors import SameTensors
from tracejit.frontend.values import ArrayView, Closure, FrontValue, ListValue, Number, OptionalValue, Size, TupleValue
from tracejit.ir.core import Value
from tracejit.ir.types import TensorType
from tracejit.records import record

if TYPE_CHECKING:
    from tracejit.frontend.context import Context
    from tracejit.frontend.control.joins import Join
    from tracejit.frontend.control.loop_plan import Path
    from tracejit.frontend.control.loops import LoopLowering
    from tracejit.frontend.control.sides import Side
    from tracejit.frontend.tensors.storage import Storage

#: Functions whose result shows the memory of their argument.
_VIEWS = frozenset(
    "asanyarray asarray broadcast_arrays broadcast_tensors broadcast_to expand expand_as expand_dims flatten movedim "
    "moveaxis permute permute_dims ravel reshape reshape_as squeeze swapaxes swapdims t transpose unflatten unsqueeze "
    "view view_as".split()
)


@record(eq=False)
class Element:
    """Where a number may be an element: the classes of the memory, each with the content for which it is right. `view`
    is the place, None where it depends on the path, or on what lists hold. A `stale` one is no longer right. `lists`
    are the places that made lists that hold it."""

    contents: Mapping[int, Value]
    view: ArrayView | None = None
    stale: bool = False
    lists: frozenset[object] = frozenset()

    def is_right(self, storage: Storage) -> bool:
        """Whether the memory is still what the number was read from."""
        return not self.stale and all(storage.bases.get(c) is base for c, base in self.contents.items())


@dataclass(slots=True, eq=False)
class Elements:
    """What is known of the elements that a program reads."""

    places: dict[Value, Element] = field(default_factory=dict[Value, Element])
    tensors: set[int] = field(default_factory=set[int])  #: classes of arguments that are Tensors
    numpys: set[int] = field(default_factory=set[int])  #: classes of arrays of NumPy's, whose elements are no views
    has_numpys: bool = False  #: whether some arrays may be NumPy's, no matter which
    kept: set[int] = field(default_factory=set[int])  #: classes of which lists that change hold elements
    #: what made lists that hold one number several times, or that of another list
    repeated: set[object] = field(default_factory=set[object])
    same: SameTensors = field(default_factory=SameTensors)  #: which numbers may be one tensor
    scattered: bool = False  #: whether lists hold numbers of other lists, no matter which


def read(ctx: Context, view: ArrayView, indices: Sequence[Size]) -> Number:
    """The element of an array, by checked indices."""
    made = ctx.element(view, indices)
    if not ctx.tensors:
        return made
    place = ctx.point(view, indices)
    if view.plain:
        place = dataclasses.replace(place, prefix=(*view.prefix, *indices), plain=True)
    return _note(ctx, made, place)


def _note(ctx: Context, made: Number, view: ArrayView) -> Number:
    known, c = ctx.elements, view.storage
    if c not in known.numpys:
        is_tensors = not known.has_numpys or c in known.tensors
        known.places[made.value] = Element({c: ctx.storage.bases[c]}, view if is_tensors else None)
    return made


def note_input(ctx: Context, storage: int, is_tensor: bool) -> None:
    """Note an array from outside."""
    (ctx.elements.tensors if is_tensor else ctx.elements.numpys).add(storage)
    ctx.elements.has_numpys |= not is_tensor


def note_maker(ctx: Context, fn: Any, args: Sequence[FrontValue], made: FrontValue) -> FrontValue:
    """What a function made; NumPy's make its arrays of what is none, and show arrays as such."""
    if ctx.tensors and isinstance(made, ArrayView) and is_numpys(fn):
        known = ctx.elements
        known.has_numpys = True
        if not any(isinstance(v, ArrayView) for v in led_to(args)):
            known.numpys.add(made.storage)
        known.tensors.discard(made.storage)
    return made


def place_of(ctx: Context, value: FrontValue) -> Element | None:
    """Where a number may be an element."""
    return ctx.elements.places.get(value.value) if isinstance(value, Number) and not value.weak else None


# -- reading ------------------------------------------------------------------------------------------------------


def current(ctx: Context, value: FrontValue) -> FrontValue:
    """The value as it is now, with the items of tuples and lists."""
    if not ctx.elements.places:
        return value
    match value:
        case Number():
            found = place_of(ctx, value)
            if found is None or found.is_right(ctx.storage):
                return value
            if found.view is None:
                _refuse(ctx, "this is an element of a tensor that changed since, which one depends on the path")
            return _note(ctx, ctx.element(found.view, ()), found.view)
        case TupleValue(items, cls):
            renewed = [current(ctx, i) for i in items]
            return value if _are_same(renewed, items) else TupleValue(tuple(renewed), cls)
        case ListValue(items, level, keys):
            renewed = [current(ctx, i) for i in items]
            if _are_same(renewed, items):
                return value
            if level != ctx.level:
                return ListValue(renewed, level, keys)
            value.items[:] = renewed
            return value
        case OptionalValue(some, inner, checked):
            renewed = current(ctx, inner)
            return value if renewed is inner else OptionalValue(some, renewed, checked)
        case _:
            return value


def _are_same(renewed: Iterable[FrontValue], items: Iterable[FrontValue]) -> bool:
    return all(x is y for x, y in zip(renewed, items, strict=True))


def all_current(ctx: Context, args: list[FrontValue], kwargs: dict[str, FrontValue]) -> list[FrontValue]:
    """Arguments once all are evaluated; those by name are replaced."""
    kwargs.update({k: current(ctx, v) for k, v in kwargs.items()})
    return [current(ctx, a) for a in args]


def _settled(ctx: Context, value: FrontValue) -> FrontValue:
    """A number as it is now, where that is known without regard to the path."""
    found = place_of(ctx, value)
    return value if found is None or found.view is None else current(ctx, value)


def _refuse(ctx: Context, reason: str) -> NoReturn:
    if loops := ctx.loops_to_unroll():
        raise NeedsUnrolling(loops[-1])
    raise ScriptError(reason, ctx.b.span, instead="make it a number of its own where it is read: x[i].clone()")


def copied(ctx: Context, value: FrontValue) -> FrontValue:
    """A number of its own."""
    if not ctx.tensors or not isinstance(value, Number) or value.weak:
        return value
    return ctx.element(ctx.fresh(ctx.b.emit("broadcast", (value.value,))[0]), ())


# -- writing ------------------------------------------------------------------------------------------------------


def target(ctx: Context, value: FrontValue) -> FrontValue:
    """What is changed in place: of a number that is an element, its place."""
    found = place_of(ctx, value)
    if found is not None and found.view is None:
        _refuse(ctx, "this changes an element of a tensor or list in place, which one depends on the path")
    return value if found is None else found.view  # type: ignore[return-value]


def changed_in_place(ctx: Context, value: FrontValue) -> ArrayView | None:
    """The place that an augmented assignment writes; None where the name is bound anew. A 0-d tensor that other names
    stand for as well would change with them."""
    place = target(ctx, value)
    if isinstance(place, ArrayView):
        return place
    number = _tensor(value) if ctx.tensors else None
    if number is not None and number not in ctx.number_access:
        same = ctx.elements.same
        if sum(same.may_be(v, number) for v in _held_numbers(ctx)) > 1:
            _refuse(ctx, "this changes a 0-d tensor in place that another name stands for")
    return None


def _held_numbers(ctx: Context) -> list[Value]:
    """The 0-d tensors that names and containers stand for, each as often as it is found."""
    held = _held(v for f in ctx.frames() for v in f.env.values() if not _is_inner(ctx, v))
    return [tensor for v in held if (tensor := _tensor(v)) is not None]


def _tensor(value: FrontValue | None) -> Value | None:
    """The 0-d tensor that a value is; None for others."""
    return value.value if isinstance(value, Number) and not value.weak else None


def _is_inner(ctx: Context, value: FrontValue) -> bool:
    """Whether a value is a function that finds its names where the program looks anyway."""
    if not isinstance(value, Closure) or value.defaults or value.kw_defaults:
        return False
    return any(value.frame is f for f in ctx.frames())


def _held(values: Iterable[FrontValue]) -> Iterable[FrontValue]:
    """Values by as many names as they have, and the items of containers."""
    for v in values:
        if isinstance(v, Number):
            yield v
        elif not isinstance(v, ArrayView):
            yield from led_to([v])


def keep(ctx: Context, item: FrontValue, lists: frozenset[object], is_put: bool) -> None:
    """A list whose length changes, made at one of these places, holds a copy of what Python has it share with others;
    `is_put`: the item goes into it now, else it was read there."""
    known = ctx.elements
    for part in led_to([item]) if ctx.tensors else ():
        if not isinstance(part, Number) or part.weak:
            continue
        found = known.places.get(part.value, Element({}))
        if is_put and part.value in known.places:
            known.repeated |= lists | found.lists
            known.scattered |= not found.lists and not found.contents
        known.places[part.value] = dataclasses.replace(found, lists=found.lists | lists)
        known.kept.update(found.contents)
        ctx.storage.held.update(found.contents)


def item_changed(ctx: Context, item: FrontValue, lists: frozenset[object]) -> None:
    """An item of lists made at these places is changed in place, there alone: names that may stand for it are no longer
    right."""
    if not ctx.tensors or not isinstance(item, Number) or item.weak:
        return
    known = ctx.elements
    values = list(_held(v for f in ctx.frames() for v in f.env.values() if not _is_inner(ctx, v)))
    arrays = [v for f in ctx.frames() for v in f.env.values() if isinstance(v, ArrayView) and v.rank == 0]
    is_shared = known.scattered or bool(lists & known.repeated)
    if is_shared or any(lists & ctx.holders.get(v.storage, frozenset()) for v in arrays):
        _refuse(ctx, "this changes a 0-d tensor of a list in place that something else may stand for")
    for v in values:
        place = place_of(ctx, v)
        if place is not None and place.view is None and isinstance(v, Number) and v.value is not item.value:
            known.places[v.value] = dataclasses.replace(place, stale=True)


def changed_where_it_lies(ctx: Context, item: FrontValue) -> bool:
    """As `item_changed`, for what a container in memory, or an object there, was just asked for: whether it is an item
    of the lists that stand for these."""
    found = place_of(ctx, item)
    if found is None or found.view is not None or found.contents or not found.lists:
        return False
    item_changed(ctx, item, found.lists)
    return True


def viewed(ctx: Context, name: str, args: Sequence[FrontValue]) -> list[FrontValue]:
    """The arguments of a function: of one that gives views, elements as the places that they are."""
    if name not in _VIEWS or not ctx.elements.places:
        return list(args)
    places = [(a, place_of(ctx, a)) for a in args]
    return [a if found is None or found.view is None else found.view for a, found in places]


def note_view(ctx: Context, name: str, args: Sequence[FrontValue], made: FrontValue) -> FrontValue:
    """What such a function made of an element whose place depends on the path: a copy where Python has a view."""
    if name in _VIEWS and isinstance(made, ArrayView) and ctx.elements.places:
        for found in filter(None, (place_of(ctx, a) for a in args)):
            if found.view is None:
                ctx.snapshots[made.storage] = frozenset(found.contents)
    return made


def shown(ctx: Context, value: Number, made: Number) -> Number:
    """A number in the memory of another."""
    if ctx.tensors and not value.weak:
        ctx.elements.same.note(made.value, made, (value.value,))
    if (found := place_of(ctx, value)) is not None:
        ctx.elements.places[made.value] = Element(found.contents, None, found.stale, found.lists)
    return made


def of_list(ctx: Context, made: Number) -> Number:
    """An item of such a list."""
    if ctx.tensors and not made.weak:
        ctx.elements.places[made.value] = Element({})
    return made


# -- where paths meet -----------------------------------------------------------------------------------------------


def joined(join: Join, made: Number, a: FrontValue | None, b: FrontValue | None) -> Number:
    """Note of which memory a number may be an element behind a branch."""
    found: list[tuple[Side, Element]] = []
    if join.ctx.tensors and not made.weak:
        join.ctx.elements.same.note(made.value, join, (_tensor(a), _tensor(b)))
    for side, x in ((join.then, a), (join.orelse, b)):
        if x is not None and (place := place_of(join.ctx, x)) is not None:
            found.append((side, place))
    if found and not made.weak:
        views = [place.view for _, place in found]
        one = len({id(v) for v in views}) == 1 and len(found) == sum(x is not None for x in (a, b))
        view = views[0] if one and views[0] is not None and views[0].storage in join.outer.bases else None
        stale = any(place.view is None and not place.is_right(side.storage) for side, place in found)
        classes = [(side, c) for side, place in found for c in place.contents]
        join.elements[made.value] = (classes, view, stale)
    return made


def behind_join(join: Join) -> None:
    """The memory is joined: numbers are right for its content."""
    bases = join.ctx.storage.bases
    for value, (classes, view, stale) in join.elements.items():
        contents: dict[int, Value] = {}
        for side, c in classes:
            at = 0 if side is join.then else 1
            here = [c] if c in join.outer.bases else [made for pair, made in join.pairs.items() if pair[at] == c]
            contents.update({d: bases[d] for d in here if d in bases})
        join.ctx.elements.places[value] = Element(contents, view, stale)


def in_settled(ctx: Context, value: FrontValue) -> FrontValue:
    """A number that goes through a branch or loop, read again where its place is known."""
    return _settled(ctx, value) if ctx.elements.places else value


class LoopElements:
    """The numbers that a loop carries, and that may be elements."""

    def __init__(self, loop: LoopLowering) -> None:
        self.loop = loop
        self.fixed: dict[Path, FrontValue] = {}  #: elements of one place, which are read there and not carried
        self.heads: list[tuple[Path, Number, Element | None]] = []
        self.ends: list[tuple[Path, Number, Element]] = []
        self.inits: dict[Path, tuple[Value, Value | None]] = {}  #: a carried 0-d tensor, and what it is before the loop
        self.lasts: dict[Path, Value] = {}  #: and at the end of an iteration
        self.outer: set[Value] = set()  #: what names stand for that the loop does not carry

    def is_fixed(self, path: Path, value: FrontValue) -> bool:
        """Whether a number is an element that needs no carrying, as far as is known."""
        found = place_of(self.loop.ctx, value)
        if found is None or found.view is None or path in self.loop.plan.moved:
            return False
        self.fixed[path] = value
        return True

    def head(self, path: Path, value: FrontValue, made: Number) -> Number:
        """Note a carried number, which was `value` before the loop."""
        self.heads.append((path, made, place_of(self.loop.ctx, value)))
        if self.loop.ctx.tensors and not made.weak:
            self.inits[path] = made.value, _tensor(value)
        return made

    def enter(self) -> None:
        """The memory at the start of an iteration is known."""
        ctx, plan = self.loop.ctx, self.loop.plan
        for path, (param, init) in self.inits.items():
            further = frozenset(v for at, v in plan.same_outside if at == path)
            ctx.elements.same.note(param, self, (init,), further, path, frozenset(plan.same_behind))
        self.outer = set(_held_numbers(ctx)) - {param for param, _ in self.inits.values()} if self.inits else set()
        for path, made, before in self.heads:
            if (before is None and path not in plan.elements) or made.weak:
                continue
            classes = plan.elements.get(path, set()) | set(before.contents if before is not None else ())
            contents = {c: ctx.storage.bases[c] for c in classes if c in ctx.storage.bases}
            stale = path in plan.stale or (before is not None and not before.is_right(self.loop.entry_storage))
            ctx.elements.places[made.value] = Element(contents, None, stale)

    def end(self, path: Path, head: FrontValue, end: FrontValue | None) -> bool:
        """Note a number at the end of an iteration; whether that is all there is to do."""
        ctx, plan = self.loop.ctx, self.loop.plan
        found = None if end is None else place_of(ctx, end)
        if path in self.fixed:
            before = place_of(ctx, self.fixed[path])
            assert before is not None
            if found is None or found.view is not before.view:
                plan.add(plan.moved, path)
            return True
        if path in self.inits and (last := _tensor(end)) is not None:
            self.lasts[path] = last
        if found is not None and isinstance(head, Number):
            self.ends.append((path, head, found))
        return False

    def leave(self, ends: Mapping[int, int]) -> None:
        """All is known of the end: `ends` says which memory becomes which."""
        ctx, plan = self.loop.ctx, self.loop.plan
        same = ctx.elements.same
        for path, last in self.lasts.items():
            for value in self.outer:
                if value is not self.inits[path][1] and same.may_be(last, value):
                    plan.add(plan.same_outside, (path, value))
            for other, value in self.lasts.items():
                if other is not path and same.may_be(last, value):
                    plan.add(plan.same_behind, frozenset((path, other)))
        for path, head, found in self.ends:
            before = place_of(ctx, head)
            known: set[int] = set(before.contents) if before is not None else set()
            names = {d: c for c, d in ends.items()}
            classes = {names.get(c, c) for c in found.contents}
            classes = {c for c in classes if c in self.loop.entry_storage.bases or c in self.loop.classes.values()}
            if before is None or not classes <= known:
                plan.changed |= path not in plan.elements or not classes <= plan.elements[path]
                plan.elements.setdefault(path, set()).update(classes)
            if found.view is None and not found.is_right(ctx.storage):
                plan.add(plan.stale, path)

    def finish(self, mapping: Mapping[Value, Value]) -> None:
        """Behind the loop, numbers are right for what memory holds then."""
        places, bases = self.loop.ctx.elements.places, self.loop.ctx.storage.bases
        for param, _ in self.inits.values():
            self.loop.ctx.elements.same.renamed(mapping, param, mapping)
        for _, made, _ in self.heads:
            if (found := places.get(made.value)) is not None:
                contents = {c: bases[c] for c in found.contents if c in bases}
                places[mapping[made.value]] = Element(contents, None, found.stale)


def passed(ctx: Context, numbers: Iterable[Value]) -> None:
    """Numbers that a function that calls itself is given may be elements of any array that it is given."""
    bases = ctx.storage.bases
    arrays = {c: base for c, base in bases.items() if isinstance(base.type, TensorType)}
    ctx.elements.places.update({value: Element(arrays) for value in numbers if ctx.tensors})
