"""Loop IR as text, for golden tests and dumps. One way only: nothing parses it.

Vars of one name are told apart by numbers in order of appearance (`x`, `x.1`, ...), counted per kernel and for
the entry, so that equal programs print equally. Arithmetic is infix; every other scalar operation is a call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tracejit.codegen.loop_ir import (
    Alloc,
    Bitcast,
    Call,
    Carried,
    Cast,
    Const,
    Expr,
    Fail,
    For,
    Free,
    Function,
    If,
    Input,
    Invoke,
    Kernel,
    Launch,
    Let,
    Load,
    Offset,
    Output,
    Program,
    Rare,
    ReportSite,
    Scalar,
    Select,
    Stmt,
    Store,
    Var,
    Way,
)
from tracejit.ir.types import BOOL, F64, I64, TensorType

_INFIX = {
    "add": ("+", 4),
    "sub": ("-", 4),
    "mul": ("*", 5),
    "div": ("/", 5),
    "lt": ("<", 2),
    "le": ("<=", 2),
    "gt": (">", 2),
    "ge": (">=", 2),
    "eq": ("==", 2),
    "ne": ("!=", 2),
}
_ATOM = 9


class _Printer:
    """Prints one kernel or the entry; holds the names given so far."""

    def __init__(self) -> None:
        self.names: dict[Var, str] = {}
        self.taken: dict[str, int] = {}

    def name(self, var: Var) -> str:
        """The printed name of a var, given at its first appearance."""
        found = self.names.get(var)
        if found is None:
            count = self.taken.get(var.name, 0)
            self.taken[var.name] = count + 1
            found = self.names[var] = var.name if count == 0 else f"{var.name}.{count}"
        return found

    # -- expressions ------------------------------------------------------------------------------------------

    def expr(self, e: Expr, level: int = 0) -> str:
        """An expression; parenthesised where it binds weaker than `level`."""
        text, binding = self._expr(e)
        return f"({text})" if binding < level else text

    def exprs(self, es: Sequence[Expr]) -> str:
        """Expressions separated by commas."""
        return ", ".join(self.expr(e) for e in es)

    def _expr(self, e: Expr) -> tuple[str, int]:
        match e:
            case Var():
                return self.name(e), _ATOM
            case Const(value, type):
                return _literal(value) + ("" if type in (I64, BOOL, F64) else f":{type}"), _ATOM
            case Load(buffer, index):
                return f"{self.name(buffer)}[{self.expr(index)}]", _ATOM
            case Scalar(op, (a, b)) if op in _INFIX:
                sign, binding = _INFIX[op]
                return f"{self.expr(a, binding)} {sign} {self.expr(b, binding + 1)}", binding
            case Scalar(op, args, _, contract):
                return f"{op}{'~' if contract else ''}({self.exprs(args)})", _ATOM
            case Cast(x, type):
                return f"{type}({self.expr(x)})", _ATOM
            case Bitcast(x, type):
                return f"bits.{type}({self.expr(x)})", _ATOM
            case Select(cond, a, b):
                return f"select({self.exprs((cond, a, b))})", _ATOM
            case Rare(cond, value, op, args):
                return f"rare({self.expr(cond)}, {self.expr(value)}, {op}({self.exprs(args)}))", _ATOM
            case Offset(buffer, index):
                return f"&{self.name(buffer)}[{self.expr(index)}]", _ATOM
            case Input(kind, index, _, axis):
                return f"input.{kind}({index}{f', {axis}' if kind in ('dim', 'stride') else ''})", _ATOM

    # -- statements -------------------------------------------------------------------------------------------

    def body(self, stmts: Sequence[Stmt], indent: str) -> Iterator[str]:
        """The lines of a statement list."""
        for stmt in stmts:
            for line in self.stmt(stmt):
                yield indent + line

    def stmt(self, stmt: Stmt) -> Iterator[str]:
        """The lines of one statement."""
        match stmt:
            case Let(var, expr):
                yield f"let {self.name(var)} = {self.expr(expr)}"
            case Store(buffer, index, value):
                yield f"{self.name(buffer)}[{self.expr(index)}] = {self.expr(value)}"
            case For():
                yield from self.loop(stmt)
            case If():
                yield from self.branch(stmt)
            case Alloc(var, count, stack):
                yield f"{'stack' if stack else 'alloc'} {self.name(var)}: {var.type}, {self.expr(count)}"
            case Free(var):
                yield f"free {self.name(var)}"
            case Launch(kernel, args):
                yield f"launch {kernel}({self.exprs(args)})"
            case Call(name, args, results):
                bound = "".join(f"{self.name(r)}, " for r in results)[:-2]
                yield f"{bound}{' = ' if bound else ''}call {name}({self.exprs(args)})"
            case Invoke(function, args, results, moved, failed, too_deep):
                bound = "".join(f"{self.name(r)}, " for r in results)[:-2]
                moves = f" moving {self.exprs(moved)}" if moved else ""
                yield f"{bound}{' = ' if bound else ''}invoke {function}({self.exprs(args)}){moves} else {too_deep}"
                if failed:
                    yield "on failure {"
                    yield from self.body(failed, "  ")
                    yield "}"
            case Way(number, body, then):
                yield f"way {number}{'' if then is None else f' to {then}'} {{"
                yield from self.body(body, "  ")
                yield "}"
            case Fail(error, payload, way):
                yield f"fail {error}({self.exprs(payload)}){'' if way is None else f' by {way}'}"
            case Output(index, value, dims, owned):
                shape = f"[{self.exprs(dims)}]" if not isinstance(getattr(value, "type", None), type(I64)) else ""
                yield f"output {index} = {self.expr(value)}{shape}{'' if owned else ' borrowed'}"

    def loop(self, loop: For) -> Iterator[str]:
        """A counted loop."""
        head = f"for {self.name(loop.var)} in 0..{self.expr(loop.extent, 5)}"
        if loop.go is not None:
            head += f" while {self.name(loop.go[0])} = {self.expr(loop.go[1])}"
        if loop.axis != "serial":
            head += f" {loop.axis}"
        carried = ", ".join(f"{self.name(c.var)} = {self.expr(c.init)}{_fold(c)}" for c in loop.carried)
        yield f"{head}{' carry ' if carried else ''}{carried} {{"
        yield from self.body(loop.body, "  ")
        following = [self.expr(c.next) for c in loop.carried]
        if loop.go is not None:
            following.insert(0, self.expr(loop.go[2]))
        if following:
            yield f"  next {', '.join(following)}"
        yield "}" + (f" -> {', '.join(self.name(c.result) for c in loop.carried)}" if loop.carried else "")

    def branch(self, branch: If) -> Iterator[str]:
        """A conditional."""
        yield f"if {self.expr(branch.cond)} {{"
        yield from self.body(branch.then, "  ")
        if branch.results:
            yield f"  yield {self.exprs(branch.then_values)}"
        if branch.orelse or branch.results:
            yield "} else {"
            yield from self.body(branch.orelse, "  ")
            if branch.results:
                yield f"  yield {self.exprs(branch.else_values)}"
        yield "}" + (f" -> {', '.join(self.name(r) for r in branch.results)}" if branch.results else "")


def _fold(carried: Carried) -> str:
    return "" if carried.combine is None else f" ({carried.combine})"


def _literal(value: bool | int | float | complex) -> str:
    return repr(value).lower() if isinstance(value, bool) else repr(value)


def _kernel(kernel: Kernel) -> Iterator[str]:
    printer = _Printer()
    params = ", ".join(f"{'out ' if p in kernel.outputs else ''}{printer.name(p)}: {p.type}" for p in kernel.params)
    yield f"kernel {kernel.name}({params}) {{"
    yield from printer.body(kernel.body, "  ")
    yield "}"


def _function(function: Function) -> Iterator[str]:
    printer = _Printer()
    params = ", ".join(f"{printer.name(p)}: {p.type}" for p in function.params)
    yield f"function {function.name}({params}) {{"
    yield from printer.body(function.body, "  ")
    moves = f" moving {printer.exprs(function.moved)}" if function.moved else ""
    yield f"  return {printer.exprs(function.results)}{moves}"
    yield "}"


def print_kernel(kernel: Kernel) -> str:
    """The text of one kernel."""
    return "\n".join(_kernel(kernel)) + "\n"


def print_program(program: Program) -> str:
    """The text of a whole program: interface, entry, kernels, errors and print templates."""
    lines = [f"program {program.name} {{"]
    for i, spec in enumerate(program.inputs):
        marks = {"C": "", "F": " columns", "any": " strided"}[spec.order] + (" inout" if spec.inout else "")
        lines.append(f"  input {i} {spec.name}: {spec.type}{marks}")
    lines += [f"  output {i}: {spec.type}" for i, spec in enumerate(program.outputs)]
    for i, error in enumerate(program.errors):
        lines.append(f"  error {i}: {error.kind} {error.message!r} ({', '.join(map(str, error.payload))})")
    for i, site in enumerate(program.prints):
        if isinstance(site, ReportSite):
            types = (f"{t.dtype}*{t.rank}" if isinstance(t, TensorType) else str(t) for t in site.types)
            lines.append(f"  report {i}: {site.plan} ({', '.join(types)}){' and more' if site.more else ''}")
            continue
        lines.append(f"  print {i}: {site.template!r} ({', '.join(map(str, site.payload))})")
    lines.append("  entry {")
    lines += _Printer().body(program.entry.body, "    ")
    lines.append("  }")
    for function in program.functions:
        lines += [f"  {line}" for line in _function(function)]
    for kernel in program.kernels:
        lines += [f"  {line}" for line in _kernel(kernel)]
    return "\n".join(lines) + "\n}\n"
