"""Objects of one of several classes: numbers that tell which class it is, and which object of the pool of that.

Classes whose objects meet, in a list or under one name, are a family, which is found while lowering as pools are. What
is done with an object of a family is done with one of each of its classes, and the results are joined.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from tracejit.frontend.boundary.leaves import class_bits
from tracejit.frontend.context import Again, Context
from tracejit.frontend.instances.pooled_objects import forget_classes, forget_objects, is_own
from tracejit.frontend.values import (
    STANDS_FOR,
    ChoiceValue,
    Family,
    FrontValue,
    Number,
    ObjectValue,
    OptionalValue,
    SharedObject,
    SharedVariant,
    Static,
    describe,
    family_of,
)
from tracejit.ir.builder import Builder
from tracejit.ir.core import Value
from tracejit.ir.types import BOOL, I64, ScalarType

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls
    from tracejit.frontend.control.joins import Join
    from tracejit.frontend.instances.objects import Objects


# -- which classes are families ---------------------------------------------------------------------------------------


def meet(ctx: Context, values: Iterable[FrontValue | None]) -> None:
    """Lower again with the classes of some objects in one family, if all of them are the script's own."""
    found = dict[type, tuple[str, ...]]()
    for value in values:
        match value.value if isinstance(value, OptionalValue) else value:
            case ObjectValue(cls, fields) as o if is_own(o) and not hasattr(cls, STANDS_FOR):
                found[cls] = tuple(fields)
            case SharedObject(cls=cls) if not hasattr(cls, STANDS_FOR):
                found[cls] = ()
            case SharedVariant(classes=classes):
                found.update(dict.fromkeys(classes, ()))
            case _:
                return
    if len(found) > 1 and not ctx.loops_to_unroll() and ctx.pools_known.make_family(found):
        family = ctx.pools_known.family(next(iter(found)))
        forget_classes(ctx, () if family is None else family.classes)
        forget_objects(ctx)
        raise Again


def merge(ctx: Context, classes: Iterable[type]) -> None:
    """Lower again with these classes of pools in one family, if they are the user's."""
    meet(ctx, [ObjectValue(member, {}) for cls in classes for member in (_members(cls) or (cls,))])


def _members(cls: type) -> tuple[type, ...]:
    return cls.classes if issubclass(cls, Family) else ()


# -- objects and numbers ----------------------------------------------------------------------------------------------


def at_number(ctx: Context, cls: type, at: Value) -> SharedObject | SharedVariant:
    """The object of that number in the pool of a class, or of a family."""
    return (SharedVariant if issubclass(cls, Family) else SharedObject)(at, ctx.pools[cls])


def number(ctx: Context, value: SharedObject | SharedVariant, cls: type) -> Value:
    """The number of an object in the pool of its class, or of the family that this belongs to."""
    if isinstance(value, SharedVariant) or not issubclass(cls, Family):
        return value.at
    b, bits = ctx.b, class_bits(len(cls.classes))
    shifted = b.emit("shl", (value.at, ctx.size_value(bits)))[0]
    return b.emit("bitor", (shifted, ctx.size_value(cls.classes.index(value.cls))))[0]


def widened(ctx: Context, value: FrontValue) -> FrontValue:
    """An object as one of the family that its class belongs to; others unchanged."""
    if not isinstance(value, SharedObject) or (family := family_of(value.pool)) is None:
        return value
    return SharedVariant(number(ctx, value, family), ctx.pools[family])


def are_relatives(a: FrontValue | None, b: FrontValue | None) -> bool:
    """Whether two values are objects of one family, but not known to be of one class."""
    if not isinstance(a, SharedObject | SharedVariant) or not isinstance(b, SharedObject | SharedVariant):
        return False
    return a.pool is not b.pool and family_of(a.pool) is family_of(b.pool) is not None


