"""Attributes that a class has and that a path, or a loop, sets in an instance (`count = 0` and `self.count += 1`):
instances have them from the start."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tracejit.frontend.context import Again, Context
from tracejit.frontend.values import FrontValue, Mutable, ObjectValue, Static

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

_PLAIN = (int, float, complex, str, type(None))


def take(ctx: Context, o: Mutable, parts: Iterable[object]) -> None:
    """Lower again with instances of an object's class that have these attributes from the start, where the class has
    numbers or texts of these names."""
    if not isinstance(o, ObjectValue) or o.access is not None:
        return
    names = frozenset(map(str, parts))
    known = ctx.pools_known.from_classes.get(o.cls, frozenset[str]())
    if names <= known or not all(type(inspect.getattr_static(o.cls, n, o)) in _PLAIN for n in names):
        return
    ctx.pools_known.from_classes[o.cls] = known | names
    raise Again


def of_instance(c: Calls, cls: type) -> dict[str, FrontValue]:
    """The attributes that an instance has before its `__init__`."""
    names = c.ctx.pools_known.from_classes.get(cls, ())
    for name in (n for n in names if c.statics.varying_of(cls, n) is not None):
        reason = f"{name!r} is set in {cls.__name__}, and in some of its instances"
        c.ctx.refuse(c.ctx.frame.source.node, reason, "two names")
    return {n: Static(c.objects.find(cls, n)) for n in sorted(names)}
