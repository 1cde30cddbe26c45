"""`try`: an error that a handler catches is a branch out of the body.

While a body is lowered, each op that may raise what a handler catches becomes an `if`: what follows is its one side,
though it is lowered as if nothing had happened; the other side notes the error and ends there (`Tries.fork`). The sides
are joined where the block ends in which that stands (`close`), and what comes after that block is then again the side
without an error (`guard`). Which handler caught what is kept on the heap, so that branches, loops and calls hand it on.
An error that nothing catches stays an op that raises, behind what a `finally` around it does.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy as np

from tracejit.errors import ScriptError, Span, error_class
from tracejit.frontend.boundary.reports import fits
from tracejit.frontend.containers.lists import require_unshared
from tracejit.frontend.control.exceptions import described
from tracejit.frontend.control.joins import Join
from tracejit.frontend.control.managers import leave
from tracejit.frontend.control.sides import Side, end_of
from tracejit.frontend.control.unreachable import Unreachable
from tracejit.frontend.instances.heap import Contents
from tracejit.frontend.restarts import NeedsUnrolling
from tracejit.frontend.sizes import Sizes
from tracejit.frontend.syntax.desugar import (
    BindError,
    Branch,
    FinalBlock,
    NotCaught,
    NotPending,
    RaiseAgain,
    Resumed,
    TryBlock,
)
from tracejit.frontend.syntax.scopes import assigned, jumps
from tracejit.frontend.tensors.storage import Storage
from tracejit.frontend.texts import shown_arrays
from tracejit.frontend.values import (
    FrontValue,
    MaybeUnbound,
    MessageValue,
    Mutable,
    ObjectValue,
    Static,
    TupleValue,
)
from tracejit.ir.builder import Builder
from tracejit.ir.core import Value
from tracejit.ir.opdef import OpDef
from tracejit.ir.types import BOOL, ScalarType
from tracejit.ops.effects import BROADCAST_MESSAGE
from tracejit.records import record

if TYPE_CHECKING:
    from tracejit.frontend.context import Context, Frame
    from tracejit.frontend.statements import Statements

#: Ops with an effect that raise nothing.
_HARMLESS = ("print", "report")


#: A handler that has caught nothing.
_NOT = Static(False)


class Caught:
    """The class of the front end's object whose parts say which handler of a `try` caught something, and what."""


@dataclass(slots=True, eq=False)
class Handling:
    """A `try` whose body is being lowered."""

    block: TryBlock
    holder: ObjectValue
    classes: list[tuple[type, ...]]  #: of each handler
    exits: int  #: how many context managers were entered around it


#: What catches an error: a handler by its number, or a caller by the class.
Target: TypeAlias = "tuple[Handling | Passing, Any]"


@dataclass(slots=True, eq=False)
class Passing:
    """What stands around the body of a function that calls itself, where its caller sees errors of these classes: such
    an error ends the body, and is handed to the caller with the result."""

    catches: tuple[type, ...]
    looks: bool  #: whether the caller looks at the errors
    holder: ObjectValue


@record(eq=False)
class Exit:
    """Where an error goes behind a `finally`: to a handler, or out of the program."""

    target: Target | None
    cls: type
    span: Span | None
    node: ast.AST


@dataclass(slots=True, eq=False)
class Finishing:
    """A `finally` whose body is being lowered."""

    holder: ObjectValue
    exits: int
    pending: dict[object, Exit] = field(default_factory=dict[object, "Exit"])  #: the ways on, by key in `holder`


Around: TypeAlias = Handling | Finishing | Passing


@dataclass(slots=True, eq=False)
class Fork:
    """An op that may leave: what follows is lowered into `b` in the place of its ops, which `outer` holds."""

    cond: Value
    b: Builder
    outer: Builder
    left: Side
    left_envs: list[tuple[Frame, dict[str, FrontValue]]]
    storage: Storage
    sizes: Sizes
    level: int
    contents: dict[Mutable, Contents]
    objects: set[object]
    node: ast.AST


