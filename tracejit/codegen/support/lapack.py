"""LAPACK as LLVM text: functions that take numbers by value and give the routine's `info`, or -1 where there is none.

A program asks once (with a workspace query, or for an empty matrix) and goes on with its own loops where the answer is
-1, so that the same program runs with and without a library.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from tracejit.ir.types import DType

#: Parameters of routines before `info`: a letter, an integer, an array.
_ROUTINES: dict[str, str] = {
    "potrf": "cipi",
    "gesv": "iipippi",
    "syevd": "ccipippipi",
    "heevd": "ccipippipipi",
    "gesdd": "ciipippipipip",
    "geev": "ccipipppipipi",
}
_OF_COMPLEX = {"gesdd": "ciipippipipipp", "geev": "ccipippipipip"}
_LETTERS = {"f32": "s", "f64": "d", "c64": "c", "c128": "z"}

#: Routine by name -> its parameters.
ROUTINES: dict[str, str] = {
    letter + name: (_OF_COMPLEX.get(name, kinds) if letter in "cz" else kinds)
    for name, kinds in _ROUTINES.items()
    for letter in _LETTERS.values()
    if (name == "syevd") <= (letter in "sd") and (name == "heevd") <= (letter in "cz")
}

#: What a program calls, by the name of the routine.
CALLS: dict[str, str] = {f"lapack_{name}": name for name in ROUTINES}


def routine(name: Literal["potrf", "gesv", "eigh", "gesdd", "geev"], dtype: DType) -> str:
    """The call of a routine for matrices of that dtype."""
    spelt = name if name != "eigh" else "heevd" if dtype.is_complex else "syevd"
    return f"lapack_{_LETTERS[dtype.name]}{spelt}"


def lapack_module(integer_bits: int = 0, available: Collection[str] = ()) -> str:
    """The functions `@tj_lapack_<routine>`: calls of `@tj_fortran_<routine>` for those that are available."""
    parts = [_call(name, f"i{integer_bits}") if name in available else _stub(name) for name in ROUTINES]
    return "\n".join(parts)


def _parameters(kinds: str) -> str:
    return ", ".join(f"{'ptr' if kind == 'p' else 'i64'} %a{i}" for i, kind in enumerate(kinds))


def _stub(name: str) -> str:
    return f"define i64 @tj_lapack_{name}({_parameters(ROUTINES[name])}) nounwind {{\n  ret i64 -1\n}}"


def _call(name: str, integer: str) -> str:
    """Numbers are put on the stack, as Fortran wants them; the lengths of letters follow the arguments."""
    kinds = ROUTINES[name]
    lines: list[str] = []
    arguments: list[str] = []
    for i, kind in enumerate(kinds):
        if kind == "p":
            arguments.append(f"ptr %a{i}")
            continue
        type = "i8" if kind == "c" else integer
        value = f"%a{i}" if type == "i64" else f"%v{i}"
        lines.append(f"  %s{i} = alloca {type}")
        if type != "i64":
            lines.append(f"  %v{i} = trunc i64 %a{i} to {type}")
        lines.append(f"  store {type} {value}, ptr %s{i}")
        arguments.append(f"ptr %s{i}")
    arguments += ["ptr %info", *["i64 1" for kind in kinds if kind == "c"]]
    types = ", ".join(a.split()[0] for a in arguments)
    widened = "" if integer == "i64" else f"  %wide = sext {integer} %found to i64\n"
    return (
        f"declare void @tj_fortran_{name}({types})\n"
        f"define i64 @tj_lapack_{name}({_parameters(kinds)}) nounwind {{\n"
        f"  %info = alloca {integer}\n  store {integer} 0, ptr %info\n"
        + "\n".join(lines)
        + f"\n  call void @tj_fortran_{name}({', '.join(arguments)})\n"
        f"  %found = load {integer}, ptr %info\n{widened}"
        f"  ret i64 {'%found' if integer == 'i64' else '%wide'}\n}}"
    )
