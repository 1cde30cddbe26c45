"""The file of a script: a zip archive of texts and arrays, as they are (not compressed).

script.json           what there is: functions, their signatures, modules, what to give and to take
graphs/0.tj ...       graphs as text
weights.safetensors   parameters, buffers, arrays from outside
extra/NAME            what the user added

Nothing in it is executed. Equal scripts make equal files.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeAlias

from tracejit.errors import ExportError
from tracejit.files import replacing

SCRIPT, GRAPHS, WEIGHTS, EXTRA = "script.json", "graphs/", "weights.safetensors", "extra/"

#: What is written into a member.
Content: TypeAlias = bytes | Callable[[IO[bytes]], None]

_DATE = (1980, 1, 1, 0, 0, 0)


def is_archive(path: Path) -> bool:
    """Whether a file begins as archives do."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PK\3\4"
    except OSError:
        return False


def write_archive(file: Any, members: Mapping[str, Content]) -> None:
    """Write to a path, whole or not at all, or into an open file. Raises ExportError where a path cannot be written."""
    if not isinstance(file, str | os.PathLike):
        _write(file, members)
        return
    path = Path(file)
    try:
        with replacing(path) as opened:
            _write(opened, members)
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror or error}") from error


def _write(file: IO[bytes], members: Mapping[str, Content]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            if isinstance(content, bytes):
                archive.writestr(zipfile.ZipInfo(name, _DATE), content)
            else:
                with archive.open(zipfile.ZipInfo(name, _DATE), "w", force_zip64=True) as member:
                    content(member)


@contextmanager
def reading(file: Any) -> Iterator[tuple[zipfile.ZipFile, str]]:
    """An archive, at a path or in an open file, and its name for messages. Raises ExportError for what cannot be read
    or is damaged, here or inside."""
    is_path = isinstance(file, str | os.PathLike)
    if not is_path and not hasattr(file, "seek"):
        raise TypeError(f"a path or an open file is needed, not {type(file).__name__}")
    name = str(file) if is_path else "the file"
    try:
        with zipfile.ZipFile(Path(file) if is_path else file) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise zipfile.BadZipFile("compressed")
            archive.getinfo(SCRIPT)
            yield archive, name
    except OSError as error:
        raise ExportError(f"cannot read {name}: {error.strerror or error}") from error
    except (zipfile.BadZipFile, EOFError, KeyError, NotImplementedError) as error:
        raise ExportError(
            f"cannot load {name}: it is no file that tracejit.jit.save wrote, or not all of one ({error})"
        ) from error
