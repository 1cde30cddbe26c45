"""Loop programs as text: `golden/lower/*.tj` is lowered (with its gradient, where `GRADIENTS` asks for it) and
compared with the `.txt` beside it. `pytest --update-golden` rewrites that."""

from __future__ import annotations

from pathlib import Path

import pytest

import tracejit.ops  # noqa: F401
from tracejit.codegen.lowering.entry import lower
from tracejit.codegen.text import print_program
from tracejit.ir.parser import parse
from tracejit.transforms import pipeline
from tracejit.transforms.expand_gradient import value_and_grad_graph

FILES = sorted((Path(__file__).parent / "golden" / "lower").glob("*.tj"))
GRADIENTS = {"two_layers": (2, 3, 4)}


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_program_text(path: Path, update_golden: bool) -> None:
    graph = parse(path.read_text(encoding="utf-8"), path.name)
    if path.stem in GRADIENTS:
        graph = value_and_grad_graph(graph, GRADIENTS[path.stem])
    text = print_program(lower(pipeline.run(graph, (*pipeline.LEVEL1, *pipeline.LEVEL2))))
    golden = path.with_suffix(".txt")
    if update_golden:
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")
