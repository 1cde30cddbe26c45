"""Builds this package: setuptools does, but wheels bring the object code that all programs share
(`tracejit/runtime/shipping.py`)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    build_sdist,
    build_wheel,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)
from setuptools.command.build_py import build_py

__all__ = [
    "BuildPy",
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """What the compiler needs, too."""
    needed = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    return [*build_meta.get_requires_for_build_wheel(config_settings), *needed]


class BuildPy(build_py):
    """Compiles that code by the sources that are packed. A wheel without it works, too: programs compile what they
    need."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:  # what is edited changes: `make setup` compiles it in place
            return
        built = Path(self.build_lib).resolve()
        folder = built / "tracejit" / "objects"
        shutil.rmtree(folder, ignore_errors=True)  # of a build before
        command = [sys.executable, "-B", "-m", "tracejit.runtime.shipping", "--moves", str(folder)]
        done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(built)}, cwd=built, check=False)
        if done.returncode:
            self.warn("the object code that all programs share could not be compiled: each machine does that once")
