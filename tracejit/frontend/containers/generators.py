"""Generator functions: a loop over one is the function's body with the loop's body where it yields.

Both are lowered in the frame of the loop, the names of the generator with a prefix. What leaves the loop leaves the
generator, and what returns from the generator ends the loop.
"""

from __future__ import annotations

import ast
import functools
import itertools
from collections import Counter, deque
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

from tracejit.errors import ScriptError
from tracejit.frontend.containers import collected_generators, resumable
from tracejit.frontend.containers.pooled_tables import is_record
from tracejit.frontend.containers.resumable import has_yield
from tracejit.frontend.containers.tables import is_iterator, is_table
from tracejit.frontend.context import OF_GENERATOR, Context, Frame, of_standard
from tracejit.frontend.control.optionals import there_to_run_over
from tracejit.frontend.instances.cells import Renaming, fresh, names_of, own_nodes
from tracejit.frontend.syntax.desugar import (
    BindError,
    Branch,
    FinalBlock,
    ForLoop,
    NotFlags,
    RaiseAgain,
    SetFlag,
    SetReturn,
    Statement,
    TryBlock,
    Unbind,
    WhileLoop,
    WithBlock,
    desugar,
    ends,
    jumps_out,
    suppresses,
)
from tracejit.frontend.syntax.scopes import annotate_within, names_read
from tracejit.frontend.syntax.source import FunctionNode, FunctionSource
from tracejit.frontend.values import (
    FrontValue,
    GeneratorValue,
    Number,
    ObjectValue,
    OptionalValue,
    SequenceValue,
    SharedObject,
    SharedVariant,
    Static,
    TupleValue,
)

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls
    from tracejit.frontend.statements import Statements

#: What takes all items of a generator before it does anything else.
TAKES_ALL: tuple[Any, ...] = (
    list,
    tuple,
    sum,
    min,
    max,
    sorted,
    set,
    frozenset,
    dict,
    Counter,
    deque,
    functools.reduce,
    itertools.product,
    itertools.combinations,
    itertools.combinations_with_replacement,
    itertools.permutations,
)

_YIELDS = "_tracejit_yields"

#: Loops over one generator may stand in each other so deep; deeper, it is taken to call itself.
_DEEPEST = 6
#: So deep where the loop stands in the generator, and its items may be made at once: it calls itself.
_DEEPEST_OWN = 2


class _Body(ast.stmt):
    """Where the body of the loop goes."""


def is_generator(node: FunctionNode) -> bool:
    """Whether a function yields; remembered on the node."""
    known: bool | None = node.__dict__.get(_YIELDS)
    if known is None:
        known = node.__dict__[_YIELDS] = any(isinstance(n, ast.Yield | ast.YieldFrom) for n in own_nodes(node))
    return known


def _is_sent(node: FunctionNode) -> bool:
    """Whether a generator looks at what it is sent, or at what others return that it hands on to."""
    nodes = list(own_nodes(node))
    plain = {id(n.value) for n in nodes if isinstance(n, ast.Expr)}
    return any(isinstance(n, ast.Yield | ast.YieldFrom) and id(n) not in plain for n in nodes)


def is_endless(value: GeneratorValue) -> bool:
    """Whether a generator plainly goes on until it is left."""
    nodes = list(own_nodes(value.source.node))
    ends = any(isinstance(n, ast.Return | ast.Break | ast.Raise) for n in nodes)
    loops = (n.test for n in nodes if isinstance(n, ast.While))
    return not ends and any(isinstance(test, ast.Constant) and test.value for test in loops)


