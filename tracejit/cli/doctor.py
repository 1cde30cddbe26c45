"""`python -m tracejit doctor`: what this machine offers, and what is missing for which feature."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from tracejit import config
from tracejit.records import record

State = Literal["ok", "missing", "broken"]
_MARKS: dict[State, str] = {"ok": "ok", "missing": "--", "broken": "!!"}


@record
class Finding:
    """One line of the report. `missing` features are optional, `broken` ones are not."""

    name: str
    state: State
    text: str


def run() -> int:
    """Print the report; 1 where something needed does not work."""
    findings = list(_findings())
    width = max(len(f.name) for f in findings)
    for found in findings:
        print(f"{_MARKS[found.state]:3} {found.name:{width}}  {found.text}")
    return 1 if any(f.state == "broken" for f in findings) else 0


def _findings() -> Iterator[Finding]:
    yield Finding(
        "python", "ok", f"{platform.python_implementation()} {platform.python_version()} on {platform.platform()}"
    )
    checks: dict[str, Callable[[], Finding]] = {
        "numpy": _numpy,
        "llvm": _llvm,
        "compiler": _compiler,
        "fast calls": _fast_calls,
        "blas": _blas,
        "shared code": _shared_code,
        "cache": _cache,
        "linker": _linker,
        "cuda": _cuda,
    }
    for name, check in checks.items():
        try:
            yield check()
        except Exception as error:
            yield Finding(name, "broken", f"{type(error).__name__}: {error}")
    for name, setting in config.SETTINGS.items():
        if setting.variable in os.environ:
            yield Finding(setting.variable, "ok", f"{config.get(name)} ({setting.doc})")


def _numpy() -> Finding:
    import numpy as np

    return Finding("numpy", "ok", np.__version__)


def _llvm() -> Finding:
    import llvmlite
    import llvmlite.binding as llvm

    version = ".".join(map(str, llvm.llvm_version_info))
    return Finding("llvm", "ok", f"{version} (llvmlite {llvmlite.__version__}), processor {llvm.get_host_cpu_name()}")


def _compiler() -> Finding:
    """Compiles and runs a small function."""
    import numpy as np

    from tracejit.ir.parser import parse
    from tracejit.scripted.compiler import compile_graph

    graph = parse("graph @probe(%x: f64[n]) on cpu {\n  %y = mul(%x, %x) : f64[n]\n  yield %y\n}\n")
    (result,) = compile_graph(graph)([np.arange(3.0)])
    works = result.tolist() == [0.0, 1.0, 4.0]
    return Finding(
        "compiler", "ok" if works else "broken", "a small function compiles and runs" if works else f"gave {result}"
    )


def _fast_calls() -> Finding:
    from tracejit.runtime.dispatch import is_available

    if is_available():
        return Finding("fast calls", "ok", "calls enter native code directly")
    return Finding(
        "fast calls", "missing", f"not on this interpreter ({sys.version.split()[0]}): calls go through Python"
    )


def _blas() -> Finding:
    from tracejit.runtime.blas import find_blas

    found = find_blas()
    if found is None:
        return Finding("blas", "missing", "none found in NumPy: matrix products use own kernels")
    return Finding("blas", "ok", found.path)


def _shared_code() -> Finding:
    from tracejit.runtime.engine import engine

    shipped = engine().shipped
    if shipped.is_whole:
        return Finding("shared code", "ok", f"{len(shipped)} objects came with the package: {shipped.path}")
    lacks = "a part of it is damaged" if len(shipped) else "it did not come with the package"
    return Finding("shared code", "missing", f"this machine compiles it once: {lacks}: {shipped.path}")


def _cache() -> Finding:
    from tracejit.runtime import cache

    folder = cache.folder()
    count, size = cache.usage()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Finding(
            "cache", "missing", f"{folder} cannot be written ({error.strerror}): everything is compiled anew"
        )
    return Finding("cache", "ok", f"{folder}: {count} entries, {size / 1e6:.1f} MB")


def _linker() -> Finding:
    for name in (os.environ.get("CC", "").split(" ")[0], "cc", "gcc", "clang", "ld", "ld.lld"):
        found = shutil.which(name) if name else None
        if found:
            return Finding("linker", "ok", found)
    return Finding("linker", "missing", "no cc, gcc, clang, ld: export writes .o and .a, not .so")


def _cuda() -> Finding:
    if importlib.util.find_spec("cupy") is None:
        return Finding("cuda", "missing", "CuPy is not installed (extra: tracejit[cuda])")
    import cupy

    if not cupy.is_available():
        return Finding("cuda", "missing", f"CuPy {cupy.__version__} finds no device")
    name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    return Finding("cuda", "ok", f"{name}, CuPy {cupy.__version__}")


def cache_command(action: str) -> int:
    """`cache info` and `cache clear`."""
    from tracejit.runtime import cache

    if action == "clear":
        print(f"{cache.clear()} entries deleted from {Path(cache.folder())}")
        return 0
    count, size = cache.usage()
    print(f"{cache.folder()}: {count} entries, {size / 1e6:.1f} MB (at most {cache.LIMIT / 1e6:.0f} MB are kept)")
    return 0
