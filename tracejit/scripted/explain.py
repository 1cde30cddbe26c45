"""`fn.explain(*args)` and `fn.save_html(path)`: what became of a function, read off its stages.

Nothing here decides anything; every line is a fact of the specialisation's graphs and of its loop program.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracejit.codegen import text as loop_text
from tracejit.codegen.kernel_walk import host_code
from tracejit.codegen.kernel_walk import walk as walk_statements
from tracejit.codegen.loop_ir import Alloc, Call, For, Free, Kernel, Launch, Program
from tracejit.errors import Span
from tracejit.frontend.boundary.signature import (
    FEW_NUMBERS,
    MISSING,
    ArraySpec,
    NumberSpec,
    NumbersSpec,
    Spec,
    StaticSpec,
    TreeSpec,
)
from tracejit.ir.core import Graph, Op, walk
from tracejit.ir.printer import called_graphs
from tracejit.ir.types import Order, ScalarType
from tracejit.scripted import copies
from tracejit.transforms import fuse

if TYPE_CHECKING:
    from tracejit.scripted.function import ScriptedFunction, Specialisation


def explanation(fn: ScriptedFunction, made: Specialisation) -> str:
    """The whole report."""
    sections = {
        "inputs and guards": list(_guards(fn, made)),
        "graph": list(_graphs(made)),
        "kernels": list(_kernels(made.compiled.program)),
        "not fused": list(_refusals(made)),
        "library calls": list(_calls(made.compiled.program)),
        "copies": list(_copies(made)),
        "memory": list(_memory(made.compiled.program)),
        "checks": list(_checks(made.compiled.program)),
    }
    lines = [_heading(fn)]
    for title, rows in sections.items():
        lines += ["", f"{title}:", *(f"  {row}" for row in rows or ["none"])]
    return "\n".join(lines) + "\n"


def _heading(fn: ScriptedFunction) -> str:
    return f"{fn.__name__} ({fn.source.filename}:{fn.source.node.lineno}), {fn.compiles} specialisation(s)"


def _place(span: Span | None) -> str:
    """Where the user wrote it."""
    return "" if span is None else f"line {span.line}: {span.text().strip()}"


# -- what was compiled for ------------------------------------------------------------------------------------------


def _guards(fn: ScriptedFunction, made: Specialisation) -> Iterator[str]:
    names = tuple(fn.signature.parameters)
    inout = {made.lowered.inputs[i].access for i in made.lowered.graph.inout}
    for i in made.lowered.inputs:
        where = i.access.text(names) or "hidden"
        outer = "" if i.access.root >= 0 else ", read from outside at every call"
        kind = f"of many numbers, {i.spec.dtype.numpy_name}" if i.is_list else spec_text(i.spec)
        yield f"{where}: {kind}{', written' if i.access in inout else ''}{outer}"
    for name, spec in zip(names, made.parameters, strict=True):
        if isinstance(spec, StaticSpec):
            yield f"{name} is {spec.value!r}, compiled in"
    for access, spec in made.lowered.guards.items():
        yield f"guard: {access.text(names)} is {spec_text(spec)}"


_ORDERS: dict[Order, str] = {"C": "", "F": ", in Fortran order", "any": ", any strides"}


def spec_text(spec: Spec) -> str:
    """A spec in words."""
    match spec:
        case ArraySpec(dtype, dims, order, tensor):
            kind = "Tensor" if tensor else "array"
            sizes = ", ".join("2.." if d is None else str(d) for d in dims)
            grad = ", asks for a gradient" if spec.requires_grad else ""
            return f"{kind} {dtype.numpy_name}[{sizes}]{_ORDERS[order]}{grad}, on {spec.device}"
        case NumberSpec(dtype, weak, least):
            bound = "" if least is None else f", at least {least}"
            return f"{'a Python number' if weak else 'a NumPy scalar'}, {dtype.numpy_name}{bound}"
        case NumbersSpec():
            return f"a list of more than {FEW_NUMBERS} Python numbers"
        case StaticSpec(value):
            return "not there" if value is MISSING else repr(value)
        case TreeSpec(kind, keys):
            return f"a {kind.__name__} of {len(keys)}"


# -- graph and kernels ------------------------------------------------------------------------------------------------


def _graphs(made: Specialisation) -> Iterator[str]:
    stages = made.compiled.stages.graphs
    counts = {stage: sum(1 for _ in _ops(graph)) for stage, graph in stages.items()}
    yield ", ".join(f"{stage.removeprefix('after:')} {count}" for stage, count in counts.items()) + " ops"
    kinds = Counter(op.name for op in _ops(made.compiled.graph) if op.blocks or "callee" in op.attrs)
    if kinds:
        yield "control flow: " + ", ".join(f"{count} {name}" for name, count in kinds.items())


def _ops(graph: Graph) -> Iterator[Op]:
    """The ops of a graph and of those it calls."""
    for each in called_graphs(graph):
        yield from walk(each.body)


def _kernels(program: Program) -> Iterator[str]:
    launches = Counter(s.kernel for s in host_code(program) if isinstance(s, Launch))
    for kernel in program.kernels:
        yield f"{kernel.name}: {_loops(kernel)}, launched at {launches[kernel.name]} place(s)"
        for place in dict.fromkeys(_place(span) for span in kernel.spans):
            yield f"    {place}"


def _loops(kernel: Kernel) -> str:
    """The loops of a kernel, outermost first."""
    axes = [
        f"{s.axis} loop{' (folds)' if s.carried else ''}" for s in walk_statements(kernel.body) if isinstance(s, For)
    ]
    return ", ".join(axes) or "straight code"


def _refusals(made: Specialisation) -> Iterator[str]:
    """Why neighbours did not become one kernel."""
    before = _stage_before(made, "fuse")
    if before is not None:
        yield from dict.fromkeys(fuse.explain(before)[1])


def _stage_before(made: Specialisation, name: str) -> Graph | None:
    stages = list(made.compiled.stages.graphs.items())
    places = [i for i, (stage, _) in enumerate(stages) if stage == f"after:{name}"]
    return stages[places[-1] - 1][1] if places and places[-1] > 0 else None


def _calls(program: Program) -> Iterator[str]:
    counts = Counter(s.name for s in host_code(program) if isinstance(s, Call))
    for name, count in sorted(counts.items()):
        yield f"{name}: {count} place(s)"


# -- copies, memory, checks -------------------------------------------------------------------------------------------


def _copies(made: Specialisation) -> Iterator[str]:
    """Every copy of an array, with its reason and place."""
    for copy in copies.copies(made.compiled.final):
        yield copy.text() + (f" ({place})" if (place := _place(copy.span)) else "")


def _memory(program: Program) -> Iterator[str]:
    printed = loop_text.print_program(program).splitlines()
    stack = sum(isinstance(s, Alloc) and s.stack for s in host_code(program))
    heap = [s for s in host_code(program) if isinstance(s, Alloc) and not s.stack]
    freed = sum(isinstance(s, Free) for s in host_code(program))
    yield f"{len(heap)} array(s) allocated, {freed} freed inside; {stack} small one(s) on the stack"
    yield from (line.strip() for line in printed if line.strip().startswith("alloc "))
    for i, spec in enumerate(program.outputs):
        yield f"result {i}: {spec.type}{', a host scalar' if isinstance(spec.type, ScalarType) else ''}"


def _checks(program: Program) -> Iterator[str]:
    for site in program.errors:
        yield f"{site.kind}: {site.message}" + (f" ({place})" if (place := _place(site.span)) else "")


# -- a page ----------------------------------------------------------------------------------------------------------

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }}
pre {{ background: #f6f6f4; padding: .8rem; overflow-x: auto; font-size: 13px; }}
summary {{ cursor: pointer; font-weight: 600; margin: .6rem 0; }}
</style></head><body><h1>{title}</h1>
{sections}
</body></html>
"""


