"""Times and memory of whole processes: import, peak memory, and first results: with nothing on the disk, where another
program ran before, and from the disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from statistics import median
from typing import Any

_FIRST_RESULT = """
import json, time
import numpy as np
import llvmlite.binding
import tracejit as tj, tracejit.scripted, tracejit.transformations.gradients, tracejit.runtime.cpu
from benchmarks import inputs
from {module} import {program}
x, y, w1, w2 = map(tj.tensor, inputs.network(64))
w1.requires_grad_(); w2.requires_grad_()
vectors, sequence = inputs.pointwise(1000), inputs.recurrent(100, 1, 64)
start = time.perf_counter()
{body}
print(json.dumps(time.perf_counter() - start))
"""

_DEMO = "tracejit.demo.programs"

#: From the decorator to the first result: module, function, call.
_BODIES = {
    "pointwise": ("benchmarks.pointwise", "heavy", "tj.script(heavy)(*vectors)"),
    "network": (_DEMO, "network", "tj.script(network)(x, w1.detach(), w2.detach())"),
    "network with gradient": (_DEMO, "network", "(tj.script(network)(x, w1, w2) - y).pow(2).sum().backward()"),
    "training step": (_DEMO, "train_step", "tj.script(train_step)(x, y, w1, w2, 1e-6)"),
    "LSTM, T=100, with gradient": (
        *("benchmarks.recurrent", "lstm"),
        "tj.value_and_grad(lstm, argnums=(3, 4, 5))(*sequence)",
    ),
}

#: Another program, which leaves behind what programs of a machine share: products, threads, support.
_ANOTHER = """
import json
import numpy as np
import tracejit as tj
from benchmarks.products import product
a = tj.tensor(np.ones((64, 64), np.float32), requires_grad=True)
tj.script(product)(a, a).sum().backward()
print(json.dumps(0))
"""

#: The most memory beyond what was there before, in MiB (Linux keeps the mark and can reset it).
_PEAK = """
import json, re
from pathlib import Path
import numpy as np
import tracejit as tj
from benchmarks.inputs import pointwise
from benchmarks.pointwise import heavy, heavy_numpy
x, w, b = pointwise(10_000_000)
fn = {fn}
fn(x[:2], w[:2], b[:2])
def kib(name):
    return int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
Path("/proc/self/clear_refs").write_text("5")
before = kib("VmRSS")
for _ in range(3):
    y = fn(x, w, b)
print(json.dumps((kib("VmHWM") - before) / 1024))
"""


def measure_startup(rounds: int = 5) -> dict[str, Any]:
    """All figures: seconds, and MiB for memory."""
    found: dict[str, Any] = {"import": _import_times(rounds), "first result": {}, "peak memory MiB": {}}
    for name, (module, program, body) in _BODIES.items():
        code = _FIRST_RESULT.format(module=module, program=program, body=body)
        cold = [_run(code, _fresh_cache()) for _ in range(rounds)]
        others = [_fresh_cache(_ANOTHER) for _ in range(rounds)]
        second = [_run(code, cache) for cache in others]
        cache = _fresh_cache(code)
        warm = [_run(code, cache) for _ in range(rounds)]
        found["first result"][name] = {"cold": median(cold), "second": median(second), "warm": median(warm)}
    if sys.platform == "linux":
        for name, fn in (("numpy", "heavy_numpy"), ("compiled", "tj.script(heavy)")):
            found["peak memory MiB"][name] = median(_run(_PEAK.format(fn=fn), {}) for _ in range(3))
    return found


def _import_times(rounds: int) -> dict[str, float]:
    clock = "time.perf_counter()"
    code = f"import json, time; start = {clock}; import {{module}}; print(json.dumps({clock} - start))"
    modules = ("numpy", "tracejit")
    for module in modules:
        _run(code.format(module=module), {})  # writes the bytecode where there was none
    return {m: median(_run(code.format(module=m), {}) for _ in range(rounds)) for m in modules}


def _fresh_cache(first: str = "") -> dict[str, str]:
    """An empty cache, or that which some code leaves."""
    cache = {"TRACEJIT_CACHE_DIR": tempfile.mkdtemp(prefix="tracejit-bench-")}
    if first:
        _run(first, cache)
    return cache


def _run(code: str, environment: dict[str, str]) -> float:
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}  # users keep their bytecode
    done = subprocess.run(
        [sys.executable, "-c", code], env=inherited | environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])
