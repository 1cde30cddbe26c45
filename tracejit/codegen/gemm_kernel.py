"""The own matrix product."""

from __future__ import annotations

from tracejit.codegen.llvm_options import LlvmOptions


def kernel_text(name: str, options: LlvmOptions) -> str:
    """TEMP"""
    return ""
