"""Ops as ONNX nodes: elementwise and index rules by their scalar form, folds, products, control flow, lists, checks.

Opaque ops bring their own rule (`Opaque.nodes`, written in `ops/nodes.py`); what has none is refused by name and line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from tracejit.codegen.loop_ir import Const, Expr
from tracejit.codegen.lowering.elements import ElementBuilder
from tracejit.deploy.onnx.elements import Elements
from tracejit.deploy.onnx.folds import folded
from tracejit.deploy.onnx.model import Handle, Model, Scope
from tracejit.deploy.onnx.operands import Frame, Operand
from tracejit.errors import ExportError
from tracejit.ir.core import Block, Op, Value
from tracejit.ir.opdef import MATRICES, Contraction, Opaque, Pointwise, Reduction
from tracejit.ir.types import BOOL, I64, Dim, ListType, ScalarType, TensorType, Type

#: `(translation, op)` -> handles of the op's results
Rule: TypeAlias = "Callable[[Translation, Op], Any]"


class Translation:
    """Translates the blocks of one graph; `rules` are those of structural ops."""

    def __init__(self, model: Model, rules: Mapping[str, Rule]) -> None:
        self.model = model
        self.rules = rules
        self.values: dict[Value, Handle] = {}
        self.sizes: dict[str, Handle] = {}
        self.k = ElementBuilder(lambda e, _name: e)

    # -- values ------------------------------------------------------------------------------------------------

    def bind_input(self, value: Value, handle: Handle) -> None:
        """A parameter of the graph; it gives the named sizes of its type a meaning."""
        self.values[value] = handle
        if isinstance(value.type, TensorType):
            for axis, dim in enumerate(value.type.shape):
                if isinstance(dim, str) and dim not in self.sizes:
                    self.sizes[dim] = self.model.size(handle, axis)

    def handle(self, value: Value) -> Handle:
        """What stands for a value."""
        if isinstance(value.known, int):
            return self.model.constant(value.known, I64)
        if isinstance(value.known, str) and value.known in self.sizes:
            return self.sizes[value.known]
        return self.values[value]

    def size(self, dim: Dim | None) -> int | Handle:
        """A dim as a number or scalar."""
        match dim:
            case int():
                return dim
            case str():
                return self.sizes[dim]
            case Value():
                return dim.known if isinstance(dim.known, int) else self.handle(dim)
            case None:
                raise ExportError("the sizes of a list's elements are not known")

    def shape(self, type: Type) -> Handle:
        """The sizes of a tensor type as a vector."""
        assert isinstance(type, TensorType)
        return self.model.vector([self.size(d) for d in type.shape])

    def fresh(self, type: Type, name: str) -> Handle:
        """A name for a value of that type."""
        element = type.element if isinstance(type, ListType) else type
        if isinstance(element, ListType):
            raise ExportError("ONNX has no lists of lists")
        return Handle(self.model.unique(name), element.dtype, element.rank, isinstance(type, ListType))

    # -- blocks ------------------------------------------------------------------------------------------------

    def block(self, block: Block) -> list[Handle]:
        """The nodes of a block whose parameters are bound; gives its results."""
        for op in block.ops:
            try:
                results = self.op(op)
            except ExportError as error:
                if "(line " not in str(error) and op.span is not None:
                    raise ExportError(f"{error} (line {op.span.line}, op {op.name})") from error
                raise
            self.values.update(zip(op.results, results, strict=True))
        return [self.handle(v) for v in block.results]

    def op(self, op: Op) -> Sequence[Handle]:
        """The nodes of one op."""
        for value in op.results:
            self.fresh(value.type, "t")  # refuses what ONNX does not have
        rule = self.rules.get(op.name)
        if rule is not None:
            found = rule(self, op)
            return found if isinstance(found, list | tuple) else (found,)
        match op.defn.lower:
            case Pointwise() as lower:
                return (self.pointwise(op, lower),)
            case Reduction() as lower:
                return (self.fold(op, lower),)
            case Contraction():
                assert op.defn.lower == MATRICES
                return (self.product(op),)
            case Opaque() as lower:
                return self.opaque(op, lower)

    # -- nested graphs -----------------------------------------------------------------------------------------

    def branch(
        self, cond: Handle, then: Callable[[], Sequence[Handle]], orelse: Callable[[], Sequence[Handle]]
    ) -> list[Handle]:
        """The results of one of two graphs."""
        m = self.model
        made: list[tuple[Scope, list[Handle], Handle | None]] = []
        for fn in (then, orelse):
            with m.nested() as scope:
                made.append((scope, list(fn()), m.guard()))
        checks = any(guard is not None for _, _, guard in made)
        graphs: list[Any] = []
        for (scope, results, guard), name in zip(made, ("then", "else"), strict=True):
            with m.nested(scope):
                results = [*results, guard or m.constant(0, I64)] if checks else results
                graphs.append(m.graph(scope, (), results, name))
        results = [_like(m, x, "chosen") for x in made[0][1]]
        guards = [Handle(m.unique("guard"), I64, 0)] if checks else []
        if results or guards:
            m.emit("If", (cond,), (*results, *guards), then_branch=graphs[0], else_branch=graphs[1])
        m.scopes[-1].guards += guards
        return results

    def loop(
        self,
        limit: Handle,
        go: Handle,
        initial: Sequence[Handle],
        trip: Callable[[Handle, list[Handle]], tuple[Handle, Sequence[Handle], Sequence[Handle]]],
    ) -> list[Handle]:
        """`trip(i, carried)` gives whether to go on, what is carried on, and what is stacked along a new first axis;
        the results are what was carried last and the stacks."""
        m = self.model
        with m.nested() as scope:
            index, going = Handle(m.unique("trip"), I64, 0), Handle(m.unique("going"), BOOL, 0)
            params = [_like(m, x, "carried") for x in initial]
            again, following, stacked = trip(index, list(params))
            guard = m.guard()
            if guard is not None:
                params.append(Handle(m.unique("guards"), I64, 0))
                following = [*following, m.node("Add", params[-1], guard)]
            body = m.graph(scope, [index, going, *params], [again, *following, *stacked], "body")
        initial = [*initial, m.constant(0, I64)] if guard is not None else initial
        results = [_like(m, x, "last") for x in initial]
        stacks = [Handle(m.unique("stack"), x.dtype, x.rank + 1) for x in stacked]
        m.emit("Loop", (limit, go, *initial), (*results, *stacks), body=body)
        if guard is not None:
            m.scopes[-1].guards.append(results.pop())
        return [*results, *stacks]

    def list_op(self, name: str, *inputs: Handle) -> Handle:
        """A list made of the first input; never shared, since lists are told apart by what is done to them."""
        made = _like(self.model, inputs[0], "list")
        self.model.emit(name, inputs, (made,))
        return made

    # -- elementwise -------------------------------------------------------------------------------------------

    def frame(self, type: Type) -> Frame:
        """The index of a result of that type."""
        elements = Elements(self.model)
        return Frame(elements, self._dims(elements, type))

    def frame_of(self, x: Handle) -> Frame:
        """The index of an array."""
        elements = Elements(self.model)
        return Frame(elements, [elements.bind(self.model.size(x, axis)) for axis in range(x.rank)])

    def _dims(self, elements: Elements, type: Type) -> list[Expr]:
        if not isinstance(type, TensorType):
            return []
        return [self._dim(elements, d) for d in type.shape]

    def _dim(self, elements: Elements, dim: Dim | None) -> Expr:
        size = self.size(dim)
        return Const(size, I64) if isinstance(size, int) else elements.bind(size)

    def operand(self, frame: Frame, value: Value) -> Operand:
        """What a rule sees of a value."""
        return Operand(frame, self.handle(value), value.type, self._dims(frame.elements, value.type))

    def pointwise(self, op: Op, lower: Pointwise) -> Handle:
        """The op's scalar form, done to whole arrays."""
        (result,) = op.results
        frame = self.frame(result.type)
        operands = op.defn.group([self.operand(frame, v) for v in op.operands])
        element = lower.fn(self.k, frame.index, *operands, **op.attrs)
        return self.elements(frame, element)

    def elements(self, frame: Frame, element: Expr) -> Handle:
        """The array of the elements that an expression of the frame's index stands for."""
        found = frame.elements(element)
        if frame.rank and not frame.is_whole(element):
            found = self.model.expand(found, frame.shape(), frame.rank)
        return found

    # -- folds and products ------------------------------------------------------------------------------------

    def fold(self, op: Op, lower: Reduction) -> Handle:
        """A reduction over axes."""
        (result,) = op.results
        x = self.handle(op.operands[0])
        if lower.element is not None:
            frame = self.frame(op.operands[0].type)
            x = self.elements(frame, lower.element(self.k, self.operand(frame, op.operands[0])(frame.index)))
        axes = tuple(op.attrs["axes"])
        found = folded(self, lower, x, axes) if axes else x
        return self.model.cast(found, result.type.dtype)  # type: ignore[union-attr]

    def product(self, op: Op) -> Handle:
        """A product of matrices."""
        m, (result,) = self.model, op.results
        left, right = (self.handle(v) for v in op.operands)
        found = m.node("MatMul", m.summable(left), m.summable(right), rank=result.type.rank)  # type: ignore[union-attr]
        return m.cast(found, left.dtype)

    def opaque(self, op: Op, lower: Opaque) -> Sequence[Handle]:
        """An op with a rule of its own, or one of few scalars whose code has no loops over arrays."""
        if lower.nodes is not None:
            found = lower.nodes(self, op.results, *op.defn.group([self.handle(v) for v in op.operands]), **op.attrs)
        elif lower.emit is not None and all(isinstance(v.type, ScalarType) for v in (*op.operands, *op.results)):
            found = self._host(op, lower.emit)
        else:
            raise ExportError(f"{op.name} has no form in ONNX")
        return found if isinstance(found, tuple) else (found,)

    def _host(self, op: Op, emit: Callable[..., Any]) -> Handle:
        elements = Elements(self.model)
        operands = op.defn.group([elements.bind(self.handle(v)) for v in op.operands])
        return elements(emit(HostEmitter(self, elements), op.results, *operands, **op.attrs))


def _like(m: Model, x: Handle, name: str) -> Handle:
    return Handle(m.unique(name), x.dtype, x.rank, x.is_list)


class HostEmitter:
    """What the rule of an op of host scalars builds nodes with."""

    def __init__(self, translation: Translation, elements: Elements) -> None:
        self.translation = translation
        self.elements = elements
        self.k = translation.k

    def fail_unless(self, cond: Expr, kind: str, message: str, payload: Sequence[Expr] = ()) -> None:
        """Stop the run where `cond` does not hold."""
        self.translation.model.require(self.elements(cond), f"{kind}: {message}")

    def __getattr__(self, name: str) -> Any:
        raise ExportError(f"code with {name} has no form in ONNX")