def run(st: Statements, s: ForLoop, value: GeneratorValue, manages: bool = False) -> None:
    """Lower a loop over a generator. With `manages` it is the body of a `with`, which a `try` around the `yield` sees
    the errors of."""
    ctx = st.ctx
    node = value.source.node
    if not manages and (value.used or value.loops != ctx.loops or _is_sent(node)):
        resumable.ask(ctx, value)
    tries = () if manages else (n for n in own_nodes(node) if isinstance(n, ast.Try) or suppresses(n))
    for guarded in tries:
        if has_yield(guarded):
            text = "'yield' inside a 'try', or where errors are suppressed, is outside the language"
            if value.source.is_standard:
                ctx.refuse(s.iter, *of_standard(value.source, text))
            raise ScriptError(text, value.source.span(guarded), instead="yield outside of it")
    if value.used or value.loops != ctx.loops:
        ctx.refuse(
            s.iter,
            "a generator with a 'yield' in a 'try' or an expression, or a function in it, runs once, where it is made",
            "call the function again",
        )
    is_own = getattr(s.iter, OF_GENERATOR, (None,))[0] is value.source and collected_generators.is_possible(value)
    if ctx.generators.count(node) == (_DEEPEST_OWN if is_own else _DEEPEST):
        collected_generators.collect(ctx, value, s.iter)
    value.used = True
    prefix = f"$generator{id(s.node)}."
    known: dict[int, list[ast.stmt]] = s.node.__dict__.setdefault("_tracejit_generators", {})
    body = known.get(id(node))
    if body is None:
        body = known[id(node)] = _prepared(ctx, s, value.source, prefix)
    _bind_names(st.calls, value, prefix)
    statements = _Splicing(s, prefix).block(desugar(body, node))
    annotate_within(statements, s.live)
    path, generators = ctx.path, ctx.generators
    ctx.path, ctx.generators = (*path, s.node), (*generators, node)
    try:
        for statement in statements:
            st.statement(statement)
    finally:
        ctx.path, ctx.generators = path, generators


_MANAGES = "one yield on each path, first and alone in a 'try' with handlers; or a class with __enter__ and __exit__"


def manage(st: Statements, s: WithBlock, i: int, value: GeneratorValue) -> None:
    """The items of a `with` from one on that a generator makes (`contextlib.contextmanager`), and its body: what runs
    where the generator yields, which it does once."""
    node = value.source.node
    item, inner = s.items[i], s.items[i + 1 :]
    assert isinstance(node, ast.FunctionDef)
    if _yields(node.body) - {1}:
        st.ctx.refuse(item.context_expr, "this generator manages no context: it may yield never, or twice", _MANAGES)
    for n in own_nodes(node):
        if (isinstance(n, ast.Try) and not _is_simple_guard(n, s.node.body)) or (suppresses(n) and has_yield(n)):
            st.ctx.refuse(
                item.context_expr, "what the 'try' of this generator guards is outside the language", _MANAGES
            )
    body: list[Statement] = [WithBlock(inner, s.body, s.node)] if inner else s.body
    target = item.optional_vars or ast.copy_location(ast.Name("$entered", ast.Store()), item.context_expr)
    run(st, ForLoop(target, item.context_expr, body, (), item.context_expr, s.live), value, manages=True)


def _yields(body: Sequence[ast.stmt]) -> set[int]:
    """How often the paths through a block yield, those that raise left out; 2 is any number."""
    counts = {0}
    for i, s in enumerate(body):
        match s:
            case ast.Expr(ast.Yield()):
                more = {1}
            case ast.If(_, then, orelse) if ends(then) or ends(orelse):
                rest = [] if i + 1 == len(body) else body[i + 1 :]
                more = _yields([*then, *([] if ends(then) else rest)])
                more |= _yields([*orelse, *([] if ends(orelse) else rest)])
                return {min(a + b, 2) for a in counts for b in more}
            case ast.If(_, then, orelse):
                more = _yields(then) | _yields(orelse)
            case ast.Raise():
                return set()
            case ast.Return():
                return counts
            case ast.With() | ast.Try() | ast.For() | ast.While() if jumps_out([s]):
                return {2}  # whether those that return have yielded is not told apart
            case ast.With():
                more = _yields(s.body)
            case ast.Try():
                before = _yields(s.body)
                paths = _yields([*s.body, *s.orelse])
                paths |= {a + b for a in before for h in s.handlers for b in _yields(h.body)}
                more = {a + b for a in paths for b in _yields(s.finalbody)}
            case ast.FunctionDef():
                more = {0}
            case _:
                more = {2} if has_yield(s) else {0}
        counts = {min(a + b, 2) for a in counts for b in more}
    return counts


