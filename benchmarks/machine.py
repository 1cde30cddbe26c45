"""The limits of this machine: copying, multiplying, calling. Everything else is read against them."""

from __future__ import annotations

import os
import platform
from typing import Any

import numpy as np

from benchmarks.measure import local_case, measure


def limits(seconds: float) -> dict[str, Any]:
    """Copy bandwidth in GB/s, sgemm in GFLOP/s, a builtin call in ns."""
    source = np.ones(25_000_000, np.float32)
    target = np.empty_like(source)
    a = np.ones((1024, 1024), np.float32)
    out = np.empty_like(a)
    case = local_case(
        "machine",
        "limits",
        {"copy": lambda: np.copyto(target, source), "sgemm": lambda: np.matmul(a, a, out=out), "call": lambda: len(a)},
    )
    found = measure(case, seconds).seconds
    return {
        "copy_gb_per_s": 2 * source.nbytes / found["copy"] / 1e9,
        "sgemm_gflops": 2 * 1024**3 / found["sgemm"] / 1e9,
        "call_ns": found["call"] * 1e9,
    }


def description() -> dict[str, Any]:
    """What the figures belong to."""
    import llvmlite.binding as llvm

    import tracejit

    return {
        "processor": llvm.get_host_cpu_name(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "llvm": ".".join(map(str, llvm.llvm_version_info)),
        "tracejit": tracejit.__version__,
    }
