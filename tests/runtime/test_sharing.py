"""Which loops threads of the pool are made for, and that results do not show it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import tracejit as tj
from tests.threads import each_number_of_threads

THREADS = """
import json
import os
import threading
import time

import numpy as np

import tracejit as tj
from tests.runtime.test_sharing import sweeps
from tracejit.runtime.dispatch import is_available

def threads():
    return len(os.listdir("/proc/self/task"))

u = np.random.default_rng(0).random((512, 512), dtype=np.float32)
sweeps(u, 1)
is_available()  # what calls need is made in a thread of its own
for thread in threading.enumerate()[1:]:
    thread.join()
time.sleep(0.2)  # until the system has forgotten them
before = threads()
found = []
for trips in (1, 1, 400):
    sweeps(u, trips)
    found.append(threads() - before)
print(json.dumps(found))
"""


@tj.script
def sweeps(u, n):
    v = u.copy()
    for _ in range(n):
        v[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
        u, v = v, u
    return u


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.compiled
def test_many_small_launches_in_a_row_make_a_thread() -> None:
    """One sweep is too little to wake a thread for; of many in a row the later ones are shared."""
    environment = os.environ | {"TRACEJIT_NUM_THREADS": "2", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, check=True, env=environment)
    assert json.loads(done.stdout) == [0, 0, 1]


def test_shared_sweeps_have_the_same_bits() -> None:
    u = np.random.default_rng(1).random((512, 512), dtype=np.float32)
    with each_number_of_threads(1, 2, 4) as counts:
        found = [sweeps(u.copy(), 100) for _ in counts for _ in range(3)]
    expected, v = u.copy(), u.copy()
    for _ in range(100):
        v[1:-1, 1:-1] = np.float32(0.25) * (
            expected[:-2, 1:-1] + expected[2:, 1:-1] + expected[1:-1, :-2] + expected[1:-1, 2:]
        )
        expected, v = v, expected
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])
