"""`python -m tracejit.runtime.shipping`: compile what all programs share, so that it comes with the package.

Builds of wheels run it on what they pack (`--moves`), `make setup` on the sources as they lie. It is made for several
levels of processors, whatever the machine it runs on has.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import llvmlite.binding as llvm

from tracejit import config
from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.support.native import Platform
from tracejit.runtime import shared_code
from tracejit.runtime.emission import Pool
from tracejit.runtime.errands import short_turns
from tracejit.runtime.machines import level_options, machine_name, target_machine
from tracejit.runtime.shipped import FOLDER, Shipped, file_of, write
from tracejit.runtime.stock import compiled

#: Those that most machines have.
_SHIPPED = "x86-64-v3", "x86-64-v4"


def ship(folder: Path, levels: Iterable[str] = _SHIPPED, *, moves: bool) -> list[Path]:
    """Write the files, of sources that stay where they are only those that are missing or of others; those written.
    Raises OSError."""
    if machine_name() != "x86_64":
        return []
    platform = Platform.of_triple(llvm.get_process_triple())
    written: list[Path] = []
    for options in map(level_options, levels):
        path = file_of(options, platform, folder)
        if moves or not Shipped(path).is_whole:
            write(path, _made(options, platform), moves=moves)
            written.append(path)
    return written


def _made(options: LlvmOptions, platform: Platform) -> dict[str, bytes]:
    pool = Pool(partial(target_machine, options))
    modules = {code.name: code.module() for code in shared_code.everything(options, platform)}
    made: dict[str, bytes] = {}
    with short_turns(), ThreadPoolExecutor(config.get("num_threads")) as threads:
        for is_full in (False, True):  # how addresses are made in loops is a setting of the process
            names = [name for name, module in modules.items() if (module.effort == "full") == is_full]
            made.update(zip(names, threads.map(lambda name: compiled(modules[name], pool), names), strict=True))
    return made


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tracejit.runtime.shipping", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help="where the files go")
    parser.add_argument("--moves", action="store_true", help="the folder is installed elsewhere with its sources")
    given = parser.parse_args()
    if given.moves and given.folder.resolve().parent != FOLDER.resolve().parent:
        parser.error(f"{given.folder} is not beside the sources that are compiled, {FOLDER.parent}")
    for path in ship(given.folder, moves=given.moves):
        print(f"{path.name}: {path.stat().st_size >> 10} KiB")


if __name__ == "__main__":
    main()
