"""The one-line programs of `tests/programs/lines`, each against plain Python."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.programs.line_programs import check_line, module_of, programs

TABLES = sorted((Path(__file__).parent / "lines").glob("*.txt"))
PROGRAMS = {path.stem: programs(path.read_text()) for path in TABLES}


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lines")
    return {name: module_of(lines, folder / f"{name}_lines.py") for name, lines in PROGRAMS.items()}


@pytest.mark.parametrize(
    ("table", "k"),
    [pytest.param(t, k, id=f"{t}: {line}") for t, lines in PROGRAMS.items() for k, line in enumerate(lines)],
)
def test_line(modules, table, k):
    check_line(PROGRAMS[table][k], getattr(modules[table], f"p{k}"))
