"""Programs that once failed and were made small (`python -m tests.programs.fuzz`)."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from tests.programs.differential import judge

FILES = sorted((Path(__file__).parent / "regressions").glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=[p.stem for p in FILES])
def test_program_does_the_same(path, tmp_path):
    facts = runpy.run_path(str(path))
    failure = judge(path.read_text(), facts["SEED"], facts["GRADIENT"], tmp_path)
    if failure is not None:
        raise failure.error
