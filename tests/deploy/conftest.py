"""Exporting a graph and loading it again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from exported_graphs import program

from tracejit.deploy.artifact import write_program
from tracejit.deploy.load import NativeLibrary


@pytest.fixture(scope="session")
def export(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., NativeLibrary]:
    """Export a graph and load it again; equal graphs are exported once."""
    made: dict[str, Path] = {}

    def run(text: str, name: str = "model", **options: Any) -> NativeLibrary:
        key = json.dumps([text, name, sorted(options)])
        if key not in made:
            folder = tmp_path_factory.mktemp("export")
            made[key] = write_program(program(text), folder / f"{name}.so", **options)
        return NativeLibrary(made[key])

    return run
