"""Every scalar operation and cast on every dtype, as vector code for three kinds of machine.

Each group runs in a child process: what LLVM cannot translate ends the process, not the test run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tracejit.ir.types import DTYPES
from tracejit.runtime.machines import host_options

HERE = Path(__file__).parent
MACHINES = ["host"] + (["narrow", "middle"] if "+avx2" in host_options().features else [])


KINDS = ["bi", "u", "f"]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("kinds", KINDS)
def test_operations_and_casts_agree_with_numpy(kinds: str, machine: str) -> None:
    dtypes = [d.name for d in DTYPES if d.kind in kinds]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE.parent.parent), str(HERE)])}
    run = subprocess.run(
        [sys.executable, str(HERE / "check_scalars.py"), machine, *dtypes],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stdout + run.stderr