@dataclass(slots=True)
class Tries:
    """The `try` statements around the present place."""

    statements: Statements
    around: list[Around] = field(default_factory=list["Around"])
    forks: list[Fork] = field(default_factory=list[Fork])
    blocks: list[Builder] = field(default_factory=list[Builder])  #: those at whose end forks are closed
    ways: dict[object, int] = field(default_factory=dict[object, int])  #: out of the program behind a `finally`
    #: where the errors come from that a handler caught
    comes_from: dict[tuple[TryBlock, int], set[Span | None]] = field(
        default_factory=dict["tuple[TryBlock, int]", "set[Span | None]"]
    )
    caught: dict[TryBlock, ObjectValue] = field(default_factory=dict["TryBlock", "ObjectValue"])

    @property
    def ctx(self) -> Context:
        return self.statements.ctx

    # -- statements -------------------------------------------------------------------------------------------

    def try_block(self, s: TryBlock) -> None:
        """The body of a `try` with handlers."""
        ctx = self.ctx
        classes = [self.classes_of(h) for h in s.handlers]
        made = ObjectValue(Caught, dict.fromkeys(range(len(classes)), _NOT))  # type: ignore[misc]
        holder = self.caught[s] = ctx.new_object(made, s.node, "caught")
        self.body(s, Handling(s, holder, classes, len(ctx.exits)))

    def final_block(self, s: FinalBlock) -> None:
        """What a `finally` guards. That itself follows where nothing leaves; it is done here where an error does."""
        holder: ObjectValue = self.ctx.new_object(ObjectValue(Caught, {}), s.node, "pending")
        one = Finishing(holder, len(self.ctx.exits))
        self.body(s, one)
        everything = frozenset(self.ctx.frame.env) | assigned(s.final)
        for key, exit in one.pending.items():
            resumed = Resumed(s.final, lambda key=key, exit=exit: self.resume(holder, key, exit), s.node)
            self.statements.branch(Branch(NotPending(holder, key), [], [resumed], s.node, everything))

    def body(self, s: TryBlock | FinalBlock, one: Around) -> None:
        """What a `try` or `finally` is around."""
        self.around.append(one)
        try:
            with self.opened(self.ctx.b):
                mark = len(self.forks)
                alive = self.close(mark, self.statements.block(s.body), s.live)
        finally:
            self.around.pop()
        if not alive:
            raise Unreachable
        self.guard(s.node)

    def resume(self, holder: ObjectValue, key: object, exit: Exit) -> None:
        """Go on with an error behind a `finally`."""
        error = unwrapped(holder.contents.get(f"$error{key}"))
        if exit.target is not None:
            self.leave(exit.target, exit.cls, lambda: error, exit.node)
            return
        assert error is not None
        self.raise_at(error, exit.span, exit.node)

    def bind_error(self, s: BindError) -> None:
        """The start of a handler."""
        contents = self.caught[s.block].contents
        if contents[s.handler] is _NOT:
            raise Unreachable
        self.ctx.frame.env.update(dict.fromkeys(jumps(s.block), _NOT))  # an error in a `finally` ends a jump
        if not s.names:
            return
        error = unwrapped(contents.get(f"$error{s.handler}"))
        if error is None:
            raise Unreachable
        self.ctx.frame.env.update(dict.fromkeys(s.names, error))

    def classes_of(self, handler: ast.ExceptHandler) -> tuple[type, ...]:
        if handler.type is None:
            return (BaseException,)
        found = self.statements.expressions.value(handler.type)
        parts = found.items if isinstance(found, TupleValue) else (found,)
        classes = tuple(p.value for p in parts if isinstance(p, Static) and isinstance(p.value, type))
        if len(classes) != len(parts) or not all(issubclass(c, BaseException) for c in classes):
            self.ctx.refuse(handler, "what a handler catches must be known when compiling", "name exception classes")
        return classes

    def not_caught(self, test: NotCaught | NotPending, node: ast.AST) -> bool | Value:
        """Whether the handler (or any) of a `try` has caught nothing, or no error goes on behind a `finally`."""
        if isinstance(test, NotPending):
            return self.statements.none_set([test.holder.contents[test.key]], node)
        contents = self.caught[test.block].contents
        handlers = range(len(test.block.handlers)) if test.handler is None else (test.handler,)
        return self.statements.none_set([contents[i] for i in handlers], node)

    # -- what may raise -----------------------------------------------------------------------------------------

    def target(self, cls: type) -> Target | None:
        """The innermost handler that catches a class."""
        for one in reversed(self.around):
            if isinstance(one, Handling):
                for i, classes in enumerate(one.classes):
                    if issubclass(cls, classes):
                        return one, i
            elif isinstance(one, Passing) and issubclass(cls, one.catches):
                return one, cls
        return None

    def concerns(self, cls: type) -> bool:
        """Whether an error of a class does not just leave the program."""
        return self.target(cls) is not None or any(isinstance(x, Finishing) for x in self.around)

    def before(
        self, b: Builder, defn: OpDef, operands: Sequence[Value], attrs: Mapping[str, Any]
    ) -> tuple[Value, ...] | None:
        """Make the op that is about to be emitted a fork, where it raises what is caught; its results, where that is
        all of it."""
        if not self.around or defn.name in _HARMLESS:
            return None
        is_number = defn.effect == "fail" and all(isinstance(v.type, ScalarType) for v in operands)
        if is_number:  # what leaves 64 bits is no error of plain Python
            return None
        cls = np.linalg.LinAlgError if defn.attempt else error_class(attrs.get("kind", "ValueError"))
        cond = None if defn.attempt else fits(b, defn, operands)
        if defn.name == "call":  # what it may raise was asked for with the call
            return None
        if cond is None and not defn.attempt:
            for each in (ValueError, RecursionError):
                if self.concerns(each):
                    self.ctx.refuse(
                        self.node, f"what may raise in {defn.name!r} is outside the language in a 'try'", "move it out"
                    )
            return None
        if not self.concerns(cls):
            return None
        if b is not self.ctx.b or b not in self.blocks:
            self.ctx.refuse(
                self.node, f"what may raise {cls.__name__} here is outside the language in a 'try'", "move it out"
            )
        if cond is None:
            *results, worked = b.emit(defn.attempt, operands, attrs)
            self.fork_on(worked, cls, Static(defn.raises))
            return tuple(results)
        template = attrs.get("message", BROADCAST_MESSAGE)
        payload = tuple(operands[1:]) if defn.name == "check" else tuple(operands[2:]) or tuple(operands[:2])
        self.fork_on(cond, cls, MessageValue(template, payload) if payload else Static(template.format()))
        return () if defn.name == "check" else None

    def fork_on(self, cond: Value, cls: type, message: FrontValue) -> None:
        """What follows is for where a condition holds; else an error is raised."""
        node = self.node

        def error() -> ObjectValue:
            return ObjectValue(cls, {"args": TupleValue(() if message == Static("") else (message,))})

        self.fork(cond, lambda: self.leave(self.target(cls), cls, error, node), node)

    def raise_again(self, s: RaiseAgain) -> NoReturn:
        """A `raise` without an exception. The error is that of the line that raised it, where one line only did."""
        error = self.ctx.frame.env[s.name]
        assert isinstance(error, ObjectValue)
        spans = self.comes_from[s.block, s.handler]
        self.raise_(error, s.node, next(iter(spans)) if len(spans) == 1 else None)

    def raise_(self, error: ObjectValue, node: ast.AST, span: Span | None = None) -> NoReturn:
        """A `raise` statement; `span` is where the error comes from, if not from there."""
        if not self.concerns(error.cls):
            self.raise_at(error, span or self.ctx.at(node), node)
        if self.ctx.b not in self.blocks:
            self.ctx.refuse(node, "this 'raise' is outside the language in a 'try'", "move it out")
        self.ctx.b.span = span or self.ctx.at(node)
        never = self.ctx.b.constant(False, ScalarType(BOOL))
        self.fork(never, lambda: self.leave(self.target(error.cls), error.cls, lambda: error, node), node)
        raise Unreachable

    def raise_at(self, error: ObjectValue, span: Span | None, node: ast.AST) -> NoReturn:
        """Raise an error that nothing catches."""
        c, ctx = self.statements.calls, self.ctx
        kind, message = described(c, error, node)
        leave(c, ctx.exits, Static(error.cls), node)
        shown_arrays.put_together(c, message.arrays, node)
        ctx.b.span = span
        with self.outside():
            ctx.check(ctx.b.constant(False, ScalarType(BOOL)), kind, message.template, *message.values)
        raise Unreachable

    def leave(self, target: Target | None, cls: type, error: Callable[[], ObjectValue | None], node: ast.AST) -> None:
        """Go on the way to a handler (None: out of the program), as far as the first `finally` on it."""
        ctx = self.ctx
        for one in reversed(self.around):
            if isinstance(one, Finishing):
                looks = target is None or _looks(target)
                place = (node, ctx.path, cls)  # the same number in each attempt at a loop
                out = self.ways.setdefault(place, len(self.ways))
                key: Any = out if target is None else (self.around.index(target[0]), target[1])
                if key not in one.pending:
                    one.pending[key] = Exit(target, cls, ctx.b.span, node)
                    ctx.heap.met_here(one.holder, key, _NOT)
                holder, exits = one.holder, one.exits
            elif target is not None and one is target[0]:
                key, holder, looks = target[1], one.holder, _looks(target)
                exits = 0 if isinstance(one, Passing) else one.exits
                if isinstance(one, Handling):
                    self.comes_from.setdefault((one.block, key), set()).add(ctx.b.span)
                elif key not in holder.contents:
                    ctx.heap.met_here(holder, key, _NOT)
            else:
                continue
            leave(self.statements.calls, ctx.exits[exits:], Static(cls), node)
            contents: dict[Any, FrontValue] = {**holder.contents, key: Static(True)}
            made = error() if looks else None
            if made is not None:
                if not ctx.heap.contains(made):
                    ctx.new_object(made, node, "error")
                contents[f"$error{key}"] = made
            ctx.write_object(holder, contents, node)
            return
        raise AssertionError(cls)

    @contextmanager
    def outside(self) -> Iterator[None]:
        """What raises inside leaves the program."""
        around, self.around = self.around, []
        try:
            yield
        finally:
            self.around = around

    @property
    def node(self) -> ast.AST:
        """The present statement."""
        return self.ctx.frame.here or self.ctx.frame.source.node

    # -- forks --------------------------------------------------------------------------------------------------

    def fork(self, cond: Value, leaves: Callable[[], None], node: ast.AST) -> None:
        """What follows in this block is for where a condition holds; where it does not, `leaves` ends the block."""
        ctx, b = self.ctx, self.ctx.b
        span = b.span
        with ctx.nested() as inner, self.opened(inner):
            mark = len(self.forks)
            try:
                leaves()
                alive = True
            except Unreachable:
                alive = False
            alive = self.close(mark, alive)
            left, envs = end_of(ctx, alive), [(f, dict(f.env)) for f in ctx.frames()]
        b.span = span
        outer = b.nested()
        outer.ops = b.ops
        made = Fork(
            cond,
            b,
            outer,
            left,
            envs,
            ctx.storage.snapshot(),
            ctx.sizes.nested(),
            ctx.level,
            ctx.heap.snapshot(),
            set(ctx.heap.objects),
            node,
        )
        b.ops = []
        ctx.level += 1
        ctx.outer_storages.append(made.storage)
        ctx.outer_sizes.append(made.sizes)
        ctx.outer_builders.append(outer)
        ctx.heap.saved.append(made.contents)
        self.forks.append(made)

    def guard(self, node: ast.AST) -> None:
        """What follows is for where nothing was caught in the block before."""
        for one in self.around:
            match one:
                case Handling():
                    keys = [*range(len(one.classes))]
                case Finishing():
                    keys = [*one.pending]
                case Passing():
                    keys = [k for k in one.holder.contents if isinstance(k, type)]
            flags = {k: one.holder.contents[k] for k in keys}
            go = self.statements.none_set(list(flags.values()), node)
            if go is True:
                continue
            self.fork(go if isinstance(go, Value) else self.ctx.b.constant(False, ScalarType(BOOL)), lambda: None, node)
            if go is False:
                raise Unreachable
            one.holder.contents = {**one.holder.contents, **dict.fromkeys(flags, _NOT)}

    @contextmanager
    def opened(self, b: Builder) -> Iterator[None]:
        """Lower a block at whose end forks are closed."""
        self.blocks.append(b)
        try:
            yield
        finally:
            self.blocks.pop()

    def side(self, make: Callable[[], FrontValue]) -> tuple[FrontValue | None, Side]:
        """Lower an expression that is one side of an `if`: its value, and its end."""
        with self.ctx.nested() as b, self.opened(b):
            made: dict[str, FrontValue] = {}
            alive, mark = True, len(self.forks)
            try:
                made["$made"] = make()
            except Unreachable:
                alive = False
            alive = self.close(mark, alive, None, made)
            return made.get("$made"), end_of(self.ctx, alive)

    def close(
        self,
        mark: int,
        alive: bool,
        live: frozenset[str] | None = None,
        made: dict[str, FrontValue] | None = None,
        left: Mapping[str, FrontValue] | None = None,
    ) -> bool:
        """Join the sides of the forks since `mark`; whether the end of the block is reached. `made` are values beside
        the names, and `left` what they are where an error left the block (else unspecified)."""
        while len(self.forks) > mark:
            alive = self.close_one(self.forks.pop(), alive, live, made if made is not None else {}, left or {})
        return alive

    def close_one(
        self,
        fork: Fork,
        alive: bool,
        live: frozenset[str] | None,
        made: dict[str, FrontValue],
        left: Mapping[str, FrontValue],
    ) -> bool:
        ctx = self.ctx
        for stack in (ctx.outer_storages, ctx.outer_sizes, ctx.outer_builders):
            stack.pop()
        before = ctx.heap.saved.pop()
        inner = fork.b.nested()
        inner.ops = fork.b.ops
        ended = end_of(ctx, alive)
        then = replace(ended, b=inner, storage=ctx.storage.snapshot(), sizes=ctx.sizes.nested())
        envs = {f: (dict(f.env), next((e for g, e in fork.left_envs if g is f), None)) for f in ctx.frames()}
        fork.b.ops = fork.outer.ops
        _restore(ctx.storage, fork.storage)
        _restore(ctx.sizes, fork.sizes)
        ctx.level = fork.level
        for key in [k for k, o in ctx.heap.objects.items() if k not in fork.objects and o not in before]:
            del ctx.heap.objects[key]
        for o, contents in before.items():
            o.contents = contents
        join = Join(ctx, self.statements.arith, then, fork.left, ctx.storage.snapshot(), fork.node)
        arrives = alive or fork.left.alive
        if arrives:
            for name, value in made.items():
                self.extra(join, made, name, value if alive else None, left.get(name))
            for f, (mine, theirs) in envs.items():
                self.names(join, f, mine, mine if theirs is None else theirs, live)
        join.memory()
        join.emit(fork.cond)
        if arrives:
            require_unshared(ctx, join.sources, None, fork.node)
        return arrives

    def extra(
        self, join: Join, made: dict[str, FrontValue], name: str, then: FrontValue | None, left: FrontValue | None
    ) -> None:
        """Join a value beside the names."""
        if left is None and (then is None or not join.orelse.alive):
            left = then
        if then is None and left is None:
            return
        then = then if join.then.alive else None
        made[name] = join.both(name, then, left if join.orelse.alive else None)

    def names(
        self,
        join: Join,
        frame: Frame,
        mine: dict[str, FrontValue],
        theirs: dict[str, FrontValue],
        live: frozenset[str] | None,
    ) -> None:
        """Join the names of a frame; those that nobody reads any more need not fit."""
        found: dict[str, FrontValue] = {}
        both = join.then.alive and join.orelse.alive
        for name in {**theirs, **mine}:
            a, b = mine.get(name), theirs.get(name)
            if a is not None and a is b:
                found[name] = a
            elif both or (a if join.then.alive else b) is not None:
                try:
                    found[name] = join.value(name, a, b)
                except (ScriptError, NeedsUnrolling):
                    if live is None or name in live or frame is not self.ctx.frame:
                        raise
        frame.env = found


def _looks(target: Target) -> bool:
    """Whether what catches an error looks at it."""
    one, key = target
    return one.looks if isinstance(one, Passing) else one.block.named[key]


def _restore(state: Any, before: Any) -> None:
    """Make a state what it was, in place: others hold it."""
    for name in type(before).__slots__:
        setattr(state, name, getattr(before, name))


def unwrapped(found: FrontValue | None) -> ObjectValue | None:
    """An error, of whose parts it is known that they are there."""
    error = found.value if isinstance(found, MaybeUnbound) else found
    if error is None:
        return None
    assert isinstance(error, ObjectValue)
    parts = error.contents.items()
    error.contents = {k: v.value if isinstance(v, MaybeUnbound) else v for k, v in parts}
    return error
