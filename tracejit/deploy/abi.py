"""The C interface of an exported function: what a caller passes and gets, as plain data.

    typedef struct { void *data; int64_t ndim; const int64_t *shape; const int64_t *strides; int32_t dtype; } tj_tensor;
    int NAME(const tj_tensor *inputs, tj_tensor *outputs, void *arena);
    const char *NAME_message(void);
    void NAME_free(void *data);
    int64_t NAME_arena_size(const tj_tensor *inputs);
    void NAME_set_threads(int32_t count);                /* only with threads */

Strides count elements; a null `strides` means C order, a null `shape` is for scalars only, dtype 0 means the
compiled dtype. Scalars are 0-d tensors. Status 0 is success, a positive status the number of an error the
program can raise, a negative one an error of the call itself.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from typing import Any

from tracejit.codegen.loop_ir import ErrorSite, PrintSite, Program, ReportSite
from tracejit.errors import ExportError
from tracejit.ir.types import DTYPES, DType, TensorType
from tracejit.records import record

#: Codes of dtypes in a `tj_tensor`.
DTYPE_CODES: dict[DType, int] = {dtype: index + 1 for index, dtype in enumerate(DTYPES)}

NO_MEMORY = -1  #: the library could not allocate
BAD_ARGUMENT = -2  #: an argument has the wrong rank, dtype, sizes or layout

MOST_THREADS = 256  #: a call shares a loop among so many at most

#: The C type of one element; half floats and complex numbers as their parts.
C_TYPES: dict[str, str] = {
    "bool": "uint8_t",
    "i8": "int8_t",
    "i16": "int16_t",
    "i32": "int32_t",
    "i64": "int64_t",
    "u8": "uint8_t",
    "u16": "uint16_t",
    "u32": "uint32_t",
    "u64": "uint64_t",
    "f16": "uint16_t",
    "bf16": "uint16_t",
    "f32": "float",
    "f64": "double",
    "c64": "float[2]",
    "c128": "double[2]",
}


@record
class Slot:
    """One input or output: dims are ints, names (equal names are equal sizes) or None."""

    name: str
    dtype: DType
    dims: tuple[int | str | None, ...]
    is_scalar: bool
    inout: bool = False
    contiguous: bool = False

    @property
    def rank(self) -> int:
        return len(self.dims)

    def __str__(self) -> str:
        dims = ", ".join("?" if d is None else str(d) for d in self.dims)
        return self.dtype.numpy_name if self.is_scalar else f"{self.dtype.numpy_name}[{dims}]"


@record
class Interface:
    """An exported function. `positions[i]` is the program input that user input i feeds; `constants` are the others."""

    name: str
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    positions: tuple[int, ...]
    constants: Mapping[int, Any]
    errors: tuple[ErrorSite, ...]
    prints: tuple[PrintSite | ReportSite, ...]
    threads: bool = False  #: whether large loops use several

    @property
    def signature(self) -> str:
        """The function as one line of text."""
        inputs = ", ".join(f"{'inout ' if s.inout else ''}{s.name}: {s}" for s in self.inputs)
        return f"{self.name}({inputs}) -> ({', '.join(map(str, self.outputs))})"


def interface(
    program: Program,
    name: str,
    constants: Mapping[int, Any],
    output_names: tuple[str, ...] = (),
    threads: bool = False,
) -> Interface:
    """The C interface of a program whose inputs at the keys of `constants` are embedded arrays."""
    check_name(name)
    positions = tuple(i for i in range(len(program.inputs)) if i not in constants)
    names: set[str] = set()
    inputs: list[Slot] = []
    for position in positions:
        spec = program.inputs[position]
        slot_name = _unique(re.sub(r"\W", "_", spec.name) or "x", names)
        dims, is_scalar = _dims(spec.type), not isinstance(spec.type, TensorType)
        inputs.append(Slot(slot_name, spec.type.dtype, dims, is_scalar, spec.inout, spec.contiguous))
    outputs = [
        Slot(
            output_names[i] if i < len(output_names) else f"result{i}",
            spec.type.dtype,
            tuple(d if isinstance(d, int) else None for d in spec.type.shape),
            not isinstance(spec.type, TensorType),
        )
        for i, spec in enumerate(program.outputs)
    ]
    return Interface(name, tuple(inputs), tuple(outputs), positions, constants, program.errors, program.prints, threads)


def _dims(type_: Any) -> tuple[int | str | None, ...]:
    return tuple(d if isinstance(d, int | str) else None for d in type_.shape)


def _unique(name: str, taken: set[str]) -> str:
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    taken.add(candidate)
    return candidate


_C_WORDS = frozenset(
    "auto break case char const continue default do double else enum extern float for goto if inline int long register "
    "restrict return short signed sizeof static struct switch typedef union unsigned void volatile while main".split()
)


def check_name(name: str) -> None:
    """Raise ExportError for what cannot be a C function's name."""
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) or name in _C_WORDS:
        hint = " (it is a word of the language)" if name in _C_WORDS or keyword.iskeyword(name) else ""
        raise ExportError(
            f"{name!r} cannot be the name of a C function{hint}: pass name= with letters, digits and underscores"
        )
