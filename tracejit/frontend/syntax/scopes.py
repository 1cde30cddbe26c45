"""Which names a statement reads and binds, and which are read afterwards.

`annotate` fills `live` of branches and loops: only those names need joining where paths meet. Names read by a
nested function or lambda count as read everywhere, because it may be called anywhere.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from tracejit.frontend.syntax.desugar import (
    JUMPS,
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
    TryBlock,
    Unbind,
    WhileLoop,
    WithBlock,
    suppresses,
)
from tracejit.frontend.syntax.trees import nodes_in, parts_of

#: The attributes of a syntax node that remember the names it binds, perhaps binds, reads, and reads in functions that
#: stand in it.
_BOUND, _PERHAPS, _READ, _CLOSED = (f"_tracejit_{name}" for name in ("bound", "perhaps", "read", "closed"))

#: Nodes that read or bind other names than their parts do.
_NOT_BY_PARTS = (
    *(ast.Name, ast.AugAssign, ast.Lambda, ast.FunctionDef),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)


def names_read(node: ast.AST) -> frozenset[str]:
    """Names an expression or simple statement may read; a subscript or attribute store reads its base, and `del` of a
    name needs it bound. Variables of comprehensions, and what nested functions bind, are names of their own.
    Remembered on the node."""
    known: frozenset[str] | None = node.__dict__.get(_READ)
    if known is None:
        known = node.__dict__[_READ] = _names_read(node)
    return known


def _names_read(node: ast.AST) -> frozenset[str]:
    if not isinstance(node, _NOT_BY_PARTS):
        return _reads_of(parts_of(node))
    match node:
        case ast.Name(name, ast.Load() | ast.Del()):
            return frozenset((name,))
        case ast.AugAssign(ast.Name(name)):
            return names_read(node.value) | {name}
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            first = node.generators[0].iter
            inner = _reads_of(n for n in _comprehended(node) if n is not first)
            return names_read(first) | (inner - _targets(node))
        case ast.Lambda(arguments, body):
            return _reads_of(_defaults(arguments)) | (names_read(body) - _parameters(arguments))
        case ast.FunctionDef(_, arguments, body):
            own = _parameters(arguments).union(*map(names_bound, body))
            shared = {n for s in body for inner in nodes_in(s) if isinstance(inner, ast.Nonlocal) for n in inner.names}
            return _reads_of([*node.decorator_list, *_defaults(arguments)]) | (_reads_of(body) - own) | shared
        case _:
            return _reads_of(parts_of(node))


def _reads_of(nodes: Iterable[ast.AST]) -> frozenset[str]:
    return frozenset().union(*map(names_read, nodes))


def _comprehended(node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> list[ast.expr]:
    """The expressions of a comprehension."""
    made = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
    return made + [e for g in node.generators for e in (g.target, g.iter, *g.ifs)]


def _targets(node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> frozenset[str]:
    """The variables of a comprehension."""
    return frozenset().union(*(names_bound(g.target) for g in node.generators))


def _parameters(arguments: ast.arguments) -> set[str]:
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return {a.arg for a in every if a is not None}


def _defaults(arguments: ast.arguments) -> list[ast.expr]:
    return [d for d in (*arguments.defaults, *arguments.kw_defaults) if d is not None]


def names_bound(node: ast.AST) -> frozenset[str]:
    """Names a simple statement or target binds (walrus included, comprehension variables not); remembered on it."""
    known: frozenset[str] | None = node.__dict__.get(_BOUND)
    if known is None:
        known = node.__dict__[_BOUND] = _names_bound(node)
    return known


def _names_bound(node: ast.AST) -> frozenset[str]:
    if not isinstance(node, _NOT_BY_PARTS):
        return frozenset().union(*map(names_bound, parts_of(node)))
    match node:
        case ast.Name(name, ast.Store() | ast.Del()):
            return frozenset((name,))
        case ast.FunctionDef(name):
            return frozenset((name,)).union(*map(names_bound, _defaults(node.args)))
        case ast.Lambda(arguments):
            return frozenset().union(*map(names_bound, _defaults(arguments)))
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            targets = [g.target for g in node.generators]
            return frozenset().union(*(names_bound(n) for n in _comprehended(node) if n not in targets))
        case _:
            return frozenset().union(*map(names_bound, parts_of(node)))


def _perhaps_bound(node: ast.AST) -> frozenset[str]:
    """Names that `:=` binds where a simple statement may not come to it; remembered on it."""
    known: frozenset[str] | None = node.__dict__.get(_PERHAPS)
    if known is None:
        maybe = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp | ast.BoolOp | ast.IfExp | ast.Compare
        parts = (n for n in nodes_in(node) if isinstance(n, maybe))
        known = node.__dict__[_PERHAPS] = frozenset().union(*map(names_bound, parts))
    return known


def assigned(statements: Iterable[Statement]) -> set[str]:
    """Names the statements may bind, nested ones included."""
    found: set[str] = set()
    for s in statements:
        match s:
            case SetFlag(name):
                found.add(name)
            case SetReturn():
                found.add(RETURN_VALUE)
                if s.value is not None:
                    found |= names_bound(s.value)
            case Branch():
                if isinstance(s.test, ast.expr):
                    found |= names_bound(s.test)
                found |= assigned(s.then) | assigned(s.orelse)
            case ForLoop():
                found |= names_bound(s.target) | names_bound(s.iter) | assigned(s.body)
            case WhileLoop():
                found |= names_bound(s.test) | assigned(s.body)
            case WithBlock():
                found |= assigned(s.body).union(*map(names_bound, s.items))
            case TryBlock():
                found |= assigned(s.body)
            case FinalBlock():
                found |= assigned(s.body) | assigned(s.final)
            case BindError():
                found |= {*s.names, *jumps(s.block)}
            case Resumed():
                found |= assigned(s.final)
            case Unbind(name):
                found.add(name)
            case RaiseAgain():
                pass
            case Rest(loop):
                found |= assigned([loop])
            case _:
                found |= names_bound(s) | _reshaped(s)
    return found


def jumps(block: TryBlock) -> set[str]:
    """The flags of jumps out of the body of a `try`."""
    return {n for n in assigned(block.body) if n.startswith(JUMPS)}


def _reshaped(s: ast.stmt) -> set[str]:
    """Names that take another shape by `x.shape = sizes`, which is a new binding here."""
    targets = s.targets if isinstance(s, ast.Assign) else []
    found = [t for target in targets for t in nodes_in(target) if isinstance(t, ast.Attribute) and t.attr == "shape"]
    return {t.value.id for t in found if isinstance(t.value, ast.Name) and isinstance(t.ctx, ast.Store)}


def stored_into(statements: Iterable[Statement]) -> set[str]:
    """Names through which the statements visibly write array elements (`x[i] = `, `x[i] += `, `x += `)."""
    found: set[str] = set()

    def note(target: ast.AST) -> None:
        while isinstance(target, ast.Subscript | ast.Attribute):
            target = target.value
        if isinstance(target, ast.Name):
            found.add(target.id)

    for s in statements:
        match s:
            case Branch():
                found |= stored_into(s.then) | stored_into(s.orelse)
            case Rest(loop):
                found |= stored_into([loop])
            case ForLoop() | WhileLoop() | WithBlock() | TryBlock():
                found |= stored_into(s.body)
            case FinalBlock():
                found |= stored_into(s.body) | stored_into(s.final)
            case ast.Assign():
                for target in s.targets:
                    for inner in nodes_in(target):
                        if isinstance(inner, ast.Subscript) and isinstance(inner.ctx, ast.Store):
                            note(inner)
            case ast.AugAssign():
                note(s.target)
            case _:
                pass
    return found


def annotate(statements: Sequence[Statement]) -> None:
    """Fill `live` and `live_head` of every branch and loop of a function body."""
    always = _closure_reads(statements) | {RETURN_VALUE}
    _live_before(statements, set(always), frozenset(always))


def annotate_within(statements: Sequence[Statement], live: Iterable[str]) -> None:
    """The same of statements that stand in a function, with the names that are read behind them."""
    always = _closure_reads(statements) | {RETURN_VALUE}
    _live_before(statements, {*live} | always, frozenset(always))


def _closure_reads(statements: Iterable[Statement]) -> set[str]:
    found: set[str] = set()
    for s in statements:
        for root in _expressions(s):
            found |= _read_by_closures(root)
        match s:
            case Branch():
                found |= _closure_reads(s.then) | _closure_reads(s.orelse)
            case ForLoop() | WhileLoop() | WithBlock() | TryBlock():
                found |= _closure_reads(s.body)
            case FinalBlock():
                found |= _closure_reads(s.body) | _closure_reads(s.final)
            case _:
                pass
    return found


def _read_by_closures(node: ast.AST) -> frozenset[str]:
    """Names that functions in a node read; remembered on it."""
    known: frozenset[str] | None = node.__dict__.get(_CLOSED)
    if known is None:
        closures = (n for n in nodes_in(node) if isinstance(n, ast.Lambda | ast.FunctionDef))
        known = node.__dict__[_CLOSED] = frozenset().union(*map(names_read, closures))
    return known


def _expressions(s: Statement) -> list[ast.AST]:
    match s:
        case SetFlag() | TryBlock() | FinalBlock() | Resumed() | BindError() | Unbind() | RaiseAgain():
            return []
        case SetReturn():
            return [s.value] if s.value is not None else []
        case Branch():
            return [s.test] if isinstance(s.test, ast.expr) else []
        case ForLoop():
            return [s.target, s.iter]
        case WhileLoop():
            return [s.test]
        case WithBlock():
            return list(s.items)
        case Rest(loop):
            return _expressions(loop)
        case _:
            return [s]


def _live_before(statements: Sequence[Statement], live: set[str], always: frozenset[str]) -> set[str]:
    """Names read before being bound again, given those live afterwards."""
    for s in reversed(statements):
        match s:
            case SetFlag(name):
                live = live - {name}
            case SetReturn():
                live = (live - {RETURN_VALUE}) | (names_read(s.value) if s.value is not None else frozenset())
            case Branch():
                s.live = frozenset(live)
                live = _live_before(s.then, set(live), always) | _live_before(s.orelse, set(live), always)
                if not isinstance(s.test, NotCaught | NotPending):
                    live |= set(s.test.names) if isinstance(s.test, NotFlags) else names_read(s.test)
            case ForLoop():
                live = _live_loop(s, live, names_read(s.target), set(names_bound(s.target)), always)
                live |= names_read(s.iter)
            case WhileLoop():
                live = _live_loop(s, live, names_read(s.test), set(), always)
            case WithBlock():
                s.live = frozenset(live)
                if suppresses(s.node):
                    live |= _live_before(s.body, set(live), always | s.live)
                else:
                    live = _live_before(s.body, live, always)
                for item in s.items:
                    live |= names_read(item)
            case TryBlock():  # an error leaves it anywhere
                s.live = frozenset(live)
                live |= _live_before(s.body, set(live), always | s.live)
                for handler in s.handlers:
                    live |= names_read(handler.type) if handler.type is not None else set()
            case FinalBlock():
                s.live = always | _live_before(s.final, set(live), always)
                live = _live_before(s.body, live, always | s.live) | s.live
            case BindError():
                live = live - set(s.names) - jumps(s.block)
            case Resumed():  # it is made while lowering
                pass
            case RaiseAgain(name):
                live = live | {name}
            case Unbind(name):
                live = live - {name}
            case ast.AugAssign():
                live = live | names_read(s)
            case Rest(loop):
                live = _live_before([loop], live, always)
            case _:
                live = (live - (names_bound(s) - _perhaps_bound(s))) | names_read(s)
        live |= always
    return live


def _live_loop(
    s: ForLoop | WhileLoop, live: set[str], reads: frozenset[str], binds: set[str], always: frozenset[str]
) -> set[str]:
    """Names live before a loop: a fixed point over its back edge."""
    s.live = frozenset(live)
    head = live | reads | set(s.exits)
    while True:
        before = head | (_live_before(s.body, set(head), always) - binds)
        if before == head:
            break
        head = before
    s.live_head = frozenset(head)
    return head
