"""Object code on disk, by content: what was compiled once is only linked afterwards.

A key is a digest of everything the code depends on, so an entry is never wrong, at most unused. Files are written
aside and renamed into place; a damaged, foreign or unreadable file counts as absent, and a folder that cannot be
written costs nothing but the saving. When the folder outgrows its bound the entries unused for longest are deleted.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy

from tracejit import config
from tracejit.locks import Lock
from tracejit.runtime import errands

_MAGIC = b"tracejit object 3\n"
_SUFFIX = ".tjo"

#: Bytes the folder may hold, and what is left after tidying.
LIMIT = 256 << 20
_TARGET = 192 << 20

#: Entries are counted when one in this many is written.
_TIDY_EVERY = 64

#: For so many seconds an entry is one of those that were used last: to note that each time makes the next reader wait,
#: for whom the file system notes it once more.
_KNOWN_AS_USED = 3600

_written = 0


def digest(*parts: str | bytes) -> str:
    """The key of an entry: parts are kept apart."""
    state = hashlib.blake2b(digest_size=20)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)
    return state.hexdigest()


#: A source file: the folder, its name, size and time in ns.
_File: TypeAlias = tuple[str, str, int, int]

#: Folders that are none of the sources.
_WITHOUT_SOURCES = "__pycache__", "objects"


def _sources() -> dict[str, list[_File]]:
    """The source files in each folder at the top of this package."""
    found: dict[str, list[_File]] = {}
    waiting = [("", str(Path(config.__file__).parent))]
    while waiting:
        inside, path = waiting.pop()
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.endswith(".py"):
                    status = entry.stat()
                    file = inside, entry.name, status.st_size, status.st_mtime_ns
                    found.setdefault(inside[: inside.find("/") + 1], []).append(file)
                elif entry.name not in _WITHOUT_SOURCES and entry.is_dir():
                    waiting.append((f"{inside}{entry.name}/", entry.path))
    return found


#: As they were when the compiler was imported: that is what compiles, whatever is written to them later.
_SOURCES = _sources()


class Sources(NamedTuple):
    """Some source files: a digest of their names, sizes and times, one of names and sizes only, and the time of the
    newest, in ns."""

    state: str
    sizes: str
    newest: int


@cache
def sources(*folders: str) -> Sources:
    """Those of some folders of this package, or of all."""
    files = sorted(file for folder in folders or _SOURCES for file in _SOURCES[folder])
    return Sources(digest(repr(files)), digest(repr([file[:3] for file in files])), max(file[3] for file in files))


@cache
def stamp(*folders: str) -> str:
    """Changes with the source files of this package, or of some of its folders, and with Python and NumPy."""
    return digest(sys.version, numpy.__version__, sources(*folders).state)


def packed(parts: Sequence[bytes]) -> bytes:
    """Several objects as one entry."""
    return b"".join(len(part).to_bytes(8, "little") + part for part in parts)


def unpacked(data: bytes) -> list[bytes]:
    """The objects of an entry."""
    parts: list[bytes] = []
    at = 0
    while at < len(data):
        end = at + 8 + int.from_bytes(data[at : at + 8], "little")
        parts.append(data[at + 8 : end])
        at = end
    return parts


def folder() -> Path:
    """Where entries are."""
    return Path(config.get("cache_dir")) / "objects"


def has(key: str) -> bool:
    """Whether there is a file for a key, or will be."""
    path = _path(key)
    try:
        return path in _waiting or path.exists()
    except OSError:  # the folder may not be looked into
        return False


def load(key: str) -> bytes | None:
    """The object of a key, or None."""
    path = _path(key)
    waiting = _waiting.get(path)
    if waiting is not None:
        return waiting
    try:
        with path.open("rb", buffering=0) as file:
            written = os.fstat(file.fileno()).st_mtime
            data = file.read()
    except OSError:
        return None
    body = _checked(path, data)
    if body is not None and not 0 <= time.time() - written < _KNOWN_AS_USED:
        _touch(path)
    return body


def store(key: str, body: bytes) -> None:
    """Keep an object; failing to is no error. Another thread writes it, so that nobody waits for the disk; the end of
    the process does."""
    global _has_writer
    with _lock:
        _waiting[_path(key)] = body
        if not _has_writer:
            _has_writer = errands.begin(_write_all) is not None
        if _has_writer:
            return
    _write_all()


def flush() -> None:
    """Wait until everything is written."""
    _write_all()


_lock = Lock()
_waiting: dict[Path, bytes] = {}  #: what is to be written
_has_writer = False  #: whether a thread was asked to write it
_writing = Lock()


def _write_all() -> None:
    global _has_writer
    with _writing:
        while True:
            with _lock:
                if not _waiting:
                    _has_writer = False
                    return
                path, body = next(iter(_waiting.items()))
            _write(path, body)
            with _lock:
                if _waiting.get(path) is body:
                    del _waiting[path]


def _forget_writer() -> None:
    """In a forked child: there is no other thread, and the parent writes what waits."""
    global _has_writer
    _has_writer = False
    _waiting.clear()


errands.at_end(flush)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_writer)


def _write(path: Path, body: bytes) -> None:
    global _written
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix="new-")
    except OSError:
        return
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_MAGIC + _checksum(path, body) + body)
        os.replace(name, path)
    except OSError:
        _remove(Path(name))
        return
    _written += 1
    if _written % _TIDY_EVERY == 1:
        tidy()


def tidy(limit: int = LIMIT, target: int = _TARGET) -> None:
    """Delete the entries unused for longest where the folder holds more than `limit` bytes, down to `target`."""
    entries = sorted(_entries())
    total = sum(size for _, size, _ in entries)
    if total <= limit:
        return
    for _, size, path in entries:
        if total <= target:
            return
        _remove(path)
        total -= size


def clear() -> int:
    """Delete all entries; how many there were."""
    flush()
    entries = _entries()
    for _, _, path in entries:
        _remove(path)
    return len(entries)


def usage() -> tuple[int, int]:
    """The number of entries and their bytes."""
    flush()
    entries = _entries()
    return len(entries), sum(size for _, size, _ in entries)


def _path(key: str) -> Path:
    return Path(folder(), key[:2], key[2:] + _SUFFIX)


def _checksum(path: Path, body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16, key=path.stem.encode()).digest()


def _checked(path: Path, data: bytes) -> bytes | None:
    start = len(_MAGIC) + 16
    if not data.startswith(_MAGIC):
        return None
    body = data[start:]
    return body if _checksum(path, body) == data[len(_MAGIC) : start] else None


def _entries() -> list[tuple[float, int, Path]]:
    """Time of last use, bytes and path of every entry."""
    found: list[tuple[float, int, Path]] = []
    try:
        paths = list(folder().glob(f"*/*{_SUFFIX}"))
    except OSError:
        return []
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            continue
        found.append((status.st_mtime, status.st_size, path))
    return found


def _touch(path: Path) -> None:
    try:
        os.utime(path)
    except OSError:
        return


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError:
        return
