"""Statements of a desugared function body."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager, nullcontext
from typing import Any

from tracejit.frontend.arith import Arithmetic
from tracejit.frontend.augmented import augmented
from tracejit.frontend.calls import Calls
from tracejit.frontend.containers import dict_items, generators, list_calls, tables
from tracejit.frontend.containers.array_totals import stored
from tracejit.frontend.containers.iterators import made_for, one_by_one
from tracejit.frontend.containers.lists import Lists, require_unshared
from tracejit.frontend.containers.merged_lists import may_change
from tracejit.frontend.containers.shared_lists import over_container, over_iterator, over_list
from tracejit.frontend.context import Context
from tracejit.frontend.control.alike import growing_together
from tracejit.frontend.control.assertions import assertion
from tracejit.frontend.control.exceptions import raise_
from tracejit.frontend.control.joins import Join
from tracejit.frontend.control.loops import LoopLowering, Plan
from tracejit.frontend.control.managers import with_block
from tracejit.frontend.control.optionals import require_value, there_to_run_over
from tracejit.frontend.control.refinement import Entered
from tracejit.frontend.control.sides import Side, end_of
from tracejit.frontend.control.unreachable import Unreachable
from tracejit.frontend.control.unrolled import may_unroll, rest_of, unrolled, unrolled_while
from tracejit.frontend.expressions import Expressions
from tracejit.frontend.functions.imports import import_
from tracejit.frontend.syntax.desugar import (
    RETURN_VALUE,
    BindError,
    Branch,
    FinalBlock,
    ForLoop,
    NotCaught,
    NotFlags,
    NotPending,
    RaiseAgain,
    Rest,
    Resumed,
    SetFlag,
    SetReturn,
    Statement,
    Test,
    TryBlock,
    Unbind,
    WhileLoop,
    WithBlock,
)
from tracejit.frontend.syntax.scopes import assigned, stored_into
from tracejit.frontend.syntax.source import FunctionSource
from tracejit.frontend.syntax.tries import Tries
from tracejit.frontend.tensors import attributes, elements
from tracejit.frontend.tensors.indexing import Indexing
from tracejit.frontend.values import (
    ArrayView,
    Closure,
    DictValue,
    FrontValue,
    GeneratorValue,
    GrowingList,
    ListValue,
    Number,
    ObjectValue,
    OptionalValue,
    SequenceValue,
    SharedList,
    SliceValue,
    Static,
    TupleValue,
    describe,
    type_name,
)
from tracejit.ir.builder import Builder
from tracejit.ir.core import Value
from tracejit.ir.types import BOOL, I64, ScalarType

_MAX_TRIPS = 2**63 - 1


class Statements:
    """Lowers statements; owns the parts that lower everything else."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.arith = Arithmetic(ctx)
        self.indexing = Indexing(ctx, self.arith)
        self.lists = Lists(ctx, self.arith, self.indexing)
        self.lists.statements = self
        self.expressions = Expressions(ctx, self.arith, self.indexing, self.lists)
        self.calls = Calls(ctx, self.arith, self.indexing, self.expressions, self)
        self.expressions.calls = self.calls
        self.tries = ctx.tries = Tries(self)
        self.depth = 0  #: of unrolled loops around
        self.nested_trips = 0  #: iterations of unrolled loops inside of such

    # -- blocks -----------------------------------------------------------------------------------------------

    def block(self, statements: Sequence[Statement]) -> bool:
        """Lower statements in order; whether their end is reached."""
        try:
            for s in statements:
                self.statement(s)
        except Unreachable:
            return False
        return True

    def statement(self, s: Statement) -> None:
        self.ctx.frame.here = getattr(s, "node", s if isinstance(s, ast.stmt) else None) or self.ctx.frame.here
        match s:
            case SetFlag(name, value):
                self.ctx.frame.env[name] = Static(value)
            case SetReturn(value, node):
                self.ctx.at(node)
                made = Static(None) if value is None else self.expressions.value(value)
                self.ctx.frame.env[RETURN_VALUE] = self.returned(made)
            case Branch():
                self.branch(s)
            case ForLoop():
                self.for_loop(s)
            case WhileLoop():
                self.while_loop(s)
            case WithBlock():
                with_block(self, s)
            case TryBlock():
                self.tries.try_block(s)
            case FinalBlock():
                self.tries.final_block(s)
            case Resumed(final, go):
                for inner in final:
                    self.statement(inner)
                go()
            case BindError():
                self.tries.bind_error(s)
            case Unbind(name):
                self.ctx.frame.env.pop(name, None)
            case RaiseAgain():
                self.tries.raise_again(s)
            case Rest():
                rest_of(self, s)
            case _:
                self.simple(s)

    def returned(self, value: FrontValue) -> FrontValue:
        """A function's result, copied where its caller must get an array of its own."""
        frame, own = self.ctx.returns_copies or (None, None)
        if own is None or frame is not self.ctx.frame:
            return value
        match value:
            case ArrayView():
                return own(value)
            case TupleValue(items, cls):
                return TupleValue(tuple(map(self.returned, items)), cls)
            case ListValue(items, level, keys):
                return ListValue(list(map(self.returned, items)), level, keys)
            case DictValue(items) if value.access is None:
                return value.like({k: self.returned(v) for k, v in items.items()})
            case _:
                return value

    def simple(self, s: ast.stmt) -> None:
        self.ctx.at(s)
        match s:
            case ast.Assign(targets, value):
                made = stored(self.calls, targets, value) or made_for(self.calls, targets, value)
                for target in targets:
                    self.bind(target, made)
            case ast.AnnAssign(target, _, value):
                if value is not None:
                    self.bind(target, self.expressions.value(value))
            case ast.AugAssign():
                augmented(self, s)
            case ast.Expr(value):
                self.expressions.value(value)
            case ast.Pass() | ast.Global():
                pass
            case ast.Assert():
                if __debug__:  # python -O leaves assertions out
                    assertion(self, s)
            case ast.Raise():
                raise_(self.calls, s)
            case ast.Delete(targets):
                for target in targets:
                    self.delete(target)
            case ast.FunctionDef():
                self.nested_function(s)
            case ast.Import() | ast.ImportFrom():
                import_(self.calls.statics, s)
            case _:
                names = {
                    "ClassDef": "a class definition",
                    "AsyncFunctionDef": "'async def'",
                    "Match": "'match'",
                }
                shown = names.get(type(s).__name__, f"'{type(s).__name__.lower()}'")
                self.ctx.refuse(s, f"{shown} is outside the language", "move it out of the scripted function")

    # -- binding ----------------------------------------------------------------------------------------------

    def bind(self, target: ast.expr, value: FrontValue) -> None:
        """Assign a value to a target."""
        self.ctx.at(target)
        if isinstance(value, Number) and not self.ctx.grad_enabled:
            value = Number(self.ctx.recorded(value.value), value.weak)
        match target:
            case ast.Name(name):
                self.ctx.frame.env[name] = value
            case ast.Tuple(elts) | ast.List(elts):
                self.unpack(target, elts, value)
            case ast.Subscript(base, index):
                with attributes.item_target(self.calls, base) as holder:
                    self.store_item(holder, index, value, target)
            case ast.Attribute(base, name):
                self.calls.set_attribute(self.expressions.value(base), name, value, target)
            case ast.Starred(inner):
                self.bind(inner, value)
            case _:
                self.ctx.refuse(target, "this cannot be assigned to", "assign to a name, an element or an attribute")

    def unpack(self, node: ast.expr, targets: Sequence[ast.expr], value: FrontValue) -> None:
        starred = [i for i, t in enumerate(targets) if isinstance(t, ast.Starred)]
        value = generators.all_items(self.calls, value, node)
        if starred and list_calls.is_unknown(self.calls, value):
            items = list_calls.parted(self.calls, value, starred[0], len(targets) - 1, node)
        else:
            items = self.expressions.unpackable(value, len(targets) if not starred else None, node)
            items = list_calls.with_starred(self.calls, items, starred, len(targets), node)
        for target, item in zip(targets, items, strict=True):
            self.bind(target, item)

    def store_item(self, base: FrontValue, index: ast.expr, value: FrontValue, node: ast.AST) -> None:
        if isinstance(base, OptionalValue):
            base = require_value(self.ctx, base, message="'NoneType' object does not support item assignment")
        base = elements.target(self.ctx, base)
        match base:
            case ArrayView():
                items = self.expressions.index_items(index)
                self.indexing.write(base, items, self.calls.operand_array(value, node, base.dtype), node)
            case _ if self.calls.objects.has(base, "__setitem__"):
                self.calls.objects.special(base, "__setitem__", [self.expressions.value(index), value], node)
            case DictValue():
                dict_items.store(self.expressions, base, self.expressions.value(index), index, value, node)
            case GrowingList():
                at = self.expressions.value(index)
                if isinstance(at, SliceValue):
                    list_calls.replace_slice(self.calls, base, at, value, node)
                else:
                    self.lists.set_item(base, at, self.calls.kept(value), node)
            case ListValue():
                at = self.expressions.value(index)
                if isinstance(at, SliceValue):
                    if not list_calls.set_slice(self.calls, base, at, value, node):
                        self.lists.grown(base, node)
                    return
                if not may_change(self.ctx, base) or not (isinstance(at, Static) and isinstance(at.value, int)):
                    self.lists.grown(base, node, (self.calls.kept(value),), keeps_length=True)
                try:
                    base.items[at.value] = value
                except IndexError as error:
                    self.arith.mismatch(error, node)
            case _:
                self.arith.mismatch(TypeError(f"'{type_name(base)}' object does not support item assignment"), node)

    def delete(self, target: ast.expr) -> None:
        """`del target`."""
        match target:
            case ast.Name(name):
                self.expressions.name(target, name)
                self.ctx.frame.env.pop(name, None)
            case ast.Tuple(elts) | ast.List(elts):
                for t in elts:
                    self.delete(t)
            case ast.Subscript(base_node, index):
                base = self.expressions.value(base_node)
                if self.calls.objects.has(base, "__delitem__"):
                    self.calls.objects.special(base, "__delitem__", [self.expressions.value(index)], target)
                elif isinstance(base, DictValue):
                    self.calls.method(base, "pop", [self.expressions.value(index)], {}, target)
                elif isinstance(base, ListValue | GrowingList):
                    list_calls.delete(self.calls, base, self.expressions.value(index), target)
                elif isinstance(base, ArrayView) and not self.ctx.tensors:
                    self.arith.mismatch(ValueError("cannot delete array elements"), target)
                else:
                    text = f"'{type_name(base)}' object doesn't support item deletion"
                    self.arith.mismatch(TypeError(text), target)
            case ast.Attribute(base_node, name):
                base = self.expressions.value(base_node)
                if not isinstance(base, ObjectValue):
                    self.ctx.refuse(target, f"an attribute of {describe(base)} cannot be deleted", "set it to None")
                self.calls.objects.delete_attribute(base, name, target)
            case _:
                self.ctx.refuse(target, "this cannot be deleted", "del name")

    # -- effects -------------------------------------------------------------------------------------------------

    def nested_function(self, s: ast.FunctionDef) -> None:
        decorators = [self.expressions.value(d) for d in s.decorator_list]
        made: FrontValue = self.closure(s)
        for decorator in reversed(decorators):
            made = self.calls.call_value(decorator, [made], {}, s)
        self.ctx.frame.env[s.name] = made

    def closure(self, node: ast.FunctionDef | ast.Lambda) -> Closure:
        frame = self.ctx.frame
        own = frame.source_of(node)
        name = node.name if isinstance(node, ast.FunctionDef) else "<lambda>"
        source = FunctionSource(node, own.filename, name, own.globals, own.closure, own.function, own.qualname)
        defaults = tuple(self.expressions.value(d) for d in node.args.defaults)
        kw_defaults = tuple(None if d is None else self.expressions.value(d) for d in node.args.kw_defaults)
        return Closure(source, frame.scope or frame, defaults, kw_defaults)

    # -- branches ------------------------------------------------------------------------------------------------

    def condition(self, test: Test, node: ast.AST) -> bool | Value:
        if isinstance(test, NotCaught | NotPending):
            return self.tries.not_caught(test, node)
        if isinstance(test, NotFlags):
            return self.no_flag(test.names, node)
        return self.expressions.condition(test)

    def no_flag(self, names: Sequence[str], node: ast.AST) -> bool | Value:
        env = self.ctx.frame.env
        return self.none_set([env.get(name, Static(False)) for name in names], node)

    def none_set(self, flags: Sequence[FrontValue], node: ast.AST) -> bool | Value:
        """Whether none of the flags is set."""
        self.ctx.at(node)
        b = self.ctx.b
        any_set: Value | None = None
        for flag in flags:
            if isinstance(flag, Static):
                if flag.value:
                    return False
                continue
            assert isinstance(flag, Number)
            any_set = flag.value if any_set is None else b.emit("logical_or", (any_set, flag.value))[0]
        return True if any_set is None else b.emit("logical_not", (any_set,), names=("go",))[0]

    def branch(self, s: Branch) -> None:
        self.branch_on(self.condition(s.test, s.node), s)

    def branch_on(self, cond: bool | Value, s: Branch) -> None:
        """A branch whose condition is there."""
        if isinstance(cond, bool):
            self.refine(s.test, cond)
            for inner in s.then if cond else s.orelse:
                self.statement(inner)
            return
        outer = self.ctx.storage
        then = self.side(s, s.then, True)
        orelse = self.side(s, s.orelse, False)
        join = Join(self.ctx, self.arith, then, orelse, outer.snapshot(), s.node)
        bound = assigned(s.then) | assigned(s.orelse)
        names = sorted(bound & s.live)
        joined: dict[str, FrontValue] = {}
        if then.alive or orelse.alive:
            for name in names:
                a, b = then.env.get(name), orelse.env.get(name)
                if (a if not orelse.alive else b if not then.alive else a or b) is not None:
                    joined[name] = join.value(name, a, b)
        join.memory()
        join.emit(cond)
        for name in bound:
            self.ctx.frame.env.pop(name, None)
        self.ctx.frame.env.update(joined)
        require_unshared(self.ctx, join.sources, s.live, s.node)
        if not (then.alive or orelse.alive):
            raise Unreachable
        if not (then.alive and orelse.alive):
            self.refine(s.test, then.alive, (then if then.alive else orelse).ended)
        self.tries.guard(s.node)

    def refine(self, test: Test, holds: bool, ended: Set[ast.expr] = frozenset()) -> list[Entered]:
        """From here on a condition is known to hold, or not to, but for what is said in it of things that have changed
        since."""
        return self.expressions.refinement.refine(test, holds, ended) if isinstance(test, ast.expr) else []

    def outlived_in(self, s: ForLoop | WhileLoop) -> int:
        """How much of the condition of a loop is known to say nothing about a trip."""
        return self.expressions.refinement.outlived_in(s.test) if isinstance(s, WhileLoop) else 0

    def side(self, s: Branch, statements: Sequence[Statement], holds: bool) -> Side:
        with self.ctx.nested():
            entered = self.refine(s.test, holds)
            mark = len(self.tries.forks)
            with self.tries.opened(self.ctx.b):
                alive = self.block(statements)
            alive = self.tries.close(mark, alive, s.live)
            return end_of(self.ctx, alive, self.expressions.refinement.ended(entered) if alive else frozenset())

    # -- loops -----------------------------------------------------------------------------------------------------

    def for_loop(self, s: ForLoop) -> None:
        over = one_by_one(self.calls, s.iter) or there_to_run_over(self.ctx, self.expressions.value(s.iter))
        is_changing = (found := self.ctx.recursion) is not None and s.node in found.known.changing
        walked = over_container(self.calls, s, over, is_changing)
        runs_over = over if walked is not None else self.calls.objects.iterated(over, s.iter)
        if isinstance(runs_over, GeneratorValue):
            generators.run(self, s, runs_over)
            return
        if tables.is_iterator(runs_over):
            walked = over_iterator(s, runs_over, self.ctx.frame.env)
        if walked is None and isinstance(runs_over, SharedList | GrowingList if is_changing else SharedList):
            walked = over_list(s, runs_over, self.ctx.frame.env)
        if walked is not None:
            self.statement(walked)
            return
        seq, loops = self.expressions.run_over(runs_over, s.iter), self.ctx.list_loops
        known = runs_over.storages if isinstance(runs_over, GrowingList) else tuple(seq.sources)
        self.ctx.list_loops = (*loops, (s.node, known))
        try:
            self.over(s, seq)
        finally:
            self.ctx.list_loops = loops
        if seq.ended is not None and (out := self.no_flag(s.exits, s.node)) is not False:
            seq.ended(out)
        self.lists.require_length(seq.known, s.iter)

    def over(self, s: ForLoop, seq: SequenceValue) -> None:
        """A loop over a sequence."""
        if seq.static is not None and seq.range is None:
            unrolled(self, s, seq, 0)
            return
        if seq.counts and isinstance(seq.length, int) and seq.length <= self.ctx.growing.unrolled:
            with self.ctx.unrolling.around(s.node, seq.length):
                if s.node in self.ctx.unrolling.unrolled:
                    unrolled(self, s, SequenceValue(seq.length, seq.item, static=max(seq.length, 0)), 0)
                else:
                    self.counted(s, seq, lambda index: self.bind(s.target, seq.item(index)))
            return
        self.counted(s, seq, lambda index: self.bind(s.target, seq.item(index)))

    def counted(self, s: ForLoop, seq: SequenceValue, do: Callable[[Value], None]) -> None:
        """A loop over a sequence whose length is known at run time only; `do` begins an iteration."""

        def enter(index: Value) -> None:
            self.ctx.sizes.note_lower(index, 0)
            self.ctx.sizes.note_below(index, seq.length)
            do(index)

        def again() -> bool | Value:
            return self.no_flag(s.exits, s.node)

        limit = self.ctx.size_value(seq.length)
        outer = self.ctx.iterated
        self.ctx.iterated = outer | seq.sources
        try:
            self.loop(s, limit, True, enter, again)
        finally:
            self.ctx.iterated = outer

    @contextmanager
    def iteration(self, k: int) -> Iterator[None]:
        """Around one iteration of an unrolled loop."""
        outer = self.ctx.path
        self.ctx.path = (*outer, k)
        self.depth += 1
        self.nested_trips += self.depth > 1
        self.ctx.growing.check_count(self.nested_trips)
        try:
            yield
        finally:
            self.ctx.path = outer
            self.depth -= 1

    def while_loop(self, s: WhileLoop) -> None:
        if s.node in self.ctx.unrolling.unrolled:
            unrolled_while(self, s, 0)
            return
        go = self.condition(s.test, s.node)
        if go is False:
            return

        def again() -> bool | Value:
            rest = self.no_flag(s.exits, s.node)
            if rest is False:
                return False
            if rest is True:
                return self.condition(s.test, s.node)
            return self.guarded(rest, s)

        limit = self.ctx.b.constant(_MAX_TRIPS, ScalarType(I64))
        with self.ctx.unrolling.around_while(s.node) if may_unroll(self, s, go) else nullcontext():
            self.loop(s, limit, go, lambda index: None, again)

    def guarded(self, rest: Value, s: WhileLoop) -> bool | Value:
        """`rest and test`, evaluating the test, and what it changes, only where `rest` holds."""

        def test() -> FrontValue:
            go = self.condition(s.test, s.node)
            return Number(go, weak=True) if isinstance(go, Value) else Static(go)

        return self.arith.truth(self.expressions.choose(s.node, rest, test, lambda: Static(False)), s.node)

    def loop(self, s: ForLoop | WhileLoop, limit: Value, go: bool | Value, enter: Any, again: Any) -> None:
        """A loop whose trip count is known at run time only."""
        at = self.ctx.place(s.node)
        plan: Plan = self.ctx.loop_memo.setdefault(at, Plan())
        body_names = assigned(s.body) | (assigned_targets(s.target) if isinstance(s, ForLoop) else set())
        if isinstance(s, WhileLoop):
            body_names |= assigned([ast.Expr(s.test)])
        names = sorted(body_names & s.live_head)
        plan.written_names |= {n for n in stored_into(s.body) if isinstance(self.ctx.frame.env.get(n), ArrayView)}
        while True:
            plan.changed = False
            before, bases = list(self.ctx.b.ops), dict(self.ctx.storage.bases)
            if self.attempt(s, plan, names, limit, go, enter, again):
                break
            self.ctx.b.ops[:] = before
            self.ctx.storage.bases.update(bases)
        for name in body_names - set(names):
            self.ctx.frame.env.pop(name, None)
        if isinstance(s, WhileLoop) and not s.exits:
            self.refine(s.test, False)
        self.tries.guard(s.node)

    def attempt(
        self,
        s: ForLoop | WhileLoop,
        plan: Plan,
        names: list[str],
        limit: Value,
        go: bool | Value,
        enter: Any,
        again: Any,
    ) -> bool:
        """Lower the loop under the plan; False if the plan had to grow."""
        outer: Builder = self.ctx.b
        lowering = LoopLowering(self.ctx, self.arith, self.calls.gradients, plan, names, s.live_head, s.node)
        index = Value(
            ScalarType(I64), s.target.id if isinstance(s, ForLoop) and isinstance(s.target, ast.Name) else "i"
        )
        go_value = go if isinstance(go, Value) else outer.constant(go, ScalarType(BOOL))
        with self.ctx.nested() as body, self.tries.opened(body):
            self.ctx.loops += 1
            body.span = self.ctx.frame.span(s.node)
            lowering.enter(outer)
            alive = True
            go_next: bool | Value = False
            mark = len(self.tries.forks)
            try:
                with growing_together(self.ctx, s.node), self.calls.gradients.tape.iteration():
                    enter(index)
                    if isinstance(s, WhileLoop):
                        self.refine(s.test, True)
                    alive = self.block(s.body)
                    if alive:
                        known = self.outlived_in(s)
                        go_next = again()
                        plan.changed |= self.outlived_in(s) > known
            except Unreachable:
                alive = False
            made: dict[str, FrontValue] = {"$go": _as_front(go_next)}
            alive = self.tries.close(mark, alive, s.live_head, made, {"$go": Static(False)})
            go_next = self.arith.truth(made["$go"], s.node)
            lowering.leave(alive)
            lowering.note_late(self.ctx.frame.env, sorted(s.live_head & (assigned(s.body) | set(names))))
            next_value = go_next if isinstance(go_next, Value) else body.constant(go_next, ScalarType(BOOL))
        if not plan.changed:
            lowering.finish(limit, go_value, index, body, next_value)
        return not plan.changed


def _as_front(truth: bool | Value) -> FrontValue:
    return Static(truth) if isinstance(truth, bool) else Number(truth, weak=True)


def assigned_targets(target: ast.expr) -> set[str]:
    """Names a loop target binds."""
    return {n.id for n in ast.walk(target) if isinstance(n, ast.Name)}
