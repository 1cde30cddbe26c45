"""Expressions: what each form of Python expression stands for."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tracejit.frontend.arith import BINARY, COMPARE, PYTHON, Arithmetic, is_python_number
from tracejit.frontend.containers import comparisons, dict_items, list_calls, long_tuples, ranges, shared_lists, tables
from tracejit.frontend.containers.array_totals import beside_sum
from tracejit.frontend.containers.comprehensions import as_list, comprehension
from tracejit.frontend.containers.generators import all_items, beside_others
from tracejit.frontend.containers.key_order import in_order
from tracejit.frontend.containers.lists import Lists, require_unshared
from tracejit.frontend.containers.once import use_up
from tracejit.frontend.containers.unpacking import require_count, require_items
from tracejit.frontend.context import Context
from tracejit.frontend.control import optionals
from tracejit.frontend.control.choices import as_operand, compared, each
from tracejit.frontend.control.dependence import few
from tracejit.frontend.control.joins import Join
from tracejit.frontend.control.refinement import Refinement
from tracejit.frontend.control.unreachable import Unreachable
from tracejit.frontend.functions.pure import has_same_hash
from tracejit.frontend.instances import module_parts, named_tuples
from tracejit.frontend.instances.type_forms import is_generic, parameterised
from tracejit.frontend.kinds import are_many_alike
from tracejit.frontend.syntax.desugar import and_or
from tracejit.frontend.syntax.source import PROCESS, note_read
from tracejit.frontend.tensors import elements, elementwise
from tracejit.frontend.tensors.index_items import bound, index_item, pick, place_in_sequence
from tracejit.frontend.tensors.indexing import Indexing
from tracejit.frontend.tensors.values_alone import hint
from tracejit.frontend.texts import formats, made_texts, text
from tracejit.frontend.values import (
    ArrayView,
    ChoiceValue,
    DictValue,
    DictView,
    FrontValue,
    GeneratorValue,
    GrowingList,
    ListValue,
    MaybeUnbound,
    MessageValue,
    Number,
    ObjectValue,
    OptionalValue,
    SequenceValue,
    Shared,
    SharedList,
    SharedObject,
    SharedText,
    SharedVariant,
    SliceValue,
    Static,
    TupleValue,
    describe,
    spread,
    type_name,
)
from tracejit.ir.core import Value

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

_UNARY: dict[type[ast.unaryop], str] = {ast.USub: "neg", ast.UAdd: "pos", ast.Invert: "bitnot"}


class Expressions:
    """Lowers expressions."""

    calls: Calls

    def __init__(self, ctx: Context, arith: Arithmetic, indexing: Indexing, lists: Lists) -> None:
        self.ctx = ctx
        self.arith = arith
        self.indexing = indexing
        self.lists = lists
        self.refinement = Refinement(self)

    def value(self, node: ast.expr) -> FrontValue:
        """The value of an expression; a new list or array lies in a pool or memory where its place makes such."""
        made = elements.current(self.ctx, self.evaluated(node))
        return made if isinstance(node, ast.Name) else shared_lists.at_its_place(self.calls, made, node)

    def evaluated(self, node: ast.expr) -> FrontValue:
        self.ctx.at(node)
        match node:
            case ast.Constant(value):
                return Static(value)
            case ast.Name(name):
                return self.name(node, name)
            case ast.BinOp(left, op, right):
                name = BINARY[type(op)]
                made = beside_sum(self.calls, name, left, right, node)
                return self.binary(name, self.value(left), self.value(right), node) if made is None else made
            case ast.UnaryOp(ast.Not(), operand):
                return self.not_(operand, node)
            case ast.UnaryOp(op, operand):
                return self.unary(op, self.value(operand), node)
            case ast.Compare():
                return self.compare(node)
            case ast.BoolOp():
                chosen = and_or(node)
                return self.bool_op(node, list(node.values)) if chosen is None else self.conditional(node, *chosen)
            case ast.IfExp(test, body, orelse):
                return self.conditional(node, test, body, orelse)
            case ast.Call():
                return self.calls.call(node)
            case ast.Attribute(base, name):
                return self.calls.attribute(self.value(base), name, node)
            case ast.Subscript(base, index):
                return self.subscript(self.value(base), index, node)
            case ast.Slice(lower, upper, step):
                return SliceValue(*(None if p is None else bound(self.calls, p) for p in (lower, upper, step)))
            case ast.Tuple(elts):
                return long_tuples.made(self.calls, self.elements(elts), node)
            case ast.List(elts):
                return list_calls.display(self, elts, node)
            case ast.Dict(keys, values):
                return dict_items.display(self, keys, values, node)
            case ast.NamedExpr(target, value):
                made = self.value(value)
                self.calls.statements.bind(target, made)
                return made
            case ast.Lambda():
                return self.calls.statements.closure(node)
            case ast.JoinedStr():
                return formats.joined_string(self.calls, node)
            case ast.Set(elts):
                return tables.made_set(self.calls, self.elements(elts), node)
            case ast.SetComp():
                return self.calls.call_object(set, [comprehension(self.calls, as_list(node))], {}, node)
            case ast.DictComp():
                made = comprehension(self.calls, as_list(node))
                return self.calls.call_object(dict, [made], {}, node)
            case ast.ListComp() | ast.GeneratorExp():
                return comprehension(self.calls, node)
            case ast.Starred():
                self.ctx.refuse(node, "a starred expression cannot stand here", "list the values")
            case _:
                shown = {
                    "Await": "'await'",
                    "Yield": "'yield'",
                }
                name = shown.get(type(node).__name__, f"'{type(node).__name__}'")
                self.ctx.refuse(node, f"{name} is outside the language", "compute it outside the script")

    def elements(self, nodes: Sequence[ast.expr]) -> list[FrontValue]:
        """Items of a display, starred ones spread."""
        found: list[FrontValue] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                items = all_items(self.calls, self.value(node.value), node)
                found.extend(self.unpackable(items, None, node))
            else:
                found.append(self.value(node))
        return found

    # -- names ------------------------------------------------------------------------------------------------

    def name(self, node: ast.AST, name: str) -> FrontValue:
        """A local name, a name of an enclosing function, a closure cell, a global or a builtin."""
        found = self.ctx.frame.env.get(name)
        if isinstance(found, MaybeUnbound):
            self.ctx.at(node)
            text = f"cannot access local variable {name.rpartition('.')[2]!r} where it is not associated with a value"
            optionals.require_bound(self.ctx, found, "UnboundLocalError", text)
            self.ctx.frame.env[name] = found.value
            return found.value
        if found is not None:
            return found
        if name in self.calls.locals_of(self.ctx.frame.source.node):
            self.ctx.at(node)
            text = f"cannot access local variable {name.rpartition('.')[2]!r} where it is not associated with a value"
            self.ctx.check_false("UnboundLocalError", text)
        return self.enclosing_name(node, name)

    def enclosing_name(self, node: ast.AST, name: str) -> FrontValue:
        """A name that the function does not bind: of a function around it, else from outside."""
        frame = self.ctx.frame.enclosing
        while frame is not None:
            found = frame.env.get(name)
            text = f"cannot access free variable {name!r} where it is not associated with a value in enclosing scope"
            if isinstance(found, MaybeUnbound):
                self.ctx.at(node)
                optionals.require_bound(self.ctx, found, "NameError", text)
                return found.value
            if found is not None:
                return found
            if frame.is_function and name in self.calls.locals_of(frame.source.node):
                self.ctx.at(node)
                self.ctx.check_false("NameError", text)
            frame = frame.enclosing
        return self.calls.outer_name(node, name)

    # -- operators ----------------------------------------------------------------------------------------------

    def binary(self, op: str, x: FrontValue, y: FrontValue, node: ast.AST) -> FrontValue:
        """`x op y`, containers included."""
        self.ctx.at(node)
        if OptionalValue in (type(x), type(y)) and (made := optionals.operated(self, op, x, y, node)) is not None:
            return made
        if isinstance(x, DictView) or isinstance(y, DictView):
            return comparisons.views(self, op, x, y, node)
        if (made := made_texts.operated(self.calls, op, x, y, node)) is not None:
            return made
        if isinstance(x, ChoiceValue) and (same := compared(self.ctx.b, op, x, y)) is not None:
            return same
        x, y = as_operand(self.calls, op, elements.current(self.ctx, x)), as_operand(self.calls, op, y)
        if isinstance(x, ChoiceValue):
            return each(self, x, lambda o: self.binary(op, o, y, node), node)
        if isinstance(y, ChoiceValue):
            return each(self, y, lambda o: self.binary(op, x, o, node), node)
        if isinstance(x, Static) is not isinstance(y, Static):
            x, y = spread(x), spread(y)
        if (made := named_tuples.operated(self.calls.objects, op, x, y, node)) is not None:
            return made
        match op, x, y:
            case "add", TupleValue(), TupleValue():
                return TupleValue(x.items + y.items, None, x.keys or y.keys)
            case "add", ListValue() | GrowingList(), ListValue() | GrowingList():
                return list_calls.joined(self.calls, x, y, node)
            case "mul", _, _ if (made := list_calls.times(self.calls, x, y, node)) is not None:
                return made
            case "bitor" | "eq" | "ne", DictValue(), DictValue():
                return comparisons.dicts(self, op, x, y, node)
            case _ if text.is_operated(op, x, y) and not self.calls.objects.has_operator(y):
                return text.operated(self.calls, op, x, y, node)
            case "eq" | "ne" | "lt" | "le" | "gt" | "ge", GrowingList(), ListValue() | GrowingList():
                return comparisons.lists(self, op, x, y, node)
            case "eq" | "ne" | "lt" | "le" | "gt" | "ge", ListValue(), GrowingList():
                return comparisons.lists(self, op, x, y, node)
            case "lt" | "le" | "gt" | "ge", TupleValue(xs), TupleValue(ys):
                return comparisons.ordered(self, op, xs, ys, node)
            case "lt" | "le" | "gt" | "ge", ListValue(xs), ListValue(ys):
                return comparisons.ordered(self, op, xs, ys, node)
            case _, Static(set() | frozenset()), Static(set() | frozenset()):
                return self.calls.call_now(PYTHON[op], [x, y], {}, node)
            case "mod", Static(str() as template), _:
                return formats.percent(self.calls, template, spread(y), node)
            case _ if any(self.calls.objects.has_operator(v, op) for v in (x, y)):
                tables.grow_beside(self.calls, x, y)
                return self.calls.objects.binary(op, x, y, node)
            case _:
                x, y = self.calls.as_operand(x), self.calls.as_operand(y)
                arrays = not (is_python_number(x) and is_python_number(y))
                if (op == "matmul" and arrays) or (op in ("eq", "ne") and isinstance(x, TupleValue | ListValue)):
                    return comparisons.matmul_or_equal(self, op, x, y, node)
                beside = elementwise.beside_array
                x, y = beside(self.calls, x, y, node), beside(self.calls, y, x, node)
                if op == "pow" and not self.ctx.tensors and elementwise.is_square_of_truths(self.ctx, x, y, node):
                    return self.arith.scalar_of_rank_0(self.arith.typed("square", node, x))
                return self.arith.binary(op, x, y, node)

    def not_(self, operand: ast.expr, node: ast.AST) -> FrontValue:
        return self.negated(self.value(operand), node)

    def negated(self, value: FrontValue, node: ast.AST) -> FrontValue:
        """`not value`."""
        truth = self.arith.truth(value, node)
        if isinstance(truth, bool):
            return Static(not truth)
        self.ctx.at(node)
        return Number(self.ctx.b.emit("logical_not", (truth,))[0], weak=True)

    def compare(self, node: ast.Compare) -> FrontValue:
        """A comparison; a chain evaluates each operand once and stops at the first false link."""
        left = self.value(node.left)
        return self.compare_chain(left, list(zip(node.ops, node.comparators, strict=True)), node)

    def compare_chain(self, left: FrontValue, rest: list[tuple[ast.cmpop, ast.expr]], node: ast.Compare) -> FrontValue:
        op, right_node = rest[0]
        if isinstance(right_node, ast.Set) and isinstance(op, ast.In | ast.NotIn):
            right: FrontValue = TupleValue(tuple(self.elements(right_node.elts)))  # its items may be run-time values
            tables.require_hashable(self.calls, TupleValue((*right.items, left)), node)
        else:
            right = self.value(right_node)
        link = self.compare_one(op, left, right, node)
        if len(rest) == 1:
            return link
        truth = self.arith.truth(link, node)
        if truth is False:
            return link
        if truth is True:
            return self.compare_chain(right, rest[1:], node)
        made = self.choose(node, truth, lambda: self.compare_chain(right, rest[1:], node), lambda: link)
        return made

    def compare_one(self, op: ast.cmpop, left: FrontValue, right: FrontValue, node: ast.AST) -> FrontValue:
        match op:
            case ast.Is() | ast.IsNot():
                same = self.identical(left, right, node)
                return same if isinstance(op, ast.Is) else self.negated(same, node)
            case ast.In() | ast.NotIn():
                found = comparisons.contains(self, left, right, node)
                if isinstance(op, ast.In):
                    return found
                return self.negated(found, node)
            case _:
                return self.binary(COMPARE[type(op)], left, right, node)

    def identical(self, left: FrontValue, right: FrontValue, node: ast.AST) -> FrontValue:
        """`left is right`."""
        for x, y in ((left, right), (right, left)):
            if isinstance(x, OptionalValue) and optionals.is_none(y):
                return self.negated(Number(x.some, weak=True), node)
            if isinstance(x, ChoiceValue):
                return each(self, x, lambda o, y=y: self.identical(o, y, node), node)
        same = self.calls.objects.same(left, right)
        return comparisons.identical(self, left, right, node) if same is None else same

    def condition(self, node: ast.expr) -> bool | Value:
        """The truth of an expression that is a condition only."""
        return self.arith.truth(self.tested(node), node)

    def tested(self, node: ast.expr) -> FrontValue:
        """What is as true as an expression: a number where that is known at run time only."""
        if isinstance(node, ast.BoolOp):
            return self.bool_op(node, list(node.values), is_condition=True)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return self.negated(self.tested(node.operand), node)
        made = self.value(node)
        if isinstance(made, Number):
            return made
        truth = self.arith.truth(made, node)
        return Static(truth) if isinstance(truth, bool) else Number(truth, weak=True)

    def bool_op(self, node: ast.BoolOp, operands: list[ast.expr], is_condition: bool = False) -> FrontValue:
        """`and` / `or`: the right side is evaluated only where it is needed."""
        first = self.tested(operands[0]) if is_condition else self.value(operands[0])
        if len(operands) == 1:
            return first
        truth = self.arith.truth(first, operands[0])
        is_and = isinstance(node.op, ast.And)

        def rest() -> FrontValue:
            with self.refinement.within(operands[0], is_and, node):
                return self.bool_op(node, operands[1:], is_condition)

        if isinstance(truth, bool):
            return rest() if truth is is_and else first
        if not is_and and isinstance(first, OptionalValue):  # where it is chosen, it is there
            first = first.value

        return (
            self.choose(node, truth, rest, lambda: first) if is_and else self.choose(node, truth, lambda: first, rest)
        )

    def conditional(self, node: ast.AST, test: ast.expr, body: ast.expr, orelse: ast.expr) -> FrontValue:
        truth = self.condition(test)

        def side(holds: bool) -> FrontValue:
            with self.refinement.within(test, holds):
                return self.value(body if holds else orelse)

        if isinstance(truth, bool):
            return side(truth)
        return self.choose(node, truth, lambda: side(True), lambda: side(False))

    def unary(self, op: ast.unaryop, operand: FrontValue, node: ast.AST) -> FrontValue:
        """`-operand` and the like."""
        x = as_operand(self.calls, name := _UNARY[type(op)], operand)
        own = self.calls.objects.unary(name, x, node)
        return self.arith.unary(name, x, node) if own is None else own

    def choose(self, node: ast.AST, truth: Value, then: Any, orelse: Any) -> FrontValue:
        """An `if` whose sides are expressions."""
        outer = self.ctx.storage
        tries = self.ctx.tries
        assert tries is not None
        sides = [tries.side(then), tries.side(orelse)]
        (a, first), (b, second) = sides
        join = Join(self.ctx, self.arith, first, second, outer.snapshot(), node)
        if not (first.alive or second.alive):
            join.memory()
            join.emit(truth)
            raise Unreachable
        made = join.value("value", a, b)
        changed: dict[str, FrontValue] = {}
        env = self.ctx.frame.env
        for name in sorted({*first.env, *second.env}):
            x, y = first.env.get(name), second.env.get(name)
            if x is not env.get(name) or y is not env.get(name):
                changed[name] = join.value(name, x, y)
        join.memory()
        join.emit(truth)
        env.update(changed)
        require_unshared(self.ctx, join.sources, None, node)
        tries.guard(node)
        return made.value if isinstance(made, MaybeUnbound) else made  # what was caught on one side left it unbound

    # -- subscripts -----------------------------------------------------------------------------------------------

    def index_items(self, index: ast.expr) -> list[FrontValue]:
        """The items of a subscript."""
        made = spread(self.value(index))
        items = list(made.items) if isinstance(made, TupleValue) else [made]
        return [index_item(self.calls, spread(i), index) for i in items]

    def subscript_by(self, base: FrontValue, index: FrontValue, node: ast.AST) -> FrontValue:
        """`base[index]` by a value."""
        name = ast.copy_location(ast.Name("$index", ast.Load()), node)  # type: ignore[type-var]
        self.ctx.frame.env["$index"] = index
        try:
            return self.subscript(base, name, node)
        finally:
            self.ctx.frame.env.pop("$index", None)

    def subscript(self, base: FrontValue, index: ast.expr, node: ast.AST) -> FrontValue:
        base = made_texts.kept(self.calls, base, node) if isinstance(base, MessageValue) else base
        base = self.calls.as_operand(base, "'NoneType' object is not subscriptable")
        if isinstance(base, Static) and is_generic(base.value):
            return parameterised(self.calls, base.value, self.value(index), node)
        if self.calls.objects.has(base, "__getitem__"):
            made = self.calls.objects.special(base, "__getitem__", [self.value(index)], node)
            assert made is not None
            return made
        match base:
            case ArrayView():
                items = self.index_items(index)
                self.ctx.at(node)
                return self.indexing.read(base, items, node)
            case TupleValue() | ListValue():
                return self.sequence_item(base, self.value(index), node)
            case GrowingList():
                return self.lists.item(base, self.value(index), node)
            case DictValue():
                return dict_items.item(self, base, self.value(index), index, node)
            case SequenceValue():
                return ranges.item(self, base, self.value(index), node)
            case Static(value):
                return self.calls.static_subscript(value, self.value(index), node)
            case ChoiceValue():
                at = self.value(index)
                return each(self, base, lambda o: self.calls.static_subscript(o.value, at, node), node)
            case Number(_, False):
                return self.indexing.of_scalar(base, self.index_items(index), node)
            case _:
                return self.arith.mismatch(TypeError(f"'{type_name(base)}' object is not subscriptable"), node)

    def sequence_item(self, base: TupleValue | ListValue, at: FrontValue, node: ast.AST) -> FrontValue:
        items = base.items
        if isinstance(base, DictView):
            return self.arith.mismatch(TypeError(f"'{base.kind}' object is not subscriptable"), node)
        kind = "tuple" if isinstance(base, TupleValue) else "list"
        at = place_in_sequence(self.calls, optionals.as_index(self.ctx, at, kind), node)
        if isinstance(at, SliceValue):
            given = (at.start, at.stop, at.step)
            known = all(p is None or isinstance(p, Static) for p in given)
            if not known and long_tuples.can_be_cut(self.ctx, base):
                return long_tuples.cut(self.calls, base, at, node)
            parts = [
                None if p is None else p.value if isinstance(p, Static) else self.unknown_index(node) for p in given
            ]
            cut = items[slice(*parts)]
            return (
                TupleValue(tuple(cut), None, base.keys) if isinstance(base, TupleValue) else self.lists.made(cut, node)
            )
        if isinstance(at, Static) and hasattr(at.value, "__index__"):
            try:
                return items[at.value]
            except IndexError:
                self.arith.mismatch(IndexError(f"{kind} index out of range"), node)
        if isinstance(at, Number) and at.dtype.is_integer:
            if isinstance(base, ListValue) and base.keys and any(map(_is_list, items)):
                self.lists.grown(base, node)
            if isinstance(base, ListValue) and base.keys and are_many_alike(items):
                self.lists.grown(base, node, keeps_length=True)
            return pick(self, list(items), at, node, f"{kind} index out of range")
        if isinstance(at, Static | MessageValue):
            text = f"{kind} indices must be integers or slices, not {type_name(at)}"
            return self.arith.mismatch(TypeError(text), node)
        return self.unknown_index(node)

    def unknown_index(self, node: ast.AST) -> Any:
        self.ctx.require_known(
            node,
            "this index must be known when the function is compiled",
            "use an array for indices computed at run time",
        )

    # -- sequences --------------------------------------------------------------------------------------------------

    def unpackable(self, value: FrontValue, count: int | None, node: ast.AST) -> list[FrontValue]:
        """The items of something of known length, for unpacking; `count` is how many are wanted."""
        items = self.known_items(value, node, count)
        if count is not None:
            require_items(self.arith, value, items, count, node)
        return items

    def known_items(self, value: FrontValue, node: ast.AST, count: int | None = None) -> list[FrontValue]:
        value = made_texts.kept(self.calls, value, node) if isinstance(value, MessageValue) else value
        match value:
            case TupleValue(items) | ListValue(items):
                return list(items)
            case DictValue():
                return [Static(k) for k in in_order(self.ctx, value, node)]
            case Static(obj) if isinstance(obj, tuple | list | str | range | dict | set | frozenset):
                if isinstance(obj, set | frozenset) and not has_same_hash(obj):
                    note_read(PROCESS)
                return [self.calls.of_object(item) for item in obj]
            case ArrayView() if value.rank:
                return self.array_items(value, count, node)
            case SequenceValue(length, item, static) if static is not None or isinstance(length, int):
                use_up(self.ctx, value, node)
                found = [item(i) for i in range(static if static is not None else max(length, 0))]  # type: ignore[type-var]
                value.ran_out()
                return found
            case GrowingList() if count is not None:
                require_count(self.ctx, self.ctx.list_length(value), count, is_list=True)
                return [self.lists.get(value, i) for i in range(count)]
            case Static() if self.calls.objects.is_looped(value):
                return self.known_items(self.calls.objects.items(value, node), node, count)
            case Static(obj) if hasattr(type(obj), "__iter__") and not isinstance(obj, np.ndarray | np.generic):
                return module_parts.items(self.calls, value, node)
            case SharedList() | SharedText() if count is not None:
                rows = self.calls.objects.items(value, node)
                return self.known_items(rows, node, count)
            case ObjectValue() | SharedObject() | SharedVariant():
                return self.known_items(self.calls.objects.items(value, node), node, count)
            case _:
                made = self.calls.as_operand(value)
                if made is not value:
                    return self.known_items(made, node, count)
                is_object = isinstance(value, Static) and not hasattr(type(value.value), "__iter__")
                if isinstance(value, Number) or is_object:
                    text = f"'{type_name(value)}' object is not iterable{hint(self.ctx.frame.here)}"
                    self.arith.mismatch(TypeError(text), node)
                self.ctx.require_known(
                    node,
                    f"{describe(value)} has no length known when the function is compiled",
                    "write a loop that fills an array",
                )

    def array_items(self, view: ArrayView, count: int | None, node: ast.AST) -> list[FrontValue]:
        """The rows of an array; an unknown size is checked against the number of targets, or else compiled in."""
        length = view.lengths[0]
        if count is None:
            length = few(self.ctx, length, node)
        elif not isinstance(length, int):
            require_count(self.ctx, length, count)
            length = count
        return [self.indexing.read(view, [Static(i)], node) for i in range(length)]

    def iterable(self, value: FrontValue, node: ast.AST) -> SequenceValue:
        """Something to run over to its end, whose items do nothing that is seen."""
        made = self.run_over(value, node)
        made.ran_out()
        return made if made.ended is None else dataclasses.replace(made, ended=None)

    def run_over(self, value: FrontValue, node: ast.AST) -> SequenceValue:
        """Something a `for` loop can run over, which calls `ended`."""
        value = made_texts.kept(self.calls, value, node) if isinstance(value, MessageValue) else value
        match value:
            case OptionalValue():
                return self.run_over(optionals.there_to_run_over(self.ctx, value), node)
            case GeneratorValue():
                return self.run_over(beside_others(self.calls, value, node), node)
            case SequenceValue():
                use_up(self.ctx, value, node)
                return value
            case ArrayView():
                if value.rank == 0:
                    self.arith.mismatch(TypeError("iteration over a 0-d array"), node)
                source = frozenset({value.storage})
                return SequenceValue(value.lengths[0], lambda i: self.array_row(value, i, node), sources=source)
            case GrowingList():
                return self.lists.items(value)
            case ObjectValue() | Shared():
                return self.run_over(self.calls.objects.items(value, node), node)
            case Static() if self.calls.objects.is_looped(value):
                return self.run_over(self.calls.objects.items(value, node), node)
            case TupleValue() | ListValue() | DictValue() | Static() | ChoiceValue():
                items = self.known_items(value, node)
                if (many := self.lists.many(value, items, node)) is not None:
                    return many
                lists = ((value, len(items)),) if isinstance(value, ListValue) else ()
                made = SequenceValue(len(items), lambda i: self.one_of(items, i, node, value), static=len(items))
                return dataclasses.replace(made, known=lists)
            case _:
                return self.arith.mismatch(TypeError(f"'{type_name(value)}' object is not iterable"), node)

    def one_of(self, items: list[FrontValue], i: Any, node: ast.AST, of: FrontValue | None = None) -> FrontValue:
        if isinstance(of, ListValue) and len(of.items) == len(items):
            items = of.items
        return items[i] if isinstance(i, int) else pick(self, items, Number(i, weak=True), node)

    def array_row(self, view: ArrayView, i: Any, node: ast.AST) -> FrontValue:
        index: FrontValue = Static(i) if isinstance(i, int) else Number(i, weak=True)
        return self.indexing.read(view, [index], node)


def _is_list(x: FrontValue) -> bool:
    return isinstance(x, SharedList | GrowingList) or (isinstance(x, ListValue) and bool(x.keys))
