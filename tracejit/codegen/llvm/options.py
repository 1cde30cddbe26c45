"""What a printer must know about the machine it prints for."""

from __future__ import annotations

from dataclasses import replace

from tracejit.records import record


@record
class LlvmOptions:
    """A CPU as LLVM names it, and what follows for the shape of vector loops.

    vector_bits: width of the widest vector register.
    masked_bits: least element width that has masked loads and stores (0: none; loops then end in a scalar loop).
    has_f16c:    f16 conversions are instructions.
    polls:       loops of host code ask the context's `poll_hook` now and then whether to go on.
    has_library: the functions of the C library's mathematics can be called.
    budget:      baseline code, whose calls end with status `TOO_LONG` when loops have made about so many trips.
    """

    cpu: str
    features: str = ""
    vector_bits: int = 128
    masked_bits: int = 0
    has_f16c: bool = False
    entry_name: str = "tj_entry"
    polls: bool = False
    has_library: bool = True
    budget: int = 0

    def for_scalar_code(self, *, masks: bool = False) -> LlvmOptions:
        """The same machine without AVX-512, whose selections by mask registers are slow in scalar code.

        masks: with its masked instructions nevertheless, but for AVX-512DQ. That has moves of 8-bit masks, by which
            LLVM keeps half of a mask on the stack that it later loads whole, for a store of eight bytes.
        """
        if self.vector_bits < 512:
            return self
        without = "-avx512dq" if masks else "-avx512f"
        return replace(self, features=f"{self.features},{without}".lstrip(","), vector_bits=256, masked_bits=32)

    @staticmethod
    def for_cpu(cpu: str, features: dict[str, bool], entry_name: str = "tj_entry") -> LlvmOptions:
        """The options that follow from the features LLVM reports for a CPU."""
        flat = ",".join(f"{'+' if on else '-'}{name}" for name, on in sorted(features.items()))
        if features.get("avx512bw") and features.get("avx512vl"):
            return LlvmOptions(cpu, flat, 512, 8, True, entry_name)
        if features.get("avx2"):
            return LlvmOptions(cpu, flat, 256, 32, bool(features.get("f16c")), entry_name)
        return LlvmOptions(cpu, flat, 128, 0, False, entry_name)
