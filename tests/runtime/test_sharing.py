"""Which loops threads of the pool are made for, and that results do not show it."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.threads import each_number_of_threads
from tracejit.codegen.support.sharing import ASKED, PRODUCT_CHUNK, PRODUCT_WORK
from tracejit.runtime.engine import engine

BEGIN = """
import json
import os
import time

import numpy as np

import tracejit as tj
from tests.runtime.test_sharing import heavy, sweeps
from tracejit.runtime.dispatch import is_available
from tracejit.runtime.errands import wait_for_all

def threads():
    return {int(name) for name in os.listdir("/proc/self/task")}

u = np.random.default_rng(0).random((512, 512), dtype=np.float32)
sweeps(u, 1)
heavy(u[:2])
is_available()  # what calls need is made in a thread of its own
wait_for_all()
time.sleep(0.2)  # until the system has forgotten them
before = threads()
"""

THREADS = """
found = []
for trips in (1, 1, 400):
    sweeps(u, trips)
    found.append(len(threads() - before))
print(json.dumps(found))
"""

CORES = """
for _ in range(200):  # until there is a pool
    heavy(u)
(worker,) = threads() - before
allowed = os.sched_getaffinity(0)
core = min(allowed)
os.sched_setaffinity(0, {core})
os.sched_setaffinity(worker, {core})
for _ in range(3):
    heavy(u)
    time.sleep(0.02)  # the worker looks for work
alone = os.sched_getaffinity(worker)
os.sched_setaffinity(0, allowed)
for _ in range(1000):  # until a call finds this thread where the worker is
    heavy(u)
    if os.sched_getaffinity(worker) != {core}:
        break
    time.sleep(0.001)
print(json.dumps([alone == {core}, len(allowed), len(allowed - os.sched_getaffinity(worker))]))
"""


def run_child(source: str) -> list[int]:
    """What a process with two threads prints."""
    environment = os.environ | {"TRACEJIT_NUM_THREADS": "2", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", BEGIN + source]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout)


@tj.script
def heavy(x):
    return np.tanh(x) * np.exp(x)


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
    assert run_child(THREADS) == [0, 0, 1]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.compiled
def test_a_worker_on_the_core_of_its_caller_is_moved() -> None:
    stays_on_the_only_core, cores, forbidden = run_child(CORES)
    assert stays_on_the_only_core
    assert forbidden == 1 if cores > 1 else not forbidden


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


def asked(name: str) -> Any:
    """A function of the pool: of a function, a record, and numbers."""
    functions = (ctypes.c_void_p * len(ASKED)).from_address(
        engine().rare("pool", ("tj_pool_functions",))["tj_pool_functions"]
    )
    kinds = [ctypes.c_void_p if kind == "ptr" else ctypes.c_int64 for kind in ASKED[name][1]]
    return ctypes.CFUNCTYPE(None, *kinds)(functions[list(ASKED).index(name)])


def chunks_of(launch: Any, threads: int, count: int, *rest: int) -> list[int]:
    """The lengths of the chunks in which trips are run, each once."""
    runs, lengths = np.zeros(count, np.int64), list[int]()

    def run(record: int, begin: int, end: int) -> None:
        runs[begin:end] += 1
        lengths.append(end - begin)

    with each_number_of_threads(threads) as counts:
        for _ in counts:
            launch(ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(run), None, count, *rest)
    assert (runs == 1).all()
    return lengths


@pytest.mark.parametrize(("threads", "tiles", "longest"), [(2, 125, 9), (3, 125, 7), (2, 128, 8)])
@pytest.mark.compiled
def test_chunks_of_a_product_leave_no_thread_much_more_than_the_others(threads: int, tiles: int, longest: int) -> None:
    """125 tiles in chunks of 11 would be 66 and 59, in chunks of 9 they are 63 and 62."""
    each = PRODUCT_CHUNK // 11 + 1
    assert tiles * each >= PRODUCT_WORK
    assert max(chunks_of(asked("tj_share_product"), threads, tiles, each, 1)) == longest


@pytest.mark.parametrize(
    ("count", "grain"), [(1, 1), (2, 1), (7, 3), (1000, 1), (65_536, 1), (70_001, 1), (300_000, 2)]
)
@pytest.mark.compiled
def test_each_trip_is_run_once_also_of_more_chunks_than_a_launch_has(count: int, grain: int) -> None:
    """The caller takes chunks from the front, the workers from the back."""
    launch = asked("tj_parallel_for")
    for threads in (1, 2, 5):
        assert max(chunks_of(launch, threads, count, grain)) == min(count, max(grain, count // 65_535 + 1))
