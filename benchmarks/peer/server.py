"""The peers' side: PyTorch, JAX and Numba versions of the cases, measured on request.

Runs in an environment that has these libraries and need not have tracejit; what it imports of this project imports
NumPy only. Names of cases are those of the other modules. Questions and answers are lines of JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

FRAMEWORKS = ("torch", "jax", "numba")


def limit_threads(threads: str) -> None:
    """Must run before any of the frameworks is imported."""
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[variable] = threads
    if threads == "1":
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


class Server:
    """The cases that the frameworks of this environment have. One is made when it is first asked for."""

    def __init__(self, threads: int) -> None:
        self.makers: dict[tuple[str, str], Callable[[], Callable[[], Any]]] = {}
        self.made: dict[tuple[str, str], Callable[[], Any]] = {}
        for framework in FRAMEWORKS:
            try:
                module = importlib.import_module(f"benchmarks.peer.{framework}_cases")
            except ImportError as error:
                print(f"peers: {error}", file=sys.stderr)
                continue
            for variant, name, maker in module.cases(threads):
                self.makers[name, variant] = maker

    def answer(self, question: dict[str, Any]) -> Any:
        """The frameworks of each case; or the fingerprint of one's result; or its mean seconds per call."""
        if "list" in question:
            known: dict[str, list[str]] = {}
            for name, variant in self.makers:
                known.setdefault(name, []).append(variant)
            return known
        key = question["case"], question["framework"]
        if key not in self.made:
            self.made[key] = self.makers[key]()
        fn = self.made[key]
        if "repeats" not in question:
            from benchmarks.fingerprint import fingerprint

            return fingerprint(fn())
        start = time.perf_counter()
        for _ in range(question["repeats"]):
            fn()
        return (time.perf_counter() - start) / question["repeats"]


def main() -> None:
    threads = sys.argv[1] if len(sys.argv) > 1 else "1"
    limit_threads(threads)
    server = Server(int(threads))
    for line in sys.stdin:
        try:
            reply = {"value": server.answer(json.loads(line))}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
