"""Random programs that change what the caller gave them and raise at a step chosen at run time: what the caller sees
afterwards is what plain Python leaves."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.cuda_shim.shim_device import MISSING
from tests.cuda_shim.stand_in import stand_in
from tests.programs.compare import Outcome, observe, same
from tests.programs.effects import generate
from tests.programs.placed import host
from tracejit import ScriptError, script

PROGRAMS = 16
BATCH = 4
STEPS = (1, 2, 4, 100)


def load(source: str, folder: Path, seed: int) -> ModuleType:
    """A program's module."""
    path = folder / f"effects_{seed}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _seen(outcome: Outcome) -> list[Any]:
    """What the caller sees. Where paths and trips meet, numbers in lists and dicts become NumPy's."""
    thing, a, b, items, d, _ = outcome.arguments
    numbers = [np.asarray([float(v) for v in items]), float(d["f"]), float(thing.x), int(thing.n)]
    arrays = [host(x) for x in (thing.v, a, b, d["v"])]
    result = None if outcome.error is not None else float(outcome.result)
    return [type(outcome.error).__name__, outcome.output, result, *numbers, *arrays]


@pytest.mark.parametrize("first", range(0, PROGRAMS, BATCH))
def test_an_error_leaves_what_plain_python_leaves(first, tmp_path):
    for seed in range(first, first + BATCH):
        compare(seed, tmp_path)


@pytest.mark.skipif(bool(MISSING), reason=MISSING or "-")
@pytest.mark.compiled
def test_an_error_on_a_gpu_leaves_the_same(tmp_path):
    with stand_in(tmp_path) as module:
        for seed in range(2):
            compare(seed, tmp_path, module.asarray)


def compare(seed: int, folder: Path, place: Any = np.asarray) -> None:
    """Compare the calls of a program; `place` puts the arrays of the compiled ones where they run."""
    source = generate(seed, size=4)
    module = load(source, folder, seed)
    scripted = script(module.program)
    for k in STEPS:
        plain = observe(module.program, arguments(module, k, np.asarray))
        compiled = observe(scripted, arguments(module, k, place))
        if isinstance(compiled.error, ScriptError):
            raise AssertionError(f"seed {seed} is refused\n{source}") from compiled.error
        assert same(_seen(plain), _seen(compiled), 1e-9), f"seed {seed}, step {k}\n{source}"


def arguments(module: ModuleType, k: int, place: Any) -> tuple[Any, ...]:
    """What a program gets."""
    thing = module.Thing()
    thing.v = place(thing.v)
    a, b, ones = (place(np.array(x)) for x in ([3.0, 1, 2, 4, 0], [1.0, 5, 2, 2, 7], [1.0] * 5))
    return thing, a, b, [1.0, 2.0], {"f": 1.5, "v": ones}, k
