"""NVRTC, NVIDIA's run-time compiler, by ctypes: PTX without a GPU.

It comes with a CUDA toolkit, or as the wheel `nvidia-cuda-nvrtc-cu12`.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path


class CompileError(RuntimeError):
    """NVRTC refuses a source; the message is its log."""


@cache
def library() -> ctypes.CDLL | None:
    """The compiler's library; None where there is none."""
    for path in (*_in_wheel(), "libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12"):
        try:
            return ctypes.CDLL(path)
        except OSError:
            continue
    return None


def _in_wheel() -> list[str]:
    try:
        spec = importlib.util.find_spec("nvidia.cuda_nvrtc")
    except ModuleNotFoundError:
        return []
    folders = spec.submodule_search_locations or [] if spec is not None else []
    return [str(path) for folder in folders for path in sorted(Path(folder).glob("lib/libnvrtc.so*"))]


def compile_ptx(source: str, options: Sequence[str]) -> str:
    """PTX of CUDA C. Raises `CompileError`, and `FileNotFoundError` where NVRTC is missing."""
    nvrtc = library()
    if nvrtc is None:
        raise FileNotFoundError("NVRTC is not installed (wheel nvidia-cuda-nvrtc-cu12)")
    program = ctypes.c_void_p()
    if nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None):
        raise CompileError("NVRTC could not start")
    flags = (ctypes.c_char_p * len(options))(*(o.encode() for o in options))
    status = nvrtc.nvrtcCompileProgram(program, len(options), flags)
    try:
        if status:
            raise CompileError(_text(nvrtc, program, "ProgramLog"))
        return _text(nvrtc, program, "PTX")
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _text(nvrtc: ctypes.CDLL, program: ctypes.c_void_p, what: str) -> str:
    size = ctypes.c_size_t()
    getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
    buffer = ctypes.create_string_buffer(size.value)
    getattr(nvrtc, f"nvrtcGet{what}")(program, buffer)
    return buffer.value.decode(errors="replace")
