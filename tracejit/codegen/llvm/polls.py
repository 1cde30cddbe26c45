"""Which loops of host code ask now and then whether to go on, and what their trips cost until then.

A loop that ends on data may run for ever, one that holds kernels or library functions for hours: they ask at the start
of their trips, so that the condition at the end can leave the loop at once; so do those that never end. Other loops
are over soon, as searches of an array are, make as many trips of a few instructions as a number says, or hold loops,
which ask when they have ended.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from math import inf

from tracejit.codegen.kernel_walk import bodies_of, bound, walk
from tracejit.codegen.llvm.dwindling import MOST_TRIPS, dwindles, lets_of, meaning
from tracejit.codegen.loop_ir import Call, Const, Expr, For, If, Input, Invoke, Launch, Let, Scalar, Stmt, Var
from tracejit.ir.types import BOOL, I64

#: A call asks each time its loops have spent so much, in units of a few instructions.
BUDGET = 1 << 16
#: What statements of a trip may cost.
_COSTS: dict[type, int] = {Launch: BUDGET >> 4, Call: BUDGET >> 4, Invoke: 64}
#: What a loop of unknown length that does not ask is taken to cost.
UNKNOWN = 64
#: What a search of an array is taken to cost at most.
SEARCH = BUDGET >> 4
#: A loop of so many trips, with the loops in it, is over at once: the loop around it pays for it.
_AT_ONCE = 64
#: No loop makes so many trips in a day: `while True` makes 2**63 - 1.
_ENDLESS = 1 << 48
_FALSE = Const(False, BOOL)
_ORDER = frozenset(("lt", "le", "gt", "ge"))


def bounded(stmts: Iterable[Stmt]) -> set[Expr]:
    """The numbers of these statements that are hardly larger than a size of an array."""
    found: set[Expr] = set()

    def is_bounded(e: Expr) -> bool:
        match e:
            case Input(kind="dim"):
                return True
            case Scalar(op="minimum", args=args):
                return any(is_bounded(x) for x in args)
            case Scalar(op="maximum", args=args):
                return all(is_bounded(x) for x in args)
            case Scalar(op="add" | "sub", args=(x, Const() as y)):
                return is_bounded(x) and is_bounded(y)
            case Const(value=int() as number):
                return abs(number) <= BUDGET
            case _:
                return e in found

    for stmt in walk(stmts):
        if isinstance(stmt, Let) and is_bounded(stmt.expr):
            found.add(stmt.var)
    return found


def polls(loop: For, bounded: Container[Expr]) -> bool:
    """Whether a serial loop asks at the start of its trips; `bounded` are numbers of trips that are over soon."""
    if loop.go is None:
        trips = loop.extent.value if isinstance(loop.extent, Const) else 0
        return cost(loop) > 1 or (isinstance(trips, int) and trips >= _ENDLESS)
    ends = loop.extent in bounded or dwindles(loop) or _is_counted(loop, loop.go[2]) or _closes_in(loop)
    return cost(loop) > 1 or not ends


def cost(loop: For) -> int:
    """What a trip may cost beside the loops in it."""
    return max((_COSTS.get(type(stmt), 1) for stmt in _level(loop.body)), default=1)


def is_short(loop: For) -> bool:
    """Whether a loop is over at once, whatever the data."""
    return _most_trips((loop,)) <= _AT_ONCE


def _most_trips(stmts: Iterable[Stmt]) -> float:
    """The most trips that the loops of a nest make, 1 without loops."""
    most = 1.0
    for stmt in stmts:
        inner = max((_most_trips(body) for body in bodies_of(stmt)), default=1.0)
        if isinstance(stmt, For):
            extent = stmt.extent.value if isinstance(stmt.extent, Const) else None
            inner *= MOST_TRIPS if dwindles(stmt) else extent if isinstance(extent, int) else inf
        most = max(most, inner)
    return most


def _level(stmts: Iterable[Stmt]) -> Iterator[Stmt]:
    """The statements of a trip, without those of loops inside."""
    for stmt in stmts:
        yield stmt
        if not isinstance(stmt, For):
            for body in bodies_of(stmt):
                yield from _level(body)


def _is_counted(loop: For, go_on: Expr) -> bool:
    """Whether the condition compares an integer that moves by an invariant step with an invariant.

    (`while j < n: j += i` ends, or overflows, unless the step is 0, and so does `while j < n and x[j] > 0`.)
    """
    lets = lets_of(loop)
    choices = {var: (stmt, i) for stmt in loop.body if isinstance(stmt, If) for i, var in enumerate(stmt.results)}
    own = {loop.var, *(c.var for c in loop.carried), *(v for stmt in walk(loop.body) for v in bound(stmt))}
    steps = {c.var: c.next for c in loop.carried}

    def is_invariant(e: Expr) -> bool:
        return isinstance(e, Const) or (isinstance(e, Var) and e not in own)

    def moves(e: Expr) -> bool:
        found = meaning(e, lets)
        if not isinstance(found, Scalar) or found.op not in ("add", "sub") or not found.type.is_integer:
            return False
        return any(
            isinstance(x, Var) and x in steps and meaning(steps[x], lets) is found and is_invariant(y)
            for x, y in (found.args, found.args[::-1])
        )

    condition = meaning(go_on, lets)
    if isinstance(condition, Var) and condition in choices:
        stmt, i = choices[condition]
        return stmt.else_values[i] in (stmt.cond, _FALSE) and _is_counted(loop, stmt.cond)
    if not isinstance(condition, Scalar):
        return False
    if condition.op == "logical_and":
        return any(_is_counted(loop, part) for part in condition.args)
    if condition.op not in _ORDER:
        return False
    a, b = condition.args
    return (moves(a) and is_invariant(b)) or (moves(b) and is_invariant(a))


def _closes_in(loop: For) -> bool:
    """Whether on every path of a trip some of the integers that the condition compares come nearer to its end by a
    constant, and none of them goes back (`while i < n and j < m` where a trip advances one of the two)."""
    assert loop.go is not None
    stmts = [*walk(loop.body)]
    lets: dict[Expr, Expr] = {stmt.var: stmt.expr for stmt in stmts if isinstance(stmt, Let)}
    choices = {var: stmt for stmt in stmts if isinstance(stmt, If) for var in stmt.results}
    own = {loop.var, *(c.var for c in loop.carried), *(v for stmt in stmts for v in bound(stmt))}
    ways: dict[Var, int] = {}  #: the sign of a step towards the end

    def compares(e: Expr, way: int) -> bool:
        """Whether one side of a comparison is invariant or to be moved."""
        moved = [c.var for c in loop.carried if c.next is e]
        ways.update(dict.fromkeys(moved, way))
        return bool(moved) or isinstance(e, Const) or (isinstance(e, Var) and e not in own)

    def needs(e: Expr) -> None:
        """Note what must go on being true."""
        found = meaning(e, lets)
        if isinstance(found, Var) and found in choices:
            stmt = choices[found]
            i = stmt.results.index(found)
            if stmt.else_values[i] in (stmt.cond, _FALSE):
                needs(stmt.cond)
                needs(stmt.then_values[i])
        elif isinstance(found, Scalar) and found.op == "logical_and":
            for part in found.args:
                needs(part)
        elif isinstance(found, Scalar) and found.op in _ORDER and found.args[0].type == I64:
            way = 1 if found.op in ("lt", "le") else -1
            before = dict(ways)
            if not all(compares(side, way * sign) for side, sign in zip(found.args, (1, -1), strict=True)):
                ways.clear()
                ways.update(before)

    def nears(nexts: Mapping[Var, Expr], depth: int) -> bool:
        """Whether every path that is left comes nearer."""
        known = {x: meaning(e, lets) for x, e in nexts.items()}
        chosen = next((choices[e] for e in known.values() if isinstance(e, Var) and e in choices), None)
        if chosen is None:
            steps = [_step(x, e, ways[x]) for x, e in known.items()]
            return min(steps, default=0) >= 0 and max(steps, default=0) > 0
        sides: list[dict[Expr, Expr]] = [
            dict(zip(chosen.results, values, strict=True)) for values in (chosen.then_values, chosen.else_values)
        ]
        return depth < _DEPTH and all(nears({x: side.get(e, e) for x, e in known.items()}, depth + 1) for side in sides)

    needs(loop.go[2])
    return nears({c.var: c.next for c in loop.carried if c.var in ways}, 0)


def _step(x: Var, after: Expr, way: int) -> int:
    """How far a value is moved in its way: -1 where that is not known."""
    match after:
        case Scalar(op="add", args=(a, Const(value=int() as step))) if a is x and step * way > 0:
            return 1
        case _:
            return 0 if after is x else -1


#: Branches in one another that are looked through.
_DEPTH = 4
