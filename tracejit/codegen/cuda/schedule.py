"""Where the loops of a program run on a GPU: a program whose kernels have grid and thread axes, and their launch sizes.

    nested parallel loops                       one loop over all their trips
    parallel or vector loop without another     a thread per trip
    parallel loop with vector loops inside      a row of threads per trip, as many rows in a block as fit
      ... that fold or read back                a block per trip
    long folds                                  partial folds, and a second kernel that folds those (`split_folds.py`)
    anything else                               one thread block, in step, with barriers

Code of the entry that loads or stores elements is moved into kernels (`outline.py`), so that the host reads the
device only where it needs a number. Launch sizes are hints: every loop strides over the grid. The number of partial
folds and of threads depends on sizes alone, so results have the same bits on every device.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tracejit.codegen import kernel_walk as facts
from tracejit.codegen.cuda.outline import Outliner
from tracejit.codegen.cuda.split_folds import Partials, folds, is_parallel_fold, split
from tracejit.codegen.loop_ir import (
    Alloc,
    Const,
    Expr,
    Fail,
    For,
    Free,
    Function,
    If,
    Kernel,
    Launch,
    Let,
    Program,
    Stmt,
    Var,
)
from tracejit.codegen.lowering.elements import ONE, ElementBuilder, variables
from tracejit.ir.types import I64
from tracejit.records import record

#: Threads of a block at most (the printer's launch bounds), and of a warp.
THREADS, WARP = 256, 32
#: Blocks that a loop over threads is spread over at most.
SPREAD = 16384

_k = ElementBuilder(lambda e, _name: e)


@record
class Geometry:
    """Launch sizes from a kernel's arguments: bind `params`, run `lets`, take the expressions.

    A block has `threads` threads in each of `rows` rows (`threadIdx.x` and `threadIdx.y`).
    """

    params: tuple[Var, ...]
    lets: tuple[Let, ...]
    blocks: Expr
    threads: Expr
    rows: Expr = ONE


@record
class CudaProgram:
    """A program for a GPU and the geometry of each kernel by name."""

    program: Program
    geometries: Mapping[str, Geometry]


@record
class _Part:
    """One of the kernels that a kernel becomes; `partials` are parameters it adds: scratch memory of the launch."""

    kernel: Kernel
    partials: tuple[Partials, ...] = ()


def schedule(program: Program) -> CudaProgram:
    """The program with its loops placed on a GPU."""
    placed = _Placed(program)
    outliner = Outliner(program, placed.launches)
    entry = Function(program.entry.name, placed.replaced(outliner.entry()))
    kernels = tuple(part.kernel for parts in placed.parts.values() for part in parts)
    return CudaProgram(replace(program, entry=entry, kernels=kernels), {k.name: geometry(k) for k in kernels})


class _Placed:
    """The kernels of a program as they are placed, by the name of the kernel they come from."""

    def __init__(self, program: Program) -> None:
        self.kernels = {kernel.name: kernel for kernel in program.kernels}
        self.parts: dict[str, list[_Part]] = {}

    def launches(self, kernel: Kernel, args: tuple[Expr, ...]) -> list[Stmt]:
        """Launches of a kernel's parts, with scratch memory around them."""
        if kernel.name not in self.parts:
            self.parts[kernel.name] = _parts(kernel)
        given = dict(zip(kernel.params, args, strict=True))
        scratch: dict[Var, Var] = {}
        made: list[Stmt] = []
        for part in self.parts[kernel.name]:
            for p in part.partials:
                if p.buffer not in scratch:
                    scratch[p.buffer] = Var(p.buffer.name, p.buffer.type)
                    made.append(Alloc(scratch[p.buffer], facts.substitute(p.count, given)))
            made.append(Launch(part.kernel.name, (*args, *(scratch[p.buffer] for p in part.partials))))
        return [*made, *(Free(var) for var in scratch.values())]

    def replaced(self, stmts: Iterable[Stmt]) -> tuple[Stmt, ...]:
        """Statements with launches of the program's own kernels replaced."""
        made: list[Stmt] = []
        for stmt in stmts:
            match stmt:
                case Launch(name, args) if name in self.kernels:
                    made += self.launches(self.kernels[name], args)
                case For():
                    made.append(replace(stmt, body=self.replaced(stmt.body)))
                case If():
                    made.append(replace(stmt, then=self.replaced(stmt.then), orelse=self.replaced(stmt.orelse)))
                case _:
                    made.append(stmt)
        return tuple(made)