def _is_simple_guard(s: ast.Try, body: Sequence[ast.stmt]) -> bool:
    """Whether the errors that a `try` around a `yield` catches can be those of the `with` only: none before it, where
    Python would miss the `yield`, and none after it where the `with` is left by a jump. Where it goes on after them,
    so must what follows the `with`."""
    guarded = [i for i, inner in enumerate(s.body) if any(isinstance(n, ast.Yield) for n in ast.walk(inner))]
    if not guarded or not s.handlers:
        return True
    if jumps_out(body) and guarded[-1] + 1 < len(s.body):
        return False
    first = s.body[0]
    plain = isinstance(first, ast.Expr) and isinstance(first.value, ast.Yield) and _is_plain(first.value.value)
    return all(isinstance(h.body[-1], ast.Raise) for h in s.handlers) or (plain and not ends(body))


def _is_plain(value: ast.expr | None) -> bool:
    return value is None or isinstance(value, ast.Constant | ast.Name)


def _bind_names(c: Calls, value: GeneratorValue, prefix: str) -> None:
    """The names that a generator reads from around it, and its arguments."""
    ctx = c.ctx
    outer = ctx.frame
    inner = Frame(value.source, {}, outer, None if value.closure is None else value.closure.frame)
    own = names_of(value.source.node) | _caught(value.source.node)
    assert isinstance(value.source.node, ast.FunctionDef)
    read = frozenset[str]().union(*map(names_read, value.source.node.body))
    found: dict[str, FrontValue] = {}
    ctx.frame = inner
    try:
        for name in sorted(read - own):
            found[name] = c.expressions.enclosing_name(value.source.node, name)
    finally:
        ctx.frame = outer
    for name, v in {**found, **value.env}.items():
        outer.env[prefix + name] = v


def _caught(node: FunctionNode) -> set[str]:
    """Names that handlers bind."""
    return {n.name for n in own_nodes(node) if isinstance(n, ast.ExceptHandler) and n.name is not None}


def _prepared(ctx: Context, s: ForLoop, source: FunctionSource, prefix: str) -> list[ast.stmt]:
    """The generator's statements with names of their own, and marks where it yields."""
    node = source.node
    assert isinstance(node, ast.FunctionDef)
    names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} | names_of(node) | _caught(node)
    made: list[ast.stmt] = []
    for statement in node.body:
        made += _Yields(ctx, s, prefix).statement(_Prefixed(frozenset(names), prefix).visit(fresh(statement)))
    for inner in (n for statement in made for n in ast.walk(statement)):
        setattr(inner, OF_GENERATOR, (source, s.iter))
    return made


class _Prefixed(Renaming):
    """Puts a prefix before names."""

    def __init__(self, names: frozenset[str], prefix: str) -> None:
        super().__init__(names)
        self.prefix = prefix

    def inner(self, hidden: set[str]) -> Renaming:
        return _Prefixed(self.names - hidden, self.prefix)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        node.id = self.prefix + node.id if node.id in self.names else node.id
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.ExceptHandler:
        node.name = None if node.name is None else self.prefix + node.name
        self.generic_visit(node)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        found = super().visit_FunctionDef(node)
        found.name = self.prefix + node.name if node.name in self.names else node.name
        return found


class _Yields(ast.NodeTransformer):
    """Replaces statements that yield."""

    def __init__(self, ctx: Context, s: ForLoop, prefix: str) -> None:
        self.ctx, self.loop, self.prefix = ctx, s, prefix
        self.count = 0

    def statement(self, node: ast.stmt) -> list[ast.stmt]:
        made: Any = self.visit(node)
        return made if isinstance(made, list) else [made]

    def visit_Expr(self, node: ast.Expr) -> Any:
        if isinstance(node.value, ast.YieldFrom):
            self.count += 1
            item = f"{self.prefix}$from{self.count}"
            each = ast.Expr(ast.Yield(ast.Name(item, ast.Load())))
            loop = ast.For(ast.Name(item, ast.Store()), node.value.value, [each], [])
            for part in (loop, each):
                ast.fix_missing_locations(ast.copy_location(part, node))
            return self.generic_visit(loop)
        if not isinstance(node.value, ast.Yield):
            return self.generic_visit(node)
        item = ast.Name(f"{self.prefix}$item", ast.Store())
        parts: list[ast.stmt] = [ast.Assign([item], node.value.value or ast.Constant(None)), _Body()]
        if self.loop.exits:
            parts.append(ast.If(ast.Name(f"{self.prefix}$stop", ast.Load()), [ast.Return(None)], []))
        for part in parts:
            ast.fix_missing_locations(ast.copy_location(part, node))
        return parts

    def visit_Yield(self, node: ast.Yield | ast.YieldFrom) -> Any:
        reason = "a generator is sent values in statements, outside of 'try', 'with' and 'match', and has no functions"
        self.ctx.refuse(self.loop.iter, reason, "got = yield x")

    visit_YieldFrom = visit_Yield

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        return node

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        return node


