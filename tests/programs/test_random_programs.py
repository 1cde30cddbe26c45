"""Random structured programs: plain Python, the interpreter and native code do the same; gradients equal differences.

Every second program becomes machine code, the others end at the graph that this is made of. `make fuzz` runs as many
more as wanted.
"""

from __future__ import annotations

import pytest

from tests.cuda_shim.shim_device import MISSING
from tests.cuda_shim.stand_in import stand_in
from tests.gpu import has_gpu
from tests.programs.differential import Depth, judge
from tests.programs.generate import generate

pytestmark = pytest.mark.compiled

PROGRAMS = 400
BATCH = 50


@pytest.mark.parametrize("first", range(0, PROGRAMS, BATCH))
def test_programs_do_the_same(first, tmp_path):
    for seed in range(first, first + BATCH):
        program = generate(seed, size=1)
        depth = Depth.FINAL if seed % 2 else Depth.NATIVE
        failure = judge(program.source, seed, program.gradient, tmp_path, depth)
        if failure is not None:
            raise AssertionError(f"seed {seed}: {failure.key}\n{program.source}") from failure.error


@pytest.mark.gpu
@pytest.mark.skipif(not has_gpu(), reason="needs CuPy and a GPU")
@pytest.mark.parametrize("first", range(0, 80, 10))
def test_programs_do_the_same_on_a_gpu(first, tmp_path):
    for seed in range(first, first + 10):
        program = generate(seed, size=1 + seed % 2)
        failure = judge(program.source, seed, program.gradient, tmp_path, device="cuda")
        if failure is not None:
            raise AssertionError(f"seed {seed}: {failure.key}\n{program.source}") from failure.error


@pytest.mark.skipif(bool(MISSING), reason=MISSING or "-")
def test_programs_do_the_same_as_on_a_gpu(tmp_path):
    with stand_in(tmp_path):
        for seed in range(36, 41):  # branches with loops over launches are among them
            program = generate(seed, size=1 + seed % 2)
            failure = judge(program.source, seed, program.gradient, tmp_path, device="cuda")
            if failure is not None:
                raise AssertionError(f"seed {seed}: {failure.key}\n{program.source}") from failure.error
