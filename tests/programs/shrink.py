"""Make a failing program small: remove statements, unwrap blocks, replace expressions by their parts."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator

Check = Callable[[str], bool]
Change = Callable[[], None]


def shrink(source: str, fails: Check, limit: int = 300) -> str:
    """The smallest text found that still fails, trying at most `limit` candidates."""
    tree = ast.parse(source)
    tries = 0
    progress = True
    while progress:
        progress = False
        for changes in (statement_changes, block_changes, expression_changes):
            position = 0
            while tries < limit:
                candidate = changed(tree, changes, position)
                if candidate is None:
                    break
                tries += 1
                if fails(ast.unparse(candidate)):
                    tree, progress = candidate, True
                else:
                    position += 1
    return ast.unparse(tree) + "\n"


def changed(tree: ast.Module, changes: Callable[[ast.Module], Iterator[Change]], position: int) -> ast.Module | None:
    """A copy of the tree with the change of that number applied; None where there are fewer."""
    made = copy.deepcopy(tree)
    for at, change in enumerate(changes(made)):
        if at == position:
            change()
            return made
    return None


def statement_lists(tree: ast.AST) -> Iterator[list[ast.stmt]]:
    """Every block of statements."""
    for node in ast.walk(tree):
        for name in ("body", "orelse"):
            block = getattr(node, name, None)
            if isinstance(block, list):
                yield block


def statement_changes(tree: ast.Module) -> Iterator[Change]:
    """Remove runs of statements, long ones first."""
    for block in list(statement_lists(tree)):
        size = len(block)
        while size:
            for start in range(0, len(block), size):
                if not all(isinstance(s, ast.Import | ast.ImportFrom | ast.Pass) for s in block[start : start + size]):
                    yield lambda block=block, start=start, size=size: _replace(block, start, size, [])
            size //= 2


def block_changes(tree: ast.Module) -> Iterator[Change]:
    """Replace a branch or loop by what it holds."""
    for block in list(statement_lists(tree)):
        for at, s in enumerate(block):
            if isinstance(s, ast.If | ast.For | ast.While):
                yield lambda block=block, at=at, s=s: _replace(block, at, 1, s.body)
                if s.orelse:
                    yield lambda block=block, at=at, s=s: _replace(block, at, 1, s.orelse)


def _replace(block: list[ast.stmt], start: int, size: int, new: list[ast.stmt]) -> None:
    block[start : start + size] = new
    if not block:
        block.append(ast.Pass())


def expression_changes(tree: ast.Module) -> Iterator[Change]:
    """Replace an expression by one of its parts, or by a small constant."""
    for owner in list(ast.walk(tree)):
        for name, value in list(ast.iter_fields(owner)):
            if isinstance(value, ast.expr):
                for part in smaller(value):
                    yield lambda owner=owner, name=name, part=part: setattr(owner, name, part)
            elif isinstance(value, list) and name not in ("targets", "names", "ops"):
                for at, item in enumerate(value):
                    if isinstance(item, ast.expr):
                        for part in smaller(item):
                            yield lambda value=value, at=at, part=part: value.__setitem__(at, part)


def smaller(node: ast.expr) -> Iterator[ast.expr]:
    """Expressions to try instead of one."""
    match node:
        case ast.BinOp(left, _, right):
            yield from (left, right)
        case ast.UnaryOp(_, operand):
            yield operand
        case ast.BoolOp(_, values):
            yield from values
        case ast.IfExp(_, body, orelse):
            yield from (body, orelse)
        case ast.Call(func, args, _):
            yield from args
            if isinstance(func, ast.Attribute):
                yield func.value
        case ast.Compare():
            yield from (ast.Constant(True), ast.Constant(False))
        case ast.Tuple(elts, ast.Load()):
            yield from elts
        case ast.Subscript(value, _, ast.Load()):
            yield value
        case _:
            return
    if not isinstance(node, ast.Tuple | ast.Compare | ast.BoolOp):
        yield ast.Constant(1.0)