def page(fn: ScriptedFunction, made: Specialisation) -> str:
    """Source, report and every stage as one HTML page that needs nothing else."""
    parts: dict[str, str] = {"source": _source(fn), "report": explanation(fn, made)}
    for stage, graph in made.compiled.stages.graphs.items():
        parts[f"graph, {stage.replace('after:', 'after ')}"] = str(graph)
    parts["loop program"] = loop_text.print_program(made.compiled.program)
    if made.compiled.graph.device == "cpu":
        parts["LLVM"] = made.compiled.native.llvm
        parts["assembly"] = made.compiled.native.asm
    opened = ("source", "report")
    sections = "\n".join(
        f"<details{' open' if name in opened else ''}><summary>{html.escape(name)}</summary>"
        f"<pre>{html.escape(text)}</pre></details>"
        for name, text in parts.items()
    )
    return _PAGE.format(title=html.escape(fn.__name__), sections=sections)


def _source(fn: ScriptedFunction) -> str:
    import inspect

    target: Any = inspect.unwrap(fn.__tracejit_function__)
    try:
        return inspect.getsource(target)
    except (OSError, TypeError):
        return f"(the source of {fn.__name__} is not in a file)"


def write_page(fn: ScriptedFunction, made: Specialisation, path: str | Path) -> None:
    """Write the page."""
    Path(path).write_text(page(fn, made), encoding="utf-8")
