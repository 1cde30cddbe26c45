"""Errors that leave a function which calls itself, on the way to a `try` around the call.

Where a caller sees errors of some classes, the function is compiled so that they end its body as a `return` does:
beside the result stand, for each class, whether such an error came, and the error where somebody looks at it. What
follows the call is then a branch (`passed_on`), as it is behind any op that may raise.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import TypeAlias

from tracejit.frontend.control.unreachable import Unreachable
from tracejit.frontend.syntax.tries import Caught, Finishing, Handling, Passing, Tries, unwrapped
from tracejit.frontend.values import FrontValue, ObjectValue, Static
from tracejit.ir.core import Value
from tracejit.ir.types import BOOL, ScalarType

#: The error of a class that a call may have met: whether it has, and the error where its caller looks at it.
Passed: TypeAlias = "tuple[type, FrontValue, FrontValue]"


def seen(tries: Tries) -> tuple[tuple[type, ...], bool]:
    """The classes of errors that do not just leave the program here, and whether one looks at the errors."""
    if not tries.around:
        return (), False
    if any(isinstance(one, Finishing) for one in tries.around):
        return (BaseException,), True
    found, looks = dict[type, None](), False
    for one in tries.around:
        if isinstance(one, Handling):
            found.update((cls, None) for classes in one.classes for cls in classes)
            looks = looks or any(one.block.named.values())
        elif isinstance(one, Passing):
            found.update(dict.fromkeys(one.catches))
            looks = looks or one.looks
    if RecursionError in found:
        tries.ctx.refuse(tries.node, "too deep a recursion cannot be caught", "count the levels, and raise an error")
    return tuple(sorted(found, key=lambda cls: (cls.__module__, cls.__qualname__))), looks


def passing(tries: Tries, catches: tuple[type, ...], looks: bool, run: Callable[[], bool]) -> tuple[bool, list[Passed]]:
    """Lower the body of a function whose caller sees errors of these classes: whether its end is reached without
    such an error, and the errors."""
    ctx, node = tries.ctx, tries.ctx.frame.source.node
    holder: ObjectValue = ctx.new_object(ObjectValue(Caught, {}), node, "passed")
    tries.around.append(Passing(catches, looks, holder))
    try:
        with tries.opened(ctx.b):
            mark = len(tries.forks)
            ends = run()
            tries.close(mark, ends)
    finally:
        tries.around.pop()
    contents = holder.contents
    classes = [k for k in contents if isinstance(k, type)]
    errors = {cls: unwrapped(contents.get(f"$error{cls}")) for cls in classes}
    return ends, [(cls, contents[cls], errors[cls] or Static(None)) for cls in classes]


def passed_on(tries: Tries, passed: Sequence[Passed], node: ast.AST) -> None:
    """What follows a call is for where none of these errors came out of it."""
    ctx = tries.ctx
    for cls, met, error in passed:
        if ctx.b not in tries.blocks:
            ctx.refuse(node, f"what may raise {cls.__name__} here is outside the language in a 'try'", "move it out")
        go = tries.statements.none_set([met], node)
        if go is True:
            continue
        found = error if isinstance(error, ObjectValue) else None
        span = ctx.at(node)
        cond = go if isinstance(go, Value) else ctx.b.constant(False, ScalarType(BOOL))
        tries.fork(cond, lambda cls=cls, found=found: tries.leave(tries.target(cls), cls, lambda: found, node), node)
        ctx.b.span = span
        if go is False:
            raise Unreachable