def that_meet(join: Join, a: FrontValue | None, b: FrontValue | None) -> tuple[FrontValue | None, FrontValue | None]:
    """Objects of two paths as such of their family, where they are of different classes; others unchanged."""
    if a is None or b is None or not are_relatives(a, b):
        return a, b
    first, second = (
        join.inside(side, lambda x=x: widened(join.ctx, x)) for side, x in ((join.then, a), (join.orelse, b))
    )
    return first, second


def _index(b: Builder, value: SharedVariant) -> Value:
    """Which of its classes an object is of."""
    mask = (1 << class_bits(len(value.classes))) - 1
    return b.emit("bitand", (value.at, b.constant(mask, ScalarType(I64))))[0]


def _of_class(ctx: Context, value: SharedVariant, cls: type) -> SharedObject:
    """An object that is known to be of one of its classes."""
    bits = ctx.size_value(class_bits(len(value.classes)))
    return SharedObject(ctx.b.emit("shr", (value.at, bits))[0], ctx.pools[cls])


def alternatives(ctx: Context, value: SharedVariant) -> list[SharedObject]:
    """For each of the classes an object that stands for one of it, to be asked what the class has."""
    return [SharedObject(value.at, ctx.pools[cls]) for cls in value.classes]


# -- what is done with them -------------------------------------------------------------------------------------------


def each(c: Calls, value: SharedVariant, do: Callable[[SharedObject], FrontValue], node: ast.AST) -> FrontValue:
    """What `do` makes of the object, which is of one of the classes."""
    classes, index = value.classes, _index(c.ctx.b, value)

    def among(i: int) -> FrontValue:
        if i == len(classes) - 1:
            return do(_of_class(c.ctx, value, classes[i]))
        here = c.ctx.b.emit("eq", (index, c.ctx.size_value(i)))[0]
        return c.expressions.choose(node, here, lambda: do(_of_class(c.ctx, value, classes[i])), lambda: among(i + 1))

    return among(0)


def asked(c: Calls, value: SharedVariant, holds: Callable[[SharedObject], bool]) -> FrontValue:
    """Whether something holds that each of the classes tells."""
    told = [*map(holds, alternatives(c.ctx, value))]
    if len(set(told)) == 1:
        return Static(told[0])
    b, index = c.ctx.b, _index(c.ctx.b, value)
    made = b.constant(False, ScalarType(BOOL))
    for i in (i for i, is_so in enumerate(told) if is_so):
        made = b.emit("logical_or", (made, b.emit("eq", (index, c.ctx.size_value(i)))[0]))[0]
    return Number(made, weak=True)


def class_of(c: Calls, value: SharedVariant) -> ChoiceValue:
    """`type(value)`."""
    return ChoiceValue(_index(c.ctx.b, value), tuple(map(Static, value.classes)))


def narrowed(c: Calls, value: SharedVariant, is_one: Callable[[SharedObject], bool]) -> FrontValue | None:
    """An object of which something holds, where that is so for one class only; else None."""
    found = [o.cls for o in alternatives(c.ctx, value) if is_one(o)]
    return _of_class(c.ctx, value, found[0]) if len(found) == 1 else None


def special(
    objects: Objects, value: SharedVariant, name: str, args: list[FrontValue], node: ast.AST
) -> FrontValue | None:
    """Call a special method; None where none of the classes has a Python function of that name."""
    with_it = [objects.has(o, name) for o in alternatives(objects.ctx, value)]
    if not any(with_it):
        return None
    if not all(with_it):
        objects.ctx.refuse(node, f"of the classes of {describe(value)} some have {name}, others not", "give it to all")

    def call(o: SharedObject) -> FrontValue:
        made = objects.special(o, name, args, node)
        assert made is not None
        return made

    return each(objects.c, value, call, node)


def method(
    c: Calls,
    value: SharedVariant,
    name: str,
    args: list[FrontValue],
    kwargs: dict[str, FrontValue],
    node: ast.AST,
) -> FrontValue:
    """`value.name(...)`."""
    return each(c, value, lambda o: c.call_value(c.attribute(o, name, node), args, kwargs, node), node)