class _Splicing:
    """Gives the flags of a generator names of their own, and puts the loop's body in its places."""

    def __init__(self, s: ForLoop, prefix: str) -> None:
        self.loop, self.prefix = s, prefix

    def block(self, statements: Sequence[Statement]) -> list[Statement]:
        return [made for s in statements for made in self.statement(s)]

    def own(self, name: str) -> str:
        """The generator's name for a flag or an error; how such a name begins tells what it is."""
        return f"{name}@{self.prefix}"

    def flags(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(self.own, names))

    def statement(self, s: Statement) -> list[Statement]:
        match s:
            case SetFlag(name, value):
                return [SetFlag(self.own(name), value)]
            case SetReturn(value, node):
                if value is None:
                    return []
                return [ast.copy_location(ast.Expr(value), node)]  # type: ignore[type-var]
            case Branch(test, then, orelse, node):
                test = NotFlags(self.flags(test.names)) if isinstance(test, NotFlags) else test
                return [Branch(test, self.block(then), self.block(orelse), node)]
            case ForLoop(target, iterated, body, exits, node):
                return [ForLoop(target, iterated, self.block(body), self.flags(exits), node)]
            case WhileLoop(test, body, exits, node):
                return [WhileLoop(test, self.block(body), self.flags(exits), node)]
            case WithBlock(items, body, node):
                return [WithBlock(items, self.block(body), node)]
            case TryBlock():  # others refer to it
                s.body = self.block(s.body)
                return [s]
            case FinalBlock(body, final, node):
                return [FinalBlock(self.block(body), self.block(final), node)]
            case BindError(block, handler, names):
                return [BindError(block, handler, tuple(self.error(n) for n in names))]
            case RaiseAgain(name, block, handler, node):
                return [RaiseAgain(self.error(name), block, handler, node)]
            case Unbind(name):
                return [Unbind(self.error(name))]
            case _Body():
                return self.body(s)
            case _:
                return [s]

    def error(self, name: str) -> str:
        """The name of a caught error: one of the program's, which has its prefix already, or an internal one."""
        return name if name.startswith(self.prefix) else self.own(name)

    def body(self, at: ast.stmt) -> list[Statement]:
        loop, stop = self.loop, f"{self.prefix}$stop"
        item = ast.Name(f"{self.prefix}$item", ast.Load())
        take = ast.Assign([loop.target], item)
        ast.fix_missing_locations(ast.copy_location(take, loop.iter))
        made: list[Statement] = [take, *_copies(loop.body)]
        if loop.exits:
            made.append(Branch(NotFlags(loop.exits), [SetFlag(stop, False)], [SetFlag(stop, True)], at))
        return made


def _copies(statements: Sequence[Statement]) -> list[Statement]:
    """The same statements, to be told apart from where else they stand."""
    made: list[Statement] = []
    for s in statements:
        match s:
            case Branch(test, then, orelse, node):
                made.append(Branch(test, _copies(then), _copies(orelse), node))
            case ForLoop(target, iterated, body, exits, node):
                made.append(ForLoop(target, iterated, _copies(body), exits, node))
            case WhileLoop(test, body, exits, node):
                made.append(WhileLoop(test, _copies(body), exits, node))
            case WithBlock(items, body, node):
                made.append(WithBlock(items, _copies(body), node))
            case _:
                made.append(s)
    return made


def listed(c: Calls, value: GeneratorValue, node: ast.AST) -> FrontValue:
    """The items of a generator in a list."""
    if is_endless(value):
        c.ctx.refuse(node, "a generator that goes on until it is left has no last item", "leave a loop over it")
    made: ast.ListComp | None = node.__dict__.get("_tracejit_listed")
    if made is None:
        part = ast.comprehension(ast.Name("$item", ast.Store()), ast.Name("$generator", ast.Load()), [], 0)
        made = ast.ListComp(ast.Name("$item", ast.Load()), [part])
        node.__dict__["_tracejit_listed"] = ast.fix_missing_locations(ast.copy_location(made, node))  # type: ignore[type-var]
    c.ctx.frame.env["$generator"] = value
    return c.expressions.value(made)


