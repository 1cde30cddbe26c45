"""Graph -> Program: the entry, its control flow, storage and effects.

The entry is one native function: host scalars are vars, tensors are buffers with sizes, `if` and `loop` are
structured statements that pass values explicitly. Kernels are made by `kernels.py`, ops that are not elementwise by
`opaque.py` and `lists.py`, parameters and results by `boundary.py`, views by `views.py`. The graph has been through
`ownership`: updates happen in place, and storage is freed where `memory.py` says.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from tracejit.codegen.llvm.alike import Kernels, Told
from tracejit.codegen.loop_ir import (
    Alloc,
    Call,
    Carried,
    Const,
    ErrorSite,
    Expr,
    Fail,
    For,
    Free,
    Function,
    If,
    Kernel,
    Launch,
    Let,
    Offset,
    OutputSpec,
    Pointer,
    PrintSite,
    Program,
    ReportSite,
    Stmt,
    Var,
)
from tracejit.codegen.lowering import boundary, placement
from tracejit.codegen.lowering import calls as lower_calls
from tracejit.codegen.lowering import copies as lower_copies
from tracejit.codegen.lowering import lanes as lower_lanes
from tracejit.codegen.lowering import opaque as lower_opaque
from tracejit.codegen.lowering import products as lower_products
from tracejit.codegen.lowering import reports as lower_reports
from tracejit.codegen.lowering import views as lower_views
from tracejit.codegen.lowering.code import free_variables, has_loop, known_outside, stored_buffers
from tracejit.codegen.lowering.complex import Complex
from tracejit.codegen.lowering.elements import (
    ONE,
    ZERO,
    Array,
    Element,
    ElementBuilder,
    Index,
    load,
    stores,
)
from tracejit.codegen.lowering.kernels import KernelLowering, Target
from tracejit.codegen.lowering.memory import Lifetimes, hoisted
from tracejit.codegen.lowering.uses import Uses
from tracejit.codegen.lowering.views import HostOperand
from tracejit.codegen.lowering.windows import WindowRuns
from tracejit.errors import Span
from tracejit.ir.aliasing import borrowed, has_storage, shared
from tracejit.ir.core import Block, Graph, Op, Value, has_effect
from tracejit.ir.opdef import Contraction, Opaque, Pointwise, Reduction
from tracejit.ir.printer import called_graphs
from tracejit.ir.types import BOOL, F64, I64, Dim, DType, ListType, Order, ScalarType, TensorType, Type, real_dtype

Place: TypeAlias = "Array | Element"  #: a tensor's array, a scalar's element, or a list's handle (a Var)

TRUE = Const(True, BOOL)


def lower(graph: Graph, target: str = "cpu", layouts: Sequence[Order] | None = None, told: Told = None) -> Program:
    """The loop program of a graph; `layouts[i]`: of parameter i in memory (C, by default); `told` hears of kernels."""
    names = {g: f"{g.name}.{i}" for i, g in enumerate(called_graphs(graph)) if i}
    tables = Tables(names, Kernels(told))
    main = Lowering(graph, target, layouts or (), tables).program()
    if not names:
        return main
    functions = [lower_calls.function(Lowering(g, target, (), tables), name) for g, name in names.items()]
    return replace(main, functions=tuple(functions), **tables.parts())


@dataclass(slots=True)
class Tables:
    """What the functions of one program share: the functions' names, kernels, and the numbers of errors and prints."""

    functions: dict[Graph, str] = field(default_factory=dict[Graph, str])
    kernels: Kernels = field(default_factory=Kernels)
    errors: dict[ErrorSite, int] = field(default_factory=dict[ErrorSite, int])
    prints: dict[PrintSite | ReportSite, int] = field(default_factory=dict["PrintSite | ReportSite", int])
    ways: int = 0  #: so many ways out there are
    moving: Mapping[Graph, tuple[int, ...]] = field(init=False)  #: the `inout` lists that move in and out

    def __post_init__(self) -> None:
        self.moving = lower_calls.moving_lists(tuple(self.functions))

    def parts(self) -> dict[str, Any]:
        """The fields of a program that are made of them."""
        return {"kernels": tuple(self.kernels.made), "errors": tuple(self.errors), "prints": tuple(self.prints)}


