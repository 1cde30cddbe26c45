"""Parts of the matrix products that a process links when a product first asks for one, from inside native code."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import time

import pytest

from tracejit.runtime.interrupts import put_address

PROGRAM = """
import sys
import numpy as np
import tracejit as tj
from tracejit.runtime import errands

product = tj.script(lambda a, b: a @ b)

def inputs(m, k, n, dtype):
    return np.ones((m, k), dtype), np.ones((k, n), dtype)

def deepest(a, b):
    try:
        return deepest(a, b)
    except RecursionError:
        return product(a, b)

def refuse(frame, event, arg):
    if frame.f_code.co_name == "_resolved":
        raise ValueError("as from the handler of a signal")

for dtype in (np.float64, np.float32):
    product(*inputs(16, 12, 24, dtype))
errands.wait_for_all()  # the native call path is made: to make it at the last call left is another error
print(deepest(*inputs(300, 2000, 900, np.float64))[0, 0])
a, b = inputs(300, 2000, 900, np.float32)
sys.setprofile(refuse)
made = product(a, b)
assert sys.getprofile() is None, "no part was asked for"
print(made[0, 0], sys.getrecursionlimit())
"""


def test_a_part_is_found_whatever_python_can_still_do() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()) == (0, ["2000.0", "2000.0", str(sys.getrecursionlimit())])
    assert done.stderr.count("as from the handler of a signal") == 1, done.stderr


REFUSED = """
import numpy as np
import tracejit as tj
from tracejit.runtime.engine import Engine

def refused(*arguments):
    raise OSError("no part today")

Engine._part = refused
tj.script(lambda a, b: a @ b)(np.ones((300, 2000)), np.ones((2000, 900)))
"""


def test_a_process_ends_where_a_part_cannot_be_had() -> None:
    done = subprocess.run([sys.executable, "-c", REFUSED], capture_output=True, text=True, timeout=60)
    assert done.returncode not in (0, 1)
    assert "no part today" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("tracejit: a running program cannot go on without this")


def test_an_interrupt_comes_once_the_part_is_there() -> None:
    place, attempts = ctypes.c_void_p(), 0

    def find() -> int:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            signal.raise_signal(signal.SIGINT)
        time.sleep(0.05)
        return 7

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it for what runs behind them
    try:
        with pytest.raises(KeyboardInterrupt):
            put_address(ctypes.addressof(place), find)
            time.sleep(10)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (place.value, attempts) == (7, 2)


POOL = """
import sys
import numpy as np
import tracejit as tj

asked = 0

def note(frame, event, arg):
    global asked
    asked += event == "call" and frame.f_code.co_name == "_resolved"

f = tj.script(lambda x: np.tanh(x) * x + 1)
small, large = np.linspace(0, 1, 4_000), np.linspace(0, 1, 1_000_000)
sys.setprofile(note)
first = f(small)
print(asked)
for _ in range(int(sys.argv[1])):
    again = f(small)
    whole = f(large)
print(asked, (first == again).all(), np.allclose(whole, np.tanh(large) * large + 1))
"""


def test_a_process_has_the_pool_once_there_is_work_for_it() -> None:
    for calls, expected in (("100", "0 1 True True"), ("1", "0 0 True True")):
        done = subprocess.run([sys.executable, "-c", POOL, calls], capture_output=True, text=True)
        assert done.stdout.split() == expected.split(), done.stderr


TURNED = """
import numpy as np
import tracejit as tj

product = tj.script(lambda a, b: a @ b.T)
rng = np.random.default_rng(0)
for m, n, k in ((150, 900, 5), (150, 900, 2000), (1, 2100, 2100)):
    a, b = rng.normal(size=(m, k)), rng.normal(size=(n, k))
    print(np.allclose(product(a, b), a @ b.T))
"""


def test_a_transposed_factor_is_turned_by_code_found_before_threads_need_it() -> None:
    done = subprocess.run([sys.executable, "-c", TURNED], capture_output=True, text=True, timeout=100)
    assert (done.stdout.split(), done.stderr) == (["True"] * 3, "")
