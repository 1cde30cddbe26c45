"""What a condition says about the names and attributes in it, for as long as it holds.

Behind `x is None`, `x is not None`, `isinstance(x, T)`, the truth of `x`, and `and`, `or` and `not` of these, a name
that may be None (`OptionalValue`), or be an object of several classes, is one of these, as is each other name of the
same value (the subject of a `match`): `refined`. What an operand says ends where a later operand, or the branch, binds
the name anew (`outlived`): `v is None and fill()` says nothing about a `v` that `fill` sets.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Set
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tracejit.frontend.values import ArrayView, FrontValue, ObjectValue, OptionalValue, SharedVariant, Static
from tracejit.ir.core import Value
from tracejit.records import record

if TYPE_CHECKING:
    from tracejit.frontend.expressions import Expressions


@record
class Fact:
    """`target` is None, or is not None; with a `cls`, it is such or no such instance: what `said_by` says."""

    said_by: ast.expr
    target: ast.expr
    is_some: bool
    cls: ast.expr | None = None


@record(eq=False)
class Entered:
    """A fact, what its target is by it, and where that is noted: names of a value, or a part of an object."""

    fact: Fact
    now: FrontValue | Value | None
    before: FrontValue | Value | None
    names: tuple[str, ...] = ()
    owner: ObjectValue | None = None


#: What an expression that only names a place is made of.
_PLACES = (ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.expr_context)


def _named(target: ast.expr) -> ast.expr:
    return target.target if isinstance(target, ast.NamedExpr) else target


class Refinement:
    """Enters facts into the names and attributes of one lowering."""

    def __init__(self, expressions: Expressions) -> None:
        self.expressions = expressions
        self.ctx = expressions.ctx
        #: for an `and` or `or` and the calls around it: the conditions in it that say nothing behind its later operands
        self.outlived: dict[ast.BoolOp, set[tuple[object, ...]]] = {}

    def facts(self, test: ast.expr, holds: bool) -> Iterator[Fact]:
        """What a condition says about names and attributes where it holds, or where it does not."""
        match test:
            case ast.UnaryOp(ast.Not(), operand):
                yield from self.facts(operand, not holds)
            case ast.BoolOp(op, values) if isinstance(op, ast.And) is holds:
                ended = self.outlived.get(test, ())
                for fact in (fact for value in values for fact in self.facts(value, holds)):
                    if self.ctx.place(fact.said_by) not in ended:
                        yield fact
            case ast.Compare(left, [op], [right]) if isinstance(op, ast.Is | ast.Eq | ast.IsNot | ast.NotEq):
                same = isinstance(op, ast.Is | ast.Eq) is holds
                for one, other in ((left, right), (right, left)):
                    if isinstance(other, ast.Constant) and other.value is None:
                        yield Fact(test, _named(one), not same)
            case ast.Call(ast.Name("isinstance"), [target, cls], []):
                yield Fact(test, _named(target), holds, cls)
            case ast.Name() | ast.Attribute() | ast.NamedExpr() if holds:
                yield Fact(test, _named(test), True)
            case _:
                pass

    def refine(self, test: ast.expr, holds: bool, ended: Set[ast.expr] = frozenset()) -> list[Entered]:
        """Enter what a condition says, but for what has `ended`."""
        return [self.enter(fact) for fact in self.facts(test, holds) if fact.said_by not in ended]

    @contextmanager
    def within(self, test: ast.expr, holds: bool, of: ast.BoolOp | None = None) -> Iterator[None]:
        """What is lowered inside knows that the condition holds, or does not: the later operands `of` an `and` or `or`,
        or the side of a branch."""
        entered = self.refine(test, holds)
        try:
            yield
            if of is not None and (ended := self.ended(entered)):
                self.outlived.setdefault(of, set()).update(map(self.ctx.place, ended))
        finally:
            for one in reversed(entered):
                self.undo(one)

    def ended(self, entered: list[Entered]) -> set[ast.expr]:
        """What says something about names and attributes that are something else by now."""
        return {one.fact.said_by for one in entered if self.target(one.fact) is not one.now}

    def outlived_in(self, test: ast.AST) -> int:
        """How much of a condition is known to say nothing behind it."""
        return sum(len(self.outlived.get(n, ())) for n in ast.walk(test) if isinstance(n, ast.BoolOp))

    # -- entering and leaving ------------------------------------------------------------------------------------

    def target(self, fact: Fact) -> FrontValue | Value | None:
        """What a fact is about, as it is now."""
        match fact.target:
            case ast.Name(name):
                return self.ctx.frame.env.get(name)
            case ast.Attribute(base, name):
                held = self.gradient(base, fact) if name == "grad" else None
                o = self.object(base) if held is None else None
                return held if o is None else o.fields.get(name)
            case _:
                return None

    def enter(self, fact: Fact) -> Entered:
        found = self.target(fact)
        if isinstance(found, Value):
            self.ctx.sizes.truths[found] = fact.is_some
            return Entered(fact, found, found)
        made = self.refined(found, fact)
        if made is None:
            return Entered(fact, found, found)
        if isinstance(fact.target, ast.Attribute):
            o = self.object(fact.target.value)
            assert o is not None
            o.contents = {**o.contents, fact.target.attr: made}
            return Entered(fact, made, found, owner=o)
        env = self.ctx.frame.env
        names = tuple(name for name, value in env.items() if value is found)
        env.update(dict.fromkeys(names, made))
        return Entered(fact, made, found, names)

    def undo(self, entered: Entered) -> None:
        """Take a fact back where nothing else was bound since."""
        env, o, now, before = self.ctx.frame.env, entered.owner, entered.now, entered.before
        if isinstance(now, Value):
            self.ctx.sizes.truths.pop(now, None)
        elif now is not before and before is not None and not isinstance(before, Value):
            env.update({name: before for name in entered.names if env.get(name) is now})
            if o is not None and isinstance(entered.fact.target, ast.Attribute):
                name = entered.fact.target.attr
                if o.contents.get(name) is now:
                    o.contents = {**o.contents, name: before}

    def object(self, base: ast.expr) -> ObjectValue | None:
        """The object that an expression of names and attributes stands for."""
        match base:
            case ast.Name(name):
                found = self.ctx.frame.env.get(name)
                if isinstance(found, Static):
                    return self.expressions.calls.statics.outer.get(id(found.value))
                return found if isinstance(found, ObjectValue) else None
            case ast.Attribute(inner, name):
                o = self.object(inner)
                found = None if o is None else o.fields.get(name)
                return found if isinstance(found, ObjectValue) else None
            case _:
                return None

    def gradient(self, base: ast.expr, fact: Fact) -> Value | None:
        """What tells whether the `.grad` of an array is None, where that is known at run time only."""
        if fact.cls is not None or not all(isinstance(n, _PLACES) for n in ast.walk(base)):
            return None
        owner = self.expressions.value(base)
        return self.expressions.calls.gradients.unknown(owner) if isinstance(owner, ArrayView) else None

    # -- what a fact says -----------------------------------------------------------------------------------------

    def refined(self, value: FrontValue | None, fact: Fact) -> FrontValue | None:
        """What a value is behind a fact; None where the fact says nothing new."""
        if isinstance(value, SharedVariant):
            return self.narrowed(value, fact)
        if not isinstance(value, OptionalValue):
            return None
        if isinstance(value.value, SharedVariant) and fact.cls is not None:
            return self.narrowed(value.value, fact) if fact.is_some else None
        if fact.cls is None:
            return value.value if fact.is_some else Static(None)
        known = self.expressions.value(fact.cls)
        if not self.expressions.calls.is_instance(value.value, known, fact.cls):
            return None
        return value.value if fact.is_some else Static(None)

    def narrowed(self, value: SharedVariant, fact: Fact) -> FrontValue | None:
        """An object of several classes where a fact leaves one of them."""
        if fact.cls is None:
            return None
        from tracejit.frontend.instances import variants

        calls, asked = self.expressions.calls, fact.cls
        known = self.expressions.value(asked)
        return variants.narrowed(calls, value, lambda o: calls.is_instance(o, known, asked) is fact.is_some)