class Lowering:
    """Lowers one graph; also what lowering rules of ops use to emit code."""

    def __init__(self, graph: Graph, target: str, layouts: Sequence[Order], tables: Tables | None = None) -> None:
        self.graph = graph
        self.tables = tables or Tables()
        self.target = target
        self.layouts = layouts
        self.parallel = bool(graph.policy.get("parallel", True))
        self.env: dict[Value, Any] = {}
        self.sizes: dict[str, Expr] = {}
        self.body: list[Stmt] = []
        self.temporaries: list[Array] = []
        self.kept: set[Value] = set()  #: roots that are not freed: on the stack, or in memory of another value
        self.written: dict[Value, Op | None] = {}  #: results that their kernel wrote where this op wants them
        self.steps: dict[Var, Expr] = {}  #: what names of steps of views mean
        self.ahead: dict[Value, Array] = {}  #: results of `cat` whose parts are written before it
        self.here = _Position(graph.body)
        self.span: Span | None = None
        self.k = ElementBuilder(self.let)
        self.lifetimes = Lifetimes(graph)
        self.uses = Uses(graph.body)
        self.caller: dict[int, Array] = {}
        self.movable: set[Value] = set()  #: versions of parameters that may be in other memory for the time of a loop
        self.moved: set[Value] = set()  #: those of them that loops carry, and that are
        self.in_kernel = False  #: what is lowered now becomes part of a kernel
        self.going_home: tuple[Stmt, ...] | None = None
        self.way: int | None = None  #: by which the op that is being lowered leaves where it fails

    # -- emitting ----------------------------------------------------------------------------------------------

    def emit(self, *stmts: Stmt) -> None:
        """Append statements."""
        self.body.extend(stmts)

    def let(self, e: Expr, name: str = "t") -> Expr:
        """A name for an expression."""
        if isinstance(e, Var | Const):
            return e
        var = Var(name, e.type)
        self.emit(Let(var, e))
        return var

    def size(self, dim: Dim | None) -> Expr:
        """A dim as an i64 expression."""
        match dim:
            case int():
                return Const(dim, I64)
            case str():
                return self.sizes[dim]
            case Value():
                return self.scalar(dim)
            case None:
                raise TypeError("a list element's size is not known")

    def shape(self, type: TensorType) -> Index:
        """The sizes of a tensor type."""
        return tuple(self.size(d) for d in type.shape)

    def scalar(self, value: Value) -> Any:
        """The element of a host scalar."""
        if isinstance(value.known, int):
            return Const(value.known, I64)
        if isinstance(value.known, str) and value.known in self.sizes:
            return self.sizes[value.known]
        return self.env[value]

    def place(self, value: Value) -> Any:
        """Where a value is: an `Array`, an element, or a list's handle."""
        return self.scalar(value) if isinstance(value.type, ScalarType) else self.env[value]

    def array(self, value: Value) -> Array:
        """The array of a tensor value."""
        found = self.env[value]
        assert isinstance(found, Array), f"%{value.name} is not a tensor"
        return found

    # -- storage -----------------------------------------------------------------------------------------------

    def pointer(self, type: Type, name: str) -> Var:
        """A var for a buffer of that type's elements, or for a list's handle."""
        if isinstance(type, ListType):
            return Var(name, Pointer(_slot_dtype(type), is_list=True))
        return Var(name, Pointer(real_dtype(type.dtype)))

    def new_array(self, type: TensorType, name: str, *, stack: bool = False, room: int = 0) -> Array:
        """Storage for a tensor, in C order."""
        shape = self.shape(type)
        array = Array(self.pointer(type, name), type, shape)
        self.allocate(array, stack=stack, room=room)
        return array

    def allocate(self, array: Array, *, stack: bool = False, room: int = 0) -> None:
        """Storage for an array in C order, and `room` elements more."""
        width = 2 if array.type.dtype.is_complex else 1
        count = self.k.add(self.k.product(array.shape), room)
        self.emit(Alloc(array.buffer, self.k.mul(count, width), stack))

    def new_result(self, value: Value) -> Array:
        """Storage for an op's result. A rank-0 tensor that is only fetched lives on the stack."""
        assert isinstance(value.type, TensorType)
        stack = self.lives_on_stack(value)
        if stack:
            self.kept.add(value)
        return self.new_array(value.type, value.name, stack=stack)

    def lives_on_stack(self, value: Value) -> bool:
        """Whether a result is a rank-0 tensor that is only fetched."""
        return value in self.uses.only_fetched and self.target == "cpu"

    def copy(self, source: Array, name: str) -> Array:
        """A copy of an array in C order."""
        target = self.new_array(source.type, name)
        self.copy_into(target, source)
        return target

    def copy_into(self, target: Array, source: Array) -> None:
        """Copy elements between arrays of one shape."""
        lower_copies.copy_into(self, target, source)

    def start_of(self, array: Array) -> Expr:
        """Where an array's first element is."""
        width = 2 if array.type.dtype.is_complex else 1
        at = self.let(self.k.mul(array.offset, width), "at")
        return array.buffer if at == ZERO else Offset(array.buffer, at, array.buffer.type)  # type: ignore[arg-type]

    def contiguous(self, array: Array, name: str = "dense") -> Array:
        """The array, or a copy in C order that lives to the end of the block."""
        if array.contiguous:
            return array
        made = self.copy(array, name)
        self.temporaries.append(made)
        return made

    def free(self, root: Value) -> None:
        """Free the storage of a root; memory of `inout` parameters is left alone."""
        if root in self.kept or root not in self.env:
            return
        place = self.env[root]
        if isinstance(root.type, ListType):
            self.emit(Call("list_free", (place,)))
            return
        origins = self.lifetimes.origins(root)
        if None in origins:
            self.free_unless(place.buffer, [self.array(self.graph.params[i]).buffer for i in origins if i is not None])

    def free_unless(self, buffer: Var, kept: Sequence[Var]) -> None:
        """Free a buffer unless it is one of the kept ones."""
        differs: Expr = TRUE
        for other in kept:
            same = Var("same", BOOL)
            self.emit(Call("same_pointer", (buffer, other), (same,)))
            differs = self.k.logical_and(differs, self.k.logical_not(same))
        if differs == TRUE:
            self.emit(Free(buffer))
        else:
            self.emit(If(differs, (Free(buffer),)))

    # -- kernels -----------------------------------------------------------------------------------------------

    def kernel(self, name: str, ops: Sequence[Op], targets: Sequence[Target]) -> None:
        """One kernel that computes `ops` and writes the targets."""
        made = self.kernel_of(ops, targets)
        self.launch(name, made.run(), [op.span for op in ops if op.span is not None], made.elements.given())

    def kernel_of(self, ops: Sequence[Op], targets: Sequence[Target]) -> KernelLowering:
        """The lowering of a kernel."""
        still = self.target != "cpu" or self.in_kernel
        return KernelLowering(ops, targets, self.place, self.size, self.parallel, self.target != "cpu", still)

    def launch(
        self, name: str, body: Sequence[Stmt], spans: Sequence[Span] = (), given: Mapping[Var, Offset] | None = None
    ) -> None:
        """Run statements as a kernel, one for all that have the same code; on the CPU, code without loops stays in
        the entry, and so do whole numbers known outside of loops. `given`: what they get for some buffers."""
        if self.in_kernel or (self.target == "cpu" and not has_loop(body)):
            self.emit(*body)
            return
        if self.target == "cpu":
            known, body = known_outside(body)
            self.emit(*known)
        params, kernels = free_variables(body), self.tables.kernels
        kernel = kernels.find(params, body, spans)
        if kernel is None:
            title = f"{self.graph.name}.{len(kernels.made)}.{name}"
            outputs = stored_buffers(body).intersection(params)
            kernel = Kernel(title, params, outputs, tuple(body), tuple(dict.fromkeys(spans)))
            kernels.add(kernel)
        starts = {var: replace(start, index=self.let(start.index, "at")) for var, start in (given or {}).items()}
        self.emit(Launch(kernel.name, tuple(starts.get(p, p) for p in params)))

    # -- the program -------------------------------------------------------------------------------------------

    def program(self) -> Program:
        """Lower everything."""
        graph = self.graph
        inputs = tuple(boundary.bind(self, i, p) for i, p in enumerate(graph.params))
        self.block(graph.body, ())
        users = len(graph.results) - len(graph.inout)
        boundary.write_back(self, graph.results[users:])
        for i, value in enumerate(graph.results[:users]):
            boundary.hand_over(self, i, value)
        outputs = tuple(OutputSpec(_plain_type(v.type)) for v in graph.results[:users])
        return Program(
            graph.name,
            Function(graph.name, tuple(self.body)),
            inputs=inputs,
            outputs=outputs,
            fastmath=bool(graph.policy.get("fastmath", False)),
            **self.tables.parts(),
        )

    # -- blocks and ops ----------------------------------------------------------------------------------------

    def inside(self, emit: Callable[[], Any]) -> tuple[Any, tuple[Stmt, ...]]:
        """What `emit` gives, and the statements it emits, as a nested body."""
        outer, self.body = self.body, []
        result = emit()
        body, self.body = tuple(self.body), outer
        return result, body

    def block(self, block: Block, owned: Iterable[Value], lent: Collection[int] = ()) -> None:
        """Lower the ops of a block that owns the storage of the roots `owned`; results `lent` are only pointers."""
        outer, self.temporaries = self.temporaries, self.temporaries if block is self.graph.body else []
        around, self.here = self.here, _Position(block)
        deaths = self.lifetimes.deaths(block, owned, lent)
        windows = WindowRuns(self, block)
        late: Sequence[Value] = ()
        for root in deaths.at_start:
            self.free(root)
        for at, op in enumerate(block.ops):
            self.span = op.span or self.span
            self.here.at, self.here.dying = at, deaths.after.get(at, [])
            way = lower_reports.way_of(self, block.ops, at)
            if way is not None:  # what the way needs is freed behind the op that may take it
                self.way, late = way, (*deaths.handed.get(at, ()), *deaths.after.get(at, ()))
                continue
            if not windows.take(op):
                self.op(op, deaths.handed.get(at, ()))
            for root in (*late, *deaths.after.get(at, ())):
                self.free(root)
            self.way, late = None, ()
        for root in deaths.at_end:
            self.free(root)
        for array in self.temporaries:
            self.emit(Free(array.buffer))
        self.temporaries, self.here = outer, around

    def op(self, op: Op, handed: Sequence[Value] = ()) -> None:
        """Lower one op."""
        match op.name:
            case "if":
                self.branch(op, handed)
            case "loop":
                self.loop(op)
            case "call":
                lower_calls.invoke(self, op)
            case "fused":
                self.compute(op, op.block("body").ops, op.block("body").results)
            case _ if op.name in lower_opaque.STRUCTURAL:
                found = lower_opaque.STRUCTURAL[op.name](self, op)
                self.env.update(zip(op.results, found, strict=True))
            case _:
                self.plain(op)

    def plain(self, op: Op) -> None:
        """Lower an op by its kind."""
        lower = op.defn.lower
        if isinstance(lower, Pointwise) and not has_storage(op.results[0]):
            self.env[op.results[0]] = self.k.let(self.pointwise(op), op.results[0].name)
        elif shared(op) is not None or lower_views.repeats(self, op):
            lower_views.view(self, op)
        elif isinstance(lower, Pointwise | Reduction):
            self.compute(op, (op,), op.results)
        elif isinstance(lower, Contraction):
            self.env[op.results[0]] = lower_products.contraction(self, op, lower)
        else:
            assert isinstance(lower, Opaque)
            lower_opaque.opaque(self, op, lower)

    def pointwise(self, op: Op) -> Element:
        """The value of an op on host scalars."""
        assert isinstance(op.defn.lower, Pointwise)
        operands = op.defn.group([HostOperand(self, v) for v in op.operands])
        return op.defn.lower.fn(self.k, (), *operands, **op.attrs)

    def compute(self, op: Op, ops: Sequence[Op], values: Sequence[Value]) -> None:
        """A kernel of `ops` for the results of `op`, which are their `values`."""
        targets = [self.target_of(op, ops, v, r) for v, r in zip(values, op.results, strict=True)]
        wanted = [t.array for t in targets]
        lowering = self.kernel_of(ops, targets)
        body = lowering.run()
        for result, target, array in zip(op.results, targets, wanted, strict=True):
            self.env[result] = target.array
            if target.array is not array:
                self.settle(result, target.array)
            else:
                self.allocate(array, stack=result in self.kept)
        if not lower_opaque.zeroed(self, op, targets[0].array):
            self.launch(op.name, body, [o.span for o in ops if o.span is not None], lowering.elements.given())

    def target_of(self, op: Op, ops: Sequence[Op], value: Value, result: Value) -> Target:
        """Where a result may go: new storage, the part of an array that a `vwrite` puts it into, or the storage of
        an operand that dies here."""
        assert isinstance(result.type, TensorType)
        array = Array(self.pointer(result.type, result.name), result.type, self.shape(result.type))
        if self.lives_on_stack(result):
            self.kept.add(result)
            return Target(value, array)
        window = placement.window(self, op, result) or placement.joined(self, result)
        places = placement.dying(self, op, ops, array) if window is None else [window]
        return Target(value, array, tuple(places))

    def settle(self, result: Value, place: Array) -> None:
        """Note that a result was written into memory that was there."""
        donor = next((r for r in self.here.dying if self._lies_in(r, place)), None)
        if donor is not None:
            self.here.dying.remove(donor)
            self.env[result] = Array(place.buffer, result.type, place.shape)  # type: ignore[arg-type]
        else:
            self.kept.add(result)
            self.written[result] = self.uses.readers[result][0]

    def _lies_in(self, root: Value, place: Array) -> bool:
        found = self.env.get(root)
        return isinstance(found, Array) and found.buffer is place.buffer

    # -- control flow ------------------------------------------------------------------------------------------

    def branch(self, op: Op, handed: Sequence[Value]) -> None:
        """Lower an `if`; `handed` roots die in its branches."""
        cond = self.scalar(op.operands[0])
        if isinstance(cond, Const):
            block = op.block("then" if cond.value else "else")
            self.block(block, handed, borrowed(op))
            self.env.update(zip(op.results, map(self.place, block.results), strict=True))
            return
        values, bodies = zip(
            *(self.inside(lambda b=b: self._arm(b, handed, borrowed(op))) for b in op.blocks), strict=True
        )
        results = self.bind(op.results)
        self.emit(If(cond, bodies[0], bodies[1], results, tuple(values[0]), tuple(values[1])))

    def _arm(self, block: Block, handed: Sequence[Value], lent: Collection[int]) -> list[Expr]:
        self.block(block, handed, lent)
        return self.flat(block.results)

    def flat(self, values: Sequence[Value]) -> list[Expr]:
        """Values as the expressions that carry them: pointers, handles, scalars, parts of complex scalars."""
        found: list[Expr] = []
        for value in values:
            place = self.place(value)
            if isinstance(place, Array):
                found.append(place.buffer)
            elif isinstance(place, Complex):
                found += (place.re, place.im)
            else:
                found.append(place)
        return found

    def bind(self, values: Sequence[Value]) -> tuple[Var, ...]:
        """New vars that carry values; scalars first, because sizes are among them."""
        carriers = {v: self._carriers(v) for v in values}
        for value in values:
            if isinstance(value.type, ScalarType):
                pair = carriers[value]
                self.env[value] = Complex(*pair) if len(pair) == 2 else pair[0]
        for value in values:
            if isinstance(value.type, TensorType):
                self.env[value] = Array(carriers[value][0], value.type, self.shape(value.type))
            elif isinstance(value.type, ListType):
                self.env[value] = carriers[value][0]
        return tuple(var for value in values for var in carriers[value])

    def _carriers(self, value: Value) -> tuple[Var, ...]:
        if not isinstance(value.type, ScalarType):
            return (self.pointer(value.type, value.name),)
        dtype = value.type.dtype
        if not dtype.is_complex:
            return (Var(value.name, dtype),)
        part = real_dtype(dtype)
        return Var(f"{value.name}_re", part), Var(f"{value.name}_im", part)

    def loop(self, op: Op) -> None:
        """Lower a `loop`."""
        body = op.block("body")
        if lower_lanes.independent(self, op):
            return
        limit, go = self.scalar(op.operands[0]), self.scalar(op.operands[1])
        inits = self.flat(op.operands[2:])
        index = Var(body.params[0].name, I64)
        self.env[body.params[0]] = index
        carried = self.bind(body.params[1:])
        if not any(map(has_effect, body.ops)):
            self.movable.update(body.params[1:])

        def run() -> list[Expr]:
            self.block(body, filter(has_storage, body.params))
            return self.flat(body.results)

        (go_next, *following), stmts = self.inside(run)
        results = self.bind(op.results)
        entries = tuple(Carried(v, i, n, r) for v, i, n, r in zip(carried, inits, following, results, strict=True))
        condition = None if go == TRUE and go_next == TRUE else (Var("go", BOOL), go, go_next)
        allocations, stmts = hoisted(stmts, (index, *carried))
        frees = [Free(a.var) for a in allocations]
        self.emit(*allocations, For(index, limit, stmts, "serial", entries, condition, op.span), *frees)
        boundary.back_home(self, body.params[1:], op.results)

    # -- effects -----------------------------------------------------------------------------------------------

    def fail_unless(self, cond: Expr, kind: str, message: str, payload: Sequence[Expr] = ()) -> None:
        """Leave the entry with an error where `cond` does not hold."""
        if cond != TRUE:
            self.emit(If(self.k.logical_not(cond), self.failure(kind, message, payload)))

    def failure(self, kind: str, message: str, payload: Sequence[Expr] = ()) -> tuple[Stmt, ...]:
        """What leaves the entry with an error."""
        values = tuple(self.k.cast(p, F64 if p.type.is_float else I64) for p in payload)  # type: ignore[union-attr]
        site = ErrorSite(kind, message, tuple(p.type for p in payload), self.span)  # type: ignore[misc]
        return *boundary.written_back(self), Fail(self.error(site), values, self.way)

    def error(self, site: ErrorSite) -> int:
        """The number of an error."""
        return self.tables.errors.setdefault(site, len(self.tables.errors))

    def print(self, template: str, values: Sequence[Expr]) -> None:
        """Print values by a `str.format` template."""
        lower_reports.call_host(self, PrintSite(template, tuple(v.type for v in values)), values)  # type: ignore[misc]

    def load(self, array: Array, index: Sequence[Expr], name: str) -> Element:
        """An element of an array, read now."""
        return self.k.let(load(array.buffer, array.address(self.k, index), array.type.dtype, self.k), name)

    def store(self, array: Array, index: Sequence[Expr], value: Element) -> None:
        """Write an element of an array."""
        self.emit(*stores(array.buffer, array.address(self.k, index), value, self.k))


@dataclass(slots=True)
class _Position:
    """The block being lowered, the op in it, the roots that die at that op, and the condition of a check that waits for
    the next one, with what happens where it does not hold."""

    block: Block
    at: int = 0
    dying: list[Value] = field(default_factory=list[Value])
    waiting: tuple[Expr, tuple[Stmt, ...]] | None = None


def _slot_dtype(type: ListType) -> DType:
    element = type.element
    return I64 if isinstance(element, ListType) else real_dtype(element.dtype)


def _plain_type(type: Type) -> ScalarType | TensorType:
    assert not isinstance(type, ListType), "a list cannot be a result"
    return type


__all__ = ["ONE", "Lowering", "Place", "lower"]
