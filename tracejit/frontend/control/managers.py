"""`with`: gradients off and on, and the user's context managers, whose methods are inlined.

`__exit__` runs at the end of the body, and before an exception that a `raise` or `assert` statement in it raises.
"""

from __future__ import annotations

import ast
import contextlib
import types
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tracejit.eager.modes import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from tracejit.frontend.containers import generators
from tracejit.frontend.functions.handlers import handles
from tracejit.frontend.instances.cells import own_nodes
from tracejit.frontend.instances.objects import class_of, is_users
from tracejit.frontend.syntax.desugar import BindError, Branch, NotCaught, Statement, TryBlock, WithBlock, suppresses
from tracejit.frontend.syntax.source import function_source
from tracejit.frontend.texts.shown_arrays import is_recorded
from tracejit.frontend.values import FrontValue, GeneratorValue, ObjectValue, SequenceValue, Static, type_name

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls
    from tracejit.frontend.statements import Statements

#: What functions of `contextlib.contextmanager` return.
_MANAGER: type = vars(contextlib)["_GeneratorContextManager"]


@handles(np.errstate)
def _errstate(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    """It changes nothing in compiled code, which gives inf and nan without warnings."""
    for value in kwargs.values():
        if c.static(value, node, "a setting") not in ("ignore", "warn"):
            c.ctx.refuse(node, "np.errstate that raises or calls is outside the language", "np.errstate(all='ignore')")
    return Static(contextlib.nullcontext(None))


@handles(set_grad_enabled)
def _set_grad_enabled(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    if node is not c.ctx.managed:
        text = "tj.set_grad_enabled() that stays beyond a block is outside the language"
        c.ctx.refuse(node, text, "with tj.set_grad_enabled(flag): ...")
    enabled = c.static((*args, *kwargs.values())[0], node, "whether gradients are on")
    return Static(enable_grad() if enabled else no_grad())


@handles(is_grad_enabled)
def _is_grad_enabled(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    return Static(is_recorded(c) if c.ctx.grad_mode is None else c.ctx.grad_mode)


def with_block(st: Statements, s: WithBlock) -> None:
    """Enter the managers, run the body, leave them in reverse order."""
    ctx, c = st.ctx, st.calls
    grad, before = ctx.grad_mode, ctx.exits
    try:
        for i, item in enumerate(s.items):
            ctx.managed = item.context_expr
            manager = st.expressions.value(item.context_expr)
            if (made := _generator(manager)) is not None:
                generators.manage(st, s, i, made)
                break
            if isinstance(manager, ObjectValue) and manager.cls is contextlib.suppress:
                _suppress(st, s, i, manager)
                break
            enter(st, item, manager)
        else:
            for inner in s.body:
                st.statement(inner)
        entered = ctx.exits[len(before) :]
    finally:
        ctx.grad_mode, ctx.exits = grad, before
    leave(c, entered, Static(None), s.node)


def _generator(manager: FrontValue) -> GeneratorValue | None:
    """The generator that a manager of `contextlib.contextmanager` runs."""
    if not isinstance(manager, ObjectValue) or manager.cls is not _MANAGER:
        return None
    made = manager.contents.get("gen")
    return made if isinstance(made, GeneratorValue) else None


def _suppress(st: Statements, s: WithBlock, i: int, manager: ObjectValue) -> None:
    """The items of a `with` from `contextlib.suppress` on, and its body: a `try` whose handler does nothing."""
    ctx, item, inner = st.ctx, s.items[i], s.items[i + 1 :]
    if not suppresses(s.node):
        ctx.refuse(item.context_expr, "what suppresses errors is outside the language here", "with suppress(...): ...")
    if item.optional_vars is not None:
        st.bind(item.optional_vars, Static(None))
    classes = ast.copy_location(ast.Name("$suppressed", ast.Load()), item.context_expr)
    handler = ast.copy_location(ast.ExceptHandler(classes, None, [ast.Pass()]), item.context_expr)
    ctx.frame.env[classes.id] = manager.contents["_exceptions"]
    body: list[Statement] = [WithBlock(inner, s.body, s.node, s.live)] if inner else s.body
    made = TryBlock(body, [handler], s.node, s.live, {0: False})
    st.tries.try_block(made)
    st.branch(Branch(NotCaught(made), [], [BindError(made, 0, ())], s.node, s.live))


def enter(st: Statements, item: ast.withitem, manager: FrontValue) -> None:
    """One `with` item."""
    ctx, c, node = st.ctx, st.calls, item.context_expr
    mode = _grad_mode(manager)
    entered: FrontValue = Static(None)
    if mode is not None:
        ctx.grad_mode = mode
    elif c.objects.has(manager, "__enter__") and c.objects.has(manager, "__exit__"):
        _require_no_answer(c, manager, node)
        entered = c.objects.special(manager, "__enter__", [], node) or Static(None)
        ctx.exits = (*ctx.exits, manager)
    elif isinstance(manager, SequenceValue) and manager.is_manager:
        entered = manager
    elif not _may_manage(manager):
        text = f"'{type_name(manager)}' object does not support the context manager protocol"
        c.arith.mismatch(TypeError(text), node)
    elif not (isinstance(manager, Static) and isinstance(manager.value, contextlib.nullcontext)):
        ctx.refuse(
            node,
            "this context manager has no __enter__ and __exit__ in Python",
            "tj.no_grad(), tj.enable_grad(), or a class with these methods",
        )
    if item.optional_vars is not None:
        st.bind(item.optional_vars, entered)


def _require_no_answer(c: Calls, manager: FrontValue, node: ast.AST) -> None:
    """Refuse an `__exit__` that says whether an exception goes on: most are raised without it."""
    leave = c.objects.find(class_of(manager) or object, "__exit__")
    if not isinstance(leave, types.FunctionType) or not is_users(leave):
        return
    for n in own_nodes(function_source(leave).node):
        match n:
            case ast.Return(None | ast.Constant(None | False)):
                pass
            case ast.Return():
                c.ctx.refuse(node, "an __exit__ that may suppress exceptions is outside the language", "return None")
            case _:
                pass


def _grad_mode(manager: FrontValue) -> bool | None:
    """Whether a context manager switches gradients off or on; None for any other."""
    if isinstance(manager, Static) and isinstance(manager.value, no_grad | enable_grad):
        return isinstance(manager.value, enable_grad)
    return None


def _may_manage(manager: FrontValue) -> bool:
    """Whether Python would enter a value."""
    return isinstance(manager, Static) and hasattr(type(manager.value), "__enter__")


def leave(c: Calls, managers: Sequence[FrontValue], error: FrontValue, node: ast.AST) -> None:
    """Call `__exit__` of managers, the last one first; `error` is the class of the exception, or None."""
    outer = c.ctx.exits
    for i in range(len(managers) - 1, -1, -1):
        c.ctx.exits = outer[: max(len(outer) - len(managers), 0)] + tuple(managers[:i])
        try:
            made = c.objects.special(managers[i], "__exit__", [error, Static(None), Static(None)], node)
        finally:
            c.ctx.exits = outer
        is_error = not (isinstance(error, Static) and error.value is None)
        if is_error and not (isinstance(made, Static) and not made.value):
            c.ctx.refuse(node, "an __exit__ that may suppress exceptions is outside the language", "return None")
