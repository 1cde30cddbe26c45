"""Random structured programs: plain Python, the interpreter and native code do the same; gradients equal differences.

`make fuzz` runs as many more as wanted.
"""

from __future__ import annotations

import pytest

from tests.programs.differential import judge
from tests.programs.generate import generate

PROGRAMS = 2000
BATCH = 50


@pytest.mark.parametrize("first", range(0, PROGRAMS, BATCH))
def test_programs_do_the_same(first, tmp_path):
    for seed in range(first, first + BATCH):
        program = generate(seed, size=1)
        failure = judge(program.source, seed, program.gradient, tmp_path)
        if failure is not None:
            raise AssertionError(f"seed {seed}: {failure.key}\n{program.source}") from failure.error
