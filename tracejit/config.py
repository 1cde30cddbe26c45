"""Settings: one table of names, `TRACEJIT_*` variables, types and defaults.

A setting is read at the moment it is needed, so that a changed environment variable counts at once.
`set(name, value)` overrides the environment for this process; `override` does so for a `with` block.
Nothing here imports the rest of the package.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tracejit.records import record

LOG_TOPICS = ("frontend", "passes", "fusion", "llvm", "asm", "cuda", "cache")


@record
class Setting:
    """One row of the table: `parse` turns the variable's text into the value."""

    variable: str
    parse: Callable[[str], Any]
    default: Callable[[], Any]
    doc: str


def _flag(text: str) -> bool:
    return text.strip().lower() not in ("", "0", "false", "no", "off")


def _topics(text: str) -> frozenset[str]:
    """Topics of `TRACEJIT_LOG`: those of `LOG_TOPICS`, `all`, or `after:<stage>`."""
    topics = {part.strip() for part in text.split(",") if part.strip()}
    for topic in topics:
        if topic != "all" and topic not in LOG_TOPICS and not topic.startswith("after:"):
            raise ValueError(f"unknown topic {topic!r}; known: {', '.join(LOG_TOPICS)}, all, after:<stage>")
    return frozenset(topics)


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise ValueError("a number of threads is an integer") from None
    if number < 1:
        raise ValueError(f"a number of threads is at least 1, got {number}")
    return number


def _folder(text: str) -> Path:
    if not text:
        raise ValueError("a folder has a name")
    return Path(text)


def _cpu_count() -> int:
    """Processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(len(os.sched_getaffinity(0)), 1)
    return os.cpu_count() or 1


def _cache_directory() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "tracejit"
    except RuntimeError:  # a user without a home: no folder can be made there
        return Path(os.devnull) / "tracejit"


SETTINGS: dict[str, Setting] = {
    "disable": Setting("TRACEJIT_DISABLE", _flag, lambda: False, "run every script as plain Python"),
    "log": Setting("TRACEJIT_LOG", _topics, frozenset, "what to print to stderr while compiling"),
    "cache_dir": Setting("TRACEJIT_CACHE_DIR", _folder, _cache_directory, "where compiled objects are kept"),
    "verify": Setting("TRACEJIT_VERIFY", _flag, lambda: False, "verify the graph after every transform"),
    "baseline": Setting(
        "TRACEJIT_BASELINE", _flag, lambda: True, "give first results by code that is compiled quickly"
    ),
    "num_threads": Setting("TRACEJIT_NUM_THREADS", _positive, _cpu_count, "threads of parallel loops"),
}

_overrides: dict[str, Any] = {}


def get(name: str) -> Any:
    """The value of a setting: the override, else the environment variable, else the default."""
    setting = _setting(name)
    if name in _overrides:
        return _overrides[name]
    text = os.environ.get(setting.variable)
    if not text:  # an empty variable is none
        return setting.default()
    try:
        return setting.parse(text)
    except ValueError as error:
        raise ValueError(f"{setting.variable}={text!r}: {error}") from None


def set(name: str, value: Any) -> None:
    """Override a setting for this process; `None` gives it back to the environment. Raises ValueError for what would
    be none in the variable either."""
    setting = _setting(name)
    if value is None:
        _overrides.pop(name, None)
    else:
        _overrides[name] = setting.parse(_as_text(name, value))


def _setting(name: str) -> Setting:
    if name not in SETTINGS:
        raise KeyError(f"unknown setting {name!r}; known: {', '.join(SETTINGS)}")
    return SETTINGS[name]


def _as_text(name: str, value: Any) -> str:
    if name == "cache_dir":
        if not isinstance(value, str | os.PathLike):
            raise ValueError(f"a folder is text or a path, got {value!r}")
        return os.fspath(value)
    return ",".join(value) if isinstance(value, AbstractSet | list | tuple) else str(value)


@contextmanager
def override(**values: Any) -> Iterator[None]:
    """Override settings inside a `with` block."""
    before = dict(_overrides)
    try:
        for name, value in values.items():
            set(name, value)
        yield
    finally:
        _overrides.clear()
        _overrides.update(before)


def logs(topic: str) -> bool:
    """Whether `TRACEJIT_LOG` asks for this topic."""
    topics = get("log")
    return topic in topics or ("all" in topics and not topic.startswith("after:"))


def log(topic: str, title: str, text: Callable[[], str] | str = "") -> None:
    """Show something about a topic on stderr, where `TRACEJIT_LOG` asks for it."""
    if logs(topic):
        shown = text if isinstance(text, str) else text()
        print(f"// {title}" + (f"\n{shown}" if shown else ""), file=sys.stderr)
