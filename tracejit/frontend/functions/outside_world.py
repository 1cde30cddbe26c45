"""Functions that reach beyond a script's values: files, clocks, logs, processes, code in text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_FILES = "a script reads and writes no files", "read before its call and pass the arrays, write what it returns"
_TIME = "a script cannot ask for the time", "take the time around its calls"
_LOG = "a script writes to sys.stdout only, by print", "print(...), or log what it returns"
_PROCESS = "a script has no hand in processes and threads", "do it outside the script"
_SYSTEM = "a script does not reach the operating system", "call it outside, and pass what it gives"
_CODE = "code in text is not compiled", "write it as code"
_NAMES = "the names of a script's values are not there when it runs", "leave it out, or name the values: {'x': x}"

#: Reasons, with what to do instead, by the names of Python's builtins, and by modules.
_BUILTINS: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("eval", "exec", "compile", "__import__"), _CODE),
    **dict.fromkeys(("locals", "globals", "dir"), _NAMES),
    "id": ("what a script computes with has no address", "compare with `is` or =="),
    "input": ("a script cannot ask for input", "ask before its call, and pass the answer"),
    "open": _FILES,
    **dict.fromkeys(("exit", "quit"), ("a script cannot end the process", "raise an exception, or return")),
}
_MODULES: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("time", "datetime", "_datetime"), _TIME),
    **dict.fromkeys(("io", "_io", "pathlib", "pickle", "_pickle", "shutil", "tempfile", "csv", "_csv"), _FILES),
    "logging": _LOG,
    **dict.fromkeys(("posix", "nt", "os", "posixpath"), _SYSTEM),
    **dict.fromkeys(
        ("subprocess", "signal", "threading", "_thread", "multiprocessing", "concurrent", "asyncio"), _PROCESS
    ),
}
#: Those of them that are written in Python, which would be compiled and fail somewhere inside.
_IN_PYTHON = frozenset(
    ("logging", "threading", "multiprocessing", "subprocess", "concurrent", "asyncio", "tempfile", "shutil", "pathlib")
)
_NUMPYS: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys("save savez savez_compressed savetxt load loadtxt genfromtxt fromfile memmap".split(), _FILES),
    "set_printoptions": ("how arrays are shown is set for the whole process", "set it before the script's call"),
}


def beyond_scripts(fn: Any) -> tuple[str, str] | None:
    """Why a function that reaches beyond a script's values cannot be called, and what to do instead; None for
    others."""
    owner = getattr(fn, "__self__", None)
    kind = owner if isinstance(owner, type) else type(owner)
    modules = [str(getattr(x, "__module__", "")).split(".")[0] for x in (fn, kind)]
    name = str(getattr(fn, "__name__", ""))
    if "sys" in modules and name == "exit":
        return _BUILTINS["exit"]
    if modules[0] in ("builtins", "_io", "_sitebuiltins") and name in _BUILTINS:
        return _BUILTINS[name]
    if modules[0] == "time" and name == "sleep":
        return "a script does not wait", "wait outside the script"
    if modules[0] == "numpy" and name in _NUMPYS:
        return _NUMPYS[name]
    if "_io" in modules and name in ("write", "writelines", "flush"):
        return _LOG
    return next((_MODULES[module] for module in modules if module in _MODULES), None)


def library_beyond_scripts(fn: Any) -> tuple[str, str] | None:
    """The same of a function or class that is written in Python."""
    module = str(getattr(fn, "__module__", "")).split(".")[0]
    return _MODULES[module] if module in _IN_PYTHON else None