# -- kernels --------------------------------------------------------------------------------------------------------


def _parts(kernel: Kernel) -> list[_Part]:
    """The kernels that run one after the other for this one."""
    if not _has_spread(kernel.body) or any(isinstance(s, Fail) for s in facts.walk(kernel.body)):
        return [_Part(replace(kernel, body=_alone(kernel.body)))]
    if _needs_one_block(kernel.body):
        whole = For(Var("whole", I64), ONE, _in_block(kernel.body), "grid.x")
        return [_Part(replace(kernel, body=(whole,)))]
    found: list[_Part] = []
    body, partials = kernel.body, ()
    while (made := split(body)) is not None:
        body, partials = made.second, (*partials, *made.partials)
        found.append(_part(kernel, len(found), made.first, partials))
    found.append(_part(kernel, len(found), body, partials))
    return found


def _part(kernel: Kernel, number: int, body: tuple[Stmt, ...], partials: tuple[Partials, ...]) -> _Part:
    params = (*kernel.params, *(p.buffer for p in partials))
    name = f"{kernel.name}.{number}" if partials else kernel.name
    placed = tuple(_on_grid(s, _may_have_rows(body)) for s in body)
    outputs = frozenset(facts.stored(body)).intersection(params)
    return _Part(Kernel(name, params, outputs, placed, kernel.spans), partials)


def _may_have_rows(body: Sequence[Stmt]) -> bool:
    """Whether blocks may have rows of threads: nothing is folded over a block or stored outside of loops."""
    is_plain = all(isinstance(s, Let | For) for s in body)
    return is_plain and not any(_is_spread(s) and isinstance(s, For) and s.carried for s in facts.walk(body))


