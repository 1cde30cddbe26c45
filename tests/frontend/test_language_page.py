"""The language page is the language: every row of its tables compiles, or is refused, as it says.

`pytest --update-golden` writes the tables of `docs/language.md` anew.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.programs.compare import check
from tracejit import script
from tracejit.errors import ScriptError
from tracejit.frontend import language
from tracejit.frontend.language import Construct

PAGE = Path(__file__).parents[2] / "docs" / "language.md"
SUPPORTED = [*language.STATEMENTS, *language.EXPRESSIONS, *language.VALUES]
HEADER = """
class Pair:
    def __init__(self, a, b):
        self.a = a
        self.b = b

    def __add__(self, other):
        return Pair(self.a + other.a, self.b + other.b)

    def total(self):
        return self.a + self.b


class Triple(Pair):
    def total(self):
        return super().total() + 1

"""

#: Syntax that no program can show by itself.
UNSHOWN = {"TypeAlias", "TypeVar", "Interactive", "Expression", "FunctionType", "TemplateStr", "Interpolation"}


def function_of(row: Construct, directory: Path) -> Callable[..., Any]:
    """The program of a row as a function in a file."""
    path = directory / "program.py"
    path.write_text(HEADER + "\ndef program(x, n):\n" + textwrap.indent(row.program, "    ") + "\n")
    spec = importlib.util.spec_from_file_location("program", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.program


@pytest.mark.parametrize("row", SUPPORTED, ids=[r.name[:40] for r in SUPPORTED])
def test_what_is_listed_compiles(row: Construct, tmp_path: Path) -> None:
    program = function_of(row, tmp_path)
    program(1.5, 4)  # `check` takes an error that both raise for agreement; a row that shows what compiles raises none
    scripted = check(program, 1.5, 4)
    check(program, -2.5, 1, scripted=scripted)


@pytest.mark.parametrize("row", language.REFUSED, ids=[r.name[:40] for r in language.REFUSED])
def test_what_is_listed_as_refused_is_refused(row: Construct, tmp_path: Path) -> None:
    program = function_of(row, tmp_path)
    with pytest.raises(ScriptError) as caught:
        script(program)(1.5, 4)
    assert caught.value.instead


def test_every_piece_of_syntax_is_listed() -> None:
    kinds = (ast.stmt, ast.expr, ast.pattern, ast.operator, ast.unaryop, ast.cmpop, ast.boolop)
    every = {c.__name__ for c in vars(ast).values() if isinstance(c, type) and issubclass(c, kinds) and c not in kinds}
    every -= UNSHOWN | {"Num", "Str", "Bytes", "NameConstant", "Ellipsis"}
    programs = [textwrap.indent(r.program, "    ") for r in [*SUPPORTED, *language.REFUSED]]
    found = {type(node).__name__ for p in programs for node in ast.walk(ast.parse("def f(x, n):\n" + p))}
    operators = {
        "MatMult",
        "BitAnd",
        "BitOr",
        "BitXor",
        "LShift",
        "RShift",
        "LtE",
        "GtE",
        "NotEq",
        "NotIn",
        "IsNot",
        "UAdd",
    }
    operators |= {"Div", "FloorDiv", "Mod", "Pow"}
    assert every - found - operators == set()


def test_page_shows_the_tables(update_golden: bool) -> None:
    text = PAGE.read_text()
    for name, table in language.tables().items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        assert pattern.search(text), f"docs/language.md has no place for {name}"
        text = pattern.sub(lambda m, t=table: m[1] + t + m[2], text)
    if update_golden:
        PAGE.write_text(text)
    assert text == PAGE.read_text(), "pytest --update-golden tests/frontend/test_language_page.py"
