"""Checks that a graph is well formed; every message names the op, its line and the transform before it.

Checked: each value is defined once and read only where it is in scope; operands fit the op and its result types
are what the type rule infers; the blocks of `if`, `loop` and `fused` yield the result types; every size in a type
is bound; the last results are the final versions of the `inout` parameters; each list version is consumed once.
A graph that fails is a bug of tracejit, never the user's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from tracejit.errors import VerifyError
from tracejit.ir.aliasing import consumed
from tracejit.ir.builder import types_follow
from tracejit.ir.core import Block, Graph, Op, Value, type_values
from tracejit.ir.printer import called_graphs, print_graph
from tracejit.ir.types import BOOL, I64, Dim, ListType, ScalarType, TensorType, Type, substitute_dims

_FLAG = ScalarType(BOOL)
_SIZE = ScalarType(I64)


def verify(graph: Graph, after: str = "") -> None:
    """Raise `VerifyError` unless the graph, and every graph it calls, is valid; `after` names the last transform."""
    for each in called_graphs(graph):
        _Verifier(each, after).graph()


class _Verifier:
    """Walks one graph in order with the set of values in scope."""

    def __init__(self, graph: Graph, after: str) -> None:
        self.source = graph
        self.after = after
        self.defined: set[Value] = set()
        self.visible: set[Value] = set()
        self.dim_names: set[str] = set()
        self.consumed: set[Value] = set()
        self.op: Op | None = None

    def fail(self, message: str) -> NoReturn:
        after = f" after {self.after}" if self.after else ""
        place = ""
        if self.op is not None:
            results = ", ".join(f"%{v.name}" for v in self.op.results)
            place = f"{self.op.name}{f' (of {results})' if results else ''}: "
            if self.op.span is not None:
                message += f"\n  at {self.op.span}: {self.op.span.text().strip()}"
        raise VerifyError(f"invalid graph{after}: {place}{message}\n\n{print_graph(self.source, spans=True)}")

    # -- scopes and types ------------------------------------------------------------------------------------

    def graph(self) -> None:
        graph = self.source
        for param in graph.params:
            if isinstance(param.type, TensorType):
                self.dim_names.update(d for d in param.type.shape if isinstance(d, str))
        self.block(graph.body)
        if not all(0 <= i < len(graph.params) for i in graph.inout) or len(graph.results) < len(graph.inout):
            self.fail(f"inout = {graph.inout} does not fit the parameters and results")
        finals = graph.results[len(graph.results) - len(graph.inout) :]
        for index, final in zip(graph.inout, finals, strict=True):
            declared = graph.params[index]
            self.agree(declared, final, {}, "the final version of inout")

    def block(self, block: Block) -> None:
        scope = list(block.params)
        self.define(block.params)
        for op in block.ops:
            before, self.op = self.op, op
            self.one(op)
            self.op = before
            scope.extend(op.results)
        for result in block.results:
            self.read(result)
            self.consume(result)
        self.visible.difference_update(scope)

    def define(self, values: Sequence[Value]) -> None:
        for value in values:
            if value in self.defined:
                self.fail(f"%{value.name} is defined twice")
            self.defined.add(value)
        self.visible.update(values)
        for value in values:
            if value.known is not None or value.type.__class__ is not ScalarType:
                self.type(value)

    def type(self, value: Value) -> None:
        """The sizes a value's type names must be bound, and only lists may hold unknown ones."""
        if value.known is not None and value.type != _SIZE:
            self.fail(f"%{value.name}: {value.type} cannot be a known size")
        if isinstance(value.type, TensorType):
            for dim in value.type.shape:
                if dim is None:
                    self.fail(f"%{value.name} has an unknown size")
                if isinstance(dim, str) and dim not in self.dim_names:
                    self.fail(f"%{value.name}: no parameter binds the size {dim!r}")
                if isinstance(dim, int) and dim < 0:
                    self.fail(f"%{value.name} has a negative size")
        for dim in type_values(value.type):
            if dim.type != _SIZE:
                self.fail(f"the size %{dim.name} of %{value.name} is not an i64")
            self.read(dim)

    def read(self, value: Value) -> None:
        if value not in self.visible:
            self.fail(f"%{value.name} {'is out of scope' if value in self.defined else 'is not defined'}")
        if value in self.consumed:
            self.fail(f"the list %{value.name} was consumed before")

    def consume(self, value: Value) -> None:
        if isinstance(value.type, ListType):
            if value in self.consumed:
                self.fail(f"the list %{value.name} is consumed twice")
            self.consumed.add(value)

    def agree(self, declared: Value, actual: Value, dims: dict[Value, Dim], what: str) -> None:
        """`actual`, `what` of the declared value, must be of its type, with sizes read through `dims`."""
        expected = substitute_dims(declared.type, dims) if dims else declared.type
        if expected != actual.type:
            self.fail(f"{what} %{declared.name} must be {expected}, got {actual.type}")

    def all_agree(self, declared: Sequence[Value], actual: Sequence[Value], what: str) -> None:
        """Values that stand for others, position by position; sizes among them are read through."""
        if len(declared) != len(actual):
            self.fail(f"{what}: {len(declared)} values are needed, got {len(actual)}")
        dims = {d: a.dim for d, a in zip(declared, actual, strict=True) if d.type == _SIZE}
        what = f"{what}: the value for"
        for d, a in zip(declared, actual, strict=True):
            self.agree(d, a, dims, what)

    # -- ops ----------------------------------------------------------------------------------------------------

    def one(self, op: Op) -> None:
        if not self.visible.issuperset(op.operands) or not self.consumed.isdisjoint(op.operands):
            for operand in op.operands:
                self.read(operand)
        if op.name == "call":
            for i in consumed(op) if isinstance(op.attrs.get("callee"), Graph) else ():
                self.consume(op.operands[i])
        elif op.name not in ("fresh", "copy") and [r for r in op.results if r.type.__class__ is ListType]:
            for operand in op.operands:
                self.consume(operand)
        match op.name:
            case "if":
                self.conditional(op)
            case "loop":
                self.loop(op)
            case "fused":
                self.nested(op, ("body",))
                self.all_agree(op.results, op.blocks[0].results, "block body")
            case "call":
                self.call(op)
            case "custom":
                self.custom(op)
            case _:
                self.nested(op, tuple(b.label for b in op.blocks))
                self.plain(op)
        self.define(op.results)

    def plain(self, op: Op) -> None:
        """Operands and result types against the type rule. Transforms keep most ops: those are compared once."""
        if op.is_typed:
            return
        try:
            grouped = op.defn.group(op.operands)
            if not types_follow(op):
                op.is_typed = True  # type: ignore[misc]
                return
            wanted = _types_for(op.results, op.defn.infer(*grouped, **op.attrs))
        except (TypeError, ValueError) as error:
            self.fail(str(error))
        found = tuple(r.type for r in op.results)
        if wanted != found:
            self.fail(f"the result types are {_listed(found)}, the type rule gives {_listed(wanted)}")
        op.is_typed = True  # type: ignore[misc]

    def nested(self, op: Op, labels: tuple[str, ...]) -> None:
        """Verify the op's blocks; a list of an enclosing block may be consumed by several alternatives once each."""
        found = tuple(b.label for b in op.blocks)
        if found != labels:
            self.fail(f"the blocks must be {labels}, got {found}")
        if not found:
            return
        before = set(self.consumed)
        after = set(before)
        for block in op.blocks:
            self.consumed = set(before)
            self.block(block)
            after |= self.consumed
        self.consumed = after

    def conditional(self, op: Op) -> None:
        if len(op.operands) != 1 or op.operands[0].type != _FLAG:
            self.fail("the condition must be one bool scalar")
        self.nested(op, ("then", "else"))
        for block in op.blocks:
            if block.params:
                self.fail(f"block {block.label} must not have parameters")
            self.all_agree(op.results, block.results, f"block {block.label}")

    def loop(self, op: Op) -> None:
        if tuple(v.type for v in op.operands[:2]) != (_SIZE, _FLAG):
            self.fail("the first operands must be an i64 limit and a bool")
        inits = op.operands[2:]
        before = set(self.consumed)
        self.nested(op, ("body",))
        body = op.block("body")
        taken = {v for v in self.consumed - before if v in self.visible}
        if taken:
            self.fail(f"the list %{next(iter(taken)).name} is consumed in every trip")
        if not body.params or body.params[0].type != _SIZE:
            self.fail("the body's first parameter must be an i64")
        if not body.results or body.results[0].type != _FLAG:
            self.fail("the body must yield a bool first")
        self.all_agree(body.params[1:], inits, "initial values")
        self.all_agree(body.params[1:], body.results[1:], "block body")
        self.all_agree(op.results, body.results[1:], "results")

    def call(self, op: Op) -> None:
        """Arguments and results against the callee's, sizes of the callee aside."""
        self.nested(op, ())
        callee = op.attrs.get("callee")
        if not isinstance(callee, Graph):
            self.fail("the callee must be a graph")
        self.signature(op, callee.body, f"@{callee.name}")

    def custom(self, op: Op) -> None:
        self.nested(op, ("primal", "forward", "backward"))
        self.signature(op, op.block("primal"), "block primal")

    def signature(self, op: Op, block: Block, what: str) -> None:
        """The op must pass and get what the block takes and gives; the sizes are the block's own."""
        for part, declared, actual in (
            ("operands", block.params, op.operands),
            ("results", block.results, op.results),
        ):
            if [_kind(v.type) for v in declared] != [_kind(v.type) for v in actual]:
                self.fail(f"the {part} do not fit {what}")


def _listed(types: Sequence[Type]) -> str:
    return ", ".join(map(str, types)) or "none"


def _kind(type: Type) -> tuple[object, ...]:
    """A type without its sizes."""
    if isinstance(type, ListType):
        return ("list", *_kind(type.element))
    return (isinstance(type, TensorType), type.dtype, type.rank)


def _types_for(results: Sequence[Value], inferred: Sequence[Type | Value]) -> tuple[Type, ...]:
    """What a type rule gave as types, with sizes that name a result of the op naming that of `results`."""
    dims: dict[Value, Dim] = {t: r.dim for t, r in zip(inferred, results, strict=False) if isinstance(t, Value)}
    types = [t.type if isinstance(t, Value) else t for t in inferred]
    return tuple([substitute_dims(t, dims) for t in types] if dims else types)