def _alone(body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
    """Code without parallel loops: one thread runs it if there is a loop; otherwise one thread stores."""
    if any(isinstance(s, For | If) for s in body):
        return (For(Var("once", I64), ONE, _in_thread(body), "thread.x"),)
    return body


def _needs_one_block(body: Sequence[Stmt]) -> bool:
    """Whether blocks could disagree: statements that need each other's stores, or loops around parallel ones."""
    shared = facts.loaded(body) & facts.stored(body)
    touching = [s for s in body if shared & (facts.loaded((s,)) | facts.stored((s,)))]
    if len(touching) > 1:
        return True
    return any(_is_in_step(s) for s in body)


def _is_in_step(stmt: Stmt) -> bool:
    """Whether all blocks would have to run the statement together."""
    if isinstance(stmt, If):
        return True
    if not isinstance(stmt, For) or not facts.stored((stmt,)):
        return False
    return stmt.axis == "serial" or (bool(stmt.carried) and not is_parallel_fold(stmt))


def _is_spread(stmt: Stmt) -> bool:
    return isinstance(stmt, For) and stmt.axis in ("parallel", "vector")


def _has_spread(body: Iterable[Stmt]) -> bool:
    return any(_is_spread(s) for s in facts.walk(body))


# -- axes -----------------------------------------------------------------------------------------------------------


def _on_grid(stmt: Stmt, rows: bool) -> Stmt:
    """A statement outside of all loops; `rows`: blocks may have rows of threads."""
    if not isinstance(stmt, For):
        return stmt
    if not _is_spread(stmt):
        return replace(stmt, body=_in_block(stmt.body))
    if stmt.carried:
        return _block_loop(stmt)
    if stmt.axis == "parallel":
        stmt = _collapsed(stmt)
    if not _has_spread(stmt.body):
        return replace(stmt, axis="thread.x", body=_in_thread(stmt.body))
    is_row_map = rows and not facts.loaded(stmt.body) & facts.stored(stmt.body)
    return replace(stmt, axis="thread.y" if is_row_map else "grid.x", body=_in_block(stmt.body))


def _collapsed(loop: For) -> For:
    """A parallel loop and the parallel loop that is all it holds as one loop, as often as that is possible."""
    *lets, inner = loop.body or (None,)
    if not isinstance(inner, For) or inner.axis != "parallel" or inner.carried:
        return loop
    if any(not isinstance(s, Let) for s in lets) or {loop.var, *_bound(lets)} & set(variables(inner.extent)):
        return loop
    trip = Var("trip", I64)
    places = (Let(loop.var, _k.quotient(trip, inner.extent)), Let(inner.var, _k.remainder(trip, inner.extent)))
    body = (*places, *(s for s in lets if s is not None), *inner.body)
    return _collapsed(For(trip, _k.mul(loop.extent, inner.extent), body, "parallel", span=loop.span))


def _bound(stmts: Iterable[Stmt | None]) -> set[Var]:
    return {v for s in stmts if s is not None for v in facts.bound(s)}


def _in_block(body: Sequence[Stmt]) -> tuple[Stmt, ...]:
    """Statements that the threads of a block run in step."""
    return tuple(_block_stmt(s) for s in body)


def _block_stmt(stmt: Stmt) -> Stmt:
    match stmt:
        case If():
            return replace(stmt, then=_in_block(stmt.then), orelse=_in_block(stmt.orelse))
        case For():
            return _block_loop(stmt)
        case _:
            return stmt


def _block_loop(loop: For) -> For:
    """Over the threads of the block, if the loop is spread and holds no other such loop; else all threads in step."""
    if _is_spread(loop) and folds(loop) and not _has_spread(loop.body):
        return replace(loop, axis="thread.x", body=_in_thread(loop.body))
    return replace(loop, axis="serial", body=_in_block(loop.body))


def _in_thread(body: Sequence[Stmt]) -> tuple[Stmt, ...]:
    """Statements that a single thread runs."""
    made: list[Stmt] = []
    for stmt in body:
        match stmt:
            case If():
                made.append(replace(stmt, then=_in_thread(stmt.then), orelse=_in_thread(stmt.orelse)))
            case For():
                made.append(replace(stmt, axis="serial", body=_in_thread(stmt.body)))
            case _:
                made.append(stmt)
    return tuple(made)


# -- launch sizes -----------------------------------------------------------------------------------------------------


def geometry(kernel: Kernel) -> Geometry:
    """How many blocks and threads a placed kernel uses: from its loops whose extents the host knows."""
    known = set(kernel.params)
    lets: list[Let] = []
    for stmt in kernel.body:
        if isinstance(stmt, Let) and not any(facts.loads(stmt.expr)) and set(variables(stmt.expr)) <= known:
            lets.append(stmt)
            known.add(stmt.var)
    loops = [s for s in kernel.body if isinstance(s, For)]
    blocks: Expr = ONE
    threads: Expr = ONE
    for loop in loops:
        if loop.axis == "thread.y":
            continue
        if loop.axis == "thread.x" and not loop.carried:
            extent = _known(loop.extent, known, THREADS * SPREAD)
            blocks = _k.maximum(blocks, _k.minimum(_k.ceildiv(extent, Const(THREADS, I64)), SPREAD))
            threads = _k.maximum(threads, extent)
            continue
        if loop.axis == "grid.x":
            blocks = _k.maximum(blocks, _known(loop.extent, known, SPREAD))
        threads = _k.maximum(threads, _widest(loop, known))
    rows = [loop for loop in loops if loop.axis == "thread.y"]
    if rows:
        return _in_rows(kernel, tuple(lets), rows, blocks, threads, known)
    warps = _k.ceildiv(_k.minimum(threads, THREADS), Const(WARP, I64))
    return Geometry(kernel.params, tuple(lets), blocks, _k.mul(warps, WARP))


def _in_rows(
    kernel: Kernel, lets: tuple[Let, ...], loops: Sequence[For], blocks: Expr, threads: Expr, known: set[Var]
) -> Geometry:
    """Rows of a power of two of threads that cover the widest inner loop, and as many as fill a block."""
    for loop in loops:
        threads = _k.maximum(threads, _widest(loop, known))
    width: Expr = Const(THREADS, I64)
    size = THREADS // 2
    while size:
        width = _k.select(_k.le(threads, size), size, width)
        size //= 2
    rows = _k.quotient(Const(THREADS, I64), width)
    for loop in loops:
        extent = _known(loop.extent, known, SPREAD * THREADS)
        blocks = _k.maximum(blocks, _k.minimum(_k.ceildiv(extent, rows), SPREAD))
    return Geometry(kernel.params, lets, blocks, width, rows)


def _widest(loop: For, known: set[Var]) -> Expr:
    """The largest extent of the loops over threads in a loop."""
    found: Expr = ONE
    for inner in facts.walk((loop,)):
        if isinstance(inner, For) and inner.axis == "thread.x":
            found = _k.maximum(found, _known(inner.extent, known, THREADS))
    return found


def _known(extent: Expr, known: set[Var], otherwise: int) -> Expr:
    return extent if set(variables(extent)) <= known and not any(facts.loads(extent)) else Const(otherwise, I64)
