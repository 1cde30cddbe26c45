"""The loop IR: how a graph is computed, over flat buffers, before any target text.

    Program  = entry: Function, functions: [Function], kernels: [Kernel], inputs, outputs, errors
    Function = params: [Var], body: [stmt], results: [expr]     (host code: a native function on the CPU)
    Kernel   = params: [Var], body: [stmt]                      (pointers carry their element dtype)
    stmt     = Let(var, expr) | Store(buffer, index, expr)
             | For(var, extent, body, axis, carried, go)        (counts 0 .. extent-1; `go` stops it early)
             | If(cond, then, orelse, results)
             | Alloc(var, count) | Free(var)
             | Launch(kernel, args, grid_hint) | Call(name, args, results)
             | Invoke(function, args, results, moved, failed, too_deep)
             | Way(number, body, then) | Fail(error, payload, way) | Output(index, ...)
    expr     = Var | Const | Load(buffer, index) | Scalar(op, args) | Cast | Bitcast | Select | Rare | Offset
             | Input(...)
    axis     = serial | parallel | vector | unroll | grid.x grid.y grid.z | thread.x thread.y thread.z

Everything is in SSA form: a `Var` is bound once, loops and branches pass values explicitly (`Carried`,
`results`). Complex numbers are split into two reals before this level; f16 and bf16 exist only in loads,
stores and casts. Expressions are immutable trees without side effects; statements are immutable too, bodies are tuples.
Booleans are dtype `bool`; sizes, indices and strides are i64 and count elements, never bytes.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from tracejit.errors import Span
from tracejit.ir.types import DType, Order, ScalarType, TensorType
from tracejit.records import record

#: `lanes` is `vector` with inner loops whose number of trips may differ between lanes.
Axis = Literal[
    "serial", "parallel", "vector", "lanes", "unroll", "grid.x", "grid.y", "grid.z", "thread.x", "thread.y", "thread.z"
]


@record
class Pointer:
    """A buffer of `element`s; `list` pointers are handles of growing lists with such slots."""

    element: DType
    is_list: bool = False

    def __str__(self) -> str:
        return f"{self.element}{'<>' if self.is_list else '*'}"


# -- expressions --------------------------------------------------------------------------------------------


@record(eq=False)
class Var:
    """A name bound once; compared by identity. Printers number equal names apart."""

    name: str
    type: DType | Pointer


@record
class Const:
    """A literal: Python bool, int, float or complex of that dtype."""

    value: bool | int | float | complex
    type: DType


@record
class Load:
    """`buffer[index]`, index in elements."""

    buffer: Var
    index: Expr
    type: DType


@record
class Scalar:
    """An operation of the table in `scalars.py`; `type` is the result dtype.

    `contract` allows fused multiply-add inside this one operation's consumer chain (math expansions,
    sums and matrix products only; a user's `a*b + c` is two roundings).
    """

    op: str
    args: tuple[Expr, ...]
    type: DType
    contract: bool = False


@record
class Cast:
    """A value conversion with NumPy's rules (float to integer truncates; anything to bool is `!= 0`)."""

    x: Expr
    type: DType


@record
class Bitcast:
    """The same bits read as another dtype of the same width."""

    x: Expr
    type: DType


@record
class Select:
    """`cond ? a : b`, both sides evaluated."""

    cond: Expr
    a: Expr
    b: Expr
    type: DType


@record
class Rare:
    """`value`, but where `cond` holds the scalar library function `op(*args)` (libm's name without suffix).

    Vector printers test whether any lane needs it and then call per lane.
    """

    cond: Expr
    value: Expr
    op: str
    args: tuple[Expr, ...]
    type: DType


@record
class Offset:
    """The buffer that starts at element `index` of a buffer (arguments of `Call` and `Launch` only)."""

    buffer: Var
    index: Expr
    type: Pointer


@record
class Input:
    """What the caller passed (entry only). kind: `data` pointer, `dim`, `stride` (elements), or `scalar` value."""

    kind: Literal["data", "dim", "stride", "scalar"]
    index: int
    type: DType | Pointer
    axis: int = 0


Expr: TypeAlias = Var | Const | Load | Scalar | Cast | Bitcast | Select | Rare | Offset | Input


# -- statements -----------------------------------------------------------------------------------------------


@record
class Let:
    """A name for the value of an expression."""

    var: Var
    expr: Expr


@record
class Store:
    """Write of one element."""

    buffer: Var
    index: Expr
    value: Expr


@record
class Carried:
    """A value a loop carries: `var` inside the body, `next` at the body's end, `result` after the loop.

    `combine` declares a reduction (`next` is `combine(var, element)` and may be reassociated into a fixed
    tree); then `init` is its identity and `element` the folded value. It is None for ordinary carried values.
    """

    var: Var
    init: Expr
    next: Expr
    result: Var
    combine: str | None = None
    element: Expr | None = None


