"""Writing artefacts: atomic files, static archives, shared libraries."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tracejit.errors import ExportError
from tracejit.files import replacing


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old content or the new one, never a part.

    Raises ExportError where the folder is missing or the file cannot be written; nothing is left behind then.
    """
    check_folder(path)
    try:
        with replacing(path) as file:
            file.write(data)
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror or error}") from error


def check_folder(path: Path) -> None:
    """Raise ExportError unless the folder of `path` exists."""
    if not path.parent.is_dir():
        raise ExportError(f"cannot write {path}: the folder {path.parent} does not exist")


def archive(members: Sequence[tuple[str, bytes]], symbols: Sequence[Sequence[str]]) -> bytes:
    """A static library (`ar`) of object files; `symbols[i]` are member i's public names, for the linker's index."""
    names = [name.encode() + b"\0" for of_member in symbols for name in of_member]
    index_size = 4 + 4 * len(names) + sum(map(len, names))
    offset = 8 + 60 + index_size + index_size % 2
    offsets: list[int] = []
    body = b""
    for (name, data), of_member in zip(members, symbols, strict=True):
        offsets += [offset + len(body)] * len(of_member)
        body += _member(f"{name}/", data)
    index = struct.pack(f">I{len(offsets)}I", len(offsets), *offsets) + b"".join(names)
    return b"!<arch>\n" + _member("/", index) + body


def _member(name: str, data: bytes) -> bytes:
    if len(name) > 16:
        name = name[:14] + "o/"
    header = f"{name:<16}{0:<12}{0:<6}{0:<6}{644:<8}{len(data):<10}`\n"
    return header.encode() + data + b"\n" * (len(data) % 2)


def shared_library(object_code: bytes, soname: str, stays: bool = False) -> bytes:
    """Link one object into a shared library with whatever linker there is; one that `stays` is never unloaded.

    Raises ExportError where none is found (and says what to do instead), where it fails, or where there is no room for
    temporary files.
    """
    try:
        return _linked(_linker(), object_code, soname, stays)
    except OSError as error:
        raise ExportError(f"cannot link {soname}: {error.strerror or error}") from error


def _linked(command: Sequence[str], object_code: bytes, soname: str, stays: bool) -> bytes:
    with tempfile.TemporaryDirectory(prefix="tracejit-") as folder:
        source, target = Path(folder) / "object.o", Path(folder) / "library.so"
        source.write_bytes(object_code)
        arguments = [*command, "-shared", "-o", str(target), str(source), *_options(command[0], soname, stays)]
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        if done.returncode != 0 or not target.exists():
            raise ExportError(f"the linker failed: {' '.join(command)}\n{done.stderr.strip()}")
        return target.read_bytes()


def _linker() -> list[str]:
    """The command of a linker: CC, cc, gcc, clang, or a bare ld."""
    chosen = os.environ.get("CC", "").split()
    for command in (chosen, ["cc"], ["gcc"], ["clang"], ["ld"], ["ld.lld"]):
        if command and shutil.which(command[0]):
            return command
    raise ExportError(
        "no linker was found (looked for cc, gcc, clang, ld, ld.lld); install one, set CC, or export an object file "
        "(path ending in .o) or a static library (.a) and link it elsewhere"
    )


def _options(program: str, soname: str, stays: bool) -> list[str]:
    """Strip the library and drop what nothing refers to; libm for a compiler, which knows where it is."""
    common = ["--gc-sections", "-soname", soname, "-z", "noexecstack", *(("-z", "nodelete") if stays else ())]
    if Path(program).name in ("ld", "ld.lld"):
        return ["-s", *common]
    for_linker = ",".join((*common, "--no-undefined", "--as-needed"))
    return ["-s", f"-Wl,{for_linker}", "-lm", "-lpthread"]
