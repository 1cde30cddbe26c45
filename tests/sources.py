"""Functions of texts that tests write: scripts find their source as they find that of a file."""

from __future__ import annotations

import linecache
from typing import Any


def defined(text: str, file: str, **names: Any) -> dict[str, Any]:
    """What a module of that text defines beside the names that it is given; `file` is its name in tracebacks."""
    linecache.cache[file] = len(text), None, text.splitlines(True), file
    exec(compile(text, file, "exec"), names)
    return names