@record
class For:
    """Counted loop. With `go` (a pair: initial condition, condition at the body's end) it runs while
    `go and var < extent`. `var`, `carried` vars and Lets of the body are visible in `next` and `go[1]`."""

    var: Var
    extent: Expr
    body: tuple[Stmt, ...]
    axis: Axis = "serial"
    carried: tuple[Carried, ...] = ()
    go: tuple[Var, Expr, Expr] | None = None  #: (condition inside the body, initial, next)
    span: Span | None = None


@record
class If:
    """`results[i]` is `then_values[i]` or `else_values[i]`."""

    cond: Expr
    then: tuple[Stmt, ...]
    orelse: tuple[Stmt, ...] = ()
    results: tuple[Var, ...] = ()
    then_values: tuple[Expr, ...] = ()
    else_values: tuple[Expr, ...] = ()


@record
class Alloc:
    """`count` elements, 64-byte aligned, not initialised. `stack`: a small constant count, freed by itself."""

    var: Var
    count: Expr
    stack: bool = False


@record
class Free:
    """The end of a buffer's life."""

    var: Var


@record
class Launch:
    """Run a kernel with arguments for its params, in order."""

    kernel: str
    args: tuple[Expr, ...]


@record
class Call:
    """A support or library function by its neutral name (`list_push`, `gemm`, ...: table in `support/names.py`)."""

    name: str
    args: tuple[Expr, ...]
    results: tuple[Var, ...] = ()


@record
class Invoke:
    """Run a function of the program (host code only). Buffers and lists among its results become the caller's; the
    lists `moved` among the arguments become the function's. Where it fails, `failed` is run and the caller fails in the
    same way; where the stack has no room for it, the caller fails with the error `too_deep`."""

    function: str
    args: tuple[Expr, ...]
    results: tuple[Var, ...]
    moved: tuple[Expr, ...]
    failed: tuple[Stmt, ...]
    too_deep: int


@record
class Way:
    """A way out, for every `Fail` of its body and of those inside that names it: `body` is run first, and then the way
    `then`, if any. Where the statement stands it does nothing (native host code only)."""

    number: int
    body: tuple[Stmt, ...]
    then: int | None


@record
class Fail:
    """Leave the entry with status `error + 1`, by a way if one is named; up to four i64/f64 payload values fill the
    message."""

    error: int
    payload: tuple[Expr, ...] = ()
    way: int | None = None


@record
class Output:
    """Hand result `index` to the caller: a scalar value, or a buffer with its dims (C order, ownership moves)."""

    index: int
    value: Expr
    dims: tuple[Expr, ...] = ()
    owned: bool = True


Stmt: TypeAlias = Let | Store | For | If | Alloc | Free | Launch | Call | Invoke | Way | Fail | Output


# -- programs ---------------------------------------------------------------------------------------------------


@record
class Kernel:
    """Code over buffers with no allocation and no failure; `outputs` names the params it writes."""

    name: str
    params: tuple[Var, ...]
    outputs: frozenset[Var]
    body: tuple[Stmt, ...]
    spans: tuple[Span, ...] = ()


@record
class Function:
    """Statements that run on the host, called by name. The entry reads `Input`s instead of parameters and hands over
    results by `Output`."""

    name: str
    body: tuple[Stmt, ...]
    params: tuple[Var, ...] = ()
    results: tuple[Expr, ...] = ()
    moved: tuple[Var, ...] = ()  #: lists among the parameters that become the function's


@record
class ErrorSite:
    """What a `Fail` raises: a Python exception name, a message with `{0}`.. for the payload, and the user's place."""

    kind: str
    message: str
    payload: tuple[DType, ...]
    span: Span | None


@record
class PrintSite:
    """What a `Call("print", (Const(site), *values))` writes: a `str.format` template and the values' dtypes."""

    template: str
    payload: tuple[DType, ...]


@record
class ReportSite:
    """What a `Call("print", (Const(site), *words))` tells the caller: numbers, and arrays in C order, each as its
    buffer and its dims, and the number of the plan that says what they are; `more`: others of this report follow."""

    plan: int
    types: tuple[ScalarType | TensorType, ...]
    more: bool


@record
class InputSpec:
    """One entry parameter. `order`: strides need be read where it may be any. `inout`: written back."""

    name: str
    type: ScalarType | TensorType
    order: Order = "C"
    inout: bool = False

    @property
    def contiguous(self) -> bool:
        """Whether C order is guaranteed."""
        return self.order == "C"


@record
class OutputSpec:
    """One entry result."""

    type: ScalarType | TensorType


@record
class Program:
    """What a target prints: one entry, its kernels, its interface, its errors."""

    name: str
    entry: Function
    kernels: tuple[Kernel, ...]
    inputs: tuple[InputSpec, ...]
    outputs: tuple[OutputSpec, ...]
    errors: tuple[ErrorSite, ...] = ()
    prints: tuple[PrintSite | ReportSite, ...] = ()
    fastmath: bool = False
    functions: tuple[Function, ...] = ()