def passed(
    c: Calls, fn: Any, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> tuple[Any, list[FrontValue]]:
    """A function and its arguments, of which some may be generators: with lists instead of these where it takes all
    their items first; a generator that takes them one by one instead of a function that does."""
    if any(fn is f for f in TAKES_ALL):
        if fn in (min, max) and len(args) > 1:
            return fn, args
        count = 1 if fn is sum else len(args)  # not what it starts from
        return fn, [*(all_items(c, a, node) for a in args[:count]), *args[count:]]
    from tracejit.frontend.written.lazily import LAZY, mapped_rows, zipped

    if isinstance(fn, Hashable) and (fn in LAZY or fn is zip):
        args = [_iterator(c, a, node) if fn is zip else _run_over(c, a, node) for a in args]
    if fn is zip and any(c.objects.has(a, "__next__") and not is_iterator(a) for a in args):
        from tracejit.frontend.written.resumable import together

        return together, [TupleValue(tuple(c.call_object(iter, [a], {}, node) for a in args))]
    made = [k for k, a in enumerate(args) if isinstance(a, GeneratorValue)]
    if not made:
        return fn, args

    if fn is map and len(args) > 2:
        return mapped_rows, [args[0], c.call_object(zip, args[1:], {}, node)]
    if fn is zip and kwargs.get("strict") == Static(False):
        kwargs.pop("strict")
    if fn is zip and len(made) == 1 and not kwargs:
        others = [a if k in made else c.call_object(iter, [a], {}, node) for k, a in enumerate(args)]
        before, after = others[: made[0]], others[made[0] + 1 :]
        return zipped, [TupleValue(tuple(before)), args[made[0]], TupleValue(tuple(after))]
    return LAZY.get(fn, fn) if isinstance(fn, Hashable) else fn, args


def all_items(c: Calls, value: FrontValue, node: ast.AST) -> FrontValue:
    """What a function takes all items of: a list of them, where a generator gives them."""
    value = _run_over(c, value, node)
    return listed(c, value, node) if isinstance(value, GeneratorValue) else value


def beside_others(c: Calls, value: GeneratorValue, node: ast.AST) -> FrontValue:
    """The items of a generator that something else is run over with: a list, where nothing tells when it makes them,
    and they end. It changes nothing then, and is given numbers, ranges and what is known when compiling."""
    is_fixed = all(_is_fixed(v) for v in value.env.values())
    if not is_fixed or not collected_generators.is_possible(value) or is_endless(value):
        resumable.ask(c.ctx, value)
        c.ctx.refuse(node, "a generator beside others is outside the language", "list(generator) first")
    return all_items(c, value, node)


def _is_fixed(value: FrontValue) -> bool:
    match value:
        case Number() | SequenceValue(range=(_, _, _)):
            return True
        case Static(known):
            return isinstance(known, int | float | complex | str | bool | None)
        case TupleValue(items):
            return all(map(_is_fixed, items))
        case _:
            return False


def _iterator(c: Calls, value: FrontValue, node: ast.AST) -> FrontValue:
    """What `zip` takes items of: an object with `__next__` as it is, or what `_run_over` gives."""
    from tracejit.frontend.containers.iterators import run_over

    if isinstance(value, ObjectValue | SharedObject) and not (is_table(value) or is_record(value)):
        if c.objects.has(value, "__next__"):
            return value
        if (made := run_over(c, value, node)) is not None:
            return made
    return _run_over(c, value, node)


def _run_over(c: Calls, value: FrontValue, node: ast.AST) -> FrontValue:
    """What a loop over an object of the user's runs over; other values unchanged."""
    kinds = ObjectValue | SharedObject | SharedVariant | Static
    if isinstance(value, OptionalValue) and isinstance(value.value, kinds):
        value = there_to_run_over(c.ctx, value)
    is_object = isinstance(value, kinds) and not (is_table(value) or is_record(value))
    return c.objects.iterated(value, node) if is_object else value
