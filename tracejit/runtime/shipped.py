"""Object code that comes with the package: what all programs share, compiled where the package was built.

A file holds it for the machines of one level (`machines.LEVELS`). What is found there needs no compiler; where a file
is missing, damaged or of other sources than those that are there, programs compile what they need. Of sources in place
every change is seen; of an installed package, whose files have other times than those that were packed, one that
changes a size, or comes later than a minute after the installation.
"""

from __future__ import annotations

import hashlib
import marshal
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tracejit import config
from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.support.native import Platform
from tracejit.locks import cached_property
from tracejit.runtime import cache as disk
from tracejit.runtime.machines import llvm_version

#: Where files are.
FOLDER = Path(config.__file__).parent / "objects"

_MAGIC = b"tracejit shared code 2\n"
_CHECKSUM = 16

#: The folders of this package that decide what the code is.
_SOURCES = "codegen/", "runtime/"

#: An installer gives all files the times of its own work, which takes no longer, in ns.
_INSTALLING = 60 * 10**9


def file_of(options: LlvmOptions, platform: Platform, folder: Path | None = None) -> Path:
    """The file for machines with those options, in a folder or where the package has it."""
    return (folder or FOLDER) / f"{platform.system}-{platform.machine}-{options.cpu}.tjs"


class _Header(NamedTuple):
    """`state`: of sources that stay in place, with the compiler; empty where they are installed elsewhere together with
    the file. `places` of each code: where it begins, its size and checksum."""

    state: str
    sizes: str
    places: Mapping[str, tuple[int, int, bytes]]


class Shipped:
    """What lies in a file; without a path, nothing."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path

    def __len__(self) -> int:
        return len(self._places)

    @property
    def is_whole(self) -> bool:
        """Whether there is something, and none of it damaged."""
        return bool(self._places) and all(self.find(name) is not None for name in self._places)

    def has(self, name: str) -> bool:
        """Whether there is code of that name."""
        return name in self._places

    def find(self, name: str) -> bytes | None:
        """The code of that name, or None."""
        place = self._places.get(name)
        if place is None or self.path is None:
            return None
        begin, size, checksum = place
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(begin)
                data = file.read(size)
        except OSError:
            return None
        return data if _checksum(data) == checksum else None

    @cached_property
    def _places(self) -> Mapping[str, tuple[int, int, bytes]]:
        """Where code lies that was made of the sources that are there."""
        if self.path is None:
            return {}
        try:
            with self.path.open("rb", buffering=0) as file:
                start = len(_MAGIC) + _CHECKSUM + 8
                head = file.read(start)
                if not head.startswith(_MAGIC):
                    return {}
                data = file.read(int.from_bytes(head[-8:], "little"))
                status = os.fstat(file.fileno())
        except (OSError, OverflowError, MemoryError):
            return {}
        if _checksum(data) != head[len(_MAGIC) : -8]:
            return {}
        header = _Header(*marshal.loads(data))
        here = disk.sources(*_SOURCES)
        came_along = header.sizes == here.sizes and here.newest <= status.st_mtime_ns + _INSTALLING
        if not (header.state == _state(here) if header.state else came_along):
            return {}
        ahead = start + len(data)
        if status.st_size != ahead + sum(size for _, size, _ in header.places.values()):  # it was cut off
            return {}
        return {name: (ahead + begin, size, checksum) for name, (begin, size, checksum) in header.places.items()}


def _state(here: disk.Sources) -> str:
    return f"{here.state} {llvm_version()}"


def write(path: Path, codes: Mapping[str, bytes], *, moves: bool) -> None:
    """Write codes by name, all or none of them; `moves`: it is installed elsewhere, with its sources. Raises
    OSError."""
    here = disk.sources(*_SOURCES)
    places: dict[str, tuple[int, int, bytes]] = {}
    begin = 0
    for name, data in codes.items():
        places[name] = begin, len(data), _checksum(data)
        begin += len(data)
    # a version that all Pythons read
    header = marshal.dumps(("" if moves else _state(here), here.sizes, places), 4)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o755)  # for all who may read the sources
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix="new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_MAGIC + _checksum(header) + len(header).to_bytes(8, "little") + header)
            file.write(b"".join(codes.values()))
        Path(aside).chmod(0o644)
        Path(aside).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(aside).unlink()
        raise


def _checksum(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_CHECKSUM).digest()
