"""`match` statements as the `if` statements they abbreviate.

Literal, value, capture, wildcard, or, sequence, mapping and class patterns with keywords are rewritten where the source
is read. A `match` with any other pattern stays as it is, and is refused.
"""

from __future__ import annotations

import ast
import copy
from typing import Any

#: Classes whose pattern `C(x)` matches the subject itself.
_SELF = ("bool", "bytes", "dict", "float", "frozenset", "int", "list", "set", "str", "tuple")


class _Unknown(Exception):
    """A pattern that is not rewritten."""


class Rewriter(ast.NodeTransformer):
    """Replaces `match` statements in a tree."""

    def __init__(self) -> None:
        self.count = 0

    def visit_Match(self, node: ast.Match) -> Any:
        """One `match`: the subject gets a name, the cases become a chain of `if`s."""
        self.count += 1
        name = f"$match{self.count}"
        self.generic_visit(node)
        rest: list[ast.stmt] = []
        try:
            for case in reversed(node.cases):
                rest = [self.case(ast.Name(name, ast.Load()), case, rest)]
        except _Unknown:
            return node
        made: list[ast.stmt] = [ast.Assign([ast.Name(name, ast.Store())], node.subject), *rest]
        for statement in made:
            ast.copy_location(statement, node)
            ast.fix_missing_locations(statement)
        return made

    def case(self, subject: ast.expr, case: ast.match_case, rest: list[ast.stmt]) -> ast.stmt:
        tests: list[ast.expr] = []
        names: list[tuple[str, ast.expr]] = []
        self.pattern(subject, case.pattern, tests, names)
        body = list(case.body)
        if case.guard is None:
            body = [*(ast.Assign([ast.Name(n, ast.Store())], v) for n, v in names), *body]
        else:
            tests += [_bound(n, v) for n, v in names] + [case.guard]
        if not tests:
            test: ast.expr = ast.Constant(True)
        else:
            test = tests[0] if len(tests) == 1 else ast.BoolOp(ast.And(), tests)
        made = ast.If(test, body, rest)
        for inner in ast.walk(made):
            if "lineno" not in inner._attributes or not hasattr(inner, "lineno"):
                ast.copy_location(inner, case.pattern)  # type: ignore[type-var]
        return made

    def pattern(
        self, subject: ast.expr, pattern: ast.pattern, tests: list[ast.expr], names: list[tuple[str, ast.expr]]
    ) -> None:
        """Add what a pattern tests and binds."""
        match pattern:
            case ast.MatchValue(value):
                tests.append(ast.Compare(subject, [ast.Eq()], [value]))
            case ast.MatchSingleton(value):
                tests.append(ast.Compare(subject, [ast.Is()], [ast.Constant(value)]))
            case ast.MatchAs(None, None):
                pass
            case ast.MatchAs(inner, name):
                if inner is not None:
                    self.pattern(subject, inner, tests, names)
                if name is not None:
                    names.append((name, subject))
            case ast.MatchOr(patterns):
                self.alternatives(subject, patterns, tests, names)
            case ast.MatchSequence(patterns):
                self.sequence(subject, patterns, tests, names)
            case ast.MatchMapping(keys, patterns, rest):
                tests.append(_is_instance(subject, ast.Name("dict", ast.Load())))
                for key, inner in zip(keys, patterns, strict=True):
                    tests.append(ast.Compare(key, [ast.In()], [subject]))
                    self.pattern(ast.Subscript(subject, key, ast.Load()), inner, tests, names)
                if rest is not None:
                    names.append((rest, _without(subject, keys)))
            case ast.MatchClass(cls, [], attributes, inner_patterns):
                tests.append(_is_instance(subject, cls))
                for name, inner in zip(attributes, inner_patterns, strict=True):
                    self.pattern(ast.Attribute(subject, name, ast.Load()), inner, tests, names)
            case ast.MatchClass(ast.Name(cls), [inner], []) if cls in _SELF:
                tests.append(_is_instance(subject, ast.Name(cls, ast.Load())))
                self.pattern(subject, inner, tests, names)
            case _:
                raise _Unknown

    def sequence(
        self,
        subject: ast.expr,
        patterns: list[ast.pattern],
        tests: list[ast.expr],
        names: list[tuple[str, ast.expr]],
    ) -> None:
        kinds: list[ast.expr] = [ast.Name("tuple", ast.Load()), ast.Name("list", ast.Load())]
        tests.append(_is_instance(subject, ast.Tuple(kinds, ast.Load())))
        stars = [i for i, p in enumerate(patterns) if isinstance(p, ast.MatchStar)]
        length = ast.Call(ast.Name("len", ast.Load()), [subject], [])
        wanted = ast.Constant(len(patterns) - len(stars))
        tests.append(ast.Compare(length, [ast.GtE() if stars else ast.Eq()], [wanted]))
        for i, inner in enumerate(patterns):
            if isinstance(inner, ast.MatchStar):
                after = len(patterns) - i - 1
                cut = ast.Slice(ast.Constant(i), ast.Constant(-after) if after else None)
                if inner.name is not None:
                    items = ast.Call(ast.Name("list", ast.Load()), [ast.Subscript(subject, cut, ast.Load())], [])
                    names.append((inner.name, items))
                continue
            at = i if not stars or i < stars[0] else i - len(patterns)
            self.pattern(ast.Subscript(subject, ast.Constant(at), ast.Load()), inner, tests, names)

    def alternatives(
        self,
        subject: ast.expr,
        patterns: list[ast.pattern],
        tests: list[ast.expr],
        names: list[tuple[str, ast.expr]],
    ) -> None:
        """One of several patterns, which bind the same names: each to what the first that fits says."""
        found: list[tuple[ast.expr, dict[str, ast.expr]]] = []
        for pattern in patterns:
            own_tests, own_names = list[ast.expr](), list[tuple[str, ast.expr]]()
            self.pattern(subject, pattern, own_tests, own_names)
            fits = ast.BoolOp(ast.And(), own_tests) if len(own_tests) > 1 else (*own_tests, ast.Constant(True))[0]
            found.append((fits, dict(own_names)))
        tests.append(ast.BoolOp(ast.Or(), [fits for fits, _ in found]))
        *others, (_, last) = found
        for name, value in last.items():
            for fits, own in reversed(others):
                if ast.dump(own[name]) != ast.dump(value):
                    value = ast.IfExp(copy.deepcopy(fits), own[name], value)
            names.append((name, value))


def _without(subject: ast.expr, keys: list[ast.expr]) -> ast.expr:
    """What a dict holds beside some keys."""
    items = ast.Call(ast.Attribute(subject, "items", ast.Load()), [], [])
    pair = ast.Tuple([ast.Name("$key", ast.Store()), ast.Name("$item", ast.Store())], ast.Store())
    other = ast.Compare(ast.Name("$key", ast.Load()), [ast.NotIn()], [ast.Tuple(keys, ast.Load())])
    loop = ast.comprehension(pair, items, [other], 0)
    return ast.DictComp(ast.Name("$key", ast.Load()), ast.Name("$item", ast.Load()), [loop])


def _is_instance(subject: ast.expr, cls: ast.expr) -> ast.expr:
    return ast.Call(ast.Name("isinstance", ast.Load()), [subject, cls], [])


def _bound(name: str, value: ast.expr) -> ast.expr:
    """A condition that holds, and binds a name."""
    made = ast.Compare(ast.NamedExpr(ast.Name(name, ast.Store()), value), [ast.Is()], [ast.Constant(None)])
    return ast.BoolOp(ast.Or(), [made, ast.Constant(True)])
